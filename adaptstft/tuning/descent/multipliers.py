"""Minimisation under one inequality: the method of multipliers, and a way back to where it holds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from adaptstft.common.typing import Float64Array

#: Weight of the squared excess to begin with, and its growth where an iteration has not halved the excess.
_WEIGHT, _GROWTH = 10.0, 4.0
_MOST_ROUNDS = 10
#: Aim below the limit, so that a round can end within it.
_MARGIN = 0.01
_HALVINGS = 30


@dataclass(frozen=True)
class Excess:
    """How far a point is beyond the limit.

    Attributes
    ----------
    exact : float
        What decides: the limit is kept if this is not positive.
    smooth : float
        What a descent sees in its place.
    gradient : ndarray
        Slope of `smooth` in the variables.
    """

    exact: float
    smooth: float
    gradient: Float64Array


Objective = Callable[[Float64Array], tuple[float, Float64Array]]


def hold(
    objective: Objective,
    excess: Callable[[Float64Array], Excess],
    solve: Callable[[Objective, Float64Array], Any],
    start: Float64Array,
    safe: Float64Array,
) -> tuple[Float64Array, Any]:
    """Minimise `objective` where `excess` is not positive.

    Parameters
    ----------
    objective : callable
        Value and slope.
    excess : callable
        By how much a point exceeds the limit.
    solve : callable
        ``solve(objective, start)`` minimises within the bounds and returns the optimiser's result with its point `x`.
    start : ndarray
        Where to begin, beyond the limit.
    safe : ndarray
        A point that keeps the limit.

    Returns
    -------
    point : ndarray
        The best point found that keeps the limit.
    ended : OptimizeResult
        The last round's, with the iterations and evaluations of all.
    """
    # Hestenes' and Powell's method of multipliers, see Nocedal & Wright, Numerical Optimization, section 17.4
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
            here = excess(point)
            push = max(0.0, multiplier + weight * (here.smooth + offset))
            return value + (push**2 - multiplier**2) / (2 * weight), gradient + push * here.gradient

        ended = solve(penalised, y)
        y, before = np.asarray(ended.x), at.exact
        stopped = ended.get("status") == 99  # by a callback, with SciPy's status for that
        nit, nfev = nit + int(ended.get("nit", 0)), nfev + int(ended.nfev)
        at = excess(y)
        multiplier = max(0.0, multiplier + weight * (at.smooth + offset))
        point = y if at.exact <= 0 else way_back(excess, y, safe)
        found = objective(point)[0]
        settled = at.exact <= 0 and abs(found - best[0]) <= 1e-6 * max(1.0, abs(found))
        if found < best[0]:
            best = (found, point)
        if settled or stopped:
            break
        if at.exact > 0.5 * before:
            weight *= _GROWTH
    ended.update(nit=nit, nfev=nfev)
    if settled:
        ended.update(success=True, status=0, message="CONVERGENCE: NOTHING BETTER WITHIN THE LIMIT")
    return best[1], ended


def way_back(
    excess: Callable[[Float64Array], Excess], y: Float64Array, safe: Float64Array, halvings: int = _HALVINGS
) -> Float64Array:
    """Return the last point towards `y`, on the line from a safe one, that bisection finds within the limit."""
    inside, outside = 0.0, 1.0
    for _ in range(halvings):
        middle = (inside + outside) / 2
        if excess(safe + middle * (y - safe)).exact <= 0:
            inside = middle
        else:
            outside = middle
    return np.asarray(safe + inside * (y - safe))
