"""Distance from the best optimum: the search of paths from many random lengths, on signals with many local optima.

``python -m benchmarks.optimum`` prints the table; ``--starts`` sets the number of random starts (64).
"""

from __future__ import annotations

import argparse
import inspect
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np

import adaptstft
from adaptstft import datasets
from adaptstft.common.progress import Progress
from adaptstft.tuning.log import Log
from adaptstft.tuning.problem import Layout, Problem
from adaptstft.tuning.request import check_request
from adaptstft.tuning.stages.constant import find_first
from adaptstft.tuning.stages.frame_path import find_path
from adaptstft.tuning.stages.frame_spacing import neighbourhood_width
from adaptstft.tuning.stages.frames import typical_length

FS = 1000.0
#: Hop, FFT length and range of window lengths of all problems, in samples.
HOP, MFFT, BOUNDS = 8, 2048, (16.0, 1024.0)


def _time(n: int) -> Any:
    return np.arange(n) / FS


def _tone(frequency: float, n: int) -> Any:
    return np.cos(2 * np.pi * frequency * _time(n))


def _chirp(frequency: float, rate: float, n: int) -> Any:
    return np.cos(2 * np.pi * (frequency * _time(n) + rate / 2 * _time(n) ** 2))


def _clicks(n: int, first: int, step: int, height: float) -> Any:
    x = np.zeros(n)
    x[first::step] = height
    return x


def _bursts() -> Any:
    laws = ((0.3, 0.005, 200), (0.8, 0.2, 80), (1.3, 0.01, 250), (1.9, 0.3, 120), (2.5, 0.004, 300))
    t = _time(3000)
    return sum(np.exp(-(((t - c) / w) ** 2)) * np.cos(2 * np.pi * f * t) for c, w, f in laws)


def _hopping() -> Any:
    pieces = ((60, 900), (200, 120), (90, 140), (250, 100), (130, 1100), (70, 90), (300, 550))
    return np.concatenate([_tone(f, n) for f, n in pieces])


def signals() -> Iterator[tuple[str, Any]]:
    """Yield names and samples at 1 kHz; each signal has parts for long and parts for short windows."""
    noise = np.random.default_rng(1).standard_normal
    pair = _tone(100, 1000) + _tone(104, 1000)
    beating = _tone(80, 1200) + _tone(86, 1200)
    modulated = np.cos(2 * np.pi * 100 * _time(3000) + 8 * np.sin(2 * np.pi * 3 * _time(3000)))
    many = np.concatenate
    yield "close tones and clicks", datasets.close_tones_and_clicks().x
    yield "beats, chirp, clicks", many([beating, _chirp(60, 200, 1000), _clicks(800, 40, 50, 8.0), _tone(200, 600)])
    yield "clicks beside a tone", _tone(120, 3000) + _clicks(3000, 100, 170, 12.0)
    yield "three chirp rates", many([_chirp(50, 8, 1500), _chirp(60, 300, 900), _chirp(150, 10, 1200)])
    yield (
        "pulses around a pair",
        many([_clicks(1000, 30, 80, 8.0), _tone(150, 1400) + _tone(154, 1400), _clicks(800, 30, 40, 8.0)]),
    )
    yield "crossing chirps", _chirp(50, 80, 2500) + _chirp(300, -80, 2500)
    yield "decaying tones and clicks", datasets.decaying_tones_with_clicks().x
    yield "bursts", _bursts()
    yield "modulated and steady", modulated + _tone(300, 3000)
    yield "hopping tones", _hopping()
    yield "noise between pairs", many([pair, noise(300), _tone(180, 700), noise(200), _tone(60, 800) + _tone(65, 800)])


@dataclass(frozen=True)
class Comparison:
    """Objective after tuning, and after searches from random lengths.

    Attributes
    ----------
    value, constant : float
        The objective after tuning, and of the best constant length.
    path, best, worst : float
        The objective on the table of sums: after the search from the best single length, and the least and the
        largest one after searches from random lengths.
    paths : int
        Paths that the search took.
    """

    value: float
    constant: float
    path: float
    best: float
    worst: float
    paths: int

    @property
    def met(self) -> bool:
        """True if no random start leads to a better path by 0.1 %, and no constant length is better."""
        return self.path <= self.best + 1e-3 * abs(self.best) and self.value <= self.constant


def tune(x: Any, **more: Any) -> adaptstft.TuningResult:
    """Tune one length for each frame."""
    arguments: dict[str, Any] = {"window_mode": "time", "hop": HOP, "mfft": MFFT, "win_bounds": BOUNDS, "detrend": None}
    return adaptstft.optimize(x, FS, **arguments | more)


def best_constant(x: Any, like: adaptstft.TuningResult, points: int = 64) -> float:
    """Return the least objective of a grid of constant lengths, with penalties, for the frames of a result."""

    def value(length: float) -> float:
        lengths = np.full(like.positions.size, length)
        given = tune(x, win_length=lengths, starts=1, criterion=like.criterion, options={"maxiter": 0})
        return float(given.starts[0]["fun_start"])

    return min(map(value, np.geomspace(*BOUNDS, points)))


def random_lengths(frames: int, rng: np.random.Generator) -> Any:
    """Draw initial lengths: a constant or a curve through up to 40 points, uniform in the log length."""
    low, high = np.log(BOUNDS)
    points = int(rng.integers(1, 41))
    return np.exp(np.interp(np.linspace(0, 1, frames), np.linspace(0, 1, points), rng.uniform(low, high, points)))


def search_paths(x: Any, starts: int, seed: int = 0) -> tuple[float, int, list[float]]:
    """Return the objective of the path from the best single length, the paths taken, and those of random starts."""
    given = {name: p.default for name, p in inspect.signature(adaptstft.optimize).parameters.items()}
    given |= {"window_mode": "time", "hop": HOP, "mfft": MFFT, "win_bounds": BOUNDS, "detrend": None}
    request = check_request(x, FS, SimpleNamespace(**given))
    problem, log = Problem.of(request), Log(Progress(False))
    begin = find_first(problem, log)
    base = begin.win_length
    layout = Layout.around(problem, typical_length(problem, log, base, begin.survey)[0])
    layout = replace(layout, width=neighbourhood_width(layout, log))
    positions, rng = request.regular_positions(HOP), np.random.default_rng(seed)
    first = find_path(layout, log, HOP, positions, base[:1])
    others = [find_path(layout, log, HOP, positions, random_lengths(positions.size, rng)) for _ in range(starts)]
    assert first is not None
    return first.path.value, len(first.paths), [other.path.value for other in others if other is not None]


def compare(x: Any, starts: int, seed: int = 0, constants: int = 64) -> Comparison:
    """Compare tuning with searches from random lengths and with a grid of constant lengths."""
    tuned = tune(x)
    path, paths, others = search_paths(x, starts, seed)
    return Comparison(tuned.fun, best_constant(x, tuned, constants), path, min(others), max(others), paths)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table; the exit code is 0 if all targets are met."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.optimum", description=__doc__)
    parser.add_argument("--starts", type=int, default=64, metavar="N", help="random starts for each signal (64)")
    args = parser.parse_args(arguments)
    print(f"{'signal':26} {'tuned':>8} {'constant':>8} {'path':>8} {'random':>17} {'paths':>6}  met")
    missed = 0
    for name, x in signals():
        f = compare(x, args.starts)
        missed += not f.met
        values = f"{f.value:8.4f} {f.constant:8.4f} {f.path:8.4f} {f.best:8.4f} {f.worst:8.4f} {f.paths:6}"
        print(f"{name:26} {values}  {'yes' if f.met else 'no'}", flush=True)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main())
