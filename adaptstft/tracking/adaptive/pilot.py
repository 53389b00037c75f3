"""First estimate of ridges: the strongest paths through the mean of spectrograms with several window lengths."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import fft

from adaptstft.common.best_path import Moves, NearMoves, best_path
from adaptstft.common.grids import length_grid
from adaptstft.common.typing import AnyArray, BoolArray, Float64Array
from adaptstft.tracking.adaptive.choice import running_mean
from adaptstft.tracking.framed_signal import frame_signal
from adaptstft.tracking.ridge_grid import FrequencyGrid, bin_powers, make_grid, matched_rate
from adaptstft.tracking.ridge_tracker import end_of_fall, lobe_width
from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT
from adaptstft.windows import Window

#: Energy that the peaks of windows of the typical length collect, relative to the length that collects most.
_SHARE = 0.7
#: Least distance of two orders, or of a component from its mirror image, in resolution cells.
_RESOLVED = 1.5
#: Stretch around a time that decides on its typical length, relative to the typical length of the whole signal.
_STRETCH = 4.0
#: Relative distance of equal lengths.
_SAME = 1e-9
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

    def typical_lengths(self, *, single: bool) -> TypicalLengths:
        """Return the longest window lengths whose strongest bins hold nearly as much energy as with any length.

        With a `single` ridge, a stretch of enough energy has a length of its own if that of the whole signal does not
        hold there. Where several ridges cross, the energy of the strongest bins says nothing of their rates.

        Raises
        ------
        ValueError
            If `f_bounds` holds no frequency of the longest windows.
        """
        found: list[tuple[float, Float64Array, Float64Array]] = []
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
            found.append((length, positions, (peak - by_noise) / length))
        lengths = np.array([length for length, _, _ in found])
        means = np.array([[energies.mean()] for _, _, energies in found])
        whole = float(_longest(lengths, means)[0])
        if not single:
            return TypicalLengths(np.zeros(1), np.array([whole]), whole)
        every = np.arange(0.0, self.x.size, max(1.0, _SURVEY_HOP / 2 * whole))
        half = [round(_STRETCH / 2 * whole / max(1.0, _SURVEY_HOP * length)) for length in lengths.tolist()]
        local = np.array(
            [
                np.interp(every, positions, running_mean(energies, np.ones(positions.size), reach))
                for (_, positions, energies), reach in zip(found, half, strict=True)
            ]
        )
        kept = local[np.searchsorted(lengths, whole)] >= _SHARE * local.max(axis=0)
        # a stretch of little energy does not decide: what noise and disturbances add to it counts for more there
        kept |= local.max(axis=0) < _SHARE * means.max()
        return TypicalLengths(every, np.where(kept, whole, _longest(lengths, local)), whole)

    def _resolved(self, grid: FrequencyGrid, length: float) -> BoolArray:
        """Mask of the frequencies whose orders a window tells from each other and from their mirror images."""
        gaps = np.diff(np.sort(self.orders)).tolist()
        if not np.iscomplexobj(self.x):
            gaps.append(2 * float(self.orders.min()))
        cells = np.abs(grid.f) * length / self.fs
        return np.asarray(cells * min(gaps) >= _RESOLVED) if gaps else np.ones(cells.size, bool)

    def plane(self, positions: AnyArray, hop: float, typical: Float64Array) -> Plane:
        """Make the mean of the spectrograms around the typical length of each frame."""
        low, high = (np.clip(factor * typical, *self.win_bounds) for factor in (_SHORTEST, _LONGEST))
        mfft, span = _fft_length(float(high.max())), round(_NOISE_SPAN / 2 * float(np.median(typical)) / hop)
        total, number, noise = np.zeros(1), np.zeros(len(positions)), np.full(len(positions), np.inf)
        for length in length_grid(float(low.min()), float(high.max())).tolist():
            near = (length >= low * (1 - _SAME)) & (length <= high * (1 + _SAME))
            sft, power = self.powers(length, positions, mfft)
            total, number = total + near[:, np.newaxis] * power, number + near
            if self.noise is None:
                level = noise_power(power, round(length / 2 / hop), span)
                # components leak into the noise, with some lengths more than with others
                noise = level if level.mean() < noise.mean() else noise
        mean = total / number[:, np.newaxis]
        least = _ROUNDING * float(mean.max())
        noise = np.maximum(noise if self.noise is None else np.full(len(positions), self.noise), least)
        grid = make_grid(sft, self.f_bounds, self.orders)
        ratio = mean / np.where(noise > 0, noise, 1.0)[:, np.newaxis]
        rate = _RATE * matched_rate(self.window, typical / self.fs) if self.max_rate is None else self.max_rate
        step_at_rate = np.broadcast_to(rate * hop / self.fs / grid.step, typical.shape)
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
    step : ndarray, shape (frames,)
        Step of a path to each frame that costs 1, in grid points; rounded up it is the longest step.
    jump : ndarray, shape (frames,), or None
        Cost of a jump to each frame; None if there are no jumps.
    lowest, delta_f : float
        Lowest frequency of the bins and their spacing in Hz.
    lobe : ndarray, shape (frames,)
        Half the width of the main lobe in bins.
    """

    grid: FrequencyGrid
    ratio: Float64Array
    noise: Float64Array
    step: Float64Array
    jump: Float64Array | None
    lowest: float
    delta_f: float
    lobe: Float64Array

    def strongest_path(self, score: Float64Array) -> Float64Array:
        """Return the frequencies of the path with the largest sum of scores, less the costs of its steps."""
        jumps = np.full(self.step.size, np.inf) if self.jump is None else self.jump
        kinds = {pair: self._moves(*pair) for pair in set(zip(self.step.tolist(), jumps.tolist(), strict=True))}
        moves = [kinds[pair] for pair in zip(self.step[1:].tolist(), jumps[1:].tolist(), strict=True)]
        return np.asarray(self.grid.f[best_path(-self.grid.sum_orders(score), moves)[0]])

    def _moves(self, step: float, jump: float) -> Moves:
        most = int(min(np.ceil(step), self.grid.f.size - 1))
        near = NearMoves(-most, np.abs(np.arange(-most, most + 1)) / step, nearest_first=True)
        return near if jump == np.inf else JumpMoves(near, jump)

    def removed(self, score: Float64Array, frequency: Float64Array) -> Float64Array:
        """Return the scores with those of noise around a ridge: in its main lobe, and beyond as far as the power falls.

        With zeros there, a path would leave its component where it crosses the ridge.
        """
        score, k = score.copy(), np.arange(score.shape[1])
        for order in self.grid.orders:
            q = np.rint((order * frequency - self.lowest) / self.delta_f).astype(np.int64)
            half = np.ceil(self.lobe).astype(np.int64)
            low, high = (end_of_fall(self.ratio, q + sign * half, sign) for sign in (-1, 1))
            inside = (q >= 0) & (q < k.size)
            score[(k >= low[:, np.newaxis]) & (k <= high[:, np.newaxis]) & inside[:, np.newaxis]] = _NOISE_SCORE
        return score


