r"""Stein's unbiased estimate of the error of a signal whose transform is shrunk, and its derivatives.

A signal ``y = x + noise`` with white noise of variance 1 (the caller sees to that) is estimated by

.. math:: \hat x[n] = \frac{1}{D[n]} \sum_p w_p[n]\, \frac{1}{M} \sum_q g(v_{pq})\, S_{pq}\, e^{2j\pi q (n - a_p)/M},
          \qquad D[n] = \sum_p w_p[n]^2 ,

``M`` being the FFT's length and ``a_p`` any integers: the canonical inverse of the transform ``S`` shrunk by a gain of
``v = lam e_p / |S|**2``. Here ``e_p``, the sum of ``w_p**2`` over the samples of the signal, is the variance
of the noise in the bins of frame ``p``, which is less in frames that the ends of the signal cut. As ``g`` depends on
``|S|`` alone, nothing depends on ``a_p``. Stein's estimate of ``E sum |xhat - x|**2`` is [1]_

.. math:: \sum_n |y[n] - \hat x[n]|^2 - N + 2 \sum_n d[n], \qquad
          d[n] = \mathrm{Re}\, \frac{\partial \hat x[n]}{\partial y[n]} = \frac{1}{D[n]} \sum_p w_p[n]^2 B_p[n],

.. math:: B_p[n] = \frac{1}{M} \sum_q (g - v g')
          - \frac{1}{M}\mathrm{Re} \sum_q v g' \frac{S^2}{|S|^2} e^{4j\pi q (n - a_p)/M}

with sums over all bins of the two-sided spectrum. The second sum comes from the conjugate of an atom, which is an
atom itself where the signal is real; it matters next to frequency 0 and the Nyquist frequency only, and is missing for
complex signals. All of it is exact, next to the ends of the signal as well.

References
----------
.. [1] C. M. Stein, "Estimation of the mean of a multivariate normal distribution", Ann. Statist. 9(6), 1981.
"""

from __future__ import annotations

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
class Shrunk:
    """A shrunk signal with what Stein's estimate is made of.

    Attributes
    ----------
    x : ndarray, shape (channels, n)
        The estimated signal.
    risk : ndarray, shape (channels, n)
        Estimate of the squared error of every sample, in units of the noise's variance: its sums over many
        samples are what it is for, single values may be negative.
    divergence : ndarray, shape (channels, n)
        Derivative of each sample of `x` in the sample of the signal.
    log_threshold : ndarray, shape (channels,), or None
        Derivative of each channel's total risk in the logarithm of its threshold, if it was asked for.
    """

    x: AnyArray
    risk: Float64Array
    divergence: Float64Array
    log_threshold: Float64Array | None = None

    @property
    def total(self) -> Float64Array:
        """Estimate of the squared error of each channel."""
        return np.asarray(self.risk.sum(axis=-1))


@dataclass(frozen=True)
class RiskGradients:
    """Derivatives of the sum of the estimated risk over all channels.

    Attributes
    ----------
    log_threshold : ndarray, shape (channels,)
        In the logarithm of each channel's threshold.
    win_length, positions : ndarray, shape (frames,)
        In the window length and the time of each frame.
    """

    log_threshold: Float64Array
    win_length: Float64Array
    positions: Float64Array


