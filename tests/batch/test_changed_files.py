"""Continued tables: changed files, settings, broken engines, and locks."""

import functools
import json
import os
import signal
import time
from concurrent.futures import ProcessPoolExecutor

import autograd.numpy as anp
import numpy as np
import pytest
import scipy.io.wavfile

import adaptstft
from adaptstft import windows
from adaptstft.batch import parallel, rows
from adaptstft.batch.items import count_items
from adaptstft.batch.rows import RowFile
from adaptstft.windows import window

FS = 1000.0


def chirp(rate, n=600):
    t = np.arange(n) / FS
    return np.cos(2 * np.pi * (50 * t + rate / 2 * t**2))


def die():
    os.kill(os.getpid(), signal.SIGKILL)


def forbidden():
    raise AssertionError("this was tuned already")


@pytest.fixture(params=["csv", "parquet"])
def out(request, tmp_path):
    if request.param == "parquet":
        pytest.importorskip("pyarrow", reason="Parquet needs pyarrow, of the extra 'many'")
    return tmp_path / f"out.{request.param}"


@pytest.fixture
def files(tmp_path):
    names = []
    for rate in (30.0, 100.0):
        names.append(tmp_path / f"{rate:g}.wav")
        scipy.io.wavfile.write(names[-1], 1000, chirp(rate))
    return names


def names_on_disk(out):
    with RowFile(out) as file:
        return list(file.rows)


# ---------------------------------------------------------------------------------------
# Files


def test_a_row_has_the_size_and_time_of_its_file(files):
    (row,) = adaptstft.optimize_many([("a", files[0])])
    found = files[0].stat()
    assert (row["file_size"], row["file_mtime_ns"]) == (found.st_size, found.st_mtime_ns)
    (row,) = adaptstft.optimize_many([chirp(30)], FS)
    assert row["file_size"] is row["file_mtime_ns"] is None


@pytest.mark.slow
@pytest.mark.parametrize("change", ["content", "time"])
def test_a_file_that_has_changed_is_tuned_again(out, files, change):
    first = adaptstft.optimize_many(files, out=out)
    if change == "content":
        scipy.io.wavfile.write(files[0], 1000, chirp(300, 700))
    else:
        os.utime(files[0], ns=(0, 5_000_000_000))
    table = adaptstft.optimize_many(files, out=out)
    assert table.resumed == 1 and table[1] == first[1]
    assert table[0]["n"] == (700 if change == "content" else 600)
    assert table[0]["file_mtime_ns"] == files[0].stat().st_mtime_ns != first[0]["file_mtime_ns"]
    # the new row has taken the place of the old one, and counts from now on
    assert names_on_disk(out) == [str(files[1]), str(files[0])]
    if out.suffix == ".csv":
        assert out.read_text().count(str(files[0])) == 1
    again = adaptstft.optimize_many(files, out=out)
    assert again.resumed == 2 and again.rows == table.rows


def test_a_missing_file_counts_as_unchanged(out, files):
    first = adaptstft.optimize_many(files, out=out)
    files[0].unlink()
    table = adaptstft.optimize_many(files, out=out)
    assert table.resumed == 2 and table.rows == first.rows


def test_a_repaired_file_needs_no_retry(out, files):
    whole = files[0].read_bytes()
    files[0].write_bytes(whole[:100])
    assert len(adaptstft.optimize_many(files, out=out).failed) == 1
    assert adaptstft.optimize_many(files, out=out).resumed == 2
    files[0].write_bytes(whole)
    table = adaptstft.optimize_many(files, out=out)
    assert not table.failed and table.resumed == 1


def test_a_killed_run_leaves_no_two_rows_of_one_name(tmp_path):
    row = dict.fromkeys(rows.COLUMNS) | {"status": "ok", "settings": "{}", "version": "1"}
    file = RowFile(tmp_path / "out.csv")
    for name, n in (("a", 1), ("b", 2), ("a", 3)):
        file.append(row | {"name": name, "n": n})
    file._stream.close()  # as if killed
    assert (tmp_path / "out.csv").read_text().count("\n") == 4
    with RowFile(tmp_path / "out.csv") as file:
        assert {name: found["n"] for name, found in file.rows.items()} == {"a": 3, "b": 2}
    assert (tmp_path / "out.csv").read_text().count("\n") == 3


# ---------------------------------------------------------------------------------------
# The file of rows


def test_rows_are_read_only_after_the_file_is_locked(tmp_path, monkeypatch):
    pytest.importorskip("fcntl", reason="files are locked on POSIX systems only")
    pytest.importorskip("pyarrow", reason="Parquet needs pyarrow, of the extra 'many'")
    path = tmp_path / "out.parquet"
    with RowFile(path):
        pass
    with RowFile(path):
        monkeypatch.setattr(rows, "_read_parquet", lambda path: pytest.fail("read before it was held"))
        with pytest.raises(ValueError, match=r"is being written by another run"):
            RowFile(path)


