"""``optimize``: modes, guarantees, starts, callbacks, and what comes back."""

from dataclasses import replace

import autograd.numpy as anp
import numpy as np
import pytest
from framed import on_frames
from numpy.testing import assert_allclose, assert_array_equal

import adaptstft
from adaptstft import criteria, datasets
from adaptstft.engine.frames import frame_count
from adaptstft.tuning.descent.objective import Objective

FS = 1000.0


@pytest.fixture(scope="module")
def chirp_and_click():
    rng = np.random.default_rng(3)
    t = np.arange(2000) / FS
    x = np.cos(2 * np.pi * (60 * t + 40 * t**2)) + 0.1 * rng.standard_normal(t.size)
    x[1200] += 15
    return x


@pytest.fixture(scope="module")
def short(chirp_and_click):
    """Eight hundred samples with the click in their middle, where a tuned length for every frame is cheap."""
    return chirp_and_click[800:1600]


def smallest_overlap(res):
    """Least overlap of neighbouring windows as a fraction of the shorter one."""
    win_length = np.broadcast_to(res.win_length, res.positions.shape)
    overlap = (win_length[1:] + win_length[:-1]) / 2 - np.diff(res.positions)
    return np.min(overlap / np.minimum(win_length[1:], win_length[:-1]))


@pytest.mark.slow
@pytest.mark.parametrize("given", [{}, {"hop": 40}, {"hop": 40.0, "win_length": 200}, {"hop": 33.3, "mfft": 601}])
@pytest.mark.parametrize("hop_mode", ["fixed", "constant", "time"])
@pytest.mark.parametrize("window_mode", ["constant", "time"])
def test_every_mode_improves_and_keeps_its_guarantees(short, window_mode, hop_mode, given):
    x = short
    res = adaptstft.optimize(x, FS, window_mode=window_mode, hop_mode=hop_mode, options={"maxiter": 25}, **given)
    assert all(start["fun"] <= start["fun_start"] for start in res.starts)
    assert res.positions[0] == 0
    assert res.positions[-1] >= x.size - 1
    assert smallest_overlap(res) >= 0.5 * (1 - 1e-9)
    lower, upper = res.sft.frame_bounds(x.size)
    assert lower > 1e-3 * upper
    back = res.sft.istft(res.sft.stft(x), k1=x.size)
    assert_allclose(back, x, atol=1e-12 * np.abs(x).max())
    if hop_mode == "fixed":
        hop = given.get("hop", res.hop)
        assert_array_equal(res.positions, np.arange(frame_count(x.size, hop)) * hop)
    if hop_mode == "time":
        steps = np.diff(res.positions)
        mean = steps.mean()
        assert np.all((steps >= mean / 4 * (1 - 1e-9)) & (steps <= 4 * mean * (1 + 1e-9)))
    assert np.ndim(res.win_length) == (1 if window_mode == "time" else 0)


def test_types_of_the_result(chirp_and_click):
    res = adaptstft.optimize(chirp_and_click, FS)
    assert type(res.win_length) is float
    assert res.win_duration == res.win_length / FS
    assert res.success
    assert res.status == 0
    assert_array_equal(res.x, [res.win_length])
    assert res.jac.shape == (1,)
    assert abs(res.jac[0] * res.win_length) < 1e-3
    assert res.history[-1] == pytest.approx(res.fun)
    assert np.all(np.diff(res.history) <= 0)
    assert res.nfev >= sum(start["nfev"] for start in res.starts)


@pytest.mark.parametrize("name", adaptstft.criteria.names())
def test_the_value_is_that_of_the_transform(chirp_and_click, name):
    res = adaptstft.optimize(chirp_and_click, FS, criterion=name, win_bounds=(40, 300), detrend=None)
    value, gradient = on_frames(res).value_and_grad(chirp_and_click, res.criterion, wrt=("win_length",))
    assert value == pytest.approx(res.fun, rel=1e-10)
    assert_allclose(gradient.win_length, res.jac[0], rtol=1e-6, atol=1e-12)


@pytest.mark.parametrize(
    ("criterion", "scope"), [("renyi", "frame"), ("renyi", "local"), ("description-length", "local")]
)
def test_scopes_in_constant_mode(chirp_and_click, criterion, scope):
    res = adaptstft.optimize(chirp_and_click, FS, criterion=criterion, scope=scope, win_bounds=(40, 300))
    assert res.criterion.scope == scope
    assert res.fun <= res.starts[0]["fun_start"]


