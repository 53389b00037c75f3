r"""A filter that makes the smooth part of a spectrum flat: noise with a smooth spectrum becomes white noise.

The smooth part is a model of the logarithm of the power with few parameters: a parabola in the logarithm of the
frequency, for powers of the frequency, and two cosines of the frequency, for the poles and zeros of short filters. It
is fitted to the medians of bands, which single lines do not change. Lines, bursts and sweeps therefore remain.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from functools import lru_cache

import numpy as np
from scipy import fft as fft_lib

from adaptstft.common.levels import to_usual_level
from adaptstft.common.typing import AnyArray, Float64Array, IntArray

#: Bands of the spectrum: in each octave, and the least number of bins of a band.
_PER_OCTAVE, _LEAST_BINS = 3, 8
#: Weight of the squares of the coefficients of all terms but a power law, in bins: few bands do not determine them.
_RIDGE = 100.0
#: Number of terms of the model: a parabola and two cosines.
_TERMS = 5
#: Largest number of samples that are transformed at once, without mirrored ones: SciPy keeps what it has computed for
#: an FFT of a length.
_LONGEST = 1 << 19
#: Largest number of samples that are added to a signal for a fast cosine transform, relative to its length.
_MOST_MIRRORED = 1 / 16
#: Number of bins whose terms are computed at once.
_PIECE = 1 << 16


def whiten(x: AnyArray) -> AnyArray:
    """Return a signal whose smooth spectrum is flat, of the same shape, by a filter with zero phase.

    Parameters
    ----------
    x : ndarray, shape (channels, n)
        Real or complex signal. Each channel has a filter of its own.

    Returns
    -------
    ndarray, shape (channels, n)
        The filtered signal in double precision, without its mean.
    """
    x, _ = to_usual_level(x)  # the result does not depend on the level, but powers could underflow or overflow
    if not np.iscomplexobj(x):
        return _filtered(x)
    # the same filter for both signs of the frequency, whose mirrored extension has no jump at the ends; then one each
    y = _filtered(np.stack([x.real, x.imag]))
    return _two_sided(y[0] + 1j * y[1])


def _filtered(x: AnyArray) -> Float64Array:
    """Filter real signals, shape (..., channels, n), by their cosine transform; parts of a channel have one filter.

    Long signals are transformed in stretches of the same length, the last two of which may overlap. A cosine transform
    continues a signal by its mirror image; a stretch already has the first samples of it on both sides, up to a length
    for which the transform is fast.
    """
    n = x.shape[-1]
    count = -(-n // _LONGEST)
    size = -(-n // count)
    starts = [min(k * size, n - size) for k in range(count)]
    more = _mirrored_samples(size)
    spectra = [np.asarray(fft_lib.dct(_with_mirrored(x[..., a : a + size], more), axis=-1)) for a in starts]
    power = spectra[0] ** 2
    for other in spectra[1:]:
        power += other**2
    gains = _to_gains(power if x.ndim == 2 else power.mean(axis=0), 2 * power.shape[-1])
    found = np.empty(x.shape)
    for a in reversed(starts):
        part = spectra.pop()
        part *= gains
        found[..., a : a + size] = fft_lib.idct(part, axis=-1, overwrite_x=True)[..., more : more + size]
    return found


def _mirrored_samples(size: int) -> int:
    """Return how many samples on each side bring a signal to a length for which a cosine transform is fast.

    The number is zero if they would be more than a small part of the signal.
    """
    longer = int(fft_lib.next_fast_len(size))
    while (longer - size) % 2:  # the same number on both sides: the result does not depend on the direction of time
        longer = int(fft_lib.next_fast_len(longer + 1))
    return (longer - size) // 2 if longer <= size * (1 + _MOST_MIRRORED) else 0


def _with_mirrored(x: AnyArray, more: int) -> Float64Array:
    """Return a signal in double precision with `more` samples of its mirror image on both sides."""
    x = x.astype(float, copy=False)
    return np.concatenate([x[..., :more][..., ::-1], x, x[..., x.shape[-1] - more :][..., ::-1]], axis=-1)


def _two_sided(x: AnyArray) -> AnyArray:
    """Filter complex signals, shape (channels, n), by a model for each sign of the frequency."""
    n = x.shape[-1]
    spectrum = np.asarray(fft_lib.fft(x, axis=-1))
    power = spectrum.real**2 + spectrum.imag**2
    gains = np.zeros(x.shape)
    for sign, count in ((1, (n + 1) // 2), (-1, n // 2 + 1)):
        bins = sign * np.arange(count)
        gains[:, bins] = _to_gains(power[:, bins], n)
    return np.asarray(fft_lib.ifft(spectrum * gains, axis=-1))


def _to_gains(power: Float64Array, period: int) -> Float64Array:
    """Turn a power spectrum into the gains that bring its smooth part to one, in place; zero at zero.

    The shape is (channels, bins). Bin ``q`` is at ``q / period`` cycles per sample.
    """
    edges = _band_edges(power.shape[-1])
    if edges.size < 2:
        power[:] = 0.0
        return power
    counts = np.diff(edges)

    @lru_cache(maxsize=1)  # a short spectrum has one part, whose terms are needed more than once
    def model(first: int, end: int) -> Float64Array:
        return _terms(power.shape[-1] - 1, period, counts[0], slice(first, end))

    of_bands = np.zeros((_TERMS, counts.size))
    for part in _parts(1, power.shape[-1]):
        low, high = np.searchsorted(edges, part.start, "right") - 1, np.searchsorted(edges, part.stop)
        begins = np.maximum(edges[low:high] - part.start, 0)
        of_bands[:, low:high] += np.add.reduceat(model(part.start, part.stop), begins, axis=1)
    of_bands /= counts
    ridge = np.diag(np.sqrt([0.0, 0.0] + [_RIDGE] * (len(of_bands) - 2)))
    system = np.concatenate([(of_bands * np.sqrt(counts)).T, ridge])
    for own in power:
        medians = [_median(own[first:end]) for first, end in itertools.pairwise(edges)]
        levels = np.log(np.maximum(medians, np.finfo(float).tiny))
        known = np.concatenate([levels * np.sqrt(counts), np.zeros(len(of_bands))])
        weights = np.linalg.lstsq(system, known, rcond=None)[0]
        for part in _parts(1, own.size):
            own[part] = np.exp(-0.5 * (weights @ model(part.start, part.stop)))
        # in the first band the model may rise towards zero, but not fall: rounding and the ends would be amplified
        middle = (1 + edges[1]) // 2
        own[1:middle] = np.minimum(own[1:middle], own[middle])
        own[0] = 0.0
    return power


def _median(values: Float64Array) -> float:
    """Return the median; `numpy.median` takes longer for its checks than for a band."""
    values, high = values.copy(), values.size // 2
    values.partition(high)
    upper = float(values[high])
    return upper if values.size % 2 else (float(values[:high].max()) + upper) / 2


def _band_edges(bins: int) -> IntArray:
    """Return the first bin of each band and the end of the last one, without the bin at zero."""
    edges = [1]
    while (after := max(edges[-1] + _LEAST_BINS, round(edges[-1] * 2 ** (1 / _PER_OCTAVE)))) + _LEAST_BINS <= bins:
        edges.append(after)
    return np.array([*edges, bins] if bins > 1 else edges)


def _parts(first: int, end: int) -> Iterator[slice]:
    """Return ranges of bins whose terms take little memory."""
    return (slice(begin, min(begin + _PIECE, end)) for begin in range(first, end, _PIECE))


def _terms(last: int, period: int, first: int, part: slice) -> Float64Array:
    """Return the terms of the model at some bins after zero, of which `last` is the last one, shape (terms, bins).

    Below the mean of the `first` bins after zero, the parabola is continued by its tangent.
    """
    frequencies, highest = np.arange(part.start, part.stop) / period, last / period
    log = np.log(frequencies / highest)
    lowest = float(np.log(np.arange(1, 1 + first) / period / highest).mean())
    parabola = np.where(log < lowest, lowest * (2 * log - lowest), log**2)
    # single precision is enough for a model, and a fifth of the time
    cosine = np.cos((2 * np.pi * frequencies).astype(np.float32)).astype(float)
    doubled = 2 * cosine**2 - 1  # the cosine of twice the frequency
    return np.array([np.ones(log.size), log, parabola, cosine, doubled])
