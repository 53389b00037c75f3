"""Surfaces of log window lengths over time and frequency, made from a few control points."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.interpolate import BSpline

from adaptstft.common.typing import Float64Array, IntArray
from adaptstft.criteria.bands import frequency_scale
from adaptstft.tuning.tables.plane_sums import PlaneCells

_DEGREE = 3


def _basis(place: Float64Array, count: int, knots: Float64Array | None = None) -> sparse.csr_array:
    """Cubic B-splines with `count` coefficients over `place`, of a lower degree if `count` is small.

    There are as many of their knots between any two neighbours of `knots`, and by default they are even.
    """
    low, high = float(place.min()), float(place.max())
    if count == 1 or low == high:
        return sparse.csr_array(np.ones((place.size, 1)))
    degree = min(_DEGREE, count - 1)
    given = np.array([low, high]) if knots is None else np.clip(knots, low, high)
    given[[0, -1]] = low, high
    inner = np.interp(np.linspace(0, given.size - 1, count - degree + 1), np.arange(given.size), given)
    every = np.concatenate([[low] * degree, inner, [high] * degree])
    return sparse.csr_array(BSpline.design_matrix(np.clip(place, low, high), every, degree))


@dataclass(frozen=True)
class ControlGrid:
    """Map from control points to the log window lengths of all bins.

    `smooth` makes surfaces that are tensor products of cubic B-splines, in time and in the frequency scale of
    `adaptstft.criteria.bands.frequency_scale`. Their values are within the range of the control points. `free` makes
    one control point for each bin or frequency.

    Attributes
    ----------
    frequency : sparse array, shape (f_pts, n_freq)
        Weight of each control point in each bin.
    time : sparse array, shape (frames, n_time)
        Weight of each control point in each frame.
    """

    frequency: sparse.csr_array
    time: sparse.csr_array

    @classmethod
    def smooth(
        cls,
        bins: IntArray,
        mfft: int,
        positions: Float64Array,
        points: tuple[int, int],
        knots: Float64Array | None = None,
    ) -> ControlGrid:
        """Make a grid of ``points = (n_freq, n_time)`` control points over bins and frames.

        They are evenly spaced in time, or follow `knots`, an increasing sequence of places in samples.
        """
        n_freq, n_time = min(points[0], bins.size), min(points[1], positions.size)
        return cls(_basis(frequency_scale(bins, mfft), n_freq), _basis(positions, n_time, knots))

    @classmethod
    def free(cls, f_pts: int, frames: int, *, constant: bool) -> ControlGrid:
        """Make a grid with one control point for each bin, or with `constant` one for each frequency."""
        frequency = sparse.csr_array(sparse.eye_array(f_pts, format="csr"))
        if constant:
            return cls(frequency, sparse.csr_array(np.ones((frames, 1))))
        return cls(frequency, sparse.csr_array(sparse.eye_array(frames, format="csr")))

    def on_cells(self, cells: PlaneCells) -> ControlGrid:
        """Return the grid for cells of frames, with the mean weights of their frames, and for every few bins."""
        starts = np.append(cells.starts, cells.frames)
        mean = sparse.csr_array((np.repeat(1 / cells.sizes, cells.sizes), np.arange(cells.frames), starts))
        return ControlGrid(self.frequency[:: cells.stride], sparse.csr_array(mean @ self.time))

    @property
    def shape(self) -> tuple[int, int]:
        """Number of control points in frequency and in time."""
        return self.frequency.shape[1], self.time.shape[1]

    @property
    def size(self) -> int:
        """Number of control points."""
        return self.shape[0] * self.shape[1]

    def surface(self, points: Float64Array) -> Float64Array:
        """Values of all bins, shape (frames, f_pts), for control points (n_freq, n_time)."""
        return np.ascontiguousarray(self.time @ (self.frequency @ points).T)

    def adjoint(self, gradients: Float64Array) -> Float64Array:
        """Gradient in the control points, given the gradient in all bins."""
        return np.asarray(self.frequency.T @ (self.time.T @ gradients).T)

    def fit(self, values: Float64Array) -> Float64Array:
        """Control points whose surface is nearest to `values`, shape (frames, f_pts)."""

        def solve(basis: Any, right: Float64Array) -> Float64Array:
            if basis.shape[0] == basis.shape[1] and (basis != sparse.eye_array(basis.shape[0])).nnz == 0:
                return right
            return np.asarray(np.linalg.lstsq(basis.toarray(), right, rcond=None)[0])

        return solve(self.frequency, solve(self.time, values).T)

    def sampled(self, values: Float64Array) -> Float64Array:
        """Control points that are `values`, shape (frames, f_pts), where each of them has its weight.

        Unlike the nearest surface, theirs stays within the values around each place, as at an onset.
        """

        def middles(basis: sparse.csr_array) -> IntArray:
            numbers = basis.T @ np.arange(basis.shape[0]) / np.maximum(basis.sum(axis=0), np.finfo(float).tiny)
            return np.asarray(np.rint(numbers), np.int64)

        return np.asarray(values[np.ix_(middles(self.time), middles(self.frequency))].T)
