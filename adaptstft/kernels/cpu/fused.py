"""Numba kernels that fuse window samples, windowed frames and sums, one frame after the other.

The window samples of a whole block would fill the cache that its FFTs need. These kernels therefore
evaluate the window of one frame while the samples of the frame are in the first-level cache, and evaluate
it again for the derivatives. Consecutive frames with the same window share its samples.
"""

from __future__ import annotations

import math

import numpy as np

from adaptstft.kernels.cpu.frames import energy_terms, scaled_product, wrapped_range
from adaptstft.kernels.cpu.jit import helper, kernel
from adaptstft.kernels.cpu.windows import window_and_derivative, window_derivative
from adaptstft.kernels.window_scale import window_scale

_window_scale = helper(window_scale)


@kernel
def load_frames_and_energy_gradient(  # type: ignore[no-untyped-def]
    x, value, derivative, plateau, theta, lead, start, count, offset, scaling, T, amplitude, origin, gain, onesided,
    out, scales, energy,
):  # fmt: skip
    """Write windowed frames to the rows of the FFT input, and compute the gradient of their energy.

    ``scales[:, b]`` gets the scale of window ``b`` and its derivative in the window length. The derivatives of the
    energy ``sum |S|**2`` of frame ``b`` in the window length and centre are added to ``energy[:, b]``.
    """
    rows = np.empty((7, _longest(theta) + 2), value.dtype)
    w, dw, dw_u = rows[1], rows[2], rows[3]
    for b in range(theta.size):
        if not _same_window(theta, lead, count, b):
            c, dc = _window_and_scale(
                value, derivative, plateau, theta[b], lead[b], count[b], scaling, T, amplitude, origin, rows
            )
        scales[0, b] = c
        scales[1, b] = dc
        first, last = _load_frame(x, w, w.dtype.type(c), start[b], count[b], offset[b], out[b])
        edges = _edge_bins(out[b]) if onesided else (0.0, 0.0)
        factor, zero, nyquist = energy_terms(c, edges, gain, out.shape[1], onesided)
        if (offset[b] + first) % 2:
            nyquist = -nyquist
        own = x[start[b] + first : start[b] + last]
        a0, a1, a2 = _energy_sums(own, w[first:last], dw[first:last], dw_u[first:last], factor, zero, nyquist)
        energy[0, b] += dc * a0 - c / theta[b] * a1
        energy[1, b] -= c / theta[b] * a2


@helper
def _sample_window(value, derivative, plateau, theta, lead, count, y, w, dw, dw_u):  # type: ignore[no-untyped-def]
    """Evaluate a window, its derivative in ``u`` and ``u`` times the derivative; `y` is scratch space."""
    window_and_derivative(value, derivative, plateau, theta, lead, y, w[:count], dw[:count])
    _times_position(dw[:count], lead, 1.0 / theta, dw_u)


@helper
def _same_window(theta, lead, count, b):  # type: ignore[no-untyped-def]
    """Return True if a frame has the same window samples as the frame before."""
    return b > 0 and theta[b] == theta[b - 1] and lead[b] == lead[b - 1] and count[b] == count[b - 1]


@helper
def _longest(theta):  # type: ignore[no-untyped-def]
    """Return the longest window length, rounded down; Numba's own maximum takes half a second to compile."""
    longest = 0.0
    for b in range(theta.size):
        longest = max(longest, theta[b])
    return int(longest)


@helper
def _window_and_scale(  # type: ignore[no-untyped-def]
    value, derivative, plateau, theta, lead, count, scaling, T, amplitude, origin, rows
):
    """Evaluate a window in rows 1 to 3, see `_sample_window`; return its scale, and the derivative in the length.

    The other rows are scratch space.
    """
    _sample_window(value, derivative, plateau, theta, lead, count, rows[0], rows[1], rows[2], rows[3])
    if scaling == 0:
        return amplitude, 0.0
    w, dw_u, size = rows[1], rows[3], count
    sum_lead = math.ceil(origin - theta / 2) - origin  # the scale is defined by a frame at an integer position
    if sum_lead != lead:
        w, dw_u, size = rows[4], rows[6], int(math.ceil(origin + theta / 2) - origin - sum_lead)
        _sample_window(value, derivative, plateau, theta, sum_lead, size, rows[0], w, rows[5], dw_u)
    total, change = _sums(w[:size], dw_u[:size], scaling == 1)
    c, dc = _window_scale(scaling == 1, T, theta, total, change)
    return c * amplitude, dc * amplitude


