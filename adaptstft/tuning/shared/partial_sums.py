r"""Sums of an additive criterion over one signal, or over a stretch of a long one.

An additive criterion is :math:`C = F(s_1, \dots, s_K)` with sums :math:`s_k = \sum_i s_{ki}` over the signals
:math:`i`. Parameters that all signals share have the derivative

.. math:: \frac{dC}{d\theta} = \sum_k \frac{\partial F}{\partial s_k} \sum_i \frac{ds_{ki}}{d\theta} .

Each signal therefore contributes its sums and the derivative of each (`partial_sums`), in one round, in any order and
on any machine. A `Query` holds a few parameters, `PartialSums` a few numbers for each of them. The signals are those of
a corpus, or the stretches of a long signal (`adaptstft.tuning.shared.signals.SharedSignals`).

Frames are those of `adaptstft.optimize`, at ``p * hop`` for ``p = 0 ... ceil((n - 1) / hop)``, in every signal.
"""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from adaptstft.common.device import to_host
from adaptstft.common.precision import comparison_precision
from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.criteria import Additive
from adaptstft.criteria.evaluate import comparable_view
from adaptstft.criteria.scopes import FrameView, reduce_sums
from adaptstft.engine.bins import BinFrames, bin_forward, bin_gradients
from adaptstft.engine.forward import forward
from adaptstft.engine.frames import Frames, durations, frame_count, make_frames
from adaptstft.engine.operator import energies
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.statistics import statistics

#: Largest number of bins, with all channels, of a block of frames whose spectra are in memory.
_BLOCK_BINS = 1 << 18
#: Largest number of frames of a block of which only sums are in memory.
_BLOCK_FRAMES = 1 << 16


@dataclass(frozen=True)
class Stretch:
    """Samples of one signal, and the range of positions whose frames are summed.

    Attributes
    ----------
    channels : ndarray, shape (channels, m)
        The samples, with margins of half the longest window on both sides of the range.
    n : int
        Number of samples of the whole signal.
    first : int
        Index of the first sample of `channels` in the signal.
    start, stop : float
        Range of positions ``start <= t < stop``, in samples.
    weight : float
        Weight of the signal in the sums.
    """

    channels: AnyArray
    n: int
    first: int = 0
    start: float = 0.0
    stop: float = np.inf
    weight: float = 1.0

    @property
    def own(self) -> AnyArray:
        """The samples in the range of positions, without the margins."""
        last = int(min(self.stop, self.n))
        return self.channels[:, int(self.start) - self.first : last - self.first]

    def frames(self, hop: float) -> tuple[int, int]:
        """Return the range of the indices of the frames in the range of positions."""
        count = frame_count(self.n, hop)
        low = int(np.ceil(self.start / hop))
        return low, count if self.stop == np.inf else min(int(np.ceil(self.stop / hop)), count)


class Portable:
    """A class with a `plan` whose objects can be sent to other processes."""

    plan: FramePlan

    def __getstate__(self) -> dict[str, Any]:
        # modules cannot be pickled: replace the kernels by their name
        return {**self.__dict__, "plan": replace(self.plan, kernels=self.plan.kernels.__name__)}  # type: ignore[arg-type]

    def __setstate__(self, state: dict[str, Any]) -> None:
        plan = state["plan"]
        self.__dict__.update(state | {"plan": replace(plan, kernels=importlib.import_module(plan.kernels))})


@dataclass(frozen=True)
class Query(Portable):
    """Parameters for which sums are taken over every signal.

    Attributes
    ----------
    plan : FramePlan
        The transform.
    win_length : ndarray, shape (1,) or (f_pts,)
        Window length of all frames, or one for each frequency.
    hop : float
        Time between frames.
    criterion : Additive
        The criterion, of scope ``"global"`` or ``"frame"``.
    comparable : bool
        Whether frames count for their durations and bins for their bandwidths.
    gradient, shape : bool
        Whether to compute derivatives, and whether those in the shape parameters as well.
    single : bool
        Whether to compute in single precision.
    spectrum : bool
        Whether to compute the energy at every frequency instead.
    """

    plan: FramePlan
    win_length: Float64Array
    hop: float
    criterion: Additive
    comparable: bool = False
    gradient: bool = False
    shape: bool = False
    single: bool = False
    spectrum: bool = False

    @property
    def per_bin(self) -> bool:
        """Whether there is a window length for each frequency."""
        return self.win_length.size > 1

    @property
    def by_frame(self) -> bool:
        """Whether the criterion is the mean of one for each frame."""
        return self.criterion.scope == "frame"

    @property
    def reach(self) -> float:
        """Half the longest window, in samples."""
        return float(self.win_length.max()) / 2

    @property
    def cell(self) -> float:
        """Size of a bin."""
        if not self.comparable:
            return 1.0
        return comparable_view(self.criterion, np.zeros(1), np.ones(1), self.plan.mfft, None).cell

    def view(self, low: int, high: int, n: int) -> FrameView:
        """Return positions and weights of frames ``low <= p < high`` of a signal of `n` samples.

        Where weights are to be divided by their mean, they are not yet.
        """
        positions = np.arange(low, high) * self.hop
        counted = self.criterion.frame_weights(positions, n, self.plan.T)
        if not self.comparable:
            return FrameView(positions, counted, self.cell)
        # the duration of a frame depends on its neighbours
        first = max(low - 1, 0)
        wide = np.arange(first, min(high + 1, frame_count(n, self.hop))) * self.hop
        part = slice(low - first, high - first)
        return FrameView(positions, durations(wide, n)[part] * counted, self.cell)


