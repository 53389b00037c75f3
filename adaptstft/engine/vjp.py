r"""Gradients of a loss of the transform with one window for each frame.

**Convention for complex cotangents**, the same in the whole package: for a real loss ``C(S)`` the cotangent is
``G = dC/dRe S + 1j dC/dIm S``, so that ``dC = Re sum conj(G) dS`` over the stored bins, each counted once.

The adjoint of a frame's transform is ``y_p[n] = sum_q G[q, p] exp(2j pi f_q (n - t_p) T)``, one inverse FFT. With
``v[n] = Re(conj(y_p[n]) x[n])`` and ``u = (n - t_p)/theta_p`` all derivatives are sums over a frame:

.. math::

    \partial C/\partial\theta_p &= c' \sum v\,\omega(u) - (c/\theta_p) \sum v\,\omega'(u)\,u \\
    \partial C/\partial t_p &= -(c/\theta_p) \sum v\,\omega'(u)
        + \mathrm{Re} \sum_q \overline{G[q,p]}\, 2 j \pi f_q T\, S[q,p] \\
    \partial C/\partial x[n] &= \sum_p c\,\omega(u)\, y_p[n]

The second term of the derivative with respect to ``t_p`` is that of the phase. It is zero for losses of ``|S|``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.engine.blocks import WindowedBlocks
from adaptstft.engine.forward import windowed_spectra
from adaptstft.engine.frames import Frames, PlacedFrames
from adaptstft.engine.gradients import Gradients
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.window_samples import WindowRows


class Reducer:
    """Sums over the frames of a block, and the derivatives with respect to its windows that follow from them."""

    def __init__(self, plan: FramePlan, frames: PlacedFrames, rows: WindowRows) -> None:
        self.plan, self.frames, self.rows = plan, frames, rows
        self.sums = np.zeros((3, len(frames)))
        self.shape_sums = np.zeros((len(rows.dshape), len(frames)))

    def add(self, y: AnyArray, x: AnyArray) -> None:
        """Add the sums of ``v omega``, ``v omega' u`` and ``v omega'`` for one channel `x` and adjoint frames `y`."""
        frames, rows, kernels = self.frames, self.rows, self.plan.kernels
        kernels.reduce_frames(y, x, rows.w, rows.dw, frames.win_length, frames.lead, *frames.place, self.sums)
        for row, sums in zip(rows.dshape, self.shape_sums, strict=True):
            kernels.reduce_rows(y, x, row, *frames.place, sums)

    def add_energy(self, x: AnyArray, spectra: AnyArray) -> None:
        """Add the sums for the energy of one channel, whose adjoint frames need no inverse FFT."""
        plan, frames, rows = self.plan, self.frames, self.rows
        edges = plan.kernels.xp.zeros((2, len(frames)))
        if plan.onesided:
            edges[0] = spectra[:, 0].real
            edges[1] = spectra[:, -1].real if plan.mfft % 2 == 0 else 0.0
        y = plan.kernels.xp.empty((len(frames), plan.mfft), dtype=x.dtype)
        layout = (edges, plan.power_gain, plan.mfft, plan.onesided)
        plan.kernels.energy_cotangent(x, rows.w, rows.scale, *frames.place, *layout, y)
        self.add(y, x)

    def derivatives(self) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Return the derivatives with respect to the lengths, the centres and the shape parameters of the windows."""
        a0, a1, a2 = self.sums
        c_over_theta = self.rows.scale / self.frames.win_length
        theta = self.rows.scale_gradient * a0 - c_over_theta * a1
        shape = self.rows.scale * self.shape_sums + self.rows.scale_shape_gradient * a0
        return theta, -c_over_theta * a2, shape


