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
