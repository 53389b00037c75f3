"""Lengths of frames over a table of sums: the table against exact sums, and the path against all paths."""

import itertools

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy.interpolate import CubicHermiteSpline

import adaptstft
from adaptstft import criteria, datasets, kernels, windows
from adaptstft.criteria.neighbourhoods import Neighbourhoods
from adaptstft.criteria.scopes import FrameView
from adaptstft.engine.frames import make_frames
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.statistics import statistics
from adaptstft.kernels import cpu, plain
from adaptstft.tuning import evaluator, run
from adaptstft.tuning.stages import constant, frame_path
from adaptstft.tuning.tables import frame_sums, length_sums
from adaptstft.tuning.tables.end_sums import SumsWithEnds
from adaptstft.tuning.tables.frame_sums import FrameSums, _slopes
from adaptstft.tuning.tables.length_path import ChangePenalty, LengthPath, PathSearch

FS = 1000.0


BOTH = criteria.Combined([criteria.Renyi(), criteria.Shannon(power=1)])


def plan_of(mfft, window="hann", mode="onesided"):
    module = kernels.resolve("numba")[1]
    return FramePlan(mfft, mode, "psd", module, 1, windows.resolve(window), 1 / FS, amplitude=FS**0.5)


def speech(dtype):
    """A voice-like signal: a gliding pulse train through two resonances, with pauses, in noise."""
    rng = np.random.default_rng(0)
    t = np.arange(3000) / FS
    pulses = np.diff(np.floor(np.cumsum(20 + 8 * np.sin(2 * np.pi * t)) / FS), prepend=0.0)
    x = np.convolve(pulses, np.exp(-np.arange(80) / 20) * np.cos(0.9 * np.arange(80)))[: t.size]
    x = x * (np.sin(2 * np.pi * 1.1 * t) > -0.5) + 0.01 * rng.standard_normal(t.size)
    return (x * np.exp(0.2j * np.arange(t.size)) if np.dtype(dtype).kind == "c" else x).astype(dtype)[None]


# ---------------------------------------------------------------- the table


def test_the_table_reports_frames_times_fft_lengths(monkeypatch):
    done, reported = [0.0], []
    compute = length_sums.sums_of_longer_fft

    def work(plan, x, frames, *rest):
        done.append(done[-1] + plan.mfft * frames.positions.size)
        return compute(plan, x, frames, *rest)

    monkeypatch.setattr(length_sums, "sums_of_longer_fft", work)
    stats = criteria.Renyi().statistics
    FrameSums.of(plan_of(512), speech("float64"), stats, (8.0, 500.0), np.arange(20) * 50.0, reported.append)
    np.testing.assert_allclose(reported, np.array(done[1:]) / done[-1])


@pytest.mark.parametrize("bounds", [(4.0, 16.0), (16.0, 128.0), (100.0, 512.0)], ids=str)
@pytest.mark.parametrize("dtype", ["float64", "float32", "complex128"])
@pytest.mark.parametrize("window", ["hann", ("gaussian", 6.0), ("kaiser", 8.6)], ids=str)
@pytest.mark.parametrize(
    "criterion",
    [criteria.Renyi(), criteria.Shannon(), criteria.Shannon(power=1), criteria.Renyi(alpha=0.5), BOTH],
    ids=str,
)
def test_the_table_is_near_the_exact_sums(criterion, window, dtype, bounds):
    """Within the bounds that the theory page states."""
    x, stats = speech(dtype), criterion.statistics
    plan = plan_of(512, window, "centered" if x.dtype.kind == "c" else "onesided")
    positions = np.arange(60) * 50.0
    table = FrameSums.of(plan, x, stats, bounds, positions)
    win_length = np.exp(np.random.default_rng(1).uniform(*np.log(bounds), positions.size))
    frames = make_frames(win_length, positions, mfft=plan.mfft)
    exact = statistics(plan, x.astype(x.dtype if x.dtype.kind == "c" else float), frames, stats)[0]
    found = table.at(np.log(win_length)[:, None])[..., 0]
    scale = np.abs(exact)
    scale[stats.logs] = np.maximum(np.abs(exact[stats.logs]), exact[0])
    error = np.abs(found - exact) / scale
    if bounds[0] >= 16:
        assert error.max() < 0.06
        assert np.sqrt(np.mean(error**2)) < 0.006
    else:  # windows of a few samples see single samples come and go
        assert np.sqrt(np.mean(error**2)) < 0.02


