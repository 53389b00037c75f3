"""CUDA kernels for spectra: sums over the bins of each frame, their cotangents, and the rotation of phases."""

from __future__ import annotations

import math
from typing import Any

from numba import cuda, float64

from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.kernels.cuda.arrays import over_elements, over_rows, upload
from adaptstft.kernels.cuda.jit import block_sum, device_function, kernel
from adaptstft.kernels.terms import LOG1P, POWER_LOG


def statistics(
    spectra: Any,
    gain: float,
    mirrored: bool,
    even: bool,
    exponents: Float64Array,
    kinds: AnyArray,
    units: Float64Array,
    out: Any,
) -> None:
    """Add the sums of `adaptstft.kernels.terms` over the bins to `out`, of shape (sums, frames).

    ``E = gain * |S|**2 / units[b]`` in frame ``b``; sum ``k`` has the exponent ``exponents[k]`` and the kind
    ``kinds[k]``.
    """
    exponents, kinds, units = upload(exponents, kinds, units)
    over_rows(_statistics, (len(spectra), exponents.size), out, spectra, gain, mirrored, even, exponents, kinds, units)


@kernel
def _statistics(spectra, gain, mirrored, even, exponents, kinds, units, out):  # type: ignore[no-untyped-def]
    shared = cuda.shared.array(0, float64)
    bins = spectra.shape[1]
    k = cuda.blockIdx.y
    for b in range(cuda.blockIdx.x, spectra.shape[0], cuda.gridDim.x):
        total = 0.0
        for q in range(cuda.threadIdx.x, bins, cuda.blockDim.x):
            energy = _energy(spectra[b, q], q, bins, gain, mirrored, even) / units[b]
            total += _term(energy, exponents[k], kinds[k])
        total = block_sum(total, shared)
        if cuda.threadIdx.x == 0:
            out[k, b] = total


@device_function
def _term(energy, a, kind):  # type: ignore[no-untyped-def]
    """Return the term of a kind."""
    if kind == LOG1P:
        large = energy > 1.0  # E**a may overflow, E**-a does not
        tail = math.log1p(_power(1.0 / energy if large else energy, a)) / a
        return tail + math.log(energy) if large else tail
    if kind == POWER_LOG:
        return _power(energy, a) * math.log(energy) if energy > 0 else 0.0
    return _power(energy, a)


@device_function
def _power(energy, a):  # type: ignore[no-untyped-def]
    """Return ``E**a``, or 0 where ``E`` is 0; common exponents need no power function."""
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
    kinds: AnyArray,
    units: Float64Array,
    weights: Float64Array,
    out: Any,
) -> None:
    """Write the cotangent of ``sum_k weights[k, b] * statistic_k`` to `out`, ready for the inverse FFT.

    A one-sided inverse FFT counts each mirrored bin twice, therefore the mirrored bins get half.
    """
    layout, sums = (gain, mirrored, even), upload(exponents, kinds, units, weights)
    over_elements(_cotangent, *spectra.shape, spectra, *layout, *sums, out)


@kernel
def _cotangent(spectra, gain, mirrored, even, exponents, kinds, units, weights, out):  # type: ignore[no-untyped-def]
    bins, sums = spectra.shape[1], exponents.size
    for b in range(cuda.blockIdx.y, spectra.shape[0], cuda.gridDim.y):
        for q in range(cuda.grid(1), bins, cuda.gridsize(1)):
            energy = _energy(spectra[b, q], q, bins, gain, mirrored, even) / units[b]
            derivative = 0.0
            for k in range(sums):
                derivative += weights[k, b] / units[b] * _term_derivative(energy, exponents[k], kinds[k])
            out[b, q] = spectra[b, q] * (derivative * _factor(q, bins, gain, mirrored, even))


@device_function
def _term_derivative(energy, a, kind):  # type: ignore[no-untyped-def]
    """Return the derivative of `_term` in ``E``."""
    if kind == LOG1P:
        large = energy > 1.0
        small = 1.0 / energy if large else energy
        power = 1.0 if a == 1.0 else _power(small, a - 1.0)
        return (small if large else power) / (1.0 + power * small)
    log = kind == POWER_LOG
    if a == 1.0 and not log:
        return 1.0
    if not energy > 0:  # the cotangent of a bin is 0 where S is 0
        return 0.0
    if log:
        return _power(energy, a - 1.0) * (a * math.log(energy) + 1.0) if a != 1.0 else math.log(energy) + 1.0
    return a * _power(energy, a - 1.0) if a != 0.5 else 0.5 / math.sqrt(energy)


