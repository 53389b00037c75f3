"""`optimize`: from a recording to a tuned transform.

signal -> `request` (checked arguments) -> `survey` (coarse grid) -> `descent`
(L-BFGS-B from several starts) -> `TuningResult`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult

from adaptstft._progress import Progress
from adaptstft._typing import Backend, Float64Array, HopMode, Method, Scaling, Scope, WindowMode
from adaptstft.criteria import Additive, Callable_, Criterion
from adaptstft.descent import Descent, Outcome, Stopped, best_hop_ratio, descend
from adaptstft.diagnosis import notes, sensitivity
from adaptstft.parameters import GuardedHops, Parameters, State, frame_count
from adaptstft.request import Request, check_request
from adaptstft.result import TuningResult
from adaptstft.scopes import Neighbourhoods
from adaptstft.shorttimefft import AdaptiveShortTimeFFT
from adaptstft.survey import Framing, FramingRule, Survey, length_grid, survey
from adaptstft.windows import Window

__all__ = ["optimize"]

_SCIPY_DEFAULT = 256
#: Smallest tuned hop as a fraction of the window length.
_LEAST_HOP_RATIO = 0.02
#: Width of a neighbourhood relative to the constant optimum: no window is wider than it.
_WIDTH_RATIO = 4.0
#: Longest window in time mode relative to the constant optimum, unless bounds are given: the FFT must hold it.
_WIDEST_RATIO = 4
#: A minimum of the grid this far above the best one, in nats, is not refined.
_HOPELESS = 0.5


def optimize(
    x: Any,
    fs: float,
    *,
    window: Any = "hann",
    window_mode: WindowMode = "constant",
    hop_mode: HopMode = "fixed",
    win_length: Any = None,
    hop: float | None = None,
    win_bounds: tuple[float, float] | None = None,
    hop_bounds: tuple[float, float] | None = None,
    min_overlap: float | None = 0.5,
    mfft: int | None = None,
    criterion: Any = "renyi",
    scope: Scope | None = None,
    smoothness: float = 0.0,
    tune_shape: bool = False,
    scale_to: Scaling | None = "psd",
    detrend: str | None = "constant",
    starts: int | None = None,
    method: Method = "L-BFGS-B",
    options: dict[str, Any] | None = None,
    callback: Callable[[OptimizeResult], Any] | None = None,
    progress: bool = False,
    axis: int = -1,
    workers: int | None = None,
    backend: Backend = "auto",
) -> TuningResult:
    """Find the window length, and if asked the frame positions, that suit a signal.

    A coarse grid of window lengths is searched first; its best candidates are
    then refined by L-BFGS-B with exact gradients, and the best result is
    returned.

    Parameters
    ----------
    x : array_like
        Signal, real or complex, not silent. All dimensions but `axis` are
        channels, which share one set of parameters.
    fs : float
        Sampling frequency in Hz.
    window : str, tuple, callable or Window, optional
        Window family, see `adaptstft.windows.resolve`.
    window_mode : {"constant", "time", "fixed"}, optional
        Tune one window length, one for each frame, or none.
    hop_mode : {"fixed", "constant", "time"}, optional
        Keep the hop, tune one hop (see Notes), or tune the position of each frame.
    win_length : float or array_like, optional
        Window length in samples to start from (in mode ``"fixed"``, to keep);
        one for each frame in the modes other than ``"constant"`` if `hop` is given.
        None chooses from the signal.
    hop : float, optional
        Time between frames in samples; frames are centred at ``p * hop`` for
        ``p = 0 ... ceil((n - 1) / hop)``. None ties it to the window length, an
        eighth of it.
    win_bounds : (float, float), optional
        Range of window lengths in samples; 16 to ``min(n // 2, 16384)`` by
        default, in mode ``"time"`` also at most four times the best constant
        length.
    hop_bounds : (float, float), optional
        Range of hops in samples; a quarter to four times the hop by default.
    min_overlap : float or None, optional
        Least overlap of neighbouring windows as a fraction of the shorter one,
        between 0 and 1; it makes every result invertible. None switches the
        guarantees off.
    mfft : int, optional
        Length of the FFT; twice the window length by default.
    criterion : str, Criterion or callable, optional
        What to minimise, see `adaptstft.criteria`. A callable is a function of
        ``|S|**2`` written with ``autograd.numpy``.
    scope : {"global", "frame", "local"}, optional
        What one normalisation of the criterion extends over; ``"local"`` by
        default where lengths or positions vary in time, otherwise ``"global"``.
    smoothness : float, optional
        Weight of the mean absolute change of the log length between frames
        (nothing in modes without one length a frame, where it is zero).
    tune_shape : bool, optional
        Tune the shape parameters of the window as well.
    scale_to : {"psd", "magnitude"} or None, optional
        Scaling of the windows. With ``"psd"`` all have the same energy.
    detrend : {"constant", "linear"} or None, optional
        Trend removed from the whole signal before tuning. The transform that
        is returned does not detrend.
    starts : int, optional
        Number of starting points to refine; up to three by default. With an
        explicit `win_length` and ``starts=1`` tuning is one descent from it.
    method : {"L-BFGS-B"}, optional
        Optimiser.
    options : dict, optional
        Options of `scipy.optimize.minimize`'s L-BFGS-B.
    callback : callable, optional
        ``callback(intermediate_result)`` after each iteration, with fields `x`
        (parameters as in the result) and `fun`. Raising ``StopIteration`` stops
        and keeps the best so far.
    progress : bool, optional
        Show a bar on standard error if the work takes more than two seconds.
    axis : int, optional
        Axis of time.
    workers : int, optional
        Number of threads; None uses all cores.
    backend : {"auto", "numba", "numpy"}, optional
        Implementation of the inner loops.

    Returns
    -------
    TuningResult
        The tuned parameters and a transform ready to use, in ``sft``.

    Raises
    ------
    ValueError, TypeError
        For arguments out of range, before any work; the message names the
        value and the range.

    Notes
    -----
    *Comparing framings.* Where hop or FFT length follow the window length, candidates
    are compared by the criterion as an integral over time and frequency, in
    which every frame counts for the time it stands for; ``fun`` is the plain
    value for the framing that is returned, ``area_fun`` the comparable one.

    *A constant hop.* A concentration measure is an integral over time sampled at the
    hop, which hardly determines the hop. With ``hop_mode="constant"`` the hop is
    therefore the fraction of the window length with the least loss of its own:
    the error of that integral for a click, as the relative variance of the
    sum of ``|w|**6`` over frames, plus 0.01 nat for each factor e of transforms
    computed. The loss of a callable is tuned in the hop itself.

    *Guarantees.* A window is never shorter than ``hop / (1 - min_overlap)``. Tuned positions
    keep the number of frames and the span of the regular ones, hops within
    `hop_bounds`, and the overlap of neighbours, by construction.

    References
    ----------
    .. [1] M. Leiber, Y. Marnissi, A. Barrau, S. Meignen, L. Massoulié,
       "Optimal adaptive time-frequency representation via differentiable
       short-time Fourier transform", IEEE Trans. Signal Process. 73,
       5047-5059, 2025, :doi:`10.1109/TSP.2025.3624477`.
    .. [2] R. H. Byrd, P. Lu, J. Nocedal, C. Zhu, "A limited memory algorithm for
       bound constrained optimization", SIAM J. Sci. Comput. 16(5), 1995.

    Examples
    --------
    A chirp of 60 Hz/s asks for a Gaussian window with a standard deviation of
    ``1 / sqrt(2 pi 60)`` seconds; a window cut at three of them on both sides is
    309 samples long.

    >>> import numpy as np
    >>> import adaptstft
    >>> t = np.arange(4000) / 1000
    >>> x = np.cos(2 * np.pi * (100 * t + 30 * t**2))
    >>> res = adaptstft.optimize(x, 1000, window=("gaussian", 6))
    >>> bool(abs(res.win_length / 309 - 1) < 0.02)
    True
    >>> bool(np.allclose(res.sft.istft(res.sft.stft(x), k1=4000), x))
    True
    """
    request = check_request(
        x,
        fs,
        window=window,
        window_mode=window_mode,
        hop_mode=hop_mode,
        win_length=win_length,
        hop=hop,
        win_bounds=win_bounds,
        hop_bounds=hop_bounds,
        min_overlap=min_overlap,
        mfft=mfft,
        criterion=criterion,
        scope=scope,
        smoothness=smoothness,
        tune_shape=tune_shape,
        scale_to=scale_to,
        detrend=detrend,
        starts=starts,
        method=method,
        options=options,
        callback=callback,
        axis=axis,
        workers=workers,
        backend=backend,
    )
    bar = Progress(progress)
    try:
        return _Tuner(request, bar).run()
    finally:
        bar.close()


@dataclass(frozen=True)
class _Run:
    """One descent: where it began, how it went, and its value comparable between framings."""

    label: str
    descent: Descent
    parameters: Parameters
    outcome: Outcome
    hop: float
    comparable: float

    def report(self) -> dict[str, Any]:
        """Entry of ``TuningResult.starts``."""
        first, last = self.parameters.theta, self.outcome.state.theta
        o = self.outcome
        return {
            "label": self.label,
            "win_length_start": float(np.exp(np.mean(np.log(first)))),
            "win_length": float(np.exp(np.mean(np.log(last)))),
            "hop": self.hop,
            "mfft": self.descent.tf.mfft,
            "fun_start": o.first,
            "fun": o.value,
            "area_fun": self.comparable,
            "nit": o.nit,
            "nfev": o.nfev,
            "message": o.message,
        }


class _Tuner:
    """One call of `optimize`."""

    def __init__(self, request: Request, bar: Progress) -> None:
        self.r = request
        self.bar = bar
        self.free = isinstance(request.criterion, Callable_)
        self.rule = self._framing_rule()
        self.varying = request.window_mode == "time" or request.hop_mode == "time"
        self.runs: list[_Run] = []
        self.nfev = 0
        self._typical = np.inf
        self.stopped = False

    def run(self) -> TuningResult:
        best = self._constant_stage()
        if self.varying and not self.stopped:
            self.runs = []
            best = self._varying_stage(best)
        return self._result(best)

    def _framing_rule(self) -> FramingRule:
        r = self.r
        if r.hop_mode != "constant" or self.free:
            return FramingRule(r.hop, r.mfft)
        largest = 1.0 if r.min_overlap is None else 1 - r.min_overlap
        ratio = best_hop_ratio(r.window, (_LEAST_HOP_RATIO, largest))
        bounds = r.hop_bounds or ((1.0, np.inf) if r.hop is None else (r.hop / 4, 4 * r.hop))
        return FramingRule(None, r.mfft, ratio, bounds)

    # ------------------------------------------------------------------ one length

    def _constant_stage(self) -> _Run:
        """Tune one length (and one hop), or settle on what was given."""
        r = self.r
        given = r.win_length is not None and (
            r.window_mode == "fixed" or r.win_length.ndim > 0 or (self.varying and r.starts == 1)
        )
        if given or r.win_bounds[0] == r.win_bounds[1]:
            theta: Float64Array = np.asarray(r.win_bounds[0] if r.win_length is None else r.win_length)
            self._add("given", "fixed", theta, self.rule.tied(float(theta.max())))
            return self.runs[-1]
        if r.win_length is not None and r.starts == 1:
            self._tied_descent("given", float(r.win_length))
        else:
            for label, length in self._starting_lengths():
                if not self.stopped:
                    self._tied_descent(label, length)
        return min(self.runs, key=lambda run: run.comparable)

    def _starting_lengths(self) -> list[tuple[str, float]]:
        r = self.r
        margin = _HOPELESS if r.criterion.in_nats else np.inf
        lengths = self._survey().minima(r.starts or 3, margin)
        found = [(f"grid {k + 1}", length) for k, length in enumerate(lengths)]
        if r.win_length is not None:
            found = [("given", float(r.win_length)), *found][: r.starts]
        return found

    def _survey(self, neighbourhoods: Neighbourhoods | None = None) -> Survey:
        r = self.r
        criterion = self._with_scope(self._constant_scope())
        if criterion.scope == "local" and neighbourhoods is None:
            neighbourhoods = self._coarse()
        low, high = r.win_bounds
        rule = self.rule
        if self.free:
            rule = self._common_rule()
            high = min(high, float(rule.mfft or high))
        grid = length_grid(low, high)
        self.nfev += grid.size
        return survey(
            r.transform(1),
            r.x,
            criterion,
            grid,
            rule,
            neighbourhoods,
            lambda part: self.bar.update(0.4 * part, "searching a grid of window lengths"),
        )

    def _common_rule(self) -> FramingRule:
        """One framing for all lengths: the values of a user's loss are comparable only then."""
        low, high = self.r.win_bounds
        hop = self.rule.tied(float(np.sqrt(low * high))).hop
        return FramingRule(hop, self.r.mfft or FramingRule(hop, None).tied(high / 2).mfft)

    def _tied_descent(self, label: str, length: float) -> None:
        """Descend from a length; where it outgrows the FFT length or hop that follow from it, go on."""
        for attempt in range(4):
            framing = (self._common_rule() if self.free else self.rule).tied(length)
            self._add(label if attempt == 0 else f"{label}, continued", "constant", np.asarray(length), framing)
            length = float(self.runs[-1].outcome.state.theta[0])
            hit_limit = length >= min(framing.mfft, self.r.win_bounds[1]) < self.r.win_bounds[1]
            if self.free or self.stopped or (not hit_limit and self.rule.follows(framing, length)):
                return

    # ------------------------------------------------------------------ lengths and positions in time

    def _varying_stage(self, constant: _Run) -> _Run:
        r = self.r
        times = constant.outcome.state.times
        base = constant.outcome.state.theta
        self._typical = float(np.median(base))
        given = constant.label == "given"
        candidates = [("given" if given else "constant", base)]
        if r.window_mode == "time" and isinstance(r.criterion, Additive) and not (given and r.starts == 1):
            path, smooth = self._paths(float(np.exp(np.mean(np.log(base)))), times)
            candidates = [*candidates, path, smooth] if given else [path, *candidates, smooth]
        candidates = _distinct(candidates)[: r.starts or 3]
        longest = max(float(theta.max()) for _, theta in candidates)
        if r.window_mode == "time":  # the FFT holds every window that is allowed
            allowed = r.win_bounds[1] if r.bounds_given else min(r.win_bounds[1], _WIDEST_RATIO * self._typical)
            longest = max(longest, allowed / 2)
        mfft = self.rule.tied(longest).mfft
        for name, theta in candidates:
            if not self.stopped:
                self._add(name, r.window_mode, theta, Framing(constant.hop, mfft), times, self._width(base))
        return min(self.runs, key=lambda run: run.outcome.value)

    def _neighbourhoods(self, width: float) -> Neighbourhoods:
        return Neighbourhoods.of_signal(self.r.x, max(width, 4.0))

    def _coarse(self) -> Neighbourhoods:
        """Neighbourhoods before any length is known: an eighth of the signal, unless a width is given.

        They keep one loud event from deciding for the whole signal.
        """
        width = self.r.criterion.width
        return self._neighbourhoods(self.r.n / 8 if width is None else width * self.r.fs)

    def _width(self, base: Float64Array) -> float:
        """Width of a neighbourhood in samples."""
        width = self.r.criterion.width
        return _WIDTH_RATIO * float(np.median(base)) if width is None else width * self.r.fs

    def _paths(self, length: float, times: Float64Array) -> list[tuple[str, Float64Array]]:
        """Derive starting lengths of every frame from the best length of every neighbourhood."""
        hood = self._neighbourhoods(self._width(np.array([length])))
        found = self._survey(hood)
        paths = []
        for label, stiffness in (("path", 1.0), ("smooth path", 8.0)):
            log = np.log(found.path(stiffness))
            theta = np.exp(np.interp(times, hood.centres, log))
            longest = np.inf if self.r.bounds_given else _WIDEST_RATIO * length
            paths.append((label, np.minimum(theta, longest)))
        return paths

    # ------------------------------------------------------------------ descents

    def _with_scope(self, scope: Scope | None) -> Criterion:
        criterion = self.r.criterion
        if self.free or scope is None:
            return criterion
        return criterion.with_scope(scope, criterion.width if scope == "local" else None)

    def _constant_scope(self) -> Scope:
        default: Scope = "local" if self.varying else "global"
        return self.r.criterion.scope or default

    def _add(
        self,
        label: str,
        lengths: str,
        theta: Float64Array,
        framing: Framing,
        times: Float64Array | None = None,
        width: float | None = None,
    ) -> None:
        """Run one descent and keep it; `times` and `width` belong to the varying stage."""
        r = self.r
        final = times is not None or not self.varying
        if times is None:
            times = np.arange(frame_count(r.n, framing.hop)) * framing.hop
        assert times is not None
        theta = np.broadcast_to(np.asarray(theta, dtype=float), times.shape).copy()
        scope = self._constant_scope() if width is None else r.criterion.scope or "local"
        neighbourhoods = None
        if scope == "local" and not self.free:
            neighbourhoods = self._coarse() if width is None else self._neighbourhoods(width)
        high = min(r.win_bounds[1], float(framing.mfft))
        if lengths == "time" and not r.bounds_given:
            high = min(high, max(_WIDEST_RATIO * self._typical, float(theta.max())))
        low = r.win_bounds[0] if r.min_overlap is None else max(r.win_bounds[0], framing.hop / (1 - r.min_overlap))
        parameters = Parameters(
            r.n,
            np.clip(theta, low, high) if lengths != "fixed" else theta,
            times,
            r.window,
            lengths,
            (min(low, high), high),
        )
        parameters.tune_shape = r.tune_shape and final
        self._let_positions_vary(parameters, framing, final)
        if lengths == "time" and neighbourhoods is not None:
            parameters.preconditioner = _preconditioner(neighbourhoods, times)
        descent = Descent(
            r.transform(framing.mfft),
            r.x,
            self._with_scope(scope),
            neighbourhoods,
            r.smoothness,
            r.options,
            r.lead,
            self._on_iteration(label),
        )
        try:
            outcome = descend(descent, parameters)
        except Stopped as stop:
            outcome, self.stopped = stop.outcome, True
        self.nfev += outcome.nfev
        spacing = np.diff(outcome.state.times)
        hop = float(spacing.mean()) if spacing.size else framing.hop
        comparable = descent.comparable_value(outcome.state)
        self.runs.append(_Run(label, descent, parameters, outcome, hop, comparable))

    def _let_positions_vary(self, parameters: Parameters, framing: Framing, final: bool) -> None:
        r = self.r
        hop = framing.hop
        if r.hop_mode == "constant" and self.free and not (self.varying and final) and parameters.theta.size > 1:
            largest = 1.0 if r.min_overlap is None else 1 - r.min_overlap
            parameters.hop_ratios = (_LEAST_HOP_RATIO, largest)
            parameters.hop_bounds = r.hop_bounds or (hop / 4, 4 * hop)
        if r.hop_mode == "time" and final and parameters.times.size > 1:
            low, high = r.hop_bounds or (hop / 4, 4 * hop)
            if r.min_overlap is None:
                parameters.free_hops = (low if r.hop_bounds else 0.0, high)
            else:
                span = float(parameters.times[-1] - parameters.times[0])
                parameters.hops = GuardedHops(span, (min(low, hop), max(high, hop)), r.min_overlap)

    def _on_iteration(self, label: str) -> Callable[[int, float, Parameters, State], None]:
        def report(iteration: int, value: float, parameters: Parameters, state: State) -> None:
            part = 0.4 + 0.6 * (1 - np.exp(-iteration / 15))
            self.bar.update(part, f"{label}: iteration {iteration}, {self.r.criterion.name} {value:.6g}")
            if self.r.callback is not None:
                self.r.callback(OptimizeResult(x=parameters.natural(state), fun=value))

        return report

    # ------------------------------------------------------------------ result

    def _result(self, best: _Run) -> TuningResult:
        r, o, state = self.r, best.outcome, best.outcome.state
        one = (
            bool(np.ptp(state.theta) == 0)
            and r.window_mode != "time"
            and (r.win_length is None or r.win_length.ndim == 0)
        )
        win_length: Any = float(state.theta[0]) if one else state.theta
        sft = self._transform(state.window, win_length, state.times, best.descent.tf.mfft)
        initial = self._initial(best)
        found = sensitivity(best.descent, best.parameters, state, best.comparable, one=one)
        return TuningResult(
            x=o.x,
            fun=o.value,
            jac=o.jac,
            nit=o.nit,
            nfev=self.nfev,
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
            starts=[run.report() for run in self.runs],
            sensitivity=found,
            area_fun=best.comparable,
            initial=initial,
            initial_area_fun=self._initial_value(best, initial),
            notes=notes(best.parameters, state, found),
            backend=r.backend,
            signal=r.original,
            detrend=r.detrend,
        )

    def _transform(self, window: Window, win_length: Any, times: Float64Array, mfft: int) -> AdaptiveShortTimeFFT:
        r = self.r
        return AdaptiveShortTimeFFT(
            window,
            win_length,
            None,
            r.fs,
            positions=times,
            fft_mode="centered" if np.iscomplexobj(r.x) else "onesided",
            mfft=mfft,
            scale_to=r.scale_to,
            workers=r.workers,
            backend=r.backend_asked,
        )

    def _initial(self, best: _Run) -> AdaptiveShortTimeFFT:
        """Transform before tuning: what was given, or SciPy's default."""
        r = self.r
        mfft = best.descent.tf.mfft
        if r.win_length is not None and r.win_length.ndim:
            return self._transform(r.window, r.win_length, np.arange(r.win_length.size) * best.hop, mfft)
        length = float(min(_SCIPY_DEFAULT, max(r.n, 2)) if r.win_length is None else r.win_length)
        framing = self.rule.tied(length)
        if self.free or framing.mfft < length:
            framing, length = Framing(best.hop, mfft), min(length, float(mfft))
        times = np.arange(frame_count(r.n, framing.hop)) * framing.hop
        return self._transform(r.window, length, times, framing.mfft)

    def _initial_value(self, best: _Run, initial: AdaptiveShortTimeFFT) -> float:
        assert initial.positions is not None
        times = initial.positions
        theta = np.broadcast_to(np.asarray(initial.win_length, dtype=float), times.shape)
        at = replace(best.descent, tf=replace(best.descent.tf, mfft=initial.mfft))
        return at.comparable_value(State(theta, times, np.ones(times.size), self.r.window))


def _distinct(starts: list[tuple[str, Float64Array]]) -> list[tuple[str, Float64Array]]:
    """Drop starting lengths that are within 1 % of earlier ones in every frame."""
    kept: list[tuple[str, Float64Array]] = []
    for label, theta in starts:
        if all(np.abs(np.log(theta / other)).max() > 0.01 for _, other in kept):
            kept.append((label, theta))
    return kept


def _preconditioner(neighbourhoods: Neighbourhoods, times: Float64Array) -> Float64Array:
    """Root of each frame's share in a local criterion, so that quiet frames move as readily as loud ones."""
    member, _ = neighbourhoods.weights(times)
    share = np.asarray(member.T @ neighbourhoods.energy)
    return np.asarray(np.sqrt(np.maximum(share / share.max(), 1e-3)))
