"""Numba kernels between the signal and the FFT input: windowed frames, overlap-add, sums over samples.

The inner loops that take most of the time are over unsigned indices of whole arrays. A slice would count references,
and a signed index needs a test whether it counts from the end: with either of them LLVM does not vectorise the loop, or
takes longer before it.
"""

from __future__ import annotations

import numpy as np

from adaptstft.kernels.cpu.jit import helper, kernel

#: Number of terms that are added in the precision of the signal before their sum is added in double precision.
CHUNK = 256


@kernel
def load_frames(x, w, scale, start, count, offset, out):  # type: ignore[no-untyped-def]
    """Write windowed frames to the rows of the FFT input."""
    for b in range(start.size):
        k = b if w.shape[0] > 1 else 0
        load_frame(x, w, k, scale[k], start[b], count[b], offset[b], out, b)


@helper
def load_frame(x, w, k, scale, start, count, offset, out, b):  # type: ignore[no-untyped-def]
    """Write one windowed frame to row `b` of the FFT input, and return the range of its samples inside the signal.

    The window is in row `k` of `w`. The rest of the row is set to zero.
    """
    mfft = out.shape[1]
    lo, mid, hi = wrapped_range(start, count, offset, mfft, 0, x.size)
    wrap = mfft - offset
    c = w.dtype.type(scale)
    if lo < mid:
        _scaled_product(x, start, w, k, c, lo, mid, out, b, offset)
    if mid < hi:
        _scaled_product(x, start, w, k, c, mid, hi, out, b, -wrap)
    if lo == hi:
        _clear(out, b, 0, mfft)
    elif lo < mid < hi:
        _clear(out, b, hi - wrap, offset + lo)
    else:
        column = offset if lo < mid else -wrap
        _clear(out, b, 0, column + lo)
        _clear(out, b, column + hi, mfft)
    return lo, hi


@helper
def _clear(out, b, low, high):  # type: ignore[no-untyped-def]
    for i in range(np.uint64(low), np.uint64(high)):
        out[b, i] = 0


@helper
def wrapped_range(start, count, offset, mfft, low, high):  # type: ignore[no-untyped-def]
    """Return the samples ``lo <= i < hi`` of a frame in ``low <= n < high``, and ``mid``, where the columns wrap.

    Samples ``lo <= i < mid`` are in columns ``offset + i``, samples ``mid <= i < hi`` in columns
    ``offset + i - mfft``.
    """
    lo = min(max(0, low - start), count)
    hi = max(lo, min(count, high - start))
    mid = min(max(lo, mfft - offset), hi)
    return lo, mid, hi


@helper
def _scaled_product(x, start, w, k, c, low, high, out, b, column):  # type: ignore[no-untyped-def]
    """Write ``x * w * c`` for samples `low` to `high` of a frame to the columns from ``column + low`` on."""
    to, source = np.uint64(column + low), np.uint64(start + low)
    first = np.uint64(low)
    for i in range(np.uint64(high - low)):
        out[b, to + i] = x[source + i] * (w[k, first + i] * c)


@kernel
def overlap_add(y, w, scale, start, count, offset, low, out):  # type: ignore[no-untyped-def]
    """Add windowed frames to `out`, a part of the signal that begins at sample `low`."""
    mfft = y.shape[1]
    for b in range(start.size):
        k = b if w.shape[0] > 1 else 0
        lo, mid, hi = wrapped_range(start[b], count[b], offset[b], mfft, low, low + out.size)
        c = w.dtype.type(scale[k])
        if lo < mid:
            _add_scaled_product(y, b, offset[b], w, k, c, lo, mid, out, start[b] - low)
        if mid < hi:
            _add_scaled_product(y, b, offset[b] - mfft, w, k, c, mid, hi, out, start[b] - low)


@helper
def _add_scaled_product(y, b, column, w, k, c, low, high, out, start):  # type: ignore[no-untyped-def]
    """Add ``y * w * c`` for samples `low` to `high` of a frame to `out`, in which the frame begins at `start`."""
    source, to, first = np.uint64(column + low), np.uint64(start + low), np.uint64(low)
    for i in range(np.uint64(high - low)):
        out[to + i] += y[b, source + i] * (w[k, first + i] * c)


@kernel
def window_energy(w, scale, start, count, low, out):  # type: ignore[no-untyped-def]
    """Add squared windows to `out`, a part of the time axis that begins at sample `low`."""
    for b in range(start.size):
        k = b if w.shape[0] > 1 else 0
        cb = scale[k]
        for i in range(max(0, low - start[b]), min(count[b], low + out.size - start[b])):
            v = float(w[k, i]) * cb
            out[start[b] - low + i] += v * v


