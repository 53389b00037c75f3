"""`track`: errors beside the best fixed window, intervals that hold, and the parts of the choice of lengths."""

import matplotlib
import numpy as np
import pytest
from naive import label
from numpy.testing import assert_allclose, assert_array_equal

import adaptstft
from adaptstft import AdaptiveShortTimeFFT, ridges, track, windows
from adaptstft.common.best_path import NearMoves, best_path
from adaptstft.kernels import cpu, plain
from adaptstft.tracking.adaptive.choice import LengthChoice, correlations, running_mean
from adaptstft.tracking.adaptive.estimates import Estimates, Guide, PeakSearch
from adaptstft.tracking.adaptive.pilot import JumpMoves, PathSearch, noise_power
from adaptstft.tracking.adaptive.samples import ChirpFrames
from adaptstft.tracking.curvature import squared_bias
from adaptstft.tracking.peaks import climb, find_peaks

FS, N = 1000.0, 2000
TIME = np.arange(N) / FS


def signal(law, noise=0.0, seed=0, amplitude=1.0):
    phase = 2 * np.pi * (np.cumsum(law) - law / 2) / FS  # trapezoids
    return amplitude * np.cos(phase) + noise * np.random.default_rng(seed).standard_normal(law.size)


def steady_then_vibrato():
    return 150 + np.where(TIME < 1, 20 * (TIME - 1), 30 * np.sin(2 * np.pi * (TIME - 1) / 0.4))


def errors(ridge, law, ends=0.1):
    inside = (ridge.t > ends) & (ridge.t < N / FS - ends)
    return (ridge.frequency[0] - np.interp(ridge.t, TIME, law))[inside], inside


# ------------------------------------------------------------------ quality


@pytest.mark.slow
def test_error_is_below_that_of_the_best_fixed_length_where_the_curvature_changes():
    law = steady_then_vibrato()
    x = np.stack([signal(law, 0.2, seed) for seed in range(3)])
    positions = np.arange(0.0, N, 12)
    inside = (TIME[::12] > 0.1) & (TIME[::12] < 1.9)
    truth = law[::12][inside]
    transforms = [
        AdaptiveShortTimeFFT("hann", length, None, FS, positions=positions, mfft=512)
        for length in (32.0, 45.0, 64.0, 91.0, 128.0, 181.0)
    ]
    best = min(np.std(ridges(sft, x).frequency[:, 0, inside] - truth) for sft in transforms)
    assert np.std(track(x, FS, hop=12).frequency[:, 0, inside] - truth) < best


@pytest.mark.slow
@pytest.mark.parametrize("noise", [0.5, 0.1, 0.01])
def test_intervals_hold_the_frequency(noise):
    law = 150 + 40 * np.sin(2 * np.pi * TIME)
    held = []
    for seed in range(4):
        ridge = track(signal(law, noise, seed), FS)
        error, inside = errors(ridge, law)
        half = np.diff(ridge.interval[0], axis=-1)[inside, 0] / 2
        held.append(np.abs(error) <= half)
    # neighbouring frames share samples: some fifteen independent errors in each signal
    assert 0.88 <= np.mean(held) <= 1.0


@pytest.mark.slow
def test_lengths_follow_the_law():
    ridge = track(signal(steady_then_vibrato(), 0.1), FS)
    early, late = ridge.win_length[0][ridge.t < 0.6], ridge.win_length[0][ridge.t > 1.2]
    assert early.min() > 3 * late.max()


def test_frequency_jumps():
    law = np.where(TIME < 1.2, 100.0, 180.0)
    ridge = track(signal(law, 0.05), FS)
    error, inside = errors(ridge, law)
    assert np.abs(error[np.abs(ridge.t[inside] - 1.2) > 0.02]).max() < 1.0
    steady = track(signal(law, 0.05), FS, max_rate=50.0)
    assert np.abs(np.diff(steady.frequency[0])).max() < 20.0


