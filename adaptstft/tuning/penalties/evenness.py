r"""How evenly frames account for a signal, as a price in tuning.

A criterion takes the spectrogram for a distribution of the signal's energy over time and frequency: each frame stands
for the time :math:`h_p` up to its neighbours. That is so if every sample is counted once,

.. math:: D(t) = \sum_p h_p\, |w_p(t)|^2 = 1

with windows of unit energy, as it is, to sampling at the hop, where all lengths are equal, and nearly so where they
change slowly. Lengths that jump from frame to frame break it: with short windows where two tones cancel each other, and
long ones between, half of the frames hold nothing, and any measure of concentration takes the plane for half as large
as it is. The price is the mean of :math:`|\log D|` over the signal's energy. It does not depend on the transform, so
that nothing in the signal but the energy's place in time can be traded for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy import sparse
from scipy.interpolate import CubicHermiteSpline

from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.engine.frames import durations, durations_adjoint
from adaptstft.windows import Window

#: Cells in the longest window at most. A cell is no shorter than a hop: the average over a hop does not depend on how
#: coarsely windows of one length are sampled by it.
_MOST_CELLS = 128
#: Logarithms within this are hardly charged: what sampling at the hop leaves.
_TOLERANCE = 0.02
#: Overlap below which a cell counts as not covered, whose logarithm would have no end.
_LEAST = 0.01
#: Nodes of the integral over a window.
_NODES = 513


@dataclass(frozen=True)
class Unevenness:
    """Mean size of the log overlap, and its derivatives.

    Attributes
    ----------
    value : float
        The price.
    win_length, positions : ndarray, shape (frames,)
        Slopes in the window lengths and positions, what the frames stand for included.
    shape : ndarray, shape (n_shape,)
        Slope in the window's shape parameters.
    """

    value: float
    win_length: Float64Array
    positions: Float64Array
    shape: Float64Array


@dataclass(frozen=True)
class Evenness:
    """The signal's share of energy in cells of time, over each of which the overlap of windows is averaged.

    Attributes
    ----------
    energy : ndarray, shape (cells,)
        Shares, which add up to one.
    n : int
        Number of samples of the signal.
    """

    energy: Float64Array
    n: int

    @classmethod
    def of_signal(cls, x: AnyArray, hop: float, longest: float) -> Evenness:
        """Lay cells over channels ``x``, shape (channels, n), for a hop and windows up to a length."""
        n = x.shape[-1]
        count = max(1, round((n - 1) / max(hop, longest / _MOST_CELLS)))
        cell = np.minimum(np.arange(n) * count // max(n - 1, 1), count - 1)
        power = np.sum(x.real.astype(float) ** 2 + x.imag.astype(float) ** 2, axis=0)
        energy = np.bincount(cell, power, minlength=count)
        return cls(energy / energy.sum(), n)

    @property
    def cell(self) -> float:
        """Samples of a cell."""
        return (self.n - 1) / self.energy.size

    def price(self, overlap: Float64Array) -> tuple[float, Float64Array]:
        """Mean size of the logarithm of the overlap in each cell, and its slope in them."""
        log, size = _log_sizes(overlap)
        return float(self.energy @ (size - _TOLERANCE)), self.energy * log / size / (overlap + _LEAST)

    @staticmethod
    def sizes(overlap: Float64Array) -> Float64Array:
        """Size of the logarithm of each overlap, up to a constant: what `price` averages."""
        return _log_sizes(overlap)[1]

    def _edges(self, win_length: Float64Array, positions: Float64Array) -> _Edges:
        """Edges of all cells that windows reach, which are reflected at the signal's ends."""
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
        within = edges.between(_Mass.of(window).value(edges.u))
        share = (durations(positions, self.n) / self.cell)[edges.frame] * within
        return sparse.csr_array((share, (edges.frame, edges.cell)), shape=(win_length.size, self.energy.size))

    def evaluate(
        self, window: Window, win_length: Float64Array, positions: Float64Array, *, shape: bool = False
    ) -> Unevenness:
        """Evaluate the price and its derivatives, of those in the window's shape what is asked for."""
        edges, mass = self._edges(win_length, positions), _Mass.of(window, shape=shape)
        frame, frames = edges.frame, win_length.size
        spans = durations(positions, self.n)
        rate = spans / self.cell
        within = edges.between(mass.value(edges.u))
        overlap = np.asarray(np.bincount(edges.cell, rate[frame] * within, self.energy.size), dtype=float)
        value, gradient = self.price(overlap)
        gradient = gradient[edges.cell]
        moved = edges.adjoint(gradient) * mass.density(window, edges.u)
        d_positions = -rate / win_length * np.bincount(frame, moved, minlength=frames)
        d_win_length = -rate / win_length * np.bincount(frame, moved * edges.u, minlength=frames)
        d_spans = np.bincount(frame, gradient * within, minlength=frames) / self.cell
        d_positions += durations_adjoint(positions, self.n, d_spans)
        d_shape = [rate[frame] * gradient @ edges.between(row(edges.u)) for row in mass.shape]
        return Unevenness(value, d_win_length, d_positions, np.array(d_shape))


