"""Many recordings: the results of `optimize`, one row for each recording, and runs that are continued."""

import functools
import json
import os
import signal
import subprocess
import sys
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import scipy.io.wavfile

import adaptstft
from adaptstft import criteria, recordings, windows
from adaptstft.batch import many
from adaptstft.windows import window

FS = 1000.0


class Watched(np.ndarray):
    """An array whose end can be seen."""

    __hash__ = object.__hash__


def chirp(rate, n=600):
    t = np.arange(n) / FS
    return np.cos(2 * np.pi * (50 * t + rate / 2 * t**2))


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def die_once(flag, rate):
    if not os.path.exists(flag):
        Path(flag).touch()
        die()
    return chirp(rate)


def forbidden():
    raise AssertionError("this was tuned already")


@pytest.fixture
def files(tmp_path):
    """Two recordings, one of two channels, and three files that are none."""
    folder = tmp_path / "in"
    folder.mkdir()
    scipy.io.wavfile.write(folder / "mono.wav", 1000, chirp(100).astype(np.float32))
    scipy.io.wavfile.write(folder / "stereo.wav", 1000, np.stack([chirp(30), chirp(300)], 1).astype(np.float32))
    (folder / "cut.wav").write_bytes((folder / "mono.wav").read_bytes()[:500])
    (folder / "text.wav").write_text("no sound")
    return [folder / name for name in ("mono.wav", "cut.wav", "stereo.wav", "text.wav", "missing.wav")]


def assert_row_of(row, result):
    low, high = result.sensitivity.factors
    expected = {
        "status": "ok",
        "error": None,
        "win_length": float(np.median(result.win_length)),
        "win_duration": float(np.median(result.win_length)) / result.sft.fs,
        "win_length_min": float(np.min(result.win_length)),
        "win_length_max": float(np.max(result.win_length)),
        "factor_low": low,
        "factor_high": high,
        "hop": result.hop,
        "frames": result.positions.size,
        "fun": result.fun,
        "area_fun": result.area_fun,
        "nfev": result.nfev,
        "fs": result.sft.fs,
        "n": result.signal.shape[-1],
        "channels": result.signal[..., 0].size,
    }
    assert {name: row[name] for name in expected} == expected


# ---------------------------------------------------------------------------------------
# Items and rows


@pytest.mark.slow
def test_rows_are_what_optimize_finds():
    x = {"slow": chirp(30), "fast": chirp(300), "two": np.stack([chirp(30), chirp(300)])}
    settings = {"window": ("gaussian", 6), "window_mode": "time", "hop": 60, "options": {"maxiter": 3}}
    table = adaptstft.optimize_many(x, FS, **settings, full_output=True)
    assert [row["name"] for row in table] == ["slow", "fast", "two"]
    for row, result, samples in zip(table, table.results, x.values(), strict=True):
        expected = adaptstft.optimize(samples, FS, **settings)
        assert_row_of(row, expected)
        assert np.array_equal(result.win_length, expected.win_length)
        assert row["window"] == "gaussian:6.0"
        assert json.loads(row["settings"]) == {"fs": 1000, **settings, "window": ["gaussian", 6]}
        assert row["version"] == adaptstft.__version__ and row["seconds"] > 0
        assert row["recommended_win_length"] == np.median(expected.recommended.win_length)


def test_every_kind_of_item(files):
    mono = recordings.read(files[0])
    items = [files[0], ("file", str(files[0])), mono, lambda: mono, ("x", lambda: files[0]), chirp(100), ("y", mono)]
    table = adaptstft.optimize_many((item for item in items), FS)
    assert [row["name"] for row in table] == [str(files[0]), "file", "2", "3", "x", "5", "y"]
    lengths = {row["win_length"] for row in table[:5]} | {table[6]["win_length"]}
    assert lengths == {adaptstft.optimize(mono.x[0], FS).win_length}
    # a float32 file is not the float64 array
    assert table[5]["win_length"] == pytest.approx(table[0]["win_length"], rel=1e-5)


def test_rows_of_an_array_and_of_a_table():
    pandas = pytest.importorskip("pandas", reason="tables need pandas, of the extra 'many'")
    x = np.stack([chirp(30), chirp(300)])
    by_array = adaptstft.optimize_many(x, FS)
    by_frame = adaptstft.optimize_many(pandas.DataFrame({"a": x[0], "b": x[1]}), FS)
    assert [row["name"] for row in by_frame] == ["a", "b"]
    assert [row["fun"] for row in by_array] == [row["fun"] for row in by_frame]


