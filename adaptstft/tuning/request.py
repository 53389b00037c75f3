"""The arguments of `optimize`, checked and brought to one form before any work."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, get_args

import numpy as np

from adaptstft import criteria, kernels, windows
from adaptstft.common.detrend import remove_trend
from adaptstft.common.device import to_host
from adaptstft.common.threads import count_workers
from adaptstft.common.typing import AnyArray, Backend, FFTMode, Float64Array, HopMode, Method, Scaling, WindowMode
from adaptstft.common.validation import (
    as_bounds,
    as_flag,
    as_index,
    as_real,
    as_signal,
    as_win_length,
    as_workers,
    check_not_silent,
    check_option,
    check_positive,
    show,
)
from adaptstft.engine.frames import TIED_HOP, frame_count
from adaptstft.engine.plan import FramePlan
from adaptstft.tuning.options import BASELINES, check_baseline, check_options, check_rule, integer_lengths
from adaptstft.tuning.penalties.frame_ratio import largest_fraction, regular_ratio
from adaptstft.tuning.penalties.weights import check_penalties
from adaptstft.tuning.shared.pieces import Pieces
from adaptstft.tuning.window_families import families
from adaptstft.windows import Window

#: Modes with a window length for each frequency.
PER_BIN = ("frequency", "time-frequency")
#: Longest window relative to the constant optimum where lengths vary, unless bounds are given: the FFT must hold it.
WIDEST_RATIO = 4
#: Of windows per bin, unless another is asked for.
DEFAULT_ACCURACY = 1e-3
_LONGEST = 16384
_SHORTEST = 16
_LEAST_OVERLAP = 0.05
#: Ratio of the frame bounds that is kept unless another is asked for.
_MOST_RATIO = 100.0


@dataclass(frozen=True)
class Request:
    """What `optimize` was asked for.

    Attributes
    ----------
    original : ndarray
        The signal as given, time last.
    x : ndarray, shape (channels, n)
        The signal without its trend, its largest magnitude one unless the criterion is a callable; on
        the device if that is where the kernels work.
    lead : tuple of int
        Its leading dimensions.
    fs : float
        Sampling frequency in Hz.
    window, criterion
        Resolved objects.
    families : tuple of Window
        Windows to compare; one, `window`, unless that is to be chosen.
    win_length : ndarray or None
        Starting length(s) in samples.
    start_lengths : ndarray, shape (f_pts, 1) or (f_pts, p_num), or None
        Starting lengths of all bins, once they are set apart from `win_length`.
    win_bounds : (float, float)
        Range of lengths, with the guarantees for a given hop worked in.
    bounds_given : bool
        Whether that range is the user's.
    hop_bounds : (float, float) or None
        Range of hops as given.
    pieces : Pieces or None
        What the criterion is summed over, where that is not one signal in memory; `original` and `x`
        then have no channels.
    """

    original: AnyArray
    x: AnyArray
    lead: tuple[int, ...]
    fs: float
    window: Window
    window_mode: WindowMode
    hop_mode: HopMode
    win_length: Float64Array | None
    hop: float | None
    win_bounds: tuple[float, float]
    bounds_given: bool
    hop_bounds: tuple[float, float] | None
    min_overlap: float | None
    mfft: int | None
    criterion: criteria.Criterion
    smoothness: float
    evenness: float
    coverage: float
    max_frame_ratio: float | None
    control_points: tuple[int, int] | str | None
    accuracy: float | None
    tune_shape: bool
    scale_to: Scaling | None
    detrend: str | None
    starts: int | None
    method: Method
    options: dict[str, Any]
    callback: Callable[..., Any] | None
    workers: int | None
    backend: str
    backend_asked: Backend
    families: tuple[Window, ...]
    start_lengths: Float64Array | None = None
    pieces: Pieces | None = None

    @property
    def n(self) -> int:
        """Number of samples."""
        return int(self.x.shape[1])

    @property
    def descent_method(self) -> str:
        """What descents use; those that lay out the frames for a baseline are L-BFGS-B's."""
        return "L-BFGS-B" if self.method in BASELINES else self.method

    @property
    def descent_options(self) -> dict[str, Any]:
        """Options of descents; those of a baseline are its own."""
        return {} if self.method in BASELINES else self.options

    @property
    def fft_mode(self) -> FFTMode:
        """One-sided for real signals, centred for complex ones."""
        return "centered" if np.iscomplexobj(self.x) else "onesided"

    def regular_positions(self, hop: float) -> Float64Array:
        """Return the times of frames at a hop; of many signals those of the first two, which all have."""
        return np.arange(2 if self.pieces is not None else frame_count(self.n, hop)) * hop

    def transform(self, mfft: int, window: Window | None = None) -> FramePlan:
        """Transform with windows of order one, where the criterion is scale-free."""
        _, module = kernels.resolve(self.backend)
        free = isinstance(self.criterion, criteria.UserLoss)
        unit = self.fs**-0.5 if self.scale_to == "psd" and not free else 1.0
        return FramePlan(
            mfft,
            self.fft_mode,
            self.scale_to,
            module,
            count_workers(self.workers) if self.pieces is None else self.pieces.threads(self.workers),
            window or self.window,
            1 / self.fs,
            amplitude=1 / unit,
        )


