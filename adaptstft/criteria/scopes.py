"""What one normalisation of a criterion extends over: the plane, a frame, or a neighbourhood.

Sums over bins are taken per frame first. A scope groups frames, with weights,
and averages the criterion over the groups; its slopes in the sums, weights and
positions of the frames are what the objective chains on.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.criteria.neighbourhoods import Neighbourhoods, Tiles


@dataclass(frozen=True)
class Sums:
    """Statistics and number of bins (or the area they stand for) of groups.

    Attributes
    ----------
    totals : ndarray, shape (statistics, groups)
        The statistics.
    count : ndarray, shape (groups,)
        Number of bins.
    """

    totals: Float64Array
    count: Float64Array


@dataclass(frozen=True)
class Reduction:
    """Value of a criterion over all frames, and its slopes.

    Attributes
    ----------
    value : float
        The criterion.
    totals : ndarray, shape (statistics, frames)
        Slope in each frame's statistics.
    weights, positions : ndarray, shape (frames,)
        Slopes in the weights and positions of the frames.
    """

    value: float
    totals: Float64Array
    weights: Float64Array
    positions: Float64Array

    def scaled(self, value: float, gradient: float) -> Reduction:
        """Pass the value through an outer function with the given value and slope."""
        return Reduction(value, self.totals * gradient, self.weights * gradient, self.positions * gradient)


@dataclass(frozen=True)
class FrameView:
    """How a criterion sees the frames.

    Attributes
    ----------
    positions : ndarray, shape (frames,)
        Times of the frames in samples.
    weights : ndarray, shape (frames,)
        Weight of each frame; all one where frames count alike.
    cell : float
        Size of a bin: 1, or hop times frequency step for values that can be
        compared between framings.
    neighbourhoods : Neighbourhoods, Tiles or None
        For scope ``"local"``.
    """

    positions: Float64Array
    weights: Float64Array
    cell: float = 1.0
    neighbourhoods: Neighbourhoods | Tiles | None = None

    def banded(self) -> tuple[FrameView, Float64Array | None]:
        """View of the frames repeated for each band, and the bands; the view itself and None without bands."""
        if not isinstance(self.neighbourhoods, Tiles):
            return self, None
        bands = self.neighbourhoods.bands
        count = len(bands)
        view = FrameView(np.tile(self.positions, count), np.tile(self.weights, count), self.cell, self.neighbourhoods)
        return view, bands

    def groups(self, scope: str) -> tuple[sparse.csr_array, sparse.csr_array | None, Float64Array | None]:
        """Membership matrix (groups, frames), its slope in the positions, and the groups' weights."""
        n = self.positions.size
        if scope == "global":
            every = sparse.csr_array((np.ones(n), np.arange(n), np.array([0, n])), shape=(1, n))
            return every, None, np.ones(1)
        if scope == "frame":
            return sparse.eye_array(n, format="csr"), None, None
        if self.neighbourhoods is None:
            raise AssertionError("scope 'local' needs neighbourhoods")
        member, gradient = self.neighbourhoods.weights(self.positions)
        return member, gradient, self.neighbourhoods.energy

    def average_groups(
        self,
        p: Float64Array,
        scope: str,
        measure: Callable[[Float64Array, Float64Array], tuple[float, Float64Array, Float64Array]],
    ) -> tuple[float, Float64Array, Float64Array, Float64Array]:
        """Average a measure of weighted values over the groups.

        `p` has shape (channels, frames, f_pts); ``measure(values, weights)``
        returns its value and slopes. The result is the value and the slopes in
        `p`, the weights and the positions of the frames.
        """
        member, member_gradient, share = self.groups(scope)
        silent = np.asarray(p.sum(axis=(0, 2)) == 0)
        share = np.where(silent, 0.0, self.weights) if share is None else share
        channels, _, bins = p.shape
        total, value = 0.0, 0.0
        d_p, d_weights, d_positions = np.zeros_like(p), np.zeros(silent.size), np.zeros(silent.size)
        for r in np.flatnonzero(share):
            entries = slice(member.indptr[r], member.indptr[r + 1])
            frames = member.indices[entries]
            if not frames.size or np.all(silent[frames]):
                continue
            inner = member.data[entries] * (self.weights[frames] if scope != "frame" else 1.0)
            spread = np.broadcast_to(inner[:, None], (channels, frames.size, bins))
            v, gradient_p, gradient_w = measure(p[:, frames].ravel(), spread.ravel())
            total += share[r]
            value += share[r] * v
            d_p[:, frames] += share[r] * gradient_p.reshape(spread.shape)
            d_inner = share[r] * gradient_w.reshape(spread.shape).sum(axis=(0, 2))
            if scope == "frame":
                d_weights[r] += v  # less the mean, once it is known
            else:
                d_weights[frames] += d_inner * member.data[entries]
            if member_gradient is not None:
                d_positions[frames] += d_inner * self.weights[frames] * member_gradient.data[entries]
        _check_alive(np.asarray(total > 0))
        value /= total
        if scope == "frame":
            d_weights = np.where(share > 0, d_weights - value, 0.0)
        return value, d_p / total, d_weights / total, d_positions / total


