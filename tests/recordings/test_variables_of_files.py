"""MAT and NPZ files: which array is the recording, which way time runs, its clock, and what a file may not claim."""

import io
import struct
import subprocess
import sys
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest
import scipy.io

from adaptstft import recordings

K = np.arange(300)
X = np.stack([np.sin(0.3 * K), np.cos(0.2 * K)])
T = K / 250


def save(path, content):
    if path.suffix == ".npz":
        np.savez(path, **content)
    else:
        scipy.io.savemat(path, content)
    return path


@pytest.fixture(params=["mat", "npz"])
def ending(request):
    return request.param


@pytest.mark.parametrize(
    ("clock", "rate"),
    [
        ({"t": T}, 250),
        ({"time_ms": 4.0 * K}, 250),
        ({"time_us": 4000 * K}, 250),
        ({"timestamp_ns": 4_000_000 * K}, 250),
        ({"Time": T.astype(np.float32)}, 250),
        ({"t": np.round(K / 512, 3)}, 512),
        ({"t": 1.7e9 + T}, 250),
        ({"fs": 123.0}, 123),
        ({"Fs": np.array([[123]])}, 123),
        ({"sample_rate": 123}, 123),
        ({"SamplingRate": 123}, 123),
        ({"dt": 0.004}, 250),
        ({"fs": 123.0, "t": T}, 123),
    ],
)
def test_the_clock(tmp_path, ending, clock, rate):
    recording = recordings.read(save(tmp_path / f"a.{ending}", {"x": X} | clock))
    assert recording.fs == pytest.approx(rate, rel=1e-6)
    np.testing.assert_array_equal(recording.x, X)


@pytest.mark.parametrize(
    ("clock", "message"),
    [
        (
            {"t": 4.0 * K},
            "the variable 't' holds the whole numbers 0, 4, 8, ... without a unit: the rate is 0.25 Hz if",
        ),
        (
            {"t": np.delete(np.arange(301), 70) / 250},
            r"element 70: the variable 't' is not even: sample 70 deviates by 0\.5",
        ),
        ({"t": T[:-1]}, "'t' has 299 values, the recording has the shape 2x300"),
        ({"fs": 0.0}, "the sampling rate in the file, 0 Hz, is not positive and finite"),
        ({"dt": 0.0}, "the sampling interval in the file, 0 s, is not positive and finite"),
        ({"fs": np.nan}, "the sampling rate in the file, nan Hz, is not positive and finite"),
        ({"t": T + 1j}, "the variable 't' is complex"),
        ({}, "does not say its sampling rate"),
    ],
)
def test_clocks_that_are_refused(tmp_path, ending, clock, message):
    path = save(tmp_path / f"a.{ending}", {"x": X} | clock)
    with pytest.raises(ValueError, match=message):
        recordings.read(path)
    assert recordings.read(path, fs=7.0).fs == 7.0


def test_time_is_the_axis_of_the_clock(tmp_path, ending):
    """More channels than samples: without the clock the longer axis would be time."""
    wide = np.random.default_rng(0).standard_normal((20, 8))
    for stored in (wide, wide.T):
        recording = recordings.read(save(tmp_path / f"a.{ending}", {"x": stored, "t": np.arange(8) / 10}))
        np.testing.assert_array_equal(recording.x, wide)


def test_arrays_are_chosen_by_key(tmp_path, ending):
    path = save(tmp_path / f"a.{ending}", {"left": X[0], "right": X[1], "fs": 10.0})
    np.testing.assert_array_equal(recordings.read(path, key="right").x, X[1:])
    with pytest.raises(
        ValueError, match=r"several arrays, choose one with key .*--key.*: left \(.*300\), right \(.*300\)$"
    ):
        recordings.read(path)
    with pytest.raises(ValueError, match=r"key='middle' is not a numeric array in the file, there are: left"):
        recordings.read(path, key="middle")


def test_fields_of_structs(tmp_path):
    runs = {"x": X, "t": T, "name": "first", "y": X[0]}
    path = save(tmp_path / "a.mat", {"run": runs, "fs": 7.0})
    recording = recordings.read(path, key="run.x")
    assert recording.fs == pytest.approx(250)  # the clock of the struct counts more than that of the file
    np.testing.assert_array_equal(recording.x, X)
    assert recordings.read(path, key="run.y").x.shape == (1, 300)
    with pytest.raises(ValueError, match=r"several arrays, .*: run\.x \(2x300\), run\.y \(1x300\)"):
        recordings.read(path)
    path = save(tmp_path / "b.mat", {"run": {"x": X, "note": "one"}, "fs": 7.0})
    assert recordings.read(path).fs == 7.0  # the only array