def check_request(
    x: Any,
    fs: Any,
    *,
    window: Any,
    window_mode: Any,
    hop_mode: Any,
    win_length: Any,
    hop: Any,
    win_bounds: Any,
    hop_bounds: Any,
    min_overlap: Any,
    mfft: Any,
    criterion: Any,
    scope: Any,
    smoothness: Any,
    evenness: Any,
    coverage: Any,
    max_frame_ratio: Any,
    control_points: Any,
    accuracy: Any,
    tune_shape: Any,
    scale_to: Any,
    detrend: Any,
    starts: Any,
    method: Any,
    options: Any,
    callback: Any,
    axis: Any,
    workers: Any,
    backend: Any,
    progress: Any,
) -> Request:
    """Check all arguments of `optimize`."""
    fs = check_positive("fs", fs, "Hz")
    check_option("window_mode", window_mode, get_args(WindowMode))
    check_option("hop_mode", hop_mode, get_args(HopMode))
    check_option("scale_to", scale_to, (*get_args(Scaling), None))
    check_option("method", method, get_args(Method))
    check_option("detrend", detrend, ("constant", "linear", None))
    tune_shape = as_flag("tune_shape", tune_shape)
    as_flag("progress", progress)
    check_option("backend", backend, kernels.BACKENDS)
    loss = criteria.resolve(criterion, scope)
    if isinstance(window, str) and window == "auto":
        compared = families(loss, tune_shape=tune_shape, window_mode=window_mode, scale_to=scale_to, hop=hop, mfft=mfft)
    else:
        compared = (_check_window(windows.resolve(window), window_mode, hop_mode, tune_shape),)
    if min_overlap is not None and not _LEAST_OVERLAP <= as_real("min_overlap", min_overlap) < 1:
        raise ValueError(
            f"{min_overlap=} must be at least {_LEAST_OVERLAP}, below which the inverse amplifies every rounding "
            "error, and less than 1; or be None"
        )
    ratio = _frame_ratio(max_frame_ratio, min_overlap, win_length, window_mode)
    points = _control_points(control_points, window_mode)
    if accuracy is not None and not 1e-8 <= as_real("accuracy", accuracy) <= 0.1:
        raise ValueError(f"{accuracy=} must be a relative accuracy from 1e-8 to 0.1, or None for exact sums throughout")
    if window_mode not in PER_BIN and accuracy not in (None, DEFAULT_ACCURACY):
        raise ValueError(
            f"{accuracy=} needs window_mode 'frequency' or 'time-frequency': with {window_mode=} all sums are exact"
        )
    if loss.bands is not None and window_mode not in PER_BIN:
        raise ValueError(f"bands={loss.bands} in the criterion needs window_mode 'frequency' or 'time-frequency'")
    if callback is not None and not callable(callback):
        raise TypeError(f"{callback=} must be callable")
    options = check_options(method, options)
    if starts is not None:
        starts = as_index("starts", starts, 1)
    check_baseline(
        method,
        loss,
        window_mode=window_mode,
        hop_mode=hop_mode,
        smoothness=smoothness or 0.0,
        tune_shape=tune_shape,
        starts=starts,
        win_length=win_length,
        callback=callback,
    )
    smoothness, evenness, coverage = check_penalties(
        loss,
        smoothness=smoothness,
        evenness=evenness,
        coverage=coverage,
        window_mode=window_mode,
        hop_mode=hop_mode,
        method=method,
        min_overlap=min_overlap,
        win_length=win_length,
    )
    workers = as_workers(workers)
    pieces = x if isinstance(x, Pieces) else None
    if pieces is None:
        used, module = kernels.resolve_for(backend, "x", x)
        original, channels = _take_signal(x, axis, loss, detrend)
        channels = module.asarray(channels)
        n = shortest = original.shape[-1]
    else:
        used, _ = kernels.resolve(backend)
        loss = check_pieces(loss, window_mode=window_mode, hop_mode=hop_mode, method=method, win_length=win_length)
        pieces.measure(detrend)
        n, shortest = pieces.n, pieces.shortest
        original = channels = np.zeros((0, n), pieces.dtype)
    hop = None if hop is None else check_positive("hop", hop, "samples")
    mfft = None if mfft is None else as_index("mfft", mfft, 1)
    # a hop that is tuned along does not hold the windows
    held = None if hop_mode == "constant" and not isinstance(loss, criteria.UserLoss) else hop
    bounds = _length_bounds(win_bounds, win_length, held, min_overlap, mfft, n, shortest)
    bounds = _within_ratio(bounds, held, None if window_mode in PER_BIN else ratio, compared)
    if method == "grid":
        integer_lengths(bounds, options.get("step", 1))
    onesided = not np.iscomplexobj(channels)
    lengths = _start_lengths(win_length, bounds, hop, n, window_mode, hop_mode, mfft, onesided)
    check_rule(loss, method, options)
    return Request(
        original=original.copy(),  # the caller may go on to change theirs
        x=channels,
        lead=original.shape[:-1],
        pieces=pieces,
        fs=fs,
        window=compared[0],
        window_mode=window_mode,
        hop_mode=hop_mode,
        win_length=lengths,
        hop=hop,
        win_bounds=bounds,
        bounds_given=win_bounds is not None,
        hop_bounds=_hop_bounds(hop_bounds, hop, hop_mode, min_overlap, bounds),
        min_overlap=None if min_overlap is None else float(min_overlap),
        mfft=mfft,
        criterion=loss,
        smoothness=smoothness,
        evenness=evenness,
        coverage=coverage,
        max_frame_ratio=ratio,
        control_points=points,
        accuracy=None if accuracy is None else float(accuracy),
        tune_shape=bool(tune_shape),
        scale_to=scale_to,
        detrend=detrend,
        starts=starts,
        method=method,
        options=options,
        callback=callback,
        workers=workers,
        backend=used,
        backend_asked=backend,
        families=compared,
    )


