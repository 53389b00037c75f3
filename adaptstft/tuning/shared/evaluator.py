"""Criteria from sums over many signals: those of a corpus, or the stretches of a long signal.

All signals share window length(s) and hop; `adaptstft.tuning.shared.frame_evaluator` is for lengths that vary from
frame to frame. The first two frames of every signal therefore stand for all of them in a
`State`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from adaptstft.common.typing import Float64Array
from adaptstft.criteria import Additive, Criterion
from adaptstft.criteria.evaluate import FrameLoss
from adaptstft.criteria.neighbourhoods import Neighbourhoods
from adaptstft.engine.gradients import Gradients
from adaptstft.engine.plan import FramePlan
from adaptstft.tuning.evaluator import Measure
from adaptstft.tuning.shared.partial_sums import Query
from adaptstft.tuning.shared.signals import SharedSignals
from adaptstft.tuning.tables.framing import SURVEY_HOP, FramingRule
from adaptstft.tuning.tables.survey import Survey, compared_in_pairs
from adaptstft.tuning.variables.state import State


@dataclass(frozen=True)
class SharedEvaluator:
    """Evaluates criteria from sums over many signals.

    Attributes
    ----------
    shared : SharedSignals
        The signals.
    """

    shared: SharedSignals

    def value(self, measure: Measure, state: State, *, comparable: bool = False) -> float:
        """Return the value of a criterion; with `comparable`, as an integral over time and frequency."""
        return self.shared.evaluate([_query(measure, state, comparable=comparable)])[0].value

    def value_and_grad(self, measure: Measure, state: State, *, positions: bool, shape: bool) -> FrameLoss:
        """Return the value and its gradient; positions of many signals are not tuned."""
        (total,) = self.shared.evaluate([_query(measure, state, gradient=True, shape=shape)])
        d_win_length, by_win_length = np.zeros_like(state.win_length), total.gradients.win_length
        d_win_length[0] = by_win_length if state.win_length.ndim == 2 else by_win_length[0]
        zero = np.zeros(state.positions.size)
        return FrameLoss(total.value, Gradients(d_win_length, zero, total.gradients.shape), zero)

    def table(
        self,
        plan: FramePlan,
        criterion: Criterion,
        lengths: Float64Array,
        rule: FramingRule,
        neighbourhoods: Neighbourhoods | None,
        report: Callable[[float], None],
        fraction: float = SURVEY_HOP,
    ) -> Survey:
        """Return the comparable value of one window length for all frames, for each of `lengths`, in one pass."""
        queries = survey_queries(plan, criterion, lengths, rule, fraction)
        values = np.array([one.value for one in self.shared.evaluate(queries, report)])
        return Survey(lengths, survey_values(values), None)

    def energy_shares(
        self, plan: FramePlan, length: float, positions: Float64Array, criterion: Criterion
    ) -> Float64Array:
        """Return the share of the energy at every frequency, divided evenly among the frames, (frames, f_pts)."""
        hop = float(positions[1] - positions[0])
        query = Query(plan, np.array([length]), hop, cast(Additive, criterion), spectrum=True)
        (partial_sums,) = self.shared.sums([query])
        share = partial_sums.spectrum / max(float(partial_sums.spectrum.sum()), np.finfo(float).tiny)
        return np.asarray(np.broadcast_to(share / positions.size, (positions.size, share.size)))


def survey_queries(
    plan: FramePlan, criterion: Criterion, lengths: Float64Array, rule: FramingRule, fraction: float
) -> list[Query]:
    """Return the questions for the comparable values of single lengths, with the framing for each.

    There are two for each length: one by the frames that count with it, and one by those that count with the next
    longer length, see `compared_in_pairs`.
    """
    queries = []
    for length, longer in zip(lengths, np.append(lengths[1:], lengths[-1]), strict=True):
        framing = rule.tied(float(length), fraction)
        at = replace(plan, mfft=framing.mfft)
        for inside in (length, longer):
            requested = cast(Additive, criterion.within(float(inside) / 2 * plan.T))
            # single precision is enough to compare lengths: the signals are of order one
            queries.append(Query(at, np.array([length]), framing.hop, requested, comparable=True, single=True))
    return queries


def survey_values(values: Float64Array) -> Float64Array:
    """Return the values of single lengths from those of `survey_queries`."""
    return compared_in_pairs(values[::2], values[1:-1:2])


def _query(measure: Measure, state: State, **wanted: Any) -> Query:
    """Return the question for the criterion at a state."""
    win_length = state.win_length[0] if state.win_length.ndim == 2 else state.win_length[:1]
    hop = float(state.positions[1] - state.positions[0])
    plan = replace(measure.plan, window=state.window)
    return Query(plan, win_length, hop, cast(Additive, measure.criterion), **wanted)
