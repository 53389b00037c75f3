"""Search over a grid of window lengths in every tile of the time-frequency plane, before a length is tuned per bin."""

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
from adaptstft.tuning.tables.framing import NEGLIGIBLE_SHARE, SURVEY_HOP, FramingRule, regular_frames


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
        Share of the signal's energy in each tile.
    """

    lengths: Float64Array
    values: Float64Array
    share: Float64Array

    def merged(self) -> TileSurvey:
        """Return values with one tile for each band: averages over time, weighted with the energy."""
        total = self.share.sum(axis=1, keepdims=True)
        values = (self.values * self.share).sum(axis=2, keepdims=True)
        return TileSurvey(self.lengths, values / np.maximum(total, np.finfo(float).tiny), total)

    def log_best(self) -> Float64Array:
        """Logarithm of the best length in every tile, shape (bands, groups)."""
        return np.asarray(np.log(self.lengths)[self.values.argmin(axis=0)])

    def shortest(self) -> float:
        """Shortest length that is the best one for more than a negligible share of the energy."""
        log = self.log_best().ravel()
        order = np.argsort(log)
        place = int(np.searchsorted(np.cumsum(self.share.ravel()[order]), NEGLIGIBLE_SHARE * self.share.sum()))
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
    """Evaluate a criterion in every tile at every length of a grid, with the hop and the FFT length for this length.

    Parameters
    ----------
    plan : FramePlan
        The transform; its `mfft` is replaced.
    x : ndarray, shape (channels, n)
        The signal.
    criterion : Additive
        The criterion.
    lengths : ndarray
        Window lengths in samples.
    rule : FramingRule
        Hop and FFT length for a window length.
    neighbourhoods : Neighbourhoods
        Extent of the tiles in time.
    bands : int
        Number of frequency bands.

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
        tile_values, _ = neighbourhood_values(criterion.combine, totals, counts, wide, spread=criterion.spread)
        values.append(tile_values.reshape(len(weights), -1))
        share = tiles.energy.reshape(len(weights), -1)
    return TileSurvey(lengths, np.array(values), share)
