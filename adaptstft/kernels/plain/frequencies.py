"""NumPy kernels for instantaneous frequencies, from the transforms in `adaptstft.tracking.moments`, and squeezing."""

from __future__ import annotations

import numpy as np

from adaptstft.common.typing import AnyArray, Float64Array


def first_order_frequency(
    V: AnyArray, D: AnyArray, f: Float64Array, duration: Float64Array, frequency: Float64Array, peak: Float64Array
) -> None:
    """Write the instantaneous frequencies of the first order in Hz, and the largest ``|V|**2`` of each frame.

    Arrays have the shape (frames, bins), `f` has the bins' frequencies, and `duration` the window lengths in seconds,
    with one column if all bins of a frame have the same. Where ``V`` is 0, the frequency is that of the bin.
    """
    ratio = np.divide(D, V, out=np.zeros_like(D), where=V != 0)
    frequency[...] = f - ratio.imag / (2 * np.pi * duration)
    peak[...] = np.max(V.real**2 + V.imag**2, axis=1)


def second_order_frequency(
    V: AnyArray,
    D: AnyArray,
    U: AnyArray,
    E: AnyArray,
    Q: AnyArray,
    f: Float64Array,
    duration: Float64Array,
    singular: float,
    frequency: Float64Array,
    chirp_rate: Float64Array,
    peak: Float64Array,
) -> None:
    """Write the instantaneous frequencies in Hz and the chirp rates in Hz/s of the second order, and peaks as above.

    Where the determinant of the two equations is at most `singular`, the frequency is that of the first order and the
    rate is 0.
    """
    zero = np.zeros_like(V)
    # relative to V, so that products of small numbers do not underflow
    d, u, e, m = (np.divide(part, V, out=zero.copy(), where=V != 0) for part in (D, U, E, Q))
    det = u * u - m
    regular = np.abs(det) > singular
    b = np.divide(u * (1 + e) - d * m, det, out=d.copy(), where=regular)
    c = np.divide(1 + e - u * d, det, out=zero, where=regular)
    frequency[...] = f - b.imag / (2 * np.pi * duration)
    chirp_rate[...] = c.imag / (2 * np.pi * duration**2)
    peak[...] = np.max(V.real**2 + V.imag**2, axis=1)


def squeeze(
    S: AnyArray,
    frequency: Float64Array,
    chirp_rate: Float64Array,
    floor: float,
    f: Float64Array,
    step: float,
    factor: AnyArray,
    two_sided: bool,
    shift: int,
) -> None:
    """Add up the bins of each frame, times `factor`, in the rows nearest to their frequencies; changes all three.

    `f` has the bins' frequencies, with the spacing `step`. A bin with ``|S|**2`` of at most `floor` stays where it is:
    its frequency becomes that of the bin, and its rate 0. Two-sided frequencies are taken modulo the sampling
    frequency, and row ``shift`` is that of 0 Hz; a one-sided frequency outside the bins becomes that of its bin.
    `chirp_rate` has no frames if there are no rates, and `factor` has one row if all frames have the same.
    """
    frames, bins = S.shape
    negligible = S.real**2 + S.imag**2 <= floor
    here = np.where(negligible, f, frequency)
    if len(chirp_rate):
        chirp_rate[negligible] = 0.0
    lowest, highest = f.min() - step / 2, f[-1] + step / 2
    if two_sided:
        here = lowest + (here - lowest) % (bins * step)
    else:
        here = np.where((here > lowest) & (here < highest), here, f)
    frequency[...] = here
    place = np.rint(here / step).astype(np.int64)
    place = (place + shift) % bins if two_sided else np.clip(place, 0, bins - 1)
    cell = (place + bins * np.arange(frames)[:, None]).ravel()
    moved = (S * factor).ravel()
    S.real = np.bincount(cell, moved.real, S.size).reshape(S.shape)
    S.imag = np.bincount(cell, moved.imag, S.size).reshape(S.shape)
