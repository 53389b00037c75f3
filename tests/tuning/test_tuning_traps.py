"""Ways in which tuning could go wrong without a word, one test each."""

import copy
import multiprocessing
import pickle

import autograd.numpy as anp
import numpy as np
import pytest
from autograd.tracer import getval
from framed import on_frames
from numpy.testing import assert_allclose

import adaptstft
from adaptstft import AdaptiveShortTimeFFT, criteria, datasets
from adaptstft.tuning.tables.survey import Survey

FS = 1000.0
T = np.arange(3000) / FS
CHIRP = np.cos(2 * np.pi * (100 * T + 30 * T**2))
BEST = 267.0  # samples of the best Hann window for the entropy of order three

NAMES_AND_SCOPES = [
    (name, scope)
    for name in criteria.names()
    for scope in ("global", "frame", "local")
    if (name, scope) != ("description-length", "frame")  # refused: see test_description
]


def l1_over_l2(P):
    return anp.sum(anp.sqrt(P + 1e-300)) / anp.sqrt(anp.sum(P))


@pytest.mark.parametrize("modes", [{}, {"window_mode": "time"}, {"hop_mode": "time"}], ids=str)
@pytest.mark.parametrize(("name", "scope"), NAMES_AND_SCOPES)
def test_every_criterion_in_every_scope_and_mode(name, scope, modes):
    x = CHIRP[:600]
    res = adaptstft.optimize(x, FS, criterion=name, scope=scope, options={"maxiter": 2}, starts=1, **modes)
    assert res.criterion.scope == scope
    assert np.isfinite([res.fun, res.area_fun, res.initial_area_fun, *res.sensitivity.factors]).all()
    assert res.summary()


@pytest.mark.parametrize("start", [4.0, 8.0, 16.0, 1500.0])
def test_one_descent_is_not_stopped_by_the_length_of_its_fft(start):
    res = adaptstft.optimize(CHIRP, FS, win_length=start, starts=1, win_bounds=(4, 1500), criterion="renyi")
    assert res.win_length == pytest.approx(BEST, rel=0.02)
    assert res.notes == []


@pytest.mark.parametrize("modes", [{}, {"window_mode": "time"}, {"scope": "local"}], ids=str)
def test_the_value_can_be_had_again_from_the_result(modes):
    res = adaptstft.optimize(CHIRP, FS, hop=16, detrend=None, options={"maxiter": 3}, **modes)
    value, _ = on_frames(res).value_and_grad(CHIRP, res.criterion, wrt=())
    assert value == pytest.approx(res.fun - res.prices, rel=1e-9)


def test_neighbourhoods_do_not_depend_on_the_start():
    found = {
        adaptstft.optimize(
            CHIRP, FS, window_mode="time", hop=16, win_length=start, starts=1, options={"maxiter": 1}
        ).criterion.width
        for start in (100.0, 350.0, 700.0)
    }
    assert len(found) == 1


@pytest.mark.parametrize("factor", [1e-9, 1.0, 1e9])
def test_losses_of_any_size_are_tuned(factor):
    res = adaptstft.optimize(
        CHIRP, FS, criterion=lambda P: factor * l1_over_l2(P), hop=16, win_length=80.0, starts=1, win_bounds=(40, 900)
    )
    assert res.win_length == pytest.approx(262, rel=0.05)


def test_a_hop_that_is_tuned_does_not_hold_the_window():
    free = adaptstft.optimize(CHIRP, FS, hop_mode="constant")
    from_long = adaptstft.optimize(CHIRP, FS, hop_mode="constant", hop=200.0)
    assert from_long.win_length == pytest.approx(free.win_length, rel=0.01)
    assert from_long.hop == pytest.approx(free.hop, rel=0.01)
    np.testing.assert_allclose(free.x, [free.win_length, free.hop])
    assert free.jac.shape == (2,)


