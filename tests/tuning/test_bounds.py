"""Default bounds of window lengths, and the notes about results at a bound."""

import re

import numpy as np
import pytest

import adaptstft
from adaptstft.tuning.request import WIDEST_RATIO

QUICK = {"options": {"maxiter": 1}, "starts": 1}


def bound_note(res):
    (note,) = [note for note in res.notes if "bound of" in note]
    return note


def lifted(note):
    """Return the bounds in the call at the end of a note."""
    low, high = re.search(r"; win_bounds=\((\S+), (\S+)\) allows (?:longer|shorter) ones$", note).groups()
    return float(low), float(high)


def tone(n):
    return np.cos(0.3 * np.arange(n))


@pytest.mark.parametrize(
    ("n", "fs", "longest"), [(100_000, 20_000.0, 40_000), (50_000, 100.0, 16_384), (3000, 1000.0, 1500)]
)
def test_the_longest_window_by_default(n, fs, longest):
    res = adaptstft.optimize(tone(n), fs, **QUICK)
    assert res.survey.lengths[[0, -1]] == pytest.approx([16, longest])
    assert res.win_length == longest


def test_a_slow_run_up_at_a_high_rate_is_not_at_a_bound():
    fs, rate, ratio = 16_000.0, 4.0, 8.5  # shorter Gaussian windows jump at their ends, which changes the best length
    t = np.arange(128_000) / fs
    res = adaptstft.optimize(np.cos(2 * np.pi * (300 * t + rate / 2 * t**2)), fs, window=("gaussian", ratio))
    assert res.win_length == pytest.approx(ratio * fs / np.sqrt(2 * np.pi * rate), rel=0.01)
    assert res.win_length > 16_384 and not any("bound" in note for note in res.notes)


def test_the_call_in_a_note_lifts_the_upper_bound():
    x = tone(4000)
    res = adaptstft.optimize(x, 1000.0, win_bounds=(20, 300))
    note = bound_note(res)
    assert note.startswith("the window length is at its upper bound of 300 samples = 300 ms; win_bounds=(20, 600)")
    wider = adaptstft.optimize(x, 1000.0, win_bounds=lifted(note))
    assert wider.win_length == 600


def test_the_call_in_a_note_lifts_the_lower_bound():
    x = np.zeros(4000)
    x[500::1000] = 1.0
    res = adaptstft.optimize(x, 1000.0, criterion="renyi")
    note = bound_note(res)
    assert note == (
        "the window length is at its lower bound of 16 samples = 16 ms; win_bounds=(8, 2000) allows shorter ones"
    )
    wider = adaptstft.optimize(x, 1000.0, criterion="renyi", win_bounds=lifted(note))
    assert wider.win_length == pytest.approx(8)


def test_nothing_longer_than_half_of_the_signal_is_proposed():
    half = ", half of the signal: longer ones are not useful"
    assert bound_note(adaptstft.optimize(tone(3000), 1000.0)).endswith(f"1500 samples = 1.5 s{half}")
    note = bound_note(adaptstft.optimize(tone(3000), 1000.0, win_bounds=(16, 1000)))
    assert lifted(note) == (16, 1500)
    corpus = adaptstft.Corpus([tone(3000), tone(2000)])
    assert bound_note(adaptstft.optimize(corpus, 1000.0)).endswith(
        ", half of the shortest signal: longer ones are not useful"
    )


def test_a_given_fft_or_hop_is_named_as_the_reason():
    assert bound_note(adaptstft.optimize(tone(3000), 1000.0, mfft=512)).endswith(
        "512 samples = 512 ms, from mfft=512: a longer FFT allows longer ones"
    )
    x = np.zeros(3000)
    x[np.random.default_rng(0).choice(3000, 40, replace=False)] = 1.0
    assert bound_note(adaptstft.optimize(x, 1000.0, hop=20)).endswith(
        "40 samples = 40 ms, from hop=20 and min_overlap=0.5: a smaller hop allows shorter windows"
    )


def clicks_then_a_tone(seed):
    """Many clicks, and a weak tone that is as long; one window for both is short."""
    rng = np.random.default_rng(seed)
    n = 12_000
    x = 0.01 * rng.standard_normal(n)
    x[rng.choice(n // 2, 100, replace=False)] += 3.0
    x[n // 2 :] += 0.1 * np.cos(0.9 * np.arange(n // 2))
    return x


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.full), pytest.param(2, marks=pytest.mark.full)])
def test_the_limit_of_lengths_that_vary_does_not_decide(seed):
    x = clicks_then_a_tone(seed)
    one = adaptstft.optimize(x, 1000.0).win_length
    res = adaptstft.optimize(x, 1000.0, window_mode="time")
    assert res.win_length.max() > 1.05 * WIDEST_RATIO * one
    assert res.sft.mfft >= res.win_length.max()
    given = adaptstft.optimize(x, 1000.0, window_mode="time", win_bounds=(16, WIDEST_RATIO * one))
    assert given.win_length.max() <= WIDEST_RATIO * one * (1 + 1e-9)
    assert res.area_fun < given.area_fun
    assert lifted(next(note for note in given.notes if "upper bound" in note))[1] > 2 * given.win_length.max() - 2


def test_the_fft_is_short_where_no_length_reaches_the_limit():
    x = adaptstft.datasets.linear_chirp(rate=100.0).x
    one = adaptstft.optimize(x, 1000.0).win_length
    assert adaptstft.optimize(x, 1000.0, window_mode="time").sft.mfft < 1.2 * WIDEST_RATIO * one


def test_no_start_is_better_than_the_result_where_the_length_changes_with_the_hop():
    # in a narrow band the best length for a hop leads to another hop, in a cycle
    x = np.random.default_rng(7).standard_normal(1024)
    res = adaptstft.optimize(x, 1000.0, f_bounds=(140, 195), win_length=200, starts=1)
    assert len(res.starts) > 3 and res.fun <= min(start["fun_start"] for start in res.starts) * (1 + 1e-6)