def test_version_4(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"x": X, "fs": 50.0, "note": "text"}, format="4")
    recording = recordings.read(tmp_path / "a.mat")
    assert recording.fs == 50
    np.testing.assert_array_equal(recording.x, X)
    scipy.io.savemat(tmp_path / "a.mat", {"x": X + 1j, "fs": 50.0}, format="4")
    np.testing.assert_array_equal(recordings.read(tmp_path / "a.mat").x, X + 1j)


def test_complex_compressed_and_big_endian(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"x": X + 1j, "s": {"y": X - 1j}, "fs": 50.0}, do_compression=True)
    np.testing.assert_array_equal(recordings.read(tmp_path / "a.mat", key="x").x, X + 1j)
    np.testing.assert_array_equal(recordings.read(tmp_path / "a.mat", key="s.y").x, X - 1j)


def matlab_73(path, content):
    """Write a file as MATLAB 7.3 does: HDF5 behind a header, with the axes in reverse order."""
    h5py = pytest.importorskip("h5py", reason="MATLAB 7.3 needs the extra 'files'")
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, value in content.items():
            group, _, field = name.rpartition(".")
            place = file.require_group(group) if group else file
            data = place.create_dataset(field, data=np.atleast_2d(value).T)
            data.attrs["MATLAB_class"] = np.bytes_("double")
        file.create_group("#refs#").create_dataset("a", data=np.zeros((9, 9)))
    with open(path, "r+b") as stream:
        stream.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    return path


def test_version_7_3(tmp_path):
    path = matlab_73(tmp_path / "a.mat", {"x": X, "t": T, "run.y": X[:1]})
    recording = recordings.read(path, key="x")
    assert recording.fs == 250
    np.testing.assert_array_equal(recording.x, X)
    np.testing.assert_array_equal(recordings.read(path, key="run.y").x, X[:1])
    with pytest.raises(ValueError, match=r"several arrays, .*: run\.y \(1x300\), x \(2x300\)"):
        recordings.read(path)
    path.write_bytes(path.read_bytes()[:3000])
    with pytest.raises(ValueError, match=r"not a readable MATLAB 7\.3 \(HDF5\) file"):
        recordings.read(path)


def test_version_7_3_without_the_extra(tmp_path, monkeypatch):
    path = matlab_73(tmp_path / "a.mat", {"x": X})
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(ValueError, match=r"MATLAB 7.3 \(HDF5\) file: .*pip install .*\[files\].*; or save it with -v7"):
        recordings.read(path)


def test_links_to_other_files_are_not_followed(tmp_path):
    h5py = pytest.importorskip("h5py", reason="MATLAB 7.3 needs the extra 'files'")
    matlab_73(tmp_path / "other.mat", {"secret": X})
    path = matlab_73(tmp_path / "a.mat", {"x": X, "fs": 9.0})
    with h5py.File(path, "r+") as file:
        file["y"] = h5py.ExternalLink("other.mat", "/secret")
        file["z"] = h5py.SoftLink("/x")
    recording = recordings.read(path)
    assert recording.x.shape == (2, 300)


# ---------------------------------------------------------------------------------------
# Objects of MATLAB


def matlab_object(name, class_name):
    """An object of MATLAB in a file of version 5: names, and the numbers of its parts elsewhere in the file."""
    body = struct.pack("<IIII", 6, 8, 17, 0)
    for text in (name, b"MCOS", class_name):
        body += struct.pack("<II", 1, len(text)) + text + bytes(-len(text) % 8)
    data = np.array([0xDD000000, 2, 1, 1, 1, 1], "<u4").tobytes()
    body += matrix(13, (6, 1), b"", struct.pack("<II", 6, len(data)) + data)
    return struct.pack("<II", 14, len(body)) + body


def objects_5(path, objects, **arrays):
    scipy.io.savemat(path, arrays)
    contents = matrix(9, (1, 64), b"", numbers(64))  # of all objects, in an array without a name
    elements = [matlab_object(name.encode(), class_name.encode()) for name, class_name in objects.items()]
    path.write_bytes(path.read_bytes() + b"".join(elements) + contents)


