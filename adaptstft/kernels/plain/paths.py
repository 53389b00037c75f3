"""NumPy kernel of the dynamic programme for window lengths: cheapest paths through the states of a block of frames."""

from __future__ import annotations

import numpy as np

from adaptstft.common.typing import AnyArray, Float64Array


def advance_paths(
    cost: Float64Array,
    places: AnyArray,
    log: Float64Array,
    reach: AnyArray,
    weight: Float64Array,
    total: Float64Array,
    previous: AnyArray,
) -> None:
    """Extend the cheapest paths by a block of frames: update `total`, and write `previous`.

    State ``j`` of frame ``b`` is entry ``places[b + 1, j]`` of a grid of lengths with the logarithms `log`, and
    costs ``cost[b, j]``; ``places[0]`` are those of the frame before the block, whose cheapest paths cost `total`.
    The places of a frame increase. A move by ``d`` in the log length costs ``weight[b] * abs(d)``;
    moves by more than ``reach[b]`` entries do not exist. ``previous[b, j]`` is the state that the cheapest path
    to state ``j`` comes from, or -1. Of equally cheap ones it is the first.
    """
    for b in range(len(cost)):
        change = log[places[b + 1]][:, None] - log[places[b]]
        through = total + weight[b] * np.abs(change)
        through[np.abs(places[b + 1][:, None] - places[b]) > reach[b]] = np.inf
        choice = through.argmin(axis=1)
        best = through[np.arange(choice.size), choice]
        previous[b] = np.where(np.isinf(best), -1, choice)
        total[:] = best + cost[b]
