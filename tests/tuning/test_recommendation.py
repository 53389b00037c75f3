"""Recommended integer lengths and hops, the curve of the search, and where both are shown."""

import json
import re
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

import adaptstft
from adaptstft import cli, datasets
from adaptstft.tuning.result.recommendation import Recommendation
from adaptstft.tuning.result.summary import summary_rows

FS = 1000.0
T = np.arange(2000) / FS
CHIRP = np.cos(2 * np.pi * (60 * T + 40 * T**2)) + 0.1 * np.random.default_rng(3).standard_normal(T.size)


def evaluated(win_length, hop, **options):
    """``area_fun`` of a fixed length and hop."""
    return adaptstft.optimize(CHIRP, FS, window_mode="fixed", win_length=win_length, hop=hop, **options).area_fun


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [{}, {"criterion": "shannon"}, {"criterion": "hoyer"}, {"hop": 21.3, "mfft": 512}, {"hop": 20}], ids=str
)
def test_the_loss_is_the_increase_of_area_fun(options):
    res = adaptstft.optimize(CHIRP, FS, **options)
    recommended = res.recommended
    assert isinstance(recommended.win_length, int) and isinstance(recommended.hop, int)
    assert recommended.win_length % 2 == 0
    assert abs(recommended.win_length - res.win_length) <= 2
    assert abs(recommended.hop - res.hop) < 1
    same = {"criterion": res.criterion, "mfft": res.sft.mfft}
    loss = evaluated(recommended.win_length, recommended.hop, **same) - res.area_fun
    assert recommended.loss == pytest.approx(loss, abs=1e-12)
    others = [
        evaluated(length, hop, **same)
        for length in (2 * np.floor(res.win_length / 2), 2 * np.ceil(res.win_length / 2))
        for hop in {np.floor(res.hop), np.ceil(res.hop)}
    ]
    assert res.area_fun + recommended.loss == pytest.approx(min(others), abs=1e-12)
    assert abs(recommended.loss) < 1e-2


def test_a_length_for_each_frame():
    res = adaptstft.optimize(CHIRP, FS, window_mode="time", hop=20, options={"maxiter": 10})
    recommended = res.recommended
    assert recommended.win_length.shape == res.win_length.shape
    assert np.all(recommended.win_length % 2 == 0)
    assert recommended.hop == 20
    assert abs(recommended.loss) < 1e-2
    loss = evaluated(recommended.win_length, 20, criterion=res.criterion, mfft=res.sft.mfft) - res.area_fun
    assert recommended.loss == pytest.approx(loss, abs=1e-6)  # it is read from the table


def test_tuned_positions_become_integer_hops():
    clicks = 0.02 * np.random.default_rng(0).standard_normal(2000)
    clicks[[137, 402, 811, 1203, 1377, 1802]] += 10.0  # far from the multiples of the hop
    res = adaptstft.optimize(clicks, FS, window_mode="time", hop_mode="time", hop=40, options={"maxiter": 20})
    assert np.ptp(np.diff(res.positions)) > 3
    recommended = res.recommended
    assert recommended.hop.shape == (res.positions.size - 1,)
    assert recommended.hop.dtype.kind == "i"
    np.testing.assert_allclose(np.cumsum(recommended.hop), res.positions[1:], atol=0.5)
    assert np.shape(recommended.win_length) == np.shape(res.win_length)


@pytest.mark.parametrize("mode", ["frequency", "time-frequency"])
def test_a_length_for_each_bin(mode):
    res = adaptstft.optimize(CHIRP[:800], FS, window_mode=mode, hop=20.5, options={"maxiter": 3})
    recommended = res.recommended
    assert np.all(recommended.win_length % 2 == 0)
    assert recommended.hop in (20, 21)
    assert abs(recommended.loss) < 0.05


def test_bounds_and_overlap_are_kept():
    res = adaptstft.optimize(CHIRP, FS, win_bounds=(16, 99.0))
    assert res.recommended.win_length == 98
    assert adaptstft.optimize(CHIRP, FS, win_bounds=(98.5, 99.5)).recommended is None
    least = adaptstft.optimize(CHIRP, FS, hop=49.5, win_bounds=(40, 100.5))
    assert least.recommended.win_length == 100
    assert least.recommended.hop in (49, 50)
    assert adaptstft.optimize(CHIRP, FS, hop=50.5, win_bounds=(40, 102)).recommended.hop in (50, 51)


@pytest.mark.parametrize("modes", [{}, {"window_mode": "time"}, {"hop_mode": "time"}], ids=str)
def test_recommendation_and_survey_are_saved_and_shown(tmp_path, modes):
    res = adaptstft.optimize(CHIRP, FS, hop=20, options={"maxiter": 3}, **modes)
    res.save(tmp_path / "tuned")
    again = adaptstft.load(tmp_path / "tuned")
    assert type(again.recommended) is Recommendation
    for name in ("win_length", "hop", "loss"):
        np.testing.assert_array_equal(getattr(again.recommended, name), getattr(res.recommended, name))
    np.testing.assert_array_equal(again.survey.lengths, res.survey.lengths)
    np.testing.assert_array_equal(again.survey.values, res.survey.values)
    (row,) = [text for name, text in summary_rows(res) if name == "recommended"]
    assert re.search(r"samples, hop 20: \S+ bits per sample (worse|better)$", row)


