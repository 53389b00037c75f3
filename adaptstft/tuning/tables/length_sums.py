"""Sums over frames for many window lengths, which are transformed together where they share an FFT length.

A frame with a short window needs no long FFT, see `adaptstft.engine.statistics.sums_of_longer_fft`.
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

#: FFT length relative to the window, at least, for sums that are not of integer powers. Sums of ``E**a`` are exact from
#: ``a`` points for each sample of the window on.
_OVERSAMPLING = 4.0
#: Ratio of successive FFT lengths.
_FFT_RATIO = 2**0.5


def sums_for_lengths(
    plan: FramePlan,
    x: AnyArray,
    stats: Statistics,
    lengths: Float64Array,
    positions: Sequence[Float64Array],
    mffts: IntArray,
    first: int = 0,
) -> Iterator[tuple[slice, Float64Array]]:
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
        Window lengths in samples.
    positions : sequence of ndarray
        Positions of the frames with each length.
    mffts : ndarray of int, shape (lengths,)
        FFT length that the sums of each length are for.
    first : int, optional
        Number of the first sample of `x`.

    Yields
    ------
    part, sums : slice, ndarray of shape (len(stats), frames)
        A range of the lengths, and the sums of their frames, length after length.
    """
    short = fft_lengths(mffts, stats, lengths)
    begin = 0
    while begin < lengths.size:
        end, most, frames = begin + 1, plan.kernels.BLOCK_ELEMENTS // int(short[begin]), positions[begin].size
        same = (short == short[begin]) & (mffts == mffts[begin])
        while end < lengths.size and same[end] and frames + positions[end].size <= most:
            frames += positions[end].size
            end += 1
        part, begin = slice(begin, end), end
        if frames:
            win_length = np.repeat(lengths[part], [one.size for one in positions[part]])
            at = replace(plan, mfft=int(short[part.start]))
            placed = make_frames(win_length, np.concatenate(positions[part]), mfft=at.mfft).moved(-first)
            yield part, sums_of_longer_fft(at, x, placed, stats, int(mffts[part.start]))


def fft_lengths(mffts: IntArray, stats: Statistics, lengths: Float64Array) -> IntArray:
    """Return an FFT length that is enough for each window: that in `mffts`, or a shorter even one, of which are few."""
    powers = not stats.logs.any() and bool(np.all(stats.exponents == np.rint(stats.exponents)))
    least = (float(stats.exponents.max()) if powers else _OVERSAMPLING) * lengths
    steps = np.maximum(np.floor(np.log(mffts / least) / np.log(_FFT_RATIO)), 0.0)
    halves = np.ceil(mffts / _FFT_RATIO**steps / 2).astype(int)
    short = np.array([2 * fft_lib.next_fast_len(int(half), real=True) for half in halves])
    return np.where(steps > 0, np.minimum(mffts, short), mffts)
