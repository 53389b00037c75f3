r"""Gains that shrink the coefficients of a noisy transform.

A gain is a function ``g(v)`` of ``v = lam * var / |S|**2``: the threshold ``lam`` times the variance ``var`` of the
noise in a bin, over the energy of the bin. The derivatives are given as ``v g'`` and ``v**2 g''``, which stay finite
where ``|S|`` is large.

Stein's estimate of the risk contains the first derivative of the gain. At the corner of the textbook soft threshold and
of the empirical Wiener gain this derivative jumps. The estimate is then not a continuous function of the window
lengths, and its gradient is of no use for tuning. So all gains here have continuous first derivatives: corners are
rounded by a parabola.
"""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

import numpy as np

from adaptstft.common.typing import Float64Array

Mode = Literal["smooth", "wiener", "soft", "block"]

#: Half width of the parabola that rounds a corner, in units of the gain.
_CORNER = 0.25


class Gain(NamedTuple):
    """A gain ``g`` with ``v g'`` and ``v**2 g''``, each of the shape of ``v``."""

    value: Float64Array
    gradient: Float64Array
    curvature: Float64Array


def smooth_gain(v: Float64Array) -> Gain:
    """``(1 - v**2)**2`` below the threshold ``v = 1``, zero above."""
    squared = np.minimum(v, 1.0) ** 2
    rest = 1 - squared
    return Gain(rest**2, -4 * squared * rest, squared * np.where(v < 1, 12 * squared - 4, 0.0))


def wiener_gain(v: Float64Array) -> Gain:
    """Empirical Wiener gain, the positive part of ``1 - v``."""
    v = np.minimum(v, 1 + _CORNER)
    value, gradient, curvature = _positive_part(1 - v)
    return Gain(value, -v * gradient, v**2 * curvature)


def soft_gain(v: Float64Array) -> Gain:
    """Soft threshold, the positive part of ``1 - sqrt(v)``."""
    root = np.sqrt(np.minimum(v, (1 + _CORNER) ** 2))
    value, gradient, curvature = _positive_part(1 - root)
    return Gain(value, -root * gradient / 2, (root**2 * curvature + root * gradient) / 4)


def _positive_part(x: Float64Array) -> tuple[Any, Any, Any]:
    """Positive part of `x` with a parabola at the corner, and its first two derivatives."""
    near = np.clip(x + _CORNER, 0, 2 * _CORNER)
    value = near**2 / (4 * _CORNER) + np.maximum(x - _CORNER, 0)
    return value, near / (2 * _CORNER), np.where(np.abs(x) < _CORNER, 1 / (2 * _CORNER), 0.0)


#: Gain of each mode; mode "block" applies the smooth gain to the mean energy of a block.
GAINS = {"smooth": smooth_gain, "wiener": wiener_gain, "soft": soft_gain, "block": smooth_gain}


def threshold_ratio(lam: float, variance: Any, energy: Float64Array) -> Float64Array:
    """``lam * variance / energy``, infinite where the energy is zero."""
    safe = np.where(energy > 0, energy, 1.0)
    return np.asarray(np.where(energy > 0, lam * variance / safe, np.inf))
