"""How a criterion with windows per frequency or bin is evaluated from a table of sums over the plane."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from adaptstft.common.products import product
from adaptstft.common.typing import Float64Array
from adaptstft.criteria import Additive
from adaptstft.criteria.evaluate import FrameLoss, bin_weights, comparable_view
from adaptstft.criteria.scopes import FrameView
from adaptstft.engine.gradients import Gradients
from adaptstft.tuning.evaluator import Measure, SignalEvaluator
from adaptstft.tuning.tables.plane_sums import PlaneSums
from adaptstft.tuning.variables.state import State


@dataclass(frozen=True, kw_only=True)
class PlaneEvaluator(SignalEvaluator):
    """Evaluates criteria from a table.

    A `State` then has one length for each cell and bin of the table, and the position of each cell.

    Attributes
    ----------
    plane : PlaneSums
        The table.
    spans : ndarray, shape (cells,)
        Mean duration of the frames of each cell in samples, as far as it counts.
    """

    plane: PlaneSums
    spans: Float64Array

    @classmethod
    def of(cls, signal: SignalEvaluator, plane: PlaneSums, spans: Float64Array) -> PlaneEvaluator:
        """Return the evaluator for a table of a signal, from the mean durations of the frames of its cells."""
        return cls(signal.x, signal.lead, signal.sums, plane=plane, spans=spans)

    def in_single_precision(self) -> PlaneEvaluator:
        """Return this evaluator, which transforms no signal."""
        return self

    def value(self, measure: Measure, state: State, *, comparable: bool = False) -> float:
        """Return the value of a criterion; with `comparable`, as an integral over time and frequency."""
        view = measure.view(state, self.x.shape[1], comparable=False)
        if comparable:
            hood = measure.neighbourhoods
            view = comparable_view(measure.criterion, state.positions, self.spans, measure.plan.mfft, hood)
        return self._loss(measure, state, view).value

    def value_and_grad(self, measure: Measure, state: State, *, positions: bool, shape: bool) -> FrameLoss:
        """Return the value and its gradient in the lengths; a table has fixed positions and a fixed shape."""
        return self._loss(measure, state, measure.view(state, self.x.shape[1], comparable=False))

    def _loss(self, measure: Measure, state: State, view: FrameView) -> FrameLoss:
        plane, criterion = self.plane, measure.criterion
        assert isinstance(criterion, Additive)
        log, stride = np.log(state.win_length), plane.cells.stride
        sums, rates = plane.at(log)
        banded_view, bands = view.banded()
        bands = bin_weights(criterion, bands, measure.plan.f_pts)[:, ::stride] * stride
        if not criterion.normalised:  # a mean over the plane: all bands are one
            banded_view, bands = replace(view, neighbourhoods=None), bands.sum(axis=0, keepdims=True)
        totals = np.array([product(one, bands.T).T.ravel() for one in sums])
        counts = np.outer(bands.sum(axis=1) * len(self.x), plane.cells.sizes).ravel()
        reduced = criterion.reduce(totals, counts, banded_view)
        by_log = np.zeros_like(log)
        for rate, by_totals in zip(rates, reduced.totals.reshape(len(sums), len(bands), -1), strict=True):
            by_log += rate * product(by_totals.T, bands)
        none = np.zeros(len(log))
        return FrameLoss(reduced.value, Gradients(by_log / state.win_length, none, np.zeros(0)), none)
