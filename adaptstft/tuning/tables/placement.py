"""Where frames begin to be tuned when their positions are free: the best places of a grid, by dynamic programming.

With ``scope="frame"`` the objective is a mean over frames of what each has by itself, so that the best of all
arrangements on a grid of positions is found exactly, at the price of one transform for each length and position.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.criteria import Additive
from adaptstft.engine.frames import make_frames
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.statistics import statistics

#: Positions of the grid in one hop at least, and in all if that makes it finer: it is refined by the descent.
_PER_HOP, _CELLS = 6, 320
#: Steps of the search at most, some seconds; they grow with the square of the signal's duration.
_MOST_STEPS = 10**8


@dataclass(frozen=True)
class Placement:
    """Rules for the hops between frames.

    Attributes
    ----------
    n : int
        Number of samples of the signal.
    frames : int
        Number of frames; the first one stays at sample 0.
    hop : float
        Mean hop in samples, a fraction of which is the grid's step.
    bounds : (float, float)
        Range of the hops in samples.
    span : float or None
        Where the last frame stays, in samples; None where it is free, too.
    min_overlap : float or None
        Least overlap of neighbours as a fraction of the shorter window.
    """

    n: int
    frames: int
    hop: float
    bounds: tuple[float, float]
    span: float | None
    min_overlap: float | None


def place(
    plan: FramePlan, x: AnyArray, criterion: Additive, lengths: Float64Array, rules: Placement
) -> tuple[Float64Array, Float64Array] | None:
    """Place frames, each with the best of `lengths` for its place.

    Parameters
    ----------
    plan : Transform
        The transform.
    x : ndarray, shape (channels, n)
        The signal.
    criterion : Additive
        What is minimised, of scope ``"frame"``.
    lengths : ndarray
        Window lengths in samples.
    rules : Placement
        Number of frames and their hops.

    Returns
    -------
    (theta, times) : (ndarray, ndarray) or None
        Lengths and positions in samples; None if no arrangement on the grid keeps the rules, or the signal is
        too long for the search.
    """
    end = float(rules.n - 1) if rules.span is None else rules.span
    cells = int(np.ceil(min(max(_PER_HOP * end / rules.hop, _CELLS // lengths.size), end)))
    if rules.frames * cells**2 * min(rules.bounds[1] / end, 1.0) > _MOST_STEPS:
        return None
    grid = np.linspace(0, end, cells + 1)
    cost, win_length = _best_lengths(plan, x, criterion, lengths, grid)
    step = end / cells
    low = int(np.ceil(rules.bounds[0] / step - 1e-9))
    reach = np.full(grid.size, rules.bounds[1])
    if rules.min_overlap is not None:
        reach = np.minimum(reach, (1 - rules.min_overlap) * win_length)
    high = np.floor(reach / step + 1e-9).astype(int)
    chosen = _cheapest(cost, low, high, rules.frames, weighted=rules.span is not None)
    return None if chosen is None else (win_length[chosen], grid[chosen])


def _best_lengths(
    plan: FramePlan, x: AnyArray, criterion: Additive, lengths: Float64Array, grid: Float64Array
) -> tuple[Float64Array, Float64Array]:
    """Cost of a frame at each place of the grid with its best length, and that length."""
    best, win_length = np.full(grid.size, np.inf), np.full(grid.size, lengths[-1])
    counts = np.full(grid.size, float(plan.f_pts * len(x)))
    for length in lengths:
        frames = make_frames(np.full(grid.size, length), grid, mfft=plan.mfft)
        totals, _ = statistics(plan, x, frames, criterion.statistics)
        value = np.full(grid.size, np.inf)
        alive = totals[0] > 0
        value[alive] = criterion.frame_terms(totals[:, alive], counts[alive])
        win_length, best = np.where(value < best, length, win_length), np.minimum(value, best)
    worst = best[np.isfinite(best)].max(initial=0.0)
    return np.where(np.isfinite(best), best, worst), win_length


def _cheapest(cost: Float64Array, low: int, high: AnyArray, frames: int, *, weighted: bool) -> AnyArray | None:
    """Return indices of the cheapest arrangement; the last frame is at the last index if `weighted`.

    From index ``i`` to the next frame's index ``j`` it must be ``low <= j - i <= min(high[i], high[j])``. Weighted,
    each frame counts for the half of the steps on both its sides.
    """
    size = cost.size
    most = min(int(high.max()), size - 1)
    if most < low:
        return None
    steps = np.arange(most, low - 1, -1)
    after = np.arange(size)
    extra = None  # what a step costs beside where it ends, if that differs between steps
    if weighted or np.any(high < most):
        before = after[:, None] - steps
        safe = np.maximum(before, 0)
        allowed = (before >= 0) & (steps <= high[:, None]) & (steps <= high[safe])
        half = (cost[safe] + cost[:, None]) / 2 * steps if weighted else 0.0
        extra = np.where(allowed, half, np.inf)
    total = np.where(after == 0, 0.0, np.inf)
    choices = np.zeros((frames, size), dtype=np.int64)
    for p in range(1, frames):
        earlier = sliding_window_view(np.concatenate([np.full(most, np.inf), total]), steps.size)[:size]
        through = earlier if extra is None else earlier + extra
        best = through.argmin(axis=1)
        choices[p] = after - steps[best]
        total = through[after, best] + (0.0 if weighted else cost)
    last = size - 1 if weighted else int(total.argmin())
    if not np.isfinite(total[last]):
        return None
    path = np.empty(frames, dtype=np.int64)
    path[-1] = last
    for p in range(frames - 1, 0, -1):
        path[p - 1] = choices[p, path[p]]
    return path
