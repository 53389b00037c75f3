"""The ratio of the frame bounds as a constraint, coverage as a term, and several criteria at once."""

import tracemalloc
from dataclasses import replace

import naive
import numpy as np
import pytest

import adaptstft
from adaptstft import criteria, kernels, windows
from adaptstft.engine.frames import make_frames
from adaptstft.engine.plan import FramePlan
from adaptstft.tuning.descent.common_direction import common_descent, shortest
from adaptstft.tuning.descent.multipliers import Excess, minimise_within
from adaptstft.tuning.penalties import frame_ratio
from adaptstft.tuning.penalties.coverage import coverage
from adaptstft.tuning.penalties.frame_ratio import largest_fraction, log_ratio, regular_ratio, smooth_log_ratio

DECAYS = adaptstft.datasets.decaying_tones_with_clicks()
CLICKS = np.zeros(4000)
CLICKS[np.arange(100, 4000, 250) + np.random.default_rng(4).integers(0, 100, 16)] = 1.0
POSITIONS = {"window_mode": "time", "hop_mode": "time", "hop": 100.0}


def ratio(res, n):
    low, high = res.sft.frame_bounds(n)
    return high / low


# ------------------------------------------------------------------ the ratio and its derivatives

N, MFFT = 2000, 256


def irregular(seed=3):
    rng = np.random.default_rng(seed)
    positions = np.arange(41) * 50.0 + rng.uniform(-5, 5, 41)
    return rng.uniform(120, 250, 41), positions


def transform(backend, window=("gaussian", 6.0), scaling="psd"):
    _, module = kernels.resolve(backend)
    return FramePlan(MFFT, "onesided", scaling, module, 2, windows.resolve(window), 1e-3)


@pytest.mark.parametrize("stretch", [1 << 22, 300])
def test_the_ratio_is_that_of_the_summed_squares_of_the_windows(backend, stretch, monkeypatch):
    monkeypatch.setattr(frame_ratio, "_STRETCH", stretch)
    win_length, positions = irregular()
    overlap = np.zeros(N)
    for length, t in zip(win_length, positions, strict=True):
        overlap += naive.scaled_window(("gaussian", 6.0), length, t, np.arange(N), "psd", 1000.0) ** 2
    found = log_ratio(transform(backend), make_frames(win_length, positions, mfft=MFFT), N)
    assert found == pytest.approx(np.log(overlap.max() / overlap.min()), rel=1e-10)


@pytest.mark.parametrize("scaling", [None, "magnitude", "psd"])
def test_the_smooth_ratio_has_the_derivatives_of_finite_differences(backend, scaling):
    win_length, positions = irregular()

    def value(win_length, positions, window=("gaussian", 6.0)):
        frames = make_frames(win_length, positions, mfft=MFFT)
        return smooth_log_ratio(transform(backend, window, scaling), frames, N, shape=True)

    exact, smooth, d = value(win_length, positions)
    assert smooth <= exact
    rng = np.random.default_rng(5)
    for _ in range(3):
        a, b, h = rng.standard_normal(41), rng.standard_normal(41), 1e-4
        change = (value(win_length + h * a, positions + h * b)[1] - value(win_length - h * a, positions - h * b)[1]) / (
            2 * h
        )
        assert d.win_length @ a + d.positions @ b == pytest.approx(change, rel=1e-4)
    up, down = (value(win_length, positions, ("gaussian", shape))[1] for shape in (6.0 + 1e-4, 6.0 - 1e-4))
    assert d.shape.sum() == pytest.approx((up - down) / 2e-4, rel=1e-4)


@pytest.mark.parametrize("window", ["hann", "blackman", ("kaiser", 14.0)])
@pytest.mark.parametrize("fraction", [0.11, 0.4, 0.77])
def test_regular_frames_have_the_ratio_of_a_transform(window, fraction):
    sft = adaptstft.AdaptiveShortTimeFFT(window, 1000.0, None, 1.0, positions=np.arange(30) * 1000 * fraction)
    n = int(sft.positions[-1]) + 1
    low, high = sft.frame_bounds(n)
    assert regular_ratio(windows.resolve(window), fraction) == pytest.approx(high / low, rel=0.02)


def test_regular_frames_that_are_close_take_little_memory():
    tracemalloc.start()
    assert regular_ratio(windows.resolve("hann"), 1 / 16384) == pytest.approx(2, rel=1e-3)  # inside and at the end
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100e6


