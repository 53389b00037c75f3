"""The second stage of tuning, frame by frame: a length for each frame, and the positions of the frames."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from adaptstft.common.typing import Float64Array
from adaptstft.tuning.descent.descend import STOPPED
from adaptstft.tuning.descent.objective import Objective
from adaptstft.tuning.log import Log, Run
from adaptstft.tuning.options import descends, finds_path
from adaptstft.tuning.problem import Layout, Problem
from adaptstft.tuning.stages.constant import First, Stage, run_descent, shape_of, survey_lengths
from adaptstft.tuning.stages.even_grid import better_grid, change_cost, compares_even_grid
from adaptstft.tuning.stages.frame_path import FramePath, end_penalties, find_path, settle
from adaptstft.tuning.stages.frame_placement import Start, place_frames
from adaptstft.tuning.stages.frame_spacing import frame_spacing, neighbourhood_width
from adaptstft.tuning.tables.framing import Framing
from adaptstft.tuning.tables.survey import Survey
from adaptstft.tuning.variables.lengths import FixedLengths, FrameLengths, Lengths, OneLength
from adaptstft.tuning.variables.positions import FixedPositions, FreePositions, GuardedPositions, Positions
from adaptstft.tuning.variables.variables import Variables

#: Distance from the limit of the lengths at which they reach it, relative to it.
_AT_LIMIT = 0.01


def tune_frames(problem: Problem, log: Log, first: First) -> Stage:
    """Tune lengths of frames and positions, beginning with the result of the first stage."""
    request, base = problem.request, first.win_length
    typical, survey = typical_length(problem, log, base, first.survey)
    layout = Layout.around(problem, typical)
    log.bar.begin("neighbourhoods")
    given = first.label == "given"
    alone = given and request.starts == 1
    if request.criterion.width is None and problem.compares_neighbourhoods and not log.noise:
        layout = replace(layout, width=neighbourhood_width(layout, log))
    positions, hop = first.positions, first.hop
    found = None
    if not alone and np.ptp(base) == 0:
        hop, found = frame_spacing(layout, log, base[:1], hop)
        positions = request.regular_positions(hop)
        base = np.full(positions.size, base[0])
    start: Start = ("given" if given else "constant", base, positions)
    placed = None if alone or log.stopped else place_frames(layout, log, base, hop, positions)
    # without guarantees the grid of positions has the best arrangement, with lengths
    free = placed is not None and request.min_overlap is None
    if found is None and finds_path(request.criterion, request) and not free and not log.stopped:
        found = find_path(layout, log, hop, positions, base[:1], request.callback)
    if found is not None and not log.noise:
        layout, found = _without_limit(layout, log, found, positions, base[:1])
    if found is not None and not descends(request.criterion, request):
        best = settle(log, found, *_path_problem(layout, found, start))
    elif log.stopped:  # return what there is in the form of this stage
        best = run_frames(layout, log, start, layout.framing(hop, float(base.max())), base, ended=STOPPED)
    else:
        best = _descend_frames(layout, log, start, hop, [placed] if placed and free else _starts(start, found, placed))
        if compares_even_grid(problem) and best.variables.positions_vary and not log.stopped:
            best = better_grid(problem, log, best, _run_even(layout, log, start, hop, found))
    if survey is not None and found is not None:
        survey = replace(survey, surface=found.surface)
    return Stage(best, survey)


def _without_limit(
    layout: Layout, log: Log, found: FramePath, positions: Float64Array, base: Float64Array
) -> tuple[Layout, FramePath]:
    """Search again with longer windows as long as lengths reach the limit that follows from the best single length."""
    hop, callback = found.framing.hop, layout.problem.request.callback
    while found.path.win_length.max() > layout.widest * (1 - _AT_LIMIT) and not log.stopped:
        wider = layout.widened(positions.size)
        again = None if wider is None else find_path(wider, log, hop, positions, base, callback)
        if wider is None or again is None:
            break
        layout, found = wider, again
    return layout, found


def _path_problem(layout: Layout, found: FramePath, start: Start) -> tuple[Objective, Variables, Variables]:
    """Return the objective, the variables at the path, and those at the lengths to start from.

    The edges of windows are in order on the path, which therefore has no penalty on uneven windows.
    """
    (_, base, positions), mode = start, layout.problem.request.window_mode
    problem = _frame_problem(layout, found.path.win_length, positions, found.framing, base, mode, even=True)
    objective, variables = replace(problem[0], evenness=None), problem[1]
    low, high = variables.win_bounds
    return objective, variables, replace(variables, lengths=variables.lengths.starting_at(np.clip(base, low, high)))


def _run_even(layout: Layout, log: Log, start: Start, hop: float, found: FramePath | None) -> Run:
    """Return the result with frames at even positions: the path of lengths, or a descent in the lengths."""
    request = layout.problem.request
    _, base, positions = start
    if found is not None and not descends(request.criterion, request, positions=False):
        return settle(log, found, *_path_problem(layout, found, start))
    lengths = base if found is None else found.path.win_length
    framing = layout.framing(hop, float(lengths.max()))
    return run_frames(layout, log, ("even", lengths, positions), framing, base, even=True)


def _starts(start: Start, found: FramePath | None, placed: Start | None) -> list[Start]:
    """Return the first stage's result, the path, and the best placement, in the order in which they are tried."""
    path = [] if found is None else [("path", found.path.win_length, start[2])]
    searched = [*path, *([] if placed is None else [placed])]
    return [start, *searched] if start[0] == "given" else [*searched, start]


