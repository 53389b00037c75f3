"""From a checked request to a result: the stages of tuning, for one window family or several."""

from __future__ import annotations

from dataclasses import replace

from adaptstft.common.progress import Progress
from adaptstft.tuning.descent.descend import STOPPED
from adaptstft.tuning.log import Log
from adaptstft.tuning.options import BASELINES
from adaptstft.tuning.problem import Problem
from adaptstft.tuning.request import Request
from adaptstft.tuning.result.report import make_result
from adaptstft.tuning.result.result import TuningResult
from adaptstft.tuning.stages.baselines import search_constant, search_frames
from adaptstft.tuning.stages.bins import tune_bins
from adaptstft.tuning.stages.constant import tune_constant
from adaptstft.tuning.stages.frames import tune_frames


def tune(request: Request, bar: Progress) -> TuningResult:
    """Tune one window family: first one length, then what varies."""
    problem, log = Problem.of(request), Log(bar)
    searched = request.method in BASELINES
    first = search_constant if searched and not problem.varying else tune_constant
    stage = first(problem, log)
    if problem.varying:
        log.runs = []
        second = search_frames if searched else tune_bins if problem.per_bin else tune_frames
        stage = second(problem, log, stage)
    return make_result(problem, log, stage)


def tune_families(request: Request, bar: Progress) -> TuningResult:
    """Tune every family of windows and return the best result, with the starts of all.

    Values are compared as integrals over time and frequency, with windows of unit energy. If the width of
    neighbourhoods follows from the window length, all families have that of the first.
    """
    results: list[TuningResult] = []
    for index, window in enumerate(request.families):
        part = _Part(bar, index, len(request.families), window.name)
        results.append(tune(replace(request, window=window, families=(window,)), part))
        first = results[0].criterion
        if request.criterion.width is None and first.width is not None and first.scope == "local":
            request = replace(request, criterion=replace(request.criterion, scope="local", width=first.width))
        if results[-1].status == STOPPED["status"]:
            break
    best = min(results, key=lambda result: result.area_fun + result.prices)
    best.starts = [start for result in results for start in result.starts]
    best.nfev = sum(result.nfev for result in results)
    if results[-1].status == STOPPED["status"]:
        best.update(STOPPED)
    return best


class _Part(Progress):
    """The part of a bar that belongs to one family."""

    def __init__(self, whole: Progress, index: int, count: int, name: str) -> None:
        self._whole, self._index, self._count, self._name = whole, index, count, name

    def update(self, fraction: float, text: str) -> None:
        """Redraw the whole bar."""
        self._whole.update((self._index + fraction) / self._count, f"{self._name}: {text}")
