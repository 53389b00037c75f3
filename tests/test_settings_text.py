"""Settings as text: equal for equal settings, different for different ones, in every process."""

import functools
import json
import subprocess
import sys

import numpy as np
import pytest

from adaptstft import criteria, windows
from adaptstft.settings_text import settings_text


def text(value):
    return settings_text({"a": value}, {"a": None})


def weighted(weight):
    return lambda power: weight * power.sum()


class Loss:
    def __init__(self, weight):
        self.weight = weight

    def __call__(self, power):
        return self.weight * power.sum()


def recursive(power):
    return recursive(power) if power is None else power.sum()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (64, 64.0),
        (np.float32(0.5), 0.5),
        ((16, 200), [16.0, 200.0]),
        (np.arange(3), [0, 1, 2]),
        (criteria.Renyi(alpha=3), criteria.Renyi()),
        (windows.resolve(("kaiser", 8)), ("kaiser", 8.0)),
        (weighted(2), weighted(2.0)),
        (criteria.resolve(weighted(1)), weighted(1)),
        (Loss(1), Loss(1)),
        (functools.partial(weighted, 1), functools.partial(weighted, 1)),
        (np.ones(100), np.ones(100)),
    ],
    ids=[
        "int", "numpy", "sequence", "array", "criterion", "window", "function", "callable", "object", "partial", "long",
    ],
)  # fmt: skip
def test_equal_settings_have_one_text(one, other):
    assert text(one) == text(other) != "{}"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (64, 64.5),
        (True, 1),
        ("1", 1),
        (criteria.Renyi(alpha=3), criteria.Renyi(alpha=2)),
        (criteria.Renyi(), criteria.Shannon()),
        (weighted(1), weighted(2)),
        (lambda u: u, lambda u: u + 1),
        (lambda u: u.sum(), lambda u: u.mean()),
        (lambda u, k=1: u + k, lambda u, k=2: u + k),
        (Loss(1), Loss(2)),
        (functools.partial(weighted, 1), functools.partial(weighted, 2)),
        (np.ones(100), np.zeros(100)),
        (windows.resolve(np.cos), windows.resolve(np.cosh)),
    ],
    ids=[
        "number", "flag", "text", "parameter", "criterion", "captured", "code", "names", "default", "object", "partial",
        "long", "window",
    ],
)  # fmt: skip
def test_different_settings_have_different_texts(one, other):
    assert text(one) != text(other)


def test_defaults_are_left_out_and_the_rest_is_json():
    assert settings_text({"hop": 8.0, "mfft": None}, {"hop": 8, "mfft": None}) == "{}"
    found = json.loads(settings_text({"hop": 8, "mode": "é"}, {"hop": None, "mode": "b"}))
    assert found == {"hop": 8, "mode": "é"}


def test_what_refers_to_itself_has_a_text():
    captured = []
    captured.append(lambda power: captured)
    assert json.loads(text(captured[0])) and json.loads(text(recursive)) and json.loads(text(np.sum))


def test_other_processes_find_the_same_text():
    code = "import test_settings_text as t; print(t.text(t.weighted(3)), t.text(t.Loss(2)), end='')"
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        cwd=__file__.rpartition("/")[0],
    )
    assert done.stdout == f"{text(weighted(3))} {text(Loss(2))}"
