"""`SureLoss`: an unbiased and differentiable estimate, with its minimum near that of the error of the signal."""

import autograd
import numpy as np
import pytest
from autograd.test_util import check_grads

import adaptstft
from adaptstft import AdaptiveShortTimeFFT
from adaptstft.common.grids import length_grid
from adaptstft.denoising.shrinkage import GAINS, threshold_ratio
from adaptstft.risk import SureLoss, _differentiable_risk, _risk

FS = 1000.0
N = 6000
MODES = ["soft", "wiener", "smooth"]
T = np.arange(N) / FS
SIGNALS = {
    "tone": np.cos(2 * np.pi * 123 * T),
    "chirp": np.cos(2 * np.pi * (100 * T + 30 * T**2)),
    "fast": np.cos(2 * np.pi * (60 * T + 90 * np.sin(2 * np.pi * T / 3))),
}


def with_noise(clean, db, rng):
    std = np.sqrt(np.mean(clean**2)) * 10 ** (-db / 20)
    return clean + std * rng.standard_normal(clean.size), std


@pytest.mark.parametrize("mode", MODES)
def test_the_estimate_is_unbiased(rng, mode):
    """Many draws of noise of variance 0.7 in a coefficient, for coefficients below, near and above the threshold."""
    draws, variance = 200_000, 0.7
    noise = np.sqrt(variance / 2) * (rng.standard_normal(draws) + 1j * rng.standard_normal(draws))
    for clean in (0.0, 0.5, 1.0, 2.0, 5.0):
        energy = np.abs(clean + noise) ** 2
        shrunk = GAINS[mode](threshold_ratio(2.0, variance, energy)).value * (clean + noise)
        error, estimate = np.abs(shrunk - clean) ** 2 / variance, _risk(energy, variance, 2.0, mode)
        spread = np.std(error - estimate) / np.sqrt(draws)
        assert abs(error.mean() - estimate.mean()) < 4 * spread


@pytest.mark.parametrize("mode", MODES)
def test_gradient_of_the_loss(rng, mode):
    energy = rng.gamma(1.0, 2.0, (3, 40))
    check_grads(lambda e: _differentiable_risk(e, 0.7, 2.0, mode), modes=["rev"], order=1)(energy)
    gradient = autograd.grad(lambda e: _differentiable_risk(e, 0.7, 2.0, mode).sum())(np.array([0.0, 1e-300, 1e300]))
    assert gradient.tolist()[:2] == [1 / 0.7, 1 / 0.7] and abs(gradient[2]) < 1e-100


@pytest.mark.parametrize("mode", MODES)
def test_gradient_in_the_window_length(rng, mode):
    x = np.stack([with_noise(SIGNALS["chirp"], db, rng)[0] for db in (0, 10)])
    loss = SureLoss(x, FS, longest=500, mode=mode)

    def at(length):
        return AdaptiveShortTimeFFT("hann", length, 25.0, FS, mfft=512, scale_to="psd").value_and_grad(x, loss)

    for length in (100.3, 256.0, 400.7):
        step = 1e-5
        expected = (at(length + step)[0] - at(length - step)[0]) / (2 * step)
        # the second derivative jumps at the threshold, which some bins pass within the step
        assert at(length)[1].win_length == pytest.approx(expected, rel=1e-5, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "db"),
    [
        pytest.param(name, db, marks=() if (name, db) == ("chirp", 5) else pytest.mark.full)
        for name in SIGNALS
        for db in (0, 5, 10)
    ],
)
def test_the_tuned_length_has_nearly_the_least_error(rng, name, db):
    """Error of the denoised signal with respect to the clean signal; the noise level is estimated."""
    clean = SIGNALS[name]
    x, std = with_noise(clean, db, rng)
    loss = SureLoss(x, FS, longest=2048)
    assert loss.noise_std == pytest.approx(std, rel=0.2)
    options = {"win_bounds": (32, 2048), "hop": 16.0, "mfft": 2048}
    tuned = adaptstft.optimize(x, FS, criterion=loss, **options).win_length

    def error(length):
        return np.mean((adaptstft.denoise(x, FS, std, win_length=float(length)) - clean) ** 2)

    best = min(error(length) for length in length_grid(32.0, 2048.0))
    assert error(tuned) < 1.2 * best


def test_noise_alone_is_nearly_removed(rng):
    x = rng.standard_normal(N)
    res = adaptstft.optimize(
        x, FS, criterion=SureLoss(x, FS, longest=500), win_bounds=(50, 500), hop=25.0, mfft=512, starts=1
    )
    assert abs(res.fun) < 0.35  # a soft threshold of sqrt(2) deviations passes a fifth of the noise


def test_lengths_in_time_follow_the_signal(rng):
    """A slow chirp, then a fast one."""
    rate = np.where(T < 3, 5.0, 200.0)
    x, _ = with_noise(np.cos(2 * np.pi * np.cumsum(50 + np.cumsum(rate) / FS) / FS), 10, rng)
    loss = SureLoss(x, FS, longest=1000)
    options = {"win_bounds": (50, 1000), "hop": 25.0, "mfft": 1024, "options": {"maxiter": 40}}
    res = adaptstft.optimize(x, FS, criterion=loss, window_mode="time", **options)
    slow = res.win_length[(res.positions > 1000) & (res.positions < 2500)]
    fast = res.win_length[(res.positions > 3500) & (res.positions < 5000)]
    assert np.median(slow) > 1.5 * np.median(fast)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"longest": 3001}, ValueError, r"longest=3001 must be at most half the 6000 samples of the signal"),
        ({"longest": 0}, ValueError, r"longest=0 must be greater than 0 samples"),
        ({"fs": 0}, ValueError, r"fs=0 must be greater than 0 Hz"),
        ({"mode": "block"}, ValueError, r"mode='block' must be one of 'soft', 'wiener', 'smooth'"),
        ({"threshold": -1}, ValueError, r"threshold=-1 must be greater than 0"),
        ({"noise_std": True}, ValueError, r"noise_std=True must be one number"),
        ({"x": np.zeros(N)}, ValueError, r"x has a silent channel"),
        ({"x": ["a"]}, TypeError, r"x must be numeric"),
        ({"axis": 1}, ValueError, r"axis=1 must lie in \[-1, 0\]"),
    ],
)
def test_bad_arguments(rng, arguments, error, message):
    with pytest.raises(error, match=message):
        SureLoss(**({"x": rng.standard_normal(N), "fs": FS, "longest": 500} | arguments))
    loss = SureLoss(rng.standard_normal((2, N)), FS, longest=500, noise_std=[1.0, 2.0])
    with pytest.raises(ValueError, match=r"power has shape \(9, 99\), but the signal's channels have \(2,\)"):
        loss(np.ones((9, 99)))
