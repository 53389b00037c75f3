"""Methods to compare with: they find what theory says, and are evaluated as the result of a descent is."""

import functools

import autograd.numpy as anp
import numpy as np
import pytest

import adaptstft
from adaptstft import criteria, windows
from adaptstft.tuning.stages.chirp_rate import balanced_length, gaussian_width, measure_rates

FS = 1000.0
T = np.arange(4000) / FS
RATES = (10.0, 60.0, 400.0)


def chirp(rate, t=T, first=60.0):
    return np.cos(2 * np.pi * (first * t + rate / 2 * t**2))


def best_gaussian(rate):
    """Length in samples of six standard deviations of the best Gaussian window."""
    return 6 * FS / np.sqrt(2 * np.pi * rate)


def two_chirps():
    """A chirp of 10 Hz/s for two seconds, then one of 160 Hz/s."""
    t = T[:2000]
    return np.concatenate([chirp(10.0, t), chirp(160.0, t)])


@functools.cache
def tuned_two_chirps():
    return adaptstft.optimize(two_chirps(), FS, window=("gaussian", 6), window_mode="time", hop=40)


def typical(res, first, last):
    inside = (res.positions >= first) & (res.positions < last)
    return np.median(res.win_length[inside])


# ------------------------------------------------------------------ chirp rate


@pytest.mark.parametrize("rate", RATES, ids=str)
def test_chirp_rate_of_a_linear_chirp(rate):
    t = T[:1000] if rate > 100 else T
    x = chirp(rate, t)
    assert measure_rates(x[None], (16, 500)).typical() * FS**2 == pytest.approx(rate, rel=0.03)
    res = adaptstft.optimize(x, FS, window=("gaussian", 6), method="chirp-rate")
    assert res.win_length == pytest.approx(best_gaussian(rate), rel=0.03)
    assert res.message.startswith("a chirp rate of")


@pytest.mark.parametrize("window", ["hann", "blackman", ("kaiser", 8.6), ("gaussian", 6.0)], ids=str)
def test_chirp_rate_suits_every_window(window):
    tuned = adaptstft.optimize(chirp(60.0), FS, window=window)
    found = adaptstft.optimize(chirp(60.0), FS, window=window, method="chirp-rate")
    assert found.win_length == pytest.approx(tuned.win_length, rel=0.06)
    assert found.area_fun == pytest.approx(tuned.area_fun, abs=5e-3)


def test_balance_of_a_gaussian_window_is_its_width():
    length = balanced_length(windows.resolve(("gaussian", 9.0)), np.array([2e-5]))
    assert length[0] == pytest.approx(9 * gaussian_width(2e-5), rel=1e-3)


def test_chirp_rate_in_noise_and_of_complex_signals():
    rng = np.random.default_rng(0)
    noisy = chirp(60.0) + 0.2 * rng.standard_normal(T.size)
    analytic = np.exp(2j * np.pi * (-300 * T + 30 * T**2))
    for x in (noisy, analytic):
        res = adaptstft.optimize(x, FS, window=("gaussian", 6), method="chirp-rate")
        assert res.win_length == pytest.approx(best_gaussian(60.0), rel=0.05)


def test_a_tone_has_no_chirp_rate():
    res = adaptstft.optimize(np.cos(0.6 * np.arange(4000)), FS, method="chirp-rate", win_bounds=(16, 800))
    assert res.win_length == 800
    note = "the window length is at its upper bound of 800 samples = 800 ms; win_bounds=(16, 1600) allows longer ones"
    assert note in res.notes


# ------------------------------------------------------------------ chirps in sequence


@pytest.mark.parametrize("method", ["chirp-rate", "local-concentration", "grid"])
@pytest.mark.slow
def test_chirps_in_sequence(method):
    res = adaptstft.optimize(two_chirps(), FS, window=("gaussian", 6), window_mode="time", hop=40, method=method)
    # lengths of a geometric grid are the root of two apart, and the optimum is flat
    tolerance = {"chirp-rate": 0.06, "local-concentration": 0.25, "grid": 0.15}[method]
    assert typical(res, 700, 1400) == pytest.approx(best_gaussian(10.0), rel=tolerance)
    assert typical(res, 2400, 3600) == pytest.approx(best_gaussian(160.0), rel=tolerance)
    tuned = tuned_two_chirps()
    assert res.area_fun < tuned.initial_area_fun
    assert tuned.area_fun <= res.area_fun + 5e-3
    assert [start["label"] for start in res.starts] == [method]
    np.testing.assert_array_equal(res.positions, tuned.positions)
    assert res.criterion == tuned.criterion


