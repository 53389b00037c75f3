"""The page on the architecture agrees with the package, and its recipes work."""

import re
import types
from dataclasses import dataclass, replace
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


def test_add_a_window(monkeypatch):
    hann = families.FAMILIES["hann"]
    monkeypatch.setitem(families.FAMILIES, "raised", replace(hann, name="raised"))
    u = np.linspace(-0.5, 0.5, 11)
    assert "raised" in windows.names()
    assert np.array_equal(windows.resolve("raised")(u), windows.resolve("hann")(u))
    x = np.cos(0.3 * np.arange(600.0))
    lengths = [adaptstft.optimize(x, 1.0, window=name).win_length for name in ("raised", "hann")]
    assert lengths[0] == lengths[1]


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


def test_add_an_adapter():
    with pytest.raises(ImportError, match=r"pip install 'adaptstft\[other\]'"):
        require("a_framework_that_nobody_has", extra="other")
