"""Frames around whole samples with one window, whose sums are computed without a copy of the samples."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from adaptstft import kernels
from adaptstft.common.threads import block_ranges, count_workers, run_blocks
from adaptstft.common.typing import AnyArray, BoolArray, Float64Array, IntArray
from adaptstft.windows import Window


@dataclass(frozen=True)
class ChirpFrames:
    """Frames of one window length, from which a linear chirp is removed; they have the methods of `peaks.Rows`.

    Attributes
    ----------
    x : ndarray, shape (n,)
        The signal.
    w : ndarray, shape (2 M + 1,)
        Samples of the window.
    centre : ndarray of int, shape (frames,)
        Samples at the centres.
    rate : ndarray, shape (frames,)
        Rate of the chirp in Hz/s.
    T : float
        Sampling interval in seconds.
    moments : ndarray, shape (4, frames)
        Sums over the samples in the signal: of the window, of its square, and of the square times time and times
        squared time.
    workers : int
        Number of threads.
    """

    x: AnyArray
    w: Float64Array
    centre: IntArray
    rate: Float64Array
    T: float
    moments: Float64Array
    workers: int

    @classmethod
    def of(
        cls,
        x: AnyArray,
        window: Window,
        length: float,
        centre: IntArray,
        rate: Float64Array,
        T: float,
        workers: int | None,
    ) -> ChirpFrames:
        """Place a window of `length` samples at `centre`."""
        half = int(np.ceil(length / 2))
        k = np.arange(-half, half + 1)
        w = window(k / length)
        s = k * T
        sums = np.cumsum(np.pad([w, w**2, s * w**2, s**2 * w**2], [(0, 0), (1, 0)]), axis=1)
        first = np.clip(half - centre, 0, w.size)
        last = np.clip(half + x.size - centre, 0, w.size)
        return cls(x, w, centre, rate, T, sums[:, last] - sums[:, first], count_workers(workers))

    @property
    def gain(self) -> Float64Array:
        """Sums of the windows."""
        return np.asarray(self.moments[0])

    @property
    def energy(self) -> Float64Array:
        """Energies of the windows."""
        return np.asarray(self.moments[1])

    def take(self, frames: BoolArray) -> ChirpFrames:
        """Return some of the frames."""
        return replace(self, centre=self.centre[frames], rate=self.rate[frames], moments=self.moments[:, frames])

    def second_moment(self, middle: Float64Array) -> Float64Array:
        """Second moment of the squared windows around `middle` in seconds."""
        _, energy, first, second = self.moments
        return np.asarray(second - 2 * middle * first + middle**2 * energy)

    def sums(self, f: Float64Array) -> tuple[AnyArray, AnyArray, AnyArray]:
        """Return ``V_0``, ``V_1`` and ``V_2`` at a frequency in Hz for each frame."""
        out = np.empty((3, f.size), complex)
        backend, T = kernels.resolve("auto")[1], self.T
        parts = block_ranges(f.size, self.w.size)

        def work(i: int) -> None:
            part = slice(*parts[i])
            rows = np.empty((3, part.stop - part.start), complex)
            backend.chirp_sums(self.x, self.w, self.centre[part], f[part] * T, self.rate[part] * T**2, rows)
            out[:, part] = rows

        run_blocks(len(parts), work, self.workers)
        return out[0], T * out[1], T**2 * out[2]
