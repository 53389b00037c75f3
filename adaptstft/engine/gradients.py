"""Gradient of a real loss with respect to the parameters of the frames and the data, alone and with its value."""

from __future__ import annotations

from dataclasses import dataclass

from adaptstft.common.typing import AnyArray, Float64Array


@dataclass(frozen=True)
class Gradients:
    """Gradient of a real loss of an analysis or a synthesis.

    Attributes
    ----------
    win_length : ndarray, shape (frames,) or (frames, f_pts)
        With respect to the window lengths.
    positions : ndarray, shape (frames,)
        With respect to the positions of the frames.
    shape : ndarray, shape (n_shape,)
        With respect to the shape parameters of the window.
    data : ndarray or None
        With respect to the channels: the signal for an analysis, the transform for a synthesis. None if it was not
        computed.
    """

    win_length: Float64Array
    positions: Float64Array
    shape: Float64Array
    data: AnyArray | None = None


@dataclass(frozen=True)
class ValueAndGradients:
    """A real loss and its gradients.

    Attributes
    ----------
    value : float
        The loss.
    gradients : Gradients
        Gradients with respect to the parameters. Those that were not requested are empty, None or without meaning.
    """

    value: float
    gradients: Gradients