def objects_73(path, objects, **arrays):
    h5py = pytest.importorskip("h5py", reason="MATLAB 7.3 needs the extra 'files'")
    matlab_73(path, arrays)
    with h5py.File(path, "r+") as file:
        for name, class_name in objects.items():
            data = file.create_dataset(name, data=np.array([[0xDD000000, 2, 1, 1, 1, 1]], "u4"))
            data.attrs["MATLAB_class"], data.attrs["MATLAB_object_decode"] = np.bytes_(class_name), np.int32(3)


@pytest.mark.parametrize("write", [objects_5, objects_73])
def test_timetables_and_tables_say_what_to_do_in_matlab(tmp_path, write, monkeypatch):
    monkeypatch.setitem(sys.modules, "matio", None)
    path = tmp_path / "a.mat"
    write(path, {"tt": "timetable", "u": "table"}, x=X, fs=50.0)
    np.testing.assert_array_equal(recordings.read(path).x, X)
    steps = r"t = seconds\(tt\.Properties\.RowTimes - tt\.Properties\.RowTimes\(1\)\); x = tt\.Variables;"
    message = rf"'tt' is a timetable of MATLAB, .*: save its numbers there, by {steps} save\('new\.mat', 't', 'x'\)$"
    for key in ("tt", "tt.pressure"):
        with pytest.raises(ValueError, match=message):
            recordings.read(path, key=key)
    with pytest.raises(ValueError, match=r"'u' is a table of MATLAB, .* by x = u\.Variables; save\('new\.mat', 'x'\)$"):
        recordings.read(path, key="u")
    with pytest.raises(ValueError, match=r"mat-io reads, which is not installed: pip install .*(\[files\]|mat-io)"):
        recordings.read(path, key="u")
    with pytest.raises(ValueError, match="key='t' is not a numeric array"):
        recordings.read(path, key="t")
    write(path, {"tt": "timetable"}, fs=50.0)
    with pytest.raises(ValueError, match=message):
        recordings.read(path)


@pytest.mark.parametrize("write", [objects_5, objects_73])
def test_times_that_are_objects_of_matlab(tmp_path, write):
    path = tmp_path / "a.mat"
    write(path, {"time": "datetime", "fs": "string"}, x=X)
    with pytest.raises(ValueError, match=r"'time' is a datetime of MATLAB, .* t = seconds\(time - time\(1\)\); save"):
        recordings.read(path)
    np.testing.assert_array_equal(recordings.read(path, fs=3.0).x, X)


def test_an_object_among_the_fields_of_a_struct(tmp_path):
    names = struct.pack("<HHi", 5, 4, 8) + struct.pack("<II", 1, 16) + b"tt".ljust(8, b"\0") + b"y".ljust(8, b"\0")
    values = np.arange(6.0)
    y = matrix(6, (1, 6), b"", struct.pack("<II", 9, 48) + values.tobytes())
    (tmp_path / "a.mat").write_bytes(mat(matrix(2, (1, 1), b"s", names + matlab_object(b"", b"timetable") + y)))
    np.testing.assert_array_equal(recordings.read(tmp_path / "a.mat", fs=1.0).x, values[None])
    with pytest.raises(ValueError, match=r"'s\.tt' is a timetable of MATLAB"):
        recordings.read(tmp_path / "a.mat", fs=1.0, key="s.tt")


def test_objects_of_the_tests_are_those_of_scipy(tmp_path):
    objects_5(tmp_path / "a.mat", {"tt": "timetable"}, x=X)
    found = scipy.io.loadmat(tmp_path / "a.mat")
    (row,) = found["None"]
    assert (row["s0"], row["s1"], row["s2"]) == (b"tt", b"MCOS", b"timetable")


# ---------------------------------------------------------------------------------------
# Files that claim more than they hold


def matrix(code, shape, name, members=b"", flags=0):
    """An array of a MAT file of version 5."""
    body = struct.pack("<IIII", 6, 8, code | flags, 0)
    body += struct.pack("<II", 5, 4 * len(shape)) + struct.pack(f"<{len(shape)}i", *shape) + bytes(-4 * len(shape) % 8)
    body += struct.pack("<II", 1, len(name)) + name + bytes(-len(name) % 8) + members
    return struct.pack("<II", 14, len(body)) + body


def numbers(count, kind=2, size=None):
    data = bytes(count)
    return struct.pack("<II", kind, count if size is None else size) + data + bytes(-count % 8)


def mat(*elements):
    return b"MATLAB 5.0 MAT-file".ljust(124) + b"\x00\x01IM" + b"".join(elements)


