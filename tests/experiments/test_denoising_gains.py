"""Gains of `denoise` over the best fixed window, chosen with the clean signal in hand."""

import numpy as np
import pytest
from recorded import heart, voice

import adaptstft
from adaptstft import datasets
from adaptstft.common.grids import length_grid

FS = 8000.0
pytestmark = pytest.mark.full


def with_noise(clean, db, rng):
    """Add white noise at a ratio in decibels; return the sum and the noise's standard deviation."""
    std = np.sqrt(np.mean(clean**2)) * 10 ** (-db / 20)
    return clean + std * rng.standard_normal(clean.size), std


def snr(clean, estimate):
    return 10 * np.log10(np.sum(clean**2) / np.sum((clean - estimate) ** 2))


def best_hann(noisy, clean, noise_std):
    """The best fixed Hann window at threshold 2, chosen with the clean signal in hand."""
    lengths = length_grid(32, min(clean.size // 2, 16384))
    fixed = {"mode": "wiener", "threshold": 2.0, "noise_std": noise_std}
    return max(snr(clean, adaptstft.denoise(noisy, FS, win_length=float(m), **fixed)) for m in lengths)


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(voice, id="voice"),
        pytest.param(heart, id="heart"),
        pytest.param(lambda: datasets.piecewise_tones(noise_std=0).x, id="tones"),
    ],
)
def test_default_surpasses_the_best_fixed_window_known_from_the_clean_signal(rng, make):
    """Means over 0, 5 and 10 dB of noise of estimated level; the fixed window knows the level exactly."""
    clean = make()
    gains = []
    for db in (0, 5, 10):
        noisy, std = with_noise(clean, db, rng)
        gains.append(snr(clean, adaptstft.denoise(noisy, FS)) - best_hann(noisy, clean, std))
    assert np.mean(gains) > 0.3
    assert min(gains) > -0.25


def test_default_is_not_below_the_best_fixed_window_on_decays_with_clicks(rng):
    """A window of one length is hard to surpass here, with clicks that are drowned by noise."""
    clean = datasets.decaying_tones_with_clicks(noise_std=0).x
    for db in (0, 5, 10):
        noisy, std = with_noise(clean, db, rng)
        assert snr(clean, adaptstft.denoise(noisy, FS)) > best_hann(noisy, clean, std) - 0.25
