"""Sums of frames at the ends of the signal, whose longer windows reach over an end.

Outside the signal there is nothing: a window that reaches over an end sees a jump to zero, and less of the signal than
the others. Its sums tell nothing about the length that suits the signal: a tone that is cut off would look like an
onset, and noise would look best to windows that see least of it. At these lengths a frame therefore has its sums at the
longest length whose window is inside. So it prefers none of them, and its length follows from that of its neighbours,
but a short window at an event next to the end is still an improvement.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.tuning.tables.frame_sums import FrameSums


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
    def of(cls, table: FrameSums, positions: Float64Array, n: int) -> SumsWithEnds:
        """Make the table for frames at positions in a signal of `n` samples."""
        reach = float(np.exp(table.log_lengths[-1])) / 2
        middle = positions.size // 2
        count = min(int(np.searchsorted(positions, reach)), middle)
        first = _kept_inside(table, slice(0, count), positions[:count])
        beyond = min(int(np.searchsorted((n - 1 - positions)[::-1], reach)), positions.size - middle)
        chosen = slice(positions.size - beyond, positions.size)
        last = _kept_inside(table, chosen, n - 1 - positions[chosen])
        return cls(table, first, last)

    @classmethod
    def unchanged(cls, table: FrameSums) -> SumsWithEnds:
        """Make the table with its own sums at the ends.

        Where changes of the length cost nothing, nothing else decides between lengths with the same sums.
        """
        none = table.with_values(table.values[:, :0])
        return cls(table, none, none)

    @property
    def log_lengths(self) -> Float64Array:
        """Logarithms of the lengths of the grid."""
        return self.table.log_lengths

    @property
    def values(self) -> AnyArray:
        """The table without those that replace it at the ends."""
        return self.table.values

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


def _kept_inside(table: FrameSums, chosen: slice, distances: Float64Array) -> FrameSums:
    """Return the table of frames next to an end, at their distances to it, with the sums of windows that are inside."""
    longest = np.log(np.maximum(2 * distances, np.exp(table.log_lengths[0])))
    return table.with_values(table.held(chosen, longest))
