"""The slices of a transform that belong to one stretch of a Dask array."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from adaptstft.common.typing import AnyArray
from adaptstft.common.validation import as_inexact, check_finite_stretch
from adaptstft.engine.bins import BinFrames
from adaptstft.engine.frames import Frames
from adaptstft.engine.plan import FramePlan
from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT
from adaptstft.tuning.shared.dask_signals import stretches_of


@dataclass(frozen=True)
class StretchSlices:
    """Slices of a transform, and the samples under their windows.

    Attributes
    ----------
    sft : AdaptiveShortTimeFFT
        The transform.
    p0, p1 : int
        Range of the slices, ``p0 <= p < p1``.
    low, high : int
        Range of the samples, ``low <= n < high``.
    first : int
        Number of the first slice in the transform of the whole signal.
    """

    sft: AdaptiveShortTimeFFT
    p0: int
    p1: int
    low: int
    high: int
    first: int

    @property
    def count(self) -> int:
        """Number of slices."""
        return self.p1 - self.p0

    def channels(self, block: AnyArray) -> tuple[FramePlan, AnyArray]:
        """Return the plan of the transform for one task, and the samples as channels."""
        x = as_inexact("x", block).reshape(-1, block.shape[-1])
        check_finite_stretch("x", x, self.low)
        plan = self.sft._plan if self.sft.workers is not None else self.sft._plan.single()
        return plan, plan.kernels.asarray(x)

    def frames(self) -> Frames | BinFrames:
        """Return the frames, with positions relative to the first sample."""
        return self.sft._frames(self.p0, self.p1).moved(-self.low)

    def without_others(self) -> StretchSlices:
        """Return the same slices of a transform that has no others, so that a worker gets only these parameters."""
        sft, lengths = self.sft, self.sft._num_slice_lengths is not None
        if sft.positions is None and not lengths:
            return self
        if self.count == 0:
            one = sft.remade(win_length=float(np.max(sft.win_length)), positions=np.zeros(1), hop=None)
            return replace(self, sft=one, p0=0, p1=0)
        columns = slice(self.p0 - sft.p_min, self.p1 - sft.p_min)
        win_length = np.asarray(sft.win_length)[..., columns] if lengths else sft.win_length
        own = sft.remade(win_length=win_length, positions=sft._slice_positions(self.p0, self.p1), hop=None)
        return replace(self, sft=own, p0=0, p1=self.count)


def window_reach(sft: AdaptiveShortTimeFFT) -> int:
    """Return the largest distance of a sample under a window from the time of the slice."""
    return int(np.ceil(sft.m_num / 2 + abs(sft.window_offset))) + 2


def divide_slices(sft: AdaptiveShortTimeFFT, x: Any, beyond: int = 0) -> list[StretchSlices]:
    """Return the slices of each stretch of a Dask array, with those up to `beyond` samples outside it."""
    n = x.shape[-1]
    first, last = sft.p_range(n)
    reach = window_reach(sft) + beyond
    parts = []
    for a, b in stretches_of(x):
        p0 = first if a == 0 else min(max(_first_slice_from(sft, a - beyond), first), last)
        p1 = last if b == n else min(max(_first_slice_from(sft, b + beyond), first), last)
        low = min(max(a - reach, 0), n - 1)
        parts.append(StretchSlices(sft, p0, p1, low, min(b + reach, n), p0).without_others())
    return parts


def _first_slice_from(sft: AdaptiveShortTimeFFT, t: float) -> int:
    """Return the first slice whose time is at least `t` samples."""
    if sft.positions is not None:
        return int(np.searchsorted(sft.positions, t))
    return int(np.ceil(t / cast(float, sft.hop)))
