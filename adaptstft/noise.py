r"""How strong the white noise in a signal is, from the signal alone.

The energies of the bins of pure white noise are alike all over the time-frequency plane; a signal only adds to them.
The plane is divided into tiles of several bins. Where a tile holds noise alone, its mean energy follows closely
a gamma distribution of which both moments are known from the window, overlapping and neighbouring bins
included. The level is that at which a low quantile of all tiles' means equals the same quantile of this
distribution: a tenth of the plane free of signal is enough.
"""

from __future__ import annotations

import numpy as np
from scipy import fft, special

from adaptstft._typing import AnyArray, Float64Array

#: Longest window, and the sides of a tile in frames and bins.
_LONGEST, _TILE = 256, 16
#: Share of the tiles that are taken to be free of signal.
_FREE = 0.1
#: Fewest tiles whose quantile is used.
_FEWEST = 20
#: Share of exact zeros from which a frame is digital silence, without noise; and fewest others that are enough.
_MOST_ZEROS, _FEWEST_FRAMES = 0.1, 32


def noise_levels(x: AnyArray) -> Float64Array:
    """Estimate the standard deviation of white noise in each channel of `x`, shape (channels, n); 0 in a silent one.

    Of complex noise it is the root of the mean of ``|noise|**2``.
    """
    length, tile = _sizes(x.shape[-1])
    return np.array([_level(channel, length, tile) for channel in x])


def _sizes(n: int) -> tuple[int, int]:
    """Window length and side of a tile for `n` samples: as long and large as leaves enough tiles."""
    for length, tile in ((_LONGEST, _TILE), (_LONGEST, _TILE // 2), (64, _TILE // 2), (64, 4), (32, 2)):
        tiles = max(0, 2 * n // length - 1) // tile * ((length // 2 - 3) // tile)
        if tiles >= _FEWEST:
            return length, tile
    return min(16, n), 1


def _hann(length: int) -> Float64Array:
    return np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * (np.arange(length) + 0.5) / length))


def _level(x: AnyArray, length: int, tile: int) -> float:
    peak = float(max(np.abs(x.real).max(), np.abs(x.imag).max()))
    if peak == 0:
        return 0.0
    w = _hann(length)
    hop = max(length // 2, 1)
    rows = np.lib.stride_tricks.sliding_window_view(x, length)[::hop]
    step = tile * max(1, (1 << 20) // (tile * length))
    parts = [rows[low : low + step] for low in range(0, len(rows), step)]  # all frames take four times the memory
    sounding = [np.mean(part == 0, axis=1) <= _MOST_ZEROS for part in parts]
    if sum(map(np.count_nonzero, sounding)) < _FEWEST_FRAMES:  # zeros are what the recording is made of
        sounding = [np.ones(len(part), dtype=bool) for part in parts]
    means = []
    for part, heard in zip(parts, sounding, strict=True):
        if not heard.any():
            continue
        spectra = fft.fft(part[heard] / peak * w, axis=1)
        # of a real signal half the bins, without those next to 0 and the Nyquist frequency, which are real there
        spectra = spectra[:, 2 : length // 2 - 1] if not np.iscomplexobj(x) and length >= 8 else spectra
        means.append(_tile_means(np.abs(spectra) ** 2, tile))
    values = np.concatenate(means) / (w @ w)
    shape = _tile_shape(w, hop, tile)
    level = float(np.quantile(values, _FREE) / (special.gammaincinv(shape, _FREE) / shape))
    if level <= 0:
        raise ValueError("x has no noise in its quietest parts: its level cannot be told, give noise_std")
    return peak * float(np.sqrt(level))


def _tile_means(energy: Float64Array, tile: int) -> Float64Array:
    """Means over whole tiles; what is left over at the ends is left out, unless it is all there is."""
    frames, bins = energy.shape
    rows, columns = min(tile, frames), min(tile, bins)
    energy = energy[: frames // rows * rows, : bins // columns * columns]
    return np.asarray(energy.reshape(-1, rows, energy.shape[1] // columns, columns).mean(axis=(1, 3)).ravel())


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