def _take_signal(x: Any, axis: Any, loss: criteria.Criterion, detrend: str | None) -> tuple[AnyArray, AnyArray]:
    """Return a signal as it is, time last, and its channels without their trend, of order one."""
    original, time_axis = as_signal(to_host(x), axis)
    if isinstance(loss, criteria.UserLoss) and time_axis != original.ndim - 1:
        raise ValueError(f"{axis=}: with a callable criterion time must be the last axis of x")
    channels = original.reshape(-1, original.shape[-1])
    check_not_silent(channels)
    channels = remove_trend(channels, detrend)
    peak = _check_detrended(channels, original, detrend)
    if not isinstance(loss, criteria.UserLoss):  # which scale-free criteria do not see
        channels = channels / peak
    return original, channels


def check_pieces(
    criterion: criteria.Criterion, *, window_mode: str, hop_mode: str, method: str, win_length: Any
) -> criteria.Criterion:
    """Require what sums over pieces can answer, and return the criterion with its scope."""
    what = "a corpus, or a signal in chunks,"
    if not isinstance(criterion, criteria.Additive):
        raise ValueError(
            f"criterion={criterion.name!r}: that of {what} must be a function of sums over the spectrogram, which add "
            f"up over its pieces: one of {sorted(set(criteria.names()) - {'gini'})}"
        )
    if criterion.scope == "local":
        raise ValueError(
            f"scope={criterion.scope!r} is within one signal in memory; the scope of {what} must be 'global' or 'frame'"
        )
    if isinstance(criterion, criteria.Combined) and criterion.scope == "frame":
        raise ValueError(f"criterion={criterion.name!r}: criteria are combined over {what} in scope 'global' only")
    if window_mode in ("time", "time-frequency"):
        raise ValueError(
            f"{window_mode=} is for one signal in memory; the windows of {what} must be 'constant', 'frequency' or "
            "'fixed'"
        )
    if hop_mode == "time":
        raise ValueError(f"{hop_mode=} is for one signal in memory; the hop of {what} must be 'fixed' or 'constant'")
    if method in ("local-concentration", "chirp-rate"):
        raise ValueError(f"{method=} is for one signal in memory; tune {what} by 'L-BFGS-B', 'adam' or 'grid'")
    shape = () if win_length is None else as_win_length(win_length).shape
    if shape and shape[-1] != 1:
        raise ValueError(
            f"win_length has shape {shape}: {what} has one length for all frames, or one for each frequency, (f_pts, 1)"
        )
    return criterion.with_scope(criterion.scope or "global")


