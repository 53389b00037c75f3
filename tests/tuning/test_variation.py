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


def test_total_variation(rng):
    win_length = rng.uniform(100, 200, 9)
    d = 1e-5 * rng.standard_normal(9)
    rough = (total_variation(win_length + d)[0] - total_variation(win_length - d)[0]) / 2
    assert total_variation(win_length)[1] @ d == pytest.approx(rough, rel=1e-6)
    assert total_variation(np.full(5, 3.0))[0] == pytest.approx(0, abs=1e-15)
    assert total_variation(win_length)[0] == pytest.approx(np.mean(np.abs(np.diff(np.log(win_length)))), abs=1e-3)
