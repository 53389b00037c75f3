"""NumPy kernels for spectra: sums over the bins of each frame, their cotangents, and the rotation of phases."""

from __future__ import annotations

import numpy as np

from adaptstft.common.typing import AnyArray, Float64Array, IntArray
from adaptstft.kernels.terms import terms


def statistics(
    spectra: AnyArray,
    gain: float,
    mirrored: bool,
    even: bool,
    exponents: Float64Array,
    kinds: IntArray,
    units: Float64Array,
    out: Float64Array,
) -> None:
    """Add the sums of `adaptstft.kernels.terms` over the bins to `out`, of shape (sums, frames).

    ``E = gain * |S|**2 / units[b]`` in frame ``b``; sum ``k`` has the exponent ``exponents[k]`` and the kind
    ``kinds[k]``.
    """
    energy = _energies(spectra, gain, mirrored, even) / units[:, None]
    for k, (a, kind) in enumerate(zip(exponents, kinds, strict=True)):
        out[k] += terms(energy, float(a), int(kind))[0].sum(axis=1)


def cotangent(
    spectra: AnyArray,
    gain: float,
    mirrored: bool,
    even: bool,
    exponents: Float64Array,
    kinds: IntArray,
    units: Float64Array,
    weights: Float64Array,
    out: AnyArray,
) -> None:
    """Write the cotangent of ``sum_k weights[k, b] * statistic_k`` to `out`, ready for the inverse FFT.

    A one-sided inverse FFT counts each mirrored bin twice, therefore the mirrored bins get half.
    """
    energy = _energies(spectra, gain, mirrored, even) / units[:, None]
    derivatives = np.zeros_like(energy)
    for a, kind, weight in zip(exponents, kinds, weights, strict=True):
        derivatives += (weight / units)[:, None] * terms(energy, float(a), int(kind))[1]
    bin_cotangent(spectra, gain, mirrored, even, np.where(energy > 0, derivatives, 0.0), out)


def bin_cotangent(
    spectra: AnyArray, gain: float, mirrored: bool, even: bool, derivatives: Float64Array, out: AnyArray
) -> None:
    """Write the cotangent of a loss whose derivatives in ``E`` are `derivatives`, one for each bin; see `cotangent`."""
    factor = np.full(spectra.shape[1], gain if mirrored else 2.0)
    if mirrored:
        factor[0] = 2.0
        if even:
            factor[-1] = 2.0
    out[...] = spectra * (derivatives * factor)


def _energies(spectra: AnyArray, gain: float, mirrored: bool, even: bool) -> Float64Array:
    """Return ``gain * |S|**2``, without gain for the bins that have no mirror image."""
    energy = (spectra.real.astype(float) ** 2 + spectra.imag.astype(float) ** 2) * gain
    if mirrored:
        energy[:, 0] /= gain
        if even:
            energy[:, -1] /= gain
    return np.asarray(energy)


def rotate(spectra: AnyArray, delta: Float64Array, mfft: int, onesided: bool, sign: float) -> None:
    """Multiply bin ``q`` of frame ``b`` by ``exp(sign * 2j pi k_q delta[b] / mfft)`` in place.

    ``k_q`` is ``q``, or ``q - mfft`` in the upper half of a two-sided spectrum.
    """
    k = _bin_numbers(spectra.shape[1], mfft, onesided)
    spectra *= np.exp(sign * 2j * np.pi / mfft * np.outer(delta, k))


def phase_gradient(g: AnyArray, spectra: AnyArray, mfft: int, onesided: bool, out: Float64Array) -> None:
    """Add the sum of ``Re(conj(g) * 2j pi k_q / mfft * S)`` over the bins of each frame to ``out[b]``."""
    k = _bin_numbers(spectra.shape[1], mfft, onesided)
    out += np.real(np.conj(g.astype(complex)) * (2j * np.pi / mfft * k) * spectra).sum(axis=1)


def _bin_numbers(bins: int, mfft: int, onesided: bool) -> IntArray:
    """Return the frequency of each stored bin in units of ``fs / mfft``."""
    k = np.arange(bins)
    if not onesided:
        k[(mfft + 1) // 2 :] -= mfft
    return k
