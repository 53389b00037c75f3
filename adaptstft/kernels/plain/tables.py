"""NumPy kernels for tables of sums over a grid of window lengths."""

from __future__ import annotations

import numpy as np

from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.kernels.terms import terms


def add_cell_sums(
    spectra: AnyArray,
    exponents: Float64Array,
    kinds: AnyArray,
    units: AnyArray,
    cell: AnyArray,
    out: AnyArray,
) -> None:
    """Add the terms of every bin, with ``E = |S|**2 / units``, to the cell of each frame in `out`.

    `spectra` has shape (frames, bins), `out` (sums, cells, bins); `units` has the shape of `spectra` or length one
    along an axis.
    """
    energy = (spectra.real.astype(float) ** 2 + spectra.imag.astype(float) ** 2) / units
    for k, (a, kind) in enumerate(zip(exponents, kinds, strict=True)):
        np.add.at(out[k], cell, terms(energy, float(a), int(kind))[0])


def interpolate_frames(
    values: AnyArray, slopes: AnyArray, place: Float64Array, first: int, found: Float64Array
) -> None:
    """Write cubics between the lengths of the grid to `found`, shape (sums, frames, lengths).

    `values` and `slopes`, shape (sums, all frames, grid), are those at the lengths and per step of the grid; row 0 of
    `found` is frame `first` of them. `place`, shape (frames or 1, lengths), is in steps of the grid.
    """
    left = np.clip(place.astype(np.int64), 0, values.shape[2] - 2)
    u, right = np.clip(place - left, 0.0, 1.0), left + 1
    rows = first + np.arange(found.shape[1])[:, None]
    low, at_first = values[:, rows, left].astype(float), slopes[:, rows, left].astype(float)
    change, at_last = values[:, rows, right] - low, slopes[:, rows, right]
    square, cube = 3 * change - 2 * at_first - at_last, at_first + at_last - 2 * change
    found[:] = low + u * (at_first + u * (square + u * cube))


def interpolate_cells(
    values: AnyArray,
    references: AnyArray,
    scales: Float64Array,
    silent: float,
    step: float,
    place: Float64Array,
    found: Float64Array,
    rates: Float64Array,
) -> None:
    """Write the sums of cells at places on the grid of lengths, and their derivatives in the log length.

    `values` has shape (sums, grid, cells, bins) with logarithms, or ratios to the sum ``references[k] >= 0`` without
    ``scales[k]`` times its logarithm; `place` has shape (cells, bins), in steps of the grid. Where the first logarithm
    is at most `silent`, all sums are zero.
    """
    size = values.shape[1]
    left = np.clip(place.astype(np.int64), 0, size - 2)
    u = np.clip(place - left, 0.0, 1.0)
    near = [np.clip(left + shift, 0, size - 1)[None] for shift in (-1, 0, 1, 2)]
    for k, table in enumerate(values):
        before, first, last, after = (np.take_along_axis(table, one, 0)[0].astype(float) for one in near)
        at_first = (last - before) / np.where(left > 0, 2, 1)
        at_last = (after - first) / np.where(left < size - 2, 2, 1)
        square = 3 * (last - first) - 2 * at_first - at_last
        cube = 2 * (first - last) + at_first + at_last
        found[k] = first + u * (at_first + u * (square + u * cube))
        rates[k] = (at_first + u * (2 * square + 3 * u * cube)) / step
    quiet, powers = found[0] <= silent, references < 0
    found[powers] = np.exp(found[powers])
    rates[powers] *= found[powers]
    for ratio in np.flatnonzero(~powers):
        other = references[ratio]
        found[ratio] += scales[ratio] * np.log(found[other])
        rates[ratio] += scales[ratio] * rates[other] / found[other]
        rates[ratio] = rates[ratio] * found[other] + found[ratio] * rates[other]
        found[ratio] *= found[other]
    found[:, quiet] = rates[:, quiet] = 0.0
