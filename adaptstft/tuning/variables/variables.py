"""Variables of the optimiser: window lengths, positions and window shape, each one a component.

A component is chosen for each of the three (modules ``lengths``, ``positions``, ``shape``). For example, one length
for all frames, regular positions and a tuned shape::

    variables = Variables(OneLength(win_length, win_bounds), FixedPositions(positions), TunedShape(window))
    state = variables.state(variables.start())  # window lengths and positions in samples, weights, window

- Nothing tuned: `FixedLengths`, `FixedPositions`, `FixedShape`.
- One length: `OneLength`, `FixedPositions` (with ``report_hop=True`` if the hop follows from the length).
- One length and one hop, for user losses: `OneLength` or `FixedLengths`, `TiedHop`.
- A length for each frame: `FrameLengths`. A length for each frequency or bin: `SurfaceLengths`. Positions are then
  `FixedPositions`; where they are tuned too, `GuardedPositions` with a least overlap, and else `FreePositions`.

All components are frozen. `dataclasses.replace` makes a variant; another start is
``replace(variables, lengths=variables.lengths.starting_at(win_length))``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from adaptstft.common.typing import Float64Array
from adaptstft.tuning.variables.lengths import Lengths
from adaptstft.tuning.variables.positions import Positions
from adaptstft.tuning.variables.shape import Shape
from adaptstft.tuning.variables.state import State


@dataclass(frozen=True)
class Variables:
    """Map from one vector of optimiser variables ``y`` to the parameters of the transform.

    ``y`` holds the variables of the lengths, of the positions and of the shape, in this order.

    Attributes
    ----------
    lengths : Lengths
        Variables of the window lengths.
    positions : Positions
        Variables of the positions.
    shape : Shape
        Variables of the window shape.
    safe : ndarray, shape (frames,), or None
        Window lengths in samples that keep every limit, with the positions at the start. None if the lengths at the
        start do.
    """

    lengths: Lengths
    positions: Positions
    shape: Shape
    safe: Float64Array | None = None

    @property
    def lengths_vary(self) -> bool:
        """True if window lengths are tuned."""
        return self.lengths.kind != "fixed"

    @property
    def positions_vary(self) -> bool:
        """True if each position is tuned."""
        return self.positions.vary

    @property
    def shape_varies(self) -> bool:
        """True if the shape parameters are tuned."""
        return self.shape.vary

    @property
    def win_bounds(self) -> tuple[float, float]:
        """Range of the window lengths in samples."""
        return self.lengths.win_bounds

    def start(self) -> Float64Array:
        """Return the variables at the start."""
        return np.concatenate([self.lengths.start(), self.positions.start(self.lengths), self.shape.start()])

    def safe_start(self) -> Float64Array:
        """Return the variables of a point that keeps every limit."""
        if self.safe is None:
            return self.start()
        return replace(self, lengths=self.lengths.starting_at(self.safe)).start()

    def bounds(self) -> list[tuple[float, float]]:
        """Return the range of each variable."""
        return self.lengths.bounds() + self.positions.bounds() + self.shape.bounds()

    def _split(self, y: Float64Array) -> tuple[Float64Array, Float64Array, Float64Array]:
        first, second = self.lengths.size, self.lengths.size + self.positions.size
        return y[:first], y[first:second], y[second:]

    def state(self, y: Float64Array) -> State:
        """Return the parameters of the transform for variables ``y``."""
        of_lengths, of_positions, of_shape = self._split(y)
        positions, win_length = self.positions.frames(of_positions, self.lengths.lengths(of_lengths))
        return State(win_length, positions, self.positions.weights(positions), self.shape.shaped(of_shape))

    def natural(self, y: Float64Array, state: State | None = None) -> Float64Array:
        """Return the tuned parameters in their own units: lengths, then positions or hop, then shape.

        `state` is that of ``y``, if it is known.
        """
        state = state or self.state(y)
        lengths = self.lengths.natural(self._split(y)[0], state.win_length)
        positions, shape = self.positions.natural(state.positions), self.shape.natural(np.array(state.window.shape))
        return np.concatenate([lengths, positions, shape])

    def natural_gradient(
        self, y: Float64Array, d_win_length: Float64Array, d_positions: Float64Array, d_shape: Float64Array
    ) -> Float64Array:
        """Partial derivatives in `natural`: the others do not follow when one of them changes."""
        lengths = self.lengths.natural_gradient(self._split(y)[0], d_win_length)
        return np.concatenate([lengths, self.positions.natural_gradient(d_positions), self.shape.natural(d_shape)])

    def penalty(self, y: Float64Array) -> tuple[float, Float64Array]:
        """Value and gradient of a term that is minimised beside the objective."""
        gradient = np.zeros_like(y)
        value, gradient[: self.lengths.size] = self.lengths.penalty(self._split(y)[0])
        return value, gradient

    def adjoint(
        self,
        y: Float64Array,
        state: State,
        d_win_length: Float64Array,
        d_positions: Float64Array,
        d_weights: Float64Array,
        d_shape: Float64Array,
    ) -> Float64Array:
        """Gradient in ``y``, given the gradients in the parameters of ``state = self.state(y)``."""
        _, of_positions, _ = self._split(y)
        d_positions = self.positions.with_weights(state.positions, d_positions, d_weights)
        by_positions, d_win_length = self.positions.adjoint(of_positions, state, d_win_length, d_positions)
        by_lengths = self.lengths.adjoint(state.win_length, d_win_length)
        return np.concatenate([by_lengths, by_positions, self.shape.adjoint(d_shape)])
