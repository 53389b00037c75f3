"""Components of the optimiser's variables: start, bounds, guarantees and derivatives of each combination."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from adaptstft.engine.frames import durations, durations_adjoint, frame_count
from adaptstft.tuning.variables.control_grid import ControlGrid
from adaptstft.tuning.variables.lengths import FixedLengths, FrameLengths, OneLength, SurfaceLengths
from adaptstft.tuning.variables.positions import FixedPositions, FreePositions, GuardedPositions, TiedHop
from adaptstft.tuning.variables.shape import FixedShape, TunedShape
from adaptstft.tuning.variables.variables import Variables
from adaptstft.windows import resolve

N, HOP, F_PTS, WIN_BOUNDS = 1000, 70.0, 9, (140.0, 500.0)

LENGTHS = ["fixed", "fixed-bins", "constant", "time", "grid", "grid-free"]
POSITIONS = ["fixed", "free", "guarded"]
#: One hop for all frames needs one length for all frames.
COMBINATIONS = [(p, w) for p in POSITIONS for w in LENGTHS] + [("hop", "fixed"), ("hop", "constant")]


def make_lengths(rng, kind, positions):
    frames = positions.size
    if kind == "fixed":
        return FixedLengths(np.full(frames, 250.0), WIN_BOUNDS)
    if kind == "fixed-bins":
        return FixedLengths(rng.uniform(180, 400, (frames, F_PTS)), WIN_BOUNDS)
    if kind == "constant":
        return OneLength(np.full(frames, 250.0), WIN_BOUNDS)
    if kind == "time":
        ends = rng.uniform(0, 1, frames - 1), rng.standard_normal(frames - 1)
        return FrameLengths(rng.uniform(180, 400, frames), WIN_BOUNDS, rng.uniform(0.5, 1, frames), ends)
    if kind == "grid-free":
        grid = ControlGrid.free(F_PTS, frames, constant=False)
    else:
        grid = ControlGrid.smooth(np.arange(F_PTS), 16, positions, (4, 5))
    points = rng.uniform(*np.log((180, 400)), grid.shape)
    return SurfaceLengths(grid, points, WIN_BOUNDS, rng.uniform(0.5, 1, grid.shape), carry=0.1)


def make_positions(kind, positions):
    return {
        "fixed": FixedPositions(positions),
        "free": FreePositions(positions, (0.0, 300.0)),
        "guarded": GuardedPositions(N, positions, (20.0, 200.0), 0.5),
        "hop": TiedHop(N, positions, (0.02, 0.5), (10.0, 300.0)),
    }[kind]


def make(rng, positions="fixed", lengths="time", window=("kaiser", 8.0)):
    regular = np.arange(frame_count(N, HOP)) * HOP
    return Variables(
        make_lengths(rng, lengths, regular), make_positions(positions, regular), TunedShape(resolve(window))
    )


def near_the_start(variables, rng):
    y = variables.start()
    return y + 0.02 * rng.standard_normal(y.size)


@pytest.mark.parametrize(("positions", "lengths"), COMBINATIONS)
def test_the_state_at_the_start_is_the_given_one(positions, lengths, rng):
    variables = make(rng, positions, lengths)
    state = variables.state(variables.start())
    assert_allclose(state.win_length, variables.lengths.win_length, rtol=1e-12)
    assert_allclose(state.positions, variables.positions.positions, atol=1e-6)
    assert state.window.shape == pytest.approx((8.0,))
    assert len(variables.bounds()) == variables.start().size


@pytest.mark.parametrize(("positions", "lengths"), COMBINATIONS)
def test_adjoint_is_the_derivative(positions, lengths, rng):
    variables = make(rng, positions, lengths)
    y = near_the_start(variables, rng)
    state = variables.state(y)
    win_length, position, weight = (
        rng.standard_normal(a.shape) for a in (state.win_length, state.positions, state.weights)
    )
    shape = rng.standard_normal(1)

    def loss(y):
        s = variables.state(y)
        sums = (np.sum(a * b) for a, b in ((win_length, s.win_length), (position, s.positions), (weight, s.weights)))
        return sum(sums) + shape @ np.array(s.window.shape)

    direction = rng.standard_normal(y.size)
    exact = variables.adjoint(y, state, win_length, position, weight, shape) @ direction
    step = 1e-6
    rough = (loss(y + step * direction) - loss(y - step * direction)) / (2 * step)
    # central differences lose half the digits of values of order 1e3
    assert exact == pytest.approx(rough, rel=1e-5, abs=1e-4)


@pytest.mark.parametrize("lengths", ["time", "grid", "grid-free"])
def test_gradient_of_the_penalty(lengths, rng):
    variables = make(rng, "guarded", lengths)
    y, direction = near_the_start(variables, rng), rng.standard_normal(variables.start().size)
    step = 1e-5
    rough = (variables.penalty(y + step * direction)[0] - variables.penalty(y - step * direction)[0]) / (2 * step)
    assert variables.penalty(y)[1] @ direction == pytest.approx(rough, rel=1e-6)


@pytest.mark.parametrize("positions", ["fixed", "free", "guarded", "hop"])
@pytest.mark.parametrize("lengths", ["fixed", "constant"])
def test_without_a_penalty_it_is_zero(positions, lengths, rng):
    variables = make(rng, positions, lengths)
    value, gradient = variables.penalty(variables.start())
    assert value == 0 and gradient.shape == variables.start().shape and not gradient.any()


@pytest.mark.parametrize("lengths", ["time", "grid"])
def test_a_penalty_of_no_weight_is_zero(lengths, rng):
    variables = make(rng, "fixed", lengths)
    none = {"end_penalty": None} if lengths == "time" else {"carry": 0.0}
    variables = replace(variables, lengths=replace(variables.lengths, **none))
    value, gradient = variables.penalty(variables.start())
    assert value == 0 and gradient.shape == variables.start().shape and not gradient.any()


@pytest.mark.parametrize(("positions", "lengths"), COMBINATIONS)
def test_natural_parameters_and_their_gradient_have_one_order(positions, lengths, rng):
    variables = make(rng, positions, lengths)
    y = near_the_start(variables, rng)
    state = variables.state(y)
    natural = variables.natural(y)
    d_win_length, d_positions = rng.standard_normal(state.win_length.shape), rng.standard_normal(state.positions.size)
    gradient = variables.natural_gradient(y, d_win_length, d_positions, np.array([2.0]))
    assert natural.shape == gradient.shape
    assert natural[-1] == state.window.shape[0] and gradient[-1] == 2.0
    if variables.positions_vary:
        assert_allclose(natural[-1 - state.positions.size : -1], state.positions)
        assert_allclose(gradient[-1 - state.positions.size : -1], d_positions)
    if positions == "hop":
        assert natural[-2] == state.positions[1]
        assert gradient[-2] == pytest.approx(np.arange(state.positions.size) @ d_positions)


def test_natural_gradient_of_a_surface_is_the_derivative(rng):
    variables = make(rng, "fixed", "grid")
    lengths = variables.lengths
    y = near_the_start(variables, rng)
    weights = rng.standard_normal(lengths.win_length.shape)
    natural = variables.natural(y)[: lengths.size]
    step = 1e-5 * natural * rng.standard_normal(natural.size)

    def loss(natural):
        return np.sum(weights * np.exp(lengths.grid.surface(np.log(natural).reshape(lengths.grid.shape))))

    rough = (loss(natural + step) - loss(natural - step)) / 2
    got = variables.natural_gradient(y, weights, np.zeros(variables.positions.positions.size), np.zeros(1))
    assert got[: lengths.size] @ step == pytest.approx(rough, rel=1e-6)


def test_the_hop_is_reported_where_it_follows_from_the_length(rng):
    variables = make(rng, "fixed", "constant", "hann")
    told = replace(variables, positions=replace(variables.positions, report_hop=True))
    assert variables.natural(variables.start()).size == 1
    assert_allclose(told.natural(told.start()), [250.0, HOP])
    d_positions = rng.standard_normal(variables.positions.positions.size)
    gradient = told.natural_gradient(told.start(), np.zeros(d_positions.size), d_positions, np.zeros(0))
    assert gradient[1] == pytest.approx(np.arange(d_positions.size) @ d_positions)


@pytest.mark.parametrize("window", ["hann", ("kaiser", 8.0)], ids=str)
def test_a_fixed_shape_has_no_variables(window, rng):
    variables = replace(make(rng, "fixed", "fixed"), shape=FixedShape(resolve(window)))
    assert variables.start().size == 0 and variables.bounds() == []
    state = variables.state(np.zeros(0))
    assert state.window is variables.shape.window
    none = np.zeros(state.positions.size)
    assert variables.adjoint(np.zeros(0), state, none, none, none, np.ones(len(state.window.shape))).size == 0


def test_a_window_without_shape_parameters_has_none_to_tune(rng):
    variables = make(rng, "fixed", "constant", "hann")
    assert variables.shape_varies and variables.start().size == 1
    assert variables.state(variables.start()).window == resolve("hann")


def test_the_safe_start_has_the_safe_lengths(rng):
    variables = make(rng, "guarded", "time")
    assert np.array_equal(variables.safe_start(), variables.start())
    safe = rng.uniform(150, 160, variables.positions.positions.size)
    state = replace(variables, safe=safe).state(replace(variables, safe=safe).safe_start())
    assert_allclose(state.win_length, safe, rtol=1e-12)
    assert_allclose(state.positions, variables.positions.positions, atol=1e-6)


@pytest.mark.parametrize("lengths", ["constant", "time", "grid", "grid-free"])
def test_variables_at_their_bounds_give_lengths_at_theirs(lengths, rng):
    component = make(rng, "fixed", lengths).lengths
    low, high = np.array(component.bounds()).T
    assert np.all(component.lengths(low) == WIN_BOUNDS[0])
    assert np.all(component.lengths(high) == WIN_BOUNDS[1])


def test_integer_lengths_are_exact(rng):
    whole = np.arange(150.0, 450.0)
    assert np.array_equal(FrameLengths(whole, WIN_BOUNDS).lengths(np.log(whole)), whole)


def test_lengths_of_another_start(rng):
    for lengths in LENGTHS:
        variables = make(rng, "fixed", lengths)
        other = np.full_like(variables.lengths.win_length, 200.0)
        assert_allclose(variables.lengths.starting_at(other).win_length, other, rtol=1e-10)


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("lengths", ["time", "grid"])
def test_guarantees_are_kept_for_any_variables(seed, lengths):
    rng = np.random.default_rng(seed)
    variables = make(rng, "guarded", lengths)
    low, high = np.array(variables.bounds()).T
    state = variables.state(rng.uniform(low, high))
    hops = np.diff(state.positions)
    shortest = state.win_length if state.win_length.ndim == 1 else state.win_length.min(axis=1)
    assert state.positions[0] == 0
    assert state.positions[-1] == pytest.approx(variables.positions.positions[-1], rel=1e-12)
    assert np.all(hops >= 20 * (1 - 1e-9))
    assert np.all(hops <= 200 * (1 + 1e-9))
    overlap = (shortest[1:] + shortest[:-1]) / 2 - hops
    assert np.all(overlap >= 0.5 * np.minimum(shortest[1:], shortest[:-1]) * (1 - 1e-9))


def test_the_shortest_windows_allowed_leave_regular_positions(rng):
    variables = make(rng, "guarded")
    y = variables.start()
    y[: variables.lengths.size] = np.log(140.0) * variables.lengths.scale
    assert_allclose(np.diff(variables.state(y).positions), 70.0, rtol=1e-6)


def test_the_mean_hop_is_within_the_bounds_of_guarded_hops(rng):
    """Rounding may leave it outside, where no positions would keep the bounds."""
    variables = make(rng, "guarded")
    positions = replace(variables.positions, hop_bounds=(np.nextafter(70.0, 80.0), 80.0))
    state = replace(variables, positions=positions).state(variables.start())
    assert_allclose(state.positions, variables.positions.positions, atol=1e-9)


def test_durations_add_up_and_their_adjoint(rng):
    positions = np.sort(rng.uniform(-20, 1040, 12))
    assert durations(positions, N).sum() == pytest.approx(N - 1)
    g, d = rng.standard_normal(12), 1e-5 * rng.standard_normal(12)
    rough = g @ (durations(positions + d, N) - durations(positions - d, N)) / 2
    assert durations_adjoint(positions, N, g) @ d == pytest.approx(rough, rel=1e-6)
