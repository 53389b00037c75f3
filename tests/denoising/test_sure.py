"""Stein's estimate against difference quotients and the true error; its gradients; gains; the noise level."""

import numpy as np
import pytest

from adaptstft import windows
from adaptstft.denoising.block_sure import BlockShrinker
from adaptstft.denoising.local_risk import local_sums
from adaptstft.denoising.noise import noise_levels
from adaptstft.denoising.shrinkage import GAINS, threshold_ratio
from adaptstft.denoising.sure import BinShrinker
from adaptstft.engine.frames import make_frames
from adaptstft.engine.plan import FramePlan
from adaptstft.kernels import resolve

N = 61
MODES = ["smooth", "wiener", "soft", "block"]
KINDS = pytest.mark.parametrize("kind", ["real", "complex"])


def transform(mfft, kind, workers=1):
    fft_mode = "onesided" if kind == "real" else "twosided"
    return FramePlan(mfft, fft_mode, None, resolve("auto")[1], workers, windows.resolve("hann"), 1.0)


def signal(rng, kind, channels=1, n=N):
    """Tones, one of them next to frequency 0, and a constant, with noise of variance 1."""
    k = np.arange(n)
    clean = 3 * np.cos(0.3 * k) + 2 * np.cos(0.04 * k) + 2
    noise = rng.standard_normal((channels, n))
    if kind == "complex":
        noise = (noise + 1j * rng.standard_normal((channels, n))) / np.sqrt(2)
        clean = clean * np.exp(0.5j * k)
    return clean + noise, clean


def shrinker(y, mode, kind, mfft=32, win_length=None, positions=None):
    """BinShrinker with frames beyond both ends of the signal; lengths and positions are real, except for blocks."""
    if positions is None:
        positions = np.arange(-2, 12) * (7.0 if mode == "block" else 5.3)
    if win_length is None:
        win_length = np.full(positions.size, 29.5) if mode == "block" else 24 + 5 * np.sin(np.arange(positions.size))
    cls = BlockShrinker if mode == "block" else BinShrinker
    return cls(transform(mfft, kind), y, make_frames(win_length, positions, mfft=mfft), GAINS[mode])


def derivative(fun, step=1e-6):
    """Central difference with so short a step that hardly any bin passes a kink of the second derivative."""
    return (fun(step) - fun(-step)) / (2 * step)


# Rounding of values up to 1e3 over steps of 1e-6 leaves 1e-7.
CLOSE = {"rtol": 1e-6, "atol": 1e-6}


@pytest.mark.slow
@KINDS
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("mfft", [32, 34], ids=["half-even", "half-odd"])
def test_divergence_is_the_derivative_of_every_sample_in_itself(rng, mode, kind, mfft):
    y, _ = signal(rng, kind)
    threshold = np.array([1.7])

    def estimate(change):
        return shrinker(y + change, mode, kind, mfft).shrink(threshold).x[0]

    quotients = np.empty(N)
    for i in range(N):
        one = np.zeros((1, N))
        one[0, i] = 1
        quotients[i] = derivative(lambda h, one=one, i=i: estimate(h * one)[i].real)
        if kind == "complex":  # Wirtinger's derivative is the mean of those in both parts
            imaginary = derivative(lambda h, one=one, i=i: estimate(1j * h * one)[i].imag)
            quotients[i] = (quotients[i] + imaginary) / 2
    divergence = shrinker(y, mode, kind, mfft).shrink(threshold).divergence[0]
    assert np.allclose(quotients.sum(), divergence.sum(), **CLOSE)
    if mode != "block":  # blocks distribute the divergence of a frame evenly over its samples
        assert np.allclose(quotients, divergence, **CLOSE)


@KINDS
@pytest.mark.parametrize("mode", MODES)
def test_gradient_in_the_threshold_of_each_channel(rng, mode, kind):
    y, _ = signal(rng, kind, channels=2)
    threshold = np.array([1.7, 2.4])
    instance = shrinker(y, mode, kind)
    gradient = instance.shrink(threshold, gradient=True).log_threshold_gradient
    for c in range(2):
        step = np.eye(2)[c]
        quotient = derivative(lambda h, step=step: instance.shrink(threshold * np.exp(h * step)).total.sum())
        assert np.allclose(gradient[c], quotient, **CLOSE)


@KINDS
@pytest.mark.parametrize("mode", MODES[:3])
@pytest.mark.parametrize("mfft", [32, 34], ids=["half-even", "half-odd"])
def test_gradients_in_lengths_positions_and_hop(rng, mode, kind, mfft):
    y, _ = signal(rng, kind, channels=2)
    threshold = np.array([1.7, 2.4])
    index = np.arange(-2, 12)
    win_length, positions = 24 + 5 * np.sin(index), index * 5.3

    def risk(win_length=win_length, positions=positions):
        return shrinker(y, mode, kind, mfft, win_length, positions).shrink(threshold).total.sum()

    instance = shrinker(y, mode, kind, mfft, win_length, positions)
    at = instance.shrink(threshold, gradient=True)
    gradients = instance.gradients(threshold, at)
    assert np.allclose(gradients.log_threshold, at.log_threshold_gradient, rtol=1e-9)  # forward and reverse mode
    for _ in range(3):
        u = rng.standard_normal(index.size)
        assert np.allclose(
            gradients.win_length @ u, derivative(lambda h, u=u: risk(win_length=win_length + h * u)), **CLOSE
        )
        assert np.allclose(
            gradients.positions @ u, derivative(lambda h, u=u: risk(positions=positions + h * u)), **CLOSE
        )
    assert np.allclose(gradients.positions @ index, derivative(lambda h: risk(positions=index * (5.3 + h))), **CLOSE)