def test_bad_files_are_rows_with_their_errors(files):
    table = adaptstft.optimize_many(files)
    assert [row["status"] for row in table] == ["ok", "error", "ok", "error", "error"]
    size = files[0].stat().st_size
    assert [(row["error_type"], row["error"]) for row in table.failed] == [
        ("ValueError", f"{files[1]}: truncated WAV file: 442 bytes of samples where the header says {size - 58}"),
        ("ValueError", f"{files[3]}: not a readable WAV file (no RIFF header)"),
        ("FileNotFoundError", f"{files[4]}: No such file or directory"),
    ]
    assert table[1]["win_length"] is None and table[2]["channels"] == 2


def test_any_error_of_an_item_is_its_row():
    def broken():
        raise KeyError("sensor\n7")

    items = {
        "silent": np.zeros(500),
        "nan": np.full(500, np.nan),
        "text": np.array(["a"]),
        "broken": broken,
        "0-d": 3.0,
    }
    table = adaptstft.optimize_many(items | {"good": chirp(100)}, FS)
    errors = {row["name"]: f"{row['error_type']}: {row['error']}" for row in table.failed}
    assert errors["silent"].startswith("ValueError: x is silent: all 500 samples are zero")
    assert errors["nan"].startswith("ValueError: x has 500 NaN or infinite values of 500")
    assert errors["text"].startswith("TypeError: x must be numeric")
    assert errors["broken"] == r"KeyError: 'sensor\n7'"
    assert set(errors) == set(items)
    assert (table[0]["n"], table[0]["channels"], table[0]["fs"]) == (500, 1, 1000.0)


def test_channel_key_and_rate_reach_the_files(tmp_path, files):
    one, other = (adaptstft.optimize_many([files[2]], 500.0, channel=k)[0] for k in (0, 1))
    assert one["win_length"] > 1.5 * other["win_length"]
    assert one["fs"] == 500.0 and one["channels"] == 1
    (row,) = adaptstft.optimize_many([files[0]], channel=1)
    assert row["error"] == "mono.wav: channel=1 must lie between 0 and 0"
    scipy.io.savemat(tmp_path / "a.mat", {"x": chirp(30), "y": chirp(300), "fs": FS})
    rows = [adaptstft.optimize_many([tmp_path / "a.mat"], key=key)[0] for key in ("x", "y")]
    assert rows[0]["win_length"] > 1.5 * rows[1]["win_length"]
    table = adaptstft.optimize_many([files[0]], key="x")
    assert table[0]["error"].endswith("key='x' is for MAT and NPZ files only")
    table = adaptstft.optimize_many([lambda: chirp(30)], FS, key="x")
    assert table[0]["error"] == "key='x' is for MAT and NPZ files only"
    table = adaptstft.optimize_many([chirp(30)], FS, channel=0)
    assert table[0]["error"] == "channel=0 is for files and recordings; index the array instead"
    assert "needs a sampling frequency" in adaptstft.optimize_many([lambda: chirp(30)])[0]["error"]


def test_axis_is_that_of_arrays_and_not_of_files(files):
    table = adaptstft.optimize_many([np.stack([chirp(30), chirp(300)], axis=1), files[2]], FS, axis=0)
    assert [(row["n"], row["channels"]) for row in table] == [(600, 2), (600, 2)]
    assert table[0]["win_length"] == pytest.approx(table[1]["win_length"], rel=1e-4)


def test_names_that_are_not_text_have_escapes(tmp_path):
    name = os.fsdecode(bytes(tmp_path / "a") + b"\xff.wav")
    (row,) = adaptstft.optimize_many([name], out=tmp_path / "out.csv")
    assert row["name"].endswith(r"a\udcff.wav") and row["error"].endswith(r"a\udcff.wav: No such file or directory")
    assert adaptstft.optimize_many([name], out=tmp_path / "out.csv").resumed == 1


