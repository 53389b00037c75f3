"""Numba kernels: compiled once, cached, and run without the interpreter lock.

They are deliberately not ``parallel=True``: Numba's own threading layers abort
on concurrent calls (workqueue) or after a fork (OpenMP). The block engine runs
one thread of a shared pool per block of frames instead.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, TypeVar, cast

import numpy as np
from numba import njit

from adaptstft.kernels.cpu.logarithm import logs_or_zero

_Function = TypeVar("_Function", bound=Callable[..., Any])


def _kernel(function: _Function) -> _Function:
    # No "nnan"/"ninf": NaN and infinity keep their meaning.
    flags = {"nsz", "arcp", "contract", "afn", "reassoc"}
    compiled: Any = njit(nogil=True, cache=True, fastmath=flags, error_model="numpy")(function)
    return cast(_Function, compiled)


@_kernel
def window_rows(value, gradient, plateau, theta, lead, count, w, dw):  # type: ignore[no-untyped-def]
    """Evaluate a window and its derivative in ``u``, one row a frame."""
    y = np.empty(w.shape[1], value.dtype)
    for b in range(theta.size):
        _window(value, gradient, plateau, theta[b], lead[b], y, w[b, : count[b]], dw[b, : count[b]])


@_kernel
def _window(value, gradient, plateau, theta, lead, y, w, dw):  # type: ignore[no-untyped-def]
    """Evaluate one window and its derivative in ``u``; `y` is scratch."""
    n = _distinct(lead, w.size)
    _taper_position(plateau, theta, lead, y[:n])
    _polynomial(value, y[:n], w[:n])
    _mirror(lead, n, w.size, 1, w)
    _signed(gradient, lead, n, y, dw)


@_kernel
def _gradient(gradient, plateau, theta, lead, y, dw):  # type: ignore[no-untyped-def]
    """Evaluate the derivative in ``u`` alone."""
    n = _distinct(lead, dw.size)
    _taper_position(plateau, theta, lead, y[:n])
    _signed(gradient, lead, n, y, dw)


@_kernel
def _signed(gradient, lead, n, y, dw):  # type: ignore[no-untyped-def]
    """Evaluate the odd polynomial at `n` positions, and fill the rest by symmetry."""
    _polynomial(gradient, y[:n], dw[:n])
    before = min(max(math.ceil(-lead), 0), n)
    for i in range(before):
        dw[i] = -dw[i]
    if before < n and lead + before == 0:
        dw[before] = 0
    _mirror(lead, n, dw.size, -1, dw)


@_kernel
def polynomial_rows(coefficients, plateau, theta, lead, count, out):  # type: ignore[no-untyped-def]
    """Evaluate one symmetric polynomial in ``|u|``, one row a frame."""
    y = np.empty(out.shape[1], coefficients.dtype)
    for b in range(theta.size):
        n = _distinct(lead[b], count[b])
        _taper_position(plateau, theta[b], lead[b], y[:n])
        _polynomial(coefficients, y[:n], out[b, :n])
        _mirror(lead[b], n, count[b], 1, out[b])


@_kernel
def _distinct(lead, count):  # type: ignore[no-untyped-def]
    """Count the samples up to the centre if those after it are their mirror images, and all otherwise."""
    mirrored = 2.0 * lead == math.floor(2.0 * lead) and count <= 1.0 - 2.0 * lead
    return min(count, math.floor(-lead) + 1) if mirrored else count


@_kernel
def _mirror(lead, n, count, sign, row):  # type: ignore[no-untyped-def]
    """Fill ``row[n:count]``, where sample ``i`` lies opposite sample ``-2 * lead - i``."""
    if n < count:
        end = int(-2.0 * lead) + 1
        _reverse(row[end - count : end - n], sign, row[n:count])


@_kernel
def _reverse(source, sign, out):  # type: ignore[no-untyped-def]
    for i in range(out.size):
        out[i] = sign * source[np.uint64(out.size - 1 - i)]  # unsigned: needs no test for negative indices


@_kernel
def _taper_position(plateau, theta, lead, y):  # type: ignore[no-untyped-def]
    step = 1.0 / theta
    stretch = 4.0 / (1.0 - 2.0 * plateau)
    for i in range(y.size):
        y[i] = max(abs((lead + i) * step) - plateau, 0.0) * stretch - 1.0


def _horner(size):  # type: ignore[no-untyped-def]
    """Make a kernel for polynomials of `size` coefficients.

    A trip count that is a constant lets LLVM unroll it and vectorise over i.
    """

    @_kernel
    def evaluate(c, y, p):  # type: ignore[no-untyped-def]
        for i in range(y.size):
            v = c[size - 1]
            for k in range(size - 2, -1, -1):
                v = v * y[i] + c[k]
            p[i] = v

    return evaluate


_horner12, _horner17, _horner22, _horner28 = _horner(12), _horner(17), _horner(22), _horner(28)


@_kernel
def _polynomial(c, y, p):  # type: ignore[no-untyped-def]
    if c.size == 12:
        _horner12(c, y, p)
    elif c.size == 17:
        _horner17(c, y, p)
    elif c.size == 22:
        _horner22(c, y, p)
    elif c.size == 28:
        _horner28(c, y, p)
    else:
        for i in range(y.size):
            v = c[c.size - 1]
            for k in range(c.size - 2, -1, -1):
                v = v * y[i] + c[k]
            p[i] = v


@_kernel
def row_sums(w, dw, theta, lead, count, out):  # type: ignore[no-untyped-def]
    """Sum ``w``, ``dw * u``, ``w**2``, ``w * dw * u`` of each row, the last in ``out[:, b]``."""
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


@_kernel
def load_frames(x, w, scale, start, count, offset, out):  # type: ignore[no-untyped-def]
    """Write windowed frames into the rows of the FFT's input."""
    mfft = out.shape[1]
    for b in range(start.size):
        row = out[b]
        row[:] = 0
        k = b if w.shape[0] > 1 else 0
        lo, mid, hi = _parts(start[b], count[b], offset[b], mfft, 0, x.size)
        wrap = mfft - offset[b]
        if lo < mid:
            _product(x[start[b] + lo : start[b] + mid], w[k, lo:mid], scale[k], row[offset[b] + lo : offset[b] + mid])
        if mid < hi:
            _product(x[start[b] + mid : start[b] + hi], w[k, mid:hi], scale[k], row[mid - wrap : hi - wrap])


