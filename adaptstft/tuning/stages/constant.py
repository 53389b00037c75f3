"""The first stage of tuning: one window length, and one hop."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from adaptstft.common.grids import GRID_RATIO, length_grid
from adaptstft.common.typing import Float64Array
from adaptstft.criteria import DescriptionLength
from adaptstft.engine.frames import frame_count
from adaptstft.tuning.descent.descend import Optimiser, Outcome, descend, stay
from adaptstft.tuning.descent.objective import Objective
from adaptstft.tuning.hop_ratio import LEAST_HOP_RATIO
from adaptstft.tuning.log import Log, Run
from adaptstft.tuning.options import finds_path
from adaptstft.tuning.problem import Problem
from adaptstft.tuning.stages.frame_path import table_lengths_to_share
from adaptstft.tuning.tables.framing import Framing
from adaptstft.tuning.tables.survey import Survey
from adaptstft.tuning.variables.lengths import FixedLengths, Lengths, OneLength
from adaptstft.tuning.variables.positions import FixedPositions, Positions, TiedHop
from adaptstft.tuning.variables.shape import FixedShape, Shape, TunedShape
from adaptstft.tuning.variables.state import State
from adaptstft.tuning.variables.variables import Variables

#: Starting lengths whose logarithms differ by less than this are the same.
SAME = 0.01
#: Number of hops that are tried for a user loss.
_HOP_GRID = 24
#: Largest number of framings that one descent goes through; the FFT length at least doubles from one to the next.
_MOST_FRAMINGS = 20
#: Largest number of framings for lengths that change with the hop.
_MOST_HOPS = 6
#: How a descent ends whose length changes with the hop.
_CHANGING = {"success": True, "status": 0, "message": "converged: the length hardly changes with the hop"}
#: How a descent in positions ends that finds no better ones.
_NO_BETTER = {"success": True, "status": 0, "message": "converged: no other positions found are better"}
#: A minimum of the grid this far above the best one is not refined: in nats, and for a description length relative to
#: the best. A descent between points of the grid gains a hundredth of it.
_HOPELESS, _HOPELESS_SHARE = 0.5, 0.1


@dataclass(frozen=True)
class Stage:
    """The result of a stage: its best run, and the survey over the whole signal if there was one."""

    best: Run
    survey: Survey | None


@dataclass(frozen=True)
class First:
    """What a second stage begins with, the result of the first one.

    Attributes
    ----------
    label : str
        Where it comes from; ``"given"`` for lengths that are given.
    value : float
        The criterion.
    win_length, positions : ndarray, shape (frames,)
        Lengths and positions of the frames, in samples.
    hop : float
        Time between frames in samples.
    survey : Survey or None
        The survey over the whole signal, if there was one.
    """

    label: str
    value: float
    win_length: Float64Array
    positions: Float64Array
    hop: float
    survey: Survey | None

    @classmethod
    def of(cls, stage: Stage) -> First:
        """Return what follows from the best run of a stage."""
        best, state = stage.best, stage.best.outcome.state
        return cls(best.label, best.outcome.value, state.win_length, state.positions, best.hop, stage.survey)


def find_first(problem: Problem, log: Log) -> First:
    """Return what a second stage begins with.

    At a given hop a path over a table begins at the best length of a survey, without an evaluation.
    """
    request = problem.request
    if request.hop is not None and finds_path(request.criterion, request) and _only_lengths(problem) is None:
        survey = survey_lengths(problem, log)
        length = survey.minima(1)[0]
        hop = problem.search_rule.tied(length).hop
        positions = request.regular_positions(hop)
        return First("grid 1", float(survey.values.min()), np.full(positions.size, length), positions, hop, survey)
    return First.of(tune_constant(problem, log))


def tune_constant(problem: Problem, log: Log) -> Stage:
    """Tune one length (and one hop), or evaluate the one that is given."""
    request, only = problem.request, _only_lengths(problem)
    if only is not None:
        return Stage(_run_given(problem, log, only), None)
    if request.win_length is not None and request.starts == 1:
        log.bar.begin("first length")
        return Stage(_descend_tied(problem, log, ("given", float(request.win_length))), None)
    survey = survey_lengths(problem, log)
    starts, problem = _starting_lengths(problem, survey), problem.with_width(survey.minima(1)[0])
    log.bar.begin("first length")
    runs = log.each(starts, partial(_descend_tied, problem), problem.threads(len(starts)))
    return Stage(_best(runs, log), survey)


def _best(runs: list[Run], log: Log) -> Run:
    """Return the run with the best comparable value; two are compared by the frames that count with both lengths."""
    best, *others = runs
    for other in others:
        pair = best, other
        margin = max(run.objective.criterion.margin_used for run in pair)
        if margin > min(run.objective.criterion.margin_used for run in pair):
            log.nfev += len(pair)
            values = [run.objective.with_margin(margin).comparable_value(run.outcome.state) for run in pair]
        else:
            values = [run.comparable for run in pair]
        best = pair[int(np.argmin(values))]
    return best


def survey_lengths(problem: Problem, log: Log) -> Survey:
    """Return the criterion over a geometric grid of all lengths allowed."""
    low, high = problem.request.win_bounds
    log.bar.begin("survey")
    if problem.user_loss:
        high = min(high, float(problem.search_rule.mfft or high))
    lengths, shared = length_grid(low, high), table_lengths_to_share(problem)
    if shared is not None:
        problem.transform(log, np.union1d(lengths, shared))
    return problem.table(log, lengths)


def _starting_lengths(problem: Problem, survey: Survey) -> list[tuple[str, float]]:
    request = problem.request
    margin = _HOPELESS if request.criterion.is_logarithm else np.inf
    if isinstance(request.criterion, DescriptionLength):
        margin = _HOPELESS_SHARE * float(survey.values.min())
    minima = survey.minima(request.starts or 3, margin)
    starts = [(f"grid {k + 1}", length) for k, length in enumerate(minima)]
    if request.win_length is None:
        return starts
    given = float(request.win_length)
    return [("given", given), *(one for one in starts if abs(np.log(one[1] / given)) > SAME)][: request.starts]


def _only_lengths(problem: Problem) -> Float64Array | None:
    """Return the lengths to evaluate if nothing is to be tuned in the first stage, or None."""
    request = problem.request
    if request.start_lengths is not None:
        return np.asarray(np.exp(np.mean(np.log(request.start_lengths))))
    length, one_start = request.win_length, problem.varying and request.starts == 1
    if length is not None and (request.window_mode == "fixed" or length.ndim > 0 or one_start):
        return length
    if request.win_bounds[0] < request.win_bounds[1]:
        return None
    return np.asarray(request.win_bounds[0]) if length is None else length


def _run_given(problem: Problem, log: Log, win_length: Float64Array) -> Run:
    """Evaluate lengths that are given, in the framing for the longest."""
    framing = problem.rule.tied(float(win_length.max()))
    objective, variables = constant_problem(problem, log, win_length, framing, fixed=True)
    return run_descent(problem, log, "given", objective, variables, framing.hop)


def _descend_tied(problem: Problem, log: Log, start: tuple[str, float]) -> Run:
    """Descend from a label and a length, again while hop and FFT length are not those for the length found.

    A start that is a minimum of the survey was compared with the lengths beyond, so the length stays near it. Otherwise
    noise could lead the descent to much shorter windows, for which the hop is too long. Only a tuned shape may need a
    length that is far away.
    """
    (label, length), rule = start, problem.search_rule
    near = label != "given" and not (problem.user_loss or problem.request.tune_shape)
    searched = (length / GRID_RATIO, length * GRID_RATIO) if near else (0.0, np.inf)
    framing = rule.tied(length)
    visited = [length]
    for attempt in range(_MOST_FRAMINGS):
        name = label if attempt == 0 else f"{label}, continued"
        objective, variables = constant_problem(problem, log, np.asarray(length), framing, searched=searched)
        run = run_descent(problem, log, name, objective, variables, framing.hop)
        length = float(run.outcome.state.win_length[0])
        outgrown = length >= framing.mfft < problem.request.win_bounds[1]
        wanted = rule.tied(length)
        if log.stopped or wanted == framing or (not outgrown and rule.follows(framing, length)):
            return run
        again = any(abs(np.log(length / earlier)) < SAME for earlier in visited[:-1])
        visited.append(length)
        if again or (not outgrown and attempt >= _MOST_HOPS):
            break
        framing = wanted
    # the best of them, each in the framing for it: in that of another, frames may be too far apart to see all energy
    length = min(visited, key=partial(comparable_value, problem, log))
    framing = rule.tied(length)
    objective, variables = constant_problem(problem, log, np.asarray(length), framing)
    return run_descent(problem, log, name, objective, variables, framing.hop, _CHANGING)


def constant_problem(
    problem: Problem,
    log: Log,
    win_length: Float64Array,
    framing: Framing,
    *,
    fixed: bool = False,
    searched: tuple[float, float] = (0.0, np.inf),
) -> tuple[Objective, Variables]:
    """Return objective and variables of one length for all frames; with `fixed` of the lengths given.

    A descent stays in the range `searched`. The hop of a user loss, if it is tuned, starts at the best of a grid.
    """
    objective, variables = _prepare(problem, win_length, framing, fixed, searched=searched)
    if isinstance(variables.positions, TiedHop):
        hops = _best_hop(problem, log, objective, variables, variables.positions)
        win_length = np.full(hops.size, win_length.flat[0])
        return _prepare(problem, win_length, framing, fixed, hops, searched)
    return objective, variables


def comparable_value(problem: Problem, log: Log, length: float) -> float:
    """Return ``area_fun`` of one length, with the frames that a result would have."""
    log.nfev += 1
    framing = problem.search_rule.tied(length)
    objective, variables = _prepare(problem, np.asarray(length), framing, fixed=False)
    return objective.comparable_value(variables.state(variables.start()))


def run_descent(
    problem: Problem,
    log: Log,
    label: str,
    objective: Objective,
    variables: Variables,
    hop: float,
    ended: dict[str, Any] | None = None,
) -> Run:
    """Run one descent and record it; with `ended`, evaluate its starting point only."""
    if ended is None:
        optimiser = problem.optimiser(log, label)
        if variables.positions_vary and objective.criterion.margin_used > 0:
            outcome = _in_steps(objective, variables, optimiser)
        else:
            outcome = descend(objective, variables, optimiser)
    else:
        outcome = stay(objective, variables, ended)
    spacing = np.diff(outcome.state.positions)
    hop = float(spacing.mean()) if spacing.size else hop
    stopped = outcome.stopped and ended is None
    return log.add(Run(label, objective, variables, outcome, hop), stopped=stopped)


def _in_steps(objective: Objective, variables: Variables, optimiser: Optimiser) -> Outcome:
    """Descend with weights of frames that change in steps; the values are those of the objective itself."""
    outcome, first = descend(objective.in_steps(), variables, optimiser), objective.total(variables, variables.start())
    value = objective.value(outcome.state) + outcome.penalties
    if value > first:
        return replace(stay(objective, variables, _NO_BETTER), nit=outcome.nit, nfev=outcome.nfev)
    history = [first, *(each for each in outcome.history[1:-1] if value <= each <= first), value]
    return replace(outcome, first=first, value=value, history=history)


def shape_of(problem: Problem, *, tuned: bool) -> Shape:
    """Return the shape of the window as a variable, or fixed."""
    window = problem.request.window
    return TunedShape(window) if tuned else FixedShape(window)


def _prepare(
    problem: Problem,
    win_length: Float64Array,
    framing: Framing,
    fixed: bool,
    positions: Float64Array | None = None,
    searched: tuple[float, float] = (0.0, np.inf),
) -> tuple[Objective, Variables]:
    """Return objective and variables of one length for all frames; of fixed lengths, one for each frame."""
    request = problem.request
    if positions is None:
        positions = request.regular_positions(framing.hop)
    win_length = np.broadcast_to(np.asarray(win_length, dtype=float), positions.shape).copy()
    neighbourhoods = None
    if problem.scope == "local" and not problem.user_loss:
        neighbourhoods = problem.coarse_neighbourhoods()
    high = min(request.win_bounds[1], float(framing.mfft))
    low = problem.shortest(framing.hop)
    bounds = (min(low, high), high)
    lengths: Lengths = FixedLengths(win_length, bounds)
    if not fixed:
        lengths = OneLength(np.clip(win_length, low, high), bounds, searched)
    safe = None
    if request.max_frame_ratio is not None:
        safe = np.clip(np.full(positions.shape, high), *bounds)
    variables = Variables(
        lengths,
        _hop_variable(problem, positions, framing.hop),
        shape_of(problem, tuned=request.tune_shape and not problem.varying),
        safe,
    )
    criterion = problem.with_scope(problem.scope, neighbourhoods, float(np.median(win_length)))
    return problem.objective(request.plan(framing.mfft), criterion, neighbourhoods), variables


def _hop_variable(problem: Problem, positions: Float64Array, hop: float) -> Positions:
    """Return the hop as a variable, if the gradient of a user loss tunes it; other criteria have a rule for it."""
    request = problem.request
    if request.hop_mode != "constant" or not problem.user_loss or positions.size < 2:
        return FixedPositions(positions, report_hop=request.hop_mode == "constant")
    bounds = request.hop_bounds or (hop / 4, 4 * hop)
    return TiedHop(request.n, positions, (LEAST_HOP_RATIO, request.overlap.largest_ratio), bounds)


def _best_hop(problem: Problem, log: Log, objective: Objective, variables: Variables, tied: TiedHop) -> Float64Array:
    """Return the best regular positions of a grid of hops, for a user loss.

    A user loss may depend on the number of frames, which changes by steps that no gradient contains.
    """
    start_state = variables.state(variables.start())
    length = float(variables.lengths.win_length[0])
    low = max(tied.hop_bounds[0], LEAST_HOP_RATIO * length)
    high = min(tied.hop_bounds[1], tied.ratios[1] * length)
    start = float(tied.positions[1])
    hops = np.unique(np.append(np.geomspace(min(low, start), max(high, start), _HOP_GRID), start))
    tried = []
    for hop in hops:
        positions = np.arange(frame_count(problem.request.n, hop)) * hop
        ones = np.ones(positions.size)
        state = State(np.full(positions.size, length), positions, ones, start_state.window)
        tried.append((objective.value(state), positions))
    log.nfev += hops.size
    best: Float64Array = min(tried, key=lambda pair: pair[0])[1]
    return best
