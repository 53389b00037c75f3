"""The stage of `optimize` that tunes a window length for each frequency or bin."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from adaptstft._typing import Float64Array
from adaptstft.bins import bin_numbers
from adaptstft.control import ControlGrid
from adaptstft.criteria import Additive
from adaptstft.descent import STOPPED, Descent
from adaptstft.energies import energies
from adaptstft.framing import make_frames
from adaptstft.lowrank import BasisTransforms, window_basis
from adaptstft.parameters import Parameters, frame_count
from adaptstft.request import WIDEST_RATIO
from adaptstft.scopes import FrameView, Neighbourhoods, Tiles, neighbourhood_values
from adaptstft.survey import Framing, length_grid
from adaptstft.tiles import make_tiles
from adaptstft.transform import Transform, forward

if TYPE_CHECKING:
    from adaptstft.stages import Run, Tuner

#: Bands of a local criterion, and control points in frequency.
_BANDS = 12
#: Control points in time: one for each neighbourhood's width, within this range.
_TIME_POINTS = (4, 48)
#: Weight in nats of the roughness of the control points, far below what any signal decides.
_CARRY = 1e-4
#: Energy, relative to the average tile's, below which a tile has no say in where a descent begins.
_EMPTY = 1e-3


def retiled(descent: Descent, tf: Transform) -> Neighbourhoods | Tiles | None:
    """Neighbourhoods of a descent for another FFT length, on which bands depend."""
    hood = descent.neighbourhoods
    if not isinstance(hood, Tiles):
        return hood
    return make_tiles(tf, descent.x, hood.times, len(hood.bands))


def tune_bins(tuner: Tuner, constant: Run) -> Run:
    """Tune lengths over the plane, beginning with one for all and with the best of every tile."""
    return _BinStage(tuner, constant).run()


class _BinStage:
    def __init__(self, tuner: Tuner, constant: Run) -> None:
        r = self.r = tuner.r
        self.tuner = tuner
        self.constant = constant
        self.base = float(constant.outcome.state.theta[0])
        tuner.typical = self.base if r.start_lengths is not None else tuner.typical_length(self.base)
        self.times = np.arange(frame_count(r.n, constant.hop)) * constant.hop
        low, high = r.win_bounds
        if not r.bounds_given:
            high = min(high, max(WIDEST_RATIO * tuner.typical, self.base))
        if r.start_lengths is not None:
            high = max(high, float(r.start_lengths.max()))
        mfft = tuner.rule.tied(high / 2).mfft
        self.framing = Framing(constant.hop, mfft)
        if r.min_overlap is not None:
            low = max(low, constant.hop / (1 - r.min_overlap))
        self.bounds = (min(low, high), min(high, float(mfft)))
        self.tf = r.transform(mfft)
        self.grid = self._control_grid()
        self.tiles = self._tiles()
        self.exact = r.hop_mode == "time" or r.tune_shape or r.accuracy is None or r.window_mode == "fixed"

    def _control_grid(self) -> ControlGrid:
        r, frames = self.r, self.times.size
        constant = r.window_mode == "frequency"
        if r.control_points == "free":
            return ControlGrid.free(self.tf.f_pts, frames, constant=constant)
        points = r.control_points
        if points is None:
            wanted = int(np.ceil(r.n / (WIDEST_RATIO * self.tuner.typical))) + 1
            points = (_BANDS, 1 if constant else int(np.clip(wanted, *_TIME_POINTS)))
        assert not isinstance(points, str)
        return ControlGrid.smooth(bin_numbers(self.tf), self.tf.mfft, self.times, points)

    def _tiles(self) -> Neighbourhoods | Tiles | None:
        """Neighbourhoods of a local criterion, divided into bands where it is a function of sums."""
        if self.tuner.scope != "local" or self.tuner.free:
            return None
        hood = self.tuner.fine_neighbourhoods()
        if not isinstance(self.r.criterion, Additive):
            return hood
        return make_tiles(self.tf, self.r.x, hood, self.r.criterion.bands or _BANDS)

    def _descent(self, label: str, basis: BasisTransforms | None) -> Descent:
        r, tuner = self.r, self.tuner
        criterion = tuner.with_scope(tuner.scope, self.tiles)
        if isinstance(self.tiles, Tiles):
            criterion = replace(criterion, bands=len(self.tiles.bands))
        return Descent(
            self.tf,
            r.x,
            criterion,
            self.tiles,
            r.smoothness,
            r.descent_options,
            r.lead,
            tuner.on_iteration(label),
            basis,
            r.descent_method,
        )

    def run(self) -> Run:
        """Run the descents and report the best, with its value from the exact sums."""
        tuner, r = self.tuner, self.r
        basis = None
        if not self.exact:
            found = window_basis(self.tf, self.bounds, float(r.accuracy or 0.0))
            if found is not None:
                basis = BasisTransforms(self.tf, r.x, self.times, found, float(r.accuracy or 0.0))
        share = self._shares()
        if tuner.stopped:  # in the first stage: its result in the form of this one
            label, points = self._starts(share)[0]
            self._descend(label, points, share, basis, ended=STOPPED)
        else:
            for label, points in self._starts(share)[: r.starts or 2]:
                if not tuner.stopped:
                    self._descend(label, points, share, basis)
        best = min(tuner.runs, key=lambda run: run.outcome.value)
        return best if basis is None else self._made_exact(best, basis)

    def _descend(
        self,
        label: str,
        points: Float64Array,
        share: Float64Array,
        basis: BasisTransforms | None,
        *,
        ended: dict[str, Any] | None = None,
    ) -> None:
        r = self.r
        theta = np.exp(np.clip(self.grid.surface(points), *np.log(self.bounds)))
        fixed = r.window_mode == "fixed"
        if fixed and r.start_lengths is not None:
            theta = np.broadcast_to(r.start_lengths.T, theta.shape).copy()
        parameters = Parameters(
            r.n, theta, self.times, r.window, "fixed" if fixed else "grid", self.bounds, tune_shape=r.tune_shape
        )
        if not fixed:
            parameters.grid, parameters.points = self.grid, points
            weight = self.grid.adjoint(share)
            if r.descent_method != "adam":  # which scales every variable by itself
                parameters.preconditioner = np.sqrt(np.maximum(weight / weight.max(), 1e-3))
            unit = 1.0 if r.criterion.in_nats else max(abs(self.constant.outcome.value), np.finfo(float).tiny)
            parameters.carry = _CARRY * unit
        self.tuner.let_positions_vary(parameters, self.framing, True)
        self.tuner.descend(label, self._descent(label, basis), parameters, self.framing, ended=ended)

    def _made_exact(self, best: Run, basis: BasisTransforms) -> Run:
        """Evaluate the result of a descent on approximate transforms with the exact sums."""
        descent = replace(best.descent, basis=None)
        at, comparable = descent.evaluate_exactly(best.parameters, best.outcome.y)
        approximation = {
            "rank": basis.rank,
            "accuracy": basis.basis.error,
            "difference": at.value - best.outcome.value,
        }
        outcome = replace(best.outcome, value=at.value, jac=at.natural)
        return replace(
            best, outcome=outcome, comparable=comparable, approximation=approximation, reference=best.comparable
        )

    # ------------------------------------------------------------------ starts

    def _spectra(self, length: float) -> Float64Array:
        """Energies with one window length, shape (channels, frames, f_pts)."""
        frames = make_frames(np.full(self.times.size, length), self.times, mfft=self.tf.mfft)
        return energies(forward(self.tf, self.r.x, frames))

    def _shares(self) -> Float64Array:
        """Share of the energy in every bin, shape (frames, f_pts)."""
        energy = self._spectra(min(self.base, float(self.tf.mfft))).sum(axis=0)
        return np.asarray(energy / max(float(energy.sum()), np.finfo(float).tiny))

    def _starts(self, share: Float64Array) -> list[tuple[str, Float64Array]]:
        r, one = self.r, np.full(self.grid.shape, np.log(np.clip(self.base, *self.bounds)))
        if r.start_lengths is not None:
            log = np.log(np.broadcast_to(r.start_lengths.T, (self.times.size, self.tf.f_pts)))
            return [("given", self.grid.fit(log))]
        label = "given" if self.constant.label == "given" else "constant"
        starts = [(label, one)]
        alone = label == "given" and r.starts == 1
        if isinstance(self.tiles, Tiles) and r.window_mode != "fixed" and not alone:
            starts.insert(int(label == "given"), ("tiles", self._tile_surface(self.tiles)))
        return starts

    def _tile_surface(self, tiles: Tiles) -> Float64Array:
        """Control points of a surface through the best length of every tile, as far as it has energy."""
        assert isinstance(self.r.criterion, Additive)
        criterion, stats = self.r.criterion, self.r.criterion.statistics
        lengths = length_grid(*self.bounds)
        self.tuner.nfev += lengths.size
        view, bands = FrameView(self.times, np.ones(self.times.size), 1.0, tiles).banded()
        assert bands is not None
        values = []
        for length in lengths:
            energy = self._spectra(float(length))
            totals = np.array([(bands @ stats.terms(k, energy)[0].sum(axis=0).T).ravel() for k in range(len(stats))])
            counts = np.repeat(bands.sum(axis=1) * len(self.r.x), self.times.size)
            found, _ = neighbourhood_values(criterion.combine, totals, counts, view, spread=criterion.spread)
            values.append(found)
        by_tile = np.array(values).reshape(lengths.size, len(bands), -1)
        share = tiles.energy.reshape(len(bands), -1)
        if self.grid.shape[1] == 1:  # one length for all times
            by_tile, share = (by_tile * share).sum(axis=2, keepdims=True), share.sum(axis=1, keepdims=True)
        best = np.log(lengths)[by_tile.argmin(axis=0)]
        member = np.ones((1, self.times.size)) if share.shape[1] == 1 else tiles.times.weights(self.times)[0].toarray()
        # tiles with no energy to speak of take the constant optimum
        floor = _EMPTY * share.mean()
        weighted = bands.T @ (share * best) @ member + floor * np.log(np.clip(self.base, *self.bounds))
        surface = weighted / (bands.T @ share @ member + floor)
        return self.grid.fit(surface.T)
