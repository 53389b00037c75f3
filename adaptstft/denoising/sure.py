r"""Stein's unbiased estimate of the error of a signal whose transform is shrunk, and its derivatives.

A signal ``y = x + noise`` with white noise of variance 1 (the caller scales the signal) is estimated by

.. math:: \hat x[n] = \frac{1}{D[n]} \sum_p w_p[n]\, \frac{1}{M} \sum_q g(v_{pq})\, S_{pq}\, e^{2j\pi q (n - a_p)/M},
          \qquad D[n] = \sum_p w_p[n]^2 .

This is the canonical inverse of the transform ``S``, shrunk by a gain of ``v = lam e_p / |S|**2``. ``M`` is the length
of the FFT, and the ``a_p`` are any integers: ``g`` depends on ``|S|`` only, so the result does not depend on ``a_p``.
The variance of the noise in the bins of frame ``p`` is ``e_p``, the sum of ``w_p**2`` over the samples of the signal.
It is smaller in frames at the ends of the signal. Stein's estimate of ``E sum |xhat - x|**2`` is [1]_

.. math:: \sum_n |y[n] - \hat x[n]|^2 - N + 2 \sum_n d[n], \qquad
          d[n] = \mathrm{Re}\, \frac{\partial \hat x[n]}{\partial y[n]} = \frac{1}{D[n]} \sum_p w_p[n]^2 B_p[n],

.. math:: B_p[n] = \frac{1}{M} \sum_q (g - v g')
          - \frac{1}{M}\mathrm{Re} \sum_q v g' \frac{S^2}{|S|^2} e^{4j\pi q (n - a_p)/M}

with sums over all bins of the two-sided spectrum. The second sum is due to the conjugates of the atoms, which are
atoms themselves if the signal is real. It matters only near frequency 0 and the Nyquist frequency, and does not exist
for complex signals. All formulas are exact, near the ends of the signal too.

References
----------
.. [1] C. M. Stein, "Estimation of the mean of a multivariate normal distribution", Ann. Statist. 9(6), 1981.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from adaptstft.common.typing import AnyArray, ComplexArray, Float64Array
from adaptstft.denoising.shrinkage import Gain, threshold_ratio
from adaptstft.engine.blocks import WindowedBlocks
from adaptstft.engine.forward import windowed_frames
from adaptstft.engine.frames import Frames, PlacedFrames
from adaptstft.engine.inverse import check_covered, window_overlap
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.vjp import Reducer
from adaptstft.engine.window_samples import WindowRows


@dataclass(frozen=True)
class ShrunkSignal:
    """A shrunk signal and Stein's estimate of its error.

    Attributes
    ----------
    x : ndarray, shape (channels, n)
        The estimated signal.
    risk : ndarray, shape (channels, n)
        Estimate of the squared error of each sample, in units of the variance of the noise. Only sums over many
        samples are accurate: single values may be negative.
    divergence : ndarray, shape (channels, n)
        Derivative of each sample of `x` with respect to the same sample of the noisy signal.
    log_threshold_gradient : ndarray, shape (channels,), or None
        Derivative of the total risk of each channel with respect to the logarithm of its threshold, if requested.
    """

    x: AnyArray
    risk: Float64Array
    divergence: Float64Array
    log_threshold_gradient: Float64Array | None = None

    @property
    def total(self) -> Float64Array:
        """Estimate of the squared error of each channel."""
        return np.asarray(self.risk.sum(axis=-1))


@dataclass(frozen=True)
class RiskGradients:
    """Gradient of the estimated risk, summed over all channels.

    Attributes
    ----------
    log_threshold : ndarray, shape (channels,)
        With respect to the logarithm of the threshold of each channel.
    win_length, positions : ndarray, shape (frames,)
        With respect to the window length and the position of each frame.
    """

    log_threshold: Float64Array
    win_length: Float64Array
    positions: Float64Array


class Shrinker(ABC):
    """Shrinks the transform of a signal with white noise of variance 1.

    Parameters
    ----------
    plan : FramePlan
        Plan with unscaled windows: one-sided with an even FFT length for a real signal, two-sided for a complex one.
    y : ndarray, shape (channels, n)
        The signal.
    frames : Frames
        Frames that cover all samples.
    gain : callable
        A gain of `adaptstft.denoising.shrinkage`.
    """

    def __init__(self, plan: FramePlan, y: AnyArray, frames: Frames, gain: Callable[[Float64Array], Gain]) -> None:
        self.plan, self.y, self.frames, self.gain = plan, y, frames, gain
        self.n = y.shape[-1]
        self.overlap = window_overlap(plan, frames, 0, self.n)
        check_covered(self.overlap, 0)
        self._inverse_overlap = 1 / self.overlap
        self._ones = np.ones(self.n)
        self._sides = np.full(plan.f_pts, 1.0)  # bins of the two-sided spectrum for each stored bin
        if plan.onesided:
            self._sides[plan.interior] = 2.0

    @abstractmethod
    def shrink(self, threshold: Float64Array, *, gradient: bool = False) -> ShrunkSignal:
        """Shrink with a threshold for each channel; with `gradient` also differentiate in its logarithm."""

    def _shrunk(self, x: AnyArray, divergence: AnyArray, dx: Any = None, d_divergence: Any = None) -> ShrunkSignal:
        """Compute the risk; `dx` and `d_divergence` are derivatives in the logarithm of the threshold."""
        rest = self.y - x
        risk = np.abs(rest) ** 2 - 1 + 2 * divergence.real
        if dx is None:
            return ShrunkSignal(x, risk, divergence.real)
        gradient = 2 * (d_divergence.real - (rest.conj() * dx).real).sum(axis=-1)
        return ShrunkSignal(x, risk, divergence.real, gradient)

    def _load(self, signal: AnyArray, block: PlacedFrames, rows: WindowRows) -> AnyArray:
        """Load the frames of a signal times their windows, in the layout of the FFT."""
        return windowed_frames(self.plan, signal, block, rows)


class BinShrinker(Shrinker):
    """Shrinks with a gain for each bin, and differentiates the risk in the window lengths and positions."""

    def shrink(self, threshold: Float64Array, *, gradient: bool = False) -> ShrunkSignal:
        """Shrink with a threshold for each channel; with `gradient` also differentiate in its logarithm."""
        channels = len(self.y)
        sums = np.zeros(((4 if gradient else 2) * channels, self.n), self.y.dtype)

        blocks = WindowedBlocks(self.plan, self.frames, np.float64)

        def add(_: slice, block: PlacedFrames, first: int, stretch: AnyArray) -> None:
            rows = blocks.windows(block)
            window = self._load(self._ones, block, rows)
            variance = _energy(window)
            for c, signal in enumerate(self.y):
                S = self.plan.fft(self._load(signal, block, rows))
                gain, energy = self._gain(S, variance, threshold[c])
                phase = _squared_phase(S, energy) if self.plan.onesided else None
                gains = [gain, _in_log_threshold(gain)] if gradient else [gain]
                for k, g in enumerate(gains):
                    weighted = (self._divergence_sum(g, phase) * window).astype(self.y.dtype, copy=False)
                    for row, values in enumerate((self.plan.inverse_fft(g.value * S), weighted)):
                        out = stretch[(2 * k + row) * channels + c]
                        self.plan.kernels.overlap_add(values, rows.w, rows.scale, *block.place, first, out)

        blocks.accumulate(add, sums, 0)
        sums *= self._inverse_overlap
        return self._shrunk(*sums.reshape(-1, channels, self.n))

    def _gain(self, S: ComplexArray, variance: Float64Array, threshold: float) -> tuple[Gain, Float64Array]:
        """Return the gains of the bins, and their energies."""
        energy = S.real**2 + S.imag**2
        return self.gain(threshold_ratio(threshold, variance[:, None], energy)), energy

    def _divergence_sum(self, gain: Gain, squared_phase: ComplexArray | None) -> Float64Array:
        """``B_p[n]`` of the module's docstring, in the layout of the FFT."""
        mean: Float64Array = ((gain.value - gain.gradient) @ self._sides)[:, None]
        if squared_phase is not None:
            mean = mean - self._mirror_sum(gain.gradient * squared_phase)
        return np.asarray(mean / self.plan.mfft)

    def _mirror_sum(self, h: ComplexArray) -> Float64Array:
        """Sum ``h_q exp(4j pi q m/mfft)`` over the two-sided spectrum; `h` has the stored bins ``q``."""
        half = self.plan.mfft // 2
        folded = h[:, : half // 2 + 1] + h[:, half - half // 2 :][:, ::-1].conj()
        period = self.plan.kernels.fft.irfft(folded, n=half, axis=-1, norm="forward")
        return np.concatenate([period, period], axis=-1)

    def _mirror_spectrum(self, f: Float64Array) -> ComplexArray:
        """Sum ``f[m] exp(4j pi q m/mfft)`` over each frame, for the stored bins ``q``."""
        half = self.plan.mfft // 2
        spectrum = self.plan.kernels.fft.rfft(f[:, :half] + f[:, half:], axis=-1)
        return np.concatenate([spectrum.conj(), spectrum[:, : half - half // 2][:, ::-1]], axis=-1)

    def gradients(self, threshold: Float64Array, shrunk: ShrunkSignal) -> RiskGradients:
        """Differentiate the sum of the risk at `shrunk`, the result of `shrink` for `threshold`."""
        d_threshold = np.zeros((len(self.y), len(self.frames)))
        win_length, positions = np.zeros((2, len(self.frames)))

        blocks = WindowedBlocks(self.plan, self.frames, np.float64, gradient=True)

        def work(i: int) -> None:
            part, block = blocks[i]
            rows = blocks.windows(block)
            reducer = Reducer(self.plan, block, rows)
            vjp = _BlockVJP(self, block, rows, reducer)
            for c in range(len(self.y)):
                d_threshold[c, part] = vjp.channel(c, threshold[c], shrunk)
            reducer.add(vjp.window_cotangent(), self._ones)
            win_length[part], positions[part], _ = reducer.derivatives()

        blocks.run(work)
        return RiskGradients(d_threshold.sum(axis=1), win_length, positions)


class _BlockVJP:
    """Derivatives of the risk for one block of frames, in reverse mode.

    ``xhat`` and ``d`` are sums over frames divided by ``D``. With ``r = y - xhat``, the cotangent of the first sum is
    ``-2 r / D`` and that of the second sum is ``2 / D``. The gain depends on
    ``log v = log lam + log e_p - log |S|**2``. So the derivative in ``log v``, here `in_ratio`, is also the derivative
    in the logarithms of the threshold and of ``e_p`` and, with the opposite sign, in ``log |S|**2``. A prefix ``in_``
    marks a derivative with respect to a quantity.
    """

    def __init__(self, shrinker: BinShrinker, block: PlacedFrames, rows: WindowRows, reducer: Reducer) -> None:
        self.shrinker, self.block, self.rows, self.reducer = shrinker, block, rows, reducer
        self.window = shrinker._load(shrinker._ones, block, rows)
        self.variance = _energy(self.window)
        self.dual = shrinker._load(shrinker._inverse_overlap, block, rows)
        share = self.window * self.dual
        self.share = share.sum(axis=1) / shrinker.plan.mfft
        self.mirror = shrinker._mirror_spectrum(share) / shrinker.plan.mfft if shrinker.plan.onesided else None
        self.in_variance = np.zeros(len(block))
        self.in_window = np.zeros_like(self.window)

    def channel(self, c: int, threshold: float, shrunk: ShrunkSignal) -> Float64Array:
        """Add the derivatives of a channel; return that in the logarithm of its threshold, by frame."""
        shrinker, plan, signal = self.shrinker, self.shrinker.plan, self.shrinker.y[c]
        S = plan.fft(shrinker._load(signal, self.block, self.rows))
        gain, energy = shrinker._gain(S, self.variance, threshold)
        back = -2 * (signal - shrunk.x[c]) * shrinker._inverse_overlap
        cotangent: Any = plan.fft(shrinker._load(back, self.block, self.rows)) * (shrinker._sides / plan.mfft)
        phase = _squared_phase(S, energy) if plan.onesided else None
        in_ratio, in_S = self._gain_vjp(gain, S, energy, phase, cotangent)
        by_frame = np.asarray(in_ratio.sum(axis=1))
        # derivatives in the windows of the synthesis, and in those of D
        frames = plan.inverse_fft(gain.value * S)
        self.reducer.add(frames - 2 * shrinker._load(shrunk.x[c], self.block, self.rows), back)
        self.in_window += 4 * shrinker._divergence_sum(gain, phase) * self.dual
        self.in_window -= 4 * shrinker._load(shrinker._inverse_overlap * shrunk.divergence[c], self.block, self.rows)
        self.in_variance += by_frame / np.where(self.variance > 0, self.variance, 1.0)
        if plan.onesided:
            in_S[:, plan.interior] *= 0.5
        self.reducer.add(plan.adjoint_fft(in_S), signal)
        return by_frame

    def _gain_vjp(
        self,
        gain: Gain,
        S: ComplexArray,
        energy: Float64Array,
        squared_phase: ComplexArray | None,
        cotangent: ComplexArray,
    ) -> tuple[Float64Array, ComplexArray]:
        """Return the derivatives in ``log v`` and in the bins, from the cotangent of the shrunk bins."""
        sides = self.shrinker._sides
        in_ratio = (cotangent.real * S.real + cotangent.imag * S.imag) * gain.gradient
        in_ratio -= 2 * sides * self.share[:, None] * gain.curvature
        per_energy = 1 / np.where(energy > 0, energy, 1.0)
        rotation: Any = 0.0
        if self.mirror is not None:
            mirror = 2 * sides * self.mirror * squared_phase
            in_ratio -= mirror.real * (gain.gradient + gain.curvature)
            rotation = 2 * mirror.imag * gain.gradient * per_energy
        return in_ratio, gain.value * cotangent + (1j * rotation - 2 * in_ratio * per_energy) * S

    def window_cotangent(self) -> Float64Array:
        """Return the derivative in the windows that does not depend on any transform."""
        return np.asarray(self.in_window + 2 * self.in_variance[:, None] * self.window)


def _in_log_threshold(gain: Gain) -> Gain:
    """Differentiate a gain and its ``v g'`` in the logarithm of the threshold: the derivative in ``log v``."""
    return Gain(gain.gradient, gain.gradient + gain.curvature, gain.curvature)


def _energy(rows: Float64Array) -> Float64Array:
    """Sum of squares of each row."""
    return np.asarray(np.einsum("ij,ij->i", rows, rows))


def _squared_phase(S: ComplexArray, energy: Float64Array) -> ComplexArray:
    """``S**2 / |S|**2``, zero where ``S`` is zero."""
    squared: ComplexArray = S * (S / np.where(energy > 0, energy, 1.0))
    return squared