def bin_cotangent(spectra: Any, gain: float, mirrored: bool, even: bool, derivatives: Any, out: Any) -> None:
    """Write the cotangent of a loss whose derivatives in ``E`` are `derivatives`, one for each bin; see `cotangent`."""
    over_elements(_bin_cotangent, *spectra.shape, spectra, gain, mirrored, even, derivatives, out)


@kernel
def _bin_cotangent(spectra, gain, mirrored, even, derivatives, out):  # type: ignore[no-untyped-def]
    bins = spectra.shape[1]
    for b in range(cuda.blockIdx.y, spectra.shape[0], cuda.gridDim.y):
        for q in range(cuda.grid(1), bins, cuda.gridsize(1)):
            out[b, q] = spectra[b, q] * (derivatives[b, q] * _factor(q, bins, gain, mirrored, even))


@device_function
def _energy(s, q, bins, gain, mirrored, even):  # type: ignore[no-untyped-def]
    """Return ``gain * |S|**2`` of bin `q`, without gain if it has no mirror image."""
    energy = float(s.real) * s.real + float(s.imag) * s.imag
    return energy if _is_edge(q, bins, mirrored, even) else energy * gain


@device_function
def _is_edge(q, bins, mirrored, even):  # type: ignore[no-untyped-def]
    """Return True if a bin of a one-sided spectrum has no mirror image."""
    return mirrored and (q == 0 or (even and q == bins - 1))


@device_function
def _factor(q, bins, gain, mirrored, even):  # type: ignore[no-untyped-def]
    """Return the factor from ``S`` times the derivative in ``E`` to the cotangent of bin `q`."""
    return gain if mirrored and not _is_edge(q, bins, mirrored, even) else 2.0


def rotate(spectra: Any, delta: Float64Array, mfft: int, onesided: bool, sign: float) -> None:
    """Multiply bin ``q`` of frame ``b`` by ``exp(sign * 2j pi k_q delta[b] / mfft)`` in place.

    ``k_q`` is ``q``, or ``q - mfft`` in the upper half of a two-sided spectrum.
    """
    over_elements(_rotate, *spectra.shape, spectra, *upload(delta), mfft, onesided, sign)


@kernel
def _rotate(spectra, delta, mfft, onesided, sign):  # type: ignore[no-untyped-def]
    bins = spectra.shape[1]
    for b in range(cuda.blockIdx.y, spectra.shape[0], cuda.gridDim.y):
        angle = sign * 2.0 * math.pi * delta[b] / mfft
        if angle != 0.0:
            for q in range(cuda.grid(1), bins, cuda.gridsize(1)):
                phase = angle * _bin_number(q, mfft, onesided)
                spectra[b, q] = spectra[b, q] * complex(math.cos(phase), math.sin(phase))


def phase_gradient(g: Any, spectra: Any, mfft: int, onesided: bool, out: Any) -> None:
    """Add the sum of ``Re(conj(g) * 2j pi k_q / mfft * S)`` over the bins of each frame to ``out[b]``."""
    over_rows(_phase_gradient, (len(spectra), 1), out, g, spectra, mfft, onesided)


@kernel
def _phase_gradient(g, spectra, mfft, onesided, out):  # type: ignore[no-untyped-def]
    shared = cuda.shared.array(0, float64)
    for b in range(cuda.blockIdx.x, spectra.shape[0], cuda.gridDim.x):
        total = 0.0
        for q in range(cuda.threadIdx.x, spectra.shape[1], cuda.blockDim.x):
            v, s = g[b, q], spectra[b, q]
            total += _bin_number(q, mfft, onesided) * (float(v.imag) * s.real - float(v.real) * s.imag)
        total = block_sum(total, shared)
        if cuda.threadIdx.x == 0:
            out[b] = total * (2.0 * math.pi / mfft)


@device_function
def _bin_number(q, mfft, onesided):  # type: ignore[no-untyped-def]
    """Return the frequency of bin `q` in units of ``fs / mfft``."""
    return q if onesided or q < (mfft + 1) // 2 else q - mfft