def test_gradients_of_frames_with_one_length_and_of_frames_beyond_the_signal(rng):
    y, _ = signal(rng, "real")
    index, threshold = np.arange(-8, 20), np.array([2.0])

    def at(length, hop):
        return shrinker(y, "smooth", "real", 36, np.full(index.size, length), index * hop)

    instance = at(30.0, 6.0)
    gradients = instance.gradients(threshold, instance.shrink(threshold))
    length = derivative(lambda h: at(30.0 + h, 6.0).shrink(threshold).total.sum())
    hop = derivative(lambda h: at(30.0, 6.0 + h).shrink(threshold).total.sum())
    assert np.allclose(gradients.win_length.sum(), length, **CLOSE)
    assert np.allclose(gradients.positions @ index, hop, **CLOSE)
    assert np.all(gradients.win_length[:2] == 0)


@KINDS
@pytest.mark.parametrize("mode", MODES)
def test_risk_is_the_mean_error_also_near_the_ends(rng, mode, kind):
    """Averages over 400 realisations of the noise agree within four standard errors, of the whole and of the ends."""
    count = 400
    y, clean = signal(rng, kind, channels=count)
    result = shrinker(y, mode, kind).shrink(np.full(count, 1.5))
    excess = result.risk - np.abs(result.x - clean) ** 2
    parts = [slice(None)] if mode == "block" else [slice(None), slice(0, 12), slice(-12, None)]
    for part in parts:
        each = excess[:, part].sum(axis=1)
        assert abs(each.mean()) < 4 * each.std() / np.sqrt(count)
        # the test would detect a deviation of a quarter of the error
        error = np.sum(np.abs(result.x - clean)[:, part] ** 2, axis=1).mean()
        assert 4 * each.std() / np.sqrt(count) < 0.25 * error


@pytest.mark.parametrize("mode", MODES)
def test_gains_fall_from_one_to_zero_and_their_derivatives_are_exact(mode):
    v = np.concatenate([np.linspace(0.01, 2.5, 400), [1 - 1e-9, 1 + 1e-9, 50.0, np.inf]])
    gain = GAINS[mode](v)
    assert np.all(np.isfinite(gain))
    assert np.all(np.diff(gain.value[:400]) <= 0)
    assert gain.value[-1] == gain.value[-2] == 0
    assert GAINS[mode](np.array([0.0])).value == 1
    inner = v[:400]
    h = 1e-5
    low, high = GAINS[mode](inner * np.exp(-h)), GAINS[mode](inner * np.exp(h))
    # a jump of the curvature within a step causes an error of the jump times the step, at most 1e-4
    assert np.allclose((high.value - low.value) / (2 * h), gain.gradient[:400], atol=1e-4)
    in_log = gain.gradient + gain.curvature
    smooth = np.abs(np.diff(gain.curvature[:400], append=0)) < 0.5
    assert np.allclose(((high.gradient - low.gradient) / (2 * h))[smooth], in_log[:400][smooth], atol=1e-3)


def test_ratio_is_infinite_where_there_is_no_energy():
    assert threshold_ratio(2.0, np.array([1.0, 0.0]), np.array([0.0, 0.0])).tolist() == [np.inf, np.inf]
    assert threshold_ratio(2.0, 3.0, np.array([4.0])) == 1.5


def test_results_do_not_depend_on_the_number_of_threads(rng):
    y, _ = signal(rng, "real", n=4000)
    positions = np.arange(-2, 600) * 7.0
    frames = make_frames(np.full(positions.size, 30.0), positions, mfft=32)
    estimates = [
        BinShrinker(transform(32, "real", workers), y, frames, GAINS["smooth"]).shrink(np.array([2.0])).x
        for workers in (1, 4)
    ]
    assert np.array_equal(*estimates)


def test_local_sums_of_equal_values_are_equal_up_to_the_ends():
    sums = local_sums(np.ones((2, 500)), 64)
    assert sums.shape == (2, 500)
    assert np.allclose(sums, 32)  # the area of a raised cosine is half its support
    assert np.allclose(local_sums(np.ones((1, 20)), 1024), 512)


@KINDS
@pytest.mark.parametrize("n", [500, 1024, 5000, 20000])
def test_noise_level_of_pure_noise_has_no_bias(rng, kind, n):
    x = rng.standard_normal((60, n))
    if kind == "complex":
        x = (x + 1j * rng.standard_normal((60, n))) / np.sqrt(2)
    decibels = 20 * np.log10(noise_levels(x))
    assert abs(decibels.mean()) < 0.05 + 4 * decibels.std() / np.sqrt(60)
    assert decibels.std() < 16 / np.sqrt(n)


def test_noise_level_below_a_signal_and_of_any_scale(rng):
    t = np.arange(20000) / 8000
    voiced = np.sum([np.cos(2 * np.pi * 150 * k * t + k) for k in range(1, 12)], axis=0) * (np.sin(8 * t) > 0)
    noise = 0.1 * rng.standard_normal(t.size)
    (level,) = noise_levels((voiced + noise)[None])
    assert abs(20 * np.log10(level / 0.1)) < 0.4  # switching on and off causes clicks, which have all frequencies
    for scale in (1e-200, 1e200):
        assert np.isclose(noise_levels(scale * (voiced + noise)[None])[0], scale * level, rtol=1e-9)


def test_noise_level_of_silence_is_zero():
    assert noise_levels(np.zeros((2, 1000))).tolist() == [0, 0]
