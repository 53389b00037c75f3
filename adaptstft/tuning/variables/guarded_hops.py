"""Hops between frames that keep their bounds and the overlap of windows, for all values of the variables."""

from __future__ import annotations

import numpy as np
from scipy.optimize import brentq
from scipy.special import expit, logit

from adaptstft.common.typing import Float64Array

#: Error of the offset ``mu``, and the largest ``abs(z + mu)`` at which the logistic function is not yet constant.
_XTOL, _RTOL, _REACH = 1e-13, 1e-14, 40.0
#: Least distance of a hop to its bounds at the start, relative to their distance.
_MARGIN = 1e-3
#: Least distance of the bounds in samples, where they meet.
_LEAST_ROOM = 1e-12


class GuardedHops:
    r"""Hops ``d_p`` of a fixed sum, within bounds that depend on the window lengths.

    ``d_p = low + (high_p - low) * expit(z_p + mu)``. The offset ``mu`` is such that the hops add up to the span.
    ``high_p`` is the smaller one of the upper bound and the hop at which the shorter one of two neighbouring windows
    has its least overlap.

    Parameters
    ----------
    span : float
        Sum of the hops in samples.
    bounds : (float, float)
        Range of each hop in samples.
    min_overlap : float
        Least overlap of neighbouring windows, as a fraction of the shorter one.
    """

    def __init__(self, span: float, bounds: tuple[float, float], min_overlap: float) -> None:
        self.span, self.bounds, self.min_overlap = span, bounds, min_overlap

    def _high(self, win_length: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Upper bound of each hop, and the hop at which the overlap is the least allowed."""
        left, right = win_length[:-1], win_length[1:]
        overlap = (left + right) / 2 - self.min_overlap * np.minimum(left, right)
        return np.minimum(overlap, self.bounds[1]), overlap

    def _shares(self, z: Float64Array, high: Float64Array) -> Float64Array:
        """Place of each hop between its bounds, from zero to one."""
        low = self.bounds[0]

        def excess(mu: float) -> float:
            return float(low * z.size + (high - low) @ expit(z + mu) - self.span)

        reach = _REACH + float(np.abs(z).max(initial=0.0))
        if excess(reach) <= 0:  # every hop is at its upper bound
            return np.ones(z.size)
        if excess(-reach) >= 0:
            return np.zeros(z.size)
        return np.asarray(expit(z + brentq(excess, -reach, reach, xtol=_XTOL, rtol=_RTOL)))

    def hops(self, z: Float64Array, win_length: Float64Array) -> Float64Array:
        """Return the hops for variables ``z`` and one window length for each frame."""
        high, _ = self._high(win_length)
        hops = self.bounds[0] + (high - self.bounds[0]) * self._shares(z, high)
        return np.asarray(hops * (self.span / hops.sum()))  # removes the rounding error of mu

    def variables(self, hops: Float64Array, win_length: Float64Array) -> Float64Array:
        """Return the variables for given hops, moved into their bounds."""
        high, _ = self._high(win_length)
        room = np.maximum(high - self.bounds[0], _LEAST_ROOM)
        return np.asarray(logit(np.clip((hops - self.bounds[0]) / room, _MARGIN, 1 - _MARGIN)))

    def adjoint(
        self, z: Float64Array, win_length: Float64Array, gradients: Float64Array
    ) -> tuple[Float64Array, Float64Array]:
        """Gradients in ``z`` and in the window lengths, given the gradient in each hop."""
        high, overlap = self._high(win_length)
        share = self._shares(z, high)
        rate = (high - self.bounds[0]) * share * (1 - share)
        total = rate.sum()
        gradients = gradients - (gradients @ rate / total if total > 0 else 0.0)
        d_high = np.where(overlap < self.bounds[1], share * gradients, 0.0)
        shorter_left = win_length[:-1] <= win_length[1:]
        d_win_length = np.zeros(win_length.size)
        d_win_length[:-1] += d_high * (0.5 - self.min_overlap * shorter_left)
        d_win_length[1:] += d_high * (0.5 - self.min_overlap * ~shorter_left)
        return rate * gradients, d_win_length