def test_default_scope_is_local_where_something_varies_in_time(short):
    options = {"maxiter": 2}
    assert adaptstft.optimize(short, FS).criterion.scope == "global"
    for modes in ({"window_mode": "time"}, {"hop_mode": "time"}):
        assert adaptstft.optimize(short, FS, options=options, **modes).criterion.scope == "local"
    res = adaptstft.optimize(short, FS, window_mode="time", scope="global", options=options)
    assert res.criterion.scope == "global"


def test_one_explicit_start_is_one_descent(chirp_and_click):
    res = adaptstft.optimize(chirp_and_click, FS, win_length=90, hop=20, mfft=512, starts=1, detrend="constant")
    assert [start["label"] for start in res.starts] == ["given"]
    assert res.starts[0]["win_length_start"] == pytest.approx(90)
    at_start = adaptstft.AdaptiveShortTimeFFT(
        "hann", 90.0, None, FS, positions=np.arange(frame_count(2000, 20)) * 20.0, mfft=512, scale_to="psd"
    )
    x = chirp_and_click - chirp_and_click.mean()
    value, _ = at_start.value_and_grad(x, res.criterion, wrt=())
    assert res.starts[0]["fun_start"] == pytest.approx(value, rel=1e-10)


def test_one_explicit_start_with_a_length_for_each_frame(chirp_and_click):
    lengths = np.linspace(90, 200, frame_count(2000, 20))
    res = adaptstft.optimize(
        chirp_and_click, FS, window_mode="time", win_length=lengths, hop=20, mfft=512, starts=1, win_bounds=(40, 512)
    )
    assert [start["label"] for start in res.starts] == ["given"]
    assert res.fun < res.starts[0]["fun_start"]


def test_fixed_mode_keeps_what_was_given(chirp_and_click):
    res = adaptstft.optimize(chirp_and_click, FS, window_mode="fixed", win_length=123.4, hop=20)
    assert res.win_length == 123.4
    assert res.hop == 20
    lengths = np.linspace(90, 200, frame_count(2000, 20))
    setting = {"window_mode": "fixed", "hop_mode": "time", "win_length": lengths, "hop": 20, "options": {"maxiter": 3}}
    for min_overlap in (0.5, None):  # with guarantees, frames move only where something is gained
        res = adaptstft.optimize(chirp_and_click, FS, **setting, min_overlap=min_overlap)
        assert_array_equal(res.win_length, lengths)
    assert np.ptp(np.diff(res.positions)) > 0


def test_hop_is_an_eighth_of_the_window(chirp_and_click):
    res = adaptstft.optimize(chirp_and_click, FS, win_bounds=(64, 300))
    assert res.hop == round(res.hop)
    assert res.hop == pytest.approx(res.win_length / 8, rel=0.25)


def test_constant_hop_follows_from_the_window(chirp_and_click):
    res = adaptstft.optimize(chirp_and_click, FS, hop_mode="constant", win_bounds=(64, 300))
    assert res.hop / res.win_length == pytest.approx(0.2046, abs=0.004)
    bounded = adaptstft.optimize(chirp_and_click, FS, hop_mode="constant", win_bounds=(64, 300), hop_bounds=(5, 12))
    assert bounded.hop == pytest.approx(12)


def test_min_overlap_none_switches_the_guarantees_off(chirp_and_click):
    res = adaptstft.optimize(
        chirp_and_click, FS, hop=50, win_bounds=(16, 300), min_overlap=None, win_length=40, starts=1, criterion="renyi"
    )
    assert res.win_length < 100
    free = adaptstft.optimize(
        chirp_and_click, FS, hop=50, hop_mode="time", window_mode="time", min_overlap=None, options={"maxiter": 20},
        criterion="renyi",
    )  # fmt: skip
    assert np.diff(free.positions).min() < 50 / 4


@pytest.mark.parametrize("window", ["hann", ("kaiser", 8.0), ("tukey", 0.5), ("gaussian", 6.0)])
def test_complex_signals_get_a_centred_spectrum(window):
    t = np.arange(1500) / FS
    x = np.exp(2j * np.pi * (-200 * t + 60 * t**2))
    res = adaptstft.optimize(x, FS, window=window)
    assert res.sft.fft_mode == "centered"
    assert_allclose(res.sft.istft(res.sft.stft(x), k1=x.size), x, atol=1e-12)


def test_single_precision_stays_single(chirp_and_click):
    single = adaptstft.optimize(chirp_and_click.astype(np.float32), FS, win_bounds=(40, 300))
    double = adaptstft.optimize(chirp_and_click, FS, win_bounds=(40, 300))
    # float32 rounds P to 1e-7; near the optimum the length follows with the root of that
    assert single.win_length == pytest.approx(double.win_length, rel=2e-3)
    assert single.sft.stft(chirp_and_click.astype(np.float32)).dtype == np.complex64


