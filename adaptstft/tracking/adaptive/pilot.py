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
#: Share of this energy that a single ridge may lack in any stretch with the typical length, and by how much it may
#: exceed the least share of the lengths that have enough in the whole signal, as some is always lacking in noise.
_LACKING, _MORE = 0.05, 0.04
#: Durations over which the energy of a length is averaged, relative to the length, and of the stretches, relative to
#: the longest length with enough energy in the whole signal.
_OWN, _STRETCH = 4.0, 8.0
#: Hop of the survey in window lengths, and most steps in the longest length in which energies are compared.
_SURVEY_HOP, _STEPS = 0.25, 32
#: Frames at both ends that do not count for the noise: the ends of a tone leak into all bins.
_END_FRAMES = 2
#: Window lengths of the mean spectrogram, relative to the typical length. If the length for the whole signal is longer
#: than the typical one, windows longer than the typical one lack energy in some stretch and are left out.
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
    within : ndarray, shape (n,)
        The signal without what is outside of `f_bounds`.
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
    within: AnyArray
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

    def powers(
        self, length: float, positions: AnyArray, mfft: int
    ) -> tuple[AdaptiveShortTimeFFT, Float64Array, Float64Array]:
        """Return a transform, and the powers of its bins with windows of unit energy, shape (frames, bins).

        The first are those within `f_bounds`, the second those of the whole signal, from which the noise is estimated.
        """
        sft = self.transform(length, positions, mfft)
        within = bin_powers(sft, frame_signal(sft, self.within, -1))[0]
        if self.noise is not None or self.within is self.x:
            return sft, within, within
        return sft, within, bin_powers(sft, frame_signal(sft, self.x, -1))[0]

    def typical_length(self, *, single: bool) -> TypicalLength:
        """Return the longest window length whose strongest bins hold nearly as much energy as with any length.

        A `single` ridge must have enough energy in all stretches of several lengths: what a long window gains in one
        part of the signal does not make up for what it loses in another. Where several ridges cross, the energy of the
        strongest bins says nothing of their rates, and that of the whole signal decides.

        Raises
        ------
        ValueError
            If `f_bounds` holds no frequency of the longest windows.
        """
        found = self._survey()
        lengths = np.array([length for length, _, _ in found])
        means = np.array([energies.mean() for _, _, energies in found])
        enough = np.flatnonzero(means >= _SHARE * max(means.max(), 0.0))
        whole = float(lengths[enough[-1]] if enough.size else lengths[-1])  # in noise alone, none may have enough
        if not single:
            return TypicalLength(whole, _LONGEST * whole)
        hop = max(1.0, _SURVEY_HOP * float(lengths[0]), whole / _STEPS)
        every = np.arange(0.0, self.x.size, hop)
        energies = np.array([np.interp(every, positions, energies) for _, positions, energies in found])
        lacking = _lacking(lengths, energies, hop, whole)[lengths <= whole]
        typical = float(lengths[np.flatnonzero(lacking <= max(_LACKING, float(lacking.min()) + _MORE))[-1]])
        return TypicalLength(typical, typical if typical < whole else _LONGEST * whole)

    def _survey(self) -> list[tuple[float, Float64Array, Float64Array]]:
        """Return ascending lengths, each with the positions of its frames and the energies of their strongest bins.

        The energies are relative to the length.
        """
        found: list[tuple[float, Float64Array, Float64Array]] = []
        longest, usual = self.win_bounds[1], None
        for length in reversed(length_grid(*self.win_bounds, 2.0).tolist()):
            if usual is not None and not self._resolved(np.array([usual]), length)[0]:
                break  # shorter windows do not separate the orders of what the longer ones see
            positions = np.arange(0.0, self.x.size, max(1.0, _SURVEY_HOP * length))
            sft, within, of_all = self.powers(length, positions, _fft_length(length))
            try:
                grid = make_grid(sft, self.f_bounds, self.orders)
            except ValueError:  # short windows may have no bin in a narrow band
                if length == longest:
                    raise
                continue
            noise = noise_power(of_all, _END_FRAMES).mean() if self.noise is None else self.noise
            # the largest of many bins with noise only, and the noise of the other orders
            by_noise = noise * (np.log(grid.f.size) + self.orders.size - 1)
            sums = np.where(self._resolved(grid.f, length), grid.sum_orders(within), 0.0)
            peak = sums.max(axis=1)
            found.append((length, positions, (peak - by_noise) / length))
            strongest = np.abs(grid.f[sums[peak > by_noise].argmax(axis=1)])
            usual = float(np.median(strongest)) if self.orders.size > 1 and strongest.size else None
        return found[::-1]

    def _resolved(self, f: Float64Array, length: float) -> BoolArray:
        """Mask of the frequencies whose orders a window tells from each other and from their mirror images."""
        gaps = np.diff(np.sort(self.orders)).tolist()
        if not np.iscomplexobj(self.x):
            gaps.append(2 * float(self.orders.min()))
        cells = np.abs(f) * length / self.fs
        return np.asarray(cells * min(gaps) >= _RESOLVED) if gaps else np.ones(cells.size, bool)

    def plane(self, positions: AnyArray, hop: float, typical: TypicalLength) -> Plane:
        """Make the mean of the spectrograms with lengths around the typical one."""
        shortest, longest = _SHORTEST * typical.length, typical.longest
        low, high = (float(np.clip(length, *self.win_bounds)) for length in (shortest, longest))
        mfft, span = _fft_length(high), round(_NOISE_SPAN / 2 * typical.length / hop)
        total, noise = np.zeros(1), np.full(len(positions), np.inf)
        averaged = length_grid(low, high).tolist()
        for length in averaged:
            sft, within, of_all = self.powers(length, positions, mfft)
            total = total + within
            if self.noise is None:
                level = noise_power(of_all, round(length / 2 / hop), span)
                # components leak into the noise, with some lengths more than with others
                noise = level if level.mean() < noise.mean() else noise
        mean = total / len(averaged)
        least = _ROUNDING * float(mean.max())
        noise = np.maximum(noise if self.noise is None else np.full(len(positions), self.noise), least)
        grid = make_grid(sft, self.f_bounds, self.orders)
        ratio = mean / np.where(noise > 0, noise, 1.0)[:, np.newaxis]
        matched = float(matched_rate(self.window, np.array(typical.length / self.fs)))
        rate = _RATE * matched if self.max_rate is None else self.max_rate
        step = rate * hop / self.fs / grid.step
        lobe = lobe_width(self.window) * self.fs / typical.length / sft.delta_f
        jump = None if self.max_rate is not None else _JUMP * typical.length / hop
        return Plane(grid, ratio, noise, step, jump, float(np.sort(sft.f)[0]), sft.delta_f, lobe)