@kernel
def reduce_frames(y, x, w, dw, theta, lead, start, count, offset, out):  # type: ignore[no-untyped-def]
    """Add the sums of ``Re(conj(y) x)`` times ``w``, ``dw * u`` and ``dw`` over each frame to ``out[:, b]``."""
    mfft = y.shape[1]
    for b in range(start.size):
        k = b if w.shape[0] > 1 else 0
        lo, mid, hi = wrapped_range(start[b], count[b], offset[b], mfft, 0, x.size)
        for part in range(2):
            first = lo if part == 0 else mid
            last = mid if part == 0 else hi
            column = offset[b] if part == 0 else offset[b] - mfft
            if first < last:
                _add_weighted_sums(y, b, column, x, start[b], w, dw, k, lead[b], 1.0 / theta[b], first, last, out)


@helper
def _add_weighted_sums(y, b, column, x, start, w, dw, k, lead, step, first, last, out):  # type: ignore[no-untyped-def]
    """Add the sums of `reduce_frames` over samples `first` to `last` of a frame.

    Sample ``i`` is in column ``column + i`` of the adjoint frames, and at ``start + i`` in the signal.
    """
    real = w.dtype.type
    step = real(step)
    for low in range(first, last, CHUNK):
        a0, a1, a2, lead_here = real(0), real(0), real(0), real(lead + low)
        row, at, source = np.uint64(low), np.uint64(column + low), np.uint64(start + low)
        for i in range(np.uint64(min(CHUNK, last - low))):
            yi, xi = y[b, at + i], x[source + i]
            v = yi.real * xi.real + yi.imag * xi.imag
            d = v * dw[k, row + i]
            a0 += v * w[k, row + i]
            a1 += d * ((lead_here + real(np.int32(i))) * step)
            a2 += d
        out[0, b] += a0
        out[1, b] += a1
        out[2, b] += a2


@kernel
def reduce_rows(y, x, rows, start, count, offset, out):  # type: ignore[no-untyped-def]
    """Add the sum of ``Re(conj(y) x)`` times `rows` over each frame to ``out[b]``."""
    mfft = y.shape[1]
    for b in range(start.size):
        k = b if rows.shape[0] > 1 else 0
        total = 0.0
        for i in range(max(0, -start[b]), min(count[b], x.size - start[b])):
            j = offset[b] + i
            yi = y[b, j if j < mfft else j - mfft]
            xi = x[start[b] + i]
            total += (float(yi.real) * xi.real + float(yi.imag) * xi.imag) * rows[k, i]
        out[b] += total


@kernel
def energy_cotangent(x, w, scale, start, count, offset, edges, gain, mfft, onesided, out):  # type: ignore[no-untyped-def]
    """Write the adjoint frames of the energy ``sum |S|**2`` over the stored bins, without an inverse FFT.

    ``edges[:, b]`` are the bins at zero and (for an even `mfft`) at the Nyquist frequency, which
    have no mirror image; `gain` is the factor on ``|S|**2`` in all other one-sided bins.
    """
    for b in range(start.size):
        out[b] = 0
        k = b if w.shape[0] > 1 else 0
        lo, mid, hi = wrapped_range(start[b], count[b], offset[b], mfft, 0, x.size)
        factor, zero, nyquist = energy_terms(scale[k], edges[:, b], gain, mfft, onesided)
        for part in range(2):
            first = lo if part == 0 else mid
            last = mid if part == 0 else hi
            if first >= last:
                continue
            column = first + (offset[b] if part == 0 else offset[b] - mfft)
            _energy_row(
                x[start[b] + first : start[b] + last],
                w[k, first:last],
                factor,
                zero,
                nyquist if column % 2 == 0 else -nyquist,
                out[b, column : column + last - first],
            )


@helper
def energy_terms(scale, edges, gain, mfft, onesided):  # type: ignore[no-untyped-def]
    """Return the factor on ``w x``, and the terms of the bins at zero and Nyquist frequency in even columns."""
    if not onesided:
        return 2.0 * mfft * scale, 0.0, 0.0
    return gain * mfft * scale, (2.0 - gain) * edges[0], (2.0 - gain) * edges[1]


@helper
def _energy_row(x, w, factor, zero, nyquist, out):  # type: ignore[no-untyped-def]
    for i in range(out.size):
        out[i] = x[i] * (w[i] * factor) + (zero + (nyquist if i % 2 == 0 else -nyquist))
