"""Time of value and gradient as a function of signal length, number of threads and FFT length."""

from __future__ import annotations

import statistics

import numpy as np

from benchmarks.differentiable import Problem
from benchmarks.harness import Case, Figure, Row, Settings, Target, interleaved, sound

_NAME = "scaling"
_MFFT, _HOP = 1024, 256


def _medians(problem: Problem, workers: tuple[int, ...], settings: Settings) -> dict[int, float]:
    calls = {str(w): problem.step(w) for w in workers}
    for call in calls.values():
        call()
    durations = interleaved(calls, settings.repeat, settle=settings.settle, seconds=settings.seconds)
    return {int(w): statistics.median(seconds) for w, seconds in durations.items()}


def _exponent(sizes: list[int], seconds: list[float]) -> float:
    return float(np.polyfit(np.log(sizes), np.log(seconds), 1)[0])


def _signal_lengths(settings: Settings, workers: tuple[int, ...]) -> list[Row]:
    sizes = [int(10**e) for e in (np.arange(4, 5.1, 0.5) if settings.quick else np.arange(4, 7.1, 0.5))]
    curves: dict[int, list[float]] = {w: [] for w in workers}
    for n in sizes:
        seconds = _medians(Problem.at_hop(sound(n), _MFFT, _HOP, "time"), workers, settings)
        for w in workers:
            curves[w].append(seconds[w])
    detail = {"samples": sizes, "seconds": {str(w): curves[w] for w in workers}}
    rows = []
    for w in workers:
        work = f"exponent of the cost in N, {sizes[0]:,} to {sizes[-1]:,} samples, {w} worker{'s' * (w > 1)}"
        exponent = Figure(_exponent(sizes, curves[w]), "")
        # short signals show the overhead of a call, long ones the exponent
        upper = {"exponent_of_the_longer_half": _exponent(sizes[len(sizes) // 2 :], curves[w][len(sizes) // 2 :])}
        rows.append(Row(_NAME, work, ours=Figure(curves[w][-1]), result=exponent, detail=detail | upper))
    return rows


def _threads(settings: Settings, workers: tuple[int, ...]) -> Row:
    n = settings.size(480_000, 20_000)
    work = f"1 worker against {workers[-1]}, {n:,} samples, {_MFFT}/{_HOP}"
    if len(workers) < 2:
        return Row(_NAME, work, target=Target(1.7), problem="this machine has one core")
    seconds = _medians(Problem.at_hop(sound(n), _MFFT, _HOP, "time"), workers, settings)
    one, more = (seconds[w] for w in workers)
    return Row(_NAME, work, "adaptstft with 1 worker", Figure(more), Figure(one), Figure(one / more, "x"), Target(1.7))


def _fft_lengths(settings: Settings) -> Row:
    x = sound(settings.size(480_000, 20_000))
    sizes = [256, 512, 1024] if settings.quick else [2**k for k in range(8, 14)]
    seconds = [
        _medians(Problem.at_hop(x, m, m // 4, "time"), (settings.workers,), settings)[settings.workers] for m in sizes
    ]
    work = f"exponent of the cost in mfft, {sizes[0]} to {sizes[-1]}, hop mfft/4, {x.size:,} samples"
    detail = {"mfft": sizes, "seconds": seconds}
    return Row(_NAME, work, ours=Figure(seconds[-1]), result=Figure(_exponent(sizes, seconds), ""), detail=detail)


def _run(settings: Settings) -> list[Row]:
    workers = (1, 2) if settings.workers > 1 else (1,)
    return [*_signal_lengths(settings, workers), _threads(settings, workers), _fft_lengths(settings)]


CASES = (Case(_NAME, "cost against samples, workers and FFT length", _run),)
