"""Scopes of criteria: the bins that share one normalisation are all bins, those of a frame, or of a neighbourhood.

The statistics are first summed over the bins of each frame. A scope then forms groups of frames, with weights, sums the
statistics over each group, and averages the criterion over the groups. The derivatives with respect to the statistics,
weights and positions of the frames are returned with the value.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy import sparse

from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.criteria.neighbourhoods import Neighbourhoods, Tiles

#: Number of frames whose weights in neighbourhoods are in memory where values are computed without derivatives.
_PIECE = 1 << 14


@dataclass(frozen=True)
class Sums:
    """Statistics of groups of bins.

    Attributes
    ----------
    totals : ndarray, shape (statistics, groups)
        The statistics, summed over the bins of each group.
    count : ndarray, shape (groups,)
        Number of bins, or their area if values are comparable between framings.
    """

    totals: Float64Array
    count: Float64Array


@dataclass(frozen=True)
class Reduction:
    """Value of a criterion over all frames, and its derivatives.

    Attributes
    ----------
    value : float
        The criterion.
    totals : ndarray, shape (statistics, frames)
        Derivative with respect to the statistics of each frame.
    weights, positions : ndarray, shape (frames,)
        Derivatives with respect to the weights and positions of the frames.
    shares : ndarray, shape (groups,) or (1,)
        Derivative with respect to the share of the signal's energy in each neighbourhood; one zero without
        neighbourhoods.
    """

    value: float
    totals: Float64Array
    weights: Float64Array
    positions: Float64Array
    shares: Float64Array = field(default_factory=lambda: np.zeros(1))

    def scaled(self, value: float, gradient: float) -> Reduction:
        """Apply an outer function with the given value and derivative."""
        parts = (self.totals, self.weights, self.positions, self.shares)
        return Reduction(value, *(part * gradient for part in parts))


@dataclass(frozen=True)
class EnergyGradients:
    """Value of a criterion and its derivatives with respect to the energies of all bins.

    Attributes
    ----------
    value : float
        The criterion.
    energy : ndarray, shape (channels, frames, f_pts)
        Derivative with respect to ``|S|**2`` of every bin, on the device if that is where it was computed.
    weights, positions, shares
        As in `Reduction`.
    """

    value: float
    energy: AnyArray
    weights: Float64Array
    positions: Float64Array
    shares: Float64Array = field(default_factory=lambda: np.zeros(1))


@dataclass(frozen=True)
class FrameView:
    """Weights of frames and bins in a criterion, and the groups of frames.

    Attributes
    ----------
    positions : ndarray, shape (frames,)
        Positions of the frames in samples.
    weights : ndarray, shape (frames,)
        Weight of each frame: one, or its duration.
    cell : float
        Weight of each bin: one, or the frequency step relative to `fs`, for values
        that are comparable between framings.
    neighbourhoods : Neighbourhoods, Tiles or None
        Groups for scope ``"local"``.
    """

    positions: Float64Array
    weights: Float64Array
    cell: float = 1.0
    neighbourhoods: Neighbourhoods | Tiles | None = None

    def banded(self) -> tuple[FrameView, Float64Array | None]:
        """Return the view with the frames repeated for each band, and the bands; this view and None without bands."""
        if not isinstance(self.neighbourhoods, Tiles):
            return self, None
        bands = self.neighbourhoods.bands
        count = len(bands)
        view = FrameView(np.tile(self.positions, count), np.tile(self.weights, count), self.cell, self.neighbourhoods)
        return view, bands

    def groups(self, scope: str) -> tuple[sparse.csr_array, sparse.csr_array | None, Float64Array | None]:
        """Return the weights of frames in groups, their derivatives, and the weights of the groups.

        The first two have the shape (groups, frames); the derivatives are with respect to the positions, or None if the
        weights are constant. The weights of the groups are None in scope ``"frame"``, where the frames have them.
        """
        n = self.positions.size
        if scope == "global":
            member = sparse.csr_array((np.ones(n), np.arange(n), np.array([0, n])), shape=(1, n))
            return member, None, np.ones(1)
        if scope == "frame":
            return sparse.eye_array(n, format="csr"), None, None
        return self._local

    @cached_property
    def _local(self) -> tuple[sparse.csr_array, sparse.csr_array, Float64Array]:
        """Weights of frames in neighbourhoods, their derivatives, and the weights of the neighbourhoods."""
        if self.neighbourhoods is None:
            raise AssertionError("scope 'local' needs neighbourhoods")
        return (*self.neighbourhoods.weights(self.positions), self.neighbourhoods.energy)


#: ``combine(sums)`` returns the values and their derivatives with respect to the totals and the count of each group.
Combine = Callable[[Sums], tuple[Float64Array, Float64Array, Float64Array]]


@dataclass(frozen=True)
class GroupedSums:
    """Sums over the groups of scope ``"local"``, and their adjoint.

    With `spread`, the weights within a group are scaled by ``s / q`` for their sum ``s`` and sum of squares ``q``. Then
    their sum is the effective number of frames in the group, which is at least one. A measure needs this if it depends
    on the number of bins.

    Attributes
    ----------
    view : FrameView
        Weights and positions of the frames.
    member, member_gradient : sparse array, shape (groups, frames)
        Weights of frames in groups, and their derivatives with respect to the positions.
    share : ndarray, shape (groups,)
        Weight of each group in the average.
    extended : ndarray, shape (statistics + 1, frames)
        Statistics and number of bins of each frame.
    raw : ndarray, shape (statistics + 1, groups)
        Their sums, without the scale ``s / q``.
    spread : bool
        Whether weights are scaled by ``s / q``.
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
        """Sum the statistics and numbers of bins over the groups."""
        member, member_gradient, share = view.groups("local")
        assert share is not None  # None is for scope "frame" alone
        extended = np.vstack([totals, counts]) * view.cell
        raw = np.asarray(member @ (extended * view.weights).T).T
        return cls(view, member, member_gradient, share, extended, raw, spread)

    @property
    def counted(self) -> AnyArray:
        """Whether each group is part of the average: it has energy and a weight."""
        return np.asarray((self.raw[0] > 0) & (self.share > 0))

    def _weight_sums(self) -> tuple[Float64Array, Float64Array]:
        """Return the sum of the weights of each group, and the sum of their squares."""
        s = np.asarray(self.member @ self.view.weights)
        q = np.asarray(self.member.multiply(self.member) @ self.view.weights**2)
        return s, np.where(q > 0, q, 1.0)

    def scales(self) -> Float64Array:
        """Return the factor of the sums of each group."""
        if not self.spread:
            return np.ones(self.share.size)
        s, q = self._weight_sums()
        return s / q

    def sums(self) -> Sums:
        """Return the sums of the groups that are part of the average."""
        grouped = self.raw * self.scales()
        return Sums(grouped[:-1, self.counted], grouped[-1, self.counted])

    def adjoint(self, gradients: Float64Array) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Return derivatives with respect to statistics, weights and positions of frames from `gradients` of `sums`."""
        view = self.view
        d_raw = np.zeros_like(self.raw)
        d_raw[:, self.counted] = gradients
        d_s, d_q = np.zeros((2, self.share.size))
        if self.spread:
            s, q = self._weight_sums()
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


def check_any_counted(counted: AnyArray) -> None:
    """Raise an error if no group of bins has energy, or none that is not negligible in the units of the criterion."""
    if not np.any(counted):
        raise ValueError(
            "the spectrogram is silent: within the windows of all frames the signal is zero, "
            "or far below the distortion of a description length"
        )


def reduce_sums(
    combine: Combine,
    scope: str,
    totals: Float64Array,
    counts: Float64Array,
    view: FrameView,
    *,
    spread: bool = False,
) -> Reduction:
    """Average ``combine`` over the groups of a scope, without groups that have no energy.

    Parameters
    ----------
    combine : callable
        ``combine(sums)`` returns the values and their derivatives with respect to
        the totals and the count, for all groups at once.
    scope : {"global", "frame", "local"}
        The scope.
    totals : ndarray, shape (statistics, frames)
        Statistics of each frame; the first is positive if the frame has energy.
    counts : ndarray, shape (frames,)
        Number of bins of each frame.
    view : FrameView
        Positions, weights and neighbourhoods.
    spread : bool, optional
        Whether weights within a neighbourhood are scaled, see `GroupedSums`.

    Returns
    -------
    Reduction
        Value and derivatives.

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
    check_any_counted(groups.counted)
    values, by_totals, by_count = combine(groups.sums())
    total = groups.share[groups.counted].sum()
    weight = groups.share[groups.counted] / total
    value, by_share = float(values @ weight), np.zeros(groups.share.size)
    by_share[groups.counted] = (values - value) / total
    return Reduction(value, *groups.adjoint(np.vstack([by_totals, by_count]) * weight), by_share)


