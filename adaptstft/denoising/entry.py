"""`denoise`: white noise removed from a recording by shrinking its transform, tuned by Stein's estimate of the risk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, cast, get_args, overload

import numpy as np

from adaptstft import windows
from adaptstft.common.grids import length_grid
from adaptstft.common.typing import AnyArray, FFTMode, Float64Array
from adaptstft.common.validation import as_bounds, as_flag, as_real, as_signal, as_workers, check_option, check_positive
from adaptstft.denoising.noise import check_noise
from adaptstft.denoising.shrinkage import Mode
from adaptstft.denoising.sure_tuning import (
    SHORTEST_HOP_RATIO,
    Average,
    Fit,
    Problem,
    average,
    fit_constant,
    fit_length,
    fit_varying,
    join_averages,
    join_fits,
)
from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT
from adaptstft.windows import Window

__all__ = ["DenoisingInfo", "denoise"]

DenoisingWindowMode = Literal["average", "constant", "time", "fixed"]
DenoisingHopMode = Literal["fixed", "constant"]

_SHORTEST, _LONGEST = 32, 16384
#: Fewest samples.
_FEWEST = 16


@dataclass(frozen=True, eq=False)
class DenoisingInfo:
    """How a signal was denoised.

    Attributes
    ----------
    noise_std : ndarray of float64, shape (...)
        Standard deviation of the noise of each channel, given or estimated.
    win_length : float or ndarray of float64
        Window length in samples: a number; one for each frame in mode ``"time"``; all
        lengths that were averaged, shape (lengths,), in mode ``"average"``.
    win_duration : float or ndarray of float64
        The same in seconds.
    hop : float or None
        Time between frames in samples; None in mode ``"average"`` unless it was given, where
        each length has a quarter of itself.
    threshold : ndarray of float64, shape (...) or (lengths, ...)
        Threshold of each channel, in mode ``"average"`` for each length.
    risk : ndarray of float64, shape (...)
        Estimated mean squared error of each channel, with thresholds and weights taken as given. It supposes that
        `noise_std` is right: where that is too large by a fraction, the estimate is too low by twice the fraction of
        the noise's variance, and may be negative.
    weights : ndarray of float64, shape (lengths, ..., times), or None
        Weight of each window length in the average, around `weight_times`.
    weight_times : ndarray of float64, shape (times,), or None
        Times of the weights in seconds.
    sft : AdaptiveShortTimeFFT or None
        The transform that was shrunk; None in mode ``"average"``.
    n_evaluations : int
        How often the signal was transformed, shrunk and rebuilt.

    Examples
    --------
    >>> import numpy as np
    >>> import adaptstft
    >>> x = np.random.default_rng(0).standard_normal(2000)
    >>> _, info = adaptstft.denoise(x, 1000.0, win_length=128, full_output=True)
    >>> info.win_duration
    0.128
    """

    noise_std: Float64Array
    win_length: float | Float64Array
    win_duration: float | Float64Array
    hop: float | None
    threshold: Float64Array
    risk: Float64Array
    weights: Float64Array | None
    weight_times: Float64Array | None
    sft: AdaptiveShortTimeFFT | None
    n_evaluations: int


@overload
def denoise(
    x: Any,
    fs: float,
    noise_std: Any = ...,
    *,
    mode: Mode = ...,
    window: Any = ...,
    window_mode: DenoisingWindowMode | None = ...,
    hop_mode: DenoisingHopMode = ...,
    win_length: float | None = ...,
    win_bounds: tuple[float, float] | None = ...,
    hop: float | None = ...,
    threshold: float | None = ...,
    axis: int = ...,
    workers: int | None = ...,
    full_output: Literal[False] = ...,
) -> AnyArray: ...
@overload
def denoise(
    x: Any,
    fs: float,
    noise_std: Any = ...,
    *,
    mode: Mode = ...,
    window: Any = ...,
    window_mode: DenoisingWindowMode | None = ...,
    hop_mode: DenoisingHopMode = ...,
    win_length: float | None = ...,
    win_bounds: tuple[float, float] | None = ...,
    hop: float | None = ...,
    threshold: float | None = ...,
    axis: int = ...,
    workers: int | None = ...,
    full_output: Literal[True],
) -> tuple[AnyArray, DenoisingInfo]: ...
def denoise(
    x: Any,
    fs: float,
    noise_std: Any = None,
    *,
    mode: Mode = "smooth",
    window: Any = "hann",
    window_mode: DenoisingWindowMode | None = None,
    hop_mode: DenoisingHopMode = "fixed",
    win_length: float | None = None,
    win_bounds: tuple[float, float] | None = None,
    hop: float | None = None,
    threshold: float | None = None,
    axis: int = -1,
    workers: int | None = None,
    full_output: bool = False,
) -> AnyArray | tuple[AnyArray, DenoisingInfo]:
    r"""Remove white noise from a signal.

    The short-time Fourier transform is shrunk, bin by bin, and inverted exactly. Nothing has to be
    chosen: the level of the noise is estimated, and thresholds and window lengths are
    those with the least estimate of the error, which Stein [1]_ showed how to have without
    knowing the clean signal.

    Parameters
    ----------
    x : array_like
        Signal, real or complex. All dimensions but `axis` are channels.
    fs : float
        Sampling frequency in Hz.
    noise_std : float or array_like, optional
        Standard deviation of the noise, which is taken to be white: of equal strength at all
        times and frequencies. One number, or one for each channel (of the shape of `x` without
        `axis`); of complex noise the root of the mean of ``|noise|**2``. None
        (default) estimates it, see Notes.
    mode : {"smooth", "wiener", "soft", "block"}, optional
        Gain of a bin of energy ``|S|**2`` where noise alone has ``var`` on average, with
        ``v = threshold * var / |S|**2``: ``(1 - v**2)**2`` below the threshold ``v = 1``, the empirical
        Wiener gain ``1 - v`` or the soft threshold ``1 - sqrt(v)`` (corners rounded,
        see Notes); ``"block"`` is as ``"smooth"``, with the mean energy of three by three bins.
    window : str, tuple, callable or Window, optional
        Window family, see `adaptstft.windows.resolve`.
    window_mode : {"average", "constant", "time", "fixed"}, optional
        Average the signals that many window lengths give, by their local risk; tune one window
        length; tune lengths that vary in time; or keep `win_length`. By default ``"fixed"`` if there is a
        `win_length`, otherwise ``"average"``, which is best nearly always.
    hop_mode : {"fixed", "constant"}, optional
        Whether the hop is tuned along with the window length, between an eighth and a half
        of it; in mode ``"constant"`` only.
    win_length : float, optional
        Window length in samples, for mode ``"fixed"``.
    win_bounds : (float, float), optional
        Range of window lengths in samples; 32 to ``min(n // 2, 16384)`` by default.
    hop : float, optional
        Time between frames in samples, at most half the shortest window; a quarter of the
        window length by default, where lengths vary in time half the shortest one.
    threshold : float, optional
        Threshold; tuned by default between 0.05 and 40, for each channel and, in an average, each window length.
    axis : int, optional
        Axis of time.
    workers : int, optional
        Number of threads; None uses all cores.
    full_output : bool, optional
        Whether to return a `DenoisingInfo` as well.

    Returns
    -------
    y : ndarray
        The denoised signal, of the shape of `x`; float32 or complex64 for such signals.
    info : DenoisingInfo
        Noise level, lengths, thresholds, weights and estimated error, if `full_output` is true.

    Raises
    ------
    ValueError, TypeError
        For arguments out of range, before any work; the message names the value and the range.

    Warns
    -----
    UserWarning
        If the level is estimated and the noise does not look white, see Notes.

    Notes
    -----
    *The noise* must be white. Of coloured noise the loud part of the spectrum is taken for
    signal and stays: whiten it first. The level is found from the quietest tenth of the tiles
    of a spectrogram, corrected for having chosen them; where less than a tenth of
    the time-frequency plane is free of signal, it comes out too high. Where the noise is weaker in some
    band, as it is beyond the old Nyquist frequency of a recording that was resampled to a higher
    rate, or beyond what a codec keeps, the level is that of this band and far too low for the others: nearly nothing is
    removed. A warning says so if two of seven bands of frequencies hold what looks like noise of more than
    twice the level; it takes some 300 samples to tell, and some that are free of signal. The background of a
    recording counts as noise.

    *Channels* have nothing in common in modes ``"average"`` and ``"fixed"``, which treat them one by one. In modes
    ``"constant"`` and ``"time"`` they share the window lengths and the hop, those with the least sum of risks, each in
    variances of its channel's noise; every channel has a threshold of its own.

    *Tuning.* The estimated risk takes account of everything: frames cut by the ends of the signal, bins next to
    frequency 0 and the Nyquist frequency, and the overlap of neighbours in blocks. It is
    minimised by L-BFGS-B with exact derivatives in the threshold, the window
    lengths and the hop. These presuppose gains without corners: at the corner of
    a textbook soft threshold or Wiener gain the estimate jumps, so these are rounded by a
    parabola. With ``mode="block"`` thresholds are tuned so; of the window lengths, the best of a grid is taken.

    *Averages.* In mode ``"average"``, window lengths are a factor of the root of 2 apart, each with
    its own threshold; at every time its weight is the exponential of minus an eighth of its
    estimated risk around that time, in variances of the noise, summed under a raised cosine of 1024
    samples. Averages of linear estimates come close to the best of them [2]_; of these, which are not linear, that
    is an observation. They often surpass it, since the errors of different window lengths average out.

    *Lengths in time* are linear in their logarithm between knots 2048 samples apart, or four of the best constant
    length if that is more, within a factor of four of it. The hop is hardly determined by the
    risk: many positions of the frames do equally well.

    *Cost.* The signal is transformed, shrunk and rebuilt some 50 to 100 times in mode ``"average"``;
    mode ``"time"`` takes far longer. Memory is some 40 times the signal's, with ``mode="block"`` 100 times.

    References
    ----------
    .. [1] C. M. Stein, "Estimation of the mean of a multivariate normal distribution",
       Ann. Statist. 9(6), 1981, :doi:`10.1214/aos/1176345632`.
    .. [2] A. S. Dalalyan, J. Salmon, "Sharp oracle inequalities for aggregation of affine
       estimators", Ann. Statist. 40(4), 2012, :doi:`10.1214/12-AOS1038`.

    Examples
    --------
    >>> import numpy as np
    >>> import adaptstft
    >>> rng = np.random.default_rng(0)
    >>> t = np.arange(8000) / 8000
    >>> clean = np.sin(2 * np.pi * (200 * t + 400 * t**2))
    >>> noisy = clean + 0.5 * rng.standard_normal(8000)
    >>> y = adaptstft.denoise(noisy, 8000)
    >>> bool(np.mean((y - clean) ** 2) < 0.03 * np.mean((noisy - clean) ** 2))
    True
    """
    full_output = as_flag("full_output", full_output)
    request = _check(
        x,
        fs,
        noise_std,
        mode=mode,
        window=window,
        window_mode=window_mode,
        hop_mode=hop_mode,
        win_length=win_length,
        win_bounds=win_bounds,
        hop=hop,
        threshold=threshold,
        axis=axis,
        workers=workers,
    )
    y, info = _denoise(request)
    y = np.moveaxis(y, -1, request.axis)
    return (y, info) if full_output else y


# ---------------------------------------------------------------------------------------
# Arguments


@dataclass(frozen=True)
class _Request:
    """Checked arguments of `denoise`; `levels` is the noise of each channel."""

    x: AnyArray
    axis: int
    fs: float
    levels: Float64Array
    mode: Mode
    window: Window
    window_mode: DenoisingWindowMode
    tune_hop: bool
    win_bounds: tuple[float, float]
    hop: float | None
    threshold: float | None
    workers: int | None


def _check(
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
) -> _Request:
    fs = check_positive("fs", fs, "Hz")
    check_option("mode", mode, get_args(Mode))
    check_option("window_mode", window_mode, (*get_args(DenoisingWindowMode), None))
    check_option("hop_mode", hop_mode, get_args(DenoisingHopMode))
    chosen: DenoisingWindowMode = window_mode or ("average" if win_length is None else "fixed")
    family = windows.resolve(window)
    if chosen in ("constant", "time"):
        family.check_tunable()
    if mode == "block" and (chosen == "time" or hop_mode == "constant"):
        raise ValueError(
            f"{mode=} takes one window length and a hop that is not tuned, got window_mode={chosen!r}, {hop_mode=}"
        )
    if hop_mode == "constant" and (chosen != "constant" or hop is not None):
        raise ValueError(
            f"{hop_mode=} needs window_mode='constant' and no hop of its own, got window_mode={chosen!r}, {hop=}"
        )
    threshold = None if threshold is None else check_positive("threshold", threshold)
    workers = as_workers(workers)
    signal, time_axis = as_signal(x, axis)
    n = signal.shape[-1]
    if n < _FEWEST:
        raise ValueError(f"x has {n} samples along {axis=}: at least {_FEWEST} are needed")
    hop = None if hop is None else check_positive("hop", hop, "samples")
    if mode == "block" and hop is not None and hop != round(hop):
        raise ValueError(f"{hop=} must be a whole number of samples for {mode=}")
    bounds = _length_bounds(n, chosen, win_length, win_bounds, hop)
    return _Request(
        signal,
        time_axis,
        fs,
        check_noise(signal, noise_std, stacklevel=4),
        mode,
        family,
        chosen,
        hop_mode == "constant",
        bounds,
        hop,
        threshold,
        workers,
    )


def _length_bounds(
    n: int, window_mode: str, win_length: Any, win_bounds: Any, hop: float | None
) -> tuple[float, float]:
    """Range of window lengths; a single one if it is fixed."""
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


# ---------------------------------------------------------------------------------------
# Work


def _denoise(r: _Request) -> tuple[AnyArray, DenoisingInfo]:
    lead, n = r.x.shape[:-1], r.x.shape[-1]
    channels = r.x.reshape(-1, n)
    noisy = r.levels > 0
    y = np.array(channels, order="C")
    if not noisy.any():
        noisy = np.ones_like(noisy)  # all is silent: shrunk to zero with any level
    levels = np.where(r.levels > 0, r.levels, 1.0)[noisy]
    scaled = channels[noisy].astype(np.result_type(channels.dtype, np.float64)) / levels[:, None]
    problem = Problem(np.ascontiguousarray(scaled), r.window, r.mode, r.threshold, r.workers)
    found = _solve(problem, r)
    x, risk = (found.x, found.risk) if isinstance(found, Average) else (found.shrunk.x, found.shrunk.total)
    y[noisy] = x * levels[:, None]

    def spread(values: Float64Array, axis: int, silent: float) -> Float64Array:
        """Put values of the channels with noise in the shape of all channels."""
        full = np.full((*values.shape[:axis], noisy.size, *values.shape[axis + 1 :]), silent)
        full[(slice(None),) * axis + (noisy,)] = values
        return full.reshape((*values.shape[:axis], *lead, *values.shape[axis + 1 :]))

    per_sample = spread(risk * levels**2 / n, 0, 0.0)
    common = {"noise_std": r.levels.reshape(lead), "risk": per_sample, "n_evaluations": problem.evaluations}
    if isinstance(found, Average):
        info = DenoisingInfo(
            win_length=found.lengths,
            win_duration=found.lengths / r.fs,
            hop=r.hop,
            threshold=spread(found.threshold, 1, 0.0),
            weights=spread(found.weights, 1, 1 / found.lengths.size),
            weight_times=found.positions / r.fs,
            sft=None,
            **cast(dict[str, Any], common),
        )
    else:
        length = found.win_length if r.window_mode == "time" else float(found.win_length[0])
        info = DenoisingInfo(
            win_length=length,
            win_duration=length / r.fs,
            hop=found.hop,
            threshold=spread(found.threshold, 0, 0.0),
            weights=None,
            weight_times=None,
            sft=_transform(r, found),
            **cast(dict[str, Any], common),
        )
    return y.reshape((*lead, n)), info


def _solve(problem: Problem, r: _Request) -> Average | Fit:
    lengths = length_grid(*r.win_bounds)
    if r.window_mode == "time":
        return fit_varying(problem, lengths, r.hop)
    if r.window_mode == "constant":
        return fit_constant(problem, lengths, r.hop, tune_hop=r.tune_hop)
    # with nothing in common, channels are solved one by one
    parts = list(problem.channels())
    if r.window_mode == "average":
        averages = [average(part, lengths, r.hop) for part in parts]
        problem.evaluations = sum(part.evaluations for part in parts)
        return join_averages(averages)
    fits = [fit_length(part, r.win_bounds[0], r.hop) for part in parts]
    problem.evaluations = sum(part.evaluations for part in parts)
    return join_fits(fits)


def _transform(r: _Request, fit: Fit) -> AdaptiveShortTimeFFT:
    """Make the transform that was shrunk."""
    fft_mode: FFTMode = "twosided" if np.iscomplexobj(r.x) else "onesided"
    if r.window_mode == "time":
        return AdaptiveShortTimeFFT(
            r.window,
            fit.win_length,
            None,
            r.fs,
            positions=fit.positions,
            mfft=fit.mfft,
            fft_mode=fft_mode,
            workers=r.workers,
        )
    length = float(fit.win_length[0])
    return AdaptiveShortTimeFFT(r.window, length, fit.hop, r.fs, mfft=fit.mfft, fft_mode=fft_mode, workers=r.workers)
