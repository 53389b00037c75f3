"""Search over a grid of window lengths in every tile of the time-frequency plane, before a length is tuned per bin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from adaptstft.common.precision import comparison_precision
from adaptstft.common.threads import run_blocks
from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.criteria import Additive, DescriptionLength
from adaptstft.criteria.bands import band_weights
from adaptstft.criteria.evaluate import band_totals
from adaptstft.criteria.neighbourhoods import Tiles
from adaptstft.criteria.scopes import LocalSums, group_values
from adaptstft.engine.forward import forward
from adaptstft.engine.frames import durations, make_frames
from adaptstft.engine.plan import FramePlan
from adaptstft.tuning.tables.framing import NEGLIGIBLE_SHARE, SURVEY_HOP, FramingRule, counted_view, regular_positions
from adaptstft.tuning.tables.survey import Surface

#: Number of bins that are transformed at once, which stay in the cache of a core, and of frames that are added to
#: neighbourhoods at once.
_BLOCK, _FRAMES = 1 << 17, 1 << 14
#: Shortest FFT of the survey: its bins are as narrow as the lowest bands.
_LEAST_FFT = 216
#: Largest number of stretches of time.
_MOST_GROUPS = 2048


@dataclass(frozen=True)
class TileSurvey:
    """Values of a criterion in every tile, over a grid of window lengths.

    The tiles are those of the criterion if each of them has its own normalisation. If the terms of the criterion only
    add up, they are as short as the shortest windows: a long tile would hide when the best length changes.

    Attributes
    ----------
    lengths : ndarray, shape (grid,)
        Window lengths in samples.
    values : ndarray, shape (grid, bands, groups)
        The criterion in each band of each group, a stretch of time, comparable between lengths.
    share : ndarray, shape (bands, groups)
        Share of the signal's energy in each tile.
    weights : ndarray, shape (bands, groups)
        Weight of each tile in the criterion.
    centres : ndarray, shape (groups,)
        Middle of each group in samples.
    """

    lengths: Float64Array
    values: Float64Array
    share: Float64Array
    weights: Float64Array
    centres: Float64Array

    def merged(self) -> TileSurvey:
        """Return values with one tile for each band: averages over time."""
        total = self.weights.sum(axis=1, keepdims=True)
        values = (self.values * self.weights).sum(axis=2, keepdims=True) / np.maximum(total, np.finfo(float).tiny)
        return TileSurvey(
            self.lengths, values, self.share.sum(axis=1, keepdims=True), total, self.centres.mean(keepdims=True)
        )

    def surface(self, frequencies: Float64Array) -> Surface:
        """Return averages over time, over the centres of the bands in Hz."""
        merged, order = self.merged(), np.argsort(frequencies)
        values, energy = merged.values[:, order, 0].T, merged.share[order, 0]
        return Surface.of_places("frequency", frequencies[order], self.lengths, values, energy)

    def shortest(self, log_lengths: Float64Array) -> float:
        """Return the shortest of the lengths of tiles that more than a negligible share of the signal has.

        A tile counts for its energy and for its weight in the criterion.
        """
        share = (self.share / self.share.sum() + self.weights / self.weights.sum()).ravel() / 2
        order = np.argsort(log_lengths.ravel())
        place = int(np.searchsorted(np.cumsum(share[order]), NEGLIGIBLE_SHARE))
        return float(np.exp(log_lengths.ravel()[order[min(place, order.size - 1)]]))


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
    x, n = comparison_precision(x), x.shape[1]
    edges = _edges(criterion, lengths, n)
    groups = tiles.energy.size // len(tiles.bands) if edges is None else edges.size - 1
    values = np.empty((lengths.size, len(tiles.bands), groups))

    def survey(i: int) -> None:
        framing = rule.tied(float(lengths[i]), SURVEY_HOP)
        at = replace(plan.single(), mfft=rule.mfft or max(framing.mfft, _LEAST_FFT))
        own = replace(tiles, bands=band_weights(at, len(tiles.bands)))
        positions = regular_positions(n, framing.hop)
        totals = _band_totals(at, x, criterion, float(lengths[i]), positions, own.bands)
        if edges is None:
            values[i] = _tile_values(at, x, criterion, positions, totals, own)
        else:
            count = np.maximum(own.bands.sum(axis=1) * len(x), np.finfo(float).tiny)
            values[i] = _cell_values(totals[0] / count[:, np.newaxis], positions, edges, n)

    def merge(i: int, _: None) -> None:
        report((i + 1) / lengths.size)

    run_blocks(lengths.size, survey, plan.threads, merge)
    energy = tiles.energy.reshape(len(tiles.bands), -1)
    if edges is None:
        return TileSurvey(lengths, values, energy, energy, tiles.in_time.centres)
    centres = (edges[1:] + edges[:-1]) / 2
    _hold_at_ends(values, lengths, centres, n)
    member = tiles.in_time.member(centres)
    counted = criterion.frame_weights(centres, n, plan.T)
    band = tiles.bands.sum(axis=1) / tiles.bands.sum()
    share = np.asarray(member.T @ energy.T).T
    return TileSurvey(lengths, values, share / share.sum(), np.outer(band, counted / counted.sum()), centres)


def _edges(criterion: Additive, lengths: Float64Array, n: int) -> Float64Array | None:
    """Return the edges of short groups in samples; None if the groups are those of the criterion."""
    if not isinstance(criterion, DescriptionLength):
        return None
    count = int(np.clip(n / (lengths[0] * SURVEY_HOP), 1, _MOST_GROUPS))
    return np.linspace(-0.5, n - 0.5, count + 1)


def _band_totals(
    plan: FramePlan, x: AnyArray, criterion: Additive, length: float, positions: Float64Array, bands: Float64Array
) -> Float64Array:
    """Return the statistics in the bands of every frame with one length, shape (statistics, bands, frames)."""
    stats, size = criterion.statistics, max(1, _BLOCK // plan.mfft)
    totals = np.empty((len(stats), len(bands), positions.size))
    for first in range(0, positions.size, size):
        part = slice(first, first + size)
        at = positions[part]
        frames = make_frames(np.full(at.size, length), at, mfft=plan.mfft)
        totals[..., part] = band_totals(plan, forward(plan, x, frames), stats, at, bands)
    return totals


def _tile_values(
    plan: FramePlan, x: AnyArray, criterion: Additive, positions: Float64Array, totals: Float64Array, tiles: Tiles
) -> Float64Array:
    """Return the criterion in every tile, comparable between lengths, shape (bands, groups)."""
    count = len(tiles.bands)
    view = counted_view(plan, criterion, positions, x.shape[1], tiles)
    sums = LocalSums.zero(tiles.in_time, len(totals) * count)
    for begin in range(0, positions.size, _FRAMES):
        part = slice(begin, begin + _FRAMES)
        sums.add(positions[part], view.weights[part], totals[..., part].reshape(len(sums.raw), -1))
    bins = np.outer(tiles.bands.sum(axis=1) * len(x), sums.weight).ravel()
    raw = np.vstack([sums.raw.reshape(len(totals), -1), bins]) * view.cell
    scales = np.tile(sums.scales(spread=criterion.spread), count)
    return group_values(criterion.combine, raw, scales, tiles.energy).reshape(count, -1)


def _hold_at_ends(values: Float64Array, lengths: Float64Array, centres: Float64Array, n: int) -> None:
    """Give windows that reach over an end of the signal the values of the longest one that does not, in place.

    They contain less of the signal, or see its end as an event. With equal values the price of changes decides.
    """
    for i in range(1, lengths.size):
        over = np.minimum(centres, n - 1 - centres) < lengths[i] / 2
        values[i][:, over] = values[i - 1][:, over]


def _cell_values(means: Float64Array, positions: Float64Array, edges: Float64Array, n: int) -> Float64Array:
    """Average the means of frames, shape (bands, frames), over stretches of time between `edges`."""
    until = np.append(edges[0], edges[0] + np.cumsum(durations(positions, n)))
    until *= (edges[-1] - edges[0]) / (until[-1] - until[0])
    total = np.pad(np.cumsum(means * durations(positions, n), axis=1), ((0, 0), (1, 0)))
    at_edges = np.array([np.interp(edges, until, row) for row in total])
    return np.asarray(np.diff(at_edges, axis=1) / np.diff(edges))
