"""A Dask array as one long signal: its stretches, and the sums over them."""

from __future__ import annotations

import itertools
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from adaptstft.common.optional import require
from adaptstft.common.precision import over_peak
from adaptstft.common.threads import count_workers
from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.common.validation import (
    as_axis,
    as_index,
    as_inexact,
    check_finite_stretch,
    check_real,
    check_time_is_long,
)
from adaptstft.criteria import DescriptionLength
from adaptstft.criteria.distortion import FloorFrames, SignalLevel, level_of_stretches
from adaptstft.criteria.neighbourhoods import EnergyCells, Neighbourhoods
from adaptstft.tuning.shared.frame_jobs import CellJob, Job, LevelJob
from adaptstft.tuning.shared.partial_sums import PartialSums, Query, Stretch, partial_sums
from adaptstft.tuning.shared.signals import SharedSignals, add_up

#: Largest number of samples of a stretch with all channels, unless set in the Dask configuration.
_MOST = 1 << 22
_SETTING = "adaptstft.stretch"
#: Number of results that one task merges.
_FAN_IN = 16


def dask_module(name: str = "") -> Any:
    """Import Dask or a module of it."""
    return require(f"dask.{name}" if name else "dask", extra="dask", package="dask")


def check_array(x: Any, axis: Any, *, onesided: bool = False) -> Any:
    """Return a Dask array with time last and a floating-point type."""
    da = dask_module("array")
    if not isinstance(x, da.Array):
        raise TypeError(
            f"x must be a dask.array.Array, got {type(x).__name__}; pass other arrays to the transform itself"
        )
    if x.ndim == 0:
        raise ValueError("x must have at least one dimension, got a scalar")
    given = x.shape
    x = da.moveaxis(x, as_axis(axis, x.ndim), -1)
    if any(np.isnan(size) for size in x.shape):
        raise ValueError(f"x has the unknown shape {x.shape}: call x.compute_chunk_sizes() first")
    if 0 in x.shape:
        raise ValueError(f"x is empty: its shape is {x.shape}, at least one sample is needed")
    check_time_is_long("x", given, axis)
    target = as_inexact("x", np.zeros(0, x.dtype)).dtype
    if onesided:
        check_real("x", np.zeros(0, target))
    return x if x.dtype == target else x.astype(target)


