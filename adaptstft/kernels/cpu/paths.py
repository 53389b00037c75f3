"""Numba kernel of the dynamic programme for window lengths: cheapest paths through the states of a block of frames."""

from __future__ import annotations

import numpy as np

from adaptstft.kernels.cpu.jit import helper, kernel


@kernel
def advance_paths(cost, places, log, reach, weight, total, previous):  # type: ignore[no-untyped-def]
    """Extend the cheapest paths by a block of frames: update `total`, and write `previous`.

    State ``j`` of frame ``b`` is entry ``places[b + 1, j]`` of a grid of lengths with the logarithms `log`, and
    costs ``cost[b, j]``; ``places[0]`` are those of the frame before the block, whose cheapest paths cost `total`.
    The places of a frame increase. A move by ``d`` in the log length costs ``weight[b] * abs(d)``;
    moves by more than ``reach[b]`` entries do not exist. ``previous[b, j]`` is the state that the cheapest path
    to state ``j`` comes from, or -1. Of equally cheap ones it is the first.
    """
    states = total.size
    extended = np.empty(states)
    for b in range(cost.shape[0]):
        if reach[b] >= log.size - 1:
            _unlimited(cost[b], log, places[b], places[b + 1], weight[b], total, extended, previous[b])
            total[:] = extended
            continue
        first = 0
        for j in range(states):
            place = places[b + 1, j]
            best, choice = np.inf, -1
            while first < states and places[b, first] < place - reach[b]:
                first += 1
            for i in range(first, states):
                if places[b, i] > place + reach[b]:
                    break
                change = log[place] - log[places[b, i]]
                through = total[i] + weight[b] * abs(change)
                if through < best:
                    best, choice = through, i
            extended[j] = best + cost[b, j]
            previous[b, j] = choice
        total[:] = extended


@helper
def _unlimited(cost, log, before, after, weight, total, extended, previous):  # type: ignore[no-untyped-def]
    """Extend the cheapest paths by a frame with moves of any size, in one pass up and one down.

    A move costs `weight` for each unit of the log length, so that the best origin below a state is that of the least
    ``total - weight * log``.
    """
    states = total.size
    best, choice, i = np.inf, -1, 0
    for j in range(states):
        while i < states and before[i] <= after[j]:
            if total[i] - weight * log[before[i]] < best:
                best, choice = total[i] - weight * log[before[i]], i
            i += 1
        extended[j] = best + weight * log[after[j]] + cost[j]
        previous[j] = choice
    best, choice, i = np.inf, -1, states - 1
    for j in range(states - 1, -1, -1):
        while i >= 0 and before[i] >= after[j]:
            if total[i] + weight * log[before[i]] < best:
                best, choice = total[i] + weight * log[before[i]], i
            i -= 1
        through = best - weight * log[after[j]] + cost[j]
        if through < extended[j]:
            extended[j] = through
            previous[j] = choice
