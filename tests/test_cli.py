"""The command line: what it prints, what it writes, and one line for whatever is wrong."""

import json
import os
import re
import subprocess
import sys
import warnings

import numpy as np
import pytest
import scipy.io.wavfile
from numpy.testing import assert_allclose

import adaptstft
from adaptstft import cli, criteria, datasets, demo
from adaptstft.batch import command
from adaptstft.common import progress
from adaptstft.common.optional import install_command
from adaptstft.tuning.penalties import weights

JSON_KEYS = {
    "file",
    "fs",
    "channels",
    "samples",
    "window",
    "window_mode",
    "hop_mode",
    "criterion",
    "scope",
    "f_bounds",
    "score",
    "score_unit",
    "mfft",
    "fun",
    "area_fun",
    "win_length",
    "win_duration",
    "hop",
    "positions",
    "recommended",
    "method",
    "success",
    "message",
    "nit",
    "nfev",
    "notes",
}


@pytest.fixture(scope="module")
def chirp():
    return datasets.linear_chirp(100.0, duration=1.0)


@pytest.fixture
def wav(tmp_path, chirp):
    path = tmp_path / "chirp.wav"
    scipy.io.wavfile.write(path, 1000, np.round(30000 * chirp.x).astype(np.int16))
    return str(path)


@pytest.fixture
def stereo(tmp_path, chirp):
    path = tmp_path / "stereo.wav"
    samples = np.stack([chirp.x, datasets.linear_chirp(20.0, duration=1.0).x], axis=1)
    scipy.io.wavfile.write(path, 1000, samples)
    return str(path)


