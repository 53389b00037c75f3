"""Frequencies of one ridge with each window length of a grid."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from adaptstft.common.typing import AnyArray, BoolArray, Float64Array, IntArray
from adaptstft.tracking.adaptive.samples import ChirpFrames
from adaptstft.tracking.peaks import Peaks, climb, likelihood
from adaptstft.windows import Window

#: Least ratio of the power of a peak to that of the noise. In a few resolution cells, peaks of noise reach about 8.
_RELIABLE = 8.0
#: Least distance of a component from its mirror image at the negative frequency, in resolution cells.
_FROM_MIRROR = 4.0
#: Least distance of two components in resolution cells: main lobes of Hann windows are four cells wide.
_APART = 3.0


@dataclass(frozen=True)
class Guide:
    """A ridge that the peaks are searched along.

    Attributes
    ----------
    frequency : ndarray, shape (frames,)
        Frequencies in Hz.
    weight : ndarray, shape (frames,)
        Weights of the frequencies in straight lines through them, such as inverse squared errors.
    """

    frequency: Float64Array
    weight: Float64Array

    def lines(self, times: Float64Array, reach: float) -> tuple[Float64Array, Float64Array]:
        """Values and slopes of straight lines through the frequencies within `reach` of each time.

        At least the neighbours of each time are used, and an unweighted mean where all weights are zero.
        """
        index = np.arange(times.size)
        low = np.minimum(np.searchsorted(times, times - reach), np.maximum(index - 1, 0))
        high = np.maximum(np.searchsorted(times, times + reach, side="right"), np.minimum(index + 2, times.size))
        # offsets keep the differences of running sums exact
        middle, centre = float(self.frequency.mean()), float(times.mean())
        t, y = times - centre, self.frequency - middle
        weight = self.weight / (self.weight.max(initial=0.0) or 1.0) + 1e-12

        def sums(terms: Float64Array) -> Float64Array:
            total = np.concatenate([[0.0], np.cumsum(terms)])
            return np.asarray(total[high] - total[low])

        w, wt, wy = sums(weight), sums(weight * t), sums(weight * y)
        wtt, wty = sums(weight * t * t), sums(weight * t * y)
        spread = w * wtt - wt**2
        regular = spread > 1e-9 * w * wtt
        slope = np.divide(w * wty - wt * wy, spread, out=np.zeros_like(w), where=regular)
        return (wy - slope * wt) / w + slope * t + middle, slope


@dataclass(frozen=True)
class Estimates:
    """Peaks of all frames with all lengths, shape (lengths, frames) unless stated otherwise.

    Attributes
    ----------
    length : ndarray, shape (lengths,)
        Window lengths in samples.
    frequency : ndarray
        Frequencies in Hz.
    deviation : ndarray
        Standard deviations in noise of unit variance; infinite where there is no peak.
    magnitude : ndarray, shape (lengths, orders, frames)
        Magnitudes of the peaks over the sum of the window.
    usable : ndarray of bool
        Whether the peak stands out from the noise, from its mirror image, and from other components.
    """

    length: Float64Array
    frequency: Float64Array
    deviation: Float64Array
    magnitude: Float64Array
    usable: BoolArray


@dataclass(frozen=True)
class PeakSearch:
    """What all searches for the peaks of one channel share.

    Attributes
    ----------
    x : ndarray, shape (n,)
        The signal.
    window : Window
        The window function.
    fs : float
        Sampling frequency in Hz.
    centre : ndarray of int, shape (frames,)
        Samples at the centres of the frames.
    lengths : ndarray, shape (lengths,)
        Window lengths in samples.
    orders : ndarray, shape (orders,)
        Multiples of the frequency.
    f_bounds : (float, float)
        Lowest and highest frequency of a ridge in Hz.
    noise : ndarray, shape (frames,)
        Variance of the noise.
    workers : int or None
        Number of threads.
    """

    x: AnyArray
    window: Window
    fs: float
    centre: IntArray
    lengths: Float64Array
    orders: Float64Array
    f_bounds: tuple[float, float]
    noise: Float64Array
    workers: int | None

    def estimate(self, guide: Guide, others: Sequence[Guide]) -> Estimates:
        """Find the peaks along a ridge with all lengths; `others` are the ridges of other components."""
        shape = self.lengths.size, self.centre.size
        frequency, deviation = np.empty((2, *shape))
        magnitude = np.empty((shape[0], self.orders.size, shape[1]))
        usable = np.empty(shape, bool)
        for k, length in enumerate(self.lengths.tolist()):
            peaks, rate = self._peaks(guide, length)
            frequency[k], deviation[k], magnitude[k] = peaks.frequency, peaks.deviation, peaks.magnitude
            usable[k] = self._stands_out(peaks, length) & self._within(peaks.frequency, length)
            for other in others:
                usable[k] &= self._apart(peaks.frequency, rate, other, length)
        return Estimates(self.lengths, frequency, deviation, magnitude, usable)

    def _peaks(self, guide: Guide, length: float) -> tuple[Peaks, Float64Array]:
        """Return the peaks with one length, and the rates of the chirps that were removed in Hz/s."""
        T = 1 / self.fs
        start, rate = guide.lines(self.centre * T, length * T / 2)
        multiples = self.orders[:, np.newaxis] * guide.frequency
        lowest = -self.fs / 2 if np.iscomplexobj(self.x) else 0.0
        used = (multiples > lowest) & (multiples < self.fs / 2)
        chirps = [
            ChirpFrames.of(self.x, self.window, length, self.centre, order * rate, T, self.workers)
            for order in self.orders
        ]
        tones = [replace(row, rate=np.zeros_like(rate)) for row in chirps]
        # at a jump the line means nothing, and the frequency of the frame itself fits better
        jump = (
            likelihood(tones, guide.frequency, self.orders, used)[0] > likelihood(chirps, start, self.orders, used)[0]
        )
        start, rate = np.where(jump, guide.frequency, start), np.where(jump, 0.0, rate)
        rows = [replace(row, rate=order * rate) for row, order in zip(chirps, self.orders, strict=True)]
        cell = np.full(start.size, self.fs / length / self.orders.max())
        return climb(rows, cell, start, self.orders, used), rate

    def _stands_out(self, peaks: Peaks, length: float) -> BoolArray:
        """Mask of the peaks that are above the noise, and away from the mirror image and from the other orders."""
        u = (np.arange(512) + 0.5) / 512 - 0.5
        w = self.window(u)
        samples = length * float(np.mean(w)) ** 2 / float(np.mean(w**2))  # over which a tone adds up
        power = samples * np.sum(peaks.magnitude**2, axis=0)
        mask = np.isfinite(peaks.deviation) & (power > _RELIABLE * self.noise)
        cells, orders = np.abs(peaks.frequency) * length / self.fs, np.sort(self.orders)
        if orders.size > 1:
            mask &= cells * np.diff(orders).min() > _APART
        if not np.iscomplexobj(self.x):
            mask &= (2 * orders[0] * cells > _FROM_MIRROR) & (length - 2 * cells > _FROM_MIRROR)
        return np.asarray(mask)

    def _within(self, frequency: Float64Array, length: float) -> BoolArray:
        """Mask of the frequencies that are at most half a resolution cell out of bounds: noise may move them so far."""
        low, high = self.f_bounds
        half = self.fs / length / 2
        return np.asarray((frequency >= low - half) & (frequency <= high + half))

    def _apart(self, frequency: Float64Array, rate: Float64Array, other: Guide, length: float) -> BoolArray:
        """Mask of the frames in which another ridge is far enough away somewhere in the window."""
        duration = length / self.fs
        value, slope = other.lines(self.centre / self.fs, duration / 2)
        mask = np.ones(frequency.size, bool)
        for own in self.orders:
            for order in self.orders:
                gap = np.abs(own * frequency - order * value) + np.abs(own * rate - order * slope) * duration / 2
                mask &= gap * duration > _APART
        return mask
