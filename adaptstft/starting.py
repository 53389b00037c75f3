"""Where the descents of lengths and positions in time begin, and what holds them where the objective says nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, cast

import numpy as np

from adaptstft._typing import Float64Array
from adaptstft.block_switching import eased_switches
from adaptstft.control import tilted_variation
from adaptstft.criteria import Additive
from adaptstft.placement import Placement, place
from adaptstft.request import WIDEST_RATIO
from adaptstft.scopes import FrameView
from adaptstft.survey import GRID_RATIO, length_grid
from adaptstft.switching import Table

if TYPE_CHECKING:
    from adaptstft.stages import Tuner

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


def frame_starts(tuner: Tuner, start: tuple[str, Float64Array], hop: float, times: Float64Array) -> list[Start]:
    """Find starting lengths and positions, the most promising ones first; `start` is what there is already."""
    r = tuner.r
    label, base = start
    placed = _placed(tuner, base, hop, times)
    if placed and r.min_overlap is None:  # nothing is left to find from other starts
        return placed
    lengths = [start]
    if r.window_mode == "time" and isinstance(r.criterion, Additive):
        path, smooth = _paths(tuner, times)
        paths = [smooth, start, path] if r.smoothness else [path, start, smooth]
        table = length_table(tuner, hop, times)
        switched = ("switched", switched_lengths(tuner, table, base, blocks=True))
        lengths = _promising(tuner, table, [switched, *paths])
        if label == "given":
            lengths = [start, *lengths]
    starts = [(name, theta, times) for name, theta in _distinct(lengths)]
    return [*starts[:1], *placed, *starts[1:]]


def _paths(tuner: Tuner, times: Float64Array) -> list[tuple[str, Float64Array]]:
    """Derive starting lengths of every frame from the best length of every neighbourhood."""
    hood = tuner.fine_neighbourhoods()
    found = tuner.search(length_grid(*tuner.r.win_bounds), neighbourhoods=hood)
    longest = np.inf if tuner.r.bounds_given else WIDEST_RATIO * tuner.typical
    paths = []
    for label, stiffness in (("path", 1.0), ("smooth path", 8.0)):
        theta = np.exp(np.interp(times, hood.centres, np.log(found.path(stiffness))))
        paths.append((label, np.minimum(theta, longest)))
    return paths


def _scaled_paths(tuner: Tuner, times: Float64Array) -> list[Float64Array]:
    """Derive lengths of every frame from neighbourhoods, a quarter of them, ..., of which each has windows up to it."""
    if tuner.scope != "local" or not tuner.r.criterion.in_nats:
        return []
    low, high = tuner.r.win_bounds
    paths, width = [], tuner.fine_neighbourhoods().width
    while width >= _NARROWER * low:
        hood = tuner.neighbourhoods(width)
        found = tuner.search(length_grid(low, min(high, width)), neighbourhoods=hood).path()
        paths.append(np.exp(np.interp(times, hood.centres, np.log(found))))
        width /= _NARROWER
    return paths


def length_table(tuner: Tuner, hop: float, times: Float64Array) -> Table:
    """Sum over every frame with every length of a grid."""
    r = tuner.r
    neighbourhoods = tuner.fine_neighbourhoods() if tuner.scope == "local" else None
    criterion = cast(Additive, tuner.with_scope(tuner.scope, neighbourhoods))
    lengths = length_grid(*tuner.frame_bounds(hop))
    tf = r.transform(tuner.varying_framing(hop, float(lengths[-1])).mfft)
    view = FrameView(times, np.ones(times.size), 1.0, neighbourhoods)
    evenness = tuner.evenness(hop, float(lengths[-1])) if r.evenness and times.size > 1 else None
    tuner.nfev += lengths.size
    return Table(tf, r.x, criterion, lengths, view, r.smoothness, evenness, r.evenness)


def switched_lengths(tuner: Tuner, table: Table, base: Float64Array, *, blocks: bool = False) -> Float64Array:
    """Find the best length of a grid for every frame, as far as switches of frames lead from several starts.

    Where neighbourhoods decide, switches of `blocks` of frames are tried as well, from one of the starts.
    """
    times, criterion, n = table.view.positions, table.criterion, tuner.r.n
    begins = [np.broadcast_to(base, times.shape), *_scaled_paths(tuner, times)]
    chosen, value = min((table.switched(table.nearest(begin)) for begin in begins), key=lambda pair: pair[1])
    if blocks and tuner.scope == "local":
        eased, total = eased_switches(table, table.nearest(begins[0]))
        if total < value - _WORTH * (1.0 if criterion.in_nats else abs(value)):
            chosen, value = eased, total
    theta = table.lengths[chosen]
    if tuner.scope != "local" or not criterion.in_nats:
        return theta
    held = _held(theta, times, n, tuner.typical)
    prices = end_prices(times, n, tuner.typical)
    kept, changed = (tilted_variation(np.log(one), *prices)[0] for one in (theta, held))
    # what a longer window gains at an end may be worth the price
    return theta if value + kept < table.value(table.nearest(held)) + changed else held


def _promising(tuner: Tuner, table: Table, found: list[tuple[str, Float64Array]]) -> list[tuple[str, Float64Array]]:
    """Leave out what is far above the best, unless the user asked for a number of starts."""
    if tuner.r.starts is not None or not table.criterion.in_nats:
        return found
    values = [table.value(table.nearest(theta)) for _, theta in found]
    return [one for one, value in zip(found, values, strict=True) if value <= min(values) + _HOPELESS]


def _held(theta: Float64Array, times: Float64Array, n: int, width: float) -> Float64Array:
    """Shorten windows at the ends of the signal to the next one inwards, which `end_prices` would do."""
    theta = theta.copy()
    left, right = np.count_nonzero(times < width / 2), np.count_nonzero(times <= n - 1 - width / 2)
    theta[: left + 1] = np.minimum.accumulate(theta[: left + 1][::-1])[::-1]
    theta[max(right - 1, 0) :] = np.minimum.accumulate(theta[max(right - 1, 0) :])
    return theta


def _placed(tuner: Tuner, base: Float64Array, hop: float, times: Float64Array) -> list[Start]:
    """Find the best arrangement on a grid of positions, where what each frame has by itself decides."""
    r = tuner.r
    additive = isinstance(r.criterion, Additive) and tuner.scope == "frame"
    if r.hop_mode != "time" or tuner.per_bin or not additive or times.size < 2:
        return []
    lengths = base[:1]
    if r.window_mode == "time":
        lengths = length_grid(*tuner.frame_bounds(hop), ratio=GRID_RATIO**2)
    elif np.ptp(base) > 0:  # lengths that are fixed frame by frame
        return []
    span = None if r.min_overlap is None else float(times[-1])
    rules = Placement(r.n, times.size, hop, tuner.hop_range(hop), span, r.min_overlap)
    criterion = cast(Additive, tuner.with_scope("frame"))
    tf = r.transform(tuner.varying_framing(hop, float(max(base.max(), lengths[-1]))).mfft)
    placed = place(tf, r.x, criterion, lengths, rules)
    tuner.nfev += lengths.size
    return [] if placed is None else [("placed", *placed)]


def _distinct(starts: list[tuple[str, Float64Array]]) -> list[tuple[str, Float64Array]]:
    """Drop starting lengths that are within 1 % of earlier ones in every frame."""
    kept: list[tuple[str, Float64Array]] = []
    for label, theta in starts:
        if all(np.abs(np.log(theta / other)).max() > SAME for _, other in kept):
            kept.append((label, theta))
    return kept


def end_prices(times: Float64Array, n: int, width: float) -> tuple[Float64Array, Float64Array]:
    """Price of changes of the log length between frames whose windows reach over an end of the signal.

    What such a window holds is cut off, and a criterion gains by lengthening it without end. The price of a window
    longer than the next one inwards outweighs that; that of a shorter one, as at a click, only settles what nothing
    else does. Returned are the weights of the change's size, and of the change itself.
    """
    left, right = times[:-1] < width / 2, times[1:] > n - 1 - width / 2
    size = np.where(left | right, (_LONGER + _SHORTER) / 2, 0.0)
    change = (_LONGER - _SHORTER) / 2 * (right.astype(float) - left)
    return size / times.size, change / times.size
