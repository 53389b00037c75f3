"""Tuned lengths for each frame against searches from random lengths and against every constant length."""

import importlib
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.full


@pytest.fixture
def optimum(monkeypatch):
    """Import the benchmark of random starts, which no installation contains."""
    monkeypatch.syspath_prepend(Path(__file__).parents[2])
    return importlib.import_module("benchmarks.optimum")


@pytest.mark.parametrize("name", ["close tones and clicks", "pulses around a pair", "crossing chirps"])
def test_tuned_lengths_against_random_starts_and_constants(optimum, name):
    """All signals, and 64 starts and constants: ``python -m benchmarks.optimum``."""
    found = optimum.compare(dict(optimum.signals())[name], starts=3, constants=8)
    assert found.met
    assert found.worst <= found.best + 1e-3 * abs(found.best)  # the search does not depend on where it begins


@pytest.mark.parametrize("name", ["close tones and clicks", "beats, chirp, clicks", "pulses around a pair"])
def test_long_windows_on_tones_and_short_ones_on_clicks_beat_every_constant(optimum, name):
    """Where one length for all is an optimum too, which no descent leaves."""
    x = dict(optimum.signals())[name]
    res = optimum.tune(x, workers=1)
    assert res.fun < optimum.best_constant(x, res, points=16) - 0.1
    assert res.success
    clicks = np.flatnonzero(np.abs(x) > 5)
    at = np.abs(res.positions[:, None] - clicks).min(axis=1) <= 40
    tones = np.abs(res.positions[:, None] - clicks).min(axis=1) > 500
    assert np.median(res.win_length[at]) < 160
    assert np.median(res.win_length[tones]) > 800
