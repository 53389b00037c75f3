"""The coarse search that precedes every descent: one set of transforms for a grid of lengths.

Criteria are multimodal in the window length, so a descent begins from a
geometric grid. Every length of the grid is transformed once, with a hop and an
FFT length that suit it; values are made comparable by the size of a
time-frequency cell, and serve the global optimum and every neighbourhood alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from scipy import fft as fft_lib

from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.criteria import Additive, Criterion
from adaptstft.criteria.evaluate import comparable_view, value_of
from adaptstft.criteria.neighbourhoods import Neighbourhoods
from adaptstft.criteria.scopes import FrameView, neighbourhood_values
from adaptstft.engine.frames import TIED_HOP, Frames, durations, frame_count, make_frames
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.statistics import statistics

#: Ratio of neighbouring lengths of the grid.
GRID_RATIO = 2**0.5
#: Hop of a transform as a fraction of its window in the survey.
SURVEY_HOP = 1 / 4
#: How far a hop may be from its rule, in log, before the descent is repeated with another.
_TIED_SLACK = 0.22
_RATIO_SLACK = 0.01
#: Cost in nats of changing the length by a factor e between neighbourhoods a width apart.
_PATH_STIFFNESS = 0.05


@dataclass(frozen=True)
class Framing:
    """Hop and FFT length of a transform.

    Attributes
    ----------
    hop : float
        Time between frames in samples.
    mfft : int
        Length of the FFT.
    """

    hop: float
    mfft: int


@dataclass(frozen=True)
class FramingRule:
    """How hop and FFT length follow from a window length.

    Attributes
    ----------
    hop, mfft : float or None, int or None
        What is given, and does not follow.
    hop_ratio : float or None
        Hop as a fraction of the window length where it is tuned; None for an
        eighth, rounded to samples.
    hop_bounds : (float, float)
        Range of a hop that is not given, in samples.
    """

    hop: float | None
    mfft: int | None
    hop_ratio: float | None = None
    hop_bounds: tuple[float, float] = (0.0, np.inf)

    def tied(self, length: float, fraction: float = TIED_HOP) -> Framing:
        """Framing for a window length, with an FFT of twice its length if none is given."""
        if self.hop is not None:
            hop = self.hop
        elif self.hop_ratio is not None:
            hop = float(np.clip(self.hop_ratio * length, *self.hop_bounds))
        else:
            hop = float(np.clip(max(1.0, round(length * fraction)), *self.hop_bounds))
        return Framing(hop, self.mfft or int(fft_lib.next_fast_len(int(np.ceil(2 * length)), real=True)))

    def follows(self, framing: Framing, length: float) -> bool:
        """Whether a framing still is about what the rule says for a window length."""
        wanted = self.tied(length)
        hop = float(abs(np.log(framing.hop / wanted.hop)))
        mfft = float(abs(np.log(framing.mfft / wanted.mfft)))
        return hop <= (_RATIO_SLACK if self.hop_ratio is not None else _TIED_SLACK) and mfft <= _TIED_SLACK


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
        """Lengths of the best local minima, between grid points, best first.

        Those that exceed the best by more than `margin` are left out: a descent
        between grid points gains far less.
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
        bend = left - 2 * mid + right
        shift = 0.5 * (left - right) / bend if bend > 0 else 0.0
        steps = np.log(self.lengths[i - 1 : i + 2])
        return float(np.exp(steps[1] + np.clip(shift, -0.5, 0.5) * (steps[2] - steps[0]) / 2))

    def path(self, stiffness: float = 1.0) -> Float64Array:
        """Best length of every neighbourhood with a price on change, by dynamic programming."""
        assert self.local is not None
        log = np.log(self.lengths)
        price = stiffness * _PATH_STIFFNESS * np.abs(log[:, None] - log[None, :])
        cost = self.local[0].copy()
        choices = np.zeros(self.local.shape, dtype=np.int64)
        for r in range(1, len(self.local)):
            through = cost[:, None] + price
            choices[r] = through.argmin(axis=0)
            cost = through.min(axis=0) + self.local[r]
        best = np.empty(len(self.local), dtype=np.int64)
        best[-1] = int(cost.argmin())
        for r in range(len(best) - 1, 0, -1):
            best[r - 1] = choices[r, best[r]]
        return self.lengths[best]


def length_grid(low: float, high: float, include: float | None = None, *, ratio: float = GRID_RATIO) -> Float64Array:
    """Geometric grid of window lengths from `low` to `high`, a factor of at most `ratio` apart."""
    points = max(2, int(np.ceil(np.log(high / low) / np.log(ratio))) + 1) if high > low else 1
    grid = np.geomspace(low, high, points)
    grid[0], grid[-1] = low, high
    return grid if include is None else np.unique(np.append(grid, include))


def regular_frames(plan: FramePlan, n: int, length: float, hop: float) -> tuple[Frames, Float64Array]:
    """Frames of one window length at ``p * hop`` that span the signal, and their times."""
    positions = np.arange(frame_count(n, hop)) * hop
    return make_frames(np.full(positions.size, length), positions, mfft=plan.mfft), positions


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
    plan : Transform
        The transform; its `mfft` is replaced.
    x : ndarray, shape (channels, n)
        The signal.
    criterion : Criterion
        Its scope tells what `Survey.values` are.
    lengths : ndarray
        Window lengths in samples.
    rule : FramingRule
        Hop and FFT length, as far as they are given.
    neighbourhoods : Neighbourhoods or None
        For values per neighbourhood; needs an additive criterion.
    report : callable
        Called with the fraction of the grid that is done.
    fraction : float, optional
        Hop as a fraction of the window length, where it is not given.
    lead_shape : tuple of int, optional
        Leading dimensions of the signal, for callables; those of `x` without
        the time axis by default.

    Returns
    -------
    Survey
        The values.
    """
    if isinstance(criterion, Additive):  # of signals of order one: single precision is enough for a search
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
    """Criterion in every neighbourhood, times its share of the energy and the number of them."""
    values, share = neighbourhood_values(criterion.combine, totals, counts, view, spread=criterion.spread)
    return values * share * share.size