def _check_window(window: Window, window_mode: str, hop_mode: str, tune_shape: bool) -> Window:
    if window_mode != "fixed" or hop_mode == "time" or tune_shape:
        window.check_tunable()
    if tune_shape and not window.shape:
        raise ValueError(f"{tune_shape=} needs a window with shape parameters, which {window.spec!r} does not have")
    if tune_shape:
        window.check_shape_bounds()
    return window


def _check_detrended(x: AnyArray, original: AnyArray, kind: str | None) -> float:
    peak = float(np.abs(x).max())
    rounding = 0.0 if kind is None else np.finfo(x.dtype).eps * np.sqrt(x.shape[1]) * float(np.abs(original).max())
    if peak <= rounding:
        raise ValueError(f"x is silent once its trend is removed (detrend={kind!r}): no window is better than another")
    return peak


def _length_bounds(
    win_bounds: Any,
    win_length: Any,
    hop: float | None,
    min_overlap: float | None,
    mfft: int | None,
    n: int,
    shortest: int,
) -> tuple[float, float]:
    """Range of lengths that keeps neighbouring windows overlapping at a given hop."""
    if win_bounds is None:
        high = float(max(min(shortest // 2, _LONGEST), 2))
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
    least = hop / (1 - min_overlap)
    if win_bounds is None and high < least <= n:
        high = min(least * 2, n, mfft or np.inf)
    if least > high:
        raise ValueError(
            f"{hop=} leaves samples uncovered: with {min_overlap=} windows must be at least {least:g} samples long, "
            f"but at most {high:g} are allowed for {n} samples; use a smaller hop, longer windows or min_overlap=None"
        )
    return max(low, least), high


def _start_lengths(
    win_length: Any,
    bounds: tuple[float, float],
    hop: float | None,
    n: int,
    window_mode: str,
    hop_mode: str,
    mfft: int | None,
    onesided: bool,
) -> Float64Array | None:
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


def _frame_ratio(limit: Any, min_overlap: Any, win_length: Any, window_mode: str) -> float | None:
    """Limit of the ratio of the frame bounds; None where there is none."""
    if limit is None:
        per_bin = window_mode in PER_BIN or np.ndim(win_length) == 2
        return None if min_overlap is None or per_bin else _MOST_RATIO
    if min_overlap is None:
        raise ValueError(f"max_frame_ratio={limit!r} is one of the guarantees that {min_overlap=} switches off")
    if not as_real("max_frame_ratio", limit) > 2:
        raise ValueError(f"max_frame_ratio={limit!r} must be greater than 2: the ends of a signal see half the windows")
    return float(limit)


def _within_ratio(
    bounds: tuple[float, float], hop: float | None, limit: float | None, compared: tuple[Window, ...]
) -> tuple[float, float]:
    """Range of lengths that, one for all regular frames, keep the ratio of the frame bounds."""
    if limit is None:
        return bounds
    low, high = bounds
    for window in compared:
        span = (TIED_HOP, TIED_HOP) if hop is None else (hop / high, hop / low)
        most = largest_fraction(window, limit, (min(span[0], TIED_HOP), span[1]))
        if most is None or most < span[0]:
            raise ValueError(
                f"max_frame_ratio={limit:g} cannot be kept: frames of {window.spec!r} that are {span[0]:.4g} of a "
                f"window apart have frame bounds with a ratio of {regular_ratio(window, span[0]):.4g}"
                + ("" if hop is None else f"; {hop=} needs windows longer than {high:g} samples, or a larger ratio")
            )
        if hop is not None and most < span[1] * (1 - 1e-12):
            low = max(low, min(hop / most, high))
    return low, high


def _control_points(points: Any, window_mode: str) -> tuple[int, int] | str | None:
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


def _hop_bounds(
    hop_bounds: Any, hop: float | None, hop_mode: str, min_overlap: float | None, win_bounds: tuple[float, float]
) -> tuple[float, float] | None:
    if hop_bounds is None:
        return None
    if hop_mode == "fixed" and hop is not None:
        raise ValueError(f"{hop_bounds=} needs hop_mode='time' or 'constant', or a hop that is not given, got {hop=}")
    low, high = as_bounds("hop_bounds", hop_bounds, 0.0 if min_overlap is None else 1e-3)
    if hop is not None and not low <= hop <= high:
        raise ValueError(f"{hop=} must lie within {hop_bounds=}")
    if min_overlap is not None and low > (1 - min_overlap) * win_bounds[1]:
        raise ValueError(
            f"{hop_bounds=} leaves samples uncovered: with {min_overlap=} and windows of at most {win_bounds[1]:g} "
            f"samples, hops must not exceed {(1 - min_overlap) * win_bounds[1]:g}"
        )
    return low, high
