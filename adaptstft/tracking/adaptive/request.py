"""The arguments of `adaptstft.track`: their check and their defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from adaptstft import windows
from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.common.validation import (
    as_bounds,
    as_flag_or_none,
    as_index,
    as_real,
    as_signal,
    as_workers,
    check_positive,
)
from adaptstft.tracking.ridge_grid import as_orders
from adaptstft.windows import Window

#: Range of window lengths in samples by default.
_SHORTEST, _LONGEST = 16, 16384
#: Least number of samples of a signal.
_FEWEST = 64


@dataclass(frozen=True)
class TrackRequest:
    """Checked arguments of `adaptstft.track`.

    Attributes
    ----------
    x : ndarray, shape (..., n)
        The signal, with time on the last axis.
    fs : float
        Sampling frequency in Hz.
    n_ridges : int
        Number of ridges.
    orders : ndarray, shape (orders,)
        Multiples of the frequency.
    has_orders : bool
        Whether the user gave orders.
    f_bounds : (float, float) or None
        Range of the frequency in Hz.
    max_rate : float or None
        Largest change of the frequency in Hz/s.
    window : Window
        The window function.
    win_bounds : (float, float)
        Range of window lengths in samples.
    hop : float or None
        Hop in samples.
    confidence : float
        Probability of the intervals.
    noise_std : float or None
        Standard deviation of the noise.
    workers : int or None
        Number of threads.
    progress : bool or None
        Whether a bar is shown.
    """

    x: AnyArray
    fs: float
    n_ridges: int
    orders: Float64Array
    has_orders: bool
    f_bounds: tuple[float, float] | None
    max_rate: float | None
    window: Window
    win_bounds: tuple[float, float]
    hop: float | None
    confidence: float
    noise_std: float | None
    workers: int | None
    progress: bool | None


def check_request(
    x: Any,
    fs: Any,
    *,
    n_ridges: Any,
    orders: Any,
    f_bounds: Any,
    max_rate: Any,
    window: Any,
    win_bounds: Any,
    hop: Any,
    confidence: Any,
    noise_std: Any,
    axis: Any,
    workers: Any,
    progress: Any,
) -> TrackRequest:
    """Check the arguments of `adaptstft.track`."""
    fs = check_positive("fs", fs, "Hz")
    n_ridges = as_index("n_ridges", n_ridges, 1)
    multiples = as_orders(orders)
    if f_bounds is not None:
        f_bounds = as_bounds("f_bounds", f_bounds, -float("inf"), "Hz")
    max_rate = None if max_rate is None else check_positive("max_rate", max_rate, "Hz/s")
    family = windows.resolve(window)
    family.check_tunable()
    if not 0 < as_real("confidence", confidence) < 1:
        raise ValueError(f"{confidence=} must be greater than 0 and less than 1")
    noise_std = None if noise_std is None else check_positive("noise_std", noise_std)
    workers, progress = as_workers(workers), as_flag_or_none("progress", progress)
    signal, _ = as_signal(x, axis)
    n = signal.shape[-1]
    if n < _FEWEST:
        raise ValueError(f"x has {n} samples along {axis=}: at least {_FEWEST} are needed")
    hop = None if hop is None else check_positive("hop", hop, "samples")
    if hop is not None and not 1 <= hop <= n:
        raise ValueError(f"{hop=} must lie between 1 and {n} samples, the length of the signal")
    return TrackRequest(
        signal,
        fs,
        n_ridges,
        multiples,
        orders is not None,
        f_bounds,
        max_rate,
        family,
        _length_bounds(win_bounds, n),
        hop,
        float(confidence),
        noise_std,
        workers,
        progress,
    )


def _length_bounds(win_bounds: Any, n: int) -> tuple[float, float]:
    """Check or choose the range of window lengths."""
    if win_bounds is None:
        return float(_SHORTEST), float(min(n // 2, _LONGEST))
    low, high = as_bounds("win_bounds", win_bounds, 4.0)
    if high > n:
        raise ValueError(f"{win_bounds=}: windows may have at most {n} samples, the length of the signal")
    return low, high
