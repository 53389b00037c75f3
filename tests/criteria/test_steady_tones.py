"""Weak steady tones that are removed before a description length is computed, and tones that are kept."""

import numpy as np
import pytest

import adaptstft
from adaptstft.criteria.steady_tones import LARGEST_SHARE, without_steady_tones

N = 6000
K = np.arange(N)
FS = 1000.0


def chirps(kind=float, seed=0):
    """Bursts of chirps of power one with some noise, which contain no steady tone."""
    phase = 2 * np.pi * (0.03 * K + 1.2e-5 * K**2)
    x = np.exp(1j * phase) * (np.sin(2 * np.pi * K / 1500) > 0) + 0.01 * noise(seed, complex)
    x = x if kind is complex else x.real
    return (x / np.sqrt(np.mean(np.abs(x) ** 2)))[np.newaxis]


def noise(seed, kind=float):
    rng = np.random.default_rng(seed)
    return rng.standard_normal(N) + (1j * rng.standard_normal(N) if kind is complex else 0)


def tone(frequency, share, kind=float):
    """A tone with a power of `share`."""
    z = np.sqrt(share) * np.exp(2j * np.pi * frequency * K + 0.7j)
    return z if kind is complex else np.sqrt(2) * z.real


def power(x):
    return np.mean(np.abs(x) ** 2)


@pytest.mark.parametrize("kind", [float, complex])
@pytest.mark.parametrize("frequency", [0.31, 0.4123456, 0.4999 * 0.9])
def test_a_weak_steady_tone_is_removed(frequency, kind):
    x = chirps(kind)
    cleaned, found = without_steady_tones(x + tone(frequency, 0.01, kind))
    assert found == pytest.approx([frequency], abs=1e-2 / N)
    assert power(cleaned - x) < 1e-3 * 0.01
    assert cleaned.dtype == x.dtype


def test_tones_of_both_signs_of_the_frequency_and_of_each_channel_are_removed():
    x = np.concatenate([chirps(complex), chirps(complex, 1)])
    y = x + np.array([tone(-0.2, 0.01, complex), tone(0.45, 0.02, complex)])
    cleaned, found = without_steady_tones(y)
    assert found == pytest.approx([-0.2, 0.45], abs=1e-2 / N)
    assert power(cleaned - x) < 1e-3 * 0.015
    single, found = without_steady_tones((y.real).astype(np.float32))
    assert single.dtype == np.float32 and len(found) == 2


@pytest.mark.parametrize("kind", [float, complex])
@pytest.mark.parametrize(
    "other",
    [
        lambda kind: 0 * tone(0.4, 1.0, kind),
        lambda kind: tone(0.4, 0.02, kind) * (K < 0.8 * N),
        lambda kind: tone(0.4, 0.02, kind) * np.linspace(0.4, 1.6, N),
        lambda kind: tone(0.4 + 2e-4 * np.sin(2 * np.pi * K / N), 0.02, kind),
        lambda kind: tone(0.4, 1.2 * LARGEST_SHARE, kind),
        lambda kind: tone(0.4, 0.01, kind) + tone(0.35, 0.3, kind),
        lambda kind: tone(0.001, 0.01, kind),
    ],
    ids=["none", "it ends", "it grows", "it changes its pitch", "strong", "weak beside strong", "few periods"],
)
def test_other_signals_are_kept(other, kind):
    x = chirps(kind) + other(kind)
    cleaned, found = without_steady_tones(x)
    assert found == [] and cleaned is x


@pytest.mark.parametrize("seed", range(5))
def test_tones_that_are_the_signal_are_kept(seed):
    """A line in white or brown noise, a chord with weak partials, and noise alone."""
    brown = np.cumsum(noise(seed))
    brown /= brown.std()
    chord = sum(tone(0.1 * k, 1 / k**4) for k in range(1, 5))
    for x in (noise(seed) + tone(0.2, 0.02), brown + tone(0.2, 0.02), chord, noise(seed)):
        cleaned, found = without_steady_tones(x[np.newaxis])
        assert found == [] and cleaned.base is x


@pytest.mark.parametrize("n", [1, 2, 7, 100, 255, 256, 257])
@pytest.mark.parametrize("kind", [float, complex])
def test_short_and_silent_signals_are_kept(n, kind):
    for x in (np.zeros((2, n), kind), noise(0, kind)[np.newaxis, :n], np.ones((1, n), kind)):
        assert without_steady_tones(x)[0] is x


@pytest.mark.parametrize("window_mode", ["constant", "time"])
def test_a_far_tone_does_not_change_the_lengths(window_mode):
    x = chirps()[0]
    alone = adaptstft.optimize(x, FS, window_mode=window_mode)
    both = adaptstft.optimize(x + tone(0.41, 0.01), FS, window_mode=window_mode)
    np.testing.assert_allclose(both.win_length, alone.win_length, rtol=0.02)
    assert "weak steady tones do not count: 410 Hz; f_bounds=(low, high) around one makes it count" in both.notes
    assert not any("steady" in note for note in alone.notes)


def test_a_tone_counts_where_it_is_asked_for():
    """With bounds around it, with an entropy, where lengths vary with the frequency, and if nothing is removed."""
    x = chirps()[0] + tone(0.41, 0.01)
    inside = adaptstft.optimize(x, FS, f_bounds=(390, 430))
    assert inside.win_length > 1000 and not any("steady" in note for note in inside.notes)
    for options in ({"criterion": "renyi"}, {"window_mode": "frequency"}, {"detrend": None}):
        assert not any("steady" in note for note in adaptstft.optimize(x, FS, **options).notes)
