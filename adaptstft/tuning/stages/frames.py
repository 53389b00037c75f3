"""The stages of `optimize`: one length first, then lengths and positions in time."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

import numpy as np
from scipy.optimize import OptimizeResult

from adaptstft.common.device import to_host
from adaptstft.common.progress import Progress
from adaptstft.common.text import describe_window
from adaptstft.common.threads import count_workers, run_blocks
from adaptstft.common.typing import Float64Array, Scope
from adaptstft.criteria import Criterion, UserLoss
from adaptstft.criteria.neighbourhoods import Neighbourhoods, Tiles
from adaptstft.engine.frames import frame_count
from adaptstft.engine.plan import FramePlan
from adaptstft.tuning.descent.objective import STOPPED, Descent, Outcome, Stopped, best_hop_ratio, descend, stay
from adaptstft.tuning.options import BASELINES
from adaptstft.tuning.penalties.evenness import Evenness
from adaptstft.tuning.penalties.frame_ratio import largest_fraction
from adaptstft.tuning.request import PER_BIN, WIDEST_RATIO, Request
from adaptstft.tuning.stages.baselines import search_constant, search_varying
from adaptstft.tuning.stages.bins import BinStage
from adaptstft.tuning.tables.lowrank import BasisTransforms
from adaptstft.tuning.tables.spacing import can_search, frame_spacing, neighbourhood_width
from adaptstft.tuning.tables.starting import SAME, end_prices, frame_starts
from adaptstft.tuning.tables.survey import SURVEY_HOP, Framing, FramingRule, Survey, length_grid, survey
from adaptstft.tuning.variables.parameters import GuardedHops, Parameters, State

_Start = TypeVar("_Start")

#: Smallest tuned hop as a fraction of the window length.
_LEAST_HOP_RATIO = 0.02
#: Hops that are tried for a loss of the user's.
_HOP_GRID = 24
#: Width of a neighbourhood relative to the constant optimum: no window is wider than it.
_WIDTH_RATIO = 4.0
#: Framings that one descent goes through at most; the FFT's length at least doubles from one to the next.
_MOST_FRAMINGS = 20
#: A minimum of the grid this far above the best one, in nats, is not refined.
_HOPELESS = 0.5


@dataclass(frozen=True)
class Run:
    """One descent: where it began, how it went, and its value comparable between framings.

    For one on approximate transforms also what came of that: the comparable value and the state, of every so many
    frames, that it went by.
    """

    label: str
    descent: Descent
    parameters: Parameters
    outcome: Outcome
    hop: float
    comparable: float
    approximation: dict[str, Any] | None = None
    reference: float | None = None
    sampled: State | None = None

    def report(self) -> dict[str, Any]:
        """Entry of ``TuningResult.starts``."""
        first, last = self.parameters.win_length, self.outcome.state.win_length
        o = self.outcome
        return {
            "label": self.label,
            "window": describe_window(self.outcome.state.window),
            "win_length_start": float(np.exp(np.mean(np.log(first)))),
            "win_length": float(np.exp(np.mean(np.log(last)))),
            "hop": self.hop,
            "mfft": self.descent.plan.mfft,
            "fun_start": o.first,
            "fun": o.value,
            "area_fun": self.comparable,
            "nit": o.nit,
            "nfev": o.nfev,
            "message": o.message,
        }


class Tuner:
    """One call of `optimize`."""

    def __init__(self, request: Request, bar: Progress) -> None:
        self.r = request
        self.bar = bar
        self.free = isinstance(request.criterion, UserLoss)
        self.rule = self._framing_rule()
        given = request.win_length
        self.per_bin = request.window_mode in PER_BIN or (given is not None and given.ndim == 2)
        self.varying = request.window_mode == "time" or request.hop_mode == "time" or self.per_bin
        self.runs: list[Run] = []
        self.nfev = 0
        self.curve: Survey | None = None
        self.typical = np.inf
        self.width: float | None = None
        self.base: Float64Array = np.zeros(0)
        self.stopped = False
        self.remarks: list[str] = []

    def run(self) -> Run:
        """Go through the stages and return the best descent of the last."""
        searched = self.r.method in BASELINES
        best = search_constant(self) if searched and not self.varying else self._constant_stage()
        if self.varying:
            self.runs = []
            if searched:
                best = search_varying(self, best)
            else:
                best = self.tune_bins(best) if self.per_bin else self._varying_stage(best)
        return best

    def tune_bins(self, constant: Run) -> Run:
        """Tune a length for each frequency or bin."""
        return BinStage(self, constant).run()

    def _framing_rule(self) -> FramingRule:
        r = self.r
        if r.hop_mode != "constant" or self.free:
            return FramingRule(r.hop, r.mfft, None, r.hop_bounds or (0.0, np.inf))
        largest = 1.0 if r.min_overlap is None else 1 - r.min_overlap
        if r.max_frame_ratio is not None:
            largest = largest_fraction(r.window, r.max_frame_ratio, (_LEAST_HOP_RATIO, largest)) or _LEAST_HOP_RATIO
        ratio = best_hop_ratio(r.window, (_LEAST_HOP_RATIO, largest))
        bounds = r.hop_bounds or ((1.0, np.inf) if r.hop is None else (r.hop / 4, 4 * r.hop))
        return FramingRule(None, r.mfft, ratio, bounds)

    # ------------------------------------------------------------------ one length

    def _constant_stage(self) -> Run:
        """Tune one length (and one hop), or settle on what was given."""
        r = self.r
        if self.per_bin and r.win_length is not None and r.win_length.ndim == 2:  # what follows from one length
            r = self.r = replace(r, win_length=None, start_lengths=r.win_length)
            typical = float(np.exp(np.mean(np.log(cast(Float64Array, r.start_lengths)))))
            self._add("given", "fixed", np.asarray(typical), self.rule.tied(typical))
            return self.runs[-1]
        given = r.win_length is not None and (
            r.window_mode == "fixed" or r.win_length.ndim > 0 or (self.varying and r.starts == 1)
        )
        if given or r.win_bounds[0] == r.win_bounds[1]:
            win_length: Float64Array = np.asarray(r.win_bounds[0] if r.win_length is None else r.win_length)
            self._add("given", "fixed", win_length, self.rule.tied(float(win_length.max())))
            return self.runs[-1]
        if r.win_length is not None and r.starts == 1:
            return self._tied_descent("given", float(r.win_length))
        ended: list[Run] = []
        self.each(self._starting_lengths(), lambda tuner, start: ended.append(tuner._tied_descent(*start)))
        return min(ended, key=lambda run: run.comparable)

    def _starting_lengths(self) -> list[tuple[str, float]]:
        r = self.r
        margin = _HOPELESS if r.criterion.in_nats else np.inf
        lengths = self._whole_survey().minima(r.starts or 3, margin)
        found = [(f"grid {k + 1}", length) for k, length in enumerate(lengths)]
        if r.win_length is not None:
            given = float(r.win_length)
            found = [("given", given), *(one for one in found if abs(np.log(one[1] / given)) > SAME)][: r.starts]
        return found

    def each(self, starts: Sequence[_Start], run: Callable[[Tuner, _Start], Any]) -> None:
        """Call ``run(tuner, start)`` for every start, each with a tuner of its own, on as many threads as there are.

        One after the other where a function of the user's is called, which need not be ready for threads, on a
        device, and where pieces are asked, which have threads or processes of their own.
        """
        alone = self.r.callback is not None or self.free or self.r.backend == "cuda" or self.r.pieces is not None
        threads = 1 if alone else min(len(starts), count_workers(self.r.workers))

        def work(i: int) -> Tuner:
            branch = copy.copy(self)
            branch.runs, branch.nfev = [], 0
            if not self.stopped:
                run(branch, starts[i])
            return branch

        def merge(_: int, branch: Tuner) -> None:
            self.runs += branch.runs
            self.nfev += branch.nfev
            self.stopped |= branch.stopped

        run_blocks(len(starts), work, threads, merge)

    def _whole_survey(self) -> Survey:
        if self.curve is None:
            low, high = self.r.win_bounds
            if self.free:
                high = min(high, float(self.search_rule().mfft or high))
            self.curve = self.search(length_grid(low, high))
        return self.curve

    def search(
        self,
        lengths: Float64Array,
        criterion: Criterion | None = None,
        neighbourhoods: Neighbourhoods | None = None,
        fraction: float = SURVEY_HOP,
    ) -> Survey:
        """Evaluate a criterion, by default the one to tune, at all of `lengths`.

        Without neighbourhoods of its own a search is kept as the one over the whole signal.
        """
        whole = neighbourhoods is None
        criterion = criterion or self.with_scope(self.scope)
        if criterion.scope == "local" and whole:
            neighbourhoods = self._coarse()
        self.nfev += lengths.size
        found = survey(
            self.r.transform(1),
            self.r.x,
            criterion,
            lengths,
            self.search_rule(),
            neighbourhoods,
            lambda part: self.bar.update(0.4 * part, "searching a grid of window lengths"),
            fraction,
            self.r.lead,
        )
        if whole:
            self.curve = found
        return found

    def search_rule(self) -> FramingRule:
        """How hop and FFT length follow from a length of the grid."""
        return self._common_rule() if self.free else self.rule

    def _common_rule(self) -> FramingRule:
        """One framing for all lengths: the values of a user's loss are comparable only then."""
        low, high = self.r.win_bounds
        hop = self.rule.tied(float(np.sqrt(low * high))).hop
        return replace(self.rule, hop=hop, mfft=self.r.mfft or replace(self.rule, hop=hop).tied(high / 2).mfft)

    def _tied_descent(self, label: str, length: float) -> Run:
        """Descend from a length; while hop and FFT length no longer are what follows from it, go on."""
        rule = self.search_rule()
        framing = rule.tied(length)
        for attempt in range(_MOST_FRAMINGS):
            self._add(label if attempt == 0 else f"{label}, continued", "constant", np.asarray(length), framing)
            length = float(self.runs[-1].outcome.state.win_length[0])
            outgrown = length >= framing.mfft < self.r.win_bounds[1]
            wanted = rule.tied(length)
            if self.stopped or wanted == framing or (not outgrown and rule.follows(framing, length)):
                break
            framing = wanted
        return self.runs[-1]

    def framed(self, lengths: Float64Array) -> Float64Array:
        """Return those of `lengths` that the hop which follows from them leaves enough overlap, if there are any."""
        rule, r = self.search_rule(), self.r
        fits = np.array([rule.mfft is None or length <= rule.mfft for length in lengths])
        if r.min_overlap is not None:
            fits &= np.array([rule.tied(float(v)).hop <= (1 - r.min_overlap) * v for v in lengths])
        return lengths[fits] if fits.any() else lengths[-1:]

    def comparable(self, length: float) -> float:
        """``area_fun`` of one length, with the frames that a result would have."""
        self.nfev += 1
        descent, parameters = self._prepared("", "constant", np.asarray(length), self.search_rule().tied(length))
        return descent.comparable_value(parameters.state(parameters.start()))

    def settle(self, length: float, text: str) -> None:
        """Keep one length as it is; `text` tells how it was found."""
        framing = self.search_rule().tied(length)
        self._add(self.r.method, "constant", np.asarray(length), framing, ended=_found(text))

    def settle_frames(self, win_length: Float64Array, constant: Run, text: str) -> None:
        """Keep a length for each frame as it is, in the frames of the constant stage."""
        framing = self.varying_framing(constant.hop, float(win_length.max()))
        self._add(self.r.method, "time", win_length, framing, constant.outcome.state.positions, ended=_found(text))

    # ------------------------------------------------------------------ lengths and positions in time

    def _varying_stage(self, constant: Run) -> Run:
        r = self.r
        positions, hop = constant.outcome.state.positions, constant.hop
        base = constant.outcome.state.win_length
        self.typical = self.typical_length(base)
        given = constant.label == "given"
        one = given and r.starts == 1
        if r.criterion.width is None and can_search(self):
            widest = _WIDTH_RATIO * self.typical
            self.width = neighbourhood_width(self, widest, WIDEST_RATIO * self.typical)
        if not one and np.ptp(base) == 0:
            hop = frame_spacing(self, float(base[0]), hop)
            positions = r.regular_positions(hop)
            base = np.full(positions.size, base[0])
        self.base = base
        start = ("given" if given else "constant", base)
        starts = [(*start, positions)] if one else frame_starts(self, start, hop, positions)
        starts = starts[: r.starts or 3]
        framing = self.varying_framing(hop, max(float(win_length.max()) for _, win_length, _ in starts))
        if self.stopped:  # in the first stage: its result in the form of this one
            self._add("constant", r.window_mode, base, framing, positions, ended=STOPPED)
        else:
            mode = r.window_mode
            self.each(starts, lambda tuner, start: tuner._add(start[0], mode, start[1], framing, start[2]))
        return min(self.runs, key=lambda run: run.outcome.value)

    def _widest(self) -> float:
        """Longest window allowed in time mode."""
        r = self.r
        return r.win_bounds[1] if r.bounds_given else min(r.win_bounds[1], WIDEST_RATIO * self.typical)

    def frame_bounds(self, hop: float) -> tuple[float, float]:
        """Range of the length of each frame at a hop, in time mode."""
        low = self._shortest(hop)
        high = min(self._widest(), float(self.r.mfft or np.inf))
        return min(low, high), high

    def _shortest(self, hop: float) -> float:
        r = self.r
        return r.win_bounds[0] if r.min_overlap is None else max(r.win_bounds[0], hop / (1 - r.min_overlap))

    def varying_framing(self, hop: float, longest: float) -> Framing:
        """Framing for lengths up to `longest`; in time mode the FFT holds every window that is allowed."""
        if self.r.window_mode == "time":
            longest = max(longest, self._widest() / 2)
        return Framing(hop, self.rule.tied(longest).mfft)

    def typical_length(self, base: Float64Array | float) -> float:
        """Length that neighbourhoods are laid out for: the best of the grid, whatever the start."""
        unused = self.r.window_mode == "fixed" and self.scope != "local" and self.r.bounds_given
        if self.free or unused or self.r.win_bounds[0] == self.r.win_bounds[1]:
            return float(np.median(base))
        return self._whole_survey().minima(1)[0]

    def neighbourhoods(self, width: float) -> Neighbourhoods:
        """Neighbourhoods of a width in samples."""
        return Neighbourhoods.of_signal(to_host(self.r.x), max(width, 4.0))

    def evenness(self, hop: float, longest: float) -> Evenness:
        """Shares of energy for the price of windows that count the signal unevenly."""
        return Evenness.of_signal(to_host(self.r.x), hop, longest)

    def _coarse(self) -> Neighbourhoods:
        """Neighbourhoods before any length is known: an eighth of the signal, unless a width is given.

        They keep one loud event from deciding for the whole signal.
        """
        width = self.r.criterion.width
        return self.neighbourhoods(self.r.n / 8 if width is None else width * self.r.fs)

    def fine_neighbourhoods(self) -> Neighbourhoods:
        """Neighbourhoods for lengths that vary in time."""
        width = self.r.criterion.width
        chosen = self.width or _WIDTH_RATIO * self.typical
        return self.neighbourhoods(chosen if width is None else width * self.r.fs)

    def hop_range(self, hop: float) -> tuple[float, float]:
        """Range of tuned hops."""
        low, high = self.r.hop_bounds or (hop / 4, 4 * hop)
        return (low, high) if self.r.hop_bounds or self.r.min_overlap is not None else (0.0, high)

    # ------------------------------------------------------------------ descents

    def with_scope(self, scope: Scope, neighbourhoods: Neighbourhoods | Tiles | None = None) -> Criterion:
        """Criterion with a scope, and the width in seconds of the neighbourhoods in use."""
        if self.free:
            return self.r.criterion
        return self.r.criterion.with_scope(scope, neighbourhoods.width / self.r.fs if neighbourhoods else None)

    @property
    def scope(self) -> Scope:
        """Scope of the criterion: local where anything varies, unless it is given."""
        default: Scope = "local" if self.varying else "global"
        return self.r.criterion.scope or default

    def _add(
        self,
        label: str,
        lengths: str,
        win_length: Float64Array,
        framing: Framing,
        positions: Float64Array | None = None,
        *,
        ended: dict[str, Any] | None = None,
    ) -> None:
        """Run one descent and keep it; `positions` are given in the varying stage. With `ended` there is none."""
        descent, parameters = self._prepared(label, lengths, win_length, framing, positions)
        if parameters.hop_ratios is not None:
            parameters.positions = self._best_hop(descent, parameters)
            parameters.win_length = np.full(parameters.positions.size, parameters.win_length[0])
        self.descend(label, descent, parameters, framing, ended=ended)

    def _prepared(
        self,
        label: str,
        lengths: str,
        win_length: Float64Array,
        framing: Framing,
        positions: Float64Array | None = None,
    ) -> tuple[Descent, Parameters]:
        r = self.r
        varying = positions is not None
        final = varying or not self.varying
        if positions is None:
            positions = r.regular_positions(framing.hop)
        win_length = np.broadcast_to(np.asarray(win_length, dtype=float), positions.shape).copy()
        scope = self.scope
        neighbourhoods = None
        if scope == "local" and not self.free:
            neighbourhoods = self.fine_neighbourhoods() if varying else self._coarse()
        high = min(r.win_bounds[1], float(framing.mfft))
        if lengths == "time" and not r.bounds_given:
            high = min(high, max(WIDEST_RATIO * self.typical, float(win_length.max())))
        low = self._shortest(framing.hop)
        parameters = Parameters(
            r.n,
            np.clip(win_length, low, high) if lengths != "fixed" else win_length,
            positions,
            r.window,
            lengths,
            (min(low, high), high),
        )
        parameters.tune_shape = r.tune_shape and final
        parameters.report_hop = r.hop_mode == "constant" and not varying
        self.let_positions_vary(parameters, framing, final)
        criterion = self.with_scope(scope, neighbourhoods)
        if lengths == "time" and neighbourhoods is not None and r.descent_method != "adam":  # which scales by itself
            parameters.preconditioner = neighbourhoods.preconditioner(positions)
        if lengths == "time" and neighbourhoods is not None and criterion.in_nats and positions.size > 1:
            parameters.held = end_prices(positions, r.n, self.typical)
        if r.max_frame_ratio is not None:
            safe = self.base if varying and self.base.size else np.asarray(high)
            parameters.safe = np.clip(np.broadcast_to(safe, positions.shape), *parameters.win_bounds)
        descent = self.new_descent(label, r.transform(framing.mfft), criterion, neighbourhoods)
        descent.coverage = r.coverage if parameters.free_hops is not None else 0.0
        descent.most_ratio = r.max_frame_ratio
        if r.evenness and positions.size > 1 and (lengths == "time" or parameters.positions_vary):
            descent.evenness, descent.evenness_weight = self.evenness(framing.hop, high), r.evenness
        return descent, parameters

    def new_descent(
        self,
        label: str,
        plan: FramePlan,
        criterion: Criterion,
        neighbourhoods: Neighbourhoods | Tiles | None,
        basis: BasisTransforms | None = None,
    ) -> Descent:
        """Objective of one descent, with what the user asked for."""
        r = self.r
        return Descent(
            plan,
            r.x,
            criterion,
            neighbourhoods,
            r.smoothness,
            r.descent_options,
            r.lead,
            self.on_iteration(label),
            basis,
            r.descent_method,
        )

    def descend(
        self,
        label: str,
        descent: Descent,
        parameters: Parameters,
        framing: Framing,
        *,
        ended: dict[str, Any] | None = None,
    ) -> None:
        """Run one descent and keep it; with `ended`, how there came to be none, only evaluate where it would begin."""
        try:
            outcome = descend(descent, parameters) if ended is None else stay(descent, parameters, ended)
        except Stopped as stop:
            outcome, self.stopped = stop.outcome, True
        self.nfev += outcome.nfev
        spacing = np.diff(outcome.state.positions)
        hop = float(spacing.mean()) if spacing.size else framing.hop
        comparable = descent.comparable_value(outcome.state)
        self.runs.append(Run(label, descent, parameters, outcome, hop, comparable))

    def _best_hop(self, descent: Descent, parameters: Parameters) -> Float64Array:
        """Best regular times of a grid of hops, for a loss that may depend on the number of frames as it likes.

        That number changes by steps, which no gradient sees.
        """
        length = float(parameters.win_length[0])
        low = max(parameters.hop_bounds[0], _LEAST_HOP_RATIO * length)
        high = min(parameters.hop_bounds[1], (parameters.hop_ratios or (0, 1))[1] * length)
        start = float(parameters.positions[1])
        hops = np.unique(np.append(np.geomspace(min(low, start), max(high, start), _HOP_GRID), start))
        found = []
        for hop in hops:
            positions = np.arange(frame_count(self.r.n, hop)) * hop
            state = State(np.full(positions.size, length), positions, np.ones(positions.size), parameters.window)
            found.append((descent.value(state), positions))
        self.nfev += hops.size
        best: Float64Array = min(found, key=lambda pair: pair[0])[1]
        return best

    def let_positions_vary(self, parameters: Parameters, framing: Framing, final: bool) -> None:
        """Free the hop or the positions in `parameters`, as the mode says; positions in the `final` stage only."""
        r = self.r
        hop = framing.hop
        if r.hop_mode == "constant" and self.free and not (self.varying and final) and parameters.win_length.size > 1:
            largest = 1.0 if r.min_overlap is None else 1 - r.min_overlap
            parameters.hop_ratios = (_LEAST_HOP_RATIO, largest)
            parameters.hop_bounds = r.hop_bounds or (hop / 4, 4 * hop)
        if r.hop_mode == "time" and final and parameters.positions.size > 1:
            low, high = self.hop_range(hop)
            if r.min_overlap is None:
                parameters.free_hops = (low, high)
            else:
                span = float(parameters.positions[-1] - parameters.positions[0])
                mean = span / (parameters.positions.size - 1)  # rounding must not leave it outside its own bounds
                parameters.hops = GuardedHops(span, (min(low, mean), max(high, mean)), r.min_overlap)

    def on_iteration(self, label: str) -> Callable[[int, float, Parameters, Float64Array], None]:
        """Make the function that reports each iteration of a descent to the bar and the user's callback."""

        def report(iteration: int, value: float, parameters: Parameters, y: Float64Array) -> None:
            part = 0.4 + 0.6 * (1 - np.exp(-iteration / 15))
            self.bar.update(part, f"{label}: iteration {iteration}, {self.r.criterion.name} {value:.6g}")
            if self.r.callback is not None:
                stage = "varying" if parameters.positions_vary or parameters.lengths in ("time", "grid") else "constant"
                self.r.callback(OptimizeResult(x=parameters.natural(y), fun=value, stage=stage))

        return report


def _found(text: str) -> dict[str, Any]:
    return {"success": True, "status": 0, "message": text}