@dataclass(frozen=True)
class PartialSums:
    """Sums over frames, and their derivatives; those of several signals add up.

    Attributes
    ----------
    sums : ndarray, shape (statistics,)
        The statistics of the criterion with the weights of the frames; in scope ``"frame"`` the criterion of the
        frames and their number instead.
    count : float
        Number of bins with those weights.
    frames, time : float
        Number of frames, and the sum of their weights.
    win_length : ndarray, shape (statistics, lengths)
        Derivatives of the sums in the window lengths.
    shape : ndarray, shape (statistics, n_shape)
        In the shape parameters.
    spectrum : ndarray, shape (f_pts,) or (0,)
        Energy of every frequency.
    """

    sums: Float64Array
    count: float
    frames: float
    time: float
    win_length: Float64Array
    shape: Float64Array
    spectrum: Float64Array

    @classmethod
    def zero(cls, query: Query) -> PartialSums:
        """Return the sums over no frames."""
        rows = 2 if query.by_frame else len(query.criterion.statistics)
        n_shape = len(query.plan.window.shape) if query.shape else 0
        win_length = np.zeros((rows, query.win_length.size if query.gradient else 0))
        spectrum = np.zeros(query.plan.f_pts if query.spectrum else 0)
        return cls(np.zeros(rows), 0.0, 0.0, 0.0, win_length, np.zeros((rows, n_shape)), spectrum)

    def __add__(self, other: PartialSums) -> PartialSums:
        return PartialSums(*(getattr(self, name) + getattr(other, name) for name in self.__dataclass_fields__))

    def scaled(self, weight: float) -> PartialSums:
        """Return the sums of a signal with a weight."""
        return PartialSums(*(getattr(self, name) * weight for name in self.__dataclass_fields__))


class FrameTotals:
    """The statistics of the frames of a query, kept for a next query that differs in the weights of the frames only."""

    def __init__(self) -> None:
        self._of: tuple[Any, ...] = ()
        self._blocks: dict[tuple[float, int], Float64Array] = {}

    def get(self, query: Query, x: AnyArray, first: int, positions: Float64Array) -> Float64Array:
        """Return the statistics of frames at `positions`, shape (statistics, frames), without a gradient.

        ``x``, shape (channels, samples), has the samples from number `first` on, and is the same for all queries.
        """
        plan, stats = query.plan, query.criterion.statistics
        frames = (plan.mfft, plan.window, float(query.win_length[0]), query.hop, query.single, stats.units)
        if (*frames, *stats.pairs) != self._of:
            self._of, self._blocks = (*frames, *stats.pairs), {}
        block = float(positions[0]), positions.size
        if block not in self._blocks:
            self._blocks[block], _ = statistics(plan, x, constant_frames(query, first, positions), stats)
        return self._blocks[block]


def partial_sums(stretch: Stretch, queries: Sequence[Query]) -> list[PartialSums]:
    """Return the sums over one stretch, for each query."""
    kept = FrameTotals()
    return [_partial_sums(stretch, query, kept).scaled(stretch.weight) for query in queries]


