"""Gradients and directional derivatives in the parameters of a transform, from those of its frames."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np

from adaptstft.common.typing import Float64Array, Parameter
from adaptstft.common.validation import as_direction
from adaptstft.engine.gradients import Gradients
from adaptstft.engine.jvp import Direction
from adaptstft.transforms.geometry import TransformGeometry
from adaptstft.transforms.gradient import Gradient, hop_gradient

#: Names of the parameters of a transform; the other names of `Parameter` are data.
WINDOW_PARAMETERS = frozenset({"win_length", "positions", "hop", "shape"})


class ParameterDerivatives(TransformGeometry):
    """Base of `adaptstft.AdaptiveShortTimeFFT`: derivatives in window lengths, positions, hop and shape."""

    def _check_wrt(self, wrt: tuple[str, ...] | None, data: Literal["x", "S"] = "x") -> set[str]:
        """Return the names of the requested derivatives, by default all, of the parameters and `data`."""
        names = get_args(Parameter) if data == "x" else tuple(sorted({*WINDOW_PARAMETERS, data}))
        chosen = set(names if wrt is None else wrt)
        if not chosen <= set(names):
            raise ValueError(f"{wrt=} must be a tuple of names among {names}")
        if chosen & WINDOW_PARAMETERS:
            self._window.check_tunable()
        return chosen

    def _gradient(self, chosen: set[str], first: int, gradients: Gradients) -> Gradient:
        """Return the requested derivatives in the parameters, from those of the slices from `first` on."""
        hop = None
        if "hop" in chosen and self._hop is not None:
            hop = hop_gradient(first, gradients.positions)
        return Gradient(
            win_length=self._length_gradient(gradients.win_length) if "win_length" in chosen else None,
            positions=gradients.positions if "positions" in chosen else None,
            hop=hop,
            shape=gradients.shape if "shape" in chosen and self._window.shape else None,
        )

    def _length_gradient(self, win_length: Float64Array) -> Float64Array:
        """Sum the derivatives of each frame (and bin) to the shape of `win_length`."""
        if self._win_length.ndim < 2:
            return np.asarray(win_length.sum()) if self._win_length.ndim == 0 else win_length
        return win_length.T if self._num_slice_lengths is not None else win_length.sum(axis=0)[:, np.newaxis]

    def _direction(self, tangents: Mapping[str, Any], first: int, p_num: int) -> Direction | None:
        """Return the direction of the frames of slices from `first` on; None if `tangents` has no parameter."""
        if not set(tangents) & WINDOW_PARAMETERS:
            return None
        self._window.check_tunable()
        lengths = self._win_length.shape
        win_length = as_direction("win_length", tangents.get("win_length", np.zeros(lengths)), lengths)
        positions = as_direction("positions", tangents.get("positions", np.zeros(p_num)), (p_num,))
        if "hop" in tangents:
            if self._hop is None:
                raise ValueError("tangents has 'hop', but a transform made from positions has no hop")
            positions = positions + as_direction("hop", tangents["hop"], ()) * (first + np.arange(p_num))
        shape: Float64Array = np.zeros(0)
        if "shape" in tangents:
            shape = as_direction("shape", tangents["shape"], (len(self._window.shape),))
        size = (p_num, self.f_pts) if self.per_bin else (p_num,)
        return Direction(np.broadcast_to(win_length.T, size), positions, shape)


def requested_derivatives(chosen: set[str]) -> dict[str, bool]:
    """Return the requested derivatives as the keywords that the engine takes."""
    return {
        "want_x": "x" in chosen,
        "parameters": bool(chosen - {"x"}),
        "positions": bool(chosen & {"positions", "hop"}),
        "shape": "shape" in chosen,
    }
