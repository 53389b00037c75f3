"""Analysis and synthesis for both kinds of frames: one window for all bins, or one for each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from adaptstft import inverse, transform
from adaptstft._typing import AnyArray, ComplexArray, Float64Array
from adaptstft.bin_inverse import (
    FrameOperator,
    InverseInfo,
    bin_synthesis_adjoint,
    bin_synthesis_vjp,
    bin_synthesize,
)
from adaptstft.bins import BinFrames, bin_adjoint, bin_forward, bin_slopes
from adaptstft.framing import Frames
from adaptstft.transform import Transform


@dataclass(frozen=True)
class Slopes:
    """Derivatives of a real loss.

    Attributes
    ----------
    theta : ndarray, shape (frames,) or (frames, f_pts)
        In the window lengths.
    positions : ndarray, shape (frames,)
        In the times of the frames.
    shape : ndarray, shape (n_shape,)
        In the shape parameters.
    data : ndarray or None
        In the channels, of the signal for an analysis, of the transform for a synthesis.
    """

    theta: Float64Array
    positions: Float64Array
    shape: Float64Array
    data: AnyArray | None


def analyse(tf: Transform, x: AnyArray, frames: Frames | BinFrames) -> ComplexArray:
    """Transform channels ``x``, shape (channels, n), to shape (channels, frames, f_pts)."""
    if isinstance(frames, BinFrames):
        return bin_forward(tf, x, frames).S
    return transform.forward(tf, x, frames)


def analysis_vjp(
    tf: Transform,
    x: AnyArray,
    frames: Frames | BinFrames,
    g: AnyArray,
    *,
    want_x: bool,
    parameters: bool,
    positions: bool,
    shape: bool,
) -> Slopes:
    """Pull a cotangent of `analyse` back to the parameters and the signal, as far as they are wanted.

    Without `positions`, which take time of their own, the derivative in them has no meaning.
    """
    if not isinstance(frames, BinFrames):
        make = transform.stored_cotangent(tf, g, frames, np.result_type(x.dtype, np.complex64), phase=positions)
        back = transform.pullback(tf, x, frames, make, want_x=want_x, parameters=parameters, shape=shape)
        d = back.frames
        return Slopes(d.theta, d.centre + back.phase, d.shape.sum(axis=1), back.x)
    dx = None
    if want_x:
        dx = bin_adjoint(tf, g, frames, 0, x.shape[-1], real=not np.iscomplexobj(x)).astype(x.dtype)
    if not parameters:
        return Slopes(np.zeros(0), np.zeros(0), np.zeros(0), dx)
    spectra = bin_forward(tf, x, frames, slope=True, centre=positions, shape=shape)
    found = bin_slopes(tf, spectra, g, phase=positions)
    return Slopes(found.theta, found.positions, found.shape, dx)


@dataclass(frozen=True)
class Span:
    """Which samples a synthesis returns, and on which the signal may be other than zero.

    Attributes
    ----------
    k0, k1 : int
        Range to return.
    low, high : int
        Range of the signal, of which windows per bin make one system of equations.
    """

    @property
    def inside(self) -> tuple[int, int]:
        """Part of the range to return where the signal may be other than zero."""
        return max(self.k0, self.low), max(min(self.k1, self.high), max(self.k0, self.low))

    k0: int
    k1: int
    low: int
    high: int

    def crop(self, x: AnyArray, xp: Any = np) -> AnyArray:
        """Return samples ``k0 <= n < k1`` of a signal on ``low <= n < high``, zero outside."""
        if (self.k0, self.k1) == (self.low, self.high):
            return x
        out: AnyArray = xp.zeros((*x.shape[:-1], self.k1 - self.k0), x.dtype)
        first, last = self.inside
        if first < last:
            out[..., first - self.k0 : last - self.k0] = x[..., first - self.low : last - self.low]
        return out

    def embed(self, x: AnyArray, xp: Any = np) -> AnyArray:
        """Adjoint of `crop`."""
        return Span(self.low, self.high, self.k0, self.k1).crop(x, xp)


def synthesise(
    tf: Transform, spectra: AnyArray, frames: Frames | BinFrames, span: Span, tol: float, maxiter: int | None
) -> tuple[AnyArray, InverseInfo]:
    """Least-squares signal of ``spectra``, shape (channels, frames, f_pts), in the range that is asked for."""
    if not isinstance(frames, BinFrames):
        x = inverse.synthesize(tf, spectra, frames, span.low, span.high)
        return span.crop(x, tf.kernels.xp), InverseInfo(0, 0.0, 0.0)
    operator = FrameOperator(tf, frames, span.low, span.high, span.inside)
    x, info = bin_synthesize(operator, spectra, tol, maxiter)
    real = spectra.real.dtype
    return span.crop(x.astype(real if tf.onesided else spectra.dtype)), info


def synthesis_vjp(
    tf: Transform,
    spectra: AnyArray,
    frames: Frames | BinFrames,
    span: Span,
    cotangent: AnyArray,
    tol: float,
    *,
    parameters: bool,
    shape: bool,
) -> Slopes:
    """Pull a cotangent of `synthesise` back to the transform and, if they are wanted, the parameters."""
    if not isinstance(frames, BinFrames):
        g = span.embed(cotangent, tf.kernels.xp)
        wanted = {"parameters": parameters, "shape": shape}
        back = inverse.synthesis_pullback(tf, spectra, frames, span.low, span.high, g, **wanted)
        d = back.frames
        return Slopes(d.theta, d.centre + back.phase, d.shape.sum(axis=1), back.spectra)
    operator = FrameOperator(tf, frames, span.low, span.high, span.inside)
    if not parameters:
        none = np.zeros(0)
        d_spectra = bin_synthesis_adjoint(operator, span.embed(cotangent), tol)
        return Slopes(none, none, none, d_spectra.astype(spectra.dtype))
    found, d_spectra = bin_synthesis_vjp(operator, spectra, span.embed(cotangent), tol, shape=shape)
    return Slopes(found.theta, found.positions, found.shape, d_spectra.astype(spectra.dtype))


def frame_bounds(tf: Transform, frames: Frames | BinFrames, n: int) -> tuple[float, float]:
    """Frame bounds of the two-sided transform for signals of `n` samples."""
    if isinstance(frames, BinFrames):
        return FrameOperator(tf, frames, 0, n).bounds()
    overlap = tf.mfft * inverse.window_overlap(tf, frames, 0, n)
    return float(overlap.min()), float(overlap.max())
