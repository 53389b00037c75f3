"""Grids of window lengths: their ends and their ratios."""

import numpy as np
import pytest

from adaptstft.common.grids import finer_grid, length_grid


@pytest.mark.parametrize("ratio", [1.1, 2**0.5, 2.0])
@pytest.mark.parametrize(("low", "high"), [(16, 4096), (31.7, 1000), (5, 5.001)])
def test_grid_has_both_ends_and_small_ratios(low, high, ratio):
    grid = length_grid(low, high, ratio)
    assert (grid[0], grid[-1]) == (low, high)
    ratios = grid[1:] / grid[:-1]
    assert np.all(ratios <= ratio * (1 + 1e-12))
    assert np.allclose(ratios, ratios[0], rtol=1e-12)
    assert (high / low) ** (1 / max(grid.size - 2, 1)) > ratio or grid.size == 2


def test_powers_of_two_are_on_the_grid():
    assert np.allclose(length_grid(32, 4096)[::2], 2.0 ** np.arange(5, 13), rtol=1e-14)


def test_equal_ends_give_one_length():
    assert length_grid(64.0, 64.0).tolist() == [64.0]


@pytest.mark.parametrize(("low", "high"), [(16, 4096), (31.7, 1000), (5, 5.001), (64.0, 64.0)])
def test_a_finer_grid_has_the_lengths_of_the_coarse_one(low, high):
    coarse, fine = length_grid(low, high), finer_grid(low, high, 4)
    assert fine[::4].tolist() == coarse.tolist()
    steps = np.diff(np.log(fine))
    assert np.allclose(steps, np.log(high / low) / max(fine.size - 1, 1), rtol=1e-9, atol=1e-14)
