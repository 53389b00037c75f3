r"""Ratio of the frame bounds, as a constraint of tuning.

With one window per frame, the frame bounds are the extremes of ``D[n] = sum_p |w_p(n)|**2``. Their ratio limits how
much the inverse transform amplifies changes of the coefficients. The extremes are not differentiable, so a descent
uses the smooth approximation

.. math::

    \tfrac1\beta \log \Big(\tfrac1N \sum_n D_n^{\beta}\Big) + \tfrac1\beta \log \Big(\tfrac1N \sum_n D_n^{-\beta}\Big)
    \le \log \frac{\max D}{\min D} .

The exact extremes decide whether a result is accepted.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy.special import logsumexp

from adaptstft.common.device import to_host
from adaptstft.common.typing import Float64Array
from adaptstft.engine.frames import Frames
from adaptstft.engine.gradients import Gradients
from adaptstft.engine.inverse import overlap_vjp, window_overlap
from adaptstft.engine.plan import FramePlan
from adaptstft.windows import Window

#: Sharpness of the smooth extremes.
_BETA = 16.0
#: Number of points per hop at which the overlap of regular frames is evaluated, and step of the log hop.
_PER_HOP = 32
_STEP = 0.01
#: Hop as a fraction of the window below which the ratio hardly changes: the ends of the signal determine it. Smaller
#: hops are only evaluated if the ratio at this one exceeds the limit.
_CLOSE = 1 / 64
#: Number of samples whose overlap is in memory at once where only its extremes are needed.
_STRETCH = 1 << 22
_TINY = float(np.finfo(float).tiny)


def log_ratio(plan: FramePlan, frames: Frames, n: int) -> float:
    """Logarithm of the ratio of the frame bounds for signals of ``n`` samples."""
    low, high, half = np.inf, 0.0, frames.win_length / 2 + 1
    for first in range(0, n, _STRETCH):
        last = min(first + _STRETCH, n)
        own = frames
        if n > _STRETCH:
            reach = (frames.centre + half >= first) & (frames.centre - half < last)
            own = replace(frames, win_length=frames.win_length[reach], positions=frames.positions[reach])
        overlap = to_host(window_overlap(plan, own, first, last)) if len(own) else np.zeros(1)
        low, high = min(low, float(overlap.min())), max(high, float(overlap.max()))
    return float(np.log(high) - np.log(low)) if low > 0 else np.inf


def _log_ratio(overlap: Float64Array) -> float:
    return float(np.log(overlap.max()) - np.log(overlap.min())) if overlap.min() > 0 else np.inf


def smooth_log_ratio(plan: FramePlan, frames: Frames, n: int, *, shape: bool) -> tuple[float, float, Gradients]:
    """Logarithm of the ratio of the frame bounds, its smooth approximation, and the gradients of the approximation."""
    overlap = to_host(window_overlap(plan, frames, 0, n))
    log = np.log(np.maximum(overlap, _TINY))
    high, low = logsumexp(_BETA * log), logsumexp(-_BETA * log)
    value = float(high + low - 2 * np.log(n)) / _BETA
    gradient = (np.exp(_BETA * log - high) - np.exp(-_BETA * log - low)) / np.maximum(overlap, _TINY)
    return _log_ratio(overlap), value, overlap_vjp(plan, frames, gradient, 0, shape=shape)


def regular_ratio(window: Window, fraction: float) -> float:
    """Ratio of the frame bounds for one window length and a hop that is a `fraction` of it, up to one end."""
    reach = int(np.ceil(0.5 / fraction)) + 1
    place = np.arange(-reach, reach + 1)[:, None] + np.arange(_PER_HOP) / _PER_HOP  # in hops
    overlap = np.cumsum(window(fraction * place) ** 2, axis=0)  # one more frame at every hop
    return float(np.exp(_log_ratio(overlap[reach:])))


def largest_fraction(window: Window, limit: float, bounds: tuple[float, float]) -> float | None:
    """Largest hop as a fraction of the window length up to which the ratio of the frame bounds is within `limit`.

    None if it exceeds the limit at the smallest hop allowed.
    """
    low, high = bounds
    close = min(max(low, _CLOSE), high)
    if regular_ratio(window, close) <= limit:
        low = close
    steps = int(np.ceil(np.log(high / low) / _STEP)) + 1
    largest = None
    for fraction in np.geomspace(low, high, max(steps, 2)):
        if regular_ratio(window, float(fraction)) > limit:
            break
        largest = float(fraction)
    return largest
