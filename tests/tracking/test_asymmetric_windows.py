"""Windows of the user that are not symmetric: frequencies at the times of the frames, as with all others."""

import autograd.numpy as anp
import numpy as np
import pytest

import adaptstft
from adaptstft import AdaptiveShortTimeFFT
from adaptstft.tracking.ridge_tracker import _slopes

FS, N, RATE = 1000.0, 2000, 80.0
K = np.arange(N)


def late(u):
    """A window with its centre of gravity behind its middle."""
    return anp.maximum(u + 0.5, 0) ** 3 * (0.5 - u) * anp.cos(anp.pi * u)


def early(u):
    return late(-u)


def chirp(t):
    return np.cos(2 * np.pi * (50 * t + RATE / 2 * t**2))


def transform(window, kind):
    lengths = {"frames": 128.0, "bins": np.linspace(140, 110, 129)[:, None]}[kind]
    return AdaptiveShortTimeFFT(window, lengths, 16, FS, mfft=256, max_length=140)


@pytest.mark.parametrize("kind", ["frames", "bins"])
@pytest.mark.parametrize("window", [late, early, "hann"])
class TestChirps:
    def test_ridges(self, window, kind, rng):
        sft = transform(window, kind)
        inside = slice(20, -20)
        for noise in (0.0, 0.2):
            ridge = adaptstft.ridges(sft, chirp(K / FS) + noise * rng.standard_normal(N))
            error = (ridge.frequency[0] - (50 + RATE * ridge.t))[inside]
            if noise == 0:  # the centre of gravity is 2 Hz away
                assert np.abs(error).max() < 0.01
            else:
                assert 0.7 < np.std(error / ridge.uncertainty[0][inside]) < 1.4

    def test_second_order_of_synchrosqueezing(self, window, kind):
        sft = transform(window, kind)
        squeezed = adaptstft.synchrosqueeze(sft, chirp(K / FS))
        frames = np.arange(20, sft.p_num(N) - 20)
        strongest = np.abs(sft.stft(chirp(K / FS))).argmax(axis=0)[frames]
        found = squeezed.frequency[strongest, frames]
        assert np.abs(found - (50 + RATE * sft.t(N)[frames])).max() < 0.1


@pytest.mark.parametrize("kind", ["frames", "bins"])
@pytest.mark.parametrize("window", [late, early])
def test_reassignment_of_tones_and_impulses(window, kind):
    sft = transform(window, kind)
    tone = adaptstft.reassign(sft, np.cos(2 * np.pi * 0.12 * K))
    strong = 1e-2 * tone.P.max() < tone.P
    strong[:, :20] = strong[:, -20:] = False
    assert np.abs(tone.f_hat[strong] - 120).max() < 0.1  # its negative frequency is 240 Hz away
    impulse = np.zeros(N)
    impulse[1003] = 1
    found = adaptstft.reassign(sft, impulse)
    assert np.abs(found.t_hat[1e-3 * found.P.max() < found.P] - 1.003).max() < 1e-12


@pytest.mark.parametrize("window", [late, "hann"])
def test_harmonics_with_their_orders(window, rng):
    t = K / FS
    phase = 2 * np.pi * (30 * t + 15 * t**2)
    x = np.cos(phase) + 0.7 * np.cos(2 * phase) + 0.5 * np.cos(3 * phase) + 0.1 * rng.standard_normal(N)
    ridge = adaptstft.ridges(transform(window, "frames"), x, orders=(1, 2, 3), f_bounds=(20, 110))
    error = (ridge.frequency[0] - (30 + 30 * ridge.t))[20:-20]
    assert 0.6 < np.std(error / ridge.uncertainty[0][20:-20]) < 1.6


def test_slopes_with_their_deviations(rng):
    times = np.sort(rng.uniform(0, 10, 60))
    deviation = rng.uniform(0.5, 1.5, 60)
    exact, _ = _slopes(times, 3 - 2 * times, deviation, np.full(60, 1.0))
    np.testing.assert_allclose(exact, -2)
    draws = [_slopes(times, deviation * rng.standard_normal(60), deviation, np.full(60, 1.0)) for _ in range(400)]
    np.testing.assert_allclose(np.std([slope for slope, _ in draws], axis=0), draws[0][1], rtol=0.2)
    deviation[:] = np.inf
    deviation[30] = 1
    np.testing.assert_array_equal(_slopes(times, times, deviation, np.full(60, 1.0)), np.zeros((2, 60)))
