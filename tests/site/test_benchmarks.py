"""The benchmarks run, and what goes wrong in a row is a line of the table."""

import dataclasses
import importlib
import itertools
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


def run(*arguments):
    """Run the command and return what it printed."""
    command = [sys.executable, "-m", "benchmarks", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


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


def test_an_update_replaces_rows_of_the_same_names_only(harness, tmp_path):
    module = importlib.import_module("benchmarks.report")
    machine = module.environment(harness.Settings()) | {"load_at_start": 0.1}
    row = harness.Row("a", "old")
    before = module.Report([row, harness.Row("b", "old"), row], machine | {"date": "then"})
    before.write(tmp_path, tmp_path / "benchmarks.svg")
    newer = {"date": "now", "repetitions": 3, "versions": machine["versions"] | {"numpy": "9.9"}}
    new = module.Report([harness.Row("b", "new"), harness.Row("c", "new")], machine | newer)
    after = new.update(tmp_path)
    assert [(row.name, row.work) for row in after.rows] == [("a", "old"), ("b", "new"), ("a", "old"), ("c", "new")]
    assert after.environment["date"] == "then"
    assert after.notes()[-2:] == [
        f"The rows of {name} were measured again at now; 3 repetitions; numpy 9.9." for name in "bc"
    ]
    assert after.environment["repetitions"] == machine["repetitions"]
    assert after.environment["updates"]["b"]["system"] == machine["system"]
    after.write(tmp_path, tmp_path / "benchmarks.svg")
    assert "measured again" in (tmp_path / "results.rst").read_text(encoding="utf-8")


def test_an_update_of_nothing_fails_before_anything_is_measured(harness, tmp_path, monkeypatch, capsys):
    module = importlib.import_module("benchmarks.__main__")
    monkeypatch.setattr(module, "_run_apart", lambda *arguments: pytest.fail("measured"))
    with pytest.raises(SystemExit):
        module.main(["--update", "--only=time-short", f"--out={tmp_path}"])
    assert "results.json" in capsys.readouterr().err


def test_list_names_every_benchmark():
    listed = [line.split()[0] for line in run("--list").splitlines()]
    assert {"time", "constant", "memory", "scaling", "import", "scipy-stft", "ablations"} <= set(listed)
    assert len(listed) == len(set(listed))


@pytest.mark.slow
def test_an_ablation_switches_its_heuristic_off(harness):
    ablations = importlib.import_module("benchmarks.ablations")
    (of_hops,) = (one for one in ablations.ABLATIONS if one.name == "hop of frames")
    chosen = dataclasses.replace(of_hops, signals=("close tones and clicks",))
    ((work, with_it, without),) = ablations.compare(chosen, 1, quick=True)
    assert work == "hop of frames: close tones and clicks, time, description-length"
    assert with_it.frames > 5 * without.frames
    assert with_it.value < 0.7 * without.value
    assert with_it.uneven < 0.1


def test_every_ablation_changes_something(harness):
    ablations = importlib.import_module("benchmarks.ablations")
    for one in ablations.ABLATIONS:
        assert set(one.signals) <= set(ablations.signals())
        assert one.without or one.patches
        for target in one.patches:
            module, _, name = target.rpartition(".")
            assert callable(getattr(importlib.import_module(module), name))


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
        harness.Settings(repeat=3, quick=True),
        "row",
        "work",
        lambda: lambda: calls.append("ours") or 1.5,
        [slow, broken],
        size=7,
    )
    # each rival has rounds of its own, of two calls: ours and the slow one in turn, then ours beside nothing that works
    assert calls[-18:] == ["ours", "ours", "slow", "slow"] * 3 + ["ours"] * 6
    assert (rows[0].ours.value, rows[0].theirs.value, rows[0].result.value, rows[0].met) == (1.5, 3.0, 2.0, True)
    assert rows[0].detail["agreement"] == {"d": 0}
    assert (rows[1].result, rows[1].met) == (None, None)
    assert rows[1].problem.startswith("AttributeError")
    assert harness.Row.from_json(json.loads(json.dumps(rows[0].to_json()))) == rows[0]