def test_slopes_of_a_slow_cubic_are_exact_but_at_the_ends():
    k = np.arange(12.0)
    values = 1e-3 * (k**3 - 8 * k**2 + 2 * k)
    np.testing.assert_allclose(_slopes(values)[2:-2], (1e-3 * (3 * k**2 - 16 * k + 2))[2:-2], rtol=1e-9)


@pytest.mark.parametrize("module", [cpu, plain], ids=["numba", "numpy"])
@pytest.mark.parametrize("rows", [1, 4], ids=["one for all", "each its own"])
def test_frames_are_interpolated_by_hermite_cubics(module, rows, rng):
    values, slopes = rng.standard_normal((2, 3, 9, 6)).astype(np.float32)
    place = rng.uniform(-1, 7, (rows, 5))
    place[0, :3] = 0.0, 2.0, 5.0
    found = np.empty((3, 4, 5))
    module.interpolate_frames(values, slopes, place, 2, found)
    for k, frame in np.ndindex(3, 4):
        spline = CubicHermiteSpline(np.arange(6), values[k, frame + 2], slopes[k, frame + 2])
        inside = np.clip(place[frame % rows], 0, 5)
        np.testing.assert_allclose(found[k, frame], spline(inside), rtol=1e-9, atol=1e-9)


def test_a_sum_with_a_logarithm_is_relative_to_the_nearest_power():
    x, positions = speech("float64"), np.arange(60) * 50.0
    plan, stats = plan_of(512), BOTH.statistics
    table = FrameSums.of(plan, x, stats, (32.0, 128.0), positions)
    at_nodes = table.at(table.log_lengths)
    frames = make_frames(np.full(60, 32.0), positions, mfft=512)
    np.testing.assert_allclose(at_nodes[..., 0], statistics(plan, x, frames, stats)[0], rtol=2e-3)


def test_silent_frames_do_not_make_the_cubic_overshoot():
    x = np.zeros((1, 2000))
    x[0, 1000] = 1.0
    positions = np.arange(0, 2000, 40.0)
    table = FrameSums.of(plan_of(512), x, criteria.Renyi().statistics, (16, 512), positions)
    lengths = np.geomspace(16, 512, 400)
    found = table.at(np.log(lengths))
    assert np.all(np.isfinite(found)) and np.all(found >= 0)
    nodes = np.exp(table.values)
    assert np.all(found.max(axis=2) <= nodes.max(axis=2) * 1.01)


# ---------------------------------------------------------------- the dynamic programme


def cheapest_of_all(cost, places, log, reach, weight):
    frames, states = cost.shape

    def total(path):
        value = sum(cost[p, j] for p, j in enumerate(path))
        for p in range(1, frames):
            now, before = places[p, path[p]], places[p - 1, path[p - 1]]
            if abs(now - before) > reach[p - 1]:
                return np.inf
            change = log[now] - log[before]
            value += weight[p - 1] * abs(change)
        return value

    return min(map(total, itertools.product(range(states), repeat=frames)))


@pytest.mark.parametrize("module", [cpu, plain], ids=["numba", "numpy"])
@pytest.mark.parametrize("limited", [True, False], ids=["near", "any"])
@pytest.mark.parametrize("seed", range(8))
def test_advance_paths_finds_the_cheapest_path(seed, limited, module):
    rng = np.random.default_rng(seed)
    frames, states = 5, 4
    log = np.log(np.arange(3.0, 23.0))
    places = np.sort(rng.choice(20, (frames, states)), axis=1)
    cost, reach = (
        rng.standard_normal((frames, states)),
        rng.integers(2, 12, frames - 1) if limited else np.full(frames - 1, 19),
    )
    weight = rng.uniform(0, 1, frames - 1)
    total, previous = cost[0].copy(), np.empty((frames - 1, states), np.int16)
    module.advance_paths(cost[1:].copy(), places, log, reach, weight, total, previous)
    expected = cheapest_of_all(cost, places, log, reach, weight)
    if np.isinf(expected):
        assert np.isinf(total.min())
    else:
        assert total.min() == pytest.approx(expected, rel=1e-12)
        assert np.all(previous[-1, total.argmin()] >= 0)


# ---------------------------------------------------------------- the path


