"""Penalties on the variation of lengths: values and gradients."""

import numpy as np
import pytest

from adaptstft.tuning.penalties.variation import roughness, total_variation


@pytest.mark.parametrize("shape", [(7,), (4, 5), (1, 6), (6, 1)], ids=str)
def test_gradients_of_total_variation_and_roughness(shape, rng):
    win_length, d = rng.uniform(50, 200, shape), rng.standard_normal(shape)
    for function, at in ((total_variation, win_length), (roughness, np.log(win_length))):
        expected = (function(at + 1e-5 * d)[0] - function(at - 1e-5 * d)[0]) / 2e-5
        assert np.sum(function(at)[1] * d) == pytest.approx(expected, rel=1e-6)
        assert function(np.full(shape, 5.0))[0] == pytest.approx(0, abs=1e-12)


def test_total_variation_is_the_mean_change_of_log_lengths(rng):
    win_length = rng.uniform(100, 200, 9)
    assert total_variation(win_length)[0] == pytest.approx(np.mean(np.abs(np.diff(np.log(win_length)))), abs=1e-3)
