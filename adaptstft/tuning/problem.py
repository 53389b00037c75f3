"""The tuning problem: a checked request and the rules that follow from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from scipy.optimize import OptimizeResult

from adaptstft.common.device import to_host
from adaptstft.common.grids import length_grid
from adaptstft.common.threads import count_workers
from adaptstft.common.typing import Float64Array, Scope
from adaptstft.criteria import Additive, Criterion, DescriptionLength, UserLoss
from adaptstft.criteria.neighbourhoods import Neighbourhoods, Tiles
from adaptstft.engine.plan import FramePlan
from adaptstft.tuning.descent.descend import Optimiser
from adaptstft.tuning.descent.objective import Objective
from adaptstft.tuning.evaluator import Evaluator, Measure, SignalEvaluator
from adaptstft.tuning.hop_ratio import LEAST_HOP_RATIO, best_hop_ratio
from adaptstft.tuning.log import Log
from adaptstft.tuning.options import MOST_EXACT
from adaptstft.tuning.penalties.evenness import Evenness
from adaptstft.tuning.penalties.frame_ratio import largest_fraction
from adaptstft.tuning.ranges import PER_BIN
from adaptstft.tuning.request import WIDEST_RATIO, Request
from adaptstft.tuning.shared.dask_signals import DaskSignals
from adaptstft.tuning.shared.evaluator import SharedEvaluator
from adaptstft.tuning.shared.frame_evaluator import FrameEvaluator
from adaptstft.tuning.tables.frame_sums import FrameSums
from adaptstft.tuning.tables.framing import SURVEY_HOP, Framing, FramingRule
from adaptstft.tuning.tables.survey import Survey
from adaptstft.tuning.variables.variables import Variables

#: Width of a neighbourhood relative to the best single length: no window is longer than it.
WIDTH_RATIO = 4.0
#: Largest number of frames times samples of the longest window for which its limit is raised more than once.
_MOST_WORK = 1 << 23


@dataclass(frozen=True)
class Problem:
    """A checked request and the rules that follow from it.

    Attributes
    ----------
    request : Request
        The checked arguments of `optimize`.
    rule : FramingRule
        How hop and FFT length follow from a window length.
    evaluator : Evaluator
        Evaluates criteria on the signal, or on many signals.
    """

    request: Request
    rule: FramingRule
    evaluator: Evaluator

    @classmethod
    def of(cls, request: Request) -> Problem:
        """Derive the rules from a request."""
        return cls(request, _framing_rule(request), _evaluator(request))

    @property
    def user_loss(self) -> bool:
        """Whether the criterion is a user function."""
        return isinstance(self.request.criterion, UserLoss)

    @property
    def needs_plane(self) -> bool:
        """Whether the criterion is no function of sums, so that no table can give its value."""
        return not isinstance(self.request.criterion, Additive)

    @property
    def per_bin(self) -> bool:
        """Whether there is a window length for each frequency or bin."""
        return self.request.window_mode in PER_BIN or self.request.start_lengths is not None

    @property
    def varying(self) -> bool:
        """Whether more than one length and one hop are tuned, in a second stage."""
        return self.request.window_mode == "time" or self.request.hop_mode == "time" or self.per_bin

    @property
    def scope(self) -> Scope:
        """Scope of the criterion: local where lengths or positions vary, unless it is given."""
        default: Scope = "local" if self.varying else "global"
        return self.request.criterion.scope or default

    @property
    def compares_neighbourhoods(self) -> bool:
        """Whether lengths vary from frame to frame by a local criterion with comparable values in neighbourhoods."""
        criterion = self.request.criterion
        local = self.scope == "local" and isinstance(criterion, Additive) and bool(criterion.unit)
        return local and self.request.window_mode == "time"

    @property
    def search_rule(self) -> FramingRule:
        """Rule for hop and FFT length while lengths are compared: one framing for all with a user loss."""
        if not self.user_loss:
            return self.rule
        low, high = self.request.win_bounds
        hop = self.rule.tied(float(np.sqrt(low * high))).hop
        rule = replace(self.rule, hop=hop)
        return replace(rule, mfft=self.request.mfft or rule.tied(high / 2).mfft)

    def with_scope(
        self, scope: Scope, neighbourhoods: Neighbourhoods | Tiles | None = None, length: float | None = None
    ) -> Criterion:
        """Return the criterion with a scope, and with the width in seconds of the neighbourhoods.

        If it leaves out frames at the ends, these are the ones that windows of a typical `length` in samples reach
        over.
        """
        criterion, level = self.request.criterion, self.request.level
        if self.user_loss:
            return criterion
        scoped = criterion.with_scope(scope, neighbourhoods.width / self.request.fs if neighbourhoods else None)
        if length is not None:
            scoped = scoped.within(length / 2 / self.request.fs)
        if isinstance(scoped, DescriptionLength) and level is not None:
            return scoped.measured(level, neighbourhoods if scope == "local" else None, self.request.n)
        return scoped

    def neighbourhoods(self, width: float) -> Neighbourhoods:
        """Return neighbourhoods of a width in samples."""
        if isinstance(self.request.shared, DaskSignals):
            return self.request.shared.neighbourhoods(max(width, 4.0))
        return Neighbourhoods.of_signal(to_host(self.request.x), max(width, 4.0))

    def coarse_neighbourhoods(self) -> Neighbourhoods:
        """Return neighbourhoods for one window length: of the width that is given, or an eighth of the signal.

        Each neighbourhood has its own weight in the mean, so one loud event does not dominate.
        """
        width = self.request.criterion.width
        return self.neighbourhoods(self.request.n / 8 if width is None else width * self.request.fs)

    def with_width(self, typical: float) -> Problem:
        """Return the problem of one length with the neighbourhoods that lengths around `typical` would have.

        The values are then comparable between window modes. Only a description length has them: the neighbourhoods of
        other criteria are for a search.
        """
        request, criterion = self.request, self.request.criterion
        local = isinstance(criterion, DescriptionLength) and self.scope == "local" and criterion.width is None
        if not local or self.varying:
            return self
        width = Layout.around(self, typical).width / request.fs
        return replace(self, request=replace(request, criterion=replace(criterion, scope="local", width=width)))

    def with_windows_inside(self, length: float) -> Problem:
        """Return the problem without the frames at the ends over which windows of a `length` in samples reach."""
        request = self.request
        return replace(self, request=replace(request, criterion=request.criterion.within(length / 2 / request.fs)))

    def evenness(self, hop: float, longest: float) -> Evenness:
        """Return the energy in cells of time, for the penalty on windows that count the signal unevenly."""
        return Evenness.of_signal(to_host(self.request.x), hop, longest)

    def shortest(self, hop: float) -> float:
        """Return the shortest window that leaves neighbours at a hop their least overlap."""
        return max(self.request.win_bounds[0], self.request.overlap.shortest(hop))

    def finer_hop(self, hop: float, wanted: float) -> float:
        """Return `wanted` in whole samples and within the bounds of the hop, or `hop` if that is smaller."""
        low, high = self.request.hop_bounds or (1.0, np.inf)
        return min(hop, float(np.clip(round(wanted), low, high)))

    def hop_range(self, hop: float) -> tuple[float, float]:
        """Return the range of tuned hops around a hop."""
        request = self.request
        low, high = request.hop_bounds or (hop / 4, 4 * hop)
        return (low, high) if request.hop_bounds or request.min_overlap is not None else (0.0, high)

    def with_enough_overlap(self, lengths: Float64Array) -> Float64Array:
        """Return those of `lengths` whose own hop leaves neighbours enough overlap; at least the longest."""
        rule, overlap = self.search_rule, self.request.overlap
        fits = np.array([rule.mfft is None or length <= rule.mfft for length in lengths])
        fits &= np.array([rule.tied(float(length)).hop <= overlap.longest_hop(length) for length in lengths])
        return lengths[fits] if fits.any() else lengths[-1:]

    def lengths_up_to(self, longest: float) -> Float64Array:
        """Return the lengths of the grid of all lengths allowed that are not longer than `longest`, at least one."""
        lengths = length_grid(*self.request.win_bounds)
        return lengths[: max(1, int(np.searchsorted(lengths, longest * (1 + 1e-9))))]

    def table(
        self,
        log: Log,
        lengths: Float64Array,
        criterion: Criterion | None = None,
        neighbourhoods: Neighbourhoods | None = None,
        fraction: float = SURVEY_HOP,
    ) -> Survey:
        """Return the criterion at all of `lengths`, by default over the whole signal."""
        if self.scope == "local" and neighbourhoods is None and (criterion is None or criterion.scope == "local"):
            neighbourhoods = self.coarse_neighbourhoods()
        criterion = criterion or self.with_scope(self.scope, neighbourhoods if self.scope == "local" else None)
        log.nfev += lengths.size
        plan = self.request.plan(1)
        rule = self.search_rule
        return self.evaluator.table(plan, criterion, lengths, rule, neighbourhoods, log.searching, fraction)

    def frame_sums(
        self, log: Log, plan: FramePlan, criterion: Additive, bounds: tuple[float, float], positions: Float64Array
    ) -> FrameSums:
        """Return the table of the sums of every frame for all lengths between `bounds`."""
        asked = (plan, criterion.statistics, bounds, positions, log.searching)
        assert isinstance(self.evaluator, SignalEvaluator | FrameEvaluator)  # the others have no frames of one signal
        sums = self.evaluator.frame_sums(*asked)
        log.nfev += sums.log_lengths.size
        return sums

    def transform(self, log: Log, lengths: Float64Array) -> None:
        """Compute the sums of regular frames with many lengths together, for `table` and `frame_sums`."""
        evaluator, criterion = self.evaluator, self.request.criterion
        if isinstance(evaluator, SignalEvaluator) and isinstance(criterion, Additive):
            framings = [self.search_rule.tied(length, SURVEY_HOP) for length in lengths.tolist()]
            evaluator.sums_of(self.request.plan(1), criterion.statistics, lengths, framings, log.searching)

    def objective(
        self,
        plan: FramePlan,
        criterion: Criterion,
        neighbourhoods: Neighbourhoods | Tiles | None,
        evaluator: Evaluator | None = None,
    ) -> Objective:
        """Return the objective of one descent, with smoothness and the limit of the frame bounds.

        `evaluator` replaces that of the problem, for a table.
        """
        request = self.request
        measure = Measure(plan, criterion, neighbourhoods)
        # the bounds of the lengths keep the ratio of signals that share one length
        ratio = request.max_frame_ratio if request.all_frames else None
        return Objective(evaluator or self.evaluator, measure, request.n, request.smoothness, most_ratio=ratio)

    @property
    def descent_options(self) -> dict[str, Any]:
        """Options of a descent, with a limit of evaluations where each is a transform of the whole signal."""
        request = self.request
        exact = self.needs_plane and self.varying and request.descent_method == "L-BFGS-B"
        return {"maxfun": MOST_EXACT} | request.descent_options if exact else request.descent_options

    def optimiser(self, log: Log, label: str) -> Optimiser:
        """Return the optimiser of one descent, which reports each iteration to the bar and the user's callback."""
        request = self.request

        def report(iteration: int, value: float, variables: Variables, y: Float64Array) -> None:
            part = 1 - np.exp(-iteration / 15)
            log.bar.update(part, f"{label}: iteration {iteration}, {request.criterion.name} {value:.6g}")
            if request.callback is not None:
                varying = variables.positions_vary or variables.lengths.kind in ("time", "grid")
                stage = "varying" if varying else "constant"
                request.callback(OptimizeResult(x=variables.natural(y), fun=value, stage=stage))

        return Optimiser(request.descent_method, self.descent_options, report)

    def threads(self, starts: int) -> int:
        """Return the number of threads for several starts.

        One if a user function is called, which need not be thread-safe, on a device, and for many signals, which have
        threads or processes of their own.
        """
        request = self.request
        alone = request.callback is not None or self.user_loss or request.backend == "cuda"
        return 1 if alone or request.shared is not None else min(starts, count_workers(request.workers))


