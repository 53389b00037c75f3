r"""The exact inverse for one window per frame.

With the support of every window within the FFT's length, the frame operator
is diagonal in time [1]_: a multiplication by ``mfft * sum_p |w(n; t_p)|**2``.
Dividing by it gives the canonical dual, hence a perfect reconstruction, and
the least-squares signal for a modified transform.

References
----------
.. [1] P. Balazs, M. Doerfler, F. Jaillet, N. Holighaus, G. Velasco, "Theory,
   implementation and applications of nonstationary Gabor frames",
   J. Comput. Appl. Math. 236(6), 2011.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from adaptstft._typing import AnyArray, Float64Array
from adaptstft.framing import Frames
from adaptstft.transform import FrameBlocks, Transform, WindowRows


def window_overlap(tf: Transform, frames: Frames, low: int, high: int) -> Float64Array:
    """``sum_p |w(n; t_p, theta_p)|**2`` for samples ``low <= n < high``."""
    out = np.zeros(high - low)

    def work(part: slice, block: Frames, rows: WindowRows) -> Any:
        first, last = np.clip(block.covered(), low, high)
        stretch = np.zeros(last - first)
        tf.kernels.window_energy(rows.w, rows.scale, block.start, block.count, first, stretch)
        return first, last, stretch

    def merge(_: int, result: Any) -> None:
        first, last, stretch = result
        out[first - low : last - low] += stretch

    FrameBlocks(tf, frames, np.float64).run(work, merge)
    return out


def is_covered(overlap: Float64Array) -> Any:
    """Mask of the samples that can be reconstructed, by the criterion of SciPy's dual windows."""
    return overlap > np.finfo(float).resolution * overlap.max(initial=0.0)


def describe_samples(mask: Any, first: int) -> str:
    """Name the samples where `mask` is set, as ranges; `first` is the index of its first entry."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(int)))
    runs = [(first + a, first + b - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    text = ", ".join(f"{a}" if a == b else f"{a} to {b}" for a, b in runs[:5])
    return text + (f" and {len(runs) - 5} further ranges" if len(runs) > 5 else "")


def synthesize(tf: Transform, spectra: AnyArray, frames: Frames, low: int, high: int) -> AnyArray:
    """Least-squares signal of ``spectra``, shape (channels, frames, f_pts), for ``low <= n < high``."""
    overlap = window_overlap(tf, frames, low, high)
    covered = is_covered(overlap)
    if not np.all(covered):
        raise ValueError(
            f"the transform is not invertible: no window covers {int((~covered).sum())} of the samples "
            f"{low} to {high - 1}, namely {describe_samples(~covered, low)}; frames must overlap there "
            "(shorter hops or longer windows), or k0 and k1 must exclude them"
        )
    real = spectra.real.dtype
    out = np.zeros((spectra.shape[0], high - low), dtype=real if tf.onesided else spectra.dtype)

    def work(part: slice, block: Frames, rows: WindowRows) -> Any:
        first, last = np.clip(block.covered(), low, high)
        stretch = np.zeros((spectra.shape[0], last - first), dtype=out.dtype)
        place = (block.start, block.count, block.offset)
        for channel in range(spectra.shape[0]):
            y = tf.inverse_fft(spectra[channel, part], block.delta)
            tf.kernels.overlap_add(y, rows.w, rows.scale, *place, first, stretch[channel])
        return first, last, stretch

    def merge(_: int, result: Any) -> None:
        first, last, stretch = result
        out[:, first - low : last - low] += stretch

    FrameBlocks(tf, frames, real).run(work, merge)
    out /= overlap.astype(real)
    return out


def dual_rows(tf: Transform, frames: Frames, slot_starts: Any, slot: int, *, dual: bool) -> Float64Array:
    """Windows ``w_p``, or dual windows ``w_p / sum_p |w_p|**2``, in `slot` samples a frame."""
    low, high = frames.covered()
    overlap = window_overlap(tf, frames, low, high)
    out = np.zeros((len(frames), slot))

    def work(part: slice, block: Frames, rows: WindowRows) -> None:
        for b in range(len(block)):
            k = b if len(rows.w) > 1 else 0
            n = int(block.count[b])
            column = int(block.start[b] - slot_starts[part][b])
            values = rows.w[k, :n] * rows.scale[k]
            if dual:
                around = overlap[block.start[b] - low : block.start[b] - low + n]
                values = values / np.where(around > 0, around, 1.0)  # where it is 0, so is the window
            out[part.start + b, column : column + n] = values

    FrameBlocks(tf, frames, np.float64).run(work)
    return out
