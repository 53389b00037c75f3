"""NumPy kernels of ridges: strongest paths through bins, sums of frames at any frequency, parabolas through ridges."""

from __future__ import annotations

import numpy as np

from adaptstft.common.best_path import NearMoves, best_path
from adaptstft.common.typing import AnyArray, ComplexArray, Float64Array, IntArray


def strongest_path(score: Float64Array, scale: Float64Array, limit: AnyArray, path: AnyArray) -> None:
    """Write the path with the largest sum of scores less ``abs(step) / scale`` over its steps.

    `score` has the shape (frames, points). ``limit[p]`` is the longest step from frame ``p`` to the next one. Of
    equally good steps the path takes the shortest, and of two equally short ones that from the lower point; it ends in
    the lowest of equally good points.
    """
    moves = (
        NearMoves(-most, np.abs(np.arange(-most, most + 1)) / unit, nearest_first=True)
        for unit, most in zip(scale, limit.tolist(), strict=True)
    )
    path[:] = best_path(-score, moves)[0]


def frequency_sums(xw: AnyArray, s: Float64Array, f: Float64Array, out: ComplexArray) -> None:
    """Write the sums over each frame of ``xw s**j exp(-2j pi f s)`` for ``j`` from 0 to 2 to `out`, (3, frames).

    `xw` and the times `s` have the shape (frames, samples); times are equally spaced. ``f[p]`` is the frequency of
    frame ``p``.
    """
    rotated = xw * np.exp(-2j * np.pi * f[:, np.newaxis] * s)
    out[0] = rotated.sum(axis=1)
    out[1] = np.einsum("ps,ps->p", rotated, s)
    out[2] = np.einsum("ps,ps,ps->p", rotated, s, s)


def second_derivatives(
    times: Float64Array,
    values: Float64Array,
    deviation: Float64Array,
    low: IntArray,
    high: IntArray,
    least: float,
    second: Float64Array,
    variance: Float64Array,
) -> None:
    """Write the second derivatives of parabolas through ``values[low[p]:high[p]]``, and their variances.

    `deviation` are the standard deviations of the values, whose errors are independent. The result is 0 if at most the
    share `least` of the energy of the squared times is off a straight line.
    """
    second[:], variance[:] = 0.0, 0.0
    for p, (first, last) in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
        if last - first < 3:
            continue
        s = times[first:last] - times[first:last].mean()
        energy = s @ s
        q = s**2 - np.mean(s**2) - s * (s @ s**2 / energy if energy > 0 else 0.0)
        size = q @ q
        if size > least * np.sum(s**4):
            second[p] = 2 * (q @ values[first:last]) / size
            variance[p] = 4 * np.sum((q * deviation[first:last]) ** 2) / size**2
