"""The dynamic programme against all paths that there are, ties included."""

import itertools

import numpy as np
import pytest

from adaptstft.common import best_path as module
from adaptstft.common.best_path import NearMoves, best_path


def dense(moves, states):
    """Cost of the move from ``i`` to ``j`` at ``[j, i]``."""
    out = np.full((states, states), np.inf)
    cost = np.broadcast_to(moves.cost, (states, moves.cost.shape[-1]))
    for state, (k, offset) in itertools.product(range(states), enumerate(range(moves.first, 99))):
        if k < cost.shape[1] and 0 <= state + offset < states:
            out[state, state + offset] = cost[state, k]
    return out


def cheapest_of_all(cost, moves, last=None):
    """Try every path; of the cheapest ones take the first in the order of the rule for ties."""
    steps, states = cost.shape
    tables = [dense(each, states) for each in moves]

    def total(path):
        value = cost[0, path[0]]
        for p in range(1, steps):
            value = value + tables[p - 1][path[p], path[p - 1]] + cost[p, path[p]]
        return value

    def order(path):
        ranks = [path[-1]]
        for p in range(steps - 1, 0, -1):
            distance = abs(path[p - 1] - path[p]) if getattr(moves[p - 1], "nearest_first", False) else 0
            ranks += [distance, path[p - 1]]
        return ranks

    paths = [path for path in itertools.product(range(states), repeat=steps) if last in (None, path[-1])]
    least = min(total(path) for path in paths)
    return min((path for path in paths if total(path) == least), key=order), least


def random_moves(rng, kind, states):
    """Small integers, so that sums are exact and ties are frequent."""
    if kind == "nearest":
        most = int(rng.integers(0, 4))
        return NearMoves(-most, rng.integers(0, 3, 2 * most + 1).astype(float), nearest_first=True)
    first = int(rng.integers(-4, 2))
    shape = (int(rng.integers(1, 5)),) if kind == "near" else (states, int(rng.integers(1, 5)))
    return NearMoves(first, rng.choice([0.0, 1.0, 2.0, np.inf], shape))


@pytest.mark.parametrize("kind", ["nearest", "near", "near, by state"])
@pytest.mark.parametrize("block", [1, 1 << 16])
def test_path_is_the_cheapest_of_all_paths(kind, block, monkeypatch):
    monkeypatch.setattr(module, "_BLOCK", block)
    rng = np.random.default_rng(0)
    finite = 0
    for _ in range(30):
        steps, states = int(rng.integers(2, 5)), int(rng.integers(2, 6))
        cost = rng.integers(0, 4, (steps, states)).astype(float)
        moves = [random_moves(rng, kind, states) for _ in range(steps - 1)]
        last = None if rng.random() < 0.5 else int(rng.integers(states))
        path, total = best_path(cost, moves, last=last)
        expected, least = cheapest_of_all(cost, moves, last)
        assert total == least
        if np.isfinite(least):
            finite += 1
            assert tuple(path) == expected
    assert finite > 5


def test_moves_that_are_the_same_at_all_steps():
    rng = np.random.default_rng(1)
    cost, moves = rng.random((4, 5)), NearMoves(-2, rng.random((5, 5)))
    path, total = best_path(cost, moves)
    assert tuple(path) == cheapest_of_all(cost, [moves] * 3)[0]
    assert total == pytest.approx(cheapest_of_all(cost, [moves] * 3)[1], rel=1e-14)


def test_path_of_one_step():
    path, total = best_path(np.array([[1.0, 0.5, 2.0]]), [])
    assert (path.tolist(), total) == ([1], 0.5)


def test_no_path():
    cost = np.array([[np.inf, 0.0], [0.0, 0.0], [0.0, np.inf]])
    path, total = best_path(cost, NearMoves(-1, np.zeros(1)))
    assert total == np.inf
    assert path.min() >= 0
