"""Analysis, synthesis and their derivatives for both kinds of frames.

`Frames` have one window for each frame, `BinFrames` a window for each bin. Both have ``len``, slices, `moved`,
`covered`, `centre`, `per_bin`, `length_rows` and `phase_lag`, and no other file of the engine distinguishes them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

import numpy as np

from adaptstft.common.typing import AnyArray, ComplexArray, Float64Array, FloatArray
from adaptstft.engine import inverse
from adaptstft.engine.bin_inverse import (
    FrameOperator,
    InverseInfo,
    bin_synthesis,
    bin_synthesis_adjoint,
    bin_synthesis_vjp,
    is_solvable,
)
from adaptstft.engine.bins import BinFrames, bin_energy_vjp, bin_forward, bin_gradients, bin_signal_gradient
from adaptstft.engine.forward import forward
from adaptstft.engine.frames import Frames
from adaptstft.engine.gradients import Gradients
from adaptstft.engine.jvp import Direction, bin_jvp, bin_synthesis_jvp, frame_jvp, frame_synthesis_jvp
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.spectrogram import Spectrogram, frame_spectrogram, frame_spectrogram_vjp
from adaptstft.engine.statistics import Statistics, statistics
from adaptstft.engine.vjp import frame_vjp, power_cotangent, stored_cotangent

AnyFrames = Frames | BinFrames

# ---------------------------------------------------------------------------------------
# Analysis


def analyse(plan: FramePlan, x: AnyArray, frames: AnyFrames) -> ComplexArray:
    """Transform channels ``x``, shape (channels, n), to shape (channels, frames, f_pts)."""
    if isinstance(frames, BinFrames):
        return bin_forward(plan, x, frames).S
    return forward(plan, x, frames)


def analysis_vjp(
    plan: FramePlan,
    x: AnyArray,
    frames: AnyFrames,
    g: AnyArray,
    *,
    want_x: bool,
    parameters: bool,
    positions: bool,
    shape: bool,
) -> Gradients:
    """Gradients of a loss from its cotangent of `analyse`.

    With `parameters` they contain the gradients with respect to the windows, with `shape` also to the shape parameters,
    and with `want_x` that with respect to the signal. Without `positions`, which saves time, that with respect to
    the positions is undefined.
    """
    if isinstance(frames, Frames):
        make = stored_cotangent(plan, g, frames, np.result_type(x.dtype, np.complex64), phase=positions)
        return frame_vjp(plan, x, frames, make, want_x=want_x, parameters=parameters, shape=shape)
    dx = bin_signal_gradient(plan, x, frames, g) if want_x else None
    if not parameters:
        return Gradients(np.zeros(0), np.zeros(0), np.zeros(0), dx)
    spectra = bin_forward(plan, x, frames, gradient=True, centre=positions, shape=shape)
    return replace(bin_gradients(plan, spectra, g, phase=positions), data=dx)


def analysis_jvp(
    plan: FramePlan, x: AnyArray, frames: AnyFrames, dx: AnyArray | None, direction: Direction | None
) -> ComplexArray:
    """Differentiate `analyse` in the direction of `dx`, shaped like ``x``, and `direction`; None means zero."""
    if direction is None:
        return analyse(plan, cast(AnyArray, dx), frames)
    if isinstance(frames, BinFrames):
        return bin_jvp(plan, x, frames, dx, direction)
    return frame_jvp(plan, x, frames, dx, direction)


# ---------------------------------------------------------------------------------------
# Energies


def analyse_power(plan: FramePlan, x: AnyArray, frames: AnyFrames, *, keep: bool) -> Spectrogram:
    """Compute the spectrogram of channels ``x``, shape (channels, n); `keep` keeps the spectra for `power_vjp`."""
    if isinstance(frames, BinFrames):
        S = bin_forward(plan, x, frames).S
        return Spectrogram(plan, x, frames, S.real**2 + S.imag**2, S if keep else None)
    return frame_spectrogram(plan, x, frames, keep=keep)


def power_vjp(
    of: Spectrogram, cotangent: FloatArray, *, want_x: bool, parameters: bool, positions: bool, shape: bool
) -> Gradients:
    """Gradients of a loss from its cotangent of `analyse_power`; the arguments are those of `analysis_vjp`."""
    assert of.spectra is not None
    wanted = {"want_x": want_x, "parameters": parameters, "shape": shape}
    if isinstance(of.frames, BinFrames):
        g = 2 * cotangent * of.spectra
        return analysis_vjp(of.plan, of.x, of.frames, g, positions=positions, **wanted)
    return frame_spectrogram_vjp(of.plan, of.x, of.frames, of.spectra, cotangent, **wanted)


def energies(S: ComplexArray) -> AnyArray:
    """Return ``|S|**2`` in double precision."""
    energy: AnyArray = S.real.astype(float) ** 2 + S.imag.astype(float) ** 2
    return energy


def energies_and_vjp(
    plan: FramePlan,
    x: AnyArray,
    frames: AnyFrames,
    *,
    want_x: bool,
    parameters: bool,
    positions: bool,
    shape: bool,
) -> tuple[AnyArray, Callable[[AnyArray], Gradients]]:
    """Return the energies of all bins, shape (channels, frames, f_pts), and their VJP.

    The VJP takes the derivative of a loss with respect to the energies, on the host or the device, and returns the
    gradients that `analysis_vjp` would. With a window for each bin one pass computes the transform and its derivatives;
    otherwise nothing is kept, and the gradients take another FFT.
    """
    if isinstance(frames, BinFrames):
        spectra = bin_forward(plan, x, frames, gradient=parameters, centre=positions, shape=shape)
        return energies(spectra.S), partial(bin_energy_vjp, plan, x, frames, spectra, want_x=want_x)

    def vjp(by_energy: AnyArray) -> Gradients:
        make = power_cotangent(plan, by_energy)
        return frame_vjp(plan, x, frames, make, want_x=want_x, parameters=parameters, shape=shape)

    return energies(forward(plan, x, frames)), vjp


def sum_statistics(plan: FramePlan, x: AnyArray, frames: AnyFrames, stats: Statistics) -> Float64Array:
    """Statistics of each frame, summed over bins and channels: shape (len(stats), frames)."""
    if isinstance(frames, Frames):
        return statistics(plan, x, frames, stats)[0]
    energy = plan.kernels.to_host(energies(bin_forward(plan, x, frames).S))
    return np.array([values.sum(axis=(0, 2)) for values, _, _ in stats.of_energies(plan, frames.centre, energy)])


# ---------------------------------------------------------------------------------------
# Synthesis


@dataclass(frozen=True)
class Span:
    """Samples that a synthesis returns, and samples where the signal may be other than zero.

    Attributes
    ----------
    k0, k1 : int
        Range to return.
    low, high : int
        Range of the signal. Windows for each bin make one system of equations of it.
    """

    k0: int
    k1: int
    low: int
    high: int

    @property
    def inside(self) -> tuple[int, int]:
        """Part of the range to return where the signal may be other than zero."""
        return max(self.k0, self.low), max(min(self.k1, self.high), max(self.k0, self.low))

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
    plan: FramePlan, spectra: AnyArray, frames: AnyFrames, span: Span, tol: float, maxiter: int | None
) -> tuple[AnyArray, InverseInfo]:
    """Least-squares signal of ``spectra``, shape (channels, frames, f_pts), on the samples of `span`."""
    if isinstance(frames, Frames):
        x, error = inverse.frame_synthesis(plan, spectra, frames, span.low, span.high)
        return span.crop(x, plan.kernels.xp), InverseInfo(0, 0.0, error)
    operator = FrameOperator(plan, frames, span.low, span.high, span.inside)
    x, info = bin_synthesis(operator, spectra, tol, maxiter)
    real = spectra.real.dtype
    return span.crop(x.astype(real if plan.onesided else spectra.dtype)), info


def synthesis_vjp(
    plan: FramePlan,
    spectra: AnyArray,
    frames: AnyFrames,
    span: Span,
    cotangent: AnyArray,
    tol: float,
    *,
    parameters: bool,
    shape: bool,
) -> Gradients:
    """Gradients of a loss from its cotangent of `synthesise`, with `parameters` also with respect to the frames."""
    if isinstance(frames, Frames):
        g = span.embed(cotangent, plan.kernels.xp)
        wanted = {"parameters": parameters, "shape": shape}
        return inverse.frame_synthesis_vjp(plan, spectra, frames, span.low, span.high, g, **wanted)
    operator = FrameOperator(plan, frames, span.low, span.high, span.inside)
    if not parameters:
        none = np.zeros(0)
        d_spectra = bin_synthesis_adjoint(operator, span.embed(cotangent), tol)
        return Gradients(none, none, none, d_spectra.astype(spectra.dtype))
    return bin_synthesis_vjp(operator, spectra, span.embed(cotangent), tol, shape=shape)


def synthesis_jvp(
    plan: FramePlan,
    spectra: AnyArray,
    frames: AnyFrames,
    span: Span,
    d_spectra: AnyArray | None,
    direction: Direction | None,
    tol: float,
) -> AnyArray:
    """Differentiate `synthesise` in the direction of `d_spectra` and `direction`; None means zero."""
    if direction is None:
        return synthesise(plan, cast(AnyArray, d_spectra), frames, span, tol, None)[0]
    if isinstance(frames, BinFrames):
        operator = FrameOperator(plan, frames, span.low, span.high, span.inside)
        dx = bin_synthesis_jvp(operator, spectra, d_spectra, direction, tol)
    else:
        dx = frame_synthesis_jvp(plan, spectra, frames, span.low, span.high, d_spectra, direction)
    return span.crop(dx, plan.kernels.xp)


def frame_bounds(plan: FramePlan, frames: AnyFrames, n: int) -> tuple[float, float]:
    """Frame bounds of the two-sided transform for signals of `n` samples."""
    if isinstance(frames, BinFrames):
        return FrameOperator(plan, frames, 0, n).bounds()
    overlap = plan.mfft * inverse.window_overlap(plan, frames, 0, n)
    return float(overlap.min()), float(overlap.max())


def enclosing_bounds(plan: FramePlan, frames: BinFrames, n: int) -> tuple[float, float]:
    """Return a lower and an upper bound of both frame bounds with windows per bin, in a fraction of their time."""
    return FrameOperator(plan, frames, 0, n).enclosing_bounds()


def is_invertible(plan: FramePlan, frames: AnyFrames, low: int, high: int) -> bool:
    """Return True if every signal on samples ``low <= n < high`` is determined by its transform."""
    if isinstance(frames, BinFrames):
        return is_solvable(FrameOperator(plan, frames, low, high))
    return bool(np.all(inverse.is_covered(inverse.window_overlap(plan, frames, low, high))))
