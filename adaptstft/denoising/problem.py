"""The problem that thresholds and frames are tuned for, a fitted estimate, and the rules for its frames."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace

import numpy as np
from scipy import fft

from adaptstft import kernels
from adaptstft.common.threads import count_workers
from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.denoising.block_sure import BlockShrinker
from adaptstft.denoising.shrinkage import GAINS, Gain, Mode
from adaptstft.denoising.sure import BinShrinker, Shrinker, ShrunkSignal
from adaptstft.engine.frames import Frames, make_frames
from adaptstft.engine.plan import FramePlan
from adaptstft.windows import Window

#: Hop as a fraction of the window length, and of the shortest one where lengths vary in time.
HOP_RATIO, SHORTEST_HOP_RATIO = 0.25, 0.5


@dataclass
class ShrinkageProblem:
    """A signal with noise of variance 1, the window, and the kind of shrinkage.

    Attributes
    ----------
    y : ndarray, shape (channels, n)
        The signal.
    window : Window
        The window function.
    mode : str
        One of the keys of `adaptstft.denoising.shrinkage.GAINS`.
    threshold : float or None
        The threshold; None to tune it.
    workers : int or None
        Number of threads.
    evaluations : int
        Number of evaluations of the risk so far.
    """

    y: AnyArray
    window: Window
    mode: Mode
    threshold: float | None
    workers: int | None
    evaluations: int = field(default=0)

    @property
    def n(self) -> int:
        """Number of samples."""
        return int(self.y.shape[-1])

    def channels(self) -> Iterator[ShrinkageProblem]:
        """Yield a problem for each channel."""
        return (replace(self, y=self.y[c : c + 1], evaluations=0) for c in range(len(self.y)))

    def shrinker(self, win_length: Float64Array, positions: Float64Array, mfft: int) -> Shrinker:
        """Return the shrinker for frames of these window lengths and positions in samples."""
        if self.mode == "block":
            return BlockShrinker(*self._framed(win_length, positions, mfft))
        return self.bin_shrinker(win_length, positions, mfft)

    def bin_shrinker(self, win_length: Float64Array, positions: Float64Array, mfft: int) -> BinShrinker:
        """Return the shrinker with a gain for each bin; only this one has derivatives in lengths and positions."""
        return BinShrinker(*self._framed(win_length, positions, mfft))

    def _framed(
        self, win_length: Float64Array, positions: Float64Array, mfft: int
    ) -> tuple[FramePlan, AnyArray, Frames, Callable[[Float64Array], Gain]]:
        """Return the arguments of a shrinker: plan, signal, frames and gain."""
        _, module = kernels.resolve("auto")
        fft_mode = "twosided" if np.iscomplexobj(self.y) else "onesided"
        plan = FramePlan(mfft, fft_mode, None, module, count_workers(self.workers), self.window, 1.0)
        return plan, self.y, make_frames(win_length, positions, mfft=mfft), GAINS[self.mode]

    def evaluate(self, shrinker: Shrinker, threshold: Float64Array, *, gradient: bool = False) -> ShrunkSignal:
        """Shrink with a threshold for each channel, and count the evaluation."""
        self.evaluations += 1
        return shrinker.shrink(threshold, gradient=gradient)


@dataclass(frozen=True)
class ShrinkageFit:
    """A denoised signal with the frames and thresholds that were used.

    Attributes
    ----------
    win_length, positions : ndarray, shape (frames,)
        Window lengths and positions of the frames in samples.
    hop : float
        Distance of the frames in samples.
    mfft : int
        Length of the FFT.
    threshold : ndarray, shape (channels,)
        Threshold of each channel.
    shrunk : ShrunkSignal
        The denoised signal and its estimated risk.
    """

    win_length: Float64Array
    positions: Float64Array
    hop: float
    mfft: int
    threshold: Float64Array
    shrunk: ShrunkSignal

    @property
    def risk(self) -> float:
        """Estimated risk of all channels."""
        return float(self.shrunk.total.sum())


def join_fits(fits: list[ShrinkageFit]) -> ShrinkageFit:
    """Join fits of single channels with the same frames to one of all channels."""
    x, risk, divergence = (
        np.concatenate([getattr(fit.shrunk, name) for fit in fits]) for name in ("x", "risk", "divergence")
    )
    threshold = np.concatenate([fit.threshold for fit in fits])
    return replace(fits[0], threshold=threshold, shrunk=ShrunkSignal(x, risk, divergence))


def even_fft(length: float) -> int:
    """Even FFT length with small prime factors, at least the window length."""
    return 2 * int(fft.next_fast_len(max(int(np.ceil(length / 2)), 1), real=True))


def frame_positions(n: int, hop: float, longest: float) -> Float64Array:
    """Positions of all frames, a hop apart, whose windows of at most `longest` samples can reach into the signal."""
    before = int(np.floor(longest / 2 / hop))
    after = int(np.ceil((n - 1 + longest / 2) / hop))
    return np.arange(-before, after + 1) * hop


def tied_hop(length: float) -> float:
    """Hop for a window length: a quarter of it, an integer so that all frames have the same window samples."""
    return float(max(1, round(HOP_RATIO * length)))
