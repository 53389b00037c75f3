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
from adaptstft.kernels.cpu.frames import CHUNK
from adaptstft.kernels.cpu.jit import helper, kernel
from adaptstft.kernels.cpu.windows import polynomial, symmetry, taper_position, times_position
from adaptstft.kernels.plain import bins as _plain

if TYPE_CHECKING:
    from adaptstft.kernels.halves import Halves
    from adaptstft.windows import Window

join_halves, split_halves = _plain.join_halves, _plain.split_halves

#: Number of fine phasors; each coarse phasor is multiplied by all of them.
_FINE = 32


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
def _half_rows(theta, lead, count, plateau, value, derivative, shapes, forms, n_rows, y, rows):  # type: ignore[no-untyped-def]
    """Write the first `n_rows` rows of ``omega``, ``omega' |u|``, ``omega'`` and the shape derivatives of one half.

    `forms` are the symmetries of the polynomials of the first two.
    """
    taper_position(plateau, theta, lead, count, y)
    polynomial(value, forms[0], y, count, rows[0])
    if n_rows > 1:
        polynomial(derivative, forms[1], y, count, rows[2])
        if lead == 0.0:  # the derivative of an even function at its centre
            rows[2, 0] = 0.0
        times_position(rows[2], lead, 1.0 / theta, count, rows[1])
    for j in range(n_rows - 3):
        polynomial(shapes[j], symmetry(shapes[j]), y, count, rows[3 + j])


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
            s, s_w = _sum_and_product(rows, m, first, last)
            out[place] += factor * s
            out[place + (2 if m < 2 else 1)] += factor * s_w


@helper
def _sum_and_product(rows, m, first, last):  # type: ignore[no-untyped-def]
    """Return the sums of row `m` and of its product with the window, from sample `first` to `last`."""
    s, t = 0.0, 0.0
    for low in range(first, last, CHUNK):
        s_piece, t_piece = rows.dtype.type(0), rows.dtype.type(0)
        for i in range(np.uint64(low), np.uint64(min(low + CHUNK, last))):
            s_piece += rows[m, i]
            t_piece += rows[m, i] * rows[0, i]
        s += s_piece
        t += t_piece
    return s, t


@kernel
def _scale_sums(theta, leads, series, n_rows, out):  # type: ignore[no-untyped-def]
    plateau, value, derivative, shapes = series
    forms = symmetry(value), symmetry(derivative)
    width = int(theta.max() / 2) + 2
    y = np.empty(width)
    rows = np.empty((max(n_rows, 3), width))
    for b in range(theta.size):
        for half in range(2):
            below, up_to = _counts(theta[b], leads[half])
            if half == 0 or leads[1] != leads[0]:
                _half_rows(theta[b], leads[half], up_to, plateau, value, derivative, shapes, forms, n_rows, y, rows)
            first = 1 if half == 1 and leads[0] == 0.0 else 0
            _add_scale_sums(rows, n_rows, first, up_to if half == 1 else below, 1.0, out[b])


