"""CUDA kernels between the signal and the FFT input: windowed frames, overlap-add, sums over samples."""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import cuda, float64

from adaptstft.common.typing import Float64Array, IntArray
from adaptstft.kernels.cuda.arrays import over_elements, over_rows, upload
from adaptstft.kernels.cuda.jit import block_sum, device_function, kernel


def load_frames(
    x: Any, w: Any, scale: Float64Array, start: IntArray, count: IntArray, offset: IntArray, out: Any
) -> None:
    """Write windowed frames to the rows of the FFT input."""
    scale, start, count, offset = upload(scale, start, count, offset)
    over_elements(_load_frames, *out.shape, x, w, scale, start, count, offset, out)


@kernel
def _load_frames(x, w, scale, start, count, offset, out):  # type: ignore[no-untyped-def]
    samples, mfft = x.size, out.shape[1]
    for b in range(cuda.blockIdx.y, start.size, cuda.gridDim.y):
        k = b if w.shape[0] > 1 else 0
        for j in range(cuda.grid(1), mfft, cuda.gridsize(1)):
            i = _sample_of(j, offset[b], mfft)
            n = start[b] + i
            if i < count[b] and 0 <= n < samples:
                out[b, j] = x[n] * (w[k, i] * scale[k])
            else:
                out[b, j] = 0


def overlap_add(
    y: Any, w: Any, scale: Float64Array, start: IntArray, count: IntArray, offset: IntArray, low: int, out: Any
) -> None:
    """Add windowed frames to `out`, a part of the signal that begins at sample `low`."""
    arrays = upload(scale, start, count, offset, *running_bounds(start, count))
    over_elements(_overlap_add, 1, out.size, y, w, *arrays, low, out)


@kernel
def _overlap_add(y, w, scale, start, count, offset, ends, starts, low, out):  # type: ignore[no-untyped-def]
    frames, mfft = y.shape
    stride = 1 if w.shape[0] > 1 else 0
    for m in range(cuda.grid(1), out.size, cuda.gridsize(1)):
        n = low + m
        total = out[m] + 0.0
        for b in range(first_above(ends, frames, n), first_above(starts, frames, n)):
            i = n - start[b]
            if 0 <= i < count[b]:
                k = b * stride
                total += y[b, _column_of(i, offset[b], mfft)] * (w[k, i] * scale[k])
        out[m] = total


def window_energy(w: Any, scale: Float64Array, start: IntArray, count: IntArray, low: int, out: Any) -> None:
    """Add squared windows to `out`, a part of the time axis that begins at sample `low`."""
    arrays = upload(scale, start, count, *running_bounds(start, count))
    over_elements(_window_energy, 1, out.size, w, *arrays, low, out)


@kernel
def _window_energy(w, scale, start, count, ends, starts, low, out):  # type: ignore[no-untyped-def]
    frames = start.size
    stride = 1 if w.shape[0] > 1 else 0
    for m in range(cuda.grid(1), out.size, cuda.gridsize(1)):
        n = low + m
        total = out[m] + 0.0
        for b in range(first_above(ends, frames, n), first_above(starts, frames, n)):
            i = n - start[b]
            if 0 <= i < count[b]:
                k = b * stride
                v = w[k, i] * scale[k]
                total += v * v
        out[m] = total


def running_bounds(start: IntArray, count: IntArray) -> tuple[IntArray, IntArray]:
    """Return the running maximum of the frame ends, and the reversed running minimum of the frame starts.

    Both increase with the frame number. Two binary searches in them therefore give a range of frames that
    contains all frames that cover a sample, for any lengths and positions.
    """
    return np.maximum.accumulate(start + count), np.minimum.accumulate(start[::-1])[::-1]


@device_function
def first_above(values, size, n):  # type: ignore[no-untyped-def]
    """Return the index of the first of the increasing `values` that exceeds `n`."""
    low, high = 0, size
    while low < high:
        mid = (low + high) // 2
        if values[mid] > n:
            high = mid
        else:
            low = mid + 1
    return low


def reduce_frames(
    y: Any,
    x: Any,
    w: Any,
    dw: Any,
    theta: Float64Array,
    lead: Float64Array,
    start: IntArray,
    count: IntArray,
    offset: IntArray,
    out: Any,
) -> None:
    """Add the sums of ``Re(conj(y) x)`` times ``w``, ``dw * u`` and ``dw`` over each frame to ``out[:, b]``."""
    theta, lead, start, count, offset = upload(theta, lead, start, count, offset)
    over_rows(_reduce_frames, (start.size, 1), out, y, x, w, dw, theta, lead, start, count, offset)


