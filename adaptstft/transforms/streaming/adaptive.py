"""Block processing of `AdaptiveShortTimeFFT`."""

from __future__ import annotations

from typing import cast

import numpy as np

from adaptstft.common.device import to_host
from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.engine import inverse
from adaptstft.engine.frames import Frames, make_frames
from adaptstft.engine.operator import AnyFrames, analyse
from adaptstft.engine.slices import HopSlices, ListedSlices
from adaptstft.transforms.geometry import TransformGeometry
from adaptstft.transforms.streaming.interface import BlockTransform


def adaptive_blocks(sft: TransformGeometry) -> BlockTransform:
    """Return the analysis and synthesis of ranges of slices of an adaptive transform."""
    return _AdaptiveBlocks(sft)


class _AdaptiveBlocks:
    """Implementation of `BlockTransform` for an adaptive transform."""

    def __init__(self, sft: TransformGeometry) -> None:
        self._sft = sft
        self._plan = sft._plan
        self.p_min = sft.p_min
        self.f_pts = sft.f_pts
        self.m_num = sft.m_num
        self.onesided = sft.onesided_fft
        self.fs = sft.fs
        self._slices: HopSlices | ListedSlices
        p_num = sft._num_slice_lengths if sft._positions is None else sft._positions.size
        if sft._slices is None or p_num is not None:
            self._slices = ListedSlices(self.p_min, self._longest_frames(cast(int, p_num)))
            self.p_stop: int | None = self._slices.p_stop
        else:
            self._slices, self.p_stop = sft._slices, None

    def _frames(self, p0: int, p1: int, first: int = 0) -> AnyFrames:
        """Return the frames of slices ``p0 <= p < p1`` of a signal that begins at sample `first`."""
        return self._sft._frames(p0, p1).moved(-first)

    def _longest_frames(self, p_num: int) -> Frames:
        """Return frames of all `p_num` slices with the longest window of each, to know the samples they need."""
        win_length = self._sft._win_length
        longest = win_length.max(axis=0) if self._sft.per_bin else win_length
        positions = self._sft._slice_positions(self.p_min, self.p_min + p_num)
        return make_frames(longest, positions, mfft=self._plan.mfft, window_offset=self._plan.window_offset)

    def p_max(self, n: int) -> int:
        return self._sft.p_max(n)

    def check_length(self, n: int, *, final: bool) -> None:
        samples = self._sft.samples
        if final or (samples is not None and n > samples):
            self._sft._check_samples(n)
        if final or (samples is None and self.p_stop is not None and self._sft.p_max(n) > self.p_stop):
            self._sft._check_lengths(n)

    def complete(self, n: int) -> int:
        return self._slices.complete(n)

    def start(self, p: int) -> int | None:
        return self._slices.start(p)

    def covered(self, p0: int, p1: int) -> tuple[int, int]:
        return self._frames(p0, p1).covered()

    def analyze(self, x: AnyArray, first: int, p0: int, p1: int) -> AnyArray:
        return np.asarray(to_host(analyse(self._plan, self._plan.kernels.asarray(x), self._frames(p0, p1, first))))

    def check_synthesis(self, k0: int, k1: int | None, p_num: int | None) -> None:
        if self._sft.per_bin:
            raise ValueError(
                f"win_length has shape {self._sft._win_length.shape}: with a window for each frequency every sample "
                "depends on all slices: blocks cannot be inverted one by one; concatenate them and call istft"
            )
        if self.p_stop is not None and p_num is not None and p_num != self.p_stop - self.p_min:
            raise ValueError(f"blocks have {p_num} slices, but the transform has {self.p_stop - self.p_min}")

    def contributing(self, k0: int, k1: int | None) -> tuple[int, int | None]:
        return self.p_min, self.p_stop

    def add_slices(self, spectra: AnyArray, p0: int, out: AnyArray, overlap: Float64Array, low: int) -> None:
        frames = cast(Frames, self._frames(p0, p0 + spectra.shape[1]))
        xp = self._plan.kernels.xp
        if xp is np:
            inverse.add_synthesis(self._plan, spectra, frames, out, low)
            inverse.add_overlap(self._plan, frames, overlap, low)
            return
        device_out, device_overlap = xp.zeros(out.shape, out.dtype), xp.zeros(overlap.shape)
        inverse.add_synthesis(self._plan, self._plan.kernels.asarray(spectra), frames, device_out, low)
        inverse.add_overlap(self._plan, frames, device_overlap, low)
        out += to_host(device_out)
        overlap += to_host(device_overlap)

    def normalize(self, out: AnyArray, overlap: Float64Array, low: int, peak: float) -> None:
        inverse.check_covered(overlap, low, peak, out.dtype)
        inverse.normalize(out, overlap)
