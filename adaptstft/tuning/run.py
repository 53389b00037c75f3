"""From a checked request to a result: the stages of tuning, for one window family or several."""

from __future__ import annotations

from dataclasses import replace

from adaptstft.common.progress import Pieces, Progress, Stages
from adaptstft.criteria import Renyi
from adaptstft.tuning.descent.descend import STOPPED
from adaptstft.tuning.log import Log
from adaptstft.tuning.options import BASELINES, descends, finds_path
from adaptstft.tuning.problem import Problem
from adaptstft.tuning.request import Request
from adaptstft.tuning.result.confidence import confidence_of
from adaptstft.tuning.result.report import make_result
from adaptstft.tuning.result.result import TuningResult
from adaptstft.tuning.stages.baselines import search_constant, search_frames
from adaptstft.tuning.stages.bins import tune_bins
from adaptstft.tuning.stages.constant import find_first, tune_constant
from adaptstft.tuning.stages.frame_path import check_path
from adaptstft.tuning.stages.frames import tune_frames
from adaptstft.tuning.stages.plane_table import check_table, tunes_bins_exactly


def tune(request: Request, bar: Progress) -> TuningResult:
    """Tune one window family: first one length, then what varies."""
    problem = Problem.of(request)
    check_path(problem)
    check_table(problem)
    log = Log(Stages(bar, _expected_work(problem)))
    searched = request.method in BASELINES
    if problem.varying:
        first = find_first(problem, log)
        if first.survey is not None:  # before the search of lengths that vary, which noise does not need
            log.confidence = confidence_of(problem, first.survey, first.win_length)
        log.runs = []
        second = search_frames if searched else tune_bins if problem.per_bin else tune_frames
        stage = second(problem, log, first)
    else:
        stage = search_constant(problem, log) if searched else tune_constant(problem, log)
    log.notes += _cost_notes(problem, log)
    log.bar.begin("result")
    log.bar.update(0.0, "computing the flatness of the optimum")
    return make_result(problem, log, stage)


def _cost_notes(problem: Problem, log: Log) -> list[str]:
    """Return a note on what a descent costs by a criterion that is no function of sums."""
    request = problem.request
    if not (problem.varying and problem.needs_plane) or request.method in BASELINES:
        return []
    evaluations = sum(run.outcome.nfev for run in log.runs)
    limit = problem.descent_options.get("maxfun")
    each = "" if limit is None else f", at most {limit} in each run of the optimiser (options={{'maxfun': ...}})"
    like = replace(request, criterion=Renyi())
    descended = tunes_bins_exactly(like) if problem.per_bin else descends(like.criterion, like)
    missing = "" if descended else ", so there is no table"
    instead = "" if descended else "; with criteria of sums one table takes their place"
    return [
        f"criterion={request.criterion.name!r} is no function of sums{missing}: the descents in what varies took "
        f"{evaluations} exact evaluations of the whole signal{each}{instead}"
    ]


def tune_families(request: Request, bar: Progress) -> TuningResult:
    """Tune every family of windows and return the best result, with the starts of all.

    Values are compared as integrals over time and frequency, with windows of unit energy. If the width of
    neighbourhoods or the margin at the ends follows from the window length, all families have that of the first.
    """
    results: list[TuningResult] = []
    pieces = Pieces(bar, len(request.families))
    for index, window in enumerate(request.families):
        part = _Named(pieces.piece(index), window.name)
        results.append(tune(replace(request, window=window, families=(window,)), part))
        first = results[0].criterion
        if request.criterion.width is None and first.width is not None and first.scope == "local":
            request = replace(request, criterion=replace(request.criterion, scope="local", width=first.width))
        request = replace(request, criterion=request.criterion.within(first.margin_used))
        if results[-1].status == STOPPED["status"]:
            break
    best = min(results, key=lambda result: result.area_fun + result.prices)
    best.starts = [start for result in results for start in result.starts]
    best.nfev = sum(result.nfev for result in results)
    if results[-1].status == STOPPED["status"]:
        best.update(STOPPED)
    return best


def _expected_work(problem: Problem) -> dict[str, float]:
    """Return the expected work of each stage: typical shares of the time, as the hop is not known before.

    Transforms take most of it. The table of lengths has tens of them, each iteration of a descent a few.
    """
    request = problem.request
    first = {"survey": 1.0, "first length": 1.0}
    if request.method in BASELINES:
        return {"survey": 5.0, "first length": 1.0, "neighbourhoods": 5.0, "result": 1.0}
    if not problem.varying:
        return first | {"result": 1.0}
    if problem.per_bin:
        search = {"descents": 30.0} if tunes_bins_exactly(request) else {"table": 4.0, "descents": 6.0}
        return first | {"tiles": 1.0} | search | {"exact": 5.0, "result": 1.0}
    path = {"table": 7.0, "path": 4.0} if finds_path(request.criterion, request) else {}
    more = {"descents": 60.0} if descends(request.criterion, request) else {}
    return first | {"neighbourhoods": 2.0} | path | more | {"result": 5.0}


class _Named(Progress):
    """The bar of one family, with its name."""

    def __init__(self, bar: Progress, name: str) -> None:
        self._bar, self._name = bar, name

    def update(self, fraction: float, text: str) -> None:
        """Redraw the whole bar."""
        self._bar.update(fraction, f"{self._name}: {text}")
