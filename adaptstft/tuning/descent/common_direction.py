"""Descent in several objectives at once, along a common direction in which none of them increases."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult, nnls

from adaptstft.common.typing import Float64Array

#: Default options.
DEFAULTS = {"maxiter": 200, "ftol": 1e-8, "gtol": 1e-5, "maxls": 25}
#: Fraction of the predicted decrease that a step must reach in every objective.
_SUFFICIENT = 1e-4
#: Largest first step in any variable.
_FIRST_STEP = 0.1
#: Weight of the condition that the coefficients of the gradients add up to one.
_SUM_WEIGHT = 1e4

#: Returns values and gradients, shapes (objectives,) and (objectives, variables).
Objectives = Callable[[Float64Array], tuple[Float64Array, Float64Array]]


def shortest(gradients: Float64Array) -> Float64Array:
    """Return the shortest vector of the convex hull of the rows of `gradients`."""
    size = max(float(np.abs(gradients).max(initial=0.0)), np.finfo(float).tiny)
    rows = np.vstack([gradients.T / size, np.full(len(gradients), _SUM_WEIGHT)])
    coefficients, _ = nnls(rows, np.append(np.zeros(gradients.shape[1]), _SUM_WEIGHT))
    return np.asarray(coefficients / coefficients.sum() @ gradients)


def _direction(y: Float64Array, gradients: Float64Array, low: Float64Array, high: Float64Array) -> Float64Array:
    """Return minus the shortest vector, among directions that stay within the bounds."""
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
    """Descend along the shortest vector in the convex hull of the gradients; no step increases an objective [1]_.

    Parameters
    ----------
    objectives : callable
        Values and gradients of all objectives at a point.
    start : ndarray
        Variables at the start.
    bounds : list of (float, float)
        Bounds of the variables.
    callback : callable
        Called after each iteration with the point as `x` and the sum of the objectives as `fun`.
    options : dict
        ``maxiter``; ``maxls``, the largest number of steps of a line search; ``ftol``, the relative decrease of the sum
        of the objectives at which to stop; ``gtol``, the largest component of the direction at which to stop.

    Returns
    -------
    OptimizeResult
        The result, with the fields of `scipy.optimize.minimize`.

    References
    ----------
    .. [1] J. Fliege, B. F. Svaiter, "Steepest descent methods for multicriteria optimization", Math. Methods Oper.
       Res. 51, 2000.
    """
    settings = DEFAULTS | options
    low, high = np.array(bounds).T
    y = np.clip(start, low, high)
    values, gradients = objectives(y)
    nfev, nit, length = 1, 0, np.inf
    result = OptimizeResult(success=False, status=1, message="stopped at the limit of iterations")
    while nit < settings["maxiter"]:
        step = _direction(y, gradients, low, high)
        size = float(np.abs(step).max(initial=0.0))
        if size <= settings["gtol"]:
            result.update(success=True, status=0, message="converged: no direction improves all objectives")
            break
        rates = gradients @ step
        length = min(length * 2, _FIRST_STEP / size if nit == 0 else np.inf)
        for _ in range(settings["maxls"]):
            point = np.clip(y + length * step, low, high)
            new_values, new_gradients = objectives(point)
            nfev += 1
            if np.all(new_values <= values + _SUFFICIENT * length * np.minimum(rates, 0.0)):
                break
            length /= 2
        else:
            result.update(success=True, status=0, message="converged: no step improves all objectives")
            break
        moved, change = point - y, (new_gradients - gradients).sum(axis=0)
        curvature = float(moved @ change)
        drop = float(np.sum(values - new_values))
        y, values, gradients = point, new_values, new_gradients
        if curvature > 0:  # the next step length, by Barzilai and Borwein for the sum
            length = float(moved @ moved) / curvature * len(values) / 2
        nit += 1
        try:
            callback(OptimizeResult(x=y.copy(), fun=float(values.sum())))
        except StopIteration:
            break
        if drop <= settings["ftol"] * max(1.0, float(np.abs(values).sum())):
            result.update(success=True, status=0, message="converged: further steps hardly lower the sum")
            break
    result.update(x=y, fun=float(values.sum()), nit=nit, nfev=nfev)
    return result
