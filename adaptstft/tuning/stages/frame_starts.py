"""Starting points of lengths and positions in time, and the penalty on lengths at the ends of the signal."""

from __future__ import annotations

from typing import TypeAlias, cast

import numpy as np

from adaptstft.common.grids import GRID_RATIO, length_grid
from adaptstft.common.typing import Float64Array
from adaptstft.criteria import Additive
from adaptstft.criteria.scopes import FrameView
from adaptstft.tuning.log import Log
from adaptstft.tuning.penalties.variation import tilted_variation
from adaptstft.tuning.problem import Layout
from adaptstft.tuning.request import WIDEST_RATIO
from adaptstft.tuning.stages.constant import SAME
from adaptstft.tuning.tables.block_switching import eased_switches
from adaptstft.tuning.tables.placement import Placement, place
from adaptstft.tuning.tables.switching import LengthTable

#: A label, the length of each frame, and the positions of the frames, in samples.
Start: TypeAlias = tuple[str, Float64Array, Float64Array]
#: Ratio of a width of neighbourhoods to the next narrower one.
_NARROWER = 4.0
#: Penalty on a factor e in length between neighbours at the ends of the signal, in nats times the share of a frame: if
#: the window nearer to the end is the longer one, and if it is the shorter one.
_LONGER, _SHORTER = 0.6, 0.3
#: A start this far above the best one, in nats, is not refined.
_HOPELESS = 0.2
#: Least gain, in nats or relative, by which switches of blocks must improve on switches of frames.
_WORTH = 0.02


def frame_starts(
    layout: Layout, log: Log, start: tuple[str, Float64Array], hop: float, positions: Float64Array
) -> list[Start]:
    """Return starting lengths and positions, the most promising first; `start` is the result of the first stage."""
    request = layout.problem.request
    label, base = start
    placed = _placed(layout, log, base, hop, positions)
    if placed and request.min_overlap is None:  # the grid of positions has the best arrangement
        return placed
    lengths = [start]
    if request.window_mode == "time" and isinstance(request.criterion, Additive):
        path, smooth = _paths(layout, log, positions)
        paths = [smooth, start, path] if request.smoothness else [path, start, smooth]
        table = length_table(layout, log, hop, positions)
        switched = ("switched", switched_lengths(layout, log, table, base, blocks=True))
        lengths = _promising(layout, table, [switched, *paths])
        if label == "given":
            lengths = [start, *lengths]
    starts = [(name, win_length, positions) for name, win_length in _distinct(lengths)]
    return [*starts[:1], *placed, *starts[1:]]


def _paths(layout: Layout, log: Log, positions: Float64Array) -> list[tuple[str, Float64Array]]:
    """Return starting lengths of every frame that follow the best length of every neighbourhood."""
    request, hood = layout.problem.request, layout.neighbourhoods()
    survey = layout.problem.table(log, length_grid(*request.win_bounds), neighbourhoods=hood)
    longest = np.inf if request.bounds_given else WIDEST_RATIO * layout.typical
    paths = []
    for label, stiffness in (("path", 1.0), ("smooth path", 8.0)):
        win_length = np.exp(np.interp(positions, hood.centres, np.log(survey.path(stiffness))))
        paths.append((label, np.minimum(win_length, longest)))
    return paths


def _scaled_paths(layout: Layout, log: Log, positions: Float64Array) -> list[Float64Array]:
    """Return lengths of every frame from neighbourhoods of several widths, with windows up to each width."""
    problem = layout.problem
    if problem.scope != "local" or not problem.request.criterion.in_nats:
        return []
    low, high = problem.request.win_bounds
    paths, width = [], layout.neighbourhoods().width
    while width >= _NARROWER * low:
        hood = problem.neighbourhoods(width)
        path = problem.table(log, length_grid(low, min(high, width)), neighbourhoods=hood).path()
        paths.append(np.exp(np.interp(positions, hood.centres, np.log(path))))
        width /= _NARROWER
    return paths


def length_table(layout: Layout, log: Log, hop: float, positions: Float64Array) -> LengthTable:
    """Return the sums over every frame with every length of a grid."""
    problem, request = layout.problem, layout.problem.request
    neighbourhoods = layout.neighbourhoods() if problem.scope == "local" else None
    criterion = cast(Additive, problem.with_scope(problem.scope, neighbourhoods))
    lengths = length_grid(*layout.frame_bounds(hop))
    plan = request.plan(layout.framing(hop, float(lengths[-1])).mfft)
    view = FrameView(positions, np.ones(positions.size), 1.0, neighbourhoods)
    uneven = request.evenness and positions.size > 1
    evenness = problem.evenness(hop, float(lengths[-1])) if uneven else None
    log.nfev += lengths.size
    return LengthTable(plan, request.x, criterion, lengths, view, request.smoothness, evenness, request.evenness)


