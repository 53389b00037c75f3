"""Values of a criterion over a grid of window lengths: their minima, and the best path over neighbourhoods.

Criteria have several local minima in the window length, so each descent starts from a minimum of a geometric grid. For
each length of the grid the signal is transformed once, with the hop and the FFT length for this length. The values are
made comparable by the area of a time-frequency cell. One table holds the values over the whole signal and in every
neighbourhood; `adaptstft.tuning.evaluator` computes it.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from adaptstft.common.best_path import AllMoves, best_path
from adaptstft.common.typing import Float64Array

#: Penalty in nats for a change of the length by a factor e between neighbourhoods that are one width apart.
_PATH_STIFFNESS = 0.05


@dataclass(frozen=True)
class Survey:
    """Values of a criterion over a grid of window lengths.

    Attributes
    ----------
    lengths : ndarray, shape (grid,)
        Window lengths in samples.
    values : ndarray, shape (grid,)
        The criterion over the whole signal, comparable between lengths.
    local : ndarray, shape (groups, grid), or None
        The criterion in every neighbourhood.

    Examples
    --------
    >>> import adaptstft
    >>> signal = adaptstft.datasets.linear_chirp(duration=1.0)
    >>> survey = adaptstft.optimize(signal.x, signal.fs).survey
    >>> float(survey.lengths[0]), survey.lengths.size == survey.values.size
    (16.0, True)
    """

    lengths: Float64Array
    values: Float64Array
    local: Float64Array | None

    def minima(self, most: int, margin: float = np.inf) -> list[float]:
        """Return the lengths of at most `most` local minima, interpolated between grid points, best first.

        Minima more than `margin` above the best one are left out: a descent between grid points gains far less.
        """
        v = self.values
        padded = np.concatenate([[np.inf], v, [np.inf]])
        is_low = (v <= padded[:-2]) & (v < padded[2:])
        is_low &= v <= v.min() + margin
        order = sorted(np.flatnonzero(is_low), key=lambda i: v[i])
        return [self._refine(int(i)) for i in order[:most]]

    def _refine(self, i: int) -> float:
        """Vertex of the parabola through a grid minimum and its neighbours."""
        if not 0 < i < self.lengths.size - 1:
            return float(self.lengths[i])
        left, mid, right = self.values[i - 1 : i + 2]
        curvature = left - 2 * mid + right
        shift = 0.5 * (left - right) / curvature if curvature > 0 else 0.0
        steps = np.log(self.lengths[i - 1 : i + 2])
        return float(np.exp(steps[1] + np.clip(shift, -0.5, 0.5) * (steps[2] - steps[0]) / 2))

    def path(self, stiffness: float = 1.0) -> Float64Array:
        """Return a length for every neighbourhood: the best path with a penalty on changes of the log length."""
        assert self.local is not None
        log = np.log(self.lengths)
        penalty = stiffness * _PATH_STIFFNESS * np.abs(log[:, None] - log[None, :])
        return self.lengths[best_path(self.local, AllMoves(penalty))[0]]
