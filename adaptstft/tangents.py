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

from adaptstft import inverse
from adaptstft._typing import AnyArray, ComplexArray, Float64Array
from adaptstft.analysis import Span, analyse, synthesise
from adaptstft.bin_inverse import FrameOperator, bin_synthesize, solve
from adaptstft.bins import BinFrames, BinSpectra, bin_adjoint, bin_forward, bin_numbers, bin_scales
from adaptstft.framing import Frames, PlacedFrames
from adaptstft.transform import FrameBlocks, Transform, WindowRows, windowed_spectra
from adaptstft.windows import resolve


@dataclass(frozen=True)
class Motion:
    """A direction in the parameters of frames.

    Attributes
    ----------
    theta : ndarray of float64, shape (frames,) or (frames, f_pts)
        Of the window lengths.
    times : ndarray of float64, shape (frames,)
        Of the frames' times.
    shape : ndarray of float64, shape (n_shape,)
        Of the shape parameters; empty if they rest.
    """

    theta: Float64Array
    times: Float64Array
    shape: Float64Array

    def __getitem__(self, part: slice) -> Motion:
        return replace(self, theta=self.theta[part], times=self.times[part])

    @property
    def turns(self) -> bool:
        """Whether frames move in time, and their phases with them."""
        return bool(np.any(self.times))


def analysis_jvp(
    tf: Transform, x: AnyArray, frames: Frames | BinFrames, dx: AnyArray | None, motion: Motion | None
) -> ComplexArray:
    """Differentiate `analysis.analyse` in the direction of `dx`, like ``x``, and `motion`; None is one at rest."""
    if motion is None:
        return analyse(tf, cast(AnyArray, dx), frames)
    if isinstance(frames, BinFrames):
        moved = _bin_motion(tf, _bin_derivatives(tf, x, frames, motion), motion)
        return moved if dx is None else moved + bin_forward(tf, dx, frames).S
    xp = tf.kernels.xp
    out: AnyArray = xp.empty((x.shape[0], len(frames), tf.f_pts), np.result_type(x.dtype, np.complex64))

    def work(part: slice, block: PlacedFrames, rows: WindowRows) -> None:
        moved = _moved_rows(tf, block, rows, motion[part])
        for channel, signal in enumerate(x):
            samples = _windowed(tf, signal, block, moved)
            if dx is not None:
                samples += _windowed(tf, dx[channel], block, rows)
            spectra = tf.fft(samples)
            if motion.turns:
                spectra += windowed_spectra(tf, signal, block, rows, blocks) * _turning(tf, motion[part].times)
            tf.kernels.rotate(spectra, block.delta, tf.mfft, tf.onesided, 1.0)
            out[channel, part] = tf.store(spectra)

    blocks = _blocks(tf, frames, x, motion)
    blocks.run(work)
    return out


def synthesis_jvp(
    tf: Transform,
    spectra: AnyArray,
    frames: Frames | BinFrames,
    span: Span,
    d_spectra: AnyArray | None,
    motion: Motion | None,
    tol: float,
) -> AnyArray:
    """Differentiate `analysis.synthesise` in the direction of `d_spectra` and `motion`; None is one at rest."""
    if motion is None:
        return synthesise(tf, cast(AnyArray, d_spectra), frames, span, tol, None)[0]
    if isinstance(frames, BinFrames):
        operator = FrameOperator(tf, frames, span.low, span.high, span.inside)
        moved = _bin_synthesis_jvp(operator, spectra, d_spectra, motion, tol)
        moved = moved.astype(spectra.real.dtype if tf.onesided else spectra.dtype)
    else:
        moved = _frame_synthesis_jvp(tf, spectra, frames, span, d_spectra, motion)
    return span.crop(moved, tf.kernels.xp)