def switched_lengths(
    layout: Layout, log: Log, table: LengthTable, base: Float64Array, *, blocks: bool = False
) -> Float64Array:
    """Return the length of a grid for every frame that switches of frames find from several starts.

    With `blocks`, switches of blocks of frames are tried as well from one of the starts, if the scope is local.
    """
    positions, criterion, n = table.view.positions, table.criterion, layout.problem.request.n
    local = layout.problem.scope == "local"
    begins = [np.broadcast_to(base, positions.shape), *_scaled_paths(layout, log, positions)]
    chosen, value = min((table.switched(table.nearest(begin)) for begin in begins), key=lambda pair: pair[1])
    if blocks and local:
        eased, total = eased_switches(table, table.nearest(begins[0]))
        if total < value - _WORTH * (1.0 if criterion.in_nats else abs(value)):
            chosen, value = eased, total
    win_length = table.lengths[chosen]
    if not local or not criterion.in_nats:
        return win_length
    shortened = _shorten_ends(win_length, positions, n, layout.typical)
    penalties = end_penalties(positions, n, layout.typical)
    kept, changed = (tilted_variation(np.log(one), *penalties)[0] for one in (win_length, shortened))
    # a longer window at an end may gain more than its penalty
    return win_length if value + kept < table.value(table.nearest(shortened)) + changed else shortened


def _promising(
    layout: Layout, table: LengthTable, starts: list[tuple[str, Float64Array]]
) -> list[tuple[str, Float64Array]]:
    """Leave out starts far above the best one, unless the user gives a number of starts."""
    if layout.problem.request.starts is not None or not table.criterion.in_nats:
        return starts
    values = [table.value(table.nearest(win_length)) for _, win_length in starts]
    return [one for one, value in zip(starts, values, strict=True) if value <= min(values) + _HOPELESS]


def _shorten_ends(win_length: Float64Array, positions: Float64Array, n: int, width: float) -> Float64Array:
    """Return lengths that do not grow towards the ends of the signal, as the end penalty prefers."""
    win_length = win_length.copy()
    left, right = np.count_nonzero(positions < width / 2), np.count_nonzero(positions <= n - 1 - width / 2)
    win_length[: left + 1] = np.minimum.accumulate(win_length[: left + 1][::-1])[::-1]
    win_length[max(right - 1, 0) :] = np.minimum.accumulate(win_length[max(right - 1, 0) :])
    return win_length


def _placed(layout: Layout, log: Log, base: Float64Array, hop: float, positions: Float64Array) -> list[Start]:
    """Return the best arrangement on a grid of positions, for scope ``"frame"``."""
    problem, request = layout.problem, layout.problem.request
    additive = isinstance(request.criterion, Additive) and problem.scope == "frame"
    if request.hop_mode != "time" or problem.per_bin or not additive or positions.size < 2:
        return []
    lengths = base[:1]
    if request.window_mode == "time":
        lengths = length_grid(*layout.frame_bounds(hop), ratio=GRID_RATIO**2)
    elif np.ptp(base) > 0:  # lengths that are fixed frame by frame
        return []
    span = None if request.min_overlap is None else float(positions[-1])
    rules = Placement(request.n, positions.size, hop, problem.hop_range(hop), span, request.overlap)
    criterion = cast(Additive, problem.with_scope("frame"))
    plan = request.plan(layout.framing(hop, float(max(base.max(), lengths[-1]))).mfft)
    placed = place(plan, request.x, criterion, lengths, rules)
    log.nfev += lengths.size
    return [] if placed is None else [("placed", *placed)]


def _distinct(starts: list[tuple[str, Float64Array]]) -> list[tuple[str, Float64Array]]:
    """Drop starting lengths that are within 1 % of earlier ones in every frame."""
    kept: list[tuple[str, Float64Array]] = []
    for label, win_length in starts:
        if all(np.abs(np.log(win_length / other)).max() > SAME for _, other in kept):
            kept.append((label, win_length))
    return kept


def end_penalties(positions: Float64Array, n: int, width: float) -> tuple[Float64Array, Float64Array]:
    """Return the penalty on changes of the log length between frames whose windows reach over an end of the signal.

    A window that reaches over an end contains less of the signal, and a criterion improves without limit by lengthening
    it. The penalty on a window longer than the next one inwards outweighs this improvement. The penalty on a shorter
    one, as at a click, only matters where the criterion is indifferent. Returned are the weights of the absolute change
    and of the change itself, each of shape (frames - 1,).
    """
    left, right = positions[:-1] < width / 2, positions[1:] > n - 1 - width / 2
    size = np.where(left | right, (_LONGER + _SHORTER) / 2, 0.0)
    change = (_LONGER - _SHORTER) / 2 * (right.astype(float) - left)
    return size / positions.size, change / positions.size
