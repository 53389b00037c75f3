"""Penalty on windows that count the signal unevenly: value, gradients, and the degenerate optima that it prevents."""

from types import SimpleNamespace

import numpy as np
import pytest

import adaptstft
from adaptstft import criteria, datasets, windows
from adaptstft.engine.frames import durations
from adaptstft.tuning.penalties.evenness import Evenness
from adaptstft.tuning.penalties.weights import check_penalties

N, HOP = 1000, 20.0
TIMES = np.arange(51) * HOP


@pytest.fixture
def signal():
    return np.random.default_rng(3).standard_normal((2, N)) * np.hanning(N)


def uneven(seed=5):
    rng = np.random.default_rng(seed)
    inner = np.concatenate([[0.0], rng.uniform(-3, 3, 49), [0.0]])
    return 160.0 * np.exp(0.3 * rng.standard_normal(51)), TIMES + inner


def summed(window, win_length, positions, evenness, fine=200):
    """The overlap in each cell by its definition: windows at many points, mirrored at both ends."""
    points = (np.arange(evenness.energy.size * fine) + 0.5) / fine * evenness.cell
    square = np.mean(window((np.arange(4096) + 0.5) / 4096 - 0.5) ** 2)
    total = np.zeros(points.size)
    for length, t, span in zip(win_length, positions, durations(positions, N), strict=True):
        for centre in (t, -t, 2 * (N - 1) - t):
            total += span / length / square * window((points - centre) / length) ** 2
    return total.reshape(-1, fine).mean(axis=1)


@pytest.mark.parametrize("window", ["hann", ("kaiser", 8.6), ("tukey", 0.5), ("gaussian", 6)], ids=str)
def test_overlap_is_the_weighted_sum_of_squared_windows(signal, window):
    w, (win_length, positions) = windows.resolve(window), uneven()
    evenness = Evenness.of_signal(signal, HOP, 400.0)
    overlap = np.asarray(evenness.shares(w, win_length, positions).sum(axis=0)).ravel()
    np.testing.assert_allclose(overlap, summed(w, win_length, positions, evenness), atol=1e-5)
    assert evenness.evaluate(w, win_length, positions).value == pytest.approx(evenness.penalty(overlap)[0], rel=1e-12)


