"""Spectrograms on a grid of window lengths, and the criteria of the study as functions of them.

Windows are Hann windows of real length and unit energy. Sums over a plane count each cell with its area, so that values
of different lengths are comparable: the energy of a plane is that of the signal.

All criteria but one are functions of the distribution of the power over the plane. It is computed once for each length,
as a histogram over the logarithm of the power that is fine enough for errors far below the differences of interest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy.fft import next_fast_len, rfft

from adaptstft import optimize

#: Window lengths per octave.
PER_OCTAVE = 8
#: Shortest window in samples.
SHORTEST = 16.0
#: Longest window in samples, and relative to the signal.
LONGEST, LONGEST_SHARE = 16384.0, 0.5


@dataclass(frozen=True)
class Plane:
    """A spectrogram.

    Attributes
    ----------
    length : float
        Window length in samples.
    power : ndarray, shape (frames, bins)
        Squared magnitudes, one-sided.
    area : ndarray, shape (bins,)
        Area of a cell of each bin in samples times cycles per sample. Most bins stand for two.
    centres : ndarray, shape (frames,)
        Centres of the frames in samples.
    frequencies : ndarray, shape (bins,)
        Frequencies in cycles per sample.
    """

    length: float
    power: Any
    area: Any
    centres: Any
    frequencies: Any


def grid(n: int, per_octave: float = PER_OCTAVE) -> Any:
    """Return the window lengths for a signal of `n` samples."""
    longest = min(LONGEST, LONGEST_SHARE * n)
    return SHORTEST * 2 ** (np.arange(np.floor(per_octave * np.log2(longest / SHORTEST)) + 1) / per_octave)


def hann(length: float) -> Any:
    """Return the samples of a Hann window of real length and unit energy, symmetric to its middle sample."""
    half = int(np.ceil(length / 2)) - 1
    w = np.cos(np.pi * np.arange(-half, half + 1) / length) ** 2
    return w / np.sqrt(w @ w)


def stft(x: Any, length: float, hop: int) -> tuple[Any, int, Any]:
    """Return the transform of all frames that see the signal, its FFT length, and the centres of the frames."""
    w = hann(length)
    half = w.size // 2
    padded = np.pad(x, (2 * half, 2 * half + hop))
    mfft = next_fast_len(2 * w.size, real=True)
    S = rfft(sliding_window_view(padded, w.size)[::hop] * w, mfft, axis=1)
    return S, mfft, np.arange(S.shape[0]) * hop - half


def plane(x: Any, length: float, hop: int | None = None) -> Plane:
    """Return the spectrogram, by default with a hop of a quarter of the window."""
    hop = max(1, int(length / 4)) if hop is None else hop
    S, mfft, centres = stft(x, length, hop)
    area = np.full(S.shape[1], 2.0 * hop / mfft)
    area[0] /= 2
    if mfft % 2 == 0:
        area[-1] /= 2
    return Plane(length, S.real**2 + S.imag**2, area, centres, np.arange(S.shape[1]) / mfft)


def minimum(lengths: Any, values: Any) -> float:
    """Return the length with the smallest value, interpolated by a parabola over the logarithm."""
    best = int(np.argmin(values))
    if best in (0, len(values) - 1):
        return float(lengths[best])
    before, at, after = values[best - 1 : best + 2]
    curvature = before - 2 * at + after
    shift = 0.5 * (before - after) / curvature if curvature > 0 else 0.0
    return float(lengths[best] * (lengths[best + 1] / lengths[best]) ** shift)


#: Bins of the histogram: number, and decades of power relative to a mean power of one.
_BINS, _LOWEST, _HIGHEST = 1500, -18.0, 7.0
#: Parts of a recording with levels of their own, for the local description length.
PARTS = 16


@dataclass(frozen=True)
class Distribution:
    """Distribution of the power over the plane, for one window length.

    Attributes
    ----------
    power : ndarray, shape (k,)
        Power, increasing.
    area : ndarray, shape (PARTS, k)
        Area of the plane with this power, in each part of the recording.
    kurtosis : float
        Mean kurtosis of the frames.
    """

    power: Any
    area: Any
    kurtosis: float

    @classmethod
    def of(cls, p: Plane, n: int) -> Distribution:
        """Make the distribution for a signal of `n` samples with a mean power of about one."""
        decades = np.log10(np.maximum(p.power, 1e-300))
        index = ((decades - _LOWEST) * (_BINS / (_HIGHEST - _LOWEST))).astype(np.int64)
        part = np.clip(p.centres * PARTS // n, 0, PARTS - 1)
        cell = part[:, None] * _BINS + np.clip(index, 0, _BINS - 1)
        area = np.bincount(cell.ravel(), np.broadcast_to(p.area, cell.shape).ravel(), PARTS * _BINS)
        power = 10 ** (_LOWEST + (np.arange(_BINS) + 0.5) * ((_HIGHEST - _LOWEST) / _BINS))
        return cls(power, area.reshape(PARTS, _BINS), _kurtosis(p))

    def total(self, values: Any) -> float:
        """Return the integral of a function of the power over the plane."""
        return float(self.area.sum(0) @ values)


def _kurtosis(p: Plane) -> float:
    weights = p.area / p.area.sum()
    energy = p.power @ weights
    heard = energy > 1e-12 * energy.max()
    return float(np.mean((p.power[heard] ** 2 @ weights) / energy[heard] ** 2))


@dataclass(frozen=True)
class Levels:
    """Properties of a signal of mean power one that the description length needs, fixed before lengths are compared.

    Attributes
    ----------
    floor : float
        Estimated noise level.
    parts : ndarray, shape (PARTS,)
        Mean power in each part of the recording.
    """

    floor: float
    parts: Any

    @classmethod
    def of(cls, x: Any) -> Levels:
        """Estimate the levels of a signal."""
        edges = np.arange(PARTS + 1) * x.size // PARTS
        parts = [np.mean(x[a:b] ** 2) for a, b in pairwise(edges)]
        return cls(noise_floor(x), np.array(parts))


#: Share of the mean power below which coefficients count little.
SHARE = 0.005
#: Quantile of the power that estimates the noise level.
FLOOR_SHARE = 0.2
#: Cells with less power than this, relative to the mean of their frame, are empty, as in the criterion of the package.
EMPTY = 1e-5
#: Largest noise level relative to the mean power.
MOST_FLOOR = 4.0


def noise_floor(x: Any, share: float = FLOOR_SHARE) -> float:
    """Estimate the level of white noise from a quantile of a spectrogram with a window of middle length.

    Only frames within the signal count, since frames that reach over its ends contain less noise, and only cells that
    are not empty: zeros, and frequencies that a low-pass filter has removed, say nothing of the noise elsewhere. The
    power of white noise has an exponential distribution, whose quantile is ``-log(1 - share)`` times its mean.
    """
    lengths = grid(x.size)
    middle = plane(x, float(np.sqrt(lengths[0] * lengths[-1])))
    reach = middle.length / 2
    inside = (middle.centres >= reach) & (middle.centres <= x.size - reach)
    power = middle.power[inside, 1:-1]
    heard = power[power > EMPTY * np.mean(power, axis=1, keepdims=True)]
    floor = float(np.quantile(heard, share) / -np.log1p(-share)) if heard.size else 0.0
    return min(floor, MOST_FLOOR * float(np.mean(x**2)))


def renyi(d: Distribution, alpha: float) -> float:
    """Return the Rényi entropy of the power, in nats."""
    return float(np.log(d.total(d.power**alpha) / d.total(d.power) ** alpha) / (1 - alpha))


def shannon(d: Distribution, power: float) -> float:
    """Return the Shannon entropy of the magnitudes to a power, in nats."""
    values = d.power ** (power / 2)
    total = d.total(values)
    return float(np.log(total) - d.total(values * np.log(values)) / total)


def gini(d: Distribution) -> float:
    """Return minus the Gini index of the power."""
    area = d.area.sum(0)
    energy = np.cumsum(d.power * area)
    return float(2 * np.sum((energy - 0.5 * d.power * area) * area) / (energy[-1] * area.sum()) - 1)


Criterion = Callable[[Distribution, Levels], float]


def description(sharpness: float, share: float = SHARE, *, floor: float = 1.0, local: bool = False) -> Criterion:
    """Make a description length, ``sum log(1 + (P / D)**sharpness) / sharpness`` in nats of a real signal.

    Parameters
    ----------
    sharpness : float
        One for the usual formula; infinite for ``max(log(P / D), 0)``.
    share : float
        Distortion `D` relative to the mean power.
    floor : float
        Smallest distortion relative to the estimated noise level.
    local : bool
        Take the mean power of each part of the recording.
    """

    def value(d: Distribution, levels: Levels) -> float:
        means = levels.parts if local else np.ones(PARTS)
        distortion = np.maximum(share * means, max(floor * levels.floor, 1e-15))
        nats = np.logaddexp(0, sharpness * np.log(d.power / distortion[:, None])) / sharpness
        return 0.5 * float(np.sum(d.area * nats))

    return value


#: The criteria by name.
CRITERIA: Mapping[str, Criterion] = {
    "Rényi 3": lambda d, _: renyi(d, 3.0),
    "kurtosis (Rényi 2)": lambda d, _: renyi(d, 2.0),
    "kurtosis of frames": lambda d, _: 1 / d.kurtosis,
    "Shannon": lambda d, _: shannon(d, 2.0),
    "Shannon, power 1": lambda d, _: shannon(d, 1.0),
    "Stanković 2, lp 1, Hoyer (Rényi 1/2)": lambda d, _: renyi(d, 0.5),
    "Rényi 1/4": lambda d, _: renyi(d, 0.25),
    "Gini": lambda d, _: gini(d),
    "description length, no floor": description(1.0, 0.01, floor=0.0),
    "description length, sharpness 1": description(1.0, 0.01),
    "description length": description(1.5),
}

#: What the package does by default: its criterion with its own bounds, ends, trend and grid.
PACKAGE = "adaptstft.optimize"

#: Variants of the default, to show which of its numbers matter.
VARIANTS: Mapping[str, Criterion] = {
    "sharpness 2": description(2.0),
    "sharpness 3": description(3.0),
    "twice the floor": description(1.5, floor=2.0),
    "share 0.1 %": description(1.5, 0.001),
    "share 0.2 %": description(1.5, 0.002),
    "share 1 %": description(1.5, 0.01),
    "share 2 %": description(1.5, 0.02),
    "share of each sixteenth": description(1.5, local=True),
}


def curves(x: Any, criteria: Mapping[str, Criterion] = CRITERIA, lengths: Any = None) -> tuple[Any, dict[str, Any]]:
    """Return the lengths and the values of all criteria."""
    lengths = grid(x.size) if lengths is None else lengths
    x = x / np.sqrt(np.mean(x**2))
    levels = Levels.of(x)
    values: dict[str, list[float]] = {name: [] for name in criteria}
    for length in lengths:
        d = Distribution.of(plane(x, float(length)), x.size)
        for name, criterion in criteria.items():
            values[name].append(criterion(d, levels))
    return lengths, {name: np.array(v) for name, v in values.items()}


def choices(x: Any, criteria: Mapping[str, Criterion] = CRITERIA, lengths: Any = None) -> dict[str, float]:
    """Return the length that each criterion picks, in samples."""
    lengths, values = curves(x, criteria, lengths)
    return {name: minimum(lengths, v) for name, v in values.items()}


def by_package(x: Any, fs: float) -> dict[str, float]:
    """Return the length that the package picks with nothing chosen, in samples."""
    return {PACKAGE: float(optimize(x, fs, progress=False).win_length)}
