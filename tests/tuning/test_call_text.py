"""The call of `optimize` as source: it can be run again and gives the same result."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import adaptstft
from adaptstft import criteria
from adaptstft.tuning.result.call import call_text

X = np.cos(0.01 * np.arange(600) ** 1.3)
DEFAULTS = {"window": "hann", "criterion": "description-length", "win_bounds": None, "callback": None, "hop": None}


def entropy_of_the_user(power):
    return power.sum()


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"window_mode": "time", "smoothness": 0.5},
        {"window": ("gaussian", np.float64(6)), "f_bounds": (None, 20.0)},
        {"criterion": criteria.Renyi(alpha=2.5), "win_bounds": (16, 200)},
        {"criterion": criteria.Combined([criteria.Shannon(), "kurtosis"], [1.0, 2.0]), "win_bounds": (16, 64)},
        {"window_mode": "fixed", "win_length": np.full(4, 450.0), "hop": 200.0},
        {"options": {"maxiter": 2}, "starts": 1},
    ],
    ids=["defaults", "time", "tuples", "criterion", "combined", "array", "options"],
)
def test_call_gives_the_result_again(arguments):
    res = adaptstft.optimize(X, 100, **arguments)
    again = eval(res.call, {"adaptstft": adaptstft, "x": X})
    assert_array_equal(again.win_length, res.win_length)
    assert again.fun == res.fun and again.call == res.call


def test_call_has_only_what_differs():
    assert call_text(100.0, DEFAULTS, DEFAULTS) == "adaptstft.optimize(x, 100.0)"
    assert call_text(1.5, DEFAULTS | {"window": "kaiser"}, DEFAULTS) == "adaptstft.optimize(x, 1.5, window='kaiser')"


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("criterion", entropy_of_the_user, "criterion=entropy_of_the_user"),
        ("criterion", criteria.resolve(entropy_of_the_user), "criterion=entropy_of_the_user"),
        ("hop", np.arange(20.0), "hop=hop"),
        ("hop", list(range(20)), "hop=hop"),
        ("win_bounds", (16,), "win_bounds=(16,)"),
    ],
    ids=["function", "loss", "array", "list", "tuple"],
)
def test_values_without_a_short_source_have_a_name(name, value, text):
    assert call_text(100.0, DEFAULTS | {name: value}, DEFAULTS) == f"adaptstft.optimize(x, 100.0, {text})"


def test_functions_that_only_watch_are_left_out():
    assert call_text(100.0, DEFAULTS | {"callback": print}, DEFAULTS) == "adaptstft.optimize(x, 100.0)"


def test_call_is_saved(tmp_path):
    res = adaptstft.optimize(X, 100, window="gaussian")
    res.save(tmp_path / "tuned")
    assert adaptstft.load(tmp_path / "tuned").call == res.call == "adaptstft.optimize(x, 100, window='gaussian')"
