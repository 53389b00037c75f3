"""The filter that makes the smooth part of a spectrum flat."""

import numpy as np
import pytest
from scipy import signal

from adaptstft.criteria import whitening
from adaptstft.criteria.whitening import whiten


def noise(seed, n, kind):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((2, n))
    return x + 1j * rng.standard_normal((2, n)) if kind is complex else x


def levels(x):
    """Power in eight bands, relative to the mean of all."""
    _, power = signal.welch(x, nperseg=256, return_onesided=False)
    power = np.array([band.mean() for band in np.array_split(np.fft.fftshift(power), 8)])
    return power / power.mean()


@pytest.mark.parametrize("kind", [float, complex])
@pytest.mark.parametrize("pole", [0.0, 0.9, -0.5, 1.0])
def test_the_spectrum_of_filtered_noise_becomes_flat(pole, kind):
    for seed in range(5):
        x = signal.lfilter([1.0], [1.0, -pole], noise(seed, 8000, kind))
        for channel in whiten(x):
            assert np.all(np.abs(np.log(levels(channel))) < 0.35)


def test_a_spectrum_that_differs_for_both_signs_of_the_frequency_becomes_flat():
    x = signal.lfilter([1.0], [1.0, -0.7j], noise(0, 8000, complex))
    assert np.ptp(np.log(levels(x[0]))) > 2
    assert np.all(np.abs(np.log(levels(whiten(x)[0]))) < 0.35)


@pytest.mark.parametrize("kind", [float, complex])
def test_channels_are_filtered_one_by_one_whatever_their_scale(kind):
    x = noise(1, 500, kind) * np.array([[1.0], [1e-6]])
    both = whiten(x)
    assert both == pytest.approx(np.concatenate([whiten(x[:1]), whiten(x[1:])]))
    assert both == pytest.approx(whiten(1e5 * x))


@pytest.mark.parametrize("kind", [float, complex])
def test_tiny_and_huge_signals_are_filtered_like_others(kind):
    x = signal.lfilter([1.0], [1.0, -0.9], noise(2, 500, kind))
    for level in (2.0**-1000, 2.0**900):
        np.testing.assert_allclose(whiten(level * x), whiten(x), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("n", [1001, 1009])  # the second one is continued by its mirror image
def test_the_filter_has_zero_phase(n):
    x = noise(2, n, float)
    assert whiten(x[:, ::-1]) == pytest.approx(whiten(x)[:, ::-1], abs=1e-9)


@pytest.mark.parametrize("n", [1009, 6501, 8191])
def test_a_signal_whose_length_is_no_fast_one_is_filtered_like_others(n, monkeypatch):
    x = np.cumsum(noise(5, n, float), axis=1)
    longer = whiten(x)
    assert whitening._mirrored_samples(n) > 0
    monkeypatch.setattr(whitening, "_MOST_MIRRORED", 0.0)
    assert longer.shape == x.shape
    assert np.std(longer - whiten(x), axis=1) == pytest.approx(0.0, abs=0.15 * np.std(longer))


def test_lines_and_clicks_remain():
    n = 4096
    x = noise(3, n, float)
    x[0] += np.cos(2 * np.pi * np.arange(n) * 500.5 / n)
    x[1, 1000] += 50.0
    y = whiten(np.cumsum(x, axis=1))
    power = np.abs(np.fft.rfft(y[0])) ** 2
    assert power.argmax() in (500, 501) and power.max() > 100 * np.median(power)
    largest = int(np.abs(y[1]).argmax())  # a running sum is half a sample late
    assert largest in (999, 1000) and np.abs(y[1, largest]) > 15 * np.median(np.abs(y[1]))


@pytest.mark.parametrize("kind", [float, complex])
@pytest.mark.parametrize("n", [1, 2, 3, 9, 17, 40])
def test_short_and_silent_signals(n, kind):
    assert np.all(np.isfinite(whiten(noise(4, n, kind))))
    assert np.all(whiten(np.zeros((1, n), kind)) == 0)


@pytest.mark.parametrize("kind", [float, complex])
def test_long_signals_in_stretches_are_filtered_as_a_whole(kind, monkeypatch):
    x = signal.lfilter([1.0], [1.0, -0.9], noise(0, 10_001, kind))
    whole = whiten(x) / np.std(whiten(x))
    monkeypatch.setattr(whitening, "_LONGEST", 1500)  # seven stretches, of which the last two overlap
    found = whiten(x) / np.std(whiten(x))
    assert found.shape == x.shape and np.all(np.isfinite(found))
    error = np.abs(found - whole)
    # nearly the same filter; at the seams the mirror image of a stretch takes the place of its neighbour
    seams = np.arange(1, 7) * 1429
    beside = np.zeros(x.shape[1], bool)
    beside[(seams[:, np.newaxis] + np.arange(-20, 20)).ravel()] = True
    assert np.mean(error[:, ~beside]) < 0.05 and np.mean(error) < 0.1
