"""Blocks of frames: each thread works on one block after the other, whose arrays stay in the cache of its core."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from threading import local
from typing import Any, Generic, Protocol, TypeVar, cast

import numpy as np

from adaptstft.common.threads import block_ranges, run_blocks
from adaptstft.common.typing import AnyArray
from adaptstft.engine.frames import Frames, PlacedFrames
from adaptstft.engine.plan import FFTPlan, FramePlan
from adaptstft.engine.window_samples import WindowRows, sample_windows

#: Up to this number frames are laid out together, which takes less time than block by block.
_FEW_FRAMES = 1 << 14


class Block(Protocol):
    """Frames that take a range of samples: `PlacedFrames` or `BinFrames`."""

    def covered(self) -> tuple[int, int]:
        """Range of samples from the first to one past the last."""


_Block = TypeVar("_Block", bound=Block)
_BlockOut = TypeVar("_BlockOut", bound=Block, covariant=True)


class Divisible(Protocol[_BlockOut]):
    """Frames of which a slice is a block: `Frames`, `PlacedFrames` or `BinFrames`."""

    def __getitem__(self, part: slice) -> _BlockOut: ...


class Blocks(Generic[_Block]):
    """Blocks of frames, and threads that work on them; ``blocks[i]`` is the range of block ``i`` and its frames."""

    def __init__(self, plan: FFTPlan, frames: Divisible[_Block], ranges: list[slice]) -> None:
        self.plan, self.frames, self.ranges = plan, frames, ranges

    def __getitem__(self, i: int) -> tuple[slice, _Block]:
        part = self.ranges[i]
        return part, self.frames[part]

    def run(self, work: Callable[[int], Any], merge: Callable[[int, Any], None] | None = None) -> None:
        """Call ``work(i)`` for every block on several threads, and ``merge(i, result)`` in the order of the blocks."""
        run_blocks(len(self.ranges), work, self.plan.threads, merge)

    def accumulate(self, add: Callable[[slice, _Block, int, AnyArray], None], out: AnyArray, low: int) -> None:
        """Sum what the blocks contribute to the samples from `low` on, the last axis of `out`.

        ``add(part, frames, first, stretch)`` adds the contribution of a block to `stretch`, samples from `first` on.
        Stretches overlap, so they are added to `out` in the order of the blocks.
        """
        high = low + out.shape[-1]

        def work(i: int) -> tuple[int, int, AnyArray]:
            part, frames = self[i]
            first, last = (int(edge) for edge in np.clip(frames.covered(), low, high))
            stretch = self.plan.kernels.xp.zeros((*out.shape[:-1], last - first), dtype=out.dtype)
            add(part, frames, first, stretch)
            return first, last, stretch

        def merge(_: int, result: tuple[int, int, AnyArray]) -> None:
            first, last, stretch = result
            out[..., first - low : last - low] += stretch

        self.run(work, merge)


class FrameBlocks(Blocks[PlacedFrames]):
    """Blocks of frames with one window each."""

    def __init__(self, plan: FramePlan, frames: Frames, dtype: Any) -> None:
        placed = frames[:] if len(frames) <= _FEW_FRAMES else frames
        elements = plan.kernels.BLOCK_ELEMENTS * 4 // np.dtype(dtype).itemsize
        super().__init__(plan, placed, [slice(*edges) for edges in block_ranges(len(frames), plan.mfft, elements)])
        self._scratch = local()

    def scratch(self, name: str, shape: tuple[int, int], dtype: Any) -> AnyArray:
        """Return an array that the calling thread uses again for its next block: fresh memory costs time."""
        array = getattr(self._scratch, name, None)
        if array is None or len(array) < shape[0]:
            array = self.plan.kernels.xp.empty(shape, dtype)
            setattr(self._scratch, name, array)
        # CuPy copies a view before an FFT
        return cast(AnyArray, array if len(array) == shape[0] else array[: shape[0]])

    def _scratch_rows(self, name: str, shape: tuple[int, int], dtype: Any) -> AnyArray:
        """Return an array as `scratch` does, for rows whose length differs from block to block."""
        rows, length = shape
        flat = self.scratch(name, (rows * max(length, self.plan.mfft), 1), dtype)
        return flat.ravel()[: rows * length].reshape(shape)


class WindowedBlocks(FrameBlocks):
    """Blocks of frames with sampled windows; one that the frames of successive blocks share is sampled once."""

    def __init__(
        self, plan: FramePlan, frames: Frames, dtype: Any, *, gradient: bool = False, shape: bool = False
    ) -> None:
        super().__init__(plan, frames, dtype)
        self._sample = partial(sample_windows, plan, dtype=dtype, gradient=gradient, shape=shape)
        #: Length and first sample of the last window that a block shared, and its samples.
        self._latest: tuple[tuple[float, float], WindowRows] | None = None

    def windows(self, frames: PlacedFrames) -> WindowRows:
        """Sample the windows of a block, with the derivatives that the constructor was given.

        They are valid until the thread samples those of its next block.
        """
        if not len(frames) or not frames.share_window:
            return self._sample(frames, empty=self._scratch_rows)
        key, latest = (float(frames.win_length[0]), float(frames.lead[0])), self._latest
        if latest is None or latest[0] != key:
            self._latest = latest = (key, self._sample(frames[:1]))
        return latest[1]
