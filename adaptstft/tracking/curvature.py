r"""Bias of the peaks of spectra by the curvature of the law of the frequency.

For a window ``w`` whose middle is its centre of gravity, the peak of the spectrum is an average of the frequencies
``f(t + s)`` in the window. The second moment of its weights is ``sum s**4 w / (3 sum s**2 w)``. So its bias is

.. math:: b = \frac{f''}{2} \frac{\sum s^4 w}{3 \sum s^2 w} .

The second derivative is that of a parabola through the frequencies around a frame. Its error in noise is known, and its
variance is subtracted from the squared bias.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np

from adaptstft.common.typing import Float64Array
from adaptstft.windows import Window

#: Frames farther apart than this, in window lengths, have independent errors.
INDEPENDENT = 0.4
#: Fewest frames of a parabola.
_FEWEST = 4


def squared_bias(
    window: Window,
    times: Float64Array,
    frequency: Float64Array,
    deviation: Float64Array,
    duration: Float64Array,
    kernels: ModuleType,
) -> Float64Array:
    """Return the squared bias of each frame in squared Hz.

    Parameters
    ----------
    window : Window
        The window function.
    times : ndarray, shape (frames,)
        Centres of the windows in seconds.
    frequency, deviation : ndarray, shape (frames,)
        Frequencies of the peaks and their standard deviations in noise, in Hz. Frames with infinite deviations do
        not count.
    duration : ndarray, shape (frames,)
        Durations of the windows in seconds.
    kernels : module
        The kernels of a backend.

    Returns
    -------
    ndarray, shape (frames,)
        Squared biases, averaged over one window; 0 where too few frames are near.
    """
    bend, variance = _second_derivatives(times, frequency, deviation, duration, kernels)
    u = (np.arange(512) + 0.5) / 512 - 0.5
    w = window(u)
    u = u - u @ w / w.sum()
    factor = duration**2 * (u**4 @ w) / (6 * (u**2 @ w))
    excess = factor**2 * (bend**2 - variance)
    low = np.searchsorted(times, times - duration / 2)
    high = np.searchsorted(times, times + duration / 2, side="right")
    total = np.concatenate([[0.0], np.cumsum(excess)])
    return np.asarray(np.maximum((total[high] - total[low]) / np.maximum(high - low, 1), 0.0))


def _second_derivatives(
    times: Float64Array, values: Float64Array, deviation: Float64Array, reach: Float64Array, kernels: ModuleType
) -> tuple[Float64Array, Float64Array]:
    """Second derivatives of parabolas through the values within `reach` of each time, and their variances."""
    usable = np.isfinite(deviation)
    t = times[usable]
    low, high = np.searchsorted(t, times - reach), np.searchsorted(t, times + reach, side="right")
    high = np.where(high - low < _FEWEST, low, high)
    second, variance = np.empty((2, times.size))
    least = float(np.finfo(float).eps)
    kernels.second_derivatives(t, values[usable], deviation[usable], low, high, least, second, variance)
    # neighbours in less than `INDEPENDENT` windows have nearly the same error
    spacing = np.zeros(times.size)
    some = high > low
    spacing[some] = (t[high[some] - 1] - t[low[some]]) / (high - low - 1)[some]
    together = np.divide(INDEPENDENT * reach, spacing, out=np.ones_like(spacing), where=spacing > 0)
    return second, variance * np.maximum(together, 1.0)
