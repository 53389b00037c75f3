"""One local descent: L-BFGS-B or Adam from a starting point, within the limits of the frame bounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult, minimize

from adaptstft.common.typing import Float64Array
from adaptstft.tuning.descent.adam import adam
from adaptstft.tuning.descent.common_direction import common_descent
from adaptstft.tuning.descent.messages import in_words
from adaptstft.tuning.descent.multipliers import Excess, bisect_to_limit, minimise_within
from adaptstft.tuning.descent.objective import Evaluation, Objective
from adaptstft.tuning.variables.state import State
from adaptstft.tuning.variables.variables import Variables

_DEFAULTS = {"maxiter": 100, "ftol": 1e-8, "gtol": 1e-6, "maxls": 8}
#: Limit of iterations of a descent in the lengths of all frames or bins. The penalty on jumps has a corner between most
#: neighbours, so that the value falls slowly long after the result is settled. Such a descent also ends when its last
#: `_RECENT` iterations together gain less than `_LEAST_GAIN` (in nats, or relative), unless the user gives an ``ftol``.
_MOST_ITERATIONS, _RECENT, _LEAST_GAIN = 300, 10, 1e-4
_SETTLED = {
    "success": True,
    "status": 0,
    "message": f"converged: the last {_RECENT} iterations lower the value by less than {_LEAST_GAIN:g}",
}
#: SciPy's status of a line search that finds no better point.
_NO_STEP = 2
STOPPED: dict[str, Any] = {"success": False, "status": 99, "message": "stopped by the callback"}
#: Gradient, in nats for a factor e in a length, that counts as zero where no step improves the value. For a window
#: with jumps at its ends their slope is added, as the gradient does not contain it.
_FLAT_ENOUGH = 0.01
#: Decimal digits of the points of secants: the same ones whatever the order in which sums are added.
_DIGITS = 10
#: Number of points of a mean over the window.
_POINTS = 256
_TINY = float(np.finfo(float).tiny)


@dataclass(frozen=True)
class Optimiser:
    """Method and options of a descent.

    Attributes
    ----------
    method : {"L-BFGS-B", "adam"}
        The method.
    options : dict
        Its options.
    on_iteration : callable
        ``on_iteration(iteration, value, variables, y)`` after each iteration; may raise StopIteration.
    """

    method: str = "L-BFGS-B"
    options: dict[str, Any] = field(default_factory=dict)
    on_iteration: Callable[[int, float, Variables, Float64Array], None] = lambda *_: None


@dataclass(frozen=True)
class Outcome:
    """The end of a descent.

    Attributes
    ----------
    state : State
        Physical parameters.
    y : ndarray
        The optimiser's variables.
    x, jac : ndarray
        The tuned parameters in their own units, and the gradient of the objective with respect to them.
    first, value : float
        The objective at the start and at the end.
    penalties : float
        Part of the latter that is not the criterion.
    history : list of float
        The objective after each iteration.
    nit, nfev : int
        Iterations and evaluations.
    success : bool
        Whether the optimiser converged.
    status : int
        Its status; 99 if a callback stopped it.
    message : str
        Its message.
    comparable : float
        The criterion at the end as an integral over time and frequency, comparable between framings.
    """

    state: State
    y: Float64Array
    x: Float64Array
    jac: Float64Array
    first: float
    value: float
    penalties: float
    history: list[float]
    nit: int
    nfev: int
    success: bool
    status: int
    message: str
    comparable: float

    @property
    def stopped(self) -> bool:
        """Whether a callback stopped the descent."""
        return bool(self.status == STOPPED["status"])


def descend(objective: Objective, variables: Variables, optimiser: Optimiser) -> Outcome:
    """Run the optimiser from the starting point of `variables`; without variables, evaluate it."""
    start = objective.evaluate(variables, variables.start())
    if start.y.size == 0:
        ended = OptimizeResult(nit=0, nfev=1, success=True, status=0, message="nothing to tune")
        return _outcome(variables, start, start, [start.value], ended)
    path = _Path(objective, variables, optimiser, start)
    ended = path.solve(path.evaluate, start.y)
    # SciPy leaves these out where all bounds coincide
    ended.setdefault("nit", 0)
    ended.setdefault("status", 0)
    best = path.best
    if best.value > start.value:  # the descent reduced only the penalty that is not part of the objective
        best = start
    if not objective.keeps_ratio(variables.state(best.y)):
        best = _within_ratio(path, ended)
    if ended.status == _NO_STEP and _projected(best, variables) <= _flat_enough(path):
        # Where a window jumps at its ends the objective jumps too, so that near the optimum a step along the gradient
        # need not improve it.
        ended.update(success=True, status=0, message="converged: no step along the small gradient lowers the value")
    if path.stopped:
        ended.update(STOPPED)
    return _outcome(variables, start, best, path.history, ended)


def stay(objective: Objective, variables: Variables, ended: dict[str, Any]) -> Outcome:
    """Evaluate the starting point without a descent; `ended` holds success, status and message."""
    at = objective.evaluate(variables, variables.start())
    return _outcome(variables, at, at, [at.value], OptimizeResult(nit=0, nfev=1, **ended))


class _Path:
    """The progress of a descent: its best point, its history, and the objective in units of order one."""

    def __init__(self, objective: Objective, variables: Variables, optimiser: Optimiser, start: Evaluation) -> None:
        self.objective, self.variables, self.optimiser, self.start = objective, variables, optimiser, start
        self.best, self.history, self.stopped = start, [start.value], False
        self.begun, self.settled = 0, False
        many = (
            variables.lengths.kind in ("time", "grid")
            and optimiser.method == "L-BFGS-B"
            and len(objective.parts()) == 1
        )
        self.may_settle = many and "ftol" not in optimiser.options
        self.options = ({"maxiter": _MOST_ITERATIONS} if many else {}) | optimiser.options
        # Tolerances of the optimiser are absolute: bring values that are no logarithms to order one.
        scale = max(abs(start.value), float(np.abs(start.gradient).max()), _TINY)
        self.unit = 1.0 if objective.criterion.is_logarithm else scale

    def evaluate(self, y: Float64Array) -> tuple[float, Float64Array]:
        """Return the value to minimise and its gradient, in units of order one."""
        known = [one for one in (self.start, self.best) if np.array_equal(y, one.y)]
        at = known[0] if known else self.objective.evaluate(self.variables, y)
        extra, extra_gradient = self.variables.penalty(y)
        if at.value + extra < self.best.value + self.variables.penalty(self.best.y)[0]:
            self.best = at
        return (at.value + extra) / self.unit, (at.gradient + extra_gradient) / self.unit

    def _evaluate_parts(self, parts: list[Objective], y: Float64Array) -> tuple[Float64Array, Float64Array]:
        each = [part.evaluate(self.variables, y) for part in parts]
        extra, extra_gradient = self.variables.penalty(y)
        values = np.array([one.value for one in each]) + extra
        return values / self.unit, (np.array([one.gradient for one in each]) + extra_gradient) / self.unit

    def solve(
        self, function: Callable[[Float64Array], tuple[float, Float64Array]], begin: Float64Array
    ) -> OptimizeResult:
        """Minimise from a point within the bounds of the variables, or descend in all objectives at once."""
        bounds, options = self.variables.bounds(), self.options
        self.begun, self.settled = len(self.history), False
        parts = self.objective.parts()
        if len(parts) == 1:
            if self.optimiser.method == "adam":
                ended = adam(function, begin, bounds, self._on_iteration, options)
            else:
                ended = self._minimise(function, begin, bounds, _DEFAULTS | options)
            if self.settled:
                ended.update(_SETTLED)
            return ended
        ended = common_descent(lambda y: self._evaluate_parts(parts, y), begin, bounds, self._on_iteration, options)
        self.best = self.objective.evaluate(self.variables, np.asarray(ended.x))
        return ended

    def _minimise(
        self,
        function: Callable[[Float64Array], tuple[float, Float64Array]],
        begin: Float64Array,
        bounds: list[tuple[float, float]],
        options: dict[str, Any],
    ) -> OptimizeResult:
        """Minimise by L-BFGS-B; of one variable by secants first, unless its iterations are limited.

        The linear algebra of SciPy's iterations wakes a thread of BLAS, which then waits for more work on a core that
        others need: a quarter of the time of a search of one length. After secants there is nothing left to iterate.
        """
        taken = 0
        if begin.size == 1 and not {"maxiter", "maxfun"} & self.options.keys():
            begin, taken = self._take_secants(function, begin, bounds[0], options)
            if self.stopped:
                return OptimizeResult(x=begin, nit=taken, nfev=taken + 1, **STOPPED)
        on_iteration = self._on_iteration
        ended = minimize(
            function, begin, jac=True, method="L-BFGS-B", bounds=bounds, callback=on_iteration, options=options
        )
        ended.update(nit=ended.get("nit", 0) + taken, nfev=ended.nfev + taken)
        return ended

    def _take_secants(
        self,
        function: Callable[[Float64Array], tuple[float, Float64Array]],
        y: Float64Array,
        bounds: tuple[float, float],
        options: dict[str, Any],
    ) -> tuple[Float64Array, int]:
        """Return a better point of one variable, and the number of steps to it; the first is that of L-BFGS-B."""
        value, gradient = function(y)
        step, taken = -gradient, 0
        while taken < options["maxiter"] and np.abs(gradient).max() > options["gtol"]:
            new = np.clip(np.round(y + step, _DIGITS), *bounds)
            new_value, new_gradient = (value, gradient) if np.array_equal(new, y) else function(new)
            gain = value - new_value
            if not gain > 0:
                break
            curvature = (new_gradient - gradient) / (new - y)
            y, value, gradient, taken = new, new_value, new_gradient, taken + 1
            try:
                self._on_iteration(OptimizeResult(x=y, fun=value))
            except StopIteration:
                break
            if curvature[0] <= 0 or gain <= options["ftol"] * max(abs(value), 1.0):
                break
            step = -gradient / curvature
        return y, taken

    def _on_iteration(self, intermediate_result: OptimizeResult) -> None:
        self.history.append(float(intermediate_result.fun) * self.unit)
        try:
            # a copy, as SciPy hands out its live buffer
            y = np.array(intermediate_result.x)
            self.optimiser.on_iteration(len(self.history) - 1, self.history[-1], self.variables, y)
        except StopIteration:
            self.stopped = True
            raise
        recent = self.history[self.begun :]
        if self.may_settle and len(recent) > _RECENT and recent[-1 - _RECENT] - recent[-1] < _LEAST_GAIN * self.unit:
            self.settled = True
            raise StopIteration


def _within_ratio(path: _Path, ended: OptimizeResult) -> Evaluation:
    """Return the best point whose frame bounds keep their ratio, for a descent that `ended` beyond it."""
    objective, variables = path.objective, path.variables
    safe = safe_point(objective, variables)

    def excess(y: Float64Array) -> Excess:
        return objective.excess(variables, y)

    if path.stopped:
        return objective.evaluate(variables, bisect_to_limit(excess, path.best.y, safe))
    nit, nfev = ended.nit, ended.nfev
    within, again = minimise_within(path.evaluate, excess, path.solve, path.best.y, safe)
    ended.update(again)
    ended.update(nit=nit + again.nit, nfev=nfev + again.nfev)
    return objective.evaluate(variables, within)


def safe_point(objective: Objective, variables: Variables) -> Float64Array:
    """Return the variables of the lengths to start from, whose frame bounds must keep their ratio."""
    safe = variables.safe_start()
    if not objective.keeps_ratio(variables.state(safe)):
        raise ValueError(
            f"max_frame_ratio={objective.most_ratio:g} cannot be kept: the frame bounds of the windows to start from "
            f"have a ratio of {np.exp(objective.excess(variables, safe).exact) * (objective.most_ratio or 0):.4g}"
        )
    return safe


def _projected(at: Evaluation, variables: Variables) -> float:
    """Return the largest component of the gradient that does not push against a bound."""
    low, high = np.array(variables.bounds()).T
    gradient = at.gradient
    inward = np.where(at.y <= low, np.minimum(gradient, 0), np.where(at.y >= high, np.maximum(gradient, 0), gradient))
    return float(np.abs(inward).max())


def _flat_enough(path: _Path) -> float:
    """Return the largest gradient at which a descent whose line search finds no better point has converged.

    As the length grows by a factor e, half a length of samples enters the window at each end. For a tone they change
    the logarithm of the power by twice the value at the ends over the mean of the window. The gradient is that between
    two jumps and lacks this part.
    """
    window = path.variables.shape.window
    mean = float(np.abs(window((np.arange(_POINTS) + 0.5) / _POINTS - 0.5)).mean())
    unit = 1.0 if path.objective.criterion.unit else path.unit
    return _FLAT_ENOUGH * path.unit + 2 * window.end_value / mean * unit


def _outcome(
    variables: Variables, start: Evaluation, best: Evaluation, history: list[float], ended: OptimizeResult
) -> Outcome:
    state = variables.state(best.y)
    return Outcome(
        state=state,
        y=best.y,
        x=variables.natural(best.y, state),
        jac=best.natural,
        first=start.value,
        value=best.value,
        penalties=best.penalties,
        history=history,
        nit=int(ended.nit),
        nfev=int(ended.nfev),
        success=bool(ended.success),
        status=int(ended.status),
        message=in_words(str(ended.message)),
        comparable=best.to_comparable(),
    )
