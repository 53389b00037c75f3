"""Value and gradient with one window length, or one for each frame: against dstft, and against an FFT alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from scipy import fft as fft_lib

from benchmarks.differentiable import Peer, Problem
from benchmarks.harness import Case, Rival, Row, Settings, Target, race, sound


def against_dstft(
    settings: Settings,
    name: str,
    work: str,
    problem: Problem,
    target: Target,
    ours: Callable[[Problem, int], Callable[[], Any]] = Problem.step,
) -> list[Row]:
    """Time one evaluation of a problem against the forward and backward pass of dstft.

    Parameters
    ----------
    settings : Settings
        Threads and repetitions.
    name, work : str
        As in `Row`.
    problem : Problem
        The problem.
    target : Target
        Bound on the ratio.
    ours : callable, optional
        ``ours(problem, workers)`` returns our function.

    Returns
    -------
    list of Row
        One row.
    """
    peers: list[Peer] = []

    def prepare() -> Callable[[], Any]:
        peers.append(Peer(problem, settings))
        return peers[0].evaluate

    def check() -> dict[str, Any]:
        return peers[0].agreement(settings.workers)

    rival = Rival("dstft", prepare, target, check=check)
    return race(settings, name, work, lambda: ours(problem, settings.workers), [rival])


def _work(problem: Problem, hop: int, variables: str) -> str:
    return f"value and gradient in {variables}, {problem.x.size:,} samples, {problem.mfft}/{hop}, {problem.x.dtype}"


def _time(settings: Settings) -> list[Row]:
    problem = Problem.at_hop(sound(settings.size(480_000, 20_000)), 1024, 256, "time")
    return against_dstft(settings, "time", _work(problem, 256, "one length a frame"), problem, Target(10))


def _time_and_hop(settings: Settings) -> list[Row]:
    x = sound(settings.size(480_000, 20_000))
    problem = Problem.at_hop(x, 1024, 256, "time", tune_hops=True)
    work = _work(problem, 256, "lengths and positions")
    return against_dstft(settings, "time+hop", work, problem, Target(10))


def _constant(settings: Settings) -> list[Row]:
    problem = Problem.at_hop(sound(settings.size(480_000, 20_000)), 1024, 256, "constant")
    return against_dstft(settings, "constant", _work(problem, 256, "one length"), problem, Target(7))


def _time_short(settings: Settings) -> list[Row]:
    problem = Problem.at_hop(sound(settings.size(22_000, 5_000)), 1500, 50, "time")
    return against_dstft(settings, "time-short", _work(problem, 50, "one length a frame"), problem, Target(8))


def _shannon_vs_fft(settings: Settings) -> list[Row]:
    x = sound(settings.size(480_000, 20_000), np.float64)
    problem = Problem.at_hop(x, 1024, 256, "time")
    frames = np.random.default_rng(0).standard_normal((problem.positions.size, 1024))
    rival = Rival(
        "scipy.fft.rfft of the frames",
        lambda: lambda: fft_lib.rfft(frames, axis=-1, workers=settings.workers),
        Target(3.0, at_least=False),
        inverted=True,
    )
    work = _work(problem, 256, "one length a frame")
    return race(
        settings, "shannon-vs-fft", work, lambda: problem.step(settings.workers), [rival], frames=list(frames.shape)
    )


CASES = (
    Case("time", "value and gradient, one window length a frame, against dstft", _time),
    Case("time+hop", "the same with the positions of the frames", _time_and_hop),
    Case("constant", "the same with one window length", _constant),
    Case("shannon-vs-fft", "the same in float64, against the FFT of its frames alone", _shannon_vs_fft),
    Case("time-short", "a short signal with strongly overlapping frames, against dstft", _time_short),
)
