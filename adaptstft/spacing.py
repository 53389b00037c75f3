"""How far apart frames of different lengths are laid out: as the shortest windows that a signal has a use for ask.

The best single length says little about a click in a long tone. Whether a signal has a use for short windows is asked
in neighbourhoods of several widths: within each, windows up to its width compete, and what short ones gain there counts
for the energy that the neighbourhood holds.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from adaptstft._typing import Float64Array
from adaptstft.criteria import Additive
from adaptstft.starting import switched_lengths
from adaptstft.survey import SURVEY_HOP, length_grid

if TYPE_CHECKING:
    from adaptstft.stages import Tuner

#: From one width of neighbourhoods to the next, and from a width to the longest window that counts as short in it.
_SCALE = 4.0
#: Gain in nats over the longest window of a neighbourhood that is no accident.
_LEAST_GAIN = 0.3
#: Share of the energy whose wish for shorter windows is not heard.
_NEGLIGIBLE = 0.05
#: Bins times frames that smaller hops may make: a hundredth of a second or two for each evaluation.
_MOST_BINS = 1 << 22


def shortest_useful(tuner: Tuner) -> float:
    """Shortest window that more than a negligible share of the energy is concentrated by, `inf` if there is none."""
    low, high = tuner.r.win_bounds
    width = tuner.fine_neighbourhoods().width
    wishes, shares = [np.array([np.inf])], [np.array([0.0])]
    while width / _SCALE >= low:
        lengths = length_grid(low, min(high, width))
        hood = tuner.neighbourhoods(width)
        local = tuner.search(lengths, neighbourhoods=hood).local
        assert local is not None
        share = hood.energy
        values = local / np.maximum(share * share.size, np.finfo(float).tiny)[:, None]
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


def frame_spacing(tuner: Tuner, base: float, hop: float) -> float:
    """Hop for lengths that vary from frame to frame: that of the best single length, or less."""
    r = tuner.r
    searched = tuner.scope == "local" and isinstance(r.criterion, Additive) and r.criterion.in_nats
    if r.window_mode != "time" or r.hop is not None or not searched:
        return hop
    room = SURVEY_HOP if r.min_overlap is None else min(SURVEY_HOP, (1 - r.min_overlap) / 2)
    mfft = tuner.varying_framing(hop, tuner.typical).mfft
    wanted = max(shortest_useful(tuner) * room, len(r.x) * r.n * mfft / 2 / _MOST_BINS, 1.0)
    low, high = r.hop_bounds or (1.0, np.inf)
    finest = min(hop, float(np.clip(round(min(wanted, hop)), low, high)))
    if finest > hop / _SCALE:
        return finest
    # what neighbourhoods of their own ask for need not be what the whole has a use for
    times = r.regular_times(finest)
    theta = switched_lengths(tuner, np.full(times.size, base), finest, times)
    share = np.asarray(tuner.fine_neighbourhoods().weights(times)[0].T @ tuner.fine_neighbourhoods().energy)
    used = _quantile(theta, share / share.sum()) * room
    return float(np.clip(round(used), finest, hop))
