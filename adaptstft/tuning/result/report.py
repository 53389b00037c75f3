"""What `optimize` returns, made from the best descent: the transform, how sure it is, and what it started from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from adaptstft.common.typing import Float64Array
from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT
from adaptstft.tuning.descent.objective import Outcome
from adaptstft.tuning.request import Request
from adaptstft.tuning.result.confidence import confidence_notes
from adaptstft.tuning.result.diagnosis import notes, sensitivity
from adaptstft.tuning.result.recommendation import recommend
from adaptstft.tuning.result.result import TuningResult
from adaptstft.tuning.stages.bins import retiled
from adaptstft.tuning.stages.frames import Run, Tuner
from adaptstft.tuning.tables.survey import Framing
from adaptstft.tuning.variables.parameters import State
from adaptstft.windows import Window

_SCIPY_DEFAULT = 256


class Reporter:
    """Makes the result of one call of `optimize`."""

    def __init__(self, tuner: Tuner) -> None:
        self.tuner = tuner

    @property
    def r(self) -> Request:
        """What was asked for."""
        return self.tuner.r

    def result(self, best: Run) -> TuningResult:
        """Make the result of the best descent."""
        tuner = self.tuner
        r, o, state = self.r, best.outcome, best.outcome.state
        one = (
            bool(np.ptp(state.win_length) == 0)
            and r.window_mode in ("fixed", "constant")
            and not self.tuner.per_bin
            and (r.win_length is None or r.win_length.ndim == 0)
        )
        win_length: Any = float(state.win_length.flat[0]) if one else state.win_length.T
        told = state  # without repetitions
        if self.tuner.per_bin and np.all(state.win_length == state.win_length[0]) and r.window_mode != "time-frequency":
            win_length, told = win_length[:, :1], replace(state, win_length=state.win_length[:1])
        sft = self.transform(state.window, win_length, state.positions, best.descent.plan.mfft)
        initial = self.initial(best)
        bounds = best.parameters.win_bounds
        # values of a user's loss are comparable for one FFT length only
        reach = bounds if self.tuner.free or self.tuner.per_bin else (bounds[0], max(bounds[1], r.win_bounds[1]))
        # within the approximation that was tuned on, where there is one
        level = best.comparable if best.reference is None else best.reference
        found = sensitivity(best.descent, best.sampled or state, level, reach, one=one)
        recommended = recommend(best.descent, state, best.comparable, bounds, best.hop, r.min_overlap, one=one)
        if recommended is not None and told is not state:
            recommended = replace(recommended, win_length=recommended.win_length[:, :1])
        return TuningResult(
            x=o.x,
            fun=o.value,
            prices=o.prices,
            jac=o.jac,
            nit=o.nit,
            nfev=self.tuner.nfev,
            success=o.success,
            status=o.status,
            message=o.message,
            sft=sft,
            win_length=win_length,
            win_duration=win_length / r.fs,
            hop=best.hop,
            positions=state.positions,
            criterion=best.descent.criterion,
            history=np.array(o.history),
            starts=[run.report() for run in self.tuner.runs],
            sensitivity=found,
            area_fun=best.comparable,
            initial=initial,
            initial_area_fun=self.initial_value(best, initial),
            survey=self.tuner.curve and replace(self.tuner.curve, local=None),
            recommended=recommended,
            notes=[
                *self.shape_notes(),
                *tuner.remarks,
                *notes(best.parameters, told, found, self.reason(best)),
                *self.confidence_notes(state),
                *_limit_notes(o),
            ],
            approximation=best.approximation,
            backend=r.backend,
            signal=r.original,
            signals=1,
            samples=r.n,
            detrend=r.detrend,
        )

    def confidence_notes(self, state: State) -> list[str]:
        """Say if there was nothing to find."""
        return confidence_notes(self.r, self.tuner.curve, self.tuner.search_rule(), state)

    def shape_notes(self) -> list[str]:
        """Say what the shape of the signal or the bounds give to think."""
        (channels, n), (low, high) = self.r.x.shape, self.r.win_bounds
        texts = []
        if channels > n:
            texts.append(f"{channels} channels of {n} samples: if time is another axis of x, name it with axis=")
        if self.r.window_mode != "fixed" and low == high:
            texts.append(f"only one window length is allowed, {low:g} samples")
        return texts

    def reason(self, best: Run) -> str:
        """Say what holds windows above a lower bound, if it is the overlap of neighbours."""
        r = self.r
        if r.min_overlap is None or not np.isclose(best.parameters.win_bounds[0], best.hop / (1 - r.min_overlap)):
            return ""
        return f", from hop={best.hop:g} and min_overlap={r.min_overlap:g}: a smaller hop allows shorter windows"

    def transform(self, window: Window, win_length: Any, positions: Float64Array, mfft: int) -> AdaptiveShortTimeFFT:
        """Make a transform for what was tuned."""
        r = self.r
        return AdaptiveShortTimeFFT(
            window,
            win_length,
            None,
            r.fs,
            positions=positions,
            fft_mode=r.fft_mode,
            mfft=mfft,
            scale_to=r.scale_to,
            workers=r.workers,
            backend=r.backend_asked,
        )

    def initial(self, best: Run) -> AdaptiveShortTimeFFT:
        """Transform before tuning: what was given, or SciPy's default."""
        r = self.r
        mfft = best.descent.plan.mfft
        if r.start_lengths is not None:
            return self.transform(r.window, r.start_lengths, r.regular_positions(best.hop), mfft)
        if r.win_length is not None and r.win_length.ndim:
            return self.transform(r.window, r.win_length, np.arange(r.win_length.size) * best.hop, mfft)
        length = float(min(_SCIPY_DEFAULT, max(r.n, 2)) if r.win_length is None else r.win_length)
        framing = self.tuner.rule.tied(length)
        if self.tuner.free or framing.mfft < length:
            framing, length = Framing(best.hop, mfft), min(length, float(mfft))
        return self.transform(r.window, length, r.regular_positions(framing.hop), framing.mfft)

    def initial_value(self, best: Run, initial: AdaptiveShortTimeFFT) -> float:
        """Evaluate the transform before tuning, comparably."""
        assert initial.positions is not None
        positions = initial.positions
        win_length = np.asarray(initial.win_length, dtype=float).T
        win_length = np.broadcast_to(
            win_length, (positions.size, initial.f_pts) if win_length.ndim == 2 else positions.shape
        )
        plan = replace(best.descent.plan, mfft=initial.mfft)
        at = replace(best.descent, plan=plan, basis=None, neighbourhoods=retiled(best.descent, plan))
        return at.comparable_value(State(win_length, positions, np.ones(positions.size), self.r.window))


def _limit_notes(outcome: Outcome) -> list[str]:
    if outcome.status != 1:
        return []
    return ["the optimiser stopped at its limit of iterations; options={'maxiter': ...} sets another"]