def test_the_whole_results_are_saved(tmp_path, files):
    table = adaptstft.optimize_many({"a/x": chirp(100), "b/x": chirp(30), "bad": np.zeros(9)}, FS, save=tmp_path)
    loaded = [adaptstft.load(row["saved"]) for row in table[:2]]
    assert [row["win_length"] for row in table[:2]] == [result.win_length for result in loaded]
    assert table[2]["saved"] is None and table[0]["saved"] != table[1]["saved"]
    np.testing.assert_array_equal(loaded[1].signal, chirp(30))


def test_a_note_with_a_semicolon_is_one_note():
    tone = np.cos(2 * np.pi * 0.31 * np.arange(3000))
    signals = {f"{k}": chirp(rate) + 0.05 * tone[: chirp(rate).size] for k, rate in enumerate((100, 120))}
    table = adaptstft.optimize_many(signals, FS)
    (note,) = adaptstft.optimize(signals["0"], FS).notes
    assert "; " in note and [row["notes"].split(" | ") for row in table] == [[note], [note]]
    assert [line for line in table.summary().splitlines() if "note" in line] == [f"note          2 of 2: {note}"]


def test_summary_of_the_table(files):
    table = adaptstft.optimize_many(files)
    assert table.summary().splitlines()[0] == "recordings    5: 2 tuned, 3 failed"
    assert repr(table) == table.summary()
    assert [line.partition(": ")[0] for line in table.summary().splitlines() if line.startswith("failed")] == [
        f"failed        {file}" for file in (files[1], files[3], files[4])
    ]
    assert table.results is None and table.out is None
    many_bad = adaptstft.optimize_many([f"no{k}.wav" for k in range(8)])
    assert many_bad.summary().splitlines()[0] == "recordings    8: 0 tuned, 8 failed"
    assert many_bad.summary().splitlines()[-1].strip() == "and 3 more"
    assert "failed " not in many_bad.summary(errors=0) and "more" not in many_bad.summary(errors=0)
    with pytest.raises(ValueError, match=r"errors=-1 must be at least 0"):
        table.summary(errors=-1)
    bounded = adaptstft.optimize_many([chirp(30), chirp(40)], FS, win_bounds=(16, 20))
    assert "note          2 of 2: the window length is at its upper bound of 20 samples" in bounded.summary()
    frame = pytest.importorskip("pandas", reason="tables need the extra 'many'") and table.to_frame()
    assert frame["status"].tolist() == [row["status"] for row in table]
    assert frame["win_length"].isna().tolist() == [row["win_length"] is None for row in table]


@pytest.mark.parametrize("engine", ["here", "executor"])
def test_recordings_are_not_kept(engine):
    alive, most = weakref.WeakSet(), 0

    def items():
        nonlocal most
        for rate in range(30, 110, 10):
            x = chirp(rate).view(Watched)
            alive.add(x)
            most = max(most, len(alive))
            yield x
            del x

    with ThreadPoolExecutor(1) as executor:
        chosen = {"executor": executor, "pre_dispatch": 1} if engine == "executor" else {}
        table = adaptstft.optimize_many(items(), FS, **chosen)
    assert not table.failed and len(table) == 8
    assert most <= 2  # one that is being loaded, and the last one on its way out


def test_no_items_make_an_empty_table(tmp_path):
    table = adaptstft.optimize_many([], out=tmp_path / "out.csv")
    assert len(table) == 0 and table.summary().startswith("recordings    0: 0 tuned, 0 failed")


# ---------------------------------------------------------------------------------------
# Going on


@pytest.fixture(params=["csv", "parquet"])
def out(request, tmp_path):
    if request.param == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet needs pyarrow, of the extra 'many'")
    return tmp_path / f"out.{request.param}"


def test_a_finished_recording_is_not_tuned_again(out):
    first = adaptstft.optimize_many({"a": chirp(30), "bad": np.zeros(99)}, FS, out=out)
    items = {"new": chirp(100), "bad": forbidden, "a": forbidden}
    table = adaptstft.optimize_many(items, FS, out=out, full_output=True)
    assert [row["name"] for row in table] == ["new", "bad", "a"]
    assert (table[2], table[1]) == (first[0], first[1]) and table.resumed == 2
    assert [result is None for result in table.results] == [False, True, True]
    assert "1 tuned, 1 failed; 2 of them in earlier runs" in table.summary().replace("2 tuned", "1 tuned")
    assert adaptstft.optimize_many({"a": forbidden}, FS, out=out).rows == [first[0]]


