"""The arguments of `adaptstft.denoise`: their check and their defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, get_args

from adaptstft import windows
from adaptstft.common.text import in_samples
from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.common.validation import (
    as_bounds,
    as_real,
    as_signal,
    as_workers,
    check_hop,
    check_option,
    check_positive,
)
from adaptstft.denoising.noise import check_noise
from adaptstft.denoising.problem import SHORTEST_HOP_RATIO
from adaptstft.denoising.shrinkage import Mode
from adaptstft.windows import Window

DenoisingWindowMode = Literal["average", "constant", "time", "fixed"]
DenoisingHopMode = Literal["fixed", "constant"]

#: Range of window lengths in samples by default.
_SHORTEST, _LONGEST = 32, 16384
#: Least number of samples of a signal.
_FEWEST = 16


@dataclass(frozen=True)
class DenoisingRequest:
    """Checked arguments of `adaptstft.denoise`.

    Attributes
    ----------
    x : ndarray, shape (..., n)
        The signal, with time on the last axis.
    axis : int
        Time axis of the signal of the user.
    fs : float
        Sampling frequency in Hz.
    noise_std : ndarray, shape (channels,)
        Standard deviation of the noise of each channel, given or estimated; 0 in silent channels.
    mode : str
        Kind of shrinkage.
    window : Window
        The window function.
    window_mode : str
        Which window lengths are used.
    tune_hop : bool
        Whether the hop is tuned.
    win_bounds : (float, float)
        Range of window lengths in samples; equal if the length is given.
    hop, threshold : float or None
        Hop in samples and threshold, if they are given.
    workers : int or None
        Number of threads.
    """

    x: AnyArray
    axis: int
    fs: float
    noise_std: Float64Array
    mode: Mode
    window: Window
    window_mode: DenoisingWindowMode
    tune_hop: bool
    win_bounds: tuple[float, float]
    hop: float | None
    threshold: float | None
    workers: int | None


def check_request(
    x: Any,
    fs: Any,
    noise_std: Any,
    *,
    mode: Any,
    window: Any,
    window_mode: Any,
    hop_mode: Any,
    win_length: Any,
    win_bounds: Any,
    hop: Any,
    threshold: Any,
    axis: Any,
    workers: Any,
) -> DenoisingRequest:
    """Check the arguments of `adaptstft.denoise`, and estimate the noise level if it is not given."""
    fs = check_positive("fs", fs, "Hz")
    check_option("mode", mode, get_args(Mode))
    check_option("window_mode", window_mode, (*get_args(DenoisingWindowMode), None))
    check_option("hop_mode", hop_mode, get_args(DenoisingHopMode))
    lengths_mode: DenoisingWindowMode = window_mode or ("average" if win_length is None else "fixed")
    family = windows.resolve(window)
    if lengths_mode in ("constant", "time"):
        family.check_tunable()
    if mode == "block" and (lengths_mode == "time" or hop_mode == "constant"):
        raise ValueError(
            f"{mode=} takes one window length for all frames and hop_mode='fixed', got "
            f"window_mode={lengths_mode!r}, {hop_mode=}"
        )
    if hop_mode == "constant" and (lengths_mode != "constant" or hop is not None):
        raise ValueError(
            f"{hop_mode=} needs window_mode='constant' and hop=None, got window_mode={lengths_mode!r}, {hop=}"
        )
    threshold = None if threshold is None else check_positive("threshold", threshold)
    workers = as_workers(workers)
    signal, time_axis = as_signal(x, axis)
    n = signal.shape[-1]
    if n < _FEWEST:
        raise ValueError(f"x has {in_samples(n)} along {axis=}: at least {_FEWEST} are needed")
    hop = None if hop is None else check_hop(hop)
    if mode == "block" and hop is not None and hop != round(hop):
        raise ValueError(f"{hop=} must be a whole number of samples for {mode=}")
    bounds = _length_bounds(n, lengths_mode, win_length, win_bounds, hop)
    return DenoisingRequest(
        signal,
        time_axis,
        fs,
        check_noise(signal, noise_std, stacklevel=4),
        mode,
        family,
        lengths_mode,
        hop_mode == "constant",
        bounds,
        hop,
        threshold,
        workers,
    )


def _length_bounds(
    n: int, window_mode: str, win_length: Any, win_bounds: Any, hop: float | None
) -> tuple[float, float]:
    """Check or choose the range of window lengths; both ends are `win_length` if it is given."""
    if (window_mode == "fixed") != (win_length is not None):
        raise ValueError(f"{win_length=} belongs to window_mode='fixed', got {window_mode=}")
    if win_length is not None:
        if win_bounds is not None:
            raise ValueError(f"{win_bounds=} and {win_length=} exclude each other")
        low = high = as_real("win_length", win_length)
        name, value = "win_length", win_length
    elif win_bounds is not None:
        low, high = as_bounds("win_bounds", win_bounds, 2.0)
        name, value = "win_bounds", win_bounds
    else:
        high = float(max(min(n // 2, _LONGEST), 2))
        low = min(float(_SHORTEST), high)
        if hop is not None:
            low = max(low, min(hop / SHORTEST_HOP_RATIO, high))
        name, value = "win_bounds", (low, high)
    if not 2 <= low <= high <= n:
        raise ValueError(f"{name}={value}: windows must have from 2 to {n} samples, the length of the signal")
    if hop is not None and hop > SHORTEST_HOP_RATIO * low:
        raise ValueError(
            f"{hop=} must be at most half the shortest window, that is {SHORTEST_HOP_RATIO * low:g} samples"
        )
    return low, high