@_kernel
def _parts(start, count, offset, mfft, low, high):  # type: ignore[no-untyped-def]
    """Find the samples ``lo <= i < hi`` of a frame within ``low <= n < high``, and where they wrap around.

    Loops over slices between these bounds need no test for negative indices, which would keep them from
    being vectorised.
    """
    lo = min(max(0, low - start), count)
    hi = max(lo, min(count, high - start))
    mid = min(max(lo, mfft - offset), hi)
    return lo, mid, hi


@_kernel
def _product(x, w, scale, out):  # type: ignore[no-untyped-def]
    for i in range(out.size):
        out[i] = x[i] * (w[i] * scale)


@_kernel
def _add_product(y, w, scale, out):  # type: ignore[no-untyped-def]
    for i in range(out.size):
        out[i] += y[i] * (w[i] * scale)


@_kernel
def overlap_add(y, w, scale, start, count, offset, low, out):  # type: ignore[no-untyped-def]
    """Add the windowed frames to a stretch of the signal that begins at index `low`."""
    mfft = y.shape[1]
    for b in range(start.size):
        k = b if w.shape[0] > 1 else 0
        lo, mid, hi = _parts(start[b], count[b], offset[b], mfft, low, low + out.size)
        first = start[b] - low
        wrap = mfft - offset[b]
        if lo < mid:
            _add_product(y[b, offset[b] + lo : offset[b] + mid], w[k, lo:mid], scale[k], out[first + lo : first + mid])
        if mid < hi:
            _add_product(y[b, mid - wrap : hi - wrap], w[k, mid:hi], scale[k], out[first + mid : first + hi])


@_kernel
def window_energy(w, scale, start, count, low, out):  # type: ignore[no-untyped-def]
    """Add the squared windows to a stretch of the time axis that begins at index `low`."""
    for b in range(start.size):
        k = b if w.shape[0] > 1 else 0
        cb = scale[k]
        for i in range(max(0, low - start[b]), min(count[b], low + out.size - start[b])):
            v = float(w[k, i]) * cb
            out[start[b] - low + i] += v * v


@_kernel
def reduce_frames(y, x, w, dw, theta, lead, start, count, offset, out):  # type: ignore[no-untyped-def]
    """Sum over each frame ``Re(conj(y) x)`` times ``w``, ``dw * u`` and ``dw``."""
    mfft = y.shape[1]
    for b in range(start.size):
        k = b if w.shape[0] > 1 else 0
        lo, mid, hi = _parts(start[b], count[b], offset[b], mfft, 0, x.size)
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


@_kernel
def _weighted_sums(y, x, w, dw, lead, step):  # type: ignore[no-untyped-def]
    a0, a1, a2 = 0.0, 0.0, 0.0
    for i in range(y.size):
        v = float(y[i].real) * x[i].real + float(y[i].imag) * x[i].imag
        d = v * dw[i]
        a0 += v * w[i]
        a1 += d * ((lead + i) * step)
        a2 += d
    return a0, a1, a2


@_kernel
def reduce_rows(y, x, rows, start, count, offset, out):  # type: ignore[no-untyped-def]
    """Sum over a frame of ``Re(conj(y) x)`` times the rows."""
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