def test_a_chirp_keeps_its_amplitude():
    law = 50 + 150 * TIME
    ridge = track(signal(law, amplitude=3.0), FS)
    inside = (ridge.t > 0.2) & (ridge.t < 1.8)
    assert_allclose(ridge.amplitude[0][inside], 3.0, rtol=1e-3)
    fixed = ridges(AdaptiveShortTimeFFT("hann", 300.0, 12, FS), signal(law, amplitude=3.0))
    assert fixed.amplitude[0][len(fixed.t) // 2] < 2.0  # without the correction


def test_orders_and_crossings():
    law = 45 + 10 * np.sin(2 * np.pi * TIME / 1.5)
    phase = 2 * np.pi * (np.cumsum(law) - law / 2) / FS
    x = np.cos(phase) + 0.6 * np.cos(2 * phase) + 0.4 * np.cos(3 * phase)
    x += 0.2 * np.random.default_rng(0).standard_normal(N)
    ridge = track(x, FS, orders=(1, 2, 3), f_bounds=(25, 80))
    assert np.std(errors(ridge, law)[0]) < 0.2
    assert ridge.amplitude.shape == (1, 3, ridge.t.size) and ridge.orders == (1.0, 2.0, 3.0)
    assert_allclose(np.median(ridge.amplitude[0], axis=-1), [1.0, 0.6, 0.4], atol=0.05)
    up, down = 100 + 60 * TIME, 220 - 60 * TIME
    both = track(signal(up, 0.1) + signal(down), FS, n_ridges=2)
    low, high = np.sort(both.frequency, axis=0)
    truth = np.sort([np.interp(both.t, TIME, up), np.interp(both.t, TIME, down)], axis=0)
    # within 0.3 s of the crossing, 36 Hz, windows of 60 to 100 ms do not separate the components
    away = (np.abs(both.t - 1) > 0.3) & (both.t > 0.1) & (both.t < 1.9)
    assert np.abs(low - truth[0])[away].max() < 0.5 and np.abs(high - truth[1])[away].max() < 0.5


@pytest.mark.parametrize("scale", [1e-180, 1.0, 1e180])
def test_levels_channels_and_complex_signals(scale):
    law = np.full(N, 120.0)
    x = scale * np.stack([signal(law, 0.1), signal(law + 60, 0.1, 1)])
    ridge = track(x.T, FS, axis=0, hop=40.5)
    assert ridge.frequency.shape == ridge.win_length.shape == (2, 1, ridge.t.size)
    assert ridge.interval.shape == (2, 1, ridge.t.size, 2)
    assert_array_equal(ridge.t, np.rint(40.5 * np.arange(ridge.t.size)) / FS)
    assert_allclose(np.median(ridge.frequency, axis=-1)[:, 0], [120, 180], atol=0.1)
    assert_allclose(np.median(ridge.amplitude, axis=-1)[:, 0], scale, rtol=0.05)
    turned = track(scale * np.exp(-2j * np.pi * 87.5 * TIME), FS, hop=40)
    assert_allclose(turned.frequency, -87.5, atol=1e-6)
    assert_allclose(turned.amplitude, scale, rtol=1e-6)


def test_silence_and_noise_have_no_interval():
    ridge = track(np.zeros((2, N)), FS)
    assert np.all(np.isinf(ridge.uncertainty)) and np.all(np.isfinite(ridge.frequency))
    assert_array_equal(ridge.amplitude, 0.0)
    x = signal(np.full(N, 120.0)) * (TIME < 1) + 0.1 * np.random.default_rng(0).standard_normal(N)
    half_silent = track(x, FS)
    assert np.mean(np.isinf(half_silent.uncertainty[0][half_silent.t > 1.3])) > 0.3
    assert np.all(np.isfinite(half_silent.uncertainty[0][half_silent.t < 0.8]))


def test_confidence_noise_and_threads_have_their_effect():
    x = signal(steady_then_vibrato(), 0.1)
    wide, narrow = (track(x, FS, confidence=p) for p in (0.95, 0.5))
    ratio = np.diff(wide.interval, axis=-1) / np.diff(narrow.interval, axis=-1)
    assert_allclose(ratio, 1.959964 / 0.6744898, rtol=1e-5)
    assert_array_equal(track(x, FS, workers=2).frequency, track(x, FS, workers=1).frequency)
    tone = signal(np.full(N, 100.0))
    known, more = (track(tone, FS, noise_std=std) for std in (0.1, 0.4))
    assert_allclose(more.uncertainty / known.uncertainty, 4.0, rtol=0.05)
    limited = track(x, FS, win_bounds=(50, 100)).win_length
    assert limited.min() >= 50 and limited.max() <= 100


def test_tables_and_pictures():
    pandas = pytest.importorskip("pandas", reason="tables need the extra 'many'")
    matplotlib.use("Agg")
    ridge = track(np.stack([signal(np.full(N, f), 0.1) for f in (50.0, 80.0)]), FS, orders=(1, 2), hop=100)
    frame = ridge.to_frame()
    assert list(frame) == [
        *("channel", "ridge", "time", "frequency", "low", "high", "uncertainty", "win_length"),
        *("amplitude_1", "amplitude_2"),
    ]
    assert isinstance(frame, pandas.DataFrame) and len(frame) == ridge.frequency.size
    row = frame[(frame.channel == 1) & (frame.time == ridge.t[7])].iloc[0]
    assert row.frequency == ridge.frequency[1, 0, 7] and row.amplitude_2 == ridge.amplitude[1, 0, 1, 7]
    assert row.low == ridge.interval[1, 0, 7, 0] and row.high == ridge.interval[1, 0, 7, 1]
    ax = ridge.plot(channel=1)
    shown = [line.get_ydata() for line in ax.lines]
    assert_array_equal(shown, [ridge.frequency[1, 0], 2 * ridge.frequency[1, 0]])
    fixed = ridges(AdaptiveShortTimeFFT("hann", 100.0, 10, FS), signal(np.full(N, 50.0)))
    assert fixed.plot(ax).get_xlabel() == "time in s"
    assert "channel" not in fixed.columns()
    with pytest.raises(ValueError, match=r"channel=2 must be at most 1, as x has 2 channels"):
        ridge.plot(channel=2)
    with pytest.raises(TypeError, match=r"ax must be one matplotlib Axes"):
        ridge.plot([ax])
    matplotlib.pyplot.close("all")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"fs": 0}, ValueError, r"fs=0 must be greater than 0 Hz"),
        ({"n_ridges": 0}, ValueError, r"n_ridges=0 must be at least 1"),
        ({"orders": (1, 1)}, ValueError, r"orders=\[1.0, 1.0\] must be positive and differ"),
        ({"f_bounds": (9.0, 3.0)}, ValueError, r"f_bounds=\(9.0, 3.0\) cross"),
        ({"f_bounds": (600.0, 700.0)}, ValueError, r"f_bounds=\(600.0, 700.0\) Hz holds no frequency"),
        ({"max_rate": -1}, ValueError, r"max_rate=-1 must be greater than 0 Hz/s"),
        ({"window": "boxcar"}, ValueError, r"boxcar"),
        ({"win_bounds": (2, 90)}, ValueError, r"win_bounds=\(2, 90\): the lower bound must be at least 4 samples"),
        ({"win_bounds": (16, 3000)}, ValueError, r"win_bounds=\(16, 3000\): windows may have at most 2000 samples"),
        ({"hop": 0.5}, ValueError, r"hop=0.5 must lie between 1 and 2000 samples"),
        ({"confidence": 1}, ValueError, r"confidence=1 must be greater than 0 and less than 1"),
        ({"noise_std": 0}, ValueError, r"noise_std=0 must be greater than 0"),
        ({"axis": 1}, ValueError, r"axis=1 must lie in \[-1, 0\]"),
        ({"workers": 0}, ValueError, r"workers=0"),
        ({"progress": 2}, TypeError, r"progress=2"),
        ({"x": np.ones(20)}, ValueError, r"x has 20 samples along axis=-1: at least 64 are needed"),
        ({"x": [np.nan] * 80}, ValueError, r"x has 80 NaN or infinite values"),
    ],
    ids=label,
)
def test_bad_options(options, error, message):
    with pytest.raises(error, match=message):
        track(**{"x": signal(np.full(N, 100.0)), "fs": FS} | options)