@kernel
def _reduce_frames(y, x, w, dw, theta, lead, start, count, offset, out):  # type: ignore[no-untyped-def]
    shared = cuda.shared.array(0, float64)
    mfft = y.shape[1]
    for b in range(cuda.blockIdx.x, start.size, cuda.gridDim.x):
        k = b if w.shape[0] > 1 else 0
        a0, a1, a2 = 0.0, 0.0, 0.0
        for i in range(max(0, -start[b]) + cuda.threadIdx.x, min(count[b], x.size - start[b]), cuda.blockDim.x):
            v = _real_product(y[b, _column_of(i, offset[b], mfft)], x[start[b] + i])
            d = v * dw[k, i]
            a0 += v * w[k, i]
            a1 += d * ((lead[b] + i) / theta[b])
            a2 += d
        a0, a1, a2 = block_sum(a0, shared), block_sum(a1, shared), block_sum(a2, shared)
        if cuda.threadIdx.x == 0:
            out[0, b] = a0
            out[1, b] = a1
            out[2, b] = a2


def reduce_rows(y: Any, x: Any, rows: Any, start: IntArray, count: IntArray, offset: IntArray, out: Any) -> None:
    """Add the sum of ``Re(conj(y) x)`` times `rows` over each frame to ``out[b]``."""
    start, count, offset = upload(start, count, offset)
    over_rows(_reduce_rows, (start.size, 1), out, y, x, rows, start, count, offset)


@kernel
def _reduce_rows(y, x, rows, start, count, offset, out):  # type: ignore[no-untyped-def]
    shared = cuda.shared.array(0, float64)
    mfft = y.shape[1]
    for b in range(cuda.blockIdx.x, start.size, cuda.gridDim.x):
        k = b if rows.shape[0] > 1 else 0
        total = 0.0
        for i in range(max(0, -start[b]) + cuda.threadIdx.x, min(count[b], x.size - start[b]), cuda.blockDim.x):
            total += _real_product(y[b, _column_of(i, offset[b], mfft)], x[start[b] + i]) * rows[k, i]
        total = block_sum(total, shared)
        if cuda.threadIdx.x == 0:
            out[b] = total


@device_function
def _real_product(y, x):  # type: ignore[no-untyped-def]
    """Return ``Re(conj(y) x)``."""
    return float(y.real) * x.real + float(y.imag) * x.imag


def energy_cotangent(
    x: Any,
    w: Any,
    scale: Float64Array,
    start: IntArray,
    count: IntArray,
    offset: IntArray,
    edges: Any,
    gain: float,
    mfft: int,
    onesided: bool,
    out: Any,
) -> None:
    """Write the adjoint frames of the energy ``sum |S|**2`` over the stored bins, without an inverse FFT.

    ``edges[:, b]`` are the bins at zero and (for an even `mfft`) at the Nyquist frequency, which
    have no mirror image; `gain` is the factor on ``|S|**2`` in all other one-sided bins.
    """
    scale, start, count, offset, edges = upload(scale, start, count, offset, edges)
    over_elements(_energy_cotangent, *out.shape, x, w, scale, start, count, offset, edges, gain, mfft, onesided, out)


@kernel
def _energy_cotangent(x, w, scale, start, count, offset, edges, gain, mfft, onesided, out):  # type: ignore[no-untyped-def]
    samples = x.size
    for b in range(cuda.blockIdx.y, start.size, cuda.gridDim.y):
        k = b if w.shape[0] > 1 else 0
        for j in range(cuda.grid(1), mfft, cuda.gridsize(1)):
            i = _sample_of(j, offset[b], mfft)
            n = start[b] + i
            if i >= count[b] or n < 0 or n >= samples:
                out[b, j] = 0
            elif onesided:
                edge = edges[0, b] + (edges[1, b] if j % 2 == 0 else -edges[1, b])
                out[b, j] = gain * (mfft * (x[n] * (w[k, i] * scale[k])) - edge) + 2.0 * edge
            else:
                out[b, j] = 2.0 * mfft * (x[n] * (w[k, i] * scale[k]))


@device_function
def _sample_of(column, offset, mfft):  # type: ignore[no-untyped-def]
    """Return the number of the sample in a column of the FFT input."""
    return column - offset if column >= offset else column - offset + mfft


@device_function
def _column_of(i, offset, mfft):  # type: ignore[no-untyped-def]
    """Return the column of the FFT input of sample `i` of a frame."""
    return offset + i if offset + i < mfft else offset + i - mfft
