"""Numba kernels for spectra: sums over the bins of each frame, their cotangents, and the rotation of phases.

Energies have the precision of the spectra. In single precision their powers would soon leave its range, so that for
sums of powers a frame whose energies add up to very much or very little is scaled by a power of two: ``E = unit * e``
with the energies ``e`` of the scaled frame.
"""

from __future__ import annotations

import math

import numpy as np

from adaptstft.kernels.cpu.jit import exact_helper, helper, kernel
from adaptstft.kernels.cpu.logarithm import LARGE, logs_of_one_plus, logs_or_zero
from adaptstft.kernels.terms import LOG1P, POWER_LOG

#: Number of terms that are added in the precision of the spectra before their sum is added in double precision.
_CHUNK = np.uint64(512)
#: A frame is scaled if its energies add up to more than the first number, or on average to less than the second one,
#: in single and in double precision. Third powers of energies between them are in the range.
_MOST, _LEAST = 2.0**40, 2.0**-20
_MOST_DOUBLE, _LEAST_DOUBLE = 2.0**300, 2.0**-150
#: Largest exponent of a scale. Smaller frames than its inverse are scaled by no more, and still are silent if squares
#: of the result are zero.
_LARGEST_SCALE, _LARGEST_SCALE_DOUBLE = 126, 500


def statistics(spectra, gain, mirrored, even, exponents, kinds, units, out):  # type: ignore[no-untyped-def]
    """Add the sums of `adaptstft.kernels.terms` over the bins to `out`, of shape (sums, frames).

    ``E = gain * |S|**2 / units[b]`` in frame ``b``; sum ``k`` has the exponent ``exponents[k]`` and the kind
    ``kinds[k]``.
    """
    # not a kernel of its own, whose compilation would take seconds
    statistics_and_cotangent(spectra, gain, mirrored, even, exponents, kinds, units, -1, out, np.empty(0), spectra)


@kernel
def cotangent(spectra, gain, mirrored, even, exponents, kinds, units, weights, out):  # type: ignore[no-untyped-def]
    """Write the cotangent of ``sum_k weights[k, b] * statistic_k`` to `out`, ready for the inverse FFT.

    A one-sided inverse FFT counts each mirrored bin twice, therefore the mirrored bins get half.
    """
    energy = np.empty(spectra.shape[1], spectra.real.dtype)
    log_energy = np.empty(spectra.shape[1], spectra.real.dtype)
    factor = np.empty(spectra.shape[1], spectra.real.dtype)
    for b in range(spectra.shape[0]):
        unit, scale = _energies(spectra[b], gain / units[b], gain, mirrored, even, exponents, kinds, energy, log_energy)
        factor[:] = 0
        for k in range(exponents.size):
            _add_derivative(energy, log_energy, unit, exponents[k], kinds[k], weights[k, b] / units[b] / scale, factor)
        _apply_factor(spectra[b], scale, factor, gain, mirrored, even, out[b])


@kernel
def statistics_and_cotangent(  # type: ignore[no-untyped-def]
    spectra, gain, mirrored, even, exponents, kinds, units, chosen, out, log_scale_derivative, adjoint
):
    """Add the sums of `statistics` to `out`, and write the cotangent of sum `chosen` to `adjoint`.

    Logarithms are computed once for both. `log_scale_derivative` gets the derivative of the chosen sum in the
    logarithm of each frame's scale, ``2 sum E phi'(E)`` for its terms ``phi(E)``. `adjoint` may be `spectra`. If
    `chosen` is negative, only the sums are computed.
    """
    energy = np.empty(spectra.shape[1], spectra.real.dtype)
    log_energy = np.empty(spectra.shape[1], spectra.real.dtype)
    factor = np.empty(spectra.shape[1], spectra.real.dtype)
    for b in range(spectra.shape[0]):
        unit, scale = _energies(spectra[b], gain / units[b], gain, mirrored, even, exponents, kinds, energy, log_energy)
        for k in range(exponents.size):
            out[k, b] += _statistic(energy, log_energy, unit, exponents[k], kinds[k])
        if chosen < 0:
            continue
        factor[:] = 0
        rate = 1.0 / units[b] / scale
        _add_derivative(energy, log_energy, unit, exponents[chosen], kinds[chosen], rate, factor)
        log_scale_derivative[b] = 2.0 * _dot(energy, factor) * unit * scale * units[b]
        _apply_factor(spectra[b], scale, factor, gain, mirrored, even, adjoint[b])