def packed(element):
    data = zlib.compress(element)
    return struct.pack("<II", 15, len(data)) + data


def nested(depth):
    inner = matrix(6, (1, 1), b"", numbers(1))
    for _ in range(depth):
        inner = matrix(1, (1, 1), b"", inner)
    return inner


FS = matrix(6, (1, 1), b"fs", numbers(1))
STRUCT = struct.pack("<HHi", 5, 4, 8) + struct.pack("<II", 1, 8) + b"y".ljust(8, b"\0")
CLAIMS = {
    "cells in cells": mat(matrix(2, (1, 1), b"s", STRUCT + nested(5000))),
    "packed cells in cells": mat(packed(matrix(2, (1, 1), b"s", STRUCT + nested(5000)))),
    "a huge shape": mat(matrix(6, (30_000, 30_000), b"x", numbers(8))),
    "a huge shape, packed": mat(packed(matrix(6, (30_000, 30_000), b"x", numbers(8)))),
    "a huge shape and size": mat(matrix(6, (30_000, 30_000), b"x", numbers(8, size=900_000_000))),
    "a huge shape and size, packed": mat(packed(matrix(6, (30_000, 30_000), b"x", numbers(8, size=900_000_000)))),
    "a huge number of axes": mat(matrix(6, (1000,) * 6, b"x", numbers(8))),
    "many axes": mat(matrix(6, (1,) * 100, b"x", numbers(8))),
    "a negative shape": mat(matrix(6, (-5, 3), b"x", numbers(8))),
    "a huge element": mat(struct.pack("<II", 14, 2**31) + bytes(100)),
    "a huge name": mat(packed(matrix(6, (2, 2), b"x" * 70_000, numbers(4)))),
    "a huge cell": mat(matrix(2, (1, 1), b"s", STRUCT + matrix(1, (2**15, 2**15), b""))),
    "a huge struct": mat(matrix(2, (2**15, 2**15), b"s", STRUCT)),
    "an unknown type": mat(matrix(6, (2, 2), b"x", numbers(4, kind=77))),
    "an element of no kind": mat(struct.pack("<II", 3, 8) + bytes(8)),
    "rubbish that is packed": mat(packed(b"rubbish" * 30)),
    "rubbish": mat(struct.pack("<II", 15, 40) + b"rubbish!" * 5),
    "a huge array in version 4": struct.pack("<5i", 0, 30_000, 30_000, 0, 2) + b"x\0" + bytes(64),
    "a negative shape in version 4": struct.pack("<5i", 0, -1, 4, 0, 2) + b"x\0" + bytes(64),
    "an unknown type in version 4": struct.pack("<5i", 90, 1, 4, 0, 2) + b"x\0" + bytes(64),
}


