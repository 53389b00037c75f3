"""The kernels on a CUDA device, compiled by Numba.

Signals, window rows, frames and spectra are device arrays. What has one entry
a frame, or is smaller, may be on the host: a launch takes it along in one
transfer, and sums over frames come back to where `out` is.

Every output element has one thread, or one block, that gathers what belongs to
it, so no result depends on the order in which threads run. Threads of a warp
work on neighbouring samples or bins of a frame, so that they read and write
whole lines of memory.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import cuda, float64

from adaptstft.common.typing import AnyArray, Float64Array, IntArray
from adaptstft.kernels.cuda.arrays import SIMULATED, over_elements, over_rows, upload

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _kernel(function: _Function) -> _Function:
    return cast(_Function, cuda.jit(cache=not SIMULATED)(function))


def _inline(function: _Function) -> _Function:
    return cast(_Function, cuda.jit(device=True)(function))


@_inline
def _block_sum(value, shared):  # type: ignore[no-untyped-def]
    """Sum over the threads of a block, always in the same order."""
    t = cuda.threadIdx.x
    shared[t] = value
    cuda.syncthreads()
    half = cuda.blockDim.x // 2
    while half > 0:
        if t < half:
            shared[t] += shared[t + half]
        cuda.syncthreads()
        half //= 2
    total = shared[0]
    cuda.syncthreads()  # before `shared` is used again
    return total


# ---------------------------------------------------------------------------------------
# Windows


def window_rows(
    value: Float64Array,
    gradient: Float64Array,
    plateau: float,
    theta: Float64Array,
    lead: Float64Array,
    count: IntArray,
    w: Any,
    dw: Any,
) -> None:
    """Evaluate a window and its derivative in ``u``, one row a frame."""
    value, gradient, theta, lead, count = upload(value, gradient, theta, lead, count)
    over_elements(_window_rows, *w.shape, value, gradient, plateau, theta, lead, count, w, dw)


@_kernel
def _window_rows(value, gradient, plateau, theta, lead, count, w, dw):  # type: ignore[no-untyped-def]
    terms = value.size, gradient.size
    for b in range(cuda.blockIdx.y, theta.size, cuda.gridDim.y):
        for i in range(cuda.grid(1), count[b], cuda.gridsize(1)):
            side = lead[b] + i
            y = _taper_position(plateau, theta[b], side)
            w[b, i] = _polynomial(value, terms[0], y)
            d = _polynomial(gradient, terms[1], y)
            dw[b, i] = d if side > 0 else (-d if side < 0 else 0.0)


def polynomial_rows(
    coefficients: Float64Array, plateau: float, theta: Float64Array, lead: Float64Array, count: IntArray, out: Any
) -> None:
    """Evaluate one symmetric polynomial in ``|u|``, one row a frame."""
    coefficients, theta, lead, count = upload(coefficients, theta, lead, count)
    over_elements(_polynomial_rows, *out.shape, coefficients, plateau, theta, lead, count, out)


@_kernel
def _polynomial_rows(coefficients, plateau, theta, lead, count, out):  # type: ignore[no-untyped-def]
    terms = coefficients.size
    for b in range(cuda.blockIdx.y, theta.size, cuda.gridDim.y):
        for i in range(cuda.grid(1), count[b], cuda.gridsize(1)):
            out[b, i] = _polynomial(coefficients, terms, _taper_position(plateau, theta[b], lead[b] + i))


@_inline
def _taper_position(plateau, theta, side):  # type: ignore[no-untyped-def]
    return max(abs(side / theta) - plateau, 0.0) * 4.0 / (1.0 - 2.0 * plateau) - 1.0


@_inline
def _polynomial(c, terms, y):  # type: ignore[no-untyped-def]
    v = c[terms - 1]
    for k in range(terms - 2, -1, -1):
        v = v * y + c[k]
    return v


def row_sums(w: Any, dw: Any, theta: Float64Array, lead: Float64Array, count: IntArray, out: Any) -> None:
    """Sum ``w``, ``dw * u``, ``w**2``, ``w * dw * u`` of each row, the last in ``out[:, b]``."""
    theta, lead, count = upload(theta, lead, count)
    out[...] = 0
    over_rows(_row_sums, (theta.size, 1), out, w, dw, theta, lead, count)


@_kernel
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
        s0, s1 = _block_sum(s0, shared), _block_sum(s1, shared)
        s2, s3 = _block_sum(s2, shared), _block_sum(s3, shared)
        if cuda.threadIdx.x == 0:
            out[0, b] = s0
            out[1, b] = s1
            out[2, b] = s2
            out[3, b] = s3


# ---------------------------------------------------------------------------------------
# Between the signal and frames


def load_frames(
    x: Any, w: Any, scale: Float64Array, start: IntArray, count: IntArray, offset: IntArray, out: Any
) -> None:
    """Write windowed frames into the rows of the FFT's input."""
    scale, start, count, offset = upload(scale, start, count, offset)
    over_elements(_load_frames, *out.shape, x, w, scale, start, count, offset, out)


