"""Tables and timetables of MATLAB: which columns are channels, which times are the clock, and what is refused."""

import functools
import importlib
import io
import os
import struct
import subprocess
import sys
import threading
import warnings

import numpy as np
import pytest

from adaptstft import recordings
from adaptstft.recordings import hdf5, matlab_outline, matlab_tables
from adaptstft.recordings.hdf5 import check_heaps
from adaptstft.recordings.matlab_outline import LeftOut, Outline

pandas = pytest.importorskip("pandas", reason="tables of MATLAB need the extra 'files'")
with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    matio = pytest.importorskip("matio", reason="tables of MATLAB need the extra 'files'")

K = np.arange(300)
T = K / 250
X = np.sin(0.3 * K)
Y = np.cos(0.2 * K)


@pytest.fixture(autouse=True)
def without_child(request, monkeypatch):
    """Read in this process, which takes less time; tests with the fixture `child` read as users do."""
    if "child" not in request.fixturenames:
        monkeypatch.setattr(matlab_tables, "in_child", lambda function, *arguments, **_: function(*arguments))


@pytest.fixture
def child():
    """Read in a child process."""


@pytest.fixture(params=["v7", "v7.3"])
def save(request, tmp_path):
    def save(**content):
        path = tmp_path / "a.mat"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            matio.save_to_mat(path, content, version=request.param)
        return path

    return save


def frame(times=None, **columns):
    index = None if times is None else pandas.Index(times, name="Time")
    return pandas.DataFrame(columns or {"x": X, "y": Y}, index=index)


