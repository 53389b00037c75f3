"""Number of frames at a hop, and the time that each frame stands for."""

from __future__ import annotations

import numpy as np

from adaptstft.common.typing import Float64Array

#: Hop as a fraction of the window length, where it follows from it.
TIED_HOP = 1 / 8


def frame_count(n: int, hop: float) -> int:
    """Count the frames at ``p * hop`` that span ``n`` samples."""
    return int(np.ceil((n - 1) / hop)) + 1


def durations(positions: Float64Array, n: int) -> Float64Array:
    """Return the samples each frame stands for: from midpoint to midpoint, within the signal."""
    if positions.size == 1 or n == 1:
        return np.full(positions.size, n / positions.size)
    edges = np.concatenate([[0.0], np.clip((positions[1:] + positions[:-1]) / 2, 0, n - 1), [n - 1.0]])
    return np.asarray(np.diff(edges))


def durations_adjoint(positions: Float64Array, n: int, gradients: Float64Array) -> Float64Array:
    """Slope in the times, given the slope in each frame's duration."""
    out = np.zeros(positions.size)
    if positions.size == 1 or n == 1:
        return out
    middle = (positions[1:] + positions[:-1]) / 2
    edge = np.where((middle > 0) & (middle < n - 1), gradients[:-1] - gradients[1:], 0.0) / 2
    out[1:] += edge
    out[:-1] += edge
    return out
