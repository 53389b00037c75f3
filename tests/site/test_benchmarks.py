"""The benchmarks run, and what goes wrong in a row is a line of the table."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from adaptstft import datasets, ridges

ROOT = Path(__file__).parents[2]


def run(*arguments):
    """Run the command and return what it printed."""
    command = [sys.executable, "-m", "benchmarks", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def tracking(monkeypatch):
    """Import what compares ridges and synchrosqueezing with ssqueezepy."""
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("benchmarks.cases_tracking")


@pytest.fixture
def harness(monkeypatch):
    """Import the harness, which no installation contains."""
    monkeypatch.syspath_prepend(ROOT)
    return importlib.import_module("benchmarks.harness")


@pytest.mark.slow
def test_a_row_is_in_the_table_and_in_all_files_and_says_what_is_not_installed(tmp_path):
    table = run("--quick", "--repeat=2", "--only=time-short", "--without=torch", "--without=dstft", f"--out={tmp_path}")
    reason = "not installed: left out on request"
    assert reason in table
    assert reason in (tmp_path / "results.md").read_text(encoding="utf-8")
    assert reason in (tmp_path / "results.rst").read_text(encoding="utf-8")
    values = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert values["environment"]["versions"]["dstft"] == reason
    (row,) = values["rows"]
    assert row["name"] == "time-short"
    assert reason in row["problem"]
    assert row["result"] is None
    assert len(row["detail"]["seconds"]) == 2
    assert (tmp_path / "benchmarks.svg").stat().st_size > 0


def test_list_names_every_benchmark():
    listed = [line.split()[0] for line in run("--list").splitlines()]
    assert {"time", "constant", "memory", "scaling", "import", "scipy-stft"} <= set(listed)
    assert len(listed) == len(set(listed))


def test_a_benchmark_that_fails_becomes_a_row_with_the_error(harness):
    def fail(settings):
        raise RuntimeError("no\nluck")

    (row,) = harness.run_case(harness.Case("bad", "what it does", fail), harness.Settings())
    assert (row.name, row.problem, row.met) == ("bad", "RuntimeError: no luck", None)


def test_a_race_has_medians_and_a_ratio_in_turns(harness, monkeypatch):
    calls = []
    monkeypatch.setattr(harness, "timed", lambda function: function())
    broken = harness.Rival("broken", lambda: calls.missing, harness.Target(2))
    slow = harness.Rival("slow", lambda: lambda: calls.append("slow") or 3.0, harness.Target(2), check=lambda: {"d": 0})
    rows = harness.race(
        harness.Settings(repeat=3), "row", "work", lambda: lambda: calls.append("ours") or 1.5, [slow, broken], size=7
    )
    # each rival has rounds of its own, of two calls: ours and the slow one in turn, then ours beside nothing that works
    assert calls[-18:] == ["ours", "ours", "slow", "slow"] * 3 + ["ours"] * 6
    assert (rows[0].ours.value, rows[0].theirs.value, rows[0].result.value, rows[0].met) == (1.5, 3.0, 2.0, True)
    assert rows[0].detail["agreement"] == {"d": 0}
    assert (rows[1].result, rows[1].met) == (None, None)
    assert rows[1].problem.startswith("AttributeError")
    assert harness.Row.from_json(json.loads(json.dumps(rows[0].to_json()))) == rows[0]


def test_short_calls_are_repeated_while_there_is_time(harness, monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr(harness.time, "perf_counter", lambda: float(next(clock)))
    monkeypatch.setattr(harness, "timed", lambda function: 0.0)
    calls = {"a": lambda: None}
    assert len(harness.interleaved(calls, 3, pause=0.0)["a"]) == 3
    assert len(harness.interleaved(calls, 3, pause=0.0, seconds=4.0)["a"]) == 6  # one tick a turn, from 3 on
    assert len(harness.interleaved(calls, 3, pause=0.0, seconds=50.0)["a"]) == 12


def test_a_failure_of_our_own_is_a_line_for_each_rival(harness):
    def fail():
        raise ValueError("not yet")

    rival = harness.Rival("other", lambda: lambda: None, harness.Target(60))
    (row,) = harness.race(harness.Settings(), "row", "work", fail, [rival])
    assert (row.problem, row.against) == ("adaptstft: ValueError: not yet", "other")


TRACKS = {"run_up": datasets.run_up, "sinusoidal_fm": datasets.sinusoidal_fm}


def tracks(module, name, seconds):
    """Three draws of the noise."""
    return [module.Track(TRACKS[name](duration=seconds, noise_std=0.5, rng=seed), 200, 512, 1) for seed in range(3)]


def in_the_guide(*values):
    """Whether the table of the guide has these cells."""
    guide = (ROOT / "docs" / "guide" / "tracking.rst").read_text(encoding="utf-8")
    return all(f"     - {value}\n" in guide for value in values)


@pytest.mark.slow
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


@pytest.mark.slow
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