@helper
def _pair_sums(rows, m, a, b, c, p, cos, sin, count):  # type: ignore[no-untyped-def]
    """Return the sums of ``w a cos`` and ``w b sin`` over the first `count` samples of a half.

    The window or its derivative ``w`` is in row `m` of `rows`, the samples are in frame `p` of channel `c`. Products
    are in the precision of the samples.
    """
    s, t = 0.0, 0.0
    for low in range(0, count, CHUNK):
        s_piece, t_piece = rows.dtype.type(0), rows.dtype.type(0)
        for i in range(np.uint64(low), np.uint64(min(low + CHUNK, count))):
            s_piece += rows[m, i] * (a[c, p, i] * cos[i])
            t_piece += rows[m, i] * (b[c, p, i] * sin[i])
        s += s_piece
        t += t_piece
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
    forms = symmetry(value), symmetry(derivative)
    channels, frames, width = right.shape
    dtype = right.dtype
    cos, sin, y = np.empty(width, dtype), np.empty(width, dtype), np.empty(width, dtype)
    both_rows = np.empty((2, max(n_rows, 3), width), dtype)
    known, own_sums = np.zeros((2, 2)), np.zeros(scale_sums.shape[2])
    for q in range(bins.size):
        k = bins[q]
        _twiddles(k, mfft, table, cos, sin)
        for p in range(frames):
            th = theta[p, q]
            folded = leads[0, p] == 0.0
            for half in range(1 if folded else 2):
                lead = leads[half, p]
                below, up_to = _counts(th, lead)
                count = up_to if folded or half == 1 else below
                rows = both_rows[half]
                fresh = not (th == known[half, 0] and lead == known[half, 1])
                if fresh:
                    _half_rows(th, lead, up_to, plateau, value, derivative, shapes, forms, n_rows, y, rows)
                    known[half, 0], known[half, 1] = th, lead
                if scale_sums.size and folded:
                    if fresh:  # both halves have the sample at the centre, and one may have one more at its end
                        own_sums[:] = 0.0
                        _add_scale_sums(rows, n_rows, 0, count, 2.0, own_sums)
                        _add_scale_sums(rows, n_rows, 0, 1, -1.0, own_sums)
                        _add_scale_sums(rows, n_rows, below, up_to, -1.0, own_sums)
                    scale_sums[p, q] += own_sums
                elif scale_sums.size:
                    _add_scale_sums(rows, n_rows, 0, count, 1.0, scale_sums[p, q])
                turn = _turn(k, bases[half, p], mfft)
                for m in range(n_rows):
                    for c in range(channels):
                        if folded:
                            # `right` is the sum of both halves here, and `left` the difference
                            a, b = (right, left) if m != 2 else (left, right)
                            s, t = _pair_sums(rows, m, a, b, c, p, cos, sin, below)
                            if count > below:  # a sample on the left end of the half-open support
                                x = 0.5 * (right[c, p, below] - left[c, p, below]) * rows[m, below]
                                s += (x if m != 2 else -x) * cos[below]
                                t += (-x if m != 2 else x) * sin[below]
                            out[m, c, p, q] = complex(s, -t) * turn
                        elif half == 0:
                            s, t = _pair_sums(rows, m, right, right, c, p, cos, sin, count)
                            out[m, c, p, q] = complex(s, -t) * turn
                        else:
                            s, t = _pair_sums(rows, m, left, left, c, p, cos, sin, count)
                            out[m, c, p, q] += complex(s, t) * (turn if m != 2 else -turn)


@helper
def _add_pair(w, s, t, cos, sin, count, even, odd, c, p):  # type: ignore[no-untyped-def]
    """Add the adjoint of `_pair_sums` for a folded frame `p` of channel `c`."""
    for i in range(np.uint64(count)):
        even[c, p, i] += w[0, i] * (s * cos[i])
        odd[c, p, i] -= w[0, i] * (t * sin[i])


@helper
def _add_wave(w, s, t, cos, sin, count, out, c, p):  # type: ignore[no-untyped-def]
    """Add the adjoint of `_pair_sums` for one half of frame `p` of channel `c`."""
    for i in range(np.uint64(count)):
        out[c, p, i] += w[0, i] * (s * cos[i] + t * sin[i])


@kernel
def _bin_adjoint(g, leads, bases, theta, bins, mfft, table, series, right, left):  # type: ignore[no-untyped-def]
    plateau, value, derivative, shapes = series
    forms = symmetry(value), symmetry(derivative)
    channels, frames, width = right.shape
    cos, sin, y = np.empty(width), np.empty(width), np.empty(width)
    both_rows = np.empty((2, 3, width))
    known = np.zeros((2, 2))
    for q in range(bins.size):
        k = bins[q]
        _twiddles(k, mfft, table, cos, sin)
        for p in range(frames):
            th = theta[p, q]
            folded = leads[0, p] == 0.0
            for half in range(1 if folded else 2):
                lead = leads[half, p]
                below, up_to = _counts(th, lead)
                count = up_to if folded or half == 1 else below
                rows = both_rows[half]
                if not (th == known[half, 0] and lead == known[half, 1]):
                    _half_rows(th, lead, up_to, plateau, value, derivative, shapes, forms, 1, y, rows)
                    known[half, 0], known[half, 1] = th, lead
                turn = _turn(k, -bases[half, p], mfft)
                for c in range(channels):
                    z = g[c, p, q] * turn
                    s, t = z.real, z.imag
                    if folded:
                        _add_pair(rows, s, t, cos, sin, below, right, left, c, p)
                        if count > below:
                            x = 0.5 * rows[0, below] * (s * cos[below] + t * sin[below])
                            right[c, p, below] += x
                            left[c, p, below] -= x
                    elif half == 0:
                        _add_wave(rows, s, -t, cos, sin, count, right, c, p)
                    else:
                        _add_wave(rows, s, t, cos, sin, count, left, c, p)


@kernel
def _bin_energy(gain, leads, theta, series, right, left):  # type: ignore[no-untyped-def]
    plateau, value, derivative, shapes = series
    forms = symmetry(value), symmetry(derivative)
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
                _half_rows(theta[p, q], lead, count, plateau, value, derivative, shapes, forms, 1, y, rows)
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
