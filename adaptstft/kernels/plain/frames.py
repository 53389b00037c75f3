"""The kernels in plain NumPy: the simple implementation, one frame after the other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.polynomial import polynomial

from adaptstft.common.typing import AnyArray, Float64Array, IntArray


def _taper_position(plateau: float, theta: float, lead: float, count: int) -> Float64Array:
    u = (lead + np.arange(count)) / theta
    return np.asarray(np.maximum(np.abs(u) - plateau, 0) * 4 / (1 - 2 * plateau) - 1)


def window_rows(
    value: Float64Array,
    gradient: Float64Array,
    plateau: float,
    theta: Float64Array,
    lead: Float64Array,
    count: IntArray,
    w: AnyArray,
    dw: AnyArray,
) -> None:
    """Evaluate a window and its derivative in ``u``, one row a frame."""
    for b, n in enumerate(count):
        y = _taper_position(plateau, theta[b], lead[b], n)
        w[b, :n] = polynomial.polyval(y, value)
        dw[b, :n] = polynomial.polyval(y, gradient) * np.sign(lead[b] + np.arange(n))


def polynomial_rows(
    coefficients: Float64Array,
    plateau: float,
    theta: Float64Array,
    lead: Float64Array,
    count: IntArray,
    out: AnyArray,
) -> None:
    """Evaluate one symmetric polynomial in ``|u|``, one row a frame."""
    for b, n in enumerate(count):
        out[b, :n] = polynomial.polyval(_taper_position(plateau, theta[b], lead[b], n), coefficients)


def row_sums(
    w: AnyArray, dw: AnyArray, theta: Float64Array, lead: Float64Array, count: IntArray, out: Float64Array
) -> None:
    """Sum ``w``, ``dw * u``, ``w**2``, ``w * dw * u`` of each row, the last in ``out[:, b]``."""
    for b, n in enumerate(count):
        v = w[b, :n].astype(float)
        du = dw[b, :n] * ((lead[b] + np.arange(n)) / theta[b])
        out[:, b] = v.sum(), du.sum(), v @ v, v @ du


def _frames(start: IntArray, count: IntArray, low: int, high: int) -> Iterator[tuple[int, slice, AnyArray]]:
    """Yield frame number, its part of the signal, and the samples ``i`` of the frame in it."""
    for b in range(start.size):
        i = np.arange(max(0, low - start[b]), max(0, low - start[b], min(count[b], high - start[b])))
        first = start[b] - low + (i[0] if i.size else 0)
        yield b, slice(first, first + i.size), i


def _row(rows: AnyArray, b: int) -> Any:
    return rows[b if rows.shape[0] > 1 else 0]


def load_frames(
    x: AnyArray,
    w: AnyArray,
    scale: Float64Array,
    start: IntArray,
    count: IntArray,
    offset: IntArray,
    out: AnyArray,
) -> None:
    """Write windowed frames into the rows of the FFT's input."""
    out[...] = 0
    for b, part, i in _frames(start, count, 0, x.size):
        out[b, (offset[b] + i) % out.shape[1]] = x[part] * (_row(w, b)[i] * _row(scale, b))


def overlap_add(
    y: AnyArray,
    w: AnyArray,
    scale: Float64Array,
    start: IntArray,
    count: IntArray,
    offset: IntArray,
    low: int,
    out: AnyArray,
) -> None:
    """Add the windowed frames to a stretch of the signal that begins at index `low`."""
    for b, part, i in _frames(start, count, low, low + out.size):
        out[part] += y[b, (offset[b] + i) % y.shape[1]] * (_row(w, b)[i] * _row(scale, b))


def window_energy(
    w: AnyArray, scale: Float64Array, start: IntArray, count: IntArray, low: int, out: Float64Array
) -> None:
    """Add the squared windows to a stretch of the time axis that begins at index `low`."""
    for b, part, i in _frames(start, count, low, low + out.size):
        out[part] += (_row(w, b)[i].astype(float) * _row(scale, b)) ** 2


def reduce_frames(
    y: AnyArray,
    x: AnyArray,
    w: AnyArray,
    dw: AnyArray,
    theta: Float64Array,
    lead: Float64Array,
    start: IntArray,
    count: IntArray,
    offset: IntArray,
    out: Float64Array,
) -> None:
    """Sum over each frame ``Re(conj(y) x)`` times ``w``, ``dw * u`` and ``dw``."""
    for b, part, i in _frames(start, count, 0, x.size):
        v = np.real(np.conj(y[b, (offset[b] + i) % y.shape[1]]) * x[part]).astype(float)
        d = v * _row(dw, b)[i]
        out[:, b] += v @ _row(w, b)[i], d @ ((lead[b] + i) / theta[b]), d.sum()


