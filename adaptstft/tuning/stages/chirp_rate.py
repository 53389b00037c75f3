r"""Local chirp rates of a signal, and the window length for each rate.

Around a component with the chirp rate ``c`` (in Hz/s) the frame of a Gaussian window of the standard deviation
``sigma``, as a function of time, has the complex variance ``1 / (1 / sigma**2 - 2j pi c)`` (exactly so for a linear
chirp of constant amplitude). It follows from three transforms, with the window, the window times t, and the window
times t squared; this is the modulation operator of the second-order synchrosqueezing transform [1]_.

The spectrogram of a chirp is narrowest for a Gaussian window with ``sigma = 1 / sqrt(2 pi |c|)`` [2]_.

References
----------
.. [1] R. Behera, S. Meignen, T. Oberlin, "Theoretical analysis of the second-order synchrosqueezing transform",
   Appl. Comput. Harmon. Anal. 45(2), 379-404, 2018.
.. [2] S.-C. Pei, S.-G. Huang, "STFT with adaptive window width based on the chirp rate", IEEE Trans. Signal Process.
   60(8), 4065-4080, 2012.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from scipy import fft as fft_lib

from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.windows import Window

#: Half-length of the Gaussian window, and hop, in standard deviations.
_REACH = 4.0
_HOP = 0.5
_BLOCK = 1 << 20
#: Number of times that the window is adapted to the measured rate.
_ROUNDS = 3
_POINTS = 4001
#: Smallest rate in cycles per sample squared, so that the length for a tone is finite.
_LEAST_RATE = 1e-100


@dataclass(frozen=True)
class ChirpRates:
    """Chirp rate of each frame.

    Attributes
    ----------
    positions : ndarray, shape (frames,)
        Centres of the frames in samples.
    rates : ndarray, shape (frames,)
        Magnitude of the chirp rate in cycles per sample squared, the median over frequency weighted by energy.
    energy : ndarray, shape (frames,)
        Energy of each frame.
    sigma : float
        Standard deviation of the window, in samples.
    """

    positions: Float64Array
    rates: Float64Array
    energy: Float64Array
    sigma: float

    def typical(self) -> float:
        """Return the median over time, weighted by energy."""
        return float(_weighted_median(self.rates[None], self.energy[None])[0])

    def at(self, positions: Float64Array) -> Float64Array:
        """Return the rate at other positions: the median, weighted by energy, of the frames within half a window."""
        reach = _REACH * self.sigma
        found = np.empty(positions.size)
        for i, time in enumerate(np.clip(positions, self.positions[0], self.positions[-1])):
            near = slice(*np.searchsorted(self.positions, [time - reach, time + reach + 1e-9]))
            found[i] = _weighted_median(self.rates[None, near], self.energy[None, near])[0]
        return found


def measure_rates(x: AnyArray, bounds: tuple[float, float]) -> ChirpRates:
    """Measure chirp rates with a window that is adapted to them.

    Parameters
    ----------
    x : ndarray, shape (channels, n)
        The signal.
    bounds : (float, float)
        Range of the length of the window, eight standard deviations, in samples.

    Returns
    -------
    ChirpRates
        The rates.

    Examples
    --------
    >>> import numpy as np
    >>> from adaptstft.tuning.stages.chirp_rate import measure_rates
    >>> t = np.arange(4000) / 1000
    >>> rates = measure_rates(np.cos(2 * np.pi * (100 * t + 30 * t**2))[None], (16, 2000))
    >>> round(rates.typical() * 1000**2, 1)  # in Hz/s
    60.0
    """
    low, high = (min(bound, x.shape[1]) / (2 * _REACH) for bound in bounds)
    sigma = float(np.sqrt(low * high))
    for _ in range(_ROUNDS):
        found = _rates(x, sigma)
        wanted = float(np.clip(gaussian_width(found.typical()), low, high))
        if abs(np.log(wanted / sigma)) < 0.1:
            break
        sigma = wanted
    return found


def gaussian_width(rate: float) -> float:
    """Return ``1 / sqrt(2 pi |c|)``, the standard deviation in samples of the best Gaussian window."""
    return float(1 / np.sqrt(2 * np.pi * max(abs(rate), _LEAST_RATE)))


def balanced_length(window: Window, rates: Float64Array) -> Float64Array:
    """Return the window length at which the chirp rate spreads a component as much as the bandwidth of the window.

    The root mean square duration of the window times the rate equals its root mean square bandwidth. For a Gaussian
    window the standard deviation is then `gaussian_width`.
    """
    u = np.linspace(-0.5, 0.5, _POINTS)
    energy = np.sum(window(u) ** 2)
    duration = np.sqrt(np.sum((u * window(u)) ** 2) / energy)
    bandwidth = np.sqrt(np.sum(window.derivative(u) ** 2) / energy) / (2 * np.pi)
    return np.asarray(np.sqrt(bandwidth / duration / np.maximum(np.abs(rates), _LEAST_RATE)))


def _rates(x: AnyArray, sigma: float) -> ChirpRates:
    n = x.shape[1]
    reach = min(int(np.ceil(_REACH * sigma)), (n - 1) // 2)  # frames that reach over an end would measure the cut
    t = np.arange(-reach, reach + 1.0)
    windows: Float64Array = np.exp(-0.5 * (t / sigma) ** 2) * t ** np.arange(3.0)[:, None]
    starts = np.arange(0, n - t.size + 1, max(1, round(_HOP * sigma)))
    everywhere = sliding_window_view(x, t.size, axis=1)
    mfft = int(fft_lib.next_fast_len(t.size, real=not np.iscomplexobj(x)))
    rates, energy = np.empty(starts.size), np.empty(starts.size)
    step = max(1, _BLOCK // (mfft * len(x)))
    for first in range(0, starts.size, step):
        part = slice(first, first + step)
        rates[part], energy[part] = _frame_rates(everywhere[:, starts[part]], windows, mfft)
    return ChirpRates(starts + float(reach), rates, energy, sigma)


def _frame_rates(frames: AnyArray, windows: Float64Array, mfft: int) -> tuple[Float64Array, Float64Array]:
    """Return rate and energy of frames, shape (channels, frames, samples)."""
    transform = fft_lib.fft if np.iscomplexobj(frames) else fft_lib.rfft
    v0, v1, v2 = (np.moveaxis(transform(frames * w, mfft, axis=-1), 1, 0).reshape(frames.shape[1], -1) for w in windows)
    spread = v0 * v2 - v1**2
    alive = np.abs(spread) > np.finfo(float).tiny
    # the inverse of the complex variance of the frame
    inverse = np.where(alive, v0**2, 0) / np.where(alive, spread, 1)
    energy = np.abs(v0) ** 2 * alive
    return _weighted_median(np.abs(inverse.imag) / (2 * np.pi), energy), energy.sum(axis=1)


def _weighted_median(values: Float64Array, weights: Float64Array) -> Float64Array:
    """Return the weighted median of each row; zero for a row without weight."""
    order = np.argsort(values, axis=1)
    total = np.cumsum(np.take_along_axis(weights, order, axis=1), axis=1)
    place = np.argmax(total >= total[:, -1:] / 2, axis=1)
    return np.asarray(np.take_along_axis(values, order, axis=1)[np.arange(len(values)), place])
