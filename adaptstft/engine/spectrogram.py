"""The spectrogram in one pass, which keeps what its derivatives need.

A loss of ``|S|**2`` does not depend on the phase, so nothing is rotated, and its cotangent is a real factor
on spectra that the forward pass has made: one FFT a frame forward, one inverse FFT backward.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from adaptstft.common.typing import AnyArray, ComplexArray, Float64Array, FloatArray
from adaptstft.engine.bins import BinFrames, bin_forward
from adaptstft.engine.blocks import FrameBlocks
from adaptstft.engine.forward import windowed_spectra
from adaptstft.engine.frames import Frames, PlacedFrames
from adaptstft.engine.gradients import Gradients
from adaptstft.engine.operator import analysis_vjp
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.vjp import frame_vjp
from adaptstft.engine.window_samples import WindowRows


@dataclass(frozen=True)
class PowerPass:
    """``|S|**2`` of channels, and the way back.

    Attributes
    ----------
    tf, x, frames
        The transform, the channels and the frames.
    power : ndarray, shape (channels, frames, f_pts)
        The spectrogram, in the precision of the channels.
    spectra : ndarray or None
        The transform, without rotation of its phases and in the order and with the scale of an FFT's
        bins; with windows per bin as it is. None if it is not kept.
    """

    plan: FramePlan
    x: AnyArray
    frames: Frames | BinFrames
    power: FloatArray
    spectra: ComplexArray | None

    @classmethod
    def of(cls, plan: FramePlan, x: AnyArray, frames: Frames | BinFrames, *, keep: bool) -> PowerPass:
        """Transform channels ``x``, shape (channels, n), and keep what `pull_back` needs if it is to be called."""
        if isinstance(frames, BinFrames):
            S = bin_forward(plan, x, frames).S
            return cls(plan, x, frames, S.real**2 + S.imag**2, S if keep else None)
        size = (x.shape[0], len(frames), plan.f_pts)
        power = plan.kernels.xp.empty(size, x.real.dtype)
        kept = plan.kernels.xp.empty(size, np.result_type(x.dtype, np.complex64)) if keep else None

        def work(part: slice, block: PlacedFrames, rows: WindowRows) -> None:
            for channel, signal in enumerate(x):
                spectra = windowed_spectra(plan, signal, block, rows, blocks)
                if kept is not None:
                    kept[channel, part] = spectra
                _square(plan, spectra, power[channel, part])

        blocks = FrameBlocks(plan, frames, x.real.dtype)
        blocks.run(work)
        return cls(plan, x, frames, power, kept)

    def pull_back(
        self, gradients: FloatArray, *, want_x: bool, parameters: bool, positions: bool, shape: bool
    ) -> Gradients:
        """Pull slopes in the power, of its shape, back to the parameters and the channels that are wanted."""
        plan, x, frames, kept = self.plan, self.x, self.frames, self.spectra
        assert kept is not None
        if isinstance(frames, BinFrames):
            wanted = {"want_x": want_x, "parameters": parameters, "positions": positions, "shape": shape}
            return analysis_vjp(plan, x, frames, 2 * gradients * kept, **wanted)

        def make(channel: int, part: slice, _: Callable[[], AnyArray]) -> tuple[AnyArray, Float64Array]:
            spectra = kept[channel, part]
            block = plan.kernels.asarray(gradients[channel, part], self.power.dtype)
            if plan.fft_mode == "centered":
                block = plan.kernels.fft.ifftshift(block, axes=-1)
            g = plan.kernels.xp.empty_like(spectra)
            plan.kernels.bin_cotangent(spectra, *plan.bin_layout(), block, g)
            return g, np.zeros(part.stop - part.start)

        return frame_vjp(plan, x, frames, make, want_x=want_x, parameters=parameters, shape=shape)


def _square(plan: FramePlan, spectra: ComplexArray, out: FloatArray) -> None:
    """Write ``|S|**2`` of the stored bins to `out`; makes `spectra` useless."""
    parts = spectra.view(out.dtype)  # contiguous, unlike the real and the imaginary parts
    np.multiply(parts, parts, out=parts)
    np.add(parts[:, 0::2], parts[:, 1::2], out=out)
    if plan.power_gain != 1:
        out[:, plan.interior] *= plan.power_gain
    if plan.fft_mode == "centered":
        out[:] = plan.kernels.fft.fftshift(out, axes=-1)
