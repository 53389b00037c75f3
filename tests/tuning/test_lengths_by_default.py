"""Lengths of frames with the default criterion: at the ends, next to events, in quiet parts, without alternation."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

import adaptstft

FS = 1000.0
#: For this window there is a theory of the best length for a chirp.
GAUSSIAN = ("gaussian", 6.0)


def best_length(rate):
    """Six standard deviations of the Gaussian window that concentrates a chirp best, in samples."""
    return 6 * FS / np.sqrt(2 * np.pi * rate)


def chirp(rate, start, seconds):
    t = np.arange(round(seconds * FS)) / FS
    return np.cos(2 * np.pi * (start * t + rate / 2 * t**2))


def noise(seed, n):
    return np.random.default_rng(seed).standard_normal(n)


def jumps(win_length):
    """Smaller one of two successive changes of the log length in opposite directions, zero if there are none."""
    before, after = np.log(win_length[1:-1] / win_length[:-2]), np.log(win_length[2:] / win_length[1:-1])
    return np.where(before * after < 0, np.minimum(np.abs(before), np.abs(after)), 0.0)


@pytest.mark.parametrize("seed", range(5))
def test_a_noisy_chirp_has_the_same_length_at_both_ends(seed):
    x = chirp(60, 100, 4) + 0.3 * noise(seed, 4000)
    res = adaptstft.optimize(x, FS, window_mode="time")
    assert_allclose(res.win_length, np.median(res.win_length), rtol=0.1)


@pytest.mark.parametrize("phase", [0.0, 0.7, 1.6])
def test_a_tone_that_is_cut_is_not_an_onset(phase):
    x = np.cos(2 * np.pi * 100 * np.arange(3000) / FS + phase)
    res = adaptstft.optimize(x, FS, window_mode="time", win_bounds=(16, 1000))
    assert res.win_length.min() > 900


@pytest.mark.parametrize("sign", [1, -1])
def test_a_click_between_beating_tones_is_in_short_windows_only(sign):
    t = np.arange(4000) / FS
    x = np.cos(2 * np.pi * 120 * t) + 0.8 * np.cos(2 * np.pi * 126 * t)
    x[2000] += 40 * sign
    res = adaptstft.optimize(x, FS, window_mode="time")
    distance = np.abs(res.positions - 2000)
    window = np.cos(np.pi * np.minimum(distance / res.win_length, 0.5)) ** 2
    held = 40**2 * window**2 / (3 / 8 * res.win_length) > 0.005 * (1 + 0.8**2) / 2  # above the distortion
    assert held.any() and distance[held].max() < 50
    assert np.abs(np.diff(np.log(res.win_length))).max() < np.log(2) + 1e-9
    assert res.win_length.max() > 4 / 6 * FS  # the tones are resolved


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("louder", [0, 1])
def test_halves_of_different_loudness_have_lengths_of_their_own(louder, seed):
    """They are 40 dB apart, each with noise 30 dB below it."""
    parts = []
    for k, rate in enumerate((15, 150)):
        half = chirp(rate, 20, 3)
        half += np.sqrt(np.mean(half**2) / 1000) * noise(10 * seed + k, half.size)
        parts.append(half * (1.0 if k == louder else 0.01))
    res = adaptstft.optimize(np.concatenate(parts), FS, window=GAUSSIAN, window_mode="time")
    for rate, low, high in ((15, 500, 2300), (150, 3500, 5500)):
        inside = (res.positions > low) & (res.positions < high)
        assert_allclose(res.win_length[inside], best_length(rate), rtol=0.1)


@pytest.mark.parametrize("seed", range(3))
def test_the_mirror_image_of_a_signal_has_the_mirrored_lengths(seed):
    x = np.concatenate([chirp(15, 60, 1), chirp(150, 60, 1.001)]) + 0.03 * noise(seed, 2001)
    settings = {"window_mode": "time", "hop": 8, "detrend": None}
    res, back = adaptstft.optimize(x, FS, **settings), adaptstft.optimize(x[::-1], FS, **settings)
    assert res.win_length.max() > 1.5 * res.win_length.min()
    assert_allclose(back.win_length[::-1], res.win_length, rtol=0.01)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("apart", [4, 12])
def test_lengths_do_not_alternate_where_tones_beat(apart, seed):
    t = np.arange(4000) / FS
    x = np.cos(2 * np.pi * 100 * t) + np.cos(2 * np.pi * (100 + apart) * t) + 0.01 * noise(seed, t.size)
    res = adaptstft.optimize(x, FS, window_mode="time")
    assert jumps(res.win_length).max() < 0.05


@pytest.mark.parametrize("seed", range(3))
def test_lengths_do_not_alternate_between_bursts(seed):
    t = np.arange(4000) / FS
    bursts = sum(np.exp(-0.5 * ((t - c) / 0.02) ** 2) for c in (0.7, 1.4, 2.1, 2.9)) * np.cos(2 * np.pi * 200 * t)
    res = adaptstft.optimize(bursts + 0.01 * noise(seed, t.size), FS, window_mode="time")
    assert jumps(res.win_length).max() < 0.05
