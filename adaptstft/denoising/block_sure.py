r"""Stein's estimate where a bin is shrunk by the mean energy of the block of bins around it.

As in `adaptstft.denoising.sure`, with gains ``g(v)`` of ``v = lam / Q``, where ``Q_k`` is the mean of
``u = |S|**2 / e_p`` over
the block of bin ``k`` (those bins of it that exist, and whose frames hold samples of the signal). A bin now
depends on its neighbours, whose atoms are not orthogonal:

.. math:: \frac{\partial (g S_k)}{\partial y[n]} = g\, a_k[n]
          - \frac{v g'}{Q_k} S_k \sum_{j} W_{kj} \frac{1}{e_j}
            \left(\overline{S_j} a_j[n] + S_j \overline{a_j[n]}\right)

for atoms ``a_k``, weights ``W_kj`` in the block, and summed with the dual atoms ``b_k[n]`` that makes the divergence

.. math:: \sum_k g \langle b_k, a_k\rangle - \mathrm{Re} \sum_k \frac{v g'}{Q_k} S_k \sum_j \frac{W_{kj}}{e_j}
          \left(\overline{S_j} \sum_n b_k[n] a_j[n] + S_j \sum_n b_k[n] \overline{a_j[n]}\right),

whose inner sums are Fourier coefficients of ``w_p w_p' / D``. The idea of blocks in time and frequency is that of
[1]_, with overlapping blocks of one size here.

References
----------
.. [1] G. Yu, S. Mallat, E. Bacry, "Audio denoising by time-frequency block thresholding", IEEE Trans. Signal
   Process. 56(5), 2008.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from scipy.ndimage import correlate1d

from adaptstft.common.typing import AnyArray, ComplexArray, Float64Array, IntArray
from adaptstft.denoising.shrinkage import Gain, threshold_ratio
from adaptstft.denoising.sure import RiskGradients, Shrinker, Shrunk
from adaptstft.engine.forward import forward
from adaptstft.engine.frames import Frames
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.window_samples import sample_windows

#: Sides of a block in frames and bins.
BLOCK = (3, 3)


@dataclass(frozen=True)
class _Channel:
    """The transform of a channel, the mean energy of blocks, and their share in the divergence.

    `inner` is the sum over ``j`` of the module's docstring times ``S_k``, by frame and bin.
    """

    S: ComplexArray
    energy: Float64Array
    inner: Float64Array


class BlockShrinker(Shrinker):
    """Shrinks the transform of a signal with white noise of variance 1, by gains of blocks.

    Parameters
    ----------
    tf, y, gain
        As in `adaptstft.denoising.sure.Shrinker`.
    frames : Frames
        Frames of one length at integer times, a constant hop apart.
    """

    def __init__(self, plan: FramePlan, y: AnyArray, frames: Frames, gain: Callable[[Float64Array], Gain]) -> None:
        super().__init__(plan, y, frames, gain)
        placed = frames[:]
        self._rows = sample_windows(plan, placed[:1], np.float64, gradient=False, shape=False)
        self._place = (placed.start, placed.count, placed.offset)
        self._anchor = np.floor(frames.positions + 0.5).astype(np.int64)
        squares = self._load(self._ones, self._rows.w**2 * self._rows.scale[0])
        self._variance: Float64Array = squares.sum(axis=1)
        self._valid = self._variance > 1e-9 * self._variance.max()
        self._share = self._load(self._inverse_overlap, self._rows.w**2 * self._rows.scale[0]).sum(axis=1)
        self._members = self._block_sum(np.repeat(self._valid[:, None], plan.f_pts, axis=1).astype(float))
        self._channels = [self._prepare(signal) for signal in y]

    def shrink(self, threshold: Float64Array, *, gradient: bool = False) -> Shrunk:
        """Estimate the signal and its risk with a threshold for each channel, and the slope in its logarithm."""
        channels = len(self.y)
        sums = np.zeros((4 if gradient else 2, channels, self.n), self.y.dtype)
        for c, held in enumerate(self._channels):
            gain = self._block_gain(held, threshold[c])
            self._add(held, gain.value, gain.gradient, sums[0, c], sums[1, c])
            if gradient:
                self._add(held, gain.gradient, gain.gradient + gain.curvature, sums[2, c], sums[3, c])
        sums *= self._inverse_overlap
        return self._shrunk(*sums)

    def gradients(self, threshold: Float64Array, at: Shrunk) -> RiskGradients:
        """Raise: blocks have no derivatives in the window lengths and positions."""
        raise NotImplementedError("blocks have no derivatives in the window lengths and positions")

    def _add(
        self, held: _Channel, value: Float64Array, gradient: Float64Array, x: AnyArray, divergence: AnyArray
    ) -> None:
        """Add the frames' parts of the estimate and of its divergence; `gradient` is that of the gain in ``log v``."""
        plan = self.plan
        sums = (value * self._share[:, None] / plan.mfft - gradient * held.inner) @ self._sides
        mean = sums / np.where(self._share > 0, self._share, 1.0)
        slack = (self._load(self._ones, self._rows.w) * mean[:, None]).astype(self.y.dtype)
        for frames, out in ((plan.inverse_fft(value * held.S), x), (slack, divergence)):
            plan.kernels.overlap_add(frames, self._rows.w, self._rows.scale, *self._place, 0, out)

    def _load(self, signal: AnyArray, w: Float64Array) -> AnyArray:
        """Frames of a signal times one window, in the FFT's layout."""
        out = np.empty((len(self.frames), self.plan.mfft), signal.dtype)
        self.plan.kernels.load_frames(signal, w, self._rows.scale, *self._place, out)
        return out

    def _block_gain(self, held: _Channel, threshold: float) -> Gain:
        return self.gain(threshold_ratio(threshold, 1.0, held.energy))

    def _block_sum(self, values: Float64Array) -> Float64Array:
        for axis, side in enumerate(BLOCK):
            values = correlate1d(values, np.ones(side), axis=axis, mode="constant")
        return np.asarray(values)

    def _prepare(self, signal: AnyArray) -> _Channel:
        spectra = forward(self.plan, signal[None], self.frames)[0]
        S = np.where(self._valid[:, None], spectra, 0)
        per_variance = np.where(self._valid, 1 / np.where(self._valid, self._variance, 1.0), 0.0)[:, None]
        u = (S.real**2 + S.imag**2) * per_variance
        members = np.maximum(self._members, 1.0)
        energy = self._block_sum(u) / members
        inner = np.zeros_like(u)
        for (mine, other), (bins, their_bins), plain, mirrored in self._pairs():
            a, b = S[mine, bins], S[other, their_bins] * per_variance[other]
            term = a * b.conj() * plain
            if self.plan.onesided:
                term += a * b * mirrored
            inner[mine, bins] += term.real
        inner /= members * np.where(energy > 0, energy, 1.0)
        return _Channel(S, energy, inner)

    def _pairs(
        self,
    ) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice], ComplexArray, ComplexArray]]:
        """Pairs of bins within a block, and the sums over samples of a dual atom with the other's atom.

        Yields slices of frames, slices of bins, and the sums with the atom and with its conjugate.
        """
        frames, f_pts, mfft = len(self.frames), self.plan.f_pts, self.plan.mfft
        for dp in range(-(BLOCK[0] // 2), BLOCK[0] // 2 + 1):
            mine, other = _overlapping(frames, dp)
            if mine.start >= mine.stop:
                continue
            # w_p w_p' / D in the layout of frame p, and what the other's phase counts from, relative to p's
            both = self._products(dp)[mine]
            spectrum = self.plan.kernels.fft.fft(both, axis=-1) / mfft
            ahead = (self._anchor[other] - self._anchor[mine])[:, None]
            for dq in range(-(BLOCK[1] // 2), BLOCK[1] // 2 + 1):
                bins, their_bins = _overlapping(f_pts, dq)
                q: IntArray = np.arange(f_pts)[bins]
                turn = np.exp(2j * np.pi * ((q + dq) * ahead % mfft) / mfft)
                plain = spectrum[:, dq % mfft, None] * turn
                mirrored = spectrum[:, -(2 * q + dq) % mfft] * turn.conj()
                yield (mine, other), (bins, their_bins), plain, mirrored

    def _products(self, dp: int) -> Float64Array:
        """Window of each frame, times that of the frame `dp` further, over the overlap."""
        start, count, _ = self._place
        hop = int(start[1] - start[0]) if start.size > 1 else 0
        w, shift = self._rows.w[0, : count[0]], dp * hop
        moved = np.zeros_like(w)
        if abs(shift) < w.size:
            moved[max(shift, 0) : w.size + min(shift, 0)] = w[max(-shift, 0) : w.size - max(shift, 0)]
        return self._load(self._inverse_overlap, (w * moved * self._rows.scale[0])[None])


def _overlapping(size: int, offset: int) -> tuple[slice, slice]:
    """Slices of the elements that have one `offset` further, and of those."""
    low, high = max(0, -offset), size - max(0, offset)
    return slice(low, high), slice(low + offset, high + offset)
