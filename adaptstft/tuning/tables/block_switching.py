"""Switches of blocks of neighbouring frames to one length, each with the exact change of the objective.

The penalty on uneven windows has a kink where all frames have one length: there no switch of a single frame improves
the objective, and gradients do not help. A block of frames changes the objective in few neighbourhoods and few cells of
time, so the exact change by every block at every length follows from the table of sums. The search starts with a part
of the penalty's weight and continues as the weight grows: this leads from one length for all frames to lengths that
follow the signal.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.criteria.scopes import GroupedSums, Sums
from adaptstft.tuning.tables.switching import LengthTable

#: Parts of the weight of the penalty on unevenness, one after the other.
_EASED = (0.25, 0.5, 1.0)
#: Numbers of frames of a block, the largest first.
_SIZES = (64, 32, 16, 8, 4, 2, 1)
#: Largest number of entries of an array: blocks times lengths times the cells that windows reach.
_MOST_ENTRIES = 1 << 20
#: Least gain of a switch, relative to the value.
_LEAST_GAIN = 1e-7


def eased_switches(table: LengthTable, chosen: AnyArray) -> tuple[AnyArray, float]:
    """Switch frames and blocks while the weight of the penalty on unevenness grows; return the choice and its value.

    Parameters
    ----------
    table : LengthTable
        Sums for every frame and length, of a criterion of local scope.
    chosen : ndarray of int, shape (frames,)
        Lengths at the start, as indices.

    Returns
    -------
    chosen : ndarray of int, shape (frames,)
        Lengths of all frames, as indices.
    value : float
        The objective, equal to `LengthTable.value`.
    """
    value = np.inf
    for share in _EASED:
        eased = copy.copy(table)
        eased.evenness_weight = share * table.evenness_weight
        chosen, value = eased.switched(chosen)
        blocks = BlockSwitches(eased)
        for size in _SIZES:
            trial = blocks.switched(chosen, size)
            total = eased.value(trial)
            if total < value:
                chosen, value = trial, total
    return chosen, value


@dataclass(frozen=True)
class _Changes:
    """Changes by switching blocks of frames to each length of the grid.

    Attributes
    ----------
    start, stop : ndarray of int, shape (blocks,)
        First frame of each block, and the one after its last.
    first : ndarray of int, shape (blocks,)
        First cell whose overlap the block changes.
    overlap : ndarray, shape (grid, blocks, cells of a block)
        Change of the overlap in each cell.
    entry : ndarray of int, shape (blocks + 1,)
        Index of the first entry of each block. An entry is a pair of a block and a neighbourhood that it reaches.
    group : ndarray of int, shape (entries,)
        Neighbourhood of each entry.
    sums : ndarray, shape (statistics, entries, grid)
        Change of the sums over the neighbourhood.
    smooth : ndarray, shape (grid, blocks)
        Change of the penalty on changes between neighbouring frames.
    """

    start: AnyArray
    stop: AnyArray
    first: AnyArray
    overlap: Float64Array
    entry: AnyArray
    group: AnyArray
    sums: Float64Array
    smooth: Float64Array


class BlockSwitches:
    """Changes of the objective by switches of blocks of frames.

    Parameters
    ----------
    table : LengthTable
        Sums for every frame and length, of a criterion of local scope.
    """

    def __init__(self, table: LengthTable) -> None:
        self.table = table
        grid, spread = table.lengths.size, table.criterion.spread
        groups = GroupedSums.of(table.totals[:, :, 0], table.counts, table.view, spread=spread)
        self._member = groups.member.T.tocsr()
        self._share, self._scales, self._counts = groups.share, groups.scales(), groups.raw[-1]
        self._weighted = table.totals * (table.view.weights * table.view.cell)[:, np.newaxis]
        self._energy: Float64Array = np.zeros(1)
        self._low, self._high = np.zeros((2, table.counts.size), dtype=np.int64)
        if table.shares is not None and table.evenness is not None:
            self._energy = table.evenness_weight * table.evenness.energy
            ends = table.shares.indptr
            self._low = table.shares.indices[ends[:-1]].reshape(grid, -1).min(axis=0)
            self._high = table.shares.indices[ends[1:] - 1].reshape(grid, -1).max(axis=0)

    def switched(self, chosen: AnyArray, size: int) -> AnyArray:
        """Switch blocks of `size` frames that do not touch each other, the largest gains first."""
        chosen = chosen.copy()
        for start in self._chunks(chosen.size, size):
            overlap, raw = self._current(chosen)
            changes = self._changes(chosen, start, np.minimum(start + size, chosen.size))
            self._apply(chosen, changes, overlap, raw)
        return chosen

    def _chunks(self, frames: int, size: int) -> Iterator[AnyArray]:
        """Yield the first frames of blocks, as many at a time as the arrays may hold."""
        starts = np.arange(0, frames, max(1, size // 2))
        reach = int((self._high - self._low).max()) + 1 + size
        count = max(1, _MOST_ENTRIES // (reach * self.table.lengths.size))
        for low in range(0, starts.size, count):
            yield starts[low : low + count]

    def _current(self, chosen: AnyArray) -> tuple[Float64Array, Float64Array]:
        """Overlap in every cell, and sums over every neighbourhood."""
        overlap = np.zeros(1)
        if self.table.shares is not None:
            overlap = np.asarray(self.table.chosen_shares(chosen).sum(axis=0))
        own = self._weighted[:, np.arange(chosen.size), chosen]
        return overlap, np.asarray(self._member.T @ own.T).T

    def _changes(self, chosen: AnyArray, start: AnyArray, stop: AnyArray) -> _Changes:
        frames = chosen.size
        size = stop - start
        frame = np.repeat(start - np.cumsum(size) + size, size) + np.arange(size.sum())
        block = np.repeat(np.arange(start.size), size)
        ones = np.ones(frame.size)
        within = sparse.csr_array((ones, (block, frame)), shape=(start.size, frames))
        first, overlap = self._overlaps(chosen, within, frame, np.cumsum(size) - size)
        reached = (within @ self._member).tocsr()
        entry, group = reached.indptr, reached.indices
        part = self._parts(within, entry, group)
        own = self._weighted[:, np.arange(frames), chosen]
        sums = np.stack([part @ (new - old[:, np.newaxis]) for new, old in zip(self._weighted, own, strict=True)])
        return _Changes(start, stop, first, overlap, entry, group, sums, self._smooth(chosen, start, stop))

    def _parts(self, within: sparse.csr_array, entry: AnyArray, group: AnyArray) -> sparse.csr_array:
        """Weights of the frames of a block in each neighbourhood that it reaches, (entries, frames)."""
        pairs = within.tocoo()
        member = self._member[pairs.coords[1]].tocoo()
        block, hood = pairs.coords[0][member.coords[0]], member.coords[1]
        shape = (within.shape[0], self._share.size)
        number = sparse.csr_array((np.arange(1, group.size + 1), group, entry), shape=shape)
        row = np.asarray(number[block, hood]).ravel() - 1
        frame = pairs.coords[1][member.coords[0]]
        return sparse.csr_array((member.data, (row, frame)), shape=(group.size, within.shape[1]))

    def _overlaps(
        self, chosen: AnyArray, within: sparse.csr_array, frame: AnyArray, begin: AnyArray
    ) -> tuple[AnyArray, Float64Array]:
        """First cell that each block reaches, and the change of the overlap in the cells from it on for each length."""
        table, blocks, grid = self.table, within.shape[0], self.table.lengths.size
        first = np.minimum.reduceat(self._low[frame], begin)
        if table.shares is None:
            return first, np.zeros((grid, blocks, 1))
        width = int((np.maximum.reduceat(self._high[frame], begin) - first).max()) + 1
        out = np.zeros((grid, blocks, width))
        for g in range(grid):
            new = (within @ table.shares[g * chosen.size : (g + 1) * chosen.size]).tocoo()
            row, column = new.coords
            out[g, row, column - first[row]] = new.data
        old = (within @ table.chosen_shares(chosen)).tocoo()
        row, column = old.coords
        out[:, row, column - first[row]] -= old.data
        return first, out

    def _smooth(self, chosen: AnyArray, start: AnyArray, stop: AnyArray) -> Float64Array:
        """Change of the penalty on changes between neighbours by giving one length to a block."""
        penalty, every = self.table.change_penalty, np.arange(self.table.lengths.size)[:, np.newaxis]
        between = penalty[chosen[1:], chosen[:-1]]
        sums = np.concatenate([[0.0], np.cumsum(between)])
        change = np.broadcast_to(-(sums[stop - 1] - sums[start]), (every.size, start.size)).copy()
        left, right = start > 0, stop < chosen.size
        change[:, left] += penalty[every, chosen[start[left] - 1]] - between[start[left] - 1]
        change[:, right] += penalty[every, chosen[stop[right]]] - between[stop[right] - 1]
        return change

    def _values(self, raw: Float64Array, group: AnyArray) -> Float64Array:
        """Criterion in neighbourhoods with given sums, times their shares; infinite where there is no energy."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            sums = Sums(raw * self._scales[group], self._counts[group] * self._scales[group])
            values = self.table.criterion.combine(sums)[0] * self._share[group]
        return np.where(np.isfinite(values), values, np.inf)

    def _gains(self, changes: _Changes, overlap: Float64Array, raw: Float64Array) -> Float64Array:
        """Change of the objective by each block at each length, (grid, blocks)."""
        value = changes.smooth.copy()
        if self.table.evenness is not None:
            cells = np.arange(changes.overlap.shape[-1])
            cell = np.minimum(changes.first[:, np.newaxis] + cells, self._energy.size - 1)
            magnitudes = self.table.evenness.magnitudes
            after = magnitudes(np.maximum(overlap[cell] + changes.overlap, 0.0))
            value += np.einsum("gbc,bc->gb", after - magnitudes(overlap)[cell], self._energy[cell])
        return value + self._criterion(changes.sums, changes.group, changes.entry[:-1], raw)

    def _criterion(self, sums: Float64Array, group: AnyArray, begin: AnyArray, raw: Float64Array) -> Float64Array:
        grid = sums.shape[-1]
        raw = raw[:, group]
        alive = (raw[0] > 0) & (self._share[group] > 0)
        total = raw[:, :, np.newaxis] + sums
        whole = np.repeat(group[:, np.newaxis], grid, axis=1)
        change = self._values(total.reshape(len(total), -1), whole.ravel()).reshape(-1, grid)
        change = np.where(alive[:, np.newaxis], change, 0.0)
        change -= np.where(alive, self._values(raw, group), 0.0)[:, np.newaxis]
        return np.asarray(np.add.reduceat(change, begin, axis=0).T / self._share.sum())

    def _apply(self, chosen: AnyArray, changes: _Changes, overlap: Float64Array, raw: Float64Array) -> None:
        """Make the switches that decrease the objective, each one if it still does after the switches before it."""
        value = self._gains(changes, overlap, raw)
        best = value.argmin(axis=0)
        gain = value[best, np.arange(best.size)]
        taken = np.zeros(chosen.size + 2, dtype=bool)
        least = -_LEAST_GAIN * self._share.sum()
        for b in np.argsort(gain):
            if gain[b] >= least:
                break
            start, stop, g = changes.start[b], changes.stop[b], best[b]
            if taken[start : stop + 2].any():  # a frame of the block, or next to it, has been switched
                continue
            one = self._one(changes, b, g)
            if self._gains(one, overlap, raw)[0, 0] >= least:
                continue
            width = min(one.overlap.shape[-1], self._energy.size - one.first[0])
            overlap[one.first[0] : one.first[0] + width] += one.overlap[0, 0, :width]
            raw[:, one.group] += one.sums[:, :, 0]
            chosen[start:stop] = g
            taken[start + 1 : stop + 1] = True

    @staticmethod
    def _one(changes: _Changes, block: int, length: int) -> _Changes:
        """Return the change by one block at one length."""
        entries = slice(changes.entry[block], changes.entry[block + 1])
        return _Changes(
            changes.start[block : block + 1],
            changes.stop[block : block + 1],
            changes.first[block : block + 1],
            changes.overlap[length : length + 1, block : block + 1],
            np.array([0, entries.stop - entries.start]),
            changes.group[entries],
            changes.sums[:, entries, length : length + 1],
            changes.smooth[length : length + 1, block : block + 1],
        )
