r"""Sums over each frame as functions of its window length: a table over a grid of lengths, and cubics between them.

With fixed positions the statistics of a frame are smooth functions of one number, its window length
:math:`\theta_p`. The signal is transformed once with each length of a geometric grid, and between the lengths of the
grid a cubic in :math:`\log\theta` with the values and slopes at both ends gives the sums at any length, without a
transform. Powers are interpolated as logarithms. Sums ``E**a log E`` are interpolated relative to the sum ``E**a``.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from types import MappingProxyType, ModuleType
from typing import Any

import numpy as np

from adaptstft.common.grids import finer_grid
from adaptstft.common.precision import comparison_precision
from adaptstft.common.typing import AnyArray, Float64Array, IntArray
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.statistics import Statistics
from adaptstft.tuning.tables.length_sums import sums_for_lengths

#: Steps of the grid in each step of the grid of a survey: at least eight lengths per octave.
_STEPS = 4
#: Change of a logarithm between two lengths of the grid from which on the cubic may not overshoot.
_STEEP = 1.0
#: Number of frames whose slopes are computed at once.
_PIECE = 1 << 14
#: Energy relative to the largest of a frame below which a frame is silent.
_SILENT = 1e-30
_TINY = float(np.finfo(float).tiny)


@dataclass(frozen=True)
class SumLogs:
    """Statistics of some frames for every length of the grid, before silent frames are told from others.

    Attributes
    ----------
    values : ndarray of float32, shape (statistics, frames, grid)
        What `logs_of_sums` returns.
    largest : ndarray, shape (statistics,)
        Largest value of each statistic.
    """

    values: AnyArray
    largest: Float64Array

    @classmethod
    def of(
        cls,
        plan: FramePlan,
        x: AnyArray,
        stats: Statistics,
        lengths: Float64Array,
        positions: Float64Array,
        first: int = 0,
        report: Callable[[float], None] = lambda part: None,
        known: Mapping[int, Float64Array] = MappingProxyType({}),
    ) -> SumLogs:
        """Transform samples ``x``, shape (channels, m), from sample `first` of a signal on, with every length.

        The sums of some lengths may be `known`, by their places in the grid.
        """
        x = comparison_precision(x)
        values = np.empty((len(stats), positions.size, lengths.size), np.float32)
        new = np.array([i for i in range(lengths.size) if i not in known], dtype=int)
        asked = [positions] * new.size, np.full(new.size, plan.mfft)
        found = sums_for_lengths(plan, x, stats, lengths[new], *asked, first)
        parts: Iterable[tuple[AnyArray, Float64Array, float]] = (
            (new[part], totals, done) for part, totals, done in found
        )
        if known:
            kept = np.array(list(known)), np.concatenate(list(known.values()), axis=1), 0.0 if new.size else 1.0
            parts = itertools.chain([kept], parts)
        largest = np.full(len(stats), -np.inf)
        for places, totals, done in parts:
            logs = logs_of_sums(stats, totals)
            values[..., places] = logs.reshape(len(stats), -1, positions.size).swapaxes(1, 2)
            largest = np.maximum(largest, logs.max(axis=1))
            report(done)
        return cls(values, largest)


@dataclass(frozen=True)
class FrameSums:
    """Statistics of every frame as functions of its window length.

    Attributes
    ----------
    log_lengths : ndarray, shape (grid,)
        Logarithms of the lengths of the grid, evenly spaced.
    values, slopes : ndarray of float32, shape (statistics, frames, grid)
        Logarithms (or ratios, for statistics with a logarithm) and their changes from one length to the next.
    references : ndarray of int, shape (statistics,)
        The statistic that a ratio refers to, or -1 for a logarithm.
    scales : ndarray, shape (statistics,)
        Factor of the logarithm of that statistic that is not part of the ratio, see `ratio_scales`.
    silent : float
        Logarithm of the first statistic up to which a frame is silent; all its statistics are then zero.
    kernels : module
        The backend, for the interpolation.
    """

    log_lengths: Float64Array
    values: AnyArray
    slopes: AnyArray
    references: IntArray
    scales: Float64Array
    silent: float
    kernels: ModuleType

    @classmethod
    def of(
        cls,
        plan: FramePlan,
        x: AnyArray,
        stats: Statistics,
        bounds: tuple[float, float],
        positions: Float64Array,
        report: Callable[[float], None] = lambda part: None,
        known: Mapping[int, Float64Array] = MappingProxyType({}),
    ) -> FrameSums:
        """Transform a signal ``x``, shape (channels, n), with every length of a grid between `bounds`.

        The sums of some lengths may be `known`, by their places in the grid.
        """
        lengths = table_lengths(bounds)
        logs = SumLogs.of(plan, x, stats, lengths, positions, report=report, known=known)
        return cls.joined(stats, lengths, [logs], plan.kernels)

    @classmethod
    def joined(
        cls, stats: Statistics, lengths: Float64Array, parts: Sequence[SumLogs], kernels: ModuleType
    ) -> FrameSums:
        """Join the tables of successive frames."""
        floor = silent_logs(stats, np.max([part.largest for part in parts], axis=0))
        values = np.empty((len(stats), sum(part.values.shape[1] for part in parts), lengths.size), np.float32)
        slopes, begin = np.empty_like(values), 0
        for part in parts:
            for first in range(0, part.values.shape[1], _PIECE):
                piece = part.values[:, first : first + _PIECE]
                own = slice(begin, begin + piece.shape[1])
                values[:, own] = piece
                silence(stats, values[:, own], floor)
                slopes[:, own] = _slopes(values[:, own])
                begin = own.stop
        ratios = find_references(stats), ratio_scales(stats)
        return cls(np.log(lengths), values, slopes, *ratios, silent_level(floor), kernels)

    @property
    def frames(self) -> int:
        """Number of frames."""
        return int(self.values.shape[1])

    def with_values(self, values: AnyArray) -> FrameSums:
        """Return the table with the values of other frames."""
        return replace(self, values=values, slopes=_slopes(values) if values.shape[1] else values)

    def held(self, part: slice, longest: Float64Array) -> AnyArray:
        """Return the values of some frames, from the logarithm of a `longest` length of each on constant."""
        values, places = self.values[:, part].copy(), np.arange(self.log_lengths.size)
        first_log, step = self._steps
        place = (longest - first_log) / step
        left = np.minimum(place.astype(np.int64), self.log_lengths.size - 2)[np.newaxis, :, np.newaxis]
        u = np.clip(place - left[0, :, 0], 0.0, 1.0)[np.newaxis, :, np.newaxis]
        low, high = (np.take_along_axis(values, left + one, axis=2) for one in (0, 1))
        return np.where(places > place[:, np.newaxis], ((1 - u) * low + u * high).astype(values.dtype), values)

    def at(self, log_lengths: Float64Array, part: slice | None = None) -> Float64Array:
        """Return the statistics of frames at logarithms of lengths.

        Parameters
        ----------
        log_lengths : ndarray, shape (lengths,) or (frames, lengths)
            Logarithms of lengths, the same for all frames or one row for each.
        part : slice, optional
            The frames; by default all.

        Returns
        -------
        ndarray, shape (statistics, frames, lengths)
            The sums.
        """
        first, stop, _ = (part or slice(None)).indices(self.frames)
        first_log, step = self._steps
        place = (log_lengths - first_log) / step
        place = place.reshape(-1, place.shape[-1])
        found = np.empty((len(self.values), stop - first, place.shape[1]))
        self.kernels.interpolate_frames(self.values, self.slopes, place, first, found)
        silent = found[0] <= self.silent
        for k, reference in self._ratios:
            found[k] += self.scales[k] * found[reference]
        powers: list[Any] = self._powers if self._ratios else [slice(None)]  # all at once where they can be
        for k in powers:
            np.exp(found[k], out=found[k])
        for k, reference in self._ratios:
            found[k] *= found[reference]
        if silent.any():
            found[:, silent] = 0.0
        return found

    @cached_property
    def _steps(self) -> tuple[float, float]:
        """First logarithm of the grid and the step to the next one."""
        first, last = float(self.log_lengths[0]), float(self.log_lengths[-1])
        return first, (last - first) / (self.log_lengths.size - 1)

    @cached_property
    def _powers(self) -> list[int]:
        """Numbers of the statistics that are logarithms of powers."""
        return [int(k) for k in np.flatnonzero(self.references < 0)]

    @cached_property
    def _ratios(self) -> list[tuple[int, int]]:
        """Numbers of the statistics that are ratios, and of those that they refer to."""
        return [(k, reference) for k, reference in enumerate(self.references.tolist()) if reference >= 0]


@lru_cache(maxsize=8)
def table_lengths(bounds: tuple[float, float]) -> Float64Array:
    """Return the lengths of the grid between bounds in samples."""
    lengths = finer_grid(*bounds, _STEPS)
    lengths.flags.writeable = False  # the array is kept
    return lengths


def find_references(stats: Statistics) -> IntArray:
    """Return for each statistic with a logarithm the power nearest to it, and -1 for powers."""
    powers = np.flatnonzero(~stats.logs)
    nearest = np.abs(stats.exponents[:, None] - stats.exponents[powers]).argmin(axis=1)
    return np.asarray(np.where(stats.logs, powers[nearest], -1))


def ratio_scales(stats: Statistics) -> Float64Array:
    """Return the factors of the logarithm of a reference that are taken out of ratios to it.

    ``sum(E**a log E) / sum(E**a)`` is a mean of ``log E``. Without ``log(sum(E**a)) / a`` it does not depend on the
    level of the signal, and changes little where a window begins to see a sound.
    """
    references = find_references(stats)
    same = (references >= 0) & (stats.exponents[references] == stats.exponents)
    return np.asarray(np.where(same, 1 / stats.exponents, 0.0))


def logs_of_sums(stats: Statistics, totals: Float64Array) -> Float64Array:
    """Return what a table interpolates in place of sums: logarithms, or ratios to other sums, see `ratio_scales`."""
    logs = np.log(np.maximum(totals, _TINY))
    if not stats.logs.any():
        return np.asarray(logs)
    references, scales = find_references(stats), ratio_scales(stats)
    for k in np.flatnonzero(references >= 0):
        other = references[k]
        ratio = totals[k] / np.maximum(totals[other], _TINY) - scales[k] * logs[other]
        logs[k] = np.where(totals[other] > _TINY, ratio, 0.0)
    return np.asarray(logs)


def silent_logs(stats: Statistics, largest: Float64Array) -> Float64Array:
    """Return the logarithm of each power up to which it is silent, from the largest one of the signal."""
    return np.asarray(np.maximum(largest + np.log(_SILENT) * stats.exponents / stats.exponents[0], np.log(_TINY)))


def silence(stats: Statistics, values: AnyArray, floor: Float64Array) -> None:
    """Bring powers that are silent to the level of `silent_logs`, in place, and ratios to them to zero."""
    references = find_references(stats)
    for k in np.flatnonzero(references >= 0):
        values[k][values[references[k]] <= floor[references[k]]] = 0.0
    for k in np.flatnonzero(references < 0):
        np.maximum(values[k], floor[k], out=values[k])


def silent_level(floor: Float64Array) -> float:
    """Return the logarithm of the first statistic up to which an interpolated one is silent."""
    return float(floor[0]) + 1.0


def _slopes(values: AnyArray) -> AnyArray:
    """Return the slopes of a smooth curve through evenly spaced values, along the last axis.

    They are central differences of fourth order where there are enough neighbours. Next to a steep step, as where a
    window begins to see a silent signal's first sample, they are limited so that the cubic is monotonic [1]_.

    References
    ----------
    .. [1] F. N. Fritsch, R. E. Carlson, "Monotone piecewise cubic interpolation", SIAM J. Numer. Anal. 17(2), 1980.
    """
    size = values.shape[-1]
    steps = np.diff(values, axis=-1)
    slopes = np.empty_like(values)
    slopes[..., 1:-1] = (steps[..., 1:] + steps[..., :-1]) / 2
    if size >= 5:
        wide = values[..., 4:] - values[..., :-4]
        slopes[..., 2:-2] = (8 * (values[..., 3:-1] - values[..., 1:-3]) - wide) / 12
    if size >= 3:
        slopes[..., 0] = (3 * steps[..., 0] - steps[..., 1]) / 2
        slopes[..., -1] = (3 * steps[..., -1] - steps[..., -2]) / 2
    else:
        slopes[..., 0] = slopes[..., -1] = steps[..., 0]
    before = np.concatenate([steps[..., :1], steps], axis=-1)
    after = np.concatenate([steps, steps[..., -1:]], axis=-1)
    steep = np.maximum(np.abs(before), np.abs(after)) > _STEEP
    most = 3 * np.minimum(np.abs(before), np.abs(after)) * (before * after > 0)
    return np.where(steep, np.clip(slopes, -most, most), slopes)
