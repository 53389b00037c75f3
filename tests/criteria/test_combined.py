"""Weighted sums of criteria."""

from dataclasses import replace

import numpy as np
import pytest

from adaptstft import AdaptiveShortTimeFFT, criteria, datasets

CHIRP = datasets.linear_chirp(rate=60.0, duration=2.0)


@pytest.mark.parametrize("scope", ["global", "frame"])
def test_combination_is_the_weighted_sum(scope, backend):
    sft = AdaptiveShortTimeFFT("hann", 150.0, 20, CHIRP.fs, backend=backend)
    parts = [criteria.Renyi(), criteria.Kurtosis(), criteria.Shannon(power=1)]
    both = criteria.Combined(parts, [1.0, 0.5, 2.0], scope=scope)
    value, gradient = sft.value_and_grad(CHIRP.x, both)
    parts_alone = [sft.value_and_grad(CHIRP.x, replace(part, scope=scope)) for part in parts]
    assert value == pytest.approx(np.dot(both.weights, [v for v, _ in parts_alone]), rel=1e-12)
    for name in ("win_length", "hop", "x"):
        expected = sum(w * getattr(g, name) for w, (_, g) in zip(both.weights, parts_alone, strict=True))
        np.testing.assert_allclose(getattr(gradient, name), expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: criteria.Combined([]), r"parts=\[\] must be a sequence of criteria"),
        (lambda: criteria.Combined("renyi"), r"parts='renyi' must be a sequence of criteria"),
        (lambda: criteria.Combined(["renyi", "gini"]), r"cannot be combined: it is not a function of sums"),
        (lambda: criteria.Combined(["renyi", "hoyer"]), r"'hoyer' cannot be combined with others"),
        (lambda: criteria.Combined([criteria.Renyi(scope="frame"), "lp"]), r"has its own scope"),
        (lambda: criteria.Combined(["renyi", "lp"], [1.0]), r"weights=\[1.0\] must be 2 numbers"),
        (lambda: criteria.Combined(["renyi", "lp"], [1.0, 0.0]), r"weights\[1\]=0.0 must be greater than 0"),
        (lambda: criteria.Combined(["renyi", "lp"], rule="sum"), r"rule='sum' must be one of 'weighted', 'min-norm'"),
    ],
    ids=["none", "name", "gini", "hoyer", "scope", "count", "zero", "rule"],
)
def test_bad_combinations(make, message):
    with pytest.raises(ValueError, match=message):
        make()


SAME = [
    (criteria.Kurtosis(), criteria.Renyi(alpha=2)),
    (criteria.Stankovic(r=3), criteria.Renyi(alpha=1 / 3)),
    (criteria.Lp(k=0.5, power=1), criteria.Renyi(alpha=0.25, power=1)),
    (criteria.Lp(), criteria.Stankovic()),
    (criteria.Kurtosis(power=1), criteria.Renyi(alpha=0.5)),
    (criteria.Shannon(), criteria.Renyi(alpha=1)),
    (criteria.Renyi(), criteria.Renyi()),
    (criteria.Hoyer(), criteria.Hoyer()),
]


@pytest.mark.parametrize(("first", "second"), SAME, ids=str)
def test_the_same_measure_twice_is_refused(first, second):
    with pytest.raises(ValueError, match=r"are the same measure: both increase with the Rényi entropy of") as caught:
        criteria.Combined([first, second], scope="local")
    assert repr(first)[:9] in str(caught.value) and repr(second)[:9] in str(caught.value)


@pytest.mark.parametrize(
    "parts",
    [
        [criteria.Kurtosis(), criteria.Renyi()],
        [criteria.Kurtosis(power=1), criteria.Renyi(alpha=2)],
        [criteria.Lp(k=0.5), criteria.Stankovic()],
        [criteria.Shannon(power=1), criteria.Shannon()],
    ],
    ids=str,
)
def test_different_measures_are_combined(parts):
    assert len(criteria.Combined(parts).parts) == 2


def test_the_kurtosis_of_frames_is_another_measure():
    assert criteria.Combined(["kurtosis", criteria.Renyi(alpha=2)], scope="frame").scope == "frame"
    with pytest.raises(ValueError, match="the same measure"):
        criteria.Combined(["kurtosis", criteria.Renyi(alpha=2)])