def test_a_foreign_file_gets_no_new_file_beside_it(tmp_path):
    pytest.importorskip("pyarrow", reason="Parquet needs pyarrow, of the extra 'many'")
    (tmp_path / "out.parquet").write_bytes(b"nothing")
    with pytest.raises(ValueError, match=r"is not a Parquet file"):
        RowFile(tmp_path / "out.parquet")
    assert [path.name for path in tmp_path.iterdir()] == ["out.parquet"]


def test_a_file_that_is_replaced_before_the_lock_is_opened_again(tmp_path, monkeypatch):
    """Between opening and holding, another run may end, and remove or replace the file."""
    path = tmp_path / "out.csv"
    path.write_text("old")
    lock, calls = rows._lock, []

    def late(stream, path):
        if not calls:
            (tmp_path / "new").write_text("new")
            os.replace(tmp_path / "new", path)
        calls.append(path)
        lock(stream, path)

    monkeypatch.setattr(rows, "_lock", late)
    with rows._open_locked(path) as stream:
        assert stream.read() == b"new"
    assert len(calls) == 2


def test_errors_of_any_length_are_read_again(out):
    def broken():
        raise ValueError("x" * 300_000)

    (row,) = adaptstft.optimize_many({"a": broken}, FS, out=out)
    assert row["error"] == "x" * 2000 + " ..."
    assert adaptstft.optimize_many({"a": forbidden}, FS, out=out).rows == [row]


def test_a_field_that_is_too_long_is_an_error_with_the_file_name(tmp_path):
    path = tmp_path / "out.csv"
    with RowFile(path):
        pass
    with path.open("a") as stream:
        stream.write("x" * 200_000 + "," * (len(rows.COLUMNS) - 1) + "\n")
    with pytest.raises(ValueError, match=r"out\.csv has a line that is no row \(field larger than field limit"):
        RowFile(path)


def test_long_lists_of_lengths_are_read_again(out):
    n, hop = 20_000, 2.0
    lengths = np.linspace(10, 15, 10_001) + 1 / 3
    options = {"window_mode": "fixed", "hop": hop, "min_overlap": None, "workers": 1}
    x = chirp(0.1, n)
    (row,) = adaptstft.optimize_many({"a": x}, FS, out=out, win_length=lengths.tolist(), **options)
    assert row["status"] == "ok" and len(row["settings"]) < 1000
    again = adaptstft.optimize_many({"a": forbidden}, FS, out=out, win_length=lengths, **options)
    assert again.rows == [row]
    with pytest.raises(ValueError, match=r"written with other settings"):
        adaptstft.optimize_many({"a": forbidden}, FS, out=out, win_length=lengths + 1e-9, **options)


# ---------------------------------------------------------------------------------------
# Items


def test_arrays_without_a_rate_are_refused_before_any_work(tmp_path):
    calls = []
    items = {"first": lambda: calls.append(1), "second": chirp(30)}
    for some in (items, list(items.items()), np.stack([chirp(30), chirp(40)])):
        with pytest.raises(ValueError, match=r"fs=None: item '(second|0)' is an array, which needs a sampling"):
            adaptstft.optimize_many(some, out=tmp_path / "out.csv")
    assert not calls and not (tmp_path / "out.csv").exists()
    pandas = pytest.importorskip("pandas", reason="tables need pandas, of the extra 'many'")
    with pytest.raises(ValueError, match=r"fs=None: item 'a' is an array"):
        adaptstft.optimize_many(pandas.DataFrame({"a": chirp(30)}))


def test_an_array_without_a_rate_from_an_iterator_is_a_row_with_an_error(files):
    table = adaptstft.optimize_many(item for item in (files[0], chirp(30), files[1]))
    assert [row["status"] for row in table] == ["ok", "error", "ok"]
    assert table[1]["error"] == "fs=None: the item is an array, which needs a sampling frequency"


def test_number_of_recordings(files):
    pandas = pytest.importorskip("pandas", reason="tables need pandas, of the extra 'many'")
    frame = pandas.DataFrame({"a": chirp(30), "b": chirp(40)})
    series = pandas.Series(files, index=["x", "y"])
    assert (
        count_items(frame) == 2
        and count_items(series) == 2
        and count_items({"a": 1}) == 1
        and count_items([1, 2, 3]) == 3
    )
    assert count_items(np.zeros((4, 9))) == 4 and count_items(iter([1])) is None
    table = adaptstft.optimize_many(series)
    assert [row["name"] for row in table] == ["x", "y"] and not table.failed


# ---------------------------------------------------------------------------------------
# Engines


