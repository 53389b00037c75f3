"""Numba kernels that fuse window samples, windowed frames and sums, one frame after the other.

The window samples of a whole block would fill the cache that its FFTs need. These kernels therefore
evaluate the window of one frame while the samples of the frame are in the first-level cache, and evaluate
it again for the derivatives. Consecutive frames with the same window share its samples.
"""

from __future__ import annotations

import math

import numpy as np

from adaptstft.kernels.cpu.frames import CHUNK, energy_terms, load_frame, wrapped_range
from adaptstft.kernels.cpu.jit import helper, kernel
from adaptstft.kernels.cpu.windows import symmetry, times_position, window_and_derivative, window_derivative
from adaptstft.kernels.window_scale import window_scale

_window_scale = helper(window_scale)


@kernel
def load_frames_and_energy_gradient(  # type: ignore[no-untyped-def]
    x, value, derivative, plateau, theta, lead, start, count, offset, scaling, T, amplitude, origin, gain, onesided,
    out, scales, energy,
):  # fmt: skip
    """Write windowed frames to the rows of the FFT input, and compute the gradient of their energy.

    ``scales[:, b]`` gets the scale of window ``b`` and its derivative in the window length. The derivatives of the
    energy ``sum |S|**2`` of frame ``b`` in the window length and centre are added to ``energy[:, b]``, which may have
    no columns if they are not needed.
    """
    rows = np.empty((7, _longest(theta) + 2), value.dtype)
    forms = symmetry(value), symmetry(derivative)
    for b in range(theta.size):
        if not _same_window(theta, lead, count, b):
            c, dc = _window_and_scale(
                value, derivative, forms, plateau, theta[b], lead[b], count[b], scaling, T, amplitude, origin, rows
            )
        scales[0, b] = c
        scales[1, b] = dc
        first, last = load_frame(x, rows, 1, c, start[b], count[b], offset[b], out, b)
        if energy.shape[1] == 0:
            continue
        edges = _edge_bins(out, b) if onesided else (0.0, 0.0)
        factor, zero, nyquist = energy_terms(c, edges, gain, out.shape[1], onesided)
        if offset[b] % 2:
            nyquist = -nyquist
        a0, a1, a2 = _energy_sums(x, start[b], rows, first, last, factor, zero, nyquist)
        energy[0, b] += dc * a0 - c / theta[b] * a1
        energy[1, b] -= c / theta[b] * a2


@helper
def _sample_window(value, derivative, forms, plateau, theta, lead, count, y, w, dw, dw_u):  # type: ignore[no-untyped-def]
    """Evaluate a window, its derivative in ``u`` and ``u`` times the derivative; `y` is scratch space."""
    window_and_derivative(value, derivative, forms, plateau, theta, lead, count, y, w, dw)
    times_position(dw, lead, 1.0 / theta, count, dw_u)


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
    value, derivative, forms, plateau, theta, lead, count, scaling, T, amplitude, origin, rows
):
    """Evaluate a window in rows 1 to 3, see `_sample_window`; return its scale, and the derivative in the length.

    The other rows are scratch space.
    """
    _sample_window(value, derivative, forms, plateau, theta, lead, count, rows[0], rows[1], rows[2], rows[3])
    if scaling == 0:
        return amplitude, 0.0
    k, size = 1, count
    sum_lead = math.ceil(origin - theta / 2) - origin  # the scale is defined by a frame at an integer position
    if sum_lead != lead:
        k, size = 4, int(math.ceil(origin + theta / 2) - origin - sum_lead)
        _sample_window(value, derivative, forms, plateau, theta, sum_lead, size, rows[0], rows[4], rows[5], rows[6])
    total, change = _sums(rows, k, size, scaling == 1)
    c, dc = _window_scale(scaling == 1, T, theta, total, change)
    return c * amplitude, dc * amplitude


@helper
def _sums(rows, k, size, magnitude):  # type: ignore[no-untyped-def]
    """Return the sums of ``w`` and ``w' u``, or of ``w**2`` and ``w w' u``, see `window_scale`.

    The window is in row `k` of `rows`, ``w' u`` in row ``k + 2``.
    """
    total, change = 0.0, 0.0
    for low in range(0, size, CHUNK):
        part, part_change = rows.dtype.type(0), rows.dtype.type(0)
        first, last = np.uint64(low), np.uint64(min(low + CHUNK, size))
        if magnitude:
            for i in range(first, last):
                part += rows[k, i]
                part_change += rows[k + 2, i]
        else:
            for i in range(first, last):
                part += rows[k, i] * rows[k, i]
                part_change += rows[k, i] * rows[k + 2, i]
        total += part
        change += part_change
    return total, change


