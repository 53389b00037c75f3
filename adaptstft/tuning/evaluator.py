"""How a criterion is evaluated: on a signal in memory, or from sums over many signals.

An `Evaluator` answers three questions: the value of a criterion for given frames, the same with its gradient, and a
table of values over a grid of window lengths. `SignalEvaluator` (here) has one signal in memory, `SharedEvaluator`
(`adaptstft.tuning.shared.evaluator`) adds up sums over the signals of a corpus or the stretches of a long signal.
The stages of tuning are the same for both.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from adaptstft.common.device import to_host
from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.criteria import Additive, Criterion
from adaptstft.criteria.evaluate import (
    FrameLoss,
    comparable_view,
    energy_gradients,
    evaluate,
    evaluate_spectra,
    value_of,
)
from adaptstft.criteria.neighbourhoods import Neighbourhoods, Tiles
from adaptstft.criteria.scopes import FrameView, neighbourhood_values
from adaptstft.engine.bins import BinFrames
from adaptstft.engine.forward import forward
from adaptstft.engine.frames import Frames, durations, make_frames
from adaptstft.engine.operator import energies
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.statistics import statistics
from adaptstft.tuning.tables.framing import SURVEY_HOP, FramingRule, regular_frames
from adaptstft.tuning.tables.lowrank import BasisTransforms
from adaptstft.tuning.tables.survey import Survey
from adaptstft.tuning.variables.state import State


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
    basis : BasisTransforms or None
        Transforms that windows per bin are interpolated from; None computes the exact sums.
    """

    plan: FramePlan
    criterion: Criterion
    neighbourhoods: Neighbourhoods | Tiles | None = None
    basis: BasisTransforms | None = None

    def frames(self, state: State) -> tuple[FramePlan, Frames | BinFrames]:
        """Return the transform with the window of a state, and its frames."""
        plan = replace(self.plan, window=state.window)
        if state.win_length.ndim == 2:
            return plan, BinFrames(state.win_length, state.positions, state.positions)
        return plan, make_frames(state.win_length, state.positions, mfft=plan.mfft)

    def view(self, state: State, n: int, *, comparable: bool) -> FrameView:
        """Return the weights of the frames of a state.

        With `comparable` every frame counts for its duration and every bin for its bandwidth, so that values can be
        compared between framings of `n` samples.
        """
        if not comparable:
            return FrameView(state.positions, state.weights, 1.0, self.neighbourhoods)
        spans = durations(state.positions, n)
        return comparable_view(self.criterion, state.positions, spans, self.plan.mfft, self.neighbourhoods)


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
    """

    x: AnyArray
    lead: tuple[int, ...]

    def value(self, measure: Measure, state: State, *, comparable: bool = False) -> float:
        """Return the value of a criterion; with `comparable`, as an integral over time and frequency."""
        view = measure.view(state, self.x.shape[1], comparable=comparable)
        plan, frames = measure.frames(state)
        if measure.basis is not None and state.win_length.ndim == 2:
            energy = energies(measure.basis.spectra(state.win_length).S)
            asarray = plan.kernels.asarray
            return energy_gradients(measure.criterion, energy, view, self.lead, asarray=asarray).value
        return value_of(plan, self.x, frames, measure.criterion, view, self.lead)

    def value_and_grad(self, measure: Measure, state: State, *, positions: bool, shape: bool) -> FrameLoss:
        """Return the value and its gradient; `positions` and `shape` tell which derivatives are needed."""
        view = measure.view(state, self.x.shape[1], comparable=False)
        plan, frames = measure.frames(state)
        if measure.basis is not None and state.win_length.ndim == 2:
            spectra = measure.basis.spectra(state.win_length)
            return evaluate_spectra(plan, spectra, measure.criterion, view, self.lead)
        wanted = {"positions": positions, "shape": shape}
        return evaluate(plan, self.x, frames, measure.criterion, view, **wanted, lead_shape=self.lead)

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
        x = self.x
        if isinstance(criterion, Additive):  # the signal has been scaled to order one: single precision is enough
            x = x.astype(np.complex64 if np.iscomplexobj(x) else np.float32)
        values = np.empty(lengths.size)
        local = None if neighbourhoods is None else np.zeros((neighbourhoods.centres.size, lengths.size))
        for i, length in enumerate(lengths):
            framing = rule.tied(float(length), fraction)
            at = replace(plan, mfft=framing.mfft)
            frames, positions = regular_frames(at, x.shape[1], float(length), framing.hop)
            spans = durations(positions, x.shape[1])
            view = comparable_view(criterion, positions, spans, framing.mfft, neighbourhoods)
            if isinstance(criterion, Additive):
                totals, _ = statistics(at, x, frames, criterion.statistics)
                counts = np.full(positions.size, float(at.f_pts * x.shape[0]))
                values[i] = criterion.reduce(totals, counts, view).value
                if local is not None:
                    local[:, i] = _local_values(criterion, totals, counts, view)
            else:
                values[i] = value_of(at, x, frames, criterion, view, self.lead)
            report((i + 1) / lengths.size)
        return Survey(lengths, values, local)

    def energy_shares(
        self, plan: FramePlan, length: float, positions: Float64Array, criterion: Criterion
    ) -> Float64Array:
        """Return the share of the energy in every bin for one window length, shape (frames, f_pts)."""
        frames = make_frames(np.full(positions.size, length), positions, mfft=plan.mfft)
        energy = np.asarray(to_host(energies(forward(plan, self.x, frames)))).sum(axis=0)
        return np.asarray(energy / max(float(energy.sum()), np.finfo(float).tiny))


def _local_values(criterion: Additive, totals: Float64Array, counts: Float64Array, view: FrameView) -> Float64Array:
    """Criterion in every neighbourhood, times the neighbourhood's share of the energy and their number."""
    values, share = neighbourhood_values(criterion.combine, totals, counts, view, spread=criterion.spread)
    return values * share * share.size
