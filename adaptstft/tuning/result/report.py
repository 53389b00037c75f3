"""From the best run to a `TuningResult`: the transform, its sensitivity, the transform before tuning, and notes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import numpy as np

from adaptstft.common.text import in_samples
from adaptstft.common.typing import Float64Array
from adaptstft.criteria.bands import make_tiles
from adaptstft.criteria.neighbourhoods import Neighbourhoods, Tiles
from adaptstft.engine.plan import FramePlan
from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT
from adaptstft.tuning.log import Log, Run
from adaptstft.tuning.problem import Problem
from adaptstft.tuning.request import Request
from adaptstft.tuning.result.confidence import confidence_of
from adaptstft.tuning.result.diagnosis import notes, sensitivity
from adaptstft.tuning.result.recommendation import recommend
from adaptstft.tuning.result.result import TuningResult
from adaptstft.tuning.stages.constant import Stage
from adaptstft.tuning.tables.framing import Framing
from adaptstft.tuning.variables.state import State
from adaptstft.windows import Window

#: Window length of `scipy.signal.spectrogram` by default, in samples.
_SCIPY_DEFAULT = 256


def make_result(problem: Problem, log: Log, stage: Stage) -> TuningResult:
    """Return the result of the best run of the last stage."""
    request, best = problem.request, stage.best
    outcome, state = best.outcome, best.outcome.state
    one = _has_one_length(problem, state)
    win_length: Any = float(state.win_length.flat[0]) if one else state.win_length.T
    distinct = state  # without repetitions over frames
    by_frequency = problem.per_bin and request.window_mode != "time-frequency"
    if by_frequency and np.all(state.win_length == state.win_length[0]):
        win_length, distinct = win_length[:, :1], replace(state, win_length=state.win_length[:1])
    sft = _make_transform(request, state.window, win_length, state.positions, best.hop, best.objective.plan.mfft)
    initial = _initial_transform(problem, best)
    bounds = best.variables.win_bounds
    # values of a user loss are comparable for one FFT length only
    fixed_fft = problem.user_loss or problem.per_bin
    reach = bounds if fixed_fft else (bounds[0], max(bounds[1], request.win_bounds[1]))
    table = best.interpolated
    flatness, at = (best, state) if table is None else (table, table.state)
    found = sensitivity(flatness.objective, at, flatness.comparable, reach, one=one)
    recommended = recommend(request, best.objective, state, best.comparable, bounds, best.hop, one=one, table=table)
    if recommended is not None and distinct is not state:
        recommended = replace(recommended, win_length=np.asarray(recommended.win_length)[:, :1])
    shared = request.shared
    return TuningResult(
        x=outcome.x,
        fun=outcome.value,
        prices=outcome.penalties,
        jac=outcome.jac,
        nit=outcome.nit,
        nfev=log.nfev,
        success=outcome.success,
        status=outcome.status,
        message=outcome.message,
        sft=sft,
        win_length=win_length,
        win_duration=win_length / request.fs,
        hop=best.hop,
        positions=state.positions if request.all_frames else None,
        criterion=best.objective.criterion,
        history=np.array(outcome.history),
        starts=[run.report() for run in log.runs],
        sensitivity=found,
        area_fun=best.comparable,
        initial=initial,
        initial_area_fun=_initial_value(problem, best, initial),
        survey=stage.survey and replace(stage.survey, local=None),
        recommended=recommended,
        notes=[
            *_shape_notes(request),
            *log.notes,
            *notes(best.variables, distinct, found, request.fs, _bound_reasons(request, best)),
            *(log.confidence or confidence_of(problem, stage.survey, state.win_length)).notes,
            *_limit_notes(outcome.status),
        ],
        approximation=None if table is None else table.summary,
        backend=request.backend,
        signal=request.original if shared is None else None,
        signals=1 if shared is None else shared.signals,
        samples=request.n if shared is None else shared.samples,
        detrend=request.detrend,
        f_bounds=None if request.band is None else (request.band.low, request.band.high),
    )


def _has_one_length(problem: Problem, state: State) -> bool:
    request = problem.request
    constant = request.window_mode in ("fixed", "constant") and not problem.per_bin
    given = request.win_length is not None and request.win_length.ndim > 0
    return bool(np.ptp(state.win_length) == 0) and constant and not given


def _make_transform(
    request: Request, window: Window, win_length: Any, positions: Float64Array, hop: float, mfft: int
) -> AdaptiveShortTimeFFT:
    """Return a transform with a hop, or at the positions if these or the lengths belong to times of one signal."""
    shape = np.shape(win_length)
    tied = len(shape) == 1 or shape[-1:] > (1,)
    fixed = request.all_frames and (tied or not _evenly_spaced(positions, hop))
    return AdaptiveShortTimeFFT(
        window,
        win_length,
        None if fixed else hop,
        request.fs,
        positions=positions if fixed else None,
        samples=request.n if fixed else None,
        fft_mode=request.fft_mode,
        mfft=mfft,
        scale_to=request.scale_to,
        workers=request.workers,
        backend=request.backend_asked,
    )


def _initial_transform(problem: Problem, best: Run) -> AdaptiveShortTimeFFT:
    """Return the transform before tuning: the one given, or one with SciPy's default length."""
    request, mfft = problem.request, best.objective.plan.mfft
    given = request.win_length
    if request.start_lengths is not None:
        positions = request.regular_positions(best.hop)
        return _make_transform(request, request.window, request.start_lengths, positions, best.hop, mfft)
    if given is not None and given.ndim:
        return _make_transform(request, request.window, given, np.arange(given.size) * best.hop, best.hop, mfft)
    # within the range of the search, so that the result is at least as good
    default = float(np.clip(_SCIPY_DEFAULT, *request.win_bounds))
    length = default if given is None else float(given)
    framing = problem.rule.tied(length)
    if problem.user_loss or framing.mfft < length:
        framing, length = Framing(best.hop, mfft), min(length, float(mfft))
    positions = request.regular_positions(framing.hop)
    return _make_transform(request, request.window, length, positions, framing.hop, framing.mfft)