# ------------------------------------------------------------------ the parts


@pytest.mark.parametrize("module", [cpu, plain], ids=["numba", "numpy"])
@pytest.mark.parametrize("real", [True, False])
def test_chirp_sums(module, real, rng):
    x = rng.standard_normal(900) + (0 if real else 1j * rng.standard_normal(900))
    w, centre = rng.uniform(size=601), np.array([0, 17, 450, 899])
    f, rate = rng.uniform(-0.5, 0.5, 4), rng.uniform(-1e-3, 1e-3, 4)
    out = np.empty((3, 4), complex)
    module.chirp_sums(x, w, centre, f, rate, out)
    for p in range(4):
        naive = np.zeros(3, complex)
        for k in range(-300, 301):
            if 0 <= centre[p] + k < 900:
                turned = np.exp(-2j * np.pi * (f[p] * k + rate[p] * k**2 / 2))
                naive += x[centre[p] + k] * w[300 + k] * turned * np.array([1, k, k**2])
        # rounding errors of 601 terms, whose phases have errors of 1e-13
        assert_allclose(out[:, p], naive, atol=1e-11 * 300.0 ** np.arange(3)[-1])


def test_chirp_frames_have_the_peaks_of_windowed_samples(rng):
    law = 100 + 50 * TIME
    x, centre = signal(law, 0.1), np.array([10, 500, 1203, 1990])
    hann, used = windows.resolve("hann"), np.ones((1, 4), bool)
    rate, start = np.full(4, 50.0), law[centre]
    expected = find_peaks(x, hann, np.full((1, 4), 201.5), centre.astype(float), 1 / FS, start, np.ones(1), used, rate)
    frames = ChirpFrames.of(x, hann, 201.5, centre, rate, 1 / FS, 1)
    found = climb([frames], np.full(4, FS / 201.5), start, np.ones(1), used)
    assert_allclose(found.frequency, expected.frequency, atol=1e-8)
    assert_allclose(found.deviation, expected.deviation, rtol=1e-6)
    assert_allclose(found.magnitude, expected.magnitude, rtol=1e-8)


