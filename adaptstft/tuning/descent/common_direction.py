"""Descents of several objectives at once: a common direction in which none of them grows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult, nnls

from adaptstft.common.typing import Float64Array

DEFAULTS = {"maxiter": 200, "ftol": 1e-8, "gtol": 1e-5, "maxls": 25}
#: Share of the predicted decrease that a step must bring to every objective.
_SUFFICIENT = 1e-4
#: Longest first step in any variable.
_FIRST_STEP = 0.1
#: Weight of the condition that the shares add up to one, relative to the gradients.
_SUM_WEIGHT = 1e4

#: Values and slopes, (objectives,) and (objectives, variables).
Objectives = Callable[[Float64Array], tuple[Float64Array, Float64Array]]


def shortest(gradients: Float64Array) -> Float64Array:
    """Return the shortest vector of the convex hull of the rows of `gradients`."""
    size = max(float(np.abs(gradients).max(initial=0.0)), np.finfo(float).tiny)
    rows = np.vstack([gradients.T / size, np.full(len(gradients), _SUM_WEIGHT)])
    shares, _ = nnls(rows, np.append(np.zeros(gradients.shape[1]), _SUM_WEIGHT))
    return np.asarray(shares / shares.sum() @ gradients)


def _direction(y: Float64Array, gradients: Float64Array, low: Float64Array, high: Float64Array) -> Float64Array:
    """Return minus the shortest vector, among directions that do not leave the bounds."""
    free = np.ones(y.size, dtype=bool)
    while True:
        step = np.zeros(y.size)
        step[free] = -shortest(gradients[:, free]) if free.any() else 0.0
        leaves = ((y <= low) & (step < 0)) | ((y >= high) & (step > 0))
        if not leaves.any():
            return step
        free &= ~leaves


def common_descent(
    objectives: Objectives,
    start: Float64Array,
    bounds: list[tuple[float, float]],
    callback: Callable[[OptimizeResult], None],
    options: dict[str, Any],
) -> OptimizeResult:
    """Follow the shortest vector in the convex hull of the gradients, by steps that no objective grows in [1]_.

    Parameters
    ----------
    objectives : callable
        Values and slopes of all objectives at a point.
    start : ndarray
        Where to begin.
    bounds : list of (float, float)
        Bounds of the variables.
    callback : callable
        Called after each iteration with the point as `x` and the sum of the objectives as `fun`.
    options : dict
        ``maxiter``, ``maxls``; ``ftol``, the relative decrease of their sum, and ``gtol``, the largest component
        of the direction, at which to stop.

    Returns
    -------
    OptimizeResult
        As of `scipy.optimize.minimize`.

    References
    ----------
    .. [1] J. Fliege, B. F. Svaiter, "Steepest descent methods for multicriteria optimization", Math. Methods Oper.
       Res. 51, 2000.
    """
    chosen = DEFAULTS | options
    low, high = np.array(bounds).T
    y = np.clip(start, low, high)
    values, gradients = objectives(y)
    nfev, nit, length = 1, 0, np.inf
    result = OptimizeResult(success=False, status=1, message="STOP: TOTAL NO. OF ITERATIONS REACHED LIMIT")
    while nit < chosen["maxiter"]:
        step = _direction(y, gradients, low, high)
        size = float(np.abs(step).max(initial=0.0))
        if size <= chosen["gtol"]:
            result.update(success=True, status=0, message="CONVERGENCE: NO DIRECTION IMPROVES ALL OBJECTIVES")
            break
        rates = gradients @ step
        length = min(length * 2, _FIRST_STEP / size if nit == 0 else np.inf)
        for _ in range(chosen["maxls"]):
            point = np.clip(y + length * step, low, high)
            found, found_gradients = objectives(point)
            nfev += 1
            if np.all(found <= values + _SUFFICIENT * length * np.minimum(rates, 0.0)):
                break
            length /= 2
        else:
            result.update(success=True, status=0, message="CONVERGENCE: NO STEP IMPROVES ALL OBJECTIVES")
            break
        moved, change = point - y, (found_gradients - gradients).sum(axis=0)
        bend = float(moved @ change)
        drop = float(np.sum(values - found))
        y, values, gradients = point, found, found_gradients
        if bend > 0:  # Barzilai and Borwein's step of the sum, to try next
            length = float(moved @ moved) / bend * len(values) / 2
        nit += 1
        try:
            callback(OptimizeResult(x=y.copy(), fun=float(values.sum())))
        except StopIteration:
            break
        if drop <= chosen["ftol"] * max(1.0, float(np.abs(values).sum())):
            result.update(success=True, status=0, message="CONVERGENCE: RELATIVE REDUCTION OF THE SUM <= FTOL")
            break
    result.update(x=y, fun=float(values.sum()), nit=nit, nfev=nfev)
    return result
