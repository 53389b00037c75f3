"""Uneven clocks: samples on an even grid, without a shift and without what the grid cannot hold."""

import numpy as np
import pytest
from sample_files import rows

from adaptstft import recordings
from adaptstft.recordings.resampling import resample_evenly

RNG = np.random.default_rng(5)
CLOCKS = {
    "drift": np.cumsum(np.r_[0, np.full(2000, 1 / 94), np.full(1999, 1 / 106)]),
    "jitter": np.arange(4000) / 100 + RNG.uniform(-2e-3, 2e-3, 4000),
    "missing rows": np.delete(np.arange(4040), RNG.choice(4000, 40, replace=False) + 20) / 100,
}


@pytest.mark.parametrize("name", CLOCKS)
def test_tones_are_where_they_were(name):
    """The error of a tone at 5 Hz is small, in the middle and at the ends; a delay of a sample would be 0.3."""
    t = CLOCKS[name]
    x = np.stack([np.sin(2 * np.pi * 5 * t), np.cos(2 * np.pi * 2 * t)])
    even, fs, note = resample_evenly(x, t)
    assert fs == pytest.approx(1 / np.median(np.diff(t)))
    grid = t[0] + np.arange(even.shape[1]) / fs
    assert 0 <= t[-1] - grid[-1] < 1 / fs
    expected = np.stack([np.sin(2 * np.pi * 5 * grid), np.cos(2 * np.pi * 2 * grid)])
    assert np.abs(even - expected)[:, 30:-30].max() < 0.01
    assert np.abs(even - expected).max() < 0.1
    assert f"to {fs:.6g} Hz, {even.shape[1]} samples of {t.size}" in note


def test_frequencies_above_the_new_limit_are_removed():
    """94 Hz and then 120 Hz: the grid has 94 Hz, and a tone at 55 Hz in the faster part would appear at 39 Hz."""
    t = np.cumsum(np.r_[0, np.full(2500, 1 / 94), np.full(1500, 1 / 120)])
    x = np.where(t > t[2500], np.sin(2 * np.pi * 55 * t), 0.0)[None]
    even, fs, _ = resample_evenly(x, t)
    assert fs == pytest.approx(94)
    assert even[:, 2600:-50].std() < 0.15 * x[:, 2600:].std()


def test_a_file_is_resampled(tmp_path):
    t = CLOCKS["drift"]
    (tmp_path / "a.csv").write_text("time,x\n" + rows(t, np.sin(31.4 * t), fmt="%.9f"))
    recording = recordings.read(tmp_path / "a.csv", resample=True)
    assert recording.fs == pytest.approx(94, rel=1e-6)
    (note,) = recording.notes
    assert note.startswith("resampled with linear phase to 94 Hz") and "0.887 to 1 samples" in note
    with pytest.raises(ValueError, match=r"fs=7\.0 replaces the times of the file: give either fs or resample"):
        recordings.read(tmp_path / "a.csv", fs=7.0, resample=True)
    with pytest.raises(TypeError, match="resample=1 must be True or False"):
        recordings.read(tmp_path / "a.csv", resample=1)


AMBIGUOUS = {
    "whole numbers without a unit": ("time", 4 * np.arange(200), "without a unit: the rate is 0.25 Hz if"),
    "uneven whole numbers without a unit": ("time", np.delete(np.arange(201), 77), "name the unit, .* and resample"),
    "times named as row numbers": ("sample", np.arange(200) / 250, "is named as row numbers, but does not count"),
}


@pytest.mark.parametrize("name", AMBIGUOUS)
def test_resampling_does_not_guess(tmp_path, name):
    column, times, message = AMBIGUOUS[name]
    text = rows(times, np.sin(np.arange(times.size)))
    (tmp_path / "a.csv").write_text(f"{column},x\n{text}")
    with pytest.raises(ValueError, match=message):
        recordings.read(tmp_path / "a.csv", resample=True)
    if column == "time":
        (tmp_path / "a.csv").write_text(f"time (ms),x\n{text}")
        assert recordings.read(tmp_path / "a.csv", resample=True).fs == pytest.approx(1e3 / (times[1] - times[0]))


def test_a_clock_that_drifts_has_no_rate_that_is_wanted(tmp_path):
    t = CLOCKS["drift"]
    (tmp_path / "a.csv").write_text("time,x\n" + rows(t, np.sin(t)))
    with pytest.raises(ValueError, match=r"a\.csv: an even clock with fs=100 is wanted; line 2002: .* is not even"):
        recordings.read_at(tmp_path / "a.csv", 100.0)
    (tmp_path / "a.csv").write_text("x\n" + rows(np.sin(t)))
    assert recordings.read_at(tmp_path / "a.csv", 100.0).fs == 100


def test_an_even_clock_is_left_alone(tmp_path):
    (tmp_path / "a.csv").write_text("time,x\n" + rows(np.arange(100) / 50, np.arange(100) % 7))
    recording = recordings.read(tmp_path / "a.csv", resample=True)
    assert recording.fs == 50 and recording.notes == ()
    np.testing.assert_array_equal(recording.x[0], np.arange(100) % 7)


def test_a_clock_without_an_end_is_refused():
    t = np.r_[np.arange(100.0), 1e9]
    with pytest.raises(ValueError, match=r"resampling would make 1,000,000,001 samples of 101: .* largest of 1e\+09 s"):
        resample_evenly(np.zeros((1, 101)), t)
    with pytest.raises(ValueError, match="3 samples are too few to resample, at least 4 are needed"):
        resample_evenly(np.zeros((1, 3)), t[:3])


def test_a_clock_that_goes_back_cannot_be_resampled(tmp_path):
    (tmp_path / "a.csv").write_text("time,x\n0.5,1\n1.5,2\n1.0,3\n2.0,4\n")
    with pytest.raises(ValueError, match="line 4: the column 'time' is not increasing; give fs to ignore the times"):
        recordings.read(tmp_path / "a.csv", resample=True)
