"""Integer window lengths and hops near a tuned optimum, for software that needs integers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import product
from typing import Any

import numpy as np

from adaptstft.common.typing import Float64Array, IntArray
from adaptstft.tuning.descent.objective import Objective
from adaptstft.tuning.log import Interpolated
from adaptstft.tuning.request import Request
from adaptstft.tuning.variables.state import State


@dataclass(frozen=True)
class Recommendation:
    """Integer window lengths and hops near the optimum.

    Attributes
    ----------
    win_length : int or ndarray of int
        Even window lengths in samples, in the shape of the tuned lengths.
    hop : int or ndarray of int
        Time between frames in samples; shape (p_num - 1,) if positions were tuned.
    loss : float
        Increase of ``area_fun`` with these values over the optimum, in nats if the criterion is a logarithm. It is
        negative if rounding happens to improve the value.

    Examples
    --------
    >>> from adaptstft.tuning.result.recommendation import Recommendation
    >>> Recommendation(178, 22, 1e-5).win_length
    178
    """

    win_length: int | IntArray
    hop: int | IntArray
    loss: float


def recommend(
    request: Request,
    objective: Objective,
    state: State,
    value: float,
    bounds: tuple[float, float],
    hop: float,
    *,
    one: bool,
    table: Interpolated | None = None,
) -> Recommendation | None:
    """Round lengths to even numbers and hops to integers within their bounds, with the smallest loss.

    Parameters
    ----------
    request : Request
        The request, with the least overlap of neighbouring windows, which regular frames must keep.
    objective : Objective
        The objective, with exact sums.
    state : State
        The optimum.
    value : float
        ``objective.comparable_value(state)``.
    bounds : (float, float)
        Range of the lengths in samples.
    hop : float
        Time between frames in samples.
    one : bool
        True if there is one length. Both even numbers next to it are then tried.
    table : Interpolated, optional
        The end of the search on a table, which tells the loss of other lengths at the same positions.

    Returns
    -------
    Recommendation or None
        None if there is no even number within the bounds.
    """
    evens = _even_range(state.win_length, bounds, objective.plan.mfft)
    if evens is None:
        return None
    nearest = (np.floor, np.ceil) if one else (np.rint,)
    lengths = [_even(state.win_length, rounded, evens) for rounded in nearest]
    spacing = np.diff(state.positions)
    if spacing.size and np.ptp(spacing) > 1e-9 * spacing.mean():
        tried = [replace(state, win_length=win_length, positions=np.rint(state.positions)) for win_length in lengths]
    else:
        tried = [
            _regular(state, win_length, step, hop, request.regular_positions(step))
            for win_length, step in product(lengths, _hops(hop))
            if step <= hop or step <= request.overlap.longest_hop(float(win_length.min()))
        ]
    if table is not None and len(tried) == 1 and np.array_equal(tried[0].positions, state.positions):
        rounded = _even(table.state.win_length, np.rint, evens)
        losses = [table.objective.comparable_value(replace(table.state, win_length=rounded)) - table.comparable]
    else:
        losses = [objective.comparable_value(other) - value for other in tried]
    best = tried[int(np.argmin(losses))]
    hops = np.diff(best.positions).astype(int)
    regular = not hops.size or np.ptp(hops) == 0
    return Recommendation(
        int(best.win_length.flat[0]) if one else best.win_length.T.astype(int),
        (int(hops[0]) if hops.size else _hops(hop)[0]) if regular else hops,
        float(min(losses)),
    )


def _even(win_length: Float64Array, rounded: Callable[..., Any], evens: tuple[float, float]) -> Float64Array:
    """Return lengths rounded to even numbers; the plane may be large, so only one array of its size is made."""
    out = win_length / 2
    rounded(out, out=out)
    out *= 2
    np.clip(out, *evens, out=out)
    return out


def _even_range(win_length: Float64Array, bounds: tuple[float, float], mfft: int) -> tuple[float, float] | None:
    """Least and largest even length allowed; given lengths are allowed even outside the bounds."""
    low, high = min(bounds[0], float(win_length.min())), max(bounds[1], float(win_length.max()))
    evens = (float(2 * np.ceil(low / 2 - 1e-9)), float(2 * np.floor(min(high, float(mfft)) / 2 + 1e-9)))
    return evens if evens[0] <= evens[1] else None


def _hops(hop: float) -> list[int]:
    """Return the integers next to a hop, at least one sample."""
    return sorted({max(1, int(np.floor(hop + 1e-9))), max(1, int(np.ceil(hop - 1e-9)))})


def _regular(state: State, win_length: Float64Array, step: int, hop: float, positions: Float64Array) -> State:
    """Frames at `positions` with hop `step`; each has the lengths of the nearest frame of `state`."""
    if step == hop:
        return replace(state, win_length=win_length)
    middle = (state.positions[1:] + state.positions[:-1]) / 2
    return State(win_length[np.searchsorted(middle, positions)], positions, np.ones(positions.size), state.window)
