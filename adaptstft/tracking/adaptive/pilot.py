"""First estimate of ridges: the strongest paths through the mean of spectrograms with several window lengths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import fft

from adaptstft.common.best_path import NearMoves, best_path
from adaptstft.common.grids import length_grid
from adaptstft.common.typing import AnyArray, BoolArray, Float64Array
from adaptstft.tracking.framed_signal import frame_signal
from adaptstft.tracking.ridge_grid import FrequencyGrid, bin_powers, make_grid, matched_rate
from adaptstft.tracking.ridge_tracker import end_of_fall, lobe_width
from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT
from adaptstft.windows import Window

#: Energy that the peaks of windows of the typical length collect, relative to the length that collects most.
_SHARE = 0.7
#: Least distance of two orders, or of a component from its mirror image, in resolution cells.
_RESOLVED = 1.5
#: Hop of the survey in window lengths.
_SURVEY_HOP = 0.25
#: Frames at both ends that do not count for the noise: the ends of a tone leak into all bins.
_END_FRAMES = 2
#: Window lengths of the mean spectrogram, relative to the typical length.
_SHORTEST, _LONGEST = 1 / 4, 2.0
#: Rate at which a step of a path costs 1, relative to that of the chirp that suits the typical length.
_RATE = 10.0
#: Score that a path through noise collects in each frame: it finds bins of twice the mean power.
_NOISE_SCORE = float(np.log(3))
#: Cost of a jump, relative to the number of frames in a window of the typical length.
_JUMP = 0.5
#: Share of the bins that have less power than the quantile from which the noise is estimated.
_QUANTILE = 0.25
#: Span over which the power of the noise is averaged, in window lengths.
_NOISE_SPAN = 8.0
#: Power of rounding errors relative to the largest power: noise is at least this strong.
_ROUNDING = 1e-26


@dataclass(frozen=True)
class PathSearch:
    """What the searches for paths of one channel share.

    Attributes
    ----------
    x : ndarray, shape (n,)
        The signal.
    window : Window
        The window function.
    fs : float
        Sampling frequency in Hz.
    win_bounds : (float, float)
        Range of window lengths in samples.
    f_bounds : (float, float) or None
        Range of the frequency in Hz.
    orders : ndarray, shape (orders,)
        Multiples of the frequency.
    max_rate : float or None
        Largest change of the frequency in Hz/s; None allows jumps.
    noise : float or None
        Variance of the noise; None if it is unknown.
    workers : int or None
        Number of threads.
    """

    x: AnyArray
    window: Window
    fs: float
    win_bounds: tuple[float, float]
    f_bounds: Any
    orders: Float64Array
    max_rate: float | None
    noise: float | None
    workers: int | None

    def transform(self, length: float, positions: AnyArray, mfft: int) -> AdaptiveShortTimeFFT:
        """Make a transform with one window length."""
        mode: Any = "centered" if np.iscomplexobj(self.x) else "onesided"
        return AdaptiveShortTimeFFT(
            self.window, length, None, self.fs, positions=positions, mfft=mfft, fft_mode=mode, workers=self.workers
        )

    def powers(self, length: float, positions: AnyArray, mfft: int) -> tuple[AdaptiveShortTimeFFT, Float64Array]:
        """Return a transform, and the powers of its bins with windows of unit energy, shape (frames, bins)."""
        sft = self.transform(length, positions, mfft)
        return sft, bin_powers(sft, frame_signal(sft, self.x, -1))[0]

    def typical_length(self) -> float:
        """Return the longest window length whose strongest bins hold nearly as much energy as with any length.

        Raises
        ------
        ValueError
            If `f_bounds` holds no frequency of the longest windows.
        """
        lengths, energies = [], []
        bounds = self.win_bounds
        for length in length_grid(*bounds, 2.0).tolist():
            positions = np.arange(0.0, self.x.size, max(1.0, _SURVEY_HOP * length))
            sft, power = self.powers(length, positions, _fft_length(length))
            try:
                grid = make_grid(sft, self.f_bounds, self.orders)
            except ValueError:  # short windows may have no bin in a narrow band
                if length == bounds[1]:
                    raise
                continue
            noise = noise_power(power, _END_FRAMES).mean() if self.noise is None else self.noise
            peak = np.where(self._resolved(grid, length), grid.sum_orders(power), 0.0).max(axis=1)
            # the largest of many bins with noise only, and the noise of the other orders
            by_noise = noise * (np.log(grid.f.size) + self.orders.size - 1)
            lengths.append(length)
            energies.append(max(0.0, float(peak.mean()) - by_noise) / length)
        enough = np.flatnonzero(np.array(energies) >= _SHARE * max(energies))
        return float(lengths[enough[-1]])

    def _resolved(self, grid: FrequencyGrid, length: float) -> BoolArray:
        """Mask of the frequencies whose orders a window tells from each other and from their mirror images."""
        gaps = np.diff(np.sort(self.orders)).tolist()
        if not np.iscomplexobj(self.x):
            gaps.append(2 * float(self.orders.min()))
        cells = np.abs(grid.f) * length / self.fs
        return np.asarray(cells * min(gaps) >= _RESOLVED) if gaps else np.ones(cells.size, bool)

    def plane(self, positions: AnyArray, hop: float, typical: float) -> Plane:
        """Make the mean of the spectrograms around the typical length."""
        low, high = (float(np.clip(factor * typical, *self.win_bounds)) for factor in (_SHORTEST, _LONGEST))
        lengths = length_grid(low, high)
        mfft = _fft_length(high)
        total, noise = np.zeros(1), np.full(len(positions), np.inf)
        for length in lengths.tolist():
            sft, power = self.powers(length, positions, mfft)
            total = total + power
            if self.noise is None:
                level = noise_power(power, round(length / 2 / hop), round(_NOISE_SPAN / 2 * typical / hop))
                # components leak into the noise, with some lengths more than with others
                noise = level if level.mean() < noise.mean() else noise
        mean = total / lengths.size
        least = _ROUNDING * float(mean.max())
        noise = np.maximum(noise if self.noise is None else np.full(len(positions), self.noise), least)
        grid = make_grid(sft, self.f_bounds, self.orders)
        ratio = mean / np.where(noise > 0, noise, 1.0)[:, np.newaxis]
        step_at_rate = _RATE * float(matched_rate(self.window, np.array(typical / self.fs))) * hop / self.fs / grid.step
        if self.max_rate is not None:
            step_at_rate = self.max_rate * hop / self.fs / grid.step
        lobe = lobe_width(self.window) * self.fs / typical / sft.delta_f
        jump = None if self.max_rate is not None else _JUMP * typical / hop
        return Plane(grid, ratio, noise, step_at_rate, jump, float(np.sort(sft.f)[0]), sft.delta_f, lobe)


@dataclass(frozen=True)
class Plane:
    """The mean spectrogram in units of the noise, and the steps of paths through it.

    Attributes
    ----------
    grid : FrequencyGrid
        Frequencies of the paths.
    ratio : ndarray, shape (frames, bins)
        Power of each bin over the power of the noise.
    noise : ndarray, shape (frames,)
        Variance of the noise.
    step : float
        Step of a path that costs 1, in grid points per frame; rounded up it is the longest step.
    jump : float or None
        Cost of a jump; None if there are no jumps.
    lowest, delta_f : float
        Lowest frequency of the bins and their spacing in Hz.
    lobe : float
        Half the width of the main lobe in bins.
    """

    grid: FrequencyGrid
    ratio: Float64Array
    noise: Float64Array
    step: float
    jump: float | None
    lowest: float
    delta_f: float
    lobe: float

    def strongest_path(self, score: Float64Array) -> Float64Array:
        """Return the frequencies of the path with the largest sum of scores, less the costs of its steps."""
        most = int(min(np.ceil(self.step), self.grid.f.size - 1))
        near = NearMoves(-most, np.abs(np.arange(-most, most + 1)) / self.step, nearest_first=True)
        moves = near if self.jump is None else JumpMoves(near, self.jump)
        return np.asarray(self.grid.f[best_path(-self.grid.sum_orders(score), moves)[0]])

    def removed(self, score: Float64Array, frequency: Float64Array) -> Float64Array:
        """Return the scores with those of noise around a ridge: in its main lobe, and beyond as far as the power falls.

        With zeros there, a path would leave its component where it crosses the ridge.
        """
        score, k = score.copy(), np.arange(score.shape[1])
        for order in self.grid.orders:
            q = np.rint((order * frequency - self.lowest) / self.delta_f).astype(np.int64)
            half = int(np.ceil(self.lobe))
            low, high = (end_of_fall(self.ratio, q + sign * half, sign) for sign in (-1, 1))
            inside = (q >= 0) & (q < k.size)
            score[(k >= low[:, np.newaxis]) & (k <= high[:, np.newaxis]) & inside[:, np.newaxis]] = _NOISE_SCORE
        return score


@dataclass(frozen=True)
class JumpMoves:
    """Moves to near states, and jumps to any state, which all have one cost."""

    near: NearMoves
    jump: float

    def least(self, total: Float64Array) -> Float64Array:
        """Return the cost of the cheapest path to each state, without the cost of the state itself."""
        return np.asarray(np.minimum(self.near.least(total), total.min() + self.jump))

    def previous(self, total: Float64Array, state: int) -> int:
        """Return the previous state of the cheapest path to `state`; any valid one if there is no path."""
        origin = int(total.argmin())
        jumps = total[origin] + self.jump < self.near.through(total, state).min()
        return origin if jumps else self.near.previous(total, state)


def noise_power(power: Float64Array, at_ends: int, half_span: int | None = None) -> Float64Array:
    """Power of the noise in each frame, from quantiles over the bins, averaged over neighbours or all frames.

    The power of noise in a bin has an exponential distribution, whose quantiles are multiples of its mean. The lower
    quartile is used, as components fill some of the bins. The frames `at_ends` of the signal do not count.
    """
    frames = len(power)
    counted = np.ones(frames)
    if frames > 2 * at_ends:
        counted[:at_ends] = counted[frames - at_ends :] = 0.0
    levels = np.quantile(power, _QUANTILE, axis=1) / -np.log1p(-_QUANTILE)
    if half_span is None:
        return np.full(frames, np.average(levels, weights=counted))
    i = np.clip(np.arange(frames), *((at_ends, frames - 1 - at_ends) if frames > 2 * at_ends else (0, frames)))
    sums, number = (np.concatenate([[0.0], np.cumsum(v)]) for v in (levels * counted, counted))
    low, high = np.maximum(i - half_span, 0), np.minimum(i + half_span + 1, frames)
    return np.asarray((sums[high] - sums[low]) / (number[high] - number[low]))


def _fft_length(length: float) -> int:
    """Return an FFT length whose bins are at most half a resolution cell apart."""
    return int(fft.next_fast_len(int(np.ceil(2 * length))))
