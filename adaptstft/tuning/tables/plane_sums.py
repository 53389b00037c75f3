r"""Sums over parts of the time-frequency plane as functions of the window length there: a table over a grid of lengths.

With a length for each frequency or bin, a sum over bins is
:math:`\sum_q \sum_p \phi(E_{q,p}(\theta_{q,p}))`, and each energy is a function of one number. The signal is
transformed once with each length of a geometric grid, and the terms :math:`\phi(E)` are summed over cells of a few
neighbouring frames, within which the lengths hardly change. Between the lengths of the grid a cubic in
:math:`\log\theta`, through the values of four neighbouring lengths, gives the sums of each cell and bin and their
derivatives, without a transform.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from types import ModuleType
from typing import cast

import numpy as np

from adaptstft.common.grids import length_grid
from adaptstft.common.precision import comparison_precision
from adaptstft.common.threads import run_blocks
from adaptstft.common.typing import AnyArray, Float64Array, IntArray
from adaptstft.engine.blocks import WindowedBlocks
from adaptstft.engine.forward import forward, windowed_frames
from adaptstft.engine.frames import Frames, make_frames
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.statistics import Statistics
from adaptstft.tuning.tables.frame_sums import (
    find_references,
    logs_of_sums,
    ratio_scales,
    silence,
    silent_level,
    silent_logs,
)

#: Lengths per octave for an accuracy of 1e-3. The error falls with the fourth power of their number.
_PER_OCTAVE, _NOMINAL = 8.0, 1e-3
#: Largest number of entries of a table, in single precision, and of bins that are transformed at once.
MOST_ENTRIES, _BLOCK = 64 << 20, 1 << 18


@dataclass(frozen=True)
class PlaneCells:
    """Division of the plane into cells: neighbouring frames, for every bin or every few bins.

    Attributes
    ----------
    starts : ndarray of int, shape (cells,)
        First frame of each cell.
    frames : int
        Number of frames.
    stride : int
        Every `stride`-th bin stands for its neighbours too.
    """

    starts: IntArray
    frames: int
    stride: int

    @classmethod
    def of(cls, frames: int, together: int, stride: int) -> PlaneCells:
        """Put `together` frames, as evenly as possible, into each cell."""
        count = max(1, -(-frames // max(together, 1)))
        return cls(np.arange(count) * frames // count, frames, stride)

    def divided(self, starts: IntArray) -> PlaneCells:
        """Return these cells, divided at more frames."""
        return replace(self, starts=np.union1d(self.starts, np.clip(starts, 0, self.frames - 1)))

    def between(self, places: Float64Array, count: int) -> PlaneCells:
        """Return these cells, divided at `count` frames between any two neighbours of `places`.

        The places are numbers of frames, not only whole ones, in order.
        """
        even = np.arange((places.size - 1) * count) / count
        return self.divided(np.interp(even, np.arange(places.size), places).astype(np.int64))

    @property
    def sizes(self) -> IntArray:
        """Number of frames of each cell."""
        return np.asarray(np.diff(np.append(self.starts, self.frames)))

    @property
    def whole(self) -> bool:
        """Whether every bin of every frame is a cell of its own."""
        return self.stride == 1 and self.starts.size == self.frames

    def mean(self, values: AnyArray) -> AnyArray:
        """Average over the frames of each cell; they are along the first axis."""
        total = np.add.reduceat(values, self.starts, axis=0)
        return total / self.sizes.reshape(-1, *[1] * (values.ndim - 1))


@dataclass(frozen=True)
class PlaneSums:
    """Statistics of every cell and bin as functions of the window length.

    Attributes
    ----------
    log_lengths : ndarray, shape (grid,)
        Logarithms of the lengths of the grid, evenly spaced.
    values : ndarray of float32, shape (statistics, grid, cells, bins)
        What `logs_of_sums` returns for the sums over the frames of a cell. Neighbouring bins have similar lengths, so
        that a row over the bins is read from a few places in a row.
    references : ndarray of int, shape (statistics,)
        The statistic that a ratio refers to, or -1 for a logarithm.
    scales : ndarray, shape (statistics,)
        Factor of the logarithm of that statistic that is not part of the ratio.
    silent : float
        Logarithm of the first statistic up to which all statistics are zero.
    cells : PlaneCells
        The cells.
    kernels : module
        The backend, which interpolates.
    """

    log_lengths: Float64Array
    values: AnyArray
    references: IntArray
    scales: Float64Array
    silent: float
    cells: PlaneCells
    kernels: ModuleType

    @classmethod
    def of(
        cls,
        plan: FramePlan,
        x: AnyArray,
        stats: Statistics,
        lengths: Float64Array,
        positions: Float64Array,
        cells: PlaneCells,
        report: Callable[[float], None] = lambda part: None,
    ) -> PlaneSums:
        """Transform a signal ``x``, shape (channels, n), with every length of a grid."""
        x = comparison_precision(x)
        bins = -(-plan.f_pts // cells.stride)
        values = np.empty((len(stats), lengths.size, cells.starts.size, bins), np.float32)
        single = plan.single()
        per_block = max(1, _BLOCK // plan.mfft // int(cells.sizes.max()))
        parts = [slice(begin, begin + per_block) for begin in range(0, cells.starts.size, per_block)]
        done = 0

        def transform(i: int) -> None:
            block = _CellBlock.of(single, stats, positions, cells, parts[i])  # its units serve all lengths
            for j, length in enumerate(lengths):
                sums = block.sums(single, x, stats, float(length), cells.stride)
                values[:, j, parts[i]] = logs_of_sums(stats, sums)  # powers of quiet bins are tiny in single precision

        def merge(_: int, nothing: None) -> None:
            nonlocal done
            done += 1
            report(done / len(parts))

        run_blocks(len(parts), transform, plan.threads, merge)
        floor = silent_logs(stats, values.max(axis=(1, 2, 3)).astype(float))
        silence(stats, values, floor)
        references, scales = find_references(stats), ratio_scales(stats)
        return cls(np.log(lengths), values, references, scales, silent_level(floor), cells, plan.kernels)

    def at(self, log_lengths: Float64Array) -> tuple[Float64Array, Float64Array]:
        """Return the sums of cells and bins at logarithms of lengths, shape (cells, bins), and their derivatives.

        Both have the shape (statistics, cells, bins).
        """
        step = (self.log_lengths[-1] - self.log_lengths[0]) / (self.log_lengths.size - 1)
        place = (log_lengths - self.log_lengths[0]) / step
        found, rates = np.empty((2, len(self.values), *place.shape))
        self.kernels.interpolate_cells(
            self.values, self.references, self.scales, self.silent, step, place, found, rates
        )
        return found, rates


def plane_lengths(bounds: tuple[float, float], accuracy: float) -> Float64Array:
    """Return the grid of lengths for a relative accuracy of the sums; at least two lengths."""
    per_octave = float(np.clip(_PER_OCTAVE * (_NOMINAL / accuracy) ** 0.25, 3.0, 48.0))
    low, high = bounds
    return length_grid(low, max(high, low * 1.001), ratio=2 ** (1 / per_octave))


@dataclass(frozen=True)
class _CellBlock:
    """Neighbouring cells that are transformed at once.

    Attributes
    ----------
    positions : ndarray, shape (frames,)
        Positions of their frames.
    cell : ndarray of int, shape (frames,)
        Number of the cell of each frame in the block.
    units : ndarray
        Units of the energies, shape (frames, bins) or one along an axis.
    """

    positions: Float64Array
    cell: IntArray
    units: Float64Array

    @classmethod
    def of(
        cls, plan: FramePlan, stats: Statistics, positions: Float64Array, cells: PlaneCells, part: slice
    ) -> _CellBlock:
        """Take some of the cells of all frames."""
        stop = min(part.stop, cells.starts.size)
        last = cells.frames if stop == cells.starts.size else int(cells.starts[stop])
        at = positions[int(cells.starts[part.start]) : last]
        units = stats.bin_units(plan, at)
        units = units[:, :: cells.stride] if units.shape[1] > 1 else units
        return cls(at, np.repeat(np.arange(stop - part.start), cells.sizes[part]), np.ascontiguousarray(units))

    def sums(self, plan: FramePlan, x: AnyArray, stats: Statistics, length: float, stride: int) -> AnyArray:
        """Return the sums over the frames of each cell with one length, shape (statistics, cells, bins)."""
        frames = make_frames(np.full(self.positions.size, length), self.positions, mfft=plan.mfft)
        spectra = strided_bins(plan, x, frames, stride)
        sums = np.zeros((len(stats), int(self.cell[-1]) + 1, spectra.shape[-1]))
        for channel in spectra:
            plan.kernels.add_cell_sums(channel, stats.exponents, stats.kinds, self.units, self.cell, sums)
        return sums


def strided_bins(plan: FramePlan, x: AnyArray, frames: Frames, stride: int) -> AnyArray:
    """Return every `stride`-th bin of a transform but for its phase, shape (channels, frames, bins).

    These are the bins of a shorter FFT of the frames, wrapped to its length.
    """
    short = replace(plan, mfft=plan.mfft // stride)
    if not folds(plan, stride):
        spectra = forward(plan, x, frames)
        return spectra[..., ::stride]
    out = plan.kernels.xp.empty((x.shape[0], len(frames), short.f_pts), np.result_type(x.dtype, np.complex64))
    if frames.win_length.max(initial=0.0) + 1 <= short.mfft:
        frames = replace(frames, mfft=short.mfft)
    blocks = WindowedBlocks(plan, frames, x.real.dtype)

    def work(i: int) -> None:
        part, block = blocks[i]
        rows = blocks.windows(block)
        for channel, signal in zip(out, x, strict=True):
            buffer = blocks.scratch("frames", (len(block), frames.mfft), x.dtype)
            windowed = windowed_frames(plan, signal, block, rows, buffer)
            if frames.mfft > short.mfft:
                windowed = windowed.reshape(len(block), stride, short.mfft).sum(axis=1)
            channel[part] = short.store(short.fft(windowed))

    blocks.run(work)
    return cast(AnyArray, out)


def folds(plan: FramePlan, stride: int) -> bool:
    """Return whether every `stride`-th stored bin is a bin of the FFT that is shorter by this factor."""
    if plan.mfft % stride:
        return False
    # centred bins begin at -(mfft // 2), which must be a multiple of the stride too
    return plan.fft_mode != "centered" or plan.mfft // 2 == stride * (plan.mfft // stride // 2)
