"""Ranges of window lengths, hops and frequencies in tuning.

Those of lengths and hops follow from bounds, overlap, FFT length and the limit of the frame bounds.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from adaptstft.common.band_pass import BandPass
from adaptstft.common.typing import Float64Array
from adaptstft.common.validation import LEAST_HOP, as_bounds, as_index, as_real, as_win_length, show
from adaptstft.engine.frames import frame_count
from adaptstft.tuning.hop_ratio import DEFAULT_HOP_RATIO
from adaptstft.tuning.overlap import Overlap
from adaptstft.tuning.penalties.frame_ratio import largest_fraction, regular_ratio
from adaptstft.windows import Window

#: Modes with a window length for each frequency.
PER_BIN = ("frequency", "time-frequency")
#: Range of window lengths unless bounds are given: the shortest in samples, and the longest in samples and in seconds,
#: of which the larger counts. Shorter windows have hardly more frequencies than a difference of neighbouring samples.
_SHORTEST, _LONGEST, _LONGEST_TIME = 16, 16384, 2.0
#: Least overlap below which the inverse amplifies rounding errors.
_LEAST_OVERLAP = 0.05
#: Largest ratio of the frame bounds, unless one is given.
_MOST_RATIO = 100.0
#: Largest magnitude of a band that is silent, relative to that of the signal: its continuation is not exact.
_SILENT = 1e-9
#: Width of the narrowest band, in cycles over the signal.
_NARROWEST = 16.0


def check_overlap(min_overlap: Any) -> None:
    """Require a fraction of the window length, or None."""
    if min_overlap is not None and not _LEAST_OVERLAP <= as_real("min_overlap", min_overlap) < 1:
        raise ValueError(
            f"{min_overlap=} must be at least {_LEAST_OVERLAP}, below which the inverse amplifies every rounding "
            "error, and less than 1; or be None"
        )


def length_bounds(
    win_bounds: Any,
    win_length: Any,
    hop: float | None,
    min_overlap: float | None,
    mfft: int | None,
    n: int,
    shortest: int,
    fs: float,
) -> tuple[float, float]:
    """Return the range of lengths that leaves neighbouring windows their least overlap at a given hop."""
    if win_bounds is None:
        high = float(max(min(shortest // 2, max(_LONGEST, int(_LONGEST_TIME * fs))), 2))
        low = min(float(_SHORTEST), high)
        if mfft is not None:
            high = min(high, float(mfft))
            low = min(low, high)
        if win_length is not None:  # what the user starts from is always in range
            given = as_win_length(win_length)
            low, high = min(low, float(given.min())), max(high, float(given.max()))
    else:
        low, high = as_bounds("win_bounds", win_bounds, 1.0)
    if high > max(n, 2):
        name, value = ("win_bounds", win_bounds) if win_bounds is not None else ("win_length", show(win_length))
        raise ValueError(f"{name}={value}: windows may have at most {n} samples, the length of the signal")
    if mfft is not None and high > mfft:
        raise ValueError(f"{mfft=} must be at least the longest window allowed, {high:g} samples")
    if hop is None or min_overlap is None:
        return low, high
    least = Overlap(min_overlap).shortest(hop)
    if win_bounds is None and high < least <= n:
        high = min(least * 2, n, mfft or np.inf)
    if least > high:
        raise ValueError(
            f"{hop=} leaves samples uncovered: with {min_overlap=} windows must be at least {least:g} samples long, "
            f"but at most {high:g} are allowed for {n} samples; use a smaller hop, longer windows or min_overlap=None"
        )
    return max(low, least), high


def start_lengths(
    win_length: Any,
    bounds: tuple[float, float],
    hop: float | None,
    n: int,
    window_mode: str,
    hop_mode: str,
    mfft: int | None,
    onesided: bool,
) -> Float64Array | None:
    """Check the window lengths to start from: within their bounds, and as many as there are frames or bins."""
    if win_length is None:
        return None
    lengths = as_win_length(win_length)
    if lengths.ndim == 2:
        _check_bin_lengths(lengths, hop, n, window_mode, hop_mode, mfft, onesided)
    low, high = bounds
    outside = (lengths < low * (1 - 1e-12)) | (lengths > high * (1 + 1e-12))
    if np.any(outside):
        value = float(lengths[outside].flat[0])
        raise ValueError(
            f"win_length={value:g} must lie in [{low:g}, {high:g}] samples, the range that win_bounds, mfft and "
            "(by the least overlap of neighbouring windows and max_frame_ratio) the hop allow"
        )
    if lengths.ndim == 1:
        if window_mode in ("constant", *PER_BIN) or hop is None or hop_mode == "constant":
            raise ValueError(
                "win_length with one entry for each frame needs window_mode='time' or 'fixed' and a given hop that is "
                f"not tuned, got {window_mode=}, {hop=}, {hop_mode=}"
            )
        if lengths.size != frame_count(n, hop):
            raise ValueError(
                f"win_length has {lengths.size} entries, but {hop=} makes {frame_count(n, hop)} frames of {n} samples"
            )
    return lengths


def _check_bin_lengths(
    lengths: Float64Array,
    hop: float | None,
    n: int,
    window_mode: str,
    hop_mode: str,
    mfft: int | None,
    onesided: bool,
) -> None:
    """Check starting lengths with two dimensions, for which hop and FFT length must be given."""
    if window_mode not in ("fixed", *PER_BIN) or hop is None or hop_mode == "constant" or mfft is None:
        raise ValueError(
            f"win_length has shape {lengths.shape}, a length for each frequency or bin: that needs window_mode "
            "'frequency', 'time-frequency' or 'fixed', and a hop that is not tuned and an mfft to be given, "
            f"got {window_mode=}, {hop=}, {hop_mode=}, {mfft=}"
        )
    f_pts = mfft // 2 + 1 if onesided else mfft
    frames = frame_count(n, hop)
    allowed = [(f_pts, 1)] if window_mode == "frequency" else [(f_pts, 1), (f_pts, frames)]
    if lengths.shape not in allowed:
        raise ValueError(f"win_length has shape {lengths.shape}: {window_mode=} with {mfft=}, {hop=} needs {allowed}")


def frame_ratio_limit(limit: Any, min_overlap: Any, win_length: Any, window_mode: str) -> float | None:
    """Return the limit of the ratio of the frame bounds, or None for no limit."""
    if limit is None:
        per_bin = window_mode in PER_BIN or np.ndim(win_length) == 2
        return None if min_overlap is None or per_bin else _MOST_RATIO
    if min_overlap is None:
        raise ValueError(f"max_frame_ratio={limit!r} is one of the guarantees that {min_overlap=} switches off")
    if not as_real("max_frame_ratio", limit) > 2:
        raise ValueError(f"max_frame_ratio={limit!r} must be greater than 2: the ends of a signal see half the windows")
    return float(limit)


def within_ratio(
    bounds: tuple[float, float], hop: float | None, limit: float | None, compared: tuple[Window, ...]
) -> tuple[float, float]:
    """Return the range of single lengths whose regular frames keep the ratio of the frame bounds."""
    if limit is None:
        return bounds
    low, high = bounds
    for window in compared:
        span = (DEFAULT_HOP_RATIO, DEFAULT_HOP_RATIO) if hop is None else (hop / high, hop / low)
        most = largest_fraction(window, limit, (min(span[0], DEFAULT_HOP_RATIO), span[1]))
        if most is None or most < span[0]:
            raise ValueError(
                f"max_frame_ratio={limit:g} cannot be kept: frames of {window.label} that are {span[0]:.4g} of a "
                f"window apart have frame bounds with a ratio of {regular_ratio(window, span[0]):.4g}"
                + ("" if hop is None else f"; {hop=} needs windows longer than {high:g} samples, or a larger ratio")
            )
        if hop is not None and most < span[1] * (1 - 1e-12):
            low = max(low, min(hop / most, high))
    return low, high


def as_f_bounds(f_bounds: Any) -> tuple[float | None, float | None] | None:
    """Return a range of frequencies, each a number or None for the end of the spectrum; None if there is none."""
    if f_bounds is None:
        return None
    try:
        low, high = f_bounds
    except (TypeError, ValueError):
        raise ValueError(f"f_bounds={show(f_bounds)} must be a pair (low, high) in Hz") from None
    low, high = (None if f is None else as_real(f"f_bounds[{i}]", f) for i, f in enumerate((low, high)))
    if low is not None and high is not None and low >= high:
        raise ValueError(f"{f_bounds=}: low must be less than high")
    return low, high


def find_band(f_bounds: Any, fs: float, n: int, *, is_complex: bool) -> BandPass | None:
    """Return the band of frequencies that a criterion sees, for `n` samples; None if it sees all."""
    given = as_f_bounds(f_bounds)
    if given is None:
        return None
    lowest, highest = -fs / 2 if is_complex else 0.0, fs / 2
    low, high = (end if f is None else f for f, end in zip(given, (lowest, highest), strict=True))
    if not lowest <= low < high <= highest:
        kind = "complex" if is_complex else "real"
        raise ValueError(
            f"{f_bounds=} must satisfy {lowest:g} <= low < high <= {highest:g} Hz for a {kind} signal with {fs=:g} Hz"
        )
    if (high - low) * n < _NARROWEST * fs:
        raise ValueError(
            f"{f_bounds=} is a band of {high - low:g} Hz: for {n} samples with {fs=:g} Hz it must have at least "
            f"{_NARROWEST * fs / n:g} Hz"
        )
    return BandPass(low, high, fs)


def check_band_not_silent(peak: float, whole: float, band: BandPass, dtype: Any) -> None:
    """Require a largest magnitude in a band above the rounding errors of the whole signal, with its own."""
    if peak <= max(4 * np.finfo(dtype).eps, _SILENT) * whole:
        raise ValueError(
            f"x is silent from {band.low:g} to {band.high:g} Hz, the range of f_bounds: no window is better than "
            "another"
        )


def check_control_points(points: Any, window_mode: str) -> tuple[int, int] | str | None:
    """Check the numbers of control points in frequency and time; None and ``"free"`` are returned unchanged."""
    if points is None or (isinstance(points, str) and points == "free" and window_mode in PER_BIN):
        return points
    if window_mode not in PER_BIN:
        raise ValueError(f"control_points={points!r} needs window_mode 'frequency' or 'time-frequency'")
    if isinstance(points, str):
        raise ValueError(f"control_points={points!r} must be 'free', or numbers of points in frequency and time")
    pair = np.atleast_1d(np.asarray(points, dtype=object)).tolist()
    if len(pair) != (1 if window_mode == "frequency" else 2) and pair[1:] != [1]:
        expected = "a number of points" if window_mode == "frequency" else "a pair (n_freq, n_time)"
        raise ValueError(f"control_points={points!r} must be {expected} for {window_mode=}, or 'free'")
    counts = [as_index(f"control_points[{i}]", value, 1) for i, value in enumerate(pair)]
    return counts[0], counts[1] if len(counts) > 1 else 1


def check_hop_bounds(
    hop_bounds: Any, hop: float | None, hop_mode: str, min_overlap: float | None, win_bounds: tuple[float, float]
) -> tuple[float, float] | None:
    """Check the range of hops against the hop and the overlap of the longest windows."""
    if hop_bounds is None:
        return None
    if hop_mode == "fixed" and hop is not None:
        raise ValueError(f"{hop_bounds=} needs hop_mode='time' or 'constant', or a hop that is not given, got {hop=}")
    low, high = as_bounds("hop_bounds", hop_bounds, 0.0 if min_overlap is None else 1e-3)
    if high < LEAST_HOP:
        raise ValueError(f"{hop_bounds=}: the upper bound must be at least 1/{round(1 / LEAST_HOP)} of a sample")
    if hop is not None and not low <= hop <= high:
        raise ValueError(f"{hop=} must lie within {hop_bounds=}")
    longest = Overlap(min_overlap).longest_hop(win_bounds[1])
    if low > longest:
        raise ValueError(
            f"{hop_bounds=} leaves samples uncovered: with {min_overlap=} and windows of at most {win_bounds[1]:g} "
            f"samples, hops must not exceed {longest:g}"
        )
    return low, high