def test_the_hop_of_a_users_loss_is_searched():
    kept = adaptstft.optimize(CHIRP, FS, criterion=l1_over_l2, window_mode="fixed", win_length=200, hop=80, mfft=400)
    tuned = adaptstft.optimize(
        CHIRP, FS, criterion=l1_over_l2, hop_mode="constant", win_length=200, hop=20.0, mfft=400, starts=1
    )
    assert tuned.fun <= kept.fun * 1.01
    assert tuned.hop > 60


def test_a_line_search_that_fails_far_from_an_optimum_is_no_success():
    def uphill(P):  # the value of a loss with the slope of its negative
        value = l1_over_l2(P)
        return 2 * getval(value) - value

    res = adaptstft.optimize(CHIRP, FS, criterion=uphill, hop=50, win_length=120, starts=1, win_bounds=(100, 1000))
    assert not res.success
    assert res.status == 2
    assert res.win_length == pytest.approx(120)


@pytest.mark.parametrize("factor", [1e-200, 1e-60, 1e60, 1e200])
@pytest.mark.parametrize("modes", [{}, {"window_mode": "time"}], ids=str)
@pytest.mark.slow
def test_any_amplitude_that_a_double_holds(factor, modes):
    x = CHIRP[:600]
    plain, scaled = (adaptstft.optimize(a * x, FS, options={"maxiter": 3}, starts=1, **modes) for a in (1.0, factor))
    np.testing.assert_allclose(scaled.win_length, plain.win_length, rtol=1e-6)
    local = criteria.Renyi(scope="local", width=0.3)
    values = [plain.sft.value_and_grad(a * x, local, wrt=())[0] for a in (1.0, factor)]
    assert values[0] == pytest.approx(values[1], rel=1e-9)


@pytest.mark.parametrize("x", [np.full(1001, 0.1), np.full(77, 3.3, np.float32)])
def test_rounding_noise_is_silence(x):
    with pytest.raises(ValueError, match="silent once its trend is removed"):
        adaptstft.optimize(x, FS)


def test_a_ramp_without_its_trend_is_silence():
    with pytest.raises(ValueError, match="silent once its trend is removed"):
        adaptstft.optimize(3 + 0.1 * np.arange(1000), FS, detrend="linear")


@pytest.mark.slow
@pytest.mark.parametrize("bounds", [(50, 60), (2, 10)])
@pytest.mark.parametrize("modes", [{"hop_mode": "time"}, {"hop_mode": "time", "window_mode": "time"}, {}], ids=str)
def test_bounds_of_the_hop_are_kept(bounds, modes):
    res = adaptstft.optimize(CHIRP[:1500], FS, hop_bounds=bounds, options={"maxiter": 5}, **modes)
    steps = np.diff(res.positions)
    assert bounds[0] * (1 - 1e-9) <= steps.min() <= steps.max() <= bounds[1] * (1 + 1e-9)


def _in_a_worker(seed):
    return adaptstft.optimize(CHIRP + 0.01 * np.random.default_rng(seed).standard_normal(3000), FS)


@pytest.mark.slow
def test_results_cross_processes_and_copies():
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        res = pool.apply(_in_a_worker, (0,))
    here = _in_a_worker(0)
    # the linear algebra of another process may round differently
    assert_allclose(res.win_length, here.win_length, rtol=1e-9)
    for again in (pickle.loads(pickle.dumps(here)), copy.deepcopy(here)):
        assert again.summary() == here.summary()
        np.testing.assert_array_equal(again.sft.stft(CHIRP), here.sft.stft(CHIRP))
    for window in ("hann", ("tukey", 0.3), ("general_cosine", [0.5, 0.4, 0.1])):
        sft = AdaptiveShortTimeFFT(window, 33.3, 8.1, FS, fft_mode="centered", scale_to="psd", phase_shift=3)
        again = pickle.loads(pickle.dumps(sft))
        assert again.window == sft.window
        np.testing.assert_array_equal(again.stft(CHIRP), sft.stft(CHIRP))


