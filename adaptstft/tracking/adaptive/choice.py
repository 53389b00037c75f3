r"""Choice of the window length of each frame, and the bias that is left.

The estimate with a window of ``h`` samples has the variance ``V`` and a bias ``b(h)``. Where the law of the frequency
is smooth, the bias grows with ``h**2``. So the difference of two estimates gives the bias of either:

.. math:: b(h) \approx \frac{4}{3} \left(f_h - f_{h/2}\right) \approx \frac{16}{15} \left(f_h - f_{h/4}\right)
               \approx \frac{1}{3} \left(f_{2h} - f_h\right) .

The squares of these differences, less their variances in noise, are averaged over the window. The last difference has
hardly any noise compared with ``f_h``; the first two also see jumps. The largest of the three is the squared bias.
Where no shorter window is usable, nothing confirms that the law is smooth within the window. The interval there
supposes that the bias grows with ``h``, so that it is ``f_{2h} - f_h``, three times as much.

If the law oscillates faster than ``h / 4``, all three differences may vanish, as each window averages the oscillation
away. So two neighbouring lengths below ``h / 4`` that contradict ``f_h`` in many frames also give its bias. Few frames
are not enough, since short windows merge the two frequencies around a jump, which long windows separate. One length is
not enough, since interference biases the shortest windows, in weak noise by many deviations. Interference from another
ridge reaches too many lengths: the rule holds for single ridges.

The lengths are the path with the least sum of ``log(V + b**2) / 2`` over the frames and of the costs of changes. Rules
that compare the estimates of different windows, without knowledge of the law, are those of [1]_ and [2]_.

References
----------
.. [1] V. Katkovnik, L. Stanković, "Instantaneous frequency estimation using the Wigner distribution with varying and
   data-driven window length", IEEE Trans. Signal Process. 46(9), 1998.
.. [2] A. Goldenshluger, A. Nemirovski, "On spatially adaptive estimation of nonparametric regression", Mathematical
   Methods of Statistics 6(2), 1997.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from adaptstft.common.best_path import NearMoves, best_path
from adaptstft.common.typing import BoolArray, Float64Array, IntArray
from adaptstft.tracking.adaptive.estimates import Estimates
from adaptstft.tracking.curvature import INDEPENDENT
from adaptstft.windows import Window

#: Lengths of the grid in an octave, so that ``f_{h/2}`` is two places below.
PER_OCTAVE = 2
#: Cost of a change of the length by one place of the grid, in factors e of the error.
_CHANGE = 2.0
#: Deviations of a mean squared difference that are added to it for the interval.
_CAUTION = 0.5
#: Bias of ``f_h`` over ``f_{2h} - f_h`` in an interval that no shorter window confirms, as for a law with kinks. It was
#: 1/3, as for smooth laws, and was raised after a look at the recording of ``benchmarks/tracking_heart.py``: without
#: noise the intervals there held 77 % of the rates with 1/3, and hold 96 % with 1. Their median half width grew from
#: 0.51 to 1.42 beats a minute.
_UNCONFIRMED = 1.0
#: Deviations between two estimates that contradict each other; beyond the larger number it may be interference.
_CONTRADICTION = 2.0, 30.0
#: Share of the frames that must contradict. It was chosen on simulated heart rates with respiration at 0 to 6 dB (up to
#: 0.4 they are followed, at 0.5 some are not) and on steps at 40 dB (from 0.4 on the rule does not increase the error).
_MANY = 0.4
#: Cost of a frame and a length that are not usable, where other ridges interfere.
_UNUSABLE = 1e3
#: Least variance of a difference, relative to the larger of both variances: rounding errors of its formula.
_LEAST = 1e-3


def correlations(window: Window, lengths: Float64Array) -> Float64Array:
    """Correlations of the errors of estimates with different lengths and the same centre, (lengths, lengths).

    The error of a strong peak is linear in the noise, with the weights ``(s - s_0) w(s)``.
    """
    s = ((np.arange(4096) + 0.5) / 4096 - 0.5) * lengths.max()
    w = window(s / lengths[:, np.newaxis])
    weights = (s - np.sum(s * w, axis=1, keepdims=True) / np.sum(w, axis=1, keepdims=True)) * w
    products = weights @ weights.T
    scale = np.sqrt(np.diag(products))
    return np.asarray(products / np.outer(scale, scale))


def running_sum(values: Float64Array, half: int) -> Float64Array:
    """Return sums over ``2 half + 1`` frames, fewer at the ends."""
    total = np.concatenate([[0.0], np.cumsum(values)])
    i = np.arange(values.size)
    return np.asarray(total[np.minimum(i + half + 1, values.size)] - total[np.maximum(i - half, 0)])


def running_mean(values: Float64Array, weights: Float64Array, half: int) -> Float64Array:
    """Weighted means over ``2 half + 1`` frames; 0 without weights."""
    total = running_sum(weights, half)
    # differences of running sums of large weights leave rounding errors
    regular = total > 1e-9 * weights.max(initial=0.0)
    return np.divide(running_sum(values * weights, half), total, out=np.zeros_like(total), where=regular)


@dataclass(frozen=True)
class _Differences:
    """Squared differences of the estimates with two lengths, beyond their variances.

    Attributes
    ----------
    excess : ndarray, shape (frames,)
        Mean over a span of frames; 0 where the two lengths are nowhere usable.
    spread : ndarray, shape (frames,)
        Standard deviation of this mean if there is no bias.
    known : ndarray of bool, shape (frames,)
        Whether both lengths are usable somewhere in the span.
    contradicting : ndarray of bool, shape (frames,)
        Whether the difference is beyond noise, but not far beyond it, in many frames of the span.
    """

    excess: Float64Array
    spread: Float64Array
    known: BoolArray
    contradicting: BoolArray


@dataclass(frozen=True)
class Choice:
    """Lengths of one ridge and the errors of its frequencies, each of shape (frames,).

    Attributes
    ----------
    place : ndarray of int
        Place of the length in the grid.
    variance, bias2, caution : ndarray
        Variance due to noise, infinite where no length is usable, squared bias, and a cautious squared bias for the
        interval, in squared Hz.
    """

    place: IntArray
    variance: Float64Array
    bias2: Float64Array
    caution: Float64Array


class LengthChoice:
    """Chooses the lengths of a ridge.

    Parameters
    ----------
    found : Estimates
        Estimates with all lengths.
    window : Window
        The window function.
    noise : ndarray, shape (frames,)
        Variance of the noise.
    hop : float
        Samples from one frame to the next.
    typical : float
        Typical length in samples. Longer ones are only chosen beside shorter ones that confirm them.
    cell : float
        Resolution cell of the typical length in Hz. Where a peak is not usable, the cell of its length counts as its
        error, at least this one.
    single : bool, optional
        Whether there are no other ridges.
    """

    def __init__(
        self,
        found: Estimates,
        window: Window,
        noise: Float64Array,
        hop: float,
        typical: float,
        cell: float,
        single: bool = True,
    ) -> None:
        self.found, self.hop, self.typical, self.single = found, hop, typical, single
        #: Cost of a frame and a length that are not usable. Next to a single ridge a peak of noise is in the same cell,
        #: but interference from another ridge may be far away.
        self.unusable = np.full((found.length.size, 1), _UNUSABLE)
        if single:
            self.unusable = np.log(cell * np.maximum(typical / found.length, 1.0))[:, np.newaxis]
        self.correlation = correlations(window, found.length)
        self.use = found.usable.astype(float)
        with np.errstate(invalid="ignore", over="ignore"):  # infinite deviations in silence, huge ones beside it
            self.variance = np.where(np.isfinite(found.deviation), found.deviation**2 * noise, np.inf)
        self.usable_variance = np.where(found.usable, self.variance, 0.0)

    def choose(self) -> Choice:
        """Return the best path of lengths, and the errors of its estimates."""
        count, frames = self.found.frequency.shape
        cost, bias2, caution = np.empty((3, count, frames))
        for k in range(count):
            cost[k], bias2[k], caution[k] = self._risk(k)
        with np.errstate(divide="ignore"):
            costs = np.where(np.isfinite(cost), np.log(np.maximum(cost, 1e-300)) / 2, self.unusable).T
        changes = np.abs(np.arange(1 - count, count))
        place, _ = best_path(costs, NearMoves(1 - count, _CHANGE * changes, nearest_first=True))
        rows = np.arange(frames)
        usable = self.found.usable[place, rows]
        variance = np.where(usable, self.variance[place, rows], np.inf)
        return Choice(place, variance, bias2[place, rows], caution[place, rows])

    def _risk(self, k: int) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Return the mean squared error with the length at place `k`, its squared bias, and a cautious one."""
        bias2, caution = np.zeros((2, self.use.shape[1]))
        known = np.zeros(bias2.size, bool)
        # b(h) over the difference of h and of h / 4, h / 2 or 2 h
        for places, factor in ((-2 * PER_OCTAVE, 16 / 15), (-PER_OCTAVE, 4 / 3), (PER_OCTAVE, 1 / 3)):
            if not 0 <= k + places < len(self.use):
                continue
            other = self._compare(k, k + places)
            # far beyond the window a longer one says nothing
            valid = other.known if places < 0 else self.found.usable[k + places]
            known |= valid & (places < 0)
            bias2 = np.maximum(bias2, factor**2 * np.where(valid, other.excess, 0.0))
            if abs(places) == PER_OCTAVE:
                bound = other.excess + _CAUTION * other.spread
                scale = factor if places < 0 else np.where(known, factor, _UNCONFIRMED)
                caution = np.maximum(caution, scale**2 * np.where(valid, bound, 0.0))
        if self.single:
            bias2 = np.maximum(bias2, self._contradiction(k))
        noise = running_mean(self.usable_variance[k], self.use[k], self._half_span(k))
        trusted = self.found.usable[k] & (known | (self.found.length[k] <= self.typical))
        return np.where(trusted, bias2 + noise, np.inf), bias2, np.maximum(bias2, caution)

    def _contradiction(self, k: int) -> Float64Array:
        """Return the squared bias with the length at place `k` that neighbours below a quarter of it agree upon."""
        bias2, before = np.zeros((2, self.use.shape[1]))
        for j in range(k - 2 * PER_OCTAVE):
            other = self._compare(k, j)
            factor = 1 / (1 - (self.found.length[j] / self.found.length[k]) ** 2)
            shown = np.where(other.contradicting, factor**2 * other.excess, 0.0)
            bias2, before = np.maximum(bias2, np.minimum(before, shown)), shown
        return bias2

    def _half_span(self, k: int) -> int:
        return round(float(self.found.length[k]) / 2 / self.hop)

    def _compare(self, k: int, j: int) -> _Differences:
        """Compare the lengths at places `k` and `j` over the span of a window of length `k`."""
        span, both = self._half_span(k), self.use[k] * self.use[j]
        own, other = self.usable_variance[k], self.usable_variance[j]
        expected = own + other - 2 * self.correlation[k, j] * np.sqrt(own * other)
        expected = both * np.maximum(expected, _LEAST * np.maximum(own, other))
        squared = both * (self.found.frequency[k] - self.found.frequency[j]) ** 2
        weights = np.divide(both, expected, out=np.zeros_like(both), where=expected > 0)
        number = running_sum(both, span)
        freedom = 1 + number * self.hop / (INDEPENDENT * float(min(self.found.length[k], self.found.length[j])))
        spread = running_mean(expected, weights, span) * np.sqrt(2 / freedom)
        least, most = _CONTRADICTION
        beyond = running_sum(both * (squared > least**2 * expected) * (squared < most**2 * expected), span)
        return _Differences(
            running_mean(squared - expected, weights, span),
            spread,
            number > 0.5,
            beyond >= _MANY * running_sum(np.ones_like(both), span),
        )