def test_errors_are_tried_again_if_asked(out):
    adaptstft.optimize_many({"a": chirp(30), "b": np.zeros(99), "c": np.zeros(99)}, FS, out=out)
    table = adaptstft.optimize_many({"a": forbidden, "b": chirp(100)}, FS, out=out, retry=True)
    assert [row["status"] for row in table] == ["ok", "ok"] and table.resumed == 1
    # what is not among the items now has lost its row, and is tuned when it comes
    assert adaptstft.optimize_many({"c": chirp(100)}, FS, out=out).resumed == 0


@pytest.mark.parametrize(
    "change",
    [
        {"window_mode": "time"},
        {"fs": 500.0},
        {"win_bounds": (16, 99)},
        {"criterion": criteria.Shannon()},
        {"save": "."},
    ],
    ids=lambda change: next(iter(change)),
)
def test_other_settings_are_an_error_that_shows_both(out, change):
    adaptstft.optimize_many({"a": chirp(30)}, FS, out=out, win_bounds=(16, 100.0))
    before = out.read_bytes() if out.suffix == ".csv" else None
    arguments = {"fs": FS, "win_bounds": (16.0, 100), **change}
    with pytest.raises(
        ValueError, match=r"written with other settings, \{\"fs\": 1000, .*\}, now they are \{.*\}: give"
    ):
        adaptstft.optimize_many({"b": chirp(30)}, out=out, **arguments)
    assert before is None or out.read_bytes() == before


def test_workers_and_backend_are_not_settings(out):
    adaptstft.optimize_many({"a": chirp(30)}, FS, out=out)
    assert adaptstft.optimize_many({"a": forbidden}, FS, out=out, workers=1, backend="numpy").resumed == 1


def test_an_interrupt_keeps_the_rows_and_says_so(out):
    def interrupt():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as stop:
        adaptstft.optimize_many({"a": chirp(30), "stop": interrupt, "b": forbidden}, FS, out=out)
    assert stop.value.__notes__ == [f"1 row is in {out}; the same call goes on from there"]
    table = adaptstft.optimize_many({"a": forbidden, "stop": chirp(100)}, FS, out=out)
    assert table.resumed == 1 and not table.failed


def noise(seed):
    return np.random.default_rng(seed).standard_normal(700)


SCRIPT = """
import sys
import numpy as np
import adaptstft

def noise(seed):
    return np.random.default_rng(seed).standard_normal(700)

if __name__ == "__main__":
    import functools
    items = {str(k): functools.partial(noise, k) for k in range(20)}
    adaptstft.optimize_many(items, 1000.0, out=sys.argv[1], n_jobs=int(sys.argv[2]))
"""


@pytest.mark.skipif(os.name != "posix", reason="the test sends POSIX signals")
@pytest.mark.slow
def test_a_killed_run_can_be_continued(out, tmp_path):
    pytest.importorskip("joblib", reason="processes need joblib, of the extra 'many'")
    jobs = 2 if out.suffix == ".csv" else 1
    script = tmp_path / "run.py"
    script.write_text(SCRIPT)
    command = [sys.executable, str(script), str(out), str(jobs)]
    lines = out if out.suffix == ".csv" else out.with_name(out.name + ".rows")
    wanted = int(np.random.default_rng().integers(1, 9))  # any point must do
    process = subprocess.Popen(command, start_new_session=True)
    while process.poll() is None and not (lines.exists() and lines.read_bytes().count(b"\n") > wanted):
        time.sleep(0.002)
    os.killpg(process.pid, signal.SIGKILL)  # with its workers, which would wait for minutes
    assert process.wait() == -signal.SIGKILL
    left = lines.read_bytes()
    left = left[: left.rfind(b"\n") + 1].decode().splitlines()[1:]
    assert wanted <= len(left) < 20
    items = {str(k): functools.partial(noise, k) for k in range(20)}
    assert len(adaptstft.optimize_many(items, 1000.0, out=out)) == 20
    if out.suffix == ".csv":
        assert out.read_text().splitlines()[1 : len(left) + 1] == left
    names = {str(k): forbidden for k in range(20)}
    table = adaptstft.optimize_many(names, 1000.0, out=out)
    assert table.resumed == 20 and not table.failed
    finished = {row["name"]: repr(row["seconds"]) for row in table}
    # the time that a recording took would be another one had it been tuned again
    assert all(line.split(",")[0] in finished and finished[line.split(",")[0]] in line for line in left)