def test_without_a_search_there_is_no_curve(tmp_path):
    res = adaptstft.optimize(CHIRP, FS, win_length=100, starts=1)
    assert res.survey is None
    res.save(tmp_path / "tuned")
    assert adaptstft.load(tmp_path / "tuned").survey is None
    with pytest.raises(ValueError, match="no window lengths were searched"):
        res.plot_criterion()


def test_where_one_length_is_allowed_the_reason_for_no_curve_is_named():
    res = adaptstft.optimize(CHIRP[:33], FS)
    with pytest.raises(ValueError, match="only one length is allowed, as for up to 33 samples"):
        res.plot_criterion()


def test_the_command_line_reports_it(capsys, tmp_path):
    np.save(tmp_path / "chirp.npy", CHIRP)
    arguments = [str(tmp_path / "chirp.npy"), "--fs", "1000"]
    res = adaptstft.optimize(CHIRP, FS)
    assert cli.main([*arguments, "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    expected = res.recommended
    assert report["recommended"] == {"win_length": expected.win_length, "hop": expected.hop, "loss": expected.loss}
    assert cli.main(arguments) == 0
    row = rf"recommended +{expected.win_length} samples, hop {expected.hop}:"
    assert re.search(row, capsys.readouterr().out)
    assert cli.main([*arguments, "--json", "--method", "chirp-rate", "--window", "auto"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["method"] == "chirp-rate"
    assert report["window"] in ("hann", "blackman", ["kaiser", 8.6], ["gaussian", 6.0])


# ------------------------------------------------------------------ picture of the criterion


def test_criterion_against_length(pyplot):
    signal = datasets.close_tones_and_clicks(click_height=40)
    res = adaptstft.optimize(signal.x, signal.fs, criterion="shannon")
    ax = res.plot_criterion()
    lines = {line.get_label(): line.get_data() for line in ax.lines}
    np.testing.assert_allclose(lines["one length"], [res.survey.lengths, res.survey.values])
    np.testing.assert_allclose(np.ravel(lines["optimum"]), [res.win_length, res.area_fun])
    paths = [line.get_xdata() for line in ax.lines if len(line.get_xdata()) == 2]
    assert len(paths) == len(res.starts) >= 2
    for path, start in zip(paths, res.starts, strict=True):
        np.testing.assert_allclose(path, [start["win_length_start"], start["win_length"]])
    (span,) = ax.patches
    shaded = span.get_extents().transformed(ax.transData.inverted())  # a polygon in older versions, else a rectangle
    np.testing.assert_allclose(shaded.intervalx, res.sensitivity.win_length)
    assert ax.get_xlabel() == "window length in ms"
    assert ax.get_ylabel() == "shannon in nat"


@pytest.mark.parametrize("bounds", [(16, 20_000), (30, 2000), (60, 360), (210, 280)], ids=lambda b: f"{b[0]}-{b[1]}")
def test_labels_of_lengths_are_numbers_side_by_side(pyplot, bounds):
    res = adaptstft.optimize(CHIRP, FS)
    lengths = np.geomspace(*bounds, 12)
    res.survey = replace(res.survey, lengths=lengths, values=np.arange(12.0))
    res.win_length, res.starts = lengths[5], []
    res.sensitivity = replace(res.sensitivity, win_length=tuple(lengths[4:6]))
    ax = res.plot_criterion()
    ax.figure.canvas.draw()
    low, high = ax.get_xlim()
    ticks = [*ax.xaxis.get_major_ticks(), *ax.xaxis.get_minor_ticks()]
    labels = [tick.label1 for tick in ticks if low <= tick.get_loc() <= high and tick.label1.get_text()]
    shown = sorted(labels, key=lambda label: label.get_position()[0])
    assert len(shown) >= 2
    assert all(float(label.get_text()) == label.get_position()[0] for label in shown)
    boxes = [label.get_window_extent() for label in shown]
    assert all(left.x1 < right.x0 for left, right in pairwise(boxes))


def test_curve_of_a_grid_and_of_lengths_in_time(pyplot):
    _, axes = pyplot.subplots(1, 2)
    grid = adaptstft.optimize(CHIRP, FS, method="grid", options={"step": 9})
    assert grid.plot_criterion(axes[0]) is axes[0]
    assert axes[0].lines[0].get_xdata().size == grid.survey.lengths.size > 100
    varying = adaptstft.optimize(CHIRP[:700], FS, window_mode="time", method="adam", options={"maxiter": 2})
    varying.plot_criterion(axes[1])
    assert "optimum, mean length" in [line.get_label() for line in axes[1].lines]
    with pytest.raises(TypeError, match="ax must be one matplotlib Axes"):
        grid.plot_criterion(axes)
