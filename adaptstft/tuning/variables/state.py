"""Window lengths, positions, weights and window at one point of the optimisation."""

from __future__ import annotations

from dataclasses import dataclass

from adaptstft.common.typing import Float64Array
from adaptstft.windows import Window


@dataclass(frozen=True)
class State:
    """Parameters of the transform at one point of the optimisation.

    Attributes
    ----------
    win_length : ndarray, shape (frames,) or (frames, f_pts)
        Window lengths in samples, one for each frame or for each bin.
    positions : ndarray, shape (frames,)
        Centres of the frames in samples.
    weights : ndarray, shape (frames,)
        Weights of the frames in the criterion: the duration of each frame, relative to the mean hop at the start.
    window : Window
        Window with its shape parameters.
    """

    win_length: Float64Array
    positions: Float64Array
    weights: Float64Array
    window: Window
