"""Shape parameters of the window as variables of the optimiser: fixed or tuned."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Protocol

import numpy as np

from adaptstft.common.typing import Float64Array
from adaptstft.windows import Window


class Shape(Protocol):
    """Map from optimiser variables ``z`` to the window.

    Attributes
    ----------
    window : Window
        Window at the start.
    size : int
        Number of variables.
    vary : bool
        True if the shape parameters are tuned.
    """

    vary: ClassVar[bool]

    @property
    def window(self) -> Window: ...  # noqa: D102

    @property
    def size(self) -> int: ...  # noqa: D102

    def start(self) -> Float64Array:
        """Return the variables at the start."""

    def bounds(self) -> list[tuple[float, float]]:
        """Return the range of each variable."""

    def shaped(self, z: Float64Array) -> Window:
        """Return the window with its shape parameters."""

    def adjoint(self, d_shape: Float64Array) -> Float64Array:
        """Gradient in the variables, given the gradient in the shape parameters."""

    def natural(self, values: Float64Array) -> Float64Array:
        """Keep the entries of `values`, one for each shape parameter of the window, that are tuned."""


@dataclass(frozen=True)
class FixedShape:
    """Window whose shape is not tuned.

    Attributes
    ----------
    window : Window
        The window.
    """

    window: Window
    vary: ClassVar[bool] = False
    size: ClassVar[int] = 0

    def start(self) -> Float64Array:
        """Return no variables."""
        return np.zeros(0)

    def bounds(self) -> list[tuple[float, float]]:
        """Return no bounds."""
        return []

    def shaped(self, z: Float64Array) -> Window:
        """Return the window."""
        return self.window

    def adjoint(self, d_shape: Float64Array) -> Float64Array:
        """Return no gradient."""
        return np.zeros(0)

    def natural(self, values: Float64Array) -> Float64Array:
        """Return no entries."""
        return values[:0]


@dataclass(frozen=True)
class TunedShape:
    """Window whose shape parameters are tuned; each variable runs from zero to one between the parameter's bounds.

    Attributes
    ----------
    window : Window
        Window with its shape parameters at the start.
    """

    window: Window
    vary: ClassVar[bool] = True

    @property
    def size(self) -> int:
        """Number of shape parameters."""
        return len(self.window.shape)

    @property
    def _limits(self) -> tuple[Float64Array, Float64Array]:
        low, high = np.array(self.window.shape_bounds, dtype=float).reshape(-1, 2).T
        return low, high

    def start(self) -> Float64Array:
        """Return the place of each parameter between its bounds."""
        low, high = self._limits
        return np.asarray(np.clip((np.array(self.window.shape) - low) / (high - low), 0, 1))

    def bounds(self) -> list[tuple[float, float]]:
        """Return zero and one for each parameter."""
        return [(0.0, 1.0)] * self.size

    def shaped(self, z: Float64Array) -> Window:
        """Return the window with the shape parameters for variables ``z``."""
        if not self.size:
            return self.window
        low, high = self._limits
        return self.window.with_shape(tuple(low + z * (high - low)))

    def adjoint(self, d_shape: Float64Array) -> Float64Array:
        """Gradient in the variables."""
        low, high = self._limits
        return np.asarray(d_shape * (high - low))

    def natural(self, values: Float64Array) -> Float64Array:
        """Return all entries."""
        return values
