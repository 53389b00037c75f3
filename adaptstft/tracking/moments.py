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

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from adaptstft.common.levels import to_usual_level
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

    @property
    def computed(self) -> list[ComplexArray]:
        """The transforms that are not None, in the order of the docstring."""
        return [part for part in (self.V, self.D, self.U, self.E, self.Q) if part is not None]


@dataclass(frozen=True)
class Frequencies:
    """Instantaneous frequencies of all bins.

    Attributes
    ----------
    V : ndarray, shape (channels, frames, f_pts)
        Transform with the window ``omega``, over ``2**exponent``.
    frequency : ndarray, shape of `V`
        Frequencies in Hz; without a meaning where ``V`` is a rounding error.
    chirp_rate : ndarray, shape of `V`, or (channels, 0, f_pts) for the first order
        Chirp rates in Hz/s.
    floor : ndarray, shape (channels,)
        Values of ``|V|**2`` up to this one are rounding errors.
    exponent : list of int, length channels
        The transform of a channel was divided by ``2**exponent``: one that is far weaker than others would underflow.
    """

    V: ComplexArray
    frequency: Float64Array
    chirp_rate: Float64Array
    floor: Float64Array
    exponent: list[int]


def estimate_frequencies(framed: FramedSignal, order: int) -> Frequencies:
    """Estimate the frequencies of order 1 or 2 at the centres of the frames."""
    frames, kernels = framed.layout.frames, framed.plan.kernels
    leveled, exponent = zip(*map(to_usual_level, framed.layout.channels), strict=True)
    x = np.array(leveled)
    V = np.empty((x.shape[0], len(frames), framed.plan.f_pts), complex)
    frequency, peak = np.empty(V.shape), np.empty(V.shape[:2])
    chirp_rate = np.empty((V.shape[0], V.shape[1] if order == 2 else 0, V.shape[2]))

    def estimate(channel: int, part: slice, transforms: Sequence[ComplexArray]) -> None:
        V[channel, part] = transforms[0]
        arrays = [np.ascontiguousarray(a) for a in transforms]
        duration, out = framed.win_duration[part], (frequency[channel, part], peak[channel, part])
        if order == 1:
            kernels.first_order_frequency(*arrays, framed.f, duration, *out)
        else:
            rates = chirp_rate[channel, part]
            kernels.second_order_frequency(*arrays, framed.f, duration, _SINGULAR, out[0], rates, out[1])

    count = 5 if order == 2 else 2
    if isinstance(frames, BinFrames):
        moments = _bin_moments(framed.plan, x, frames, time=order == 2, second=order == 2)
        for channel, transforms in enumerate(zip(*moments.computed, strict=True)):
            estimate(channel, slice(None), transforms)
    else:
        _each_block(framed.plan, x, frames, count, estimate)
    return Frequencies(V, frequency, chirp_rate, _NEGLIGIBLE**2 * peak.max(axis=1), list(exponent))


def compute_moments(framed: FramedSignal) -> Moments:
    """Compute ``V``, ``D`` and ``U``."""
    frames, x, plan = framed.layout.frames, framed.layout.channels, framed.plan
    if isinstance(frames, BinFrames):
        return _bin_moments(plan, x, frames, time=True, second=False)
    out = np.empty((3, x.shape[0], len(frames), plan.f_pts), complex)

    def store(channel: int, part: slice, transforms: Sequence[ComplexArray]) -> None:
        out[:, channel, part] = transforms

    _each_block(plan, x, frames, 3, store)
    return Moments(*out)


def _each_block(
    plan: FramePlan,
    x: AnyArray,
    frames: Frames,
    count: int,
    use: Callable[[int, slice, Sequence[ComplexArray]], None],
) -> None:
    """Call ``use(channel, part, transforms)`` with the first `count` transforms of each block of frames."""
    blocks = WindowedBlocks(plan, frames, np.float64, gradient=True)

    def work(i: int) -> None:
        part, block = blocks[i]
        windows = _weighted_windows(block, blocks.windows(block), count)
        for channel, signal in enumerate(x):
            transforms = []
            for rows in windows:
                spectra = windowed_spectra(plan, signal, block, rows, blocks)
                if np.any(block.delta):
                    plan.kernels.rotate(spectra, block.delta, plan.mfft, plan.onesided, 1.0)
                transforms.append(plan.store(spectra))
            use(channel, part, transforms)

    blocks.run(work)


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
    power = V.real**2 + V.imag**2
    return np.asarray(power > _NEGLIGIBLE**2 * power.max(axis=(1, 2), keepdims=True))


def first_order_frequency(framed: FramedSignal, moments: Moments, significant: BoolArray) -> Float64Array:
    """Instantaneous frequencies in Hz by the first equation; the bin's frequency where it is not significant."""
    out, peak = np.empty(moments.V.shape), np.empty(moments.V.shape[:2])
    for transforms in zip(moments.V, moments.D, out, peak, strict=True):
        V, D, frequency, largest = transforms
        framed.plan.kernels.first_order_frequency(V, D, framed.f, framed.win_duration, frequency, largest)
    return np.where(significant, out, framed.f)


def group_time(framed: FramedSignal, moments: Moments, significant: BoolArray) -> Float64Array:
    """Mean time of the energy of each bin in s; the centre of its window where it is not significant."""
    assert moments.U is not None
    ratio = np.divide(moments.U, moments.V, out=np.zeros_like(moments.U), where=significant)
    return np.asarray(framed.centre_time + framed.win_duration * ratio.real)
