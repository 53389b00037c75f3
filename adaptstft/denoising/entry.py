"""`denoise`: removes white noise by shrinking a transform that is tuned by Stein's estimate of the risk."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, overload

import numpy as np

from adaptstft.common.grids import length_grid
from adaptstft.common.precision import over_peak
from adaptstft.common.text import short_repr
from adaptstft.common.typing import AnyArray, BoolArray, FFTMode, Float64Array
from adaptstft.common.validation import as_flag
from adaptstft.denoising.averaging import WeightedAverage, average_lengths, join_averages
from adaptstft.denoising.length_tuning import fit_constant, fit_length, fit_varying
from adaptstft.denoising.problem import ShrinkageFit, ShrinkageProblem, join_fits
from adaptstft.denoising.request import DenoisingHopMode, DenoisingRequest, DenoisingWindowMode, check_request
from adaptstft.denoising.shrinkage import Mode
from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT

__all__ = ["DenoisingInfo", "denoise"]


@dataclass(frozen=True, eq=False)
class DenoisingInfo:
    """Noise level, window lengths, thresholds, weights and estimated error of a denoised signal.

    Attributes
    ----------
    noise_std : ndarray of float64, shape (...)
        Standard deviation of the noise of each channel, given or estimated.
    win_length : float or ndarray of float64
        Window length in samples: one number; in mode ``"time"`` one for each frame; in
        mode ``"average"`` all lengths that are averaged, shape (lengths,).
    win_duration : float or ndarray of float64
        Window length in seconds.
    hop : float or None
        Time between frames in samples. None in mode ``"average"`` if it is not given:
        the hop is then a quarter of each length.
    threshold : ndarray of float64, shape (...) or (lengths, ...)
        Threshold of each channel, in mode ``"average"`` also of each length.
    risk : ndarray of float64, shape (...)
        Estimated mean squared error of each channel; thresholds and weights are treated as constants. The estimate
        is as good as `noise_std`: if that is 5 % too large, the estimate is too low by 10 % of the variance of the
        noise, and may be negative.
    weights : ndarray of float64, shape (lengths, ..., times), or None
        Weight of each window length in the average at `weight_times`.
    weight_times : ndarray of float64, shape (times,), or None
        Times of the weights in seconds.
    sft : AdaptiveShortTimeFFT or None
        The transform that was shrunk; None in mode ``"average"``.
    n_evaluations : int
        Number of times that the signal was transformed, shrunk and inverted.

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

    __repr__ = short_repr


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

    The short-time Fourier transform is shrunk, bin by bin, and inverted exactly. All
    settings have defaults: the noise level is estimated, and thresholds and window
    lengths are those with the least estimated error. Stein's estimate of the error [1]_
    does not need the clean signal.

    Parameters
    ----------
    x : array_like
        Signal, real or complex. All dimensions but `axis` are channels.
    fs : float
        Sampling frequency in Hz.
    noise_std : float or array_like, optional
        Standard deviation of the noise. The noise must be white, with the same power at all
        times and frequencies. One number, or one for each channel (of the shape of `x` without
        `axis`). For complex noise the root of the mean of ``|noise|**2``. By default it is
        estimated, see Notes.
    mode : {"smooth", "wiener", "soft", "block"}, optional
        Gain of a bin of energy ``|S|**2``, where the mean energy of noise alone is ``var``, with
        ``v = threshold * var / |S|**2``. ``"smooth"``: ``(1 - v**2)**2`` below the threshold
        ``v = 1``; ``"wiener"``: the empirical Wiener gain ``1 - v``; ``"soft"``: the soft threshold
        ``1 - sqrt(v)`` (the last two with rounded corners, see Notes); ``"block"``: as
        ``"smooth"``, with the mean energy of three by three bins.
    window : str, tuple, callable or Window, optional
        Window family, see `adaptstft.windows.resolve`.
    window_mode : {"average", "constant", "time", "fixed"}, optional
        ``"average"``: average the denoised signals of many window lengths, weighted by their local
        risk. ``"constant"``: tune one window length. ``"time"``: tune lengths that vary in time.
        ``"fixed"``: use `win_length`, the default if it is given. Otherwise the default is
        ``"average"``, which is nearly always the best mode.
    hop_mode : {"fixed", "constant"}, optional
        ``"constant"`` tunes the hop together with the window length, between an eighth and a half
        of it; only with ``window_mode="constant"``.
    win_length : float, optional
        Window length in samples, for mode ``"fixed"``.
    win_bounds : (float, float), optional
        Range of window lengths in samples; 32 to ``min(n // 2, 16384)`` by default.
    hop : float, optional
        Time between frames in samples, at most half the shortest window. By default a quarter of
        the window length; if lengths vary in time, half the shortest one.
    threshold : float, optional
        Threshold. By default it is tuned between 0.05 and 40, for each channel and, in an average,
        for each window length.
    axis : int, optional
        Time axis of `x`.
    workers : int, optional
        Number of threads; None uses all cores.
    full_output : bool, optional
        Whether to return a `DenoisingInfo` too.

    Returns
    -------
    y : ndarray
        The denoised signal in the shape of `x`. It is float32 or complex64 for such signals.
    info : DenoisingInfo
        Noise level, lengths, thresholds, weights and estimated error, if `full_output` is true.

    Raises
    ------
    ValueError, TypeError
        For arguments out of range, before any computation. The message names the value and the range.

    Warns
    -----
    UserWarning
        If the noise level is estimated and the noise does not look white, see Notes.

    Notes
    -----
    *The noise* must be white. The loud part of the spectrum of coloured noise is treated as signal and not removed:
    whiten such a signal first. The level is estimated from the quietest tenth of the tiles of a spectrogram, with a
    correction for this selection. If the signal fills more than nine tenths of the time-frequency plane, the estimate
    is too high. If the noise is weaker in some band of frequencies, the estimate is the level of that band, and nearly
    nothing is removed elsewhere. This happens above the old Nyquist frequency of a resampled recording, and above the
    cutoff of a codec. A warning is issued if two of seven bands contain noise of more than twice the estimated level.
    The check needs some 300 samples, some of them without signal. The background of a recording counts as noise.

    *Channels* are denoised one by one in modes ``"average"`` and ``"fixed"``. In modes ``"constant"`` and ``"time"``
    they share the window lengths and the hop with the least sum of risks, each in variances of the noise of its
    channel. Every channel has its own threshold.

    *Tuning.* The estimated risk is exact for frames at the ends of the signal, for bins next to frequency 0 and the
    Nyquist frequency, and for overlapping blocks. L-BFGS-B minimises it with exact derivatives in the threshold, the
    window lengths and the hop. This requires gains without corners, because at the corner of a textbook soft threshold
    or Wiener gain the estimate jumps. So corners are rounded by a parabola. With ``mode="block"`` only thresholds
    are tuned in this way; the window length is the best one of a grid.

    *Averages.* In mode ``"average"``, neighbouring window lengths differ by a factor of the root of 2, and each has
    its own threshold. Its weight at a time is the exponential of minus an eighth of its estimated risk around that
    time, in variances of the noise, summed under a raised cosine of 1024 samples. Averages of linear estimates are
    proven to come close to the best of them [2]_. These estimates are not linear, but in experiments the same holds.
    The average is often better than the best estimate, because the errors of different window lengths average out.

    *Lengths in time* have logarithms that are linear between knots. The knots are 2048 samples apart, or four times the
    best constant length if that is more. The lengths lie within a factor of four of the best constant length. The risk
    hardly depends on the positions of the frames, so the hop is not tuned.

    *Cost.* The signal is transformed, shrunk and inverted some 50 to 100 times in mode ``"average"``, and many more
    times in mode ``"time"``. The memory needed is some 40 times that of the signal, with ``mode="block"`` 100 times.

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
    request = check_request(
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


def _denoise(request: DenoisingRequest) -> tuple[AnyArray, DenoisingInfo]:
    """Denoise the channels that are not silent; return all channels with time on the last axis."""
    shape, n = request.x.shape, request.x.shape[-1]
    channels = request.x.reshape(-1, n)
    noisy = request.noise_std > 0
    y = np.array(channels, order="C")
    if not noisy.any():
        noisy = np.ones_like(noisy)  # all channels are silent, and zero for any noise level
    levels = np.where(request.noise_std > 0, request.noise_std, 1.0)[noisy]
    scaled = over_peak(channels[noisy].astype(np.result_type(channels.dtype, np.float64)), levels[:, None])
    problem = ShrinkageProblem(
        np.ascontiguousarray(scaled), request.window, request.mode, request.threshold, request.workers
    )
    solution = _solve(problem, request)
    x = solution.x if isinstance(solution, WeightedAverage) else solution.shrunk.x
    y[noisy] = x * levels[:, None]
    return y.reshape(shape), _info(request, solution, noisy, levels, problem.evaluations)


def _solve(problem: ShrinkageProblem, request: DenoisingRequest) -> WeightedAverage | ShrinkageFit:
    """Denoise a signal with noise of variance 1."""
    lengths, hop = length_grid(*request.win_bounds), request.hop
    if request.window_mode == "time":
        return fit_varying(problem, lengths, hop)
    if request.window_mode == "constant":
        return fit_constant(problem, lengths, hop, tune_hop=request.tune_hop)
    parts = list(problem.channels())
    solution: WeightedAverage | ShrinkageFit
    if request.window_mode == "average":
        solution = join_averages([average_lengths(part, lengths, hop) for part in parts])
    else:
        solution = join_fits([fit_length(part, request.win_bounds[0], hop) for part in parts])
    problem.evaluations = sum(part.evaluations for part in parts)
    return solution


def _info(
    request: DenoisingRequest,
    solution: WeightedAverage | ShrinkageFit,
    noisy: BoolArray,
    levels: Float64Array,
    evaluations: int,
) -> DenoisingInfo:
    """Describe a solution for the `noisy` channels, with noise of the given `levels`, as one for all channels."""
    lead, n = request.x.shape[:-1], request.x.shape[-1]

    def all_channels(values: Float64Array, axis: int, silent: float) -> Float64Array:
        """Insert the value of silent channels on `axis`, and give it the shape of the channels."""
        full = np.full((*values.shape[:axis], noisy.size, *values.shape[axis + 1 :]), silent)
        full[(slice(None),) * axis + (noisy,)] = values
        return full.reshape((*values.shape[:axis], *lead, *values.shape[axis + 1 :]))

    win_length: float | Float64Array
    weights, weight_times, sft = None, None, None
    if isinstance(solution, WeightedAverage):
        risk, win_length, hop = solution.risk, solution.lengths, request.hop
        threshold = all_channels(solution.threshold, 1, 0.0)
        weights = all_channels(solution.weights, 1, 1 / solution.lengths.size)
        weight_times = solution.positions / request.fs
    else:
        risk, hop = solution.shrunk.total, solution.hop
        win_length = solution.win_length if request.window_mode == "time" else float(solution.win_length[0])
        threshold = all_channels(solution.threshold, 0, 0.0)
        sft = _transform(request, solution)
    return DenoisingInfo(
        noise_std=request.noise_std.reshape(lead),
        win_length=win_length,
        win_duration=win_length / request.fs,
        hop=hop,
        threshold=threshold,
        risk=all_channels(risk * levels**2 / n, 0, 0.0),
        weights=weights,
        weight_times=weight_times,
        sft=sft,
        n_evaluations=evaluations,
    )


def _transform(request: DenoisingRequest, fit: ShrinkageFit) -> AdaptiveShortTimeFFT:
    """Return the transform that was shrunk."""
    fft_mode: FFTMode = "twosided" if np.iscomplexobj(request.x) else "onesided"
    common: dict[str, Any] = {"mfft": fit.mfft, "fft_mode": fft_mode, "workers": request.workers}
    if request.window_mode == "time":
        return AdaptiveShortTimeFFT(request.window, fit.win_length, None, request.fs, positions=fit.positions, **common)
    return AdaptiveShortTimeFFT(request.window, float(fit.win_length[0]), fit.hop, request.fs, **common)