def test_correlations_of_errors(rng):
    """The errors of tones in noise have the correlations of the formula."""
    hann, lengths, n = windows.resolve("hann"), np.array([50.0, 71.0, 200.0]), 401
    x = np.cos(0.25 * 2 * np.pi * np.arange(n)) + 0.05 * rng.standard_normal((400, n))
    found = np.array(
        [
            [
                find_peaks(
                    row,
                    hann,
                    np.full((1, 1), length),
                    np.array([200.0]),
                    1.0,
                    np.array([0.25]),
                    np.ones(1),
                    np.ones((1, 1), bool),
                ).frequency[0]
                for length in lengths
            ]
            for row in x
        ]
    )
    # 400 draws: standard errors of at most 0.05
    assert_allclose(np.corrcoef(found.T), correlations(hann, lengths), atol=0.15)


def parabola(bend, deviation, usable=True):
    """Estimates of a law with a constant second derivative and no noise."""
    length = 32 * 2.0 ** (np.arange(9) / 2)
    bias = bend * length**2
    shape = (9, 300)
    return Estimates(
        length,
        np.broadcast_to(100 + bias[:, None], shape).copy(),
        np.broadcast_to(deviation * (length[:, None] / 32) ** -1.5, shape).copy(),
        np.ones((9, 1, 300)),
        np.full(shape, usable),
    )


def test_the_length_of_least_error_and_its_bias_are_found():
    found = parabola(1e-6, 0.05)
    choice = LengthChoice(found, windows.resolve("hann"), np.ones(300), 10.0, 100.0, 10.0).choose()
    error2 = (1e-6 * found.length**2) ** 2 + (0.05 * (found.length / 32) ** -1.5) ** 2
    middle = choice.place[100:200]
    assert np.all(np.abs(middle - error2.argmin()) <= 1)
    # the variance that is subtracted and the caution leave the size of the bias
    true = (1e-6 * found.length[middle] ** 2) ** 2
    assert np.all(choice.bias2[100:200] < 4 * true + choice.variance[100:200])
    assert_allclose(choice.variance[100:200], (0.05 * (found.length[middle] / 32) ** -1.5) ** 2)
    none = LengthChoice(parabola(0.0, 0.05, False), windows.resolve("hann"), np.ones(300), 10.0, 100.0, 10.0).choose()
    assert np.all(np.isinf(none.variance))
    steady = LengthChoice(parabola(0.0, 0.05), windows.resolve("hann"), np.ones(300), 10.0, 100.0, 10.0).choose()
    assert_array_equal(steady.place, 8)


