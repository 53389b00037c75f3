"""Ridges: exact frequencies, uncertainties that match the errors, the best path, and errors for bad input."""

import itertools

import numpy as np
import pytest
from naive import label
from numpy.testing import assert_allclose, assert_array_equal

from adaptstft import AdaptiveShortTimeFFT, datasets, ridges, windows
from adaptstft.kernels import cpu, plain
from adaptstft.tracking.curvature import squared_bias
from adaptstft.tracking.peaks import find_peaks

FS = 200.0
N = 1200
TIME = np.arange(N) / FS
GAUSSIAN = ("gaussian", 8.0)
BACKENDS = pytest.mark.parametrize("kernels", [cpu, plain], ids=["numba", "numpy"])


def tone(f, amplitude=1.0):
    return amplitude * np.exp(2j * np.pi * f * TIME + 0.3j)


def transform(kind="frame", window="hann", **options):
    sft = AdaptiveShortTimeFFT(
        window, 80.0, None, FS, positions=np.arange(3.0, N, 11.7), **{"mfft": 128, "max_length": 101} | options
    )
    rng = np.random.default_rng(0)
    shapes = {"constant": (), "frame": (sft.p_num(N),), "frequency": (sft.f_pts, 1), "bin": (sft.f_pts, sft.p_num(N))}
    return sft.remade(win_length=rng.uniform(60.0, 100.0, shapes[kind]))


def inner(r):
    """Mask of the slices whose windows lie within the signal."""
    return (r.t > 0.3) & (r.t < N / FS - 0.3)


# ------------------------------------------------------------------ exact frequencies


@pytest.mark.parametrize("options", [{}, {"mfft": 101}, {"phase_shift": None, "scale_to": "psd"}], ids=label)
@pytest.mark.parametrize("mode", ["twosided", "centered"])
@pytest.mark.parametrize("kind", ["constant", "frame", "frequency", "bin"])
def test_frequency_of_a_complex_tone_is_exact(kind, mode, options):
    r = ridges(transform(kind, fft_mode=mode, **options), tone(-31.2345, 0.7))
    # the tolerance is the last step, 1e-10 of the resolution, also where the ends of the signal cut the window
    assert_allclose(r.frequency, -31.2345, atol=1e-8)
    assert_allclose(r.amplitude, 0.7, rtol=1e-10)
    assert r.frequency.shape == r.uncertainty.shape == r.amplitude.shape == (1, r.t.size)
    assert np.all((r.uncertainty > 0) & (r.uncertainty < 1.0))


def test_linear_chirp_is_followed_exactly_within_the_signal():
    x = np.exp(2j * np.pi * (20.0 * TIME + 4.0 * TIME**2))
    r = ridges(transform(window=GAUSSIAN, fft_mode="centered"), x)
    # the window is symmetric about a real centre but its samples are not: the jump of exp(-8) at its ends remains
    assert_allclose(r.frequency[0][inner(r)], (20.0 + 8.0 * r.t)[inner(r)], atol=np.exp(-8.0) * FS / 60)


def test_real_tone_with_its_mirror_image():
    r = ridges(transform(window="blackmanharris"), tone(31.2345, 3.0).real)
    # the sidelobes of the mirror image, at -92 dB, displace the peak by that fraction of the resolution
    assert_allclose(r.frequency[0][inner(r)], 31.2345, atol=10 ** (-92 / 20) * FS / 60)
    assert_allclose(r.amplitude[0][inner(r)], 3.0, rtol=1e-4)


@pytest.mark.parametrize("near", [0.0, FS / 2])
def test_a_real_tone_is_displaced_by_its_mirror_image_as_the_docstring_says(near):
    sft = AdaptiveShortTimeFFT("hann", 80.0, 8, FS)
    cell = FS / 80.0

    def displaced(cells):
        f = abs(near - cells * cell)
        r = ridges(sft, tone(f).real)
        return np.abs(r.frequency[0][inner(r)] - f).max() / cell

    assert displaced(0.5) > 0.3
    assert max(map(displaced, (1.3, 1.5, 1.75, 2.0))) < 0.1
    assert displaced(4.0) < 2e-3


def test_two_ridges_keep_to_their_components():
    s = datasets.chirps_in_parallel()
    sft = AdaptiveShortTimeFFT(GAUSSIAN, 300, 20, s.fs, mfft=512)
    r = ridges(sft, s.x, n_ridges=2)
    law = np.stack([np.interp(r.t, np.arange(3000) / 1000, f) for f in s.frequency])
    where = (r.t > 0.2) & (r.t < 2.8)
    order = np.argsort(r.frequency[:, 70])
    assert_allclose(r.frequency[order][:, where], law[:, where], atol=0.01)


