"""Slices at a constant hop, numbered as in SciPy, and slices with given frames."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from adaptstft.engine.frames import Frames
from adaptstft.windows import Window


@dataclass(frozen=True)
class HopSlices:
    """Slices ``p`` at the positions ``p * hop``, numbered as in `scipy.signal.ShortTimeFFT`.

    Attributes
    ----------
    hop : float
        Distance of the positions.
    length : float
        Window length that decides whether a slice touches the signal.
    window : Window
        The window family. A first sample that is zero does not touch the signal.
    slot : int
        Number of samples reserved for a window, ``m_num``.
    window_offset : float
        Centre of the window relative to the position of its slice.
    """

    hop: float
    length: float
    window: Window
    slot: int
    window_offset: float

    def start(self, p: int) -> int:
        """Return the first sample of the window of slice `p`."""
        return math.ceil(p * self.hop + self.window_offset - self.length / 2)

    def first_nonzero(self, p: int) -> int:
        """Return the first sample of slice `p` where the window is not zero."""
        first = self.start(p)
        on_edge = first == p * self.hop + self.window_offset - self.length / 2
        return first + 1 if on_edge and float(self.window(-0.5)) == 0 else first

    def stop_nonzero(self, p: int) -> int:
        """Return one past the last sample of the window of slice `p`."""
        return math.ceil(p * self.hop + self.window_offset + self.length / 2)

    def slot_start(self, p: int) -> int:
        """Return the first of the ``m_num`` samples reserved for slice `p`."""
        return math.ceil(p * self.hop + self.window_offset - self.slot / 2)

    def complete(self, n: int) -> int:
        """Return one past the last slice that ends before sample `n` and exists for every longer signal."""
        p = math.floor((n - self.window_offset - self.length / 2) / self.hop) + 2
        while self.stop_nonzero(p - 1) > n:
            p -= 1
        # with window_offset far below zero a window may end before the signal has reached the position of its slice
        return p if p <= math.floor(n / self.hop) + 1 else min(p, self.p_max(n))

    @property
    def p_min(self) -> int:
        """First slice that touches the signal, at most 0."""
        p = min(0, math.floor(-(self.length / 2 + self.window_offset) / self.hop) - 2)
        # a symmetric window of SciPy has one more sample, which counts even if it is zero
        symmetric = self.slot - self.length == 1
        while p < 0 and (self.slot_start(p) + self.slot if symmetric else self.stop_nonzero(p)) <= 0:
            p += 1
        return p

    def p_max(self, n: int) -> int:
        """Return one past the last slice that touches a signal of `n` samples."""
        at_least = math.floor(n / self.hop) + 1
        p = max(at_least, math.ceil((n + self.length / 2 - self.window_offset) / self.hop) + 1)
        while p > at_least and self.first_nonzero(p - 1) >= n:
            p -= 1
        return p

    def longest_signal(self, p_max: int) -> int:
        """Return the largest number of samples for which all slices are before `p_max`."""
        return max(1, min(self.first_nonzero(p_max), math.ceil(p_max * self.hop) - 1))

    @property
    def lower_border_end(self) -> tuple[int, int]:
        """First sample and slice that do not depend on padding before the signal."""
        p = 0
        while self.first_nonzero(p + 1) < 0:
            p += 1
        return self.first_nonzero(p) + self.slot, p + 1

    def upper_border_begin(self, n: int) -> tuple[int, int]:
        """Return the first sample and slice that depend on padding after a signal of `n` samples."""
        p = math.floor(n / self.hop) + 1
        while p >= self.p_min and self.stop_nonzero(p) > n:
            p -= 1
        return self.slot_start(p + 1), p + 1


class ListedSlices:
    """Slices from `p_min` on with given frames, of which an earlier one may end after a later one.

    Parameters
    ----------
    p_min : int
        Index of the first slice.
    frames : Frames
        The frames of all slices.
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
        """Return the first sample of slice `p` and all later ones; None after the last slice."""
        return int(self._starts[p - self.p_min]) if p < self.p_stop else None

    def complete(self, n: int) -> int:
        """Return one past the last slice that, like all before it, ends before sample `n`."""
        return self.p_min + int(np.searchsorted(self._stops, n, side="right"))
