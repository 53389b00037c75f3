r"""Samples of the windows of a block of frames, their scale, and the derivatives of both.

A window is :math:`w(n; t, \theta) = c(\theta)\, \omega(u)` with :math:`u = (n - t)/\theta`, so

.. math:: \partial w/\partial\theta = c'(\theta)\, \omega(u) - (c/\theta)\, \omega'(u)\, u , \qquad
          \partial w/\partial t = -(c/\theta)\, \omega'(u) .

The scale ``c`` is 1, :math:`1/|\sum_m \omega(m/\theta)|` (``"magnitude"``) or
:math:`(T/\sum_m \omega(m/\theta)^2)^{1/2}` (``"psd"``). The sums run over a frame at an integer position.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np

from adaptstft.common.typing import AnyArray, Float64Array, FloatArray, IntArray
from adaptstft.engine.frames import PlacedFrames
from adaptstft.engine.plan import FramePlan
from adaptstft.kernels.window_scale import window_scale

#: ``empty(name, shape, dtype)`` returns an array for rows of windows.
Empty: TypeAlias = Callable[[str, tuple[int, int], Any], AnyArray]


@dataclass(frozen=True)
class WindowRows:
    """Samples of the windows of a block and their scale: one row for each frame, or one for all.

    Attributes
    ----------
    w, dw : ndarray, shape (rows, samples)
        ``omega(u)`` and ``omega'(u)``; entries beyond the samples of a frame are undefined. Without the gradient `dw`
        and `scale_gradient` are undefined.
    dshape : tuple of ndarray
        Derivatives of ``omega(u)`` with respect to the shape parameters.
    scale, scale_gradient : ndarray, shape (rows,)
        ``c`` and its derivative with respect to the window length.
    scale_shape_gradient : ndarray, shape (n_shape, rows)
        Derivatives of ``c`` with respect to the shape parameters.
    """

    w: FloatArray
    dw: FloatArray
    dshape: tuple[FloatArray, ...]
    scale: Float64Array
    scale_gradient: Float64Array
    scale_shape_gradient: Float64Array


def _sample(
    plan: FramePlan,
    theta: Float64Array,
    lead: Float64Array,
    count: IntArray,
    dtype: Any,
    gradient: bool,
    shape: bool,
    empty: Empty,
) -> tuple[FloatArray, FloatArray, tuple[FloatArray, ...]]:
    size = (theta.size, int(count.max(initial=1)))
    series = plan.window.series_in(dtype)
    n_shape = len(plan.window.shape) if shape else 0
    if series is None:
        u = np.clip((lead[:, None] + np.arange(size[1])) / theta[:, None], -0.5, 0.5)
        w, dw, dshape = plan.window.sample(u, slope=gradient, shape=shape)
        asarray = plan.kernels.asarray
        return asarray(w, dtype), asarray(dw, dtype), tuple(asarray(row, dtype) for row in dshape)
    # kernels read no entry beyond the samples of a frame
    w = dw = empty("w", size, dtype)
    if gradient or size[0] == 1:  # a single row takes no time, and a second kernel would have to be compiled
        dw = empty("dw", size, dtype)
        plan.kernels.window_rows(series.value, series.derivative, series.plateau, theta, lead, count, w, dw)
    else:
        plan.kernels.polynomial_rows(series.value, series.plateau, theta, lead, count, w)
    rows = tuple(empty(f"dshape {j}", size, dtype) for j in range(n_shape))
    for j, row in enumerate(rows):
        plan.kernels.polynomial_rows(series.shape[j], series.plateau, theta, lead, count, row)
    return w, dw, rows


def sample_windows(
    plan: FramePlan, frames: PlacedFrames, dtype: Any, *, gradient: bool, shape: bool, empty: Empty | None = None
) -> WindowRows:
    """Sample the windows of `frames` and their scale; with `gradient` and `shape` also the derivatives.

    The rows of windows are arrays from ``empty(name, shape, dtype)``, by default new ones.
    """
    theta, n = frames.win_length, len(frames)

    def new(name: str, size: tuple[int, int], dtype: Any) -> AnyArray:
        return cast(AnyArray, plan.kernels.xp.empty(size, dtype))

    w, dw, dshape = _sample(plan, theta, frames.lead, frames.count, dtype, gradient, shape, empty or new)
    if plan.scaling is None:
        one, zero = np.full(n, plan.amplitude), np.zeros(n)
        return WindowRows(w, dw, dshape, one, zero, np.zeros((len(dshape), n)))
    # The sums run over the samples of a frame at an integer position, so the scale depends on theta alone.
    lead = np.ceil(plan.window_offset - theta / 2) - plan.window_offset
    if np.array_equal(lead, frames.lead):
        cw, cdw, cdshape, count = w, dw, dshape, frames.count
    else:
        last = np.ceil(plan.window_offset + theta / 2) - plan.window_offset
        count = (last - lead).astype(np.int64)
        cw, cdw, cdshape = _sample(plan, theta, lead, count, float, gradient, shape, new)
    sums = np.zeros((4, n))
    plan.kernels.row_sums(cw, cdw, theta, lead, count, sums)
    shape_sums = np.array(_shape_sums(plan, cdshape, cw, count)).reshape(len(cdshape), 2, n)
    return WindowRows(w, dw, dshape, *scale_of_sums(plan, theta, sums, shape_sums))


def _shape_sums(plan: FramePlan, rows: tuple[FloatArray, ...], w: FloatArray, count: IntArray) -> list[Float64Array]:
    """Sum the derivatives with respect to the shape parameters, and their products with the window, over each frame."""
    if not rows:
        return []
    inside = plan.kernels.asarray(np.arange(w.shape[1]) < count[:, None])
    xp = plan.kernels.xp
    w, *masked = [xp.where(inside, row, 0.0) for row in (w, *rows)]  # entries beyond are undefined
    return [plan.kernels.to_host(xp.stack([row.sum(1), (row * w).sum(1)])) for row in masked]


def scale_of_sums(
    plan: FramePlan, theta: Float64Array, sums: Float64Array, shape: Float64Array
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Scale ``c`` of each window and its derivatives with respect to ``theta`` and the shape parameters.

    `sums` has the sums of ``w``, ``w' u``, ``w**2`` and ``w w' u`` for each window. `shape`, shape (n_shape, 2,
    windows), has the sums of the derivatives with respect to the shape parameters and of their products with ``w``.
    """
    magnitude = plan.scaling == "magnitude"
    scale, gradient = window_scale(magnitude, plan.T, theta, *(sums[:2] if magnitude else sums[2:]))
    # c = 1/|sum w| or (T/sum w**2)**(1/2), and the derivative of w**2 is twice the product with w
    shape_gradient = -scale * (shape[:, 0] / sums[0] if magnitude else shape[:, 1] / sums[2])
    return scale * plan.amplitude, gradient * plan.amplitude, shape_gradient * plan.amplitude
