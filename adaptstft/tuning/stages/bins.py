"""The stage of `optimize` that tunes a window length for each frequency or bin."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from adaptstft.common.device import to_host
from adaptstft.common.typing import Float64Array
from adaptstft.criteria import Additive
from adaptstft.criteria.bands import make_tiles
from adaptstft.criteria.neighbourhoods import Neighbourhoods, Tiles
from adaptstft.engine.bins import bin_numbers
from adaptstft.engine.forward import forward
from adaptstft.engine.frames import make_frames
from adaptstft.engine.operator import energies, frame_bounds
from adaptstft.engine.plan import FramePlan
from adaptstft.tuning.descent.multipliers import Excess, way_back
from adaptstft.tuning.descent.objective import STOPPED, Descent
from adaptstft.tuning.request import WIDEST_RATIO
from adaptstft.tuning.tables.lowrank import MOST_BYTES, BasisTransforms, frame_bytes, window_basis
from adaptstft.tuning.tables.survey import SURVEY_HOP, Framing, length_grid
from adaptstft.tuning.tables.tile_survey import TileSurvey, survey_tiles
from adaptstft.tuning.variables.control_grid import ControlGrid
from adaptstft.tuning.variables.parameters import Parameters

if TYPE_CHECKING:
    from adaptstft.tuning.stages.frames import Run, Tuner

#: Bands of a local criterion, and control points in frequency.
_BANDS = 12
#: Control points in time: one for each neighbourhood's width, within this range.
_TIME_POINTS = (4, 48)
#: Weight in nats of the roughness of the control points, far below what any signal decides, and above what leakage
#: into empty bands does.
_CARRY = 3e-3
#: Energy, relative to the average tile's, below which a tile has no say in where a descent begins.
_EMPTY = 1e-3
#: Bins times samples of the longest window that a hop for the shortest windows may make, unless the constant
#: optimum's makes more: what the exact sums take.
_MOST_WORK = 1 << 30
#: Bisections on the way back to frame bounds within their limit.
_HALVINGS = 8


def retiled(descent: Descent, plan: FramePlan) -> Neighbourhoods | Tiles | None:
    """Neighbourhoods of a descent for another FFT length, on which bands depend."""
    hood = descent.neighbourhoods
    if not isinstance(hood, Tiles):
        return hood
    return make_tiles(plan, descent.x, hood.in_time, len(hood.bands))


class BinStage:
    """Tunes lengths over the plane, beginning with one for all and with the best of every tile."""

    def __init__(self, tuner: Tuner, constant: Run) -> None:
        r = self.r = tuner.r
        self.tuner = tuner
        self.constant = constant
        self.base = float(constant.outcome.state.win_length[0])
        tuner.typical = self.base if r.start_lengths is not None else tuner.typical_length(self.base)
        low, high = r.win_bounds
        if not r.bounds_given:
            high = min(high, max(WIDEST_RATIO * tuner.typical, self.base))
        if r.start_lengths is not None:
            high = max(high, float(r.start_lengths.max()))
        mfft = tuner.rule.tied(high / 2).mfft
        high = min(high, float(mfft))
        self.plan = r.transform(mfft)
        self.survey = self._survey((min(low, high), high))
        self.framing = Framing(self._hop(), mfft)
        self.positions = r.regular_positions(self.framing.hop)
        if r.min_overlap is not None:
            low = max(low, self.framing.hop / (1 - r.min_overlap))
        self.bounds = (min(low, high), high)
        self.grid = self._control_grid()
        self.tiles = self._tiles()
        self.stride = 1
        self.exact = r.hop_mode == "time" or r.tune_shape or r.accuracy is None or r.window_mode == "fixed"

    def _survey(self, bounds: tuple[float, float]) -> TileSurvey | None:
        """Search a grid of lengths in every tile, where a local criterion is a function of sums."""
        r, tuner = self.r, self.tuner
        given = r.start_lengths is not None or (self.constant.label == "given" and r.starts == 1)
        if tuner.scope != "local" or not isinstance(r.criterion, Additive) or given or r.window_mode == "fixed":
            return None
        lengths = tuner.framed(length_grid(*bounds))
        tuner.nfev += lengths.size
        hood, bands = tuner.fine_neighbourhoods(), r.criterion.bands or _BANDS
        return survey_tiles(self.plan, r.x, r.criterion, lengths, tuner.rule, hood, bands)

    def _hop(self) -> float:
        """Hop that the constant optimum has, or a smaller one that the shortest windows in the plane need."""
        r, hop = self.r, self.constant.hop
        if self.survey is None or r.hop is not None:
            return hop
        survey = self.survey.merged() if r.window_mode == "frequency" else self.survey
        room = SURVEY_HOP if r.min_overlap is None else min(SURVEY_HOP, (1 - r.min_overlap) / 2)
        work = r.n * self.plan.f_pts * float(survey.lengths[-1])
        wanted = max(survey.shortest() * room, work / _MOST_WORK, 1.0)
        low, high = r.hop_bounds or (1.0, np.inf)
        return min(hop, float(np.clip(round(wanted), low, high)))

    def _control_grid(self) -> ControlGrid:
        r, frames = self.r, self.positions.size
        constant = r.window_mode == "frequency"
        if r.control_points == "free":
            return ControlGrid.free(self.plan.f_pts, frames, constant=constant)
        points = r.control_points
        if points is None:
            wanted = int(np.ceil(r.n / (WIDEST_RATIO * self.tuner.typical))) + 1
            points = (_BANDS, 1 if constant else int(np.clip(wanted, *_TIME_POINTS)))
        assert not isinstance(points, str)
        grid = ControlGrid.smooth(bin_numbers(self.plan), self.plan.mfft, self.positions, points)
        if r.control_points is not None and grid.shape != points:
            self.tuner.remarks.append(
                f"control_points: {grid.shape} of {points} were used, as there are {self.plan.f_pts} bins "
                f"and {frames} frames"
            )
        return grid

    def _tiles(self) -> Neighbourhoods | Tiles | None:
        """Neighbourhoods of a local criterion, divided into bands where it is a function of sums."""
        if self.tuner.scope != "local" or self.tuner.free:
            return None
        hood = self.tuner.fine_neighbourhoods()
        if not isinstance(self.r.criterion, Additive):
            return hood
        return make_tiles(self.plan, self.r.x, hood, self.r.criterion.bands or _BANDS)

    def _descent(self, label: str, basis: BasisTransforms | None) -> Descent:
        criterion = self.tuner.with_scope(self.tuner.scope, self.tiles)
        if isinstance(self.tiles, Tiles):
            criterion = replace(criterion, bands=len(self.tiles.bands))
        return self.tuner.new_descent(label, self.plan, criterion, self.tiles, basis)

    def run(self) -> Run:
        """Run the descents and report the best, with its value from the exact sums."""
        tuner, r = self.tuner, self.r
        basis = self._basis()
        share = self.shares()
        starts = self._starts(share)
        if tuner.stopped:  # in the first stage: its result in the form of this one
            self._descend(tuner, *starts[0], share, basis, ended=STOPPED)
        else:
            tuner.each(starts[: r.starts or 2], lambda branch, start: self._descend(branch, *start, share, basis))
        best = min(tuner.runs, key=lambda run: run.outcome.value)
        best = best if basis is None else self._made_exact(best, basis)
        return best if r.max_frame_ratio is None else self._held(best, r.max_frame_ratio)

    def _basis(self) -> BasisTransforms | None:
        """Make the transforms that others come from; of every so many frames where those of all are too large."""
        r, accuracy = self.r, float(self.r.accuracy or 0.0)
        if self.exact:
            return None
        found = window_basis(self.plan, self.bounds, accuracy)
        if found is None:
            self.tuner.remarks.append(
                f"lengths were tuned by exact sums throughout: windows of {r.window.spec!r} cannot be combined to "
                f"accuracy={accuracy:g} from few enough of them"
            )
            return None
        size = frame_bytes(self.plan, r.x, found, accuracy) * self.positions.size
        shortest = self.base if self.survey is None else self.survey.shortest()
        if r.control_points != "free":
            self.stride = min(-(-size // MOST_BYTES), max(1, int(0.5 * shortest / self.framing.hop)))
        if size > MOST_BYTES * self.stride:
            self.tuner.remarks.append(
                f"the transforms that others are made from take {size / self.stride / 2**30:.1f} GiB, more than is "
                "kept, and were computed again in every iteration; a larger hop or a smaller mfft would make it faster"
            )
        return BasisTransforms(self.plan, r.x, self.positions[:: self.stride], found, accuracy)

    def _held(self, best: Run, most: float) -> Run:
        """Bring a result back towards one length for all bins until the ratio of its frame bounds is within its limit.

        The bounds come from Lanczos iterations, which no descent could afford.
        """
        descent, parameters = replace(best.descent, basis=None), best.parameters

        def excess(y: Float64Array) -> Excess:
            plan, frames = descent.frames(parameters.state(y))
            low, high = frame_bounds(plan, frames, self.r.n)
            beyond = np.log(high / low / most) if low > 0 else np.inf
            return Excess(float(beyond), 0.0, np.zeros(0))

        if excess(best.outcome.y).exact <= 0:
            return best
        one = np.full(self.grid.shape, np.log(np.clip(self.base, *self.bounds)))
        safe = best.outcome.y if parameters.grid is None else replace(parameters, points=one).start()
        at = excess(safe)
        if at.exact > 0:
            raise ValueError(
                f"max_frame_ratio={most:g} cannot be kept: one window of {self.base:.4g} samples for all bins and "
                f"hop={self.framing.hop:g} already have a ratio of {most * np.exp(at.exact):.4g}"
            )
        y = way_back(excess, best.outcome.y, safe, _HALVINGS)
        found, state = descent.evaluate(parameters, y), parameters.state(y)
        message = "BROUGHT BACK TOWARDS ONE LENGTH UNTIL THE FRAME BOUNDS KEPT THEIR RATIO"
        outcome = replace(best.outcome, state=state, message=message, value=found.value, jac=found.natural)
        outcome = replace(outcome, y=y, x=parameters.natural(y))
        comparable = descent.comparable_value(state)
        return replace(best, descent=descent, outcome=outcome, comparable=comparable, reference=comparable)

    def _descend(
        self,
        tuner: Tuner,
        label: str,
        points: Float64Array,
        share: Float64Array,
        basis: BasisTransforms | None,
        *,
        ended: dict[str, Any] | None = None,
    ) -> None:
        r = self.r
        grid, positions, share = self.grid, self.positions, share
        if self.stride > 1:
            grid = replace(grid, time=grid.time[:: self.stride])
            positions, share = positions[:: self.stride], share[:: self.stride]
        win_length = np.exp(np.clip(grid.surface(points), *np.log(self.bounds)))
        fixed = r.window_mode == "fixed"
        if fixed and r.start_lengths is not None:
            win_length = np.broadcast_to(r.start_lengths.T, win_length.shape).copy()
        parameters = Parameters(
            r.n, win_length, positions, r.window, "fixed" if fixed else "grid", self.bounds, tune_shape=r.tune_shape
        )
        if not fixed:
            parameters.grid, parameters.points = grid, points
            weight = grid.adjoint(share)
            if r.descent_method != "adam":  # which scales every variable by itself
                parameters.preconditioner = np.sqrt(np.maximum(weight / weight.max(), 1e-3))
            unit = 1.0 if r.criterion.in_nats else max(abs(self.constant.outcome.value), np.finfo(float).tiny)
            parameters.carry = _CARRY * unit
        tuner.let_positions_vary(parameters, self.framing, True)
        tuner.descend(label, self._descent(label, basis), parameters, self.framing, ended=ended)

    def _made_exact(self, best: Run, basis: BasisTransforms) -> Run:
        """Evaluate the result of a descent on approximate transforms with the exact sums."""
        descent, y, parameters = replace(best.descent, basis=None), best.outcome.y, best.parameters
        if self.stride > 1:
            win_length = np.zeros((self.positions.size, self.plan.f_pts))
            parameters = replace(parameters, grid=self.grid, positions=self.positions, win_length=win_length)
        at, comparable = descent.evaluate_exactly(parameters, y)
        approximation = {
            "rank": basis.rank,
            "accuracy": basis.basis.error,
            "stride": self.stride,
            "difference": comparable - best.comparable,
        }
        outcome = replace(best.outcome, value=at.value, jac=at.natural, state=parameters.state(y))
        return replace(
            best,
            outcome=outcome,
            parameters=parameters,
            comparable=comparable,
            approximation=approximation,
            hop=self.framing.hop,
            reference=best.comparable,
            sampled=best.outcome.state,
        )

    # ------------------------------------------------------------------ starts

    def _spectra(self, length: float) -> Float64Array:
        """Energies with one window length, shape (channels, frames, f_pts)."""
        frames = make_frames(np.full(self.positions.size, length), self.positions, mfft=self.plan.mfft)
        return np.asarray(to_host(energies(forward(self.plan, self.r.x, frames))))

    def shares(self) -> Float64Array:
        """Share of the energy in every bin, shape (frames, f_pts)."""
        energy = self._spectra(min(self.base, float(self.plan.mfft))).sum(axis=0)
        return np.asarray(energy / max(float(energy.sum()), np.finfo(float).tiny))

    def _starts(self, share: Float64Array) -> list[tuple[str, Float64Array]]:
        r, one = self.r, np.full(self.grid.shape, np.log(np.clip(self.base, *self.bounds)))
        if r.start_lengths is not None:
            log = np.log(np.broadcast_to(r.start_lengths.T, (self.positions.size, self.plan.f_pts)))
            return [("given", self.grid.fit(log))]
        label = "given" if self.constant.label == "given" else "constant"
        starts = [(label, one)]
        alone = label == "given" and r.starts == 1
        if isinstance(self.tiles, Tiles) and self.survey is not None and not alone:
            starts.insert(int(label == "given"), ("tiles", self._tile_surface(self.tiles, self.survey)))
        return starts

    def _tile_surface(self, tiles: Tiles, survey: TileSurvey) -> Float64Array:
        """Control points of a surface through the best length of every tile, as far as it has energy."""
        survey = survey.merged() if self.grid.shape[1] == 1 else survey
        best, share = survey.log_best(), survey.share
        member = (
            np.ones((1, self.positions.size))
            if share.shape[1] == 1
            else tiles.in_time.weights(self.positions)[0].toarray()
        )
        # tiles with no energy to speak of take the constant optimum
        floor = _EMPTY * share.mean()
        weighted = tiles.bands.T @ (share * best) @ member + floor * np.log(np.clip(self.base, *self.bounds))
        surface = weighted / (tiles.bands.T @ share @ member + floor)
        return self.grid.fit(surface.T)