@dataclass(frozen=True)
class TypicalLength:
    """The typical window length, and the longest one of the mean spectrogram, in samples."""

    length: float
    longest: float


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
        Step of a path that costs 1, in grid points; rounded up it is the longest step.
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
        moves: Moves = near if self.jump is None else JumpMoves(near, self.jump)
        return np.asarray(self.grid.f[best_path(-self.grid.sum_orders(score), moves)[0]])

    def removed(self, score: Float64Array, frequency: Float64Array) -> Float64Array:
        """Return the scores with those of noise around a ridge: in its main lobe, and beyond as far as the power falls.

        With zeros there, a path would leave its component where it crosses the ridge.
        """
        score, k, half = score.copy(), np.arange(score.shape[1]), int(np.ceil(self.lobe))
        for order in self.grid.orders:
            q = np.rint((order * frequency - self.lowest) / self.delta_f).astype(np.int64)
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


def _lacking(lengths: Float64Array, energies: Float64Array, hop: float, whole: float) -> Float64Array:
    """Return the share of the energy that each length lacks in the stretch where it lacks most.

    At each time the length that collects most sets what is enough, see `_SHARE`. `energies` has the shape (lengths,
    times) with `hop` samples between the times. `whole` is the longest length with enough energy in the whole signal.
    """
    ones = np.ones(energies.shape[1])

    def averaged(values: Float64Array, duration: float) -> Float64Array:
        return running_mean(values, ones, round(duration / 2 / hop))

    enough = _SHARE * np.maximum(np.max([averaged(row, _STRETCH * whole) for row in energies], axis=0), 0.0)
    own = [averaged(row, _OWN * length) for length, row in zip(lengths.tolist(), energies, strict=True)]
    missing = np.maximum(enough - np.array(own), 0.0)
    worst = np.array([averaged(row, _STRETCH * whole).max() for row in missing])
    return np.asarray(worst / max(float(enough.mean()), np.finfo(float).tiny))


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
