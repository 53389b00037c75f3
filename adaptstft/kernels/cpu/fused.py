"""Numba kernels for value and gradient: windows, frames and sums of a frame while its samples are in the first cache.

Window rows of a block would fill the caches that its FFTs need, so a frame's are evaluated where they are used,
and once more for the derivatives; frames in a row with the same window share them.
"""

from __future__ import annotations

import math

import numpy as np

from adaptstft.kernels.cpu.frames import _energy_terms, _gradient, _kernel, _parts, _product, _window
from adaptstft.kernels.window_scale import window_scale

_window_scale = _kernel(window_scale)


@_kernel
def tuned_frames(  # type: ignore[no-untyped-def]
    x, value, gradient, plateau, theta, lead, start, count, offset, scaling, T, amplitude, origin, gain, onesided, out,
    scales, energy,
):  # fmt: skip
    """Write windowed frames into the rows of the FFT's input, and what follows from their windows alone.

    ``scales[:, b]`` becomes the scale of window ``b`` and its derivative in the length. To ``energy[:, b]`` the
    derivatives of the frame's energy ``sum |S|**2`` in the window's length and centre are added.
    """
    rows = np.empty((7, int(theta.max()) + 2), value.dtype)
    w, dw, dw_u = rows[1], rows[2], rows[3]
    for b in range(theta.size):
        if not _same_window(theta, lead, count, b):
            _sampled(value, gradient, plateau, theta[b], lead[b], count[b], rows[0], w, dw, dw_u)
            c, dc = _scale(value, gradient, plateau, theta[b], lead[b], count[b], scaling, T, amplitude, origin, rows)
        scales[0, b] = c
        scales[1, b] = dc
        first, last = _load_frame(x, w, w.dtype.type(c), start[b], count[b], offset[b], out[b])
        edges = _edge_bins(out[b]) if onesided else (0.0, 0.0)
        factor, zero, nyquist = _energy_terms(c, edges, gain, out.shape[1], onesided)
        if (offset[b] + first) % 2:
            nyquist = -nyquist
        own = x[start[b] + first : start[b] + last]
        a0, a1, a2 = _energy_sums(own, w[first:last], dw[first:last], dw_u[first:last], factor, zero, nyquist)
        energy[0, b] += dc * a0 - c / theta[b] * a1
        energy[1, b] -= c / theta[b] * a2


@_kernel
def _sampled(value, gradient, plateau, theta, lead, count, y, w, dw, dw_u):  # type: ignore[no-untyped-def]
    """Evaluate a window, its derivative in ``u`` and that times ``u``; `y` is scratch."""
    _window(value, gradient, plateau, theta, lead, y, w[:count], dw[:count])
    _times_position(dw[:count], lead, 1.0 / theta, dw_u)


@_kernel
def _same_window(theta, lead, count, b):  # type: ignore[no-untyped-def]
    """Whether a frame has the window of the one before."""
    return b > 0 and theta[b] == theta[b - 1] and lead[b] == lead[b - 1] and count[b] == count[b - 1]


@_kernel
def _scale(value, gradient, plateau, theta, lead, count, scaling, T, amplitude, origin, rows):  # type: ignore[no-untyped-def]
    """Scale of the window in rows 1 to 3 and its derivative in the length; other rows are scratch."""
    if scaling == 0:
        return amplitude, 0.0
    w, dw_u, size = rows[1], rows[3], count
    sum_lead = math.ceil(origin - theta / 2) - origin  # the sums are those of a frame at an integer time
    if sum_lead != lead:
        w, dw_u, size = rows[4], rows[6], int(math.ceil(origin + theta / 2) - origin - sum_lead)
        _sampled(value, gradient, plateau, theta, sum_lead, size, rows[0], w, rows[5], dw_u)
    total, change = _sums(w[:size], dw_u[:size], scaling == 1)
    c, dc = _window_scale(scaling == 1, T, theta, total, change)
    return c * amplitude, dc * amplitude