def reduce_rows(
    y: AnyArray,
    x: AnyArray,
    rows: AnyArray,
    start: IntArray,
    count: IntArray,
    offset: IntArray,
    out: Float64Array,
) -> None:
    """Sum over a frame of ``Re(conj(y) x)`` times the rows."""
    for b, part, i in _frames(start, count, 0, x.size):
        v = np.real(np.conj(y[b, (offset[b] + i) % y.shape[1]]) * x[part]).astype(float)
        out[b] += v @ _row(rows, b)[i]


def energy_cotangent(
    x: AnyArray,
    w: AnyArray,
    scale: Float64Array,
    start: IntArray,
    count: IntArray,
    offset: IntArray,
    edges: Float64Array,
    gain: float,
    mfft: int,
    onesided: bool,
    out: AnyArray,
) -> None:
    """Adjoint frames of the energy ``sum |S|**2`` over the stored bins, without an inverse FFT.

    ``edges[:, b]`` are the bins at zero and (for an even length) at the Nyquist frequency, which
    have no mirror image; `gain` is the factor on ``|S|**2`` of all other one-sided bins.
    """
    out[...] = 0
    for b, part, i in _frames(start, count, 0, x.size):
        j = (offset[b] + i) % mfft
        v = x[part] * (_row(w, b)[i] * _row(scale, b))
        if onesided:
            edge = edges[0, b] + edges[1, b] * (-1.0) ** j
            out[b, j] = gain * (mfft * v - edge) + 2 * edge
        else:
            out[b, j] = 2 * mfft * v


def _energies(spectra: AnyArray, gain: float, mirrored: bool, even: bool) -> Float64Array:
    energy = (spectra.real.astype(float) ** 2 + spectra.imag.astype(float) ** 2) * gain
    if mirrored:
        energy[:, 0] /= gain
        if even:
            energy[:, -1] /= gain
    return np.asarray(energy)


def statistics(
    spectra: AnyArray,
    gain: float,
    mirrored: bool,
    even: bool,
    exponents: Float64Array,
    logs: AnyArray,
    out: Float64Array,
) -> None:
    """Sum ``E**a`` or ``E**a log E`` over the bins, where ``E = gain * |S|**2``."""
    energy = _energies(spectra, gain, mirrored, even)
    for k, (a, log) in enumerate(zip(exponents, logs, strict=True)):
        terms = energy**a
        if log:
            terms *= np.log(np.where(energy > 0, energy, 1.0))
        out[k] += terms.sum(axis=1)


def cotangent(
    spectra: AnyArray,
    gain: float,
    mirrored: bool,
    even: bool,
    exponents: Float64Array,
    logs: AnyArray,
    weights: Float64Array,
    out: AnyArray,
) -> None:
    """Cotangent of ``sum_k weights[k, b] * statistic_k``, ready for the inverse FFT.

    A one-sided inverse FFT counts every mirrored bin twice, so those get half.
    """
    energy = _energies(spectra, gain, mirrored, even)
    safe = np.where(energy > 0, energy, 1.0)
    gradients = np.zeros_like(energy)
    for a, log, weight in zip(exponents, logs, weights, strict=True):
        gradient = safe ** (a - 1) * (a * np.log(safe) + 1) if log else a * safe ** (a - 1)
        gradients += weight[:, None] * gradient
    bin_cotangent(spectra, gain, mirrored, even, np.where(energy > 0, gradients, 0.0), out)


def bin_cotangent(
    spectra: AnyArray, gain: float, mirrored: bool, even: bool, gradients: Float64Array, out: AnyArray
) -> None:
    """Cotangent of a loss of ``E`` whose derivative in every bin is `gradients`, as `cotangent`."""
    factor = np.full(spectra.shape[1], gain if mirrored else 2.0)
    if mirrored:
        factor[0] = 2.0
        if even:
            factor[-1] = 2.0
    out[...] = spectra * (gradients * factor)


def _bin_numbers(bins: int, mfft: int, onesided: bool) -> IntArray:
    k = np.arange(bins)
    if not onesided:
        k[(mfft + 1) // 2 :] -= mfft
    return k


def rotate(spectra: AnyArray, delta: Float64Array, mfft: int, onesided: bool, sign: float) -> None:
    """Multiply bin ``q`` of frame ``b`` by ``exp(sign * 2j pi k_q delta[b] / mfft)`` in place.

    ``k_q`` is ``q``, less `mfft` in the upper half of a two-sided spectrum.
    """
    k = _bin_numbers(spectra.shape[1], mfft, onesided)
    spectra *= np.exp(sign * 2j * np.pi / mfft * np.outer(delta, k))


def phase_gradient(g: AnyArray, spectra: AnyArray, mfft: int, onesided: bool, out: Float64Array) -> None:
    """Sum over the bins of ``Re(conj(g) * 2j pi k_q / mfft * S)``."""
    k = _bin_numbers(spectra.shape[1], mfft, onesided)
    out += np.real(np.conj(g.astype(complex)) * (2j * np.pi / mfft * k) * spectra).sum(axis=1)