def search(criterion, *, most=np.inf, smoothness=0.0, frames=5, coarse=None):
    x = np.concatenate([np.zeros(40), [5.0], np.zeros(40), np.cos(0.9 * np.arange(120))])[None]
    plan = plan_of(128)
    positions = np.linspace(0, x.shape[1] - 1, frames)
    hood = Neighbourhoods.of_signal(x, 90.0)
    view = FrameView(positions, np.ones(frames), 1.0, hood)
    table = FrameSums.of(plan, x, criterion.statistics, (10, 120), positions)
    sums = SumsWithEnds.of(table, positions, x.shape[1])
    changes = np.ones(frames - 1)
    penalty = ChangePenalty(smoothness * changes, most * changes)
    found = PathSearch(sums, criterion, view, float(plan.f_pts), (10, 120), penalty, plan.kernels)
    if coarse is not None:
        found.coarse = np.linspace(0, found.lengths.size - 1, coarse).astype(int)
    return found


def value(one, places):
    sums = one.sums.at(one.log[places][:, None])[..., 0]
    return one.criterion.reduce(sums, one.counts, one.view).value + one.penalty.value(one.log[places])


@pytest.mark.slow
@pytest.mark.parametrize("smoothness", [0.0, 0.05])
@pytest.mark.parametrize("most", [70.0, np.inf])
@pytest.mark.parametrize("scope", ["local", "global", "frame"])
@pytest.mark.parametrize("kind", [criteria.Renyi, criteria.Shannon, criteria.Kurtosis, criteria.Hoyer])
def test_the_path_is_as_good_as_the_best_of_all_coarse_paths(kind, scope, most, smoothness):
    one = search(kind(scope=scope), most=most, smoothness=smoothness, coarse=5)
    paths = np.array(list(itertools.product(one.coarse, repeat=5)))
    steps = np.abs(np.diff(one.lengths[paths], axis=1))
    paths = paths[np.all(steps <= most + 1e-9, axis=1)]
    if scope == "frame":  # frames without energy are not in the mean
        sounding = np.array([np.sum(one.sums.at(one.log[path][:, None])[0, :, 0] > 1e-200) for path in paths])
        paths = paths[sounding == sounding.max()]
    best = min(value(one, path) for path in paths)
    found = one.solve(np.full(5, 120.0), lambda *_: False)
    unit = 0.02 if one.criterion.is_logarithm else 0.02 * abs(best)
    assert found.value <= best + unit
    assert np.all(np.abs(np.diff(found.win_length)) <= most + 1e-6)
    assert found.value == pytest.approx(value(one, np.searchsorted(one.lengths, found.win_length - 1e-9)), rel=1e-9)


def test_blocks_of_frames_change_nothing(monkeypatch):
    one = search(criteria.Renyi(scope="local"), most=40.0, smoothness=0.02, frames=12)
    expected = one.solve(np.full(12, 60.0), lambda *_: False)
    monkeypatch.setattr("adaptstft.tuning.tables.length_path._BLOCK", 100)
    for most in (1 << 26, 0):  # the origins of all paths are kept, or computed twice
        monkeypatch.setattr("adaptstft.tuning.tables.length_path._MOST_KEPT", most)
        again = one.solve(np.full(12, 60.0), lambda *_: False)
        np.testing.assert_array_equal(again.win_length, expected.win_length)
    plainly = search(criteria.Renyi(scope="local"), most=40.0, smoothness=0.02, frames=12)
    plainly.kernels = plain
    np.testing.assert_allclose(plainly.solve(np.full(12, 60.0), lambda *_: False).value, expected.value, rtol=1e-12)


def test_the_search_stops_when_it_is_told_to():
    one = search(criteria.Renyi(scope="local"), most=40.0)
    values = []
    found = one.solve(np.full(5, 60.0), lambda value, lengths: values.append((value, lengths.size)) or True)
    assert len(values) == 1 and values[0] == (found.value, 5)


# ---------------------------------------------------------------- the result


@pytest.fixture(scope="module")
def tuned():
    x = datasets.close_tones_and_clicks().x[1000:3001]
    settings = {"window_mode": "time", "hop": 8, "win_bounds": (16, 600), "detrend": None}
    return x, settings, adaptstft.optimize(x, FS, **settings)


def test_the_value_is_the_exact_one_and_the_difference_is_reported(tuned):
    x, settings, res = tuned
    fixed = {**settings, "window_mode": "fixed", "criterion": res.criterion, "mfft": res.sft.mfft}
    again = adaptstft.optimize(x, FS, win_length=res.win_length, **fixed)
    assert res.fun - res.prices == pytest.approx(again.fun, rel=1e-9)
    assert 0 < abs(res.approximation["difference"]) < 0.02
    assert res.approximation["lengths"] > 20
    assert "windows of" in res.summary()
    assert np.all(np.diff(res.history) <= 0)