def raw(path, name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return matio.load_from_mat(path, raw_data=True)[name]


DURATIONS = pandas.to_timedelta(T, unit="s")
DATES = pandas.Timestamp("2024-03-01") + DURATIONS


def test_the_reader_is_a_child_process(child, save):
    recording = recordings.read(save(tt=frame(DURATIONS)))
    np.testing.assert_array_equal(recording.x, [X, Y])
    assert recording.fs == pytest.approx(250)


@pytest.mark.parametrize("times", [DURATIONS, DATES, DURATIONS + pandas.Timedelta("3h")], ids=["s", "date", "late"])
def test_row_times_are_the_clock(save, times):
    path = save(tt=frame(times))
    for key, expected in ((None, [X, Y]), ("tt", [X, Y]), ("tt.y", [Y])):
        recording = recordings.read(path, key=key)
        assert recording.fs == pytest.approx(250, rel=1e-6)
        np.testing.assert_array_equal(recording.x, expected)
        assert recording.notes == ()


def test_other_variables_are_left_out_with_a_note(save):
    path = save(tt=frame(DURATIONS, x=X, n=K.astype(np.int16) % 7, on=K > 7, state=["ok"] * 300, at=DATES))
    recording = recordings.read(path)
    np.testing.assert_array_equal(recording.x, [X, K % 7, K > 7])
    assert "variable 'state' is of type string and is left out" in recording.notes
    assert "the column 'at' has the times of the column 'time' and is left out" in recording.notes
    message = r"key='tt.state' is not a numeric variable of the timetable, there are: x, n, on$"
    with pytest.raises(ValueError, match=message):
        recordings.read(path, key="tt.state")


@pytest.mark.parametrize(
    ("columns", "rate"),
    [
        ({"time": T, "x": X, "y": Y}, 250),
        ({"time_ms": 4.0 * K, "x": X, "y": Y}, 250),
        ({"x": X, "y": Y, "t": T}, 250),
        ({"depth": 0.004 * K, "x": X, "y": Y}, 250),
        ({"when": DATES, "x": X, "y": Y}, 250),
        ({"elapsed": DURATIONS, "x": X, "y": Y}, 250),
    ],
    ids=["s", "ms", "last", "content", "date", "duration"],
)
def test_columns_of_tables_are_clocks_as_in_text(save, columns, rate):
    path = save(u=frame(**columns))
    recording = recordings.read(path)
    assert recording.fs == pytest.approx(rate, rel=1e-6)
    np.testing.assert_array_equal(recording.x, [X, Y])
    np.testing.assert_array_equal(recordings.read(path, key="u.y").x, [Y])


def test_tables_beside_other_variables(save):
    path = save(tt=frame(DURATIONS), u=frame(), z=X, fs=50.0)
    with pytest.raises(ValueError, match=r"several arrays, choose one with key .*tt \(timetable\)"):
        recordings.read(path)
    assert recordings.read(path, key="u").fs == 50
    assert recordings.read(path, key="tt").fs == pytest.approx(250)
    assert recordings.read(path, key="z").x.shape == (1, 300)


@pytest.mark.parametrize(
    ("content", "key", "message"),
    [
        (frame(), None, "does not say its sampling rate"),
        (frame(time=4 * K, x=X), None, "the column 'time' holds the whole numbers 0, 4, 8, ... without a unit"),
        (frame(time=T, x=X), "a.time", "key='a.time' names the clock or the numbers of the rows, not samples"),
        (frame(DURATIONS[::-1]), None, "the column 'time' is not increasing"),
        (frame(DATES.insert(0, pandas.NaT)[:-1]), None, "the column 'time' has times that are not finite"),
        (
            frame(DURATIONS, x=np.where(K == 7, np.nan, X)),
            None,
            r"1 NaN or infinite values of 300, the first at index \(0, 7\)",
        ),
        (frame(DURATIONS, x=X + 1j), None, "variable 'x' is complex: save its real and imaginary part"),
        (frame(DURATIONS, s=["a"] * 300), None, "the file holds no samples, only the column 'time'"),
        (frame(a=0.004 * K, b=0.07 * K, x=X), None, "'a' and the column 'b' both increase steadily"),
    ],
    ids=["rate", "unit", "key", "reverse", "missing", "nan", "complex", "text", "two clocks"],
)
def test_tables_that_are_refused(save, content, key, message):
    with pytest.raises(ValueError, match=message) as caught:
        recordings.read(save(a=content), key=key)
    assert "\n" not in str(caught.value)


def test_an_uneven_timetable_is_resampled_on_demand(save):
    path = save(tt=frame(pandas.to_timedelta(np.cumsum(np.where(K < 150, 1 / 94, 1 / 106)), unit="s")))
    with pytest.raises(ValueError, match="the column 'time' is not even"):
        recordings.read(path)
    assert recordings.read(path, resample=True).fs == pytest.approx(100, rel=0.1)


def evenly(save, **given):
    """A timetable with a rate or a step in place of row times, as MATLAB stores it."""
    table = raw(save(tt=frame(DURATIONS)), "tt")
    parts = {"origin": np.timedelta64(0, "s"), "specifiedAsRate": False, "stepSize": np.timedelta64(4, "s")}
    parts |= {"sampleRate": 1.0} | given
    times = np.empty((1, 1), dtype=[(name, object) for name in parts])
    for name, value in parts.items():
        times[0, 0][name] = np.array([[value]])
    table.properties["any"][0, 0]["rowTimes"] = times
    return save(tt=table)


def test_timetables_with_a_rate(save):
    assert recordings.read(evenly(save, specifiedAsRate=True, sampleRate=44_100.0)).fs == 44_100
    assert recordings.read(evenly(save)).fs == 0.25
    for rate in (0.0, -1.0, np.nan):
        with pytest.raises(ValueError, match=r"the sampling rate of the timetable, .* Hz, is not positive"):
            recordings.read(evenly(save, specifiedAsRate=True, sampleRate=rate))


def test_rows_without_numbers_are_not_believed(save):
    table = raw(evenly(save, specifiedAsRate=True, sampleRate=100.0), "tt")
    table.properties["any"][0, 0]["numRows"] = np.array([[1e15]])
    with pytest.raises(ValueError, match="the timetable says it has 1000000000000000 rows, its variables have 300"):
        recordings.read(save(tt=table))


def test_a_variable_of_several_columns(save):
    table = raw(save(tt=frame(DURATIONS)), "tt")
    table.properties["any"][0, 0]["data"][0, 1] = np.c_[Y, -Y]
    path = save(tt=table)
    np.testing.assert_array_equal(recordings.read(path).x, [X, Y, -Y])
    np.testing.assert_array_equal(recordings.read(path, key="tt.y").x, [Y, -Y])
    table.properties["any"][0, 0]["data"][0, 1] = np.c_[Y, -Y][:-1]
    with pytest.raises(ValueError, match="variable 'y' has 299 rows, the table has 300"):
        recordings.read(save(tt=table))


def test_units_of_variables_count(save):
    table = raw(save(u=frame(time=4.0 * K, x=X)), "u")
    units = np.empty((1, 2), dtype=object)
    units[0, 0], units[0, 1] = np.array(["ms"]), np.array(["V"])
    table.properties["props"][0, 0]["VariableUnits"] = units
    assert recordings.read(save(u=table)).fs == pytest.approx(250)


def test_dates_beyond_the_digits_of_a_double():
    """MATLAB keeps the rest of the milliseconds as the imaginary part."""
    exact = 1.7e12 + 1e3 * K / 44_100
    rest = (1e3 * K / 44_100) - (exact - 1.7e12)
    np.testing.assert_allclose(
        matlab_tables._milliseconds((exact + 1j * rest)[:, None]), 1e3 * K / 44_100, rtol=0, atol=1e-9
    )


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="named pipes are files only on POSIX systems")
def test_a_table_through_a_pipe(child, save, tmp_path):
    data = save(tt=frame(DURATIONS)).read_bytes()
    os.mkfifo(tmp_path / "p.mat")
    writer = threading.Thread(target=(tmp_path / "p.mat").write_bytes, args=(data,))
    writer.start()
    try:
        np.testing.assert_array_equal(recordings.read(tmp_path / "p.mat").x, [X, Y])
    finally:
        writer.join()