def mean_values(
    combine: Combine,
    scope: str,
    totals: Float64Array,
    counts: Float64Array,
    view: FrameView,
    *,
    spread: bool = False,
) -> Float64Array:
    """Return the values of `reduce_sums` for several transforms of the same frames, without derivatives.

    The arguments are the same but for `totals`, shape (statistics, transforms, frames); the result has the shape
    (transforms,).
    """
    if scope == "frame" and totals.shape[2] and (totals[0] > 0).all() and (view.weights > 0).all():
        sums = Sums(totals.reshape(len(totals), -1) * view.cell, np.tile(counts * view.cell, totals.shape[1]))
        each = combine(sums)[0].reshape(totals.shape[1:])  # einsum as in `_sums_of_all`
        return np.asarray(np.einsum("tp,p->t", each, view.weights) / view.weights.sum())
    values = np.empty(totals.shape[1])
    for i in range(values.size):
        weight: Float64Array = np.ones(1)
        if scope == "global":
            sums = _sums_of_all(totals[:, i], counts, view)
        elif scope == "frame":
            sums, counted = _sums_of_frames(totals[:, i], counts, view)
            weight = view.weights[counted]
        else:
            groups = GroupedSums.of(totals[:, i], counts, view, spread=spread)
            check_any_counted(groups.counted)
            sums, weight = groups.sums(), groups.share[groups.counted]
        values[i] = combine(sums)[0] @ weight / weight.sum()
    return values


