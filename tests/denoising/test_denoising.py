"""`denoise`: signal-to-noise ratios, results, the check for white noise, and errors for bad arguments."""

import numpy as np
import pytest
from recorded import heart, voice
from scipy.signal import resample_poly

import adaptstft
from adaptstft import windows
from adaptstft.common.grids import length_grid
from adaptstft.denoising.length_tuning import HOP_RATIOS, descend_length, fit_length
from adaptstft.denoising.noise import measure_noise
from adaptstft.denoising.problem import ShrinkageProblem
from adaptstft.denoising.shrinkage import GAINS, threshold_ratio

MODES = ["smooth", "wiener", "soft", "block"]
FS = 8000.0


def chirp(n=6000):
    t = np.arange(n) / FS
    return np.sin(2 * np.pi * (200 * t + 400 * t**2)) * np.exp(-t)


def with_noise(clean, db, rng):
    """Add white noise at a ratio in decibels; return the sum and the noise's standard deviation."""
    std = np.sqrt(np.mean(clean**2)) * 10 ** (-db / 20)
    return clean + std * rng.standard_normal(clean.size), std


def snr(clean, estimate):
    return 10 * np.log10(np.sum(clean**2) / np.sum((clean - estimate) ** 2))


def resolution(std, n):
    """Standard deviation of the estimated risk of `n` samples with most coefficients at zero."""
    return std**2 * np.sqrt(2 / n)


# ---------------------------------------------------------------------------------------
# Signal-to-noise ratios


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["real", "complex"])
def test_noise_alone_is_reduced_by_twenty_decibels(rng, mode, kind):
    x = rng.standard_normal(8000)
    if kind == "complex":
        x = x + 1j * rng.standard_normal(8000)
    y = adaptstft.denoise(x, FS, mode=mode)
    assert np.mean(np.abs(y) ** 2) < 0.01 * np.mean(np.abs(x) ** 2)


@pytest.fixture(scope="module")
def many_lengths():
    """A noisy chirp and its noise level; it denoised with each length of the grid, and with the tuned length."""
    noisy, std = with_noise(chirp(), 5, np.random.default_rng(20240501))
    grid = [adaptstft.denoise(noisy, FS, std, win_length=m, full_output=True) for m in length_grid(32, 3000).tolist()]
    return noisy, std, grid, adaptstft.denoise(noisy, FS, std, window_mode="constant", full_output=True)


@pytest.mark.slow
def test_constant_length_is_nearly_the_best_of_all_lengths(many_lengths):
    clean = chirp()
    _, std, grid, (y, info) = many_lengths
    best = min(np.mean((one - clean) ** 2) for one, _ in grid)
    assert np.mean((y - clean) ** 2) < best + 0.5 * resolution(std, clean.size)
    assert isinstance(info.win_length, float)


@pytest.mark.slow
def test_tuned_parameters_lessen_the_estimated_risk(many_lengths):
    """A descent has at most the risk of the best length of the grid, with and without the hop."""
    noisy, std, grid, (_, constant) = many_lengths
    least = min(info.risk for _, info in grid)
    _, hop = adaptstft.denoise(noisy, FS, std, window_mode="constant", hop_mode="constant", full_output=True)
    rounding = 1e-5 * std**2  # tolerance of the tuned thresholds
    assert constant.risk < least + rounding
    assert hop.risk < least + rounding
    assert HOP_RATIOS[0] <= hop.hop / hop.win_length <= HOP_RATIOS[1]


def test_descent_in_length_threshold_and_hop_together(rng):
    """Compared with the start in the FFT of the descent, which is longer than that of the start."""
    noisy, std = with_noise(chirp(), 5, rng)
    problem = ShrinkageProblem((noisy / std)[None], windows.resolve("hann"), "smooth", None, 1)
    start = fit_length(problem, 700.0, 175.0)
    fit = descend_length(problem, start, (32.0, 3000.0), None, tune_hop=True)
    before = problem.shrinker(start.win_length, start.positions, fit.mfft).shrink(start.threshold).total.sum()
    assert fit.risk < before - 1
    assert fit.win_length[0] != 700
    assert abs(fit.hop / fit.win_length[0] - 0.25) > 1e-3
    assert HOP_RATIOS[0] <= fit.hop / fit.win_length[0] <= HOP_RATIOS[1]
    assert np.allclose(np.diff(fit.positions), fit.hop)


