"""The filter for a band of frequencies, and the band as a signal of its own."""

import numpy as np
import pytest

from adaptstft.common.band_pass import EDGE_SHARE, BandPass

FS = 1000.0
T = np.arange(4000) / FS


def noise(seed, shape, kind):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    return x + 1j * rng.standard_normal(shape) if kind is complex else x


def tones(frequencies, kind):
    x = np.exp(2j * np.pi * np.asarray(frequencies)[:, None] * T + 1j)
    return x if kind is complex else x.real


@pytest.mark.parametrize("kind", [float, complex])
def test_frequencies_inside_are_kept_and_those_outside_are_not(kind):
    band = BandPass(100.0, 300.0, FS)
    inside, outside = tones([123.4, 200.0, 277.7], kind), tones([30.3, 95.1, 310.7, 450.2], kind)
    # tones are continued by linear prediction, whose error at the ends is all that passes
    assert np.abs(band.passed(inside) - inside).max() < 5e-3
    assert np.abs(band.passed(outside)).max() < 5e-3
    assert np.abs(band.passed(outside)[:, 500:-500]).max() < 1e-5


def test_complex_signals_have_two_sides():
    band = BandPass(-300.0, -100.0, FS)
    below, above = tones([-200.0], complex), tones([200.0], complex)
    assert band.passed(below + above) == pytest.approx(below, abs=2e-3)
    assert np.abs(BandPass(-500.0, 0.0, FS).passed(above)).max() < 2e-3


@pytest.mark.parametrize("seed", range(3))
def test_a_strong_line_outside_leaves_no_click_at_the_ends(seed):
    rng = np.random.default_rng(seed)
    weak = 1e-3 * rng.standard_normal((1, 4000))
    line = np.cos(2 * np.pi * rng.uniform(20, 80) * T + rng.uniform(0, 6))
    band = BandPass(150.0, 400.0, FS)
    assert np.abs(band.passed(weak + line) - band.passed(weak)).max() < 1e-3


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex64, np.complex128])
def test_the_whole_spectrum_is_the_signal(dtype):
    x = noise(0, (2, 777), complex if np.dtype(dtype).kind == "c" else float).astype(dtype)
    low = -FS / 2 if np.dtype(dtype).kind == "c" else 0.0
    found = BandPass(low, FS / 2, FS).passed(x)
    assert found.dtype == dtype
    assert found == pytest.approx(x, abs=float(100 * np.finfo(dtype).eps))


def test_the_filter_is_linear_and_has_zero_phase():
    x = noise(1, (2, 4000), float)
    band = BandPass(60.0, 333.0, FS)
    once = band.passed(x)
    assert band.passed(x[:, ::-1])[:, ::-1] == pytest.approx(once, abs=1e-9)
    assert band.passed(3 * x) == pytest.approx(3 * once)
    z = x + 1j * x[::-1]
    assert BandPass(-333.0, -60.0, FS).passed(z.conj()) == pytest.approx(band.passed(z).conj(), abs=1e-9)


@pytest.mark.parametrize("kind", [float, complex])
@pytest.mark.parametrize("bounds", [(0.0, 500.0), (100.0, 350.0), (60.0, 80.0)])
def test_the_band_of_white_noise_keeps_its_variance(bounds, kind):
    low, high = bounds
    n = 20_000
    y = BandPass(low, high, FS).baseband(noise(2, (3, n), kind))
    assert y.shape[1] == pytest.approx(n * (high - low) / FS, abs=3)
    expected = 2.0 if kind is complex else 1.0
    # the mean of 3 m squares of complex Gaussian values, m = y.shape[1]
    assert np.mean(np.abs(y) ** 2) == pytest.approx(expected, rel=5 / np.sqrt(y.size))


def test_the_band_is_shifted_to_zero_frequency():
    y = BandPass(100.0, 300.0, FS).baseband(tones([150.0], float))
    spectrum = np.abs(np.fft.fft(y[0] * np.hanning(y.shape[1])))
    assert spectrum.argmax() / y.shape[1] * 200.0 == pytest.approx(50.0, abs=0.5)


@pytest.mark.parametrize("level", [2.0**-1020, 2.0**-560, 2.0**700])
@pytest.mark.parametrize("kind", [float, complex])
def test_the_level_of_the_signal_changes_nothing(level, kind):
    """The powers from which the continuation is predicted would underflow or overflow."""
    x, band = tones([150.0, 290.0], kind) + 0.1 * noise(4, (2, 4000), kind), BandPass(100.0, 300.0, FS)
    assert band.passed(level * x) / level == pytest.approx(band.passed(x), abs=1e-9)
    assert band.baseband(level * x) / level == pytest.approx(band.baseband(x), abs=1e-9)


def test_the_edges_are_within_the_band():
    width = EDGE_SHARE * 200.0
    spectrum = np.abs(np.fft.rfft(BandPass(100.0, 300.0, FS).passed(1.0 * (np.arange(4000) == 2000)[None])[0]))
    f = np.fft.rfftfreq(4000, 1 / FS)
    assert spectrum[(f < 99) | (f > 301)].max() < 1e-3
    assert spectrum[(f > 101 + width) & (f < 299 - width)] == pytest.approx(1.0, abs=1e-3)
    assert spectrum[np.argmin(np.abs(f - 100 - width / 2))] == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("n", [1, 2, 3, 7, 40])
def test_short_and_silent_signals(n):
    band = BandPass(100.0, 300.0, FS)
    assert np.all(np.isfinite(band.passed(noise(3, (2, n), float))))
    assert np.all(band.passed(np.zeros((1, n))) == 0)