@_kernel
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


@_inline
def _sample_of(column, offset, mfft):  # type: ignore[no-untyped-def]
    """Sample of a frame in a column of the FFT's input."""
    return column - offset if column >= offset else column - offset + mfft


@_inline
def _column_of(i, offset, mfft):  # type: ignore[no-untyped-def]
    """Column of the FFT's input with sample `i` of a frame."""
    return offset + i if offset + i < mfft else offset + i - mfft


def _reach(start: IntArray, count: IntArray) -> tuple[IntArray, IntArray]:
    """Find the last end of the frames so far and the first start of those to come.

    Both increase along the frames, so that two searches find a range of frames around a sample
    outside of which no frame covers it, however lengths and positions vary.
    """
    return np.maximum.accumulate(start + count), np.minimum.accumulate(start[::-1])[::-1]


@_inline
def _first_above(values, size, n):  # type: ignore[no-untyped-def]
    """Index of the first of some increasing values that exceeds `n`."""
    low, high = 0, size
    while low < high:
        mid = (low + high) // 2
        if values[mid] > n:
            high = mid
        else:
            low = mid + 1
    return low


def overlap_add(
    y: Any, w: Any, scale: Float64Array, start: IntArray, count: IntArray, offset: IntArray, low: int, out: Any
) -> None:
    """Add the windowed frames to a stretch of the signal that begins at index `low`."""
    arrays = upload(scale, start, count, offset, *_reach(start, count))
    over_elements(_overlap_add, 1, out.size, y, w, *arrays, low, out)


@_kernel
def _overlap_add(y, w, scale, start, count, offset, ends, starts, low, out):  # type: ignore[no-untyped-def]
    frames, mfft = y.shape
    stride = 1 if w.shape[0] > 1 else 0
    for m in range(cuda.grid(1), out.size, cuda.gridsize(1)):
        n = low + m
        total = out[m] + 0.0
        for b in range(_first_above(ends, frames, n), _first_above(starts, frames, n)):
            i = n - start[b]
            if 0 <= i < count[b]:
                k = b * stride
                total += y[b, _column_of(i, offset[b], mfft)] * (w[k, i] * scale[k])
        out[m] = total


def window_energy(w: Any, scale: Float64Array, start: IntArray, count: IntArray, low: int, out: Any) -> None:
    """Add the squared windows to a stretch of the time axis that begins at index `low`."""
    arrays = upload(scale, start, count, *_reach(start, count))
    over_elements(_window_energy, 1, out.size, w, *arrays, low, out)


@_kernel
def _window_energy(w, scale, start, count, ends, starts, low, out):  # type: ignore[no-untyped-def]
    frames = start.size
    stride = 1 if w.shape[0] > 1 else 0
    for m in range(cuda.grid(1), out.size, cuda.gridsize(1)):
        n = low + m
        total = out[m] + 0.0
        for b in range(_first_above(ends, frames, n), _first_above(starts, frames, n)):
            i = n - start[b]
            if 0 <= i < count[b]:
                k = b * stride
                v = w[k, i] * scale[k]
                total += v * v
        out[m] = total


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
    """Sum over each frame ``Re(conj(y) x)`` times ``w``, ``dw * u`` and ``dw``."""
    theta, lead, start, count, offset = upload(theta, lead, start, count, offset)
    over_rows(_reduce_frames, (start.size, 1), out, y, x, w, dw, theta, lead, start, count, offset)


@_kernel
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
        a0, a1, a2 = _block_sum(a0, shared), _block_sum(a1, shared), _block_sum(a2, shared)
        if cuda.threadIdx.x == 0:
            out[0, b] = a0
            out[1, b] = a1
            out[2, b] = a2


@_inline
def _real_product(y, x):  # type: ignore[no-untyped-def]
    return float(y.real) * x.real + float(y.imag) * x.imag


