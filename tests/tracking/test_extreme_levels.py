"""Signals whose powers underflow or overflow: the same frequencies, and levels in proportion."""

import numpy as np
import pytest

import adaptstft
from adaptstft import AdaptiveShortTimeFFT

FS = 1000.0
K = np.arange(1000)
X = np.cos(2 * np.pi * (0.05 * K + 5e-5 * K**2)) + 0.1 * np.random.default_rng(0).standard_normal(1000)
SFT = AdaptiveShortTimeFFT("hann", 128.0, 16.0, FS)


@pytest.mark.parametrize("level", [2.0**-1020, 2.0**-560, 2.0**800])
@pytest.mark.parametrize("order", [1, 2])
def test_tracking(level, order):
    ridge, expected = adaptstft.ridges(SFT, X * level), adaptstft.ridges(SFT, X)
    np.testing.assert_allclose(ridge.frequency, expected.frequency, rtol=1e-9)
    np.testing.assert_allclose(ridge.uncertainty, expected.uncertainty, rtol=1e-6)
    np.testing.assert_allclose(ridge.amplitude / level, expected.amplitude, rtol=1e-6)
    noisy = adaptstft.ridges(SFT, X * level, noise_std=0.1 * level)
    np.testing.assert_allclose(noisy.uncertainty, adaptstft.ridges(SFT, X, noise_std=0.1).uncertainty, rtol=1e-6)
    squeezed, usual = (adaptstft.synchrosqueeze(SFT, x, order=order) for x in (X * level, X))
    strong = np.abs(SFT.stft(X)) > 0.1 * np.abs(SFT.stft(X)).max()
    np.testing.assert_allclose(squeezed.frequency[strong], usual.frequency[strong], rtol=1e-6)


@pytest.mark.parametrize(
    ("level", "noise_std"), [(2.0**-1020, 1.0), (2.0**-560, 2.0**500), (1.0, 2.0**700), (2.0**800, 2.0**-200)]
)
def test_noise_of_another_level(level, noise_std):
    """Uncertainties are those of a small ratio of levels, times that; noise far above the signal is refused."""
    usual = adaptstft.ridges(SFT, X, noise_std=1.0)
    if noise_std > level:
        with pytest.raises(ValueError, match=r"noise_std=.* must be at most 1e\+50 times the largest magnitude of x"):
            adaptstft.ridges(SFT, X * level, noise_std=noise_std)
    else:
        ridge = adaptstft.ridges(SFT, X * level, noise_std=noise_std)
        np.testing.assert_allclose(ridge.frequency[0, 10:-10], usual.frequency[0, 10:-10], atol=0.1)
        bias = adaptstft.ridges(SFT, X, noise_std=1e-12).uncertainty  # all that is left
        np.testing.assert_allclose(ridge.uncertainty[0, 10:-10], bias[0, 10:-10], rtol=1e-6)
    equal = adaptstft.ridges(SFT, X * level, noise_std=level)
    np.testing.assert_allclose(equal.uncertainty, usual.uncertainty, rtol=1e-9)


def test_denormal_samples():
    """Fifteen digits are not left, but the frequency is there."""
    ridge = adaptstft.ridges(SFT, X * 1e-315)
    assert np.abs(ridge.frequency - adaptstft.ridges(SFT, X).frequency)[0, 8:-8].max() < 0.01
    found = adaptstft.reassign(SFT, X * 1e-315)
    expected = adaptstft.reassign(SFT, X)
    strong = 0.1 * expected.P.max() < expected.P
    np.testing.assert_allclose(found.f_hat[strong], expected.f_hat[strong], atol=0.01)
    np.testing.assert_allclose(found.t_hat[strong], expected.t_hat[strong], atol=1e-5)


@pytest.mark.parametrize("window_mode", ["constant", "time"])
@pytest.mark.parametrize(("level", "dtype"), [(1e-310, float), (1e-318, float), (1e300, float), (1e-42, np.float32)])
@pytest.mark.slow
def test_tuning(level, dtype, window_mode):
    x = adaptstft.datasets.linear_chirp(100.0, duration=0.6).x
    lengths = [
        np.median(adaptstft.optimize(y, FS, window_mode=window_mode).win_length) for y in (x, (x * level).astype(dtype))
    ]
    assert lengths[1] == pytest.approx(lengths[0], rel=1e-3)


@pytest.mark.parametrize("level", [1e-310, 1e-170, 1e200])
def test_tuning_in_a_band(level):
    x = adaptstft.datasets.linear_chirp(100.0, duration=0.6).x
    lengths = [adaptstft.optimize(y, FS, f_bounds=(60.0, 200.0)).win_length for y in (x, x * level)]
    assert lengths[1] == pytest.approx(lengths[0], rel=1e-3)


def test_inverse():
    for level in (1e-310, 1e300):
        x = X * level
        np.testing.assert_allclose(SFT.istft(SFT.stft(x), k1=1000) / level, x / level, atol=1e-10)


@pytest.mark.parametrize("level", [1.0, 2.0**-560])
def test_noise_far_above_a_signal_with_tracked_windows(level):
    with pytest.raises(ValueError, match=r"noise_std=.* must be at most 1e\+50 times the largest magnitude of x"):
        adaptstft.track(X * level, FS, noise_std=1e200)
