"""Best window length of each frame on its own, for criteria of scope ``"frame"``."""

from __future__ import annotations

import numpy as np

from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.criteria import Additive
from adaptstft.engine.frames import make_frames
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.statistics import statistics


def frame_sums(
    plan: FramePlan, x: AnyArray, criterion: Additive, length: float, positions: Float64Array
) -> Float64Array:
    """Return the sums of a criterion over each frame, all with one window length, shape (statistics, frames)."""
    frames = make_frames(np.full(positions.size, length), positions, mfft=plan.mfft)
    return statistics(plan, x, frames, criterion.statistics)[0]


def frame_terms(criterion: Additive, totals: Float64Array, count: float) -> Float64Array:
    """Return the term of each frame in a criterion of scope ``"frame"``, infinite for frames without energy.

    Parameters
    ----------
    criterion : Additive
        The criterion.
    totals : ndarray, shape (statistics, frames)
        Its sums over each frame.
    count : float
        Number of bins of a frame.
    """
    terms = np.full(totals.shape[1], np.inf)
    sounding = totals[0] > 0
    terms[sounding] = criterion.frame_terms(totals[:, sounding], np.full(np.count_nonzero(sounding), count))
    return terms


def best_frame_lengths(
    plan: FramePlan,
    x: AnyArray,
    criterion: Additive,
    lengths: Float64Array,
    positions: Float64Array,
    silent: float,
) -> tuple[Float64Array, Float64Array]:
    """Find the best length for each frame by an exhaustive search, with one transform for each length.

    Parameters
    ----------
    plan : FramePlan
        The transform.
    x : ndarray, shape (channels, n)
        The signal.
    criterion : Additive
        The criterion, of scope ``"frame"``.
    lengths : ndarray, shape (grid,)
        Window lengths in samples.
    positions : ndarray, shape (frames,)
        Positions of the frames in samples.
    silent : float
        Length of frames without energy, in samples.

    Returns
    -------
    win_length, terms : ndarray, shape (frames,)
        The best length of each frame, the first one of equally good ones, and the term of the frame with it.
    """
    best, win_length = np.full(positions.size, np.inf), np.full(positions.size, silent)
    for length in lengths:
        terms = frame_terms(criterion, frame_sums(plan, x, criterion, length, positions), float(plan.f_pts * len(x)))
        win_length, best = np.where(terms < best, length, win_length), np.minimum(terms, best)
    return win_length, best
