"""Numba kernels for spectra: sums over the bins of each frame, their cotangents, and the rotation of phases."""

from __future__ import annotations

import math

import numpy as np

from adaptstft.kernels.cpu.jit import helper, kernel
from adaptstft.kernels.cpu.logarithm import logs_of_one_plus, logs_or_zero
from adaptstft.kernels.terms import LOG1P, POWER_LOG


@kernel
def statistics(spectra, gain, mirrored, even, exponents, kinds, units, out):  # type: ignore[no-untyped-def]
    """Add the sums of `adaptstft.kernels.terms` over the bins to `out`, of shape (sums, frames).

    ``E = gain * |S|**2 / units[b]`` in frame ``b``; sum ``k`` has the exponent ``exponents[k]`` and the kind
    ``kinds[k]``.
    """
    energy = np.empty(spectra.shape[1])
    log_energy = np.empty(spectra.shape[1])
    for b in range(spectra.shape[0]):
        _energies(spectra[b], gain / units[b], gain, mirrored, even, exponents, kinds, energy, log_energy)
        for k in range(exponents.size):
            out[k, b] += _statistic(energy, log_energy, exponents[k], kinds[k])


@kernel
def cotangent(spectra, gain, mirrored, even, exponents, kinds, units, weights, out):  # type: ignore[no-untyped-def]
    """Write the cotangent of ``sum_k weights[k, b] * statistic_k`` to `out`, ready for the inverse FFT.

    A one-sided inverse FFT counts each mirrored bin twice, therefore the mirrored bins get half.
    """
    energy = np.empty(spectra.shape[1])
    log_energy = np.empty(spectra.shape[1])
    factor = np.empty(spectra.shape[1])
    for b in range(spectra.shape[0]):
        _energies(spectra[b], gain / units[b], gain, mirrored, even, exponents, kinds, energy, log_energy)
        factor[:] = 0.0
        for k in range(exponents.size):
            _add_derivative(energy, log_energy, exponents[k], kinds[k], weights[k, b] / units[b], factor)
        _apply_factor(spectra[b], factor, gain, mirrored, even, out[b])


@kernel
def statistics_and_cotangent(  # type: ignore[no-untyped-def]
    spectra, gain, mirrored, even, exponents, kinds, units, chosen, out, log_scale_derivative, adjoint
):
    """Add the sums of `statistics` to `out`, and write the cotangent of sum `chosen` to `adjoint`.

    Logarithms are computed once for both. `log_scale_derivative` gets the derivative of the chosen sum in the
    logarithm of each frame's scale, ``2 sum E phi'(E)`` for its terms ``phi(E)``. `adjoint` may be `spectra`.
    """
    energy = np.empty(spectra.shape[1])
    log_energy = np.empty(spectra.shape[1])
    factor = np.empty(spectra.shape[1])
    for b in range(spectra.shape[0]):
        _energies(spectra[b], gain / units[b], gain, mirrored, even, exponents, kinds, energy, log_energy)
        for k in range(exponents.size):
            out[k, b] += _statistic(energy, log_energy, exponents[k], kinds[k])
        factor[:] = 0.0
        _add_derivative(energy, log_energy, exponents[chosen], kinds[chosen], 1.0 / units[b], factor)
        log_scale_derivative[b] = 2.0 * _dot(energy, factor) * units[b]
        _apply_factor(spectra[b], factor, gain, mirrored, even, adjoint[b])


@kernel
def bin_cotangent(spectra, gain, mirrored, even, derivatives, out):  # type: ignore[no-untyped-def]
    """Write the cotangent of a loss whose derivatives in ``E`` are `derivatives`, one for each bin; see `cotangent`."""
    for b in range(spectra.shape[0]):
        _apply_factor(spectra[b], derivatives[b], gain, mirrored, even, out[b])


@helper
def _energies(row, factor, gain, mirrored, even, exponents, kinds, energy, log_energy):  # type: ignore[no-untyped-def]
    """Compute the energy of each bin, and ``log E`` or ``log(1 + E**a)`` if any sum needs it."""
    for q in range(row.size):
        re = float(row[q].real)
        im = float(row[q].imag)
        energy[q] = (re * re + im * im) * factor
    if mirrored:  # the bins at zero and Nyquist frequency have no mirror image, and therefore no gain
        energy[0] /= gain
        if even:
            energy[row.size - 1] /= gain
    for k in range(kinds.size):
        if kinds[k] == POWER_LOG:
            logs_or_zero(energy, log_energy)
            break
        if kinds[k] == LOG1P:
            logs_of_one_plus(energy, exponents[k], log_energy)
            break


@helper
def _statistic(energy, log_energy, a, kind):  # type: ignore[no-untyped-def]
    """Return the sum of the terms of a kind; common exponents need no power function."""
    total = 0.0
    log = kind == POWER_LOG
    if kind == LOG1P:
        for q in range(energy.size):
            total += log_energy[q]
        total /= a
    elif log and a == 1.0:
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


@helper
def _add_derivative(energy, log_energy, a, kind, c, factor):  # type: ignore[no-untyped-def]
    """Add ``c`` times the derivative of the terms of `_statistic` in ``E``; that of powers is 0 where ``E`` is 0."""
    log = kind == POWER_LOG
    if kind == LOG1P and (a == 1.5 or a == 2.0):
        for q in range(energy.size):
            power = energy[q] if a == 2.0 else math.sqrt(energy[q])
            factor[q] += c * power / (1.0 + power * energy[q])
    elif kind == LOG1P:
        for q in range(energy.size):
            large = energy[q] > 1.0  # E**a may overflow, E**-a does not
            small = 1.0 / energy[q] if large else energy[q]
            power = small ** (a - 1.0)
            factor[q] += c * (small if large else power) / (1.0 + power * small)
    elif log and a == 1.0:
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


@helper
def _apply_factor(row, factor, gain, mirrored, even, out):  # type: ignore[no-untyped-def]
    """Write the cotangent in ``S`` of a loss whose derivatives in ``E`` are `factor`; `out` may be `row`."""
    interior = gain if mirrored else 2.0
    zero, nyquist = row[0], row[row.size - 1]  # before `out` overwrites them
    for q in range(row.size):
        f = factor[q] * interior
        out[q] = complex(row[q].real * f, row[q].imag * f)  # a complex product has twice as many terms
    if mirrored:
        out[0] = zero * (2.0 * factor[0])
        if even:
            out[row.size - 1] = nyquist * (2.0 * factor[row.size - 1])


@helper
def _dot(a, b):  # type: ignore[no-untyped-def]
    total = 0.0
    for q in range(a.size):
        total += a[q] * b[q]
    return total


@kernel
def rotate(spectra, delta, mfft, onesided, sign):  # type: ignore[no-untyped-def]
    """Multiply bin ``q`` of frame ``b`` by ``exp(sign * 2j pi k_q delta[b] / mfft)`` in place.

    ``k_q`` is ``q``, or ``q - mfft`` in the upper half of a two-sided spectrum.
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


@kernel
def phase_gradient(g, spectra, mfft, onesided, out):  # type: ignore[no-untyped-def]
    """Add the sum of ``Re(conj(g) * 2j pi k_q / mfft * S)`` over the bins of each frame to ``out[b]``."""
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
