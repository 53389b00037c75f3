"""Numba kernels for tables of sums over a grid of window lengths."""

from __future__ import annotations

import math

import numpy as np

from adaptstft.kernels.cpu.jit import kernel
from adaptstft.kernels.cpu.logarithm import log1p, log_of_positive
from adaptstft.kernels.terms import LOG1P, POWER, POWER_LOG


@kernel
def add_cell_sums(spectra, exponents, kinds, units, cell, out):  # type: ignore[no-untyped-def]
    """Add the terms of every bin, with ``E = |S|**2 / units``, to the cell of each frame in `out`.

    `spectra` has shape (frames, bins), `out` (sums, cells, bins); `units` has the shape of `spectra` or length one
    along an axis.
    """
    for k in range(exponents.size):
        a, kind = exponents[k], kinds[k]
        simple = kind == POWER and (a == 1.0 or a == 3.0)
        for b in range(spectra.shape[0]):
            row, unit = out[k, cell[b]], units[min(b, units.shape[0] - 1)]
            for j in range(row.size):
                value = spectra[b, j]
                energy = (float(value.real) ** 2 + float(value.imag) ** 2) / unit[min(j, unit.size - 1)]
                if simple:  # a logarithm takes longer than all else
                    row[j] += energy if a == 1.0 else energy * energy * energy
                elif kind == LOG1P and a == 1.5:
                    row[j] += log1p(energy * math.sqrt(energy)) / a
                elif kind == LOG1P:
                    large = energy > 1.0  # E**a may overflow, E**-a does not
                    tail = log1p((1.0 / energy if large else energy) ** a) / a
                    row[j] += tail + log_of_positive(energy) if large else tail
                elif energy > 0.0:
                    log_energy = math.log(energy)
                    term = energy if a == 1.0 else math.exp(a * log_energy)
                    row[j] += term * log_energy if kind == POWER_LOG else term


@kernel
def interpolate_frames(values, slopes, place, first, found):  # type: ignore[no-untyped-def]
    """Write cubics between the lengths of the grid to `found`, shape (sums, frames, lengths).

    `values` and `slopes`, shape (sums, all frames, grid), are those at the lengths and per step of the grid; row 0 of
    `found` is frame `first` of them. `place`, shape (frames or 1, lengths), is in steps of the grid.
    """
    size = values.shape[2]
    for b in range(found.shape[1]):
        for j in range(found.shape[2]):
            at = place[b if place.shape[0] > 1 else 0, j]
            left = min(max(int(at), 0), size - 2)
            u = min(max(at - left, 0.0), 1.0)
            for k in range(found.shape[0]):
                low = np.float64(values[k, first + b, left])  # float() keeps single precision
                change = values[k, first + b, left + 1] - low
                at_first, at_last = np.float64(slopes[k, first + b, left]), slopes[k, first + b, left + 1]
                square, cube = 3 * change - 2 * at_first - at_last, at_first + at_last - 2 * change
                found[k, b, j] = low + u * (at_first + u * (square + u * cube))


@kernel
def interpolate_cells(values, references, scales, silent, step, place, found, rates):  # type: ignore[no-untyped-def]
    """Write the sums of cells at places on the grid of lengths, and their derivatives in the log length.

    `values` has shape (sums, grid, cells, bins) with logarithms, or ratios to the sum ``references[k] >= 0`` without
    ``scales[k]`` times its logarithm; `place` has shape (cells, bins), in steps of the grid. Where the first logarithm
    is at most `silent`, all sums are zero.
    """
    sums, size, cells, bins = values.shape
    per_step = 1.0 / step
    for c in range(cells):
        for k in range(sums):
            for q in range(bins):
                left = min(max(int(place[c, q]), 0), size - 2)
                u = min(max(place[c, q] - left, 0.0), 1.0)
                first, last = float(values[k, left, c, q]), float(values[k, left + 1, c, q])
                at_first = last - first
                at_last = at_first
                if left > 0:
                    at_first = (last - values[k, left - 1, c, q]) * 0.5
                if left < size - 2:
                    at_last = (values[k, left + 2, c, q] - first) * 0.5
                square = 3 * (last - first) - 2 * at_first - at_last
                cube = 2 * (first - last) + at_first + at_last
                found[k, c, q] = first + u * (at_first + u * (square + u * cube))
                rates[k, c, q] = (at_first + u * (2 * square + 3 * u * cube)) * per_step
        for q in range(bins):
            if found[0, c, q] <= silent:
                found[:, c, q] = 0.0
                rates[:, c, q] = 0.0
                continue
            for k in range(sums):
                if references[k] < 0:
                    found[k, c, q] = math.exp(found[k, c, q])
                    rates[k, c, q] *= found[k, c, q]
            for k in range(sums):
                other = references[k]
                if other >= 0:
                    found[k, c, q] += scales[k] * math.log(found[other, c, q])
                    rates[k, c, q] += scales[k] * rates[other, c, q] / found[other, c, q]
                    rates[k, c, q] = rates[k, c, q] * found[other, c, q] + found[k, c, q] * rates[other, c, q]
                    found[k, c, q] *= found[other, c, q]