def test_a_stopped_search_keeps_its_path():
    x = datasets.close_tones_and_clicks().x
    values = []

    def stop(intermediate_result):
        if intermediate_result.stage == "varying":
            values.append(intermediate_result.x)
            raise StopIteration

    res = adaptstft.optimize(x, FS, window_mode="time", callback=stop)
    assert len(values) == 1 and res.status == 99
    assert np.ptp(res.win_length) > 0
    assert_array_equal(res.win_length, values[0])
    assert res.starts[0]["fun_start"] > res.fun
    assert res.starts[0]["win_length_start"] != pytest.approx(res.starts[0]["win_length"], rel=0.01)


@pytest.mark.parametrize("criterion", ["renyi", criteria.Shannon(power=1), "description-length"], ids=str)
def test_time_reversal_mirrors_the_lengths(criterion):
    t = np.arange(1001) / FS
    x = np.concatenate([np.cos(2 * np.pi * (50 * t + 8 * t**2)), np.cos(2 * np.pi * (90 * t + 150 * t**2))[1:]])
    settings = {"window_mode": "time", "hop": 8, "win_bounds": (32, 600), "criterion": criterion, "detrend": None}
    res, back = adaptstft.optimize(x, FS, **settings), adaptstft.optimize(x[::-1], FS, **settings)
    assert res.win_length.max() > 2 * res.win_length.min()
    np.testing.assert_allclose(back.win_length[::-1], res.win_length, rtol=0.01)


def test_with_a_small_hop_the_path_has_every_few_frames(monkeypatch):
    t = np.arange(900) / FS
    x = np.cos(2 * np.pi * (50 * t + 150 * t**2))
    tables = []
    make = FrameSums.of.__func__

    def record(cls, plan, x, stats, bounds, positions, *more):
        tables.append(positions)
        return make(cls, plan, x, stats, bounds, positions, *more)

    monkeypatch.setattr(FrameSums, "of", classmethod(record))
    seen = []
    settings = {"window_mode": "time", "win_bounds": (32, 200), "callback": lambda part: seen.append(part.x.size)}
    fine, usual = (adaptstft.optimize(x, FS, hop=hop, **settings) for hop in (1, 8))
    assert tables[0].size == 114 and tables[0][-1] == 899  # every eighth frame, and the last
    assert fine.win_length.size == 900 and seen[-1] == usual.win_length.size and seen.count(900) > 0
    assert np.abs(np.diff(fine.win_length)).max() <= 2 * (1 + 1e-9)  # edges stay in order
    np.testing.assert_allclose(fine.win_length[::8], usual.win_length[: fine.win_length[::8].size], rtol=0.1)
    assert abs(fine.approximation["difference"]) < 1e-2


@pytest.mark.parametrize(
    ("settings", "shared"),
    [
        ({}, True),
        ({"min_overlap": None}, True),
        ({"hop_mode": "time"}, True),
        ({"min_overlap": None, "hop_mode": "time", "scope": "frame"}, False),  # no table at even positions
        ({"criterion": "description-length"}, False),  # another distortion
        ({"hop_mode": "constant"}, False),  # another hop for each length
        ({"hop": 2}, False),  # every few frames
        ({"mfft": None}, False),
        ({"win_bounds": None}, False),
    ],
)
def test_a_survey_of_the_same_frames_needs_no_pass_of_its_own(monkeypatch, settings, shared):
    t = np.arange(1500) / FS
    x = np.cos(2 * np.pi * (50 * t + 100 * t**2)) + (np.arange(1500) == 700)
    given = {"criterion": "renyi", "window_mode": "time", "hop": 30, "mfft": 512, "win_bounds": (24, 400)} | settings
    passes, transform = [], frame_sums.sums_for_lengths

    def record(plan, x, stats, lengths, *more):
        passes.append(lengths.size)
        return transform(plan, x, stats, lengths, *more)

    for module in (frame_sums, evaluator):
        monkeypatch.setattr(module, "sums_for_lengths", record)
    together = adaptstft.optimize(x, FS, **given)
    of_together = [size for size in passes if size]
    monkeypatch.setattr(frame_path, "_FEW_FRAMES", 0)
    passes.clear()
    apart = adaptstft.optimize(x, FS, **given)
    of_apart = [size for size in passes if size]
    assert len(of_together) == len(of_apart) - shared
    assert shared or of_together == of_apart
    np.testing.assert_allclose(together.win_length, apart.win_length, rtol=1e-4)
    np.testing.assert_allclose(together.survey.values, apart.survey.values, rtol=1e-6)