def test_differences_of_a_tone_have_their_expected_variance(rng):
    n, hann = 20_000, windows.resolve("hann")
    x = np.cos(0.2 * np.pi * np.arange(n)) + 0.1 * rng.standard_normal(n)
    centre, lengths = np.arange(200, n - 200, 20), 64 * 2.0 ** (np.arange(5) / 2)
    noise = np.full(centre.size, 0.01)
    search = PeakSearch(x, hann, FS, centre, lengths, np.ones(1), (-np.inf, np.inf), noise, 1)
    found = search.estimate(Guide(np.full(centre.size, 100.0), np.ones(centre.size)), [])
    choice = LengthChoice(found, hann, noise, 20.0, 128.0, FS / 128)
    for k, j in ((2, 0), (4, 2), (4, 0)):
        squared = np.mean((found.frequency[k] - found.frequency[j]) ** 2)
        # some hundred independent differences: the standard error of their mean square is at most 0.1
        assert abs(np.mean(choice._compare(k, j).excess)) < 0.25 * squared


def test_running_means_are_those_of_loops(rng):
    values, weights = rng.uniform(size=(2, 20))
    weights[5:9] = 0
    for p, mean in enumerate(running_mean(values, weights, 1)):
        part = slice(max(p - 1, 0), p + 2)
        total = weights[part].sum()
        assert mean == pytest.approx(values[part] @ weights[part] / total if total else 0.0)


def test_lines_through_a_guide(rng):
    times = np.sort(rng.uniform(0, 5, 60))
    value, slope = Guide(3 - 2 * times, rng.uniform(0.1, 1, 60)).lines(times, 0.5)
    assert_allclose(value, 3 - 2 * times, atol=1e-9)
    assert_allclose(slope, -2, atol=1e-6)
    outlier = 3 - 2 * times
    outlier[30] = 1e3
    weights = np.ones(60)
    weights[30] = 0
    assert_allclose(Guide(outlier, weights).lines(times, 0.5)[0], 3 - 2 * times, atol=1e-4)


@pytest.mark.parametrize(("most", "jump"), [(1, 1.5), (3, 1.5), (3, 1.1), (6, 2.0), (1, 0.3)])
def test_jumps_are_the_best_of_all_moves(rng, most, jump):
    cost = rng.uniform(0, 5, (6, 7))
    near = NearMoves(-most, 0.5 * np.abs(np.arange(-most, most + 1)), nearest_first=True)
    path, total = best_path(cost, JumpMoves(near, jump))
    distance = np.abs(np.subtract.outer(range(7), range(7)))
    moves = np.minimum(jump, np.where(distance <= most, 0.5 * distance, np.inf))
    best = cost[0]
    for row in cost[1:]:
        best = row + (best[:, None] + moves).min(axis=0)
    assert total == pytest.approx(best.min())
    steps = moves[path[:-1], path[1:]]
    assert total == pytest.approx(cost[np.arange(6), path].sum() + steps.sum())


def test_noise_power_of_white_noise(rng):
    power = 3.0 * rng.exponential(size=(400, 200))
    power[:5] = 1e6  # the end of a tone
    assert_allclose(noise_power(power, 5), 3.0, rtol=0.05)
    power[200:] *= 4
    local = noise_power(power, 5, 20)
    assert_allclose(local[[0, 100, 300]], [3.0, 3.0, 12.0], rtol=0.1)


def kinks():
    """Straight lines of 50 ms."""
    ends = np.arange(0, N + 50, 50)
    return 45 + np.interp(np.arange(N), ends, np.random.default_rng(0).uniform(-3, 3, ends.size))


