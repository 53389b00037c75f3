r"""Stein's estimate of the risk where a bin is shrunk by the mean energy of the block of bins around it.

The formulas of `adaptstft.denoising.sure` hold with gains ``g(v)`` of ``v = lam / Q``. Here ``Q_k`` is the mean of
``u = |S|**2 / e_p`` over the block of bin ``k``: those of its bins that exist, in frames that contain samples of the
signal. A shrunk bin now depends on its neighbours, whose atoms are not orthogonal:

.. math:: \frac{\partial (g S_k)}{\partial y[n]} = g\, a_k[n]
          - \frac{v g'}{Q_k} S_k \sum_{j} W_{kj} \frac{1}{e_j}
            \left(\overline{S_j} a_j[n] + S_j \overline{a_j[n]}\right)

for atoms ``a_k`` and weights ``W_kj`` in the block. Summation with the dual atoms ``b_k[n]`` gives the divergence

.. math:: \sum_k g \langle b_k, a_k\rangle - \mathrm{Re} \sum_k \frac{v g'}{Q_k} S_k \sum_j \frac{W_{kj}}{e_j}
          \left(\overline{S_j} \sum_n b_k[n] a_j[n] + S_j \sum_n b_k[n] \overline{a_j[n]}\right),

whose inner sums are Fourier coefficients of ``w_p w_p' / D``. Blocks in time and frequency were proposed in [1]_; here
the blocks overlap and have one size.

References
----------
.. [1] G. Yu, S. Mallat, E. Bacry, "Audio denoising by time-frequency block thresholding", IEEE Trans. Signal
   Process. 56(5), 2008.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
from scipy.ndimage import correlate1d

from adaptstft.common.typing import AnyArray, ComplexArray, Float64Array, IntArray
from adaptstft.denoising.shrinkage import Gain, threshold_ratio
from adaptstft.denoising.sure import Shrinker, ShrunkSignal
from adaptstft.engine.forward import forward
from adaptstft.engine.frames import Frames
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.window_samples import sample_windows

#: Sides of a block in frames and bins.
BLOCK = (3, 3)


@dataclass(frozen=True)
class _ChannelBlocks:
    """Blocks of one channel; all arrays have the shape (frames, f_pts).

    Attributes
    ----------
    S : ndarray of complex
        Transform of the channel.
    energy : ndarray
        Mean energy ``Q`` of the block around each bin, in variances of the noise.
    coupling : ndarray
        ``S_k / Q_k`` times the sum over ``j`` in the divergence of the module's docstring.
    """

    S: ComplexArray
    energy: Float64Array
    coupling: Float64Array


class BlockShrinker(Shrinker):
    """Shrinks the transform of a signal with white noise of variance 1, with gains that depend on blocks of bins.

    Parameters
    ----------
    plan, y, gain
        As in `adaptstft.denoising.sure.Shrinker`.
    frames : Frames
        Frames of one window length at integer positions with a constant hop.
    """

    def __init__(self, plan: FramePlan, y: AnyArray, frames: Frames, gain: Callable[[Float64Array], Gain]) -> None:
        super().__init__(plan, y, frames, gain)
        self._placed = frames[:]
        self._rows = sample_windows(plan, self._placed[:1], np.float64, gradient=False, shape=False)
        self._anchor = np.floor(frames.positions + 0.5).astype(np.int64)
        squared_window = self._rows.w**2 * self._rows.scale[0]
        self._variance: Float64Array = self._weighted_frames(self._ones, squared_window).sum(axis=1)
        self._valid = self._variance > 1e-9 * self._variance.max()
        self._share = self._weighted_frames(self._inverse_overlap, squared_window).sum(axis=1)
        self._members = self._block_sum(np.repeat(self._valid[:, None], plan.f_pts, axis=1).astype(float))
        self._channels = [self._channel_blocks(signal) for signal in y]

    def shrink(self, threshold: Float64Array, *, gradient: bool = False) -> ShrunkSignal:
        """Shrink with a threshold for each channel; with `gradient` also differentiate in its logarithm."""
        channels = len(self.y)
        sums = np.zeros((4 if gradient else 2, channels, self.n), self.y.dtype)
        for c, blocks in enumerate(self._channels):
            gain = self.gain(threshold_ratio(threshold[c], 1.0, blocks.energy))
            self._add(blocks, gain.value, gain.gradient, sums[0, c], sums[1, c])
            if gradient:
                self._add(blocks, gain.gradient, gain.gradient + gain.curvature, sums[2, c], sums[3, c])
        sums *= self._inverse_overlap
        return self._shrunk(*sums)

    def _add(
        self, blocks: _ChannelBlocks, value: Float64Array, gradient: Float64Array, x: AnyArray, divergence: AnyArray
    ) -> None:
        """Add all frames of the estimate and of its divergence; `gradient` is that of the gain in ``log v``."""
        plan = self.plan
        sums = (value * self._share[:, None] / plan.mfft - gradient * blocks.coupling) @ self._sides
        mean = sums / np.where(self._share > 0, self._share, 1.0)
        weighted = (self._weighted_frames(self._ones, self._rows.w) * mean[:, None]).astype(self.y.dtype)
        placed, rows = self._placed, self._rows
        for values, out in ((plan.inverse_fft(value * blocks.S), x), (weighted, divergence)):
            plan.kernels.overlap_add(values, rows.w, rows.scale, *placed.place, 0, out)

    def _weighted_frames(self, signal: AnyArray, w: Float64Array) -> AnyArray:
        """Load the frames of a signal times the window `w`, in the layout of the FFT."""
        return self._load(signal, self._placed, replace(self._rows, w=w))

    def _block_sum(self, values: Float64Array) -> Float64Array:
        """Sum the values of bins (frames, f_pts) over the block around each bin."""
        for axis, side in enumerate(BLOCK):
            values = correlate1d(values, np.ones(side), axis=axis, mode="constant")
        return np.asarray(values)

    def _channel_blocks(self, signal: AnyArray) -> _ChannelBlocks:
        """Transform a channel and compute the energies of its blocks and their part in the divergence."""
        spectra = forward(self.plan, signal[None], self.frames)[0]
        S = np.where(self._valid[:, None], spectra, 0)
        per_variance = np.where(self._valid, 1 / np.where(self._valid, self._variance, 1.0), 0.0)[:, None]
        u = (S.real**2 + S.imag**2) * per_variance
        members = np.maximum(self._members, 1.0)
        energy = self._block_sum(u) / members
        coupling = np.zeros_like(u)
        for (frames, other_frames), (bins, other_bins), direct, mirrored in self._pairs():
            a, b = S[frames, bins], S[other_frames, other_bins] * per_variance[other_frames]
            term = a * b.conj() * direct
            if self.plan.onesided:
                term += a * b * mirrored
            coupling[frames, bins] += term.real
        coupling /= members * np.where(energy > 0, energy, 1.0)
        return _ChannelBlocks(S, energy, coupling)

    def _pairs(
        self,
    ) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice], ComplexArray, ComplexArray]]:
        """Yield pairs of bins within a block, and sums over the samples of a dual atom times the other atom.

        Each item has the slices of frames and of other frames, the slices of bins and of other bins, the sums with the
        other atom, and the sums with its conjugate.
        """
        p_num, f_pts, mfft = len(self.frames), self.plan.f_pts, self.plan.mfft
        for dp in range(-(BLOCK[0] // 2), BLOCK[0] // 2 + 1):
            frames, other_frames = _pair_slices(p_num, dp)
            if frames.start >= frames.stop:
                continue
            # w_p w_p' / D in the layout of frame p, and the phase origin of the other frame relative to that of p
            spectrum = self.plan.kernels.fft.fft(self._window_products(dp)[frames], axis=-1) / mfft
            ahead = (self._anchor[other_frames] - self._anchor[frames])[:, None]
            for dq in range(-(BLOCK[1] // 2), BLOCK[1] // 2 + 1):
                bins, other_bins = _pair_slices(f_pts, dq)
                q: IntArray = np.arange(f_pts)[bins]
                rotation = np.exp(2j * np.pi * ((q + dq) * ahead % mfft) / mfft)
                direct = spectrum[:, dq % mfft, None] * rotation
                mirrored = spectrum[:, -(2 * q + dq) % mfft] * rotation.conj()
                yield (frames, other_frames), (bins, other_bins), direct, mirrored

    def _window_products(self, dp: int) -> Float64Array:
        """Window of each frame, times that of the frame `dp` further, over the overlap ``D``."""
        start, count = self._placed.start, self._placed.count
        hop = int(start[1] - start[0]) if start.size > 1 else 0
        w, shift = self._rows.w[0, : count[0]], dp * hop
        moved = np.zeros_like(w)
        if abs(shift) < w.size:
            moved[max(shift, 0) : w.size + min(shift, 0)] = w[max(-shift, 0) : w.size - max(shift, 0)]
        return self._weighted_frames(self._inverse_overlap, (w * moved * self._rows.scale[0])[None])


def _pair_slices(size: int, offset: int) -> tuple[slice, slice]:
    """Slices of the elements for which the element `offset` further exists, and of those other elements."""
    low, high = max(0, -offset), size - max(0, offset)
    return slice(low, high), slice(low + offset, high + offset)
