"""What Numba's kernels do in one pass for the sake of its caches, composed from the kernels of another backend."""

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
    logs: Any,
    chosen: int,
    out: Float64Array,
    growth: Float64Array,
    adjoint: Any,
) -> None:
    """Do as `statistics`, and write the cotangent of the `chosen` one; `adjoint` may be the spectra.

    `growth` becomes that one's derivative in the logarithm of each frame's scale.
    """
    kernels.statistics(spectra, gain, mirrored, even, exponents, logs, out)
    one = slice(chosen, chosen + 1)
    ones = np.ones((1, spectra.shape[0]))
    before = spectra.copy()
    kernels.cotangent(spectra, gain, mirrored, even, exponents[one], logs[one], ones, adjoint)
    terms = adjoint.real.astype(float) * before.real + adjoint.imag.astype(float) * before.imag
    if mirrored:  # what the inverse FFT counts twice
        terms[:, 1 : -1 if even else None] *= 2
    growth[:] = kernels.to_host(terms.sum(axis=1))


def tuned_frames(
    kernels: ModuleType,
    x: Any,
    value: Any,
    gradient: Any,
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
    """Write windowed frames into the rows of the FFT's input, and what follows from their windows alone.

    ``scales[:, b]`` becomes the scale of window ``b`` and its derivative in the length. To ``energy[:, b]`` the
    derivatives of the frame's energy ``sum |S|**2`` in the window's length and centre are added.
    """
    w, dw = kernels.xp.empty((2, theta.size, int(count.max(initial=1))), value.dtype)
    kernels.window_rows(value, gradient, plateau, theta, lead, count, w, dw)
    scales[0], scales[1] = amplitude, 0.0
    if scaling:
        sum_lead = np.ceil(origin - theta / 2) - origin  # the sums are those of a frame at an integer time
        size = (np.ceil(origin + theta / 2) - origin - sum_lead).astype(np.int64)
        rows = kernels.xp.empty((2, theta.size, int(size.max(initial=1))), value.dtype)
        kernels.window_rows(value, gradient, plateau, theta, sum_lead, size, *rows)
        sums = np.empty((4, theta.size))
        kernels.row_sums(*rows, theta, sum_lead, size, sums)
        magnitude = scaling == 1
        of_window = window_scale(magnitude, T, theta, *(sums[:2] if magnitude else sums[2:]))
        scales[:] = np.multiply(of_window, amplitude)
    place = (start, count, offset)
    kernels.load_frames(x, w, scales[0].copy(), *place, out)
    mfft = out.shape[1]
    edges = kernels.xp.zeros((2, theta.size))
    if onesided:
        edges[0] = out.sum(axis=1, dtype=float)
        if mfft % 2 == 0:
            edges[1] = out[:, ::2].sum(axis=1, dtype=float) - out[:, 1::2].sum(axis=1, dtype=float)
    y = kernels.xp.empty(out.shape, out.dtype)
    kernels.energy_cotangent(x, w, scales[0].copy(), *place, edges, gain, mfft, onesided, y)
    a0, a1, a2 = reduced(kernels, y, x, w, dw, theta, lead, *place)
    energy += scales[1] * a0 - scales[0] / theta * a1, -scales[0] / theta * a2


def tuned_gradients(
    kernels: ModuleType,
    y: Any,
    x: Any,
    gradient: Any,
    plateau: float,
    theta: Float64Array,
    lead: Float64Array,
    start: IntArray,
    count: IntArray,
    offset: IntArray,
    scales: Float64Array,
    growth: Float64Array,
    out: Float64Array,
) -> None:
    """Add the derivatives of a loss in the lengths and centres of the windows, from its adjoint frames, to `out`.

    `growth` is the derivative in the logarithm of each frame's scale, `scales` what `tuned_frames` found.
    """
    w, dw = kernels.xp.zeros((2, theta.size, int(count.max(initial=1))), gradient.dtype)
    kernels.window_rows(gradient, gradient, plateau, theta, lead, count, w, dw)  # only the derivative is of use here
    _, a1, a2 = reduced(kernels, y, x, w, dw, theta, lead, start, count, offset)
    out += scales[1] / scales[0] * growth - scales[0] / theta * a1, -scales[0] / theta * a2


def reduced(kernels: ModuleType, y: Any, x: Any, w: Any, dw: Any, theta: Float64Array, *place: Any) -> Float64Array:
    """Return what `reduce_frames` sums."""
    sums = np.zeros((3, theta.size))
    kernels.reduce_frames(y, x, w, dw, theta, *place, sums)
    return sums
