"""Search over a grid of window lengths in every tile of the time-frequency plane, before a length is tuned per bin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from adaptstft.common.precision import single_precision
from adaptstft.common.threads import run_blocks
from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.criteria import Additive
from adaptstft.criteria.bands import band_weights
from adaptstft.criteria.evaluate import band_totals, comparable_view
from adaptstft.criteria.neighbourhoods import Tiles
from adaptstft.criteria.scopes import LocalSums, group_values
from adaptstft.engine.forward import forward
from adaptstft.engine.frames import durations, make_frames
from adaptstft.engine.plan import FramePlan
from adaptstft.tuning.tables.framing import NEGLIGIBLE_SHARE, SURVEY_HOP, FramingRule, regular_frames
from adaptstft.tuning.tables.survey import Surface

#: Number of bins that are transformed at once, which stay in the cache of a core, and of frames that are added to
#: neighbourhoods at once.
_BLOCK, _FRAMES = 1 << 17, 1 << 14


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

    def surface(self, frequencies: Float64Array) -> Surface:
        """Return averages over time, over the centres of the bands in Hz."""
        merged, order = self.merged(), np.argsort(frequencies)
        values, energy = merged.values[:, order, 0].T, merged.share[order, 0]
        return Surface.of_places("frequency", frequencies[order], self.lengths, values, energy)

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
    tiles: Tiles,
    report: Callable[[float], None] = lambda part: None,
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
    tiles : Tiles
        The tiles, with the bands for the plan.
    report : callable, optional
        Called with the part of the work that is done, after each length.

    Returns
    -------
    TileSurvey
        The values.
    """
    x = single_precision(x)
    values = np.empty((lengths.size, tiles.energy.size))

    def survey(i: int) -> None:
        framing = rule.tied(float(lengths[i]), SURVEY_HOP)
        at = replace(plan.single(), mfft=framing.mfft)
        own = replace(tiles, bands=band_weights(at, len(tiles.bands)))
        values[i] = _tile_values(at, x, criterion, float(lengths[i]), framing.hop, own)

    def merge(i: int, _: None) -> None:
        report((i + 1) / lengths.size)

    run_blocks(lengths.size, survey, plan.threads, merge)
    shape = (len(tiles.bands), -1)
    return TileSurvey(lengths, values.reshape(lengths.size, *shape), tiles.energy.reshape(shape))


def _tile_values(
    plan: FramePlan, x: AnyArray, criterion: Additive, length: float, hop: float, tiles: Tiles
) -> Float64Array:
    """Return the criterion in every tile with one length, comparable between lengths; tiles in one row."""
    positions = regular_frames(plan, x.shape[1], length, hop)[1]
    n = x.shape[1]
    spans = durations(positions, n) * criterion.frame_weights(positions, n, plan.T)
    view = comparable_view(criterion, positions, spans, plan.mfft, tiles)
    stats, count = criterion.statistics, len(tiles.bands)
    sums = LocalSums.zero(tiles.in_time, len(stats) * count)
    size = max(1, _BLOCK // plan.mfft)
    for begin in range(0, positions.size, _FRAMES):
        at = positions[begin : begin + _FRAMES]
        totals = np.empty((len(stats), count, at.size))
        for first in range(0, at.size, size):
            part = slice(first, first + size)
            frames = make_frames(np.full(at[part].size, length), at[part], mfft=plan.mfft)
            totals[..., part] = band_totals(plan, forward(plan, x, frames), stats, at[part], tiles.bands)
        sums.add(at, view.weights[begin : begin + _FRAMES], totals.reshape(-1, at.size))
    bins = np.outer(tiles.bands.sum(axis=1) * len(x), sums.weight).ravel()
    raw = np.vstack([sums.raw.reshape(len(stats), -1), bins]) * view.cell
    scales = np.tile(sums.scales(spread=criterion.spread), count)
    return group_values(criterion.combine, raw, scales, tiles.energy)
