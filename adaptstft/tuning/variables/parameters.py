"""Optimiser variables <-> window lengths and positions, with the derivatives of the map.

Lengths are tuned as logarithms. Positions are tuned with their guarantees built
in: whatever the variables, hops stay within their bounds, neighbouring windows
overlap, and the frames span the signal.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from adaptstft.common.typing import Float64Array
from adaptstft.engine.frames import durations, durations_adjoint, frame_count
from adaptstft.tuning.penalties.variation import roughness, tilted_variation
from adaptstft.tuning.variables.control_grid import ControlGrid
from adaptstft.tuning.variables.guarded_hops import GuardedHops as GuardedHops
from adaptstft.tuning.variables.state import State as State
from adaptstft.windows import Window

_ROUNDING = 1e-13


def _shortest(win_length: Float64Array) -> Float64Array:
    """Shortest window of each frame, whose overlap with the next must be enough."""
    return win_length if win_length.ndim == 1 else np.asarray(win_length.min(axis=1))


def _to_shortest(win_length: Float64Array, gradients: Float64Array) -> Float64Array:
    """Adjoint of the derivative of `_shortest`."""
    if win_length.ndim == 1:
        return gradients
    out = np.zeros_like(win_length)
    out[np.arange(len(win_length)), win_length.argmin(axis=1)] = gradients
    return out


@dataclass
class Parameters:
    """Which parameters vary, from where, and within which bounds.

    Attributes
    ----------
    n : int
        Number of samples of the signal.
    win_length : ndarray, shape (frames,) or (frames, f_pts)
        Window lengths to start from.
    positions : ndarray, shape (frames,)
        Positions to start from.
    window : Window
        Window family.
    lengths : {"fixed", "constant", "time", "grid"}
        Which window lengths vary: none, one for all, each, or control points.
    win_bounds : (float, float)
        Range of the window lengths.
    hops : GuardedHops or None
        Guarantees for the positions, if these vary with them.
    free_hops : (float, float) or None
        Range of each hop, if positions vary without guarantees.
    tune_shape : bool
        Whether the shape parameters vary.
    preconditioner : ndarray
        Scale of the variable of each frame or control point: the root of its share in the criterion.
    hop_ratios : (float, float) or None
        Range of the hop as a fraction of the window length, if one hop for all
        frames varies.
    hop_bounds : (float, float)
        Range of that hop in samples.
    report_hop : bool
        Whether one hop for all frames belongs to the natural parameters, as it
        follows from the window length.
    grid : ControlGrid or None
        Control points of the log lengths of all bins.
    points : ndarray, shape (n_freq, n_time), or None
        Their values to start from.
    safe : ndarray or None
        Window lengths that, with the positions to start from, keep every limit; None if those to start from do.
    carry : float
        Weight of the roughness of the control points in what is minimised: small enough to decide nothing but
        where the signal leaves lengths undetermined, which are then carried over from their neighbours.
    held : (ndarray, ndarray) or None
        Weights of the changes of the log length between neighbouring frames, and of their size, in what is minimised:
        of those next to the ends of the signal, which hold windows that reach over an end. Each of shape (frames - 1,).
    """

    n: int
    win_length: Float64Array
    positions: Float64Array
    window: Window
    lengths: str
    win_bounds: tuple[float, float]
    hops: GuardedHops | None = None
    free_hops: tuple[float, float] | None = None
    tune_shape: bool = False
    preconditioner: Float64Array | None = None
    hop_ratios: tuple[float, float] | None = None
    hop_bounds: tuple[float, float] = (1.0, np.inf)
    report_hop: bool = False
    grid: ControlGrid | None = None
    points: Float64Array | None = None
    safe: Float64Array | None = None
    carry: float = 0.0
    held: tuple[Float64Array, Float64Array] | None = None

    @property
    def positions_vary(self) -> bool:
        """Whether each frame's position is tuned."""
        return self.hops is not None or self.free_hops is not None

    @property
    def weighted(self) -> bool:
        """Whether frames count for the time they stand for: where that can change."""
        return self.hops is not None

    def _n_lengths(self) -> int:
        if self.grid is not None:
            return self.grid.size
        return {"fixed": 0, "constant": 1, "time": len(self.win_length)}[self.lengths]

    def _scale(self) -> Float64Array:
        if self.lengths in ("time", "grid") and self.preconditioner is not None:
            return self.preconditioner.ravel()
        return np.ones(self._n_lengths())

    def _mean_hop(self) -> float:
        return float(np.mean(np.diff(self.positions))) if self.positions.size > 1 else 1.0

    def start(self) -> Float64Array:
        """Variables of the starting point."""
        low, high = np.log(self.win_bounds)
        log = np.log(self.win_length[: self._n_lengths()]).ravel() if self.points is None else self.points.ravel()
        win_length = np.clip(log, low, high) * self._scale()
        parts = [win_length]
        if self.hops is not None:
            parts.append(self.hops.variables(np.diff(self.positions), _shortest(self._theta(win_length))))
        elif self.free_hops is not None:
            parts.append(np.clip(np.diff(self.positions), *self.free_hops) / self._mean_hop())
        elif self.hop_ratios is not None:
            ratio = np.clip(self._mean_hop() / self.win_length[0], *self.hop_ratios)
            parts.append(np.log(ratio)[np.newaxis])
        if self.tune_shape:
            parts.append(np.array([self._to_unit(j, v) for j, v in enumerate(self.window.shape)]))
        return np.concatenate(parts)

    def safe_start(self) -> Float64Array:
        """Variables of a point that keeps every limit."""
        return self.start() if self.safe is None else replace(self, win_length=self.safe).start()

    def bounds(self) -> list[tuple[float, float]]:
        """Bounds of the variables."""
        low, high = np.log(self.win_bounds)
        result = [(low * s, high * s) for s in self._scale()]
        if self.hops is not None:
            result += [(-12.0, 12.0)] * (self.positions.size - 1)
        elif self.free_hops is not None:
            scale = self._mean_hop()
            result += [(self.free_hops[0] / scale, self.free_hops[1] / scale)] * (self.positions.size - 1)
        elif self.hop_ratios is not None:
            result.append((np.log(self.hop_ratios[0]), np.log(self.hop_ratios[1])))
        if self.tune_shape:
            result += [(0.0, 1.0)] * len(self.window.shape)
        return result

    def _to_unit(self, j: int, value: float) -> float:
        low, high = self.window.shape_bounds[j]
        return float(np.clip((value - low) / (high - low), 0, 1))

    def _split(self, y: Float64Array) -> tuple[Float64Array, Float64Array, Float64Array]:
        a = self._n_lengths()
        b = a + (self.positions.size - 1 if self.positions_vary else int(self.hop_ratios is not None))
        return y[:a], y[a:b], y[b:]

    def _theta(self, y: Float64Array) -> Float64Array:
        if self.lengths == "fixed":
            return self.win_length
        low, high = self.win_bounds
        log: Float64Array = y / self._scale()
        if self.grid is not None:
            log = self.grid.surface(log.reshape(self.grid.shape))
        win_length = np.exp(log)
        whole = np.rint(win_length)
        win_length = np.where(
            np.abs(win_length - whole) <= _ROUNDING * win_length, whole, win_length
        )  # exp(log(n)) may differ from n
        win_length = np.where(log <= np.log(low) + _ROUNDING, low, win_length)
        win_length = np.where(log >= np.log(high) - _ROUNDING, high, win_length)  # exp(log(high)) may differ from it
        return np.full(self.win_length.size, win_length[0]) if self.lengths == "constant" else win_length

    def _hop(self, z: Float64Array, win_length: Float64Array) -> float:
        return float(np.clip(np.exp(z[0]) * win_length[0], *self.hop_bounds))

    def _positions_of(self, z: Float64Array, win_length: Float64Array) -> Float64Array:
        if self.hop_ratios is not None:
            hop = self._hop(z, win_length)
            return np.arange(frame_count(self.n, hop)) * hop
        if self.hops is not None:
            steps = self.hops.hops(z, _shortest(win_length))
        elif self.free_hops is not None:
            steps = z * self._mean_hop()
        else:
            return self.positions
        return np.concatenate([self.positions[:1], self.positions[0] + np.cumsum(steps)])

    def state(self, y: Float64Array) -> State:
        """Physical parameters for variables ``y``."""
        lengths, z, unit = self._split(y)
        win_length = self._theta(lengths)
        positions = self._positions_of(z, win_length)
        if self.hop_ratios is not None:
            win_length = np.full(positions.size, win_length.flat[0])
        weights = durations(positions, self.n) / self._mean_hop() if self.weighted else np.ones(positions.size)
        window = self.window
        if unit.size:
            low, high = np.array(window.shape_bounds).T
            window = window.with_shape(low + unit * (high - low))
        return State(win_length, positions, weights, window)

    def natural(self, y: Float64Array) -> Float64Array:
        """Return the tuned parameters in their own units: lengths, then positions or hop, then shape."""
        state = self.state(y)
        hop = state.positions[1:2] - state.positions[:1]
        each: Float64Array = state.win_length if self.grid is None else np.exp(self._points(y)).ravel()
        return self._natural(each[:1], each, state.positions, hop, np.array(state.window.shape))

    def natural_gradient(
        self, y: Float64Array, d_win_length: Float64Array, d_positions: Float64Array, d_shape: Float64Array
    ) -> Float64Array:
        """Slope in `natural`, each parameter on its own."""
        d_hop = np.arange(d_positions.size) @ d_positions
        if self.grid is not None:
            win_length = self._theta(self._split(y)[0])
            d_win_length = (self.grid.adjoint(d_win_length * win_length) / np.exp(self._points(y))).ravel()
        return self._natural(d_win_length.sum(keepdims=True), d_win_length, d_positions, np.array([d_hop]), d_shape)

    def _points(self, y: Float64Array) -> Float64Array:
        """Control points, (n_freq, n_time)."""
        assert self.grid is not None
        return (self._split(y)[0] / self._scale()).reshape(self.grid.shape)

    def penalty(self, y: Float64Array) -> tuple[float, Float64Array]:
        """Price that is minimised beside the objective, as `carry` and `held` say, and its slope in the variables."""
        gradient = np.zeros_like(y)
        if self.held is not None and self.lengths == "time":
            scale = self._scale()
            value, d_log = tilted_variation(y[: scale.size] / scale, *self.held)
            gradient[: scale.size] = d_log / scale
            return value, gradient
        if self.grid is None or not self.carry:
            return 0.0, gradient
        value, d_points = roughness(self._points(y))
        gradient[: self.grid.size] = self.carry * d_points.ravel() / self._scale()
        return self.carry * value, gradient

    def _natural(
        self, one: Float64Array, each: Float64Array, positions: Float64Array, hop: Float64Array, shape: Float64Array
    ) -> Float64Array:
        lengths = {"fixed": each[:0].ravel(), "constant": one, "time": each, "grid": each}[self.lengths]
        one_hop = self.hop_ratios is not None or (self.report_hop and positions.size > 1)
        moved = positions if self.positions_vary else hop if one_hop else positions[:0]
        return np.concatenate([lengths, moved, shape if self.tune_shape else shape[:0]])

    def adjoint(
        self,
        y: Float64Array,
        state: State,
        d_win_length: Float64Array,
        d_positions: Float64Array,
        d_weights: Float64Array,
        d_shape: Float64Array,
    ) -> Float64Array:
        """Slope in the variables, given slopes in the physical parameters."""
        _, z, unit = self._split(y)
        parts = []
        d_z: Float64Array = np.zeros(0)
        if self.weighted:
            d_positions = d_positions + durations_adjoint(state.positions, self.n, d_weights / self._mean_hop())
        if self.positions_vary:
            d_hops = np.cumsum(d_positions[:0:-1])[::-1]
            if self.hops is not None:
                d_z, extra = self.hops.adjoint(z, _shortest(state.win_length), d_hops)
                d_win_length = d_win_length + _to_shortest(state.win_length, extra)
            else:
                d_z = d_hops * self._mean_hop()
        elif self.hop_ratios is not None:
            hop = self._hop(z, state.win_length)
            inside = self.hop_bounds[0] < hop < self.hop_bounds[1]
            d_z = np.array([hop * inside * (np.arange(state.positions.size) @ d_positions)])
            d_win_length = d_win_length + d_z[0] / state.win_length[0] / state.win_length.size
        if self.lengths != "fixed":
            gradient: Float64Array = d_win_length * state.win_length
            if self.grid is not None:
                gradient = self.grid.adjoint(gradient).ravel()
            parts.append((gradient.sum(keepdims=True) if self.lengths == "constant" else gradient) / self._scale())
        parts.append(d_z)
        if unit.size:
            low, high = np.array(self.window.shape_bounds).T
            parts.append(d_shape * (high - low))
        return np.concatenate(parts)