def test_ridges_are_in_the_order_of_their_strength():
    x = tone(20.0, 0.1) + tone(60.0, 1.0) + tone(-40.0, 0.4)
    r = ridges(transform(fft_mode="centered", window="blackmanharris"), x, n_ridges=3)
    assert_allclose(r.frequency[:, inner(r)].mean(axis=1), [60.0, -40.0, 20.0], atol=0.01)
    assert_allclose(r.amplitude[:, inner(r)].mean(axis=1), [1.0, 0.4, 0.1], rtol=1e-3)


def test_bounds_and_rates_select_the_component():
    x = tone(20.0, 0.2) + tone(60.0) * (TIME < 3) + tone(80.0) * (TIME >= 3)
    sft = transform(fft_mode="centered")
    low = ridges(sft, x, f_bounds=(10.0, 30.0))
    assert_allclose(low.frequency[0][inner(low)], 20.0, atol=0.5)
    # a jump by 20 Hz within a slice of 58 ms is 340 Hz/s
    jumping, steady = (ridges(sft, x, max_rate=rate).frequency[0] for rate in (1000.0, 20.0))
    assert_allclose(jumping[[20, 80]], [60.0, 80.0], atol=0.5)
    # the path moves by one bin, and either peak is within half a resolution cell and one more of it
    assert np.abs(np.diff(steady)).max() <= sft.delta_f + 2 * (1.5 * FS / 60 + sft.delta_f)


def test_default_rate_is_five_times_that_of_the_chirp_that_suits_the_windows(rng):
    """In noise, paths take every legal step. The energy of a Gaussian has half the variance of the Gaussian."""
    sft = AdaptiveShortTimeFFT(GAUSSIAN, 80.0, 3, FS, mfft=256)
    suited = 1 / (2 * np.pi * (80.0 / FS / 8.0) ** 2)
    x = rng.standard_normal(N)
    by_default, same, less, more = (
        ridges(sft, x, max_rate=rate).frequency for rate in (None, 5 * suited, 2 * suited, 12 * suited)
    )
    # the window is cut at four deviations, which changes the variance by less than a thousandth
    assert np.mean(by_default == same) > 0.99
    assert np.mean(by_default == less) < 0.9
    assert np.mean(by_default == more) < 0.9


def test_channels_axis_and_precision():
    x = np.stack([tone(20.0).real, tone(50.0).real])
    sft = transform()
    many = ridges(sft, x.T, axis=0)
    assert many.frequency.shape == (2, 1, many.t.size)
    for one, f in zip(x, many.frequency, strict=True):
        assert_allclose(ridges(sft, one).frequency, f, atol=1e-9)
    single = ridges(sft, x.astype(np.float32))
    assert single.frequency.dtype == np.float64
    assert_allclose(single.frequency[..., 5:-5], many.frequency[..., 5:-5], atol=1e-5)
    assert_allclose(many.t, sft.t(N))


@pytest.mark.parametrize("kind", ["frame", "bin"])
def test_silence_has_no_amplitude_and_infinite_uncertainty(kind):
    x = np.zeros((2, N))
    x[1, 700:] = tone(33.0).real[700:]
    r = ridges(transform(kind), x, n_ridges=2, orders=(1, 2))
    assert np.all(np.isfinite(r.frequency)) and np.all(np.isfinite(r.amplitude))
    assert_array_equal(r.uncertainty[0], np.inf)
    assert_array_equal(r.amplitude[0], 0.0)
    assert not np.any(np.isnan(r.uncertainty))


# ------------------------------------------------------------------ orders


