r"""Penalty on windows that count parts of the signal unevenly.

A criterion interprets the spectrogram as a distribution of the signal's energy over time and frequency, where each
frame stands for the time :math:`h_p` between the midpoints to its neighbours. This is valid if every sample is counted
once,

.. math:: D(t) = \sum_p h_p\, |w_p(t)|^2 = 1

with windows of unit energy. It holds (up to sampling at the hop) where all lengths are equal, and nearly where they
change slowly. It does not hold where lengths jump from frame to frame. Example: two tones cancel each other at some
times; with short windows at these times and long windows between them, many frames hold little energy, and every
measure of concentration improves as if the plane were smaller. The penalty is the mean of :math:`|\log D|` over the
signal's energy. It depends on the signal only through the energy over time, not through the transform.

It acts on what a descent tunes. The search over a table (`adaptstft.tuning.tables.length_path`) has a constraint on the
edges of the windows instead.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import sparse
from scipy.interpolate import CubicHermiteSpline

from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.engine.frames import durations, durations_adjoint
from adaptstft.engine.gradients import Gradients, ValueAndGradients
from adaptstft.windows import Window

#: Largest number of cells in the longest window. A cell is at least as long as a hop: the average of the overlap over a
#: hop is one for windows of one length, however large the hop is.
_MOST_CELLS = 128
#: Rounding of ``abs(log D)`` at zero, as large as the variation by sampling at the hop.
_TOLERANCE = 0.02
#: Added to the overlap, so that the logarithm of cells without any window is finite.
_LEAST = 0.01
#: Number of nodes of the integral over a window.
_NODES = 513


@dataclass(frozen=True)
class Evenness:
    """Penalty on uneven overlap of windows, for a signal with a given energy in cells of time.

    The overlap is averaged over each cell.

    Attributes
    ----------
    energy : ndarray, shape (cells,)
        Share of the signal's energy in each cell; the shares add up to one.
    n : int
        Number of samples of the signal.
    """

    energy: Float64Array
    n: int

    @classmethod
    def of_signal(cls, x: AnyArray, hop: float, longest: float) -> Evenness:
        """Divide a signal ``x``, shape (channels, n), into cells for a hop and windows up to the length `longest`."""
        n = x.shape[-1]
        count = max(1, round((n - 1) / max(hop, longest / _MOST_CELLS)))
        cell = np.minimum(np.arange(n) * count // max(n - 1, 1), count - 1)
        power = np.sum(x.real.astype(float) ** 2 + x.imag.astype(float) ** 2, axis=0)
        energy = np.bincount(cell, power, minlength=count)
        return cls(energy / energy.sum(), n)

    @property
    def cell(self) -> float:
        """Duration of a cell in samples."""
        return (self.n - 1) / self.energy.size

    def penalty(self, overlap: Float64Array) -> tuple[float, Float64Array]:
        """Mean absolute logarithm of the overlap, and its gradient in the overlap of each cell."""
        log, magnitude = _log_magnitude(overlap)
        return float(self.energy @ (magnitude - _TOLERANCE)), self.energy * log / magnitude / (overlap + _LEAST)

    @staticmethod
    def magnitudes(overlap: Float64Array) -> Float64Array:
        """Absolute logarithm of each overlap, up to a constant; `penalty` is its mean."""
        return _log_magnitude(overlap)[1]

    def _edges(self, win_length: Float64Array, positions: Float64Array) -> _Edges:
        """Edges of all cells that windows reach; beyond the signal's ends the cells are mirrored."""
        first = np.floor((positions - win_length / 2) / self.cell).astype(np.int64)
        last = np.ceil((positions + win_length / 2) / self.cell).astype(np.int64)
        count = last - first + 1
        frame = np.repeat(np.arange(win_length.size), count)
        start = np.cumsum(count) - count
        index = np.arange(frame.size) - np.repeat(start - first, count)
        u = np.clip((index * self.cell - positions[frame]) / win_length[frame], -0.5, 0.5)
        size = self.energy.size
        place = np.mod(index, 2 * size)
        place = np.where(place < size, place, 2 * size - 1 - place)
        return _Edges(frame, u, place, start)

    def shares(self, window: Window, win_length: Float64Array, positions: Float64Array) -> sparse.csr_array:
        """Part of each frame in the overlap in each cell, shape (frames, cells)."""
        edges = self._edges(win_length, positions)
        within = edges.between(_cumulative_energy(window).value(edges.u))
        share = (durations(positions, self.n) / self.cell)[edges.frame] * within
        return sparse.csr_array((share, (edges.frame, edges.cell)), shape=(win_length.size, self.energy.size))

    def evaluate(
        self, window: Window, win_length: Float64Array, positions: Float64Array, *, shape: bool = False
    ) -> ValueAndGradients:
        """Evaluate the penalty and its gradients; the gradient in the window's shape only with `shape`.

        The durations of the frames follow the positions.
        """
        edges, cumulative = self._edges(win_length, positions), _cumulative_energy(window, shape=shape)
        frame, frames = edges.frame, win_length.size
        spans = durations(positions, self.n)
        rate = spans / self.cell
        within = edges.between(cumulative.value(edges.u))
        overlap = np.asarray(np.bincount(edges.cell, rate[frame] * within, self.energy.size), dtype=float)
        value, gradient = self.penalty(overlap)
        gradient = gradient[edges.cell]
        moved = edges.adjoint(gradient) * cumulative.density(window, edges.u)
        d_positions = -rate / win_length * np.bincount(frame, moved, minlength=frames)
        d_win_length = -rate / win_length * np.bincount(frame, moved * edges.u, minlength=frames)
        d_spans = np.bincount(frame, gradient * within, minlength=frames) / self.cell
        d_positions += durations_adjoint(positions, self.n, d_spans)
        d_shape = [rate[frame] * gradient @ edges.between(row(edges.u)) for row in cumulative.shape]
        return ValueAndGradients(value, Gradients(d_win_length, d_positions, np.array(d_shape)))