@helper
def _sums(w, dw_u, magnitude):  # type: ignore[no-untyped-def]
    """Return the sums of ``w`` and ``w' u``, or of ``w**2`` and ``w w' u``, see `window_scale`."""
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


@helper
def _load_frame(x, w, c, start, count, offset, row):  # type: ignore[no-untyped-def]
    """Write one windowed frame, and return the range of its samples that are inside the signal."""
    lo, mid, hi = wrapped_range(start, count, offset, row.size, 0, x.size)
    wrap = row.size - offset
    row[:] = 0
    if lo < mid:
        scaled_product(x[start + lo : start + mid], w[lo:mid], c, row[offset + lo : offset + mid])
    if mid < hi:
        scaled_product(x[start + mid : start + hi], w[mid:hi], c, row[mid - wrap : hi - wrap])
    return lo, hi


@helper
def _energy_sums(x, w, dw, dw_u, factor, zero, nyquist):  # type: ignore[no-untyped-def]
    """Sum ``Re(conj(y) x)`` times the window and its derivatives, for the adjoint frame ``y`` of the energy."""
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


@helper
def _edge_bins(row):  # type: ignore[no-untyped-def]
    """Return the bins at zero and Nyquist frequency of a frame: its sum, and its sum with alternating signs."""
    zero, nyquist = 0.0, 0.0
    for i in range(row.size):
        v = row[i].real
        zero += v
        nyquist += v if i % 2 == 0 else -v
    return zero, nyquist if row.size % 2 == 0 else 0.0


@kernel
def window_gradient(y, x, derivative, plateau, theta, lead, start, count, offset, scales, log_scale_derivative, out):  # type: ignore[no-untyped-def]
    """Add the derivatives of a loss in the window lengths and centres, given its adjoint frames `y`, to `out`.

    `log_scale_derivative` is the derivative of the loss in the logarithm of each frame's scale; `scales` are the
    scales from `load_frames_and_energy_gradient`.
    """
    mfft = y.shape[1]
    rows = np.empty((3, _longest(theta) + 2), derivative.dtype)
    dw, dw_u = rows[1], rows[2]
    for b in range(theta.size):
        step = 1.0 / theta[b]
        if not _same_window(theta, lead, count, b):
            _sample_derivative(derivative, plateau, theta[b], lead[b], rows[0], dw[: count[b]], dw_u)
        lo, mid, hi = wrapped_range(start[b], count[b], offset[b], mfft, 0, x.size)
        a1, a2 = 0.0, 0.0
        for part in range(2):
            first = lo if part == 0 else mid
            last = mid if part == 0 else hi
            if first >= last:
                continue
            shift = offset[b] if part == 0 else offset[b] - mfft
            b1, b2 = _derivative_sums(
                y[b, shift + first : shift + last],
                x[start[b] + first : start[b] + last],
                dw[first:last],
                dw_u[first:last],
            )
            a1 += b1
            a2 += b2
        out[0, b] += scales[1, b] / scales[0, b] * log_scale_derivative[b] - scales[0, b] * step * a1
        out[1, b] -= scales[0, b] * step * a2


@helper
def _sample_derivative(derivative, plateau, theta, lead, y, dw, dw_u):  # type: ignore[no-untyped-def]
    """Evaluate the derivative of a window in ``u``, and ``u`` times the derivative; `y` is scratch space."""
    window_derivative(derivative, plateau, theta, lead, y, dw)
    _times_position(dw, lead, 1.0 / theta, dw_u)


@helper
def _times_position(dw, lead, step, out):  # type: ignore[no-untyped-def]
    """Write ``dw * u``."""
    for i in range(dw.size):
        out[i] = dw[i] * ((lead + i) * step)


@helper
def _derivative_sums(y, x, dw, dw_u):  # type: ignore[no-untyped-def]
    """Return the sums of ``Re(conj(y) x)`` times ``dw * u`` and ``dw``."""
    a1, a2 = 0.0, 0.0
    for i in range(y.size):
        v = y[i].real * x[i].real + y[i].imag * x[i].imag
        a1 += v * dw_u[i]
        a2 += v * dw[i]
    return a1, a2