def _descend_frames(layout: Layout, log: Log, start: Start, hop: float, starts: list[Start]) -> Run:
    """Return the best descent in lengths and positions from `starts`; the lengths of `start` keep the frame bounds."""
    problem = layout.problem
    starts = starts[: problem.request.starts or 3]
    framing = layout.framing(hop, max(float(win_length.max()) for _, win_length, _ in starts))
    threads = problem.threads(len(starts))
    log.bar.begin("descents")
    runs = log.each(starts, lambda branch, one: run_frames(layout, branch, one, framing, start[1]), threads)
    return min(runs, key=lambda run: run.outcome.value)


def typical_length(
    problem: Problem, log: Log, base: Float64Array | float, survey: Survey | None
) -> tuple[float, Survey | None]:
    """Return the best single length of the grid, whatever the starting point, and the survey if there is one."""
    request = problem.request
    unused = request.window_mode == "fixed" and problem.scope != "local" and request.bounds_given
    if problem.user_loss or unused or request.win_bounds[0] == request.win_bounds[1]:
        return float(np.median(base)), survey
    survey = survey or survey_lengths(problem, log)
    return survey.minima(1)[0], survey


def run_frames(
    layout: Layout,
    log: Log,
    start: Start,
    framing: Framing,
    base: Float64Array | None,
    *,
    mode: str | None = None,
    even: bool = False,
    ended: dict[str, Any] | None = None,
) -> Run:
    """Descend from a label, lengths and positions; `base` holds lengths that keep the limit of the frame bounds.

    `mode` replaces the window mode of the request. With `even` the positions are not tuned. With `ended` the start is
    evaluated without a descent.
    """
    label, win_length, positions = start
    mode = mode or layout.problem.request.window_mode
    objective, variables = _frame_problem(layout, win_length, positions, framing, base, mode, even=even)
    return run_descent(layout.problem, log, label, objective, variables, framing.hop, ended)


def _frame_problem(
    layout: Layout,
    win_length: Float64Array,
    positions: Float64Array,
    framing: Framing,
    base: Float64Array | None,
    mode: str,
    *,
    even: bool = False,
) -> tuple[Objective, Variables]:
    """Return objective and variables of lengths and positions, which are not tuned if they are `even`."""
    problem, request = layout.problem, layout.problem.request
    win_length = np.broadcast_to(np.asarray(win_length, dtype=float), positions.shape).copy()
    neighbourhoods = None
    if problem.scope == "local" and not problem.user_loss:
        neighbourhoods = layout.neighbourhoods()
    criterion = problem.with_scope(problem.scope, neighbourhoods, layout.typical)
    high = min(request.win_bounds[1], float(framing.mfft))
    if mode == "time" and not request.bounds_given:
        high = min(high, max(layout.widest, float(win_length.max())))
    low = problem.shortest(framing.hop)
    bounds = (min(low, high), high)
    lengths: Lengths
    if mode == "fixed":
        lengths = FixedLengths(win_length, bounds)
    elif mode == "constant":
        lengths = OneLength(np.clip(win_length, low, high), bounds)
    else:
        lengths = FrameLengths(np.clip(win_length, low, high), bounds)
        if neighbourhoods is not None and request.descent_method != "adam":  # Adam scales each variable by itself
            lengths = replace(lengths, scale=neighbourhoods.preconditioner(positions))
        if neighbourhoods is not None and criterion.unit and positions.size > 1:
            lengths = replace(lengths, end_penalty=end_penalties(positions, request.n, layout.typical))
    safe = None
    if request.max_frame_ratio is not None:
        safe = np.clip(np.broadcast_to(np.asarray(high) if base is None else base, positions.shape), *bounds)
    placed = FixedPositions(positions) if even else position_variables(problem, positions, framing.hop)
    variables = Variables(lengths, placed, shape_of(problem, tuned=request.tune_shape), safe)
    objective = problem.objective(request.plan(framing.mfft), criterion, neighbourhoods)
    objective = replace(objective, change_cost=change_cost(problem))
    if isinstance(placed, FreePositions):
        objective = replace(objective, coverage=request.coverage)
    if request.evenness and positions.size > 1 and (mode == "time" or placed.vary):
        evenness = problem.evenness(framing.hop, high)
        objective = replace(objective, evenness=evenness, evenness_weight=request.evenness)
    return objective, variables


def position_variables(problem: Problem, positions: Float64Array, hop: float) -> Positions:
    """Return the positions as variables if the hop mode tunes them, with guarantees unless these are switched off."""
    request = problem.request
    if request.hop_mode != "time" or positions.size < 2:
        return FixedPositions(positions)
    bounds = problem.hop_range(hop)
    if request.min_overlap is None:
        return FreePositions(positions, bounds)
    return GuardedPositions(request.n, positions, bounds, request.min_overlap)
