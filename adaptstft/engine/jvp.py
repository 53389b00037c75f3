r"""Directional derivatives of analysis and synthesis: where the results move when parameters and data do.

The transform is linear in the signal and in the windows. In a direction in which lengths move by
``dtheta_p``, times by ``dt_p`` and shape parameters by ``ds_j``, the window of a frame moves by

.. math:: \dot w = \dot\theta\,(c'\,\omega(u) - (c/\theta)\,\omega'(u)\,u) - \dot t\,(c/\theta)\,\omega'(u)
          + \sum_j \dot s_j\,(c\,\partial\omega/\partial s_j + \omega(u)\,\partial c/\partial s_j)

and the transform by that of ``x`` with the windows ``dw``, plus that of ``dx``, plus
``2j pi f_q T dt_p S[q, p]``, as the phase counts from the frame's time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from adaptstft.common.typing import AnyArray, ComplexArray, Float64Array
from adaptstft.engine import inverse
from adaptstft.engine.bin_inverse import FrameOperator, bin_synthesize, solve
from adaptstft.engine.bins import BinFrames, BinSpectra, bin_adjoint, bin_forward, bin_numbers, bin_scales
from adaptstft.engine.blocks import FrameBlocks
from adaptstft.engine.forward import windowed_spectra
from adaptstft.engine.frames import Frames, PlacedFrames
from adaptstft.engine.operator import Span, analyse, synthesise
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.window_samples import WindowRows
from adaptstft.windows import resolve


@dataclass(frozen=True)
class Motion:
    """A direction in the parameters of frames.

    Attributes
    ----------
    win_length : ndarray of float64, shape (frames,) or (frames, f_pts)
        Of the window lengths.
    positions : ndarray of float64, shape (frames,)
        Of the frames' times.
    shape : ndarray of float64, shape (n_shape,)
        Of the shape parameters; empty if they rest.
    """

    win_length: Float64Array
    positions: Float64Array
    shape: Float64Array

    def __getitem__(self, part: slice) -> Motion:
        return replace(self, win_length=self.win_length[part], positions=self.positions[part])

    @property
    def turns(self) -> bool:
        """Whether frames move in time, and their phases with them."""
        return bool(np.any(self.positions))


def analysis_jvp(
    plan: FramePlan, x: AnyArray, frames: Frames | BinFrames, dx: AnyArray | None, motion: Motion | None
) -> ComplexArray:
    """Differentiate `analysis.analyse` in the direction of `dx`, like ``x``, and `motion`; None is one at rest."""
    if motion is None:
        return analyse(plan, cast(AnyArray, dx), frames)
    if isinstance(frames, BinFrames):
        moved = _bin_motion(plan, _bin_derivatives(plan, x, frames, motion), motion)
        return moved if dx is None else moved + bin_forward(plan, dx, frames).S
    xp = plan.kernels.xp
    out: AnyArray = xp.empty((x.shape[0], len(frames), plan.f_pts), np.result_type(x.dtype, np.complex64))

    def work(part: slice, block: PlacedFrames, rows: WindowRows) -> None:
        moved = _moved_rows(plan, block, rows, motion[part])
        for channel, signal in enumerate(x):
            samples = _windowed(plan, signal, block, moved)
            if dx is not None:
                samples += _windowed(plan, dx[channel], block, rows)
            spectra = plan.fft(samples)
            if motion.turns:
                spectra += windowed_spectra(plan, signal, block, rows, blocks) * _turning(plan, motion[part].positions)
            plan.kernels.rotate(spectra, block.delta, plan.mfft, plan.onesided, 1.0)
            out[channel, part] = plan.store(spectra)

    blocks = _blocks(plan, frames, x, motion)
    blocks.run(work)
    return out


def synthesis_jvp(
    plan: FramePlan,
    spectra: AnyArray,
    frames: Frames | BinFrames,
    span: Span,
    d_spectra: AnyArray | None,
    motion: Motion | None,
    tol: float,
) -> AnyArray:
    """Differentiate `analysis.synthesise` in the direction of `d_spectra` and `motion`; None is one at rest."""
    if motion is None:
        return synthesise(plan, cast(AnyArray, d_spectra), frames, span, tol, None)[0]
    if isinstance(frames, BinFrames):
        operator = FrameOperator(plan, frames, span.low, span.high, span.inside)
        moved = _bin_synthesis_jvp(operator, spectra, d_spectra, motion, tol)
        moved = moved.astype(spectra.real.dtype if plan.onesided else spectra.dtype)
    else:
        moved = _frame_synthesis_jvp(plan, spectra, frames, span, d_spectra, motion)
    return span.crop(moved, plan.kernels.xp)


def _frame_synthesis_jvp(
    plan: FramePlan, spectra: AnyArray, frames: Frames, span: Span, d_spectra: AnyArray | None, motion: Motion
) -> AnyArray:
    """Move ``x = N / D``, ``N = sum_p w_p y_p``, ``D = sum_p w_p**2``: ``D dx = sum dw_p (y_p - 2 w_p x) + w_p dy_p``.

    ``y_p`` is the inverse FFT of a frame.
    """
    overlap = inverse.window_overlap(plan, frames, span.low, span.high)
    inverse.check_covered(overlap, span.low)
    dtype = spectra.real.dtype if plan.onesided else spectra.dtype
    x, moved = plan.kernels.xp.zeros((2, spectra.shape[0], overlap.size), dtype)
    inverse.add_synthesis(plan, spectra, frames, x, span.low)
    inverse.normalize(x, overlap)

    def add(part: slice, block: PlacedFrames, rows: WindowRows, first: int, stretch: AnyArray) -> None:
        own = _moved_rows(plan, block, rows, motion[part])
        place = (block.start, block.count, block.offset)
        turning = plan.kernels.asarray(_stored_turning(plan, motion[part].positions), spectra.dtype)
        for channel, stored in enumerate(spectra[:, part]):
            y = plan.inverse_fft(stored, block.delta) - 2 * _windowed(plan, x[channel], block, rows)
            plan.kernels.overlap_add(y, own.w, own.scale, *place, first, stretch[channel])
            d_stored = -turning * stored
            if d_spectra is not None:
                d_stored += d_spectra[channel, part]
            y = plan.inverse_fft(d_stored, block.delta)
            plan.kernels.overlap_add(y, rows.w, rows.scale, *place, first, stretch[channel])

    _blocks(plan, frames.moved(-span.low), spectra, motion).accumulate(add, moved, 0)
    inverse.normalize(moved, overlap)
    return cast(AnyArray, moved)


# ---------------------------------------------------------------------------------------
# One window for all bins of a frame


def _blocks(plan: FramePlan, frames: Frames, x: AnyArray, motion: Motion) -> FrameBlocks:
    return FrameBlocks(plan, frames, x.real.dtype, gradient=True, shape=bool(motion.shape.size))


def _moved_rows(plan: FramePlan, frames: PlacedFrames, rows: WindowRows, motion: Motion) -> WindowRows:
    """Return rows of ``dw``, scaled."""
    xp, dtype = plan.kernels.xp, rows.w.dtype

    def column(values: Float64Array) -> AnyArray:
        return cast(AnyArray, plan.kernels.asarray(np.broadcast_to(values, (len(frames),))[:, None], dtype))

    c_over_theta = rows.scale / frames.win_length
    u = (column(frames.lead) + xp.arange(rows.w.shape[1], dtype=dtype)) / column(frames.win_length)
    with np.errstate(all="ignore"):  # there may be anything beyond the samples of a frame, where nothing is read
        moved = column(motion.win_length * rows.scale_gradient + motion.shape @ rows.scale_shape_gradient) * rows.w
        moved -= (column(motion.win_length * c_over_theta) * u + column(motion.positions * c_over_theta)) * rows.dw
        for direction, row in zip(motion.shape, rows.dshape, strict=True):
            moved += column(direction * rows.scale) * row
    return replace(rows, w=moved, scale=np.ones(len(frames)))  # one for each row


def _windowed(plan: FramePlan, x: AnyArray, frames: PlacedFrames, rows: WindowRows) -> AnyArray:
    """Return the windowed samples of frames of one channel, in the columns of the FFT's input."""
    out = plan.kernels.xp.empty((len(frames), plan.mfft), x.dtype)
    plan.kernels.load_frames(x, rows.w, rows.scale, frames.start, frames.count, frames.offset, out)
    return cast(AnyArray, out)