@_kernel
def _sums(w, dw_u, magnitude):  # type: ignore[no-untyped-def]
    total, change = 0.0, 0.0
    if magnitude:
        for i in range(w.size):
            total += w[i]
            change += dw_u[i]
    else:
        for i in range(w.size):
            v = float(w[i])
            total += v * v
            change += v * dw_u[i]
    return total, change


@_kernel
def _load_frame(x, w, c, start, count, offset, row):  # type: ignore[no-untyped-def]
    """Write one windowed frame; return the range of its samples that lie within the signal."""
    lo, mid, hi = _parts(start, count, offset, row.size, 0, x.size)
    wrap = row.size - offset
    row[:] = 0
    if lo < mid:
        _product(x[start + lo : start + mid], w[lo:mid], c, row[offset + lo : offset + mid])
    if mid < hi:
        _product(x[start + mid : start + hi], w[mid:hi], c, row[mid - wrap : hi - wrap])
    return lo, hi


@_kernel
def _energy_sums(x, w, dw, dw_u, factor, zero, nyquist):  # type: ignore[no-untyped-def]
    """Sum ``Re(conj(y) x)`` for the energy's adjoint frame ``y`` times the window and its derivatives."""
    real = w.dtype.type
    factor, zero, nyquist = real(factor), real(zero), real(nyquist)
    a0, a1, a2 = 0.0, 0.0, 0.0
    for i in range(x.size):
        re, im = x[i].real, x[i].imag
        v = (re * re + im * im) * (w[i] * factor) + re * (zero + (nyquist if i % 2 == 0 else -nyquist))
        a0 += v * w[i]
        a1 += v * dw_u[i]
        a2 += v * dw[i]
    return a0, a1, a2


@_kernel
def _edge_bins(row):  # type: ignore[no-untyped-def]
    """Sum a frame, and with alternating signs where its length is even: the bins without a mirror image."""
    zero, nyquist = 0.0, 0.0
    for i in range(row.size):
        v = row[i].real
        zero += v
        nyquist += v if i % 2 == 0 else -v
    return zero, nyquist if row.size % 2 == 0 else 0.0


@_kernel
def tuned_gradients(y, x, gradient, plateau, theta, lead, start, count, offset, scales, growth, out):  # type: ignore[no-untyped-def]
    """Add the derivatives of a loss in the lengths and centres of the windows, from its adjoint frames, to `out`.

    `growth` is the derivative in the logarithm of each frame's scale, `scales` what `tuned_frames` found.
    """
    mfft = y.shape[1]
    rows = np.empty((3, int(theta.max()) + 2), gradient.dtype)
    dw, dw_u = rows[1], rows[2]
    for b in range(theta.size):
        step = 1.0 / theta[b]
        if not _same_window(theta, lead, count, b):
            _gradient(gradient, plateau, theta[b], lead[b], rows[0], dw[: count[b]])
            _times_position(dw[: count[b]], lead[b], step, dw_u)
        lo, mid, hi = _parts(start[b], count[b], offset[b], mfft, 0, x.size)
        a1, a2 = 0.0, 0.0
        for part in range(2):
            first = lo if part == 0 else mid
            last = mid if part == 0 else hi
            if first >= last:
                continue
            shift = offset[b] if part == 0 else offset[b] - mfft
            b1, b2 = _gradient_sums(
                y[b, shift + first : shift + last],
                x[start[b] + first : start[b] + last],
                dw[first:last],
                dw_u[first:last],
            )
            a1 += b1
            a2 += b2
        out[0, b] += scales[1, b] / scales[0, b] * growth[b] - scales[0, b] * step * a1
        out[1, b] -= scales[0, b] * step * a2


@_kernel
def _times_position(dw, lead, step, out):  # type: ignore[no-untyped-def]
    for i in range(dw.size):
        out[i] = dw[i] * ((lead + i) * step)


@_kernel
def _gradient_sums(y, x, dw, dw_u):  # type: ignore[no-untyped-def]
    a1, a2 = 0.0, 0.0
    for i in range(y.size):
        v = y[i].real * x[i].real + y[i].imag * x[i].imag
        a1 += v * dw_u[i]
        a2 += v * dw[i]
    return a1, a2
