"""How a criterion is evaluated: on a signal in memory, or from sums over many signals.

An `Evaluator` answers three questions: the value of a criterion for given frames, the same with its gradient, and a
table of values over a grid of window lengths. `SignalEvaluator` (here) has one signal in memory, and `PlaneEvaluator`
(`adaptstft.tuning.plane_evaluator`) reads a table of its sums. `SharedEvaluator` (`adaptstft.tuning.shared.evaluator`)
adds up sums over the signals of a corpus or the stretches of a long signal, and `FrameEvaluator`
(`adaptstft.tuning.shared.frame_evaluator`) joins the sums of the frames of a long signal. The stages of tuning are the
same for all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np

from adaptstft.common.device import to_host
from adaptstft.common.precision import comparison_precision
from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.criteria import Additive, Criterion
from adaptstft.criteria.evaluate import FrameLoss, evaluate, value_of, values_in_views
from adaptstft.criteria.neighbourhoods import Neighbourhoods, Tiles
from adaptstft.criteria.scopes import FrameView, neighbourhood_values
from adaptstft.engine.bins import BinFrames
from adaptstft.engine.forward import forward
from adaptstft.engine.frames import Frames, make_frames
from adaptstft.engine.operator import energies
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.statistics import Statistics
from adaptstft.tuning.tables.frame_sums import FrameSums, table_lengths
from adaptstft.tuning.tables.framing import SURVEY_HOP, Framing, FramingRule, counted_view, regular_positions
from adaptstft.tuning.tables.length_sums import sums_for_lengths
from adaptstft.tuning.tables.survey import Survey, compared_in_pairs
from adaptstft.tuning.variables.state import State

#: Number of bins that are transformed at once, and of frames that are compared at once.
_BLOCK = 1 << 20


@dataclass(frozen=True)
class Measure:
    """A criterion on a transform.

    Attributes
    ----------
    plan : FramePlan
        The transform, with its FFT length.
    criterion : Criterion
        The criterion, with its scope.
    neighbourhoods : Neighbourhoods, Tiles or None
        Neighbourhoods of scope ``"local"``.
    steps : bool
        Whether the weights of frames change in steps, as in a descent in their positions.
    """

    plan: FramePlan
    criterion: Criterion
    neighbourhoods: Neighbourhoods | Tiles | None = None
    steps: bool = False

    def frames(self, state: State) -> tuple[FramePlan, Frames | BinFrames]:
        """Return the transform with the window of a state, and its frames."""
        plan = self.plan if state.window is self.plan.window else replace(self.plan, window=state.window)
        if state.win_length.ndim == 2:
            return plan, BinFrames(state.win_length, state.positions, state.positions)
        return plan, make_frames(state.win_length, state.positions, mfft=plan.mfft)

    def view(self, state: State, n: int, *, comparable: bool) -> FrameView:
        """Return the weights of the frames of a state.

        With `comparable` every frame counts for its duration and every bin for its bandwidth, so that values can be
        compared between framings of `n` samples.
        """
        if comparable:
            return counted_view(self.plan, self.criterion, state.positions, n, self.neighbourhoods)
        return FrameView(state.positions, state.weights * self._counted(state, n), 1.0, self.neighbourhoods)

    def of_weights(self, state: State, n: int, loss: FrameLoss) -> FrameLoss:
        """Return a loss with derivatives in the weights of a state, from those in the weights of `view`."""
        return replace(loss, weights=loss.weights * self._counted(state, n))

    def _counted(self, state: State, n: int) -> Float64Array:
        return self.criterion.frame_weights(state.positions, n, self.plan.T, steps=self.steps)


class Evaluator(Protocol):
    """Evaluates a criterion for the stages of tuning."""

    def value(self, measure: Measure, state: State, *, comparable: bool = False) -> float:
        """Return the value of a criterion; with `comparable`, as an integral over time and frequency."""

    def value_and_grad(self, measure: Measure, state: State, *, positions: bool, shape: bool) -> FrameLoss:
        """Return the value and its gradient; `positions` and `shape` tell which derivatives are needed."""

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
        """Return the comparable value of one window length for all frames, for each of `lengths`."""

    def energy_shares(
        self, plan: FramePlan, length: float, positions: Float64Array, criterion: Criterion
    ) -> Float64Array:
        """Return the share of the energy in every bin for one window length, shape (frames, f_pts)."""


@dataclass(frozen=True)
class SignalEvaluator:
    """Evaluates criteria on one signal in memory.

    Attributes
    ----------
    x : ndarray, shape (channels, n)
        The signal.
    lead : tuple of int
        Leading dimensions of the signal, as user losses receive them.
    sums : dict
        Sums of frames by window and statistics, and by FFT length, hop and length, as asked for in `table` and
        `sums_of`: all criteria with these statistics, all neighbourhoods, and `frame_sums` read the same ones.
    """

    x: AnyArray
    lead: tuple[int, ...]
    sums: dict[Any, dict[tuple[int, float, float], Float64Array]] = field(
        default_factory=dict, repr=False, compare=False
    )

    def value(self, measure: Measure, state: State, *, comparable: bool = False) -> float:
        """Return the value of a criterion; with `comparable`, as an integral over time and frequency."""
        view = measure.view(state, self.x.shape[1], comparable=comparable)
        plan, frames = measure.frames(state)
        return value_of(plan, self.x, frames, measure.criterion, view, self.lead)

    def in_single_precision(self) -> SignalEvaluator:
        """Return an evaluator of about half the time, whose values have errors of some millionths."""
        return SignalEvaluator(comparison_precision(self.x), self.lead)

    def value_and_grad(self, measure: Measure, state: State, *, positions: bool, shape: bool) -> FrameLoss:
        """Return the value and its gradient; `positions` and `shape` tell which derivatives are needed."""
        view = measure.view(state, self.x.shape[1], comparable=False)
        plan, frames = measure.frames(state)
        wanted = {"positions": positions, "shape": shape}
        loss = evaluate(plan, self.x, frames, measure.criterion, view, **wanted, lead_shape=self.lead)
        return measure.of_weights(state, self.x.shape[1], loss) if positions else loss

    def both_values(self, measure: Measure, state: State) -> tuple[float, float]:
        """Return value and comparable value of an additive criterion with windows per bin, from one transform.

        Products are in single precision, which takes half the time; the error is some millionths.
        """
        plan, frames = measure.frames(state)
        n = self.x.shape[1]
        views = [measure.view(state, n, comparable=comparable) for comparable in (False, True)]
        assert isinstance(frames, BinFrames) and isinstance(measure.criterion, Additive)
        value, comparable = values_in_views(plan, comparison_precision(self.x), frames, measure.criterion, views)
        return value, comparable

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
        """Return the comparable value of one window length for all frames, for each of `lengths`."""
        values, by_longer = np.empty(lengths.size), {}
        local = None if neighbourhoods is None else np.zeros((neighbourhoods.centres.size, lengths.size))
        framings = [rule.tied(float(length), fraction) for length in lengths]
        work = np.cumsum([framing.mfft / framing.hop for framing in framings])
        sums = []
        if isinstance(criterion, Additive):
            sums = self.sums_of(plan, criterion.statistics, lengths, framings, report)
        margins = [criterion.within(float(length) / 2 * plan.T) for length in lengths]
        for part in _of_same_frames(framings, margins, self.x.shape[1]):
            first, last = part.start, part.stop - 1
            at, own = replace(plan, mfft=framings[first].mfft), margins[first]
            positions = regular_positions(self.x.shape[1], framings[first].hop)
            view = counted_view(at, own, positions, self.x.shape[1], neighbourhoods)
            if isinstance(criterion, Additive):
                count = float(at.f_pts * self.x.shape[0])
                values[part], each = _values_and_local(criterion, sums[part], count, view)
                if local is not None:
                    local[:, part] = each
                of_longer = margins[min(last + 1, lengths.size - 1)]
                if of_longer != own:
                    fewer = counted_view(at, of_longer, positions, self.x.shape[1], neighbourhoods)
                    by_longer[last] = _values_and_local(criterion, sums[last : last + 1], count, fewer)[0][0]
            else:
                for i in range(first, last + 1):
                    frames = make_frames(np.full(positions.size, lengths[i]), positions, mfft=at.mfft)
                    values[i] = value_of(at, self.x, frames, criterion, view, self.lead)
                    report(float(work[i] / work[-1]))
        others = np.array([by_longer.get(i, values[i]) for i in range(lengths.size - 1)])
        return Survey(lengths, compared_in_pairs(values, others), local)

    def frame_sums(
        self,
        plan: FramePlan,
        stats: Statistics,
        bounds: tuple[float, float],
        positions: Float64Array,
        report: Callable[[float], None],
    ) -> FrameSums:
        """Return the statistics of every frame as functions of its window length."""
        framing, known = Framing(float(positions[min(1, positions.size - 1)]), plan.mfft), {}
        if positions.size > 1 and np.array_equal(positions, regular_positions(self.x.shape[1], framing.hop)):
            lengths = table_lengths(bounds)
            kept, keys = self._known(plan, stats), _keys(lengths, [framing] * lengths.size)
            known = {i: kept[key] for i, key in enumerate(keys) if key in kept}
        return FrameSums.of(plan, self.x, stats, bounds, positions, report, known)

    def sums_of(
        self,
        plan: FramePlan,
        stats: Statistics,
        lengths: Float64Array,
        framings: Sequence[Framing],
        report: Callable[[float], None],
    ) -> list[Float64Array]:
        """Return the sums of regular frames with each length and framing, and keep them."""
        known = self._known(plan, stats)
        keys = _keys(lengths, framings)
        new = [i for i, key in enumerate(keys) if key not in known]
        regular = {hop: regular_positions(self.x.shape[1], hop) for hop in {framings[i].hop for i in new}}
        positions = [regular[framings[i].hop] for i in new]
        mffts = np.array([framings[i].mfft for i in new])
        x = comparison_precision(self.x)  # the signal is of order one: single precision is enough
        for part, totals, done in sums_for_lengths(plan, x, stats, lengths[new], positions, mffts):
            begin = 0
            for i, at in zip(new[part], positions[part], strict=True):
                known[keys[i]] = totals[:, begin : begin + at.size]
                begin += at.size
            report(done)
        return [known[key] for key in keys]

    def _known(self, plan: FramePlan, stats: Statistics) -> dict[tuple[int, float, float], Float64Array]:
        """Return the sums that are kept for the window of a plan and the terms of statistics."""
        return self.sums.setdefault((plan.window, stats.units, *stats.pairs), {})

    def energy_shares(
        self, plan: FramePlan, length: float, positions: Float64Array, criterion: Criterion
    ) -> Float64Array:
        """Return the share of the energy in every bin for one window length, shape (frames, f_pts)."""
        energy = np.empty((positions.size, plan.f_pts))
        for first in range(0, positions.size, max(1, _BLOCK // plan.f_pts)):
            at = positions[first : first + max(1, _BLOCK // plan.f_pts)]
            frames = make_frames(np.full(at.size, length), at, mfft=plan.mfft)
            energy[first : first + at.size] = np.asarray(to_host(energies(forward(plan, self.x, frames)))).sum(axis=0)
        energy /= max(float(energy.sum()), np.finfo(float).tiny)
        return energy


def _keys(lengths: Float64Array, framings: Sequence[Framing]) -> list[tuple[int, float, float]]:
    """Return the keys of the sums of regular frames with each length and framing."""
    return [(framing.mfft, framing.hop, length) for length, framing in zip(lengths.tolist(), framings, strict=True)]


def _of_same_frames(framings: Sequence[Framing], criteria: Sequence[Criterion], n: int) -> Iterator[slice]:
    """Return ranges of transforms of `n` samples with the same frames of which the same ones count.

    A range has more than one transform only if they have few frames.
    """
    first = 0
    for end in range(1, len(framings) + 1):
        same = end < len(framings) and (framings[end], criteria[end]) == (framings[first], criteria[first])
        if not same or (end + 1 - first) * n / framings[first].hop > _BLOCK:
            yield slice(first, end)
            first = end


def _values_and_local(
    criterion: Additive, sums: Sequence[Float64Array], count: float, view: FrameView
) -> tuple[Float64Array, Float64Array]:
    """Return a criterion of several transforms, and in scope ``"local"`` its contributions from every neighbourhood.

    The contributions, shape (groups, transforms), are times the number of neighbourhoods.
    """
    found, each = [], np.zeros((0, len(sums)))
    if criterion.scope == "local":
        found = [neighbourhood_values(criterion.combine, one, count, view, spread=criterion.spread) for one in sums]
        each = np.array([one.values * one.share * one.share.size for one in found]).T
    if found and criterion.normalised:
        return np.array([one.mean for one in found]), each
    return criterion.values(np.stack(sums, axis=1), np.full(view.positions.size, count), view), each