def limited(path, *, beyond=64, **options):
    """Read a file in a process that may have `beyond` MiB more than it needs to start; return what it prints."""
    code = f"""
import resource, sys
from adaptstft import recordings
import adaptstft.recordings.matlab, numpy, scipy.io, zipfile
with open("/proc/self/statm") as file:
    pages = int(file.read().split()[0])
limit = pages * resource.getpagesize() + ({beyond} << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
try:
    print(recordings.read(sys.argv[1], **{options!r}).x.shape)
except ValueError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", CLAIMS)
def test_claims_of_mat_files_are_refused_before_they_are_believed(tmp_path, name):
    path = tmp_path / "a.mat"
    path.write_bytes(CLAIMS[name])
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=r"a\.mat: not a readable MAT file \(") as caught:
            recordings.read(path, fs=1.0)
        assert tracemalloc.get_traced_memory()[1] < 64 << 20
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_valid_file_of_the_same_kind_is_read(tmp_path):
    """The files above are refused for what they claim, not for how they are written here."""
    values = np.arange(6.0)
    data = struct.pack("<II", 9, 48) + values.tobytes()
    for element in (matrix(6, (2, 3), b"x", data), packed(matrix(6, (2, 3), b"x", data))):
        (tmp_path / "a.mat").write_bytes(mat(element, matrix(1, (1, 1), b"c", nested(3)), FS))
        np.testing.assert_array_equal(recordings.read(tmp_path / "a.mat", fs=1.0).x, values.reshape(3, 2).T)
    (tmp_path / "a.mat").write_bytes(mat(matrix(2, (1, 1), b"s", STRUCT + matrix(6, (2, 3), b"", data))))
    np.testing.assert_array_equal(recordings.read(tmp_path / "a.mat", fs=1.0).x, values.reshape(3, 2).T)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the size of its process from /proc")
def test_only_what_is_used_is_loaded(tmp_path):
    """Beside the array there are 96 MB of zeros."""
    content = {"x": X, "big": np.zeros((12, 1_000_000)), "fs": 9.0}
    scipy.io.savemat(tmp_path / "a.mat", content | {"s": {"a": content["big"], "y": X}}, do_compression=True)
    np.savez_compressed(tmp_path / "a.npz", **content)
    for name, key in (("a.mat", "x"), ("a.mat", "s.y"), ("a.npz", "x")):
        assert limited(tmp_path / name, key=key).strip() == "(2, 300)"


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the size of its process from /proc")
def test_a_compressed_array_needs_its_own_memory_only(tmp_path):
    """An array of 120 MB: as it is in the file, and as it is returned."""
    scipy.io.savemat(tmp_path / "a.mat", {"x": np.zeros(15_000_000), "fs": 9.0}, do_compression=True)
    assert limited(tmp_path / "a.mat", beyond=64 + 240).strip() == "(1, 15000000)"


def npz(**members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(f"{name}.npy", data)
    return stream.getvalue()


def npy(shape, dtype="<f8", data=b""):
    header = repr({"descr": dtype, "fortran_order": False, "shape": shape}).encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + data


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.npy", npy((10**10,), data=bytes(64)), "its header says 80000000000 bytes of samples, there are 64"),
        ("a.npy", npy((-5,), data=bytes(64)), r"the shape \(-5,\) is negative"),
        (
            "a.npz",
            npz(x=npy((10**10,), data=bytes(64))),
            "member 'x.npy' says 80000000000 bytes of samples, the file has",
        ),
        ("a.npz", npz(x=b"rubbish"), "not a readable NPZ file .*x.npy"),
        ("a.npz", b"PK\x03\x04rubbish", "not a readable NPZ file"),
        ("a.npz", npz(x=npy((3,), "|O", bytes(24))), "the file holds no numeric array of more than one element"),
    ],
)
def test_claims_of_numpy_files(tmp_path, name, content, message):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        recordings.read(tmp_path / name, fs=1.0)
    assert "\n" not in str(caught.value)


def test_an_array_larger_than_the_machine_is_refused(tmp_path, monkeypatch):
    np.save(tmp_path / "a.npy", np.zeros(1000))
    monkeypatch.setattr("adaptstft.common.memory.memory_limit", lambda: 4000.0)
    with pytest.raises(ValueError, match=r"the array needs 8000 bytes, this machine allows 4000 bytes"):
        recordings.read(tmp_path / "a.npy", fs=1.0)


def test_names_are_shown_not_sent(tmp_path):
    scipy.io.savemat(tmp_path / "a.mat", {"x\x1b[31m": X, "y": X})
    with pytest.raises(ValueError, match=r": x\\x1b\[31m \(2x300\), y \(2x300\)$"):
        recordings.read(tmp_path / "a.mat", fs=1.0)


@pytest.mark.parametrize("ending", ["parquet", "feather"])
def test_columnar_files(tmp_path, ending):
    pytest.importorskip("pyarrow", reason="Parquet needs the extra 'files'")
    import pandas

    frame = pandas.DataFrame({"time": T, "x": X[0], "on": K > 7, "state": ["ok"] * 300, "y": X[1].astype(np.float32)})
    getattr(frame, f"to_{ending}")(tmp_path / f"a.{ending}")
    recording = recordings.read(tmp_path / f"a.{ending}")
    assert recording.fs == 250 and recording.x.shape == (3, 300)
    np.testing.assert_allclose(recording.x, [X[0], K > 7, X[1]], rtol=1e-6)
    assert "column 'state' is of type" in recording.notes[0]
    frame["time"] = pandas.to_datetime(T * 1e9)
    frame.loc[5, "x"] = None
    frame[["time", "y"]].to_parquet(tmp_path / "b.parquet")
    assert recordings.read(tmp_path / "b.parquet").fs == 250
    frame.to_parquet(tmp_path / "b.parquet")
    with pytest.raises(ValueError, match="column 'x' has 1 empty fields"):
        recordings.read(tmp_path / "b.parquet")
    (tmp_path / f"c.{ending}").write_bytes(b"rubbish")
    with pytest.raises(ValueError, match=f"not a readable {ending} file"):
        recordings.read(tmp_path / f"c.{ending}")
