"""Optimiser's variables and physical parameters: guarantees and derivatives of the map."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from adaptstft.engine.frames import durations, durations_adjoint, frame_count
from adaptstft.tuning.descent.objective import best_hop_ratio, hop_loss
from adaptstft.tuning.variables.control_grid import total_variation
from adaptstft.tuning.variables.parameters import GuardedHops, Parameters
from adaptstft.windows import resolve

N = 1000


def make(rng, kind, lengths="time"):
    hop = 70.0
    positions = np.arange(frame_count(N, hop)) * hop
    win_length = rng.uniform(180, 400, positions.size) if lengths == "time" else np.full(positions.size, 250.0)
    p = Parameters(N, win_length, positions, resolve(("kaiser", 8.0)), lengths, (140.0, 500.0), tune_shape=True)
    if kind == "guarded":
        p.hops = GuardedHops(positions[-1], (20.0, 200.0), 0.5)
    elif kind == "free":
        p.free_hops = (0.0, 300.0)
    elif kind == "hop":
        p.hop_ratios, p.hop_bounds = (0.02, 0.5), (10.0, 300.0)
    if lengths == "time":
        p.preconditioner = rng.uniform(0.5, 1, positions.size)
    return p


@pytest.mark.parametrize("lengths", ["fixed", "constant", "time"])
@pytest.mark.parametrize("kind", ["regular", "guarded", "free"])
def test_the_start_is_where_it_should_be(kind, lengths, rng):
    p = make(rng, kind, lengths)
    state = p.state(p.start())
    assert_allclose(state.win_length, p.win_length, rtol=1e-12)
    assert_allclose(state.positions, p.positions, atol=1e-6)
    assert state.window.shape == pytest.approx((8.0,))
    assert len(p.bounds()) == p.start().size


KINDS = [(kind, lengths) for kind in ("regular", "guarded", "free") for lengths in ("fixed", "constant", "time")]


@pytest.mark.parametrize(("kind", "lengths"), [*KINDS, ("hop", "fixed"), ("hop", "constant")])
def test_adjoint_is_the_derivative(kind, lengths, rng):
    p = make(rng, kind, lengths)
    y = p.start() + 0.02 * rng.standard_normal(p.start().size)
    size = p.state(y).positions.size
    a, b, c, d = (rng.standard_normal(m) for m in (size, size, size, 1))

    def loss(y):
        s = p.state(y)
        return a @ s.win_length + b @ s.positions + c @ s.weights + d @ np.array(s.window.shape)

    direction = rng.standard_normal(y.size)
    exact = p.adjoint(y, p.state(y), a, b, c, d) @ direction
    step = 1e-6
    rough = (loss(y + step * direction) - loss(y - step * direction)) / (2 * step)
    # central differences lose half the digits of values of order 1e3
    assert exact == pytest.approx(rough, rel=1e-5, abs=1e-4)


@pytest.mark.parametrize("seed", range(20))
def test_guarantees_hold_for_any_variables(seed):
    rng = np.random.default_rng(seed)
    p = make(rng, "guarded")
    low, high = np.array(p.bounds()).T
    state = p.state(rng.uniform(low, high))
    steps = np.diff(state.positions)
    assert state.positions[0] == 0
    assert state.positions[-1] == pytest.approx(p.positions[-1], rel=1e-12)
    assert np.all(steps >= 20 * (1 - 1e-9))
    assert np.all(steps <= 200 * (1 + 1e-9))
    overlap = (state.win_length[1:] + state.win_length[:-1]) / 2 - steps
    assert np.all(overlap >= 0.5 * np.minimum(state.win_length[1:], state.win_length[:-1]) * (1 - 1e-9))


def test_the_shortest_windows_allowed_leave_regular_positions(rng):
    p = make(rng, "guarded")
    y = p.start()
    y[: p.win_length.size] = np.log(140.0) * p.preconditioner
    assert_allclose(np.diff(p.state(y).positions), 70.0, rtol=1e-6)


def test_durations_add_up_and_their_adjoint(rng):
    positions = np.sort(rng.uniform(-20, 1040, 12))
    assert durations(positions, N).sum() == pytest.approx(N - 1)
    g, d = rng.standard_normal(12), 1e-5 * rng.standard_normal(12)
    rough = g @ (durations(positions + d, N) - durations(positions - d, N)) / 2
    assert durations_adjoint(positions, N, g) @ d == pytest.approx(rough, rel=1e-6)


@pytest.mark.parametrize("ratio", [0.1, 0.21, 0.37])
@pytest.mark.parametrize("window", ["hann", "blackman", ("tukey", 0.6)])
def test_slope_of_the_hop_loss(window, ratio):
    found = resolve(window)
    step = 1e-6
    rough = (hop_loss(found, ratio * np.exp(step))[0] - hop_loss(found, ratio * np.exp(-step))[0]) / (2 * step)
    assert hop_loss(found, ratio)[1] == pytest.approx(rough, rel=1e-4, abs=1e-8)


def test_best_hop_ratio_is_the_minimum():
    hann = resolve("hann")
    best = best_hop_ratio(hann, (0.02, 0.5))
    assert all(hop_loss(hann, r)[0] >= hop_loss(hann, best)[0] for r in np.linspace(0.02, 0.5, 400))


def test_total_variation(rng):
    win_length = rng.uniform(100, 200, 9)
    d = 1e-5 * rng.standard_normal(9)
    rough = (total_variation(win_length + d)[0] - total_variation(win_length - d)[0]) / 2
    assert total_variation(win_length)[1] @ d == pytest.approx(rough, rel=1e-6)
    assert total_variation(np.full(5, 3.0))[0] == pytest.approx(0, abs=1e-15)
    assert total_variation(win_length)[0] == pytest.approx(np.mean(np.abs(np.diff(np.log(win_length)))), abs=1e-3)
