"""The objective of a descent: a criterion with its penalties, as a function of the optimiser's variables."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import cast

import numpy as np

from adaptstft.common.typing import Float64Array
from adaptstft.criteria import Additive, Combined, Criterion
from adaptstft.criteria.neighbourhoods import Neighbourhoods, Tiles
from adaptstft.criteria.scopes import FrameView
from adaptstft.engine.frames import Frames
from adaptstft.engine.gradients import Gradients, ValueAndGradients
from adaptstft.engine.plan import FramePlan
from adaptstft.tuning.descent.multipliers import Excess
from adaptstft.tuning.evaluator import Evaluator, Measure, SignalEvaluator
from adaptstft.tuning.penalties.coverage import coverage
from adaptstft.tuning.penalties.evenness import Evenness
from adaptstft.tuning.penalties.frame_ratio import log_ratio, smooth_log_ratio
from adaptstft.tuning.penalties.variation import sum_of_changes, total_variation
from adaptstft.tuning.variables.state import State
from adaptstft.tuning.variables.variables import Variables


@dataclass(frozen=True)
class Evaluation:
    """The objective at one point.

    Attributes
    ----------
    value : float
        The objective.
    y, gradient : ndarray
        The optimiser's variables, and the gradient with respect to them.
    penalties : float
        Part of the objective that is not the criterion.
    to_natural, to_comparable : callable
        Return `natural`, and the comparable value of the criterion, which only the last point of a descent needs.
    """

    value: float
    y: Float64Array
    gradient: Float64Array
    penalties: float
    to_natural: Callable[[], Float64Array]
    to_comparable: Callable[[], float]

    @property
    def natural(self) -> Float64Array:
        """Gradient with respect to the parameters in their own units."""
        return self.to_natural()


@dataclass(frozen=True)
class Objective:
    """A criterion with its penalties, for one framing.

    Attributes
    ----------
    evaluator : Evaluator
        Evaluates the criterion.
    measure : Measure
        The criterion and the transform.
    n : int
        Number of samples of the signal, or of the longest of many.
    smoothness : float
        Weight of the total variation of the log lengths.
    coverage : float
        Weight of the fraction of the signal that no window covers.
    evenness : Evenness or None
        Computes the penalty on windows that count the signal unevenly.
    evenness_weight : float
        Weight of that penalty.
    change_cost : float
        Cost of a change of a hop or a length by a factor e from one frame to the next.
    most_ratio : float or None
        Largest ratio of the frame bounds that a result with one window per frame may have.
    """

    evaluator: Evaluator
    measure: Measure
    n: int
    smoothness: float = 0.0
    coverage: float = 0.0
    evenness: Evenness | None = None
    evenness_weight: float = 0.0
    change_cost: float = 0.0
    most_ratio: float | None = None

    @property
    def plan(self) -> FramePlan:
        """The transform, with its FFT length."""
        return self.measure.plan

    @property
    def criterion(self) -> Criterion:
        """The criterion, with its scope."""
        return self.measure.criterion

    def with_plan(self, plan: FramePlan, neighbourhoods: Neighbourhoods | Tiles | None) -> Objective:
        """Return the objective on another transform, with the neighbourhoods for it."""
        return replace(self, measure=replace(self.measure, plan=plan, neighbourhoods=neighbourhoods))

    def with_margin(self, margin: float) -> Objective:
        """Return the objective of a criterion that has a margin with another one, in seconds."""
        return replace(self, measure=replace(self.measure, criterion=self.criterion.with_margin(margin)))

    def in_steps(self) -> Objective:
        """Return the objective with weights of frames that change in steps."""
        return replace(self, measure=replace(self.measure, steps=True))

    def in_single_precision(self) -> Objective:
        """Return the objective with sums in single precision where it is a function of sums over the signal."""
        evaluator = self.evaluator
        if not isinstance(evaluator, SignalEvaluator) or not isinstance(self.criterion, Additive):
            return self
        return replace(self, evaluator=evaluator.in_single_precision())

    def value(self, state: State) -> float:
        """Return the criterion at a state, with the weights of its frames."""
        return self.evaluator.value(self.measure, state)

    def comparable_value(self, state: State) -> float:
        """Return the criterion as an integral over time and frequency, which can be compared between framings.

        User losses, which may be any function, return their plain value.
        """
        return self.evaluator.value(self.measure, state, comparable=True)

    def evaluate(self, variables: Variables, y: Float64Array) -> Evaluation:
        """Return the objective and its gradient at the optimiser's variables ``y``."""
        state, shape = variables.state(y), variables.shape_varies
        loss = self.evaluator.value_and_grad(self.measure, state, positions=variables.positions_vary, shape=shape)
        penalties = self._penalties(variables, state, shape=shape)
        ours, more, value = loss.gradients, penalties.gradients, loss.value + penalties.value
        d_win_length, d_positions = ours.win_length + more.win_length, ours.positions + more.positions
        d_shape = ours.shape + more.shape
        d_y = variables.adjoint(y, state, d_win_length, d_positions, loss.weights, d_shape)
        at = y.copy()
        natural = partial(variables.natural_gradient, at, d_win_length, d_positions, d_shape)
        comparable = partial(self._comparable, loss.in_view, state)
        return Evaluation(value, at, d_y, value - loss.value, natural, comparable)

    def _comparable(self, in_view: Callable[[FrameView], float] | None, state: State) -> float:
        """Return the comparable value at a state, without a transform if its value `in_view` is known."""
        if in_view is None:
            return self.comparable_value(state)
        return in_view(self.measure.view(state, self.n, comparable=True))

    def total(self, variables: Variables, y: Float64Array) -> float:
        """Return the objective alone, in less time than with its gradient."""
        state = variables.state(y)
        return self.value(state) + self._penalties(variables, state, shape=False).value

    def _penalties(self, variables: Variables, state: State, *, shape: bool) -> ValueAndGradients:
        """Return what the objective adds to the criterion; gradients of shape (1,) are zero."""
        value, d_win_length, d_positions, d_shape = 0.0, np.zeros(1), np.zeros(1), np.zeros(1)
        if self.smoothness and variables.lengths.kind in ("time", "grid"):
            variation, gradient = total_variation(state.win_length)
            value, d_win_length = value + self.smoothness * variation, d_win_length + self.smoothness * gradient
        if self.coverage:
            covered, by_win_length, by_positions = coverage(state.win_length, state.positions, self.n)
            value = value + self.coverage * (1 - covered)
            d_win_length = d_win_length - self.coverage * by_win_length
            d_positions = d_positions - self.coverage * by_positions
        if self.change_cost and state.positions.size > 1:
            changes, by_win_length, by_positions = sum_of_changes(state.win_length, state.positions)
            value, d_win_length = value + self.change_cost * changes, d_win_length + self.change_cost * by_win_length
            d_positions = d_positions + self.change_cost * by_positions
        if self.evenness is not None:
            weight = self.evenness_weight
            penalty = self.evenness.evaluate(state.window, state.win_length, state.positions, shape=shape)
            value, d_win_length = value + weight * penalty.value, d_win_length + weight * penalty.gradients.win_length
            d_positions = d_positions + weight * penalty.gradients.positions
            d_shape = d_shape + weight * penalty.gradients.shape if shape else d_shape
        return ValueAndGradients(value, Gradients(d_win_length, d_positions, d_shape))

    def parts(self) -> list[Objective]:
        """For rule ``"min-norm"``, return one objective per criterion; otherwise this one alone."""
        criterion = self.criterion
        if not isinstance(criterion, Combined) or criterion.rule == "weighted":
            return [self]
        return [replace(self, measure=replace(self.measure, criterion=part)) for part in criterion.weighted_parts()]

    def keeps_ratio(self, state: State) -> bool:
        """Return whether the ratio of the frame bounds is within its limit, if there is one."""
        return self.most_ratio is None or state.win_length.ndim == 2 or self.exact_excess(state).exact <= 0

    def exact_excess(self, state: State) -> Excess:
        """Return by how much the logarithm of the ratio exceeds its limit, without an approximation to descend on."""
        assert self.most_ratio is not None
        plan, frames = self.measure.frames(state)
        exact = log_ratio(plan, cast(Frames, frames), self.n) - float(np.log(self.most_ratio))
        return Excess(exact, exact, np.zeros(0))

    def excess(self, variables: Variables, y: Float64Array) -> Excess:
        """Return by how much the logarithm of the ratio of the frame bounds exceeds its limit."""
        assert self.most_ratio is not None
        state = variables.state(y)
        plan, frames = self.measure.frames(state)
        exact, smooth, d = smooth_log_ratio(plan, cast(Frames, frames), self.n, shape=variables.shape_varies)
        none = np.zeros(state.positions.size)
        gradient = variables.adjoint(y, state, d.win_length, d.positions, none, d.shape)
        limit = float(np.log(self.most_ratio))
        return Excess(exact - limit, smooth - limit, gradient)