# ---------------------------------------------------------------------------------------
# Engines


@pytest.mark.slow
def test_joblib_gives_the_same_rows_and_a_dead_process_costs_one(tmp_path):
    pytest.importorskip("joblib", reason="processes need joblib, of the extra 'many'")
    items = {str(k): chirp(30 + 10 * k) for k in range(6)}
    here = adaptstft.optimize_many(items, FS, workers=1)
    crash = {"dies": die} if os.name == "posix" else {}
    table = adaptstft.optimize_many(items | crash, FS, n_jobs=2, out=tmp_path / "out.csv", full_output=True)
    assert [row["name"] for row in table] == [*items, *crash]
    for row, expected in zip(table, here, strict=False):
        assert row.keys() == expected.keys()
        for key in row.keys() - {"seconds"}:  # the linear algebra of another process may round differently
            rounded = isinstance(expected[key], float)
            assert row[key] == (pytest.approx(expected[key], rel=1e-9) if rounded else expected[key])
    assert [result.win_length for result in table.results[:6]] == [row["win_length"] for row in table[:6]]
    assert all(result.sft.workers == 1 for result in table.results[:6])
    for row in table[6:]:
        assert row["error_type"] == "TerminatedWorkerError" and row["settings"] == here[0]["settings"]


def test_a_window_that_only_this_process_knows_is_refused(monkeypatch):
    pytest.importorskip("joblib", reason="processes need joblib, of the extra 'many'")
    monkeypatch.setattr(window, "FAMILIES", dict(window.FAMILIES))
    windows.register("mine", lambda u: np.cos(np.pi * u) ** 2, derivative=lambda u: -np.pi * np.sin(2 * np.pi * u))
    assert not adaptstft.optimize_many([chirp(30)], FS, window="mine").failed
    with pytest.raises(ValueError, match=r"window='mine' was registered in this process"):
        adaptstft.optimize_many([chirp(30)], FS, window="mine", n_jobs=2)


