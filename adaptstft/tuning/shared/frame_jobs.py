"""What is computed on one stretch of a long signal for frames with lengths of their own.

Where the lengths of frames vary, sums over the whole signal are not enough: the path of lengths needs the sums of each
frame. They need only the samples under the longest window of the frame. So each stretch returns the sums of the frames
whose positions are in it, and the caller joins them. A `Job` is the work on one stretch. It is sent to the worker that
has the samples, and its result is sent back.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from adaptstft.common.precision import comparison_precision
from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.criteria.distortion import FloorFrames, StretchLevel, energy_of
from adaptstft.criteria.neighbourhoods import EnergyCells, EnergySums, Neighbourhoods
from adaptstft.criteria.scopes import LocalSums
from adaptstft.engine.frames import make_frames
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.statistics import Statistics, statistics
from adaptstft.tuning.shared.partial_sums import FrameTotals, Portable, Query, Stretch
from adaptstft.tuning.tables.frame_sums import SumLogs

#: Largest number of frames whose weights in neighbourhoods are in memory.
_BLOCK_FRAMES = 1 << 16


class Job(ABC):
    """Work on one stretch."""

    @property
    @abstractmethod
    def reach(self) -> float:
        """Half the longest window in samples."""

    @abstractmethod
    def run(self, stretch: Stretch) -> Any:
        """Return the result for a stretch."""


@dataclass(frozen=True)
class LevelJob(Job):
    """Measures the energy of a stretch, and energies from which the noise floor of the signal is estimated.

    Attributes
    ----------
    frames : FloorFrames or None
        The frames of the whole signal for the noise floor; None if it is given.
    """

    frames: FloorFrames | None

    @property
    def reach(self) -> float:
        """Length of the windows, which begin in the stretch."""
        return 0.0 if self.frames is None else float(self.frames.length)

    def run(self, stretch: Stretch) -> StretchLevel:
        """Return the energy of the samples of the stretch, and the energies of the frames that begin in it."""
        x, frames = stretch.channels, self.frames
        bins: Float64Array = np.zeros((len(x), 0))
        if frames is not None:
            bins = frames.energies(x, stretch.first, stretch.start, stretch.stop)
        return StretchLevel(energy_of(stretch.own), bins)


@dataclass(frozen=True)
class CellJob(Job):
    """Sums the energy in the cells of neighbourhoods, see `EnergyCells`."""

    cells: EnergyCells

    @property
    def reach(self) -> float:
        """No sample beyond the stretch is needed."""
        return 0.0

    def run(self, stretch: Stretch) -> EnergySums:
        """Return the sums over the samples of the stretch, without its margins."""
        return self.cells.sums(stretch.own, int(stretch.start))


@dataclass(frozen=True)
class StatisticsJob(Portable, Job):
    """Computes the statistics of frames, and with `gradient` their derivatives in the window lengths.

    Attributes
    ----------
    plan : FramePlan
        The transform.
    stats : Statistics
        The statistics.
    win_length, positions : ndarray, shape (frames,)
        Lengths and positions of the frames in the stretch.
    gradient : bool
        Whether to compute derivatives.
    """

    plan: FramePlan
    stats: Statistics
    win_length: Float64Array
    positions: Float64Array
    gradient: bool = False

    @property
    def reach(self) -> float:
        """Half the longest window in samples."""
        return float(self.win_length.max(initial=0.0)) / 2

    def run(self, stretch: Stretch) -> tuple[Float64Array, Float64Array]:
        """Return the statistics and the derivatives, shape (statistics, frames)."""
        nothing = np.zeros((len(self.stats), 0))
        if not self.positions.size:
            return nothing, nothing
        frames = make_frames(self.win_length, self.positions, mfft=self.plan.mfft).moved(-stretch.first)
        x = self.plan.kernels.asarray(stretch.channels)
        totals, d = statistics(self.plan, x, frames, self.stats, gradient=self.gradient, positions=False)
        return totals, nothing if d is None else d.win_length


@dataclass(frozen=True)
class TableJob(Portable, Job):
    """Computes the statistics of frames for every length of a grid.

    Attributes
    ----------
    plan, stats, positions
        As in `StatisticsJob`.
    lengths : ndarray, shape (grid,)
        Window lengths in samples.
    """

    plan: FramePlan
    stats: Statistics
    lengths: Float64Array
    positions: Float64Array

    @property
    def reach(self) -> float:
        """Half the longest window in samples."""
        return float(self.lengths.max()) / 2

    def run(self, stretch: Stretch) -> SumLogs:
        """Return the table of the frames in the stretch."""
        x = self.plan.kernels.asarray(stretch.channels)
        return SumLogs.of(self.plan, x, self.stats, self.lengths, self.positions, stretch.first)


@dataclass(frozen=True)
class GroupSums:
    """Sums of regular frames over neighbourhoods; those of several stretches add up.

    Attributes
    ----------
    first : int
        Number of the first neighbourhood.
    sums : ndarray, shape (statistics + 2, groups)
        The statistics, the weights of the frames, and the squares of these weights.
    whole : ndarray, shape (statistics,)
        The statistics, summed over all frames.
    frames, time : float
        Number of frames, and the sum of their durations.
    """

    first: int
    sums: Float64Array
    whole: Float64Array
    frames: float
    time: float


@dataclass(frozen=True)
class GroupJob(Job):
    """Sums regular frames over neighbourhoods, for each of several window lengths.

    Attributes
    ----------
    queries : tuple of Query
        The window lengths, with their transforms and hops.
    first : int
        Number of the first neighbourhood in the whole signal.
    groups : Neighbourhoods
        The neighbourhoods that the stretch reaches.
    """

    queries: Sequence[Query]
    first: int
    groups: Neighbourhoods

    @property
    def reach(self) -> float:
        """Half the longest window in samples."""
        return max(query.reach for query in self.queries)

    def run(self, stretch: Stretch) -> list[GroupSums]:
        """Return the sums for each query."""
        x, kept = comparison_precision(stretch.channels), FrameTotals()
        return [self._sums(stretch, x, query, kept) for query in self.queries]

    def _sums(self, stretch: Stretch, x: AnyArray, query: Query, kept: FrameTotals) -> GroupSums:
        low, high = stretch.frames(query.hop)
        local = LocalSums.zero(self.groups, len(query.criterion.statistics))
        whole, time = np.zeros(len(local.raw)), 0.0
        for p in range(low, high, _BLOCK_FRAMES):
            view = query.view(p, min(p + _BLOCK_FRAMES, high), stretch.n)
            totals = kept.get(query, query.plan.kernels.asarray(x), stretch.first, view.positions)
            local.add(view.positions, view.weights, totals)
            whole += totals @ view.weights
            time += float(view.weights.sum())
        sums = np.vstack([local.raw, local.weight, local.square])
        return GroupSums(self.first, sums, whole, float(high - low), time)
