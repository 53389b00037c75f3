"""The coarse search that precedes tuning a length for each bin: a grid of lengths in every tile of the plane."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from adaptstft.common.device import to_host
from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.criteria import Additive
from adaptstft.criteria.bands import make_tiles
from adaptstft.criteria.evaluate import comparable_view
from adaptstft.criteria.neighbourhoods import Neighbourhoods
from adaptstft.criteria.scopes import neighbourhood_values
from adaptstft.engine.forward import forward
from adaptstft.engine.frames import durations
from adaptstft.engine.operator import energies
from adaptstft.engine.plan import FramePlan
from adaptstft.tuning.tables.survey import SURVEY_HOP, FramingRule, regular_frames

#: Share of the energy that may ask for windows shorter than those which frames are laid out for.
_NEGLIGIBLE = 0.05


@dataclass(frozen=True)
class TileSurvey:
    """Values of a criterion in every tile, over a grid of window lengths.

    Attributes
    ----------
    lengths : ndarray, shape (grid,)
        Window lengths in samples.
    values : ndarray, shape (grid, bands, groups)
        The criterion in each band of each neighbourhood in time, comparable between lengths.
    share : ndarray, shape (bands, groups)
        The signal's share of energy in each.
    """

    lengths: Float64Array
    values: Float64Array
    share: Float64Array

    def merged(self) -> TileSurvey:
        """Return one tile for each band: the average over time."""
        total = self.share.sum(axis=1, keepdims=True)
        values = (self.values * self.share).sum(axis=2, keepdims=True)
        return TileSurvey(self.lengths, values / np.maximum(total, np.finfo(float).tiny), total)

    def log_best(self) -> Float64Array:
        """Logarithm of the best length of every tile, shape (bands, groups)."""
        return np.asarray(np.log(self.lengths)[self.values.argmin(axis=0)])

    def shortest(self) -> float:
        """Shortest length that more than a negligible share of the energy asks for."""
        log = self.log_best().ravel()
        order = np.argsort(log)
        place = int(np.searchsorted(np.cumsum(self.share.ravel()[order]), _NEGLIGIBLE * self.share.sum()))
        return float(np.exp(log[order[min(place, log.size - 1)]]))


def survey_tiles(
    plan: FramePlan,
    x: AnyArray,
    criterion: Additive,
    lengths: Float64Array,
    rule: FramingRule,
    neighbourhoods: Neighbourhoods,
    bands: int,
) -> TileSurvey:
    """Evaluate a criterion in every tile at every length of a grid, each with frames and an FFT that suit it.

    Parameters
    ----------
    plan : Transform
        The transform; its `mfft` is replaced.
    x : ndarray, shape (channels, n)
        The signal.
    criterion : Additive
        Its scope is that of the tiles.
    lengths : ndarray
        Window lengths in samples.
    rule : FramingRule
        Hop and FFT length, as far as they are given.
    neighbourhoods : Neighbourhoods
        The tiles' extent in time.
    bands : int
        Number of bands of frequencies.

    Returns
    -------
    TileSurvey
        The values.
    """
    stats = criterion.statistics
    values = []
    share: Float64Array = np.zeros((0, 0))
    for length in lengths:
        framing = rule.tied(float(length), SURVEY_HOP)
        at = replace(plan, mfft=framing.mfft)
        tiles = make_tiles(at, x, neighbourhoods, bands)
        frames, positions = regular_frames(at, x.shape[1], float(length), framing.hop)
        view = comparable_view(criterion, positions, durations(positions, x.shape[1]), framing.mfft, tiles)
        wide, weights = view.banded()
        assert weights is not None
        energy = to_host(energies(forward(at, x, frames)))
        totals = np.array([(weights @ stats.terms(k, energy)[0].sum(axis=0).T).ravel() for k in range(len(stats))])
        counts = np.repeat(weights.sum(axis=1) * len(x), positions.size)
        found, _ = neighbourhood_values(criterion.combine, totals, counts, wide, spread=criterion.spread)
        values.append(found.reshape(len(weights), -1))
        share = tiles.energy.reshape(len(weights), -1)
    return TileSurvey(lengths, np.array(values), share)
