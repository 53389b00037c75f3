"""Value and gradient with one window length for each frame and frequency bin, against the DFT of dstft."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from adaptstft.criteria import Shannon
from adaptstft.criteria.evaluate import evaluate_spectra
from adaptstft.criteria.scopes import FrameView
from adaptstft.tuning.tables.lowrank import BasisTransforms, window_basis
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


def low_rank(problem: Problem, workers: int) -> Callable[[], Any]:
    """Return one iteration of tuning with transforms that are combined from those of a few lengths.

    These lengths cover the range of dstft's parameters. Their transforms, made once for a signal, are not timed.
    """
    plan = problem.transform(workers)._plan
    x = problem.x[np.newaxis]
    win_length = np.ascontiguousarray(problem.lengths.T)
    basis = window_basis(plan, (problem.mfft / 16, float(problem.mfft)), _ACCURACY)
    if basis is None:
        raise RuntimeError("no basis of a few lengths has this accuracy")
    transforms = BasisTransforms(plan, x, problem.positions, basis, _ACCURACY)
    view = FrameView(problem.positions, np.ones(problem.positions.size))
    return lambda: evaluate_spectra(plan, transforms.spectra(win_length), Shannon(), view)


_ACCURACY = 1e-4
_EXACT = "exact value and gradient, one length for each bin and frame"

CASES = (
    bins_case("bins-1", _EXACT, (6_636, 1500, 250), Target(60)),
    bins_case("bins-2", _EXACT, (16_000, 512, 64), Target(60)),
    bins_case(
        "low-rank",
        f"one tuning iteration at accuracy {_ACCURACY:g}, one length for each bin and frame",
        (6_636, 1500, 250),
        Target(400),
        low_rank,
    ),
)
