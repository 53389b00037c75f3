"""The command ``adaptstft track``: its table, its picture, its summary and its errors."""

import csv

import numpy as np
import pytest
import scipy.io.wavfile

from adaptstft import cli, track

FS = 1000
TIME = np.arange(1200) / FS


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    x = np.cos(2 * np.pi * 60 * TIME) + 0.5 * np.cos(2 * np.pi * 120 * TIME)
    x += 0.05 * np.random.default_rng(0).standard_normal(x.size)
    scipy.io.wavfile.write("tone.wav", FS, x)
    scipy.io.wavfile.write("two.wav", FS, np.stack([x, 2 * x], axis=1))
    return tmp_path


def rows(path):
    with path.open(newline="") as stream:
        return list(csv.DictReader(stream))


def test_table_picture_and_summary(folder, capsys):
    pytest.importorskip("matplotlib", reason="pictures need the extra 'plot'")
    words = ["tone.wav", "--orders", "1,2", "--fmax", "80", "--hop", "50", "--out", "ridges.csv", "--plot"]
    assert cli.main(["track", *words]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "tone.wav: 1 channel, 1200 samples, 1.2 s at 1000 Hz"
    assert lines[1].startswith("ridge 0: ") and lines[1].endswith("samples")
    assert lines[2:] == ["table: ridges.csv", "picture: ridges.png"]
    assert (folder / "ridges.png").stat().st_size > 10_000
    table = rows(folder / "ridges.csv")
    expected = track(scipy.io.wavfile.read("tone.wav")[1], FS, orders=(1, 2), f_bounds=(0, 80), hop=50)
    assert [float(row["frequency"]) for row in table] == expected.frequency[0].tolist()
    assert [float(row["amplitude_2"]) for row in table] == expected.amplitude[0, 1].tolist()
    assert list(table[0]) == list(expected.columns())


def test_channels_and_options(folder, capsys):
    assert cli.main(["track", "two.wav", "--hop", "100", "--bounds", "50", "90", "--out", "a.csv"]) == 0
    assert {row["channel"] for row in rows(folder / "a.csv")} == {"0", "1"}
    assert all(50 <= float(row["win_length"]) <= 90 for row in rows(folder / "a.csv"))
    assert "channel 1, ridge 0: " in capsys.readouterr().out
    options = ["--channel", "1", "--n-ridges", "2", "--fmin", "20", "--max-rate", "500", "--confidence", "0.5"]
    assert cli.main(["track", "two.wav", *options, "--noise-std", "0.1", "--window", "gaussian", "--hop", "100"]) == 0
    assert capsys.readouterr().out.count("ridge") == 2


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing.wav"], "missing.wav"),
        (["tone.wav", "--hop", "0"], "hop=0.0 must be greater than 0"),
        (["tone.wav", "--channel", "3"], "--channel 3 must lie between 0 and 0"),
        (["tone.wav", "--fmin", "1e5"], "--fmin 100000 must be less than half of the sampling rate"),
    ],
)
def test_errors_of_the_work(folder, capsys, words, message):
    assert cli.main(["track", *words]) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1 and error.startswith("adaptstft: ")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ([], "FILE"),
        (["tone.wav", "--orders", "1,x"], "'1,x' is not a list of numbers such as 1,2,3"),
        (["tone.wav", "--out", "a.txt"], "--out a.txt: the suffix must be .csv"),
        (["tone.wav", "--out", "old.csv"], "--out old.csv: the file exists"),
        (["tone.wav", "--out", "no/a.csv"], "--out no/a.csv: there is no folder no"),
        (["tone.wav", "--plot", "a.xyz"], "--plot a.xyz: the suffix must be one of"),
    ],
)
def test_wrong_options(folder, capsys, words, message):
    pytest.importorskip("matplotlib", reason="pictures need the extra 'plot'")
    (folder / "old.csv").write_text("kept")
    with pytest.raises(SystemExit) as stop:
        cli.main(["track", *words])
    assert stop.value.code == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1
    assert (folder / "old.csv").read_text() == "kept"
