r"""The best surface of window lengths over bands and time, by dynamic programming over the tiles of a survey.

The surface minimises the criterion plus a price for changes of the log length: along time, in each band, and between
neighbouring bands. For one band, with its neighbours given, the best path along time is exact. The bands are taken in
turn, up and down, from the best surface that is constant in time.

A change must therefore gain more than it takes to describe it. Where the signal has no energy the criterion says
nothing, and the lengths are those of the neighbours.
"""

from __future__ import annotations

from types import ModuleType

import numpy as np
from scipy.interpolate import PchipInterpolator

from adaptstft.common.grids import length_grid
from adaptstft.common.typing import Float64Array, IntArray
from adaptstft.tuning.tables.tile_survey import TileSurvey

#: Ratio of neighbouring lengths of the paths.
_RATIO = 2**0.25
#: Most passes over the bands.
_PASSES = 6
#: Change of a log length for which a surface gets one more knot in time.
_KNOT = 0.35


def best_surface(survey: TileSurvey, price: float, across: float, kernels: ModuleType) -> Float64Array:
    """Return the logarithms of the best lengths of the tiles, shape (bands, groups).

    Parameters
    ----------
    survey : TileSurvey
        The criterion in every tile.
    price : float
        Price of a factor e in length between neighbouring groups of a band, and between bands for the whole signal.
    across : float
        Price of a factor e between neighbouring bands in each group.
    kernels : module
        The backend, for the dynamic programme.
    """
    lengths = length_grid(survey.lengths[0], survey.lengths[-1], _RATIO)
    log = np.log(lengths)
    cost = np.moveaxis(survey.values * survey.weights, 0, -1)
    if survey.lengths.size > 1:
        cost = PchipInterpolator(np.log(survey.lengths), cost, axis=-1)(log)
    bands, groups, _ = cost.shape
    chosen = np.repeat(_path(cost.sum(axis=1), log, price, kernels)[:, np.newaxis], groups, axis=1)
    order = list(range(bands))
    for _ in range(_PASSES if groups > 1 else 0):
        before = chosen.copy()
        for band in order:
            own = cost[band]
            for other in (band - 1, band + 1):
                if 0 <= other < bands:
                    own = own + across * np.abs(log - log[chosen[other]][:, np.newaxis])
            chosen[band] = _path(own, log, price, kernels)
        order.reverse()
        if np.array_equal(chosen, before):
            break
    return _in_order(log[chosen], survey.centres)


def _path(cost: Float64Array, log: Float64Array, price: float, kernels: ModuleType) -> IntArray:
    """Return the cheapest path through costs, shape (steps, lengths), as entries of the grid of lengths."""
    steps, states = cost.shape
    total, previous = cost[0].copy(), np.zeros((steps, states), np.int64)
    places = np.tile(np.arange(states), (steps, 1))
    moves = np.full(steps - 1, states), np.full(steps - 1, price)
    kernels.advance_paths(np.ascontiguousarray(cost[1:]), places, log, *moves, total, previous[1:])
    path = np.empty(steps, np.int64)
    path[-1] = total.argmin()
    for step in range(steps - 1, 0, -1):
        path[step - 1] = previous[step, path[step]]
    return path


def _in_order(log_lengths: Float64Array, centres: Float64Array) -> Float64Array:
    """Shorten windows until the edges of the windows of a band never move backwards.

    Lengths then change by at most twice the time. A long window among short ones would skip what these see.
    """
    lengths = np.exp(log_lengths)
    most = 2 * np.diff(centres)
    for k in range(1, centres.size):
        lengths[:, k] = np.minimum(lengths[:, k], lengths[:, k - 1] + most[k - 1])
    for k in range(centres.size - 2, -1, -1):
        lengths[:, k] = np.minimum(lengths[:, k], lengths[:, k + 1] + most[k])
    return np.asarray(np.log(lengths))


def time_knots(log_lengths: Float64Array, centres: Float64Array, hop: float, most: int) -> Float64Array:
    """Return places in samples between which a surface of log lengths, shape (bands, groups), changes equally much.

    There are at most `most` of them, and none if the surface does not change. They are at least two hops apart. A
    change counts over the time of the shorter one of its windows, because windows blur it over their length.
    """
    if centres.size < 2:
        return np.zeros(0)
    group = centres[1] - centres[0]
    grid = np.append(centres - group / 2, centres[-1] + group / 2)
    rate = np.zeros((len(log_lengths), centres.size))
    for band, row in enumerate(log_lengths):
        (places,) = np.nonzero(np.diff(row))
        half = np.exp(np.minimum(row[places], row[places + 1])) / 2 / group
        first = np.maximum(places + 1 - np.maximum(half, 1.0).astype(np.int64), 0)
        last = np.minimum(2 * (places + 1) - first, centres.size)
        share = np.abs(np.diff(row)[places]) / (last - first)
        change = np.zeros(centres.size + 1)
        np.add.at(change, first, share)
        np.add.at(change, last, -share)
        rate[band] = np.cumsum(change[:-1])
    until = np.append(0.0, np.cumsum(np.minimum(rate.max(axis=0), _KNOT * group / (2 * hop))))
    count = min(int(np.ceil(until[-1] / _KNOT - 1e-9)), most)
    if count <= 0:
        return np.zeros(0)
    until += np.linspace(0, 1e-3 * until[-1], until.size)  # increasing everywhere
    return np.asarray(np.interp(np.linspace(0, until[-1], count + 1), until, grid))
