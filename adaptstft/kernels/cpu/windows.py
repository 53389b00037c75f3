"""Numba kernels for windows: polynomials at the samples of frames, and sums of window samples."""

from __future__ import annotations

import math

import numpy as np

from adaptstft.kernels.cpu.jit import helper, inlined_helper, kernel


@kernel
def window_rows(value, derivative, plateau, theta, lead, count, w, dw):  # type: ignore[no-untyped-def]
    """Evaluate a window and its derivative in ``u``, one row for each frame."""
    y = np.empty(w.shape[1], value.dtype)
    forms = symmetry(value), symmetry(derivative)
    for b in range(theta.size):
        window_and_derivative(value, derivative, forms, plateau, theta[b], lead[b], count[b], y, w[b], dw[b])


@helper
def window_and_derivative(value, derivative, forms, plateau, theta, lead, count, y, w, dw):  # type: ignore[no-untyped-def]
    """Evaluate one window and its derivative in ``u`` at its first `count` samples; `y` is scratch space.

    `forms` are the symmetries of both polynomials. Slices would count references, see `adaptstft.kernels.cpu.frames`.
    """
    n = _even_row(value, forms[0], plateau, theta, lead, count, y, w)
    _odd_row(derivative, forms[1], lead, n, count, y, dw)


@helper
def window_derivative(derivative, form, plateau, theta, lead, count, y, dw):  # type: ignore[no-untyped-def]
    """Evaluate only the derivative in ``u`` of one window; `y` is scratch space."""
    n = _count_distinct(lead, count)
    taper_position(plateau, theta, lead, n, y)
    _odd_row(derivative, form, lead, n, count, y, dw)


@helper
def _odd_row(derivative, form, lead, n, count, y, dw):  # type: ignore[no-untyped-def]
    """Evaluate an odd function of ``u`` at the first `n` samples, and fill the others by symmetry."""
    polynomial(derivative, form, y, n, dw)
    before = min(max(math.ceil(-lead), 0), n)
    for i in range(before):
        dw[i] = -dw[i]
    if before < n and lead + before == 0:
        dw[before] = 0
    _mirror(lead, n, count, -1, dw)


@kernel
def polynomial_rows(coefficients, plateau, theta, lead, count, out):  # type: ignore[no-untyped-def]
    """Evaluate one polynomial in ``|u|``, one row for each frame."""
    _even_rows(coefficients, plateau, theta, lead, count, np.empty(out.shape[1], coefficients.dtype), out)


@inlined_helper
def _even_rows(coefficients, plateau, theta, lead, count, y, out):  # type: ignore[no-untyped-def]
    form = symmetry(coefficients)
    for b in range(theta.size):
        _even_row(coefficients, form, plateau, theta[b], lead[b], count[b], y, out[b])


@helper
def _even_row(coefficients, form, plateau, theta, lead, count, y, out):  # type: ignore[no-untyped-def]
    """Evaluate one polynomial in ``|u|`` at the samples of a frame; `y` is scratch space."""
    n = _count_distinct(lead, count)
    taper_position(plateau, theta, lead, n, y)
    polynomial(coefficients, form, y, n, out)
    _mirror(lead, n, count, 1, out)
    return n


@helper
def _count_distinct(lead, count):  # type: ignore[no-untyped-def]
    """Count the samples to evaluate: those up to the centre if the others are their mirror images, otherwise all."""
    mirrored = 2.0 * lead == math.floor(2.0 * lead) and count <= 1.0 - 2.0 * lead
    return min(count, math.floor(-lead) + 1) if mirrored else count


@helper
def _mirror(lead, n, count, sign, row):  # type: ignore[no-untyped-def]
    """Fill ``row[n:count]`` by symmetry: sample ``i`` is the mirror image of sample ``-2 * lead - i``."""
    if n < count:  # as slices, of which LLVM can test that they do not overlap
        end = int(-2.0 * lead) + 1
        _reverse(row[end - count : end - n], sign, row[n:count])


@helper
def _reverse(source, sign, out):  # type: ignore[no-untyped-def]
    sign = out.dtype.type(sign)  # the product with an integer would be in double precision
    for i in range(out.size):
        out[i] = sign * source[np.uint64(out.size - 1 - i)]  # unsigned: no test for negative indices


