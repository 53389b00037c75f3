"""Surfaces of lengths over the tiles of a survey: what a change costs, and where control points in time are."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from adaptstft.kernels import cpu, plain
from adaptstft.tuning.tables.plane_sums import PlaneCells
from adaptstft.tuning.tables.tile_paths import best_surface, time_knots
from adaptstft.tuning.tables.tile_survey import TileSurvey

LENGTHS = np.geomspace(16, 1024, 13)


def survey_of(best, depth, *, bands=3, groups=80, step=50.0):
    """Tiles whose criterion is a parabola in the log length around `best`, shape (bands, groups)."""
    best, depth = (np.broadcast_to(value, (bands, groups)) for value in (best, depth))
    distance = np.log(LENGTHS)[:, None, None] - np.log(best)
    weights = np.full((bands, groups), 1 / bands / groups)
    return TileSurvey(LENGTHS, depth * distance**2, weights, weights, (np.arange(groups) + 0.5) * step)


@pytest.mark.parametrize("kernels", [cpu, plain], ids=["cpu", "plain"])
def test_a_change_must_gain_its_price(kernels):
    best = np.where(np.arange(80) < 40, 256.0, 64.0)
    # a change gains 0.5 * 0.25 * log(4)**2 in each band, with the middle length for both halves, and costs log(4)
    free = best_surface(survey_of(best, 0.5), 1e-3, 1e-6, kernels)
    assert_allclose(np.exp(free[:, [5, 75]]), [[256, 64]] * 3, rtol=0.1)
    steady = best_surface(survey_of(best, 0.5), 0.5, 1e-6, kernels)
    assert np.all(np.ptp(steady, axis=1) == 0)


def test_tiles_without_a_minimum_take_the_lengths_beside_them():
    depth = np.ones((3, 80))
    depth[1] = 0.0
    found = best_surface(survey_of(np.array([[64.0], [16.0], [256.0]]), depth), 1e-3, 1e-5, cpu)
    assert np.all(found[1] >= found[0]) and np.all(found[1] <= found[2])


def test_edges_of_windows_never_move_backwards():
    best = np.where(np.abs(np.arange(80) - 40) < 2, 16.0, 1024.0)
    lengths = np.exp(best_surface(survey_of(best, 10.0), 1e-6, 1e-9, cpu))
    assert lengths.min() < 20 and lengths.max() > 900
    assert np.all(np.abs(np.diff(lengths, axis=1)) <= 2 * 50.0 + 1e-9)


def test_the_mirrored_tiles_have_the_mirrored_surface(rng):
    best = np.exp(np.repeat(rng.uniform(3, 6.5, (3, 8)), 10, axis=1))
    survey = survey_of(best, 1.0)
    mirrored = TileSurvey(LENGTHS, survey.values[..., ::-1], survey.share, survey.weights, survey.centres)
    found, other = (best_surface(one, 1e-3, 1e-5, cpu) for one in (survey, mirrored))
    assert_allclose(found, other[:, ::-1], atol=1e-9)


def test_knots_are_where_the_lengths_change():
    centres = (np.arange(200) + 0.5) * 20
    log = np.full((2, 200), np.log(500.0))
    assert time_knots(log, centres, 4.0, 99).size == 0
    log[1, 100:] = np.log(100.0)
    knots = time_knots(log, centres, 4.0, 99)
    assert knots.size == 6 and np.all(np.diff(knots) > 0)  # log(5) / 0.35
    assert_allclose(knots[[0, -1]], [0, 4000])
    assert_allclose(knots[1:-1], 2000, atol=60)  # the shorter window around the change
    assert time_knots(log, centres, 4.0, 3).size == 4
    apart = np.diff(time_knots(log, centres, 40.0, 99))
    assert apart.min() >= 0.99 * 2 * 40


def test_cells_are_short_where_knots_are_dense():
    cells = PlaneCells.of(100, 10, 1).between(np.array([0.0, 48, 50, 52, 99]), 3)
    assert cells.sizes.sum() == 100 and np.all(cells.sizes > 0)
    assert cells.sizes.max() <= 10 and cells.sizes[np.searchsorted(cells.starts, 49) - 1] < 5