def test_local_concentration_is_the_measure_of_its_authors():
    """The lengths chosen maximise sum |S|**4 / (sum |S|**2)**2, computed here from its definition."""
    x = two_chirps()
    res = adaptstft.optimize(
        x, FS, window_mode="time", hop=10, method="local-concentration", options={"ratio": 1.3, "width": 0.4}
    )
    at = [30, 90, 150, 280, 350]
    positions = res.positions[at]
    grid = np.unique(res.win_length)
    concentration = np.empty((grid.size, positions.size))
    for i, length in enumerate(grid):
        frames = {"positions": res.positions, "mfft": 2048, "scale_to": "psd"}
        sft = adaptstft.AdaptiveShortTimeFFT("hann", length, None, FS, **frames)
        P = sft.spectrogram(x - x.mean())
        weight = np.cos(np.pi * np.clip((res.positions - positions[:, None]) / 400, -0.5, 0.5)) ** 2
        concentration[i] = (weight @ (P**2).sum(axis=0)) / (weight @ P.sum(axis=0)) ** 2
    best = grid[concentration.argmax(axis=0)]
    assert np.abs(np.log(res.win_length[at] / best)).max() < np.log(1.3) * 1.01


# ------------------------------------------------------------------ grid


def brute_force(x, lengths, **options):
    return [
        adaptstft.optimize(x, FS, window_mode="fixed", win_length=int(length), **options).area_fun for length in lengths
    ]


@pytest.mark.parametrize(
    "options", [{}, {"hop": 8, "mfft": 512}, {"criterion": "hoyer"}, {"criterion": "renyi", "scope": "frame"}], ids=str
)
@pytest.mark.slow
def test_grid_is_a_loop_over_all_lengths(options):
    x = chirp(60.0, T[:1200])
    lengths = np.arange(150, 250)
    values = brute_force(x, lengths, **options)
    res = adaptstft.optimize(x, FS, win_bounds=(149.2, 249.9), method="grid", **options)
    assert res.win_length == lengths[np.argmin(values)]
    assert res.area_fun == pytest.approx(min(values), rel=1e-12)
    assert res.message == "the best of 100 integer lengths"
    assert res.nfev >= 100
    np.testing.assert_array_equal(res.survey.lengths, lengths)
    np.testing.assert_allclose(res.survey.values, values, atol=2e-5)


def test_grid_with_a_users_loss():
    def l1_over_l2(P):
        return anp.sum(anp.sqrt(P)) / anp.sqrt(anp.sum(P))

    options = {"criterion": l1_over_l2, "hop": 20, "mfft": 512}
    x = chirp(60.0, T[:1200])
    lengths = np.arange(100, 300, 4)
    res = adaptstft.optimize(x, FS, win_bounds=(100, 300), method="grid", options={"step": 4}, **options)
    values = brute_force(x, lengths, **options)
    assert res.win_length == lengths[np.argmin(values)]
    assert res.fun == pytest.approx(min(values))


def test_descent_reaches_the_grid():
    x = chirp(60.0)
    found = adaptstft.optimize(x, FS, hop=20, mfft=1024, win_bounds=(32, 1024), method="grid")
    tuned = adaptstft.optimize(x, FS, hop=20, mfft=1024, win_bounds=(32, 1024))
    assert abs(tuned.win_length - found.win_length) <= 1
    assert tuned.area_fun <= found.area_fun + 1e-9