class FrameGradients:
    """Derivatives with respect to the windows and the phases of all frames, which blocks of frames fill in."""

    def __init__(self, plan: FramePlan, n_frames: int, *, shape: bool) -> None:
        self.win_length, self.centre, self.phase = np.zeros((3, n_frames))
        self.shape = np.zeros((len(plan.window.shape) if shape else 0, n_frames))

    def fill(self, part: slice, reducer: Reducer) -> None:
        """Write the derivatives of a block of frames."""
        self.win_length[part], self.centre[part], self.shape[:, part] = reducer.derivatives()

    def total(self, data: AnyArray | None = None) -> Gradients:
        """Return the gradients: a position moves the centre of a window and the origin of its phase."""
        return Gradients(self.win_length, self.centre + self.phase, self.shape.sum(axis=1), data)


#: ``make(channel, part, spectra)`` returns the cotangents of a block, ready for `FFTPlan.adjoint_fft`, and the
#: derivative with respect to the origins of the phases. ``spectra()`` computes the FFT of the frames, if it is needed.
CotangentMaker = Callable[[int, slice, Callable[[], AnyArray]], tuple[AnyArray, Float64Array]]


def frame_vjp(
    plan: FramePlan, x: AnyArray, frames: Frames, make: CotangentMaker, *, want_x: bool, parameters: bool, shape: bool
) -> Gradients:
    """Compute the gradients of a loss from the cotangents that `make` returns for each block.

    With `parameters` they contain the gradients with respect to the windows, with `shape` also those with respect to
    the shape parameters, and with `want_x` that with respect to the signal.
    """
    gradients = FrameGradients(plan, len(frames), shape=shape)
    dx = plan.kernels.xp.zeros_like(x) if want_x else None
    blocks = WindowedBlocks(plan, frames, x.real.dtype, gradient=parameters, shape=shape)

    def differentiate(part: slice, block: PlacedFrames, first: int = 0, stretch: AnyArray | None = None) -> None:
        rows = blocks.windows(block)
        reducer = Reducer(plan, block, rows)
        for channel, signal in enumerate(x):
            g, phase = make(channel, part, partial(windowed_spectra, plan, signal, block, rows, blocks))
            gradients.phase[part] += phase
            y = plan.adjoint_fft(g)
            if parameters:
                reducer.add(y, signal)
            if stretch is not None:
                y = y if np.iscomplexobj(x) else y.real
                plan.kernels.overlap_add(y, rows.w, rows.scale, *block.place, first, stretch[channel])
        gradients.fill(part, reducer)

    if dx is None:
        blocks.run(lambda i: differentiate(*blocks[i]))
    else:
        blocks.accumulate(differentiate, dx, 0)
    return gradients.total(dx)


def stored_cotangent(plan: FramePlan, cotangent: AnyArray, frames: Frames, dtype: Any, phase: bool) -> CotangentMaker:
    """Cotangents of the stored transform, shape (channels, frames, f_pts); `phase` includes its derivative."""

    def make(channel: int, part: slice, spectra: Callable[[], AnyArray]) -> tuple[AnyArray, Float64Array]:
        block = frames[part]
        g = plan.fft_order(plan.kernels.xp.array(cotangent[channel, part], dtype=dtype, order="C"))
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
    """Cotangents of a loss whose gradient with respect to ``|S|**2`` is `gradients`, (channels, frames, f_pts)."""

    def make(channel: int, part: slice, spectra: Callable[[], AnyArray]) -> tuple[AnyArray, Float64Array]:
        return bin_cotangent(plan, spectra(), plan.kernels.asarray(gradients[channel, part], dtype=float))

    return make


def bin_cotangent(plan: FramePlan, spectra: AnyArray, gradients: AnyArray) -> tuple[AnyArray, Float64Array]:
    """Cotangents of one block with respect to `spectra` from the gradient with respect to ``|S|**2``; no phase."""
    g = plan.kernels.xp.empty_like(spectra)
    plan.kernels.bin_cotangent(spectra, *plan.bin_layout(), plan.fft_order(gradients), g)
    return g, np.zeros(len(spectra))
