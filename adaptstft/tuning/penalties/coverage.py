"""How much of a signal the windows cover, as a term for positions that are tuned without guarantees."""

from __future__ import annotations

import numpy as np

from adaptstft.common.typing import Float64Array


def coverage(win_length: Float64Array, positions: Float64Array, n: int) -> tuple[float, Float64Array, Float64Array]:
    """Return the covered fraction of a signal, and its slopes in window lengths and positions.

    It is the length of the union of the supports ``[t - theta/2, t + theta/2]`` within ``[0, n - 1]``, relative to
    that of the signal.
    """
    order = np.argsort(positions - win_length / 2, kind="stable")
    first, last = (positions - win_length / 2)[order], (positions + win_length / 2)[order]
    reach = np.maximum.accumulate(last)
    opens = np.flatnonzero(np.concatenate([[True], first[1:] > reach[:-1]]))  # stretches without a hole
    # who ends a stretch is the frame that first reaches as far as the stretch does
    closes = np.searchsorted(reach, reach[np.append(opens[1:] - 1, positions.size - 1)])
    span = max(n - 1.0, 1.0)
    covered = np.clip(last[closes], 0, span) - np.clip(first[opens], 0, span)
    d_first, d_last = np.zeros((2, positions.size))
    d_first[order[opens]] = -1.0 * ((first[opens] > 0) & (first[opens] < span)) / span
    d_last[order[closes]] = ((last[closes] > 0) & (last[closes] < span)) / span
    return float(covered.sum() / span), (d_last - d_first) / 2, d_first + d_last
