"""Recordings: all variants of each file format, and error messages of one line."""

import numpy as np
import pytest
import scipy.io
import scipy.io.wavfile
from numpy.testing import assert_allclose, assert_array_equal
from sample_files import chunk, wav, wav_format

from adaptstft import recordings


@pytest.fixture
def x(rng):
    return np.round(rng.uniform(-0.9, 0.9, size=(2, 101)), 6)


def write_wav(path, x, bits, *, is_float=False, extra=b"", fs=8000):
    """Write x (channels, n) in [-1, 1] as PCM or floating point, ``extra`` between header and samples."""
    frames = x.T.ravel()
    if is_float:
        data = frames.astype(f"<f{bits // 8}").tobytes()
    elif bits == 8:
        data = np.round(frames * 128 + 128).astype(np.uint8).tobytes()
    else:
        codes = np.round(frames * 2.0 ** (bits - 1)).astype("<i8")
        data = codes.view(np.uint8).reshape(-1, 8)[:, : bits // 8].tobytes()
    fmt = wav_format(bits, channels=len(x), fs=fs, code=3 if is_float else 1)
    path.write_bytes(wav(fmt, extra, chunk(b"data", data)))
    return path


@pytest.mark.parametrize("bits", [8, 16, 24, 32])
@pytest.mark.parametrize("channels", [1, 2])
def test_wav_pcm_is_scaled_to_one(tmp_path, x, bits, channels):
    recording = recordings.read(write_wav(tmp_path / "a.wav", x[:channels], bits))
    assert recording.fs == 8000.0 and recording.name == "a.wav"
    assert recording.x.shape == (channels, 101) and recording.x.dtype == np.float64
    # Rounding to the nearest code is off by half a step.
    assert_allclose(recording.x, x[:channels], atol=0.5000001 * 2.0 ** (1 - bits))


@pytest.mark.parametrize("bits", [32, 64])
def test_wav_float_is_kept(tmp_path, x, bits):
    recording = recordings.read(write_wav(tmp_path / "a.WAV", 10 * x, bits, is_float=True))
    assert_array_equal(recording.x, (10 * x).astype(f"f{bits // 8}"))


def test_wav_full_scale_is_minus_one(tmp_path):
    for dtype, low in [(np.uint8, 0), (np.int16, -(2**15)), (np.int32, -(2**31))]:
        scipy.io.wavfile.write(tmp_path / "a.wav", 100, np.full(4, low, dtype))
        assert_array_equal(recordings.read(tmp_path / "a.wav").x, -np.ones((1, 4)))


def test_wav_with_unknown_chunk_is_read_without_warning(tmp_path, x):
    extra = chunk(b"bext", b"abcd")
    recording = recordings.read(write_wav(tmp_path / "a.wav", x, 64, is_float=True, extra=extra))
    assert_array_equal(recording.x, x)


def test_given_rate_replaces_the_rate_of_the_file(tmp_path, x):
    assert recordings.read(write_wav(tmp_path / "a.wav", x, 16), fs=44100).fs == 44100.0
    (tmp_path / "a.csv").write_text("t,x\n0,1\n1,2\n5,3\n")
    recording = recordings.read(tmp_path / "a.csv", fs=7)
    assert recording.fs == 7.0
    assert_array_equal(recording.x, [[1, 2, 3]])


@pytest.mark.parametrize("dtype", ["i1", "<u2", ">i4", "f2", "<f4", ">f8", "?"])
def test_npy_dtypes_keep_their_values(tmp_path, dtype):
    values = np.array([0, 1, 0, 1, 1], dtype=dtype)
    np.save(tmp_path / "a.npy", values)
    recording = recordings.read(tmp_path / "a.npy", fs=50)
    assert recording.x.dtype == np.float64 and recording.x.flags.c_contiguous
    assert_array_equal(recording.x, [[0, 1, 0, 1, 1]])


def test_npy_longer_axis_is_time(tmp_path, x):
    for stored in (x, x.T, np.asfortranarray(x)):
        np.save(tmp_path / "a.npy", stored)
        assert_array_equal(recordings.read(tmp_path / "a.npy", fs=1).x, x)
    np.save(tmp_path / "a.npy", x[:, :2])
    assert_array_equal(recordings.read(tmp_path / "a.npy", fs=1).x, x[:, :2])


def test_npy_complex_stays_complex(tmp_path, x):
    np.save(tmp_path / "a.npy", (x[0] + 1j * x[1]).astype(np.complex64))
    recording = recordings.read(tmp_path / "a.npy", fs=1)
    assert recording.x.dtype == np.complex128
    assert_allclose(recording.x[0], x[0] + 1j * x[1], rtol=1e-6)


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("rate_name", ["fs", "Fs", "sr"])
def test_mat_only_array_and_its_rate(tmp_path, x, compressed, rate_name):
    content = {"pressure": x, rate_name: 512.0, "note": "hello"}
    scipy.io.savemat(tmp_path / "a.mat", content, do_compression=compressed)
    recording = recordings.read(tmp_path / "a.mat")
    assert recording.fs == 512.0
    assert_array_equal(recording.x, x)


def test_mat_time_vector_gives_the_rate(tmp_path, x):
    scipy.io.savemat(tmp_path / "a.mat", {"y": x.T, "t": np.arange(101) / 250})
    recording = recordings.read(tmp_path / "a.mat")
    assert recording.fs == 250.0
    assert_array_equal(recording.x, x)


def test_mat_key_chooses(tmp_path, x):
    scipy.io.savemat(tmp_path / "a.mat", {"left": x[0], "right": x[1]})
    assert_array_equal(recordings.read(tmp_path / "a.mat", fs=1, key="right").x, x[1:])
    with pytest.raises(ValueError, match=r"several arrays, choose .*--key.*: left \(1x101\), right \(1x101\)$"):
        recordings.read(tmp_path / "a.mat", fs=1)
    with pytest.raises(ValueError, match=r"key='middle' is not a numeric array in the file, there are: left"):
        recordings.read(tmp_path / "a.mat", fs=1, key="middle")


def _mat(**content):
    def write(path):
        scipy.io.savemat(path, content)

    return write


def _npy(array):
    def write(path):
        np.save(path, array, allow_pickle=True)

    return write


def _text(text):
    def write(path):
        path.write_text(text)

    return write


def _cut_wav(path):
    write_wav(path, np.zeros((2, 101)), 16)
    path.write_bytes(path.read_bytes()[:-100])


def _cut_npy(path):
    np.save(path, np.zeros(100))
    path.write_bytes(path.read_bytes()[:-100])


def _cut_mat(path):
    scipy.io.savemat(path, {"x": np.zeros(100), "fs": 1.0})
    path.write_bytes(path.read_bytes()[:-100])


def _mat73(path):
    path.write_bytes(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + bytes(384) + b"\x89HDF\r\n\x1a\n")


@pytest.mark.parametrize(
    ("name", "write", "message"),
    [
        ("a.wav", _text(""), "the file is empty"),
        ("a.wav", _text("no header here"), r"not a readable WAV file \(no RIFF header\)"),
        ("a.wav", _text("RIFF"), r"not a readable WAV file \(no RIFF header\)"),
        ("a.wav", lambda p: p.write_bytes(b"RIFF\x04\0\0\0WAVE"), "not a readable WAV file"),
        ("a.wav", lambda p: write_wav(p, np.zeros((1, 0)), 16), "the file holds no samples"),
        ("a.wav", _cut_wav, "truncated WAV file: 304 bytes of samples where the header says 404"),
        ("a.csv", _text("1\n2\n"), r"does not say its sampling rate, give fs \(on the command line: --fs\)"),
        ("a.npy", _npy(np.ones(4)), "does not say its sampling rate"),
        ("a.npy", _text("x"), "not an NPY file"),
        ("a.npy", _cut_npy, "not a readable NPY file"),
        (
            "a.npy",
            _npy(np.array([{}, 1], dtype=object)),
            "not a readable NPY file .*Object arrays cannot be loaded",
        ),
        ("a.npy", _npy(np.array(["a", "b"])), "the samples are not numeric"),
        ("a.npy", _npy(np.array(1.0)), r"an array of shape \(\) is not a recording"),
        ("a.npy", _npy(np.ones((2, 2, 2))), r"an array of shape \(2, 2, 2\) is not a recording"),
        (
            "a.npy",
            _npy(np.array([1.0, np.inf, np.nan])),
            r"the recording has 2 NaN or infinite values of 3, the first at index \(0, 1\)",
        ),
        ("a.npy", _npy(np.ones((0, 3))), "the file holds no samples"),
        ("a.mat", _text("x" * 200), "not a readable MAT file"),
        ("a.mat", _cut_mat, "not a readable MAT file"),
        ("a.mat", _mat73, r"MATLAB 7.3 \(HDF5\) file"),
        ("a.mat", _mat(fs=100.0, note="hello"), "the file holds no numeric array of more than one element"),
        ("a.mat", _mat(x=np.ones(5)), "does not say its sampling rate"),
        (
            "a.mat",
            _mat(x=np.ones(5), fs=0.0),
            "the sampling rate in the file, 0 Hz, is not positive and finite",
        ),
        (
            "a.doc",
            _text("x"),
            r"unknown ending '.doc', expected one of .wav, .csv, .tsv, .txt, .dat, .asc, .lvm, .npy, .mat",
        ),
    ],
)
def test_bad_file_gets_one_line_with_its_name(tmp_path, name, write, message):
    path = tmp_path / name
    write(path)
    with pytest.raises(ValueError, match=message) as caught:
        recordings.read(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_missing_file_and_folder_are_os_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a\.wav"):
        recordings.read(tmp_path / "a.wav")
    (tmp_path / "b.wav").mkdir()
    with pytest.raises((IsADirectoryError, PermissionError), match=r"b\.wav"):  # the second on Windows
        recordings.read(tmp_path / "b.wav")


@pytest.mark.parametrize(("fs", "rule"), [(0, "greater than 0 Hz"), (-1.0, "greater than 0 Hz"), (np.nan, "finite")])
def test_bad_rate_is_named(tmp_path, fs, rule):
    with pytest.raises(ValueError, match=f"fs={fs!r} must be {rule}"):
        recordings.read(tmp_path / "a.wav", fs=fs)


def test_a_path_with_a_null():
    with pytest.raises(ValueError, match=r"^a\\x00\.wav: embedded null"):
        recordings.read("a\0.wav")


def test_key_is_for_mat_files(tmp_path, x):
    with pytest.raises(ValueError, match="key='x' is for MAT and NPZ files only"):
        recordings.read(write_wav(tmp_path / "a.wav", x, 16), key="x")