@pytest.mark.parametrize("law", [45 + 4 * np.sin(2 * np.pi * TIME / 0.15), kinks()], ids=["sine", "kinks"])
def test_intervals_hold_where_no_window_is_short_enough(law):
    phase = 2 * np.pi * np.cumsum(law) / FS
    x = np.cos(phase) + 0.6 * np.cos(2 * phase) + 0.4 * np.cos(3 * phase)
    x += 0.02 * np.random.default_rng(0).standard_normal(N)
    ridge = track(x, FS, orders=(1, 2, 3), f_bounds=(25, 80))  # windows that separate the orders are longer than 67 ms
    error, inside = errors(ridge, law)
    low, high = ridge.interval[0][inside].T
    assert np.sqrt(np.mean(error**2)) > 0.2
    assert np.mean(np.abs(error) < (high - low) / 2) > 0.95
    # an inflated factor would also make the intervals hold
    assert np.median(high - low) / 2 < 4 * np.sqrt(np.mean(error**2))


@pytest.mark.slow
def test_an_oscillation_that_most_windows_average_away_is_followed():
    fs, n = 32.0, 3840
    t = np.arange(n) / fs
    law = 1.2 + 0.05 * np.sin(2 * np.pi * 0.2 * t)  # windows that separate the orders have at least 3.8 s
    phase = 2 * np.pi * np.cumsum(law) / fs
    x = np.cos(phase) + np.cos(2 * phase) / 2 + np.cos(3 * phase) / 3
    held, lengths = [], []
    for seed in range(2):
        noise = 0.3 * np.std(x) * np.random.default_rng(seed).standard_normal(n)
        ridge = track(x + noise, fs, orders=(1, 2, 3), f_bounds=(0.6, 2.0), max_rate=0.25)
        inside = (ridge.t > 3) & (ridge.t < 117)
        low, high = ridge.interval[0][inside].T
        true = np.interp(ridge.t, t, law)[inside]
        held.append((low <= true) & (true <= high))
        lengths.append(np.median(ridge.win_length[0]) / fs)
    assert np.max(lengths) < 8.0
    assert np.mean(held) > 0.85


def test_bias_of_ridges_is_in_their_uncertainty():
    law = 150 + 40 * np.sin(2 * np.pi * TIME)
    x = signal(law, 0.002)
    ridge = ridges(AdaptiveShortTimeFFT("hann", 128.0, 8, FS, mfft=512), x)
    error, inside = errors(ridge, law)
    score = error / ridge.uncertainty[0][inside]
    # the bias is some hundred times the deviation in noise; its estimate is right to a factor of two
    assert 0.5 < np.sqrt(np.mean(score**2)) < 2.0
    times = np.linspace(0, 1, 101)
    none = squared_bias(windows.resolve("hann"), times, 5 - times, np.full(101, 0.1), np.full(101, 0.2), cpu)
    assert_array_equal(none, 0.0)
    bent = squared_bias(windows.resolve("hann"), times, 10 * times**2, np.full(101, 1e-9), np.full(101, 0.2), cpu)
    u = np.linspace(-0.5, 0.5, 20001)
    w = np.cos(np.pi * u) ** 2
    expected = (20 / 2 * 0.2**2 * (u**4 @ w) / (3 * (u**2 @ w))) ** 2
    assert_allclose(bent[25:-25], expected, rtol=1e-3)


def test_public_result_of_both_functions():
    fixed = ridges(AdaptiveShortTimeFFT("hann", 100.0, 10, FS), signal(np.full(N, 50.0), 0.1))
    assert_array_equal(fixed.win_length, 100.0)
    assert fixed.confidence == 0.95 and fixed.orders is None
    half = np.diff(fixed.interval, axis=-1)[..., 0] / 2
    assert_allclose(half, 1.959964 * fixed.uncertainty, rtol=1e-6)
    assert isinstance(fixed, adaptstft.Ridges)


# ------------------------------------------------------------------ bounds of the frequency


@pytest.mark.parametrize(("level", "most"), [(3.0, 0.2), (100.0, 0.5)])
def test_strong_components_out_of_bounds_do_not_attract_the_path(level, most):
    """They are up to 30 dB stronger, on both sides and at 0 Hz; what they leak into the windows moves the peaks."""
    law = 50 + 5 * np.sin(2 * np.pi * TIME)
    others = level * (np.cos(2 * np.pi * 7 * TIME) + np.cos(2 * np.pi * 110 * TIME) + 1.0)
    x = 3 * signal(law, 0.1) + others
    ridge = track(x, FS, f_bounds=(20, 80))
    error, inside = errors(ridge, law)
    assert np.median(np.abs(error)) < most
    held = np.abs(error) <= np.diff(ridge.interval[0], axis=-1)[inside, 0] / 2
    assert np.mean(held) > 0.85
    assert np.median(ridge.amplitude[0][inside]) == pytest.approx(3.0, rel=0.1)
    given = ridges(AdaptiveShortTimeFFT("hann", 128.0, 8, FS, mfft=512), x, f_bounds=(20, 80))
    assert np.median(np.abs(errors(given, law)[0])) < 1.0


