"""Value and gradient with one window length for each frame and frequency bin, against the DFT of dstft."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from adaptstft.criteria import Shannon
from adaptstft.engine.frames import durations
from adaptstft.tuning.evaluator import Measure, SignalEvaluator
from adaptstft.tuning.plane_evaluator import PlaneEvaluator
from adaptstft.tuning.tables.plane_sums import PlaneCells, PlaneSums, plane_lengths
from adaptstft.tuning.variables.state import State
from benchmarks.cases_gradients import against_dstft
from benchmarks.differentiable import Problem
from benchmarks.harness import Case, Row, Settings, Target, sound


def bins_case(
    name: str,
    summary: str,
    size: tuple[int, int, int],
    target: Target,
    ours: Callable[[Problem, int], Callable[[], Any]] = Problem.step,
) -> Case:
    """Make a benchmark of one tuning step with a window length for each bin of each frame.

    Parameters
    ----------
    name, summary : str
        As in `Case`.
    size : tuple of int
        Samples, length of the FFT and hop.
    target : Target
        Bound on the ratio.
    ours : callable, optional
        ``ours(problem, workers)`` returns our function; by default the exact value and gradient.

    Returns
    -------
    Case
        The benchmark.
    """

    def run(settings: Settings) -> list[Row]:
        n, mfft, hop = (1000, 256, 64) if settings.quick else size
        work = f"{summary}, {n:,} samples, {mfft}/{hop}, float32"
        problem = Problem.at_hop(sound(n), mfft, hop, "time-frequency")
        return against_dstft(settings, name, work, problem, target, ours)

    return Case(name, f"{summary}, against dstft", run)


def from_a_table(problem: Problem, workers: int) -> Callable[[], Any]:
    """Return one iteration of tuning that reads a table of sums over a grid of lengths.

    The grid covers the range of dstft's parameters. The table, made once for a signal, is not timed.
    """
    plan = problem.transform(workers)._plan
    x = problem.x[np.newaxis]
    stats = Shannon().statistics
    cells = PlaneCells.of(problem.positions.size, 1, 1)
    lengths = plane_lengths((problem.mfft / 16, float(problem.mfft)), 1e-3)
    plane = PlaneSums.of(plan, x, stats, lengths, problem.positions, cells)
    measure, spans = Measure(plan, Shannon()), durations(problem.positions, x.shape[1])
    evaluator = PlaneEvaluator.of(SignalEvaluator(x, (1,)), plane, spans)
    ones = np.ones(problem.positions.size)
    state = State(np.ascontiguousarray(problem.lengths.T), problem.positions, ones, plan.window)
    return lambda: evaluator.value_and_grad(measure, state, positions=False, shape=False)


def between_samples(problem: Problem, workers: int) -> Callable[[], Any]:
    """Return a step with centres between samples, where windows are not symmetric, and equal lengths for all bins."""
    lengths = np.full_like(problem.lengths, 0.7 * problem.mfft)
    return replace(problem, lengths=lengths, positions=problem.positions + 0.37).step(workers)


_EXACT = "exact value and gradient, one length for each bin and frame"
_BETWEEN = "the same at centres between samples, with equal lengths"

CASES = (
    bins_case("bins-1", _EXACT, (6_636, 1500, 250), Target(60)),
    bins_case("bins-2", _EXACT, (16_000, 512, 64), Target(60)),
    bins_case("bins-1-between", _BETWEEN, (6_636, 1500, 250), Target(60), between_samples),
    bins_case("bins-2-between", _BETWEEN, (16_000, 512, 64), Target(60), between_samples),
    bins_case(
        "bins-table",
        "one tuning iteration on a table, one length for each bin and frame",
        (6_636, 1500, 250),
        Target(400),
        from_a_table,
    ),
)