@dataclass(frozen=True)
class JumpMoves:
    """Moves to near states, whose cost grows with the distance, and jumps to any state, which all have one cost."""

    near: NearMoves
    jump: float

    def least(self, total: Float64Array) -> Float64Array:
        """Return the cost of the cheapest path to each state, without the cost of the state itself."""
        far = total.min() + self.jump
        if self.near.first == 0 or self.jump > self.near.cost[0]:
            return np.asarray(np.minimum(self.near.least(total), far))
        # no move that is too long is cheaper than a jump: one pass in each direction finds the cheapest
        rise = self.near.cost[0] / -self.near.first * np.arange(total.size)
        up = np.minimum.accumulate(total - rise) + rise
        down = np.minimum.accumulate((total + rise)[::-1])[::-1] - rise
        return np.asarray(np.minimum(np.minimum(up, down), far))

    def previous(self, total: Float64Array, state: int) -> int:
        """Return the previous state of the cheapest path to `state`; any valid one if there is no path."""
        origin = int(total.argmin())
        jumps = total[origin] + self.jump < self.near.through(total, state).min()
        return origin if jumps else self.near.previous(total, state)


@dataclass(frozen=True)
class TypicalLengths:
    """Typical window lengths in samples at some positions, and that of the whole signal."""

    positions: Float64Array
    win_length: Float64Array
    whole: float

    def at(self, positions: Float64Array) -> Float64Array:
        """Return the length at the nearest of the positions."""
        between = (self.positions[1:] + self.positions[:-1]) / 2
        return np.asarray(self.win_length[np.searchsorted(between, positions)])


def _longest(lengths: Float64Array, energies: Float64Array) -> Float64Array:
    """Return at each place the longest length that has nearly the largest energy, shape (lengths, places)."""
    enough = energies >= _SHARE * np.maximum(energies.max(axis=0), 0.0)
    return np.asarray(lengths[len(lengths) - 1 - enough[::-1].argmax(axis=0)])


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