@pytest.mark.parametrize(
    ("bounds", "other", "f"), [((20, 480), 7.0, 200.0), ((5, 200), 0.0, 70.0), ((20, 1e6), 7, 200)]
)
def test_wide_bounds_keep_strong_components_out(bounds, other, f):
    x = np.cos(2 * np.pi * f * TIME) + 100 * np.cos(2 * np.pi * other * TIME)
    sft = AdaptiveShortTimeFFT("hann", 128.0, 8, FS, mfft=512)
    for found in (track(x, FS, f_bounds=bounds), ridges(sft, x, f_bounds=bounds)):
        assert_allclose(np.median(found.frequency), f, atol=0.5)


def test_a_ridge_that_leaves_its_bounds_is_at_the_bound_and_uncertain():
    law = 30 + 35 * TIME
    ridge = track(signal(law, 0.05), FS, f_bounds=(20, 80))
    assert ridge.frequency.min() >= 20 and ridge.frequency.max() == 80
    error, inside = errors(ridge, law)
    low, high = (ridge.interval[0][inside, k] for k in (0, 1))
    truth = ridge.frequency[0][inside] - error
    assert np.mean((low <= truth) & (truth <= high)) > 0.85
    nearby = track(np.cos(2 * np.pi * 81 * TIME), FS, f_bounds=(20, 80))
    assert np.median(nearby.interval[0, :, 1]) > 81


def test_frequencies_are_within_their_bounds_where_nothing_is_in_them():
    rng = np.random.default_rng(3)
    x = np.cos(2 * np.pi * 10 * TIME) + 1e-3 * rng.standard_normal(TIME.size)
    for y in (x, x * np.exp(-2j * np.pi * 200 * TIME)):
        bounds = (60.0, 90.0) if np.isrealobj(y) else (-150.0, -120.0)
        ridge = track(y, FS, f_bounds=bounds, n_ridges=2)
        assert ridge.frequency.min() >= bounds[0] and ridge.frequency.max() <= bounds[1]


def test_negative_bounds_of_a_real_signal_are_those_of_its_mirror_image():
    x = np.cos(2 * np.pi * 150 * TIME)
    sft = AdaptiveShortTimeFFT("hann", 128.0, 8, FS, mfft=512, fft_mode="centered")
    assert_allclose(np.median(ridges(sft, x, f_bounds=(-200.0, 50.0)).frequency), -150, atol=0.5)


# ------------------------------------------------------------------ typical lengths


def typical_length(x, *, single=True):
    search = PathSearch(x, x, windows.resolve("hann"), FS, (16.0, 1000.0), None, np.ones(1), None, None, 1)
    return search.typical_length(single=single).length


def test_silence_around_harmonics_does_not_lengthen_the_windows():
    law = 60 + 10 * np.sin(2 * np.pi * np.arange(3000) / 700)
    voiced = sum(signal(k * law, 0.01, amplitude=1 / k) for k in (1, 2, 3))
    ridge = track(np.concatenate([np.zeros(3000), voiced, np.zeros(3000)]), FS, orders=(1, 2, 3))
    inside = (ridge.t > 3.2) & (ridge.t < 5.8)
    assert np.median(np.abs(ridge.frequency[0] - np.interp(ridge.t - 3, np.arange(3000) / FS, law))[inside]) < 0.5


