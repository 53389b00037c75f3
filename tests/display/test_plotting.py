"""Data, limits and labels on the axes of pictures."""

import matplotlib
import numpy as np
import pytest
from scipy.signal import detrend

import adaptstft
from adaptstft import datasets

matplotlib.use("Agg")
pyplot = pytest.importorskip("matplotlib.pyplot", reason="pictures need the extra 'plot'")


@pytest.fixture(autouse=True)
def close_figures():
    yield
    pyplot.close("all")


@pytest.fixture(scope="module")
def constant():
    signal = datasets.linear_chirp(rate=100.0)
    return adaptstft.optimize(signal.x, signal.fs)


@pytest.fixture(scope="module")
def varying():
    signal = datasets.chirps_in_sequence()
    return adaptstft.optimize(signal.x, signal.fs, window_mode="time", options={"maxiter": 3})


def test_before_and_after(constant):
    axes = constant.plot()
    assert [ax.get_title() for ax in axes] == [
        "before: windows of 256 ms",
        f"tuned: windows of {1000 * constant.win_duration:.1f} ms",
    ]
    assert all(ax.get_xlabel() == "time in s" for ax in axes)
    assert axes[0].get_ylabel() == "frequency in Hz"
    assert axes[1].get_xlim() == pytest.approx((0, 3.999))
    assert axes[1].get_ylim() == pytest.approx((0, 500))


def test_short_windows_before_tuning_cover_the_signal():
    t = np.arange(16000)
    result = adaptstft.optimize(np.cos(0.5 * t) + np.cos(0.503 * t), 1000.0)
    before, tuned = (np.diff(ax.collections[0].get_coordinates()[0, :, 0]).max() for ax in result.plot())
    assert tuned == pytest.approx(result.hop / 1000)
    assert tuned > before * 4  # a hop of 64 samples, and cells of the screen of one or two hops
    assert before < np.min(result.initial.win_length) / 2000


def test_picture_shows_the_spectrogram_in_decibels(constant):
    ax = constant.plot()[1]
    mesh = ax.collections[0]
    shown = np.asarray(mesh.get_array())
    assert shown.min() >= -60
    power = constant.sft.spectrogram(detrend(constant.signal), p0=0, p1=constant.positions.size)
    level = np.maximum(10 * np.log10(power / mesh.peak), -60)  # the peak is that of both pictures
    assert shown.shape[1] == power.shape[1]
    step = -(-power.shape[0] // shown.shape[0])  # each row is the maximum of so many bins
    assert max(np.max(one.collections[0].get_array()) for one in constant.plot()) == 0
    for row, values in enumerate(shown):
        np.testing.assert_allclose(values, level[row * step : (row + 1) * step].max(axis=0), atol=1e-9)


def test_lengths_are_drawn_over_the_picture(varying):
    axes = varying.plot()
    twins = [ax for ax in axes[1].figure.axes if ax.get_ylabel() == "window length in ms"]
    assert len(twins) == 1
    x, y = twins[0].lines[-1].get_data()
    np.testing.assert_allclose(x, varying.positions / varying.sft.fs)
    np.testing.assert_allclose(y, 1e3 * varying.win_duration)


def test_given_axes(constant):
    _, ax = pyplot.subplots()
    drawn = constant.plot(ax=ax)
    assert drawn.size == 1
    assert drawn[0] is ax
    assert ax.get_title().startswith("tuned")
    _, many = pyplot.subplots(1, 3)
    for wrong in (many, 3, []):
        with pytest.raises(TypeError, match="ax must be one matplotlib Axes or two"):
            constant.plot(ax=wrong)


def test_long_recordings_are_thinned_out_without_losing_events():
    """Equal clicks are drawn equally loud, although several frames share a column."""
    x = 1e-4 * np.random.default_rng(0).standard_normal(20_000)
    x[500::1000] = 1
    res = adaptstft.optimize(x, 1.0, hop=5, win_length=40, window_mode="fixed")
    assert res.positions.size > 4000
    shown = np.asarray(res.plot()[1].collections[0].get_array())
    assert 100 <= shown.shape[1] <= 500
    loud = np.flatnonzero(shown.max(axis=0) > -0.5)
    assert np.unique(loud * 20 // shown.shape[1]).size == 20  # one in every twentieth of the picture


def test_complex_and_multichannel_signals():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((2, 1500)) + 1j * rng.standard_normal((2, 1500))
    res = adaptstft.optimize(x, 1000.0, options={"maxiter": 1})
    assert res.plot()[1].get_ylim() == pytest.approx((res.sft.f[0], res.sft.f[-1]))


def test_html_for_notebooks(constant):
    text = constant._repr_html_()
    assert text.startswith("<table>")
    assert "win_length" in text
    assert f"{constant.win_length:.2f} samples" in text


def test_columns_of_stationary_noise_are_equally_bright():
    x = np.random.default_rng(0).standard_normal(8000)
    res = adaptstft.optimize(x, 1000.0, window_mode="fixed", win_length=60, hop=24)
    shown = np.asarray(res.plot(pyplot.subplots(figsize=(6, 4))[1])[0].collections[0].get_array())
    assert res.positions.size / 2 < shown.shape[1] < res.positions.size  # columns of one and of two frames
    first, last = (10 * np.log10(np.mean(10 ** (half / 10))) for half in np.array_split(shown, 2, axis=1))
    assert abs(first - last) < 0.3


def test_the_band_that_the_criterion_sees_is_shown():
    x = np.random.default_rng(0).standard_normal(2000)
    res = adaptstft.optimize(x, 1000.0, window_mode="fixed", win_length=60, hop=8, f_bounds=(100, 140))
    assert [ax.get_ylim() for ax in res.plot()] == [(90.0, 150.0)] * 2
    open_end = adaptstft.optimize(x, 1000.0, window_mode="fixed", win_length=60, hop=8, f_bounds=(None, 100))
    assert open_end.plot()[0].get_ylim() == (0.0, 125.0)