def _evenly_spaced(positions: Float64Array, hop: float) -> bool:
    """Return whether frames are at the multiples of a hop, up to rounding."""
    return bool(np.abs(positions - np.arange(positions.size) * hop).max() <= 1e-9 * positions.size * hop)


def _initial_value(problem: Problem, best: Run, initial: AdaptiveShortTimeFFT) -> float:
    """Return the comparable value of the transform before tuning."""
    request, positions = problem.request, initial.positions
    if positions is None:
        positions = request.regular_positions(cast(float, initial.hop))
    win_length = np.asarray(initial.win_length, dtype=float).T
    shape = (positions.size, initial.f_pts) if win_length.ndim == 2 else positions.shape
    objective = best.objective
    plan = replace(objective.plan, mfft=initial.mfft)
    objective = objective.with_plan(plan, _retiled(request, objective.measure.neighbourhoods, plan))
    state = State(np.broadcast_to(win_length, shape), positions, np.ones(positions.size), request.window)
    return objective.comparable_value(state)


def _retiled(
    request: Request, neighbourhoods: Neighbourhoods | Tiles | None, plan: FramePlan
) -> Neighbourhoods | Tiles | None:
    """Return neighbourhoods for another FFT length, on which bands depend."""
    if not isinstance(neighbourhoods, Tiles):
        return neighbourhoods
    return make_tiles(plan, request.x, neighbourhoods.in_time, len(neighbourhoods.bands))


def _shape_notes(request: Request) -> list[str]:
    """Return notes on unusual shapes of the signal, on bounds that leave nothing to tune, and on steady tones."""
    channels, n, (low, high) = request.channels, request.n, request.win_bounds
    texts = []
    if channels > n:
        texts.append(f"{channels} channels of {in_samples(n)}: if time is another axis of x, name it with axis=")
    if request.window_mode != "fixed" and low == high:
        texts.append(f"only one window length is allowed, {low:g} samples")
    if request.steady_tones:
        tones = ", ".join(f"{frequency:.4g}" for frequency in request.steady_tones)
        texts.append(f"weak steady tones do not count: {tones} Hz; f_bounds=(low, high) around one makes it count")
    return texts


def _bound_reasons(request: Request, best: Run) -> tuple[str, str]:
    """Return what limits the lengths on both sides, and what lifts the limits."""
    low, high = best.variables.win_bounds
    least, most = request.win_bounds
    half = (request.n if request.shared is None else request.shared.shortest) // 2
    shorter = f"; win_bounds=({max(low / 2, 1):.6g}, {round(most)}) allows shorter ones" if low > 1 else ""
    if request.min_overlap is not None and np.isclose(low, request.overlap.shortest(best.hop)):
        shorter = (
            f", from hop={best.hop:g} and min_overlap={request.min_overlap:g}: a smaller hop allows shorter windows"
        )
    longer = f"; win_bounds=({least:.6g}, {min(2 * round(high), half)}) allows longer ones"
    if high >= half:
        of = "the signal" if request.shared is None else "the shortest signal"
        longer = f", half of {of}: longer ones are not useful"
    elif request.mfft is not None and high >= request.mfft:
        longer = f", from mfft={request.mfft}: a longer FFT allows longer ones"
    return shorter, longer


def _limit_notes(status: int) -> list[str]:
    if status != 1:
        return []
    more = "options={'maxiter': ...} or {'maxfun': ...} sets another"
    return [f"the optimiser stopped at its limit of iterations or evaluations; {more}"]