@pytest.mark.slow
def test_lengths_in_time_follow_the_signal(rng):
    """A tone needs longer windows than the clicks after it."""
    n = 6000
    clean = 0.6 * np.sin(0.7 * np.arange(n)) * (np.arange(n) < n / 2)
    clean[n // 2 + 100 :: 150] += 8
    noisy, std = with_noise(clean, 5, rng)
    y, info = adaptstft.denoise(noisy, FS, std, window_mode="time", win_bounds=(32, 1024), full_output=True)
    positions = info.sft.t(n) * FS
    tone, clicks = (
        info.win_length[(positions > 800) & (positions < 2200)],
        info.win_length[(positions > 3800) & (positions < 5200)],
    )
    assert tone.min() > 1.5 * clicks.max()
    constant, one = adaptstft.denoise(noisy, FS, std, window_mode="constant", win_bounds=(32, 1024), full_output=True)
    assert info.risk < one.risk
    assert snr(clean, y) > snr(clean, constant)


@pytest.mark.parametrize("mode", MODES)
def test_tuned_threshold_is_nearly_the_best_of_all_thresholds(rng, mode):
    clean = chirp()
    noisy, std = with_noise(clean, 0, rng)
    y, info = adaptstft.denoise(noisy, FS, std, win_length=600, mode=mode, full_output=True)
    errors = [
        np.mean((adaptstft.denoise(noisy, FS, std, win_length=600, mode=mode, threshold=v) - clean) ** 2)
        for v in np.geomspace(0.5, 20, 24)
    ]
    assert np.mean((y - clean) ** 2) < min(errors) + 0.5 * resolution(std, clean.size)
    assert info.threshold.shape == ()


@pytest.mark.slow
def test_estimated_risk_is_the_error(rng):
    """The noise level is given."""
    clean = np.tile(chirp(), 5)
    noisy, std = with_noise(clean, 3, rng)
    for length in (None, 512):
        y, info = adaptstft.denoise(noisy, FS, std, win_length=length, full_output=True)
        assert abs(info.risk - np.mean((y - clean) ** 2)) < 3 * resolution(std, clean.size)


# ---------------------------------------------------------------------------------------
# Results


@pytest.mark.parametrize("mode", MODES[:3])
def test_info_describes_the_transform_that_was_shrunk(rng, mode):
    x = chirp(2000) + 0.3 * rng.standard_normal(2000)
    y, info = adaptstft.denoise(x, FS, mode=mode, win_length=200, hop=40, full_output=True)
    sft = info.sft
    S = sft.stft(x)
    inside = sft.stft(np.ones(2000), p0=sft.p_min)  # its energy summed over bins is mfft sum w**2, two-sided
    sides = np.r_[1, np.full(sft.f_pts - 2, 2), 1][:, np.newaxis]
    variance = info.noise_std**2 * (sides * np.abs(inside) ** 2).sum(axis=0) / sft.mfft
    gain = GAINS[mode](threshold_ratio(float(info.threshold), variance, np.abs(S) ** 2)).value
    # y is of order 1; the sums that make the variances are rounded to some 1e-14
    assert np.allclose(sft.istft(gain * S, k1=2000), y, atol=1e-11)
    assert (info.win_length, info.win_duration, info.hop) == (200, 0.025, 40)
    assert info.weights is None


def test_average_has_weights_that_add_up_to_one(rng):
    x = np.stack([chirp(), chirp()[::-1]]) + 0.3 * rng.standard_normal((2, 6000))
    y, info = adaptstft.denoise(x, FS, win_bounds=(64, 1024), full_output=True)
    assert y.shape == x.shape
    assert info.weights.shape == (info.win_length.size, 2, info.weight_times.size)
    assert np.allclose(info.weights.sum(axis=0), 1)
    assert info.threshold.shape == (info.win_length.size, 2)
    assert info.sft is None
    assert np.isclose(info.win_length[0], 64)
    assert np.isclose(info.win_length[-1], 1024)
    assert np.all(np.diff(np.log2(info.win_length)) < 0.51)


@pytest.mark.slow
def test_channels_are_treated_one_by_one_along_any_axis(rng):
    x = chirp(3000) + 0.3 * rng.standard_normal((2, 2, 3000))
    x[1] *= 10
    y = adaptstft.denoise(x, FS, win_bounds=(64, 512))
    turned = adaptstft.denoise(np.moveaxis(x, -1, 1), FS, win_bounds=(64, 512), axis=1)
    assert np.array_equal(np.moveaxis(turned, 1, -1), y)
    for i in range(2):
        assert np.array_equal(adaptstft.denoise(x[i, 0], FS, win_bounds=(64, 512)), y[i, 0])


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("f4", "f4"), ("f8", "f8"), (">f8", "f8"), ("i2", "f8"), ("c8", "c8"), ("c16", "c16")],
)
def test_dtype_and_the_callers_array_are_kept(rng, dtype, expected):
    x = (100 * (chirp(1000) + 0.3 * rng.standard_normal(1000))).astype(dtype)
    before = x.copy()
    x.flags.writeable = False
    y = adaptstft.denoise(x, FS)
    assert y.dtype == np.dtype(expected)
    assert y.shape == x.shape
    assert np.array_equal(x, before)


