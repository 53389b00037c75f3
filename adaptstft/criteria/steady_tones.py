"""Weak steady tones, such as hum or a pilot tone, which do not count in the choice of a window length.

The spectrum of a tone that lasts as long as the signal becomes narrower with the window, without limit. In a
description length such a tone lengthens the best window, even if it has a hundredth of the power of the rest. Like the
mean and a trend it is the same at all times, so that it needs no short-time transform.
"""

from __future__ import annotations

import numpy as np
from scipy import fft as fft_lib

from adaptstft.common.precision import comparison_precision
from adaptstft.common.typing import AnyArray, ComplexArray, Float64Array
from adaptstft.criteria.distortion import SignalLevel, energy_of
from adaptstft.criteria.whitening import whiten

#: Largest share of steady tones, all together, in the power. Stronger ones are the signal.
LARGEST_SHARE = 0.05
#: Least noise floor of whitened noise relative to its power. It is near 1 for noise with a smooth spectrum, and was at
#: most 0.53 on 26 recordings.
_NOISE = 0.7
#: Parts of the signal whose amplitudes are compared, and the largest standard deviation relative to their mean.
_PARTS, _STEADY = 8, 0.2
#: Power of a line relative to the median of the bins around it, and number of these bins.
_PROMINENT, _AROUND = 100.0, 64
#: Fewest periods in the signal: the parts must resolve a tone from its mirror image.
_FEWEST_PERIODS = 64
#: Number of lines that are examined, the strongest first, and bins between two of them.
_MOST_LINES, _APART = 32, 4
#: Longest signal that is examined in samples, since its spectrum takes several times its memory.
_LONGEST = 1 << 22
#: Number of samples of a tone that are computed at once.
_PIECE = 1 << 18


def without_steady_tones(x: AnyArray) -> tuple[AnyArray, list[float]]:
    """Remove steady tones that together have a small share of the power, unless all else is noise.

    A steady tone has the same frequency, amplitude and phase in all eighths of the signal. Signals of more than 2**22
    samples are not examined.

    Parameters
    ----------
    x : ndarray, shape (channels, n)
        Real or complex signal of order one.

    Returns
    -------
    cleaned : ndarray, shape (channels, n)
        The signal without the tones; `x` itself if there are none, if they are stronger, or if all else is noise.
    frequencies : list of float
        Their frequencies in cycles per sample, ascending.
    """
    found = [(channel, *tone) for channel, own in enumerate(x) for tone in _steady_tones(own)]
    if not found:
        return x, []
    sides = 1 if np.iscomplexobj(x) else 2  # a real tone has half of its power at the negative frequency
    power = sum(sides * abs(amplitude) ** 2 for _, _, amplitude in found) / len(x)
    if power > LARGEST_SHARE * energy_of(x) / x.size:
        return x, []
    cleaned = x.astype(np.result_type(x.dtype, np.float64))
    for channel, frequency, amplitude in found:
        for first in range(0, x.shape[-1], _PIECE):
            part = cleaned[channel, first : first + _PIECE]
            tone = amplitude / _carrier(frequency, part.size, first)
            part -= tone if np.iscomplexobj(x) else 2 * tone.real
    rest = SignalLevel.of_signal(whiten(cleaned))
    if rest.floor > _NOISE * rest.power:
        return x, []
    return cleaned.astype(x.dtype, copy=False), sorted({frequency for _, frequency, _ in found})


def _steady_tones(x: AnyArray) -> list[tuple[float, complex]]:
    """Return frequency and complex amplitude of the steady tones of one channel, strong ones too."""
    found: list[tuple[float, complex]] = []
    for line in _lines(x):
        frequency, amplitudes = _tracked(x, line)
        mean = complex(amplitudes.mean())
        steady = np.std(amplitudes) <= _STEADY * abs(mean)
        if steady and all(abs(frequency - other) * x.size > _APART for other, _ in found):
            found.append((frequency, mean))
    return found


def _lines(x: AnyArray) -> Float64Array:
    """Return the frequencies of the most prominent bins that are as strong in all parts, the strongest first."""
    n = x.size
    if not 4 * _FEWEST_PERIODS <= n <= _LONGEST:
        return np.zeros(0)
    power = _power(x)
    blocks = power[: power.size // _AROUND * _AROUND].reshape(-1, _AROUND)
    medians = np.repeat(np.median(blocks, axis=1), _AROUND)
    medians = np.append(medians, np.full(power.size - medians.size, medians[-1]))
    number = np.arange(power.size)
    allowed = (np.minimum(number, n - number) >= _FEWEST_PERIODS) & (np.abs(2 * number - n) >= _FEWEST_PERIODS)
    peak = (power >= np.roll(power, 1)) & (power >= np.roll(power, -1)) & (power > _PROMINENT * medians)
    lines = np.flatnonzero(peak & allowed)
    lines = lines[np.argsort(power[lines], kind="stable")[::-1][:_MOST_LINES]]
    if not lines.size:
        return np.zeros(0)
    size = n // _PARTS
    level = np.sqrt(_power(x[: _PARTS * size].reshape(_PARTS, size)))
    level = level[:, np.rint(lines / n * size).astype(np.int64) % level.shape[1]]
    lines = lines[level.std(axis=0) <= _STEADY * level.mean(axis=0)]
    return np.asarray(np.where(lines > n // 2, lines - n, lines) / n)


def _power(x: AnyArray) -> Float64Array:
    """Return the power spectrum over the last axis with a Hann window, one-sided for real signals.

    SciPy keeps what it has computed for an FFT of this length: half as much in single precision.
    """
    windowed = comparison_precision(x)
    windowed = windowed * np.hanning(x.shape[-1]).astype(windowed.real.dtype)
    spectrum = np.asarray(fft_lib.fft(windowed) if np.iscomplexobj(x) else fft_lib.rfft(windowed))
    return np.asarray(spectrum.real**2 + spectrum.imag**2)


def _tracked(x: AnyArray, frequency: float) -> tuple[float, ComplexArray]:
    """Improve the frequency of a line by the phases of the parts; return it with their complex amplitudes."""
    for _ in range(3):
        amplitudes = _amplitudes(x, frequency)
        turn = np.angle(np.sum(amplitudes[1:] * amplitudes[:-1].conj()))
        frequency += float(turn) / (2 * np.pi * (x.size // _PARTS))
    return frequency, _amplitudes(x, frequency)


def _amplitudes(x: AnyArray, frequency: float) -> ComplexArray:
    """Return the complex amplitude of a tone in each part, with the phase at the first sample of the signal."""
    size = x.size // _PARTS
    window = np.hanning(size)
    starts = range(0, _PARTS * size, size)
    sums = [np.sum(x[first : first + size] * window * _carrier(frequency, size, first)) for first in starts]
    return np.asarray(np.array(sums) / window.sum())


def _carrier(frequency: float, n: int, first: int = 0) -> ComplexArray:
    """Return ``exp(-2j pi f k)`` for ``first <= k < first + n``, by few exponentials."""
    size = int(np.ceil(np.sqrt(n)))
    fine, coarse = (np.exp(-2j * np.pi * frequency * k) for k in (np.arange(size), first + size * np.arange(size)))
    return np.asarray(np.multiply.outer(coarse, fine).ravel()[:n])
