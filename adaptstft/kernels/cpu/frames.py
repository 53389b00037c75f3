"""Numba kernels between the signal and the FFT input: windowed frames, overlap-add, sums over samples."""

from __future__ import annotations

from adaptstft.kernels.cpu.jit import helper, kernel


@kernel
def load_frames(x, w, scale, start, count, offset, out):  # type: ignore[no-untyped-def]
    """Write windowed frames to the rows of the FFT input."""
    mfft = out.shape[1]
    for b in range(start.size):
        row = out[b]
        row[:] = 0
        k = b if w.shape[0] > 1 else 0
        lo, mid, hi = wrapped_range(start[b], count[b], offset[b], mfft, 0, x.size)
        wrap = mfft - offset[b]
        if lo < mid:
            scaled_product(
                x[start[b] + lo : start[b] + mid], w[k, lo:mid], scale[k], row[offset[b] + lo : offset[b] + mid]
            )
        if mid < hi:
            scaled_product(x[start[b] + mid : start[b] + hi], w[k, mid:hi], scale[k], row[mid - wrap : hi - wrap])


@helper
def wrapped_range(start, count, offset, mfft, low, high):  # type: ignore[no-untyped-def]
    """Return the samples ``lo <= i < hi`` of a frame in ``low <= n < high``, and ``mid``, where the columns wrap.

    Samples ``lo <= i < mid`` are in columns ``offset + i``, samples ``mid <= i < hi`` in columns
    ``offset + i - mfft``. Loops over slices between these bounds need no test for negative indices, so LLVM can
    vectorise them.
    """
    lo = min(max(0, low - start), count)
    hi = max(lo, min(count, high - start))
    mid = min(max(lo, mfft - offset), hi)
    return lo, mid, hi


@helper
def scaled_product(x, w, scale, out):  # type: ignore[no-untyped-def]
    """Write ``x * w * scale`` to `out`."""
    for i in range(out.size):
        out[i] = x[i] * (w[i] * scale)


@kernel
def overlap_add(y, w, scale, start, count, offset, low, out):  # type: ignore[no-untyped-def]
    """Add windowed frames to `out`, a part of the signal that begins at sample `low`."""
    mfft = y.shape[1]
    for b in range(start.size):
        k = b if w.shape[0] > 1 else 0
        lo, mid, hi = wrapped_range(start[b], count[b], offset[b], mfft, low, low + out.size)
        first = start[b] - low
        wrap = mfft - offset[b]
        if lo < mid:
            _add_scaled_product(
                y[b, offset[b] + lo : offset[b] + mid], w[k, lo:mid], scale[k], out[first + lo : first + mid]
            )
        if mid < hi:
            _add_scaled_product(y[b, mid - wrap : hi - wrap], w[k, mid:hi], scale[k], out[first + mid : first + hi])


@helper
def _add_scaled_product(y, w, scale, out):  # type: ignore[no-untyped-def]
    for i in range(out.size):
        out[i] += y[i] * (w[i] * scale)


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
        wrap = mfft - offset[b]
        for part in range(2):
            first = lo if part == 0 else mid
            last = mid if part == 0 else hi
            if first >= last:
                continue
            shift = offset[b] if part == 0 else -wrap
            a0, a1, a2 = _weighted_sums(
                y[b, shift + first : shift + last],
                x[start[b] + first : start[b] + last],
                w[k, first:last],
                dw[k, first:last],
                lead[b] + first,
                1.0 / theta[b],
            )
            out[0, b] += a0
            out[1, b] += a1
            out[2, b] += a2


@helper
def _weighted_sums(y, x, w, dw, lead, step):  # type: ignore[no-untyped-def]
    a0, a1, a2 = 0.0, 0.0, 0.0
    for i in range(y.size):
        v = float(y[i].real) * x[i].real + float(y[i].imag) * x[i].imag
        d = v * dw[i]
        a0 += v * w[i]
        a1 += d * ((lead + i) * step)
        a2 += d
    return a0, a1, a2


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
