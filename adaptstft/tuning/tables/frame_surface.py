"""The criterion over time and window length, from the sums of every frame at every length."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from adaptstft.common.typing import Float64Array
from adaptstft.criteria import Additive
from adaptstft.criteria.evaluate import comparable_view
from adaptstft.criteria.neighbourhoods import Neighbourhoods
from adaptstft.criteria.scopes import neighbourhood_values
from adaptstft.engine.frames import durations
from adaptstft.engine.plan import FramePlan
from adaptstft.tuning.tables.frame_lengths import frame_terms
from adaptstft.tuning.tables.frame_sums import FrameSums
from adaptstft.tuning.tables.survey import Surface

#: Number of widths of neighbourhoods in a signal, at least, and smallest width in hops.
_WIDTHS, _HOPS = 16, 8


def surface_width(n: int, hop: float, widest: float) -> float:
    """Return the width in samples of the neighbourhoods of a surface, at most that of the search.

    In wide neighbourhoods a picture would not show where a short event is.
    """
    return min(widest, max(n / _WIDTHS, _HOPS * hop))


def surface_of_sums(
    plan: FramePlan,
    sums: FrameSums,
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
    sums : FrameSums
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
    values, energy = np.empty((places.size, sums.log_lengths.size)), np.zeros(places.size)
    alone = replace(criterion, scope="frame", width=None)
    view = comparable_view(alone, positions, durations(positions, n), plan.mfft, neighbourhoods)
    count = float(plan.f_pts * channels)
    for i in range(sums.log_lengths.size):
        totals = sums.at(sums.log_lengths[i : i + 1])[..., 0]
        if neighbourhoods is None:
            values[:, i], share = frame_terms(alone, totals * view.cell, count * view.cell), totals[0]
        else:
            counts = np.full(positions.size, count)
            values[:, i], share = neighbourhood_values(alone.combine, totals, counts, view, spread=alone.spread)
        energy += share
    # a frame that is silent with one length has no values to compare
    energy[~np.isfinite(values).all(axis=1)] = 0.0
    return Surface.of_places("time", places, np.exp(sums.log_lengths), values, energy)