def _stored_turning(plan: FramePlan, positions: Float64Array) -> ComplexArray:
    """``2j pi f_q T dt_p`` for the stored bins, shape (frames, f_pts)."""
    return np.asarray(2j * np.pi / plan.mfft * np.outer(positions, bin_numbers(plan)))


def _turning(plan: FramePlan, positions: Float64Array) -> AnyArray:
    """Return the same in the order of an FFT's bins, on the device of the kernels."""
    turning = _stored_turning(plan, positions)
    return cast(
        AnyArray, plan.kernels.asarray(np.fft.ifftshift(turning, 1) if plan.fft_mode == "centered" else turning)
    )


# ---------------------------------------------------------------------------------------
# Windows that differ from bin to bin


def _bin_derivatives(plan: FramePlan, x: AnyArray, frames: BinFrames, motion: Motion) -> BinSpectra:
    return bin_forward(plan, x, frames, gradient=True, centre=motion.turns, shape=bool(motion.shape.size))


def _bin_motion(plan: FramePlan, spectra: BinSpectra, motion: Motion) -> ComplexArray:
    """Chain the derivatives of a transform with the motion of what they are derivatives in."""
    asarray = plan.kernels.asarray
    assert spectra.win_length is not None
    moved = spectra.win_length * asarray(motion.win_length)
    if motion.turns:
        moved += spectra.S * asarray(_stored_turning(plan, motion.positions))
        moved += cast(ComplexArray, spectra.centre) * asarray(motion.positions)[:, None]
    for direction, row in zip(motion.shape, spectra.shape if motion.shape.size else (), strict=True):  # type: ignore[arg-type]
        moved += direction * row
    return cast(ComplexArray, moved.astype(spectra.S.dtype))


