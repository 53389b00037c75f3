"""Window lengths without a descent: methods of the literature to compare with.

Every baseline chooses lengths. The objective is then evaluated as at the end of a descent, with the same rules for hop,
FFT length and neighbourhoods, so that ``area_fun`` can be compared between methods.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from adaptstft.common.device import to_host
from adaptstft.common.grids import GRID_RATIO, length_grid
from adaptstft.common.typing import Float64Array
from adaptstft.criteria import Additive, Criterion, Renyi
from adaptstft.criteria.neighbourhoods import Neighbourhoods
from adaptstft.tuning.hop_ratio import DEFAULT_HOP_RATIO
from adaptstft.tuning.log import Log
from adaptstft.tuning.options import integer_lengths
from adaptstft.tuning.problem import Layout, Problem
from adaptstft.tuning.stages.chirp_rate import balanced_length, measure_rates
from adaptstft.tuning.stages.constant import First, Stage, comparable_value, constant_problem, run_descent
from adaptstft.tuning.stages.frames import run_frames, typical_length
from adaptstft.tuning.tables.frame_lengths import best_frame_lengths
from adaptstft.tuning.tables.survey import Survey

#: Lengths of an exhaustive search that are evaluated once more with the precision of the result.
_SHORTLIST = 64


def search_constant(problem: Problem, log: Log) -> Stage:
    """Choose one length for the whole signal."""
    request = problem.request
    survey: Survey | None = None
    if request.method == "grid":
        lengths = problem.with_enough_overlap(integer_lengths(request.win_bounds, request.options.get("step", 1)))
        log.bar.begin("survey")
        survey = problem.table(log, lengths, fraction=DEFAULT_HOP_RATIO)
        # The table is in single precision: the exact value decides between lengths that it cannot tell apart.
        best = lengths[np.argsort(survey.values, kind="stable")[:_SHORTLIST]]
        same_frames = problem.with_windows_inside(float(best.max()))
        values = [comparable_value(same_frames, log, float(length)) for length in best]
        length, text = float(best[np.argmin(values)]), f"the best of {lengths.size} integer lengths"
    else:
        rate = measure_rates(to_host(request.x), request.win_bounds).typical()
        length = float(np.clip(balanced_length(request.window, np.array(rate)), *request.win_bounds))
        text = f"a chirp rate of {rate * request.fs**2:.4g} Hz/s"
    framing = problem.search_rule.tied(length)
    objective, variables = constant_problem(problem, log, np.asarray(length), framing)
    run = run_descent(problem, log, request.method, objective, variables, framing.hop, _chosen(text))
    return Stage(run, survey)


def search_frames(problem: Problem, log: Log, first: First) -> Stage:
    """Choose a length for each frame, in the frames of the best single length."""
    request, positions = problem.request, first.positions
    typical, survey = typical_length(problem, log, first.win_length, first.survey)
    layout = Layout.around(problem, typical)
    log.bar.begin("neighbourhoods")
    low, high = layout.frame_bounds(first.hop)
    choose = {"grid": _best_integers, "local-concentration": _most_concentrated, "chirp-rate": _by_chirp_rate}
    win_length, text = choose[request.method](layout, log, positions, first.hop)
    win_length = np.clip(win_length, low, high)
    framing = layout.framing(first.hop, float(win_length.max()))
    start = (request.method, win_length, positions)
    return Stage(run_frames(layout, log, start, framing, None, ended=_chosen(text)), survey)


def _chosen(text: str) -> dict[str, Any]:
    return {"success": True, "status": 0, "message": text}


def _best_integers(layout: Layout, log: Log, positions: Float64Array, hop: float) -> tuple[Float64Array, str]:
    """Return the best integer length for every neighbourhood, or with scope ``"frame"`` for every frame."""
    problem = layout.problem
    low, high = layout.frame_bounds(hop)
    step = problem.request.options.get("step", 1)
    lengths = integer_lengths((low, high), step) if np.ceil(low) <= high else np.array([high])
    text = f"the best of {lengths.size} integer lengths"
    if problem.scope == "frame":
        return _best_of_frames(layout, log, positions, hop, lengths), f"{text} for every frame"
    hood = layout.neighbourhoods()
    best = _best_of_neighbourhoods(layout, log, problem.with_scope("local", hood), lengths, hood, positions)
    return best, f"{text} for every neighbourhood"


def _most_concentrated(layout: Layout, log: Log, positions: Float64Array, hop: float) -> tuple[Float64Array, str]:
    """Return the length of the most concentrated spectrogram around every frame."""
    request = layout.problem.request
    width = request.options.get("width")
    hood = layout.neighbourhoods() if width is None else layout.problem.neighbourhoods(width * request.fs)
    # minus the logarithm of sum |S|**4 / (sum |S|**2)**2
    measure = Renyi(alpha=2, width=hood.width / request.fs)
    lengths = length_grid(*layout.frame_bounds(hop), ratio=request.options.get("ratio", GRID_RATIO))
    text = f"the most concentrated of {lengths.size} lengths for every frame"
    return _best_of_neighbourhoods(layout, log, measure, lengths, hood, positions), text


def _by_chirp_rate(layout: Layout, log: Log, positions: Float64Array, hop: float) -> tuple[Float64Array, str]:
    """Return the length that suits the chirp rate around every frame."""
    request = layout.problem.request
    rates = measure_rates(to_host(request.x), request.win_bounds).at(positions)
    low, high = (value * request.fs**2 for value in (rates.min(), rates.max()))
    return balanced_length(request.window, rates), f"chirp rates of {low:.4g} to {high:.4g} Hz/s"


def _best_of_neighbourhoods(
    layout: Layout,
    log: Log,
    criterion: Criterion,
    lengths: Float64Array,
    hood: Neighbourhoods,
    positions: Float64Array,
) -> Float64Array:
    """Return the best length of the neighbourhood next to every frame; silent ones take that of their neighbours."""
    local = layout.problem.table(log, lengths, criterion, hood).local
    assert local is not None
    alive = np.flatnonzero(hood.energy > 0)
    best = lengths[local[alive].argmin(axis=1)]
    middle = (hood.centres[alive][1:] + hood.centres[alive][:-1]) / 2
    return np.asarray(best[np.searchsorted(middle, positions)])


def _best_of_frames(
    layout: Layout, log: Log, positions: Float64Array, hop: float, lengths: Float64Array
) -> Float64Array:
    request, criterion = layout.problem.request, layout.problem.request.criterion
    assert isinstance(criterion, Additive)
    plan = request.plan(layout.framing(hop, float(lengths[-1])).mfft)
    log.nfev += lengths.size
    chosen, _ = best_frame_lengths(plan, request.x, criterion, lengths, positions, silent=float(lengths[0]))
    return chosen
