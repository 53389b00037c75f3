"""The best length of every frame by dynamic programming, evaluated by the exact sums at the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np
from scipy.optimize import OptimizeResult

from adaptstft.common.typing import Float64Array
from adaptstft.criteria import Additive, DescriptionLength
from adaptstft.criteria.scopes import FrameView
from adaptstft.engine.frames import durations, frame_count
from adaptstft.engine.plan import FramePlan
from adaptstft.tuning.descent.descend import STOPPED, Outcome, safe_point, stay
from adaptstft.tuning.descent.multipliers import Excess, bisect_to_limit
from adaptstft.tuning.descent.objective import Objective
from adaptstft.tuning.descent.table_objective import TableObjective
from adaptstft.tuning.log import Interpolated, Log, Run
from adaptstft.tuning.options import finds_path
from adaptstft.tuning.problem import Layout, Problem
from adaptstft.tuning.request import WIDEST_RATIO, Request
from adaptstft.tuning.tables.end_sums import SumsWithEnds
from adaptstft.tuning.tables.frame_sums import FrameSums, table_lengths
from adaptstft.tuning.tables.frame_surface import surface_of_sums, surface_width
from adaptstft.tuning.tables.framing import Framing
from adaptstft.tuning.tables.length_path import ChangePenalty, LengthPath, PathSearch
from adaptstft.tuning.tables.survey import Surface
from adaptstft.tuning.variables.variables import Variables

#: What it takes to describe a change of the length, in nats per factor e.
NATS_PER_CHANGE = 9.0
#: Penalty on a factor e in length between neighbours at the ends of the signal, in nats times the share of a frame: if
#: the window nearer to the end is the longer one, and if it is the shorter one.
_LONGER, _SHORTER = 0.6, 0.3
#: Largest table of sums in GiB.
_MOST_GIB = 4.0
#: Number of frames up to which a survey is computed together with the table.
_FEW_FRAMES = 1 << 12
_DONE = {"success": True, "status": 0, "message": "converged: the best path of lengths on the table"}


@dataclass(frozen=True)
class FramePath:
    """The best path of lengths at a hop.

    Attributes
    ----------
    path : LengthPath
        Lengths and values on the table.
    criterion : float
        The criterion, from the table.
    framing : Framing
        Hop and FFT length.
    sums : FrameSums
        The table.
    positions : ndarray, shape (frames,)
        Positions of the frames of the table: all, or every few of them.
    count : float
        Number of bins of a frame.
    paths : list of float
        The objective on the table after each path that the search took.
    surface : Surface
        The criterion over time and length.
    """

    path: LengthPath
    criterion: float
    framing: Framing
    sums: FrameSums
    positions: Float64Array
    count: float
    paths: list[float]
    surface: Surface


def check_path(problem: Problem) -> None:
    """Refuse a table of frames that is too large for a given hop, whatever the best single length is."""
    request = problem.request
    if request.window_mode != "time" or request.hop is None or not finds_path(request.criterion, request):
        return
    low, high = request.win_bounds
    high = high if request.bounds_given else min(high, WIDEST_RATIO * low)
    low = min(problem.shortest(request.hop), high)
    spacing = request.hop * _frames_together(request, low, request.hop)
    if low < high:
        _check_size(request, frame_count(request.n, spacing), table_lengths((low, high)).size)


def _check_size(request: Request, frames: int, lengths: int) -> None:
    size = frames * lengths * len(cast(Additive, request.criterion).statistics) * 8 / 2**30
    if size > _MOST_GIB:
        least = "" if request.bounds_given else "at least "
        raise ValueError(
            f"the table for {frames} frames and {least}{lengths} lengths would take {size:.1f} GiB, more than "
            f"{_MOST_GIB:g}: use a larger hop (hop={request.hop or 0:g} was given), a narrower range of win_bounds, or "
            "a part of the signal"
        )


def table_lengths_to_share(problem: Problem) -> Float64Array | None:
    """Return the lengths of the table of frames if a survey has the same frames, and they are few, or None.

    Both then need one pass over the signal, which for few frames takes half of the time of two.
    """
    request, rule = problem.request, problem.search_rule
    free = request.hop_mode == "time" and request.min_overlap is None  # positions are searched, with lengths
    # a description length has another distortion where lengths vary
    additive = finds_path(request.criterion, request) and not isinstance(request.criterion, DescriptionLength)
    if rule.hop is None or rule.mfft is None or free or not additive or not request.bounds_given:
        return None
    low, high = Layout.around(problem, request.win_bounds[0]).frame_bounds(rule.hop)  # given bounds are the limits
    few = frame_count(request.n, rule.hop) <= _FEW_FRAMES and _frames_together(request, low, rule.hop) == 1
    return table_lengths((low, high)) if few and low < high else None


def _frames_together(request: Request, low: float, hop: float) -> int:
    """Return how many frames share an entry of the table: one, unless the hop is smaller than windows from `low` need.

    Lengths between them are interpolated, which keeps edges of windows in order.
    """
    return max(1, int(low * request.overlap.spacing_ratio / hop))


def find_path(
    layout: Layout,
    log: Log,
    hop: float,
    positions: Float64Array,
    base: Float64Array,
    callback: Callable[[OptimizeResult], Any] | None = None,
) -> FramePath | None:
    """Search the lengths of all frames, from `base`; None if only one length is allowed."""
    problem, request = layout.problem, layout.problem.request
    low, high = layout.frame_bounds(hop)
    if low >= high:
        return None
    neighbourhoods = layout.neighbourhoods() if problem.scope == "local" else None
    criterion = cast(Additive, problem.with_scope(problem.scope, neighbourhoods, layout.typical))
    framing = layout.framing(hop, float(base.max()))
    plan = request.plan(framing.mfft)
    log.bar.begin("table")
    every = positions
    positions = _every_few(positions, _frames_together(request, low, hop))
    # the criterion then is that of all frames
    weights = durations(positions, int(positions[-1]) + 1) / hop if positions.size < every.size else np.ones(every.size)
    view = FrameView(positions, weights, 1.0, neighbourhoods)
    sums = problem.frame_sums(log, plan, criterion, (low, high), positions)
    penalty = change_penalty(layout, positions)
    count = float(plan.f_pts * request.channels)
    held = penalty.weight.any()
    with_ends = SumsWithEnds.of(sums, positions, request.n) if held else SumsWithEnds.unchanged(sums)
    search = PathSearch(with_ends, criterion, view, count, (low, high), penalty, plan.kernels)
    values: list[float] = []
    log.bar.begin("path")

    def report(value: float, win_length: Float64Array) -> bool:
        values.append(value)
        log.bar.update(1 - np.exp(-len(values) / 5), f"path {len(values)}, {criterion.name} {value:.6g}")
        if callback is not None:
            try:
                callback(OptimizeResult(x=np.interp(every, positions, win_length), fun=value, stage="varying"))
            except StopIteration:
                log.stopped = True
        return log.stopped

    path = search.solve(np.clip(np.broadcast_to(base, positions.shape), low, high), report)
    counted = replace(view, weights=weights * criterion.frame_weights(positions, request.n, plan.T))
    value = criterion.value(path.sums, search.counts, counted)
    # a description length has no values of windows that reach over an end
    shown = with_ends if isinstance(criterion, DescriptionLength) else sums
    surface = _surface(layout, plan, shown, criterion, positions)
    path = replace(path, win_length=np.interp(every, positions, path.win_length))
    return FramePath(path, value, framing, sums, positions, count, values, surface)


def _every_few(positions: Float64Array, together: int) -> Float64Array:
    """Return one position of each few, and the last one."""
    kept = positions[::together]
    return kept if kept[-1] == positions[-1] else np.append(kept, positions[-1])


def _surface(
    layout: Layout, plan: FramePlan, sums: FrameSums | SumsWithEnds, criterion: Additive, positions: Float64Array
) -> Surface:
    """Return the criterion over time in seconds and length."""
    problem, request = layout.problem, layout.problem.request
    places = None
    if problem.scope == "local" and positions.size > 1:
        width = layout.neighbourhoods().width
        if request.criterion.width is None and request.shared is None:  # others would be read once more
            width = surface_width(request.n, float(positions[1] - positions[0]), width)
        places = problem.neighbourhoods(width)
    surface = surface_of_sums(plan, sums, criterion, positions, request.channels, request.n, places)
    return replace(surface, places=surface.places / request.fs)


def change_penalty(layout: Layout, positions: Float64Array) -> ChangePenalty:
    """Return the penalty on changes of the length, and their limit: edges of windows never move backwards."""
    request = layout.problem.request
    changes = max(positions.size - 1, 0)
    weight = np.full(changes, request.smoothness / max(changes, 1))
    if isinstance(request.criterion, DescriptionLength):
        weight = weight + NATS_PER_CHANGE * nat(request)
    free = request.min_overlap is None  # no guarantees are asked for
    return ChangePenalty(weight, np.full(changes, np.inf) if free else 2 * np.diff(positions))


def nat(request: Request, samples: float | None = None) -> float:
    """Return one nat for a stretch of the signal, by default all of it, in units of the mean description length.

    A real signal has half as many independent values as bins. All of a corpus is the samples of all its signals.
    """
    if samples is None:
        samples = request.n if request.shared is None else request.shared.samples
    per_sample = 1.0 if np.iscomplexobj(request.x) else 0.5
    return 1 / (per_sample * request.channels * samples)


def end_penalties(positions: Float64Array, n: int, width: float) -> tuple[Float64Array, Float64Array]:
    """Return the penalty on changes of the log length between frames whose windows reach over an end of the signal.

    A window that reaches over an end contains less of the signal, and a criterion improves without limit by lengthening
    it. The penalty on a window longer than the next one inwards outweighs this improvement. The penalty on a shorter
    one, as at a click, only matters where the criterion is indifferent. Returned are the weights of the absolute change
    and of the change itself, each of shape (frames - 1,).
    """
    left, right = positions[:-1] < width / 2, positions[1:] > n - 1 - width / 2
    size = np.where(left | right, (_LONGER + _SHORTER) / 2, 0.0)
    change = (_LONGER - _SHORTER) / 2 * (right.astype(float) - left)
    return size / positions.size, change / positions.size


def settle(log: Log, found: FramePath, objective: Objective, variables: Variables, base: Variables) -> Run:
    """Evaluate a path by the exact sums and record it, or the lengths to start from, `base`, if these are better.

    If the frame bounds exceed their ratio, the lengths go back towards the safe ones until they keep it.
    """
    ended = STOPPED if log.stopped else _DONE
    first, outcome = objective.total(base, base.start()), stay(objective, variables, ended)
    difference = outcome.value - outcome.penalties - found.criterion
    summary = {"lengths": found.sums.log_lengths.size, "difference": difference}
    if not objective.keeps_ratio(outcome.state):
        outcome = _within_ratio(objective, variables, outcome, ended)
    if outcome.value > first and objective.keeps_ratio(base.state(base.start())):
        outcome = stay(objective, base, ended)
    history = [first, *(value for value in found.paths if outcome.value <= value < first), outcome.value]
    outcome = replace(outcome, first=first, history=history, nit=len(found.paths), nfev=2)
    table = TableObjective.of(objective, found.sums, found.positions, found.count)
    interpolated = Interpolated(summary, table, table.comparable_value(outcome.state), outcome.state)
    return log.add(Run("path", objective, base, outcome, found.framing.hop, interpolated), stopped=False)


def _within_ratio(objective: Objective, variables: Variables, outcome: Outcome, ended: dict[str, Any]) -> Outcome:
    """Go back from a path on a straight line to the safe lengths, on which edges of windows stay in order."""
    safe = variables.state(safe_point(objective, variables)).win_length

    def excess(win_length: Float64Array) -> Excess:
        return objective.exact_excess(replace(outcome.state, win_length=win_length))

    lengths = variables.lengths.starting_at(bisect_to_limit(excess, outcome.state.win_length, safe))
    return stay(objective, replace(variables, lengths=lengths), ended)
