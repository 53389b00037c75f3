"""The algorithm of Griffin and Lim, plain and accelerated, for all windows and modes."""

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
    y, errors = griffin_lim(sft, A, N, n_iter=40, momentum=0, init="random", rng=0, full_output=True)
    assert y.shape == x.shape
    assert np.all(np.diff(errors) <= 1e-12)
    assert errors[-1] < 0.9 * errors[0]


@pytest.mark.parametrize("made_up", [False, True])
@pytest.mark.parametrize("sft", [pytest.param(sft, id=name) for name, sft in transforms()])
def test_momentum_and_first_phases_bring_the_magnitudes_closer(sft, made_up, rng):
    x = np.cos(0.004 * np.arange(N) ** 2) + 0.2 * rng.standard_normal((2, N))
    A = np.abs(sft.stft(x))
    if made_up:
        A *= rng.uniform(0.7, 1.3, A.shape)  # no signal has these magnitudes
    plain, fast, default = (
        griffin_lim(sft, A, N, n_iter=100, rng=0, full_output=True, **settings)[1]
        for settings in ({"momentum": 0, "init": "random"}, {"init": "random"}, {})
    )
    assert default[0] < 0.5 * plain[0]
    for n in (33, 101):
        assert fast[:n].min() < (1.0 if made_up else 0.8) * plain[:n].min()
        assert default[:n].min() < 1.02 * fast[:n].min()


@pytest.mark.parametrize("momentum", [0, 0.99, 1])
@pytest.mark.parametrize("sft", [pytest.param(sft, id=name) for name, sft in transforms()][:3])
def test_the_result_is_the_best_signal(sft, momentum, rng):
    A = rng.uniform(size=(sft.f_pts, sft.p_num(N)))
    y, errors = griffin_lim(sft, A, N, n_iter=30, momentum=momentum, rng=0, full_output=True)
    assert errors.shape == (31,)
    weights = np.full((sft.f_pts, 1), 1.0)
    if sft.onesided_fft:
        weights[1 : -1 if sft.mfft % 2 == 0 else None] = 2 if sft.fft_mode == "onesided" else 0.5
    if sft.scaling == "psd":
        weights[:] = 1
    distance = np.sqrt(np.sum(weights * (np.abs(sft.stft(y)) - A) ** 2) / np.sum(weights * A**2))
    assert distance == pytest.approx(errors.min(), rel=1e-12)


def test_an_iteration_adds_a_part_of_the_last_change(rng):
    sft = AdaptiveShortTimeFFT("hann", 40.5, 7.3, 1.0)
    A = np.abs(sft.stft(rng.standard_normal(N)))
    before = A * np.exp(1j * rng.uniform(-np.pi, np.pi, A.shape))

    def project(S):
        return sft.stft(sft.istft(A * np.exp(1j * np.angle(S)), k1=N))

    # three iterations in the notation of the paper, t = c + alpha * (c - c_before)
    first = project(before)
    second = project(first)
    third = project(second + 0.7 * (second - first))
    y = griffin_lim(sft, A, N, n_iter=2, momentum=0.7, phase=np.angle(before))
    np.testing.assert_allclose(sft.stft(y), third, atol=1e-9)


def test_without_iterations(rng):
    sft = AdaptiveShortTimeFFT("hann", 40.5, 7.3, 1.0)
    S = sft.stft(rng.standard_normal(N))
    y, errors = griffin_lim(sft, np.abs(S), N, n_iter=0, phase=0, full_output=True)
    np.testing.assert_allclose(y, sft.istft(np.abs(S) + 0j, k1=N), atol=1e-12)
    assert errors.shape == (1,)


@pytest.mark.parametrize("consistent", [True, False])
def test_momentum_with_windows_for_each_bin(consistent, rng):
    sft = AdaptiveShortTimeFFT("hann", np.linspace(40, 20, 33)[:, None], 5, 1.0, mfft=64)
    A = np.abs(sft.stft(rng.standard_normal(120)))
    if not consistent:
        A *= rng.uniform(0.7, 1.3, A.shape)
    slow, fast = (griffin_lim(sft, A, 120, n_iter=14, momentum=m, rng=0, full_output=True)[1] for m in (0, 0.99))
    assert fast[0] == slow[0]
    assert fast.min() < (0.9 if consistent else 1.0) * slow.min()


