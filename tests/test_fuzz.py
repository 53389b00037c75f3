"""Random damage to files and random options: a result that holds, or an error that says what is wrong."""

import importlib.util
import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.io
from hypothesis import event, given
from hypothesis import strategies as st
from scipy.io import wavfile

import adaptstft
from adaptstft import criteria, recordings

FS = 1000.0
X = adaptstft.datasets.linear_chirp(rate=150.0, fs=FS, duration=0.6).x


def written(write):
    """Return what a function writes into a file."""
    file = io.BytesIO()
    write(file)
    return file.getvalue()


RECORDINGS = {
    "int16.wav": written(lambda file: wavfile.write(file, 1000, np.int16(1000 * X[:300]))),
    "float32.wav": written(lambda file: wavfile.write(file, 1000, np.float32([X[:150], X[150:300]]).T)),
    "table.csv": b"time,x\n" + b"".join(b"%.3f,%.4f\n" % (k / FS, X[k]) for k in range(60)),
    "column.txt": b"".join(b"%.4f\n" % value for value in X[:60]),
    "float64.npy": written(lambda file: np.save(file, X[:200])),
    "int32.npy": written(lambda file: np.save(file, np.int32(1000 * X[:200]).reshape(2, 100))),
    "plain.mat": written(lambda file: scipy.io.savemat(file, {"x": X[:200], "fs": FS})),
    "packed.mat": written(lambda file: scipy.io.savemat(file, {"x": X[:200], "fs": FS}, do_compression=True)),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("damaged")


@st.composite
def damaged(draw, content):
    """Bytes of a file of which some are changed, lost or new; the header is hit more often than the rest."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, min(len(data), 160)) | st.integers(0, len(data)))
        new = draw(st.binary(max_size=8))
        lost = draw(st.sampled_from([len(new), 0, 1, 4, 100, len(data)]))
        data[at : at + lost] = new
    return bytes(data)


@pytest.mark.parametrize("name", RECORDINGS)
@given(data=st.data())
def test_damaged_recordings_are_read_or_refused_in_one_line(name, data, folder):
    path = folder / name
    path.write_bytes(data.draw(damaged(RECORDINGS[name])))
    try:
        recording = recordings.read(path, fs=data.draw(st.sampled_from([None, FS])))
    except ValueError as error:
        assert str(error).startswith(f"{path}: ") and "\n" not in str(error)
    else:
        assert recording.x.ndim == 2 and recording.x.size > 0
        assert np.all(np.isfinite(recording.x)) and 0 < recording.fs < np.inf


@pytest.fixture(scope="module")
def saved(folder):
    """Return the bytes of a result that was saved."""
    adaptstft.optimize(X, FS, starts=1).save(folder / "whole.npz")
    return (folder / "whole.npz").read_bytes()


@given(data=st.data())
def test_damaged_results_are_loaded_or_refused(data, saved, folder):
    path = folder / "damaged.npz"
    path.write_bytes(data.draw(damaged(saved)))
    try:
        result = adaptstft.load(path)
    except ValueError as error:
        assert str(error).startswith(f"{path} is not a file that TuningResult.save has written (")
    else:
        assert result.summary() == adaptstft.load(folder / "whole.npz").summary()


lengths = st.floats(2, 700)
OPTIONS = {
    "window": st.sampled_from(["hann", "blackman", "tukey", ("gaussian", 6.0), ("kaiser", 8.6), "boxcar"]),
    "window_mode": st.sampled_from(["fixed", "constant", "time", "frequency", "time-frequency"]),
    "hop_mode": st.sampled_from(["fixed", "constant", "time"]),
    "win_length": lengths,
    "hop": st.floats(4, 300),
    "win_bounds": st.tuples(lengths, lengths),
    "min_overlap": st.none() | st.floats(0, 0.9),
    "max_frame_ratio": st.floats(1, 100),
    "mfft": st.integers(16, 1024),
    "criterion": st.sampled_from(criteria.names()),
    "scope": st.sampled_from(["global", "frame", "local"]),
    "smoothness": st.sampled_from([0.0, 0.1, 3.0]),
    "coverage": st.sampled_from([0.0, 1.0]),
    "control_points": st.integers(1, 6),
    "tune_shape": st.booleans(),
    "scale_to": st.sampled_from([None, "psd", "magnitude"]),
    "detrend": st.sampled_from([None, "constant", "linear"]),
    "starts": st.integers(1, 3),
    "method": st.sampled_from(["L-BFGS-B", "adam", "grid", "local-concentration", "chirp-rate"]),
    "workers": st.integers(1, 3),
    "backend": st.sampled_from(["numba", "numpy"]),
}


@st.composite
def some_options(draw):
    """Values of a few options: of many at once some contradict each other."""
    names = draw(st.lists(st.sampled_from(sorted(OPTIONS)), unique=True, max_size=5))
    return {name: draw(OPTIONS[name]) for name in names}


@given(options=some_options())
@pytest.mark.slow
def test_any_options_are_tuned_or_refused_by_name(options):
    try:
        res = adaptstft.optimize(X, FS, **options)
    except (ValueError, TypeError) as error:
        assert any(name in str(error) for name in OPTIONS), str(error)
        event("refused")
        return
    event("tuned")
    assert np.isfinite(res.fun)
    assert np.all(np.asarray(res.win_length) > 0) and np.all(np.isfinite(res.win_length))
    assert np.all(np.diff(res.positions) >= 0)
    assert res.summary()
    if options.get("min_overlap", 0.5) is not None:
        np.testing.assert_allclose(res.sft.istft(res.sft.stft(X), k1=X.size), X, rtol=0, atol=1e-8)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory of a process from /proc")
@pytest.mark.parametrize(
    "format", ["wav", "flac", "csv", "npz", "mat", "mat 7.3", "mat tables", "mat 7.3 tables", "parquet"]
)
def test_mutated_files_in_a_limited_process(format):
    """A few of the files of ``python tests/fuzz_files.py``, which reads 20,000 for each format."""
    packages = {"flac": "soundfile", "mat 7.3": "h5py", "parquet": "pyarrow"}
    package = "matio" if "tables" in format else packages.get(format, "numpy")
    if importlib.util.find_spec(package) is None:
        pytest.skip("this format needs the extra 'files'")
    command = [sys.executable, str(Path(__file__).with_name("fuzz_files.py")), "--count", "120", "--only", format]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    files, read, refused, faults, _ = done.stdout.splitlines()[-1].removeprefix(format).split()
    assert int(read) > 0 and int(refused) > 0 and int(read) + int(refused) == int(files) == 120 and faults == "0"