def test_channels_share_one_length(chirp_and_click):
    x = np.stack([chirp_and_click, np.roll(chirp_and_click, 100)])
    res = adaptstft.optimize(x, FS)
    assert res.sft.stft(x).shape[0] == 2
    across = adaptstft.optimize(x.T, FS, axis=0)
    assert across.win_length == res.win_length


@pytest.mark.parametrize("window_mode", ["constant", "time"])
def test_callables(chirp_and_click, window_mode):
    def l1_over_l2(P):
        return anp.sum(anp.sqrt(P)) / anp.sqrt(anp.sum(P))

    res = adaptstft.optimize(
        chirp_and_click, FS, criterion=l1_over_l2, window_mode=window_mode, win_bounds=(40, 400), detrend="constant",
        options={"maxiter": 8},
    )  # fmt: skip
    assert res.fun <= res.starts[0]["fun_start"]
    P = on_frames(res).spectrogram(chirp_and_click - chirp_and_click.mean())
    assert res.fun == pytest.approx(l1_over_l2(P), rel=1e-9)


@pytest.mark.parametrize("lead", [(), (1,), (2, 1)], ids=str)
def test_callables_see_the_spectrogram_in_its_own_shape(chirp_and_click, lead):
    seen = set()

    def loss(P):
        seen.add(P.shape[:-2])
        return anp.sum(anp.sqrt(P)) / anp.sqrt(anp.sum(P))

    adaptstft.optimize(np.broadcast_to(chirp_and_click[:1000], (*lead, 1000)), FS, criterion=loss, hop=32)
    assert seen == {lead}


def test_a_callables_hop_is_tuned_by_its_gradient(chirp_and_click):
    def loss(P):  # wants 60 frames
        return (P.shape[1] - 60) ** 2 + anp.sum(anp.sqrt(P)) / anp.sqrt(anp.sum(P)) * 1e-3

    res = adaptstft.optimize(chirp_and_click, FS, criterion=loss, hop_mode="constant", win_length=200, hop=40, starts=1)
    assert res.fun <= res.starts[0]["fun_start"]
    assert 10 <= res.hop <= 100


def test_shape_parameters_are_tuned(chirp_and_click):
    plain = adaptstft.optimize(chirp_and_click, FS, window=("kaiser", 6.0), hop=10, mfft=512, win_bounds=(40, 512))
    tuned = adaptstft.optimize(
        chirp_and_click, FS, window=("kaiser", 6.0), hop=10, mfft=512, win_bounds=(40, 512), tune_shape=True
    )
    assert tuned.fun < plain.fun
    assert tuned.sft.window.shape != (6.0,)
    assert tuned.x.size == 2


@pytest.mark.slow
def test_smoothness_makes_lengths_smoother(short):
    def variation(res):
        return np.abs(np.diff(np.log(res.win_length))).mean()

    rough, smooth = (
        adaptstft.optimize(short, FS, window_mode="time", hop=20, smoothness=s, starts=1, options={"maxiter": 40})
        for s in (0.0, 10.0)
    )
    assert variation(smooth) < 0.01 * variation(rough)


def test_detrend(chirp_and_click):
    t = np.arange(chirp_and_click.size)
    base = adaptstft.optimize(chirp_and_click, FS, detrend="linear")
    tilted = adaptstft.optimize(chirp_and_click + 5 + 0.01 * t, FS, detrend="linear")
    assert tilted.win_length == pytest.approx(base.win_length, rel=1e-6)
    kept = adaptstft.optimize(chirp_and_click + 5, FS, detrend=None)
    assert kept.win_length != pytest.approx(base.win_length, rel=0.05)


@pytest.mark.parametrize("window", ["gaussian", "hamming"])
@pytest.mark.parametrize("rate", [25.0, 50.0, 100.0])
def test_a_descent_ends_between_two_jumps_of_the_window(window, rate):
    signal = datasets.linear_chirp(rate=rate)
    res = adaptstft.optimize(signal.x, signal.fs, window=window)
    assert res.success, res.message
    if window == "gaussian":
        assert abs(res.win_length / signal.win_length()[0, 0] - 1) < 0.025


@pytest.mark.parametrize("window", ["gaussian", "hann", "hamming"])
def test_a_descent_without_progress_at_a_large_gradient_has_not_converged(monkeypatch, window):
    def uphill(self, variables, y):
        at = evaluate(self, variables, y)
        return replace(at, gradient=-at.gradient)

    evaluate = Objective.evaluate
    monkeypatch.setattr(Objective, "evaluate", uphill)
    signal = datasets.linear_chirp(rate=50.0)
    res = adaptstft.optimize(signal.x, signal.fs, window=window, win_length=80, starts=1)
    assert not res.success
    assert res.message == "stopped: no step along the gradient lowers the value further"