def run_json(capsys, *argv):
    """Run with --json, which must succeed in silence, and return the objects it printed."""
    assert cli.main([*argv, "--json"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    return [json.loads(line, parse_constant=pytest.fail) for line in out.splitlines()]


def run_badly(capsys, *argv):
    """Run what must fail with code 2, and return the only line on standard error."""
    try:
        code = cli.main(list(argv))
    except SystemExit as stop:
        code = stop.code
    out, err = capsys.readouterr()
    assert code == 2 and out == ""
    assert err.endswith("\n") and err.count("\n") == 1
    return err


def test_json_agrees_with_optimize(capsys, wav, chirp):
    (report,) = run_json(capsys, wav)
    assert set(report) == JSON_KEYS
    expected = adaptstft.optimize(np.round(30000 * chirp.x) / 32768, 1000)
    assert (report["file"], report["fs"], report["samples"], report["channels"]) == (wav, 1000, 1000, 1)
    assert (report["window"], report["window_mode"], report["criterion"]) == ("hann", "constant", "description-length")
    assert_allclose(report["win_length"], expected.win_length, rtol=1e-12)
    assert_allclose(report["win_duration"], expected.win_length / 1000, rtol=1e-12)
    assert_allclose(report["fun"], expected.fun, rtol=1e-12)
    assert_allclose(report["positions"], expected.positions)


def test_text_report_names_the_file_and_holds_the_summary(capsys, wav):
    assert cli.main(["tune", wav]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0] == f"{wav}: 1 channel, 1000 samples, 1 s at 1000 Hz"
    x = adaptstft.recordings.read(wav).x[0]
    assert adaptstft.optimize(x, 1000).summary() in out
    assert err == ""


def test_every_key_is_documented(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    documented = capsys.readouterr().out.partition("with the keys")[2]
    assert all(re.search(rf"\b{key}\b", documented) for key in JSON_KEYS)


def test_time_mode_gives_one_length_per_frame(capsys, wav):
    (report,) = run_json(capsys, wav, "--mode", "time", "--hop", "50")
    assert report["scope"] == "local"
    assert len(report["win_length"]) == len(report["win_duration"]) == len(report["positions"]) > 10
    assert_allclose(np.diff(report["positions"]), 50)


def test_smoothness_and_scope_reach_the_tuning(capsys, tmp_path):
    path, more = str(tmp_path / "chirps.npy"), ("--fs", "1000", "--hop", "50", "--scope", "global")
    np.save(path, adaptstft.datasets.chirps_in_sequence((15.0, 240.0), duration=1.0).x)
    rough, smooth = (
        run_json(capsys, path, "--mode", "time", *more, "--smoothness", weight)[0] for weight in ("0", "100")
    )
    assert rough["scope"] == smooth["scope"] == "global"
    assert np.ptp(rough["win_length"]) > 100
    assert np.ptp(np.log(smooth["win_length"])) < 0.1 * np.ptp(np.log(rough["win_length"]))


def test_fixed_mode_keeps_what_is_given(capsys, wav):
    (report,) = run_json(
        capsys, wav, "--mode", "fixed", "--win-length", "123.5", "--hop", "20", "--window", "kaiser:14"
    )
    assert report["win_length"] == 123.5 and report["hop"] == 20
    assert report["window"] == ["kaiser", 14.0]
    assert_allclose(np.diff(report["positions"]), 20)


def test_a_band_of_frequencies(capsys, wav):
    (both,) = run_json(capsys, wav, "--fmin", "100", "--fmax", "450")
    (low,) = run_json(capsys, wav, "--fmin", "100")
    (high,) = run_json(capsys, wav, "--fmax", "450")
    (none,) = run_json(capsys, wav)
    assert [report["f_bounds"] for report in (both, low, high, none)] == [[100, 450], [100, 500], [0, 450], None]


def test_bounds_criterion_and_options_between_files(capsys, wav, stereo):
    reports = run_json(capsys, wav, "--bounds", "20", "60", stereo, "--criterion", "shannon")
    assert [r["file"] for r in reports] == [wav, stereo]
    assert [r["channels"] for r in reports] == [1, 2]
    # The optimum is at about 180 samples, so that the bound is active.
    assert reports[0]["win_length"] == pytest.approx(60, rel=1e-3)
    assert reports[0]["criterion"] == "shannon"


def test_channel_and_rate(capsys, stereo):
    shared, first, second = (
        run_json(capsys, stereo, "--fs", "500", *more)[0]["win_length"]
        for more in ([], ["--channel", "0"], ["--channel", "1"])
    )
    assert first < shared < second
    (report,) = run_json(capsys, stereo, "--fs", "500", "--channel", "0")
    assert report["fs"] == 500 and report["win_duration"] == pytest.approx(report["win_length"] / 500)


def test_without_file_the_report_says_that_it_is_an_example(capsys):
    assert cli.main([]) == 0
    out, _ = capsys.readouterr()
    assert "linear_chirp, a generated signal" in out.splitlines()[0]
    (report,) = run_json(capsys, "--mode", "time")
    assert report["file"] is None and report["samples"] == 4000
    # The slow chirp of the first half wants longer windows than the fast one of the second.
    lengths = np.array(report["win_length"])
    assert lengths[len(lengths) // 4] > 1.5 * lengths[3 * len(lengths) // 4]


def test_key_chooses_a_variable(capsys, tmp_path, chirp):
    path = str(tmp_path / "a.mat")
    scipy.io.savemat(path, {"x": chirp.x, "y": chirp.x[::-1], "fs": 1000.0})
    assert "choose one with key" in run_badly(capsys, path)
    (report,) = run_json(capsys, path, "--key", "x")
    assert report["samples"] == 1000


@pytest.mark.parametrize("ending", ["png", "pdf"])
def test_plot_writes_a_picture_without_pyplot(capsys, wav, tmp_path, ending):
    picture = tmp_path / f"out.{ending}"
    assert cli.main([wav, "--plot", str(picture)]) == 0
    out, _ = capsys.readouterr()
    assert out.splitlines()[-1] == f"picture: {picture}"
    magic = {"png": b"\x89PNG", "pdf": b"%PDF"}[ending]
    content = picture.read_bytes()
    assert content.startswith(magic) and len(content) > 5000


def test_one_bad_file_does_not_stop_the_others(capsys, wav, tmp_path):
    missing = str(tmp_path / "missing.wav")
    assert cli.main([missing, wav, "--json"]) == 2
    out, err = capsys.readouterr()
    assert [json.loads(line)["file"] for line in out.splitlines()] == [wav]
    assert err == f"adaptstft: {missing}: No such file or directory\n"


def test_bad_recordings_get_one_line_with_their_name(capsys, tmp_path):
    for name, text in [
        ("a.wav", "x"),
        ("a.csv", "x,y\n1,2\noops,3\n"),
        ("b.csv", ""),
        ("a.npy", "x"),
        ("a.mat", "x" * 99),
    ]:
        (tmp_path / name).write_text(text)
        assert run_badly(capsys, str(tmp_path / name), "--fs", "1").startswith(f"adaptstft: {tmp_path / name}: ")
    np.save(tmp_path / "silent.npy", np.zeros(500))
    line = run_badly(capsys, str(tmp_path / "silent.npy"), "--fs", "1")
    assert line.startswith(f"adaptstft: {tmp_path / 'silent.npy'}: ") and "silent" in line


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--mode", "pitch"], "argument --mode: invalid choice: 'pitch'"),
        (["--fs", "fast"], "argument --fs: invalid float value: 'fast'"),
        (["--fs", "0"], "fs=0.0 must be greater than 0"),
        (["--bounds", "500", "100"], "--bounds 500.0 100.0"),
        (["--fmin", "500", "--fmax", "100"], "--fmin 500.0 --fmax 100.0"),
        (["--fmin", "5000"], "--fmin 5000.0 must satisfy"),
        (["--criterion", "nosuch"], "criterion='nosuch'"),
        (["--window", "nosuch"], "nosuch"),
        (["--window", "boxcar"], "boxcar"),
        (["--window", "kaiser:high"], "argument --window: 'high' is not a number; expected NAME:SHAPE"),
        (["--win-length", "-5"], "win_length=-5.0"),
        (["--hop", "0"], "hop=0.0"),
        (["--channel", "1"], "chirp.wav: --channel 1 must lie between 0 and 0"),
        (["--channel", "-1"], "--channel=-1 must be at least 0"),
        (["--key", "x"], "key='x' is for MAT and NPZ files only"),
        (["--nosuch"], "unrecognized arguments: --nosuch"),
        (["--plot", "out.xyz"], "--plot out.xyz: the suffix must be one of"),
        (["--plot", "no/such/folder/out.png"], "there is no folder no/such/folder"),
        (["--plot", "out.png", "other.wav"], "--plot draws one FILE, got 2"),
        (["--save", "out.npz", "other.wav"], "--save writes one FILE, got 2"),
        (["--save", "no/such/folder/out.npz"], "--save no/such/folder/out.npz: there is no folder no/such/folder"),
        (["--save", "out.npz", "--out", "out.csv"], "--out out.csv cannot be combined with --save"),
        (["--progress", "--jobs", "2"], "--progress shows one FILE after the other, got --jobs 2"),
        (["--criterion", "nosuch:power=1"], "unknown criterion 'nosuch'; known are description-length, gini"),
        (["--criterion", "shannon:p=1"], "'p=1' must be KEY=VALUE with one of the keys scope, width, bands, power"),
        (["--criterion", "shannon:power=big"], "'power=big': 'big' is not a number"),
        (["--criterion", "shannon:power=-1"], "criterion 'shannon:power=-1': power=-1.0 must be greater than 0"),
    ],
)
def test_bad_option_gets_one_line(capsys, wav, options, message):
    line = run_badly(capsys, wav, *options)
    assert line.startswith("adaptstft: ") and message in line


@pytest.mark.parametrize(("option", "value"), [("--fs", "8"), ("--key", "x"), ("--resample", None)])
def test_options_of_a_file_need_a_file(capsys, option, value):
    line = run_badly(capsys, option, *filter(None, [value]))
    assert line.startswith(f"adaptstft: {option} needs a FILE: the generated example has a sampling rate")


def test_paths_that_are_no_files(capsys, tmp_path):
    """Whatever their endings, which are not the fault."""
    for name in ("missing", "missing.doc", "missing.wav"):
        line = run_badly(capsys, str(tmp_path / name))
        assert line == f"adaptstft: {tmp_path / name}: No such file or directory\n"
    for name in ("folder", "folder.wav"):
        (tmp_path / name).mkdir()
        assert run_badly(capsys, str(tmp_path / name)) == f"adaptstft: {tmp_path / name}: Is a directory\n"


def test_plot_without_matplotlib_names_the_extra(capsys, wav, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    assert install_command("plot") in run_badly(capsys, wav, "--plot", "out.png")
    assert demo.draw(None, "out.png").startswith("none: this needs matplotlib")


@pytest.mark.filterwarnings("default")
def test_warnings_take_one_line_and_leave_the_code_alone(capsys, wav, monkeypatch):
    tune = adaptstft.optimize

    def warning(*args, **kwargs):
        warnings.warn("the optimum\nis flat", RuntimeWarning, stacklevel=2)
        return tune(*args, **kwargs)

    monkeypatch.setattr(adaptstft, "optimize", warning)
    assert cli.main([wav]) == 0
    assert capsys.readouterr().err == f"adaptstft: {wav}: warning: the optimum is flat\n"


def test_numbers_that_are_not_finite_become_null():
    value = {"a": [1.0, np.nan], "b": {"e": np.inf, "f": [[2.0, -np.inf]]}, "c": 3, "d": "nan"}
    assert command._finite(value) == {"a": [1.0, None], "b": {"e": None, "f": [[2.0, None]]}, "c": 3, "d": "nan"}


def test_version_and_help(capsys):
    for option, text in [
        ("--version", f"adaptstft {adaptstft.__version__}\n"),
        ("--help", "usage: adaptstft"),
    ]:
        with pytest.raises(SystemExit) as stop:
            cli.main([option])
        assert stop.value.code == 0
        assert capsys.readouterr().out.startswith(text)


@pytest.mark.slow
def test_module_runs_as_a_program(wav):
    done = subprocess.run(
        [sys.executable, "-m", "adaptstft", wav, "missing.wav", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert json.loads(done.stdout)["file"] == wav
    assert done.stderr == "adaptstft: missing.wav: No such file or directory\n"


@pytest.mark.skipif(os.name != "posix", reason="pipes break otherwise elsewhere")
@pytest.mark.slow
def test_a_closed_pipe_is_no_error(wav):
    command = f"{sys.executable} -m adaptstft {wav} {wav} | true; echo ${{PIPESTATUS[0]}}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("0\n", "")


def test_interrupt_is_an_exit_code(capsys, wav, monkeypatch):
    def interrupted(*args, **kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(adaptstft, "optimize", interrupted)
    assert cli.main([wav]) == 130
    assert capsys.readouterr() == ("", "")


@pytest.mark.slow
def test_demo_tunes_the_recording_and_writes_its_picture(capsys, tmp_path):
    picture = tmp_path / "demo.png"
    assert demo.main([str(picture)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Signal: a real recording") and out.endswith(f"Picture: {picture}\n")
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_demo_without_its_extra_says_that_the_signal_is_generated(monkeypatch):
    monkeypatch.setitem(sys.modules, "pywt", None)
    recording, origin = demo.load_recording()
    assert origin.startswith("a GENERATED signal") and install_command("demo") in origin
    assert recording.name == "chirps_in_sequence"


def test_demo_refuses_more_than_one_name():
    with pytest.raises(SystemExit, match=r"usage: python -m adaptstft\.demo"):
        demo.main(["a.png", "b.png"])


@pytest.fixture
def npy(tmp_path, chirp):
    np.save(tmp_path / "a.npy", chirp.x)
    return tmp_path / "a.npy"


def run_process(*argv, **options):
    """Run the command in a process of its own, and return its exit code and its two outputs as bytes."""
    command = [sys.executable, "-m", "adaptstft", *argv]
    done = subprocess.run(command, **{"stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options, check=False)
    return done.returncode, done.stdout, done.stderr


def test_a_name_that_begins_with_a_dash(capsys, npy, monkeypatch):
    monkeypatch.chdir(npy.parent)
    npy.rename("-dash.npy")
    assert cli.main(["--fs", "1000", "--", "-dash.npy"]) == 0
    assert capsys.readouterr().out.startswith("-dash.npy: 1 channel")
    assert "-none.npy: No such file" in run_badly(capsys, "--", "-none.npy")


def test_names_are_shown_on_one_line(capsys, npy):
    name = "c\nd\x1b[31m\u3000é.npy"
    npy.rename(npy.parent / name)
    assert cli.main(["--fs", "1000", str(npy.parent / name)]) == 0
    assert capsys.readouterr().out.startswith(f"{npy.parent}/c\\nd\\x1b[31m\u3000é.npy: 1 channel")
    line = run_badly(capsys, str(npy.parent / "no\n\x1b.npy"))
    assert line == f"adaptstft: {npy.parent}/no\\n\\x1b.npy: No such file or directory\n"


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no names that are not UTF-8")
def test_names_that_are_no_text(capsys, npy, tmp_path):
    name = os.fsdecode(b"b\xff.npy")
    npy.rename(tmp_path / name)
    assert cli.main(["--fs", "1000", str(tmp_path / name)]) == 0
    assert "b\\udcff.npy: 1 channel" in capsys.readouterr().out
    (report,) = run_json(capsys, "--fs", "1000", str(tmp_path / name))
    assert report["file"].endswith(name)
    assert cli.main([str(tmp_path / name), "--fs", "1000", "--out", str(tmp_path / "out.csv")]) == 0
    assert "b\\udcff.npy,ok" in (tmp_path / "out.csv").read_text()


def test_an_uneven_clock_is_resampled_if_asked(capsys, tmp_path):
    t = np.cumsum(np.r_[0, np.full(900, 1 / 94), np.full(900, 1 / 106)])
    path = tmp_path / "a.csv"
    path.write_text("time,x\n" + "".join(f"{a:.9f},{np.cos(40 * a + 3 * a * a):.6f}\n" for a in t))
    line = run_badly(capsys, str(path))
    assert "line 902: the column 'time' is not even: sample 900 deviates by" in line and "--resample" in line
    assert cli.main([str(path), "--resample"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("note: resampled with linear phase to ")
    (report,) = run_json(capsys, str(path), "--resample")
    assert report["notes"][0].startswith("resampled with linear phase")
    assert cli.main([str(path), "--resample", "--out", str(tmp_path / "out.csv")]) == 0
    assert "resampled with linear phase" in (tmp_path / "out.csv").read_text()


def test_a_hop_that_needs_endless_memory(capsys, npy):
    assert "hop=1e-09 must be at least 1/64 of a sample" in run_badly(capsys, str(npy), "--fs", "1", "--hop", "1e-9")
    with pytest.raises(ValueError, match="hop=1e-09 must be at least 1/64 of a sample"):
        adaptstft.optimize_many([npy], 1.0, hop=1e-9)


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("x\ny"), KeyError("a"), RecursionError("deep")])
def test_any_error_of_one_file_is_one_line(capsys, npy, monkeypatch, error):
    """Whatever its kind, and the next file is tuned."""
    tune = adaptstft.optimize
    calls = []

    def failing(*args, **kwargs):
        calls.append(args)
        if len(calls) == 1:
            raise error
        return tune(*args, **kwargs)

    monkeypatch.setattr(adaptstft, "optimize", failing)
    assert cli.main([str(npy), str(npy), "--fs", "1000"]) == 2
    out, err = capsys.readouterr()
    assert out.startswith(f"{npy}: 1 channel") and err.startswith(f"adaptstft: {npy}: ") and err.count("\n") == 1


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has /dev/full, a file on a full disk")
def test_output_that_cannot_be_written_is_an_error(npy):
    with open("/dev/full", "wb") as full:
        for argv in (["--help"], [str(npy), "--fs", "1000"], [str(npy), "--fs", "1", "--json"]):
            code, _, err = run_process(*argv, stdout=full)
            assert (code, err) == (2, b"adaptstft: standard output: No space left on device\n"), argv
        assert run_process("missing.npy", stderr=full)[:2] == (2, b"")


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="only POSIX shells close a stream with >&-")
@pytest.mark.parametrize(("closed", "code"), [(">&-", 2), ("2>&-", 0)])
def test_closed_streams(npy, closed, code):
    command = f"exec {sys.executable} -m adaptstft {npy} --fs 1000 {closed}"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.returncode == code
    assert done.stderr == ("adaptstft: standard output: it is closed\n" if code else "")
    command = f"exec {sys.executable} -m adaptstft {npy}x --no-such-option {closed}"
    assert subprocess.run(["bash", "-c", command], capture_output=True, check=False).returncode == 2


def test_criteria_with_parameters(capsys, wav):
    for text, criterion in [
        ("shannon:power=1", criteria.Shannon(power=1.0)),
        ("renyi:alpha=2,width=0.5", criteria.Renyi(alpha=2.0, width=0.5)),
        ("lp:scope=frame", criteria.Lp(scope="frame")),
    ]:
        assert command.parse_criterion(text) == criterion
    (report,) = run_json(capsys, wav, "--criterion", "shannon:power=1")
    x = adaptstft.recordings.read(wav).x[0]
    assert report["criterion"] == "shannon"
    assert_allclose(report["fun"], adaptstft.optimize(x, 1000, criterion=criteria.Shannon(power=1.0)).fun, rtol=1e-12)


def test_a_result_is_saved(capsys, wav, tmp_path):
    path = tmp_path / "tuned.npz"
    assert cli.main([wav, "--save", str(path)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"result: {path}"
    res = adaptstft.optimize(adaptstft.recordings.read(wav).x[0], 1000)
    assert adaptstft.load(path).win_length == res.win_length


def test_a_bar_is_shown_if_asked_for(capsys, wav, monkeypatch):
    monkeypatch.setattr(progress, "_DELAY", 0.0)
    for option, shown in (("--progress", True), ("--no-progress", False)):
        assert cli.main([wav, option]) == 0
        assert ("searching" in capsys.readouterr().err) == shown


@pytest.mark.parametrize(
    ("note", "words"),
    [
        ("at its bound; win_bounds=(8, 150) allows longer ones", "at its bound; --bounds 8 150 allows longer ones"),
        (
            "120 ms, from hop=60 and min_overlap=0.5: a smaller hop allows shorter windows",
            "120 ms, from --hop 60 and an overlap of at least 0.5: a smaller hop allows shorter windows",
        ),
    ],
)
def test_notes_have_the_words_of_the_command_line(note, words):
    assert command.in_words_of_the_shell(note) == words


def test_notes_of_a_run_name_options(capsys, wav):
    assert cli.main([wav, "--bounds", "20", "60"]) == 0
    out = capsys.readouterr().out
    assert "; --bounds 20 120 allows longer ones" in out and "win_bounds" not in out
    (report,) = run_json(capsys, wav, "--bounds", "20", "60")
    assert "--bounds 20 120 allows longer ones" in " ".join(report["notes"])


def test_one_sample_in_the_singular():
    recording = adaptstft.recordings.Recording(np.zeros((1, 1)), 2.0, "x")
    assert command.headline("x.wav", recording.x[0], recording) == "x.wav: 1 channel, 1 sample, 0.5 s at 2 Hz"


def test_the_help_names_the_default_weights(capsys):
    with pytest.raises(SystemExit):
        cli.main(["tune", "--help"])
    words = " ".join(capsys.readouterr().out.split())
    for weight in (weights._SMOOTHNESS, weights._EVENNESS):
        assert f"{weight * weights.DESCRIPTION_SHARE:g} for a description length, {weight:g} for an entropy" in words
        assert f"{weight * weights.RATIO_SHARE:g} for others" in words
