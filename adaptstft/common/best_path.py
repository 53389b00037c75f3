r"""Cheapest path through a table of costs, by dynamic programming (the algorithm of Viterbi).

A path takes one of ``states`` at each of ``steps``. It costs the sum of the costs ``c_p(j)`` of its states and of the
costs ``m_p(i, j)`` of its moves from one state to the next one. The cheapest path that ends in state ``j`` costs

.. math:: t_0(j) = c_0(j), \qquad t_p(j) = c_p(j) + \min_i \left( t_{p-1}(i) + m_p(i, j) \right) ,

so that one pass forwards over the steps, and one backwards over the minimisers ``i``, find the best of all paths.

Ties: of equally cheap last states the path ends in the lowest one. Of equally cheap previous states it takes the
lowest one; with ``NearMoves(nearest_first=True)`` the one nearest to the state, and of two equally near the lower one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import repeat
from typing import Protocol

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from adaptstft.common.typing import Float64Array, IntArray

#: Moves that are compared at once: the table of their costs stays in the processor's cache.
_BLOCK = 1 << 16


class Moves(Protocol):
    """Moves from the states of one step to those of the next step."""

    def cheapest(self, total: Float64Array) -> tuple[Float64Array, IntArray]:
        """Return the least cost of a move to each state, and the previous state of that move, both (states,).

        `total`, shape (states,), is the cost of the cheapest path to each previous state, ``t_{p-1}``.
        """
        ...


@dataclass(frozen=True)
class NearMoves:
    """Moves to state ``j`` from the states ``j + first, j + first + 1, ...``, as far as they exist.

    Attributes
    ----------
    first : int
        Offset of the lowest previous state.
    cost : ndarray, shape (offsets,) or (states, offsets)
        ``cost[k]`` or ``cost[j, k]`` is the cost of the move from state ``j + first + k`` to state ``j``; infinite if
        there is no such move.
    nearest_first : bool
        Whether a tie takes the offset nearest to 0, which must be among the offsets, instead of the lowest offset.
    """

    first: int
    cost: Float64Array
    nearest_first: bool = False

    def cheapest(self, total: Float64Array) -> tuple[Float64Array, IntArray]:
        """Return the least cost of a move to each state, and the previous state of that move."""
        states, offsets = total.size, self.cost.shape[-1]
        last = self.first + offsets - 1
        outside = (np.full(max(-self.first, 0), np.inf), np.full(max(last, 0), np.inf))
        padded = np.concatenate([outside[0], total, outside[1]])[max(self.first, 0) :]
        previous_totals = sliding_window_view(padded, offsets)[:states]
        best, choice = np.empty(states), np.empty(states, np.int64)
        size = max(1, _BLOCK // offsets)
        for start in range(0, states, size):
            part = slice(start, start + size)
            through = previous_totals[part] + (self.cost if self.cost.ndim == 1 else self.cost[part])
            choice[part] = self._choose(through)
            best[part] = through[np.arange(len(through)), choice[part]]
        # a state without any move has an infinite cost and any valid previous state
        return best, np.clip(np.arange(states) + self.first + choice, 0, states - 1)

    def _choose(self, through: Float64Array) -> IntArray:
        """Index of the cheapest offset for each state."""
        if not self.nearest_first:
            return np.asarray(through.argmin(axis=1))
        zero, row = -self.first, np.arange(len(through))
        below = through[:, zero::-1].argmin(axis=1)
        above = through[:, zero:].argmin(axis=1)
        cost_below, cost_above = through[row, zero - below], through[row, zero + above]
        goes_up = (cost_above < cost_below) | ((cost_above == cost_below) & (above < below))
        return np.asarray(np.where(goes_up, zero + above, zero - below))


def best_path(cost: Float64Array, moves: Moves | Iterable[Moves], *, last: int | None = None) -> tuple[IntArray, float]:
    """Find the path with the least sum of the costs of its states and of its moves.

    Parameters
    ----------
    cost : ndarray, shape (steps, states)
        Cost of each state at each step; infinite where a path must not go.
    moves : Moves, or an iterable of steps - 1 Moves
        Moves between neighbouring steps, the same at all steps or one for each pair.
    last : int, optional
        State in which the path ends; the cheapest one by default.

    Returns
    -------
    path : ndarray of int64, shape (steps,)
        State at each step. The module's docstring says which of several equally cheap paths it is.
    total : float
        Cost of the path. If it is infinite, no path exists, and `path` means nothing.

    Examples
    --------
    >>> import numpy as np
    >>> from adaptstft.common.best_path import NearMoves, best_path
    >>> change = NearMoves(-2, np.array([2.0, 1.0, 0.0, 1.0, 2.0]))
    >>> best_path(np.array([[0.0, 5, 5], [5, 5, 0.5], [0, 5, 5]]), change)
    (array([0, 2, 0]), 4.5)
    """
    steps, states = cost.shape
    every = moves if isinstance(moves, Iterable) else repeat(moves)
    total = cost[0]
    previous = np.empty((steps, states), np.int64)
    for p, step_moves in zip(range(1, steps), every, strict=False):
        best, previous[p] = step_moves.cheapest(total)
        total = best + cost[p]
    path = np.empty(steps, np.int64)
    path[-1] = total.argmin() if last is None else last
    for p in range(steps - 1, 0, -1):
        path[p - 1] = previous[p, path[p]]
    return path, float(total[path[-1]])