def test_the_largest_fraction_is_where_the_limit_is_met():
    window = windows.resolve("hann")
    found = largest_fraction(window, 10.0, (0.05, 0.95))
    assert regular_ratio(window, found) <= 10 < regular_ratio(window, found * 1.02)
    assert largest_fraction(window, 1.01, (0.05, 0.95)) is None


# ------------------------------------------------------------------ the constraint


def test_the_method_of_multipliers_finds_the_constrained_minimum():
    target, limit = np.array([2.0, 1.0]), 1.0  # nearest point of the unit disc: target / |target|

    def excess(y):
        return Excess(float(y @ y - limit), float(y @ y - limit), 2 * y)

    from scipy.optimize import minimize

    def solve(function, begin):
        return minimize(function, begin, jac=True, method="L-BFGS-B")

    def distance(y):
        return np.sum((y - target) ** 2), 2 * (y - target)

    y, ended = minimise_within(distance, excess, solve, target, np.zeros(2))
    assert excess(y).exact <= 0
    np.testing.assert_allclose(y, target / np.sqrt(5), atol=0.01)  # the margin is a hundredth
    assert ended.success and ended.nit > 2


@pytest.mark.parametrize("limit", [20.0, 4.0])
@pytest.mark.slow
def test_tuned_positions_keep_the_ratio(limit):
    x = DECAYS.x[:1500]
    settings = {**POSITIONS, "starts": 1, "options": {"maxiter": 15}}
    settings |= {"evenness": 0, "smoothness": 0}  # which would do by themselves
    settings |= {"criterion": "renyi"}  # which leaves holes between the windows
    free = adaptstft.optimize(x, DECAYS.fs, **settings)
    held = adaptstft.optimize(x, DECAYS.fs, **settings, max_frame_ratio=limit)
    assert ratio(free, x.size) > limit
    assert ratio(held, x.size) <= limit * (1 + 1e-9)
    regular = min(start["fun_start"] for start in held.starts)
    assert held.fun < regular - 0.05  # what the constraint leaves is still tuned


@pytest.mark.slow
def test_a_hundred_is_kept_unless_another_ratio_is_asked_for():
    bounds = {"hop_bounds": (5, 400), "min_overlap": 0.06}
    res = adaptstft.optimize(DECAYS.x, DECAYS.fs, **POSITIONS, **bounds, starts=1, options={"maxiter": 20})
    assert ratio(res, DECAYS.x.size) <= 100 * (1 + 1e-9)


def test_one_length_keeps_the_ratio_by_its_lower_bound():
    loose = adaptstft.optimize(CLICKS, 1000.0, hop=100, min_overlap=0.05, max_frame_ratio=1000)
    tight = adaptstft.optimize(CLICKS, 1000.0, hop=100, min_overlap=0.05, max_frame_ratio=10)
    assert loose.win_length < tight.win_length
    assert 8 < ratio(tight, CLICKS.size) <= 10
    assert ratio(loose, CLICKS.size) > 100


def test_a_tuned_hop_and_a_tuned_shape_keep_the_ratio():
    x, fs = DECAYS.x, DECAYS.fs
    wide = {"window": ("gaussian", 10.0), "hop_mode": "constant", "min_overlap": 0.05}
    assert ratio(adaptstft.optimize(x, fs, **wide, max_frame_ratio=2.5), x.size) <= 2.5
    shape = {"window": ("gaussian", 6.0), "tune_shape": True, "hop": 100, "win_bounds": (200, 210)}
    free = adaptstft.optimize(CLICKS, 1000.0, **shape, max_frame_ratio=1e6)
    held = adaptstft.optimize(CLICKS, 1000.0, **shape, max_frame_ratio=11)
    assert ratio(free, CLICKS.size) > 11 >= ratio(held, CLICKS.size) * (1 - 1e-9)


@pytest.mark.full
def test_windows_per_frequency_keep_a_ratio_that_is_asked_for():
    x = adaptstft.datasets.chirps_in_parallel(duration=0.4).x
    setting = {"window_mode": "frequency", "hop": 40, "mfft": 128, "win_bounds": (50, 128), "min_overlap": 0.2}
    free = adaptstft.optimize(x, 1000.0, **setting)
    limit = 1 + 0.99 * (ratio(free, x.size) - 1)
    held = adaptstft.optimize(x, 1000.0, **setting, max_frame_ratio=limit)
    assert ratio(held, x.size) <= limit * (1 + 1e-3)  # the bounds are known to a thousandth
    assert "brought back" in held.message
    assert held.fun > free.fun