@helper
def taper_position(plateau, theta, lead, count, y):  # type: ignore[no-untyped-def]
    """Compute the argument of the window polynomials at each sample: -1 on the plateau, 1 at the window ends."""
    real = y.dtype.type
    lead, step, one = real(lead), real(1.0 / theta), real(1)
    zero, plateau, stretch = real(0), real(plateau), real(4.0 / (1.0 - 2.0 * plateau))
    for i in range(count):  # 32 bits: not every CPU converts vectors of 64
        y[i] = max(abs((lead + real(np.int32(i))) * step) - plateau, zero) * stretch - one


@helper
def times_position(dw, lead, step, count, out):  # type: ignore[no-untyped-def]
    """Write ``dw * u``."""
    lead, step = out.dtype.type(lead), out.dtype.type(step)
    for i in range(count):  # 32 bits: not every CPU converts vectors of 64
        out[i] = dw[i] * ((lead + out.dtype.type(np.int32(i))) * step)


#: What `symmetry` returns.
_GENERAL, _EVEN, _CONSTANT_PLUS_ODD = 0, 1, 2


@helper
def symmetry(c):  # type: ignore[no-untyped-def]
    """Return whether a polynomial is even, or a constant plus an odd function: half of its coefficients are zero.

    The Hann window is such a function of the distance from its half height, and its derivative is even.
    """
    even, odd = True, True
    for k in range(1, c.size):
        if c[k] != 0 and k % 2 == 1:
            even = False
        if c[k] != 0 and k % 2 == 0:
            odd = False
    return _EVEN if even else _CONSTANT_PLUS_ODD if odd else _GENERAL


@helper
def polynomial(c, form, y, count, p):  # type: ignore[no-untyped-def]
    """Evaluate the polynomial with coefficients `c`, lowest power first, at the first `count` numbers of `y`.

    `form` is its `symmetry`. With a constant number of terms LLVM unrolls the inner loop and vectorises the outer one,
    so that the loops for the sizes of window polynomials are written out.
    """
    if c.size == 12 and form == _CONSTANT_PLUS_ODD:
        for i in range(count):
            z, v = y[i] * y[i], c[11]
            for k in range(9, 0, -2):
                v = v * z + c[k]
            p[i] = v * y[i] + c[0]
    elif c.size == 12 and form == _EVEN:
        for i in range(count):
            z, v = y[i] * y[i], c[10]
            for k in range(8, -1, -2):
                v = v * z + c[k]
            p[i] = v
    elif c.size == 17 and form == _CONSTANT_PLUS_ODD:
        for i in range(count):
            z, v = y[i] * y[i], c[15]
            for k in range(13, 0, -2):
                v = v * z + c[k]
            p[i] = v * y[i] + c[0]
    elif c.size == 17 and form == _EVEN:
        for i in range(count):
            z, v = y[i] * y[i], c[16]
            for k in range(14, -1, -2):
                v = v * z + c[k]
            p[i] = v
    elif c.size == 12:
        for i in range(count):
            v = c[11]
            for k in range(10, -1, -1):
                v = v * y[i] + c[k]
            p[i] = v
    elif c.size == 17:
        for i in range(count):
            v = c[16]
            for k in range(15, -1, -1):
                v = v * y[i] + c[k]
            p[i] = v
    elif c.size == 22:
        for i in range(count):
            v = c[21]
            for k in range(20, -1, -1):
                v = v * y[i] + c[k]
            p[i] = v
    elif c.size == 28:
        for i in range(count):
            v = c[27]
            for k in range(26, -1, -1):
                v = v * y[i] + c[k]
            p[i] = v
    else:
        for i in range(count):
            v = c[c.size - 1]
            for k in range(c.size - 2, -1, -1):
                v = v * y[i] + c[k]
            p[i] = v


@kernel
def row_sums(w, dw, theta, lead, count, out):  # type: ignore[no-untyped-def]
    """Write the sums of ``w``, ``dw * u``, ``w**2`` and ``w * dw * u`` over row ``b`` to ``out[:, b]``."""
    for b in range(theta.size):
        s0, s1, s2, s3 = 0.0, 0.0, 0.0, 0.0
        step = 1.0 / theta[b]
        for i in range(count[b]):
            v = float(w[b, i])
            du = float(dw[b, i]) * (lead[b] + i) * step
            s0 += v
            s1 += du
            s2 += v * v
            s3 += v * du
        out[0, b] = s0
        out[1, b] = s1
        out[2, b] = s2
        out[3, b] = s3