@helper
def _energy_sums(x, start, rows, first, last, factor, zero, nyquist):  # type: ignore[no-untyped-def]
    """Sum ``Re(conj(y) x)`` times the window and its derivatives, for the adjoint frame ``y`` of the energy."""
    real = rows.dtype.type
    factor, zero, nyquist = real(factor), real(zero), real(nyquist)
    a0, a1, a2 = 0.0, 0.0, 0.0
    for low in range(first, last, CHUNK):
        b0, b1, b2 = real(0), real(0), real(0)
        row, source = np.uint64(low), np.uint64(start + low)
        even, odd = (zero + nyquist, zero - nyquist) if low % 2 == 0 else (zero - nyquist, zero + nyquist)
        for i in range(np.uint64(min(CHUNK, last - low))):
            value = x[source + i]
            re, im = value.real, value.imag
            v = (re * re + im * im) * (rows[1, row + i] * factor) + re * (even if i % 2 == 0 else odd)
            b0 += v * rows[1, row + i]
            b1 += v * rows[3, row + i]
            b2 += v * rows[2, row + i]
        a0 += b0
        a1 += b1
        a2 += b2
    return a0, a1, a2


@helper
def _edge_bins(frames, b):  # type: ignore[no-untyped-def]
    """Return the bins at zero and Nyquist frequency of a frame: its sum, and its sum with alternating signs."""
    zero, nyquist = 0.0, 0.0
    for low in range(0, frames.shape[1], CHUNK):
        part, alternating = frames.real.dtype.type(0), frames.real.dtype.type(0)
        first = np.uint64(low)
        for i in range(np.uint64(min(CHUNK, frames.shape[1] - low))):
            v = frames[b, first + i].real
            part += v
            alternating += v if i % 2 == 0 else -v
        zero += part
        nyquist += alternating
    return zero, nyquist if frames.shape[1] % 2 == 0 else 0.0


@kernel
def window_gradient(y, x, derivative, plateau, theta, lead, start, count, offset, scales, log_scale_derivative, out):  # type: ignore[no-untyped-def]
    """Add the derivatives of a loss in the window lengths and centres, given its adjoint frames `y`, to `out`.

    `log_scale_derivative` is the derivative of the loss in the logarithm of each frame's scale; `scales` are the
    scales from `load_frames_and_energy_gradient`.
    """
    mfft = y.shape[1]
    rows, form = np.empty((3, _longest(theta) + 2), derivative.dtype), symmetry(derivative)
    for b in range(theta.size):
        step = 1.0 / theta[b]
        if not _same_window(theta, lead, count, b):
            window_derivative(derivative, form, plateau, theta[b], lead[b], count[b], rows[0], rows[1])
            times_position(rows[1], lead[b], step, count[b], rows[2])
        lo, mid, hi = wrapped_range(start[b], count[b], offset[b], mfft, 0, x.size)
        a1, a2 = 0.0, 0.0
        for part in range(2):
            first = lo if part == 0 else mid
            last = mid if part == 0 else hi
            column = offset[b] if part == 0 else offset[b] - mfft
            b1, b2 = _derivative_sums(y, b, column, x, start[b], rows, first, last)
            a1 += b1
            a2 += b2
        out[0, b] += scales[1, b] / scales[0, b] * log_scale_derivative[b] - scales[0, b] * step * a1
        out[1, b] -= scales[0, b] * step * a2


@helper
def _derivative_sums(y, b, column, x, start, rows, first, last):  # type: ignore[no-untyped-def]
    """Return the sums of ``Re(conj(y) x)`` times ``dw * u`` and ``dw`` over samples `first` to `last` of a frame.

    Sample ``i`` of the frame is in column ``column + i`` of the adjoint frames, and at ``start + i`` in the signal.
    """
    real = rows.dtype.type
    a1, a2 = 0.0, 0.0
    for low in range(first, last, CHUNK):
        b1, b2 = real(0), real(0)
        row, at, source = np.uint64(low), np.uint64(column + low), np.uint64(start + low)
        for i in range(np.uint64(min(CHUNK, last - low))):
            yi, xi = y[b, at + i], x[source + i]
            v = yi.real * xi.real + yi.imag * xi.imag
            b1 += v * rows[2, row + i]
            b2 += v * rows[1, row + i]
        a1 += b1
        a2 += b2
    return a1, a2
