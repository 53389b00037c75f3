r"""Level of the white noise in a signal, estimated from the signal alone.

The bins of pure white noise have the same mean energy in all of the time-frequency plane. A signal only increases it.
The plane is divided into tiles of several bins. The mean energy of a tile of pure noise follows closely a gamma
distribution. Its two moments follow from the window, and include the correlation of overlapping frames and
neighbouring bins. The noise level is the one at which a low quantile of this distribution equals the same quantile of
the means of all tiles. It is enough if a tenth of the plane contains no signal.

This requires white noise. If the noise is weaker in some band of frequencies, that band determines the level of the
whole plane. To detect this, the level of each of a few bands is estimated in the same way and compared. A band that a
signal fills all the time has a higher level, too. But the energies of its bins usually vary more than those of noise,
where the geometric mean is ``exp(-0.577)`` of the mean.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import fft, special

from adaptstft.common.precision import over_peak
from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.common.validation import as_numbers, show

#: Longest window in samples, and largest side of a tile in frames and bins.
_LONGEST, _TILE = 256, 16
#: Fraction of the tiles that are assumed to contain no signal.
_FREE = 0.1
#: Least number of tiles for a quantile.
_FEWEST = 20
#: Number of bands of frequencies, how many of them a signal may fill all the time, and least number of tiles in a band.
_BANDS, _MOST_FILLED, _FEWEST_IN_BAND = 7, 1, 2
#: Energies are those of noise if the ratio of their geometric mean to their mean is at least this.
_FLAT = 0.4
#: Bands whose level is below this fraction of the mean energy are not compared.
_FAINT = 1e-4
#: A frame with a larger fraction of exact zeros is digital silence; it is left out if this many other frames remain.
_MOST_ZEROS, _FEWEST_FRAMES = 0.1, 32
#: Smallest number of samples for an estimate of the level.
_FEWEST_ESTIMATED = 128
#: Noise is not white if the level of a band exceeds that of the whole plane by more than this factor.
_MOST_EXCESS = 2.0


@dataclass(frozen=True)
class NoiseLevel:
    """The noise of a channel.

    Attributes
    ----------
    std : float
        Standard deviation of white noise, 0 in a silent channel. For complex noise the root of the mean of
        ``|noise|**2``.
    excess : float
        Level of the second loudest of seven bands of frequencies, relative to `std`. It is near 1 for white noise and
        larger for coloured noise. Bands with very little energy, and bands whose quietest tiles do not look like noise,
        are left out. 1 if the signal is too short for a comparison.
    """

    std: float
    excess: float = 1.0


def measure_noise(x: AnyArray) -> list[NoiseLevel]:
    """Estimate the level of white noise in each channel of `x`, shape (channels, n)."""
    length, tile = _sizes(x.shape[-1])
    return [_level(channel, length, tile) for channel in x]


def noise_levels(x: AnyArray) -> Float64Array:
    """Estimate the standard deviation of white noise in each channel of `x`, shape (channels, n); 0 in a silent one.

    For complex noise it is the root of the mean of ``|noise|**2``.
    """
    return np.array([level.std for level in measure_noise(x)])


def check_noise(signal: AnyArray, noise_std: Any, *, stacklevel: int) -> Float64Array:
    """Check or estimate the noise level of each channel of a signal, shape (..., n); 0 in silent channels.

    A warning about coloured noise is attributed to the caller `stacklevel` calls up; 1 is this function.
    """
    lead, n = signal.shape[:-1], signal.shape[-1]
    if noise_std is None:
        if n < _FEWEST_ESTIMATED:
            raise ValueError(
                f"x has {n} samples, from which no noise level can be estimated (at least {_FEWEST_ESTIMATED}): "
                "give noise_std"
            )
        channels = signal.reshape(-1, n).astype(np.result_type(signal.dtype, np.float64), copy=False)
        levels = measure_noise(channels)
        _warn_if_coloured(levels, stacklevel + 1)
        return np.array([noise.std for noise in levels])
    try:
        values = np.broadcast_to(as_numbers(noise_std), lead)
    except (TypeError, ValueError):
        raise ValueError(
            f"noise_std={show(noise_std)} must be one number, or one for each channel in the shape {lead}"
        ) from None
    bad = ~(np.isfinite(values) & (values > 0))
    if np.any(bad):
        raise ValueError(f"noise_std={float(values[bad].flat[0])!r} must be finite and greater than 0")
    return np.asarray(values.ravel())


def _warn_if_coloured(levels: list[NoiseLevel], stacklevel: int) -> None:
    """Warn if the noise of a channel is not white: its level is then too low for most frequencies."""
    worst = int(np.argmax([noise.excess for noise in levels]))
    noise = levels[worst]
    if noise.excess > _MOST_EXCESS:
        channel = f" of channel {worst}" if len(levels) > 1 else ""
        warnings.warn(
            f"the noise{channel} does not look white: its estimated level is {noise.std:.3g}, but a quarter of the "
            f"frequencies have at least {noise.excess:.2g} times this level, and their noise is not removed: whiten "
            "the signal, or resample it to the rate at which it was recorded, or give noise_std",
            UserWarning,
            stacklevel=stacklevel,
        )


def _sizes(n: int) -> tuple[int, int]:
    """Window length and side of a tile for `n` samples: the largest ones that give enough tiles."""
    for length, tile in ((_LONGEST, _TILE), (_LONGEST, _TILE // 2), (64, _TILE // 2), (64, 4), (32, 2)):
        tiles = max(0, 2 * n // length - 1) // tile * ((length // 2 - 3) // tile)
        if tiles >= _FEWEST:
            return length, tile
    return min(16, n), 1


def _hann(length: int) -> Float64Array:
    """Sample a Hann window, half a sample from its zeros at both ends."""
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(length) + 0.5) / length))


def _level(x: AnyArray, length: int, tile: int) -> NoiseLevel:
    """Estimate the noise level of one channel."""
    peak = float(max(np.abs(x.real).max(), np.abs(x.imag).max()))
    if peak == 0:
        return NoiseLevel(0.0)
    w = _hann(length)
    hop = max(length // 2, 1)
    means, logs = [], []
    for frames in _frames_with_noise(x, length, hop, tile):
        spectra = fft.fft(over_peak(frames, peak) * w, axis=1)
        if not np.iscomplexobj(x) and length >= 8:
            # half the bins of a real signal; those next to 0 and the Nyquist frequency are not complex noise
            spectra = spectra[:, 2 : length // 2 - 1]
        energy = np.abs(spectra) ** 2
        means.append(_tile_means(energy, tile))
        logs.append(_tile_means(np.log(np.maximum(energy, np.finfo(float).tiny)), tile))
    values = np.concatenate(means) / (w @ w)
    geometric = np.exp(np.concatenate(logs)) / (w @ w)
    shape = _tile_shape(w, hop, tile)
    low = special.gammaincinv(shape, _FREE) / shape
    level = float(np.quantile(values, _FREE) / low)
    if level <= 0:
        raise ValueError("x has no noise in its quietest parts, so its level cannot be estimated: give noise_std")
    return NoiseLevel(peak * float(np.sqrt(level)), _excess(values, geometric, level * low))


def _frames_with_noise(x: AnyArray, length: int, hop: int, tile: int) -> Iterator[AnyArray]:
    """Yield the frames of a channel in blocks of whole tiles, without those of digital silence.

    If hardly any frame would remain, zeros are part of the recording, and all frames are used.
    """
    rows = np.lib.stride_tricks.sliding_window_view(x, length)[::hop]
    step = tile * max(1, (1 << 20) // (tile * length))  # all frames at once would take four times the memory
    blocks = [rows[low : low + step] for low in range(0, len(rows), step)]
    noisy = [np.mean(block == 0, axis=1) <= _MOST_ZEROS for block in blocks]
    if sum(map(np.count_nonzero, noisy)) < _FEWEST_FRAMES:
        noisy = [np.ones(len(block), dtype=bool) for block in blocks]
    return (block[mask] for block, mask in zip(blocks, noisy, strict=True) if mask.any())


def _excess(values: Float64Array, geometric: Float64Array, quantile: float) -> float:
    """Level of the second loudest band of noise, relative to that of the whole plane; at least 1.

    `values` and `geometric` are the means and geometric means of tiles, shape (times, frequencies), and `quantile` is
    the quantile of the means of all tiles.
    """
    rows, columns = values.shape
    if columns < _BANDS or rows * (columns // _BANDS) < _FEWEST_IN_BAND:
        return 1.0
    levels = np.zeros(_BANDS)
    for k, part in enumerate(np.array_split(np.arange(columns), _BANDS)):
        means, geometric_means = values[:, part].ravel(), geometric[:, part].ravel()
        quiet = np.argsort(means)[: max(means.size // 4, 2)]
        level = np.quantile(means, _FREE)
        if level >= _FAINT * values.mean() and np.median(geometric_means[quiet]) >= _FLAT * np.median(means[quiet]):
            levels[k] = level
    return max(float(np.sqrt(np.sort(levels)[-1 - _MOST_FILLED] / quantile)), 1.0)


def _tile_means(energy: Float64Array, tile: int) -> Float64Array:
    """Means of `energy` over whole tiles, shape (times, frequencies).

    Frames and bins after the last whole tile are left out. If there is no whole tile, the tile is smaller.
    """
    frames, bins = energy.shape
    rows, columns = min(tile, frames), min(tile, bins)
    energy = energy[: frames // rows * rows, : bins // columns * columns]
    return np.asarray(energy.reshape(-1, rows, energy.shape[1] // columns, columns).mean(axis=(1, 3)))


def _tile_shape(w: Float64Array, hop: int, tile: int) -> float:
    """Shape of the gamma distribution of a tile's mean: the number of independent bins with the same variance."""
    variance = 0.0
    for frames in range(min(tile, -(-w.size // hop))):
        shifted = np.zeros(w.size)
        shifted[frames * hop :] = w[: w.size - frames * hop]
        overlap = np.abs(fft.fft(w * shifted) / (w @ w)) ** 2
        bins = np.arange(min(tile, w.size))
        both_sides = overlap[: bins.size] * np.where(bins > 0, 2, 1)
        pairs = (tile - bins) @ both_sides
        variance += (tile - frames) * (2 if frames else 1) * pairs
    return float(tile**4 / variance)
