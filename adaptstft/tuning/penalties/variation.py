"""Penalties on the variation of the log length between neighbouring frames, bins or control points."""

from __future__ import annotations

import numpy as np

from adaptstft.common.typing import Float64Array

#: Rounding of the absolute value at zero in `total_variation`.
_ROUNDING = 1e-3
#: Rounding of the absolute value at zero in `tilted_variation`. It is larger: this penalty only acts where nothing
#: else determines the lengths, and a sharper corner would cost iterations.
_SOFT = 0.03


def roughness(points: Float64Array) -> tuple[float, Float64Array]:
    """Mean squared difference of neighbouring control points, and its gradient."""
    value, gradient = 0.0, np.zeros_like(points)
    for axis in range(points.ndim):
        change = np.diff(points, axis=axis)
        if change.size:
            value += float(np.mean(change**2))
            gradient += _difference_adjoint(2 * change / change.size, axis)
    return value, gradient


def total_variation(win_length: Float64Array) -> tuple[float, Float64Array]:
    """Mean absolute change of the log length between neighbours along each axis, and its gradient in the lengths."""
    value, gradient = 0.0, np.zeros_like(win_length)
    log = np.log(win_length)
    for axis in range(win_length.ndim):
        change = np.diff(log, axis=axis)
        if change.size:
            rounded = np.sqrt(change**2 + _ROUNDING**2)
            value += float(np.mean(rounded) - _ROUNDING)
            gradient += _difference_adjoint(change / rounded / change.size, axis)
    return value, gradient / win_length


def sum_of_changes(win_length: Float64Array, positions: Float64Array) -> tuple[float, Float64Array, Float64Array]:
    """Sum of the absolute changes of the log hop and of the log length of frames, and its gradients.

    Lengths per bin do not count. Returned are the sum and the gradients in the lengths and the positions.
    """
    hops = np.diff(positions)
    value, by_hops = total_variation(hops)
    count = max(hops.size - 1, 0)
    value, by_positions = value * count, _difference_adjoint(by_hops * count, 0)
    by_win_length = np.zeros_like(win_length)
    if win_length.ndim == 1:
        variation, by_win_length = total_variation(win_length)
        value, by_win_length = value + variation * hops.size, by_win_length * hops.size
    return value, by_win_length, by_positions


def tilted_variation(log: Float64Array, weights: Float64Array, tilts: Float64Array) -> tuple[float, Float64Array]:
    """Sum over neighbours of ``weight * abs(change) + tilt * change``, and its gradient in `log`."""
    change = np.diff(log)
    rounded = np.sqrt(change**2 + _SOFT**2)
    gradient = _difference_adjoint(weights * change / rounded + tilts, 0)
    return float(weights @ (rounded - _SOFT) + tilts @ change), gradient


def _difference_adjoint(gradients: Float64Array, axis: int) -> Float64Array:
    """Adjoint of ``np.diff`` along an axis."""
    width = [(0, 0)] * gradients.ndim
    width[axis] = (1, 1)
    return np.asarray(-np.diff(np.pad(gradients, width), axis=axis))