def test_grid_of_frames_is_the_best_of_every_frame():
    x = two_chirps()[:2600]
    options = {"hop": 50, "mfft": 1024, "criterion": "renyi", "scope": "frame", "win_bounds": (100, 900)}
    options["detrend"] = "constant"
    res = adaptstft.optimize(x, FS, window_mode="time", method="grid", options={"step": 50}, **options)
    lengths = np.arange(100, 901, 50)
    assert set(res.win_length) <= set(lengths)
    values = np.empty((lengths.size, res.positions.size))
    for i, length in enumerate(lengths):
        frames = {"positions": res.positions, "mfft": 1024, "scale_to": "psd"}
        sft = adaptstft.AdaptiveShortTimeFFT("hann", length, None, FS, **frames)
        P = sft.spectrogram(x - x.mean())
        values[i] = np.log(np.sum((P / P.sum(axis=0)) ** 3, axis=0)) / -2
    np.testing.assert_array_equal(res.win_length, lengths[values.argmin(axis=0)])
    assert res.fun == pytest.approx(values.min(axis=0).mean())


def test_silent_stretches_follow_their_neighbours():
    x = chirp(60.0)
    x[1500:] = 0
    res = adaptstft.optimize(
        x, FS, detrend=None, window_mode="time", method="grid", win_bounds=(100, 500), hop=40, options={"step": 20}
    )
    assert np.ptp(res.win_length[res.positions > 2200]) == 0


# ------------------------------------------------------------------ Adam


@pytest.mark.parametrize(
    ("modes", "slack"),
    [
        ({}, 1e-4),
        ({"criterion": "kurtosis"}, 1e-4),
        ({"hop_mode": "constant"}, 1e-4),
        ({"window": ("kaiser", 6.0), "tune_shape": True}, 2e-3),
        ({"window_mode": "time", "hop": 40}, 5e-3),
        pytest.param({"window_mode": "time", "hop_mode": "time", "hop": 40}, 2e-2, marks=pytest.mark.full),
        ({"window_mode": "frequency", "hop": 40}, 5e-3),
    ],
    ids=str,
)
@pytest.mark.slow
def test_adam_reaches_the_value_of_lbfgsb(modes, slack):
    x = chirp(60.0, T[:1000]) + 0.05 * np.random.default_rng(0).standard_normal(1000)
    tuned = adaptstft.optimize(x, FS, **modes)
    res = adaptstft.optimize(x, FS, method="adam", **modes)
    assert res.area_fun <= tuned.area_fun + slack
    assert res.fun <= min(res.history) + 1e-9
    assert len(res.history) == res.nit + 1
    lengths = np.atleast_1d(res.win_length)
    assert lengths.min() >= 16 - 1e-9
    assert lengths.max() <= 500 + 1e-9


def test_adam_keeps_bounds_and_says_how_it_ended():
    res = adaptstft.optimize(chirp(60.0), FS, win_bounds=(16, 100), method="adam")
    assert res.win_length == 100
    assert res.success
    cut = adaptstft.optimize(
        chirp(60.0), FS, method="adam", options={"maxiter": 2, "lr": 0.01}, win_length=80, starts=1
    )
    assert cut.status == 1
    assert not cut.success
    assert any("limit of iterations" in note for note in cut.notes)
    assert 80 < cut.win_length < 80 * 1.03**8  # short steps


def test_adam_can_be_stopped():
    seen = []

    def stop(intermediate_result):
        seen.append(intermediate_result.fun)
        if len(seen) == 3:
            raise StopIteration

    res = adaptstft.optimize(chirp(60.0), FS, method="adam", callback=stop)
    assert len(seen) == 3
    assert res.status == 99


