r"""A filter that makes the smooth part of a spectrum flat: noise with a smooth spectrum becomes white noise.

The smooth part is a model of the logarithm of the power with few parameters: a parabola in the logarithm of the
frequency, for powers of the frequency, and two cosines of the frequency, for the poles and zeros of short filters. It
is fitted to the medians of bands, which single lines do not change. Lines, bursts and sweeps therefore remain.
"""

from __future__ import annotations

import itertools

import numpy as np
from scipy import fft as fft_lib

from adaptstft.common.levels import to_usual_level
from adaptstft.common.typing import AnyArray, Float64Array, IntArray

#: Bands of the spectrum: in each octave, and the least number of bins of a band.
_PER_OCTAVE, _LEAST_BINS = 3, 8
#: Weight of the squares of the coefficients of all terms but a power law, in bins: few bands do not determine them.
_RIDGE = 100.0
#: Number of cosines in the model.
_COSINES = 2


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
    """Filter real signals, shape (..., channels, n), by their cosine transform; parts of a channel have one filter."""
    coefficients = np.asarray(fft_lib.dct(x.astype(float), axis=-1))
    power = coefficients**2
    gains = _gains(power if x.ndim == 2 else power.mean(axis=0), np.arange(x.shape[-1]) / (2 * x.shape[-1]))
    return np.asarray(fft_lib.idct(coefficients * gains, axis=-1))


def _two_sided(x: AnyArray) -> AnyArray:
    """Filter complex signals, shape (channels, n), by a model for each sign of the frequency."""
    n = x.shape[-1]
    spectrum = np.asarray(fft_lib.fft(x, axis=-1))
    power = spectrum.real**2 + spectrum.imag**2
    gains = np.zeros(x.shape)
    for sign, count in ((1, (n + 1) // 2), (-1, n // 2 + 1)):
        bins = sign * np.arange(count)
        gains[:, bins] = _gains(power[:, bins], np.arange(count) / n)
    return np.asarray(fft_lib.ifft(spectrum * gains, axis=-1))


def _gains(power: Float64Array, frequencies: Float64Array) -> Float64Array:
    """Return the gains that bring the smooth part of a power spectrum to one, shape (channels, bins); zero at zero."""
    edges = _band_edges(power.shape[-1])
    gains = np.zeros(power.shape)
    if edges.size < 2:
        return gains
    counts = np.diff(edges)
    terms = _terms(frequencies, counts[0])
    of_bands = np.add.reduceat(terms, edges[:-1], axis=1) / counts
    ridge = np.diag(np.sqrt([0.0, 0.0] + [_RIDGE] * (len(terms) - 2)))
    system = np.concatenate([(of_bands * np.sqrt(counts)).T, ridge])
    for own, channel in zip(gains, power, strict=True):
        medians = [_median(channel[first:end]) for first, end in itertools.pairwise(edges)]
        levels = np.log(np.maximum(medians, np.finfo(float).tiny))
        known = np.concatenate([levels * np.sqrt(counts), np.zeros(len(terms))])
        own[1:] = np.exp(-0.5 * (np.linalg.lstsq(system, known, rcond=None)[0] @ terms[:, 1:]))
        # in the first band the model may rise towards zero, but not fall: rounding and the ends would be amplified
        middle = (1 + edges[1]) // 2
        own[1:middle] = np.minimum(own[1:middle], own[middle])
    return gains


def _median(values: Float64Array) -> float:
    """Return the median; `numpy.median` takes longer for its checks than for a band."""
    high = values.size // 2
    low = high - 1 + values.size % 2
    ordered = np.partition(values, (low, high))
    return float((ordered[low] + ordered[high]) / 2)


def _band_edges(bins: int) -> IntArray:
    """Return the first bin of each band and the end of the last one, without the bin at zero."""
    edges = [1]
    while (after := max(edges[-1] + _LEAST_BINS, round(edges[-1] * 2 ** (1 / _PER_OCTAVE)))) + _LEAST_BINS <= bins:
        edges.append(after)
    return np.array([*edges, bins] if bins > 1 else edges)


def _terms(frequencies: Float64Array, first: int) -> Float64Array:
    """Return the terms of the model at each bin, shape (terms, bins).

    Below the mean of the `first` bins after zero, the parabola is continued by its tangent.
    """
    log = np.log(np.maximum(frequencies, frequencies[1]) / frequencies[-1])
    lowest = float(log[1 : 1 + first].mean())
    parabola = np.where(log < lowest, lowest * (2 * log - lowest), log**2)
    cosines = [np.cos(2 * np.pi * (k + 1) * frequencies) for k in range(_COSINES)]
    return np.array([np.ones(log.size), log, parabola, *cosines])
