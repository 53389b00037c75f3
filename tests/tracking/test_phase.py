"""The algorithm of Griffin and Lim: its error never increases, for all windows and modes."""

import numpy as np
import pytest

from adaptstft import AdaptiveShortTimeFFT, griffin_lim

N = 300


def transforms():
    rng = np.random.default_rng(0)
    positions = np.linspace(0, N, 40) + rng.uniform(-2, 2, 40)
    yield "constant", AdaptiveShortTimeFFT("hann", 40.5, 7.3, 1.0)
    yield "positions", AdaptiveShortTimeFFT("hann", rng.uniform(30, 60, 40), None, 1.0, positions=np.sort(positions))
    for mode in ("onesided2X", "twosided", "centered"):
        for scaling in ("psd", "magnitude"):
            settings = {"fft_mode": mode, "scale_to": scaling}
            yield f"{mode} {scaling}", AdaptiveShortTimeFFT(("kaiser", 9.0), 33, 6, 1.0, mfft=45, **settings)


@pytest.mark.parametrize("sft", [pytest.param(sft, id=name) for name, sft in transforms()])
def test_error_never_increases(sft, rng):
    x = np.cos(0.004 * np.arange(N) ** 2) + 0.2 * rng.standard_normal((2, N))
    A = np.abs(sft.stft(x))
    A *= rng.uniform(0.7, 1.3, A.shape)  # no signal has these magnitudes
    y, errors = griffin_lim(A, sft, N, n_iter=40, rng=0, full_output=True)
    assert y.shape == x.shape
    assert np.all(np.diff(errors) <= 1e-12)
    assert errors[-1] < 0.9 * errors[0]


def test_right_phases_are_a_fixed_point(rng):
    sft = AdaptiveShortTimeFFT("hann", 40.5, 7.3, 1.0)
    x = rng.standard_normal(N)
    S = sft.stft(x)
    y, errors = griffin_lim(np.abs(S), sft, N, n_iter=3, phase=np.angle(S), full_output=True)
    np.testing.assert_allclose(y, x, atol=1e-10)
    assert errors.max() < 1e-12


def test_equal_seeds_give_equal_results_in_the_precision_of_the_input(rng):
    sft = AdaptiveShortTimeFFT("hann", 40.5, 7.3, 1.0)
    A = np.abs(sft.stft(rng.standard_normal(N).astype(np.float32)))
    first, second = (griffin_lim(A, sft, N, n_iter=2, rng=5) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.dtype == np.float32


@pytest.mark.parametrize(
    ("dtype", "exponents"), [(np.float64, (-1000, -1020, -600, 600, 1000)), (np.float32, (-100, -110, 70, 110))]
)
def test_magnitudes_of_any_size(rng, dtype, exponents):
    """Whose squares are no numbers: a power of two changes the result by this power only."""
    sft = AdaptiveShortTimeFFT("hann", 40.5, 7.3, 1.0)
    A = np.abs(sft.stft(rng.standard_normal(N).astype(dtype)))
    x, errors = griffin_lim(A, sft, N, n_iter=3, rng=5, full_output=True)
    for exponent in exponents:
        y, same = griffin_lim(np.ldexp(A, exponent), sft, N, n_iter=3, rng=5, full_output=True)
        np.testing.assert_allclose(np.ldexp(y, -exponent), x, rtol=0, atol=64 * np.finfo(dtype).eps)
        np.testing.assert_allclose(same, errors, rtol=1e-6)


def test_bad_input():
    sft = AdaptiveShortTimeFFT("hann", 40.5, 7.3, 1.0)
    A = np.ones((sft.f_pts, sft.p_num(N)))
    with pytest.raises(ValueError, match="must be real and not negative"):
        griffin_lim(-A, sft, N)
    with pytest.raises(ValueError, match="but the transform of n=299 samples ends with"):
        griffin_lim(A[:, 1:], sft, 299)
    with pytest.raises(ValueError, match="not invertible"):
        gaps = AdaptiveShortTimeFFT("hann", 10, 12, 1.0)
        griffin_lim(np.ones((gaps.f_pts, gaps.p_num(N))), gaps, N)
    for phase, message in (
        (np.full(A.shape, np.nan), r"phase has \d+ NaN or infinite values"),
        (np.exp(1j * A), r"phase must be real, in radians"),
        (np.zeros(3), r"phase has shape \(3,\), but the magnitudes have"),
        (np.zeros((2, *A.shape)), r"phase has shape \(2, \d+, \d+\), but the magnitudes have"),
    ):
        with pytest.raises(ValueError, match=message):
            griffin_lim(A, sft, N, phase=phase)
