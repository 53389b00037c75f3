"""Halves of frames: sample indices and distances on both sides of each centre, for windows that differ by bin."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from adaptstft.common.typing import Float64Array, IntArray


@dataclass(frozen=True)
class Halves:
    """Samples of frames on both sides of their centres; sample ``i`` of a half is ``i`` samples farther out.

    Attributes
    ----------
    first : ndarray of int64, shape (2, frames)
        Index of the first sample of the right and of the left half. Both are the same if a sample is on the
        centre; this sample belongs to the right half.
    leads : ndarray of float64, shape (2, frames)
        Distance of the first sample from the centre.
    bases : ndarray of float64, shape (2, frames)
        Position of the first sample relative to the origin of the phase.
    width : int
        Number of samples of a half.
    """

    first: IntArray
    leads: Float64Array
    bases: Float64Array
    width: int

    @classmethod
    def of(cls, centre: Float64Array, origin: Float64Array, longest: float) -> Halves:
        """Divide frames at their centres; `origin` is the origin of the phase, `longest` the longest window length."""
        right = np.ceil(centre)
        lead = right - centre
        left = np.where(lead == 0, right, right - 1)
        first = np.array([right, left])
        leads = np.array([lead, np.where(lead == 0, 0.0, 1.0 - lead)])
        return cls(first.astype(np.int64), leads, first - origin, int(longest / 2) + 2)
