"""The distortion at which a signal is described: a share of its power, or its noise floor, fixed before tuning.

With windows of unit energy the mean of ``|S|**2`` is the power of the signal, and that of white noise is its variance,
whatever the window. So the distortion can be computed once, and does not depend on the windows that it compares.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from adaptstft.common.device import to_host
from adaptstft.common.products import product
from adaptstft.common.typing import AnyArray, Float64Array, IntArray
from adaptstft.criteria.bands import band_weights
from adaptstft.criteria.neighbourhoods import Neighbourhoods, Tiles
from adaptstft.engine.plan import FFTPlan

#: Quantile of the energies that are taken for noise, and the quantile of the energies of noise itself at this level.
_QUANTILE = 0.2
_OF_NOISE = float(-np.log1p(-_QUANTILE))
#: Shortest and longest of the windows between which that of the estimate is in the middle, and the largest number of
#: frames.
_SHORTEST, _LONGEST, _MOST_FRAMES = 16, 16384, 4096
#: Frames that are transformed at once.
_BLOCK_FRAMES = 128
#: Energy relative to the mean of its frame below which a bin is empty.
_UNHEARD = 1e-5
#: Largest noise floor relative to the power.
_MOST_FLOOR = 4.0
#: Smallest distortion relative to the power.
_LEAST = 1e-30
#: Number of frames whose weights in neighbourhoods are computed at once.
_PIECE = 1 << 14


@dataclass(frozen=True)
class SignalLevel:
    """Power of a signal and its noise floor.

    Attributes
    ----------
    power : float
        Mean of ``|x|**2`` over samples and channels.
    floor : float
        Variance of the white noise whose spectrum is the floor of the signal's; the median over the channels.
    """

    power: float
    floor: float

    @classmethod
    def estimated(cls, power: float, floor: float) -> SignalLevel:
        """Return the level with an estimated floor of at most `_MOST_FLOOR` times the power.

        Noise is a part of the signal, with silence between. In clicks between silence, the lowest energies that are not
        empty are those of the clicks.
        """
        return cls(power, min(floor, _MOST_FLOOR * power))

    @classmethod
    def of_signal(cls, x: AnyArray, floor: float | None = None) -> SignalLevel:
        """Measure channels ``x``, shape (channels, n); a `floor` that is given is not estimated."""
        x = to_host(x)
        power = energy_of(x) / x.size
        return cls.estimated(power, noise_floor(x)) if floor is None else cls(power, floor)


def energy_of(x: AnyArray) -> float:
    """Return the sum of ``|x|**2`` over samples and channels."""
    return float(np.sum(x.real.astype(float) ** 2 + x.imag.astype(float) ** 2))


@dataclass(frozen=True)
class LevelPart:
    """Energy, number of values and noise floor of each channel of one signal of several, and how often it counts.

    There are no floors if one is given for all signals.
    """

    energy: float
    count: int
    floors: Float64Array
    weight: float = 1.0

    @classmethod
    def of_channels(cls, x: AnyArray, *, floors: bool = True) -> LevelPart:
        """Measure channels ``x``, shape (channels, n), with their `floors` or without."""
        return cls(energy_of(x), x.size, channel_floors(x) if floors else np.zeros(0))

    def counted(self, weight: float) -> LevelPart:
        """Return the part with a weight."""
        return replace(self, weight=weight)


def join_levels(parts: Sequence[LevelPart], floor: float | None) -> SignalLevel:
    """Return the level of several signals: their mean power, and the median of their floors unless it is given."""
    power = sum(part.weight * part.energy for part in parts) / sum(part.weight * part.count for part in parts)
    return SignalLevel.estimated(power, _median(parts)) if floor is None else SignalLevel(power, floor)


def _median(parts: Sequence[LevelPart]) -> float:
    """Return the median of the floors of all channels; a signal with a weight of 2 counts like two signals."""
    floors = np.concatenate([part.floors for part in parts])
    weights = np.concatenate([np.full(part.floors.size, part.weight) for part in parts])
    order = np.argsort(floors, kind="stable")
    below = np.cumsum(weights[order])
    low, high = (int(np.searchsorted(below, below[-1] / 2, side=side)) for side in ("left", "right"))
    return float((floors[order[low]] + floors[order[high]]) / 2)


@dataclass(frozen=True)
class StretchLevel:
    """Energy of a stretch of a long signal, and the energies of bins, shape (channels, bins), for the noise floor."""

    energy: float
    bins: Float64Array


def level_of_stretches(parts: Sequence[StretchLevel], size: int, floor: float | None) -> SignalLevel:
    """Return the level of a signal of `size` values in all channels from its stretches, as `SignalLevel.of_signal`."""
    power = sum(part.energy for part in parts) / size
    if floor is not None:
        return SignalLevel(power, floor)
    floors = [_floor(own) for own in np.concatenate([part.bins for part in parts], axis=1)]
    return SignalLevel.estimated(power, float(np.median(floors)))


@dataclass(frozen=True)
class FloorFrames:
    """The frames with Hann windows from whose energies the noise floor is estimated.

    Attributes
    ----------
    length : int
        Length of the windows in samples.
    starts : ndarray of int, shape (frames,)
        First sample of each frame.
    """

    length: int
    starts: IntArray

    @classmethod
    def of_size(cls, n: int) -> FloorFrames:
        """Return the frames for a signal of `n` samples."""
        length = min(n, max(2, int(np.sqrt(_SHORTEST * min(_LONGEST, max(n // 2, 1))))))
        count = min(_MOST_FRAMES, max(1, 4 * (n - length) // length))
        return cls(length, np.unique(np.linspace(0, n - length, count).astype(np.int64)))

    def energies(self, x: AnyArray, first: int = 0, start: float = 0.0, stop: float = np.inf) -> Float64Array:
        """Return the energies of all bins, shape (channels, bins), of the frames that begin from `start` to `stop`.

        Those of empty bins are zero. ``x``, shape (channels, samples), has the samples from number `first` on.
        """
        starts = self.starts[(self.starts >= start) & (self.starts < stop)] - first
        window = np.sin(np.pi * (np.arange(self.length) + 0.5) / self.length) ** 2
        window /= np.sqrt(np.sum(window**2))
        found = [np.zeros((len(x), 0))]
        for block in range(0, starts.size, _BLOCK_FRAMES):
            at = starts[block : block + _BLOCK_FRAMES]
            frames = np.lib.stride_tricks.sliding_window_view(x, self.length, axis=-1)[:, at] * window
            spectra = np.fft.fft(frames, axis=-1) if np.iscomplexobj(x) else np.fft.rfft(frames, axis=-1)[..., 1:-1]
            energy = spectra.real**2 + spectra.imag**2
            if energy.size:
                energy[energy <= _UNHEARD * energy.mean(axis=-1, keepdims=True)] = 0.0
            found.append(energy.reshape(len(x), -1))
        return np.concatenate(found, axis=1)


def noise_floor(x: AnyArray) -> float:
    """Estimate the variance of white noise in channels ``x``, shape (channels, n), from the lowest energies.

    In each channel it is the quantile of the energies of a spectrogram with Hann windows below which a fifth of them
    lies, divided by this quantile for white noise of variance one. Bins that are nearly empty do not count: those of
    digital silence, and beyond the band of a recording that was resampled. They are compared with the mean of their
    frame, so that quiet passages count. The median of the channels is returned.
    """
    return float(np.median(channel_floors(x)))


def channel_floors(x: AnyArray) -> Float64Array:
    """Return the noise floor of each channel, shape (channels,)."""
    frames = FloorFrames.of_size(x.shape[-1])
    return np.array([_floor(frames.energies(one[np.newaxis])[0]) for one in x])


def _floor(energies: Float64Array) -> float:
    """Return the noise floor of one channel from the energies of bins, zero for empty ones."""
    heard = energies[energies > 0]
    return float(np.quantile(heard, _QUANTILE)) / _OF_NOISE if heard.size else 0.0


@dataclass(frozen=True, eq=False)
class Distortion:
    """The distortion at every place of the time-frequency plane, as units of energy.

    Attributes
    ----------
    values : ndarray, shape (groups,), (bands, groups) or (1,)
        The distortion in each neighbourhood or tile, or everywhere.
    places : Neighbourhoods, Tiles or None
        The neighbourhoods or tiles; None for one value.
    offset : float
        Number added to positions of frames to get those of the neighbourhoods.
    """

    values: Float64Array
    places: Neighbourhoods | Tiles | None = None
    offset: float = 0.0

    @classmethod
    def of_level(
        cls, level: SignalLevel, share: float, places: Neighbourhoods | Tiles | None, n: int, offset: float = 0.0
    ) -> Distortion:
        """Return the larger of a share of the power, in each place, and the floor, for `n` samples."""
        relative = np.ones(1) if places is None else places.energy.reshape(-1) / places.areas(n)
        power = level.power * (relative.reshape(len(places.bands), -1) if isinstance(places, Tiles) else relative)
        least = max(level.floor, _LEAST * level.power, float(np.finfo(float).tiny))
        return cls(np.maximum(share * power, least), places, offset)

    def of_frames(self, positions: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Return the distortion at each frame, and the derivative of its logarithm in the position."""
        if self.places is None:
            return np.full(positions.size, self.values[0]), np.zeros(positions.size)
        in_time = self.places.in_time if isinstance(self.places, Tiles) else self.places
        values = self.values.mean(axis=0) if self.values.ndim == 2 else self.values
        value, slope = _averages(in_time, positions + self.offset, values[np.newaxis])
        return value[0], slope[0] / value[0]

    def of_bins(self, plan: FFTPlan, positions: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Return the distortion of each bin and the derivative of its logarithm, (frames, f_pts) or (frames, 1)."""
        if not isinstance(self.places, Tiles):
            value, slope = self.of_frames(positions)
            return value[:, np.newaxis], slope[:, np.newaxis]
        bands = self.places.bands
        if bands.shape[1] != plan.f_pts:
            bands = band_weights(plan, len(bands))
        bands = bands / bands.sum(axis=0)
        value, slope = _averages(self.places.in_time, positions + self.offset, self.values)
        of_bins = product(value.T, bands)
        return of_bins, product(slope.T, bands) / of_bins


def _averages(
    in_time: Neighbourhoods, positions: Float64Array, values: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Return smooth averages of values of neighbourhoods, shape (rows, groups), at positions, and their derivatives.

    Beyond the outermost centres they are constant.
    """
    if positions.size > _PIECE:  # the weights of many frames take far more memory than their averages
        starts = range(0, positions.size, _PIECE)
        parts = [_averages(in_time, positions[first : first + _PIECE], values) for first in starts]
        value, slope = (np.concatenate(each, axis=1) for each in zip(*parts, strict=True))
        return value, slope
    low, high = in_time.centres[0], in_time.centres[-1]
    member, gradient = in_time.weights(np.clip(positions, low, high))
    total, change = (np.asarray(part.sum(axis=0)) for part in (member, gradient))
    value = np.asarray((member.T @ values.T).T) / total
    slope = (np.asarray((gradient.T @ values.T).T) - value * change) / total
    return value, np.where((positions < low) | (positions > high), 0.0, slope)