@_kernel
def energy_cotangent(x, w, scale, start, count, offset, edges, gain, mfft, onesided, out):  # type: ignore[no-untyped-def]
    """Adjoint frames of the energy ``sum |S|**2`` over the stored bins, without an inverse FFT.

    ``edges[:, b]`` are the bins at zero and (for an even length) at the Nyquist frequency, which
    have no mirror image; `gain` is the factor on ``|S|**2`` of all other one-sided bins.
    """
    for b in range(start.size):
        out[b] = 0
        k = b if w.shape[0] > 1 else 0
        lo, mid, hi = _parts(start[b], count[b], offset[b], mfft, 0, x.size)
        factor, zero, nyquist = _energy_terms(scale[k], edges[:, b], gain, mfft, onesided)
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


@_kernel
def _energy_row(x, w, factor, zero, nyquist, out):  # type: ignore[no-untyped-def]
    for i in range(out.size):
        out[i] = x[i] * (w[i] * factor) + (zero + (nyquist if i % 2 == 0 else -nyquist))


@_kernel
def _energy_terms(scale, edges, gain, mfft, onesided):  # type: ignore[no-untyped-def]
    """Factor on ``w x``, and what the bins at zero and at the Nyquist frequency add in even columns."""
    if not onesided:
        return 2.0 * mfft * scale, 0.0, 0.0
    return gain * mfft * scale, (2.0 - gain) * edges[0], (2.0 - gain) * edges[1]


@_kernel
def statistics(spectra, gain, mirrored, even, exponents, logs, out):  # type: ignore[no-untyped-def]
    """Sum ``E**a`` or ``E**a log E`` over the bins, where ``E = gain * |S|**2``."""
    energy = np.empty(spectra.shape[1])
    log_energy = np.empty(spectra.shape[1])
    for b in range(spectra.shape[0]):
        _energies(spectra[b], gain, mirrored, even, logs, energy, log_energy)
        for k in range(exponents.size):
            out[k, b] += _statistic(energy, log_energy, exponents[k], logs[k])


@_kernel
def cotangent(spectra, gain, mirrored, even, exponents, logs, weights, out):  # type: ignore[no-untyped-def]
    """Cotangent of ``sum_k weights[k, b] * statistic_k``, ready for the inverse FFT.

    A one-sided inverse FFT counts every mirrored bin twice, so those get half.
    """
    energy = np.empty(spectra.shape[1])
    log_energy = np.empty(spectra.shape[1])
    factor = np.empty(spectra.shape[1])
    for b in range(spectra.shape[0]):
        _energies(spectra[b], gain, mirrored, even, logs, energy, log_energy)
        factor[:] = 0.0
        for k in range(exponents.size):
            _add_gradient(energy, log_energy, exponents[k], logs[k], weights[k, b], factor)
        _apply_factor(spectra[b], factor, gain, mirrored, even, out[b])


@_kernel
def statistics_and_cotangent(  # type: ignore[no-untyped-def]
    spectra, gain, mirrored, even, exponents, logs, chosen, out, growth, adjoint
):
    """Do as `statistics`, and write the cotangent of the `chosen` one: logarithms are taken once.

    `growth` becomes that one's derivative in the logarithm of each frame's scale, ``2 sum E phi'(E)`` for its
    terms ``phi(E)``.
    """
    energy = np.empty(spectra.shape[1])
    log_energy = np.empty(spectra.shape[1])
    factor = np.empty(spectra.shape[1])
    for b in range(spectra.shape[0]):
        _energies(spectra[b], gain, mirrored, even, logs, energy, log_energy)
        for k in range(exponents.size):
            out[k, b] += _statistic(energy, log_energy, exponents[k], logs[k])
        factor[:] = 0.0
        _add_gradient(energy, log_energy, exponents[chosen], logs[chosen], 1.0, factor)
        growth[b] = 2.0 * _dot(energy, factor)
        _apply_factor(spectra[b], factor, gain, mirrored, even, adjoint[b])


@_kernel
def _dot(a, b):  # type: ignore[no-untyped-def]
    total = 0.0
    for q in range(a.size):
        total += a[q] * b[q]
    return total


@_kernel
def _energies(row, gain, mirrored, even, logs, energy, log_energy):  # type: ignore[no-untyped-def]
    for q in range(row.size):
        re = float(row[q].real)
        im = float(row[q].imag)
        energy[q] = (re * re + im * im) * gain
    if mirrored:  # zero and Nyquist have no mirror image, hence no gain
        energy[0] /= gain
        if even:
            energy[row.size - 1] /= gain
    for k in range(logs.size):
        if logs[k]:
            logs_or_zero(energy, log_energy)
            break


