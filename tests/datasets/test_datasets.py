"""Synthetic signals: frequency laws, known best window lengths, noise, error messages."""

from itertools import pairwise

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from adaptstft import datasets

ALL = [getattr(datasets, name) for name in datasets.__all__ if name != "Signal"]
NOISY = [
    datasets.piecewise_tones,
    datasets.decaying_tones_with_clicks,
    datasets.run_up,
    datasets.sine_modulated_chirp_and_tone,
    datasets.sinusoidal_fm,
]


def measured_frequency(x, fs, width=64):
    """Instantaneous frequency of a single component from the phase of its analytic signal, smoothed."""
    spectrum = np.fft.fft(x)
    spectrum[x.size // 2 + 1 :] = 0
    phase = np.unwrap(np.angle(np.fft.ifft(spectrum)))
    return np.convolve(np.diff(phase), np.ones(width) / width, mode="same") * fs / (2 * np.pi)


@pytest.mark.parametrize("make", ALL, ids=lambda f: f.__name__)
def test_fields_are_consistent(make):
    s = make()
    assert s.name == make.__name__
    assert s.x.ndim == 1 and s.x.shape == s.clean.shape
    assert s.frequency.shape == s.chirp_rate.shape == s.sigma_t.shape == s.win_length().shape
    assert s.frequency.shape[1] == s.x.size
    assert np.all(np.isfinite(s.x)) and np.abs(s.x).max() > 0.5
    assert_array_equal(np.isnan(s.frequency), np.isnan(s.chirp_rate))
    for indices in (s.clicks, s.joints):
        assert np.all(np.diff(indices) > 0) and np.all((indices >= 0) & (indices < s.x.size))


@pytest.mark.parametrize("make", ALL, ids=lambda f: f.__name__)
def test_same_call_gives_same_samples(make):
    assert_array_equal(make().x, make().x)


@pytest.mark.parametrize("make", ALL, ids=lambda f: f.__name__)
def test_chirp_rate_is_the_derivative_of_frequency_between_joints(make):
    s = make()
    gradient = np.gradient(s.frequency, 1 / s.fs, axis=1)
    inside = np.ones(s.x.size, dtype=bool)
    for joint in [*s.joints, 0, s.x.size]:
        inside[max(0, joint - 2) : joint + 2] = False
    known = inside & ~np.isnan(gradient)
    # Second differences of the laws are at most 100 (2 pi)**2 * 8 Hz/s**2, over steps of 0.1 ms.
    assert_allclose(gradient[known], s.chirp_rate[known], atol=1e-3, rtol=1e-6)


@pytest.mark.parametrize("rate", [20.0, 60.0, -100.0])
def test_linear_chirp_follows_its_law(rate):
    s = datasets.linear_chirp(rate)
    middle = slice(500, 3500)
    # The analytic signal of a finite chirp ripples by a few tenths of a Hz after 64 samples of smoothing.
    assert_allclose(measured_frequency(s.x, s.fs)[middle], s.frequency[0, middle], atol=0.5)
    assert_allclose(s.sigma_t, 1 / np.sqrt(2 * np.pi * abs(rate)))


def test_linear_chirp_phase_is_exact():
    s = datasets.linear_chirp(60.0, f0=50.0)
    t = np.arange(4000) / 1000
    assert_allclose(s.x, np.sin(2 * np.pi * (50.0 * t + 30.0 * t**2)), atol=1e-9)


def test_chirps_in_sequence_has_the_published_lengths():
    s = datasets.chirps_in_sequence()
    assert_array_equal(s.joints, [2000])
    assert_allclose(s.win_length()[0, :2000], 618.0, atol=0.5)
    assert_allclose(s.win_length()[0, 2000:], 195.4, atol=0.5)
    assert_allclose(np.abs(np.diff(s.frequency[0])), 0.015 + 0.135 * (np.arange(3999) >= 2000), atol=1e-9)
    assert_allclose(measured_frequency(s.x, s.fs)[300:3700], s.frequency[0, 300:3700], atol=3.0)


def test_chirps_in_parallel_has_the_published_lengths():
    s = datasets.chirps_in_parallel()
    assert s.x.size == 3000
    assert_allclose(s.win_length()[:, 0], [846.3, 267.6], atol=0.1)
    t = np.arange(3000) / 1000
    expected = np.sin(2 * np.pi * (40 * t + 4 * t**2)) + np.sin(2 * np.pi * (180 * t + 40 * t**2))
    assert_allclose(s.x, expected, atol=1e-9)


def test_win_length_scales_with_the_ratio():
    s = datasets.linear_chirp()
    assert_allclose(s.win_length(8.0), 8 / 6 * s.win_length())


def test_tone_and_click_have_no_finite_optimum():
    assert np.all(np.isinf(datasets.tone().win_length()))
    impulse = datasets.click(7, duration=0.02)
    assert_array_equal(np.flatnonzero(impulse.x), impulse.clicks)
    assert impulse.frequency.shape == (0, 20)


def test_piecewise_tones_have_the_published_frequencies():
    s = datasets.piecewise_tones()
    edges = [0, *s.joints, s.x.size]
    assert np.diff(edges).tolist() == [1484, 1153, 635, 361, 1796, 1207]
    for (a, b), f in zip(pairwise(edges), [50, 228, 65, 171, 30, 144], strict=True):
        spectrum = np.abs(np.fft.rfft(s.x[a:b], 10_000))
        # The grid has 0.1 Hz, and a piece of 0.36 s or more a resolution of 1 / 0.36 s, here in noise.
        assert abs(np.argmax(spectrum) / 10 - f) < 0.5


def test_piecewise_tones_start_at_the_published_kurtosis():
    """The literature has about 10.2 with a Hann window of 577 samples and hop 500, for other noise."""
    x = np.pad(datasets.piecewise_tones().x, 750)
    taps = np.arange(-288, 289)
    window = 0.5 + 0.5 * np.cos(2 * np.pi * taps / 577)
    frames = np.stack([x[750 + p + taps] * window for p in range(0, 6636, 500)])
    power = np.abs(np.fft.rfft(frames, 1500)) ** 2
    kurtosis = np.mean(power**2, axis=1) / np.mean(power, axis=1) ** 2
    assert 1000 / np.mean(kurtosis) == pytest.approx(10.2, abs=0.3)


def test_decaying_tones_are_silent_before_their_click_and_fall_after_it():
    s = datasets.decaying_tones_with_clicks()
    assert_array_equal(s.clicks, [138, 768, 1259, 1647])
    assert s.x.size == 3000 and np.all(s.x[:138] == 0)
    assert np.isnan(s.frequency).sum(axis=1).tolist() == s.clicks.tolist()
    largest = np.abs(s.x[2000:2400]).max(), np.abs(s.x[2400:2800]).max()
    assert largest[1] / largest[0] == pytest.approx(np.exp(-1), rel=0.05)
    assert np.all(s.x[s.clicks] > 4)


def test_close_tones_and_clicks_has_separate_parts():
    s = datasets.close_tones_and_clicks()
    first, last = np.abs(np.fft.rfft(s.x[:1600])), np.abs(np.fft.rfft(s.x[2400:]))
    assert sorted(np.argsort(first)[-2:]) == [160, 168]  # 100 and 105 Hz, 0.625 Hz a bin
    assert np.argmax(last) == 352  # 220 Hz
    between = s.x[1600:2400]
    # There are no tones in this part, only clicks.
    assert_array_equal(np.flatnonzero(between) + 1600, s.clicks)


def test_sine_modulated_chirp_matches_the_phase_sum():
    s = datasets.sine_modulated_chirp_and_tone(noise_std=0.0)
    t = np.arange(25_000) / 10_000
    law = (100 * np.sin(2 * np.pi * t) + 100 + 50 * t) / 200
    phase = np.cumsum(law) - law[0] / 2 - law / 2  # trapezoidal rule, 0 at sample 0
    assert_allclose(s.x, np.sin(phase) + np.sin(2.5 * np.arange(25_000)), atol=1e-7)


def test_run_up_and_sinusoidal_fm_follow_their_laws():
    s = datasets.run_up(40.0, 20.0, amplitudes=(1.0, 0.5), duration=2.0)
    assert_allclose(s.frequency[:, :600], [[40.0] * 600, [80.0] * 600], rtol=1e-12)
    assert_allclose(s.frequency[:, -600:], [[20.0] * 600, [40.0] * 600], rtol=1e-12)
    assert s.frequency[0, 1000] == pytest.approx(30.0)
    # 0.6 s from 0 hold 24 and 48 whole periods
    first = np.fft.rfft(s.x[:600]) / 300
    assert_allclose(np.abs(first[[24, 48]]), [1.0, 0.5], atol=1e-12)
    s = datasets.sinusoidal_fm(100.0, 30.0, 0.5)
    t = np.arange(6000) / 1000
    exact = np.sin(2 * np.pi * (100 * t + 30 * 0.5 / (2 * np.pi) * (1 - np.cos(4 * np.pi * t))))
    # trapezoidal sums of a sine have the relative error (2 pi / 500)**2 / 12 of a phase of up to 30 radians
    assert_allclose(s.x, exact, atol=30 * (2 * np.pi / 500) ** 2 / 12 * 1.5)


@pytest.mark.parametrize("make", NOISY, ids=lambda f: f.__name__)
def test_noise_has_its_standard_deviation_and_follows_the_seed(make):
    s = make(noise_std=0.3, rng=1)
    # 3000 samples or more: 3 sigma of the estimate is 4 %.
    assert np.std(s.x - s.clean) == pytest.approx(0.3, rel=0.04)
    assert_array_equal(s.x, make(noise_std=0.3, rng=np.random.default_rng(1)).x)
    assert np.any(s.x != make(noise_std=0.3, rng=2).x)
    assert np.any(make(noise_std=0.3, rng=None).x != make(noise_std=0.3, rng=None).x)
    assert_array_equal(make(noise_std=0.0).x, s.clean)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: datasets.linear_chirp(np.nan), r"rate=nan must be finite"),
        (lambda: datasets.linear_chirp(duration=0), r"duration=0 must be greater than 0"),
        (lambda: datasets.linear_chirp(fs=-1.0), r"fs=-1.0 must be greater than 0"),
        (lambda: datasets.linear_chirp(duration=1e-4), r"duration=0.0001 must be at least one sample"),
        (
            lambda: datasets.linear_chirp(1000.0),
            r"from -1750 to 2249 Hz, it must lie within 0 and fs/2 = 500 Hz",
        ),
        (lambda: datasets.chirps_in_sequence([]), r"rates=\[\] must hold at least one chirp rate"),
        (lambda: datasets.chirps_in_sequence([150.0, 150.0]), r"must lie within 0 and fs/2"),
        (lambda: datasets.chirps_in_parallel([1.0], [1.0, 2.0]), r"rates=\[1.0\] and f0=\[1.0, 2.0\]"),
        (lambda: datasets.tone(501.0), r"must lie within 0 and fs/2"),
        (lambda: datasets.click(-1), r"position=-1 must be at least 0"),
        (lambda: datasets.click(4000), r"position=4000 must lie between 0 and 3999"),
        (lambda: datasets.piecewise_tones(noise_std=-0.1), r"noise_std=-0.1 must be 0 or greater"),
        (lambda: datasets.decaying_tones_with_clicks([1.0]), r"must hold 4 values, one per click"),
        (lambda: datasets.decaying_tones_with_clicks(decay=0), r"decay=0 must be greater than 0"),
        (
            lambda: datasets.close_tones_and_clicks(click_height=0.0),
            r"click_height=0.0 must be greater than 0",
        ),
        (lambda: datasets.run_up(amplitudes=()), r"amplitudes=\(\) must hold at least one amplitude"),
        (lambda: datasets.run_up(amplitudes=(0.0,)), r"amplitudes=0.0 must be greater than 0"),
        (lambda: datasets.run_up(amplitudes=(1, 1, 1)), r"from 30 to 540 Hz, it must lie within 0 and fs/2"),
        (lambda: datasets.run_up(f1=np.inf), r"f1=inf must be finite"),
        (lambda: datasets.sinusoidal_fm(deviation=160.0), r"from -10 to 310 Hz, it must lie within 0 and fs/2"),
        (lambda: datasets.sinusoidal_fm(period=0), r"period=0 must be greater than 0"),
        (lambda: datasets.tone().win_length(0), r"ratio=0 must be greater than 0"),
    ],
)
def test_bad_values_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_wrong_type_is_named():
    with pytest.raises(TypeError, match=r"rate='fast' must be a real number"):
        datasets.linear_chirp("fast")
    with pytest.raises(TypeError, match=r"position=2.5 must be an integer"):
        datasets.click(2.5)