def reduce_rows(y: Any, x: Any, rows: Any, start: IntArray, count: IntArray, offset: IntArray, out: Any) -> None:
    """Sum over a frame of ``Re(conj(y) x)`` times the rows."""
    start, count, offset = upload(start, count, offset)
    over_rows(_reduce_rows, (start.size, 1), out, y, x, rows, start, count, offset)


@_kernel
def _reduce_rows(y, x, rows, start, count, offset, out):  # type: ignore[no-untyped-def]
    shared = cuda.shared.array(0, float64)
    mfft = y.shape[1]
    for b in range(cuda.blockIdx.x, start.size, cuda.gridDim.x):
        k = b if rows.shape[0] > 1 else 0
        total = 0.0
        for i in range(max(0, -start[b]) + cuda.threadIdx.x, min(count[b], x.size - start[b]), cuda.blockDim.x):
            total += _real_product(y[b, _column_of(i, offset[b], mfft)], x[start[b] + i]) * rows[k, i]
        total = _block_sum(total, shared)
        if cuda.threadIdx.x == 0:
            out[b] = total


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
    """Adjoint frames of the energy ``sum |S|**2`` over the stored bins, without an inverse FFT.

    ``edges[:, b]`` are the bins at zero and (for an even length) at the Nyquist frequency, which
    have no mirror image; `gain` is the factor on ``|S|**2`` of all other one-sided bins.
    """
    scale, start, count, offset, edges = upload(scale, start, count, offset, edges)
    over_elements(_energy_cotangent, *out.shape, x, w, scale, start, count, offset, edges, gain, mfft, onesided, out)


@_kernel
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


# ---------------------------------------------------------------------------------------
# Bins


@_inline
def _energy(s, q, bins, gain, mirrored, even):  # type: ignore[no-untyped-def]
    energy = float(s.real) * s.real + float(s.imag) * s.imag
    return energy if _is_edge(q, bins, mirrored, even) else energy * gain


@_inline
def _is_edge(q, bins, mirrored, even):  # type: ignore[no-untyped-def]
    """Whether a bin of a one-sided spectrum has no mirror image."""
    return mirrored and (q == 0 or (even and q == bins - 1))


def statistics(
    spectra: Any, gain: float, mirrored: bool, even: bool, exponents: Float64Array, logs: AnyArray, out: Any
) -> None:
    """Sum ``E**a`` or ``E**a log E`` over the bins, where ``E = gain * |S|**2``."""
    exponents, logs = upload(exponents, logs)
    over_rows(_statistics, (len(spectra), exponents.size), out, spectra, gain, mirrored, even, exponents, logs)


@_kernel
def _statistics(spectra, gain, mirrored, even, exponents, logs, out):  # type: ignore[no-untyped-def]
    shared = cuda.shared.array(0, float64)
    bins = spectra.shape[1]
    k = cuda.blockIdx.y
    for b in range(cuda.blockIdx.x, spectra.shape[0], cuda.gridDim.x):
        total = 0.0
        for q in range(cuda.threadIdx.x, bins, cuda.blockDim.x):
            total += _term(_energy(spectra[b, q], q, bins, gain, mirrored, even), exponents[k], logs[k])
        total = _block_sum(total, shared)
        if cuda.threadIdx.x == 0:
            out[k, b] = total


@_inline
def _term(energy, a, log):  # type: ignore[no-untyped-def]
    if log:
        return _power(energy, a) * math.log(energy) if energy > 0 else 0.0
    return _power(energy, a)


@_inline
def _power(energy, a):  # type: ignore[no-untyped-def]
    """Power of an energy, for which zero stays zero; the common ones without logarithms."""
    if a == 1.0:
        return energy
    if a == 2.0:
        return energy * energy
    if a == 3.0:
        return energy * energy * energy
    if a == 0.5:
        return math.sqrt(energy)
    return energy**a if energy > 0 else 0.0


def cotangent(
    spectra: Any,
    gain: float,
    mirrored: bool,
    even: bool,
    exponents: Float64Array,
    logs: AnyArray,
    weights: Float64Array,
    out: Any,
) -> None:
    """Cotangent of ``sum_k weights[k, b] * statistic_k``, ready for the inverse FFT.

    A one-sided inverse FFT counts every mirrored bin twice, so those get half.
    """
    exponents, logs, weights = upload(exponents, logs, weights)
    over_elements(_cotangent, *spectra.shape, spectra, gain, mirrored, even, exponents, logs, weights, out)