@kernel
def bin_cotangent(spectra, gain, mirrored, even, derivatives, out):  # type: ignore[no-untyped-def]
    """Write the cotangent of a loss whose derivatives in ``E`` are `derivatives`, one for each bin; see `cotangent`."""
    for b in range(spectra.shape[0]):
        _apply_factor(spectra[b], 1.0, derivatives[b], gain, mirrored, even, out[b])


@helper
def _energies(row, factor, gain, mirrored, even, exponents, kinds, energy, log_energy):  # type: ignore[no-untyped-def]
    """Compute the energies ``e`` of a frame, and ``log e`` or ``log(1 + e**a)`` if any sum needs it.

    Return their unit and the scale of the frame: ``E = unit * e``, where ``E`` is `factor` times ``|S|**2``, and ``e``
    is ``|scale * S|**2``. With ``log(1 + E**a)`` the unit is 1.
    """
    logs, one_plus, largest = False, 0.0, 0.0
    for k in range(kinds.size):
        if kinds[k] == POWER_LOG:
            logs = True
        if kinds[k] == LOG1P:
            one_plus = exponents[k]
        largest = max(largest, exponents[k])
    if one_plus > 0:
        unit, scale = 1.0, math.sqrt(factor)
        _squares(row, scale, energy)
    else:
        unit, scale = factor, 1.0
        total = _squares(row, scale, energy)
        double = energy.itemsize == 8
        most = _MOST_DOUBLE if double else _MOST
        least = (_LEAST_DOUBLE if double else _LEAST) * row.size
        if largest > 3.0 or not least < total < most:
            scale = _scale_of(row, _LARGEST_SCALE_DOUBLE if double else _LARGEST_SCALE)
            unit = factor / scale / scale
            _squares(row, scale, energy)
    if mirrored:  # the bins at zero and Nyquist frequency have no mirror image, and therefore no gain
        energy[0] /= gain
        if even:
            energy[row.size - 1] /= gain
    if logs:
        logs_or_zero(energy, log_energy)
    elif one_plus > 0:
        logs_of_one_plus(energy, one_plus, log_energy)
    return unit, scale


@helper
def _squares(row, scale, energy):  # type: ignore[no-untyped-def]
    """Write ``|scale * S|**2``, and return the sum."""
    scale = energy.dtype.type(scale)
    total = energy.dtype.type(0)
    for q in range(row.size):
        re, im = row[q].real * scale, row[q].imag * scale
        energy[q] = re * re + im * im
        total += energy[q]
    return total


@helper
def _scale_of(row, most):  # type: ignore[no-untyped-def]
    """Return a power of two that brings the largest part of a number to between 1/2 and 1, at most ``2**most``."""
    largest = 0.0
    for q in range(row.size):
        largest = max(largest, abs(row[q].real), abs(row[q].imag))
    if not 0.0 < largest < math.inf:
        return 1.0
    return math.ldexp(1.0, max(-most, min(most, -math.frexp(largest)[1])))


@helper
def _statistic(energy, log_energy, unit, a, kind):  # type: ignore[no-untyped-def]
    """Return the sum of the terms of a kind; common exponents need no power function."""
    total, total_log = 0.0, 0.0
    size = np.uint64(energy.size)
    for low in range(np.uint64(0), size, _CHUNK):
        part, part_log = _terms(energy, log_energy, a, kind, low, min(low + _CHUNK, size))
        total += part
        total_log += part_log
    if kind == LOG1P:
        return total / a
    if kind == POWER_LOG:
        total = total_log + total * math.log(unit)
    return total if unit == 1.0 else total * unit**a


