"""Sums over frames for many window lengths; the frames of several lengths are transformed together if they are few.

A frame with a short window needs no long FFT, see `adaptstft.engine.statistics.sums_of_longer_fft`. It gets a longer
one than it needs together with frames of longer windows: for few frames this takes less time than another transform.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from scipy import fft as fft_lib

from adaptstft.common.typing import AnyArray, Float64Array, IntArray
from adaptstft.engine.frames import make_frames
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.statistics import Statistics, sums_of_longer_fft
from adaptstft.kernels.terms import POWER

#: FFT length relative to the window, at least, for sums that are not of integer powers. Sums of ``E**a`` are exact from
#: ``a`` points for each sample of the window on.
_OVERSAMPLING = 4.0


def sums_for_lengths(
    plan: FramePlan,
    x: AnyArray,
    stats: Statistics,
    lengths: Float64Array,
    positions: Sequence[Float64Array],
    mffts: IntArray,
    first: int = 0,
) -> Iterator[tuple[slice, Float64Array, float]]:
    """Compute the statistics of frames with each of some window lengths.

    Parameters
    ----------
    plan : FramePlan
        The transform; its FFT length is not used.
    x : ndarray, shape (channels, m)
        The signal.
    stats : Statistics
        The statistics.
    lengths : ndarray, shape (lengths,)
        Window lengths in samples, in ascending order.
    positions : sequence of ndarray
        Positions of the frames with each length.
    mffts : ndarray of int, shape (lengths,)
        FFT length that the sums of each length are for.
    first : int, optional
        Number of the first sample of `x`.

    Yields
    ------
    part, sums, done : slice, ndarray of shape (len(stats), frames), float
        A range of the lengths, the sums of their frames, length after length, and the share of the work that is done.
    """
    sizes = np.array([one.size for one in positions], dtype=int)
    parts = list(_parts(_least_ffts(mffts, stats, lengths), mffts, sizes, plan.kernels.BLOCK_ELEMENTS))
    work = np.cumsum([mfft * sizes[part].sum() for part, mfft in parts], dtype=float)
    for (part, mfft), done in zip(parts, work, strict=True):
        win_length = np.repeat(lengths[part], sizes[part])
        frames = make_frames(win_length, np.concatenate(positions[part]), mfft=mfft).moved(-first)
        plan = plan if plan.mfft == mfft else replace(plan, mfft=mfft)
        sums = sums_of_longer_fft(plan, x, frames, stats, int(mffts[part.start]))
        yield part, sums, float(done / work[-1])


def _parts(short: IntArray, mffts: IntArray, sizes: IntArray, elements: int) -> Iterator[tuple[slice, int]]:
    """Return ranges of lengths with their FFT length: of one length, or of several whose frames make at most one block.

    A range begins at its longest window.
    """
    end = sizes.size
    while end > 0:
        begin, mfft = end - 1, int(short[end - 1])
        while begin > 0 and mffts[begin - 1] == mffts[end - 1] and mfft * sizes[begin - 1 : end].sum() <= elements:
            begin -= 1
        if sizes[begin:end].any():
            yield slice(begin, end), mfft
        end = begin


def _least_ffts(mffts: IntArray, stats: Statistics, lengths: Float64Array) -> IntArray:
    """Return an FFT length that is enough for each window: that in `mffts`, or a shorter even one."""
    powers = bool(np.all((stats.kinds == POWER) & (stats.exponents == np.rint(stats.exponents))))
    least = (float(stats.exponents.max()) if powers else _OVERSAMPLING) * lengths
    halves = [fft_lib.next_fast_len(int(half), real=True) for half in np.ceil(least / 2)]
    return np.asarray(np.minimum(mffts, 2 * np.array(halves, dtype=int)))
