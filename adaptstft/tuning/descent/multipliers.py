"""Minimisation under one inequality constraint: the method of multipliers, and bisection back to the constraint."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from adaptstft.common.typing import Float64Array

#: Weight of the squared excess at the start, and its growth if a round has not halved the excess.
_WEIGHT, _GROWTH = 10.0, 4.0
_MOST_ROUNDS = 10
#: Distance of the target from the limit, so that a round can end within the limit.
_MARGIN = 0.01
#: Number of bisections.
_HALVINGS = 30
#: Most evaluations of an excess that takes long, and the distance of its logarithm from the limit that is near enough.
_SECANTS, _NEAR_LIMIT = 6, 0.03


@dataclass(frozen=True)
class Excess:
    """Excess of a point over the limit.

    Attributes
    ----------
    exact : float
        The excess. The limit is kept if it is not positive.
    smooth : float
        A differentiable approximation, which the descent uses.
    gradient : ndarray
        Gradient of `smooth` in the variables.
    """

    exact: float
    smooth: float
    gradient: Float64Array


#: Value and gradient at a point.
ValueAndGradient = Callable[[Float64Array], tuple[float, Float64Array]]


def minimise_within(
    objective: ValueAndGradient,
    excess: Callable[[Float64Array], Excess],
    solve: Callable[[ValueAndGradient, Float64Array], Any],
    start: Float64Array,
    safe: Float64Array,
) -> tuple[Float64Array, Any]:
    """Minimise `objective` under the constraint that `excess` is not positive, by the method of multipliers [1]_.

    Parameters
    ----------
    objective : callable
        Value and gradient at a point.
    excess : callable
        Excess of a point over the limit.
    solve : callable
        ``solve(objective, start)`` minimises within the bounds, and returns an OptimizeResult.
    start : ndarray
        The start, beyond the limit.
    safe : ndarray
        A point within the limit.

    Returns
    -------
    point : ndarray
        The best point found within the limit.
    result : OptimizeResult
        The result of the last round, with the iterations and evaluations of all rounds.

    References
    ----------
    .. [1] J. Nocedal, S. J. Wright, "Numerical Optimization", 2nd ed., Springer 2006, section 17.4.
    """
    weight, multiplier, y = _WEIGHT, 0.0, start
    at = excess(y)
    nit = nfev = 0
    best = (objective(safe)[0], safe)
    for _ in range(_MOST_ROUNDS):
        offset = at.exact - at.smooth + _MARGIN

        def penalised(
            point: Float64Array, offset: float = offset, weight: float = weight, multiplier: float = multiplier
        ) -> tuple[float, Float64Array]:
            value, gradient = objective(point)
            over = excess(point)
            force = max(0.0, multiplier + weight * (over.smooth + offset))
            return value + (force**2 - multiplier**2) / (2 * weight), gradient + force * over.gradient

        result = solve(penalised, y)
        y, before = np.asarray(result.x), at.exact
        stopped = result.get("status") == 99  # SciPy's status if a callback stopped the optimiser
        nit, nfev = nit + int(result.get("nit", 0)), nfev + int(result.nfev)
        at = excess(y)
        multiplier = max(0.0, multiplier + weight * (at.smooth + offset))
        point = y if at.exact <= 0 else bisect_to_limit(excess, y, safe)
        value = objective(point)[0]
        settled = at.exact <= 0 and abs(value - best[0]) <= 1e-6 * max(1.0, abs(value))
        if value < best[0]:
            best = (value, point)
        if settled or stopped:
            break
        if at.exact > 0.5 * before:
            weight *= _GROWTH
    result.update(nit=nit, nfev=nfev)
    if settled:
        result.update(success=True, status=0, message="converged: nothing within the limit is better")
    return best[1], result


def bisect_to_limit(
    excess: Callable[[Float64Array], Excess], y: Float64Array, safe: Float64Array, halvings: int = _HALVINGS
) -> Float64Array:
    """Return the point within the limit that is nearest to `y` on the line from `safe` to `y`, by bisection."""
    inside, outside = 0.0, 1.0
    for _ in range(halvings):
        middle = (inside + outside) / 2
        if excess(safe + middle * (y - safe)).exact <= 0:
            inside = middle
        else:
            outside = middle
    return np.asarray(safe + inside * (y - safe))


def largest_step(excess: Callable[[float], float], at_zero: float, at_one: float) -> float:
    """Return a step from 0 to 1 whose excess is at most zero and near it, in few evaluations.

    The excess is between `at_zero`, at most zero, and `at_one`, which is positive and may be infinite. The secant
    between the steps on both sides of the limit meets a point just below it.
    """
    inside, outside, below, above = 0.0, 1.0, at_zero, at_one
    for _ in range(_SECANTS):
        if below > -_NEAR_LIMIT or outside - inside < _NEAR_LIMIT:
            break
        part = 0.5 if np.isinf(above) else np.clip((-below - _NEAR_LIMIT / 2) / (above - below), 0.05, 0.95)
        step = inside + float(part) * (outside - inside)
        value = excess(step)
        if value <= 0:
            inside, below = step, value
        else:
            outside, above = step, value
    return inside
