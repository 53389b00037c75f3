"""Settings as text: equal for equal settings, different for different ones, in every process."""

import functools
import json
import os
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest

from adaptstft import criteria, windows
from adaptstft.batch.settings_text import settings_text


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


WEIGHT = 2.0
TABLE = {"a": 1, "b": {"x", "y", "z"}}


def of_module(power):
    return helped(power) * (1 if "x" in {"x", "y", "z"} else 2)


def helped(power):
    return [WEIGHT * p for p in power] + [TABLE["a"]]


@dataclass
class Config:
    weight: float


@dataclass
class Method:
    weight: float

    def loss(self, power):
        return self.weight * power.sum()


def configured(config):
    return lambda power: config.weight * power.sum()


@pytest.mark.parametrize(
    ("name", "value"), [("WEIGHT", 3.0), ("TABLE", {"a": 2}), ("helped", np.sum)], ids=["number", "table", "function"]
)
def test_variables_of_the_module_are_settings(monkeypatch, name, value):
    """Those that a function refers to, in a comprehension or by way of another function of the module."""
    before = text(of_module)
    assert text(of_module) == before != "{}"
    monkeypatch.setitem(globals(), name, value)
    assert text(of_module) != before


def test_what_functions_are_bound_to_is_a_setting():
    assert text(Method(1.0).loss) == text(Method(1).loss) != text(Method(2.0).loss)
    assert text(configured(Config(1.0))) == text(configured(Config(1))) != text(configured(Config(2.0)))
    weights = np.exp(1j * np.arange(40))
    assert text(weighted(weights)) == text(weighted(weights.copy())) != text(weighted(weights.conj()))
    assert text(weighted(1j)) != text(weighted(2j))
    assert text(weighted({"a", "b"})) == text(weighted(frozenset("ba"))) != text(weighted({"a", "c"}))


def test_many_numbers_are_a_digest_in_any_container():
    lengths = np.arange(100) + 0.5
    assert text(lengths) == text(lengths.tolist()) == text(tuple(lengths)) != text(lengths[::-1])
    assert text(np.arange(100)) == text([float(k) for k in range(100)])
    assert json.loads(text(np.ones((20, 1)).tolist()))["a"]["shape"] == [20, 1]
    assert len(text(np.arange(1e5).tolist())) < 100


def test_defaults_are_left_out_and_the_rest_is_json():
    assert settings_text({"hop": 8.0, "mfft": None}, {"hop": 8, "mfft": None}) == "{}"
    found = json.loads(settings_text({"hop": 8, "mode": "é"}, {"hop": None, "mode": "b"}))
    assert found == {"hop": 8, "mode": "é"}


def test_what_refers_to_itself_has_a_text():
    captured = []
    captured.append(lambda power: captured)
    assert json.loads(text(captured[0])) and json.loads(text(recursive)) and json.loads(text(np.sum))


def test_other_processes_find_the_same_text():
    code = (
        "import test_settings_text as t; print(t.text(t.weighted(3)), t.text(t.Loss(2)), t.text(t.of_module), end='')"
    )
    for seed in ("0", "1", "2"):  # of the order of sets
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            cwd=__file__.rpartition("/")[0],
            env=os.environ | {"PYTHONHASHSEED": seed},
        )
        assert done.stdout == f"{text(weighted(3))} {text(Loss(2))} {text(of_module)}"
