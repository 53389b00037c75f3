"""One local descent: the objective in the optimiser's variables, and L-BFGS-B or Adam on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult, minimize

from adaptstft.common.typing import AnyArray, ComplexArray, Float64Array
from adaptstft.criteria import Combined, Criterion
from adaptstft.criteria.evaluate import (
    FrameLoss,
    comparable_view,
    energy_gradients,
    evaluate,
    evaluate_spectra,
    value_of,
)
from adaptstft.criteria.neighbourhoods import Neighbourhoods, Tiles
from adaptstft.criteria.scopes import FrameView
from adaptstft.engine.bins import BinFrames, BinSpectra, bin_forward
from adaptstft.engine.frames import Frames, durations, frame_count, make_frames
from adaptstft.engine.operator import energies
from adaptstft.engine.plan import FramePlan
from adaptstft.tuning.descent.adam import adam
from adaptstft.tuning.descent.common_direction import common_descent
from adaptstft.tuning.descent.multipliers import Excess, Objective, hold, way_back
from adaptstft.tuning.penalties.coverage import coverage
from adaptstft.tuning.penalties.evenness import Evenness
from adaptstft.tuning.penalties.frame_ratio import log_ratio, smooth_log_ratio
from adaptstft.tuning.tables.lowrank import BasisTransforms
from adaptstft.tuning.variables.control_grid import total_variation
from adaptstft.tuning.variables.parameters import Parameters, State
from adaptstft.windows import Window

_DEFAULTS = {"maxiter": 100, "ftol": 1e-8, "gtol": 1e-6, "maxls": 8}
#: Lengths of frames are many variables, between most of which the price of jumps has a corner: the value creeps long
#: after it says all there is to say. A descent of them has so many iterations, and ends where the last few of them
#: have gained less than that (in nats, or relative), unless the user gives an ``ftol``.
_MOST_OF_FRAMES, _LAST, _CREEP = 300, 10, 1e-4
_SETTLED = {
    "success": True,
    "status": 0,
    "message": f"CONVERGENCE: {_LAST} ITERATIONS REDUCE THE VALUE BY LESS THAN {_CREEP:g}",
}
#: SciPy's status of a line search that found no better point.
_NO_STEP = 2
STOPPED: dict[str, Any] = {"success": False, "status": 99, "message": "stopped by the callback"}
#: Slope, in nats for a factor e in a length, that counts as level where no step improves the value; where
#: the window jumps, by its jump more, which the slope does not see.
_FLAT_ENOUGH = 0.01
_TINY = float(np.finfo(float).tiny)
#: Price in nats of a factor e in the number of transforms, when one hop is tuned.
_TRANSFORM_PRICE = 0.01


def hop_loss(window: Window, ratio: float) -> tuple[float, float]:
    """Loss that a hop of ``ratio`` window lengths brings, and its slope in ``log(ratio)``.

    A criterion is an integral over time sampled at the hop. For a click, the default criterion
    integrates ``|w|**6``; the loss is the logarithm of ``mean(D**2) / mean(D)**2`` for the sum ``D`` of
    ``|w|**6`` over frames as a function of the click's place, plus 0.01 for a factor e in the number
    of transforms.
    """
    reach = int(np.ceil(0.5 / ratio)) + 1
    shift = np.linspace(0, 1, 64, endpoint=False)[:, None] - np.arange(-reach, reach + 2)
    u = ratio * shift
    w = window(u)
    d, gradient = np.sum(w**6, axis=1), np.sum(6 * w**5 * window.derivative(u) * u, axis=1)
    value = np.log(np.mean(d**2)) - 2 * np.log(np.mean(d))
    d_value = 2 * np.mean(d * gradient) / np.mean(d**2) - 2 * np.mean(gradient) / np.mean(d)
    return float(value - _TRANSFORM_PRICE * np.log(ratio)), float(d_value - _TRANSFORM_PRICE)


def best_hop_ratio(window: Window, bounds: tuple[float, float]) -> float:
    """Hop as a fraction of the window length with the least `hop_loss`, by L-BFGS-B from a grid."""
    grid = np.linspace(np.log(bounds[0]), np.log(bounds[1]), 200)
    start = grid[np.argmin([hop_loss(window, float(np.exp(z)))[0] for z in grid])]
    found = minimize(
        lambda z: hop_loss(window, float(np.exp(z[0]))), start, jac=True, method="L-BFGS-B", bounds=[np.log(bounds)]
    )
    return float(np.clip(np.exp(found.x[0]), *bounds))


@dataclass(frozen=True)
class Evaluation:
    """The objective at one point.

    Attributes
    ----------
    value : float
        The objective.
    y, gradient : ndarray
        Optimiser's variables, and the slope in them.
    natural : ndarray
        Slope in the parameters in their own units.
    prices : float
        What of the objective is not the criterion.
    """

    value: float
    y: Float64Array
    gradient: Float64Array
    natural: Float64Array
    prices: float


@dataclass
class Descent:
    """Objective and optimiser for one framing.

    Attributes
    ----------
    plan : Transform
        The transform, with its FFT length.
    x : ndarray, shape (channels, n)
        The signal.
    criterion : Criterion
        What to minimise, with its scope.
    neighbourhoods : Neighbourhoods, Tiles or None
        For scope ``"local"``.
    smoothness : float
        Weight of the total variation of the log lengths.
    options : dict
        Options of the optimiser.
    lead : tuple of int
        Leading dimensions of the signal, for callables.
    on_iteration : callable
        ``on_iteration(iteration, value, parameters, y)``; may raise StopIteration.
    basis : BasisTransforms or None
        What transforms with windows per bin are approximated from; None takes the exact sums.
    method : str
        The optimiser: ``"L-BFGS-B"`` or ``"adam"``.
    coverage : float
        Weight of the fraction of the signal that no window covers.
    most_ratio : float or None
        Largest ratio of the frame bounds that a result with one window per frame may have.
    evenness : Evenness or None
        What the price of windows that count the signal unevenly is taken from.
    evenness_weight : float
        Weight of that price.
    """

    plan: FramePlan
    x: AnyArray
    criterion: Criterion
    neighbourhoods: Neighbourhoods | Tiles | None = None
    smoothness: float = 0.0
    options: dict[str, Any] = field(default_factory=dict)
    lead: tuple[int, ...] = ()
    on_iteration: Callable[[int, float, Parameters, Float64Array], None] = lambda *_: None
    basis: BasisTransforms | None = None
    method: str = "L-BFGS-B"
    coverage: float = 0.0
    most_ratio: float | None = None
    evenness: Evenness | None = None
    evenness_weight: float = 0.0

    def regular_positions(self, hop: float) -> Float64Array:
        """Return the times of frames at a hop."""
        return np.arange(frame_count(self.x.shape[1], hop)) * float(hop)

    def frames(self, state: State) -> tuple[FramePlan, Frames | BinFrames]:
        """Transform and frames of a state."""
        plan = replace(self.plan, window=state.window)
        if state.win_length.ndim == 2:
            return plan, BinFrames(state.win_length, state.positions, state.positions)
        return plan, make_frames(state.win_length, state.positions, mfft=plan.mfft)

    def _loss(self, parameters: Parameters, state: State, spectra: BinSpectra | None = None) -> FrameLoss:
        plan, frames = self.frames(state)
        view = FrameView(state.positions, state.weights, 1.0, self.neighbourhoods)
        if self.basis is not None:
            spectra = self.basis.spectra(state.win_length)
        if spectra is not None and isinstance(frames, BinFrames):
            return evaluate_spectra(plan, spectra, self.criterion, view, self.lead)
        wanted = {"positions": parameters.positions_vary, "shape": parameters.tune_shape}
        return evaluate(plan, self.x, frames, self.criterion, view, **wanted, lead_shape=self.lead)

    def evaluate(self, parameters: Parameters, y: Float64Array) -> Evaluation:
        """Value and slope of the objective at the optimiser's variables ``y``."""
        return self._evaluation(parameters, y, parameters.state(y), None)

    def evaluate_exactly(self, parameters: Parameters, y: Float64Array) -> tuple[Evaluation, float]:
        """Objective and comparable value with windows per bin, from one transform by the exact sums."""
        state = parameters.state(y)
        plan, frames = self.frames(state)
        assert isinstance(frames, BinFrames)
        spectra = bin_forward(plan, self.x, frames, gradient=True, centre=False)
        comparable = self._of_spectra(spectra.S, self._comparable_view(state))
        return self._evaluation(parameters, y, state, spectra), comparable

    def _evaluation(
        self, parameters: Parameters, y: Float64Array, state: State, spectra: BinSpectra | None
    ) -> Evaluation:
        loss = self._loss(parameters, state, spectra)
        value, d_win_length = loss.value, loss.gradients.win_length
        if self.smoothness and parameters.lengths in ("time", "grid"):
            variation, gradient = total_variation(state.win_length)
            value, d_win_length = value + self.smoothness * variation, d_win_length + self.smoothness * gradient
        d_positions = loss.gradients.positions
        if self.coverage:
            covered, by_win_length, by_positions = coverage(state.win_length, state.positions, self.x.shape[1])
            value = value + self.coverage * (1 - covered)
            d_win_length, d_positions = (
                d_win_length - self.coverage * by_win_length,
                d_positions - self.coverage * by_positions,
            )
        d_shape = loss.gradients.shape
        if self.evenness is not None:
            shape, weight = parameters.tune_shape, self.evenness_weight
            price = self.evenness.evaluate(state.window, state.win_length, state.positions, shape=shape)
            value, d_win_length = value + weight * price.value, d_win_length + weight * price.win_length
            d_positions = d_positions + weight * price.positions
            d_shape = d_shape + weight * price.shape if shape else d_shape
        d_y = parameters.adjoint(y, state, d_win_length, d_positions, loss.weights, d_shape)
        natural = parameters.natural_gradient(y, d_win_length, d_positions, d_shape)
        return Evaluation(value, y.copy(), d_y, natural, value - loss.value)

    def objectives(self) -> list[Descent]:
        """Return a descent for each objective, of which none may grow; one is this itself."""
        criterion = self.criterion
        if not isinstance(criterion, Combined) or criterion.rule == "weighted":
            return [self]
        return [replace(self, criterion=part) for part in criterion.weighted_parts()]

    def keeps_ratio(self, state: State) -> bool:
        """Whether the ratio of the frame bounds is within its limit, where there is one."""
        plan, frames = self.frames(state)
        if self.most_ratio is None or isinstance(frames, BinFrames):
            return True
        return bool(log_ratio(plan, frames, self.x.shape[1]) <= np.log(self.most_ratio))

    def excess(self, parameters: Parameters, y: Float64Array) -> Excess:
        """By how much the logarithm of the ratio of the frame bounds exceeds its limit."""
        assert self.most_ratio is not None
        state = parameters.state(y)
        plan, frames = self.frames(state)
        assert not isinstance(frames, BinFrames)
        exact, smooth, d = smooth_log_ratio(plan, frames, self.x.shape[1], shape=parameters.tune_shape)
        none = np.zeros(state.positions.size)
        gradient = parameters.adjoint(y, state, d.win_length, d.positions, none, d.shape)
        limit = float(np.log(self.most_ratio))
        return Excess(exact - limit, smooth - limit, gradient)

    def value(self, state: State) -> float:
        """Criterion of a state with its weights."""
        return self._value(state, FrameView(state.positions, state.weights, 1.0, self.neighbourhoods))

    def _value(self, state: State, view: FrameView) -> float:
        plan, frames = self.frames(state)
        if self.basis is not None and isinstance(frames, BinFrames):
            return self._of_spectra(self.basis.spectra(state.win_length).S, view)
        return value_of(plan, self.x, frames, self.criterion, view, self.lead)

    def _of_spectra(self, S: ComplexArray, view: FrameView) -> float:
        return energy_gradients(self.criterion, energies(S), view, self.lead, asarray=self.plan.kernels.asarray).value

    def comparable_value(self, state: State) -> float:
        """Criterion as an integral over time and frequency, comparable between framings.

        Only the value itself for callables, which may be anything.
        """
        return self._value(state, self._comparable_view(state))

    def _comparable_view(self, state: State) -> FrameView:
        spans = durations(state.positions, self.x.shape[1])
        return comparable_view(self.criterion, state.positions, spans, self.plan.mfft, self.neighbourhoods)


