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
    return settings_text({"a": value}, {"a": None}, comparable=True)


def total(power):
    return power.sum()


def largest(power):
    return power.max()


def weighted(weight, power):
    return weight * power.sum()


def weighted_inside(weight):
    return lambda power: weight * power.sum()


class Loss:
    def __init__(self, weight):
        self.weight = weight

    def __call__(self, power):
        return self.weight * power.sum()


@dataclass
class DataLoss:
    weight: float

    def __call__(self, power):
        return self.weight * power.sum()

    def loss(self, power):
        return self(power)

    @classmethod
    def unit_loss(cls, power):
        return cls(1.0)(power)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (64, 64.0),
        (np.float32(0.5), 0.5),
        ((16, 200), [16.0, 200.0]),
        (np.arange(3), [0, 1, 2]),
        (criteria.Renyi(alpha=3), criteria.Renyi()),
        (windows.resolve(("kaiser", 8)), ("kaiser", 8.0)),
        (total, total),
        (criteria.resolve(total), total),
        (windows.resolve(np.cos), np.cos),
        (DataLoss(1), DataLoss(1.0)),
        (DataLoss(1).loss, DataLoss(1.0).loss),
        (functools.partial(weighted, 1), functools.partial(weighted, 1.0)),
        (np.ones(100), np.ones(100)),
        ({"b", "a"}, frozenset("ab")),
    ],
    ids=[
        "int", "numpy", "sequence", "array", "criterion", "window", "function", "callable", "window function",
        "dataclass", "method", "partial", "long", "set",
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
        (criteria.Combined(["renyi", "lp"]), criteria.Combined(["renyi", "lp"], weights=[1, 2])),
        (total, largest),
        (total, np.sum),
        (np.max, "numpy.max"),
        (DataLoss(1), DataLoss(2)),
        (DataLoss(1).loss, DataLoss(2).loss),
        (DataLoss.unit_loss, DataLoss(1.0).loss),
        (functools.partial(weighted, 1), functools.partial(weighted, 2)),
        (functools.partial(total), functools.partial(largest)),
        (1j, 2j),
        (np.ones(100), np.zeros(100)),
        (np.exp(1j * np.arange(40)), np.exp(-1j * np.arange(40))),
        (windows.resolve(np.cos), windows.resolve(np.cosh)),
    ],
    ids=[
        "number", "flag", "text", "parameter", "criterion", "weights", "function", "module", "name", "dataclass",
        "method", "class method", "partial", "function of partial", "complex", "long", "long complex", "window",
    ],
)  # fmt: skip
def test_different_settings_have_different_texts(one, other):
    assert text(one) != text(other)


def test_a_function_is_its_module_and_name():
    assert json.loads(text(total)) == {"a": {"function": f"{__name__}.total"}}
    assert json.loads(text(np.sum)) == {"a": {"function": "numpy.sum"}}


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (lambda power: power.sum(), "<lambda> has no name"),
        (weighted_inside(2), r"weighted_inside\.<locals>\.<lambda> has no name"),
        (functools.partial(lambda weight, power: weight, 1), "<lambda> has no name"),
        (criteria.resolve(lambda power: power.sum()), "<lambda> has no name"),
        (windows.resolve(lambda u: np.cos(np.pi * u) ** 2), "<lambda> has no name"),
        ([lambda power: power.sum()], "<lambda> has no name"),
        (Loss(1), "an object of type Loss is no dataclass"),
        (Loss(1).__call__, "an object of type Loss is no dataclass"),
        (object(), "an object of type object is no dataclass"),
    ],
    ids=["lambda", "inner", "partial", "criterion", "window", "list", "object", "method", "no function"],
)
def test_settings_without_a_name_are_refused(value, reason):
    with pytest.raises(ValueError, match=rf"a=.* cannot be compared with the settings of another run: .*{reason}"):
        text(value)
    # where nothing is compared they have a text all the same
    assert json.loads(settings_text({"a": value}, {"a": None}))


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


def test_other_processes_find_the_same_text():
    code = "import test_settings_text as t; print(t.text(t.total), t.text(t.DataLoss(2)), t.text({'x', 'y'}), end='')"
    for seed in ("0", "1", "2"):  # changes the order of sets
        done = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            cwd=__file__.rpartition("/")[0],
            env=os.environ | {"PYTHONHASHSEED": seed},
        )
        expected = f"{text(total)} {text(DataLoss(2))} {text({'y', 'x'})}"
        assert done.stdout == expected.replace(f"{__name__}.", "test_settings_text.")
