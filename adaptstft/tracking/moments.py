r"""Transforms with the derivative of a window, and with the window times the time from its centre.

With ``u = (n - t_p)/theta_p`` and the unscaled window ``omega``, all phases counted alike,

.. math:: V = S[\omega], \quad D = S[\omega'], \quad U = S[u\,\omega], \quad E = S[u\,\omega'], \quad
          Q = S[u^2 \omega]

hold what a transform knows of the instantaneous frequency near a bin. Let the signal be ``x' = i (b + c s) x``
around a frame, ``s`` seconds from its centre: a tone for ``c = 0``, else a linear chirp. Summation of
``(x e^{-2 i pi f s} omega)'`` and of ``(s x e^{-2 i pi f s} omega)'``, both zero where the window vanishes at its ends,
gives with ``tau = theta T``

.. math::

    D &= i (2\pi f - b)\tau\, V - i c \tau^2\, U \\
    V + E &= i (2\pi f - b)\tau\, U - i c \tau^2\, Q ,

two linear equations for ``b`` and ``c`` that hold for every such window [1]_. The first one alone, with ``c = 0``,
is the usual estimate [2]_.

References
----------
.. [1] S. Meignen, D.-H. Pham, M. A. Colominas, "On the use of short-time Fourier transform and synchrosqueezing-based
   demodulation for the retrieval of the modes of multicomponent signals", Signal Processing 178, 2021.
.. [2] F. Auger, P. Flandrin, "Improving the readability of time-frequency and time-scale representations by the
   reassignment method", IEEE Trans. Signal Process. 43(5), 1995.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from adaptstft.common.typing import AnyArray, ComplexArray, Float64Array
from adaptstft.common.validation import as_signal
from adaptstft.engine.bins import BinFrames, bin_forward, bin_numbers
from adaptstft.engine.blocks import FrameBlocks
from adaptstft.engine.forward import windowed_spectra
from adaptstft.engine.frames import Frames, PlacedFrames
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.window_samples import WindowRows
from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT
from adaptstft.transforms.axes import SignalLayout

#: Magnitudes below this part of the largest one are rounding, whose ratios mean nothing.
_NEGLIGIBLE = 1e-12
#: Relative determinant of the two equations under which the second one is left out. For a tone it is the
#: variance of the window in ``u``, 1/36 for the Gaussian that ends at 3 sigma.
_SINGULAR = 1e-4


@dataclass(frozen=True)
class Moments:
    """The five transforms, each of shape (channels, frames, f_pts); those that were not asked for are None."""

    V: ComplexArray
    D: ComplexArray
    U: ComplexArray | None = None
    E: ComplexArray | None = None
    Q: ComplexArray | None = None


@dataclass(frozen=True)
class Analysed:
    """A signal as channels on the host, in double precision, with the frames of a transform.

    Attributes
    ----------
    layout : SignalLayout
        The channels and frames.
    plan : Transform
        The transform with unscaled windows and every bin stored as the FFT has it.
    seconds : ndarray, shape (frames, 1) or (frames, f_pts)
        Window lengths in seconds.
    centre : ndarray, shape (frames, 1)
        Centres of the windows in seconds.
    f : ndarray, shape (f_pts,)
        Frequencies of the bins in Hz.
    single : bool
        Whether the signal was in single precision.
    """

    layout: SignalLayout
    plan: FramePlan
    seconds: Float64Array
    centre: Float64Array
    f: Float64Array
    single: bool

    @property
    def lead(self) -> tuple[int, ...]:
        """Shape of the channels in the caller's signal."""
        return self.layout.lead

    def public(self, planes: AnyArray) -> AnyArray:
        """(channels, frames, f_pts) -> (..., f_pts, frames)."""
        return np.swapaxes(planes, -1, -2).reshape(*self.lead, planes.shape[2], planes.shape[1])


def on_host(sft: Any) -> AdaptiveShortTimeFFT:
    """Check the transform and return it, or one on the host that is equal to it."""
    if not isinstance(sft, AdaptiveShortTimeFFT):
        raise TypeError(
            f"sft={type(sft).__name__} must be an AdaptiveShortTimeFFT, such as the sft of a TuningResult; "
            "AdaptiveShortTimeFFT.from_scipy makes one from a transform of SciPy"
        )
    return sft.remade(backend="auto") if sft.backend == "cuda" else sft


def analysed(sft: AdaptiveShortTimeFFT, x: Any, axis: int) -> Analysed:
    """Check a signal and lay it out for a transform that is on the host."""
    signal, _ = as_signal(x, axis, onesided=sft.onesided_fft)
    single = signal.real.dtype == np.float32
    signal = signal.astype(np.result_type(signal.dtype, np.float64), copy=False)
    layout = sft._signal_layout(signal, None, None, 0, "zeros", -1)
    mode = "onesided" if sft.onesided_fft else sft.fft_mode
    plan = replace(layout.plan, scaling=None, fft_mode=mode)
    frames = layout.frames
    win_length = frames.win_length if isinstance(frames, BinFrames) else np.asarray(frames.win_length)[:, np.newaxis]
    return Analysed(layout, plan, win_length * sft.T, frames.centre[:, np.newaxis] * sft.T, sft.f, single)


def check_tapers(sft: AdaptiveShortTimeFFT) -> None:
    """Require a window with the derivative that frequencies are found by."""
    try:
        sft.window.check_tunable()
    except ValueError as error:
        raise ValueError(
            f"window {sft.window.spec!r} jumps, so its derivative says nothing of frequencies: it must be continuous "
            "and fall to at most 0.1 at its ends, as 'hann' and 'gaussian' do"
        ) from error


