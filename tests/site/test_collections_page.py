"""The page about collections of recordings agrees with the code."""

import re
from pathlib import Path

import numpy as np
import pytest
import scipy.io.wavfile

from adaptstft import cli, datasets

PAGE = (Path(__file__).parents[2] / "docs" / "collections.rst").read_text(encoding="utf-8")
BLOCKS = [re.sub("^    ", "", block, flags=re.MULTILINE) for block in re.findall(r"::\n\n((?:    .*\n|\n)+)", PAGE)]


def block(text):
    """The one block that holds a text."""
    (found,) = [one for one in BLOCKS if text in one]
    return found


@pytest.fixture
def recordings(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("recordings").mkdir()
    for rate in (50.0, 100.0):
        scipy.io.wavfile.write(f"recordings/{rate:g}.wav", 1000, datasets.linear_chirp(rate, duration=0.6).x)
    Path("recordings/bad.wav").write_bytes(b"no sound")


def test_the_first_example_and_the_one_of_a_row(recordings, capsys):
    for module in ("joblib", "pandas"):
        pytest.importorskip(module, reason=f"the page uses {module}, which is not installed")
    variables = {}
    exec(block("rglob"), variables)
    printed = capsys.readouterr().out
    assert "3: 2 tuned, 1 failed" in printed and "win_duration" in printed and "no RIFF header" in printed
    exec("import adaptstft\n" + block("row = table[0]"), variables)
    assert variables["sft"].win_length == variables["table"][0]["win_length"]


def test_the_command(recordings, capsys):
    pytest.importorskip("joblib", reason="the page uses joblib, of the extra 'many'")
    words = block("adaptstft tune").split()[1:]
    at = words.index("recordings/*.wav")
    words[at : at + 1] = sorted(map(str, Path().glob("recordings/*.wav")))
    assert cli.main(words) == 2
    assert "2 tuned, 1 failed" in capsys.readouterr().out


@pytest.mark.slow
def test_functions_that_load(recordings):
    for module in ("joblib", "pyarrow"):
        pytest.importorskip(module, reason=f"the page uses {module}, which is not installed")
    code = block("def load").replace("...  ", "samples = chirp(day).x\n    #")
    variables = {
        "adaptstft": __import__("adaptstft"),
        "sensors": ["a", "b"],
        "days": [1.0, 2.0],
        "chirp": lambda day: datasets.linear_chirp(5000.0 * day, fs=25_600, duration=0.03),
    }
    exec(code, variables)
    assert [row["name"] for row in variables["table"]] == ["a/1.0", "a/2.0", "b/1.0", "b/2.0"]
    assert not variables["table"].failed and Path("found.parquet").exists()


@pytest.mark.filterwarnings("ignore:Consolidated metadata", "ignore:The data type .* Zarr V3 specification")
def test_labelled_arrays(recordings):
    for module in ("xarray", "zarr", "dask", "adaptstft.dask"):
        pytest.importorskip(module, reason=f"the page uses {module}", exc_type=ImportError)
    xarray = pytest.importorskip("xarray", reason="needs the extra 'xarray'")
    x = xarray.DataArray(
        np.random.default_rng(0).standard_normal((2, 2000)),
        coords={"sensor": ["bearing 2", "bearing 3"], "time": np.arange(2000) / 1000},
        dims=["sensor", "time"],
        name="acceleration",
    )
    x.to_dataset().to_zarr("machine.zarr")
    variables = {}
    exec(block("open_zarr"), variables)
    assert variables["band"].dims == ("time",) and np.all(variables["band"].compute() > 0)