@helper
def _terms(energy, log_energy, a, kind, low, high):  # type: ignore[no-untyped-def]
    """Return the sum of ``e**a``, or of ``log(1 + e**a)``, and that of ``e**a log e`` if the kind has it.

    The limits `low` and `high` are unsigned: loops without a test for negative indices are vectorised.
    """
    real = energy.dtype.type
    total, total_log, exponent = real(0), real(0), real(a)
    if kind == LOG1P:
        for q in range(low, high):
            total += log_energy[q]
    elif kind == POWER_LOG and a == 1.0:
        for q in range(low, high):
            total += energy[q]
            total_log += energy[q] * log_energy[q]
    elif a == 1.0:
        for q in range(low, high):
            total += energy[q]
    elif kind == POWER_LOG:
        for q in range(low, high):
            power = energy[q] ** exponent if energy[q] > 0 else real(0)
            total += power
            total_log += power * log_energy[q]
    elif a == 2.0:
        for q in range(low, high):
            total += energy[q] * energy[q]
    elif a == 3.0:
        for q in range(low, high):
            total += energy[q] * energy[q] * energy[q]
    elif a == 0.5:
        for q in range(low, high):
            total += math.sqrt(energy[q])
    else:
        for q in range(low, high):
            total += energy[q] ** exponent if energy[q] > 0 else real(0)
    return float(total), float(total_log)


@helper
def _add_derivative(energy, log_energy, unit, a, kind, c, factor):  # type: ignore[no-untyped-def]
    """Add ``c`` times the derivative of the terms of `_statistic` in ``E``; that of powers is 0 where ``E`` is 0."""
    real = energy.dtype.type
    one, zero, exponent = real(1), real(0), real(a - 1.0)
    gain = c if a == 1.0 else c * unit ** (a - 1.0)  # that of a power of e
    slope = real(a * gain)
    if kind == LOG1P and (a == 1.5 or a == 2.0):
        for q in range(energy.size):
            power = energy[q] if a == 2.0 else math.sqrt(energy[q])
            large = energy[q] > real(LARGE)
            factor[q] += real(c) * (one if large else power) / (energy[q] if large else one + power * energy[q])
    elif kind == LOG1P:
        for q in range(energy.size):
            large = energy[q] > one  # E**a may overflow, E**-a does not
            small = one / energy[q] if large else energy[q]
            power = small**exponent
            factor[q] += real(c) * (small if large else power) / (one + power * small)
    elif kind == POWER_LOG:
        constant = real(gain * (a * math.log(unit) + 1.0))
        if a == 1.0:
            for q in range(energy.size):
                factor[q] += slope * log_energy[q] + constant if energy[q] > 0 else zero
        else:
            for q in range(energy.size):
                factor[q] += energy[q] ** exponent * (slope * log_energy[q] + constant) if energy[q] > 0 else zero
    elif a == 1.0:
        for q in range(energy.size):
            factor[q] += slope
    elif a == 2.0:
        for q in range(energy.size):
            factor[q] += slope * energy[q]
    elif a == 3.0:
        for q in range(energy.size):
            factor[q] += slope * energy[q] * energy[q]
    elif a == 0.5:
        for q in range(energy.size):
            factor[q] += slope / math.sqrt(energy[q]) if energy[q] > 0 else zero
    else:
        for q in range(energy.size):
            factor[q] += slope * energy[q] ** exponent if energy[q] > 0 else zero


@exact_helper
def _apply_factor(row, scale, factor, gain, mirrored, even, out):  # type: ignore[no-untyped-def]
    """Write the cotangent in ``S`` of a loss whose derivatives in ``E`` are `factor` times `scale`; `out` may be `row`.

    For numbers that are very small the product of the last two could leave the range of single precision.
    """
    real = factor.dtype.type
    interior, edge, scale = real(gain if mirrored else 2.0), real(2), real(scale)
    zero, nyquist = row[0], row[row.size - 1]  # before `out` overwrites them
    for q in range(row.size):
        f = factor[q] * interior
        # a complex product has twice as many terms
        out[q] = complex((row[q].real * scale) * f, (row[q].imag * scale) * f)
    if mirrored:
        out[0] = zero * scale * (edge * factor[0])
        if even:
            out[row.size - 1] = nyquist * scale * (edge * factor[row.size - 1])


@helper
def _dot(a, b):  # type: ignore[no-untyped-def]
    total, size = 0.0, np.uint64(a.size)
    for low in range(np.uint64(0), size, _CHUNK):
        part = a.dtype.type(0)
        for q in range(low, min(low + _CHUNK, size)):
            part += a[q] * b[q]
        total += part
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
