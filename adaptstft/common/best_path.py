r"""Cheapest path through a table of costs, by dynamic programming (the algorithm of Viterbi).

A path takes one of ``states`` at each of ``steps``. It costs the sum of the costs ``c_p(j)`` of its states and of the
costs ``m_p(i, j)`` of its moves from one state to the next one. The cheapest path that ends in state ``j`` costs

.. math:: t_0(j) = c_0(j), \qquad t_p(j) = c_p(j) + \min_i \left( t_{p-1}(i) + m_p(i, j) \right) ,

so that one pass forwards over the steps finds the least costs, and one backwards the minimisers ``i`` on the best path.

Ties: of equally cheap last states the path ends in the lowest one. Of equally cheap previous states it takes the
lowest one; with ``NearMoves(nearest_first=True)`` the one nearest to the state, and of two equally near the lower one.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import repeat
from typing import Protocol

import numpy as np
from numpy.lib.stride_tricks import as_strided

from adaptstft.common.typing import Float64Array, IntArray

#: Moves that are compared at once: the table of their costs stays in the processor's cache.
_BLOCK = 1 << 16


class Moves(Protocol):
    """Moves from the states of one step to those of the next step.

    `total`, shape (states,), is the cost of the cheapest path to each previous state, ``t_{p-1}``.
    """

    def least(self, total: Float64Array) -> Float64Array:
        """Return the cost of the cheapest path to each state, without the cost of the state itself, shape (states,)."""
        ...

    def previous(self, total: Float64Array, state: int) -> int:
        """Return the previous state of the cheapest path to `state`; any valid one if there is no path."""
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

    def least(self, total: Float64Array) -> Float64Array:
        """Return the cost of the cheapest path to each state, without the cost of the state itself."""
        states, cost = total.size, self.cost.T
        offsets = len(cost)
        reached = _from(self.first, total, states + offsets - 1)
        totals = as_strided(reached, (offsets, states), 2 * reached.strides, writeable=False)
        if not cost.any():  # the sums below would take most of the time
            return np.asarray(totals.min(axis=0))
        best, size = np.empty(states), max(1, _BLOCK // offsets)
        for start in range(0, states, size):
            part = slice(start, start + size)
            best[part] = (totals[:, part] + (cost[:, np.newaxis] if cost.ndim == 1 else cost[:, part])).min(axis=0)
        return best

    def previous(self, total: Float64Array, state: int) -> int:
        """Return the previous state of the cheapest path to `state`; any valid one if there is no path."""
        through = self.through(total, state)
        if self.nearest_first:
            zero = -self.first
            below, above = int(through[zero::-1].argmin()), int(through[zero:].argmin())
            cheaper = through[zero - below] - through[zero + above]
            chosen = zero + above if cheaper > 0 or (cheaper == 0 and above < below) else zero - below
        else:
            chosen = int(through.argmin())
        return min(max(state + self.first + chosen, 0), total.size - 1)

    def through(self, total: Float64Array, state: int) -> Float64Array:
        """Return the cost of the cheapest path to `state` through each of the previous states, shape (offsets,)."""
        cost = self.cost if self.cost.ndim == 1 else self.cost[state]
        return _from(state + self.first, total, cost.size) + cost


def _from(first: int, values: Float64Array, size: int) -> Float64Array:
    """Return `size` values from number `first` on, infinite where there are none."""
    found = np.full(size, np.inf)
    low, high = max(first, 0), max(min(first + size, values.size), 0)
    found[low - first : max(high - first, 0)] = values[low:high]
    return found


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
    totals, taken = np.empty((steps, states)), []
    totals[0] = cost[0]
    for p, step_moves in zip(range(1, steps), every, strict=False):
        totals[p] = step_moves.least(totals[p - 1]) + cost[p]
        taken.append(step_moves)
    path = np.empty(steps, np.int64)
    path[-1] = totals[-1].argmin() if last is None else last
    # the previous states are found on the way back: most states are not on the path
    for p in range(steps - 1, 0, -1):
        path[p - 1] = taken[p - 1].previous(totals[p - 1], int(path[p]))
    return path, float(totals[-1, path[-1]])