@pytest.mark.parametrize(
    "setting, message",
    [
        ({"max_frame_ratio": 2.0}, r"max_frame_ratio=2.0 must be greater than 2: the ends"),
        ({"max_frame_ratio": "2"}, r"max_frame_ratio='2' must be a real number"),
        ({"max_frame_ratio": 5, "min_overlap": None}, r"max_frame_ratio=5 is one of the guarantees that min_overlap"),
        ({"max_frame_ratio": 2.01, "window": ("gaussian", 20)}, r"max_frame_ratio=2.01 cannot be kept: frames of"),
        ({"max_frame_ratio": 3, "hop": 300, "win_bounds": (400, 450), "min_overlap": 0.1}, r"longer than 450 samples"),
        ({"coverage": -1.0}, r"coverage=-1.0 must be at least 0"),
        ({"coverage": 1.0}, r"coverage=1.0 is a penalty on holes between windows whose positions are free"),
    ],
    ids=["one", "type", "off", "tied", "given", "negative", "guarded"],
)
def test_bad_limits(setting, message):
    with pytest.raises((ValueError, TypeError), match=message):
        adaptstft.optimize(DECAYS.x, DECAYS.fs, **setting)


@pytest.mark.slow
def test_given_frames_beyond_the_limit_are_an_error():
    setting = {"window_mode": "fixed", "hop_mode": "time", "hop": 100, "min_overlap": 0.05, "max_frame_ratio": 3}
    with pytest.raises(ValueError, match=r"win_length=110 must lie in \[\d+\.\d+, 1500\] .*max_frame_ratio"):
        adaptstft.optimize(DECAYS.x, DECAYS.fs, **setting, win_length=110)
    lengths = np.where(np.arange(31) % 8, 190.0, 1500.0)
    with pytest.raises(ValueError, match=r"max_frame_ratio=3 cannot be kept: the frame bounds of the windows to start"):
        adaptstft.optimize(DECAYS.x, DECAYS.fs, **setting, win_length=lengths)


# ------------------------------------------------------------------ coverage


def test_coverage_is_the_share_of_samples_under_windows():
    rng = np.random.default_rng(1)
    win_length, positions, n = rng.uniform(5, 60, 20), np.sort(rng.uniform(0, 999, 20)), 1000
    fine = np.linspace(0, n - 1, 200_001)
    under = np.any(np.abs(fine[:, None] - positions) <= win_length / 2, axis=1)
    value, by_win_length, by_positions = coverage(win_length, positions, n)
    assert 0.2 < value == pytest.approx(under.mean(), abs=1e-4)
    for j in range(20):
        step = np.zeros(20)
        step[j] = 1e-4
        assert (
            coverage(win_length + step, positions, n)[0] - coverage(win_length - step, positions, n)[0]
        ) / 2e-4 == pytest.approx(by_win_length[j], abs=1e-9)
        assert (
            coverage(win_length, positions + step, n)[0] - coverage(win_length, positions - step, n)[0]
        ) / 2e-4 == pytest.approx(by_positions[j], abs=1e-9)


def test_the_term_closes_holes_between_free_positions():
    x = adaptstft.datasets.piecewise_tones().x
    setting = {**POSITIONS, "min_overlap": None, "hop": 500.0, "win_bounds": (50, 400), "win_length": 300.0}
    setting |= {"starts": 1, "criterion": "kurtosis", "scope": "frame", "mfft": 1500}
    covered = {}
    for weight in (0.0, 10.0):
        res = adaptstft.optimize(x, 1000.0, **setting, coverage=weight)
        covered[weight] = coverage(res.win_length, res.positions, x.size)[0]
    assert covered[10.0] > covered[0.0] + 0.1


# ------------------------------------------------------------------ several criteria

CHIRP = adaptstft.datasets.linear_chirp(rate=60.0, duration=2.0)
SFT = adaptstft.AdaptiveShortTimeFFT("hann", 150.0, 20, CHIRP.fs)


def test_a_weighted_combination_is_tuned_to_a_compromise():
    alone = [adaptstft.optimize(DECAYS.x, DECAYS.fs, criterion=name).win_length for name in ("lp", "renyi")]
    both = adaptstft.optimize(DECAYS.x, DECAYS.fs, criterion=criteria.Combined(["lp", "renyi"])).win_length
    assert alone[0] * 1.1 < both < alone[1] / 1.1