@pytest.mark.slow
@pytest.mark.parametrize("save", ["v7"], indirect=True)
def test_mat_io_leaves_the_options_of_pandas(child, save):
    """The import of mat-io sets this option."""
    code = """
import sys, warnings
warnings.simplefilter("ignore")
import pandas
pandas.set_option("future.infer_string", False)
from adaptstft import recordings
print(recordings.read(sys.argv[1]).fs, pandas.get_option("future.infer_string"))
"""
    command = [sys.executable, "-c", code, str(save(tt=frame(DURATIONS)))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.split() == ["250.0", "False"]


@pytest.fixture
def outlines(monkeypatch):
    """The sizes of the files that mat-io reads."""
    sizes = []

    def read(function, path, *arguments, **limits):
        sizes.append(os.path.getsize(path))
        return function(path, *arguments)

    monkeypatch.setattr(matlab_tables, "in_child", read)
    return sizes


def test_mat_io_sees_no_long_array(save, outlines):
    k = np.arange(50_000)
    columns = {"x": np.sin(k), "n": (k % 99).astype(np.int8), "m": k % 7, "f": np.cos(k).astype(np.float32)}
    times = pandas.to_timedelta(k / 250, unit="s")
    path = save(tt=frame(times, on=k > 9, at=DATES[0] + times, state=["ok"] * k.size, **columns))
    recording = recordings.read(path)
    np.testing.assert_array_equal(recording.x, [k > 9, *columns.values()])
    assert "variable 'state' is of type string and is left out" in recording.notes
    assert "the column 'at' has the times of the column 'time' and is left out" in recording.notes
    assert outlines[0] < 60_000 < path.stat().st_size


def test_a_column_of_cells_is_left_out(save, outlines, monkeypatch):
    table = raw(save(u=frame(time=T, x=X, c=K)), "u")
    cells = np.empty((K.size, 1), dtype=object)
    cells[:, 0] = [np.array(["ok"])] * K.size
    table.properties["data"][0, 2] = cells
    path = save(u=table)
    for most in (256, 300):  # without and with mat-io's part
        monkeypatch.setattr(matlab_outline, "_MOST_ROWS", most)
        recording = recordings.read(path)
        np.testing.assert_array_equal(recording.x, [X])
        assert "variable 'c' is of type cell and is left out" in recording.notes
    assert outlines[0] < 0.7 * outlines[1]


def test_several_variables_can_refer_to_the_same_times(save, outlines, monkeypatch):
    """Their numbers are read once, however many there are."""
    k = np.arange(1000)
    times = pandas.to_timedelta(k / 250, unit="s")
    table = raw(save(u=frame(x=np.sin(k), a=times, b=times)), "u")
    table.properties["data"][0, 2] = table.properties["data"][0, 1]
    path, read = save(u=table), []
    for module in ("matlab", "hdf5"):
        name = "_load_5" if module == "matlab" else "_load"
        load = getattr(importlib.import_module(f"adaptstft.recordings.{module}"), name)
        counted = functools.partial(lambda load, *given: read.append(given) or load(*given), load)
        monkeypatch.setattr(f"adaptstft.recordings.{module}.{name}", counted)
    np.testing.assert_array_equal(recordings.read(path).x, [np.sin(k)])
    assert len(read) == 2


def test_variables_of_other_shapes_are_left_out(save):
    table = raw(save(u=frame(time=T, x=X, c=K, d=DURATIONS)), "u")
    for n in (300, 20):  # through mat-io, and for an outline
        cube = np.zeros((n, 2, 2), np.int16)
        table.properties["data"][0, 2] = cube
        table.properties["nrows"] = np.array([[float(n)]])
        for at in (0, 1):
            table.properties["data"][0, at] = table.properties["data"][0, at][:n]
        times = table.properties["data"][0, 3].properties
        times["millis"] = np.c_[times["millis"], times["millis"]][:n, :2]
        notes = recordings.read(save(u=table)).notes
        assert f"variable 'c' is of type int16 of shape {n} x 2 x 2 and is left out" in notes
        assert f"variable 'd' is of type duration of shape {n} x 2 and is left out" in notes


def test_a_table_of_many_parts_is_refused(save, monkeypatch):
    path = save(u=frame(time=T, x=X))
    monkeypatch.setattr(matlab_outline, "_MOST_PARTS", 20)
    monkeypatch.setattr(hdf5, "_MOST_PARTS", 20)
    with pytest.raises(ValueError, match="objects of more than 20 parts"):
        recordings.read(path)


def test_a_number_in_the_place_of_an_array():
    outline, other = Outline(), Outline()
    array = LeftOut("float64", lambda: X)
    bits = [outline.add(array), outline.add(LeftOut("cell")), other.add(array)]
    values = np.array(bits, np.uint64).view(np.float64).reshape(3, 1, 1)
    assert np.isnan(values).all()
    assert outline.find(values[0]) is array
    assert outline.find(values[1]) == LeftOut("cell")
    for stands_for_itself in (values[2], np.array([[np.nan]]), np.array([[7.0]]), values[0].view(np.int64), values[:2]):
        assert outline.find(stands_for_itself) is None


# ---------------------------------------------------------------------------------------
# Files that claim more than they hold


def test_a_damaged_file_gives_one_line(child, save):
    path = save(tt=frame(DURATIONS))
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(ValueError, match="not a readable MAT") as caught:
        recordings.read(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("head", "size"),
    [([0xDD000000, 2, 30_000, 30_000, 1, 1], 6), ([0xDD000000, 9, 1, 1, 1, 1], 6), ([0xDD000000, 2**31, 1], 3)],
)
def test_arrays_of_objects_that_claim_more_than_they_hold(head, size):
    matlab_tables.check_object(np.array([0xDD000000, 2, 1, 1, 1, 1], np.uint32), 6)
    matlab_tables.check_object(np.array([7, 2, 30_000, 30_000, 1, 1], np.uint32), 6)
    with pytest.raises(ValueError, match="an array of objects of shape"):
        matlab_tables.check_object(np.array(head, np.uint32), size)


def described(save):
    """The description of the objects of a file."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        for module in ("matlab", "hdf5"):
            patch.setattr(f"adaptstft.recordings.{module}.check_objects", lambda *given: found.append(given))
        recordings.read(save(tt=frame(DURATIONS)))
    return found[0]


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        (0, 9, "objects of an unknown version"),
        (2, 1 << 20, "parts of the description of objects are not in it"),
        (4, 44, "parts of the description of objects are not in it"),
        (3, 41, "parts of the description of objects are not in it"),
    ],
)
def test_the_description_of_objects_is_checked(save, place, value, message):
    data, order = described(save)
    matlab_tables.check_objects(data, order)
    numbers = bytearray(data)
    numbers[4 * place : 4 * place + 4] = struct.pack(order + "i", value)
    with pytest.raises(ValueError, match=message):
        matlab_tables.check_objects(bytes(numbers), order)


@pytest.mark.parametrize("column", [0, 3, 4, 5])
@pytest.mark.parametrize("value", [-1, 2**31 - 1])
def test_objects_that_refer_to_nothing(save, column, value):
    data, order = described(save)
    place = np.frombuffer(data, order + "i4", 1, 16)[0] + 24 + 4 * column
    numbers = bytearray(data)
    numbers[place : place + 4] = struct.pack(order + "i", value)
    with pytest.raises(ValueError, match="an object refers to a part that is not in the file"):
        matlab_tables.check_objects(bytes(numbers), order)


def test_a_number_of_properties_is_not_negative(save):
    data, order = described(save)
    place = np.frombuffer(data, order + "i4", 1, 20)[0] + 8
    numbers = bytearray(data)
    numbers[place : place + 4] = struct.pack(order + "i", -1)
    with pytest.raises(ValueError, match="a negative number of properties of an object"):
        matlab_tables.check_objects(bytes(numbers), order)


def test_a_cell_that_holds_itself_is_refused(tmp_path):
    h5py = pytest.importorskip("h5py", reason="MATLAB 7.3 needs the extra 'files'")
    path = tmp_path / "a.mat"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        matio.save_to_mat(path, {"tt": frame(DURATIONS)}, version="v7.3")
    with h5py.File(path, "r+") as file:
        cells = file["#subsystem#/MCOS"]
        cells[(0,) * (cells.ndim - 1) + (3,) if cells.shape[-1] > 3 else (3,) + (0,) * (cells.ndim - 1)] = cells.ref
    with pytest.raises(ValueError, match="nested more than 16 deep"):
        recordings.read(path)


def test_names_of_fields_that_claim_gigabytes_are_not_read(tmp_path):
    """HDF5 allocates what an attribute of variable length claims before it looks for the value."""
    pytest.importorskip("h5py", reason="MATLAB 7.3 needs the extra 'files'")
    path = tmp_path / "a.mat"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        matio.save_to_mat(path, {"tt": frame(DURATIONS)}, version="v7.3")
    data = bytearray(path.read_bytes())
    userblock, claimed = 512, 0
    heaps = [place for place in range(userblock, len(data), 8) if data[place : place + 4] == b"GCOL"]
    for heap in heaps:
        value = struct.pack("<Q", heap - userblock)  # after the length of a value: its heap, and its number there
        place = data.find(value)
        while place >= 0:
            data[place - 4 : place] = struct.pack("<I", 0x60000000)
            claimed += 1
            place = data.find(value, place + 1)
    assert claimed > 5
    path.write_bytes(data)
    np.testing.assert_array_equal(recordings.read(path).x, [X, Y])


@pytest.mark.parametrize("size", [2**64 - 16, 2**64 - 24, 1 << 40])
def test_a_heap_whose_parts_do_not_fit_is_refused(size):
    """The HDF5 library would not end."""
    heap = b"GCOL\x01\0\0\0" + struct.pack("<Q", 4096) + struct.pack("<HH4xQ", 1, 1, 5) + b"state\0\0\0"
    heap += struct.pack("<HH4xQ", 0, 0, 4096 - 40)
    for before in (0, 2**20 - 3):  # the beginning is in two pieces
        data = bytearray(bytes(before) + heap.ljust(4096, b"\0"))
        check_heaps(io.BytesIO(data))
        data[before + 24 : before + 32] = struct.pack("<Q", size)
        with pytest.raises(ValueError, match=rf"a part of {size} bytes of a heap with 4080 more"):
            check_heaps(io.BytesIO(data))
        data[before + 8 : before + 16] = struct.pack("<Q", 8000)
        with pytest.raises(ValueError, match="a heap of 8000 bytes"):
            check_heaps(io.BytesIO(data))
