"""The spectrogram ``|S|**2``, and its gradients from the spectra of the forward pass.

A loss of ``|S|**2`` does not depend on the phase, so nothing is rotated, and the cotangent of ``S`` is ``2 S`` times
the derivative with respect to ``|S|**2``: one FFT for each frame forward, one inverse FFT backward.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from adaptstft.common.typing import AnyArray, ComplexArray, Float64Array, FloatArray
from adaptstft.engine.bins import BinFrames
from adaptstft.engine.blocks import WindowedBlocks
from adaptstft.engine.forward import windowed_spectra
from adaptstft.engine.frames import Frames
from adaptstft.engine.gradients import Gradients
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.vjp import bin_cotangent, frame_vjp


@dataclass(frozen=True)
class Spectrogram:
    """``|S|**2`` of channels, and the spectra that its gradients need.

    Attributes
    ----------
    plan, x, frames
        The transform, the channels and the frames.
    power : ndarray, shape (channels, frames, f_pts)
        The spectrogram, in the precision of the channels.
    spectra : ndarray or None
        With one window for each frame the FFT of the frames, without rotation of the phase, scale and order of the
        stored bins; with a window for each bin the transform. None if it was not kept.
    """

    plan: FramePlan
    x: AnyArray
    frames: Frames | BinFrames
    power: FloatArray
    spectra: ComplexArray | None


def frame_spectrogram(plan: FramePlan, x: AnyArray, frames: Frames, *, keep: bool) -> Spectrogram:
    """Spectrogram of channels ``x``, shape (channels, n); `keep` keeps the spectra for the gradients."""
    size = (x.shape[0], len(frames), plan.f_pts)
    power = plan.kernels.xp.empty(size, x.real.dtype)
    kept = plan.kernels.xp.empty(size, np.result_type(x.dtype, np.complex64)) if keep else None
    blocks = WindowedBlocks(plan, frames, x.real.dtype)

    def work(i: int) -> None:
        part, block = blocks[i]
        rows = blocks.windows(block)
        for channel, signal in enumerate(x):
            spectra = windowed_spectra(plan, signal, block, rows, blocks)
            if kept is not None:
                kept[channel, part] = spectra
            _square(plan, spectra, power[channel, part])

    blocks.run(work)
    return Spectrogram(plan, x, frames, power, kept)


def _square(plan: FramePlan, spectra: ComplexArray, out: FloatArray) -> None:
    """Write ``|S|**2`` of the stored bins to `out`; overwrites `spectra`."""
    parts = spectra.view(out.dtype)  # contiguous, unlike spectra.real and spectra.imag
    np.multiply(parts, parts, out=parts)
    np.add(parts[:, 0::2], parts[:, 1::2], out=out)
    if plan.power_gain != 1:
        out[:, plan.interior] *= plan.power_gain
    if plan.fft_mode == "centered":
        out[:] = plan.stored_order(out)


def frame_spectrogram_vjp(
    plan: FramePlan,
    x: AnyArray,
    frames: Frames,
    spectra: ComplexArray,
    cotangent: FloatArray,
    *,
    want_x: bool,
    parameters: bool,
    shape: bool,
) -> Gradients:
    """Gradients from a cotangent of `frame_spectrogram`, shape (channels, frames, f_pts), and the spectra it kept."""

    def make(channel: int, part: slice, _: Callable[[], AnyArray]) -> tuple[AnyArray, Float64Array]:
        return bin_cotangent(plan, spectra[channel, part], plan.kernels.asarray(cotangent[channel, part], x.real.dtype))

    return frame_vjp(plan, x, frames, make, want_x=want_x, parameters=parameters, shape=shape)
