"""Analysis and synthesis for both kinds of frames: one window for all bins, or one for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from adaptstft.common.typing import AnyArray, ComplexArray
from adaptstft.engine import inverse
from adaptstft.engine.bin_inverse import (
    FrameOperator,
    InverseInfo,
    bin_synthesis_adjoint,
    bin_synthesis_vjp,
    bin_synthesize,
)
from adaptstft.engine.bins import BinFrames, BinSpectra, bin_adjoint, bin_forward, bin_gradients
from adaptstft.engine.forward import forward
from adaptstft.engine.frames import Frames
from adaptstft.engine.gradients import Gradients
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.vjp import frame_vjp, power_cotangent, stored_cotangent


def analyse(plan: FramePlan, x: AnyArray, frames: Frames | BinFrames) -> ComplexArray:
    """Transform channels ``x``, shape (channels, n), to shape (channels, frames, f_pts)."""
    if isinstance(frames, BinFrames):
        return bin_forward(plan, x, frames).S
    return forward(plan, x, frames)


def analysis_vjp(
    plan: FramePlan,
    x: AnyArray,
    frames: Frames | BinFrames,
    g: AnyArray,
    *,
    want_x: bool,
    parameters: bool,
    positions: bool,
    shape: bool,
) -> Gradients:
    """Pull a cotangent of `analyse` back to the parameters and the signal, as far as they are wanted.

    Without `positions`, which take time of their own, the derivative in them has no meaning.
    """
    if not isinstance(frames, BinFrames):
        make = stored_cotangent(plan, g, frames, np.result_type(x.dtype, np.complex64), phase=positions)
        return frame_vjp(plan, x, frames, make, want_x=want_x, parameters=parameters, shape=shape)
    spectra = bin_forward(plan, x, frames, gradient=True, centre=positions, shape=shape) if parameters else None
    return _bin_vjp(plan, x, frames, spectra, g, want_x=want_x, phase=positions)


def energies(S: ComplexArray) -> AnyArray:
    """Return ``|S|**2`` in double precision."""
    energy: AnyArray = S.real.astype(float) ** 2 + S.imag.astype(float) ** 2
    return energy


def energies_and_vjp(
    plan: FramePlan,
    x: AnyArray,
    frames: Frames | BinFrames,
    *,
    want_x: bool,
    parameters: bool,
    positions: bool,
    shape: bool,
) -> tuple[AnyArray, Callable[[AnyArray], Gradients]]:
    """Return the energies of all bins, shape (channels, frames, f_pts), and their VJP.

    The VJP takes the derivative of a loss with respect to the energies, on the host or the device. It computes the
    gradients that are requested, as `analysis_vjp` does.
    """
    if isinstance(frames, BinFrames):
        spectra = bin_forward(plan, x, frames, gradient=parameters, centre=positions, shape=shape)
        S, derivatives = spectra.S, spectra if parameters else None

        def vjp_of_bins(by_energy: AnyArray) -> Gradients:
            g = plan.kernels.asarray(2 * by_energy) * S
            return _bin_vjp(plan, x, frames, derivatives, g, want_x=want_x, phase=False)

        return energies(S), vjp_of_bins

    def vjp(by_energy: AnyArray) -> Gradients:
        make = power_cotangent(plan, by_energy)
        return frame_vjp(plan, x, frames, make, want_x=want_x, parameters=parameters, shape=shape)

    return energies(forward(plan, x, frames)), vjp


def _bin_vjp(
    plan: FramePlan,
    x: AnyArray,
    frames: BinFrames,
    spectra: BinSpectra | None,
    g: ComplexArray,
    *,
    want_x: bool,
    phase: bool,
) -> Gradients:
    """Return the gradients for a cotangent `g` of windows per bin; `spectra` are None if the parameters are constant.

    `phase` says whether the loss depends on the phase.
    """
    dx = None
    if want_x:
        dx = bin_adjoint(plan, g, frames, 0, x.shape[-1], real=not np.iscomplexobj(x)).astype(x.dtype)
    if spectra is None:
        return Gradients(np.zeros(0), np.zeros(0), np.zeros(0), dx)
    return replace(bin_gradients(plan, spectra, g, phase=phase), data=dx)


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
    plan: FramePlan, spectra: AnyArray, frames: Frames | BinFrames, span: Span, tol: float, maxiter: int | None
) -> tuple[AnyArray, InverseInfo]:
    """Least-squares signal of ``spectra``, shape (channels, frames, f_pts), in the range that is asked for."""
    if not isinstance(frames, BinFrames):
        x = inverse.synthesize(plan, spectra, frames, span.low, span.high)
        return span.crop(x, plan.kernels.xp), InverseInfo(0, 0.0, 0.0)
    operator = FrameOperator(plan, frames, span.low, span.high, span.inside)
    x, info = bin_synthesize(operator, spectra, tol, maxiter)
    real = spectra.real.dtype
    return span.crop(x.astype(real if plan.onesided else spectra.dtype)), info


def synthesis_vjp(
    plan: FramePlan,
    spectra: AnyArray,
    frames: Frames | BinFrames,
    span: Span,
    cotangent: AnyArray,
    tol: float,
    *,
    parameters: bool,
    shape: bool,
) -> Gradients:
    """Pull a cotangent of `synthesise` back to the transform and, if they are wanted, the parameters."""
    if not isinstance(frames, BinFrames):
        g = span.embed(cotangent, plan.kernels.xp)
        wanted = {"parameters": parameters, "shape": shape}
        return inverse.frame_synthesis_vjp(plan, spectra, frames, span.low, span.high, g, **wanted)
    operator = FrameOperator(plan, frames, span.low, span.high, span.inside)
    if not parameters:
        none = np.zeros(0)
        d_spectra = bin_synthesis_adjoint(operator, span.embed(cotangent), tol)
        return Gradients(none, none, none, d_spectra.astype(spectra.dtype))
    return bin_synthesis_vjp(operator, spectra, span.embed(cotangent), tol, shape=shape)


def frame_bounds(plan: FramePlan, frames: Frames | BinFrames, n: int) -> tuple[float, float]:
    """Frame bounds of the two-sided transform for signals of `n` samples."""
    if isinstance(frames, BinFrames):
        return FrameOperator(plan, frames, 0, n).bounds()
    overlap = plan.mfft * inverse.window_overlap(plan, frames, 0, n)
    return float(overlap.min()), float(overlap.max())