def _bin_synthesis_jvp(
    operator: FrameOperator, spectra: ComplexArray, d_spectra: ComplexArray | None, motion: Motion, tol: float
) -> AnyArray:
    """Move the solution of ``A^H W A x = A^H W S``.

    ``A^H W A dx = A^H W (dS - dA x) + dA^H W (S - A x)``, where ``dA`` is the transform with moved windows.
    """
    plan, to_host = operator.plan, operator.plan.kernels.to_host
    x, _ = bin_synthesize(operator, spectra, tol, None)
    of_x = _bin_derivatives(plan, x, operator.moved, motion)
    right = operator.synthesise((0 if d_spectra is None else d_spectra) - _bin_motion(plan, of_x, motion))
    right = right + _moved_adjoint(operator, operator.weights * (spectra - of_x.S), motion)
    return cast(AnyArray, plan.kernels.asarray(solve(operator, to_host(right), tol, None)[0]))


def _moved_adjoint(operator: FrameOperator, g: ComplexArray, motion: Motion) -> AnyArray:
    """``dA^H g``: the adjoint with the windows, the derivatives in ``u`` and those in the shape parameters."""
    plan, frames = operator.plan, operator.frames
    asarray, window = plan.kernels.asarray, plan.window
    scales = bin_scales(plan, frames.lengths(plan), gradient=True, shape=bool(motion.shape.size))
    theta, positions = asarray(motion.win_length), asarray(motion.positions)[:, None]
    c_over_theta = scales.value / frames.lengths(plan)

    def along_u(u: Any) -> Any:
        return window.sample(u, slope=True, shape=False)[1]

    def along_shape(j: int) -> Callable[[Any], Any]:
        return lambda u: window.sample(u, slope=False, shape=True)[2][j]

    plain = theta * scales.gradient - asarray(_stored_turning(plan, motion.positions)) * scales.value
    for direction, gradient in zip(motion.shape, scales.shape, strict=True):
        plain = plain + direction * gradient
    terms: list[tuple[Any, AnyArray]] = [(window, plain)]
    terms += [(lambda u: along_u(u) * u, -theta * c_over_theta), (along_u, -positions * c_over_theta)]
    terms += [(along_shape(j), direction * scales.value) for j, direction in enumerate(motion.shape)]
    one = replace(scales, value=plan.kernels.xp.ones(scales.value.shape))
    total = plan.kernels.xp.zeros((len(g), operator.size), float if plan.onesided else complex)
    for omega, weights in terms:
        if np.any(weights):
            moved, weighted = replace(plan, window=resolve(omega)), g * weights
            total += bin_adjoint(moved, weighted, frames, operator.low, operator.high, real=plan.onesided, scales=one)
    return cast(AnyArray, total)