@pytest.mark.skipif(os.name != "posix", reason="the test sends POSIX signals")
def test_a_process_of_an_executor_that_dies_ends_the_run_with_its_rows(out):
    items = {str(k): functools.partial(chirp, 30 + 10 * k) for k in range(6)} | {"2": die}
    message = r"the executor has broken, which ends the run \(A process .*\); 4 rows are in .*, and the same call"
    with ProcessPoolExecutor(1) as executor, pytest.raises(RuntimeError, match=message):
        adaptstft.optimize_many(items, FS, out=out, executor=executor, pre_dispatch=2)
    # what was held is known by its error, and the rest goes on
    with ProcessPoolExecutor(1) as executor:
        table = adaptstft.optimize_many(items, FS, out=out, executor=executor, pre_dispatch=2)
    assert table.resumed == 4
    assert [row["error_type"] for row in table] == [None, None, "BrokenProcessPool", "BrokenProcessPool", None, None]
    # one at a time tells whose fault it was
    with ProcessPoolExecutor(1) as executor, pytest.raises(RuntimeError, match=r"5 rows are in"):
        adaptstft.optimize_many(items, FS, out=out, executor=executor, pre_dispatch=1, retry=True)
    with ProcessPoolExecutor(1) as executor:
        table = adaptstft.optimize_many(items, FS, out=out, executor=executor)
    assert [row["name"] for row in table.failed] == ["2"] and len(table) == 6


@pytest.mark.skipif(os.name != "posix", reason="the test sends POSIX signals")
def test_tasks_of_a_broken_executor_are_lost():
    found = []
    with ProcessPoolExecutor(1) as executor, pytest.raises(RuntimeError, match="terminated abruptly"):
        found.extend(_outcomes(executor))
    assert [(task, isinstance(outcome, parallel.Lost)) for task, outcome in _seen] == [(1, False), (0, True)]


_seen = []


def _outcomes(executor):
    _seen.clear()
    for task, outcome in parallel.run(_reciprocal_or_die, [1, 0, 2], executor=executor, pre_dispatch=1):
        _seen.append((task, outcome))
        yield task


def _reciprocal_or_die(number):
    if number == 0:
        time.sleep(0.05)
        die()
    return 1 / number


@pytest.mark.skipif(os.name != "posix", reason="the test sends POSIX signals")
def test_without_a_file_the_error_says_that_nothing_is_kept():
    with ProcessPoolExecutor(1) as executor, pytest.raises(RuntimeError, match=r"without out= no row is kept"):
        adaptstft.optimize_many({"a": die}, FS, executor=executor)


# ---------------------------------------------------------------------------------------
# User losses


def concentration(power):
    return anp.sum(power**2) / anp.sum(power) ** 2


def smaller_concentration(power):
    return anp.sum(power**1.5) / anp.sum(power) ** 1.5


def test_a_loss_is_compared_by_its_name(tmp_path):
    options = {"fs": FS, "out": tmp_path / "out.csv", "hop": 32.0, "mfft": 256, "win_bounds": (64, 200), "starts": 1}
    (row,) = adaptstft.optimize_many({"a": chirp(100)}, criterion=concentration, **options)
    assert row["status"] == "ok", row["error"]
    assert json.loads(row["settings"])["criterion"] == {"function": f"{__name__}.concentration"}
    assert adaptstft.optimize_many({"a": forbidden}, criterion=concentration, **options).resumed == 1
    with pytest.raises(ValueError, match=r"written with other settings"):
        adaptstft.optimize_many({"a": forbidden}, criterion=smaller_concentration, **options)


def test_a_loss_without_a_name_is_refused_only_with_a_file(tmp_path):
    def inner(power):
        return concentration(power)

    options = {"fs": FS, "hop": 32.0, "mfft": 256, "win_bounds": (64, 200), "starts": 1}
    for loss in (inner, lambda power: concentration(power)):
        with pytest.raises(ValueError, match=r"criterion=<function .* cannot be compared .*<locals>"):
            adaptstft.optimize_many({"a": forbidden}, criterion=loss, out=tmp_path / "out.csv", **options)
        (row,) = adaptstft.optimize_many({"a": chirp(100)}, criterion=loss, **options)
        assert row["status"] == "ok", row["error"]
    assert not (tmp_path / "out.csv").exists()


def test_registered_windows_are_compared_by_their_names(tmp_path, monkeypatch):
    monkeypatch.setattr(window, "FAMILIES", dict(window.FAMILIES))
    for name, power in (("first", 2), ("second", 4)):
        windows.register(name, lambda u, power=power: anp.cos(np.pi * u) ** power)
    options = {"fs": FS, "out": tmp_path / "out.csv"}
    (row,) = adaptstft.optimize_many({"a": chirp(100)}, window="first", **options)
    assert row["status"] == "ok", row["error"]
    assert adaptstft.optimize_many({"a": forbidden}, window="first", **options).resumed == 1
    with pytest.raises(ValueError, match=r"written with other settings"):
        adaptstft.optimize_many({"a": forbidden}, window="second", **options)
