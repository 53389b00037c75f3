"""Ridges of one channel: the strongest path, the peaks next to it, and the removal of both from the score."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from adaptstft.common.typing import AnyArray, BoolArray, Float64Array, IntArray
from adaptstft.tracking.curvature import squared_bias
from adaptstft.tracking.framed_signal import FramedSignal
from adaptstft.tracking.peaks import Peaks, find_peaks
from adaptstft.tracking.ridge_grid import FrequencyGrid
from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT
from adaptstft.windows import Window

#: The main lobe of a window's spectrum ends where the spectrum is below this fraction of its peak.
_LOBE_END = 0.03
#: Span in window lengths, centred at a frame, over which the power of the noise is averaged.
_NOISE_SPAN = 8.0
#: Largest difference between the two halves of a symmetric window, relative to its largest value.
_SYMMETRIC = 1e-9
#: Power of rounding errors relative to the largest power: noise is at least this strong.
_ROUNDING = 1e-26


class RidgeTracker:
    """Finds the ridges of one channel, one after the other.

    Parameters
    ----------
    sft : AdaptiveShortTimeFFT
        Transform on the host.
    framed : FramedSignal
        Its frames.
    grid : FrequencyGrid
        Frequencies of the paths.
    steps : (ndarray, ndarray)
        Step at the largest rate, and longest step, see `adaptstft.tracking.ridge_grid.largest_steps`.
    x : ndarray, shape (n,)
        Signal of the channel.
    power : ndarray, shape (frames, bins)
        Power of the bins in ascending order, from `adaptstft.tracking.ridge_grid.bin_powers`.
    within : ndarray, shape (frames, bins)
        The same for the signal without what is outside of the grid, in which paths are searched.
    noise_std : float or None
        Standard deviation of the noise; estimated if None.
    """

    def __init__(
        self,
        sft: AdaptiveShortTimeFFT,
        framed: FramedSignal,
        grid: FrequencyGrid,
        steps: tuple[Float64Array, IntArray],
        x: AnyArray,
        power: Float64Array,
        within: Float64Array,
        noise_std: float | None,
    ) -> None:
        self.sft, self.framed, self.grid, self.steps, self.x, self.power = sft, framed, grid, steps, x, power
        self.kernels = framed.plan.kernels
        self.least_noise = _ROUNDING * float(power.max())
        self.noise_std = noise_std
        self.free = np.ones(power.shape, bool)  # bins without a ridge
        noise = self._noise_by_frame() if noise_std is None else np.full(len(power), noise_std**2)
        self.score = np.log1p(within / np.maximum(noise, self.least_noise or 1.0)[:, np.newaxis])
        self.lobe = lobe_width(sft.window)
        self.skew = _centre_of_gravity(sft.window)

    def track(self, n_ridges: int) -> tuple[Float64Array, Float64Array, Float64Array, Float64Array]:
        """Return frequencies, uncertainties, amplitudes and window lengths in seconds.

        Their shapes are (n_ridges, frames), and (n_ridges, orders, frames) for the amplitudes.
        """
        tracked: list[Peaks] = []
        for _ in range(n_ridges):
            score = np.ascontiguousarray(self.grid.sum_orders(self.score))
            path = np.empty(len(score), np.int64)
            self.kernels.strongest_path(score, *self.steps, path)
            tracked.append(self._peaks_near(path, score))
            self._remove(tracked[-1].frequency)
        sigma = np.sqrt(self._noise_variance()) if self.noise_std is None else self.noise_std
        both_sides = 1.0 if np.iscomplexobj(self.x) else 2.0  # half of a real tone is at the negative frequency
        return (
            np.stack([peaks.frequency for peaks in tracked]),
            np.stack([self._uncertainty(peaks, sigma) for peaks in tracked]),
            both_sides * np.stack([peaks.magnitude for peaks in tracked]),
            np.stack([self._win_duration_at(peaks.frequency)[self.grid.orders.argmin()] for peaks in tracked]),
        )

    def _uncertainty(self, peaks: Peaks, sigma: Float64Array | float) -> Float64Array:
        """Root of the sum of the variance in noise of standard deviations `sigma` and of the squared bias."""
        with np.errstate(invalid="ignore"):
            deviation = np.where(np.isinf(peaks.deviation), np.inf, sigma * peaks.deviation)
        duration = self._win_duration_at(peaks.frequency).max(axis=0)
        times = self.framed.centre_time[:, 0]
        bias2 = squared_bias(self.sft.window, times, peaks.frequency, deviation, duration, self.kernels)
        return np.asarray(np.sqrt(deviation**2 + bias2))

    def _noise_by_frame(self) -> Float64Array:
        """Estimate the power of the noise in each frame from the median over its free bins.

        The power of noise in a bin has an exponential distribution: its median is ``log 2`` times its mean.
        """
        enough = self.free.sum(axis=1) > 0.1 * self.power.shape[1]
        used = self.free | ~enough[:, np.newaxis]
        medians = _row_medians(np.where(used, self.power, np.inf), used.sum(axis=1))
        return np.asarray(medians / np.log(2))

    def _noise_variance(self) -> Float64Array:
        """Variance of white noise in the samples around each frame, averaged over neighbouring frames."""
        times = self.framed.centre_time[:, 0]
        inside = (times >= 0) & (times <= (self.x.size - 1) * self.sft.T)
        noise = self._noise_by_frame()
        sums = np.concatenate([[0.0], np.cumsum(np.where(inside, noise, 0.0))])
        counts = np.concatenate([[0], np.cumsum(inside)])
        half = _NOISE_SPAN / 2 * float(np.median(self.framed.win_duration))
        low, high = np.searchsorted(times, [times - half, times + half + self.sft.T])
        number = counts[high] - counts[low]
        mean = (sums[high] - sums[low]) / np.maximum(number, 1)
        return np.maximum(np.where(number > 0, mean, noise), self.least_noise)

    def _peaks_near(self, path: IntArray, score: Float64Array) -> Peaks:
        """Climb from a path to the nearest maximum of the score in each frame, then to the peak between bins."""
        grid = self.grid
        cell = 1 / (self._win_duration_at(grid.f[path]).max(axis=0) * grid.orders.max())
        reach = np.maximum(1, np.rint(cell / 2 / grid.step)).astype(np.int64)
        rows = np.arange(path.size)
        for _ in range(int(reach.max(initial=0))):
            left, right = np.maximum(path - 1, 0), np.minimum(path + 1, grid.f.size - 1)
            current, down, up = score[rows, path], score[rows, left], score[rows, right]
            next_point = np.where((up > current) & (up >= down), right, np.where(down > current, left, path))
            path, reach = np.where(reach > 0, next_point, path), reach - 1
        peaks = self._peaks_from(grid.f[path], None)
        return peaks if self.skew == 0 else self._at_the_middle(peaks)

    def _peaks_from(self, start: Float64Array, rate: Float64Array | None) -> Peaks:
        win_length = self._win_duration_at(start) * self.sft.fs
        centre, used = self.framed.layout.frames.centre, self._in_range(start)
        orders = self.grid.orders
        return find_peaks(
            self.x, self.sft.window, win_length, centre, self.sft.T, start, orders, used, rate, self.kernels
        )

    def _at_the_middle(self, peaks: Peaks) -> Peaks:
        """Return the peaks at the middle of an asymmetric window.

        The spectrum of a chirp has its peak at the frequency in the window's centre of gravity. The rate of the chirp
        follows from the frequencies of the frames around; without the chirp the peak is that of a tone.
        """
        duration = self._win_duration_at(peaks.frequency).max(axis=0)
        times = self.framed.centre_time[:, 0]
        rate, rate_deviation = _slopes(times, peaks.frequency, peaks.deviation, duration / 2)
        delay = self.skew * duration
        moved = self._peaks_from(peaks.frequency - rate * delay, rate)
        deviation = np.hypot(moved.deviation, delay * rate_deviation)
        return replace(moved, deviation=np.where(np.isinf(peaks.deviation), np.inf, deviation))

    def _win_duration_at(self, frequency: Float64Array) -> Float64Array:
        """Window lengths in seconds at the multiples of a frequency in each frame, shape (orders, frames)."""
        duration = self.framed.win_duration
        if duration.shape[1] == 1:
            return np.broadcast_to(duration.T, (self.grid.orders.size, len(duration)))
        if self.sft.fft_mode == "twosided":
            duration = np.fft.fftshift(duration, axes=1)
        return np.take_along_axis(duration, self._bins_of(frequency).T, axis=1).T

    def _bins_of(self, frequency: Float64Array) -> IntArray:
        """Bins nearest to the multiples of a frequency in each frame, shape (orders, frames)."""
        lowest = float(self.sft.f.min())
        q = np.rint((self.grid.orders[:, np.newaxis] * frequency - lowest) / self.sft.delta_f)
        return np.clip(q, 0, self.power.shape[1] - 1).astype(np.int64)

    def _in_range(self, frequency: Float64Array) -> BoolArray:
        """Mask of the multiples of a frequency that are in the range of the bins, shape (orders, frames)."""
        multiples, half = self.grid.orders[:, np.newaxis] * frequency, self.sft.delta_f / 2
        inside: BoolArray = (multiples >= self.sft.f.min() - half) & (multiples <= self.sft.f.max() + half)
        return inside

    def _remove(self, frequency: Float64Array) -> None:
        """Set the score to zero around a ridge: in the main lobe, and beyond it as far as the power falls."""
        k = np.arange(self.power.shape[1])
        orders = zip(self._bins_of(frequency), self._win_duration_at(frequency), self._in_range(frequency), strict=True)
        for q, duration, inside in orders:
            half = np.ceil(self.lobe / duration / self.sft.delta_f).astype(np.int64)
            low, high = (end_of_fall(self.power, q + sign * half, sign) for sign in (-1, 1))
            removed = (k >= low[:, np.newaxis]) & (k <= high[:, np.newaxis]) & inside[:, np.newaxis]
            self.score[removed] = 0.0
            self.free &= ~removed


def _row_medians(values: Float64Array, count: IntArray) -> Float64Array:
    """Medians of the `count` least values of each row."""
    ordered, row = np.sort(values, axis=1), np.arange(len(values))
    return np.asarray((ordered[row, (count - 1) // 2] + ordered[row, count // 2]) / 2)


def end_of_fall(power: Float64Array, start: IntArray, sign: int) -> IntArray:
    """Bin at which the power stops falling, from bin `start` of each frame in the direction of `sign`."""
    last = power.shape[1] - 1
    rows, q = np.arange(len(power)), np.clip(start, 0, last)
    while True:
        onward = np.clip(q + sign, 0, last)
        falls = power[rows, onward] < power[rows, q]
        if not falls.any():
            return q
        q = np.where(falls, onward, q)


def _slopes(
    times: Float64Array, values: Float64Array, deviation: Float64Array, reach: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Return the slopes of straight lines through the values within `reach` of each time, and their deviations.

    At least the neighbouring frames are used. Frames without a peak count nothing; without two frames the slope is 0.
    """
    usable = np.isfinite(deviation)
    slopes, errors = np.zeros((2, times.size))
    low = np.minimum(np.searchsorted(times, times - reach), np.maximum(np.arange(times.size) - 1, 0))
    high = np.maximum(np.searchsorted(times, times + reach, side="right"), np.arange(times.size) + 2)
    for k, (first, last) in enumerate(zip(low, high, strict=True)):
        part = np.flatnonzero(usable[first:last]) + first
        if part.size < 2:
            continue
        away = times[part] - times[part].mean()
        spread = float(away @ away)
        if spread > 0:
            slopes[k] = away @ values[part] / spread
            errors[k] = np.sqrt(np.sum((away * deviation[part]) ** 2)) / spread
    return slopes, errors


def _window_points() -> Float64Array:
    return (np.arange(512) + 0.5) / 512 - 0.5


def _centre_of_gravity(window: Window) -> float:
    """Centre of gravity of a window relative to its middle, in window lengths; 0 for symmetric windows."""
    u = _window_points()
    w = window(u)
    if np.abs(w - w[::-1]).max() <= _SYMMETRIC * np.abs(w).max():
        return 0.0
    return float(u @ w / w.sum()) or _SYMMETRIC


def lobe_width(window: Window) -> float:
    """Half the width of the main lobe of a window's spectrum, as a multiple of one over the window's length."""
    u = _window_points()
    nu = np.linspace(0, 16, 641)
    spectrum = np.abs(np.exp(2j * np.pi * np.outer(nu, u)) @ window(u))
    ends = np.flatnonzero(spectrum < _LOBE_END * spectrum[0])
    return float(nu[ends[0]]) if ends.size else 16.0
