r"""Transforms with a window, its derivative and their products with time; instantaneous frequencies from them.

With ``u = (n - t_p)/theta_p``, the unscaled window ``omega`` and the same origin of the phase for all,

.. math:: V = S[\omega], \quad D = S[\omega'], \quad U = S[u\,\omega], \quad E = S[u\,\omega'], \quad
          Q = S[u^2 \omega] .

Let the signal be ``x' = i (b + c s) x`` in a frame, ``s`` seconds from its centre: a tone for ``c = 0``, otherwise a
linear chirp. The sums of ``(x e^{-2 i pi f s} omega)'`` and of ``(s x e^{-2 i pi f s} omega)'`` over a frame are zero
if the window is zero at its ends. With ``tau = theta T`` this gives two linear equations for ``b`` and ``c`` [1]_,

.. math::

    D &= i (2\pi f - b)\tau\, V - i c \tau^2\, U \\
    V + E &= i (2\pi f - b)\tau\, U - i c \tau^2\, Q .

The first equation with ``c = 0`` is the usual estimate of the instantaneous frequency [2]_.

References
----------
.. [1] S. Meignen, D.-H. Pham, M. A. Colominas, "On the use of short-time Fourier transform and synchrosqueezing-based
   demodulation for the retrieval of the modes of multicomponent signals", Signal Processing 178, 2021.
.. [2] F. Auger, P. Flandrin, "Improving the readability of time-frequency and time-scale representations by the
   reassignment method", IEEE Trans. Signal Process. 43(5), 1995.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from adaptstft.common.typing import AnyArray, BoolArray, ComplexArray, Float64Array
from adaptstft.engine.bins import BinFrames, bin_forward
from adaptstft.engine.blocks import WindowedBlocks
from adaptstft.engine.forward import windowed_spectra
from adaptstft.engine.frames import Frames, PlacedFrames
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.window_samples import WindowRows
from adaptstft.tracking.framed_signal import FramedSignal

#: Magnitudes below this fraction of the largest one are rounding errors.
_NEGLIGIBLE = 1e-12
#: Relative determinant of the two equations below which only the first one is used. For a tone the determinant is the
#: variance of the window in ``u``: 1/36 for the Gaussian that ends at 3 sigma.
_SINGULAR = 1e-4


@dataclass(frozen=True)
class Moments:
    """The transforms of the module's docstring, each of shape (channels, frames, f_pts); None if not computed."""

    V: ComplexArray
    D: ComplexArray
    U: ComplexArray | None = None
    E: ComplexArray | None = None
    Q: ComplexArray | None = None


def compute_moments(framed: FramedSignal, *, time: bool, second: bool) -> Moments:
    """Compute ``V`` and ``D``; with `time` also ``U``; with `second` all five transforms."""
    frames, x = framed.layout.frames, framed.layout.channels
    if isinstance(frames, BinFrames):
        return _bin_moments(framed.plan, x, frames, time=time, second=second)
    return _frame_moments(framed.plan, x, frames, 5 if second else 3 if time else 2)


def _frame_moments(plan: FramePlan, x: AnyArray, frames: Frames, count: int) -> Moments:
    """Compute the first `count` transforms with one window per frame."""
    out = np.empty((count, x.shape[0], len(frames), plan.f_pts), complex)
    blocks = WindowedBlocks(plan, frames, np.float64, gradient=True)

    def work(i: int) -> None:
        part, block = blocks[i]
        rows = blocks.windows(block)
        for j, weighted in enumerate(_weighted_windows(block, rows, count)):
            for channel, signal in enumerate(x):
                spectra = windowed_spectra(plan, signal, block, weighted, blocks)
                if np.any(block.delta):
                    plan.kernels.rotate(spectra, block.delta, plan.mfft, plan.onesided, 1.0)
                out[j, channel, part] = plan.store(spectra)

    blocks.run(work)
    return Moments(*out)