@pytest.mark.slow
def test_a_min_norm_descent_lets_no_objective_grow(tmp_path):
    both = criteria.Combined(["renyi", "lp"], [1.0, 0.1], rule="min-norm")
    setting = {"window_mode": "time", "hop": 100, "criterion": both, "win_length": 600.0, "starts": 1}
    setting |= {"evenness": 0, "smoothness": 0}  # the rule is about the criteria
    res = adaptstft.optimize(DECAYS.x, DECAYS.fs, **setting)
    assert res.fun < res.starts[0]["fun_start"] - 0.01
    start = adaptstft.optimize(DECAYS.x, DECAYS.fs, **setting, options={"maxiter": 0})
    for part in both.weighted_parts():
        scoped = replace(res.criterion, parts=part.parts, weights=part.weights)
        after, before = (r.sft.value_and_grad(DECAYS.x, scoped, wrt=())[0] for r in (res, start))
        assert after <= before + 1e-6
    res.save(tmp_path / "both.npz")
    assert adaptstft.load(tmp_path / "both.npz").criterion == res.criterion


def test_the_shortest_vector_of_a_hull():
    np.testing.assert_allclose(shortest(np.array([[1.0, 0.0], [0.0, 1.0]])), [0.5, 0.5], atol=1e-7)
    np.testing.assert_allclose(shortest(np.array([[1.0, 0.0], [3.0, 0.1]])), [1.0, 0.0], atol=1e-7)
    np.testing.assert_allclose(shortest(np.array([[1.0, 0.0], [-2.0, 0.0]])), [0.0, 0.0], atol=1e-7)


def test_common_descent_ends_between_the_minima_and_within_the_bounds():
    first, second = np.array([1.0, 0.0, 2.0]), np.array([-1.0, 2.0, 0.0])

    def objectives(y):
        d = np.array([y - first, y - second])
        return (d**2).sum(axis=1), 2 * d

    seen = []
    res = common_descent(objectives, np.full(3, 3.0), [(-5, 5)] * 3, lambda r: seen.append(r.fun), {})
    along = (res.x - first) @ (second - first) / np.sum((second - first) ** 2)
    np.testing.assert_allclose(res.x, first + along * (second - first), atol=1e-4)
    assert 0 <= along <= 1 and res.success and seen == sorted(seen, reverse=True)
    held = common_descent(objectives, np.full(3, 3.0), [(-5, 5), (2.5, 5), (-5, 5)], lambda r: None, {})
    assert held.x[1] == 2.5
    short = common_descent(objectives, np.full(3, 3.0), [(-5, 5)] * 3, lambda r: None, {"maxiter": 1})
    assert short.nit == 1 and not short.success


@pytest.mark.parametrize(
    "setting, message",
    [
        ({"method": "adam"}, r"method='adam' must be left out for rule='min-norm'"),
        ({"options": {"maxcor": 5}}, r"rule='min-norm' has the options maxiter"),
    ],
    ids=["adam", "option"],
)
def test_min_norm_has_a_descent_of_its_own(setting, message):
    both = criteria.Combined(["renyi", "lp"], rule="min-norm")
    with pytest.raises(ValueError, match=message):
        adaptstft.optimize(DECAYS.x, DECAYS.fs, criterion=both, **setting)


# ------------------------------------------------------------------ starts


@pytest.mark.slow
def test_starts_give_the_same_whatever_the_number_of_threads():
    settings = {"window_mode": "time", "options": {"maxiter": 5}}
    one, two = (adaptstft.optimize(DECAYS.x[:1500], DECAYS.fs, **settings, workers=k) for k in (1, 2))
    assert [start["label"] for start in one.starts] == [start["label"] for start in two.starts]
    assert one.starts == two.starts and one.nfev == two.nfev
    np.testing.assert_array_equal(one.win_length, two.win_length)


def test_a_start_that_is_given_replaces_its_like():
    found = adaptstft.optimize(CHIRP.x, CHIRP.fs)
    like = adaptstft.optimize(CHIRP.x, CHIRP.fs, win_length=found.starts[0]["win_length_start"])
    labels = [start["label"] for start in like.starts]
    assert "grid 1" in [start["label"] for start in found.starts] and "given" in labels
    assert "grid 1" not in labels


def test_cosine_coefficients_are_tuned_within_continuous_windows():
    start = ("general_cosine", [0.42, 0.5, 0.08])
    fixed = adaptstft.optimize(CHIRP.x, CHIRP.fs, window=start, hop=20)
    tuned = adaptstft.optimize(CHIRP.x, CHIRP.fs, window=start, hop=20, tune_shape=True)
    assert tuned.area_fun < fixed.area_fun - 1e-4
    assert tuned.sft.window.shape != fixed.sft.window.shape
    assert tuned.sft.window.end_value <= windows.MAX_END_VALUE
