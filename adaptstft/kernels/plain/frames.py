"""NumPy kernels between the signal and the FFT input: windowed frames, overlap-add, sums over samples."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from adaptstft.common.typing import AnyArray, Float64Array, IntArray


def load_frames(
    x: AnyArray,
    w: AnyArray,
    scale: Float64Array,
    start: IntArray,
    count: IntArray,
    offset: IntArray,
    out: AnyArray,
) -> None:
    """Write windowed frames to the rows of the FFT input."""
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
    """Add windowed frames to `out`, a part of the signal that begins at sample `low`."""
    for b, part, i in _frames(start, count, low, low + out.size):
        out[part] += y[b, (offset[b] + i) % y.shape[1]] * (_row(w, b)[i] * _row(scale, b))


def window_energy(
    w: AnyArray, scale: Float64Array, start: IntArray, count: IntArray, low: int, out: Float64Array
) -> None:
    """Add squared windows to `out`, a part of the time axis that begins at sample `low`."""
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
    """Add the sums of ``Re(conj(y) x)`` times ``w``, ``dw * u`` and ``dw`` over each frame to ``out[:, b]``."""
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
    """Add the sum of ``Re(conj(y) x)`` times `rows` over each frame to ``out[b]``."""
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
    """Write the adjoint frames of the energy ``sum |S|**2`` over the stored bins, without an inverse FFT.

    ``edges[:, b]`` are the bins at zero and (for an even `mfft`) at the Nyquist frequency, which
    have no mirror image; `gain` is the factor on ``|S|**2`` in all other one-sided bins.
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


def _frames(start: IntArray, count: IntArray, low: int, high: int) -> Iterator[tuple[int, slice, AnyArray]]:
    """Yield for each frame its number, its part of the signal, and the numbers ``i`` of its samples in that part."""
    for b in range(start.size):
        i = np.arange(max(0, low - start[b]), max(0, low - start[b], min(count[b], high - start[b])))
        first = start[b] - low + (i[0] if i.size else 0)
        yield b, slice(first, first + i.size), i


def _row(rows: AnyArray, b: int) -> Any:
    """Return row `b`, or the one row that all frames share."""
    return rows[b if rows.shape[0] > 1 else 0]
