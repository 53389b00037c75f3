r"""How strong the white noise in a signal is, from the signal alone.

The energies of the bins of pure white noise are alike all over the time-frequency plane; a signal only adds to them.
The plane is divided into tiles of several bins. Where a tile holds noise alone, its mean energy follows closely
a gamma distribution of which both moments are known from the window, overlapping and neighbouring bins
included. The level is that at which a low quantile of all tiles' means equals the same quantile of this
distribution: a tenth of the plane free of signal is enough.

That holds if the noise is white. The level of each of a few bands of frequencies, found in the same way, tells whether
it can be: noise that is weaker in some of them gives its level there to the whole. Bands that a signal fills all the
time have higher levels as well, but the energies of their bins are mostly less alike than those of noise, of which the
geometric mean is ``exp(-0.577)`` of the mean.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import fft, special

from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.common.validation import as_numbers, show

#: Longest window, and the sides of a tile in frames and bins.
_LONGEST, _TILE = 256, 16
#: Share of the tiles that are taken to be free of signal.
_FREE = 0.1
#: Fewest tiles whose quantile is used.
_FEWEST = 20
#: Bands of frequencies whose levels are compared, how many may hold a signal all the time, and fewest tiles of one.
_BANDS, _MOST_FILLED, _FEWEST_IN_BAND = 7, 1, 2
#: Least ratio of the geometric mean to the mean of energies that are taken for those of noise.
_FLAT = 0.4
#: Share of the mean energy below which noise is not missed in a comparison.
_FAINT = 1e-4
#: Share of exact zeros from which a frame is digital silence, without noise; and fewest others that are enough.
_MOST_ZEROS, _FEWEST_FRAMES = 0.1, 32
#: Fewest samples from which a level is estimated.
_FEWEST_ESTIMATED = 128
#: How far above the level bands of frequencies are before the noise is not taken for white.
_MOST_EXCESS = 2.0


@dataclass(frozen=True)
class NoiseLevel:
    """The noise of a channel.

    Attributes
    ----------
    std : float
        Standard deviation of white noise, 0 in a silent channel; of complex noise the root of the mean of
        ``|noise|**2``.
    excess : float
        What the second loudest of seven bands of frequencies, taken alone, has for a level, relative to `std`; bands
        that hold more than noise even where they are quietest, or next to nothing, are left out. Near 1 for white
        noise, more for coloured noise. 1 where the signal is too short to tell.
    """

    std: float
    excess: float = 1.0


def measure_noise(x: AnyArray) -> list[NoiseLevel]:
    """Estimate the level of white noise in each channel of `x`, shape (channels, n)."""
    length, tile = _sizes(x.shape[-1])
    return [_level(channel, length, tile) for channel in x]


def noise_levels(x: AnyArray) -> Float64Array:
    """Estimate the standard deviation of white noise in each channel of `x`, shape (channels, n); 0 in a silent one.

    Of complex noise it is the root of the mean of ``|noise|**2``.
    """
    return np.array([level.std for level in measure_noise(x)])


def check_noise(signal: AnyArray, noise_std: Any, *, stacklevel: int) -> Float64Array:
    """Noise of each channel of a signal, shape (..., n), given or estimated; 0 where it is silent.

    A warning of noise that does not look white is that of the caller `stacklevel` calls up, 1 being this function.
    """
    lead, n = signal.shape[:-1], signal.shape[-1]
    if noise_std is None:
        if n < _FEWEST_ESTIMATED:
            raise ValueError(
                f"x has {n} samples, from which no noise level can be estimated (at least {_FEWEST_ESTIMATED}): "
                "give noise_std"
            )
        channels = signal.reshape(-1, n).astype(np.result_type(signal.dtype, np.float64), copy=False)
        found = measure_noise(channels)
        _warn_if_coloured(found, stacklevel + 1)
        return np.array([noise.std for noise in found])
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


def _warn_if_coloured(found: list[NoiseLevel], stacklevel: int) -> None:
    """Warn if the noise of a channel is not white: the level is too low then for most of it."""
    worst = int(np.argmax([noise.excess for noise in found]))
    noise = found[worst]
    if noise.excess > _MOST_EXCESS:
        of = f" of channel {worst}" if len(found) > 1 else ""
        warnings.warn(
            f"the noise{of} does not look white: its estimated level is {noise.std:.3g}, but a quarter of the "
            f"frequencies have at least {noise.excess:.2g} times that, and such noise stays: whiten the signal, or "
            "resample it to the rate that it was recorded at, or give noise_std",
            UserWarning,
            stacklevel=stacklevel,
        )


def _sizes(n: int) -> tuple[int, int]:
    """Window length and side of a tile for `n` samples: as long and large as leaves enough tiles."""
    for length, tile in ((_LONGEST, _TILE), (_LONGEST, _TILE // 2), (64, _TILE // 2), (64, 4), (32, 2)):
        tiles = max(0, 2 * n // length - 1) // tile * ((length // 2 - 3) // tile)
        if tiles >= _FEWEST:
            return length, tile
    return min(16, n), 1


def _hann(length: int) -> Float64Array:
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(length) + 0.5) / length))


def _level(x: AnyArray, length: int, tile: int) -> NoiseLevel:
    peak = float(max(np.abs(x.real).max(), np.abs(x.imag).max()))
    if peak == 0:
        return NoiseLevel(0.0)
    w = _hann(length)
    hop = max(length // 2, 1)
    rows = np.lib.stride_tricks.sliding_window_view(x, length)[::hop]
    step = tile * max(1, (1 << 20) // (tile * length))
    parts = [rows[low : low + step] for low in range(0, len(rows), step)]  # all frames take four times the memory
    sounding = [np.mean(part == 0, axis=1) <= _MOST_ZEROS for part in parts]
    if sum(map(np.count_nonzero, sounding)) < _FEWEST_FRAMES:  # zeros are what the recording is made of
        sounding = [np.ones(len(part), dtype=bool) for part in parts]
    means, logs = [], []
    for part, heard in zip(parts, sounding, strict=True):
        if not heard.any():
            continue
        spectra = fft.fft(part[heard] / peak * w, axis=1)
        # of a real signal half the bins, without those next to 0 and the Nyquist frequency, which are real there
        spectra = spectra[:, 2 : length // 2 - 1] if not np.iscomplexobj(x) and length >= 8 else spectra
        energy = np.abs(spectra) ** 2
        means.append(_tile_means(energy, tile))
        logs.append(_tile_means(np.log(np.maximum(energy, np.finfo(float).tiny)), tile))
    values = np.concatenate(means) / (w @ w)
    geometric = np.exp(np.concatenate(logs)) / (w @ w)
    shape = _tile_shape(w, hop, tile)
    low = special.gammaincinv(shape, _FREE) / shape
    level = float(np.quantile(values, _FREE) / low)
    if level <= 0:
        raise ValueError("x has no noise in its quietest parts: its level cannot be told, give noise_std")
    return NoiseLevel(peak * float(np.sqrt(level)), _excess(values, geometric, level * low))


def _excess(values: Float64Array, geometric: Float64Array, quantile: float) -> float:
    """Compare the quantiles of bands of noise with that of all.

    Means and geometric means of tiles are given, shape (times, frequencies).
    """
    rows, columns = values.shape
    if columns < _BANDS or rows * (columns // _BANDS) < _FEWEST_IN_BAND:
        return 1.0
    found = np.zeros(_BANDS)
    for k, part in enumerate(np.array_split(np.arange(columns), _BANDS)):
        means, others = values[:, part].ravel(), geometric[:, part].ravel()
        quiet = np.argsort(means)[: max(means.size // 4, 2)]
        level = np.quantile(means, _FREE)
        if level >= _FAINT * values.mean() and np.median(others[quiet]) >= _FLAT * np.median(means[quiet]):
            found[k] = level
    return max(float(np.sqrt(np.sort(found)[-1 - _MOST_FILLED] / quantile)), 1.0)


def _tile_means(energy: Float64Array, tile: int) -> Float64Array:
    """Means over whole tiles, shape (times, frequencies).

    What is left over at the ends is left out, unless it is all there is.
    """
    frames, bins = energy.shape
    rows, columns = min(tile, frames), min(tile, bins)
    energy = energy[: frames // rows * rows, : bins // columns * columns]
    return np.asarray(energy.reshape(-1, rows, energy.shape[1] // columns, columns).mean(axis=(1, 3)))


def _tile_shape(w: Float64Array, hop: int, tile: int) -> float:
    """Shape of the gamma distribution of a tile's mean: the number of independent bins that vary as much."""
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