@dataclass(frozen=True)
class Outcome:
    """Where a descent ended.

    Attributes
    ----------
    state : State
        Physical parameters.
    y : ndarray
        Optimiser's variables.
    x, jac : ndarray
        The tuned parameters in their own units and the slope of the objective in them.
    first, value : float
        The objective at the start and at the end.
    prices : float
        What of the latter is not the criterion.
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
    """

    state: State
    y: Float64Array
    x: Float64Array
    jac: Float64Array
    first: float
    value: float
    prices: float
    history: list[float]
    nit: int
    nfev: int
    success: bool
    status: int
    message: str


class Stopped(Exception):
    """A callback asked to stop; carries what has been reached."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__("stopped by the callback")
        self.outcome = outcome


def descend(descent: Descent, parameters: Parameters) -> Outcome:
    """Run the optimiser from the start of `parameters`; nothing to tune is an evaluation."""
    start = descent.evaluate(parameters, parameters.start())
    if start.y.size == 0:
        ended = OptimizeResult(nit=0, nfev=1, success=True, status=0, message="nothing to tune")
        return _outcome(parameters, start, start, [start.value], ended)
    path = _Path(descent, parameters, start)
    ended = path.solve(path.objective, start.y)
    # SciPy leaves these out where all bounds coincide
    ended.setdefault("nit", 0)
    ended.setdefault("status", 0)
    best = path.best
    if best.value > start.value:  # all that was gained is the price that is not part of the objective
        best = start
    if not descent.keeps_ratio(parameters.state(best.y)):
        best = _held(path, ended)
    jump = parameters.window.end_value
    if ended.status == _NO_STEP and _projected(best, parameters) / path.unit <= _FLAT_ENOUGH + jump:
        # Where a window jumps at its ends the objective does too, so that near the optimum no step
        # along the gradient need be an improvement any more.
        ended.update(success=True, status=0, message="CONVERGENCE: NO STEP ALONG THE SMALL GRADIENT IMPROVES THE VALUE")
    if path.stopped:
        ended.update(STOPPED)
        raise Stopped(_outcome(parameters, start, best, path.history, ended))
    return _outcome(parameters, start, best, path.history, ended)


class _Path:
    """What a descent goes through: its objective in the optimiser's terms, the best point and the history."""

    def __init__(self, descent: Descent, parameters: Parameters, start: Evaluation) -> None:
        self.descent, self.parameters, self.start = descent, parameters, start
        self.best, self.history, self.stopped = start, [start.value], False
        self.begun, self.settled = 0, False
        frames = parameters.lengths == "time" and descent.method == "L-BFGS-B" and len(descent.objectives()) == 1
        self.settles = frames and "ftol" not in descent.options
        self.options = ({"maxiter": _MOST_OF_FRAMES} if frames else {}) | descent.options
        # Tolerances of the optimiser are absolute: bring values that are no logarithms to order one.
        scale = max(abs(start.value), float(np.abs(start.gradient).max()), _TINY)
        self.unit = 1.0 if descent.criterion.in_nats else scale

    def objective(self, y: Float64Array) -> tuple[float, Float64Array]:
        """Value and slope of what is minimised, in units of order one."""
        here = self.start if np.array_equal(y, self.start.y) else self.descent.evaluate(self.parameters, y)
        extra, extra_gradient = self.parameters.penalty(y)
        if here.value + extra < self.best.value + self.parameters.penalty(self.best.y)[0]:
            self.best = here
        return (here.value + extra) / self.unit, (here.gradient + extra_gradient) / self.unit

    def _objectives(self, parts: list[Descent], y: Float64Array) -> tuple[Float64Array, Float64Array]:
        found = [part.evaluate(self.parameters, y) for part in parts]
        extra, extra_gradient = self.parameters.penalty(y)
        values = np.array([one.value for one in found]) + extra
        return values / self.unit, (np.array([one.gradient for one in found]) + extra_gradient) / self.unit

    def solve(self, function: Objective, begin: Float64Array) -> OptimizeResult:
        """Minimise from a point within the bounds of the parameters, or descend in all objectives at once."""
        bounds, options = self.parameters.bounds(), self.options
        self.begun, self.settled = len(self.history), False
        parts = self.descent.objectives()
        if len(parts) == 1:
            method = adam if self.descent.method == "adam" else _lbfgsb
            ended = method(function, begin, bounds, self._on_iteration, options)
            if self.settled:
                ended.update(_SETTLED)
            return ended
        ended = common_descent(lambda y: self._objectives(parts, y), begin, bounds, self._on_iteration, options)
        self.best = self.descent.evaluate(self.parameters, np.asarray(ended.x))
        return ended

    def _on_iteration(self, intermediate_result: OptimizeResult) -> None:
        self.history.append(float(intermediate_result.fun) * self.unit)
        try:
            # a copy, as SciPy hands out its live buffer
            y = np.array(intermediate_result.x)
            self.descent.on_iteration(len(self.history) - 1, self.history[-1], self.parameters, y)
        except StopIteration:
            self.stopped = True
            raise
        recent = self.history[self.begun :]
        if self.settles and len(recent) > _LAST and recent[-1 - _LAST] - recent[-1] < _CREEP * self.unit:
            self.settled = True
            raise StopIteration


