"""Best positions and lengths of frames on a grid of positions, as a start for tuning free positions.

With ``scope="frame"`` the objective is a mean over frames, and each term depends on one frame only. The best of all
arrangements on a grid of positions is then found exactly by dynamic programming, with one transform for each length
and position.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from adaptstft.common.best_path import NearMoves, best_path
from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.criteria import Additive
from adaptstft.engine.plan import FramePlan
from adaptstft.tuning.overlap import Overlap
from adaptstft.tuning.tables.frame_lengths import best_frame_lengths

#: Least number of grid positions in one hop, and least number of transforms, which makes the grid of few lengths finer.
#: The descent refines the positions.
_PER_HOP, _CELLS = 4, 320
#: Largest number of steps of the search, some seconds of computation. It grows with the square of the duration.
_MOST_STEPS = 10**8


@dataclass(frozen=True)
class Placement:
    """Number of frames, and limits of the hops between them.

    Attributes
    ----------
    n : int
        Number of samples of the signal.
    frames : int
        Number of frames; the first one is at sample 0.
    hop : float
        Mean hop in samples; the step of the grid is a fraction of it.
    bounds : (float, float)
        Range of the hops in samples.
    span : float or None
        Position of the last frame in samples; None if it is not fixed.
    overlap : Overlap
        Least overlap of neighbouring windows.
    """

    n: int
    frames: int
    hop: float
    bounds: tuple[float, float]
    span: float | None
    overlap: Overlap


def place(
    plan: FramePlan, x: AnyArray, criterion: Additive, lengths: Float64Array, rules: Placement
) -> tuple[Float64Array, Float64Array] | None:
    """Find the best positions of frames; each frame has the best length for its position.

    Parameters
    ----------
    plan : FramePlan
        The transform.
    x : ndarray, shape (channels, n)
        The signal.
    criterion : Additive
        The criterion to minimise, of scope ``"frame"``.
    lengths : ndarray
        Window lengths in samples.
    rules : Placement
        Number of frames and limits of their hops.

    Returns
    -------
    (win_length, positions) : (ndarray, ndarray) or None
        Lengths and positions in samples. None if no arrangement on the grid keeps the rules, or if the signal is too
        long for the search.
    """
    end = float(rules.n - 1) if rules.span is None else rules.span
    cells = int(np.ceil(min(max(_PER_HOP * end / rules.hop, _CELLS // lengths.size), end)))
    if rules.frames * cells**2 * min(rules.bounds[1] / end, 1.0) > _MOST_STEPS:
        return None
    grid = np.linspace(0, end, cells + 1)
    win_length, cost = best_frame_lengths(plan, x, criterion, lengths, grid, silent=float(lengths[-1]))
    sounding = np.isfinite(cost)
    cost = np.where(sounding, cost, cost[sounding].max(initial=0.0))
    step = end / cells
    low = int(np.ceil(rules.bounds[0] / step - 1e-9))
    reach = np.minimum(rules.bounds[1], rules.overlap.longest_hop(win_length))
    high = np.floor(reach / step + 1e-9).astype(int)
    chosen = cheapest_positions(cost, low, high, rules.frames, weighted=rules.span is not None)
    return None if chosen is None else (win_length[chosen], grid[chosen])


def cheapest_positions(cost: Float64Array, low: int, high: AnyArray, frames: int, *, weighted: bool) -> AnyArray | None:
    """Return the grid indices of the cheapest arrangement of frames, or None if there is none.

    The first frame is at index 0.

    Parameters
    ----------
    cost : ndarray, shape (grid,)
        Cost of a frame at each grid position.
    low : int
        Least distance of neighbouring frames in grid steps.
    high : ndarray of int, shape (grid,)
        Largest distance of a frame to both its neighbours in grid steps.
    frames : int
        Number of frames.
    weighted : bool
        If True, each frame counts for half of the distance to both its neighbours, and the last frame is at the last
        grid position. If False, all frames but the first one count once.
    """
    size = cost.size
    most = min(int(high.max()), size - 1)
    if most < low:
        return None
    distance = np.arange(most, low - 1, -1)
    move: Float64Array = np.zeros(distance.size)
    if weighted or np.any(high < most):  # costs of moves differ between positions
        after = np.arange(size)
        before = after[:, None] - distance
        start = np.maximum(before, 0)
        allowed = (before >= 0) & (distance <= high[:, None]) & (distance <= high[start])
        move = np.where(allowed, (cost[start] + cost[:, None]) / 2 * distance if weighted else 0.0, np.inf)
    table = np.tile(np.zeros(size) if weighted else cost, (frames, 1))
    table[0] = np.inf
    table[0, 0] = 0.0
    path, total = best_path(table, NearMoves(-most, move), last=size - 1 if weighted else None)
    return path if np.isfinite(total) else None
