"""Numba kernels for instantaneous frequencies, from the transforms in `adaptstft.tracking.moments`, and squeezing."""

from __future__ import annotations

import math

import numpy as np

from adaptstft.kernels.cpu.jit import kernel


@kernel
def first_order_frequency(V, D, f, duration, frequency, peak):  # type: ignore[no-untyped-def]
    """Write the instantaneous frequencies of the first order in Hz, and the largest ``|V|**2`` of each frame.

    Arrays have the shape (frames, bins), `f` has the bins' frequencies, and `duration` the window lengths in seconds,
    with one column if all bins of a frame have the same. Where ``V`` is 0, the frequency is that of the bin.
    """
    for b in range(V.shape[0]):
        row_v, row_d, out = V[b], D[b], frequency[b]
        largest = 0.0
        for q in range(row_v.size):
            vr, vi, dr, di = row_v[q].real, row_v[q].imag, row_d[q].real, row_d[q].imag
            power = vr * vr + vi * vi
            largest = max(largest, power)
            ratio = (di * vr - dr * vi) / (power if power > 0 else 1.0)  # imaginary part of D / V
            seconds = duration[b, q if duration.shape[1] > 1 else 0]
            out[q] = f[q] - ratio / (2 * math.pi * seconds)
        peak[b] = largest


@kernel
def second_order_frequency(V, D, U, E, Q, f, duration, singular, frequency, chirp_rate, peak):  # type: ignore[no-untyped-def]
    """Write the instantaneous frequencies in Hz and the chirp rates in Hz/s of the second order, and peaks as above.

    Where the determinant of the two equations is at most `singular`, the frequency is that of the first order and the
    rate is 0.
    """
    for b in range(V.shape[0]):
        largest = 0.0
        for q in range(V.shape[1]):
            v = V[b, q]
            power = v.real * v.real + v.imag * v.imag
            largest = max(largest, power)
            inverse = complex(v.real, -v.imag) / (power if power > 0 else 1.0)
            # relative to V, so that products of small numbers do not underflow
            d, u, e, m = D[b, q] * inverse, U[b, q] * inverse, 1.0 + E[b, q] * inverse, Q[b, q] * inverse
            det = u * u - m
            size = det.real * det.real + det.imag * det.imag
            rate, shift = 0.0, d.imag
            if size > singular * singular:
                numerator, other = u * e - d * m, e - u * d
                shift = (numerator.imag * det.real - numerator.real * det.imag) / size
                rate = (other.imag * det.real - other.real * det.imag) / size
            seconds = duration[b, q if duration.shape[1] > 1 else 0]
            frequency[b, q] = f[q] - shift / (2 * math.pi * seconds)
            chirp_rate[b, q] = rate / (2 * math.pi * seconds * seconds)
        peak[b] = largest


@kernel
def squeeze(S, frequency, chirp_rate, floor, f, step, factor, two_sided, shift):  # type: ignore[no-untyped-def]
    """Add up the bins of each frame, times `factor`, in the rows nearest to their frequencies; changes all three.

    `f` has the bins' frequencies, with the spacing `step`. A bin with ``|S|**2`` of at most `floor` stays where it is:
    its frequency becomes that of the bin, and its rate 0. Two-sided frequencies are taken modulo the sampling
    frequency, and row ``shift`` is that of 0 Hz; a one-sided frequency outside the bins becomes that of its bin.
    `chirp_rate` has no frames if there are no rates, and `factor` has one row if all frames have the same.
    """
    bins = S.shape[1]
    row = np.empty(bins, S.dtype)
    lowest, highest, span = f.min() - step / 2, f[bins - 1] + step / 2, bins * step
    for b in range(S.shape[0]):
        k = b if factor.shape[0] > 1 else 0
        row[:] = S[b]
        S[b, :] = 0.0
        for q in range(bins):
            here = frequency[b, q]
            if not row[q].real * row[q].real + row[q].imag * row[q].imag > floor:
                here = f[q]
                if chirp_rate.shape[0]:
                    chirp_rate[b, q] = 0.0
            if two_sided:
                here = lowest + (here - lowest) % span
            elif not (lowest < here < highest):
                here = f[q]
            frequency[b, q] = here
            place = int(np.rint(here / step))
            place = (place + shift) % bins if two_sided else min(max(place, 0), bins - 1)
            S[b, place] += row[q] * factor[k, q]
