"""Numba kernels for windows that differ from bin to bin: one sum over the window support for each bin.

A frame is divided at its centre into a right half, with samples at the distances
``leads[0] + i`` from the centre, and a left half, with samples at ``leads[1] + i``
(`adaptstft.kernels.halves.Halves`). If a sample is on the centre, both halves have
the same window samples. The frame is then folded: the kernels multiply the sum of both
halves by the cosine and the difference by the sine, which is half the work.

Windows without a polynomial series are sampled in Python, by the NumPy kernels.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from adaptstft.common.typing import ComplexArray, Float64Array, IntArray
from adaptstft.kernels.cpu.jit import helper, kernel
from adaptstft.kernels.cpu.windows import polynomial
from adaptstft.kernels.plain import bins as _plain

if TYPE_CHECKING:
    from adaptstft.kernels.halves import Halves
    from adaptstft.windows import Window

join_halves, split_halves = _plain.join_halves, _plain.split_halves

#: Number of fine phasors; each coarse phasor is multiplied by all of them.
_FINE = 32
#: Number of products that are summed in the precision of the samples, which takes a third of the time; the sums of such
#: pieces are added in double precision.
_PIECE = 128


@helper
def _twiddles(k, mfft, table, cos, sin):  # type: ignore[no-untyped-def]
    """Write the cosine and sine of ``2 pi k i / mfft``, as products of coarse and fine phasors from `table`."""
    size = cos.size
    fine = np.empty((2, _FINE))
    for j in range(_FINE):
        place = (k * j) % mfft
        fine[0, j] = table[0, place]
        fine[1, j] = table[1, place]
    for first in range(0, size, _FINE):
        place = (k * first) % mfft
        c = table[0, place]
        s = table[1, place]
        n = min(_FINE, size - first)
        for j in range(n):
            cos[first + j] = c * fine[0, j] - s * fine[1, j]
            sin[first + j] = s * fine[0, j] + c * fine[1, j]


@helper
def _half_rows(theta, lead, count, plateau, value, derivative, shapes, n_rows, y, rows):  # type: ignore[no-untyped-def]
    """Write the first `n_rows` rows of ``omega``, ``omega' |u|``, ``omega'`` and the shape derivatives of one half."""
    # in the precision of the samples: conversions in this loop would take longer than the polynomial
    kind = rows.dtype.type
    step, start, end = kind(1.0 / theta), kind(lead), kind(plateau)
    stretch, zero, one = kind(4.0 / (1.0 - 2.0 * plateau)), kind(0.0), kind(1.0)
    for i in range(count):
        y[i] = max((start + kind(i)) * step - end, zero) * stretch - one
    polynomial(value, y, count, rows[0])
    if n_rows > 1:
        polynomial(derivative, y, count, rows[2])
        if lead == 0.0:  # the derivative of an even function at its centre
            rows[2, 0] = 0.0
        for i in range(count):
            rows[1, i] = rows[2, i] * ((lead + i) * step)
    for j in range(n_rows - 3):
        polynomial(shapes[j], y, count, rows[3 + j])


@helper
def _counts(theta, lead):  # type: ignore[no-untyped-def]
    """Count the samples at distances ``lead + i`` less than, and at most, half the window length."""
    room = theta / 2 - lead
    below = max(math.ceil(room), 0)
    return below, max(math.floor(room) + 1, 0)


@helper
def _add_scale_sums(rows, n_rows, first, last, factor, out):  # type: ignore[no-untyped-def]
    """Add the sums of `scale_sums` over the samples from `first` to `last` of one half, times a factor."""
    for m in range(n_rows):
        if m != 2:
            place = 0 if m == 0 else 1 if m == 1 else 2 * m - 2
            s, s_w = _sum_and_product(rows[m, first:last], rows[0, first:last])
            out[place] += factor * s
            out[place + (2 if m < 2 else 1)] += factor * s_w


@helper
def _sum_and_product(a, w):  # type: ignore[no-untyped-def]
    """Return the sums of ``a`` and ``a w``."""
    s, t = 0.0, 0.0
    for first in range(0, a.size, _PIECE):
        piece = slice(first, first + _PIECE)
        s_piece, t_piece = _sum_piece(a[piece], w[piece])
        s += s_piece
        t += t_piece
    return s, t


@helper
def _sum_piece(a, w):  # type: ignore[no-untyped-def]
    s, t = a.dtype.type(0.0), a.dtype.type(0.0)
    for i in range(a.size):
        s += a[i]
        t += a[i] * w[i]
    return s, t


@kernel
def _scale_sums(theta, leads, series, n_rows, out):  # type: ignore[no-untyped-def]
    plateau, value, derivative, shapes = series
    width = int(theta.max() / 2) + 2
    y = np.empty(width)
    rows = np.empty((max(n_rows, 3), width))
    for b in range(theta.size):
        for half in range(2):
            below, up_to = _counts(theta[b], leads[half])
            if half == 0 or leads[1] != leads[0]:
                _half_rows(theta[b], leads[half], up_to, plateau, value, derivative, shapes, n_rows, y, rows)
            first = 1 if half == 1 and leads[0] == 0.0 else 0
            _add_scale_sums(rows, n_rows, first, up_to if half == 1 else below, 1.0, out[b])


@helper
def _pair_sums(w, a, b, cos, sin):  # type: ignore[no-untyped-def]
    """Return the sums of ``w a cos`` and ``w b sin``."""
    s, t = 0.0, 0.0
    for first in range(0, w.size, _PIECE):
        piece = slice(first, first + _PIECE)
        s_piece, t_piece = _pair_piece(w[piece], a[piece], b[piece], cos[piece], sin[piece])
        s += s_piece
        t += t_piece
    return s, t


@helper
def _pair_piece(w, a, b, cos, sin):  # type: ignore[no-untyped-def]
    s, t = w.dtype.type(0.0), w.dtype.type(0.0)
    for i in range(w.size):
        s += w[i] * (a[i] * cos[i])
        t += w[i] * (b[i] * sin[i])
    return s, t


@helper
def _turn(k, distance, mfft):  # type: ignore[no-untyped-def]
    """Return ``exp(-2j pi k distance / mfft)``; the integer part of ``k * distance`` is reduced modulo `mfft`."""
    if distance == 0.0:
        return 1.0 + 0.0j
    whole = math.floor(distance)
    angle = -2.0 * math.pi * ((k * int(whole)) % mfft + k * (distance - whole)) / mfft
    return complex(math.cos(angle), math.sin(angle))


@kernel
def _bin_sums(right, left, leads, bases, theta, bins, mfft, table, series, n_rows, out, scale_sums):  # type: ignore[no-untyped-def]
    plateau, value, derivative, shapes = series
    channels, frames, width = right.shape
    # products are in the precision of the samples, sums in double precision
    dtype = right.dtype
    cos, sin, y = np.empty(width, dtype), np.empty(width, dtype), np.empty(width, dtype)
    rows = np.empty((max(n_rows, 3), width), dtype)
    for q in range(bins.size):
        k = bins[q]
        _twiddles(k, mfft, table, cos, sin)
        known, known_lead = 0.0, 0.0
        for p in range(frames):
            th = theta[p, q]
            folded = leads[0, p] == 0.0
            for half in range(1 if folded else 2):
                lead = leads[half, p]
                below, up_to = _counts(th, lead)
                count = up_to if folded or half == 1 else below
                fresh = not (th == known and lead == known_lead)
                if fresh:
                    _half_rows(th, lead, up_to, plateau, value, derivative, shapes, n_rows, y, rows)
                    known, known_lead = th, lead
                if scale_sums.size:
                    if folded and not fresh:
                        scale_sums[p, q] = scale_sums[p - 1, q]
                    else:
                        twice = 2.0 if folded else 1.0
                        _add_scale_sums(rows, n_rows, 0, count if half == 1 else below, twice, scale_sums[p, q])
                        if folded:  # both halves have the sample at the centre, and one may have one more at its end
                            _add_scale_sums(rows, n_rows, 0, 1, -1.0, scale_sums[p, q])
                            _add_scale_sums(rows, n_rows, below, up_to, 1.0, scale_sums[p, q])
                turn = _turn(k, bases[half, p], mfft)
                for m in range(n_rows):
                    row = rows[m]
                    for c in range(channels):
                        if folded:
                            # `right` is the sum of both halves here, and `left` the difference
                            a, b = (right[c, p], left[c, p]) if m != 2 else (left[c, p], right[c, p])
                            s, t = _pair_sums(row[:below], a[:below], b[:below], cos[:below], sin[:below])
                            if count > below:  # a sample on the left end of the half-open support
                                x = 0.5 * (right[c, p, below] - left[c, p, below]) * row[below]
                                s += (x if m != 2 else -x) * cos[below]
                                t += (-x if m != 2 else x) * sin[below]
                            out[m, c, p, q] = complex(s, -t) * turn
                        elif half == 0:
                            a = right[c, p, :count]
                            s, t = _pair_sums(row[:count], a, a, cos[:count], sin[:count])
                            out[m, c, p, q] = complex(s, -t) * turn
                        else:
                            a = left[c, p, :count]
                            s, t = _pair_sums(row[:count], a, a, cos[:count], sin[:count])
                            out[m, c, p, q] += complex(s, t) * (turn if m != 2 else -turn)


@helper
def _add_pair(w, s, t, cos, sin, even, odd):  # type: ignore[no-untyped-def]
    """Add the adjoint of `_pair_sums` for a folded frame."""
    for i in range(w.size):
        even[i] += w[i] * (s * cos[i])
        odd[i] -= w[i] * (t * sin[i])


@helper
def _add_wave(w, s, t, cos, sin, out):  # type: ignore[no-untyped-def]
    """Add the adjoint of `_pair_sums` for one half."""
    for i in range(w.size):
        out[i] += w[i] * (s * cos[i] + t * sin[i])


@kernel
def _bin_adjoint(g, leads, bases, theta, bins, mfft, table, series, right, left):  # type: ignore[no-untyped-def]
    plateau, value, derivative, shapes = series
    channels, frames, width = right.shape
    cos, sin, y = np.empty(width), np.empty(width), np.empty(width)
    rows = np.empty((3, width))
    for q in range(bins.size):
        k = bins[q]
        _twiddles(k, mfft, table, cos, sin)
        known, known_lead = 0.0, 0.0
        for p in range(frames):
            th = theta[p, q]
            folded = leads[0, p] == 0.0
            for half in range(1 if folded else 2):
                lead = leads[half, p]
                below, up_to = _counts(th, lead)
                count = up_to if folded or half == 1 else below
                if not (th == known and lead == known_lead):
                    _half_rows(th, lead, up_to, plateau, value, derivative, shapes, 1, y, rows)
                    known, known_lead = th, lead
                turn = _turn(k, -bases[half, p], mfft)
                for c in range(channels):
                    z = g[c, p, q] * turn
                    s, t = z.real, z.imag
                    a, b = right[c, p], left[c, p]
                    if folded:
                        _add_pair(rows[0, :below], s, t, cos[:below], sin[:below], a[:below], b[:below])
                        if count > below:
                            x = 0.5 * rows[0, below] * (s * cos[below] + t * sin[below])
                            a[below] += x
                            b[below] -= x
                    elif half == 0:
                        _add_wave(rows[0, :count], s, -t, cos[:count], sin[:count], a[:count])
                    else:
                        _add_wave(rows[0, :count], s, t, cos[:count], sin[:count], b[:count])


@kernel
def _bin_energy(gain, leads, theta, series, right, left):  # type: ignore[no-untyped-def]
    plateau, value, derivative, shapes = series
    frames, width = right.shape
    y = np.empty(width)
    rows = np.empty((3, width))
    for p in range(frames):
        for half in range(2):
            lead = leads[half, p]
            target = right[p] if half == 0 else left[p]
            for q in range(theta.shape[1]):
                below, up_to = _counts(theta[p, q], lead)
                count = below if half == 0 else up_to
                _half_rows(theta[p, q], lead, count, plateau, value, derivative, shapes, 1, y, rows)
                for i in range(1 if half == 1 and lead == 0.0 else 0, count):
                    target[i] += gain[p, q] * rows[0, i] * rows[0, i]


def scale_sums(window: Window, theta: Float64Array, leads: Float64Array, n_rows: int, out: Float64Array) -> None:
    """Add the sums of the window samples, from which the scale of the window follows, for each length in `theta`.

    ``out[b]`` gets the sums of ``w``, ``w' u``, ``w**2`` and ``w w' u``, then for each shape parameter the sums
    of the derivative of ``w`` and of its product with ``w``. `leads` is as in `adaptstft.kernels.halves.Halves`.
    """
    if window.series is None:
        _plain.scale_sums(window, theta, leads, n_rows, out)
    else:
        _scale_sums(theta, leads, _series(window), n_rows, out)


def bin_sums(
    window: Window,
    right: Float64Array,
    left: Float64Array,
    halves: Halves,
    theta: Float64Array,
    bins: IntArray,
    table: Float64Array,
    out: ComplexArray,
    scale_sums: Float64Array,
) -> None:
    """Write the sum of windowed samples times phasor of each bin, for the window and its derivatives.

    ``out[m, c, p, q]`` is ``sum_n row_m(n) x[n] exp(-2j pi k_q (n - origin_p) / mfft)``, where the first ``len(out)``
    rows of ``omega``, ``omega' u``, ``omega'`` and the shape derivatives are computed. `scale_sums`, unless empty,
    gets the sums of the same windows, see the function `scale_sums`.
    """
    if window.series_in(right.dtype) is None:
        _plain.bin_sums(window, right, left, halves, theta, bins, table, out, scale_sums)
        return
    place = (halves.leads, halves.bases)
    common = (bins, table.shape[1], table, _series(window, right.dtype), out.shape[0])
    _bin_sums(right, left, *place, theta, *common, out, scale_sums)


def bin_adjoint(
    window: Window,
    g: ComplexArray,
    halves: Halves,
    theta: Float64Array,
    bins: IntArray,
    table: Float64Array,
    right: Float64Array,
    left: Float64Array,
) -> None:
    """Add the adjoint of the first row of `bin_sums`, applied to `g`, to the halves of the frames."""
    if window.series is None:
        _plain.bin_adjoint(window, g, halves, theta, bins, table, right, left)
        return
    _bin_adjoint(g, halves.leads, halves.bases, theta, bins, table.shape[1], table, _series(window), right, left)


def bin_energy(
    window: Window, gain: Float64Array, halves: Halves, theta: Float64Array, right: Float64Array, left: Float64Array
) -> None:
    """Add ``gain[p, q] * omega**2`` of each bin to the halves of its frame; halves are not folded here."""
    if window.series is None:
        _plain.bin_energy(window, gain, halves, theta, right, left)
        return
    _bin_energy(gain, halves.leads, theta, _series(window), right, left)


def _series(window: Window, dtype: Any = np.float64) -> Any:
    """Return the polynomials of a window as the kernels take them."""
    series = window.series_in(dtype)
    assert series is not None
    return series.plateau, series.value, series.derivative, series.shape_rows.astype(series.value.dtype)