@_kernel
def _cotangent(spectra, gain, mirrored, even, exponents, logs, weights, out):  # type: ignore[no-untyped-def]
    bins, sums = spectra.shape[1], exponents.size
    for b in range(cuda.blockIdx.y, spectra.shape[0], cuda.gridDim.y):
        for q in range(cuda.grid(1), bins, cuda.gridsize(1)):
            energy = _energy(spectra[b, q], q, bins, gain, mirrored, even)
            gradient = 0.0
            for k in range(sums):
                gradient += weights[k, b] * _term_gradient(energy, exponents[k], logs[k])
            out[b, q] = spectra[b, q] * (gradient * _factor(q, bins, gain, mirrored, even))


@_inline
def _term_gradient(energy, a, log):  # type: ignore[no-untyped-def]
    if a == 1.0 and not log:
        return 1.0
    if not energy > 0:  # a bin whose cotangent vanishes with S
        return 0.0
    if log:
        return _power(energy, a - 1.0) * (a * math.log(energy) + 1.0) if a != 1.0 else math.log(energy) + 1.0
    return a * _power(energy, a - 1.0) if a != 0.5 else 0.5 / math.sqrt(energy)


@_inline
def _factor(q, bins, gain, mirrored, even):  # type: ignore[no-untyped-def]
    return gain if mirrored and not _is_edge(q, bins, mirrored, even) else 2.0


def bin_cotangent(spectra: Any, gain: float, mirrored: bool, even: bool, gradients: Any, out: Any) -> None:
    """Cotangent of a loss of ``E`` whose derivative in every bin is `gradients`, as `cotangent`."""
    over_elements(_bin_cotangent, *spectra.shape, spectra, gain, mirrored, even, gradients, out)


@_kernel
def _bin_cotangent(spectra, gain, mirrored, even, gradients, out):  # type: ignore[no-untyped-def]
    bins = spectra.shape[1]
    for b in range(cuda.blockIdx.y, spectra.shape[0], cuda.gridDim.y):
        for q in range(cuda.grid(1), bins, cuda.gridsize(1)):
            out[b, q] = spectra[b, q] * (gradients[b, q] * _factor(q, bins, gain, mirrored, even))


def rotate(spectra: Any, delta: Float64Array, mfft: int, onesided: bool, sign: float) -> None:
    """Multiply bin ``q`` of frame ``b`` by ``exp(sign * 2j pi k_q delta[b] / mfft)`` in place.

    ``k_q`` is ``q``, less `mfft` in the upper half of a two-sided spectrum.
    """
    over_elements(_rotate, *spectra.shape, spectra, *upload(delta), mfft, onesided, sign)


@_kernel
def _rotate(spectra, delta, mfft, onesided, sign):  # type: ignore[no-untyped-def]
    bins = spectra.shape[1]
    for b in range(cuda.blockIdx.y, spectra.shape[0], cuda.gridDim.y):
        angle = sign * 2.0 * math.pi * delta[b] / mfft
        if angle != 0.0:
            for q in range(cuda.grid(1), bins, cuda.gridsize(1)):
                phase = angle * _bin_number(q, mfft, onesided)
                spectra[b, q] = spectra[b, q] * complex(math.cos(phase), math.sin(phase))


@_inline
def _bin_number(q, mfft, onesided):  # type: ignore[no-untyped-def]
    return q if onesided or q < (mfft + 1) // 2 else q - mfft


def phase_gradient(g: Any, spectra: Any, mfft: int, onesided: bool, out: Any) -> None:
    """Sum over the bins of ``Re(conj(g) * 2j pi k_q / mfft * S)``."""
    over_rows(_phase_gradient, (len(spectra), 1), out, g, spectra, mfft, onesided)


@_kernel
def _phase_gradient(g, spectra, mfft, onesided, out):  # type: ignore[no-untyped-def]
    shared = cuda.shared.array(0, float64)
    for b in range(cuda.blockIdx.x, spectra.shape[0], cuda.gridDim.x):
        total = 0.0
        for q in range(cuda.threadIdx.x, spectra.shape[1], cuda.blockDim.x):
            v, s = g[b, q], spectra[b, q]
            total += _bin_number(q, mfft, onesided) * (float(v.imag) * s.real - float(v.real) * s.imag)
        total = _block_sum(total, shared)
        if cuda.threadIdx.x == 0:
            out[b] = total * (2.0 * math.pi / mfft)