def test_scale_of_the_signal_does_not_matter(rng):
    x = chirp(1500) + 0.3 * rng.standard_normal(1500)
    y = adaptstft.denoise(x, FS, win_length=200)
    # thresholds are tuned to 1e-2, from values with other rounding errors
    for scale in (1e-150, 1e150):
        assert np.allclose(adaptstft.denoise(scale * x, FS, win_length=200) / scale, y, atol=1e-6)


def test_a_silent_channel_stays_silent(rng):
    x = np.stack([np.zeros(1000), chirp(1000) + 0.3 * rng.standard_normal(1000), np.zeros(1000)])
    y, info = adaptstft.denoise(x, FS, full_output=True)
    assert np.all(y[[0, 2]] == 0)
    assert np.any(y[1] != 0)
    assert info.noise_std[0] == info.risk[0] == 0
    assert info.noise_std[1] > 0
    assert np.all(adaptstft.denoise(np.zeros(300), FS) == 0)
    assert np.all(adaptstft.denoise(np.zeros(300), FS, noise_std=2.0) == 0)


def test_noise_of_each_channel_can_be_given(rng):
    x = chirp(1000) + np.array([[0.1], [0.4]]) * rng.standard_normal((2, 1000))
    _, info = adaptstft.denoise(x, FS, noise_std=[0.1, 0.4], win_length=128, full_output=True)
    assert info.noise_std.tolist() == [0.1, 0.4]
    _, info = adaptstft.denoise(x, FS, noise_std=0.2, win_length=128, full_output=True)
    assert info.noise_std.tolist() == [0.2, 0.2]


def test_threshold_hop_window_and_lists_are_taken(rng):
    x = (chirp(1000) + 0.3 * rng.standard_normal(1000)).tolist()
    y, info = adaptstft.denoise(x, FS, threshold=3.0, win_bounds=(64, 256), hop=16.5, full_output=True)
    assert np.all(info.threshold == 3)
    assert info.hop == 16.5
    assert np.abs(adaptstft.denoise(x, FS, threshold=30.0, win_bounds=(64, 256), hop=16.5)).max() < np.abs(y).max()
    assert not np.array_equal(adaptstft.denoise(x, FS, window="blackman"), adaptstft.denoise(x, FS))