class Shrinker:
    """Shrinks the transform of a signal with white noise of variance 1, by gains of single bins.

    Parameters
    ----------
    plan : Transform
        One-sided with an even FFT length for a real signal, two-sided for a complex one; unscaled windows.
    y : ndarray, shape (channels, n)
        The signal.
    frames : Frames
        Frames that cover it.
    gain : callable
        One of `adaptstft.denoising.shrinkage`.
    """

    def __init__(self, plan: FramePlan, y: AnyArray, frames: Frames, gain: Callable[[Float64Array], Gain]) -> None:
        self.plan, self.y, self.frames, self.gain = plan, y, frames, gain
        self.n = y.shape[-1]
        self.overlap = window_overlap(plan, frames, 0, self.n)
        check_covered(self.overlap, 0)
        self._inverse_overlap = 1 / self.overlap
        self._ones = np.ones(self.n)
        self._sides = np.full(plan.f_pts, 1.0)  # how often a stored bin is in the two-sided spectrum
        if plan.onesided:
            self._sides[plan.interior] = 2.0

    # ------------------------------------------------------------------ value

    def shrink(self, threshold: Float64Array, *, gradient: bool = False) -> Shrunk:
        """Estimate the signal and its risk with a threshold for each channel, and the slope in its logarithm."""
        channels = len(self.y)
        sums = np.zeros(((4 if gradient else 2) * channels, self.n), self.y.dtype)

        blocks = WindowedBlocks(self.plan, self.frames, np.float64)

        def add(_: slice, block: PlacedFrames, first: int, stretch: AnyArray) -> None:
            rows = blocks.windows(block)
            own = self._windowed(self._ones, block, rows)
            variance = _energy(own)
            for c, signal in enumerate(self.y):
                S = self.plan.fft(self._windowed(signal, block, rows))
                gain, energy = self._gain(S, variance, threshold[c])
                phase = _squared_phase(S, energy) if self.plan.onesided else None
                gains = [gain, _in_log_threshold(gain)] if gradient else [gain]
                for k, g in enumerate(gains):
                    slack = (self._slack(g, phase) * own).astype(self.y.dtype, copy=False)
                    for row, values in enumerate((self.plan.inverse_fft(g.value * S), slack)):
                        out = stretch[(2 * k + row) * channels + c]
                        self.plan.kernels.overlap_add(values, rows.w, rows.scale, *block.place, first, out)

        blocks.accumulate(add, sums, 0)
        sums *= self._inverse_overlap
        return self._shrunk(*sums.reshape(-1, channels, self.n))

    def _shrunk(self, x: AnyArray, divergence: AnyArray, dx: Any = None, d_divergence: Any = None) -> Shrunk:
        """Put the risk together; `dx` and `d_divergence` are derivatives in the logarithm of the threshold."""
        rest = self.y - x
        risk = np.abs(rest) ** 2 - 1 + 2 * divergence.real
        if dx is None:
            return Shrunk(x, risk, divergence.real)
        gradient = 2 * (d_divergence.real - (rest.conj() * dx).real).sum(axis=-1)
        return Shrunk(x, risk, divergence.real, gradient)

    def _windowed(self, signal: AnyArray, block: PlacedFrames, rows: WindowRows) -> AnyArray:
        """Frames of a signal times their windows, in the FFT's layout."""
        return windowed_frames(self.plan, signal, block, rows)

    def _gain(self, S: ComplexArray, variance: Float64Array, threshold: float) -> tuple[Gain, Float64Array]:
        energy = S.real**2 + S.imag**2
        return self.gain(threshold_ratio(threshold, variance[:, None], energy)), energy

    def _slack(self, gain: Gain, squared_phase: ComplexArray | None) -> Float64Array:
        """``B_p[n]`` of the module's docstring, in the FFT's layout."""
        mean: Float64Array = ((gain.value - gain.gradient) @ self._sides)[:, None]
        if squared_phase is not None:
            mean = mean - self._mirror_sum(gain.gradient * squared_phase)
        return np.asarray(mean / self.plan.mfft)

    def _mirror_sum(self, h: ComplexArray) -> Float64Array:
        """Sum ``h_q exp(4j pi q m/mfft)`` over the two-sided spectrum, of which stored bins are given."""
        half = self.plan.mfft // 2
        folded = h[:, : half // 2 + 1] + h[:, half - half // 2 :][:, ::-1].conj()
        period = self.plan.kernels.fft.irfft(folded, n=half, axis=-1, norm="forward")
        return np.concatenate([period, period], axis=-1)

    def _mirror_spectrum(self, f: Float64Array) -> ComplexArray:
        """Sum ``f[m] exp(4j pi q m/mfft)`` over each frame, for the stored bins ``q``."""
        half = self.plan.mfft // 2
        found = self.plan.kernels.fft.rfft(f[:, :half] + f[:, half:], axis=-1)
        return np.concatenate([found.conj(), found[:, : half - half // 2][:, ::-1]], axis=-1)

    # ------------------------------------------------------------------ slopes

    def gradients(self, threshold: Float64Array, at: Shrunk) -> RiskGradients:
        """Differentiate the sum of the risk, of which `at` is the value."""
        d_threshold = np.zeros((len(self.y), len(self.frames)))
        win_length, positions = np.zeros((2, len(self.frames)))

        blocks = WindowedBlocks(self.plan, self.frames, np.float64, gradient=True)

        def work(i: int) -> None:
            part, block = blocks[i]
            rows = blocks.windows(block)
            reducer = Reducer(self.plan, block, rows)
            pull = _Pull(self, block, rows, reducer)
            for c in range(len(self.y)):
                d_threshold[c, part] = pull.channel(c, threshold[c], at)
            reducer.add(pull.window_cotangent(), self._ones)
            win_length[part], positions[part], _ = reducer.derivatives()

        blocks.run(work)
        return RiskGradients(d_threshold.sum(axis=1), win_length, positions)


class _Pull:
    """Pulls the derivative of the risk back through one block of frames.

    With ``r = y - xhat``, the derivatives of the risk are ``-2 r / D`` in what is divided by ``D`` to give ``xhat``
    and ``2 / D`` in what gives ``d``. All depend on ``v`` through its logarithm, so that its derivative
    `in_ratio` gives that in the threshold, in ``e_p`` and, with the opposite sign, in ``log |S|**2``.
    """

    def __init__(self, of: Shrinker, block: PlacedFrames, rows: WindowRows, reducer: Reducer) -> None:
        self.of, self.block, self.rows, self.reducer = of, block, rows, reducer
        self.own = of._windowed(of._ones, block, rows)
        self.variance = _energy(self.own)
        self.dual = of._windowed(of._inverse_overlap, block, rows)
        share = self.own * self.dual
        self.share = share.sum(axis=1) / of.plan.mfft
        self.mirror = of._mirror_spectrum(share) / of.plan.mfft if of.plan.onesided else None
        self.in_variance = np.zeros(len(block))
        self.in_window = np.zeros_like(self.own)

    def channel(self, c: int, threshold: float, at: Shrunk) -> Float64Array:
        """Add the part of a channel; return the derivative in the log of its threshold by frames."""
        of, plan, signal = self.of, self.of.plan, self.of.y[c]
        S = plan.fft(of._windowed(signal, self.block, self.rows))
        gain, energy = of._gain(S, self.variance, threshold)
        back = -2 * (signal - at.x[c]) * of._inverse_overlap
        cotangent: Any = plan.fft(of._windowed(back, self.block, self.rows)) * (of._sides / plan.mfft)
        phase = _squared_phase(S, energy) if plan.onesided else None
        in_ratio, in_S = self._shrinkage(gain, S, energy, phase, cotangent)
        by_frame = np.asarray(in_ratio.sum(axis=1))
        # through the synthesis' windows, and through D below them
        y = plan.inverse_fft(gain.value * S)
        self.reducer.add(y - 2 * of._windowed(at.x[c], self.block, self.rows), back)
        self.in_window += 4 * of._slack(gain, phase) * self.dual
        self.in_window -= 4 * of._windowed(of._inverse_overlap * at.divergence[c], self.block, self.rows)
        self.in_variance += by_frame / np.where(self.variance > 0, self.variance, 1.0)
        if plan.onesided:
            in_S[:, plan.interior] *= 0.5
        self.reducer.add(plan.adjoint_fft(in_S), signal)
        return by_frame

    def _shrinkage(
        self,
        gain: Gain,
        S: ComplexArray,
        energy: Float64Array,
        squared_phase: ComplexArray | None,
        cotangent: ComplexArray,
    ) -> tuple[Float64Array, ComplexArray]:
        """Pull a derivative in the shrunk bins back to the log of ``v`` and the bins themselves."""
        sides = self.of._sides
        in_ratio = (cotangent.real * S.real + cotangent.imag * S.imag) * gain.gradient
        in_ratio -= 2 * sides * self.share[:, None] * gain.curvature
        per_energy = 1 / np.where(energy > 0, energy, 1.0)
        turn: Any = 0.0
        if self.mirror is not None:
            mirror = 2 * sides * self.mirror * squared_phase
            in_ratio -= mirror.real * (gain.gradient + gain.curvature)
            turn = 2 * mirror.imag * gain.gradient * per_energy
        return in_ratio, gain.value * cotangent + (1j * turn - 2 * in_ratio * per_energy) * S

    def window_cotangent(self) -> Float64Array:
        """Return the derivative in the windows themselves, not by way of any transform."""
        return np.asarray(self.in_window + 2 * self.in_variance[:, None] * self.own)


def _in_log_threshold(gain: Gain) -> Gain:
    """Differentiate a gain, and ``v g'``, in the logarithm of the threshold, which is that of ``v``."""
    return Gain(gain.gradient, gain.gradient + gain.curvature, gain.curvature)


def _energy(rows: Float64Array) -> Float64Array:
    return np.asarray(np.einsum("ij,ij->i", rows, rows))


def _squared_phase(S: ComplexArray, energy: Float64Array) -> ComplexArray:
    """``S**2 / |S|**2``, zero where ``S`` is."""
    squared: ComplexArray = S * (S / np.where(energy > 0, energy, 1.0))
    return squared
