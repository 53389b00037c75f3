"""Criteria of a long signal whose frames have lengths of their own, from the sums of each frame.

A `State` then has all frames of the signal. The sums of the frames come from the stretches of the signal
(`adaptstft.tuning.shared.frame_jobs`), and the criterion is the same function of them as for a signal in memory. In
searches over single lengths, which have many frames for short windows, the stretches sum their frames over
neighbourhoods themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np

from adaptstft.common.typing import Float64Array
from adaptstft.criteria import Additive, Criterion
from adaptstft.criteria.evaluate import FrameLoss
from adaptstft.criteria.neighbourhoods import Neighbourhoods
from adaptstft.criteria.scopes import FrameView, LocalSums, local_values
from adaptstft.engine.gradients import Gradients
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.statistics import Statistics
from adaptstft.tuning.evaluator import Measure
from adaptstft.tuning.shared.dask_signals import DaskSignals
from adaptstft.tuning.shared.evaluator import SharedEvaluator, survey_queries, survey_values
from adaptstft.tuning.shared.frame_jobs import GroupJob, GroupSums, StatisticsJob, TableJob
from adaptstft.tuning.shared.partial_sums import Query
from adaptstft.tuning.tables.frame_sums import FrameSums, table_lengths
from adaptstft.tuning.tables.framing import SURVEY_HOP, FramingRule
from adaptstft.tuning.tables.survey import Survey
from adaptstft.tuning.variables.state import State


@dataclass(frozen=True)
class FrameEvaluator(SharedEvaluator):
    """Evaluates criteria from the sums of all frames of a long signal.

    Attributes
    ----------
    shared : DaskSignals
        The signal.
    """

    shared: DaskSignals

    def value(self, measure: Measure, state: State, *, comparable: bool = False) -> float:
        """Return the value of a criterion; with `comparable`, as an integral over time and frequency."""
        criterion = cast(Additive, measure.criterion)
        totals, _ = self._statistics(measure, state, gradient=False)
        view = measure.view(state, self.shared.n, comparable=comparable)
        return criterion.value(totals, self._counts(measure, state), view)

    def value_and_grad(self, measure: Measure, state: State, *, positions: bool, shape: bool) -> FrameLoss:
        """Return the value and its gradient in the lengths; positions and shape of a long signal are not tuned."""
        criterion = cast(Additive, measure.criterion)
        totals, rates = self._statistics(measure, state, gradient=True)
        view = measure.view(state, self.shared.n, comparable=False)
        reduced = criterion.reduce(totals, self._counts(measure, state), view)
        by_length = np.asarray(np.einsum("kp,kp->p", reduced.totals, rates))
        return FrameLoss(reduced.value, Gradients(by_length, reduced.positions, np.zeros(0)), reduced.weights)

    def _statistics(self, measure: Measure, state: State, *, gradient: bool) -> tuple[Float64Array, Float64Array]:
        """Return the statistics of all frames and their derivatives in the lengths."""
        plan, stats = replace(measure.plan, window=state.window), cast(Additive, measure.criterion).statistics
        found = self.shared.run(
            [
                StatisticsJob(plan, stats, state.win_length[part], state.positions[part], gradient)
                for part in self.shared.parts(state.positions)
            ]
        )
        totals, rates = zip(*found, strict=True)
        return np.concatenate(totals, axis=1), np.concatenate(rates, axis=1)

    def _counts(self, measure: Measure, state: State) -> Float64Array:
        """Return the number of bins of each frame."""
        return np.broadcast_to(float(measure.plan.f_pts * self.shared.channels), state.positions.shape)

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
        if neighbourhoods is None:
            return super().table(plan, criterion, lengths, rule, None, report, fraction)
        queries = survey_queries(plan, criterion, lengths, rule, fraction)
        values, local = np.empty(len(queries)), np.empty((neighbourhoods.centres.size, len(queries)))
        found = self.shared.run([self._group_job(queries, neighbourhoods, *ends) for ends in self.shared.stretches])
        for i, query in enumerate(queries):
            total = _add_groups([part[i] for part in found], neighbourhoods.centres.size)
            values[i], local[:, i] = _local_values(query, total, self.shared.channels, neighbourhoods)
        return Survey(lengths, survey_values(values), local[:, ::2])

    def _group_job(self, queries: Sequence[Query], neighbourhoods: Neighbourhoods, low: int, high: int) -> GroupJob:
        """Return the job on the stretch from `low` to `high`; the last frame may lie behind the end of the signal."""
        beyond = max(query.hop for query in queries) if high == self.shared.n else 0.0
        return GroupJob(queries, *neighbourhoods.within(low, high + beyond))

    def frame_sums(
        self,
        plan: FramePlan,
        stats: Statistics,
        bounds: tuple[float, float],
        positions: Float64Array,
        report: Callable[[float], None],
    ) -> FrameSums:
        """Return the statistics of every frame as functions of its window length."""
        lengths = table_lengths(bounds)
        jobs = [TableJob(plan, stats, lengths, positions[part]) for part in self.shared.parts(positions)]
        return FrameSums.joined(stats, lengths, self.shared.run(jobs, report), plan.kernels)


def _add_groups(parts: Sequence[GroupSums], groups: int) -> GroupSums:
    """Add the sums over all stretches."""
    total = np.zeros((len(parts[0].sums), groups))
    for part in parts:
        total[:, part.first : part.first + part.sums.shape[1]] += part.sums
    whole = np.sum([part.whole for part in parts], axis=0)
    return GroupSums(0, total, whole, sum(part.frames for part in parts), sum(part.time for part in parts))


def _local_values(
    query: Query, total: GroupSums, channels: int, neighbourhoods: Neighbourhoods
) -> tuple[float, Float64Array]:
    """Return a criterion over all neighbourhoods, and its contribution from each."""
    criterion = query.criterion
    unit = total.frames / total.time if criterion.spread else 1.0  # durations relative to their mean
    *raw, weight, square = total.sums
    sums = LocalSums(neighbourhoods, np.array(raw) * unit, weight * unit, square * unit**2)
    count = float(query.plan.f_pts * channels)
    found = local_values(criterion.combine, sums, count, query.cell, spread=criterion.spread)
    local = found.values * found.share * found.share.size
    if not criterion.normalised:
        view = FrameView(np.zeros(1), np.ones(1), query.cell)
        return criterion.value(total.whole[:, np.newaxis], np.array([count * total.time]), view), local
    return found.mean, local
