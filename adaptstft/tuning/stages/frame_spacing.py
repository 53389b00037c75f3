"""Width of neighbourhoods and distance of frames, for lengths that vary from frame to frame.

One length does not suit a signal whose parts differ. In a wide neighbourhood a tone can dominate the short events next
to it. Neighbourhoods are therefore divided as long as a length for each of them improves the criterion.

The distance of frames follows from the shortest windows that a part of the signal needs: within neighbourhoods of
several widths, windows up to each width are compared, and the improvement by short ones counts for the energy of the
neighbourhood.

A signal that cannot be told from noise has no parts that differ, and keeps the hop of the best single length.
"""

from __future__ import annotations

import numpy as np

from adaptstft.common.typing import Float64Array
from adaptstft.criteria import Criterion, DescriptionLength
from adaptstft.criteria.neighbourhoods import Neighbourhoods
from adaptstft.tuning.log import Log
from adaptstft.tuning.options import finds_path
from adaptstft.tuning.problem import Layout, Problem
from adaptstft.tuning.request import WIDEST_RATIO
from adaptstft.tuning.stages.frame_path import NATS_PER_CHANGE, FramePath, find_path, nat
from adaptstft.tuning.tables.framing import NEGLIGIBLE_SHARE

#: Ratio of successive widths of neighbourhoods, and of a width to the longest window that is short in it.
_SCALE = 4.0
#: Smallest significant gain in nats: over the longest window of a neighbourhood, and of narrower neighbourhoods.
_LEAST_GAIN = 0.3
#: Largest number of bins times frames that a smaller hop may lead to: some hundredths of a second for each evaluation.
_MOST_BINS = 1 << 20


def neighbourhood_width(layout: Layout, log: Log) -> float:
    """Return the width of neighbourhoods in samples.

    It is that of `layout`, divided by four as long as a length for each neighbourhood improves the criterion.
    """
    problem, widest = layout.problem, layout.width
    if isinstance(problem.request.criterion, DescriptionLength):
        return widest  # the terms of the frames do not depend on it, and quiet parts get a distortion of their own
    low = problem.request.win_bounds[0]
    longest = WIDEST_RATIO * layout.typical
    width, before = widest, None
    while width >= _SCALE * low:
        lengths = problem.lengths_up_to(min(longest, width))
        hood = problem.neighbourhoods(width)
        values = _local_values(problem, log, lengths, hood, None)
        if before is not None:
            former = np.interp(hood.centres, *before)
            kept = [float(np.interp(v, np.log(lengths), row)) for v, row in zip(former, values, strict=True)]
            if hood.energy @ (np.array(kept) - values.min(axis=1)) < _LEAST_GAIN:
                return width * _SCALE
        before = (hood.centres, np.log(lengths[values.argmin(axis=1)]))
        width /= _SCALE
    return min(width * _SCALE, widest)


def _local_values(
    problem: Problem, log: Log, lengths: Float64Array, hood: Neighbourhoods, criterion: Criterion | None
) -> Float64Array:
    """Return the criterion of every length in every neighbourhood, shape (groups, lengths).

    Without a criterion it is that of the problem, in scope ``"local"`` with these neighbourhoods.
    """
    local = problem.table(log, lengths, criterion, hood).local
    assert local is not None
    return np.asarray(local / np.maximum(hood.energy * hood.energy.size, np.finfo(float).tiny)[:, None])


def shortest_useful(layout: Layout, log: Log) -> float:
    """Return the shortest window that concentrates more than a negligible share of the energy; `inf` if none does."""
    problem = layout.problem
    low = problem.request.win_bounds[0]
    neighbourhoods = layout.neighbourhoods()
    width, criterion = neighbourhoods.width, None
    if isinstance(problem.request.criterion, DescriptionLength):  # one distortion, so that all widths share their sums
        criterion = problem.with_scope("local", neighbourhoods)
    best, shares = [np.array([np.inf])], [np.array([0.0])]
    while width / _SCALE >= low:
        lengths = problem.lengths_up_to(width)
        hood = problem.neighbourhoods(width)
        values, least = _local_values(problem, log, lengths, hood, criterion), _least_gain(problem, hood)
        shortest = lengths[values.argmin(axis=1)]
        gain = values[:, -1] - values.min(axis=1)
        best.append(np.where((shortest <= width / _SCALE) & (gain >= least), shortest, np.inf))
        shares.append(hood.energy)
        width /= _SCALE
    return min(_quantile(length, share) for length, share in zip(best, shares, strict=True))


def _least_gain(problem: Problem, hood: Neighbourhoods) -> Float64Array | float:
    """Return the smallest significant gain in each neighbourhood.

    A description length falls by more than two changes of the length cost, to the short windows and back.
    """
    request = problem.request
    if not isinstance(request.criterion, DescriptionLength):
        return _LEAST_GAIN
    samples = hood.areas(request.n) * hood.centres.size * hood.width / 2
    return 2 * float(np.log(_SCALE)) * NATS_PER_CHANGE * nat(request) * request.n / samples


def _quantile(lengths: Float64Array, shares: Float64Array) -> float:
    """Return the smallest length that, with all smaller ones, stands for more than a negligible share."""
    order = np.argsort(lengths)
    counts = np.cumsum(shares[order]) > NEGLIGIBLE_SHARE
    return float(lengths[order][counts.argmax()]) if counts.any() else np.inf


def frame_spacing(layout: Layout, log: Log, base: Float64Array, hop: float) -> tuple[float, FramePath | None]:
    """Return the hop for lengths that vary from frame to frame: that of the best single length, or a smaller one.

    If the best path of lengths has been searched at the hop that is returned, it is returned too.
    """
    problem, request = layout.problem, layout.problem.request
    if not problem.compares_neighbourhoods or request.hop is not None or log.noise:
        return hop, None
    ratio = request.overlap.spacing_ratio
    mfft = layout.framing(hop, layout.typical).mfft
    affordable = request.channels * request.n * mfft / 2 / _MOST_BINS
    wanted = max(shortest_useful(layout, log) * ratio, affordable, 1.0)
    finest = problem.finer_hop(hop, min(wanted, hop))
    if finest > hop / _SCALE or not finds_path(request.criterion, request):
        return finest, None
    # the whole signal need not use the short windows that single neighbourhoods prefer
    positions = request.regular_positions(finest)
    found = find_path(layout, log, finest, positions, base, request.callback)
    if found is None or log.stopped:
        return finest, found
    hood = layout.neighbourhoods()
    share = np.asarray(hood.member(positions).T @ hood.energy)
    used = float(np.clip(round(_quantile(found.path.win_length, share / share.sum()) * ratio), finest, hop))
    return used, found if used == finest else None