@pytest.mark.skipif(os.name != "posix", reason="the test sends POSIX signals")
# distributed leaves sockets to a worker that was killed to the garbage collector
@pytest.mark.filterwarnings("ignore:Port :UserWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.slow
def test_dask_finishes_a_run_after_a_worker_died(tmp_path):
    distributed = pytest.importorskip("distributed", reason="clusters need distributed, a package of Dask")
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address=None, silence_logs="CRITICAL"
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        items = {str(k): functools.partial(chirp, 30 + 10 * k) for k in range(6)}
        items["2"] = functools.partial(die_once, str(tmp_path / "died"), 50)
        table = adaptstft.optimize_many(items | {"bad": np.zeros(99)}, FS, executor=client, out=tmp_path / "out.csv")
    assert (tmp_path / "died").exists()
    assert [row["status"] for row in table] == ["ok"] * 6 + ["error"]
    here = adaptstft.optimize_many(list(items.values()), FS)
    assert [row["fun"] for row in table[:6]] == pytest.approx([row["fun"] for row in here], rel=1e-9)
    assert adaptstft.optimize_many(dict.fromkeys(items, forbidden), FS, out=tmp_path / "out.csv").resumed == 6


# ---------------------------------------------------------------------------------------
# Progress and arguments


@pytest.mark.parametrize("count", ["known", "unknown"])
def test_progress_is_a_line_on_standard_error(capsys, monkeypatch, count):
    monkeypatch.setattr("adaptstft.common.progress._DELAY", 0.0)
    monkeypatch.setattr("adaptstft.common.progress.time.monotonic", iter(range(10**6)).__next__)
    items = [chirp(30), np.zeros(99)]
    adaptstft.optimize_many(items if count == "known" else iter(items), FS, progress=True)
    err = capsys.readouterr().err
    if count == "known":
        assert "[############............]  50 % 1 of 2 recordings, 0 failed, " in err
        assert "100 % 2 of 2 recordings, 1 failed, 0 s left" in err
    else:
        assert "\r1 recordings, 0 failed" in err and "\r2 recordings, 1 failed" in err
    assert err.endswith(" \r")


@pytest.mark.parametrize(
    ("items", "arguments", "error", "message"),
    [
        ("a.wav", {}, TypeError, r"items='a\.wav' must be several recordings"),
        (3, {}, TypeError, r"items=3 must be several recordings"),
        (np.zeros(9), {"fs": 1.0}, ValueError, r"items has shape \(9,\): an array must have two dimensions"),
        ([np.ones(9)], {}, ValueError, r"fs=None: item '0' is an array, which needs a sampling frequency"),
        (["a", "b", "a"], {}, ValueError, r"name='a' occurs twice among the items"),
        (iter(["a", "a"]), {}, ValueError, r"name='a' occurs twice among the items"),
        ([("a\nb", "a.wav")], {}, ValueError, r"name='a\\nb' must be one line of text"),
        ([("", "a.wav")], {}, ValueError, r"name='' must be one line of text"),
        ([], {"fs": 0}, ValueError, r"fs=0 must be greater than 0 Hz"),
        ([], {"channel": -1}, ValueError, r"channel=-1 must be at least 0"),
        ([], {"n_jobs": 0}, ValueError, r"n_jobs=0 must be"),
        ([], {"out": "out.txt"}, ValueError, r"out='out\.txt' must end in one of \.csv, \.parquet"),
        ([], {"retry": True}, ValueError, r"retry=True needs out"),
        ([], {"retry": 1, "out": "a.csv"}, TypeError, r"retry=1 must be True or False"),
        ([], {"full_output": 1}, TypeError, r"full_output=1 must be True or False"),
        ([], {"progress": 1}, TypeError, r"progress=1 must be True, False or None"),
        ([], {"save": "no/such"}, ValueError, r"save='no/such' must be a folder that exists"),
        ([], {"save": ".", "criterion": np.sum}, ValueError, r"save='\.': a result with a function as criterion"),
        (
            [],
            {"callback": print},
            TypeError,
            r"optimize_many does not take callback=.*arguments of optimize that it does",
        ),
        ([], {"window_modes": "time"}, TypeError, r"optimize_many does not take window_modes='time'"),
        ([], {"window": "nosuch"}, ValueError, r"unknown window 'nosuch'"),
        ([], {"win_bounds": (500, 100)}, ValueError, r"win_bounds=\(500, 100\) cross"),
        ([], {"win_bounds": (np.nan, 5)}, ValueError, r"win_bounds\[0\]=nan must be finite"),
        ([], {"win_bounds": (1, (2, 3))}, TypeError, r"win_bounds\[1\]=\(2, 3\) must be a real number"),
        ([], {"hop": "long"}, TypeError, r"hop='long' must be a real number"),
        ([], {"criterion": "nosuch"}, ValueError, r"unknown criterion='nosuch'"),
        ([], {"axis": 0.5}, TypeError, r"axis=0\.5 must be an integer"),
        ([], {"backend": "fast"}, ValueError, r"backend='fast' must be one of"),
    ],
)
def test_bad_arguments_are_errors_before_any_work(items, arguments, error, message):
    with pytest.raises(error, match=message):
        adaptstft.optimize_many(items, **arguments)


@pytest.mark.parametrize(
    "options",
    [
        {"hop": 50_000.0, "win_bounds": (1e5, 4e5)},
        {"mfft": 2**19},
        {"win_length": 3e5},
        {"win_length": np.full(13, 100.0), "window_mode": "time", "hop": 50.0},
        {"axis": 0},
        {"detrend": "linear"},
        {"window": "auto"},
    ],
    ids=lambda options: next(iter(options)),
)
def test_settings_that_suit_some_recording_pass_the_check(options):
    assert len(adaptstft.optimize_many([], FS, **options)) == 0


def test_lengths_for_each_frame_are_settings_like_others():
    lengths = np.linspace(100, 150, 13)
    table = adaptstft.optimize_many([chirp(100)], FS, window_mode="fixed", win_length=lengths, hop=50.0)
    assert (table[0]["win_length_min"], table[0]["win_length_max"]) == (100.0, 150.0)


def test_options_are_those_of_optimize():
    assert set(many._OPTIONS) | {"callback", "progress"} >= {"window", "criterion", "workers", "axis", "starts"}