def moments(a: Analysed, *, time: bool, second: bool) -> Moments:
    """Compute ``V`` and ``D``, with `time` also ``U``, with `second` all five."""
    frames, x = a.layout.frames, a.layout.channels
    if isinstance(frames, BinFrames):
        return _bin_moments(a.plan, x, frames, time=time, second=second)
    return _frame_moments(a.plan, x, frames, 5 if second else 3 if time else 2)


def _frame_moments(plan: FramePlan, x: AnyArray, frames: Frames, count: int) -> Moments:
    out = np.empty((count, x.shape[0], len(frames), plan.f_pts), complex)

    def work(part: slice, block: PlacedFrames, rows: WindowRows) -> None:
        for j, weighted in enumerate(_weighted(block, rows, count)):
            for channel, signal in enumerate(x):
                spectra = windowed_spectra(plan, signal, block, weighted, blocks)
                if np.any(block.delta):
                    plan.kernels.rotate(spectra, block.delta, plan.mfft, plan.onesided, 1.0)
                out[j, channel, part] = plan.store(spectra)

    blocks = FrameBlocks(plan, frames, np.float64, gradient=True)
    blocks.run(work)
    return Moments(*out)


def _weighted(block: PlacedFrames, rows: WindowRows, count: int) -> list[WindowRows]:
    """Windows of the first `count` transforms, in their order."""
    k = np.arange(rows.w.shape[1])
    own = slice(None) if len(rows.w) > 1 else slice(1)  # one row may serve all frames
    inside = k < block.count[own, np.newaxis]
    u = (block.lead[own, np.newaxis] + k) / block.win_length[own, np.newaxis]
    w, dw = np.where(inside, rows.w, 0.0), np.where(inside, rows.dw, 0.0)  # beyond it there may be anything
    windows = (lambda: w, lambda: dw, lambda: u * w, lambda: u * dw, lambda: u * u * w)
    return [replace(rows, w=window()) for window in windows[:count]]


def _bin_moments(plan: FramePlan, x: AnyArray, frames: BinFrames, *, time: bool, second: bool) -> Moments:
    """Windows per bin: powers of the time from the centre go to the signal, as the sums take even windows only."""
    found = bin_forward(plan, x, frames, gradient=True)
    assert found.win_length is not None and found.centre is not None
    win_length = frames.win_length
    V, D, E = found.S, -win_length * found.centre, -win_length * found.win_length
    if not time:
        return Moments(V, D)
    middle = (x.shape[-1] - 1) / 2  # small factors keep the cancellation below harmless
    n, t = np.arange(x.shape[-1]) - middle, (frames.centre - middle)[:, np.newaxis]
    first = bin_forward(plan, x * n, frames).S
    U = (first - t * V) / win_length
    if not second:
        return Moments(V, D, U)
    Q = (bin_forward(plan, x * n**2, frames).S - 2 * t * first + t**2 * V) / win_length**2
    return Moments(V, D, U, E, Q)


def audible(V: ComplexArray) -> Any:
    """Mask of the bins whose ratios are more than rounding; one reference for each channel."""
    size = np.abs(V)
    peak = size.max(axis=(1, 2), keepdims=True)
    return size > _NEGLIGIBLE * np.where(peak > 0, peak, 1.0)


def first_order(a: Analysed, m: Moments, heard: Any) -> Float64Array:
    """Instantaneous frequencies in Hz by the first equation; a bin's own where nothing is heard."""
    ratio = np.divide(m.D, m.V, out=np.zeros_like(m.D), where=heard)
    return np.asarray(a.f - ratio.imag / (2 * np.pi * a.seconds))


def group_times(a: Analysed, m: Moments, heard: Any) -> Float64Array:
    """Return the times of the signal's energy in s, that of the frame where nothing is heard."""
    assert m.U is not None
    ratio = np.divide(m.U, m.V, out=np.zeros_like(m.U), where=heard)
    return np.asarray(a.centre + a.seconds * ratio.real)


def second_order(a: Analysed, m: Moments, heard: Any) -> tuple[Float64Array, Float64Array]:
    """Instantaneous frequencies in Hz at the frames' times and their rates of change in Hz/s, by both equations."""
    assert m.U is not None and m.E is not None and m.Q is not None
    zero = np.zeros_like(m.V)
    # relative to V, so that no product of small numbers underflows
    d, u, e, q = (np.divide(part, m.V, out=zero.copy(), where=heard) for part in (m.D, m.U, 1.0 * m.E, m.Q))
    det = u * u - q
    regular = heard & (np.abs(det) > _SINGULAR)
    b = np.divide(u * (1 + e) - d * q, det, out=d.copy(), where=regular)
    c = np.divide(1 + e - u * d, det, out=zero, where=regular)
    return a.f - b.imag / (2 * np.pi * a.seconds), c.imag / (2 * np.pi * a.seconds**2)


def centred_phase(sft: AdaptiveShortTimeFFT, a: Analysed) -> ComplexArray:
    """Factors that count the phase of every bin from the centre of its window, shape (1 or frames, f_pts)."""
    frames = a.layout.frames
    if isinstance(frames, BinFrames):
        after = frames.centre - frames.origin
    else:
        after = np.full(1, sft.window_offset - frames.phase_shift)
    return np.asarray(np.exp(2j * np.pi / a.plan.mfft * after[:, np.newaxis] * bin_numbers(a.plan)))
