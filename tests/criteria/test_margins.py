"""Frames at the ends of a signal, which a description length does not count."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import adaptstft
from adaptstft import criteria, datasets
from adaptstft.tuning.tables.survey import compared_in_pairs

FS = 1000.0


def weights(margin, n=1000, hop=1.0, **options):
    positions = np.arange(0.0, n, hop)
    return positions, criteria.DescriptionLength(margin=margin / FS).frame_weights(positions, n, 1 / FS, **options)


def test_weights_rise_beside_the_margin():
    positions, found = weights(100.0)
    distance = np.minimum(positions, 999 - positions)
    assert np.all(found[distance <= 100] < 1e-5) and np.all(found[distance >= 150] == 1)
    assert_allclose(
        found[(distance > 101) & (distance < 149)], (distance[(distance > 101) & (distance < 149)] - 100) / 50
    )
    assert_allclose(found, found[::-1])


def test_weights_in_steps():
    positions, found = weights(100.0, steps=True)
    distance = np.minimum(positions, 999 - positions)
    assert np.all((found == 1) == (distance >= 100)) and np.all(found[distance < 100] < 1e-5)


def test_no_margin_counts_all_frames():
    assert np.all(weights(0.0)[1] == 1) and np.all(criteria.Renyi().frame_weights(np.arange(9.0), 9, 1.0) == 1)


def test_at_most_a_quarter_is_left_out_at_each_end():
    positions, found = weights(5000.0)
    assert np.all((found > 1e-5) == ((positions > 250) & (positions < 749)))


def test_slopes_are_those_of_differences():
    criterion, n, step = criteria.DescriptionLength(margin=0.1), 1000, 1e-4
    positions = np.arange(3.3, n, 7.1)  # none within a step of a kink
    difference = criterion.frame_weights(positions + step, n, 1 / FS) - criterion.frame_weights(
        positions - step, n, 1 / FS
    )
    assert_allclose(criterion.frame_weight_slopes(positions, n, 1 / FS), difference / (2 * step), atol=1e-9)


@pytest.mark.parametrize("positions", [np.arange(0.0, 800, 20), np.arange(0.0, 800, 20) + np.tile([0.0, 3.7], 20)])
def test_gradient_in_the_positions_contains_the_weights(positions):
    x = datasets.linear_chirp().x[:800]
    criterion = criteria.DescriptionLength(margin=0.103, distortion=0.0, floor=1e-3)
    direction, step = np.random.default_rng(0).standard_normal(positions.size), 1e-5

    def at(s):
        sft = adaptstft.AdaptiveShortTimeFFT("hann", 80.0, None, FS, positions=positions + s * direction, mfft=256)
        return sft.value_and_grad(x, criterion, wrt=("positions",))

    found = at(0.0)[1].positions @ direction
    assert found == pytest.approx((at(step)[0] - at(-step)[0]) / (2 * step), rel=1e-5, abs=1e-9)


def test_lengths_are_compared_in_pairs():
    # the value is 1 with any window, but for 2 in the frames near the ends, which longer windows leave out
    own = np.array([1.5, 1.3, 1.0])
    before = np.array([1.3, 1.0])
    assert_allclose(compared_in_pairs(own, before), 1.5)


def test_values_are_those_by_the_same_frames_where_all_count():
    own = np.array([3.0, 1.0, 2.0])
    assert compared_in_pairs(own, own[:-1]) is own


def test_a_loud_passage_at_an_end_does_not_lengthen_the_window():
    # a seismogram that begins in an earthquake: without the passage windows are compared by what is quiet
    rng, n = np.random.default_rng(1), 12_000
    x = rng.standard_normal(n)
    bursts = sum(np.exp(-0.5 * ((np.arange(n) - c) / 40.0) ** 2) for c in range(400, n, 800))
    x = 0.02 * x + bursts * np.cos(0.4 * np.arange(n))
    x[:1500] *= np.linspace(20, 1, 1500)
    whole, rest = (adaptstft.optimize(part, FS).win_length for part in (x, x[2000:]))
    assert whole == pytest.approx(rest, rel=0.1)


def mixture(seed, n=8000):
    """Noise with a weak tone and bursts: minima of the criterion far apart."""
    rng, t = np.random.default_rng(seed), np.arange(n) / FS
    bursts = sum(np.exp(-0.5 * ((np.arange(n) - c) / 8.0) ** 2) for c in range(300, n, 900)) * np.cos(
        0.8 * np.arange(n)
    )
    return 0.8 * rng.standard_normal(n) + 0.2 * np.cos(2 * np.pi * 100.3 * t) + bursts


@pytest.mark.parametrize("seed", [0, 3])
def test_the_result_has_the_margin_of_its_own_length(seed):
    res = adaptstft.optimize(mixture(seed), FS, detrend=None)
    start = next(one for one in res.starts if one["win_length"] == pytest.approx(res.win_length))
    assert res.criterion.margin == pytest.approx(start["win_length_start"] / 2 / FS)
    lengths = [start["win_length"] for start in res.starts]
    same = criteria.DescriptionLength(margin=max(lengths) / 2 / FS)
    fixed = {"window_mode": "fixed", "detrend": None, "criterion": same}
    values = [adaptstft.optimize(mixture(seed), FS, win_length=length, **fixed).area_fun for length in lengths]
    chosen = int(np.argmin(np.abs(np.log(np.array(lengths) / res.win_length))))
    assert values[chosen] <= min(values) * (1 + 1e-3)  # two of them differ by a ten thousandth


def test_a_grid_of_integers_is_compared_by_the_same_frames():
    rng, n = np.random.default_rng(1), 12_000
    bursts = sum(np.exp(-0.5 * ((np.arange(n) - c) / 40.0) ** 2) for c in range(400, n, 800))
    x = 0.02 * rng.standard_normal(n) + bursts * np.cos(0.4 * np.arange(n))
    x[:1500] *= np.linspace(20, 1, 1500)
    found = adaptstft.optimize(x, FS, method="grid", options={"step": 3}, win_bounds=(150, 320)).win_length
    assert found == pytest.approx(adaptstft.optimize(x, FS).win_length, rel=0.06)


def test_a_tuned_shape_may_need_a_length_far_from_that_of_the_first():
    signal = datasets.linear_chirp()
    res = adaptstft.optimize(signal.x, signal.fs, window=("tukey", 0.1), tune_shape=True)
    start = res.starts[0]
    assert start["win_length"] < start["win_length_start"] / 1.45 and abs(res.jac[0] * res.win_length) < 1e-4


def test_positions_that_are_tuned_do_not_end_above_their_start():
    for seed in range(4):
        x = datasets.close_tones_and_clicks().x[200 * seed : 200 * seed + 1200]
        res = adaptstft.optimize(x, FS, hop_mode="time", options={"maxiter": 15})
        assert all(start["fun"] <= start["fun_start"] for start in res.starts)
        assert res.fun - res.prices == pytest.approx(res.history[-1] - res.prices)