def _held(path: _Path, ended: OptimizeResult) -> Evaluation:
    """Return the best point whose frame bounds keep their ratio, for a descent that `ended` beyond it."""
    descent, parameters = path.descent, path.parameters
    safe = parameters.safe_start()
    if not descent.keeps_ratio(parameters.state(safe)):
        raise ValueError(
            f"max_frame_ratio={descent.most_ratio:g} cannot be kept: the frame bounds of the windows to start from "
            f"have a ratio of {np.exp(descent.excess(parameters, safe).exact) * (descent.most_ratio or 0):.4g}"
        )

    def excess(y: Float64Array) -> Excess:
        return descent.excess(parameters, y)

    if path.stopped:
        return descent.evaluate(parameters, way_back(excess, path.best.y, safe))
    nit, nfev = ended.nit, ended.nfev
    within, again = hold(path.objective, excess, path.solve, path.best.y, safe)
    ended.update(again)
    ended.update(nit=nit + again.nit, nfev=nfev + again.nfev)
    return descent.evaluate(parameters, within)


def _lbfgsb(
    objective: Callable[[Float64Array], tuple[float, Float64Array]],
    start: Float64Array,
    bounds: list[tuple[float, float]],
    callback: Callable[[OptimizeResult], None],
    options: dict[str, Any],
) -> OptimizeResult:
    return minimize(
        objective, start, jac=True, method="L-BFGS-B", bounds=bounds, callback=callback, options=_DEFAULTS | options
    )


def stay(descent: Descent, parameters: Parameters, ended: dict[str, Any]) -> Outcome:
    """Outcome without a descent; `ended` has its success, status and message."""
    at = descent.evaluate(parameters, parameters.start())
    return _outcome(parameters, at, at, [at.value], OptimizeResult(nit=0, nfev=1, **ended))


def _projected(at: Evaluation, parameters: Parameters) -> float:
    """Largest slope that does not push against a bound."""
    low, high = np.array(parameters.bounds()).T
    inward = np.where(
        at.y <= low, np.minimum(at.gradient, 0), np.where(at.y >= high, np.maximum(at.gradient, 0), at.gradient)
    )
    return float(np.abs(inward).max())


def _outcome(
    parameters: Parameters, start: Evaluation, best: Evaluation, history: list[float], ended: OptimizeResult
) -> Outcome:
    state = parameters.state(best.y)
    return Outcome(
        state,
        best.y,
        parameters.natural(best.y),
        best.natural,
        start.value,
        best.value,
        best.prices,
        history,
        int(ended.nit),
        int(ended.nfev),
        bool(ended.success),
        int(ended.status),
        str(ended.message),
    )