def test_callback_sees_every_iteration_and_can_stop(chirp_and_click):
    seen = []

    def watch(intermediate_result):
        seen.append((intermediate_result.x.copy(), intermediate_result.fun))
        intermediate_result.x[:] = -1  # a copy: changing it must not matter
        if len(seen) == 4:
            raise StopIteration

    descent = {"win_length": 90, "starts": 1}
    res = adaptstft.optimize(chirp_and_click, FS, window_mode="time", hop=20, callback=watch, **descent)
    assert len(seen) == 4
    assert res.status == 99
    assert not res.success
    assert "callback" in res.message
    assert np.all(res.win_length > 0)
    assert res.sft.istft(res.sft.stft(chirp_and_click), k1=2000).shape == (2000,)


def test_errors_of_the_callback_are_not_swallowed(chirp_and_click):
    def fail(intermediate_result):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        adaptstft.optimize(chirp_and_click, FS, callback=fail)


def test_progress_bar_only_for_long_work(chirp_and_click, capsys, monkeypatch):
    adaptstft.optimize(chirp_and_click, FS, progress=True)
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("adaptstft.common.progress._DELAY", 0.0)
    adaptstft.optimize(chirp_and_click, FS, progress=True)
    assert "%" in capsys.readouterr().err
    adaptstft.optimize(chirp_and_click, FS, progress=False)
    assert capsys.readouterr().err == ""


def test_backends_and_workers_agree(chirp_and_click):
    results = [
        adaptstft.optimize(chirp_and_click, FS, backend=backend, workers=workers)
        for backend, workers in (("numba", 1), ("numba", 2), ("auto", None), ("numpy", 2))
    ]
    assert [r.backend for r in results] == ["numba", "numba", "numba", "numpy"]
    assert results[0].win_length == results[1].win_length == results[2].win_length
    assert results[3].win_length == pytest.approx(results[0].win_length, rel=1e-4)


def test_nothing_passed_in_is_changed(chirp_and_click):
    x = chirp_and_click.copy()
    options = {"maxiter": 3}
    lengths = np.full(frame_count(x.size, 20), 100.0)
    adaptstft.optimize(x, FS, window_mode="time", hop=20, win_length=lengths, options=options)
    assert_array_equal(x, chirp_and_click)
    assert options == {"maxiter": 3}
    assert np.all(lengths == 100)
    assert x.flags.writeable


@pytest.mark.slow
@pytest.mark.parametrize("n", [2, 3, 5, 17, 40, pytest.param(100, marks=pytest.mark.full)])
@pytest.mark.parametrize(
    "modes", [("constant", "fixed"), ("time", "fixed"), ("time", "time"), ("constant", "constant")]
)
def test_short_signals(n, modes):
    x = np.random.default_rng(n).standard_normal(n)
    # two samples are a line, so nothing is left of them without their trend
    detrend = "constant" if n == 2 else "linear"
    res = adaptstft.optimize(x, 10.0, window_mode=modes[0], hop_mode=modes[1], detrend=detrend)
    assert_allclose(res.sft.istft(res.sft.stft(x), k1=n), x, atol=1e-12)
    assert isinstance(res.summary(), str)


@pytest.mark.parametrize("modes", [{}, {"window_mode": "time", "hop_mode": "time"}, {"criterion": "hoyer"}])
def test_save_and_load(short, tmp_path, modes):
    res = adaptstft.optimize(short, FS, window=("kaiser", 7.0), options={"maxiter": 3}, **modes)
    res.save(tmp_path / "tuned")
    again = adaptstft.load(tmp_path / "tuned.npz")
    assert set(again) == set(res)
    assert again.summary() == res.summary()
    assert type(again.win_length) is type(res.win_length)
    assert_array_equal(again.sft.stft(short), res.sft.stft(short))
    assert again.criterion == res.criterion
    assert again.sensitivity == res.sensitivity
    assert again.starts == res.starts


def test_load_refuses_other_files(tmp_path):
    np.savez(tmp_path / "other.npz", a=1)
    with pytest.raises(ValueError, match=r"other\.npz is not a file that TuningResult\.save has written"):
        adaptstft.load(tmp_path / "other.npz")
    with pytest.raises(FileNotFoundError):
        adaptstft.load(tmp_path / "missing.npz")


