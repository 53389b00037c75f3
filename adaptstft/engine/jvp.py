r"""Derivatives of analysis and synthesis in a direction of their parameters and data.

The transform is linear in the signal and in the windows. In a direction with ``dtheta_p`` for the lengths, ``dt_p``
for the positions and ``ds_j`` for the shape parameters, the derivative of the window of a frame is

.. math:: \dot w = \dot\theta\,(c'\,\omega(u) - (c/\theta)\,\omega'(u)\,u) - \dot t\,(c/\theta)\,\omega'(u)
          + \sum_j \dot s_j\,(c\,\partial\omega/\partial s_j + \omega(u)\,\partial c/\partial s_j)

and that of the transform is the transform of ``x`` with the windows ``dw``, plus the transform of ``dx``, plus
``2j pi f_q T dt_p S[q, p]``, since the phase counts from the position of the frame.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from adaptstft.common.typing import AnyArray, ComplexArray, Float64Array
from adaptstft.engine import inverse
from adaptstft.engine.bin_inverse import FrameOperator, bin_synthesis, solve
from adaptstft.engine.bins import BinFrames, BinSpectra, bin_adjoint, bin_forward, bin_numbers, bin_scales
from adaptstft.engine.blocks import WindowedBlocks
from adaptstft.engine.forward import windowed_frames, windowed_spectra
from adaptstft.engine.frames import Frames, PlacedFrames
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.window_samples import WindowRows
from adaptstft.windows import resolve


@dataclass(frozen=True)
class Direction:
    """A direction of the parameters of frames.

    Attributes
    ----------
    win_length : ndarray of float64, shape (frames,) or (frames, f_pts)
        Change of the window lengths.
    positions : ndarray of float64, shape (frames,)
        Change of the positions.
    shape : ndarray of float64, shape (n_shape,)
        Change of the shape parameters; empty if they do not change.
    """

    win_length: Float64Array
    positions: Float64Array
    shape: Float64Array

    def __getitem__(self, part: slice) -> Direction:
        return replace(self, win_length=self.win_length[part], positions=self.positions[part])

    @property
    def moves(self) -> bool:
        """True if positions change, and with them the phases."""
        return bool(np.any(self.positions))


# ---------------------------------------------------------------------------------------
# One window for each frame


def frame_jvp(plan: FramePlan, x: AnyArray, frames: Frames, dx: AnyArray | None, direction: Direction) -> ComplexArray:
    """Differentiate `forward` in the direction of `dx`, shaped like ``x`` or None for zero, and `direction`."""
    size = (x.shape[0], len(frames), plan.f_pts)
    out: AnyArray = plan.kernels.xp.empty(size, np.result_type(x.dtype, np.complex64))
    blocks = _windowed_blocks(plan, frames, x, direction)

    def work(i: int) -> None:
        part, block = blocks[i]
        rows = blocks.windows(block)
        d_rows = _window_derivatives(plan, block, rows, direction[part])
        for channel, signal in enumerate(x):
            samples = windowed_frames(plan, signal, block, d_rows)
            if dx is not None:
                samples += windowed_frames(plan, dx[channel], block, rows)
            spectra = plan.fft(samples)
            if direction.moves:
                rotation = plan.fft_order(plan.kernels.asarray(_rotation(plan, direction[part].positions)))
                spectra += windowed_spectra(plan, signal, block, rows, blocks) * rotation
            plan.kernels.rotate(spectra, block.delta, plan.mfft, plan.onesided, 1.0)
            out[channel, part] = plan.store(spectra)

    blocks.run(work)
    return out


def frame_synthesis_jvp(
    plan: FramePlan,
    spectra: AnyArray,
    frames: Frames,
    low: int,
    high: int,
    d_spectra: AnyArray | None,
    direction: Direction,
) -> AnyArray:
    """Differentiate `inverse.frame_synthesis` in the direction of `d_spectra`, None for zero, and `direction`.

    With ``x = N / D``, ``N = sum_p w_p y_p`` and ``D = sum_p w_p**2``, where ``y_p`` is the inverse FFT of a frame,
    ``D dx = sum_p dw_p (y_p - 2 w_p x) + w_p dy_p``.
    """
    overlap = inverse.window_overlap(plan, frames, low, high)
    inverse.check_covered(overlap, low, dtype=spectra.dtype)
    dtype = spectra.real.dtype if plan.onesided else spectra.dtype
    x, out = plan.kernels.xp.zeros((2, spectra.shape[0], overlap.size), dtype)
    inverse.add_synthesis(plan, spectra, frames, x, low)
    inverse.normalize(x, overlap)
    blocks = _windowed_blocks(plan, frames.moved(-low), spectra, direction)

    def add(part: slice, block: PlacedFrames, first: int, stretch: AnyArray) -> None:
        rows = blocks.windows(block)
        d_rows = _window_derivatives(plan, block, rows, direction[part])
        rotation = plan.kernels.asarray(_rotation(plan, direction[part].positions), spectra.dtype)
        for channel, stored in enumerate(spectra[:, part]):
            y = plan.inverse_fft(stored, block.delta) - 2 * windowed_frames(plan, x[channel], block, rows)
            plan.kernels.overlap_add(y, d_rows.w, d_rows.scale, *block.place, first, stretch[channel])
            d_stored = -rotation * stored
            if d_spectra is not None:
                d_stored += d_spectra[channel, part]
            dy = plan.inverse_fft(d_stored, block.delta)
            plan.kernels.overlap_add(dy, rows.w, rows.scale, *block.place, first, stretch[channel])

    blocks.accumulate(add, out, 0)
    inverse.normalize(out, overlap)
    return cast(AnyArray, out)


def _windowed_blocks(plan: FramePlan, frames: Frames, x: AnyArray, direction: Direction) -> WindowedBlocks:
    return WindowedBlocks(plan, frames, x.real.dtype, gradient=True, shape=bool(direction.shape.size))


def _window_derivatives(plan: FramePlan, frames: PlacedFrames, rows: WindowRows, direction: Direction) -> WindowRows:
    """Return rows of ``dw`` with the scale one."""
    xp, dtype = plan.kernels.xp, rows.w.dtype

    def column(values: Float64Array) -> AnyArray:
        return cast(AnyArray, plan.kernels.asarray(np.broadcast_to(values, (len(frames),))[:, None], dtype))

    c_over_theta = rows.scale / frames.win_length
    d_scale = direction.win_length * rows.scale_gradient + direction.shape @ rows.scale_shape_gradient
    u = (column(frames.lead) + xp.arange(rows.w.shape[1], dtype=dtype)) / column(frames.win_length)
    with np.errstate(all="ignore"):  # entries beyond the samples of a frame are undefined, and no kernel reads them
        dw = column(d_scale) * rows.w
        dw -= (column(direction.win_length * c_over_theta) * u + column(direction.positions * c_over_theta)) * rows.dw
        for change, row in zip(direction.shape, rows.dshape, strict=True):
            dw += column(change * rows.scale) * row
    return replace(rows, w=dw, scale=np.ones(len(frames)))  # one for each row


def _rotation(plan: FramePlan, d_positions: Float64Array) -> ComplexArray:
    """``2j pi f_q T dt_p`` for the stored bins, shape (frames, f_pts)."""
    return np.asarray(2j * np.pi / plan.mfft * np.outer(d_positions, bin_numbers(plan)))


# ---------------------------------------------------------------------------------------
# A window for each bin


def bin_jvp(plan: FramePlan, x: AnyArray, frames: BinFrames, dx: AnyArray | None, direction: Direction) -> ComplexArray:
    """Differentiate `bin_forward` in the direction of `dx`, shaped like ``x`` or None for zero, and `direction`."""
    dS = _spectra_derivative(plan, _forward_with_derivatives(plan, x, frames, direction), direction)
    return dS if dx is None else dS + bin_forward(plan, dx, frames).S


def bin_synthesis_jvp(
    operator: FrameOperator, spectra: ComplexArray, d_spectra: ComplexArray | None, direction: Direction, tol: float
) -> AnyArray:
    """Differentiate `bin_synthesis`, the solution of ``A^H W A x = A^H W S``.

    ``A^H W A dx = A^H W (dS - dA x) + dA^H W (S - A x)``, where ``dA`` is the transform with the windows ``dw``.
    """
    plan, to_host = operator.plan, operator.plan.kernels.to_host
    x, _ = bin_synthesis(operator, spectra, tol, None)
    of_x = _forward_with_derivatives(plan, x, operator.moved, direction)
    right = operator.synthesise((0 if d_spectra is None else d_spectra) - _spectra_derivative(plan, of_x, direction))
    right = right + _adjoint_derivative(operator, operator.weights * (spectra - of_x.S), direction)
    dx = plan.kernels.asarray(solve(operator, to_host(right), tol, None)[0])
    return cast(AnyArray, dx.astype(spectra.real.dtype if plan.onesided else spectra.dtype))


def _forward_with_derivatives(plan: FramePlan, x: AnyArray, frames: BinFrames, direction: Direction) -> BinSpectra:
    return bin_forward(plan, x, frames, gradient=True, centre=direction.moves, shape=bool(direction.shape.size))


def _spectra_derivative(plan: FramePlan, spectra: BinSpectra, direction: Direction) -> ComplexArray:
    """``dA x``: the derivatives of the transform times the direction."""
    asarray = plan.kernels.asarray
    assert spectra.win_length is not None
    dS = spectra.win_length * asarray(direction.win_length)
    if direction.moves:
        dS += spectra.S * asarray(_rotation(plan, direction.positions))
        dS += cast(ComplexArray, spectra.centre) * asarray(direction.positions)[:, None]
    if direction.shape.size:
        for change, row in zip(direction.shape, cast(ComplexArray, spectra.shape), strict=True):
            dS += change * row
    return cast(ComplexArray, dS.astype(spectra.S.dtype))


def _adjoint_derivative(operator: FrameOperator, g: ComplexArray, direction: Direction) -> AnyArray:
    """``dA^H g``: adjoint transforms with the windows and with their derivatives in ``u`` and the shape parameters."""
    plan, frames = operator.plan, operator.frames
    asarray, window = plan.kernels.asarray, plan.window
    scales = bin_scales(plan, frames.lengths(plan), gradient=True, shape=bool(direction.shape.size))
    d_theta, d_positions = asarray(direction.win_length), asarray(direction.positions)[:, None]
    c_over_theta = scales.value / frames.lengths(plan)

    def in_u(u: Any) -> Any:
        return window.sample(u, slope=True, shape=False)[1]

    def in_shape(j: int) -> Callable[[Any], Any]:
        return lambda u: window.sample(u, slope=False, shape=True)[2][j]

    of_window = d_theta * scales.gradient - asarray(_rotation(plan, direction.positions)) * scales.value
    for change, gradient in zip(direction.shape, scales.shape, strict=True):
        of_window = of_window + change * gradient
    terms: list[tuple[Any, AnyArray]] = [(window, of_window)]
    terms += [(lambda u: in_u(u) * u, -d_theta * c_over_theta), (in_u, -d_positions * c_over_theta)]
    terms += [(in_shape(j), change * scales.value) for j, change in enumerate(direction.shape)]
    ones = replace(scales, value=plan.kernels.xp.ones(scales.value.shape))
    total = plan.kernels.xp.zeros((len(g), operator.size), float if plan.onesided else complex)
    for omega, weights in terms:
        if np.any(weights):
            plan_of_term = replace(plan, window=resolve(omega))
            low, high, real = operator.low, operator.high, plan.onesided
            total += bin_adjoint(plan_of_term, g * weights, frames, low, high, real=real, scales=ones)
    return cast(AnyArray, total)