def test_several_runs_have_the_median_row_and_the_range_of_results(harness):
    def row(result, work="w", **more):
        return harness.Row("a", work, "b", result=None if result is None else harness.Figure(result, "x"), **more)

    runs = [[row(3.0), row(1.0, "v")], [row(1.0), row(None, "v", problem="broke")], [row(2.0), row(None, "v")]]
    middle, other = harness.middle_rows(runs)
    assert middle.result.value == 2 and middle.detail["results"] == [1, 2, 3]
    assert [str(figure) for figure in middle.spread] == ["1.00 x", "3.00 x"]
    assert other.result.value == 1 and other.spread is None
    report = importlib.import_module("benchmarks.report")
    environment = report.environment(harness.Settings())
    assert "2.00 x (1.00 x to 3.00 x)" in report.Report([middle], environment).markdown()
    assert not any("several complete runs" in note for note in report.Report([other], environment).notes())
    (alone,) = harness.middle_rows([[row(3.0)]])
    assert alone == row(3.0)


def test_short_calls_are_repeated_while_there_is_time(harness, monkeypatch):
    clock = itertools.count()
    monkeypatch.setattr(harness.time, "perf_counter", lambda: float(next(clock)))
    monkeypatch.setattr(harness, "timed", lambda function: 0.0)
    calls = {"a": lambda: None}
    assert len(harness.interleaved(calls, 3, pause=0.0)["a"]) == 3
    assert len(harness.interleaved(calls, 3, pause=0.0, seconds=12.0)["a"]) == 5  # two ticks a turn, from 3 on three
    assert len(harness.interleaved(calls, 3, pause=0.0, seconds=90.0)["a"]) == 12


def test_calls_before_the_one_that_counts_last_until_threads_have_a_core_each(harness, monkeypatch):
    clock, calls = itertools.count(), []
    monkeypatch.setattr(harness.time, "perf_counter", lambda: float(next(clock)))
    monkeypatch.setattr(harness, "timed", lambda function: calls.append("timed") or 1.0)
    durations = harness.interleaved({"a": lambda: calls.append("before")}, 2, pause=0.0, settle=3.0)
    assert calls == ["before", "before", "before", "timed"] * 2 and durations == {"a": [1.0, 1.0]}
    assert harness.Settings().settle > 0 and harness.Settings(quick=True).settle == 0


def test_problems_do_not_name_folders_of_the_machine(harness):
    error = ImportError("this needs cupy, which is not installed: pip install -e '/home/me/adaptstft[cuda]'")
    assert harness.describe(error).endswith("pip install -e '.[cuda]'")
    folder = Path(__file__).parents[2]
    assert str(folder) not in (folder / "benchmarks" / "results.json").read_text(encoding="utf-8")


def test_a_failure_of_our_own_is_a_line_for_each_rival(harness):
    def fail():
        raise ValueError("not yet")

    rival = harness.Rival("other", lambda: lambda: None, harness.Target(60))
    (row,) = harness.race(harness.Settings(), "row", "work", fail, [rival])
    assert (row.problem, row.against) == ("adaptstft: ValueError: not yet", "other")


def test_the_roofline_has_every_loop(monkeypatch, tmp_path, capsys):
    roofline = importlib.import_module("benchmarks.roofline")
    for name, value in (("_RUNS", 1), ("_TURNS", 2), ("_PAGE", tmp_path / "roofline.rst")):
        monkeypatch.setattr(roofline, name, value)
    roofline.main()
    page = (tmp_path / "roofline.rst").read_text(encoding="utf-8")
    names = [loop.name for loop in roofline.loops(np.float64)]
    assert len(names) == 6 and all(page.count(f"``{name}``") == 2 for name in names)
    bins = {loop.name.split(",")[0] for loop in roofline.bin_loops(np.float64)}
    assert {name: page.count(f"``{name}``") for name in bins} == {"bin_sums": 6, "bin_adjoint": 1}
    assert page.count(" %") == 25 and "GB/s" in capsys.readouterr().out
