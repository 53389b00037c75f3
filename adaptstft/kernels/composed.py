"""The fused kernels of the Numba backend, composed of the single kernels of another backend."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np

from adaptstft.common.typing import Float64Array, IntArray
from adaptstft.kernels.window_scale import window_scale


def statistics_and_cotangent(
    kernels: ModuleType,
    spectra: Any,
    gain: float,
    mirrored: bool,
    even: bool,
    exponents: Float64Array,
    kinds: Any,
    units: Float64Array,
    chosen: int,
    out: Float64Array,
    log_scale_derivative: Float64Array,
    adjoint: Any,
) -> None:
    """Add the sums of `statistics` to `out`, and write the cotangent of sum `chosen` to `adjoint`.

    `log_scale_derivative` gets the derivative of the chosen sum in the logarithm of each frame's scale.
    `adjoint` may be `spectra`.
    """
    kernels.statistics(spectra, gain, mirrored, even, exponents, kinds, units, out)
    one = slice(chosen, chosen + 1)
    ones = np.ones((1, spectra.shape[0]))
    before = spectra.copy()
    kernels.cotangent(spectra, gain, mirrored, even, exponents[one], kinds[one], units, ones, adjoint)
    terms = adjoint.real.astype(float) * before.real + adjoint.imag.astype(float) * before.imag
    if mirrored:  # the inverse FFT counts these bins twice
        terms[:, 1 : -1 if even else None] *= 2
    log_scale_derivative[:] = kernels.to_host(terms.sum(axis=1))


def load_frames_and_energy_gradient(
    kernels: ModuleType,
    x: Any,
    value: Any,
    derivative: Any,
    plateau: float,
    theta: Float64Array,
    lead: Float64Array,
    start: IntArray,
    count: IntArray,
    offset: IntArray,
    scaling: int,
    T: float,
    amplitude: float,
    origin: float,
    gain: float,
    onesided: bool,
    out: Any,
    scales: Float64Array,
    energy: Float64Array,
) -> None:
    """Write windowed frames to the rows of the FFT input, and compute the gradient of their energy.

    ``scales[:, b]`` gets the scale of window ``b`` and its derivative in the window length. The derivatives of the
    energy ``sum |S|**2`` of frame ``b`` in the window length and centre are added to ``energy[:, b]``, which may have
    no columns if they are not needed.
    """
    w, dw = kernels.xp.empty((2, theta.size, int(count.max(initial=1))), value.dtype)
    kernels.window_rows(value, derivative, plateau, theta, lead, count, w, dw)
    scales[0], scales[1] = amplitude, 0.0
    if scaling:
        sum_lead = np.ceil(origin - theta / 2) - origin  # the scale is defined by a frame at an integer position
        size = (np.ceil(origin + theta / 2) - origin - sum_lead).astype(np.int64)
        rows = kernels.xp.empty((2, theta.size, int(size.max(initial=1))), value.dtype)
        kernels.window_rows(value, derivative, plateau, theta, sum_lead, size, *rows)
        sums = np.empty((4, theta.size))
        kernels.row_sums(*rows, theta, sum_lead, size, sums)
        magnitude = scaling == 1
        of_window = window_scale(magnitude, T, theta, *(sums[:2] if magnitude else sums[2:]))
        scales[:] = np.multiply(of_window, amplitude)
    place = (start, count, offset)
    kernels.load_frames(x, w, scales[0].copy(), *place, out)
    if not energy.size:
        return
    mfft = out.shape[1]
    edges = kernels.xp.zeros((2, theta.size))
    if onesided:
        edges[0] = out.sum(axis=1, dtype=float)
        if mfft % 2 == 0:
            edges[1] = out[:, ::2].sum(axis=1, dtype=float) - out[:, 1::2].sum(axis=1, dtype=float)
    y = kernels.xp.empty(out.shape, out.dtype)
    kernels.energy_cotangent(x, w, scales[0].copy(), *place, edges, gain, mfft, onesided, y)
    a0, a1, a2 = _frame_sums(kernels, y, x, w, dw, theta, lead, *place)
    energy += scales[1] * a0 - scales[0] / theta * a1, -scales[0] / theta * a2


def window_gradient(
    kernels: ModuleType,
    y: Any,
    x: Any,
    derivative: Any,
    plateau: float,
    theta: Float64Array,
    lead: Float64Array,
    start: IntArray,
    count: IntArray,
    offset: IntArray,
    scales: Float64Array,
    log_scale_derivative: Float64Array,
    out: Float64Array,
) -> None:
    """Add the derivatives of a loss in the window lengths and centres, given its adjoint frames `y`, to `out`.

    `log_scale_derivative` is the derivative of the loss in the logarithm of each frame's scale; `scales` are the
    scales from `load_frames_and_energy_gradient`.
    """
    w, dw = kernels.xp.zeros((2, theta.size, int(count.max(initial=1))), derivative.dtype)
    kernels.window_rows(derivative, derivative, plateau, theta, lead, count, w, dw)  # `w` is not used
    _, a1, a2 = _frame_sums(kernels, y, x, w, dw, theta, lead, start, count, offset)
    out += scales[1] / scales[0] * log_scale_derivative - scales[0] / theta * a1, -scales[0] / theta * a2


def _frame_sums(kernels: ModuleType, y: Any, x: Any, w: Any, dw: Any, theta: Float64Array, *place: Any) -> Float64Array:
    """Return the sums of `reduce_frames`."""
    sums = np.zeros((3, theta.size))
    kernels.reduce_frames(y, x, w, dw, theta, *place, sums)
    return sums
