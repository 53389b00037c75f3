"""NumPy kernels for windows: polynomials at the samples of frames, and sums of window samples."""

from __future__ import annotations

import numpy as np
from numpy.polynomial import polynomial

from adaptstft.common.typing import AnyArray, Float64Array, IntArray


def window_rows(
    value: Float64Array,
    derivative: Float64Array,
    plateau: float,
    theta: Float64Array,
    lead: Float64Array,
    count: IntArray,
    w: AnyArray,
    dw: AnyArray,
) -> None:
    """Evaluate a window and its derivative in ``u``, one row for each frame."""
    for b, n in enumerate(count):
        y = _taper_position(plateau, theta[b], lead[b], n)
        w[b, :n] = polynomial.polyval(y, value)
        dw[b, :n] = polynomial.polyval(y, derivative) * np.sign(lead[b] + np.arange(n))


def polynomial_rows(
    coefficients: Float64Array,
    plateau: float,
    theta: Float64Array,
    lead: Float64Array,
    count: IntArray,
    out: AnyArray,
) -> None:
    """Evaluate one polynomial in ``|u|``, one row for each frame."""
    for b, n in enumerate(count):
        out[b, :n] = polynomial.polyval(_taper_position(plateau, theta[b], lead[b], n), coefficients)


def _taper_position(plateau: float, theta: float, lead: float, count: int) -> Float64Array:
    """Return the argument of the window polynomials at each sample: -1 on the plateau, 1 at the window ends."""
    u = (lead + np.arange(count)) / theta
    return np.asarray(np.maximum(np.abs(u) - plateau, 0) * 4 / (1 - 2 * plateau) - 1)


def row_sums(
    w: AnyArray, dw: AnyArray, theta: Float64Array, lead: Float64Array, count: IntArray, out: Float64Array
) -> None:
    """Write the sums of ``w``, ``dw * u``, ``w**2`` and ``w * dw * u`` over row ``b`` to ``out[:, b]``."""
    for b, n in enumerate(count):
        v = w[b, :n].astype(float)
        du = dw[b, :n] * ((lead[b] + np.arange(n)) / theta[b])
        out[:, b] = v.sum(), du.sum(), v @ v, v @ du
