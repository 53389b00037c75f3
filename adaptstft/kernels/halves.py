"""Halves of frames: the samples on both sides of a centre, as the kernels for windows per bin take them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from adaptstft.common.typing import Float64Array, IntArray


@dataclass(frozen=True)
class Halves:
    """Samples of frames on both sides of their centres, in rows that lead away from it.

    Attributes
    ----------
    first : ndarray of int64, shape (2, frames)
        Index of the first sample of the right and the left half; the same where the centre is a sample,
        which then belongs to the right half.
    leads : ndarray of float64, shape (2, frames)
        Distance of that sample from the centre.
    bases : ndarray of float64, shape (2, frames)
        How far it lies after the origin of the phase.
    width : int
        Number of samples of a half.
    """

    first: IntArray
    leads: Float64Array
    bases: Float64Array
    width: int

    @classmethod
    def of(cls, centre: Float64Array, origin: Float64Array, longest: float) -> Halves:
        """Divide frames at their centres; `origin` is where their phases count from, `longest` the longest window."""
        right = np.ceil(centre)
        lead = right - centre
        left = np.where(lead == 0, right, right - 1)
        first = np.array([right, left])
        leads = np.array([lead, np.where(lead == 0, 0.0, 1.0 - lead)])
        return cls(first.astype(np.int64), leads, first - origin, int(longest / 2) + 2)
