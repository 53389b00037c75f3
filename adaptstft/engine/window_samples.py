"""Samples of the windows of a block of frames, their scale, and the derivatives of both."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from adaptstft.common.typing import Float64Array, FloatArray, IntArray
from adaptstft.engine.frames import PlacedFrames
from adaptstft.engine.plan import FramePlan
from adaptstft.kernels.window_scale import window_scale


@dataclass(frozen=True)
class WindowRows:
    """Sampled windows of a block, one row a frame or one for all, and their scale ``c``."""

    w: FloatArray
    dw: FloatArray
    dshape: tuple[FloatArray, ...]
    scale: Float64Array
    scale_gradient: Float64Array
    scale_shape_gradient: Float64Array


def _sample(
    plan: FramePlan, theta: Float64Array, lead: Float64Array, count: IntArray, dtype: Any, gradient: bool, shape: bool
) -> tuple[FloatArray, FloatArray, tuple[FloatArray, ...]]:
    size = (theta.size, int(count.max(initial=1)))
    series = plan.window.series_in(dtype)
    n_shape = len(plan.window.shape) if shape else 0
    if series is None:
        u = np.clip((lead[:, None] + np.arange(size[1])) / theta[:, None], -0.5, 0.5)
        w, dw, dshape = plan.window.sample(u, slope=gradient, shape=shape)
        asarray = plan.kernels.asarray
        return asarray(w, dtype), asarray(dw, dtype), tuple(asarray(row, dtype) for row in dshape)
    # no sample beyond a frame's count is ever read
    xp = plan.kernels.xp
    w = xp.empty(size, dtype)
    if gradient:
        dw = xp.empty(size, dtype)
        plan.kernels.window_rows(series.value, series.derivative, series.plateau, theta, lead, count, w, dw)
    else:
        dw = xp.zeros(size, dtype)
        plan.kernels.polynomial_rows(series.value, series.plateau, theta, lead, count, w)
    rows = tuple(xp.empty(size, dtype) for _ in range(n_shape))
    for j, row in enumerate(rows):
        plan.kernels.polynomial_rows(series.shape[j], series.plateau, theta, lead, count, row)
    return w, dw, rows


def sample_windows(plan: FramePlan, frames: PlacedFrames, dtype: Any, *, gradient: bool, shape: bool) -> WindowRows:
    """Sample the windows of `frames` and their scale factors, with the derivatives asked for."""
    theta, n = frames.win_length, len(frames)
    w, dw, dshape = _sample(plan, theta, frames.lead, frames.count, dtype, gradient, shape)
    if plan.scaling is None:
        one, zero = np.full(n, plan.amplitude), np.zeros(n)
        return WindowRows(w, dw, dshape, one, zero, np.zeros((len(dshape), n)))
    # The scale sums run over the samples of a frame at an integer time: it depends on theta alone.
    lead = np.ceil(plan.window_offset - theta / 2) - plan.window_offset
    if np.array_equal(lead, frames.lead):
        cw, cdw, cdshape, count = w, dw, dshape, frames.count
    else:
        last = np.ceil(plan.window_offset + theta / 2) - plan.window_offset
        count = (last - lead).astype(np.int64)
        cw, cdw, cdshape = _sample(plan, theta, lead, count, float, gradient, shape)
    sums = np.zeros((4, n))
    plan.kernels.row_sums(cw, cdw, theta, lead, count, sums)
    shape_sums = np.array(_shape_sums(plan, cdshape, cw, count)).reshape(len(cdshape), 2, n)
    return WindowRows(w, dw, dshape, *scale_of_sums(plan, theta, sums, shape_sums))


def _shape_sums(plan: FramePlan, rows: tuple[FloatArray, ...], w: FloatArray, count: IntArray) -> list[Float64Array]:
    """Sum the derivatives in the shape parameters, and their products with the window, over each frame."""
    if not rows:
        return []
    inside = plan.kernels.asarray(np.arange(w.shape[1]) < count[:, None])
    xp = plan.kernels.xp
    w, *masked = [xp.where(inside, row, 0.0) for row in (w, *rows)]  # there may be anything beyond
    return [plan.kernels.to_host(xp.stack([row.sum(1), (row * w).sum(1)])) for row in masked]


def scale_of_sums(
    plan: FramePlan, theta: Float64Array, sums: Float64Array, shape: Float64Array
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Scale ``c`` of each window and its derivatives in ``theta`` and the shape parameters.

    `sums` are those of ``w``, ``w' u``, ``w**2`` and ``w w' u`` for each window, `shape` (n_shape, 2, windows)
    those of the derivatives in the shape parameters and of their products with ``w``.
    """
    magnitude = plan.scaling == "magnitude"
    scale, gradient = window_scale(magnitude, plan.T, theta, *(sums[:2] if magnitude else sums[2:]))
    # a derivative of a window changes its own sum, or twice its product with the window that of the squares
    shape_gradient = -scale * (shape[:, 0] / sums[0] if magnitude else shape[:, 1] / sums[2])
    return scale * plan.amplitude, gradient * plan.amplitude, shape_gradient * plan.amplitude