def test_orders_are_followed_together():
    """Each order is weak, their sum is strong, and the strongest component is not one of the orders."""
    s = datasets.run_up(20.0, 40.0, amplitudes=(0.35, 0.35, 0.35), fs=400.0, noise_std=0.5)
    x = s.x + np.sin(2 * np.pi * 150.0 * np.arange(s.x.size) / s.fs)
    sft = AdaptiveShortTimeFFT("hann", 200, 20, s.fs, mfft=512)
    r = ridges(sft, x, orders=(1, 2, 3), f_bounds=(15, 49), max_rate=30.0)
    law = np.interp(r.t, np.arange(s.x.size) / s.fs, s.frequency[0])
    where = (r.t > 0.5) & (r.t < 5.5)
    error = (r.frequency[0] - law)[where]
    # windows overlap by nine tenths, so that there are about thirty independent errors
    assert np.std(error / r.uncertainty[0][where]) == pytest.approx(1.0, abs=0.35)
    assert r.amplitude.shape == (1, 3, r.t.size)
    assert_allclose(r.amplitude[0][:, where].mean(axis=1), 0.35, atol=0.05)
    # three orders have (1 + 4 + 9) times the Fisher information of the first
    alone = ridges(sft, s.x, f_bounds=(15, 49), max_rate=30.0)
    ratio = np.median(alone.uncertainty[0][where] / r.uncertainty[0][where])
    assert ratio == pytest.approx(np.sqrt(14.0), rel=0.25)


# ------------------------------------------------------------------ uncertainty


@pytest.mark.parametrize(
    ("rate", "window", "noise", "given"),
    [(0.0, "hann", 0.5, None), (0.0, GAUSSIAN, 0.3, 0.3), (8.0, "hann", 0.3, None)],
    ids=["tone", "tone-known-noise", "chirp"],
)
def test_uncertainty_covers_the_error(rate, window, noise, given):
    rng = np.random.default_rng(5)
    sft = AdaptiveShortTimeFFT(window, 90.3, 90.0, FS, mfft=128)  # windows side by side, so that errors are independent
    x = np.cos(2 * np.pi * (25.0 * TIME + rate / 2 * TIME**2)) + noise * rng.standard_normal((60, N))
    r = ridges(sft, x, noise_std=given)
    score = ((r.frequency[:, 0] - 25.0 - rate * r.t) / r.uncertainty[:, 0])[:, inner(r)].ravel()
    # 660 values: 95 % lie within 1.96 sigma, with a standard error of 0.9 %; estimated noise gives heavier tails
    assert score.size > 600
    assert np.mean(np.abs(score) < 1.96) == pytest.approx(0.95, abs=0.03)
    assert np.std(score) == pytest.approx(1.0, abs=0.1)


def test_uncertainty_of_complex_noise_and_of_colour():
    rng = np.random.default_rng(6)
    noise = 0.4 * (rng.standard_normal((40, N)) + 1j * rng.standard_normal((40, N))) / np.sqrt(2)
    sft = AdaptiveShortTimeFFT("hann", 90.3, 90.0, FS, mfft=128, fft_mode="centered")
    r = ridges(sft, tone(25.0) + noise)
    score = ((r.frequency[:, 0] - 25.0) / r.uncertainty[:, 0])[:, inner(r)]
    assert np.std(score) == pytest.approx(1.0, abs=0.12)  # 440 values: 3.4 %, plus the error of the noise level


def test_least_uncertain_window_for_a_chirp_is_shorter_than_the_most_concentrated():
    """Of a Gaussian: (3/7)**(1/4) times as long, as the docstring of ridges says."""
    rate, fs = 40.0, 1000.0
    t = (np.arange(4001) - 2000) / fs
    x = np.exp(1j * np.pi * rate * t**2)
    sigma = np.linspace(0.6, 1.1, 101) / np.sqrt(2 * np.pi * rate)
    lengths = 10 * sigma * fs
    gaussian, centre, used = windows.resolve(("gaussian", 10.0)), np.full(101, 2000.0), np.ones((1, 101), dtype=bool)
    peaks = find_peaks(x, gaussian, lengths[None], centre, 1 / fs, np.zeros(101), np.ones(1), used)
    best = sigma[np.argmin(peaks.deviation)] * np.sqrt(2 * np.pi * rate)
    assert best == pytest.approx((3 / 7) ** 0.25, abs=0.01)


# ------------------------------------------------------------------ the path


def all_paths(score, scale, limit):
    """Largest sum over all legal paths."""
    best = -np.inf
    for path in itertools.product(range(score.shape[1]), repeat=len(score)):
        steps = np.abs(np.diff(path))
        if np.all(steps <= limit):
            best = max(best, score[np.arange(len(score)), path].sum() - np.sum(steps / scale))
    return best


def strongest_path(kernels, score, scale, limit):
    path = np.full(len(score), -1)
    kernels.strongest_path(score, scale, limit, path)
    return path