@pytest.mark.parametrize("stage", ["constant", "varying"])
def test_stopping_in_any_stage_gives_a_result_in_form(stage):
    stages = []

    def stop(intermediate_result):
        stages.append((intermediate_result.stage, intermediate_result.x.size))
        assert np.all(intermediate_result.x > 0)
        if intermediate_result.stage == stage:
            raise StopIteration

    res = adaptstft.optimize(CHIRP, FS, window_mode="time", callback=stop)
    assert {stage: size for stage, size in stages}["constant"] == 1
    assert res.x.shape == res.jac.shape == res.win_length.shape == res.positions.shape
    assert res.status == 99
    assert not res.success
    assert res.message == "stopped by the callback"
    if stage == "varying":
        assert stages[-1] == ("varying", res.positions.size)
        assert [one for one, _ in stages].count("varying") == 1


def test_frame_kurtosis_is_no_logarithm():
    res = adaptstft.optimize(CHIRP, FS, criterion="kurtosis", scope="frame", hop=16, mfft=1000, win_bounds=(40, 900))
    assert not res.criterion.is_logarithm
    assert res.sensitivity.tolerance == pytest.approx(0.01 * abs(res.area_fun))


def test_flatness_is_not_cut_off_by_the_fft():
    short, long = (
        adaptstft.optimize(CHIRP, FS, window_mode="fixed", win_length=100.0, hop=12, mfft=m).sensitivity.win_length[1]
        for m in (None, 1500)
    )
    # what a longer FFT shows is interpolated between the bins of a shorter one
    assert short == pytest.approx(long, rel=0.02)


def test_all_that_was_evaluated_is_counted():
    res = adaptstft.optimize(CHIRP, FS, win_bounds=(16, 1000))
    grid = 13  # 16 to 1000 in ratios of at most the root of 2
    assert res.nfev == grid + sum(start["nfev"] for start in res.starts)


def test_minima_come_best_first():
    lengths = np.geomspace(16, 512, 11)
    values = np.array([5.0, 4, 5, 3, 5, 3.9, 5, 6, 2.9, 7, 8])
    found = Survey(lengths, values, None).minima(3)
    assert [int(np.argmin(np.abs(np.log(lengths / f)))) for f in found] == [8, 3, 5]
    assert len(Survey(lengths, values, None).minima(9, margin=0.5)) == 2
    # between grid points the minimum of a parabola in the log length is exact
    (between,) = Survey(lengths, (np.log(lengths) - np.log(70.0)) ** 2, None).minima(1)
    assert between == pytest.approx(70.0, rel=1e-12)


def test_two_minima_make_two_starts():
    signal = datasets.close_tones_and_clicks(click_height=40)
    res = adaptstft.optimize(signal.x, signal.fs, criterion="shannon")
    assert len({start["label"].split(",")[0] for start in res.starts}) >= 2
    assert res.area_fun == min(start["area_fun"] for start in res.starts)


@pytest.mark.parametrize(("height", "refined"), [(10.0, 1), (40.0, 2)], ids=["far above", "near"])
def test_a_minimum_far_above_the_best_one_is_not_refined(height, refined):
    signal = datasets.close_tones_and_clicks(click_height=height)
    res = adaptstft.optimize(signal.x, signal.fs)
    assert len(res.survey.minima(3)) == 2
    assert len({start["label"].split(",")[0] for start in res.starts}) == refined
    # the best of them by the same frames
    lengths = [float(start["win_length"]) for start in res.starts]
    settings = {"window_mode": "fixed", "criterion": criteria.DescriptionLength(margin=max(lengths) / 2 / signal.fs)}
    values = [adaptstft.optimize(signal.x, signal.fs, win_length=length, **settings).area_fun for length in lengths]
    assert res.win_length == pytest.approx(lengths[int(np.argmin(values))])
    one = adaptstft.optimize(signal.x, signal.fs, criterion="shannon", starts=1)
    assert len({start["label"].split(",")[0] for start in one.starts}) == 1