@_kernel
def _statistic(energy, log_energy, a, log):  # type: ignore[no-untyped-def]
    total = 0.0
    if log and a == 1.0:
        for q in range(energy.size):
            total += energy[q] * log_energy[q]
    elif log:
        for q in range(energy.size):
            if energy[q] > 0:
                total += energy[q] ** a * log_energy[q]
    elif a == 1.0:
        for q in range(energy.size):
            total += energy[q]
    elif a == 2.0:
        for q in range(energy.size):
            total += energy[q] * energy[q]
    elif a == 3.0:
        for q in range(energy.size):
            total += energy[q] * energy[q] * energy[q]
    elif a == 0.5:
        for q in range(energy.size):
            total += math.sqrt(energy[q])
    else:
        for q in range(energy.size):
            if energy[q] > 0:
                total += energy[q] ** a
    return total


@_kernel
def _add_gradient(energy, log_energy, a, log, c, factor):  # type: ignore[no-untyped-def]
    if log and a == 1.0:
        for q in range(energy.size):
            factor[q] += c * (log_energy[q] + 1.0) if energy[q] > 0 else 0.0
    elif log:
        for q in range(energy.size):
            if energy[q] > 0:
                factor[q] += c * energy[q] ** (a - 1.0) * (a * log_energy[q] + 1.0)
    elif a == 1.0:
        for q in range(energy.size):
            factor[q] += c
    elif a == 2.0:
        for q in range(energy.size):
            factor[q] += 2.0 * c * energy[q]
    elif a == 3.0:
        for q in range(energy.size):
            factor[q] += 3.0 * c * energy[q] * energy[q]
    elif a == 0.5:
        for q in range(energy.size):
            factor[q] += 0.5 * c / math.sqrt(energy[q]) if energy[q] > 0 else 0.0
    else:
        for q in range(energy.size):
            if energy[q] > 0:
                factor[q] += a * c * energy[q] ** (a - 1.0)


@_kernel
def bin_cotangent(spectra, gain, mirrored, even, gradients, out):  # type: ignore[no-untyped-def]
    """Cotangent of a loss of ``E`` whose derivative in every bin is `gradients`, as `cotangent`."""
    for b in range(spectra.shape[0]):
        _apply_factor(spectra[b], gradients[b], gain, mirrored, even, out[b])


@_kernel
def _apply_factor(row, factor, gain, mirrored, even, out):  # type: ignore[no-untyped-def]
    interior = gain if mirrored else 2.0
    zero, nyquist = row[0], row[row.size - 1]  # `out` may be `row` itself
    for q in range(row.size):
        f = factor[q] * interior
        out[q] = complex(row[q].real * f, row[q].imag * f)  # a complex product with f has twice the terms
    if mirrored:
        out[0] = zero * (2.0 * factor[0])
        if even:
            out[row.size - 1] = nyquist * (2.0 * factor[row.size - 1])


@_kernel
def rotate(spectra, delta, mfft, onesided, sign):  # type: ignore[no-untyped-def]
    """Multiply bin ``q`` of frame ``b`` by ``exp(sign * 2j pi k_q delta[b] / mfft)`` in place.

    ``k_q`` is ``q``, less `mfft` in the upper half of a two-sided spectrum.
    """
    bins = spectra.shape[1]
    half = bins if onesided else (mfft + 1) // 2
    chunk = 32
    fine = np.empty(chunk, dtype=np.complex128)
    for b in range(spectra.shape[0]):
        angle = sign * 2.0 * math.pi * delta[b] / mfft
        if angle == 0.0:
            continue
        for j in range(chunk):
            fine[j] = complex(math.cos(angle * j), math.sin(angle * j))
        for part in range(2):
            first = 0 if part == 0 else half
            last = half if part == 0 else bins
            shift = 0 if part == 0 else mfft
            for q0 in range(first, last, chunk):
                phase = angle * (q0 - shift)
                coarse = complex(math.cos(phase), math.sin(phase))
                for q in range(q0, min(q0 + chunk, last)):
                    spectra[b, q] = spectra[b, q] * (coarse * fine[q - q0])


@_kernel
def phase_gradient(g, spectra, mfft, onesided, out):  # type: ignore[no-untyped-def]
    """Sum over the bins of ``Re(conj(g) * 2j pi k_q / mfft * S)``."""
    bins = spectra.shape[1]
    half = bins if onesided else (mfft + 1) // 2
    for b in range(spectra.shape[0]):
        total = 0.0
        for q in range(bins):
            k = q if q < half else q - mfft
            gr, gi = float(g[b, q].real), float(g[b, q].imag)
            sr, si = float(spectra[b, q].real), float(spectra[b, q].imag)
            total += k * (gi * sr - gr * si)
        out[b] += total * (2.0 * math.pi / mfft)