def _sums_of_all(totals: Float64Array, counts: Float64Array, view: FrameView) -> Sums:
    """Return the sums over all frames, one group."""
    # einsum and not a product of matrices: for long vectors, threads of BLAS would keep a core busy for 50 ms
    total = np.einsum("kp,p->k", totals, view.weights)[:, np.newaxis] * view.cell
    sums = Sums(total, np.array([np.einsum("p,p", counts, view.weights) * view.cell]))
    check_any_counted(sums.totals[0] > 0)
    return sums


def _sums_of_frames(totals: Float64Array, counts: Float64Array, view: FrameView) -> tuple[Sums, AnyArray]:
    """Return the sums of the frames that are part of the average, and a mask of these frames."""
    counted = (totals[0] > 0) & (view.weights > 0)
    check_any_counted(counted)
    if counted.all():  # selecting all takes as long as the rest
        return Sums(totals * view.cell, counts * view.cell), counted
    return Sums(totals[:, counted] * view.cell, counts[counted] * view.cell), counted


def _reduce_all(combine: Combine, totals: Float64Array, counts: Float64Array, view: FrameView) -> Reduction:
    """Reduce in scope ``"global"``; frames may be many, so few arrays of the size of `totals` are made."""
    frames = view.weights.size
    values, by_totals, by_count = combine(_sums_of_all(totals, counts, view))
    by_total, count_gradient = by_totals * view.cell, float(by_count[0]) * view.cell
    d_weights = np.einsum("k,kp->p", by_total[:, 0], totals)  # not a product of matrices, as in `_sums_of_all`
    if count_gradient:
        d_weights += count_gradient * counts
    # with equal weights the derivatives are the same for all frames
    equal = bool(np.all(view.weights == view.weights[0]))
    d_totals = np.broadcast_to(by_total * view.weights[0], totals.shape) if equal else by_total * view.weights
    return Reduction(float(values[0]), d_totals, d_weights, np.broadcast_to(0.0, frames))


