"""Blocks of frames, which threads transform one after the other."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import local
from typing import Any, cast

import numpy as np

from adaptstft.common.threads import block_ranges, run_blocks
from adaptstft.common.typing import AnyArray
from adaptstft.engine.frames import Frames, PlacedFrames
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.window_samples import WindowRows, sample_windows

#: So many frames are laid out all at once, which takes less time than block by block.
_FEW_FRAMES = 1 << 14


class Blocks:
    """Blocks of frames, which threads take one after the other."""

    def __init__(self, plan: FramePlan, frames: Frames, dtype: Any) -> None:
        self.frames = frames[:] if len(frames) <= _FEW_FRAMES else frames
        self.xp = plan.kernels.xp
        self.workers = plan.kernels.WORKERS or plan.workers
        elements = plan.kernels.BLOCK_ELEMENTS * 4 // np.dtype(dtype).itemsize
        self.ranges = block_ranges(len(frames), plan.mfft, elements)
        self._scratch = local()

    def scratch(self, name: str, shape: tuple[int, int], dtype: Any) -> AnyArray:
        """Return memory of the calling thread, which the next block gets again: fresh pages cost time."""
        held = getattr(self._scratch, name, None)
        if held is None or len(held) < shape[0]:
            held = self.xp.empty(shape, dtype)
            setattr(self._scratch, name, held)
        # CuPy copies what is a view before an FFT
        return cast(AnyArray, held if len(held) == shape[0] else held[: shape[0]])

    def each(self, work: Callable[[slice, PlacedFrames], Any], merge: Any = None) -> None:
        """Call ``work(part, frames)`` for every block, and `merge` in their order."""

        def block(i: int) -> Any:
            part = slice(*self.ranges[i])
            return work(part, self.frames[part])

        run_blocks(len(self.ranges), block, self.workers, merge)


class FrameBlocks(Blocks):
    """Blocks of frames with their windows in rows; a window shared by all frames is sampled once."""

    def __init__(
        self, plan: FramePlan, frames: Frames, dtype: Any, *, gradient: bool = False, shape: bool = False
    ) -> None:
        super().__init__(plan, frames, dtype)
        self.sample = partial(sample_windows, plan, dtype=dtype, gradient=gradient, shape=shape)
        self.shared = self.sample(frames[:1]) if frames.share_window else None

    def run(self, work: Callable[[slice, PlacedFrames, WindowRows], Any], merge: Any = None) -> None:
        """Call ``work(part, frames, windows)`` for every block, and `merge` in their order."""
        self.each(lambda part, frames: work(part, frames, self.shared or self.sample(frames)), merge)

    def accumulate(
        self, add: Callable[[slice, PlacedFrames, WindowRows, int, AnyArray], None], out: AnyArray, low: int
    ) -> None:
        """Add up what the blocks contribute to samples from `low` on, the last axis of `out`.

        ``add(part, frames, windows, first, stretch)`` adds a block's part to a `stretch` that begins at
        sample `first`; stretches overlap, so they are merged in the order of the blocks.
        """
        high = low + out.shape[-1]

        def work(part: slice, frames: PlacedFrames, rows: WindowRows) -> Any:
            first, last = np.clip(frames.covered(), low, high)
            stretch = self.xp.zeros((*out.shape[:-1], last - first), dtype=out.dtype)
            add(part, frames, rows, int(first), stretch)
            return first, last, stretch

        def merge(_: int, result: Any) -> None:
            first, last, stretch = result
            out[..., first - low : last - low] += stretch

        self.run(work, merge)