def _frame_synthesis_jvp(
    tf: Transform, spectra: AnyArray, frames: Frames, span: Span, d_spectra: AnyArray | None, motion: Motion
) -> AnyArray:
    """Move ``x = N / D``, ``N = sum_p w_p y_p``, ``D = sum_p w_p**2``: ``D dx = sum dw_p (y_p - 2 w_p x) + w_p dy_p``.

    ``y_p`` is the inverse FFT of a frame.
    """
    overlap = inverse.window_overlap(tf, frames, span.low, span.high)
    inverse.check_covered(overlap, span.low)
    dtype = spectra.real.dtype if tf.onesided else spectra.dtype
    x, moved = tf.kernels.xp.zeros((2, spectra.shape[0], overlap.size), dtype)
    inverse.add_synthesis(tf, spectra, frames, x, span.low)
    inverse.normalize(x, overlap)

    def add(part: slice, block: PlacedFrames, rows: WindowRows, first: int, stretch: AnyArray) -> None:
        own = _moved_rows(tf, block, rows, motion[part])
        place = (block.start, block.count, block.offset)
        turning = tf.kernels.asarray(_stored_turning(tf, motion[part].times), spectra.dtype)
        for channel, stored in enumerate(spectra[:, part]):
            y = tf.inverse_fft(stored, block.delta) - 2 * _windowed(tf, x[channel], block, rows)
            tf.kernels.overlap_add(y, own.w, own.scale, *place, first, stretch[channel])
            d_stored = -turning * stored
            if d_spectra is not None:
                d_stored += d_spectra[channel, part]
            y = tf.inverse_fft(d_stored, block.delta)
            tf.kernels.overlap_add(y, rows.w, rows.scale, *place, first, stretch[channel])

    _blocks(tf, frames.moved(-span.low), spectra, motion).accumulate(add, moved, 0)
    inverse.normalize(moved, overlap)
    return cast(AnyArray, moved)


# ---------------------------------------------------------------------------------------
# One window for all bins of a frame


def _blocks(tf: Transform, frames: Frames, x: AnyArray, motion: Motion) -> FrameBlocks:
    return FrameBlocks(tf, frames, x.real.dtype, slope=True, shape=bool(motion.shape.size))


def _moved_rows(tf: Transform, frames: PlacedFrames, rows: WindowRows, motion: Motion) -> WindowRows:
    """Return rows of ``dw``, scaled."""
    xp, dtype = tf.kernels.xp, rows.w.dtype

    def column(values: Float64Array) -> AnyArray:
        return cast(AnyArray, tf.kernels.asarray(np.broadcast_to(values, (len(frames),))[:, None], dtype))

    c_over_theta = rows.scale / frames.theta
    u = (column(frames.lead) + xp.arange(rows.w.shape[1], dtype=dtype)) / column(frames.theta)
    with np.errstate(all="ignore"):  # there may be anything beyond the samples of a frame, where nothing is read
        moved = column(motion.theta * rows.scale_slope + motion.shape @ rows.scale_shape_slope) * rows.w
        moved -= (column(motion.theta * c_over_theta) * u + column(motion.times * c_over_theta)) * rows.dw
        for direction, row in zip(motion.shape, rows.dshape, strict=True):
            moved += column(direction * rows.scale) * row
    return replace(rows, w=moved, scale=np.ones(len(frames)))  # one for each row


def _windowed(tf: Transform, x: AnyArray, frames: PlacedFrames, rows: WindowRows) -> AnyArray:
    """Return the windowed samples of frames of one channel, in the columns of the FFT's input."""
    out = tf.kernels.xp.empty((len(frames), tf.mfft), x.dtype)
    tf.kernels.load_frames(x, rows.w, rows.scale, frames.start, frames.count, frames.offset, out)
    return cast(AnyArray, out)


def _stored_turning(tf: Transform, times: Float64Array) -> ComplexArray:
    """``2j pi f_q T dt_p`` for the stored bins, shape (frames, f_pts)."""
    return np.asarray(2j * np.pi / tf.mfft * np.outer(times, bin_numbers(tf)))