def test_functions_cannot_be_saved(chirp_and_click, tmp_path):
    res = adaptstft.optimize(chirp_and_click, FS, window=lambda u: anp.cos(anp.pi * u) ** 2)
    with pytest.raises(ValueError, match="cannot be saved"):
        res.save(tmp_path / "x")
    assert not (tmp_path / "x.npz").exists()


@pytest.mark.parametrize("criterion", ["renyi", "description-length"])
def test_sensitivity_is_where_the_criterion_has_risen(chirp_and_click, criterion):
    """An entropy rises by 0.01 nat, a description length by 1 %."""
    settings = {"win_bounds": (40, 1000), "hop": 10, "mfft": 1000, "detrend": None, "criterion": criterion}
    res = adaptstft.optimize(chirp_and_click, FS, **settings)
    most = 0.01 if criterion == "renyi" else 0.01 * res.area_fun
    assert res.sensitivity.tolerance == pytest.approx(most)
    low, high = res.sensitivity.win_length
    assert low < res.win_length < high
    for length in (low, high):
        at = adaptstft.AdaptiveShortTimeFFT(
            "hann", length, None, FS, positions=res.positions, mfft=1000, scale_to="psd"
        )
        rise = at.value_and_grad(chirp_and_click, res.criterion, wrt=())[0] - res.fun
        assert rise == pytest.approx(most, rel=0.06)  # 2 % of the step
    assert res.sensitivity.curvature > 0


def test_sensitivity_at_a_bound_where_the_criterion_rises_in_proportion():
    x = np.cos(0.3 * np.arange(600))
    settings = {"hop": 10, "mfft": 400, "detrend": None, "criterion": "renyi", "scale_to": "psd"}
    res = adaptstft.optimize(x, 100.0, win_bounds=(16, 200), **settings)
    low, high = res.sensitivity.win_length
    assert low < res.win_length == high == 200
    rises = [optimized_at(x, low + step, settings).fun - res.fun for step in (0.0, 2.0)]
    assert rises[0] == pytest.approx(0.01, rel=0.03)
    assert rises[0] / rises[1] == pytest.approx((200 - low) / (198 - low), rel=0.1)


def optimized_at(x, length, settings):
    return adaptstft.optimize(x, 100.0, window_mode="fixed", win_length=length, win_bounds=(16, 200), **settings)


@pytest.mark.parametrize("window", ["hann", "hamming"])
@pytest.mark.parametrize("criterion", ["renyi", "description-length", "kurtosis", "gini"])
def test_secants_end_where_l_bfgs_b_ends(chirp_and_click, criterion, window):
    """Limits of iterations leave a search of one length to L-BFGS-B alone."""
    settings = {"criterion": criterion, "window": window, "win_bounds": (40, 1000)}
    ours = adaptstft.optimize(chirp_and_click, FS, **settings)
    theirs = adaptstft.optimize(chirp_and_click, FS, **settings, options={"maxiter": 200})
    assert ours.success and theirs.success
    assert ours.win_length == pytest.approx(theirs.win_length, rel=1e-3)
    assert ours.fun == pytest.approx(theirs.fun, rel=1e-7)
    assert len(ours.history) == ours.nit + 1


def test_notes_tell_of_bounds():
    x = np.cos(0.3 * np.arange(600))
    res = adaptstft.optimize(x, 100.0, win_bounds=(16, 200))
    note = "the window length is at its upper bound of 200 samples = 2 s; win_bounds=(16, 300) allows longer ones"
    assert note in res.notes
    assert "note" in res.summary()


def test_area_is_what_a_chirp_occupies():
    """A pulse of known area: a Gaussian-windowed tone occupies the least area a spectrogram can show."""
    t = np.arange(4096) - 2048.0
    x = np.exp(-0.5 * (t / 100) ** 2) * np.cos(0.7 * t)
    res = adaptstft.optimize(x, 1.0, window=("gaussian", 8.0), hop=20, detrend=None, criterion="renyi")
    assert res.win_length == pytest.approx(800, rel=0.02)  # the pulse itself
    # |S|**2 is a Gaussian with standard deviations 100 and 1 / (2 pi 100); its Renyi-3 area is 2 pi sqrt(3) times both
    assert np.exp(res.area_fun) == pytest.approx(np.sqrt(3), rel=0.01)


@pytest.mark.parametrize("criterion", [criteria.Renyi(alpha=2.0, scope="local", width=0.5), criteria.Lp(k=0.5)])
def test_criterion_objects(short, criterion):
    res = adaptstft.optimize(short, FS, criterion=criterion, window_mode="time", options={"maxiter": 5})
    assert criterion.width is None or res.criterion.width == criterion.width
    assert type(res.criterion) is type(criterion)