@pytest.mark.parametrize("criterion", ["renyi", "description-length"])
def test_the_gain_is_that_over_the_transform_before(criterion):
    res = adaptstft.optimize(CHIRP, FS, win_length=60.0, hop=20, mfft=600, detrend=None, criterion=criterion)
    before = res.initial.value_and_grad(CHIRP, res.criterion, wrt=())[0]
    # the same framing: values differ as their integrals do, but for the frames at the ends
    assert res.initial_area_fun - res.area_fun == pytest.approx(before - res.fun, abs=0.01)
    assert res.initial.win_length == 60.0


def test_windows_that_would_leave_the_legal_ones_are_not_tuned():
    with pytest.raises(ValueError, match=r"cannot be tuned: it still has the value 0.1 at its ends"):
        adaptstft.optimize(CHIRP, FS, window=("general_cosine", [0.55, 0.45]), tune_shape=True)
    adaptstft.windows.register(
        "wide", lambda u, a: a + (1 - a) * anp.cos(anp.pi * u), shape=[0.0], shape_bounds=[(0, 1)]
    )
    with pytest.raises(ValueError, match="cannot be tuned: it still has the value 1 at its ends"):
        adaptstft.optimize(CHIRP, FS, window="wide", tune_shape=True)


def test_a_jump_inside_a_window_is_seen():
    with pytest.raises(ValueError, match="jumps by 1 inside its support"):
        adaptstft.optimize(CHIRP, FS, window=lambda u: anp.where(anp.abs(u) < 0.25, 1.0, 0.0))


def test_time_on_the_first_axis_is_refused():
    x = np.stack([CHIRP, CHIRP[::-1]], axis=1)
    with pytest.raises(ValueError, match=r"3000 channels of 2 samples; .* pass axis=0 or x\.T, otherwise axis=1"):
        adaptstft.optimize(x, FS)
    meant = adaptstft.optimize(x, FS, axis=1)
    assert any("3000 channels of 2 samples: if time is another axis" in note for note in meant.notes)


@pytest.mark.slow
def test_hints():
    short = adaptstft.optimize(CHIRP[:10], FS)
    assert any("only one window length is allowed" in note for note in short.notes)
    click = np.where(T > 1.5, 0, CHIRP) + 40 * (T == 2.0)
    held = adaptstft.optimize(click, FS, window_mode="time", hop=100, smoothness=0, criterion="renyi")
    assert any("a smaller hop allows shorter windows" in note for note in held.notes)
    cut = adaptstft.optimize(CHIRP, FS, hop_mode="time", hop=20, options={"maxiter": 1}, criterion="renyi")
    assert any("limit of iterations" in note for note in cut.notes)


def test_the_result_keeps_its_own_signal():
    x = CHIRP.copy()
    res = adaptstft.optimize(x, FS)
    x[:] = 0
    np.testing.assert_array_equal(res.signal, CHIRP)


def test_masked_samples_are_refused():
    x = np.ma.masked_greater(CHIRP, 0.999)
    with pytest.raises(ValueError, match=r"x has .* masked values"):
        adaptstft.optimize(x, FS)


def test_messages_stay_short():
    with pytest.raises(TypeError, match=r"window=\[\[0.0, 0.0, .* must be a name"):
        adaptstft.optimize(CHIRP, FS, window=np.zeros((256, 256)).tolist())
    with pytest.raises(TypeError, match=r"fs=<array of shape \(3000,\)> must be a real number"):
        adaptstft.optimize(FS, CHIRP)
    with pytest.raises(TypeError, match=r"criterion=Renyi is a class; pass an instance, Renyi\(\)"):
        adaptstft.optimize(CHIRP, FS, criterion=criteria.Renyi)
    with pytest.raises(TypeError, match=r"AdaptiveShortTimeFFT\.__init__\(\) missing"):
        AdaptiveShortTimeFFT("hann", 256, 64)
