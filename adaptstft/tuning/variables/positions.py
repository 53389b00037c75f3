"""Positions of frames as variables of the optimiser: fixed, at one tuned hop, free, or with guarantees."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol, TypeAlias

import numpy as np

from adaptstft.common.typing import Float64Array
from adaptstft.engine.frames import durations, durations_adjoint, frame_count
from adaptstft.tuning.variables.guarded_hops import GuardedHops
from adaptstft.tuning.variables.lengths import Lengths
from adaptstft.tuning.variables.state import State

#: Range of the variables of `GuardedPositions`, in which the logistic function is not yet constant.
_LOGIT_BOUNDS = (-12.0, 12.0)

Pair: TypeAlias = tuple[Float64Array, Float64Array]


class Positions(Protocol):
    """Map from optimiser variables ``z`` and window lengths to positions of frames.

    Attributes
    ----------
    positions : ndarray, shape (frames,)
        Positions at the start, in samples.
    size : int
        Number of variables.
    vary : bool
        True if each position is tuned.
    """

    vary: ClassVar[bool]

    @property
    def positions(self) -> Float64Array: ...  # noqa: D102

    @property
    def size(self) -> int: ...  # noqa: D102

    def start(self, lengths: Lengths) -> Float64Array:
        """Return the variables at the start, given the variables of the window lengths."""

    def bounds(self) -> list[tuple[float, float]]:
        """Return the range of each variable."""

    def frames(self, z: Float64Array, win_length: Float64Array) -> Pair:
        """Return the positions in samples, and the window lengths of the frames there."""

    def weights(self, positions: Float64Array) -> Float64Array:
        """Return the weight of each frame in the criterion."""

    def with_weights(self, positions: Float64Array, d_positions: Float64Array, d_weights: Float64Array) -> Float64Array:
        """Gradient in the positions, `d_positions`, plus the part through the weights of the frames."""

    def adjoint(self, z: Float64Array, state: State, d_win_length: Float64Array, d_positions: Float64Array) -> Pair:
        """Gradient in the variables, and `d_win_length` with the part that the positions add to it."""

    def natural(self, positions: Float64Array) -> Float64Array:
        """Return the tuned parameters in samples: the positions, the hop, or none."""

    def natural_gradient(self, d_positions: Float64Array) -> Float64Array:
        """Gradient in `natural`, given the gradient in the positions."""


class _EqualWeights:
    """Frames that count alike in the criterion."""

    def weights(self, positions: Float64Array) -> Float64Array:
        """Return ones."""
        return np.ones(positions.size)

    def with_weights(self, positions: Float64Array, d_positions: Float64Array, d_weights: Float64Array) -> Float64Array:
        """Return `d_positions`: the weights do not depend on the positions."""
        return d_positions


@dataclass(frozen=True)
class FixedPositions(_EqualWeights):
    """Positions that are not tuned.

    Attributes
    ----------
    positions : ndarray, shape (frames,)
        Positions in samples.
    report_hop : bool
        True if the hop belongs to the natural parameters, although it has no variable of its own: it follows from
        the window length.
    """

    positions: Float64Array
    report_hop: bool = False
    vary: ClassVar[bool] = False
    size: ClassVar[int] = 0

    def start(self, lengths: Lengths) -> Float64Array:
        """Return no variables."""
        return np.zeros(0)

    def bounds(self) -> list[tuple[float, float]]:
        """Return no bounds."""
        return []

    def frames(self, z: Float64Array, win_length: Float64Array) -> Pair:
        """Return the positions and the window lengths unchanged."""
        return self.positions, win_length

    def adjoint(self, z: Float64Array, state: State, d_win_length: Float64Array, d_positions: Float64Array) -> Pair:
        """Return no gradient, and `d_win_length` unchanged."""
        return np.zeros(0), d_win_length

    def natural(self, positions: Float64Array) -> Float64Array:
        """Return the hop with `report_hop`, or no parameters."""
        return _hop_of(positions) if self.report_hop else positions[:0]

    def natural_gradient(self, d_positions: Float64Array) -> Float64Array:
        """Gradient in the hop with `report_hop`, or none."""
        return _hop_gradient(d_positions) if self.report_hop and d_positions.size > 1 else d_positions[:0]


@dataclass(frozen=True)
class TiedHop(_EqualWeights):
    """Regular frames at one tuned hop; the variable is the logarithm of the hop as a fraction of the window length.

    All windows have one length. The number of frames follows from the hop.

    Attributes
    ----------
    n : int
        Number of samples of the signal.
    positions : ndarray, shape (frames,)
        Positions at the start, in samples.
    ratios : (float, float)
        Range of the hop as a fraction of the window length.
    hop_bounds : (float, float)
        Range of the hop in samples.
    """

    n: int
    positions: Float64Array
    ratios: tuple[float, float]
    hop_bounds: tuple[float, float]
    vary: ClassVar[bool] = False
    size: ClassVar[int] = 1

    def _hop(self, z: Float64Array, win_length: Float64Array) -> float:
        return float(np.clip(np.exp(z[0]) * win_length[0], *self.hop_bounds))

    def start(self, lengths: Lengths) -> Float64Array:
        """Return the logarithm of the ratio of hop and window length, within its bounds."""
        ratio = np.clip(_mean_hop(self.positions) / lengths.win_length[0], *self.ratios)
        return np.asarray(np.log(ratio)[np.newaxis])

    def bounds(self) -> list[tuple[float, float]]:
        """Return the logarithms of the bounds of the ratio."""
        return [(np.log(self.ratios[0]), np.log(self.ratios[1]))]

    def frames(self, z: Float64Array, win_length: Float64Array) -> Pair:
        """Return regular positions over the signal, and the window length repeated for each of them."""
        hop = self._hop(z, win_length)
        positions = np.arange(frame_count(self.n, hop)) * hop
        return positions, np.full(positions.size, win_length.flat[0])

    def adjoint(self, z: Float64Array, state: State, d_win_length: Float64Array, d_positions: Float64Array) -> Pair:
        """Gradient in the log ratio, and `d_win_length` with the part by which the hop follows from the length."""
        hop = self._hop(z, state.win_length)
        inside = self.hop_bounds[0] < hop < self.hop_bounds[1]
        d_z = np.array([hop * inside * (np.arange(state.positions.size) @ d_positions)])
        return d_z, d_win_length + d_z[0] / state.win_length[0] / state.win_length.size

    def natural(self, positions: Float64Array) -> Float64Array:
        """Return the hop in samples."""
        return _hop_of(positions)

    def natural_gradient(self, d_positions: Float64Array) -> Float64Array:
        """Gradient in the hop."""
        return _hop_gradient(d_positions)


class _TunedPositions:
    """Positions that are tuned, each with one variable for the hop from the frame before; the first one is fixed."""

    vary: ClassVar[bool] = True
    positions: Float64Array

    @property
    def size(self) -> int:
        """Number of hops."""
        return self.positions.size - 1

    def natural(self, positions: Float64Array) -> Float64Array:
        """Return the positions."""
        return positions

    def natural_gradient(self, d_positions: Float64Array) -> Float64Array:
        """Gradient in the positions."""
        return d_positions


@dataclass(frozen=True)
class FreePositions(_EqualWeights, _TunedPositions):
    """Positions that are tuned without guarantees; each variable is a hop relative to the mean hop at the start.

    The first frame stays in its position.

    Attributes
    ----------
    positions : ndarray, shape (frames,)
        Positions at the start, in samples.
    hop_bounds : (float, float)
        Range of each hop in samples.
    """

    positions: Float64Array
    hop_bounds: tuple[float, float]

    def start(self, lengths: Lengths) -> Float64Array:
        """Return the hops relative to their mean, within their bounds."""
        return np.asarray(np.clip(np.diff(self.positions), *self.hop_bounds) / _mean_hop(self.positions))

    def bounds(self) -> list[tuple[float, float]]:
        """Return the bounds relative to the mean hop."""
        hop = _mean_hop(self.positions)
        return [(self.hop_bounds[0] / hop, self.hop_bounds[1] / hop)] * self.size

    def frames(self, z: Float64Array, win_length: Float64Array) -> Pair:
        """Return the positions, and the window lengths unchanged."""
        return _after_hops(self.positions, z * _mean_hop(self.positions)), win_length

    def adjoint(self, z: Float64Array, state: State, d_win_length: Float64Array, d_positions: Float64Array) -> Pair:
        """Gradient in the relative hops, and `d_win_length` unchanged."""
        return _after_hops_adjoint(d_positions) * _mean_hop(self.positions), d_win_length


@dataclass(frozen=True)
class GuardedPositions(_TunedPositions):
    """Positions that are tuned with guarantees: hops within bounds, overlapping windows, frames over the whole span.

    Each frame counts in the criterion for its duration. The first and the last frame stay in their positions.

    Attributes
    ----------
    n : int
        Number of samples of the signal.
    positions : ndarray, shape (frames,)
        Positions at the start, in samples; at least two.
    hop_bounds : (float, float)
        Range of each hop in samples. It is extended to the mean hop at the start, which rounding may leave outside.
    min_overlap : float
        Least overlap of neighbouring windows, as a fraction of the shorter one.
    """

    n: int
    positions: Float64Array
    hop_bounds: tuple[float, float]
    min_overlap: float

    @property
    def _hops(self) -> GuardedHops:
        span = float(self.positions[-1] - self.positions[0])
        mean, (low, high) = span / self.size, self.hop_bounds
        return GuardedHops(span, (min(low, mean), max(high, mean)), self.min_overlap)

    def start(self, lengths: Lengths) -> Float64Array:
        """Return the variables of the hops, moved into their bounds."""
        win_length = lengths.lengths(lengths.start())
        return self._hops.variables(np.diff(self.positions), _shortest(win_length))

    def bounds(self) -> list[tuple[float, float]]:
        """Return the range of each variable."""
        return [_LOGIT_BOUNDS] * self.size

    def frames(self, z: Float64Array, win_length: Float64Array) -> Pair:
        """Return the positions, and the window lengths unchanged."""
        return _after_hops(self.positions, self._hops.hops(z, _shortest(win_length))), win_length

    def weights(self, positions: Float64Array) -> Float64Array:
        """Return the duration of each frame, relative to the mean hop at the start."""
        return np.asarray(durations(positions, self.n) / _mean_hop(self.positions))

    def with_weights(self, positions: Float64Array, d_positions: Float64Array, d_weights: Float64Array) -> Float64Array:
        """Gradient in the positions, `d_positions`, plus the part through the durations."""
        return d_positions + durations_adjoint(positions, self.n, d_weights / _mean_hop(self.positions))

    def adjoint(self, z: Float64Array, state: State, d_win_length: Float64Array, d_positions: Float64Array) -> Pair:
        """Gradient in the variables, and `d_win_length` with the part by which bounds of hops follow from lengths."""
        d_z, d_shortest = self._hops.adjoint(z, _shortest(state.win_length), _after_hops_adjoint(d_positions))
        return d_z, d_win_length + _shortest_adjoint(state.win_length, d_shortest)


def _mean_hop(positions: Float64Array) -> float:
    return float(positions[-1] - positions[0]) / (positions.size - 1) if positions.size > 1 else 1.0


def _hop_of(positions: Float64Array) -> Float64Array:
    """Hop of regular positions, shape (1,); shape (0,) for one frame."""
    return positions[1:2] - positions[:1]


def _hop_gradient(d_positions: Float64Array) -> Float64Array:
    """Adjoint of the map from the hop to regular positions."""
    return np.array([np.arange(d_positions.size) @ d_positions])


def _after_hops(positions: Float64Array, hops: Float64Array) -> Float64Array:
    """Positions from the first one on, given the hops between them."""
    return np.concatenate([positions[:1], positions[0] + np.cumsum(hops)])


def _after_hops_adjoint(d_positions: Float64Array) -> Float64Array:
    """Gradient in each hop, given the gradient in the positions."""
    return np.asarray(np.cumsum(d_positions[:0:-1])[::-1])


def _shortest(win_length: Float64Array) -> Float64Array:
    """Shortest window of each frame: its overlap with the neighbours is the smallest."""
    return win_length if win_length.ndim == 1 else np.asarray(win_length.min(axis=1))


def _shortest_adjoint(win_length: Float64Array, gradients: Float64Array) -> Float64Array:
    """Adjoint of the derivative of `_shortest`."""
    if win_length.ndim == 1:
        return gradients
    out = np.zeros_like(win_length)
    out[np.arange(len(win_length)), win_length.argmin(axis=1)] = gradients
    return out