def test_short_signals(rng):
    x = np.sin(0.3 * np.arange(16)) + 0.1 * rng.standard_normal(16)
    assert np.all(np.isfinite(adaptstft.denoise(x, 1.0, noise_std=0.1)))
    x = np.sin(0.3 * np.arange(128)) + 0.1 * rng.standard_normal(128)
    for mode in MODES:
        assert np.all(np.isfinite(adaptstft.denoise(x, 1.0, mode=mode)))
    assert np.all(np.isfinite(adaptstft.denoise(x, 1.0, window_mode="time")))


def test_a_signal_without_noise_comes_back():
    x = np.sin(0.3 * np.arange(1000))
    assert np.allclose(adaptstft.denoise(x, 1.0), x, atol=1e-3)


# ---------------------------------------------------------------------------------------
# Check for white noise


@pytest.mark.parametrize("kind", ["real", "complex"])
def test_white_noise_of_any_length_looks_white(rng, kind):
    """Two hundred signals, with lengths for all sizes of tiles."""
    for k in range(200):
        n = (300, 500, 800, 1500, 3000, 5000, 9000, 20_000)[k % 8]
        x = rng.standard_normal(n) + (0 if kind == "real" else 1j * rng.standard_normal(n))
        assert measure_noise(x[None])[0].excess < 2


@pytest.mark.parametrize("make", [voice, heart, chirp], ids=["voice", "heart", "chirp"])
@pytest.mark.parametrize("db", [0, 5, 10, 20])
def test_noise_with_a_signal_looks_white_until_both_are_resampled(rng, make, db):
    noisy, _ = with_noise(make(), db, rng)
    noisy = np.tile(noisy, 4)  # the recording of the heart has 1024 samples
    assert measure_noise(noisy[None])[0].excess < 2
    assert measure_noise(resample_poly(noisy, 2, 1)[None])[0].excess > 10


def test_a_warning_says_that_the_noise_is_not_white(rng):
    x = resample_poly(rng.standard_normal(4000), 2, 1)
    with pytest.warns(UserWarning, match=r"the noise does not look white: its estimated level is .*, but") as w:
        y = adaptstft.denoise(x, FS, win_length=256)
    assert w[0].filename == __file__
    assert np.mean(y**2) > 0.9 * np.mean(x**2)  # the warning is right: the noise is not removed
    with pytest.warns(UserWarning, match=r"the noise of channel 1 does not look white"):
        adaptstft.denoise(np.stack([rng.standard_normal(x.size), x]), FS, win_length=256)
    adaptstft.denoise(x, FS, noise_std=1.0, win_length=256)  # no warning if the level is given


# ---------------------------------------------------------------------------------------
# Bad arguments

X = np.sin(np.arange(500.0))


