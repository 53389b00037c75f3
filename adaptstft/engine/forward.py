r"""The transform with one window for each frame.

With the window length ``theta_p`` and the position ``t_p`` of each frame, both real,

.. math:: S[q, p] = \sum_n x[n]\, c(\theta_p)\, \omega((n - t_p)/\theta_p)\,
          e^{-2 j \pi f_q (n - t_p) T} .

The FFT counts the phase from a sample; a rotation by the fraction of a sample brings its origin to ``t_p``.
"""

from __future__ import annotations

import numpy as np

from adaptstft.common.typing import AnyArray
from adaptstft.engine.blocks import FrameBlocks, WindowedBlocks
from adaptstft.engine.frames import Frames, PlacedFrames
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.window_samples import WindowRows


def windowed_frames(
    plan: FramePlan, x: AnyArray, frames: PlacedFrames, rows: WindowRows, out: AnyArray | None = None
) -> AnyArray:
    """Frames of one channel times their windows, shape (frames, mfft): the input of the FFT."""
    if out is None:
        out = plan.kernels.xp.empty((len(frames), plan.mfft), x.dtype)
    plan.kernels.load_frames(x, rows.w, rows.scale, *frames.place, out)
    return out


def windowed_spectra(
    plan: FramePlan, x: AnyArray, frames: PlacedFrames, rows: WindowRows, blocks: FrameBlocks
) -> AnyArray:
    """FFT of the windowed frames of one channel, before the rotation of the phase."""
    buffer = blocks.scratch("frames", (len(frames), plan.mfft), x.dtype)
    return plan.fft(windowed_frames(plan, x, frames, rows, buffer))


def forward(plan: FramePlan, x: AnyArray, frames: Frames) -> AnyArray:
    """Transform ``S`` of channels ``x``, shape (channels, n): shape (channels, frames, f_pts)."""
    size = (x.shape[0], len(frames), plan.f_pts)
    out: AnyArray = plan.kernels.xp.empty(size, dtype=np.result_type(x.dtype, np.complex64))
    blocks = WindowedBlocks(plan, frames, x.real.dtype)

    def work(i: int) -> None:
        part, block = blocks[i]
        rows = blocks.windows(block)
        for channel, signal in enumerate(x):
            spectra = windowed_spectra(plan, signal, block, rows, blocks)
            if np.any(block.delta):
                plan.kernels.rotate(spectra, block.delta, plan.mfft, plan.onesided, 1.0)
            out[channel, part] = plan.store(spectra)

    blocks.run(work)
    return out
