"""Components of variables give the same results as `Parameters`, bit for bit; this file goes away with `Parameters`."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from adaptstft.engine.frames import frame_count
from adaptstft.tuning.variables.control_grid import ControlGrid
from adaptstft.tuning.variables.lengths import FixedLengths, FrameLengths, OneLength, SurfaceLengths
from adaptstft.tuning.variables.parameters import GuardedHops, Parameters
from adaptstft.tuning.variables.positions import FixedPositions, FreePositions, GuardedPositions, TiedHop
from adaptstft.tuning.variables.shape import FixedShape, TunedShape
from adaptstft.tuning.variables.variables import Variables
from adaptstft.windows import resolve

N, HOP, F_PTS, BOUNDS = 1000, 70.3, 9, (140.0, 500.0)
LENGTHS = ["fixed", "fixed-bins", "constant", "time", "time-scaled", "grid", "grid-scaled", "grid-free"]
POSITIONS = ["fixed", "report-hop", "free", "guarded", "guarded-narrow"]
PAIRS = [(p, w) for p in POSITIONS for w in LENGTHS] + [("hop", "fixed"), ("hop", "constant")]


def both(rng, positions, lengths, window, tuned, frames=None):
    regular = np.arange(frames or frame_count(N, HOP)) * HOP
    count, family = regular.size, resolve(window)
    win_length = rng.uniform(130, 520, count) if "time" in lengths else np.full(count, 251.3)
    if lengths == "fixed-bins":
        win_length = rng.uniform(180, 400, (count, F_PTS))
    kind = lengths.split("-")[0]
    old = Parameters(N, win_length, regular, family, kind, BOUNDS, tune_shape=tuned)
    if kind == "fixed":
        new = FixedLengths(win_length, BOUNDS)
    elif kind == "constant":
        new = OneLength(win_length, BOUNDS)
    elif kind == "time":
        new = FrameLengths(win_length, BOUNDS)
        if lengths == "time-scaled":
            old.preconditioner = rng.uniform(0.5, 1, count)
            old.held = rng.uniform(0, 1, count - 1), rng.standard_normal(count - 1)
            new = replace(new, scale=old.preconditioner, end_penalty=old.held)
    else:
        free = lengths == "grid-free"
        grid = (
            ControlGrid.free(F_PTS, count, constant=False)
            if free
            else ControlGrid.smooth(np.arange(F_PTS), 16, regular, (4, 5))
        )
        points = rng.uniform(*np.log((130, 520)), grid.shape)
        old.win_length = np.exp(np.clip(grid.surface(points), *np.log(BOUNDS)))
        old.grid, old.points = grid, points
        new = SurfaceLengths(grid, points, BOUNDS)
        if lengths == "grid-scaled":
            old.preconditioner, old.carry = rng.uniform(0.5, 1, grid.shape), 3e-3
            new = replace(new, scale=old.preconditioner, carry=old.carry)
    where = FixedPositions(regular)
    if positions == "report-hop":
        old.report_hop, where = True, FixedPositions(regular, report_hop=True)
    elif positions == "free":
        old.free_hops, where = (0.0, 300.0), FreePositions(regular, (0.0, 300.0))
    elif positions.startswith("guarded"):
        low, high = (20.0, 200.0) if positions == "guarded" else (np.nextafter(HOP, 100.0), 90.0)
        span = float(regular[-1] - regular[0])
        mean = span / (count - 1)
        old.hops = GuardedHops(span, (min(low, mean), max(high, mean)), 0.5)
        where = GuardedPositions(N, regular, (low, high), 0.5)
    elif positions == "hop":
        old.hop_ratios, old.hop_bounds = (0.02, 0.5), (10.0, 300.0)
        where = TiedHop(N, regular, (0.02, 0.5), (10.0, 300.0))
    return old, Variables(new, where, TunedShape(family) if tuned else FixedShape(family))


def compare(old, new, rng):
    assert new.lengths.kind == old.lengths
    assert new.positions_vary == old.positions_vary
    assert new.win_bounds == old.win_bounds
    assert_array_equal(new.lengths.win_length, old.win_length)
    assert new.bounds() == old.bounds()
    assert_array_equal(new.start(), old.start())
    points = [new.start(), new.start() + 0.05 * rng.standard_normal(new.start().size)]
    if new.start().size:
        low, high = np.array(new.bounds()).T
        points += [low, high, rng.uniform(low, high)]
    for y in points:
        state, before = new.state(y), old.state(y)
        for name in ("win_length", "positions", "weights"):
            assert_array_equal(getattr(state, name), getattr(before, name))
        assert state.window == before.window
        assert_array_equal(new.natural(y), old.natural(y))
        value, gradient = new.penalty(y)
        assert value == old.penalty(y)[0]
        assert_array_equal(gradient, old.penalty(y)[1])
        a, b, c, d = (
            rng.standard_normal(shape)
            for shape in (state.win_length.shape, state.positions.size, state.positions.size, len(state.window.shape))
        )
        assert_array_equal(new.natural_gradient(y, a, b, d), old.natural_gradient(y, a, b, d))
        assert_array_equal(new.adjoint(y, state, a, b, c, d), old.adjoint(y, before, a, b, c, d))


@pytest.mark.parametrize("tuned", [False, True], ids=["fixed-shape", "tuned-shape"])
@pytest.mark.parametrize("window", ["hann", ("kaiser", 8.0), ("tukey", 0.6)], ids=str)
@pytest.mark.parametrize(("positions", "lengths"), PAIRS)
def test_results_are_equal(positions, lengths, window, tuned, rng):
    compare(*both(rng, positions, lengths, window, tuned), rng)


@pytest.mark.parametrize(
    ("positions", "lengths"), [pair for pair in PAIRS if "guarded" not in pair[0] and pair[1] != "time-scaled"]
)
def test_results_for_a_single_frame_are_equal(positions, lengths, rng):
    compare(*both(rng, positions, lengths, ("kaiser", 8.0), True, frames=1), rng)


@pytest.mark.parametrize(("positions", "lengths"), [pair for pair in PAIRS if "grid" not in pair[1]])
def test_safe_starts_are_equal(positions, lengths, rng):
    old, new = both(rng, positions, lengths, ("kaiser", 8.0), True)
    safe = np.full(old.win_length.shape, 261.7)
    old.safe, new = safe, replace(new, safe=safe)
    assert_array_equal(new.safe_start(), old.safe_start())