@dataclass(frozen=True)
class _Edges:
    """Edges of cells, frame by frame; an edge stands for the cell after it, the last one of a frame for none.

    Attributes
    ----------
    frame, u, cell : ndarray, shape (edges,)
        Number of the frame, distance from its centre in window lengths, and the cell.
    start : ndarray, shape (frames,)
        First edge of each frame.
    """

    frame: AnyArray
    u: Float64Array
    cell: AnyArray
    start: AnyArray

    def between(self, mass: Float64Array) -> Float64Array:
        """Return what lies in the cell after each edge, of a mass up to each."""
        out = np.diff(mass, append=0.0)
        out[self.start[1:] - 1] = out[-1] = 0.0
        return out

    def adjoint(self, gradient: Float64Array) -> Float64Array:
        """Slope in the mass up to each edge, given that in what lies in the cell after it."""
        gradient = gradient.copy()
        gradient[self.start[1:] - 1] = gradient[-1] = 0.0
        before = np.concatenate([[0.0], gradient[:-1]])
        return before - gradient


@dataclass(frozen=True)
class _Mass:
    """Share of a squared window up to a point, from zero to one.

    Attributes
    ----------
    value : callable
        The share as a function of ``u``.
    square : float
        Integral of the squared window.
    shape : list of callable
        Derivatives of `value` in the window's shape parameters.
    """

    value: CubicHermiteSpline
    square: float
    shape: list[CubicHermiteSpline]

    @classmethod
    @lru_cache(maxsize=8)  # a descent asks for the same one in every iteration, unless the shape is tuned
    def of(cls, window: Window, *, shape: bool = False) -> _Mass:
        u = np.linspace(-0.5, 0.5, _NODES)
        w, dw, dshape = window.sample(u, slope=True, shape=shape)
        total = _integral(u, w**2, 2 * w * dw)
        square, mass = float(total[-1]), total / total[-1]
        rows = []
        for row in 2 * w * dshape:
            part = _integral(u, row, np.gradient(row, u))
            density = (row - w**2 * part[-1] / square) / square
            rows.append(CubicHermiteSpline(u, (part - mass * part[-1]) / square, density))
        return cls(CubicHermiteSpline(u, mass, w**2 / square), square, rows)

    def density(self, window: Window, u: Float64Array) -> Float64Array:
        """Return the derivative of the share in ``u``, zero at the ends of the support and beyond."""
        w = window.sample(u, slope=False, shape=False)[0]
        return np.where(np.abs(u) < 0.5, w**2, 0.0) / self.square


def _log_sizes(overlap: Float64Array) -> tuple[Float64Array, Float64Array]:
    """Logarithm of each overlap, and its size, rounded at zero."""
    log = np.log((overlap + _LEAST) / (1 + _LEAST))
    return log, np.sqrt(log**2 + _TOLERANCE**2)


def _integral(u: Float64Array, y: Float64Array, gradient: Float64Array) -> Float64Array:
    """Integral of a function with the given slope up to each of evenly spaced points."""
    step = u[1] - u[0]
    parts = step / 2 * (y[1:] + y[:-1]) - step**2 / 12 * (gradient[1:] - gradient[:-1])
    return np.concatenate([[0.0], np.cumsum(parts)])
