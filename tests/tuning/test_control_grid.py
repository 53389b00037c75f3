"""Surfaces of log lengths over control points: range, adjoint and fit."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from adaptstft.tuning.variables.control_grid import ControlGrid


@pytest.mark.parametrize("points", [(1, 1), (1, 4), (2, 3), (5, 1), (12, 8)], ids=str)
def test_smooth_surface(points, rng):
    positions = np.sort(rng.uniform(0, 900, 30))
    grid = ControlGrid.smooth(np.arange(129), 256, positions, points)
    assert grid.shape == points and grid.size == points[0] * points[1]
    c = rng.uniform(3, 6, points)
    surface = grid.surface(c)
    assert surface.shape == (30, 129)
    assert c.min() - 1e-12 <= surface.min() and surface.max() <= c.max() + 1e-12  # the convex hull
    assert_allclose(grid.surface(np.full(points, 4.0)), 4.0)
    g = rng.standard_normal(surface.shape)
    assert np.sum(g * surface) == pytest.approx(np.sum(grid.adjoint(g) * c))
    assert_allclose(grid.fit(surface), c, rtol=1e-8)


def test_a_free_grid_has_one_control_point_for_each_bin_or_frequency(rng):
    grid = ControlGrid.free(5, 4, constant=False)
    c = rng.standard_normal((5, 4))
    assert_allclose(grid.surface(c), c.T)
    assert_allclose(grid.fit(c.T), c)
    one = ControlGrid.free(5, 4, constant=True)
    assert one.shape == (5, 1)
    assert_allclose(one.surface(c[:, :1]), np.tile(c[:, 0], (4, 1)))
