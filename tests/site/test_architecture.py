"""The page on the architecture agrees with the package, and its recipes work."""

import array
import importlib
import re
import types
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

import adaptstft
from adaptstft import criteria, kernels, windows
from adaptstft.common.optional import require
from adaptstft.criteria import registry
from adaptstft.criteria.base import Additive
from adaptstft.engine.statistics import Statistics
from adaptstft.kernels import plain
from adaptstft.windows import families

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "development" / "architecture.rst").read_text(encoding="utf-8")
PACKAGE = Path(adaptstft.__file__).parent


def test_the_drawing_has_the_layers_that_are_checked():
    from test_layers import LAYERS

    drawing = PAGE[PAGE.index("code-block:: text") : PAGE.index("Modules in one row")]
    lines = [line for line in drawing.splitlines()[2:] if line.strip() and "---" not in line]
    names = set().union(*LAYERS)
    drawn = [set(line.partition("|")[0].split()) & names for line in lines]
    assert drawn[::-1] == [row for row in LAYERS if row]


def test_every_file_that_is_named_exists():
    named = re.findall(r"``([\w/]+/[\w.]*|[\w/]+\.(?:py|rst))``", PAGE)
    assert len(named) > 25
    for name in named:
        folders = (PACKAGE, PACKAGE / "tuning", PACKAGE.parent, ROOT)
        assert any((folder / name).exists() for folder in folders), name


@dataclass(frozen=True, kw_only=True)
class L03(Additive):
    name: ClassVar[str] = "l0.3"

    @property
    def statistics(self):
        return Statistics.of((1.0, False), (0.15, False))

    def combine(self, sums):
        z, a = sums.totals
        return np.log(a) - 0.15 * np.log(z), np.array([-0.15 / z, 1 / a]), np.zeros_like(z)


def test_add_a_criterion(monkeypatch, rng):
    monkeypatch.setitem(registry.CRITERIA, L03.name, L03)
    assert "l0.3" in criteria.names()
    x = rng.standard_normal(500)
    sft = adaptstft.AdaptiveShortTimeFFT("hann", 60.5, 15.0, 1.0, mfft=128)
    (value, gradient), (same, like) = (sft.value_and_grad(x, one) for one in ("l0.3", criteria.Lp(k=0.3)))
    assert value == pytest.approx(same, rel=1e-12)
    assert gradient.win_length == pytest.approx(like.win_length, rel=1e-9)
    assert adaptstft.optimize(x, 1.0, criterion="l0.3").criterion.name == "l0.3"


def test_add_a_window(monkeypatch, rng):
    def omega(u):
        return np.where(np.abs(u) <= 0.5, 1 - 4 * u**2, 0.0)

    def derivative(u):
        return np.where(np.abs(u) <= 0.5, -8 * u, 0.0)

    parabola = families.Family("parabola", omega, derivative)
    monkeypatch.setitem(families.FAMILIES, "parabola", parabola)
    assert "parabola" in windows.names()
    x, h = rng.standard_normal(400), 1e-5

    def evaluate(win_length):
        return adaptstft.AdaptiveShortTimeFFT("parabola", win_length, 15.0, 1.0, mfft=128).value_and_grad(x, "renyi")

    difference = (evaluate(60.3 + h)[0] - evaluate(60.3 - h)[0]) / (2 * h)
    assert evaluate(60.3)[1].win_length == pytest.approx(difference, rel=1e-5)
    expected = sum(x[200 + k] * omega(k / 60) * np.exp(-2j * np.pi * 5 / 128 * k) for k in range(-30, 30))
    frame = adaptstft.AdaptiveShortTimeFFT("parabola", 60.0, None, 1.0, positions=[200.0], mfft=128)
    assert frame.stft(x)[5, 0] == pytest.approx(expected, rel=1e-10)
    assert adaptstft.optimize(np.cos(0.3 * np.arange(600.0)), 1.0, window="parabola").win_length > 100


def test_add_a_backend(monkeypatch, rng):
    counted = types.ModuleType("counted")
    counted.__dict__.update({name: value for name, value in vars(plain).items() if not name.startswith("__")})
    calls = []

    def load_frames(*arguments):
        calls.append(arguments)
        return plain.load_frames(*arguments)

    counted.load_frames = load_frames
    resolve = kernels.resolve
    monkeypatch.setattr(kernels, "BACKENDS", (*kernels.BACKENDS, "counted"))
    monkeypatch.setattr(kernels, "resolve", lambda name: ("counted", counted) if name == "counted" else resolve(name))
    x = rng.standard_normal(300)
    found, expected = (
        adaptstft.AdaptiveShortTimeFFT("hann", 40.3, 9.5, 1.0, mfft=64, backend=backend).stft(x)
        for backend in ("counted", "numpy")
    )
    assert np.array_equal(found, expected) and calls


ADAPTER = """
import numpy as np

from adaptstft.adapters.settings import Settings
from adaptstft.common.optional import require

array = require("array", extra="array")  # the framework: arrays of the standard library


def energy_and_gradient(x, win_length, hop):
    settings = Settings("hann", 1.0, None, "onesided", 128, None, 0, 0.0, None, "auto")
    x = np.frombuffer(x)
    sft = settings.transform(win_length, hop, None, None)
    S = sft.stft(x)
    return float(np.sum(np.abs(S) ** 2)), array.array("d", sft.vjp(x, 2 * S).x)
"""


def test_add_an_adapter(tmp_path, monkeypatch, rng):
    (tmp_path / "adaptstft_array.py").write_text(ADAPTER, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    adapter = importlib.import_module("adaptstft_array")
    x, h = rng.standard_normal(300), 1e-6
    step = h * (np.arange(300) == 100)
    value, gradient = adapter.energy_and_gradient(array.array("d", x), 40.5, 12.0)
    up, down = (adapter.energy_and_gradient(array.array("d", x + sign * step), 40.5, 12.0)[0] for sign in (1, -1))
    assert value > 0 and gradient[100] == pytest.approx((up - down) / (2 * h), rel=1e-5)
    with pytest.raises(ImportError, match=r"pip install .*\[other\]"):
        require("a_framework_that_nobody_has", extra="other")
