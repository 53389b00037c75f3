r"""The transform of frames, its adjoint and its derivatives, block by block.

With the real-valued window length ``theta_p`` and time ``t_p`` of each frame,

.. math:: S[q, p] = \sum_n x[n]\, c(\theta_p)\, \omega((n - t_p)/\theta_p)\,
          e^{-2 j \pi f_q (n - t_p) T} .

**Convention for complex cotangents**, used by every gradient in the package:
for a real loss ``C(S)`` the cotangent is ``G = dC/dRe S + 1j dC/dIm S``, so that
``dC = Re sum conj(G) dS`` over the stored bins, each counted once.
With the adjoint frames ``y_p[n] = sum_q G[q, p] exp(2j pi f_q (n - t_p) T)``
and ``v[n] = Re(conj(y_p[n]) x[n])``, ``u = (n - t_p)/theta_p``, all derivatives are sums over a frame:

.. math::

    \partial C/\partial\theta_p &= c' \sum v\,\omega(u) - (c/\theta_p) \sum v\,\omega'(u)\,u \\
    \partial C/\partial t_p &= -(c/\theta_p) \sum v\,\omega'(u)
        + \mathrm{Re} \sum_q \overline{G[q,p]}\, 2 j \pi f_q T\, S[q,p] \\
    \partial C/\partial x[n] &= \sum_p c\,\omega(u)\, y_p[n]
"""

from __future__ import annotations

import numpy as np

from adaptstft.common.typing import AnyArray
from adaptstft.engine.blocks import Blocks, FrameBlocks
from adaptstft.engine.frames import Frames, PlacedFrames
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.window_samples import WindowRows


def windowed_spectra(plan: FramePlan, x: AnyArray, frames: PlacedFrames, rows: WindowRows, blocks: Blocks) -> AnyArray:
    """FFT of the windowed frames of one channel, before any rotation."""
    buffer = blocks.scratch("frames", (len(frames), plan.mfft), x.dtype)
    plan.kernels.load_frames(x, rows.w, rows.scale, frames.start, frames.count, frames.offset, buffer)
    return plan.fft(buffer)


def forward(plan: FramePlan, x: AnyArray, frames: Frames) -> AnyArray:
    """Transform channels ``x``, shape (channels, n), to shape (channels, frames, f_pts)."""
    out: AnyArray = plan.kernels.xp.empty(
        (x.shape[0], len(frames), plan.f_pts), dtype=np.result_type(x.dtype, np.complex64)
    )

    def work(part: slice, block: PlacedFrames, rows: WindowRows) -> None:
        for channel, signal in enumerate(x):
            spectra = windowed_spectra(plan, signal, block, rows, blocks)
            if np.any(block.delta):
                plan.kernels.rotate(spectra, block.delta, plan.mfft, plan.onesided, 1.0)
            out[channel, part] = plan.store(spectra)

    blocks = FrameBlocks(plan, frames, x.real.dtype)
    blocks.run(work)
    return out
