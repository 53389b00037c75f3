"""The second stage of tuning, bin by bin: a window length for each frequency, or for each time-frequency bin."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from adaptstft.common.grids import length_grid
from adaptstft.common.typing import Float64Array
from adaptstft.criteria import Additive
from adaptstft.criteria.bands import band_frequencies, make_tiles
from adaptstft.criteria.neighbourhoods import Neighbourhoods, Tiles
from adaptstft.engine.bins import BinFrames, bin_numbers
from adaptstft.engine.frames import durations
from adaptstft.engine.operator import enclosing_bounds, frame_bounds
from adaptstft.engine.plan import FramePlan
from adaptstft.tuning.descent.descend import STOPPED
from adaptstft.tuning.descent.multipliers import largest_step
from adaptstft.tuning.descent.objective import Objective
from adaptstft.tuning.evaluator import SignalEvaluator
from adaptstft.tuning.log import Interpolated, Log, Run
from adaptstft.tuning.plane_evaluator import PlaneEvaluator
from adaptstft.tuning.problem import Layout, Problem
from adaptstft.tuning.request import WIDEST_RATIO
from adaptstft.tuning.stages.constant import First, Stage, run_descent, shape_of
from adaptstft.tuning.stages.even_grid import better_grid, change_cost, compares_even_grid
from adaptstft.tuning.stages.frame_path import NATS_PER_CHANGE, nat
from adaptstft.tuning.stages.frames import position_variables, typical_length
from adaptstft.tuning.stages.plane_table import table_cells, tunes_bins_exactly, within_limit
from adaptstft.tuning.tables.framing import Framing
from adaptstft.tuning.tables.plane_sums import PlaneCells, PlaneSums, plane_lengths
from adaptstft.tuning.tables.survey import Survey
from adaptstft.tuning.tables.tile_paths import best_surface, time_knots
from adaptstft.tuning.tables.tile_survey import TileSurvey, survey_tiles
from adaptstft.tuning.variables.control_grid import ControlGrid
from adaptstft.tuning.variables.lengths import FixedLengths, Lengths, SurfaceLengths
from adaptstft.tuning.variables.positions import FixedPositions
from adaptstft.tuning.variables.variables import Variables

#: Number of bands of a local criterion, and of control points in frequency.
_BANDS = 12
#: Largest number of control points in time.
_MOST_TIME_POINTS = 1024
#: Range of their number if there is no survey of tiles.
_UNSEEN_TIME_POINTS = (4, 48)
#: Price of a factor e in length between neighbouring bands, in nats for each neighbourhood in time.
_NATS_ACROSS = 1.0
#: Weight in nats of the roughness of the control points: far below what any signal decides, and above what leakage into
#: empty bands does.
_CARRY = 3e-3
#: Largest number of bins times samples of their windows that a hop for the shortest windows may lead to, unless the hop
#: of the constant optimum leads to more: this is the cost of the exact sums.
_MOST_WORK = 1 << 31
#: Largest change of a control point of the best surface of the tiles, as a logarithm: more than the distance of lengths
#: in the search, and too little to make a window pass over a short event.
_REACH = 0.35
#: Number of cells of frames between places where the length has changed by a factor of 1.4.
_CELLS_BETWEEN_KNOTS = 4


def tune_bins(problem: Problem, log: Log, first: First) -> Stage:
    """Tune lengths over the plane, beginning with one for all and with the best of every tile."""
    request, base = problem.request, float(first.win_length[0])
    if request.start_lengths is not None:
        typical, survey = base, first.survey
    else:
        typical, survey = typical_length(problem, log, base, first.survey)
    layout = Layout.around(problem, typical)
    plane = _lay_out_plane(layout, log, first)
    table = None if tunes_bins_exactly(request) else _table(plane, log)
    share = problem.evaluator.energy_shares(
        plane.plan, min(base, float(plane.plan.mfft)), plane.positions, request.criterion
    )
    cells = PlaneCells.of(plane.positions.size, 1, 1) if table is None else table.cells
    if not cells.whole:  # the share of every bin is not kept
        share = cells.mean(share)[:, :: cells.stride]
    starts = _starts(plane, cells)
    if log.stopped:  # in the first stage: return its result in the form of this one
        _descend(plane, log, starts[0], share, table, ended=STOPPED)
    else:
        starts = starts[: request.starts or 2]
        threads = problem.threads(len(starts))
        log.bar.begin("descents")
        log.each(starts, lambda branch, start: _descend(plane, branch, start, share, table), threads)
    best = min(log.runs, key=lambda run: run.outcome.value)
    if compares_even_grid(problem) and best.variables.positions_vary and not log.stopped:
        start = next(start for start in starts if start[0] == best.label)
        best = better_grid(problem, log, best, _descend(plane, log, ("even", start[1]), share, table, even=True))
    log.bar.begin("exact")
    log.bar.update(0.0, "computing the exact sums")
    if table is not None:
        best = _made_exact(plane, best, table)
    if request.max_frame_ratio is not None:
        best = _within_ratio(plane, best, request.max_frame_ratio)
    return Stage(best, _with_bands(plane, survey))


def _with_bands(plane: _Plane, survey: Survey | None) -> Survey | None:
    """Return a survey with the criterion in every band, averaged over time, if it was computed."""
    if survey is None or plane.survey is None:
        return survey
    frequencies = band_frequencies(plane.plan, len(plane.survey.share)) * plane.problem.request.fs
    return replace(survey, surface=plane.survey.surface(frequencies))


@dataclass(frozen=True)
class _Plane:
    """The time-frequency plane of the stage: its framing, the surface of lengths over it, and its tiles.

    Attributes
    ----------
    layout : Layout
        Neighbourhoods and bounds.
    first : First
        The result of the first stage.
    plan : FramePlan
        The transform.
    bounds : (float, float)
        Range of the lengths in samples.
    framing : Framing
        Hop and FFT length.
    positions : ndarray, shape (frames,)
        Positions of the frames in samples.
    survey : TileSurvey or None
        The criterion in every tile over a grid of lengths.
    grid : ControlGrid
        Control points of the log lengths.
    tiles : Neighbourhoods, Tiles or None
        Neighbourhoods of a local criterion.
    best : ndarray, shape (bands, groups), or None
        Logarithms of the best lengths of the tiles of the survey.
    knots : ndarray, shape (knots,)
        Places in samples that the control points in time follow; empty if these are even.
    """

    layout: Layout
    first: First
    plan: FramePlan
    bounds: tuple[float, float]
    framing: Framing
    positions: Float64Array
    survey: TileSurvey | None
    grid: ControlGrid
    tiles: Neighbourhoods | Tiles | None
    best: Float64Array | None
    knots: Float64Array

    @property
    def problem(self) -> Problem:
        """The problem."""
        return self.layout.problem

    @property
    def one_length(self) -> Float64Array:
        """Control points of the best single length for all bins."""
        length = float(self.first.win_length[0])
        return np.full(self.grid.shape, np.log(np.clip(length, *self.bounds)))


def _lay_out_plane(layout: Layout, log: Log, first: First) -> _Plane:
    problem, request = layout.problem, layout.problem.request
    base = float(first.win_length[0])
    low, high = request.win_bounds
    if not request.bounds_given:
        high = min(high, max(WIDEST_RATIO * layout.typical, base))
    if request.start_lengths is not None:
        high = max(high, float(request.start_lengths.max()))
    mfft = problem.rule.tied(high / 2).mfft
    high = min(high, float(mfft))
    plan = request.plan(mfft)
    survey = _survey(layout, log, first, plan, (min(low, high), high))
    best = None if survey is None else _best_surface(layout, survey, first.value)
    framing = Framing(_hop(problem, first, plan, survey, best), mfft)
    positions = request.regular_positions(framing.hop)
    low = max(low, request.overlap.shortest(framing.hop))
    knots: Float64Array = np.zeros(0)
    if survey is not None and best is not None and request.control_points is None:
        knots = time_knots(best, survey.centres, framing.hop, _MOST_TIME_POINTS)
    points = _control_points(layout, knots if best is not None else None)
    grid = _control_grid(problem, log, plan, positions, points, knots)
    bounds, tiles = (min(low, high), high), _tiles(layout, plan)
    return _Plane(layout, first, plan, bounds, framing, positions, survey, grid, tiles, best, knots)


def _survey(layout: Layout, log: Log, first: First, plan: FramePlan, bounds: tuple[float, float]) -> TileSurvey | None:
    """Return a local criterion in every tile over a grid of lengths, if it is a function of sums."""
    problem, request = layout.problem, layout.problem.request
    given = request.start_lengths is not None or (first.label == "given" and request.starts == 1)
    if problem.scope != "local" or given or request.window_mode == "fixed":
        return None
    if not isinstance(request.criterion, Additive):
        return None
    lengths = problem.with_enough_overlap(length_grid(*bounds))
    log.nfev += lengths.size
    log.bar.begin("tiles")
    tiles = _tiles(layout, plan)
    assert isinstance(tiles, Tiles)
    criterion = problem.with_scope("local", tiles, layout.typical)
    assert isinstance(criterion, Additive)
    return survey_tiles(plan, request.x, criterion, lengths, problem.rule, tiles, log.searching)


def _best_surface(layout: Layout, survey: TileSurvey, value: float) -> Float64Array:
    """Return the best lengths of tiles, with a price for changes; `value` is the criterion of one length."""
    request = layout.problem.request
    unit = 1.0 if request.criterion.is_logarithm else abs(value)
    one_nat, groups = nat(request) * unit, survey.centres.size
    across = _NATS_ACROSS * one_nat * request.n / groups / layout.neighbourhoods().width
    kernels = request.plan(1).kernels
    if request.window_mode == "frequency":
        return best_surface(survey.merged(), NATS_PER_CHANGE * one_nat, across, kernels)
    return best_surface(survey, NATS_PER_CHANGE * one_nat, across, kernels)


def _hop(
    problem: Problem, first: First, plan: FramePlan, survey: TileSurvey | None, best: Float64Array | None
) -> float:
    """Return the hop of the constant optimum, or a smaller one that the shortest windows in the plane need."""
    request = problem.request
    if survey is None or best is None or request.hop is not None:
        return first.hop
    survey = survey.merged() if best.shape[1] == 1 else survey
    work = request.n * plan.f_pts * float(np.average(np.exp(best), weights=survey.weights))
    wanted = max(survey.shortest(best) * request.overlap.spacing_ratio, work / _MOST_WORK, 1.0)
    return problem.finer_hop(first.hop, wanted)


def _control_points(layout: Layout, knots: Float64Array | None) -> tuple[int, int] | str:
    """Return the numbers of control points in frequency and time: those asked for, or as many as changes need.

    Without a survey of the tiles there are some for each neighbourhood in time.
    """
    request = layout.problem.request
    if request.control_points is not None:
        return request.control_points
    if request.window_mode == "frequency":
        return _BANDS, 1
    if knots is not None:
        return _BANDS, knots.size + 2 if knots.size else 1
    wanted = int(np.ceil(request.n / (WIDEST_RATIO * layout.typical))) + 1
    return _BANDS, int(np.clip(wanted, *_UNSEEN_TIME_POINTS))


def _control_grid(
    problem: Problem,
    log: Log,
    plan: FramePlan,
    positions: Float64Array,
    points: tuple[int, int] | str,
    knots: Float64Array,
) -> ControlGrid:
    request, frames = problem.request, positions.size
    if isinstance(points, str):
        return ControlGrid.free(plan.f_pts, frames, constant=request.window_mode == "frequency")
    grid = ControlGrid.smooth(bin_numbers(plan), plan.mfft, positions, points, knots if knots.size else None)
    if request.control_points is not None and grid.shape != points:
        log.notes.append(
            f"control_points: {grid.shape} of {points} were used, as there are {plan.f_pts} bins and {frames} frames"
        )
    return grid


def _tiles(layout: Layout, plan: FramePlan) -> Neighbourhoods | Tiles | None:
    """Return the neighbourhoods of a local criterion, divided into bands if it is a function of sums."""
    problem, request = layout.problem, layout.problem.request
    if problem.scope != "local" or problem.user_loss:
        return None
    hood = layout.neighbourhoods()
    if not isinstance(request.criterion, Additive):
        return hood
    return make_tiles(plan, request.x, hood, request.criterion.bands or _BANDS)


def _table(plane: _Plane, log: Log) -> PlaneSums:
    """Return the table of sums, for cells and bins as fine as the control points and its size allow."""
    problem, frames, hop = plane.problem, plane.positions.size, plane.framing.hop
    criterion = problem.with_scope(problem.scope, plane.tiles, plane.layout.typical)
    assert isinstance(criterion, Additive)
    lengths = plane_lengths(plane.bounds, float(problem.request.accuracy or 0.0))
    span = (frames - 1) * hop / max(1 if plane.knots.size else plane.grid.shape[1] - 1, 1)
    if plane.tiles is not None:
        span = min(span, plane.tiles.width)
    cells = table_cells(problem, plane.plan, frames, lengths.size, hop, span)
    if cells.starts.size < frames:
        cells = within_limit(_divided(plane, criterion, cells), problem, plane.plan, lengths.size)
    log.nfev += lengths.size
    log.bar.begin("table")
    x, positions = problem.request.x, plane.positions
    return PlaneSums.of(plane.plan, x, criterion.statistics, lengths, positions, cells, log.searching)


def _divided(plane: _Plane, criterion: Additive, cells: PlaneCells) -> PlaneCells:
    """Return shorter cells where control points are dense, and apart from frames that do not count."""
    counted = criterion.frame_weights(plane.positions, plane.problem.request.n, plane.plan.T)
    cells = cells.divided(np.flatnonzero(np.diff(counted)) + 1)
    return cells.between(plane.knots / plane.framing.hop, _CELLS_BETWEEN_KNOTS) if plane.knots.size else cells


def _starts(plane: _Plane, cells: PlaneCells) -> list[tuple[str, Float64Array]]:
    """Return labels and control points of the starting surfaces."""
    request, first = plane.problem.request, plane.first
    if request.start_lengths is not None:
        log = np.log(np.broadcast_to(request.start_lengths.T, (plane.positions.size, plane.plan.f_pts)))
        return [("given", plane.grid.fit(log))]
    label = "given" if first.label == "given" else "constant"
    one, alone = (label, plane.one_length), label == "given" and request.starts == 1
    if plane.best is None or not isinstance(plane.tiles, Tiles) or alone:
        return [one]
    tiles = ("tiles", _tile_surface(plane, plane.tiles, plane.best, cells))
    return [one, tiles] if label == "given" else [tiles]


def _tile_surface(plane: _Plane, tiles: Tiles, best: Float64Array, cells: PlaneCells) -> Float64Array:
    """Return control points of a surface through the best lengths of the tiles."""
    positions = cells.mean(plane.positions)
    if best.shape[1] > 1:
        assert plane.survey is not None
        best = np.array([np.interp(positions, plane.survey.centres, row) for row in best])
    else:
        best = np.repeat(best, positions.size, axis=1)
    bands = (tiles.bands / tiles.bands.sum(axis=0))[:, :: cells.stride]
    return plane.grid.on_cells(cells).sampled(np.clip(best.T @ bands, *np.log(plane.bounds)))


def _descend(
    plane: _Plane,
    log: Log,
    start: tuple[str, Float64Array],
    share: Float64Array,
    table: PlaneSums | None,
    *,
    even: bool = False,
    ended: dict[str, Any] | None = None,
) -> Run:
    """Descend from a label and control points; with `ended`, only evaluate these.

    With `even` the positions are not tuned.
    """
    request, problem, (label, points) = plane.problem.request, plane.problem, start
    grid, positions, hop = plane.grid, plane.positions, plane.framing.hop
    if table is not None:
        grid, positions = grid.on_cells(table.cells), table.cells.mean(positions)
    lengths: Lengths
    if request.window_mode == "fixed":
        win_length = np.exp(np.clip(grid.surface(points), *np.log(plane.bounds)))
        if request.start_lengths is not None:
            win_length = np.broadcast_to(request.start_lengths.T, win_length.shape).copy()
        lengths = FixedLengths(win_length, plane.bounds)
    else:
        scale = None
        if request.descent_method != "adam":  # Adam scales each variable by itself
            weight = grid.adjoint(share)
            scale = np.sqrt(np.maximum(weight / weight.max(), 1e-3))
        value = abs(plane.first.value)
        unit = 1.0 if request.criterion.is_logarithm else max(value, np.finfo(float).tiny)
        many = grid.shape[1] > 1
        reach = _REACH if many and label == "tiles" and request.control_points != "free" else np.inf
        described = 0.0 if many else _NATS_ACROSS * nat(request) * (grid.size - 1)
        carry = unit * (max(_CARRY, described) if request.control_points != "free" else _CARRY)
        lengths = SurfaceLengths(grid, points, plane.bounds, scale, carry, reach)
    moved = table is None and not even
    placed = position_variables(problem, positions, hop) if moved else FixedPositions(positions)
    variables = Variables(lengths, placed, shape_of(problem, tuned=request.tune_shape))
    return run_descent(problem, log, label, _objective(plane, table), variables, hop, ended)


def _objective(plane: _Plane, table: PlaneSums | None) -> Objective:
    criterion = plane.problem.with_scope(plane.problem.scope, plane.tiles, plane.layout.typical)
    if isinstance(plane.tiles, Tiles):
        criterion = replace(criterion, bands=len(plane.tiles.bands))
    evaluator = None
    if table is not None:
        n = plane.problem.request.n
        counted = criterion.frame_weights(plane.positions, n, plane.plan.T)
        spans = np.asarray(table.cells.mean(durations(plane.positions, n) * counted))
        evaluator = PlaneEvaluator.of(_signal(plane), table, spans)
    objective = plane.problem.objective(plane.plan, criterion, plane.tiles, evaluator)
    return replace(objective, change_cost=change_cost(plane.problem))


def _signal(plane: _Plane) -> SignalEvaluator:
    """Return the evaluator of exact sums; only signals in memory have tables."""
    evaluator = plane.problem.evaluator
    assert isinstance(evaluator, SignalEvaluator)
    return evaluator


def _made_exact(plane: _Plane, best: Run, table: PlaneSums) -> Run:
    """Evaluate the result of descents on the table by the exact sums."""
    signal = _signal(plane)
    objective, variables, outcome = replace(best.objective, evaluator=signal), best.variables, best.outcome
    lengths = variables.lengths
    assert isinstance(lengths, SurfaceLengths)
    placed = FixedPositions(plane.positions)
    variables = replace(variables, lengths=replace(lengths, grid=plane.grid), positions=placed)
    state = variables.state(outcome.y)
    if table.cells.whole:
        at = objective.evaluate(variables, outcome.y)
        outcome = replace(outcome, value=at.value, comparable=at.to_comparable(), jac=at.natural, state=state)
    else:  # the gradient is that of the table, which takes a fraction of the memory
        value, comparable = signal.both_values(objective.measure, state)
        outcome = replace(outcome, value=value + outcome.penalties, comparable=comparable, state=state)
    summary = {
        "lengths": table.log_lengths.size,
        "frames": int(table.cells.sizes.max()),
        "stride": table.cells.stride,
        "difference": outcome.comparable - best.comparable,
    }
    return replace(
        best,
        objective=objective,
        outcome=outcome,
        variables=variables,
        hop=plane.framing.hop,
        interpolated=Interpolated(summary, best.objective, best.comparable, best.outcome.state),
    )


def _within_ratio(plane: _Plane, best: Run, most: float) -> Run:
    """Bring a result back towards one length for all bins until the ratio of its frame bounds is within its limit.

    The bounds come from Lanczos iterations, each with a transform of the whole signal and its adjoint, and are too
    expensive for a descent. Most results need no more than bounds of theirs.
    """
    objective, variables, n = best.objective, best.variables, plane.problem.request.n
    plan, frames = objective.measure.frames(best.outcome.state)
    if np.ptp(best.outcome.state.win_length) > 0 and isinstance(frames, BinFrames):
        least, largest = enclosing_bounds(plan, frames, n)
        if largest <= most * least:
            return best

    def excess(y: Float64Array) -> float:
        state = variables.state(y)
        if np.ptp(state.win_length) == 0:  # then the bounds are those of one window for each frame, without iterations
            state = replace(state, win_length=state.win_length[:, 0])
        low, high = frame_bounds(*objective.measure.frames(state), n)
        return float(np.log(high / low / most)) if low > 0 else np.inf

    outcome, lengths = best.outcome, variables.lengths
    beyond = excess(outcome.y)
    if beyond <= 0:
        return best
    safe = outcome.y
    if isinstance(lengths, SurfaceLengths):
        safe = replace(variables, lengths=replace(lengths, points=plane.one_length)).start()
    at = excess(safe)
    if at > 0:
        base = float(plane.first.win_length[0])
        raise ValueError(
            f"max_frame_ratio={most:g} cannot be kept: one window of {base:.4g} samples for all bins and "
            f"hop={plane.framing.hop:g} already have a ratio of {most * np.exp(at):.4g}"
        )
    y = safe + largest_step(lambda step: excess(safe + step * (outcome.y - safe)), at, beyond) * (outcome.y - safe)
    evaluation, state = objective.evaluate(variables, y), variables.state(y)
    message = "brought back towards one length until the frame bounds kept their ratio"
    outcome = replace(
        outcome,
        state=state,
        message=message,
        value=evaluation.value,
        comparable=evaluation.to_comparable(),
        jac=evaluation.natural,
        y=y,
        x=variables.natural(y),
    )
    interpolated = best.interpolated
    if interpolated is not None:  # its state is no longer the result
        interpolated = replace(interpolated, objective=objective, comparable=outcome.comparable, state=state)
    return replace(best, objective=objective, outcome=outcome, interpolated=interpolated)
