"""A band of frequencies of a signal: a filter with zero phase, and the band shifted to zero frequency."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import fft as fft_lib

from adaptstft.common.levels import times_power_of_two, to_usual_level
from adaptstft.common.typing import AnyArray, Float64Array

#: Share of the band that each of its raised-cosine edges has.
EDGE_SHARE = 0.1
#: Length of the continuation of a signal, times the width of an edge.
_CONTINUED = 4.0
#: Order of the linear prediction that continues a signal, and the largest number of samples that it is fitted to.
_ORDER, _FITTED = 32, 4096


@dataclass(frozen=True)
class BandPass:
    """A filter for the frequencies from `low` to `high`.

    The signal is continued by linear prediction before it is filtered: from a jump at the ends, a strong line outside
    the band would leak into it.

    Attributes
    ----------
    low, high : float
        Range of frequencies in Hz. The gain is zero outside, and one inside but for the edges. There is no edge at an
        end of the spectrum: at 0 Hz for real signals, and at half the sampling frequency.
    fs : float
        Sampling frequency in Hz.
    edge : float, optional
        Width of an edge in Hz; a tenth of the band by default.
    """

    low: float
    high: float
    fs: float
    edge: float | None = None

    @property
    def _width(self) -> float:
        return EDGE_SHARE * (self.high - self.low) if self.edge is None else self.edge

    def passed(self, x: AnyArray) -> AnyArray:
        """Return signals ``x``, shape (channels, n), in the band only, of the same shape and type."""
        n, pad = x.shape[-1], self._continuation(x.shape[-1])
        spectrum, size, exponent = _spectrum(x, pad)
        if np.iscomplexobj(x):
            found = fft_lib.ifft(spectrum * self._gains(np.fft.fftfreq(size, 1 / self.fs), -self.fs / 2), axis=-1)
        else:
            found = fft_lib.irfft(spectrum * self._gains(np.fft.rfftfreq(size, 1 / self.fs), 0.0), size, axis=-1)
        return np.asarray(times_power_of_two(found[:, pad : pad + n], exponent).astype(x.dtype))

    def baseband(self, x: AnyArray) -> AnyArray:
        """Return the band of signals ``x``, shape (channels, n), as complex signals with the width of the band as rate.

        White noise keeps its variance. The edges of the band are those of a rectangle.
        """
        n, pad = x.shape[-1], self._continuation(x.shape[-1])
        spectrum, size, exponent = _spectrum(x, pad)
        first, last = np.ceil(self.low * size / self.fs), np.floor(self.high * size / self.fs)
        bins = np.arange(first, last + 1).astype(np.int64)
        if np.iscomplexobj(x):
            bins = bins[: spectrum.shape[-1]]  # -fs/2 and fs/2 are one frequency
        ratio = bins.size / size
        found = fft_lib.ifft(np.take(spectrum, bins, axis=-1, mode="wrap"), axis=-1) * np.sqrt(ratio)
        inside = found[:, int(np.ceil(pad * ratio)) : int(np.floor((pad + n) * ratio))]
        return np.asarray(times_power_of_two(inside, exponent))

    def _continuation(self, n: int) -> int:
        """Return the number of samples by which a signal is continued at each end: until the filter has died out."""
        return int(min(n, np.ceil(_CONTINUED * self.fs / self._width)))

    def _gains(self, frequencies: Float64Array, lowest: float) -> Float64Array:
        width = self._width
        rise = np.ones(frequencies.size) if self.low <= lowest else (frequencies - self.low) / width
        fall = np.ones(frequencies.size) if self.high >= self.fs / 2 else (self.high - frequencies) / width
        return np.asarray(np.sin(np.pi / 2 * np.clip(np.minimum(rise, fall), 0.0, 1.0)) ** 2)


def _spectrum(x: AnyArray, pad: int) -> tuple[AnyArray, int, int]:
    """Return the FFT of continued signals over a power of two, one-sided for real signals, its length and the exponent.

    Powers of the samples, which the prediction needs, would otherwise underflow or overflow.
    """
    x, exponent = to_usual_level(x)
    continued = np.concatenate([_continued(x[:, ::-1], pad)[:, ::-1], x, _continued(x, pad)], axis=-1)
    size = int(fft_lib.next_fast_len(continued.shape[-1], real=not np.iscomplexobj(x)))
    transform = fft_lib.fft if np.iscomplexobj(x) else fft_lib.rfft
    return np.asarray(transform(continued, size, axis=-1)), size, exponent


def _continued(x: AnyArray, count: int) -> AnyArray:
    """Return the `count` samples after the end of signals by linear prediction, with a fade to zero."""
    from scipy import signal  # a large import that nothing else in this module needs

    order = min(_ORDER, x.shape[-1] // 4)
    if order == 0:
        return np.zeros((len(x), count), x.dtype)
    coefficients = _prediction(x[:, -_FITTED:], order)
    found = np.empty((len(x), count), x.dtype)
    for own, polynomial, channel in zip(found, coefficients, x, strict=True):
        state = signal.lfiltic([1.0], polynomial, channel[: -order - 1 : -1])
        own[:] = signal.lfilter([1.0], polynomial, np.zeros(count), zi=state)[0]
    return np.asarray(found * np.cos(np.pi / 2 * (np.arange(count) + 0.5) / count) ** 2)


def _prediction(x: AnyArray, order: int) -> AnyArray:
    """Return the prediction error filter of signals by Burg's method, shape (channels, order + 1); it is stable [1]_.

    References
    ----------
    .. [1] S. M. Kay, "Modern Spectral Estimation", Prentice Hall, 1988, section 7.7.
    """
    forward, backward = x[:, 1:], x[:, :-1]
    filters = np.zeros((len(x), order + 1), x.dtype)
    filters[:, 0] = 1.0
    for m in range(1, order + 1):
        energy = np.sum(np.abs(forward) ** 2 + np.abs(backward) ** 2, axis=1, keepdims=True)
        product = np.sum(forward * backward.conj(), axis=1, keepdims=True)
        reflection = -2 * product / np.where(energy > 0, energy, 1.0)
        filters[:, : m + 1] = filters[:, : m + 1] + reflection * filters[:, m::-1].conj()
        forward, backward = (
            (forward + reflection * backward)[:, 1:],
            (backward + reflection.conj() * forward)[:, :-1],
        )
    return filters
