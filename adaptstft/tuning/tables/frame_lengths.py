"""Best window length of each frame on its own, for criteria of scope ``"frame"``."""

from __future__ import annotations

import numpy as np

from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.criteria import Additive
from adaptstft.engine.plan import FramePlan
from adaptstft.tuning.tables.length_sums import sums_for_lengths


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
        Window lengths in samples, in ascending order.
    positions : ndarray, shape (frames,)
        Positions of the frames in samples.
    silent : float
        Length of frames without energy, in samples.

    Returns
    -------
    win_length, terms : ndarray, shape (frames,)
        The best length of each frame, the shortest of equally good ones, and the term of the frame with it.
    """
    best, win_length = np.full(positions.size, np.inf), np.full(positions.size, silent)
    asked = [positions] * lengths.size, np.full(lengths.size, plan.mfft)
    for part, sums, _ in sums_for_lengths(plan, x, criterion.statistics, lengths, *asked):
        terms = frame_terms(criterion, sums, float(plan.f_pts * len(x))).reshape(-1, positions.size)
        least = terms.min(axis=0)
        better = (least <= best) & np.isfinite(least)  # of equally good lengths the shorter ones come later, and win
        win_length = np.where(better, lengths[part][terms.argmin(axis=0)], win_length)
        best = np.minimum(least, best)
    return win_length, best
