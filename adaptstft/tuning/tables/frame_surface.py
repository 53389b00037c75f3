"""The criterion over time and window length, from the sums of every frame at every length."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from adaptstft.common.typing import Float64Array
from adaptstft.criteria import Additive
from adaptstft.criteria.evaluate import comparable_view
from adaptstft.criteria.neighbourhoods import Neighbourhoods
from adaptstft.criteria.scopes import table_values
from adaptstft.engine.frames import durations
from adaptstft.engine.plan import FramePlan
from adaptstft.tuning.tables.end_sums import SumsWithEnds
from adaptstft.tuning.tables.frame_lengths import frame_terms
from adaptstft.tuning.tables.frame_sums import FrameSums
from adaptstft.tuning.tables.survey import Surface

#: Number of widths of neighbourhoods in a signal, at least, and smallest width in hops.
_WIDTHS, _HOPS = 16, 8
#: Number of frames times lengths that are summed at once.
_ENTRIES = 1 << 16


def surface_width(n: int, hop: float, widest: float) -> float:
    """Return the width in samples of the neighbourhoods of a surface, at most that of the search.

    In wide neighbourhoods a picture would not show where a short event is.
    """
    return min(widest, max(n / _WIDTHS, _HOPS * hop))


def surface_of_sums(
    plan: FramePlan,
    sums: FrameSums | SumsWithEnds,
    criterion: Additive,
    positions: Float64Array,
    channels: int,
    n: int,
    neighbourhoods: Neighbourhoods | None,
) -> Surface:
    """Return the criterion in neighbourhoods, or of every frame, with each length of a table for all frames in it.

    Parameters
    ----------
    plan : FramePlan
        The transform.
    sums : FrameSums or SumsWithEnds
        The table.
    criterion : Additive
        The criterion; its scope is replaced.
    positions : ndarray, shape (frames,)
        Positions of the frames in samples.
    channels, n : int
        Number of channels and of samples.
    neighbourhoods : Neighbourhoods or None
        The places; None for the frames.

    Returns
    -------
    Surface
        The criterion, over times in samples.
    """
    places = positions if neighbourhoods is None else neighbourhoods.centres
    size, count = sums.log_lengths.size, float(plan.f_pts * channels)
    values, energy = np.empty((places.size, size)), np.zeros_like(places)
    alone = replace(criterion, scope="frame", width=None)
    view = comparable_view(alone, positions, durations(positions, n), plan.mfft, neighbourhoods)
    step = max(1, _ENTRIES // positions.size)
    for part in (slice(first, min(first + step, size)) for first in range(0, size, step)):
        totals = sums.at(sums.log_lengths[part])
        if neighbourhoods is None:
            flat = totals.reshape(len(totals), -1)
            values[:, part] = frame_terms(alone, flat * view.cell, count * view.cell).reshape(places.size, -1)
            energy = energy + totals[0].sum(axis=1)
        else:
            counts = np.full(positions.size, count)
            values[:, part], energy = table_values(alone.combine, totals, counts, view, spread=alone.spread)
    # a frame that is silent with one length has no values to compare
    energy[~np.isfinite(values).all(axis=1)] = 0.0
    return Surface.of_places("time", places, np.exp(sums.log_lengths), values, energy)
