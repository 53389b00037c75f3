"""The criterion over time and window length, from the sums of every frame at every length."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from adaptstft.common.typing import Float64Array
from adaptstft.criteria import Additive
from adaptstft.criteria.evaluate import comparable_view
from adaptstft.criteria.neighbourhoods import Neighbourhoods
from adaptstft.criteria.scopes import FrameView, LocalSums, local_values
from adaptstft.engine.frames import durations
from adaptstft.engine.plan import FramePlan
from adaptstft.tuning.tables.end_sums import SumsWithEnds
from adaptstft.tuning.tables.frame_lengths import frame_terms
from adaptstft.tuning.tables.frame_sums import FrameSums
from adaptstft.tuning.tables.survey import Surface

#: Number of widths of neighbourhoods in a signal, at least, and smallest width in hops.
_WIDTHS, _HOPS = 16, 8
#: Number of frames that are read at all lengths of the table at once.
_PIECE = 1 << 12


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
    values = np.empty((places.size, sums.log_lengths.size))
    alone = replace(criterion, scope="frame", width=None)
    view = comparable_view(alone, positions, durations(positions, n), plan.mfft, neighbourhoods)
    count = float(plan.f_pts * channels)
    energy: Float64Array = np.zeros(places.size)
    if neighbourhoods is None:
        for first in range(0, positions.size, _PIECE):
            part = slice(first, first + _PIECE)
            totals = sums.at(sums.log_lengths, part)
            terms = frame_terms(alone, totals.reshape(len(totals), -1) * view.cell, count * view.cell)
            values[part], energy[part] = terms.reshape(totals.shape[1:]), totals[0].sum(axis=1)
    else:
        energy += neighbourhoods.energy
        for i, each in enumerate(_sums_over(neighbourhoods, sums, len(criterion.statistics), view)):
            values[:, i] = local_values(alone.combine, each, count, view.cell, spread=alone.spread).values
    # a frame that is silent with one length has no values to compare
    energy[~np.isfinite(values).all(axis=1)] = 0.0
    return Surface.of_places("time", places, np.exp(sums.log_lengths), values, energy)


def _sums_over(
    neighbourhoods: Neighbourhoods, sums: FrameSums | SumsWithEnds, stats: int, view: FrameView
) -> list[LocalSums]:
    """Return the sums over neighbourhoods for each length of the table; the weights of frames are computed once."""
    lengths = sums.log_lengths.size
    total = LocalSums.zero(neighbourhoods, stats * lengths)
    for first in range(0, sums.frames, _PIECE):
        part = slice(first, first + _PIECE)
        rows = sums.at(sums.log_lengths, part)
        total.add(view.positions[part], view.weights[part], rows.transpose(0, 2, 1).reshape(-1, rows.shape[1]))
    each = total.raw.reshape(stats, lengths, -1)
    return [replace(total, raw=each[:, i]) for i in range(lengths)]
