"""Window lengths over time and frequency from a few control points, and how much they vary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy import sparse
from scipy.interpolate import BSpline

from adaptstft.common.typing import Float64Array, IntArray
from adaptstft.criteria.bands import frequency_scale

_DEGREE = 3
#: Rounds the corner of the total variation at zero.
_ROUNDING = 1e-3
#: The same where the variation only holds lengths that nothing else determines, and exactness would cost iterations.
_SOFT = 0.03


def _basis(place: Float64Array, count: int) -> sparse.csr_array:
    """Cubic B-splines (fewer points: of a lower degree) with `count` coefficients, evenly spread over `place`."""
    low, high = float(place.min()), float(place.max())
    if count == 1 or low == high:
        return sparse.csr_array(np.ones((place.size, 1)))
    degree = min(_DEGREE, count - 1)
    inner = np.linspace(low, high, count - degree + 1)
    knots = np.concatenate([[low] * degree, inner, [high] * degree])
    return sparse.csr_array(BSpline.design_matrix(np.clip(place, low, high), knots, degree))


@dataclass(frozen=True)
class ControlGrid:
    """Log lengths of all bins as a smooth surface over control points, or a length for each.

    Smooth surfaces are tensor products of cubic B-splines, in time and in the scale of frequencies of
    `adaptstft.criteria.bands.frequency_scale`. They stay within the range of their control points.

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
    def smooth(cls, bins: IntArray, mfft: int, positions: Float64Array, points: tuple[int, int]) -> ControlGrid:
        """Lay ``points = (n_freq, n_time)`` control points over bins and frames."""
        n_freq, n_time = min(points[0], bins.size), min(points[1], positions.size)
        return cls(_basis(frequency_scale(bins, mfft), n_freq), _basis(positions, n_time))

    @classmethod
    def free(cls, f_pts: int, frames: int, *, constant: bool) -> ControlGrid:
        """Let every bin have a length of its own, or with `constant` every frequency."""
        every = sparse.csr_array(sparse.eye_array(f_pts, format="csr"))
        if constant:
            return cls(every, sparse.csr_array(np.ones((frames, 1))))
        return cls(every, sparse.csr_array(sparse.eye_array(frames, format="csr")))

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
        """Slopes in the control points, given those in all bins."""
        return np.asarray(self.frequency.T @ (self.time.T @ gradients).T)

    def fit(self, values: Float64Array) -> Float64Array:
        """Control points whose surface is nearest to `values`, shape (frames, f_pts)."""

        def solve(basis: Any, right: Float64Array) -> Float64Array:
            if basis.shape[0] == basis.shape[1] and (basis != sparse.eye_array(basis.shape[0])).nnz == 0:
                return right
            return np.asarray(np.linalg.lstsq(basis.toarray(), right, rcond=None)[0])

        return solve(self.frequency, solve(self.time, values).T)


def roughness(points: Float64Array) -> tuple[float, Float64Array]:
    """Mean square difference of neighbouring control points, and its slope in them."""
    value, gradient = 0.0, np.zeros_like(points)
    for axis in range(points.ndim):
        change = np.diff(points, axis=axis)
        if change.size:
            value += float(np.mean(change**2))
            gradient += _difference_adjoint(2 * change / change.size, axis)
    return value, gradient


def total_variation(win_length: Float64Array) -> tuple[float, Float64Array]:
    """Mean absolute change of the log length between neighbours along each axis, and its slope in the lengths."""
    value, gradient = 0.0, np.zeros_like(win_length)
    log = np.log(win_length)
    for axis in range(win_length.ndim):
        change = np.diff(log, axis=axis)
        if change.size:
            rounded = np.sqrt(change**2 + _ROUNDING**2)
            value += float(np.mean(rounded) - _ROUNDING)
            gradient += _difference_adjoint(change / rounded / change.size, axis)
    return value, gradient / win_length


def tilted_variation(log: Float64Array, weights: Float64Array, tilts: Float64Array) -> tuple[float, Float64Array]:
    """Sum over neighbours of ``weight * abs(change) + tilt * change``, and its slope."""
    change = np.diff(log)
    rounded = np.sqrt(change**2 + _SOFT**2)
    gradient = _difference_adjoint(weights * change / rounded + tilts, 0)
    return float(weights @ (rounded - _SOFT) + tilts @ change), gradient


def _difference_adjoint(gradients: Float64Array, axis: int) -> Float64Array:
    """Adjoint of ``np.diff`` along an axis."""
    width = [(0, 0)] * gradients.ndim
    width[axis] = (1, 1)
    return np.asarray(-np.diff(np.pad(gradients, width), axis=axis))