@pytest.mark.parametrize(
    ("x", "arguments", "error", "match"),
    [
        (X, {"fs": 0}, ValueError, r"fs=0 must be greater than 0 Hz"),
        (X, {"noise_std": -1}, ValueError, r"noise_std=-1.0 must be finite and greater than 0"),
        (X, {"noise_std": [1, 2]}, ValueError, r"noise_std=\[1, 2\] must be one number, or one for each .* shape \(\)"),
        (X, {"noise_std": "loud"}, ValueError, r"noise_std='loud' must be one number"),
        (X, {"noise_std": "0.5"}, ValueError, r"noise_std='0\.5' must be one number"),
        (X, {"noise_std": True}, ValueError, r"noise_std=True must be one number"),
        (np.stack([X, X]), {"noise_std": [0.5, True]}, ValueError, r"noise_std=\[0\.5, True\] must be one number"),
        (X, {"threshold": True}, TypeError, r"threshold=True must be a real number"),
        (X, {"workers": True}, TypeError, r"workers=True must be an integer"),
        (X, {"mode": "hard"}, ValueError, r"mode='hard' must be one of 'smooth', 'wiener', 'soft', 'block'"),
        (X, {"window_mode": "frequency"}, ValueError, r"window_mode='frequency' must be one of 'average'"),
        (X, {"hop_mode": "time"}, ValueError, r"hop_mode='time' must be one of 'fixed', 'constant'"),
        (X, {"win_length": 600}, ValueError, r"win_length=600: windows must have from 2 to 500 samples"),
        (X, {"win_bounds": (50, 600)}, ValueError, r"win_bounds=\(50, 600\): windows must have from 2 to 500"),
        (X, {"win_bounds": (1, 50)}, ValueError, r"win_bounds=\(1, 50\): the lower bound must be at least 2 samples"),
        (X, {"win_length": 50, "win_bounds": (20, 60)}, ValueError, r"win_bounds=\(20, 60\) and win_length=50 exclude"),
        (X, {"win_length": 50, "window_mode": "time"}, ValueError, r"win_length=50 belongs to window_mode='fixed'"),
        (X, {"window_mode": "fixed"}, ValueError, r"win_length=None belongs to window_mode='fixed'"),
        (X, {"win_length": 100, "hop": 80}, ValueError, r"hop=80.0 must be at most half .* that is 50 samples"),
        (X, {"hop": 400}, ValueError, r"hop=400.0 must be at most half the shortest window"),
        (X, {"hop": 10.5, "mode": "block"}, ValueError, r"hop=10.5 must be a whole number of samples for mode='block'"),
        (X, {"mode": "block", "window_mode": "time"}, ValueError, r"mode='block' takes one window length"),
        (X, {"hop_mode": "constant"}, ValueError, r"hop_mode='constant' needs window_mode='constant'"),
        (X, {"threshold": 0}, ValueError, r"threshold=0 must be greater than 0"),
        (X, {"window": "boxcar", "window_mode": "constant"}, ValueError, r"window 'boxcar' cannot be tuned"),
        (X, {"window": "hanm"}, ValueError, r"unknown window"),
        (X, {"axis": 1}, ValueError, r"axis=1 must lie in \[-1, 0\]"),
        (X, {"workers": 0}, ValueError, r"workers=0 must be None, a positive integer"),
        (X, {"full_output": 1}, TypeError, r"full_output=1 must be True or False"),
        (X[:10], {}, ValueError, r"x has 10 samples along axis=-1: at least 16 are needed"),
        (X[:100], {}, ValueError, r"x has 100 samples, from which no noise level .* \(at least 128\): give noise_std"),
        (X * np.nan, {}, ValueError, r"x has 500 NaN or infinite values of 500, the first at index 0"),
        (np.zeros((3, 0)), {}, ValueError, r"x is empty: its shape is \(3, 0\)"),
        (["a"], {}, TypeError, r"x must be numeric"),
    ],
)
def test_bad_arguments_are_named(x, arguments, error, match):
    with pytest.raises(error, match=match):
        adaptstft.denoise(x, **({"fs": FS} | arguments))


def test_digital_silence_does_not_count_as_noise():
    rng = np.random.default_rng(0)
    sound = np.sin(0.3 * np.arange(6000)) + 0.3 * rng.standard_normal(6000)
    for lead in (800, 6000):
        x = np.concatenate([np.zeros(lead), sound])
        y, info = adaptstft.denoise(x, 8000, full_output=True)
        assert info.noise_std == pytest.approx(0.3, rel=0.1)
        loud, _ = adaptstft.denoise(1e4 * x, 8000, full_output=True)
        np.testing.assert_allclose(loud, 1e4 * y, atol=1e-6 * np.abs(loud).max())


def test_error_if_the_level_cannot_be_estimated():
    x = np.zeros(4000)
    x[::50] = 1.0
    with pytest.raises(ValueError, match="its level cannot be estimated: give noise_std"):
        adaptstft.denoise(x * (np.arange(4000) < 300), 8000)
