"""Covered fraction of a signal, for a penalty where positions are tuned without guarantees."""

from __future__ import annotations

import numpy as np

from adaptstft.common.typing import Float64Array


def coverage(win_length: Float64Array, positions: Float64Array, n: int) -> tuple[float, Float64Array, Float64Array]:
    """Return the covered fraction of a signal, and its gradients in window lengths and positions.

    It is the length of the union of the supports ``[t_p - theta_p/2, t_p + theta_p/2]`` within ``[0, n - 1]``, divided
    by the length of the signal.
    """
    order = np.argsort(positions - win_length / 2, kind="stable")
    first, last = (positions - win_length / 2)[order], (positions + win_length / 2)[order]
    reach = np.maximum.accumulate(last)
    opens = np.flatnonzero(np.concatenate([[True], first[1:] > reach[:-1]]))  # first frames of stretches without a hole
    # the last frame of a stretch is the first one that reaches its end
    closes = np.searchsorted(reach, reach[np.append(opens[1:] - 1, positions.size - 1)])
    span = max(n - 1.0, 1.0)
    covered = np.clip(last[closes], 0, span) - np.clip(first[opens], 0, span)
    d_first, d_last = np.zeros((2, positions.size))
    d_first[order[opens]] = -1.0 * ((first[opens] > 0) & (first[opens] < span)) / span
    d_last[order[closes]] = ((last[closes] > 0) & (last[closes] < span)) / span
    return float(covered.sum() / span), (d_last - d_first) / 2, d_first + d_last