@BACKENDS
@pytest.mark.parametrize("seed", range(6))
def test_strongest_path_is_the_best_of_all_paths(seed, kernels):
    rng = np.random.default_rng(seed)
    score = rng.exponential(size=(5, 6))
    scale, limit = rng.uniform(0.5, 3.0, 4), rng.integers(0, 4, 4)
    path = strongest_path(kernels, score, scale, limit)
    steps = np.abs(np.diff(path))
    assert np.all(steps <= limit)
    total = score[np.arange(5), path].sum() - np.sum(steps / scale)
    assert total == pytest.approx(all_paths(score, scale, limit), rel=1e-12)


@BACKENDS
def test_strongest_path_of_one_frame_and_of_no_score(kernels):
    assert_array_equal(strongest_path(kernels, np.array([[0.0, 2.0, 1.0]]), np.zeros(0), np.zeros(0, int)), [1])
    flat = strongest_path(kernels, np.zeros((7, 9)), np.ones(6), np.full(6, 3))
    assert_array_equal(np.diff(flat), 0)


@BACKENDS
def test_second_derivatives_are_those_of_fitted_parabolas(kernels, rng):
    times = np.sort(rng.uniform(0, 3, 80)) + 1000
    values, deviation = rng.standard_normal(80), rng.uniform(0.1, 2.0, 80)
    low, high = np.array([0, 10, 40, 77, 20]), np.array([80, 15, 70, 80, 20])
    second, variance = np.full((2, 5), np.nan)
    kernels.second_derivatives(times, values, deviation, low, high, 1e-15, second, variance)
    for p in range(4):
        part = slice(low[p], high[p])
        s = times[part] - times[part].mean()
        weights = 2 * np.linalg.pinv(np.vander(s, 3))[0]  # of the values in the second derivative
        assert second[p] == pytest.approx(weights @ values[part], rel=1e-6)
        assert variance[p] == pytest.approx(np.sum((weights * deviation[part]) ** 2), rel=1e-6)
    assert (second[4], variance[4]) == (0, 0)


@BACKENDS
@pytest.mark.parametrize("times", [[1.0, 1.0, 1.0, 1.0], [1.0, 1.0, 2.0, 2.0], [1.0, 2.0]])
def test_second_derivatives_that_are_not_determined_are_zero(kernels, times):
    times, (second, variance) = np.array(times), np.full((2, 1), np.nan)
    ends = np.array([0]), np.array([times.size])
    kernels.second_derivatives(times, times**2, np.ones_like(times), *ends, 1e-15, second, variance)
    assert (second[0], variance[0]) == (0, 0)


@BACKENDS
def test_bias_is_that_of_one_parabola_after_the_other(kernels, rng):
    times = np.arange(300) * 0.01
    frequency, duration = rng.standard_normal(300), rng.uniform(0.05, 0.3, 300)
    deviation = np.where(rng.uniform(size=300) < 0.3, np.inf, rng.uniform(0.01, 0.1, 300))
    excess = np.zeros(300)
    u = (np.arange(4096) + 0.5) / 4096 - 0.5
    w = np.cos(np.pi * u) ** 2
    for p in range(300):
        part = np.flatnonzero((np.abs(times - times[p]) <= duration[p]) & np.isfinite(deviation))
        if part.size < 4:
            continue
        weights = 2 * np.linalg.pinv(np.vander(times[part] - times[part].mean(), 3))[0]
        spacing = np.ptp(times[part]) / (part.size - 1)
        variance = np.sum((weights * deviation[part]) ** 2) * max(1.0, 0.4 * duration[p] / spacing)
        factor = duration[p] ** 2 * (u**4 @ w) / (6 * (u**2 @ w))
        excess[p] = factor**2 * ((weights @ frequency[part]) ** 2 - variance)
    near = np.abs(times - times[:, np.newaxis]) <= duration[:, np.newaxis] / 2
    expected = np.maximum((near @ excess) / near.sum(axis=1), 0)
    found = squared_bias(windows.resolve("hann"), times, frequency, deviation, duration, kernels)
    assert_allclose(found, expected, rtol=1e-5, atol=1e-9 * expected.max())


@pytest.mark.parametrize("seed", range(20))
def test_backends_take_the_same_of_equally_good_paths(seed):
    rng = np.random.default_rng(seed)
    score, scale = rng.integers(0, 3, (12, 9)).astype(float), rng.choice([0.5, 1.0, 2.0], 11)
    limit = rng.integers(0, 9, 11)
    one, other = (strongest_path(kernels, score, scale, limit) for kernels in (cpu, plain))
    assert_array_equal(one, other)


