"""Vector-Jacobian products of the transform: from a cotangent of S to gradients."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.engine.blocks import FrameBlocks
from adaptstft.engine.forward import windowed_spectra
from adaptstft.engine.frames import Frames, PlacedFrames
from adaptstft.engine.gradients import Gradients
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.window_samples import WindowRows


class Reducer:
    """Turns adjoint frames into derivatives: the sums of the module's docstring."""

    def __init__(self, plan: FramePlan, frames: PlacedFrames, rows: WindowRows) -> None:
        self.plan, self.frames, self.rows = plan, frames, rows
        self.sums = np.zeros((3, len(frames)))
        self.shape_sums = np.zeros((len(rows.dshape), len(frames)))

    def add(self, y: AnyArray, x: AnyArray) -> None:
        """Add the sums of adjoint frames `y` with the samples of one channel `x`."""
        f, r = self.frames, self.rows
        place = (f.start, f.count, f.offset)
        self.plan.kernels.reduce_frames(y, x, r.w, r.dw, f.win_length, f.lead, *place, self.sums)
        for j, row in enumerate(r.dshape):
            self.plan.kernels.reduce_rows(y, x, row, *place, self.shape_sums[j])

    def add_energy(self, x: AnyArray, spectra: AnyArray) -> None:
        """Add the sums of the adjoint frames of the energy of one channel: they take no inverse FFT."""
        plan, f, r = self.plan, self.frames, self.rows
        edges = plan.kernels.xp.zeros((2, len(f)))
        if plan.onesided:
            edges[0] = spectra[:, 0].real
            edges[1] = spectra[:, -1].real if plan.mfft % 2 == 0 else 0.0
        y = plan.kernels.xp.empty((len(f), plan.mfft), dtype=x.dtype)
        layout = (edges, plan.power_gain, plan.mfft, plan.onesided)
        plan.kernels.energy_cotangent(x, r.w, r.scale, f.start, f.count, f.offset, *layout, y)
        self.add(y, x)

    def derivatives(self) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Return the derivatives in lengths, centres and shape parameters."""
        a0, a1, a2 = self.sums
        c_over_theta = self.rows.scale / self.frames.win_length
        theta = self.rows.scale_gradient * a0 - c_over_theta * a1
        shape = self.rows.scale * self.shape_sums + self.rows.scale_shape_gradient * a0
        return theta, -c_over_theta * a2, shape


class FrameGradients:
    """Gradients with respect to the windows and the phases of all frames, which blocks of frames fill in."""

    def __init__(self, plan: FramePlan, n_frames: int, *, shape: bool) -> None:
        self.win_length, self.centre, self.phase = np.zeros((3, n_frames))
        self.shape = np.zeros((len(plan.window.shape) if shape else 0, n_frames))

    def fill(self, part: slice, reducer: Reducer) -> None:
        """Write the derivatives of a block of frames."""
        self.win_length[part], self.centre[part], self.shape[:, part] = reducer.derivatives()

    def total(self, data: AnyArray | None = None) -> Gradients:
        """Return the gradients: a position moves the centre of a window and the origin of its phase."""
        return Gradients(self.win_length, self.centre + self.phase, self.shape.sum(axis=1), data)


#: ``make(channel, part, spectra) -> (adjoint spectra ready for adjoint_fft, phase derivative)``, where ``spectra()``
#: takes the FFTs of the frames, which not all need
CotangentMaker = Callable[[int, slice, Callable[[], AnyArray]], tuple[AnyArray, Float64Array]]


def frame_vjp(
    plan: FramePlan, x: AnyArray, frames: Frames, make: CotangentMaker, *, want_x: bool, parameters: bool, shape: bool
) -> Gradients:
    """Run the cotangents that `make` gives for each block back through the transform.

    Derivatives that are not wanted, in the signal or in the parameters of the frames (and the
    window's shape), are left at None or zero.
    """
    gradients = FrameGradients(plan, len(frames), shape=shape)
    dx = plan.kernels.xp.zeros_like(x) if want_x else None

    def work(part: slice, block: PlacedFrames, rows: WindowRows, low: int = 0, stretch: AnyArray | None = None) -> None:
        reducer = Reducer(plan, block, rows)
        for channel, signal in enumerate(x):
            g, gradient = make(channel, part, partial(windowed_spectra, plan, signal, block, rows, blocks))
            gradients.phase[part] += gradient
            y = plan.adjoint_fft(g)
            if parameters:
                reducer.add(y, signal)
            if stretch is not None:
                y = y if np.iscomplexobj(x) else y.real
                place = (block.start, block.count, block.offset)
                plan.kernels.overlap_add(y, rows.w, rows.scale, *place, low, stretch[channel])
        gradients.fill(part, reducer)

    blocks = FrameBlocks(plan, frames, x.real.dtype, gradient=parameters, shape=shape)
    if dx is None:
        blocks.run(work)
    else:
        blocks.accumulate(work, dx, 0)
    return gradients.total(dx)


def stored_cotangent(plan: FramePlan, cotangent: AnyArray, frames: Frames, dtype: Any, phase: bool) -> CotangentMaker:
    """Cotangents of the stored transform, shape (channels, frames, f_pts); `phase` asks for the derivative in it."""

    def make(channel: int, part: slice, spectra: Callable[[], AnyArray]) -> tuple[AnyArray, Float64Array]:
        block = frames[part]
        g = plan.kernels.xp.array(cotangent[channel, part], dtype=dtype, order="C")
        if plan.fft_mode == "centered":
            g = plan.kernels.fft.ifftshift(g, axes=-1)
        if plan.power_gain != 1:
            g[:, plan.interior] *= plan.power_gain**0.5
        plan.kernels.rotate(g, block.delta, plan.mfft, plan.onesided, -1.0)
        gradient = np.zeros(len(block))
        if phase:
            plan.kernels.phase_gradient(g, spectra(), plan.mfft, plan.onesided, gradient)
        if plan.onesided:
            g[:, plan.interior] *= 0.5
        return g, gradient

    return make


def power_cotangent(plan: FramePlan, gradients: Float64Array) -> CotangentMaker:
    """Cotangents of a loss whose derivative in ``|S|**2`` is `gradients`, (channels, frames, f_pts)."""

    def make(channel: int, part: slice, spectra: Callable[[], AnyArray]) -> tuple[AnyArray, Float64Array]:
        block = plan.kernels.asarray(gradients[channel, part], dtype=float)
        if plan.fft_mode == "centered":
            block = plan.kernels.fft.ifftshift(block, axes=-1)
        own = spectra()
        g = plan.kernels.xp.empty_like(own)
        plan.kernels.bin_cotangent(own, *plan.bin_layout(), block, g)
        return g, np.zeros(len(block))

    return make