#: ``combine(sums) -> (values, slopes in the totals, slopes in the count)``, for all groups at once.
Combine = Callable[[Sums], tuple[Float64Array, Float64Array, Float64Array]]


@dataclass(frozen=True)
class GroupedSums:
    """Sums over the groups of scope ``"local"``, and the way back from their slopes.

    With `spread`, the weights within a neighbourhood are scaled by ``s / q`` for their sum ``s`` and sum
    of squares ``q``, so that they add up to the number of frames they effectively spread over: a measure
    that depends on the number of bins then sees at least one frame.
    """

    view: FrameView
    member: sparse.csr_array
    member_gradient: sparse.csr_array | None
    share: Float64Array
    extended: Float64Array
    raw: Float64Array
    spread: bool

    @classmethod
    def of(cls, totals: Float64Array, counts: Float64Array, view: FrameView, *, spread: bool) -> GroupedSums:
        """Sum statistics and numbers of bins of frames over the groups."""
        member, member_gradient, share = view.groups("local")
        assert share is not None  # only frames have no weights of their own
        extended = np.vstack([totals, counts]) * view.cell
        raw = np.asarray(member @ (extended * view.weights).T).T
        return cls(view, member, member_gradient, share, extended, raw, spread)

    @property
    def alive(self) -> AnyArray:
        """Groups with energy and a share in the average."""
        return np.asarray((self.raw[0] > 0) & (self.share > 0))

    def _spreads(self) -> tuple[Float64Array, Float64Array]:
        s = np.asarray(self.member @ self.view.weights)
        q = np.asarray(self.member.multiply(self.member) @ self.view.weights**2)
        return s, np.where(q > 0, q, 1.0)

    def scales(self) -> Float64Array:
        """Return what the sums of each group are multiplied by."""
        if not self.spread:
            return np.ones(self.share.size)
        s, q = self._spreads()
        return s / q

    def sums(self) -> Sums:
        """Return the sums of the groups that are alive."""
        grouped = self.raw * self.scales()
        return Sums(grouped[:-1, self.alive], grouped[-1, self.alive])

    def adjoint(self, gradients: Float64Array) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Slopes in the frames' totals, weights and positions, given those in the live groups' sums."""
        view = self.view
        d_raw = np.zeros_like(self.raw)
        d_raw[:, self.alive] = gradients
        d_s, d_q = np.zeros((2, self.share.size))
        if self.spread:
            s, q = self._spreads()
            d_ratio = np.sum(d_raw * self.raw, axis=0)
            d_raw, d_s, d_q = d_raw * (s / q), d_ratio / q, -d_ratio * s / q**2
        d_frames = np.asarray(self.member.T @ d_raw.T).T
        d_weights = np.sum(d_frames * self.extended, axis=0)
        d_positions = np.zeros(view.positions.size)
        if self.member_gradient is not None:
            moved = np.asarray(self.member_gradient.T @ d_raw.T).T
            d_positions = np.sum(moved * self.extended * view.weights, axis=0)
        if self.spread:
            d_weights = d_weights + self.member.T @ d_s
            d_weights = d_weights + 2 * view.weights * (self.member.multiply(self.member).T @ d_q)
            if self.member_gradient is not None:
                both = self.member.multiply(self.member_gradient)
                d_positions = d_positions + view.weights * (self.member_gradient.T @ d_s)
                d_positions = d_positions + 2 * view.weights**2 * (both.T @ d_q)
        return d_frames[:-1] * view.weights * view.cell, np.asarray(d_weights), np.asarray(d_positions)


def _check_alive(alive: AnyArray) -> None:
    if not np.any(alive):
        raise ValueError("the spectrogram is silent: no frame's window reaches any energy of the signal")


def reduce_sums(
    combine: Combine,
    scope: str,
    totals: Float64Array,
    counts: Float64Array,
    view: FrameView,
    *,
    spread: bool = False,
) -> Reduction:
    """Average ``combine`` over the groups of a scope; groups without energy are left out.

    Parameters
    ----------
    combine : callable
        ``combine(sums) -> (values, slopes in the sums, slopes in the count)``
        for all groups at once.
    scope : {"global", "frame", "local"}
        The scope.
    totals : ndarray, shape (statistics, frames)
        Statistics of each frame, the first positive wherever there is energy.
    counts : ndarray, shape (frames,)
        Number of bins of each frame.
    view : FrameView
        Positions, weights and neighbourhoods.
    spread : bool, optional
        Whether weights within a neighbourhood are scaled to add up to the
        number of frames they effectively spread over.

    Returns
    -------
    Reduction
        Value and slopes.

    Raises
    ------
    ValueError
        If no group has energy.
    """
    if scope == "global":
        return _reduce_all(combine, totals, counts, view)
    if scope == "frame":
        return _reduce_frames(combine, totals, counts, view)
    groups = GroupedSums.of(totals, counts, view, spread=spread)
    _check_alive(groups.alive)
    values, gradients, count_gradients = combine(groups.sums())
    weight = groups.share[groups.alive] / groups.share[groups.alive].sum()
    back = groups.adjoint(np.vstack([gradients, count_gradients]) * weight)
    return Reduction(float(values @ weight), *back)


def _reduce_all(combine: Combine, totals: Float64Array, counts: Float64Array, view: FrameView) -> Reduction:
    """Do it for one group of all frames, without arrays of the size of the statistics: frames may be many."""
    frames = view.weights.size
    sums = Sums((totals @ view.weights)[:, np.newaxis] * view.cell, np.array([counts @ view.weights * view.cell]))
    _check_alive(sums.totals[0] > 0)
    values, gradients, count_gradients = combine(sums)
    gradients, count_gradient = gradients * view.cell, float(count_gradients[0]) * view.cell
    d_weights = gradients[:, 0] @ totals
    if count_gradient:
        d_weights += count_gradient * counts
    # where all frames count alike, one slope a statistic serves them all
    alike = bool(np.all(view.weights == view.weights[0]))
    d_totals = np.broadcast_to(gradients * view.weights[0], totals.shape) if alike else gradients * view.weights
    return Reduction(float(values[0]), d_totals, d_weights, np.broadcast_to(0.0, frames))


def neighbourhood_values(
    combine: Combine, totals: Float64Array, counts: Float64Array, view: FrameView, *, spread: bool = False
) -> tuple[Float64Array, Float64Array]:
    """``combine`` in every neighbourhood (zero where there is no energy), and the neighbourhoods' shares."""
    groups = GroupedSums.of(totals, counts, view, spread=spread)
    values = np.zeros(groups.share.size)
    if np.any(groups.alive):
        values[groups.alive] = combine(groups.sums())[0]
    return values, groups.share


def _reduce_frames(combine: Combine, totals: Float64Array, counts: Float64Array, view: FrameView) -> Reduction:
    alive = (totals[0] > 0) & (view.weights > 0)
    _check_alive(alive)
    values, gradients, _ = combine(Sums(totals[:, alive] * view.cell, counts[alive] * view.cell))
    weight = view.weights[alive]
    value = float(values @ weight / weight.sum())
    d_totals, d_weights = np.zeros_like(totals), np.zeros_like(view.weights)
    d_totals[:, alive] = gradients * weight / weight.sum() * view.cell
    d_weights[alive] = (values - value) / weight.sum()
    return Reduction(value, d_totals, d_weights, np.zeros_like(view.weights))