def _turning(tf: Transform, times: Float64Array) -> AnyArray:
    """Return the same in the order of an FFT's bins, on the device of the kernels."""
    turning = _stored_turning(tf, times)
    return cast(AnyArray, tf.kernels.asarray(np.fft.ifftshift(turning, 1) if tf.fft_mode == "centered" else turning))


# ---------------------------------------------------------------------------------------
# Windows that differ from bin to bin


def _bin_derivatives(tf: Transform, x: AnyArray, frames: BinFrames, motion: Motion) -> BinSpectra:
    return bin_forward(tf, x, frames, slope=True, centre=motion.turns, shape=bool(motion.shape.size))


def _bin_motion(tf: Transform, spectra: BinSpectra, motion: Motion) -> ComplexArray:
    """Chain the derivatives of a transform with the motion of what they are derivatives in."""
    asarray = tf.kernels.asarray
    assert spectra.theta is not None
    moved = spectra.theta * asarray(motion.theta)
    if motion.turns:
        moved += spectra.S * asarray(_stored_turning(tf, motion.times))
        moved += cast(ComplexArray, spectra.centre) * asarray(motion.times)[:, None]
    for direction, row in zip(motion.shape, spectra.shape if motion.shape.size else (), strict=True):  # type: ignore[arg-type]
        moved += direction * row
    return cast(ComplexArray, moved.astype(spectra.S.dtype))


def _bin_synthesis_jvp(
    operator: FrameOperator, spectra: ComplexArray, d_spectra: ComplexArray | None, motion: Motion, tol: float
) -> AnyArray:
    """Move the solution of ``A^H W A x = A^H W S``.

    ``A^H W A dx = A^H W (dS - dA x) + dA^H W (S - A x)``, where ``dA`` is the transform with moved windows.
    """
    tf, to_host = operator.tf, operator.tf.kernels.to_host
    x, _ = bin_synthesize(operator, spectra, tol, None)
    of_x = _bin_derivatives(tf, x, operator.moved, motion)
    right = operator.synthesise((0 if d_spectra is None else d_spectra) - _bin_motion(tf, of_x, motion))
    right = right + _moved_adjoint(operator, operator.weights * (spectra - of_x.S), motion)
    return cast(AnyArray, tf.kernels.asarray(solve(operator, to_host(right), tol, None)[0]))


def _moved_adjoint(operator: FrameOperator, g: ComplexArray, motion: Motion) -> AnyArray:
    """``dA^H g``: the adjoint with the windows, the derivatives in ``u`` and those in the shape parameters."""
    tf, frames = operator.tf, operator.frames
    asarray, window = tf.kernels.asarray, tf.window
    scales = bin_scales(tf, frames.lengths(tf), slope=True, shape=bool(motion.shape.size))
    theta, times = asarray(motion.theta), asarray(motion.times)[:, None]
    c_over_theta = scales.value / frames.lengths(tf)

    def along_u(u: Any) -> Any:
        return window.sample(u, slope=True, shape=False)[1]

    def along_shape(j: int) -> Callable[[Any], Any]:
        return lambda u: window.sample(u, slope=False, shape=True)[2][j]

    plain = theta * scales.slope - asarray(_stored_turning(tf, motion.times)) * scales.value
    for direction, slope in zip(motion.shape, scales.shape, strict=True):
        plain = plain + direction * slope
    terms: list[tuple[Any, AnyArray]] = [(window, plain)]
    terms += [(lambda u: along_u(u) * u, -theta * c_over_theta), (along_u, -times * c_over_theta)]
    terms += [(along_shape(j), direction * scales.value) for j, direction in enumerate(motion.shape)]
    one = replace(scales, value=tf.kernels.xp.ones(scales.value.shape))
    total = tf.kernels.xp.zeros((len(g), operator.size), float if tf.onesided else complex)
    for omega, weights in terms:
        if np.any(weights):
            moved, weighted = replace(tf, window=resolve(omega)), g * weights
            total += bin_adjoint(moved, weighted, frames, operator.low, operator.high, real=tf.onesided, scales=one)
    return cast(AnyArray, total)