def _weighted_windows(block: PlacedFrames, rows: WindowRows, count: int) -> list[WindowRows]:
    """Return the windows of the first `count` transforms, in the order of `Moments`."""
    k = np.arange(rows.w.shape[1])
    own = slice(None) if len(rows.w) > 1 else slice(1)  # one row may serve all frames
    inside = k < block.count[own, np.newaxis]
    u = (block.lead[own, np.newaxis] + k) / block.win_length[own, np.newaxis]
    # the values of a row after the last sample of its frame are undefined
    w, dw = np.where(inside, rows.w, 0.0), np.where(inside, rows.dw, 0.0)
    windows = (lambda: w, lambda: dw, lambda: u * w, lambda: u * dw, lambda: u * u * w)
    return [replace(rows, w=window()) for window in windows[:count]]


def _bin_moments(plan: FramePlan, x: AnyArray, frames: BinFrames, *, time: bool, second: bool) -> Moments:
    """Compute the transforms with one window per bin.

    The sums over bins take even windows only. So the signal is multiplied by powers of time, not the window.
    """
    spectra = bin_forward(plan, x, frames, gradient=True)
    assert spectra.win_length is not None and spectra.centre is not None
    win_length = frames.win_length
    V, D, E = spectra.S, -win_length * spectra.centre, -win_length * spectra.win_length
    if not time:
        return Moments(V, D)
    middle = (x.shape[-1] - 1) / 2  # times from the middle of the signal are small, so little cancels below
    n, t = np.arange(x.shape[-1]) - middle, (frames.centre - middle)[:, np.newaxis]
    first = bin_forward(plan, x * n, frames).S
    U = (first - t * V) / win_length
    if not second:
        return Moments(V, D, U)
    Q = (bin_forward(plan, x * n**2, frames).S - 2 * t * first + t**2 * V) / win_length**2
    return Moments(V, D, U, E, Q)


def significant_bins(V: ComplexArray) -> BoolArray:
    """Mask of the bins above the rounding errors of their channel, where ratios of transforms mean something."""
    magnitude = np.abs(V)
    peak = magnitude.max(axis=(1, 2), keepdims=True)
    return np.asarray(magnitude > _NEGLIGIBLE * np.where(peak > 0, peak, 1.0))


def first_order_frequency(framed: FramedSignal, moments: Moments, significant: BoolArray) -> Float64Array:
    """Instantaneous frequencies in Hz by the first equation; the bin's frequency where it is not significant."""
    ratio = np.divide(moments.D, moments.V, out=np.zeros_like(moments.D), where=significant)
    return np.asarray(framed.f - ratio.imag / (2 * np.pi * framed.win_duration))


def group_time(framed: FramedSignal, moments: Moments, significant: BoolArray) -> Float64Array:
    """Mean time of the energy of each bin in s; the centre of its window where it is not significant."""
    assert moments.U is not None
    ratio = np.divide(moments.U, moments.V, out=np.zeros_like(moments.U), where=significant)
    return np.asarray(framed.centre_time + framed.win_duration * ratio.real)


def second_order_frequency(
    framed: FramedSignal, moments: Moments, significant: BoolArray
) -> tuple[Float64Array, Float64Array]:
    """Instantaneous frequencies in Hz at the frames' centres, and chirp rates in Hz/s, by both equations."""
    assert moments.U is not None and moments.E is not None and moments.Q is not None
    zero = np.zeros_like(moments.V)
    # relative to V, so that products of small numbers do not underflow
    d, u, e, q = (
        np.divide(part, moments.V, out=zero.copy(), where=significant)
        for part in (moments.D, moments.U, 1.0 * moments.E, moments.Q)
    )
    det = u * u - q
    regular = significant & (np.abs(det) > _SINGULAR)
    b = np.divide(u * (1 + e) - d * q, det, out=d.copy(), where=regular)
    c = np.divide(1 + e - u * d, det, out=zero, where=regular)
    duration = framed.win_duration
    return framed.f - b.imag / (2 * np.pi * duration), c.imag / (2 * np.pi * duration**2)
