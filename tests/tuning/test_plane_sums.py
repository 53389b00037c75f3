"""Sums over cells of the plane as functions of the window length: the table against exact sums."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose

from adaptstft import criteria, kernels, windows
from adaptstft.criteria.bands import make_tiles
from adaptstft.criteria.neighbourhoods import Neighbourhoods
from adaptstft.engine.forward import forward
from adaptstft.engine.frames import durations, make_frames
from adaptstft.engine.plan import FramePlan
from adaptstft.kernels import cpu, plain
from adaptstft.kernels.terms import LOG1P, POWER, POWER_LOG
from adaptstft.tuning.evaluator import Measure, SignalEvaluator
from adaptstft.tuning.plane_evaluator import PlaneEvaluator
from adaptstft.tuning.tables.plane_sums import PlaneCells, PlaneSums, plane_lengths, strided_bins
from adaptstft.tuning.variables.state import State

POSITIONS = np.arange(40) * 12.0
BOUNDS = (24.0, 120.0)


def signal(rng, dtype=float):
    t = np.arange(480)
    x = np.cos(0.3 * t) + np.cos(0.8 * t + 1e-3 * t**2) + 0.1 * rng.standard_normal((2, 480))
    x[:, 200] += 4.0
    return (x * np.exp(0.1j * t) if np.dtype(dtype).kind == "c" else x).astype(dtype)


def plan_of(x, backend="numba"):
    mode = "centered" if x.dtype.kind == "c" else "onesided"
    return FramePlan(128, mode, "psd", kernels.resolve(backend)[1], 2, windows.resolve("hann"), 1.0)


@pytest.mark.parametrize("backend", ["numba", "numpy"])
@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize("scope", ["local", "global"])
@pytest.mark.parametrize("kind", [criteria.Renyi, criteria.Shannon, criteria.Hoyer, criteria.Kurtosis])
def test_values_and_gradients_are_near_the_exact_ones(kind, scope, dtype, backend, rng):
    x = signal(rng, dtype)
    plan, criterion = plan_of(x, backend), kind(scope=scope)
    tiles = make_tiles(plan, x, Neighbourhoods.of_signal(x, 200.0), 5) if scope == "local" else None
    cells = PlaneCells.of(POSITIONS.size, 1, 1)
    table = PlaneSums.of(plan, x, criterion.statistics, plane_lengths(BOUNDS, 1e-3), POSITIONS, cells)
    win_length = np.exp(np.log(60) + 0.4 * np.sin(np.linspace(0, 3, 40))[:, None] + np.linspace(-0.2, 0.2, plan.f_pts))
    state = State(win_length, POSITIONS, np.ones(40), plan.window)
    measure, exact = Measure(plan, criterion, tiles), SignalEvaluator(x, (2,))
    read = PlaneEvaluator.of(exact, table, durations(POSITIONS, x.shape[1]))
    loss, expected = (e.value_and_grad(measure, state, positions=False, shape=False) for e in (read, exact))
    assert loss.value == pytest.approx(expected.value, abs=3e-4 * max(1.0, abs(expected.value)))
    difference = loss.gradients.win_length - expected.gradients.win_length
    most = 0.15 if kind is criteria.Hoyer else 0.03  # of magnitudes, which have corners where they vanish
    assert np.linalg.norm(difference) < most * np.linalg.norm(expected.gradients.win_length)
    assert read.value(measure, state) == loss.value
    comparable = exact.value(measure, state, comparable=True)
    # products in single precision
    assert exact.both_values(measure, state) == pytest.approx((expected.value, comparable), rel=2e-6, abs=2e-6)
    assert read.value(measure, state, comparable=True) == pytest.approx(comparable, abs=3e-4 * max(1, abs(comparable)))


def test_gradient_is_that_of_the_interpolated_value(rng):
    x = signal(rng)
    plan, criterion = plan_of(x), criteria.Shannon(scope="global")
    cells = PlaneCells.of(POSITIONS.size, 3, 2)
    table = PlaneSums.of(plan, x, criterion.statistics, plane_lengths(BOUNDS, 1e-3), POSITIONS, cells)
    positions = cells.mean(POSITIONS)
    win_length = rng.uniform(30, 110, (positions.size, 33))
    direction = rng.standard_normal(win_length.shape)
    evaluator = PlaneEvaluator.of(SignalEvaluator(x, (2,)), table, np.full(positions.size, 36.0))
    measure = Measure(plan, criterion)

    def value(step):
        state = State(win_length + step * direction, positions, np.ones(positions.size), plan.window)
        return evaluator.value_and_grad(measure, state, positions=False, shape=False)

    h = 1e-5
    expected = (value(h).value - value(-h).value) / (2 * h)
    assert np.sum(value(0.0).gradients.win_length * direction) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("length", [20.5, 90.0, 127.3])
@pytest.mark.parametrize("dtype", [float, complex])
@pytest.mark.parametrize("stride", [1, 2, 3, 4, 8])
def test_a_wrapped_frame_has_every_stride_th_bin(stride, dtype, length, rng):
    x = signal(rng, dtype)
    plan = replace(plan_of(x), mfft=128 if stride != 3 else 126)
    frames = make_frames(np.full(40, length), POSITIONS, mfft=plan.mfft)
    found, expected = strided_bins(plan, x, frames, stride), forward(plan, x, frames)[..., ::stride]
    assert_allclose(np.abs(found), np.abs(expected), atol=1e-12 * np.abs(expected).max())


@pytest.mark.parametrize(("frames", "together"), [(40, 3), (40, 40), (7, 2), (5, 1), (1, 4)])
def test_cells_hold_every_frame_once(frames, together):
    cells = PlaneCells.of(frames, together, 1)
    assert cells.sizes.sum() == frames and cells.sizes.max() <= together
    assert np.ptp(cells.sizes) <= 1
    values = np.arange(frames * 2.0).reshape(frames, 2)
    assert_allclose((cells.mean(values) * cells.sizes[:, None]).sum(axis=0), values.sum(axis=0))
    assert cells.whole == (together == 1 or frames == 1)


def test_kernels_of_both_backends_agree(rng):
    spectra = (rng.standard_normal((6, 11)) + 1j * rng.standard_normal((6, 11))).astype(np.complex64)
    spectra[:, 4] = 0.0
    exponents, kinds = np.array([1.0, 1.0, 3.0, 0.7, 1.0]), np.array([POWER, POWER_LOG, POWER, POWER_LOG, LOG1P])
    cell = np.array([0, 0, 1, 1, 1, 2])
    for units in (np.ones((1, 1)), rng.uniform(0.5, 2.0, (6, 1)), rng.uniform(0.5, 2.0, (6, 11))):
        sums = np.zeros((2, 5, 3, 11))
        for out, module in zip(sums, (cpu, plain), strict=True):
            module.add_cell_sums(spectra, exponents, kinds, units, cell, out)
        assert_allclose(sums[0], sums[1], rtol=1e-6, atol=1e-12)
    values = rng.standard_normal((3, 8, 4, 5)).astype(np.float32)
    values[0, :, 1, 2] = -60.0
    place, references = rng.uniform(-0.5, 8.0, (4, 5)), np.array([-1, 0, -1])
    results = np.zeros((2, 2, 3, 4, 5))
    for (found, rates), module in zip(results, (cpu, plain), strict=True):
        module.interpolate_cells(values, references, np.array([0, 0.7, 0]), -50.0, 0.1, place, found, rates)
    assert_allclose(results[0], results[1], rtol=1e-5, atol=1e-10)
    assert np.all(results[:, :, :, 1, 2] == 0)