@pytest.mark.parametrize(
    ("criterion", "scope"),
    [("renyi", "frame"), ("renyi", "global"), ("renyi", "local"), ("description-length", "local")],
)
def test_values_of_a_survey_do_not_depend_on_how_many_are_computed_together(criterion, scope, monkeypatch):
    given = {"window_mode": "time", "hop": 25, "mfft": 512, "win_bounds": (30, 400), "criterion": criterion}
    x = speech("float64")[0, :1500]
    together = adaptstft.optimize(x, FS, scope=scope, **given)
    monkeypatch.setattr(evaluator, "_BLOCK", 100)
    apart = adaptstft.optimize(x, FS, scope=scope, **given)
    np.testing.assert_allclose(together.survey.values, apart.survey.values, rtol=1e-12)
    assert_array_equal(together.win_length, apart.win_length)


def test_a_path_at_a_given_hop_begins_in_the_survey_without_an_evaluation(monkeypatch):
    x = speech("float64")[0, :1500]
    monkeypatch.setattr(constant, "tune_constant", None)
    res = adaptstft.optimize(x, FS, window_mode="time", hop=25, win_bounds=(50, 400))
    assert res.win_length.size == 61 and [start["label"] for start in res.starts] == ["path"]


@pytest.mark.parametrize("bounds", [(16, 400), None])
def test_a_table_that_is_too_large_is_refused_before_any_work(monkeypatch, bounds):
    monkeypatch.setattr(frame_path, "_MOST_GIB", 1e-5)
    monkeypatch.setattr(run, "find_first", None)
    lengths = "41 lengths" if bounds else "at least 17 lengths"
    match = rf"251 frames and {lengths} would take 0.0 GiB, more than 1e-05: use a larger hop \(hop=4 was given\)"
    with pytest.raises(ValueError, match=match):
        adaptstft.optimize(np.cos(np.arange(1000.0)), FS, window_mode="time", hop=4, win_bounds=bounds)


@pytest.mark.parametrize("share", [0.75, 0.99])
def test_a_ratio_of_the_frame_bounds_is_kept(tuned, share):
    x, settings, res = tuned
    low, high = res.sft.frame_bounds(x.size)
    limit = 2.001 + share * (high / low - 2.001)
    within = adaptstft.optimize(x, FS, max_frame_ratio=limit, **settings)
    low, high = within.sft.frame_bounds(x.size)
    assert high / low <= limit * (1 + 1e-9)
    assert res.fun <= within.fun <= within.history[0]  # not worse than one length
    assert np.abs(np.diff(within.win_length)).max() <= 2 * within.hop * (1 + 1e-9)


@pytest.mark.parametrize("mode", ["time", "frequency", "time-frequency"])
def test_entropies_next_to_digital_silence(mode):
    t = np.arange(200) / FS
    tone, chirp = np.cos(400 * np.pi * t[:80]), np.cos(2 * np.pi * (50 * t + 100 * t**2))
    x = np.concatenate([np.zeros(300), tone, np.zeros(300), chirp, np.zeros(320)])
    scope = "frame" if mode == "time" else "local"
    res = adaptstft.optimize(x, FS, window_mode=mode, criterion="shannon", scope=scope, detrend=None, hop=32)
    assert abs(res.approximation["difference"]) < 0.01
    assert np.ptp(res.win_length) > 0


def test_paths_from_lengths_that_are_better_are_not_taken(tuned, monkeypatch):
    x, settings, res = tuned
    size = res.win_length.size
    wrong = LengthPath(np.where(np.arange(size) % 2, 16.0, 30.0), 0.0, np.ones((2, size)))
    monkeypatch.setattr(PathSearch, "solve", lambda *_: wrong)
    kept = adaptstft.optimize(x, FS, criterion="renyi", **settings)
    assert np.ptp(kept.win_length) < 1e-9


@pytest.mark.parametrize("make", [datasets.piecewise_tones, datasets.decaying_tones_with_clicks])
def test_frames_at_the_ends_have_their_own_best_length_where_changes_cost_nothing(make):
    signal = make()
    setting = {"window_mode": "time", "hop": 250, "mfft": 1500, "win_bounds": (20, 1500), "min_overlap": None}
    setting |= {"criterion": criteria.Kurtosis(scope="frame"), "scale_to": None, "detrend": None}
    found = adaptstft.optimize(signal.x, signal.fs, **setting)
    every = adaptstft.optimize(signal.x, signal.fs, **setting, method="grid", options={"step": 4})
    assert found.fun <= every.fun * (1 + 1e-4)
    assert found.fun < 0.99 * adaptstft.optimize(signal.x, signal.fs, **setting | {"window_mode": "constant"}).fun
