"""Optima known from theory: chirps, tones and clicks."""

import numpy as np
import pytest

import adaptstft
from adaptstft import criteria, datasets

FS = 1000.0
GAUSSIAN = ("gaussian", 6.0)  # cut at three standard deviations on both sides
#: Error of the lengths of chirps in sequence. A description length sees the side lobes of the windows, too.
ACCURACY = {"renyi": 0.02, "description-length": 0.1}


def best_length(rate, fs=FS):
    """Six standard deviations of the Gaussian window that concentrates a chirp best, in samples."""
    return 6 * fs / np.sqrt(2 * np.pi * abs(rate))


def chirp(rate, start=100.0, seconds=4.0, fs=FS):
    t = np.arange(int(seconds * fs)) / fs
    return np.cos(2 * np.pi * (start * t + rate / 2 * t**2))


@pytest.mark.parametrize("criterion", ["renyi", "shannon"])
@pytest.mark.parametrize("rate", [20, 40, 60, 100, -60])
def test_constant_optimum_of_a_linear_chirp(rate, criterion):
    x = chirp(rate, start=100 if rate > 0 else 400)
    res = adaptstft.optimize(x, FS, window=GAUSSIAN, criterion=criterion)
    assert res.win_length == pytest.approx(best_length(rate), rel=0.02)
    assert res.success


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
@pytest.mark.parametrize("amplitude", [1e-9, 1e-4, 1.0, 1e5, 1e9])
def test_any_amplitude(amplitude, dtype):
    x = (amplitude * chirp(60)).astype(dtype)
    res = adaptstft.optimize(x, FS, window=GAUSSIAN)
    assert res.win_length == pytest.approx(best_length(60), rel=0.02)


@pytest.mark.parametrize("amplitude", [1e-9, 1.0, 1e9])
def test_an_offset_a_thousand_times_the_signal(amplitude):
    res = adaptstft.optimize(amplitude * (chirp(60) + 1000), FS, window=GAUSSIAN)
    assert res.win_length == pytest.approx(best_length(60), rel=0.02)


@pytest.mark.parametrize("fs", [1.0, 48e3, 2e9])
def test_any_sampling_frequency(fs):
    """The same samples have the same best length in samples, whatever their rate."""
    res = adaptstft.optimize(chirp(60), fs, window=GAUSSIAN)
    assert res.win_length == pytest.approx(best_length(60), rel=0.02)
    assert res.win_duration == res.win_length / fs


@pytest.mark.parametrize("scope", ["local", "global"])
@pytest.mark.parametrize("criterion", [criteria.Renyi, criteria.Shannon, criteria.DescriptionLength])
@pytest.mark.slow
def test_chirps_in_sequence(criterion, scope):
    """15 Hz/s for 2 s, then 150 Hz/s for 2 s: the lengths of the frames are 618 and 195 samples."""
    x = np.concatenate([chirp(15, 60, 2.0), chirp(150, 60, 2.0)])
    alone = {"criterion": criterion(scope=scope), "evenness": 0, "smoothness": 0}
    res = adaptstft.optimize(x, FS, window=GAUSSIAN, window_mode="time", hop=32, **alone)
    # in global scope nothing holds the windows that reach over the end: the last ones rise by two hops each
    for rate, low, high in ((15, 500, 1500), (150, 2400, 3600 if scope == "local" else 2800)):
        inside = (res.positions > low) & (res.positions < high)
        np.testing.assert_allclose(res.win_length[inside], best_length(rate), rtol=ACCURACY.get(criterion.name, 0.02))


@pytest.mark.parametrize("start", [100.0, 900.0])
@pytest.mark.parametrize("criterion", ACCURACY)
@pytest.mark.slow
def test_chirps_in_sequence_from_either_side(criterion, start):
    x = np.concatenate([chirp(15, 60, 2.0), chirp(150, 60, 2.0)])
    res = adaptstft.optimize(
        x,
        FS,
        window=GAUSSIAN,
        window_mode="time",
        win_length=start,
        starts=1,
        hop=16,
        win_bounds=(64, 1500),
        criterion=criterion,
        evenness=0,
        smoothness=0,
        options={"maxiter": 300},
    )
    for rate, low, high in ((15, 500, 1500), (150, 2400, 3600)):
        inside = (res.positions > low) & (res.positions < high)
        np.testing.assert_allclose(res.win_length[inside], best_length(rate), rtol=ACCURACY[criterion])


@pytest.mark.parametrize("start", [None, 100.0, 900.0])
@pytest.mark.parametrize(("criterion", "accuracy"), [("renyi", 0.05), ("description-length", 0.1)])
def test_penalties_move_the_lengths_of_chirps_little(criterion, accuracy, start):
    x = np.concatenate([chirp(15, 60, 2.0), chirp(150, 60, 2.0)])
    given = {} if start is None else {"win_length": start, "starts": 1, "win_bounds": (64, 1500)}
    settings = {"window": GAUSSIAN, "criterion": criterion, "hop": 16, "options": {"maxiter": 300}}
    res = adaptstft.optimize(x, FS, window_mode="time", **settings, **given)
    for rate, low, high in ((15, 500, 1500), (150, 2400, 3600)):
        inside = (res.positions > low) & (res.positions < high)
        np.testing.assert_allclose(res.win_length[inside], best_length(rate), rtol=accuracy)


def test_a_tone_asks_for_the_longest_window():
    res = adaptstft.optimize(np.cos(0.6 * np.arange(3000)), FS, win_bounds=(16, 1000))
    assert res.win_length == 1000


def test_a_click_asks_for_the_shortest_window():
    x = np.zeros(3000)
    x[1500] = 1
    res = adaptstft.optimize(x, FS, win_bounds=(16, 1000), detrend=None)
    assert res.win_length == 16


def test_a_datasets_theory_is_found():
    signal = datasets.linear_chirp(rate=80.0)
    res = adaptstft.optimize(signal.x, signal.fs, window=GAUSSIAN)
    assert res.win_length == pytest.approx(signal.win_length(6.0), rel=0.02)


def test_piecewise_tones_improve_as_published():
    """Per-frame kurtosis at hop 500 starts at about 10.2 (inverted, times 1000) and reaches 4.9 or better."""
    signal = datasets.piecewise_tones(rng=0)
    res = adaptstft.optimize(
        signal.x,
        signal.fs,
        window_mode="time",
        hop=500,
        win_length=577,
        starts=1,
        mfft=1500,
        win_bounds=(16, 1500),
        min_overlap=None,
        criterion=criteria.Kurtosis(scope="frame"),
        detrend=None,
    )
    assert 1000 * res.starts[0]["fun_start"] == pytest.approx(10.2, abs=0.4)
    assert 1000 * res.fun < 5.3