def divide(chunks: Sequence[int], channels: int, least: int, most: int) -> list[tuple[int, int]]:
    """Divide a signal into stretches of `least` to about `most` samples in all channels, by its chunks if possible."""
    edges, low = [0], 0
    stop = int(np.sum(chunks))
    for high in np.cumsum(chunks).tolist():
        if (high - low) * channels < least and high < stop:
            continue
        parts = max(1, round((high - low) * channels / most))
        edges += [low + (high - low) * k // parts for k in range(1, parts + 1)]
        low = high
    return [(a, b) for a, b in itertools.pairwise(edges) if a < b]


def stretches_of(x: Any) -> list[tuple[int, int]]:
    """Divide a Dask array, time last: chunks smaller than a quarter of a stretch are joined, larger ones divided."""
    most = as_index(f"{_SETTING} in Dask's configuration", dask_module().config.get(_SETTING, _MOST), 1)
    return divide(x.chunks[-1], int(np.prod(x.shape[:-1])), most // 4, most)


def samples(x: Any, low: int, high: int) -> Any:
    """Return samples of all channels as a task, shape (channels, high - low)."""
    stretch = x[..., low:high].rechunk(-1)
    return stretch.to_delayed().ravel()[0]


def tree(delayed: Any, merge: Callable[[list[Any]], Any], parts: list[Any]) -> Any:
    """Merge the results of tasks, a few at a time, in their order."""
    while True:
        parts = [delayed(merge)(parts[k : k + _FAN_IN]) for k in range(0, len(parts), _FAN_IN)]
        if len(parts) == 1:
            return parts[0]


@dataclass(frozen=True)
class _Trend:
    """Trend ``mean + slope * k`` of each channel, with ``k`` from -1/2 to 1/2 over the signal, shape (channels, 1)."""

    mean: AnyArray
    gradient: AnyArray
    n: int

    def place(self, low: int, count: int) -> Float64Array:
        """``k`` of samples from `low` on."""
        return np.asarray((np.arange(low, low + count) - (self.n - 1) / 2) / self.n)

    def removed(self, x: AnyArray, low: int) -> AnyArray:
        """Return samples from `low` on without the trend."""
        if not np.any(self.mean) and not np.any(self.gradient):
            return x
        trend = self.mean + self.gradient * self.place(low, x.shape[1]) if np.any(self.gradient) else self.mean
        return np.asarray((x - trend).astype(x.dtype, copy=False))


def _moments(block: AnyArray, low: int, n: int) -> tuple[AnyArray, AnyArray, float]:
    """Return the sums of the samples and of their products with ``k``, and the largest magnitude."""
    x = as_inexact("x", block)
    check_finite_stretch("x", x, low)
    k = _Trend(np.zeros(1), np.zeros(1), n).place(low, x.shape[1])
    wide = x.astype(np.result_type(x.dtype, np.float64), copy=False)
    return wide.sum(axis=1, keepdims=True), (wide @ k)[:, np.newaxis], float(np.abs(x).max())


def _add_moments(parts: list[tuple[AnyArray, AnyArray, float]]) -> tuple[AnyArray, AnyArray, float]:
    sums, products, peaks = zip(*parts, strict=True)
    return np.sum(sums, axis=0), np.sum(products, axis=0), max(peaks)


def _peak(block: AnyArray, low: int, trend: _Trend) -> float:
    return float(np.abs(trend.removed(as_inexact("x", block), low)).max())


def _filled(block: AnyArray, stretch: Stretch, trend: _Trend, peak: float) -> Stretch:
    """Return a stretch with its samples, without their trend and of order one."""
    return replace(stretch, channels=over_peak(trend.removed(as_inexact("x", block), stretch.first), peak))


def _partial_sums(
    block: AnyArray, stretch: Stretch, trend: _Trend, peak: float, queries: tuple[Query, ...]
) -> list[PartialSums]:
    return partial_sums(_filled(block, stretch, trend, peak), queries)


def _run(block: AnyArray, stretch: Stretch, trend: _Trend, peak: float, job: Job) -> Any:
    return job.run(_filled(block, stretch, trend, peak))


class DaskSignals(SharedSignals):
    """Sums over the stretches of a Dask array, and work on each of them."""

    signals = 1

    def __init__(self, x: Any, axis: Any) -> None:
        x = check_array(x, axis)
        self.x = x.reshape(-1, x.shape[-1])
        self.n = self.shortest = self.samples = int(x.shape[-1])
        self.dtype, self.channels = x.dtype, int(self.x.shape[0])
        self.peak = 1.0
        self.stretches = stretches_of(self.x)
        self._kept: tuple[int, list[Any]] = (-1, [])
        self._groups: dict[float, Neighbourhoods] = {}
        if self.n < 2:
            raise ValueError("x has one sample; a Dask array must have at least two: pass x.compute() for a single one")

    def threads(self, workers: int | None) -> int:
        """Return one thread for each Dask task, unless `workers` is given."""
        return 1 if workers is None else count_workers(workers)

    def _blocks(self, halo: int) -> list[Any]:
        """Return every stretch with `halo` samples more on both sides, as tasks; they are kept for the next call."""
        if self._kept[0] != halo:
            ends = [(max(a - halo, 0), min(b + halo, self.n)) for a, b in self.stretches]
            self._kept = halo, [samples(self.x, low, high) for low, high in ends]
        return self._kept[1]

    def measure(self, detrend: str | None) -> None:
        """Find the trend of every channel and the largest magnitude."""
        dask = dask_module()
        blocks, starts = self._blocks(0), [a for a, _ in self.stretches]
        tasks = [dask.delayed(_moments)(block, a, self.n) for block, a in zip(blocks, starts, strict=True)]
        (found,) = dask.compute(tree(dask.delayed, _add_moments, tasks))
        sums, products, largest = found
        mean = sums / self.n if detrend is not None else np.zeros_like(sums)
        squares = (self.n**2 - 1) / (12 * self.n)  # of all k
        gradient = products / squares if detrend == "linear" and self.n > 2 else np.zeros_like(products)
        self.trend = _Trend(mean, gradient, self.n)
        self.peak, self._groups = largest, {}
        if detrend is not None:
            trend = dask.delayed(self.trend, traverse=False)
            tasks = [dask.delayed(_peak)(block, a, trend) for block, a in zip(blocks, starts, strict=True)]
            (self.peak,) = dask.compute(tree(dask.delayed, max, tasks))
        rounding = 0.0 if detrend is None else np.finfo(self.dtype).eps * np.sqrt(self.n) * largest
        if self.peak <= rounding:
            without = "" if detrend is None else f" once its trend is removed ({detrend=})"
            raise ValueError(f"x is silent{without}: no window is better than another")

    def level(self, criterion: DescriptionLength) -> SignalLevel:
        """Measure every stretch; the frames for the noise floor are those of the signal in memory."""
        frames = None if criterion.floor is not None else FloorFrames.of_size(self.n)
        parts = self.run([LevelJob(frames)] * len(self.stretches))
        return level_of_stretches(parts, self.n * self.channels, criterion.floor_of(self.peak))

    def sums(self, queries: Sequence[Query], report: Callable[[float], None] = lambda _: None) -> list[PartialSums]:
        """Add the sums over all stretches, on the workers that computed them."""
        dask = dask_module()
        name = uuid.uuid4().hex
        requested = dask.delayed(tuple(queries), name=f"queries-{name}", traverse=False)
        given = [requested] * len(self.stretches)
        tasks = self._tasks(_partial_sums, given, max(query.reach for query in queries), name)
        (total,) = dask.compute(tree(dask.delayed, add_up, tasks))
        report(1.0)
        return list(total)

    def run(self, jobs: Sequence[Job], report: Callable[[float], None] = lambda _: None) -> list[Any]:
        """Run one job on each stretch, on the workers, and return their results."""
        dask = dask_module()
        name = uuid.uuid4().hex
        given = [dask.delayed(job, name=f"job-{k}-{name}", traverse=False) for k, job in enumerate(jobs)]
        results = dask.compute(*self._tasks(_run, given, max(job.reach for job in jobs), name))
        report(1.0)
        return list(results)

    def _tasks(self, function: Callable[..., Any], arguments: list[Any], reach: float, name: str) -> list[Any]:
        """Return a task for each stretch, with half a window of samples more on both sides, and its argument."""
        dask = dask_module()
        halo = 1 << int(np.ceil(np.log2(reach + 2)))  # a power of two, as each halo needs new tasks
        trend = dask.delayed(self.trend, name=f"trend-{name}", traverse=False)
        tasks = []
        for k, (block, (a, b)) in enumerate(zip(self._blocks(halo), self.stretches, strict=True)):
            stop = float(b) if b < self.n else np.inf
            stretch = Stretch(np.zeros((0, 0)), self.n, max(a - halo, 0), float(a), stop)
            given = dask.delayed(stretch, name=f"stretch-{k}-{name}", traverse=False)
            tasks.append(dask.delayed(function, pure=False)(block, given, trend, self.peak, arguments[k]))
        return tasks

    def parts(self, positions: Float64Array) -> list[slice]:
        """Return the frames of each stretch, for increasing positions."""
        edges = np.searchsorted(positions, [a for a, _ in self.stretches[1:]])
        return [slice(*pair) for pair in itertools.pairwise([0, *edges.tolist(), positions.size])]

    def neighbourhoods(self, width: float) -> Neighbourhoods:
        """Return the neighbourhoods of a width in samples; they are kept, as several stages need them."""
        if width not in self._groups:
            cells = EnergyCells(self.n, width)
            self._groups[width] = cells.neighbourhoods(self.run([CellJob(cells)] * len(self.stretches)))
        return self._groups[width]
