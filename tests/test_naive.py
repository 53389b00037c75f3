"""Comparison of the reference code in ``naive`` with SciPy and with closed-form values."""

import math

import naive
import numpy as np
import pytest
from numpy.testing import assert_allclose
from scipy.signal import ShortTimeFFT, get_window

# Sums of up to 40 products of order one: at most a few hundred rounding errors.
TOL = 1000 * np.finfo(float).eps

FAMILIES = [
    "hann",
    "hamming",
    "blackman",
    "nuttall",
    "blackmanharris",
    "flattop",
    "boxcar",
    ("general_cosine", (0.4, 0.45, 0.15)),
    ("general_hamming", 0.6),
    ("kaiser", 7.5),
    ("tukey", 0.5),
    ("tukey", 0.3),
]


@pytest.mark.parametrize("size", [2, 16, 30])
@pytest.mark.parametrize("window", FAMILIES, ids=naive.label)
def test_families_equal_periodic_windows_of_scipy(window, size):
    samples = naive.window_samples(window, size, np.arange(size) - size // 2)
    assert_allclose(samples, get_window(window, size), rtol=0, atol=TOL)


def test_gaussian_shape_is_length_over_sigma():
    samples = naive.window_samples(("gaussian", 6.0), 30, np.arange(-15, 15))
    assert_allclose(samples, get_window(("gaussian", 30 / 6.0), 30), rtol=0, atol=TOL)


def test_cosine_is_half_a_period():
    samples = naive.window_samples("cosine", 8, np.arange(-4, 4))
    assert_allclose(samples, np.sin(np.pi * np.arange(8) / 8), rtol=0, atol=TOL)


@pytest.mark.parametrize("window", [*FAMILIES, "cosine", ("gaussian", 6.0)], ids=naive.label)
def test_support_is_half_open(window):
    first, last = naive.window_samples(window, 6.0, [-3.0, 3.0])
    assert last == 0
    assert first == pytest.approx(naive.evaluate_family(window, np.array([-0.5]))[0])


@pytest.mark.parametrize("scaling", ["magnitude", "psd"])
@pytest.mark.parametrize("window", FAMILIES, ids=naive.label)
def test_scale_factor_equals_scipy(window, scaling):
    sft = ShortTimeFFT(get_window(window, 18), 4, fs=50.0)
    expected = sft.fac_magnitude if scaling == "magnitude" else sft.fac_psd
    assert naive.scale_factor(window, 18, scaling, 50.0) == pytest.approx(expected, rel=TOL)


@pytest.mark.parametrize("padding", ["edge", "even", "odd"])
@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_padding_equals_numpy(padding, n, rng):
    x = rng.standard_normal(n)
    mode = {
        "edge": {"mode": "edge"},
        "even": {"mode": "reflect"},
        "odd": {"mode": "reflect", "reflect_type": "odd"},
    }
    expected = np.pad(x, 20, **mode[padding])
    # An odd extension grows by a constant in each period; 20 periods stay below 100.
    assert_allclose([naive.sample_padded(x, i, padding) for i in range(-20, n + 20)], expected, atol=100 * TOL)


def scipy_case(window="hann", size=16, hop=5, n=41, *, complex_x=False, **options):
    """(S of SciPy, S of the reference) for a periodic window of even size."""
    rng = np.random.default_rng(3)
    x = rng.standard_normal(n) + (1j * rng.standard_normal(n) if complex_x else 0)
    call = {key: options.pop(key) for key in ("padding", "k_offset", "p0", "p1") if key in options}
    sft = ShortTimeFFT(get_window(window, size), hop, fs=8.0, **options)
    expected = sft.stft(x, **call)
    p0, p1 = sft.p_range(n, call.pop("p0", None), call.pop("p1", None))
    centres = np.arange(p0, p1) * hop + call.pop("k_offset", 0)
    mfft = options.pop("mfft", None) or size
    S = naive.stft(x, window, size, centres, mfft=mfft, fs=8.0, **options, **call)
    return S, expected


@pytest.mark.parametrize(("fft_mode", "scale_to"), naive.MODE_SCALINGS)
@pytest.mark.parametrize("mfft", [16, 19, 24])
@pytest.mark.parametrize("phase_shift", [0, None, 3, -7, 15])
def test_stft_equals_scipy(fft_mode, scale_to, mfft, phase_shift):
    complex_x = fft_mode in ("twosided", "centered")
    S, expected = scipy_case(
        fft_mode=fft_mode, scale_to=scale_to, mfft=mfft, phase_shift=phase_shift, complex_x=complex_x
    )
    assert_allclose(S, expected, rtol=0, atol=TOL)


@pytest.mark.parametrize("padding", ["zeros", "edge", "even", "odd"])
@pytest.mark.parametrize("call", [{}, {"k_offset": 4}, {"k_offset": -3}, {"p0": 0, "p1": 6}], ids=naive.label)
def test_stft_pads_like_scipy(padding, call):
    S, expected = scipy_case(padding=padding, **call)
    assert_allclose(S, expected, rtol=0, atol=10 * TOL)


@pytest.mark.parametrize("window", ["hann", "hamming", "nuttall", ("kaiser", 7.5), ("tukey", 0.5)], ids=naive.label)
@pytest.mark.parametrize(("size", "hop"), [(16, 5), (8, 8), (6, 11), (2, 3)])
@pytest.mark.parametrize("n", [8, 33, 40])
def test_slice_range_equals_scipy(window, size, hop, n):
    sft = ShortTimeFFT(get_window(window, size), hop, fs=1.0)
    assert naive.slice_range(window, size, hop, n) == (sft.p_min, sft.p_max(n))


@pytest.mark.parametrize(
    ("window", "symmetric", "size", "win_length", "offset"),
    [
        ("hamming", False, 15, 15, 0.5),
        (("kaiser", 6.0), False, 15, 15, 0.5),
        ("hann", True, 15, 14, 0.0),
        (("tukey", 0.7), True, 16, 15, -0.5),
    ],
)
@pytest.mark.parametrize("scale_to", naive.SCALINGS)
def test_odd_and_symmetric_windows_are_offset(window, symmetric, size, win_length, offset, scale_to, rng):
    x = rng.standard_normal(40)
    settings = {"fs": 3.0, "mfft": 18, "scale_to": scale_to}
    sft = ShortTimeFFT(get_window(window, size, fftbins=not symmetric), 4, **settings)
    centres = np.arange(*sft.p_range(40)) * 4
    S = naive.stft(x, window, win_length, centres, max_length=size, window_offset=offset, **settings)
    assert_allclose(S, sft.stft(x), rtol=0, atol=TOL)


def test_one_length_for_each_bin_equals_separate_transforms(rng):
    x, centres = rng.standard_normal(40), np.array([3.2, 10.0, 21.7])
    win_length = rng.uniform(5, 15, (9, 3))
    S = naive.stft(x, "hann", win_length, centres, mfft=16, scale_to="psd")
    for q, p in [(0, 0), (4, 1), (8, 2), (3, 0)]:
        alone = naive.stft(x, "hann", win_length[q, p], centres[p : p + 1], mfft=16, scale_to="psd")
        assert S[q, p] == pytest.approx(alone[q, 0], rel=TOL)


@pytest.mark.parametrize("mfft", [16, 19])
@pytest.mark.parametrize(
    ("fft_mode", "scale_to"),
    [("onesided", None), ("onesided2X", "psd"), ("onesided2X", "magnitude"), ("centered", None)],
)
def test_istft_equals_scipy_for_any_spectrum(mfft, fft_mode, scale_to, rng):
    # Arbitrary spectra distinguish the canonical dual from other duals; hop 5 does not divide the window length.
    sft = ShortTimeFFT(get_window("hamming", 16), 5, fs=1.0, mfft=mfft, fft_mode=fft_mode, scale_to=scale_to)
    n = 41
    S = rng.standard_normal((sft.f_pts, sft.p_num(n))) + 1j * rng.standard_normal((sft.f_pts, sft.p_num(n)))
    centres = np.arange(*sft.p_range(n)) * 5
    x = naive.istft(S, "hamming", 16, centres, n, mfft=mfft, fft_mode=fft_mode, scale_to=scale_to)
    # The condition number of the Hamming frame at this hop is below 3.
    assert_allclose(x, sft.istft(S, k1=n), rtol=0, atol=TOL * max(1, np.abs(x).max()))


def test_frame_windows_are_the_windows_of_the_transform(rng):
    centres, win_length = np.array([-2.3, 5.0, 11.9]), np.array([9.0, 12.0, 7.7])
    w = naive.frame_windows("hamming", win_length, centres, 14, scale_to="psd")
    dc = naive.stft(np.ones(14), "hamming", win_length, centres, mfft=12, scale_to="psd")[0]
    assert_allclose(w.sum(axis=1), dc.real, rtol=TOL)


UNIFORM = {  # K equal values among M
    "shannon": lambda K, M: math.log(K),
    "renyi": lambda K, M: math.log(K),
    "kurtosis": lambda K, M: math.log(K),
    "stankovic": lambda K, M: math.log(K),
    "lp": lambda K, M: math.log(K) / 2,
    "hoyer": lambda K, M: -(math.sqrt(M) - math.sqrt(K)) / (math.sqrt(M) - 1),
    "gini": lambda K, M: -(1 - K / M),
}


@pytest.mark.parametrize("name", UNIFORM)
@pytest.mark.parametrize(("K", "M"), [(1, 24), (7, 24), (24, 24)])
def test_criteria_of_equal_values(name, K, M):
    S = np.zeros(M)
    S[:K] = 0.7
    assert naive.criterion(name, S.reshape(4, 6)) == pytest.approx(UNIFORM[name](K, M), abs=TOL)


def test_criteria_of_two_values():
    """Formulas by hand for P = 1 and 3."""
    S = np.sqrt([[1.0], [3.0]])
    assert naive.criterion("shannon", S) == pytest.approx(math.log(4) - 0.75 * math.log(3))
    assert naive.criterion("renyi", S) == pytest.approx(-0.5 * math.log(28 / 64))
    assert naive.criterion("kurtosis", S) == pytest.approx(-math.log(10 / 16))
    assert naive.criterion("kurtosis", S, "frame") == pytest.approx(4 / 5)
    assert naive.criterion("stankovic", S) == pytest.approx(math.log((1 + math.sqrt(3)) ** 2 / 4))
    assert naive.criterion("lp", S) == pytest.approx(math.log(1 + math.sqrt(3)) - math.log(4) / 2)
    hoyer = -(math.sqrt(2) - (1 + math.sqrt(3)) / 2) / (math.sqrt(2) - 1)
    assert naive.criterion("hoyer", S) == pytest.approx(hoyer)
    assert naive.criterion("gini", S) == pytest.approx(-0.25)
    assert naive.criterion("shannon", S, power=1) == pytest.approx(
        math.log(1 + math.sqrt(3)) - math.sqrt(3) * math.log(3) / 2 / (1 + math.sqrt(3))
    )


@pytest.mark.parametrize("name", UNIFORM)
def test_local_scope_between_its_extremes(name, rng):
    S = rng.standard_normal((5, 3))
    everything = naive.criterion(name, S, "local", g=np.ones((2, 3)), e=[0.25, 0.75])
    assert everything == pytest.approx(naive.criterion(name, S), rel=TOL)
    single = naive.criterion(name, S, "local", g=np.eye(3), e=[0.2, 0.0, 0.8])
    frames = [naive.criterion(name, S[:, p : p + 1]) for p in range(3)]
    assert single == pytest.approx(0.2 * frames[0] + 0.8 * frames[2], rel=TOL)


@pytest.mark.parametrize("name", [name for name in UNIFORM if name != "hoyer"])
def test_integer_weights_are_repetitions(name, rng):
    S = rng.standard_normal((5, 3))
    repeated = naive.criterion(name, S[:, [0, 0, 2]])
    assert naive.criterion(name, S, "local", g=np.array([[2.0, 0.0, 1.0]]), e=[1.0]) == pytest.approx(repeated, rel=TOL)


@pytest.mark.parametrize("g", [1e-3, 0.2, 3.0])
def test_hoyer_counts_the_effective_number_of_frames(g, rng):
    S = rng.standard_normal((5, 3))
    one = naive.criterion("hoyer", S, "local", g=np.array([[0.0, g, 0.0]]), e=[1.0])
    assert one == pytest.approx(naive.criterion("hoyer", S[:, 1:2]), rel=TOL)
    two = naive.criterion("hoyer", S, "local", g=np.array([[g, 0.0, g]]), e=[1.0])
    assert two == pytest.approx(naive.criterion("hoyer", S[:, [0, 2]]), rel=TOL)


def test_weights_of_neighbourhoods_sum_to_a_constant(rng):
    x = np.zeros(60)
    x[20:40] = rng.standard_normal(20)
    g, e = naive.neighbourhoods(x, np.array([15.0, 20.5, 33.3]), 16.0)
    assert_allclose(g.sum(axis=0), 2, rtol=TOL)  # four squared cosines at intervals of a quarter of a period
    assert e.sum() == pytest.approx(1)
    assert_allclose(np.flatnonzero(e), np.arange(4, 12))  # centres 4 r - 0.5 within 8 of a sample from 20 to 39
    assert g[5, 1] == pytest.approx(math.cos(math.pi * 1.0 / 16) ** 2)  # 19.5 and 20.5


@pytest.mark.parametrize("name", UNIFORM)
def test_silent_frames_are_left_out_of_the_frame_scope(name, rng):
    S = rng.standard_normal((5, 3))
    with_silence = np.insert(S, 1, 0.0, axis=1)
    assert naive.criterion(name, with_silence, "frame") == pytest.approx(naive.criterion(name, S, "frame"), rel=TOL)


@pytest.mark.parametrize(
    ("fun", "gradient"),
    [
        (np.exp, 1.0),
        (lambda s: s + np.maximum(s, 0) ** 2, 1.0),  # C1 with a jump of the second derivative at 0
        (lambda s: math.cos(3 + s), -math.sin(3)),
    ],
)
def test_derivative(fun, gradient):
    value, error = naive.derivative(fun, 0.02)
    # The finest step is 6e-4: rounding of order eps / 6e-4, amplified by the extrapolation about tenfold.
    assert value == pytest.approx(gradient, abs=1e-10)
    assert error < 1e-9


def test_derivative_reports_a_jump():
    assert naive.derivative(lambda s: float(s > 0), 0.02)[1] > 1


def test_gradient():
    value, error = naive.gradient(lambda v: v[0, 0] ** 2 * v[0, 1], [[3.0, 2.0]], 0.02)
    assert_allclose(value, [[12.0, 9.0]], rtol=1e-9)
    assert error < 1e-8
