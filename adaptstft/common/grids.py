"""Geometric grids of window lengths."""

from __future__ import annotations

import numpy as np

from adaptstft.common.typing import Float64Array

#: Ratio of neighbouring window lengths by default.
GRID_RATIO = 2**0.5


def length_grid(low: float, high: float, ratio: float = GRID_RATIO) -> Float64Array:
    """Return window lengths from `low` to `high`, both included, evenly spaced in their logarithm.

    Neighbouring lengths are at most a factor of `ratio` apart. If `low` and `high` are equal there is one length.
    """
    if high <= low:
        return np.array([low], dtype=float)
    count = max(2, int(np.ceil(np.log(high / low) / np.log(ratio))) + 1)
    return np.geomspace(low, high, count)


def finer_grid(low: float, high: float, factor: int) -> Float64Array:
    """Return a grid with `factor` steps in each step of `length_grid`, with the same lengths at their ends."""
    coarse = length_grid(low, high)
    if coarse.size < 2:
        return coarse
    fine = np.geomspace(low, high, factor * (coarse.size - 1) + 1)
    fine[::factor] = coarse
    return fine
