"""Values of a criterion over a grid of window lengths, for the whole signal and for its parts: curves and surfaces.

Criteria have several local minima in the window length, so each descent starts from a minimum of a geometric grid. For
each length of the grid the signal is transformed once, with the hop and the FFT length for this length. The values are
made comparable by the area of a time-frequency cell. One table holds the values over the whole signal and in every
neighbourhood; `adaptstft.tuning.evaluator` computes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

import numpy as np

from adaptstft.common.typing import Float64Array

#: Largest number of places of a surface: more are not seen in a picture.
_MOST_PLACES = 1024


#: What the places of a surface are.
SurfaceAxis: TypeAlias = Literal["time", "frequency"]


@dataclass(frozen=True)
class Surface:
    """Values of a criterion over places in time or frequency, and window lengths.

    Attributes
    ----------
    axis : {"time", "frequency"}
        What the places are.
    places : ndarray, shape (places,)
        Their centres in seconds or Hz, in ascending order.
    lengths : ndarray, shape (grid,)
        Window lengths in samples.
    values : ndarray, shape (places, grid)
        The criterion in each place, comparable between lengths; NaN in places without energy.

    Examples
    --------
    >>> import adaptstft
    >>> signal = adaptstft.datasets.close_tones_and_clicks()
    >>> surface = adaptstft.optimize(signal.x, signal.fs, window_mode="time").survey.surface
    >>> surface.axis, surface.values.shape == (surface.places.size, surface.lengths.size)
    ('time', True)
    """

    axis: SurfaceAxis
    places: Float64Array
    lengths: Float64Array
    values: Float64Array

    @classmethod
    def of_places(
        cls,
        axis: SurfaceAxis,
        places: Float64Array,
        lengths: Float64Array,
        values: Float64Array,
        energy: Float64Array,
    ) -> Surface:
        """Make a surface; many places are averaged in groups, weighted with their `energy`."""
        starts = np.arange(min(places.size, _MOST_PLACES)) * places.size // min(places.size, _MOST_PLACES)
        sizes = np.diff(np.append(starts, places.size))
        total = np.add.reduceat(energy, starts)
        loud = (energy > 0)[:, None]
        sums = np.add.reduceat(np.where(loud, values, 0.0) * energy[:, None], starts, axis=0)
        mean = sums / np.where(total > 0, total, np.nan)[:, None]
        return cls(axis, np.add.reduceat(places, starts) / sizes, lengths, mean)


def compared_in_pairs(own: Float64Array, by_longer: Float64Array) -> Float64Array:
    """Return values of lengths of which each is compared with the next longer one by the same frames.

    Longer windows reach over the ends of the signal in more frames, which then do not count, so that values of lengths
    that are far apart stand for different parts of the signal. The differences of neighbours are added up. They start
    at the value of the best length.

    Parameters
    ----------
    own : ndarray, shape (grid,)
        Value of each length, by the frames that count with it.
    by_longer : ndarray, shape (grid - 1,)
        Value of each length but the last one, by the frames that count with the next longer one.
    """
    if np.array_equal(own[:-1], by_longer):
        return own
    values = np.concatenate([[0.0], np.cumsum(own[1:] - by_longer)])
    best = int(np.argmin(values))
    return np.asarray(values - values[best] + own[best])


@dataclass(frozen=True)
class Survey:
    """Values of a criterion over a grid of window lengths.

    Attributes
    ----------
    lengths : ndarray, shape (grid,)
        Window lengths in samples.
    values : ndarray, shape (grid,)
        The criterion over the whole signal, comparable between lengths, see `compared_in_pairs`.
    local : ndarray, shape (groups, grid), or None
        The criterion in every neighbourhood, times its share of the energy and their number. None in a result.
    surface : Surface or None
        The criterion over time and length, or over frequency and length, where the length varies.

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
    surface: Surface | None = None

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