@dataclass(frozen=True)
class _Edges:
    """Edges of the cells that each window reaches, frame by frame.

    Each edge belongs to the cell after it; the last edge of a frame belongs to no cell.

    Attributes
    ----------
    frame, u, cell : ndarray, shape (edges,)
        Index of the frame, distance of the edge from its centre in window lengths, and index of the cell.
    start : ndarray, shape (frames,)
        Index of the first edge of each frame.
    """

    frame: AnyArray
    u: Float64Array
    cell: AnyArray
    start: AnyArray

    def between(self, cumulative: Float64Array) -> Float64Array:
        """Energy of the window in each cell: difference of the cumulative energy at its edges."""
        out = np.diff(cumulative, append=0.0)
        out[self.start[1:] - 1] = out[-1] = 0.0
        return out

    def adjoint(self, gradient: Float64Array) -> Float64Array:
        """Gradient in the cumulative energy at each edge, given the gradient in the energy of each cell."""
        gradient = gradient.copy()
        gradient[self.start[1:] - 1] = gradient[-1] = 0.0
        before = np.concatenate([[0.0], gradient[:-1]])
        return before - gradient


@dataclass(frozen=True)
class _CumulativeEnergy:
    """Cumulative energy of a window from its beginning to a point, from zero to one.

    Attributes
    ----------
    value : callable
        Cumulative energy as a function of ``u``.
    square : float
        Integral of the squared window.
    shape : list of callable
        Derivatives of `value` in the window's shape parameters.
    """

    value: CubicHermiteSpline
    square: float
    shape: list[CubicHermiteSpline]

    def density(self, window: Window, u: Float64Array) -> Float64Array:
        """Return the derivative in ``u``, zero at the ends of the support and beyond."""
        w = window.sample(u, slope=False, shape=False)[0]
        return np.where(np.abs(u) < 0.5, w**2, 0.0) / self.square


@lru_cache(maxsize=8)  # a descent needs the same one in every iteration, unless the shape is tuned
def _cumulative_energy(window: Window, *, shape: bool = False) -> _CumulativeEnergy:
    """Integrate the squared window, and its derivatives in the shape parameters with `shape`."""
    u = np.linspace(-0.5, 0.5, _NODES)
    w, dw, dshape = window.sample(u, slope=True, shape=shape)
    total = _integral(u, w**2, 2 * w * dw)
    square, value = float(total[-1]), total / total[-1]
    rows = []
    for row in 2 * w * dshape:
        part = _integral(u, row, np.gradient(row, u))
        density = (row - w**2 * part[-1] / square) / square
        rows.append(CubicHermiteSpline(u, (part - value * part[-1]) / square, density))
    return _CumulativeEnergy(CubicHermiteSpline(u, value, w**2 / square), square, rows)


def _log_magnitude(overlap: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Logarithm of each overlap, and its absolute value, rounded at zero."""
    log = np.log((overlap + _LEAST) / (1 + _LEAST))
    return log, np.sqrt(log**2 + _TOLERANCE**2)


def _integral(u: Float64Array, y: Float64Array, gradient: Float64Array) -> Float64Array:
    """Integral of ``y``, with derivative `gradient`, from the first to each of evenly spaced points."""
    step = u[1] - u[0]
    parts = step / 2 * (y[1:] + y[:-1]) - step**2 / 12 * (gradient[1:] - gradient[:-1])
    return np.concatenate([[0.0], np.cumsum(parts)])
