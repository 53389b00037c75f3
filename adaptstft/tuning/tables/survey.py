"""Search over a grid of window lengths, before every descent.

Criteria have several local minima in the window length, so each descent starts from a minimum of a geometric grid. For
each length of the grid the signal is transformed once, with the hop and the FFT length for this length. The values are
made comparable by the area of a time-frequency cell. One search gives the values over the whole signal and in every
neighbourhood.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from adaptstft.common.best_path import AllMoves, best_path
from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.criteria import Additive, Criterion
from adaptstft.criteria.evaluate import comparable_view, value_of
from adaptstft.criteria.neighbourhoods import Neighbourhoods
from adaptstft.criteria.scopes import FrameView, neighbourhood_values
from adaptstft.engine.frames import durations
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.statistics import statistics
from adaptstft.tuning.tables.framing import SURVEY_HOP, FramingRule, regular_frames

#: Penalty in nats for a change of the length by a factor e between neighbourhoods that are one width apart.
_PATH_STIFFNESS = 0.05


@dataclass(frozen=True)
class Survey:
    """Values of a criterion over a grid of window lengths.

    Attributes
    ----------
    lengths : ndarray, shape (grid,)
        Window lengths in samples.
    values : ndarray, shape (grid,)
        The criterion over the whole signal, comparable between lengths.
    local : ndarray, shape (groups, grid), or None
        The criterion in every neighbourhood.

    Examples
    --------
    >>> import adaptstft
    >>> signal = adaptstft.datasets.linear_chirp(duration=1.0)
    >>> survey = adaptstft.optimize(signal.x, signal.fs).survey
    >>> float(survey.lengths[0]), survey.lengths.size == survey.values.size
    (16.0, True)
    """

    lengths: Float64Array
    values: Float64Array
    local: Float64Array | None

    def minima(self, most: int, margin: float = np.inf) -> list[float]:
        """Return the lengths of at most `most` local minima, interpolated between grid points, best first.

        Minima more than `margin` above the best one are left out: a descent between grid points gains far less.
        """
        v = self.values
        padded = np.concatenate([[np.inf], v, [np.inf]])
        is_low = (v <= padded[:-2]) & (v < padded[2:])
        is_low &= v <= v.min() + margin
        order = sorted(np.flatnonzero(is_low), key=lambda i: v[i])
        return [self._refine(int(i)) for i in order[:most]]

    def _refine(self, i: int) -> float:
        """Vertex of the parabola through a grid minimum and its neighbours."""
        if not 0 < i < self.lengths.size - 1:
            return float(self.lengths[i])
        left, mid, right = self.values[i - 1 : i + 2]
        curvature = left - 2 * mid + right
        shift = 0.5 * (left - right) / curvature if curvature > 0 else 0.0
        steps = np.log(self.lengths[i - 1 : i + 2])
        return float(np.exp(steps[1] + np.clip(shift, -0.5, 0.5) * (steps[2] - steps[0]) / 2))

    def path(self, stiffness: float = 1.0) -> Float64Array:
        """Return a length for every neighbourhood: the best path with a penalty on changes of the log length."""
        assert self.local is not None
        log = np.log(self.lengths)
        penalty = stiffness * _PATH_STIFFNESS * np.abs(log[:, None] - log[None, :])
        return self.lengths[best_path(self.local, AllMoves(penalty))[0]]


def survey(
    plan: FramePlan,
    x: AnyArray,
    criterion: Criterion,
    lengths: Float64Array,
    rule: FramingRule,
    neighbourhoods: Neighbourhoods | None,
    report: Callable[[float], None],
    fraction: float = SURVEY_HOP,
    lead_shape: tuple[int, ...] | None = None,
) -> Survey:
    """Evaluate a criterion at every length of a grid.

    Parameters
    ----------
    plan : FramePlan
        The transform; its `mfft` is replaced.
    x : ndarray, shape (channels, n)
        The signal.
    criterion : Criterion
        The criterion; `Survey.values` have its scope.
    lengths : ndarray
        Window lengths in samples.
    rule : FramingRule
        Hop and FFT length for a window length.
    neighbourhoods : Neighbourhoods or None
        Neighbourhoods in which the criterion is evaluated too; this needs an additive criterion.
    report : callable
        Called with the fraction of the grid that is done.
    fraction : float, optional
        Hop as a fraction of the window length, where it is not given.
    lead_shape : tuple of int, optional
        Leading dimensions of the signal, for user losses; those of `x` without the time axis by default.

    Returns
    -------
    Survey
        The values.
    """
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
            values[i] = value_of(at, x, frames, criterion, view, lead_shape)
        report((i + 1) / lengths.size)
    return Survey(lengths, values, local)


def _local_values(criterion: Additive, totals: Float64Array, counts: Float64Array, view: FrameView) -> Float64Array:
    """Criterion in every neighbourhood, times the neighbourhood's share of the energy and their number."""
    values, share = neighbourhood_values(criterion.combine, totals, counts, view, spread=criterion.spread)
    return values * share * share.size