@dataclass(frozen=True)
class Layout:
    """Neighbourhoods and bounds for lengths that vary, laid out for the best single length.

    Attributes
    ----------
    problem : Problem
        The problem.
    typical : float
        Best single length in samples.
    width : float
        Width of neighbourhoods in samples, unless the criterion has one.
    ratio : float
        Longest window relative to the best single length, unless bounds are given.
    """

    problem: Problem
    typical: float
    width: float
    ratio: float = WIDEST_RATIO

    @classmethod
    def around(cls, problem: Problem, typical: float) -> Layout:
        """Lay out neighbourhoods `WIDTH_RATIO` times as wide as the best single length."""
        return cls(problem, typical, WIDTH_RATIO * typical)

    @property
    def widest(self) -> float:
        """Longest window allowed in mode ``"time"``."""
        request = self.problem.request
        high = request.win_bounds[1]
        return high if request.bounds_given else min(high, self.ratio * self.typical)

    def widened(self, frames: int) -> Layout | None:
        """Return a layout with longer windows for a number of frames; None if the bounds or the work allow none."""
        request = self.problem.request
        wider = replace(self, ratio=self.ratio * WIDEST_RATIO)
        first = self.ratio == WIDEST_RATIO
        affordable = request.channels * frames * wider.widest <= _MOST_WORK
        fits = request.mfft is None or request.mfft > self.widest
        return wider if wider.widest > self.widest and fits and (first or affordable) else None

    def frame_bounds(self, hop: float) -> tuple[float, float]:
        """Return the range of the length of each frame at a hop, in mode ``"time"``."""
        high = min(self.widest, float(self.problem.request.mfft or np.inf))
        return min(self.problem.shortest(hop), high), high

    def framing(self, hop: float, longest: float) -> Framing:
        """Return a framing for lengths up to `longest`; in mode ``"time"`` the FFT holds every window allowed."""
        if self.problem.request.window_mode == "time":
            longest = max(longest, self.widest / 2)
        return Framing(hop, self.problem.rule.tied(longest).mfft)

    def neighbourhoods(self) -> Neighbourhoods:
        """Return the neighbourhoods for lengths that vary in time."""
        request = self.problem.request
        width = request.criterion.width
        return self.problem.neighbourhoods(self.width if width is None else width * request.fs)


def _evaluator(request: Request) -> Evaluator:
    shared = request.shared
    if shared is None:
        return SignalEvaluator(request.x, request.lead)
    if isinstance(shared, DaskSignals) and request.all_frames:
        return FrameEvaluator(shared)
    return SharedEvaluator(shared)


def _framing_rule(request: Request) -> FramingRule:
    if request.hop_mode != "constant" or isinstance(request.criterion, UserLoss):
        return FramingRule(request.hop, request.mfft, None, request.hop_bounds or (0.0, np.inf))
    largest = request.overlap.largest_ratio
    if request.max_frame_ratio is not None:
        fraction = largest_fraction(request.window, request.max_frame_ratio, (LEAST_HOP_RATIO, largest))
        largest = fraction or LEAST_HOP_RATIO
    ratio = best_hop_ratio(request.window, (LEAST_HOP_RATIO, largest))
    hop = request.hop
    bounds = request.hop_bounds or ((1.0, np.inf) if hop is None else (hop / 4, 4 * hop))
    return FramingRule(None, request.mfft, ratio, bounds)