def _reduce_frames(combine: Combine, totals: Float64Array, counts: Float64Array, view: FrameView) -> Reduction:
    """Reduce the sums in scope ``"frame"``."""
    sums, counted = _sums_of_frames(totals, counts, view)
    values, by_totals, _ = combine(sums)
    weight = view.weights[counted]
    value = float(values @ weight / weight.sum())
    d_totals, d_weights = np.zeros_like(totals), np.zeros_like(view.weights)
    d_totals[:, counted] = by_totals * weight / weight.sum() * view.cell
    d_weights[counted] = (values - value) / weight.sum()
    return Reduction(value, d_totals, d_weights, np.zeros_like(view.weights))


@dataclass
class LocalSums:
    """Sums of frames over neighbourhoods, some frames at a time, for values without derivatives.

    Short windows make many frames, whose weights in neighbourhoods would take more memory than all else.

    Attributes
    ----------
    neighbourhoods : Neighbourhoods
        The neighbourhoods.
    raw : ndarray, shape (rows, groups)
        Weighted sums of what `add` is given.
    weight, square : ndarray, shape (groups,)
        Sums of the weights of the frames, and of their squares.
    """

    neighbourhoods: Neighbourhoods
    raw: Float64Array
    weight: Float64Array
    square: Float64Array

    @classmethod
    def zero(cls, neighbourhoods: Neighbourhoods, rows: int) -> LocalSums:
        """Return the sums over no frames."""
        groups = neighbourhoods.centres.size
        return cls(neighbourhoods, np.zeros((rows, groups)), np.zeros(groups), np.zeros(groups))

    def add(self, positions: Float64Array, weights: Float64Array, rows: Float64Array) -> None:
        """Add frames at `positions` with the weights of a `FrameView`; `rows` has the shape (rows, frames)."""
        for first in range(0, positions.size, _PIECE):
            part = slice(first, first + _PIECE)
            member = self.neighbourhoods.member(positions[part])
            self.raw += (member @ (rows[:, part] * weights[part]).T).T
            self.weight += member @ weights[part]
            self.square += member.multiply(member) @ weights[part] ** 2

    def scales(self, *, spread: bool) -> Float64Array:
        """Return the factor of the sums of each group, see `GroupedSums`."""
        return self.weight / np.where(self.square > 0, self.square, 1.0) if spread else np.ones(self.weight.size)


@dataclass(frozen=True)
class LocalValues:
    """The criterion in every neighbourhood, zero without energy, and its weight in the average.

    Attributes
    ----------
    values, share : ndarray, shape (groups,)
        Values and weights.
    counted : ndarray of bool, shape (groups,)
        Whether a neighbourhood is part of the average.
    """

    values: Float64Array
    share: Float64Array
    counted: AnyArray

    @property
    def mean(self) -> float:
        """The criterion in scope ``"local"``."""
        check_any_counted(self.counted)
        return float(self.values @ self.share / self.share[self.counted].sum())


def neighbourhood_values(
    combine: Combine, totals: Float64Array, count: float, view: FrameView, *, spread: bool = False
) -> LocalValues:
    """Return the values of a criterion in neighbourhoods, from the statistics of frames with `count` bins each."""
    assert isinstance(view.neighbourhoods, Neighbourhoods)
    sums = LocalSums.zero(view.neighbourhoods, len(totals))
    sums.add(view.positions, view.weights, totals)
    return local_values(combine, sums, count, view.cell, spread=spread)


def local_values(combine: Combine, sums: LocalSums, count: float, cell: float, *, spread: bool = False) -> LocalValues:
    """Return the values of a criterion in neighbourhoods from sums over frames with `count` bins of size `cell`."""
    raw = np.vstack([sums.raw, count * sums.weight]) * cell
    share = sums.neighbourhoods.energy
    values = group_values(combine, raw, sums.scales(spread=spread), share)
    return LocalValues(values, share, (raw[0] > 0) & (share > 0))


def group_values(combine: Combine, raw: Float64Array, scales: Float64Array, share: Float64Array) -> Float64Array:
    """Return the value of each group, zero without energy, from sums and their factors as in `GroupedSums`."""
    counted = (raw[0] > 0) & (share > 0)
    values = np.zeros(share.size)
    if np.any(counted):
        grouped = raw[:, counted] * scales[counted]
        values[counted] = combine(Sums(grouped[:-1], grouped[-1]))[0]
    return values