def test_the_penalty_is_zero_for_equal_lengths_and_large_for_jumps(signal):
    hann = windows.resolve("hann")
    evenness = Evenness.of_signal(signal, HOP, 160.0)
    assert evenness.evaluate(hann, np.full(51, 160.0), TIMES).value < 1e-6
    slow = 160.0 * np.exp(0.5 * np.sin(np.pi * TIMES / N))
    jumping = np.where(np.arange(51) // 4 % 2, 60.0, 160.0)
    gentle = evenness.evaluate(hann, slow, TIMES).value
    assert gentle < 0.02
    assert evenness.evaluate(hann, jumping, TIMES).value > 10 * gentle


@pytest.mark.parametrize("parameter", ["win_length", "positions", "shape"])
@pytest.mark.parametrize("window", [("kaiser", 8.6), ("tukey", 0.5)], ids=str)
def test_gradients_are_those_of_difference_quotients(signal, window, parameter):
    w, (win_length, positions) = windows.resolve(window), uneven()
    evenness = Evenness.of_signal(signal, HOP, 400.0)
    gradients = evenness.evaluate(w, win_length, positions, shape=True).gradients
    direction = np.random.default_rng(6).standard_normal(win_length.size)

    def value(step):
        if parameter == "shape":
            return evenness.evaluate(w.with_shape((w.shape[0] + step,)), win_length, positions).value
        moved = (
            (win_length + step * direction, positions)
            if parameter == "win_length"
            else (win_length, positions + step * direction)
        )
        return evenness.evaluate(w, *moved).value

    h = 1e-4
    expected = (8 * (value(h) - value(-h)) - (value(2 * h) - value(-2 * h))) / (12 * h)
    found = gradients.shape[0] if parameter == "shape" else getattr(gradients, parameter) @ direction
    assert found == pytest.approx(expected, rel=2e-5, abs=1e-9)


def test_the_penalty_on_a_hole_is_finite(signal):
    far = np.array([0.0, 999.0])
    found = Evenness.of_signal(signal, HOP, 160.0).evaluate(windows.resolve("hann"), np.full(2, 50.0), far)
    assert np.isfinite(found.value) and found.value > 2
    assert np.all(np.isfinite(found.gradients.win_length))


@pytest.fixture(scope="module")
def beat():
    """Two tones that cancel each other four times a second."""
    t = np.arange(3000) / 1000
    noise = 0.01 * np.random.default_rng(0).standard_normal(t.size)
    return np.cos(2 * np.pi * 100 * t) + np.cos(2 * np.pi * 104 * t) + noise


def largest_jump(result):
    return np.abs(np.diff(np.log(result.win_length))).max()


FULL = pytest.mark.full
CRITERIA = ["renyi", "shannon", *(pytest.param(k, marks=FULL) for k in ("kurtosis", "stankovic", "lp")), "hoyer"]


#: Criteria for which the search finds alternating lengths, if nothing forbids them.
ALTERNATES = ("renyi", "hoyer")


@pytest.mark.parametrize("criterion", CRITERIA)
def test_energy_cannot_be_hidden_where_tones_cancel(beat, criterion):
    settings = {"window_mode": "time", "hop": 25, "win_bounds": (60, 1500), "criterion": criterion}
    free = adaptstft.optimize(beat, 1000.0, min_overlap=None, smoothness=0, **settings)
    guarded = adaptstft.optimize(beat, 1000.0, **settings)
    if criterion in ALTERNATES:
        assert largest_jump(free) > 0.35  # without edges in order lengths alternate
        assert free.area_fun < guarded.area_fun
    whole = (guarded.positions > 750) & (guarded.positions < 2250)  # windows within the signal
    assert guarded.win_length[whole].min() > 1400  # long enough to resolve both tones
    assert np.abs(np.diff(np.log(guarded.win_length[whole]))).max() < 0.03


def test_edges_of_windows_never_move_backwards():
    signal = datasets.close_tones_and_clicks()
    res = adaptstft.optimize(signal.x, signal.fs, window_mode="time", hop=8, win_bounds=(16, 1024), smoothness=0)
    assert res.win_length.max() > 10 * res.win_length.min()
    for side in (-0.5, 0.5):
        assert np.diff(res.positions + side * res.win_length).min() > -1e-9


@pytest.mark.parametrize(
    ("arguments", "weights"),
    [
        ({"window_mode": "time"}, (0.1, 0.0)),
        ({"window_mode": "time", "hop_mode": "time"}, (0.1, 4.0)),
        ({"window_mode": "time", "tune_shape": True}, (0.1, 4.0)),
        ({"window_mode": "time", "method": "adam"}, (0.1, 4.0)),
        ({"window_mode": "time", "starts": 1}, (0.1, 4.0)),
        ({"hop_mode": "time"}, (0.0, 4.0)),
        ({"window_mode": "time", "hop_mode": "time", "criterion": "hoyer"}, (0.02, 0.8)),
        ({"window_mode": "time", "hop_mode": "time", "criterion": "description-length"}, (0.005, 0.2)),
        ({}, (0.0, 0.0)),
        ({"window_mode": "time", "scope": "global"}, (0.0, 0.0)),
        ({"window_mode": "time", "hop_mode": "time", "min_overlap": None}, (0.0, 0.0)),
        ({"window_mode": "time", "smoothness": 3.0}, (3.0, 0.0)),
        ({"hop_mode": "time", "evenness": 3.0}, (0.0, 3.0)),
    ],
    ids=lambda value: "-".join(map(str, value.values() if isinstance(value, dict) else value)),
)
def test_default_weights(arguments, weights):
    arguments = {"criterion": "renyi", "scope": None} | arguments
    criterion = criteria.resolve(arguments.pop("criterion"), arguments.pop("scope"))
    unset = {"smoothness": None, "evenness": None, "coverage": 0.0, "window_mode": "constant", "hop_mode": "constant"}
    unset |= {"min_overlap": 0.5, "win_length": 100.0, "method": "L-BFGS-B", "tune_shape": False, "starts": None}
    smoothness, evenness, coverage = check_penalties(criterion, SimpleNamespace(**(unset | arguments)))
    assert (smoothness, evenness) == pytest.approx(weights) and coverage == 0


def test_penalties_are_the_difference_of_fun_and_the_criterion():
    signal = adaptstft.datasets.chirps_in_sequence(duration=0.8)
    options = {"maxiter": 10}
    result = adaptstft.optimize(signal.x, signal.fs, window_mode="time", hop=40, starts=1, options=options)
    power = np.abs(result.sft.stft(signal.x - signal.x.mean())) ** 2
    assert 0 < result.prices < 0.1
    plain = adaptstft.optimize(
        signal.x, signal.fs, window_mode="fixed", win_length=result.win_length, hop=40, mfft=result.sft.mfft,
        criterion=result.criterion,
    )  # fmt: skip
    assert power.shape[1] == result.win_length.size
    assert result.fun - result.prices == pytest.approx(plain.fun, rel=1e-9)
    assert plain.prices == 0


def test_the_hop_follows_the_shortest_windows_in_time():
    """A crackle follows a tone: the hop for the best single length would be too large for its short windows."""
    t = np.arange(4000) / 1000
    rng = np.random.default_rng(2)
    x = np.where(t < 2, np.cos(2 * np.pi * 100 * t), 0.0) + 0.003 * rng.standard_normal(t.size)
    x[rng.integers(2100, 3950, 20)] += 6.0
    one = adaptstft.optimize(x, 1000.0, criterion="renyi")
    result = adaptstft.optimize(x, 1000.0, window_mode="time", starts=1, options={"maxiter": 20}, criterion="renyi")
    assert result.hop <= one.hop / 4
    seconds = result.positions / 1000
    crackle, tone = (seconds > 2.7) & (seconds < 3.7), (seconds > 0.3) & (seconds < 1.5)
    assert np.median(result.win_length[crackle]) < 0.25 * np.median(result.win_length[tone])


def test_clicks_between_tones_have_short_windows():
    """The hop for one length would be too large."""
    signal = datasets.close_tones_and_clicks()
    criterion = criteria.Shannon(power=1)
    result = adaptstft.optimize(signal.x, signal.fs, window_mode="time", criterion=criterion)
    clicks = (result.positions > 1700) & (result.positions < 2300)
    before = (result.positions > 500) & (result.positions < 1000)
    after = (result.positions > 3000) & (result.positions < 3500)
    assert result.hop < 15
    assert np.median(result.win_length[clicks]) < 100
    assert np.median(result.win_length[before]) > 1000
    assert np.median(result.win_length[after]) > 1000


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"evenness": -1, "hop_mode": "time"}, r"evenness=-1 must be at least 0"),
        ({"evenness": 1}, r"evenness=1 is a penalty on positions, or on lengths .* got window_mode='constant'"),
        ({"evenness": 1, "window_mode": "time"}, r"evenness=1 is a penalty on positions, .* got window_mode='time'"),
        ({"evenness": 1, "window_mode": "time-frequency"}, r"evenness=1 is a penalty .* window_mode='time-frequency'"),
        ({"evenness": 1, "window_mode": "time", "method": "grid"}, r"evenness=1 is a penalty .* method='grid'"),
    ],
    ids=["negative", "one-length", "path", "bins", "baseline"],
)
def test_evenness_is_refused_where_no_lengths_of_frames_or_positions_are_tuned(settings, message):
    with pytest.raises(ValueError, match=message):
        adaptstft.optimize(np.arange(500.0) % 7, 1000.0, **settings)
