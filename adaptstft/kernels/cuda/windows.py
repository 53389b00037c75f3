"""CUDA kernels for windows: polynomials at the samples of frames, and sums of window samples."""

from __future__ import annotations

from typing import Any

from numba import cuda, float64

from adaptstft.common.typing import Float64Array, IntArray
from adaptstft.kernels.cuda.arrays import over_elements, over_rows, upload
from adaptstft.kernels.cuda.jit import block_sum, device_function, kernel


def window_rows(
    value: Float64Array,
    derivative: Float64Array,
    plateau: float,
    theta: Float64Array,
    lead: Float64Array,
    count: IntArray,
    w: Any,
    dw: Any,
) -> None:
    """Evaluate a window and its derivative in ``u``, one row for each frame."""
    value, derivative, theta, lead, count = upload(value, derivative, theta, lead, count)
    over_elements(_window_rows, *w.shape, value, derivative, plateau, theta, lead, count, w, dw)


@kernel
def _window_rows(value, derivative, plateau, theta, lead, count, w, dw):  # type: ignore[no-untyped-def]
    terms = value.size, derivative.size
    for b in range(cuda.blockIdx.y, theta.size, cuda.gridDim.y):
        for i in range(cuda.grid(1), count[b], cuda.gridsize(1)):
            side = lead[b] + i
            y = _taper_position(plateau, theta[b], side)
            w[b, i] = polynomial(value, terms[0], y)
            d = polynomial(derivative, terms[1], y)
            dw[b, i] = d if side > 0 else (-d if side < 0 else 0.0)


def polynomial_rows(
    coefficients: Float64Array, plateau: float, theta: Float64Array, lead: Float64Array, count: IntArray, out: Any
) -> None:
    """Evaluate one polynomial in ``|u|``, one row for each frame."""
    coefficients, theta, lead, count = upload(coefficients, theta, lead, count)
    over_elements(_polynomial_rows, *out.shape, coefficients, plateau, theta, lead, count, out)


@kernel
def _polynomial_rows(coefficients, plateau, theta, lead, count, out):  # type: ignore[no-untyped-def]
    terms = coefficients.size
    for b in range(cuda.blockIdx.y, theta.size, cuda.gridDim.y):
        for i in range(cuda.grid(1), count[b], cuda.gridsize(1)):
            out[b, i] = polynomial(coefficients, terms, _taper_position(plateau, theta[b], lead[b] + i))


@device_function
def _taper_position(plateau, theta, side):  # type: ignore[no-untyped-def]
    """Return the argument of the window polynomials `side` samples from the centre."""
    return max(abs(side / theta) - plateau, 0.0) * 4.0 / (1.0 - 2.0 * plateau) - 1.0


@device_function
def polynomial(c, terms, y):  # type: ignore[no-untyped-def]
    """Evaluate the polynomial with coefficients `c`, lowest power first, at `y`."""
    v = c[terms - 1]
    for k in range(terms - 2, -1, -1):
        v = v * y + c[k]
    return v


def row_sums(w: Any, dw: Any, theta: Float64Array, lead: Float64Array, count: IntArray, out: Any) -> None:
    """Write the sums of ``w``, ``dw * u``, ``w**2`` and ``w * dw * u`` over row ``b`` to ``out[:, b]``."""
    theta, lead, count = upload(theta, lead, count)
    out[...] = 0
    over_rows(_row_sums, (theta.size, 1), out, w, dw, theta, lead, count)


@kernel
def _row_sums(w, dw, theta, lead, count, out):  # type: ignore[no-untyped-def]
    shared = cuda.shared.array(0, float64)
    for b in range(cuda.blockIdx.x, theta.size, cuda.gridDim.x):
        s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
        for i in range(cuda.threadIdx.x, count[b], cuda.blockDim.x):
            v = float(w[b, i])
            du = float(dw[b, i]) * ((lead[b] + i) / theta[b])
            s0 += v
            s1 += du
            s2 += v * v
            s3 += v * du
        s0, s1 = block_sum(s0, shared), block_sum(s1, shared)
        s2, s3 = block_sum(s2, shared), block_sum(s3, shared)
        if cuda.threadIdx.x == 0:
            out[0, b] = s0
            out[1, b] = s1
            out[2, b] = s2
            out[3, b] = s3
