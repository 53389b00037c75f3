"""The table of sums for lengths per frequency or bin: how fine it is, and whether it fits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from adaptstft.common.grids import length_grid
from adaptstft.criteria import Additive
from adaptstft.engine.frames import frame_count
from adaptstft.engine.plan import FramePlan
from adaptstft.tuning.options import BASELINES, reason_for_exact_sums
from adaptstft.tuning.problem import Problem
from adaptstft.tuning.request import WIDEST_RATIO, Request
from adaptstft.tuning.tables.plane_sums import MOST_ENTRIES, PlaneCells, folds, plane_lengths

#: Number of cells of frames in a neighbourhood, and between control points in time, and the smallest number to which a
#: large table is thinned.
_CELLS_IN_SPAN, _FEWEST_CELLS = 8, 2
#: Number of cells times bins beyond which a table has every second bin only. Most windows are far shorter than the FFT,
#: so that neighbouring bins are nearly equal. Of a large table up to every `_USUAL_STRIDE`-th bin is left before more
#: frames share a cell: the main lobe of the longest window is twice as wide.
_MANY_POINTS, _USUAL_STRIDE = 1 << 17, 4
#: Largest ratio of the hop of the first stage to the one that belongs to its window length.
_LOOSE_HOP = 1.25


def tunes_bins_exactly(request: Request) -> bool:
    """Return whether lengths of bins are tuned by the exact sums, without a table."""
    exact = request.accuracy is None or request.window_mode == "fixed"
    exact |= request.shared is not None  # many signals keep no table
    return exact or bool(reason_for_exact_sums(request.criterion, request))


def check_table(problem: Problem) -> None:
    """Refuse a table that cannot be thinned and is too large whatever the best single length is.

    With a hop and bounds of the lengths its size is known before any work. Otherwise it follows from the best single
    length, and the smallest table of all lengths is compared with the limit.
    """
    request = problem.request
    if not problem.per_bin or request.method in BASELINES or tunes_bins_exactly(request) or _may_thin(problem):
        return
    sizes = [_size(problem, float(length)) for length in length_grid(*request.win_bounds)]
    frames, f_pts, lengths = min(sizes, key=lambda size: float(np.prod(size)))
    _check_size(request, frames, f_pts, lengths, at_least="" if request.hop and request.bounds_given else "at least ")


def _size(problem: Problem, typical: float) -> tuple[int, int, int]:
    """Return the least numbers of frames, bins and lengths of a table, if `typical` is the best single length."""
    request = problem.request
    low, high = request.win_bounds
    high = high if request.bounds_given else min(high, WIDEST_RATIO * typical)
    mfft = problem.rule.tied(high / 2).mfft
    hop = request.hop or problem.rule.tied(typical).hop * _LOOSE_HOP
    bounds = (max(low, request.overlap.shortest(hop)), min(high, float(mfft)))
    plan = replace(request.plan(1), mfft=mfft)
    return frame_count(request.n, hop), plan.f_pts, plane_lengths(bounds, float(request.accuracy or 0.0)).size


def _may_thin(problem: Problem) -> bool:
    """Return whether frames may share cells, and bins stand for their neighbours."""
    request = problem.request
    return request.control_points != "free" and not request.smoothness and problem.scope != "frame"


def _check_size(request: Request, frames: int, f_pts: int, lengths: int, at_least: str = "") -> None:
    assert isinstance(request.criterion, Additive)
    entries = frames * f_pts * lengths * len(request.criterion.statistics)
    if entries > MOST_ENTRIES:
        raise ValueError(
            f"the table for {at_least}{frames} frames, {f_pts} bins and {lengths} lengths would take "
            f"{entries * 4 / 2**20:.0f} MiB, more than {MOST_ENTRIES * 4 / 2**20:.0f}: use numbers of "
            "control_points and smoothness=0 without scope='frame', a larger hop, a smaller mfft, or accuracy=None for "
            "exact sums"
        )


def table_cells(problem: Problem, plan: FramePlan, frames: int, lengths: int, hop: float, span: float) -> PlaneCells:
    """Return cells as fine as the surface of lengths and the size of the table allow.

    Parameters
    ----------
    problem : Problem
        The problem.
    plan : FramePlan
        The transform.
    frames, lengths : int
        Number of frames, and of lengths of the table.
    hop : float
        Time between frames in samples.
    span : float
        Distance of the control points in time, or the width of a neighbourhood if that is less, in samples.
    """
    request = problem.request
    if not _may_thin(problem):
        _check_size(request, frames, plan.f_pts, lengths)
        return PlaneCells.of(frames, 1, 1)
    assert isinstance(request.criterion, Additive)
    entries = len(request.criterion.statistics) * plan.f_pts * lengths  # of one frame
    together = max(1, int(span / _CELLS_IN_SPAN / hop))

    def excess() -> float:
        return -(-frames // together) * entries / MOST_ENTRIES

    stride = 2 if -(-frames // together) * plan.f_pts > _MANY_POINTS else 1
    stride = max(stride, min(int(np.ceil(excess())), _USUAL_STRIDE))
    if excess() > stride:
        together = min(int(np.ceil(together * excess() / stride)), max(together, int(span / _FEWEST_CELLS / hop)))
        stride = max(stride, int(np.ceil(excess())))
    return PlaneCells.of(frames, together, _cheap(plan, stride))


def within_limit(cells: PlaneCells, problem: Problem, plan: FramePlan, lengths: int) -> PlaneCells:
    """Return the cells with as few bins as the largest size of a table allows."""
    assert isinstance(problem.request.criterion, Additive)
    entries = cells.starts.size * len(problem.request.criterion.statistics) * plan.f_pts * lengths
    return replace(cells, stride=_cheap(plan, max(cells.stride, -(-entries // MOST_ENTRIES))))


def _cheap(plan: FramePlan, stride: int) -> int:
    """Return a stride that divides the FFT, so that its bins are cheap to compute, if there is one near."""
    return next((wider for wider in range(stride, 2 * stride) if folds(plan, wider)), stride)
