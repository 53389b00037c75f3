"""Where the descents of lengths and positions in time begin, and what holds them where the objective says nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np

from adaptstft.common.typing import Float64Array
from adaptstft.criteria import Additive
from adaptstft.criteria.scopes import FrameView
from adaptstft.tuning.request import WIDEST_RATIO
from adaptstft.tuning.tables.block_switching import eased_switches
from adaptstft.tuning.tables.placement import Placement, place
from adaptstft.tuning.tables.survey import GRID_RATIO, length_grid
from adaptstft.tuning.tables.switching import Table
from adaptstft.tuning.variables.control_grid import tilted_variation

if TYPE_CHECKING:
    from adaptstft.tuning.stages.frames import Tuner

#: From one width of neighbourhoods to the next narrower one.
_NARROWER = 4.0
#: A label, the length of each frame, and the frames' positions, in samples.
Start: TypeAlias = tuple[str, Float64Array, Float64Array]
#: Starting lengths that are as close as that in log are one.
SAME = 0.01
#: What a factor e in length between neighbours costs at the ends of the signal, in nats times a frame's share: if the
#: window nearer to the end is the longer one, and if it is the shorter one.
_LONGER, _SHORTER = 0.6, 0.3
#: A start this far above the best of them, in nats, is not refined.
_HOPELESS = 0.2
#: What switches of blocks have to gain, in nats or relative, for lengths that vary more: a descent finds less itself.
_WORTH = 0.02


def frame_starts(tuner: Tuner, start: tuple[str, Float64Array], hop: float, positions: Float64Array) -> list[Start]:
    """Find starting lengths and positions, the most promising ones first; `start` is what there is already."""
    r = tuner.r
    label, base = start
    placed = _placed(tuner, base, hop, positions)
    if placed and r.min_overlap is None:  # nothing is left to find from other starts
        return placed
    lengths = [start]
    if r.window_mode == "time" and isinstance(r.criterion, Additive):
        path, smooth = _paths(tuner, positions)
        paths = [smooth, start, path] if r.smoothness else [path, start, smooth]
        table = length_table(tuner, hop, positions)
        switched = ("switched", switched_lengths(tuner, table, base, blocks=True))
        lengths = _promising(tuner, table, [switched, *paths])
        if label == "given":
            lengths = [start, *lengths]
    starts = [(name, win_length, positions) for name, win_length in _distinct(lengths)]
    return [*starts[:1], *placed, *starts[1:]]


def _paths(tuner: Tuner, positions: Float64Array) -> list[tuple[str, Float64Array]]:
    """Derive starting lengths of every frame from the best length of every neighbourhood."""
    hood = tuner.fine_neighbourhoods()
    found = tuner.search(length_grid(*tuner.r.win_bounds), neighbourhoods=hood)
    longest = np.inf if tuner.r.bounds_given else WIDEST_RATIO * tuner.typical
    paths = []
    for label, stiffness in (("path", 1.0), ("smooth path", 8.0)):
        win_length = np.exp(np.interp(positions, hood.centres, np.log(found.path(stiffness))))
        paths.append((label, np.minimum(win_length, longest)))
    return paths


def _scaled_paths(tuner: Tuner, positions: Float64Array) -> list[Float64Array]:
    """Derive lengths of every frame from neighbourhoods, a quarter of them, ..., of which each has windows up to it."""
    if tuner.scope != "local" or not tuner.r.criterion.in_nats:
        return []
    low, high = tuner.r.win_bounds
    paths, width = [], tuner.fine_neighbourhoods().width
    while width >= _NARROWER * low:
        hood = tuner.neighbourhoods(width)
        found = tuner.search(length_grid(low, min(high, width)), neighbourhoods=hood).path()
        paths.append(np.exp(np.interp(positions, hood.centres, np.log(found))))
        width /= _NARROWER
    return paths


def length_table(tuner: Tuner, hop: float, positions: Float64Array) -> Table:
    """Sum over every frame with every length of a grid."""
    r = tuner.r
    neighbourhoods = tuner.fine_neighbourhoods() if tuner.scope == "local" else None
    criterion = cast(Additive, tuner.with_scope(tuner.scope, neighbourhoods))
    lengths = length_grid(*tuner.frame_bounds(hop))
    plan = r.transform(tuner.varying_framing(hop, float(lengths[-1])).mfft)
    view = FrameView(positions, np.ones(positions.size), 1.0, neighbourhoods)
    evenness = tuner.evenness(hop, float(lengths[-1])) if r.evenness and positions.size > 1 else None
    tuner.nfev += lengths.size
    return Table(plan, r.x, criterion, lengths, view, r.smoothness, evenness, r.evenness)


def switched_lengths(tuner: Tuner, table: Table, base: Float64Array, *, blocks: bool = False) -> Float64Array:
    """Find the best length of a grid for every frame, as far as switches of frames lead from several starts.

    Where neighbourhoods decide, switches of `blocks` of frames are tried as well, from one of the starts.
    """
    positions, criterion, n = table.view.positions, table.criterion, tuner.r.n
    begins = [np.broadcast_to(base, positions.shape), *_scaled_paths(tuner, positions)]
    chosen, value = min((table.switched(table.nearest(begin)) for begin in begins), key=lambda pair: pair[1])
    if blocks and tuner.scope == "local":
        eased, total = eased_switches(table, table.nearest(begins[0]))
        if total < value - _WORTH * (1.0 if criterion.in_nats else abs(value)):
            chosen, value = eased, total
    win_length = table.lengths[chosen]
    if tuner.scope != "local" or not criterion.in_nats:
        return win_length
    held = _held(win_length, positions, n, tuner.typical)
    prices = end_prices(positions, n, tuner.typical)
    kept, changed = (tilted_variation(np.log(one), *prices)[0] for one in (win_length, held))
    # what a longer window gains at an end may be worth the price
    return win_length if value + kept < table.value(table.nearest(held)) + changed else held


def _promising(tuner: Tuner, table: Table, found: list[tuple[str, Float64Array]]) -> list[tuple[str, Float64Array]]:
    """Leave out what is far above the best, unless the user asked for a number of starts."""
    if tuner.r.starts is not None or not table.criterion.in_nats:
        return found
    values = [table.value(table.nearest(win_length)) for _, win_length in found]
    return [one for one, value in zip(found, values, strict=True) if value <= min(values) + _HOPELESS]


def _held(win_length: Float64Array, positions: Float64Array, n: int, width: float) -> Float64Array:
    """Shorten windows at the ends of the signal to the next one inwards, which `end_prices` would do."""
    win_length = win_length.copy()
    left, right = np.count_nonzero(positions < width / 2), np.count_nonzero(positions <= n - 1 - width / 2)
    win_length[: left + 1] = np.minimum.accumulate(win_length[: left + 1][::-1])[::-1]
    win_length[max(right - 1, 0) :] = np.minimum.accumulate(win_length[max(right - 1, 0) :])
    return win_length


def _placed(tuner: Tuner, base: Float64Array, hop: float, positions: Float64Array) -> list[Start]:
    """Find the best arrangement on a grid of positions, where what each frame has by itself decides."""
    r = tuner.r
    additive = isinstance(r.criterion, Additive) and tuner.scope == "frame"
    if r.hop_mode != "time" or tuner.per_bin or not additive or positions.size < 2:
        return []
    lengths = base[:1]
    if r.window_mode == "time":
        lengths = length_grid(*tuner.frame_bounds(hop), ratio=GRID_RATIO**2)
    elif np.ptp(base) > 0:  # lengths that are fixed frame by frame
        return []
    span = None if r.min_overlap is None else float(positions[-1])
    rules = Placement(r.n, positions.size, hop, tuner.hop_range(hop), span, r.min_overlap)
    criterion = cast(Additive, tuner.with_scope("frame"))
    plan = r.transform(tuner.varying_framing(hop, float(max(base.max(), lengths[-1]))).mfft)
    placed = place(plan, r.x, criterion, lengths, rules)
    tuner.nfev += lengths.size
    return [] if placed is None else [("placed", *placed)]


def _distinct(starts: list[tuple[str, Float64Array]]) -> list[tuple[str, Float64Array]]:
    """Drop starting lengths that are within 1 % of earlier ones in every frame."""
    kept: list[tuple[str, Float64Array]] = []
    for label, win_length in starts:
        if all(np.abs(np.log(win_length / other)).max() > SAME for _, other in kept):
            kept.append((label, win_length))
    return kept


def end_prices(positions: Float64Array, n: int, width: float) -> tuple[Float64Array, Float64Array]:
    """Price of changes of the log length between frames whose windows reach over an end of the signal.

    What such a window holds is cut off, and a criterion gains by lengthening it without end. The price of a window
    longer than the next one inwards outweighs that; that of a shorter one, as at a click, only settles what nothing
    else does. Returned are the weights of the change's size, and of the change itself.
    """
    left, right = positions[:-1] < width / 2, positions[1:] > n - 1 - width / 2
    size = np.where(left | right, (_LONGER + _SHORTER) / 2, 0.0)
    change = (_LONGER - _SHORTER) / 2 * (right.astype(float) - left)
    return size / positions.size, change / positions.size
