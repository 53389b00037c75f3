"""The command line for many recordings: a table on disk, several processes, and going on after a stop."""

import csv
import json
import sys

import numpy as np
import pytest
import scipy.io.wavfile

import adaptstft
from adaptstft import cli, datasets
from adaptstft.common.optional import install_command


@pytest.fixture
def files(tmp_path):
    """Three recordings, one of them damaged."""
    names = []
    for rate in (40.0, 100.0, 250.0):
        names.append(str(tmp_path / f"{rate:g}.wav"))
        scipy.io.wavfile.write(names[-1], 1000, datasets.linear_chirp(rate, duration=0.6).x)
    (tmp_path / "100.wav").write_bytes(b"RIFF")
    return names


def rows_of(path):
    with open(path, encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream))


def run_badly(capsys, *argv):
    """Run what must fail with code 2 before any work, and return the only line on standard error."""
    with pytest.raises(SystemExit) as stop:
        cli.main(list(argv))
    out, err = capsys.readouterr()
    assert stop.value.code == 2 and out == "" and err.count("\n") == 1
    return err


def test_a_row_for_each_file_and_a_line_for_each_error(capsys, tmp_path, files):
    out = tmp_path / "out.csv"
    assert cli.main(["tune", *files, "--out", str(out), "--bounds", "16", "200", "--criterion", "shannon"]) == 2
    printed, err = capsys.readouterr()
    assert err == f"adaptstft: {files[1]}: not a readable WAV file (no RIFF header)\n"
    assert printed.splitlines()[0] == "recordings    3: 2 tuned, 1 failed"
    assert printed.splitlines()[-1] == f"rows in       {out}"
    rows = rows_of(out)
    assert [row["name"] for row in rows] == files and [row["status"] for row in rows] == ["ok", "error", "ok"]
    expected = adaptstft.optimize(
        datasets.linear_chirp(40.0, duration=0.6).x, 1000, win_bounds=(16, 200), criterion="shannon"
    )
    assert float(rows[0]["win_length"]) == expected.win_length
    assert json.loads(rows[0]["settings"]) == {"criterion": "shannon", "win_bounds": [16, 200]}


def test_notes_and_errors_have_the_words_of_the_command_line(capsys, tmp_path):
    name, short = str(tmp_path / "chirp.wav"), str(tmp_path / "slow.wav")
    x = datasets.linear_chirp(100.0, duration=2.0).x
    scipy.io.wavfile.write(name, 1000, x + 0.05 * np.cos(2 * np.pi * 310 * np.arange(x.size) / 1000))
    scipy.io.wavfile.write(short, 400, x)
    assert cli.main([name, short, "--out", str(tmp_path / "out.csv"), "--fmin", "250"]) == 2
    printed, err = capsys.readouterr()
    assert err.startswith(f"adaptstft: {short}: --fmin 250.0 must satisfy")
    assert "f_bounds" not in printed + err


def test_the_same_command_goes_on_and_retries_if_asked(capsys, tmp_path, files):
    command = ["--out", str(tmp_path / "out.csv")]
    assert cli.main([*files[:2], *command]) == 2
    first = rows_of(tmp_path / "out.csv")
    late = str(tmp_path / "late.wav")
    capsys.readouterr()
    assert cli.main([*files, late, *command]) == 2
    assert "2 tuned, 2 failed; 2 of them in earlier runs" in capsys.readouterr().out
    for name in (files[1], late):
        scipy.io.wavfile.write(name, 1000, datasets.linear_chirp(100.0, duration=0.6).x)
    assert cli.main([*files, late, *command]) == 2  # a file that has changed is tuned, one that was missing is not
    assert "3 tuned, 1 failed; 3 of them in earlier runs" in capsys.readouterr().out
    assert cli.main([*files, late, *command, "--retry"]) == 0
    assert "4 tuned, 0 failed; 3 of them in earlier runs" in capsys.readouterr().out
    rows = rows_of(tmp_path / "out.csv")
    assert rows[0] == first[0] and [row["name"] for row in rows] == [files[0], files[2], files[1], late]
    assert cli.main([*files, *command, "--fs", "500"]) == 2
    err = capsys.readouterr().err
    assert 'was written with other settings, {}, now they are {"fs": 500}' in err and err.count("\n") == 1


