"""Slices of a constant hop, numbered by SciPy's rules, and slices that are listed."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from adaptstft.engine.frames import Frames
from adaptstft.windows import Window


@dataclass(frozen=True)
class HopSlices:
    """Slices ``p`` at times ``p * hop``, numbered as `scipy.signal.ShortTimeFFT` does.

    Attributes
    ----------
    hop : float
        Time increment.
    length : float
        Window length that decides which slices touch the signal.
    window : Window
        Its shape: a window that is zero at its first sample does not touch with it.
    slot : int
        Number of samples reserved for a window, ``m_num``.
    window_offset : float
        Centre of the window relative to the slice's time.
    """

    hop: float
    length: float
    window: Window
    slot: int
    window_offset: float

    def start(self, p: int) -> int:
        """First sample of slice `p`'s window."""
        return math.ceil(p * self.hop + self.window_offset - self.length / 2)

    def first_nonzero(self, p: int) -> int:
        """First sample of slice `p` where its window is not zero."""
        first = self.start(p)
        on_edge = first == p * self.hop + self.window_offset - self.length / 2
        return first + 1 if on_edge and float(self.window(-0.5)) == 0 else first

    def stop_nonzero(self, p: int) -> int:
        """One past the last sample of slice `p`'s window."""
        return math.ceil(p * self.hop + self.window_offset + self.length / 2)

    def slot_start(self, p: int) -> int:
        """First sample of the ``m_num`` samples reserved for slice `p`."""
        return math.ceil(p * self.hop + self.window_offset - self.slot / 2)

    def complete(self, n: int) -> int:
        """One past the last slice that takes no sample from `n` on and that every longer signal has as well."""
        p = math.floor((n - self.window_offset - self.length / 2) / self.hop) + 2
        while self.stop_nonzero(p - 1) > n:
            p -= 1
        # windows far ahead of their slices' times may be complete before the signal is sure to reach those slices
        return p if p <= math.floor(n / self.hop) + 1 else min(p, self.p_max(n))

    @property
    def p_min(self) -> int:
        """First slice that reaches into the signal; slice 0 always counts."""
        p = min(0, math.floor(-(self.length / 2 + self.window_offset) / self.hop) - 2)
        # SciPy's symmetric windows have one sample more, and it counts here even where it is zero
        symmetric = self.slot - self.length == 1
        while p < 0 and (self.slot_start(p) + self.slot if symmetric else self.stop_nonzero(p)) <= 0:
            p += 1
        return p

    def p_max(self, n: int) -> int:
        """One past the last slice that touches a signal of `n` samples."""
        at_least = math.floor(n / self.hop) + 1
        p = max(at_least, math.ceil((n + self.length / 2 - self.window_offset) / self.hop) + 1)
        while p > at_least and self.first_nonzero(p - 1) >= n:
            p -= 1
        return p

    def longest_signal(self, p_max: int) -> int:
        """Largest number of samples for which the slices end before `p_max`."""
        return max(1, min(self.first_nonzero(p_max), math.ceil(p_max * self.hop) - 1))

    @property
    def lower_border_end(self) -> tuple[int, int]:
        """First sample and slice that padding before the signal does not reach."""
        p = 0
        while self.first_nonzero(p + 1) < 0:
            p += 1
        return self.first_nonzero(p) + self.slot, p + 1

    def upper_border_begin(self, n: int) -> tuple[int, int]:
        """First sample and slice that padding after a signal of `n` samples reaches."""
        p = math.floor(n / self.hop) + 1
        while p >= self.p_min and self.stop_nonzero(p) > n:
            p -= 1
        return self.slot_start(p + 1), p + 1


class ListedSlices:
    """Slices from `p_min` on whose frames are all known; an earlier one may reach further than a later one.

    Parameters
    ----------
    p_min : int
        Index of the first slice.
    frames : Frames
        The frames of all of them.
    """

    def __init__(self, p_min: int, frames: Frames) -> None:
        self.p_min = p_min
        placed = frames[:]
        self._starts = np.minimum.accumulate(placed.start[::-1])[::-1]
        self._stops = np.maximum.accumulate(placed.start + placed.count)

    @property
    def p_stop(self) -> int:
        """One past the last slice."""
        return self.p_min + self._stops.size

    def start(self, p: int) -> int | None:
        """First sample that slice `p` or a later one takes; None if there is none."""
        return int(self._starts[p - self.p_min]) if p < self.p_stop else None

    def complete(self, n: int) -> int:
        """One past the last slice that, as all before it, takes no sample from `n` on."""
        return self.p_min + int(np.searchsorted(self._stops, n, side="right"))
