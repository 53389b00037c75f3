"""Curves of instantaneous frequency on transforms with any windows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from adaptstft.common.best_path import NearMoves, best_path
from adaptstft.common.typing import AnyArray, BoolArray, Float64Array, IntArray
from adaptstft.common.validation import as_bounds, as_index, as_inexact, check_finite, check_positive
from adaptstft.engine.operator import analyse
from adaptstft.tracking.moments import Analysed, analysed, on_host
from adaptstft.tracking.peaks import Peaks, find_peaks
from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT
from adaptstft.windows import Window

__all__ = ["Ridges", "ridges"]

#: A window's spectrum below this part of its peak no longer counts as its main lobe.
_LOBE_END = 0.03
#: By default ridges may change this many times faster than the linear chirp that a window suits best.
_RATE_MARGIN = 5.0
#: Noise is taken to be the same for so many window lengths, half before and half after a frame.
_NOISE_SPAN = 8.0
#: Power relative to the largest one that stands for rounding: no noise is less.
_ROUNDING = 1e-26


@dataclass(frozen=True, eq=False)
class Ridges:
    """What `ridges` returns.

    Attributes
    ----------
    t : ndarray of float64, shape (p_num,)
        Times of the slices in seconds.
    frequency : ndarray of float64, shape (..., n_ridges, p_num)
        Instantaneous frequencies in Hz, the ridge with the highest score first.
    uncertainty : ndarray of float64, shape of `frequency`
        Standard deviations of the frequencies in Hz that noise causes; infinite
        where there is nothing in the window.
    amplitude : ndarray of float64, shape of `frequency`, or (..., n_ridges, orders, p_num)
        Amplitudes of the components in the units of the signal, of each order if `orders` were given.

    Examples
    --------
    >>> import numpy as np
    >>> import adaptstft
    >>> sft = adaptstft.AdaptiveShortTimeFFT("hann", 100, 10, fs=1000.0)
    >>> r = adaptstft.ridges(sft, 3 * np.cos(2 * np.pi * 0.12 * np.arange(1000)))
    >>> p = abs(r.t - 0.5).argmin()
    >>> print(r.frequency[0, p].round(2), r.amplitude[0, p].round(2))
    120.0 3.0
    """

    t: Float64Array
    frequency: Float64Array
    uncertainty: Float64Array
    amplitude: Float64Array


def ridges(
    sft: AdaptiveShortTimeFFT,
    x: Any,
    *,
    n_ridges: int = 1,
    max_rate: float | None = None,
    f_bounds: tuple[float, float] | None = None,
    orders: Any = None,
    noise_std: float | None = None,
    axis: int = -1,
) -> Ridges:
    r"""Follow the instantaneous frequencies of the strongest components.

    A ridge is the path through the bins that has the largest sum, over the slices, of

    .. math:: \log(1 + P / N) - |\Delta f| / (\Delta t \cdot \mathrm{max\_rate})

    where ``P / N`` is the ratio of a bin's power to that of the noise; dynamic programming finds it. The
    frequency is then that of the peak of the slice's continuous spectrum, which is the most likely one in white noise.
    Further ridges are found in what is left when the peaks of the ones before are taken out.

    Parameters
    ----------
    sft : AdaptiveShortTimeFFT
        Transform, such as ``res.sft`` of `optimize`, with any window lengths and
        positions.
    x : array_like
        Signal as for ``sft.stft``. Each of its channels has ridges of its own.
        A mean is a component at 0 Hz: subtract it, or use `f_bounds`.
    n_ridges : int, optional
        Number of ridges.
    max_rate : float, optional
        Fastest change of frequency in Hz/s, to within a bin a slice; a slice with
        such a change needs e times the power of one without to be preferred. By
        default 5 times the rate of the linear chirp that suits the windows of a
        slice best.
    f_bounds : (float, float), optional
        Lowest and highest bin of a ridge's path in Hz; the peak between bins may lie
        outside by up to one resolution cell, the inverse of the window's duration.
    orders : array_like of float, shape (orders,), optional
        Multiples of the frequency at which there are components, such as
        ``(1, 2, 3)`` for harmonics. A ridge follows them all together, and
        `f_bounds` and `max_rate` concern the frequency of which they are multiples.
    noise_std : float, optional
        Standard deviation of white noise in `x`, for complex signals of real and imaginary part together.
        By default it is found from the bins between the ridges.
    axis : int, optional
        Axis of time in `x`; in the result time is last.

    Returns
    -------
    Ridges
        Frequencies, their uncertainties, and amplitudes.

    Raises
    ------
    ValueError, TypeError
        For arguments out of range; the message names the value and the range.

    See Also
    --------
    synchrosqueeze : Its inverse takes a component out along a ridge.

    Notes
    -----
    The uncertainty is the standard deviation of the peak in white noise, to first order,

    .. math:: \sigma_f = \frac{\sigma}{2 \pi |V_0|} \frac{\sqrt{\frac12 \sum s^2 w^2}}{\mathrm{Re}(V_2/V_0)} , \qquad
              V_j = \sum_n x[n]\, s^j\, w\, e^{-2 j \pi f s}

    (``s`` in seconds from the window's centre), which accounts for the window and for its blur by a steady change
    of frequency. For a steady tone it is that of the Cramér-Rao bound, ``1 / sqrt(SNR)`` times a constant of the
    window. It does not account for what the frequency's law does within a window other than a steady change, for
    other components, or for ridges that follow noise altogether.
    The amplitude is that of a steady tone; a change of frequency within a window lowers it.

    Concentrated is not the same as easiest to track: of a linear chirp the uncertainty is least for Gaussian windows
    that are ``(3/7)**(1/4)``, about 0.8, times as long as the most concentrated ones, and where the frequency's law
    bends, shorter ones follow it better. ``sft.remade(win_length=0.8 * sft.win_length)`` shortens tuned windows.

    Within a resolution cell (the inverse of the window's duration) of 0 and ``fs/2`` the peak of a real component
    merges with that of its mirror image, and may be found at 0 or ``fs/2``; within two cells it is displaced by a few
    hundredths of a cell. The uncertainty does not know of that. Longer windows help.

    In two-sided modes ridges do not cross ``fs/2``. Slices beyond the ends of the signal
    have the frequency of what their windows reach.

    References
    ----------
    .. [1] R. Carmona, W.-L. Hwang, B. Torrésani, "Multiridge detection and time-frequency
       reconstruction", IEEE Trans. Signal Process. 47(2), 1999.
    .. [2] D. C. Rife, R. R. Boorstyn, "Single-tone parameter estimation from
       discrete-time observations", IEEE Trans. Inf. Theory 20(5), 1974.

    Examples
    --------
    >>> import adaptstft
    >>> signal = adaptstft.datasets.chirps_in_parallel()  # 40 + 8 t and 180 + 80 t Hz
    >>> sft = adaptstft.AdaptiveShortTimeFFT("hann", 256, 20, signal.fs)
    >>> r = adaptstft.ridges(sft, signal.x, n_ridges=2)
    >>> p = abs(r.t - 1.0).argmin()
    >>> print(sorted(r.frequency[:, p].round(2).tolist()))
    [48.0, 260.0]
    """
    sft = on_host(sft)
    n_ridges = as_index("n_ridges", n_ridges, 1)
    rate = None if max_rate is None else check_positive("max_rate", max_rate, "Hz/s")
    multiples = _as_orders(orders)
    noise = None if noise_std is None else check_positive("noise_std", noise_std)
    grid = _make_grid(sft, f_bounds, multiples)
    a = analysed(sft, x, axis)
    steps = _largest_steps(sft, a, grid, rate)
    found = [
        _Tracker(sft, a, grid, steps, channel, power, noise).ridges(n_ridges)
        for channel, power in zip(a.layout.channels, _powers(sft, a), strict=True)
    ]
    frequency, uncertainty, amplitude = (
        np.stack(part).reshape(*a.lead, *part[0].shape) for part in zip(*found, strict=True)
    )
    return Ridges(sft.t(a.layout.n), frequency, uncertainty, amplitude[..., 0, :] if orders is None else amplitude)


# ---------------------------------------------------------------------------------------
# Arguments


def _as_orders(orders: Any) -> Float64Array:
    if orders is None:
        return np.ones(1)
    values = as_inexact("orders", orders)
    if values.ndim != 1 or values.size == 0 or np.iscomplexobj(values):
        raise ValueError(f"orders has shape {values.shape}: it must be 1-D with at least one real multiple")
    check_finite("orders", values)
    if np.any(values <= 0) or np.unique(values).size < values.size:
        raise ValueError(f"orders={values.tolist()} must be positive and differ from each other")
    return values.astype(float)


@dataclass(frozen=True)
class _Grid:
    """Frequencies that a path may take, and where their orders lie among the bins in ascending order.

    Attributes
    ----------
    f : ndarray, shape (points,)
        The frequencies in Hz.
    step : float
        Their distance.
    orders : ndarray, shape (orders,)
        Multiples of the frequency.
    bins : ndarray of int, shape (orders, points)
        Bin below each multiple.
    part : ndarray, shape (orders, points)
        How far it lies towards the next bin, from 0 to 1.
    inside : ndarray of bool, shape (orders, points)
        Whether it is a frequency of the transform.
    """

    f: Float64Array
    step: float
    orders: Float64Array
    bins: IntArray
    part: Float64Array
    inside: Any

    def gather(self, plane: Float64Array) -> Float64Array:
        """Sum values of bins (frames, bins) over the orders, to (frames, points)."""
        out = np.zeros((len(plane), self.f.size))
        for q, part, inside in zip(self.bins, self.part, self.inside, strict=True):
            above = np.minimum(q + 1, plane.shape[1] - 1)
            out += np.where(inside, (1 - part) * plane[:, q] + part * plane[:, above], 0.0)
        return out


def _make_grid(sft: AdaptiveShortTimeFFT, f_bounds: Any, orders: Float64Array) -> _Grid:
    bins = np.sort(sft.f)
    low, high = (bins[0], bins[-1]) if f_bounds is None else as_bounds("f_bounds", f_bounds, -np.inf, "Hz")
    step = sft.delta_f / max(1.0, float(orders.max()))
    # multiples of the step, so that without orders these are the bins themselves
    first, last = np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9)
    f = step * np.arange(first, last + 1)
    places = (orders[:, np.newaxis] * f - bins[0]) / sft.delta_f
    inside = (places > -1e-9) & (places < bins.size - 1 + 1e-9)
    reachable = inside.any(axis=0)
    if not reachable.any():
        raise ValueError(
            f"{f_bounds=} Hz holds no frequency of the transform, which has those from {bins[0]:g} to {bins[-1]:g} Hz "
            f"in steps of {sft.delta_f:g} Hz"
        )
    f, places, inside = f[reachable], places[:, reachable], inside[:, reachable]
    below = np.clip(np.floor(places + 1e-9), 0, bins.size - 1)
    part = np.where(inside, np.clip(places - below, 0.0, 1.0), 0.0)
    return _Grid(f, step, orders, below.astype(np.int64), part, inside)


def _largest_steps(
    sft: AdaptiveShortTimeFFT, a: Analysed, grid: _Grid, max_rate: float | None
) -> tuple[Float64Array, IntArray]:
    """Between neighbouring frames: change in grid points at the largest rate, and the most that is allowed."""
    times = a.centre[:, 0]
    if max_rate is None:
        rates = _RATE_MARGIN * _matched_rate(sft.window, np.median(a.seconds, axis=1))
        between = np.maximum(rates[1:], rates[:-1])
    else:
        between = np.full(times.size - 1, max_rate)
    scale = between * np.diff(times) / grid.step
    # slices at the same time have the same frequency
    limit = np.minimum(np.ceil(scale), grid.f.size - 1).astype(np.int64)
    return np.where(scale > 0, scale, 1.0), limit


def _matched_rate(window: Window, seconds: Float64Array) -> Float64Array:
    """Rate in Hz/s of the linear chirp that is most concentrated by windows of these lengths.

    For a Gaussian that is ``1 / (4 pi variance of its energy in time)``.
    """
    u = np.linspace(-0.5, 0.5, 2001)
    energy = window(u) ** 2
    return np.asarray(1 / (4 * np.pi * (energy @ u**2) / energy.sum() * seconds**2))


def _powers(sft: AdaptiveShortTimeFFT, a: Analysed) -> Float64Array:
    """Power of bins in ascending order with windows of unit energy, shape (channels, frames, bins).

    White noise has the same power in all bins, ``noise_std**2``.
    """
    plan = replace(a.plan, scaling="psd", T=1.0)
    S = analyse(plan, a.layout.channels, a.layout.frames)
    P = S.real**2 + S.imag**2
    return np.fft.fftshift(P, axes=-1) if sft.fft_mode == "twosided" else P


# ---------------------------------------------------------------------------------------
# One channel


class _Tracker:
    """Finds the ridges of one channel, one after the other."""

    def __init__(
        self,
        sft: AdaptiveShortTimeFFT,
        a: Analysed,
        grid: _Grid,
        steps: tuple[Float64Array, IntArray],
        x: AnyArray,
        power: Float64Array,
        noise_std: float | None,
    ) -> None:
        self.sft, self.a, self.grid, self.steps, self.x, self.power = sft, a, grid, steps, x, power
        self.least = _ROUNDING * float(power.max())
        self.given = None if noise_std is None else noise_std**2
        self.free = np.ones(power.shape, bool)
        floor = self._median() if self.given is None else np.full(len(power), self.given)
        self.score = np.log1p(power / np.maximum(floor, self.least or 1.0)[:, np.newaxis])
        self.lobe = _lobe_width(sft.window)

    def _median(self) -> Float64Array:
        """Power of noise in each frame by the median over its free bins, as that of exponential values."""
        values = np.where(self.free, self.power, np.nan)
        enough = self.free.sum(axis=1) > 0.1 * self.power.shape[1]
        values[~enough] = self.power[~enough]
        return np.asarray(np.nanmedian(values, axis=1) / np.log(2))

    def _noise_variance(self) -> Float64Array:
        """Variance of white noise in the samples around each frame."""
        if self.given is not None:
            return np.full(len(self.power), self.given)
        times = self.a.centre[:, 0]
        inside = (times >= 0) & (times <= (self.x.size - 1) * self.sft.T)
        floor = self._median()
        sums = np.concatenate([[0.0], np.cumsum(np.where(inside, floor, 0.0))])
        counts = np.concatenate([[0], np.cumsum(inside)])
        half = _NOISE_SPAN / 2 * float(np.median(self.a.seconds))
        low, high = np.searchsorted(times, [times - half, times + half + self.sft.T])
        number = counts[high] - counts[low]
        mean = (sums[high] - sums[low]) / np.maximum(number, 1)
        return np.maximum(np.where(number > 0, mean, floor), self.least)

    def ridges(self, n_ridges: int) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Frequencies and uncertainties (n_ridges, frames), amplitudes (n_ridges, orders, frames)."""
        found = []
        for _ in range(n_ridges):
            path = strongest_path(self.grid.gather(self.score), *self.steps)
            found.append(self._refine(path))
            self._take_out(found[-1].frequency)
        sigma = np.sqrt(self._noise_variance())
        two = 1.0 if np.iscomplexobj(self.x) else 2.0  # half of a real tone is at the negative frequency
        with np.errstate(invalid="ignore"):
            spread = [np.where(np.isinf(peaks.deviation), np.inf, sigma * peaks.deviation) for peaks in found]
        return (
            np.stack([peaks.frequency for peaks in found]),
            np.stack(spread),
            two * np.stack([peaks.magnitude for peaks in found]),
        )

    def _refine(self, path: IntArray) -> Peaks:
        """Go from the bins of a path to the nearest maxima, and from those to the peaks between bins."""
        grid, score = self.grid, self.grid.gather(self.score)
        cell = 1 / (self._seconds(grid.f[path]).max(axis=0) * grid.orders.max())
        reach = np.maximum(1, np.rint(cell / 2 / grid.step)).astype(np.int64)
        rows = np.arange(path.size)
        for _ in range(int(reach.max(initial=0))):
            left, right = np.maximum(path - 1, 0), np.minimum(path + 1, grid.f.size - 1)
            here, down, up = score[rows, path], score[rows, left], score[rows, right]
            move = np.where((up > here) & (up >= down), right, np.where(down > here, left, path))
            path, reach = np.where(reach > 0, move, path), reach - 1
        start = grid.f[path]
        win_length = self._seconds(start) * self.sft.fs
        centre = self.a.layout.frames.centre
        return find_peaks(
            self.x, self.sft.window, win_length, centre, self.sft.T, start, grid.orders, self._inside(start)
        )

    def _seconds(self, frequency: Float64Array) -> Float64Array:
        """Window lengths in seconds at the multiples of a frequency for each frame, shape (orders, frames)."""
        seconds = self.a.seconds
        if seconds.shape[1] == 1:
            return np.broadcast_to(seconds.T, (self.grid.orders.size, len(seconds)))
        if self.sft.fft_mode == "twosided":
            seconds = np.fft.fftshift(seconds, axes=1)
        return np.take_along_axis(seconds, self._bins(frequency).T, axis=1).T

    def _bins(self, frequency: Float64Array) -> IntArray:
        """Bins nearest to the multiples of a frequency for each frame, shape (orders, frames)."""
        lowest = float(self.sft.f.min())
        q = np.rint((self.grid.orders[:, np.newaxis] * frequency - lowest) / self.sft.delta_f)
        return np.clip(q, 0, self.power.shape[1] - 1).astype(np.int64)

    def _inside(self, frequency: Float64Array) -> BoolArray:
        """Which multiples of a frequency the transform has, shape (orders, frames)."""
        multiples, half = self.grid.orders[:, np.newaxis] * frequency, self.sft.delta_f / 2
        inside: BoolArray = (multiples >= self.sft.f.min() - half) & (multiples <= self.sft.f.max() + half)
        return inside

    def _take_out(self, frequency: Float64Array) -> None:
        """Set the score to zero around a ridge: over the main lobe, and on for as long as the power falls."""
        k = np.arange(self.power.shape[1])
        every = zip(self._bins(frequency), self._seconds(frequency), self._inside(frequency), strict=True)
        for q, seconds, inside in every:
            half = np.ceil(self.lobe / seconds / self.sft.delta_f).astype(np.int64)
            low, high = (_foot(self.power, q + sign * half, sign) for sign in (-1, 1))
            taken = (k >= low[:, np.newaxis]) & (k <= high[:, np.newaxis]) & inside[:, np.newaxis]
            self.score[taken] = 0.0
            self.free &= ~taken


def _foot(power: Float64Array, start: IntArray, sign: int) -> IntArray:
    """Go on from bin `start` of each frame in the direction of `sign` while the power falls."""
    last = power.shape[1] - 1
    rows, q = np.arange(len(power)), np.clip(start, 0, last)
    while True:
        onward = np.clip(q + sign, 0, last)
        falls = power[rows, onward] < power[rows, q]
        if not falls.any():
            return q
        q = np.where(falls, onward, q)


def _lobe_width(window: Window) -> float:
    """Half the width of the main lobe of a window's spectrum, as a multiple of one over the window's length."""
    u = (np.arange(512) + 0.5) / 512 - 0.5
    nu = np.linspace(0, 16, 641)
    spectrum = np.abs(np.cos(2 * np.pi * np.outer(nu, u)) @ window(u))
    ends = np.flatnonzero(spectrum < _LOBE_END * spectrum[0])
    return float(nu[ends[0]]) if ends.size else 16.0


# ---------------------------------------------------------------------------------------
# Paths


def strongest_path(score: Float64Array, scale: Float64Array, limit: IntArray) -> IntArray:
    """Return the path with the largest sum of scores less ``abs(step) / scale`` over its steps.

    Parameters
    ----------
    score : ndarray, shape (frames, points)
        Score of each point.
    scale, limit : ndarray, shape (frames - 1,)
        Step that costs 1, and largest step, from each frame to the next.

    Returns
    -------
    ndarray of int64, shape (frames,)
        Points of the path; of equal paths one with small steps.
    """
    moves = (
        NearMoves(-most, np.abs(np.arange(-most, most + 1)) / unit, nearest_first=True)
        for unit, most in zip(scale, limit.tolist(), strict=True)
    )
    return best_path(-score, moves)[0]