def test_channel_and_key_reach_the_files(capsys, tmp_path):
    x = datasets.linear_chirp(100.0, duration=0.6).x
    scipy.io.savemat(tmp_path / "a.mat", {"x": np.stack([x, x[::-1]]), "y": x, "fs": 1000.0})
    out = str(tmp_path / "out.csv")
    assert cli.main([str(tmp_path / "a.mat"), "--key", "x", "--channel", "0", "--out", out]) == 0
    (row,) = rows_of(out)
    assert row["channels"] == "1" and json.loads(row["settings"]) == {"channel": 0, "key": "x"}


def test_a_channel_that_a_file_does_not_have(capsys, tmp_path):
    path, out = tmp_path / "a.npy", str(tmp_path / "out.csv")
    np.save(path, np.zeros((2, 300)))
    assert cli.main([str(path), "--fs", "1", "--channel", "2", "--out", out]) == 2
    assert capsys.readouterr().err == f"adaptstft: {path}: channel=2 must lie between 0 and 1\n"


@pytest.mark.slow
def test_several_processes_report_in_the_order_of_the_files(capsys, tmp_path, files):
    pytest.importorskip("joblib", reason="processes need joblib, of the extra 'many'")
    assert cli.main([*files, "--json"]) == 2
    alone = capsys.readouterr()
    assert cli.main([*files, "--json", "--jobs", "2"]) == 2
    together = capsys.readouterr()
    assert together == alone and len(alone.out.splitlines()) == 2
    assert cli.main([*files, "--jobs", "2", "--out", str(tmp_path / "out.csv")]) == 2
    assert sorted(row["name"] for row in rows_of(tmp_path / "out.csv")) == sorted(files)


def test_an_interrupt_says_where_the_rows_are(capsys, tmp_path, files, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr("adaptstft.batch.job.optimize", interrupted)
    assert cli.main([files[1], files[0], "--out", str(tmp_path / "out.csv")]) == 130
    assert (
        capsys.readouterr().err == f"adaptstft: 1 row is in {tmp_path / 'out.csv'}; the same call goes on from there\n"
    )


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--out", "out.csv"], "--out out.csv needs at least one FILE"),
        (["a.wav", "--out", "out.csv", "--json"], "--out out.csv cannot be combined with --json"),
        (["a.wav", "--out", "out.csv", "--plot", "a.png"], "--out out.csv cannot be combined with --plot"),
        (["a.wav", "--retry"], "--retry needs --out"),
        (["a.wav", "--jobs", "0"], "--jobs 0: n_jobs=0 must be a positive number"),
        (["a.wav", "--jobs", "two"], "argument --jobs: invalid int value: 'two'"),
    ],
)
def test_bad_options_get_one_line(capsys, argv, message):
    line = run_badly(capsys, *argv)
    assert line.startswith("adaptstft: ") and message in line


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--out", "out.xlsx"], "out='out.xlsx' must end in one of .csv, .parquet"),
        (["--out", "no/such/out.csv"], "out='no/such/out.csv': there is no folder no/such"),
        (["--out", "out.csv", "--window", "nosuch"], "unknown window 'nosuch'"),
    ],
)
def test_errors_of_the_table_are_one_line(capsys, argv, message):
    assert cli.main(["a.wav", *argv]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("adaptstft: ") and message in err and err.count("\n") == 1


def test_jobs_without_joblib_name_the_extra(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "joblib", None)
    assert install_command("many") in run_badly(capsys, "a.wav", "--jobs", "2")
