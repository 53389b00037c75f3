"""Adam within bounds, with a schedule that shortens its steps on a plateau, as a baseline for other optimisers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult

from adaptstft.common.typing import Float64Array

#: Default options: step in the optimiser's variables (logarithms of lengths), decay of the moments, and schedule.
DEFAULTS: dict[str, Any] = {
    "lr": 0.05,
    "betas": (0.9, 0.999),
    "eps": 1e-8,
    "maxiter": 300,
    "patience": 10,
    "factor": 0.5,
}
#: Least improvement of the value, relative to it, that resets the schedule's patience.
_THRESHOLD = 1e-6
#: Step, relative to the first one, below which the descent ends.
_LEAST_STEP = 1e-3
_CONVERGED = {"success": True, "status": 0, "message": "converged: the shortest steps no longer lower the value"}
_LIMIT = {"success": False, "status": 1, "message": "stopped at the limit of iterations"}


def adam(
    objective: Callable[[Float64Array], tuple[float, Float64Array]],
    start: Float64Array,
    bounds: Sequence[tuple[float, float]],
    callback: Callable[[OptimizeResult], None],
    options: Mapping[str, Any],
) -> OptimizeResult:
    """Minimise by Adam [1]_, projected onto the bounds.

    Parameters
    ----------
    objective : callable
        ``objective(y) -> (value, gradient)``.
    start : ndarray, shape (m,)
        Variables at the start.
    bounds : sequence of (float, float)
        Range of each variable.
    callback : callable
        Called with the fields `x` and `fun` after each iteration; ``StopIteration`` ends the descent.
    options : mapping
        Any of ``lr``, ``betas``, ``eps``, ``maxiter``, and for the schedule ``patience`` (number of iterations without
        an improvement before the step is shortened) and ``factor`` (ratio of the new step to the old one).

    Returns
    -------
    OptimizeResult
        The last point `x`, its `fun`, and `nit`, `nfev`, `success`, `status`, `message`.

    References
    ----------
    .. [1] D. P. Kingma, J. Ba, "Adam: a method for stochastic optimization", ICLR 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from adaptstft.tuning.descent.adam import adam
    >>> res = adam(lambda y: (float(y @ y), 2 * y), np.array([3.0]), [(1.0, 5.0)], lambda result: None, {})
    >>> res.success, res.x
    (True, array([1.]))
    """
    settings = DEFAULTS | dict(options)
    low, high = np.array(bounds, dtype=float).T
    first_decay, second_decay = settings["betas"]
    mean, square = np.zeros((2, start.size))
    y, lr, best, stale = start, float(settings["lr"]), np.inf, 0
    value, gradient = objective(y)
    ended, iteration = _LIMIT, 0
    while iteration < settings["maxiter"]:
        iteration += 1
        # no momentum from a gradient against a bound: it would have to be undone later
        gradient = np.where(y <= low, np.minimum(gradient, 0), np.where(y >= high, np.maximum(gradient, 0), gradient))
        mean = first_decay * mean + (1 - first_decay) * gradient
        square = second_decay * square + (1 - second_decay) * gradient**2
        rms = np.sqrt(square / (1 - second_decay**iteration)) + settings["eps"]
        y = np.clip(y - lr * mean / (1 - first_decay**iteration) / rms, low, high)
        value, gradient = objective(y)
        try:
            callback(OptimizeResult(x=y.copy(), fun=value))
        except StopIteration:
            break
        improved = not value >= best - _THRESHOLD * max(1.0, abs(best))
        best, stale = (value, 0) if improved else (best, stale + 1)
        if stale > settings["patience"]:
            lr, stale = lr * settings["factor"], 0
        if lr < _LEAST_STEP * settings["lr"]:
            ended = _CONVERGED
            break
    return OptimizeResult(x=y, fun=value, nit=iteration, nfev=iteration + 1, **ended)
