"""Tuned positions: frames move only where the criterion gains by it."""

import numpy as np
import pytest
from naive import differences
from numpy.testing import assert_allclose

import adaptstft
from adaptstft import datasets
from adaptstft.tuning.penalties.variation import sum_of_changes
from adaptstft.tuning.stages.even_grid import LEAST_GAIN

FS = 1000.0
T = np.arange(2000) / FS
NOISE = np.random.default_rng(0).standard_normal(T.size)
STEADY = {
    "chirp": datasets.linear_chirp(rate=80.0, duration=2.0).x,
    "noisy chirp": datasets.linear_chirp(rate=80.0, duration=2.0).x + 0.1 * NOISE,
    "two tones": np.cos(2 * np.pi * 120 * T) + np.cos(2 * np.pi * 126 * T),
}
#: Clicks, far from the multiples of 40.
CLICKS = 0.02 * NOISE
CLICKS[[137, 402, 811, 1203, 1377, 1802]] += 10.0
#: A tone, and then dense clicks.
EVENTS = 0.02 * NOISE + np.where(T < 1.4, np.cos(2 * np.pi * 100 * T), 0.0)
EVENTS[1430:1960:37] += 5.0
MOVED = "the frames stay evenly spaced: moving them gains"


def noted(res):
    return any(note.startswith(MOVED) for note in res.notes)


@pytest.mark.parametrize("window_mode", ["constant", "time"])
@pytest.mark.parametrize("criterion", ["description-length", "renyi", "hoyer"])
@pytest.mark.parametrize("name", STEADY)
def test_hops_of_a_steady_signal_are_even(name, criterion, window_mode):
    res = adaptstft.optimize(STEADY[name], FS, window_mode=window_mode, hop_mode="time", criterion=criterion)
    assert_allclose(np.diff(res.positions), res.hop, rtol=1e-9)
    assert noted(res)


@pytest.mark.parametrize(("window_mode", "x"), [("constant", STEADY["noisy chirp"]), ("time", EVENTS)])
def test_even_frames_have_the_result_of_fixed_ones(window_mode, x):
    setting = {"window_mode": window_mode, "scope": "local"}
    res, fixed = (adaptstft.optimize(x, FS, **setting, hop_mode=mode) for mode in ("time", "fixed"))
    assert_allclose(res.positions, fixed.positions, atol=1e-9)
    assert_allclose(res.win_length, fixed.win_length, rtol=0.02)
    assert noted(res) and not noted(fixed)


def test_frames_move_to_clicks_with_the_description_length():
    """A hop of 40 samples is too large for the clicks; moved frames save many nats."""
    res = adaptstft.optimize(CLICKS, FS, hop=40, window_mode="time", hop_mode="time")
    even = adaptstft.optimize(CLICKS, FS, hop=40, window_mode="time")
    assert np.ptp(np.diff(res.positions)) > 5
    assert not noted(res)
    assert (even.area_fun - res.area_fun - res.prices) * CLICKS.size / 2 > 50


def test_frames_move_to_events_with_an_entropy(rng):
    """Rounding decides where a descent in positions ends; one in twenty gains too little, so the middle one counts."""
    moved, gains = [], []
    for _ in range(3):
        x = EVENTS * (1 + 1e-9 * rng.standard_normal(EVENTS.size))
        res = adaptstft.optimize(x, FS, criterion="renyi", window_mode="time", hop_mode="time", hop=30)
        even = [start for start in res.starts if start["label"] == "path"][-1]
        moved.append(np.ptp(np.diff(res.positions)))
        gains.append(even["area_fun"] - res.area_fun - res.prices)
    assert np.median(moved) > 5 and np.median(gains) > LEAST_GAIN


def test_a_user_function_keeps_its_positions():
    import autograd.numpy as anp

    res = adaptstft.optimize(
        STEADY["chirp"],
        FS,
        criterion=lambda P: anp.sum(anp.sqrt(P + 1e-9)) / anp.sqrt(anp.sum(P)),
        hop_mode="time",
        win_length=200,
        starts=1,
        options={"maxiter": 5},
    )
    assert np.ptp(np.diff(res.positions)) > 0.1 and not noted(res)


def test_positions_without_guarantees_are_not_compared():
    res = adaptstft.optimize(
        STEADY["chirp"], FS, criterion="renyi", hop_mode="time", min_overlap=None, options={"maxiter": 5}
    )
    assert np.ptp(np.diff(res.positions)) > 0.1 and not noted(res)


def test_lengths_for_each_frequency():
    res = adaptstft.optimize(
        STEADY["chirp"][:800], FS, window_mode="frequency", hop_mode="time", criterion="renyi", options={"maxiter": 5}
    )
    assert np.ptp(np.diff(res.positions)) < 1e-6 and noted(res)


def test_the_sum_of_changes():
    win_length, positions = np.array([100.0, 200.0, 200.0, 50.0]), np.array([0.0, 10.0, 30.0, 40.0])
    value, by_win_length, by_positions = sum_of_changes(win_length, positions)
    assert value == pytest.approx(np.log(2) + np.log(4) + 2 * np.log(2), abs=1e-2)
    expected, _ = differences.gradient(lambda w: sum_of_changes(w, positions)[0], win_length, 1e-2)
    assert_allclose(by_win_length, expected, atol=1e-8)
    expected, _ = differences.gradient(lambda p: sum_of_changes(win_length, p)[0], positions, 1e-3)
    assert_allclose(by_positions, expected, atol=1e-8)
    assert sum_of_changes(win_length[:2], positions[:2])[0] == pytest.approx(np.log(2), abs=1e-2)
    of_bins = np.full((4, 3), 100.0) + np.arange(3)
    assert sum_of_changes(of_bins, positions)[0] == pytest.approx(2 * np.log(2), abs=1e-2)