def _partial_sums(stretch: Stretch, query: Query, kept: FrameTotals) -> PartialSums:
    low, high = stretch.frames(query.hop)
    x = stretch.channels
    if query.single:
        x = comparison_precision(x)
    x = query.plan.kernels.asarray(x)
    size = _BLOCK_FRAMES
    if query.per_bin or query.spectrum:
        size = max(1, _BLOCK_BINS // (query.plan.f_pts * len(x)))
    total = PartialSums.zero(query)
    for p in range(low, high, size):
        view = query.view(p, min(p + size, high), stretch.n)
        make = _spectrum if query.spectrum else _bin_sums if query.per_bin else partial(_frame_sums, kept)
        total = total + make(query, x, stretch.first, view)
    return total


@dataclass(frozen=True)
class FrameSums:
    """Sums over frames for a criterion, and their derivatives in each frame's statistics.

    `sums` has shape (rows,), `gradients` (rows, statistics, frames).
    """

    sums: Float64Array
    gradients: Float64Array


def sum_frames(criterion: Additive, totals: Float64Array, counts: Float64Array, view: FrameView) -> FrameSums:
    """Add up frames' statistics, shape (statistics, frames), or, in scope ``"frame"``, the terms of the mean."""
    n_stats, n_frames = totals.shape
    if criterion.scope != "frame":
        gradients = np.eye(n_stats)[:, :, np.newaxis] * view.weights
        return FrameSums(totals @ view.weights, gradients)
    gradients = np.zeros((2, n_stats, n_frames))
    alive = (totals[0] > 0) & (view.weights > 0)
    if not alive.any():
        return FrameSums(np.zeros(2), gradients)
    mean = reduce_sums(criterion.each_frame, "frame", totals, counts, view)
    weight = float(view.weights[alive].sum())
    gradients[0] = mean.totals * weight
    return FrameSums(np.array([mean.value * weight, weight]), gradients)


def _add_up(query: Query, view: FrameView, rows: FrameSums, channels: int, **derivatives: Any) -> PartialSums:
    time = float(view.weights.sum())
    count = float(query.plan.f_pts * channels) * time
    found = replace(PartialSums.zero(query), sums=rows.sums, count=count, frames=float(view.weights.size), time=time)
    return replace(found, **derivatives)


def constant_frames(query: Query, first: int, positions: Float64Array) -> Frames:
    """Frames with one window length, in the indices of samples from `first` on."""
    win_length = np.full(positions.size, query.win_length[0])
    return make_frames(win_length, positions, mfft=query.plan.mfft).moved(-first)


def _frame_sums(kept: FrameTotals, query: Query, x: AnyArray, first: int, view: FrameView) -> PartialSums:
    """Add up frames with one window length for all frames."""
    plan, positions = query.plan, view.positions
    counts = np.full(positions.size, float(plan.f_pts * len(x)))
    if not query.gradient:
        rows = sum_frames(query.criterion, kept.get(query, x, first, positions), counts, view)
        return _add_up(query, view, rows, len(x))
    frames, stats = constant_frames(query, first, positions), query.criterion.statistics
    totals, d = statistics(plan, x, frames, stats, gradient=True, positions=False, shape=query.shape)
    assert d is not None
    rows = sum_frames(query.criterion, totals, counts, view)
    d_win_length = np.einsum("jkp,kp->j", rows.gradients, d.win_length)[:, np.newaxis]
    return _add_up(
        query, view, rows, len(x), win_length=d_win_length, shape=np.einsum("jkp,skp->js", rows.gradients, d.shape)
    )


def _bin_sums(query: Query, x: AnyArray, first: int, view: FrameView) -> PartialSums:
    """Add up frames with a window length for each frequency."""
    plan, positions, stats = query.plan, view.positions, query.criterion.statistics
    win_length = np.ascontiguousarray(np.broadcast_to(query.win_length, (positions.size, query.win_length.size)))
    frames = BinFrames(win_length, positions, positions).moved(-first)
    # combinations of transforms with few lengths are faster only if the transforms are stored between queries
    spectra = bin_forward(plan, x, frames, gradient=query.gradient, centre=False, shape=query.shape)
    energy = to_host(energies(spectra.S))
    terms = list(stats.of_energies(plan, positions, energy))
    totals = np.array([values.sum(axis=(0, 2)) for values, _, _ in terms])
    rows = sum_frames(query.criterion, totals, np.full(positions.size, float(plan.f_pts * len(x))), view)
    if not query.gradient:
        return _add_up(query, view, rows, len(x))
    zero = PartialSums.zero(query)
    d_win_length, d_shape = zero.win_length.copy(), zero.shape.copy()
    for j, gradients in enumerate(rows.gradients):
        if gradients.any():
            rates = (by_energy for _, by_energy, _ in terms)
            rate = sum(weight[:, np.newaxis] * one for weight, one in zip(gradients, rates, strict=True))
            found = bin_gradients(plan, spectra, plan.kernels.asarray(2 * rate) * spectra.S, phase=False)
            d_win_length[j] = found.win_length.sum(axis=0)
            d_shape[j] = found.shape if query.shape else d_shape[j]
    return _add_up(query, view, rows, len(x), win_length=d_win_length, shape=d_shape)


def _spectrum(query: Query, x: AnyArray, first: int, view: FrameView) -> PartialSums:
    """Energy of every frequency with one window length."""
    S = forward(query.plan, x, constant_frames(query, first, view.positions))
    return replace(PartialSums.zero(query), spectrum=to_host(energies(S)).sum(axis=(0, 1)))
