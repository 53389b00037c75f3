"""Window lengths as variables of the optimiser: fixed, one for all frames, one for each frame, or a surface.

The variables are logarithms of lengths in samples, optionally multiplied by a scale.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, Protocol

import numpy as np

from adaptstft.common.typing import Float64Array
from adaptstft.tuning.penalties.variation import roughness, tilted_variation
from adaptstft.tuning.variables.control_grid import ControlGrid

#: Relative error of ``exp(log(v))``, within which a length counts as an integer, or as equal to a bound.
_ROUNDING = 1e-13
#: Number of frames whose lengths are computed at once where each bin has its own.
_ROWS = 64


class Lengths(Protocol):
    """Map from optimiser variables ``z`` to window lengths.

    Attributes
    ----------
    kind : {"fixed", "constant", "time", "grid"}
        The implementation: `FixedLengths`, `OneLength`, `FrameLengths` or `SurfaceLengths`.
    win_length : ndarray, shape (frames,) or (frames, f_pts)
        Window lengths at the start, in samples.
    win_bounds : (float, float)
        Range of the window lengths in samples.
    size : int
        Number of variables.
    """

    @property
    def kind(self) -> Literal["fixed", "constant", "time", "grid"]: ...  # noqa: D102

    @property
    def win_length(self) -> Float64Array: ...  # noqa: D102

    @property
    def win_bounds(self) -> tuple[float, float]: ...  # noqa: D102

    @property
    def size(self) -> int: ...  # noqa: D102

    def start(self) -> Float64Array:
        """Return the variables at the start."""

    def starting_at(self, win_length: Float64Array) -> Lengths:
        """Return the same variables with another start, given as window lengths."""

    def bounds(self) -> list[tuple[float, float]]:
        """Return the range of each variable."""

    def lengths(self, z: Float64Array) -> Float64Array:
        """Return the window lengths in samples, in the shape of `win_length`."""

    def adjoint(self, win_length: Float64Array, d_win_length: Float64Array) -> Float64Array:
        """Gradient in the variables, given the window lengths and the gradient in them."""

    def natural(self, z: Float64Array, win_length: Float64Array) -> Float64Array:
        """Return the tuned lengths in samples, flat, without repetitions."""

    def natural_gradient(self, z: Float64Array, d_win_length: Float64Array) -> Float64Array:
        """Gradient in `natural`, given the gradient in the window lengths."""

    def penalty(self, z: Float64Array) -> tuple[float, Float64Array]:
        """Value and gradient of a term that is minimised beside the objective."""


class _NoPenalty:
    """Lengths without a penalty of their own."""

    def penalty(self, z: Float64Array) -> tuple[float, Float64Array]:
        """Return zero."""
        return 0.0, np.zeros(z.size)


@dataclass(frozen=True)
class FixedLengths(_NoPenalty):
    """Window lengths that are not tuned.

    Attributes
    ----------
    win_length : ndarray, shape (frames,) or (frames, f_pts)
        Window lengths in samples.
    win_bounds : (float, float)
        Range within which the result's sensitivity to the lengths is measured.
    """

    win_length: Float64Array
    win_bounds: tuple[float, float]
    kind: ClassVar[Literal["fixed"]] = "fixed"
    size: ClassVar[int] = 0

    def start(self) -> Float64Array:
        """Return no variables."""
        return np.zeros(0)

    def starting_at(self, win_length: Float64Array) -> FixedLengths:
        """Fix other window lengths."""
        return replace(self, win_length=win_length)

    def bounds(self) -> list[tuple[float, float]]:
        """Return no bounds."""
        return []

    def lengths(self, z: Float64Array) -> Float64Array:
        """Return the window lengths."""
        return self.win_length

    def adjoint(self, win_length: Float64Array, d_win_length: Float64Array) -> Float64Array:
        """Return no gradient."""
        return np.zeros(0)

    def natural(self, z: Float64Array, win_length: Float64Array) -> Float64Array:
        """Return no parameters."""
        return np.zeros(0)

    def natural_gradient(self, z: Float64Array, d_win_length: Float64Array) -> Float64Array:
        """Return no gradient."""
        return np.zeros(0)


@dataclass(frozen=True)
class OneLength(_NoPenalty):
    """One window length for all frames.

    Attributes
    ----------
    win_length : ndarray, shape (frames,)
        The length at the start in samples, repeated for each frame.
    win_bounds : (float, float)
        Range of the length in samples.
    searched : (float, float)
        Part of this range in which a descent may go.
    """

    win_length: Float64Array
    win_bounds: tuple[float, float]
    searched: tuple[float, float] = (0.0, np.inf)
    kind: ClassVar[Literal["constant"]] = "constant"
    size: ClassVar[int] = 1

    def start(self) -> Float64Array:
        """Return the logarithm of the length, within its bounds."""
        return np.clip(np.log(self.win_length[:1]), *np.log(self.win_bounds))

    def starting_at(self, win_length: Float64Array) -> OneLength:
        """Return the same variable with another start."""
        return replace(self, win_length=win_length)

    def bounds(self) -> list[tuple[float, float]]:
        """Return the logarithms of the bounds."""
        low, high = np.log(np.clip(self.searched, *self.win_bounds))
        return [(low, high)]

    def lengths(self, z: Float64Array) -> Float64Array:
        """Return the window length, repeated for each frame."""
        return np.full(self.win_length.size, _lengths_of(z, self.win_bounds)[0])

    def adjoint(self, win_length: Float64Array, d_win_length: Float64Array) -> Float64Array:
        """Gradient in the log length."""
        return np.asarray((d_win_length * win_length).sum(keepdims=True))

    def natural(self, z: Float64Array, win_length: Float64Array) -> Float64Array:
        """Return the length in samples."""
        return win_length[:1]

    def natural_gradient(self, z: Float64Array, d_win_length: Float64Array) -> Float64Array:
        """Gradient in the length."""
        return np.asarray(d_win_length.sum(keepdims=True))


@dataclass(frozen=True)
class FrameLengths:
    """One window length for each frame.

    Attributes
    ----------
    win_length : ndarray, shape (frames,)
        Window lengths at the start, in samples.
    win_bounds : (float, float)
        Range of the lengths in samples.
    scale : ndarray, shape (frames,), or None
        Factor of each log length (a diagonal preconditioner): the root of the frame's share in the criterion.
    end_penalty : (ndarray, ndarray) or None
        Weights and tilts of `adaptstft.tuning.penalties.variation.tilted_variation`, each of shape (frames - 1,).
        They are not zero at the ends of the signal, where windows reach beyond it.
    """

    win_length: Float64Array
    win_bounds: tuple[float, float]
    scale: Float64Array | None = None
    end_penalty: tuple[Float64Array, Float64Array] | None = None
    kind: ClassVar[Literal["time"]] = "time"

    @property
    def size(self) -> int:
        """Number of frames."""
        return self.win_length.size

    @property
    def _factors(self) -> Float64Array:
        return np.ones(self.size) if self.scale is None else self.scale

    def start(self) -> Float64Array:
        """Return the scaled logarithms of the lengths, within their bounds."""
        return np.asarray(np.clip(np.log(self.win_length), *np.log(self.win_bounds)) * self._factors)

    def starting_at(self, win_length: Float64Array) -> FrameLengths:
        """Return the same variables with another start."""
        return replace(self, win_length=win_length)

    def bounds(self) -> list[tuple[float, float]]:
        """Return the scaled logarithms of the bounds."""
        return _scaled_bounds(self.win_bounds, self._factors)

    def lengths(self, z: Float64Array) -> Float64Array:
        """Return the window length of each frame."""
        return _lengths_of(z / self._factors, self.win_bounds)

    def adjoint(self, win_length: Float64Array, d_win_length: Float64Array) -> Float64Array:
        """Gradient in the scaled log lengths."""
        return np.asarray(d_win_length * win_length / self._factors)

    def natural(self, z: Float64Array, win_length: Float64Array) -> Float64Array:
        """Return the lengths in samples."""
        return win_length

    def natural_gradient(self, z: Float64Array, d_win_length: Float64Array) -> Float64Array:
        """Gradient in the lengths."""
        return d_win_length

    def penalty(self, z: Float64Array) -> tuple[float, Float64Array]:
        """Penalty on changes of the length at the ends of the signal, and its gradient."""
        if self.end_penalty is None:
            return 0.0, np.zeros(self.size)
        value, d_log = tilted_variation(z / self._factors, *self.end_penalty)
        return value, d_log / self._factors


@dataclass(frozen=True)
class SurfaceLengths:
    """Window lengths of all bins, as a surface over control points.

    Attributes
    ----------
    grid : ControlGrid
        The map from control points to log lengths.
    points : ndarray, shape (n_freq, n_time)
        Control points at the start: logarithms of lengths in samples.
    win_bounds : (float, float)
        Range of the lengths in samples.
    scale : ndarray, shape (n_freq, n_time), or None
        Factor of each control point (a diagonal preconditioner): the root of its share in the criterion.
    carry : float
        Weight of the roughness of the control points. It is so small that it only decides the lengths where the
        signal does not: these are interpolated from their neighbours.
    reach : float
        Largest change of a control point from its start. With many control points in time, long windows among short
        ones would skip the energy that these see.
    """

    grid: ControlGrid
    points: Float64Array
    win_bounds: tuple[float, float]
    scale: Float64Array | None = None
    carry: float = 0.0
    reach: float = np.inf
    kind: ClassVar[Literal["grid"]] = "grid"

    @property
    def size(self) -> int:
        """Number of control points."""
        return self.grid.size

    @property
    def win_length(self) -> Float64Array:
        """Window lengths at the start in samples, shape (frames, f_pts)."""
        return np.asarray(np.exp(np.clip(self.grid.surface(self.points), *np.log(self.win_bounds))))

    @property
    def _factors(self) -> Float64Array:
        return np.ones(self.size) if self.scale is None else self.scale.ravel()

    def _points_of(self, z: Float64Array) -> Float64Array:
        return np.asarray((z / self._factors).reshape(self.grid.shape))

    def start(self) -> Float64Array:
        """Return the scaled control points, within their bounds."""
        return np.asarray(np.clip(self.points.ravel(), *np.log(self.win_bounds)) * self._factors)

    def starting_at(self, win_length: Float64Array) -> SurfaceLengths:
        """Return the same variables with the surface that is nearest to window lengths as their start."""
        return replace(self, points=self.grid.fit(np.log(win_length)))

    def bounds(self) -> list[tuple[float, float]]:
        """Return the range of each scaled control point."""
        low, high = np.log(self.win_bounds)
        start = np.clip(self.points.ravel(), low, high)
        ends = np.maximum(start - self.reach, low), np.minimum(start + self.reach, high)
        return list(zip(ends[0] * self._factors, ends[1] * self._factors, strict=True))

    def lengths(self, z: Float64Array) -> Float64Array:
        """Return the window length of each bin."""
        surface = self.grid.surface(self._points_of(z))
        for first in range(0, len(surface), _ROWS):  # in place: the plane may be large
            part = slice(first, first + _ROWS)
            surface[part] = _lengths_of(surface[part], self.win_bounds)
        return surface

    def adjoint(self, win_length: Float64Array, d_win_length: Float64Array) -> Float64Array:
        """Gradient in the scaled control points."""
        return np.asarray(self.grid.adjoint(d_win_length * win_length).ravel() / self._factors)

    def natural(self, z: Float64Array, win_length: Float64Array) -> Float64Array:
        """Return the control points as lengths in samples."""
        return np.asarray(np.exp(self._points_of(z)).ravel())

    def natural_gradient(self, z: Float64Array, d_win_length: Float64Array) -> Float64Array:
        """Gradient in the control points as lengths."""
        d_points = self.grid.adjoint(d_win_length * self.lengths(z))
        return np.asarray((d_points / np.exp(self._points_of(z))).ravel())

    def penalty(self, z: Float64Array) -> tuple[float, Float64Array]:
        """Roughness of the control points with its weight, and its gradient."""
        if not self.carry:
            return 0.0, np.zeros(self.size)
        value, d_points = roughness(self._points_of(z))
        return self.carry * value, self.carry * d_points.ravel() / self._factors


def _scaled_bounds(win_bounds: tuple[float, float], factors: Float64Array) -> list[tuple[float, float]]:
    low, high = np.log(win_bounds)
    return [(low * factor, high * factor) for factor in factors]


def _lengths_of(log: Float64Array, win_bounds: tuple[float, float]) -> Float64Array:
    """Lengths for their logarithms: integers and bounds are exact, as ``exp(log(v))`` may differ from ``v``."""
    low, high = win_bounds
    win_length = np.asarray(np.exp(log))
    whole = np.rint(win_length)
    np.copyto(win_length, whole, where=np.abs(win_length - whole) <= _ROUNDING * win_length)
    np.copyto(win_length, low, where=log <= np.log(low) + _ROUNDING)
    np.copyto(win_length, high, where=log >= np.log(high) - _ROUNDING)
    return win_length
