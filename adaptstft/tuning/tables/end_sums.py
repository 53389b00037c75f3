"""Sums of frames at the ends of the signal, whose longer windows reach over an end.

Outside the signal there is nothing: a window that reaches over an end sees a jump to zero, and less of the signal than
the others. Its sums tell nothing about the length that suits the signal: a tone that is cut off would look like an
onset, and noise would look best to windows that see least of it. At these lengths a frame therefore has the mean sums
of the frames next to it that are inside, over a stretch as long as the window.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.engine.statistics import Statistics
from adaptstft.tuning.tables.frame_sums import FrameSums

#: Largest distance from the end, in window lengths, of the frames whose sums are averaged.
_STRETCH = 1.5


@dataclass(frozen=True)
class SumsWithEnds:
    """A table of the sums of all frames, with other sums where windows reach over an end.

    Attributes
    ----------
    table : FrameSums
        The sums of all frames.
    first, last : FrameSums
        The sums of the first and of the last frames that any window reaches over an end from.
    """

    table: FrameSums
    first: FrameSums
    last: FrameSums

    @classmethod
    def of(cls, table: FrameSums, stats: Statistics, positions: Float64Array, n: int) -> SumsWithEnds:
        """Make the table for frames at positions in a signal of `n` samples."""
        lengths = np.exp(table.log_lengths)
        reach = float(lengths[-1]) / 2
        middle = positions.size // 2
        count = min(int(np.searchsorted(positions, reach)), middle)
        first = _mirrored_end(table, stats, positions, lengths, count, backwards=False)
        beyond = min(int(np.searchsorted((n - 1 - positions)[::-1], reach)), positions.size - middle)
        last = _mirrored_end(table, stats, (n - 1 - positions)[::-1], lengths, beyond, backwards=True)
        return cls(table, first, last)

    @property
    def frames(self) -> int:
        """Number of frames."""
        return self.table.frames

    def at(self, log_lengths: Float64Array, part: slice | None = None) -> Float64Array:
        """Return the statistics of frames at logarithms of lengths, as `FrameSums.at`."""
        found = self.table.at(log_lengths, part)
        begin, stop, _ = (part or slice(None)).indices(self.frames)
        for ends, low in ((self.first, 0), (self.last, self.frames - self.last.frames)):
            own = slice(max(begin, low), min(stop, low + ends.frames))
            if own.start < own.stop:
                rows = log_lengths if log_lengths.ndim == 1 else log_lengths[own.start - begin : own.stop - begin]
                inside = slice(own.start - begin, own.stop - begin)
                found[:, inside] = ends.at(rows, slice(own.start - low, own.stop - low))
        return found


def _mirrored_end(
    table: FrameSums,
    stats: Statistics,
    distances: Float64Array,
    lengths: Float64Array,
    count: int,
    *,
    backwards: bool,
) -> FrameSums:
    """Return the table of the `count` frames next to an end, from ascending distances of all frames to it."""
    chosen = slice(table.frames - count, table.frames) if backwards else slice(0, count)
    values: AnyArray = table.values[:, chosen].copy()
    for k, length in enumerate(lengths):
        over = int(np.searchsorted(distances[:count], length / 2))
        if not over:
            continue
        near = np.flatnonzero((distances >= length / 2) & (distances <= _STRETCH * length))
        near = near if near.size else np.array([min(over, table.frames - 1)])
        low, high = int(near[0]), int(near[-1]) + 1
        part = slice(table.frames - high, table.frames - low) if backwards else slice(low, high)
        mean = table.at(table.log_lengths[k : k + 1], part)[..., 0].mean(axis=1)
        frames = slice(count - over, count) if backwards else slice(0, over)
        values[:, frames, k] = table.logs(stats, mean)[:, np.newaxis]
    return table.with_values(values)
