r"""The ratio of the frame bounds as a constraint of tuning.

With one window per frame the bounds are the extremes of ``D[n] = sum_p |w_p(n)|**2``, and their ratio says by how
much the inverse may amplify what is done to the transform. Extremes have no useful derivative, so a descent sees

.. math::

    \tfrac1\beta \log \Big(\tfrac1N \sum_n D_n^{\beta}\Big) + \tfrac1\beta \log \Big(\tfrac1N \sum_n D_n^{-\beta}\Big)
    \le \log \frac{\max D}{\min D}

in place of their log ratio; what is accepted is judged by the extremes.
"""

from __future__ import annotations

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
#: Places per hop at which regular frames are looked at, and step of their hop in log.
_PER_HOP = 32
_STEP = 0.01
#: Hops that are a smaller fraction of the window need no look, as a rule: what remains is the ratio of the ends.
_CLOSE = 1 / 64
_TINY = float(np.finfo(float).tiny)


def log_ratio(plan: FramePlan, frames: Frames, n: int) -> float:
    """Logarithm of the ratio of the frame bounds for signals of ``n`` samples."""
    return _log_ratio(to_host(window_overlap(plan, frames, 0, n)))


def _log_ratio(overlap: Float64Array) -> float:
    return float(np.log(overlap.max()) - np.log(overlap.min())) if overlap.min() > 0 else np.inf


def smooth_log_ratio(plan: FramePlan, frames: Frames, n: int, *, shape: bool) -> tuple[float, float, Gradients]:
    """Logarithm of the ratio of the frame bounds, with smooth extremes in their place, and the latter's derivatives."""
    overlap = to_host(window_overlap(plan, frames, 0, n))
    log = np.log(np.maximum(overlap, _TINY))
    high, low = logsumexp(_BETA * log), logsumexp(-_BETA * log)
    value = float(high + low - 2 * np.log(n)) / _BETA
    gradient = (np.exp(_BETA * log - high) - np.exp(-_BETA * log - low)) / np.maximum(overlap, _TINY)
    return _log_ratio(overlap), value, overlap_vjp(plan, frames, gradient, 0, shape=shape)


def regular_ratio(window: Window, fraction: float) -> float:
    """Ratio of the frame bounds for one window length and a hop that is a `fraction` of it, from the first frame on."""
    reach = int(np.ceil(0.5 / fraction)) + 1
    place = np.arange(-reach, reach + 1)[:, None] + np.arange(_PER_HOP) / _PER_HOP  # in hops
    overlap = np.cumsum(window(fraction * place) ** 2, axis=0)  # of the first frame, and of one more at every hop
    return float(np.exp(_log_ratio(overlap[reach:])))


def largest_fraction(window: Window, limit: float, bounds: tuple[float, float]) -> float | None:
    """Largest hop as a fraction of the window length up to which regular frames keep a ratio of the frame bounds.

    None if the smallest one allowed does not.
    """
    low, high = bounds
    close = min(max(low, _CLOSE), high)
    if regular_ratio(window, close) <= limit:
        low = close
    steps = int(np.ceil(np.log(high / low) / _STEP)) + 1
    good = None
    for fraction in np.geomspace(low, high, max(steps, 2)):
        if regular_ratio(window, float(fraction)) > limit:
            break
        good = float(fraction)
    return good