def test_windows_of_the_typical_length_separate_the_orders():
    """In windows of 2 s the orders of some rates merge, and their sums are largest at other frequencies."""
    fs, t = 32.0, np.arange(0, 60, 1 / 32)
    for seed in (0, 2, 4):
        rng = np.random.default_rng(seed)
        beats = np.cumsum(0.9 * (1 + 0.1 * rng.standard_normal(80)))
        x = np.exp(-0.5 * ((t[:, np.newaxis] - beats) / 0.07) ** 2).sum(1)
        x += 0.15 * np.exp(-0.5 * ((t[:, np.newaxis] - beats - 0.35) / 0.1) ** 2).sum(1)
        x = np.gradient(x) + 0.02 * rng.standard_normal(t.size)
        bounds, hann = (0.67, 2.0), windows.resolve("hann")
        search = PathSearch(x, x, hann, fs, (16.0, 960.0), bounds, np.array([1.0, 2.0]), 0.25, None, 1)
        assert search.typical_length(single=True).length > 3 * fs
        rate = track(x, fs, orders=(1, 2), f_bounds=bounds, max_rate=0.25).frequency[0]
        assert np.median(np.abs(rate - 1.11)) < 0.1


def test_a_vibrato_in_noise_after_a_steady_line_decides_on_the_typical_length():
    t = np.arange(3000) / FS
    law = 150 + np.where(t < 1.5, 20 * (t - 1.5), 30 * np.sin(2 * np.pi * (t - 1.5) / 0.4))
    ratios, after = [], []
    for seed in range(8):
        x = signal(law, 1.25, seed)  # -5 dB
        ratios.append(typical_length(x, single=False) / typical_length(x))
        ridge = track(x, FS)
        late = (ridge.t > 1.7) & (ridge.t < 2.9)
        after.append(np.std((ridge.frequency[0] - np.interp(ridge.t, t, law))[late]))
    # windows whose energy is enough in the whole signal average the vibrato away, which leaves 20 to 24 Hz
    assert np.median(ratios) > 1.9 and np.median(after) < 5


def test_one_law_in_noise_has_the_typical_length_of_the_whole_signal():
    t = np.arange(3000) / FS
    signals = [signal(150 + 40 * np.sin(2 * np.pi * t / 0.4), 1.25, seed) for seed in range(6)]
    assert np.mean([typical_length(x) == typical_length(x, single=False) for x in signals]) > 0.9


def test_a_quiet_end_in_noise_does_not_shorten_the_typical_length():
    t = np.arange(3000) / FS
    x = np.exp(-t / 0.4) * signal(110 - 10 * t) + 0.3 * np.random.default_rng(0).standard_normal(3000)
    assert typical_length(x) == typical_length(x, single=False)


def test_a_short_vibrato_in_a_long_recording_is_followed():
    t = np.arange(10000) / FS
    law = 150 + np.where(t < 9, 5 * (t - 5), 30 * np.sin(2 * np.pi * 2.5 * t))
    for noise, most in ((0.007, 0.5), (0.7, 3.0)):  # 40 and 0 dB
        ridge = track(signal(law, noise), FS)
        late = (ridge.t > 9.1) & (ridge.t < 9.9)
        assert np.std((ridge.frequency[0] - np.interp(ridge.t, t, law))[late]) < most


def test_intervals_around_jumps_are_finite_without_noise():
    law = np.repeat([15.0, 40.0, 12.0, 50.0, 20.0, 35.0], 1000)
    ridge = track(signal(law, 0.007), FS)
    assert np.isfinite(ridge.uncertainty).all()


def test_a_window_that_is_much_too_long_does_not_bridge_frames_in_which_nothing_stands_out():
    length, frames = 32.0 * 2.0 ** (np.arange(11) / 2), 60
    frequency = np.full((11, frames), 100.0)
    frequency[-2:] = 130.0  # the mean over an oscillation
    usable = np.ones((11, frames), bool)
    usable[:, 25:35] = False
    usable[-2:] = True
    deviation = np.repeat(3.0 / length[:, np.newaxis], frames, axis=1)
    found = Estimates(length, frequency, deviation, np.ones((11, 1, frames)), usable)
    choices = [
        LengthChoice(found, windows.resolve("hann"), np.ones(frames), 16.0, 128.0, FS / 128, single).choose()
        for single in (True, False)
    ]
    alone, beside = (length[choice.place] for choice in choices)
    assert alone.max() < 500 and np.isinf(choices[0].variance[25:35]).all()
    assert beside[30] > 500  # beside another ridge only usable lengths are chosen
