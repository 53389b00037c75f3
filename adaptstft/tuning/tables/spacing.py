"""How wide neighbourhoods are, and how far apart frames, where lengths vary from frame to frame.

The best single length says little about a signal whose parts differ. In neighbourhoods as wide as four such lengths
a tone may decide for the crackle that follows it; they are divided as long as lengths of their own gain the parts
something. How close frames must be follows from the shortest windows that a part of the signal has a use for: within
neighbourhoods of several widths, windows up to each width compete, and what short ones gain there counts for the energy
that the neighbourhood holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from adaptstft.common.typing import Float64Array
from adaptstft.criteria import Additive
from adaptstft.criteria.neighbourhoods import Neighbourhoods
from adaptstft.tuning.tables.starting import length_table, switched_lengths
from adaptstft.tuning.tables.survey import SURVEY_HOP, length_grid

if TYPE_CHECKING:
    from adaptstft.tuning.stages.frames import Tuner

#: From one width of neighbourhoods to the next, and from a width to the longest window that counts as short in it.
_SCALE = 4.0
#: Gain in nats that is no accident: over the longest window of a neighbourhood, and of narrower neighbourhoods.
_LEAST_GAIN = 0.3
#: Share of the energy whose wish for shorter windows is not heard.
_NEGLIGIBLE = 0.05
#: Bins times frames that smaller hops may make: some hundredths of a second for each evaluation.
_MOST_BINS = 1 << 20


def neighbourhood_width(tuner: Tuner, widest: float, longest: float) -> float:
    """Width of neighbourhoods in samples: `widest`, divided while windows of their own gain the parts something."""
    low, high = tuner.r.win_bounds
    width, before = widest, None
    while width >= _SCALE * low:
        lengths = length_grid(low, min(high, longest, width))
        hood = tuner.neighbourhoods(width)
        values = _local_values(tuner, lengths, hood)
        if before is not None:
            former = np.interp(hood.centres, *before)
            kept = [float(np.interp(v, np.log(lengths), row)) for v, row in zip(former, values, strict=True)]
            if hood.energy @ (np.array(kept) - values.min(axis=1)) < _LEAST_GAIN:
                return width * _SCALE
        before = (hood.centres, np.log(lengths[values.argmin(axis=1)]))
        width /= _SCALE
    return min(width * _SCALE, widest)


def _local_values(tuner: Tuner, lengths: Float64Array, hood: Neighbourhoods) -> Float64Array:
    """Criterion of every length in every neighbourhood, shape (groups, lengths)."""
    local = tuner.search(lengths, neighbourhoods=hood).local
    assert local is not None
    return np.asarray(local / np.maximum(hood.energy * hood.energy.size, np.finfo(float).tiny)[:, None])


def shortest_useful(tuner: Tuner) -> float:
    """Shortest window that more than a negligible share of the energy is concentrated by, `inf` if there is none."""
    low, high = tuner.r.win_bounds
    width = tuner.fine_neighbourhoods().width
    wishes, shares = [np.array([np.inf])], [np.array([0.0])]
    while width / _SCALE >= low:
        lengths = length_grid(low, min(high, width))
        hood = tuner.neighbourhoods(width)
        values, share = _local_values(tuner, lengths, hood), hood.energy
        best = lengths[values.argmin(axis=1)]
        gain = values[:, -1] - values.min(axis=1)
        wishes.append(np.where((best <= width / _SCALE) & (gain >= _LEAST_GAIN), best, np.inf))
        shares.append(share)
        width /= _SCALE
    return min(_quantile(wish, share) for wish, share in zip(wishes, shares, strict=True))


def _quantile(wishes: Float64Array, shares: Float64Array) -> float:
    """Smallest wish that, with all smaller ones, stands for more than a negligible share."""
    order = np.argsort(wishes)
    heard = np.cumsum(shares[order]) > _NEGLIGIBLE
    return float(wishes[order][heard.argmax()]) if heard.any() else np.inf


def can_search(tuner: Tuner) -> bool:
    """Whether lengths vary from frame to frame by a local criterion whose values in neighbourhoods can be compared."""
    criterion = tuner.r.criterion
    local = tuner.scope == "local" and isinstance(criterion, Additive) and criterion.in_nats
    return local and tuner.r.window_mode == "time"


def frame_spacing(tuner: Tuner, base: float, hop: float) -> float:
    """Hop for lengths that vary from frame to frame: that of the best single length, or less."""
    r = tuner.r
    if not can_search(tuner) or r.hop is not None:
        return hop
    room = SURVEY_HOP if r.min_overlap is None else min(SURVEY_HOP, (1 - r.min_overlap) / 2)
    mfft = tuner.varying_framing(hop, tuner.typical).mfft
    wanted = max(shortest_useful(tuner) * room, len(r.x) * r.n * mfft / 2 / _MOST_BINS, 1.0)
    low, high = r.hop_bounds or (1.0, np.inf)
    finest = min(hop, float(np.clip(round(min(wanted, hop)), low, high)))
    if finest > hop / _SCALE:
        return finest
    # what neighbourhoods of their own ask for need not be what the whole has a use for
    positions = r.regular_positions(finest)
    win_length = switched_lengths(
        tuner, length_table(tuner, finest, positions), np.full(positions.size, base), blocks=True
    )
    share = np.asarray(tuner.fine_neighbourhoods().weights(positions)[0].T @ tuner.fine_neighbourhoods().energy)
    used = _quantile(win_length, share / share.sum()) * room
    return float(np.clip(round(used), finest, hop))