# ------------------------------------------------------------------ what there is not


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "grid", "window_mode": "frequency"}, "window_mode='frequency' must be 'constant' or 'time'"),
        ({"method": "grid", "window_mode": "fixed"}, "window_mode='fixed' must be 'constant' or 'time'"),
        ({"method": "local-concentration"}, "window_mode='constant' must be 'time' for method='local-concentration'"),
        ({"method": "chirp-rate", "hop_mode": "time"}, "hop_mode='time' must be 'fixed' for method='chirp-rate'"),
        ({"method": "grid", "hop_mode": "constant"}, "hop_mode='constant' must be 'fixed'"),
        ({"method": "grid", "smoothness": 1.0}, "smoothness=1.0 must be 0 for method='grid'"),
        ({"method": "grid", "starts": 2}, "starts= is for methods that descend, 'L-BFGS-B' and 'adam'"),
        ({"method": "grid", "win_length": 100}, "win_length= is for methods that descend"),
        ({"method": "grid", "callback": print}, "callback= is for methods that descend"),
        ({"method": "chirp-rate", "window": "kaiser", "tune_shape": True}, "tune_shape= is for methods that descend"),
        (
            {"method": "grid", "window_mode": "time", "scope": "global"},
            "scope='global' must be one of 'local', 'frame'",
        ),
        ({"method": "grid", "window_mode": "time", "criterion": "gini"}, "criterion='gini' must be a function of sums"),
        ({"method": "grid", "win_bounds": (20.2, 20.8)}, r"win_bounds=\(20.2, 20.8\) must hold an integer"),
        ({"method": "grid", "options": {"step": 0}}, r"options\['step'\]=0 must be at least 1"),
        ({"method": "grid", "options": {"maxiter": 3}}, "method='grid' has the options 'step', got 'maxiter'"),
        ({"method": "chirp-rate", "options": {"step": 3}}, "method='chirp-rate' has no options, got 'step'"),
        ({"options": {"learning_rate": 3}}, "method='L-BFGS-B' has the options 'maxcor', .*, got 'learning_rate'"),
        ({"method": "adam", "options": {"lr": 0}}, r"options\['lr'\]=0 must be greater than 0"),
        ({"method": "adam", "options": {"betas": (0.9, 1.0)}}, r"options\['betas'\]=.* less than 1"),
        ({"method": "adam", "options": {"betas": 0.9}}, r"options\['betas'\]=0.9 must be a pair"),
        ({"method": "adam", "options": {"factor": 1.5}}, r"options\['factor'\]=1.5 must lie between 0 and 1"),
        ({"method": "adam", "options": {"gtol": 1e-6}}, "method='adam' has the options 'lr', .*, got 'gtol'"),
        (
            {"method": "local-concentration", "window_mode": "time", "options": {"ratio": 1}},
            r"options\['ratio'\]=1 must",
        ),
        (
            {"method": "local-concentration", "window_mode": "time", "options": {"width": -1}},
            "must be greater than 0 s",
        ),
        ({"method": "newton"}, "method='newton' must be one of 'L-BFGS-B', 'adam', 'grid'"),
    ],
    ids=str,
)
def test_what_a_method_does_not_have_is_refused(arguments, message, monkeypatch):
    monkeypatch.setattr("adaptstft.tuning.entry.tune", None)  # before any work
    with pytest.raises(ValueError, match=message):
        adaptstft.optimize(chirp(60.0), FS, **arguments)


@pytest.mark.parametrize("method", ["grid", "chirp-rate", "local-concentration", "adam"])
def test_results_have_the_usual_form(method, tmp_path):
    modes = {"window_mode": "time"} if method == "local-concentration" else {}
    options = {"maxiter": 5} if method == "adam" else None
    x = np.stack([chirp(60.0, T[:900]), chirp(60.0, T[:900])])
    res = adaptstft.optimize(x, FS, method=method, options=options, **modes)
    assert np.isfinite([res.fun, res.area_fun, res.recommended.loss, *res.sensitivity.factors]).all()
    assert res.x.shape == res.jac.shape == np.atleast_1d(res.win_length).shape
    res.save(tmp_path / "found")
    assert adaptstft.load(tmp_path / "found.npz").summary() == res.summary()
    np.testing.assert_allclose(res.sft.istft(res.sft.stft(x), k1=900), x, atol=1e-12)


@pytest.mark.parametrize("n", [2, 3, 9, 40])
@pytest.mark.parametrize("window_mode", ["constant", "time"])
@pytest.mark.parametrize("method", ["grid", "chirp-rate", "local-concentration", "adam"])
def test_short_signals(method, window_mode, n):
    if method == "local-concentration" and window_mode == "constant":
        return
    x = np.random.default_rng(n).standard_normal(n)
    res = adaptstft.optimize(x, 10.0, method=method, window_mode=window_mode)
    np.testing.assert_allclose(res.sft.istft(res.sft.stft(x), k1=n), x, atol=1e-12)


def test_criteria_with_parameters_reach_the_grid():
    res = adaptstft.optimize(
        two_chirps(), FS, criterion=criteria.Renyi(width=0.5), method="grid", options={"step": 10}, window_mode="time"
    )
    assert res.criterion.width == 0.5
