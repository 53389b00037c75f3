"""What `optimize` returns, made from the best descent: the transform, how sure it is, and what it started from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from adaptstft._typing import Float64Array
from adaptstft.bin_stage import retiled
from adaptstft.confidence import confidence_notes
from adaptstft.descent import Outcome
from adaptstft.diagnosis import notes, sensitivity
from adaptstft.parameters import State, frame_count
from adaptstft.recommendation import recommend
from adaptstft.result import TuningResult
from adaptstft.shorttimefft import AdaptiveShortTimeFFT
from adaptstft.stages import Run, Tuner
from adaptstft.survey import Framing
from adaptstft.windows import Window

_SCIPY_DEFAULT = 256


def report(tuner: Tuner, best: Run) -> TuningResult:
    """Make the result of the best descent."""
    r, o, state = tuner.r, best.outcome, best.outcome.state
    one = (
        bool(np.ptp(state.theta) == 0)
        and r.window_mode in ("fixed", "constant")
        and not tuner.per_bin
        and (r.win_length is None or r.win_length.ndim == 0)
    )
    win_length: Any = float(state.theta.flat[0]) if one else state.theta.T
    if tuner.per_bin and np.all(state.theta == state.theta[0]) and r.window_mode != "time-frequency":
        win_length = win_length[:, :1]
    sft = _transform(tuner, state.window, win_length, state.times, best.descent.tf.mfft)
    initial = _initial(tuner, best)
    bounds = best.parameters.win_bounds
    # values of a user's loss are comparable for one FFT length only
    reach = bounds if tuner.free or tuner.per_bin else (bounds[0], max(bounds[1], r.win_bounds[1]))
    # within the approximation that was tuned on, where there is one
    level = best.comparable if best.reference is None else best.reference
    seen = best.sampled or state
    found = sensitivity(best.descent, seen, level, reach, one=one)
    return TuningResult(
        x=o.x,
        fun=o.value,
        jac=o.jac,
        nit=o.nit,
        nfev=tuner.nfev,
        success=o.success,
        status=o.status,
        message=o.message,
        sft=sft,
        win_length=win_length,
        win_duration=win_length / r.fs,
        hop=best.hop,
        positions=state.times,
        criterion=best.descent.criterion,
        history=np.array(o.history),
        starts=[run.report() for run in tuner.runs],
        sensitivity=found,
        area_fun=best.comparable,
        initial=initial,
        initial_area_fun=_initial_value(tuner, best, initial),
        survey=tuner.curve and replace(tuner.curve, local=None),
        recommended=recommend(best.descent, state, best.comparable, bounds, best.hop, r.min_overlap, one=one),
        notes=[
            *_shape_notes(tuner),
            *tuner.remarks,
            *notes(best.parameters, state, found, _reason(tuner, best)),
            *confidence_notes(r, tuner.curve, tuner.search_rule(), state),
            *_limit_notes(o),
        ],
        approximation=best.approximation,
        backend=r.backend,
        signal=r.original,
        detrend=r.detrend,
    )


def _shape_notes(tuner: Tuner) -> list[str]:
    (channels, n), (low, high) = tuner.r.x.shape, tuner.r.win_bounds
    texts = []
    if channels > n:
        texts.append(f"{channels} channels of {n} samples: if time is another axis of x, name it with axis=")
    if tuner.r.window_mode != "fixed" and low == high:
        texts.append(f"only one window length is allowed, {low:g} samples")
    return texts


def _reason(tuner: Tuner, best: Run) -> str:
    """Say what holds windows above a lower bound, if it is the overlap of neighbours."""
    r = tuner.r
    if r.min_overlap is None or not np.isclose(best.parameters.win_bounds[0], best.hop / (1 - r.min_overlap)):
        return ""
    return f", from hop={best.hop:g} and min_overlap={r.min_overlap:g}: a smaller hop allows shorter windows"


def _transform(tuner: Tuner, window: Window, win_length: Any, times: Float64Array, mfft: int) -> AdaptiveShortTimeFFT:
    r = tuner.r
    return AdaptiveShortTimeFFT(
        window,
        win_length,
        None,
        r.fs,
        positions=times,
        fft_mode=r.fft_mode,
        mfft=mfft,
        scale_to=r.scale_to,
        workers=r.workers,
        backend=r.backend_asked,
    )


def _initial(tuner: Tuner, best: Run) -> AdaptiveShortTimeFFT:
    """Transform before tuning: what was given, or SciPy's default."""
    r = tuner.r
    mfft = best.descent.tf.mfft
    if r.start_lengths is not None:
        times = np.arange(frame_count(r.n, best.hop)) * best.hop
        return _transform(tuner, r.window, r.start_lengths, times, mfft)
    if r.win_length is not None and r.win_length.ndim:
        return _transform(tuner, r.window, r.win_length, np.arange(r.win_length.size) * best.hop, mfft)
    length = float(min(_SCIPY_DEFAULT, max(r.n, 2)) if r.win_length is None else r.win_length)
    framing = tuner.rule.tied(length)
    if tuner.free or framing.mfft < length:
        framing, length = Framing(best.hop, mfft), min(length, float(mfft))
    times = np.arange(frame_count(r.n, framing.hop)) * framing.hop
    return _transform(tuner, r.window, length, times, framing.mfft)


def _initial_value(tuner: Tuner, best: Run, initial: AdaptiveShortTimeFFT) -> float:
    assert initial.positions is not None
    times = initial.positions
    theta = np.asarray(initial.win_length, dtype=float).T
    theta = np.broadcast_to(theta, (times.size, initial.f_pts) if theta.ndim == 2 else times.shape)
    tf = replace(best.descent.tf, mfft=initial.mfft)
    at = replace(best.descent, tf=tf, basis=None, neighbourhoods=retiled(best.descent, tf))
    return at.comparable_value(State(theta, times, np.ones(times.size), tuner.r.window))


def _limit_notes(outcome: Outcome) -> list[str]:
    if outcome.status != 1:
        return []
    return ["the optimiser stopped at its limit of iterations; options={'maxiter': ...} sets another"]