def test_right_phases_are_a_fixed_point(rng):
    sft = AdaptiveShortTimeFFT("hann", 40.5, 7.3, 1.0)
    x = rng.standard_normal(N)
    S = sft.stft(x)
    y, errors = griffin_lim(sft, np.abs(S), N, n_iter=3, phase=np.angle(S), full_output=True)
    np.testing.assert_allclose(y, x, atol=1e-10)
    assert errors.max() < 1e-12


def test_equal_seeds_give_equal_results_in_the_precision_of_the_input(rng):
    sft = AdaptiveShortTimeFFT("hann", 40.5, 7.3, 1.0)
    A = np.abs(sft.stft(rng.standard_normal(N).astype(np.float32)))
    first, second = (griffin_lim(sft, A, N, n_iter=2, rng=5) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert first.dtype == np.float32


@pytest.mark.parametrize(
    ("dtype", "exponents"), [(np.float64, (-1000, -1020, -600, 600, 1000)), (np.float32, (-100, -110, 70, 110))]
)
def test_magnitudes_of_any_size(rng, dtype, exponents):
    """Whose squares are no numbers: a power of two changes the result by this power only."""
    sft = AdaptiveShortTimeFFT("hann", 40.5, 7.3, 1.0)
    A = np.abs(sft.stft(rng.standard_normal(N).astype(dtype)))
    x, errors = griffin_lim(sft, A, N, n_iter=3, rng=5, full_output=True)
    for exponent in exponents:
        y, same = griffin_lim(sft, np.ldexp(A, exponent), N, n_iter=3, rng=5, full_output=True)
        np.testing.assert_allclose(np.ldexp(y, -exponent), x, rtol=0, atol=64 * np.finfo(dtype).eps)
        np.testing.assert_allclose(same, errors, rtol=1e-6)


def test_bad_input():
    sft = AdaptiveShortTimeFFT("hann", 40.5, 7.3, 1.0)
    A = np.ones((sft.f_pts, sft.p_num(N)))
    with pytest.raises(ValueError, match="must be real and not negative"):
        griffin_lim(sft, -A, N)
    with pytest.raises(ValueError, match="but the transform of n=299 samples ends with"):
        griffin_lim(sft, A[:, 1:], 299)
    with pytest.raises(ValueError, match=r"n_iter=-1 must be at least 0"):
        griffin_lim(sft, A, N, n_iter=-1)
    for momentum in (-0.1, 1.5):
        with pytest.raises(ValueError, match=rf"momentum={momentum} must be from 0 to 1"):
            griffin_lim(sft, A, N, momentum=momentum)
    with pytest.raises(ValueError, match="init='zero' must be one of 'pghi', 'random', None"):
        griffin_lim(sft, A, N, init="zero")
    with pytest.raises(ValueError, match="init='random' has no meaning beside phase"):
        griffin_lim(sft, A, N, init="random", phase=A)
    per_bin = AdaptiveShortTimeFFT("hann", np.linspace(20, 40, 33)[:, None], 5, 1.0, mfft=64)
    with pytest.raises(ValueError, match="init='pghi' needs one window length for all bins of a frame"):
        griffin_lim(per_bin, np.ones((33, per_bin.p_num(N))), N, init="pghi")
    with pytest.raises(ValueError, match="not invertible"):
        gaps = AdaptiveShortTimeFFT("hann", 10, 12, 1.0)
        griffin_lim(gaps, np.ones((gaps.f_pts, gaps.p_num(N))), N)
    for phase, message in (
        (np.full(A.shape, np.nan), r"phase has \d+ NaN or infinite values"),
        (np.exp(1j * A), r"phase must be real, in radians"),
        (np.zeros(3), r"phase has shape \(3,\), but the magnitudes have"),
        (np.zeros((2, *A.shape)), r"phase has shape \(2, \d+, \d+\), but the magnitudes have"),
    ):
        with pytest.raises(ValueError, match=message):
            griffin_lim(sft, A, N, phase=phase)


def test_the_former_order_is_deprecated():
    sft = AdaptiveShortTimeFFT("hann", 32, 8, 1.0)
    A = np.abs(sft.stft(np.cos(0.3 * np.arange(100))))
    with pytest.warns(DeprecationWarning, match=r"griffin_lim\(magnitude, sft, n\) is deprecated: pass sft first"):
        before = griffin_lim(A, sft, 100, n_iter=2, rng=0)
    np.testing.assert_array_equal(before, griffin_lim(sft, A, 100, n_iter=2, rng=0))
    with pytest.raises(TypeError, match=r"sft=.* must be an AdaptiveShortTimeFFT"):
        griffin_lim(A, A, 100)
