"""Errors of ridges and of ssqueezepy that the guide on tracking shows."""

import importlib
from pathlib import Path

import numpy as np
import pytest

from adaptstft import datasets, ridges

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.full


@pytest.fixture
def tracking(monkeypatch):
    """Import what compares ridges and synchrosqueezing with ssqueezepy."""
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("benchmarks.cases_tracking")


TRACKS = {"run_up": datasets.run_up, "sinusoidal_fm": datasets.sinusoidal_fm}


def tracks(module, name, seconds):
    """Three draws of the noise."""
    return [module.Track(TRACKS[name](duration=seconds, noise_std=0.5, rng=seed), 200, 512) for seed in range(3)]


def in_the_guide(*values):
    """Whether the table of the guide has these cells."""
    guide = (ROOT / "docs" / "guide" / "tracking.rst").read_text(encoding="utf-8")
    return all(f"     - {value}\n" in guide for value in values)


@pytest.mark.parametrize(
    ("name", "first", "second", "ridge"), [("run_up", 0.65, 0.59, 1.5), ("sinusoidal_fm", 16.8, 0.93, 1.1)]
)
def test_tracking_errors_that_the_guide_shows(tracking, name, first, second, ridge):
    assert in_the_guide(first, second, ridge)
    for order, expected in ((1, first), (2, second)):
        found = [t.quality(t.ours(order)(), t.sft.f)["rms_hz"] for t in tracks(tracking, name, 6)]
        assert np.mean(found) == pytest.approx(expected, rel=0.02)
    found = [t.error(ridges(t.sft, t.signal.x, max_rate=1000.0).frequency[0]) for t in tracks(tracking, name, 2)]
    assert np.mean(found) == pytest.approx(ridge, rel=0.05)


@pytest.mark.parametrize(("name", "ridge"), [("run_up", 4.7), ("sinusoidal_fm", 4.5)])
def test_errors_of_ssqueezepy_that_the_guide_shows(tracking, name, ridge):
    ssqueezepy = pytest.importorskip("ssqueezepy", reason="ssqueezepy is not installed, see benchmarks/peers.py")
    assert in_the_guide(ridge)
    (one, *_) = tracks(tracking, name, 6)
    S, _, f = one.theirs()()[:3]
    ours = one.quality(one.ours(1)(), one.sft.f)
    assert one.quality(S, np.asarray(f)) == pytest.approx(ours, rel=0.01)
    best = []
    for track in tracks(tracking, name, 2):
        S, _, f = track.theirs()()[:3]
        paths = [ssqueezepy.extract_ridges(S, f, penalty=p, n_ridges=1, transform="stft") for p in (0.5, 2.0)]
        best.append(min(track.error(np.asarray(f)[path[:, 0]]) for path in paths))
    assert np.mean(best) == pytest.approx(ridge, rel=0.05)
