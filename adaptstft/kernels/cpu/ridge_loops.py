"""Numba kernels of ridges: strongest paths through bins, sums of frames at any frequency, parabolas through ridges."""

from __future__ import annotations

import math

import numpy as np

from adaptstft.kernels.cpu.jit import kernel

#: Samples between two sines: the phasors of the samples in between are products of two.
_FINE = 16


@kernel
def strongest_path(score, scale, limit, path):  # type: ignore[no-untyped-def]
    """Write the path with the largest sum of scores less ``abs(step) / scale`` over its steps.

    `score` has the shape (frames, points). ``limit[p]`` is the longest step from frame ``p`` to the next one. Of
    equally good steps the path takes the shortest, and of two equally short ones that from the lower point; it ends in
    the lowest of equally good points.
    """
    frames, points = score.shape
    step = np.zeros((frames, points), np.int32)
    total, best = -score[0], np.empty(points)
    for p in range(1, frames):
        best[:] = total
        taken = step[p]
        for distance in range(1, limit[p - 1] + 1):
            price = distance / scale[p - 1]
            for j in range(distance, points):
                if total[j - distance] + price < best[j]:
                    best[j] = total[j - distance] + price
                    taken[j] = distance
            for j in range(points - distance):
                if total[j + distance] + price < best[j]:
                    best[j] = total[j + distance] + price
                    taken[j] = -distance
        for j in range(points):
            total[j] = best[j] - score[p, j]
    path[frames - 1] = total.argmin()
    for p in range(frames - 1, 0, -1):
        path[p - 1] = path[p] - step[p, path[p]]


@kernel
def frequency_sums(xw, s, f, out):  # type: ignore[no-untyped-def]
    """Write the sums over each frame of ``xw s**j exp(-2j pi f s)`` for ``j`` from 0 to 2 to `out`, (3, frames).

    `xw` and the times `s` have the shape (frames, samples); times are equally spaced. ``f[p]`` is the frequency of
    frame ``p``.
    """
    size = xw.shape[1]
    fine = np.empty(_FINE, np.complex128)
    for p in range(xw.shape[0]):
        step = (s[p, size - 1] - s[p, 0]) / max(size - 1, 1)
        for i in range(_FINE):
            angle = -2.0 * math.pi * f[p] * (i * step)
            fine[i] = complex(math.cos(angle), math.sin(angle))
        v0, v1, v2 = 0j, 0j, 0j
        for begin in range(0, size, _FINE):
            end = min(begin + _FINE, size)
            angle = -2.0 * math.pi * f[p] * s[p, begin]
            turn = complex(math.cos(angle), math.sin(angle))
            m0, m1, m2 = 0j, 0j, 0j
            for i in range(end - begin):
                term, time = xw[p, begin + i] * fine[i], s[p, begin + i]
                m0 += term
                m1 += term * time
                m2 += term * (time * time)
            v0 += turn * m0
            v1 += turn * m1
            v2 += turn * m2
        out[0, p], out[1, p], out[2, p] = v0, v1, v2


@kernel
def second_derivatives(times, values, deviation, low, high, least, second, variance):  # type: ignore[no-untyped-def]
    """Write the second derivatives of parabolas through ``values[low[p]:high[p]]``, and their variances.

    `deviation` are the standard deviations of the values, whose errors are independent. The result is 0 if at most the
    share `least` of the energy of the squared times is off a straight line.
    """
    for p in range(low.size):
        second[p], variance[p] = 0.0, 0.0
        first, last = low[p], high[p]
        count = last - first
        if count < 3:
            continue
        centre = 0.0
        for i in range(first, last):
            centre += times[i]
        centre /= count
        m2, m3 = 0.0, 0.0
        for i in range(first, last):
            s = times[i] - centre
            m2 += s**2
            m3 += s**3
        slope = m3 / m2 if m2 > 0.0 else 0.0
        m2 /= count
        size, m4, product, spread = 0.0, 0.0, 0.0, 0.0
        for i in range(first, last):
            s = times[i] - centre
            q = s**2 - m2 - s * slope
            size += q**2
            m4 += s**4
            product += q * values[i]
            spread += (q * deviation[i]) ** 2
        if size > least * m4:
            second[p], variance[p] = 2.0 * product / size, 4.0 * spread / size**2