@BACKENDS
@pytest.mark.parametrize("samples", [1, 16, 101])
@pytest.mark.parametrize("dtype", [float, complex])
def test_sums_at_a_frequency(kernels, samples, dtype, rng):
    xw = rng.standard_normal((4, samples)).astype(dtype)
    if dtype is complex:
        xw += 1j * rng.standard_normal(xw.shape)
    s = rng.uniform(-3, 3, (4, 1)) + 0.02 * np.arange(samples)
    f = rng.uniform(-25, 25, 4)
    out = np.empty((3, 4), complex)
    kernels.frequency_sums(xw, s, f, out)
    expected = [
        [sum(v * t**j * np.exp(-2j * np.pi * f[p] * t) for v, t in zip(xw[p], s[p], strict=True)) for p in range(4)]
        for j in range(3)
    ]
    np.testing.assert_allclose(out, expected, rtol=1e-12, atol=1e-11)


# ------------------------------------------------------------------ errors


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_ridges": 0}, ValueError, r"n_ridges=0 must be at least 1"),
        ({"n_ridges": 1.5}, TypeError, r"n_ridges=1.5 must be an integer"),
        ({"max_rate": 0}, ValueError, r"max_rate=0 must be greater than 0 Hz/s"),
        ({"noise_std": -1.0}, ValueError, r"noise_std=-1.0 must be greater than 0"),
        ({"f_bounds": (3.0, 1.0)}, ValueError, r"f_bounds=\(3.0, 1.0\) cross"),
        ({"f_bounds": 3.0}, ValueError, r"f_bounds=3.0 must be a pair \(low, high\) in Hz"),
        ({"f_bounds": (150.0, 160.0)}, ValueError, r"holds no frequency of the transform, which has those from 0 to"),
        ({"orders": []}, ValueError, r"orders has shape \(0,\): it must be 1-D with at least one real multiple"),
        ({"orders": (1, -2)}, ValueError, r"orders=\[1.0, -2.0\] must be positive and differ"),
        ({"orders": (1, 1)}, ValueError, r"orders=\[1.0, 1.0\] must be positive and differ"),
        ({"orders": (1, np.nan)}, ValueError, r"orders has 1 NaN or infinite values"),
        ({"axis": 2}, ValueError, r"axis=2 must lie in \[-1, 0\]"),
    ],
    ids=label,
)
def test_bad_options(options, error, message):
    with pytest.raises(error, match=message):
        ridges(transform(), tone(20.0).real, **options)


def test_bad_signals():
    with pytest.raises(TypeError, match=r"sft=ndarray must be an AdaptiveShortTimeFFT"):
        ridges(np.ones(3), np.ones(3))
    with pytest.raises(ValueError, match=r"x is complex, which a one-sided spectrum cannot represent"):
        ridges(transform(), tone(20.0))
    with pytest.raises(ValueError, match=r"x has 1 NaN or infinite values of 2, the first at index 1"):
        ridges(transform(), [1.0, np.inf])


def test_orders_beyond_the_nyquist_frequency_are_ignored():
    t = np.arange(4000) / 1000
    x = np.cos(2 * np.pi * 330 * t) + np.cos(2 * np.pi * 12 * t)  # 3 * 330 Hz would alias to 10 Hz
    sft = AdaptiveShortTimeFFT("hann", 400.0, 50, 1000.0, mfft=512)
    one = ridges(sft, x, orders=(1,), f_bounds=(300, 360))
    both = ridges(sft, x, orders=(1, 3), f_bounds=(300, 360))
    inner = (one.t > 0.5) & (one.t < 3.5)
    np.testing.assert_allclose(both.frequency[..., inner], 330, atol=0.01)
    np.testing.assert_allclose(both.amplitude[0, 1], 0)


def test_orders_beyond_the_nyquist_frequency_remove_nothing():
    t = np.arange(4000) / 1000
    x = np.cos(2 * np.pi * 300 * t) + 0.5 * np.cos(2 * np.pi * 490 * t)
    sft = AdaptiveShortTimeFFT("hann", 400.0, 50, 1000.0, mfft=512)
    tracked = ridges(sft, x, n_ridges=2, orders=(1, 2), f_bounds=(260, 495))
    inner = (tracked.t > 0.5) & (tracked.t < 3.5)
    np.testing.assert_allclose(np.sort(tracked.frequency[:, inner], axis=0).mean(axis=1), [300, 490], atol=0.1)
