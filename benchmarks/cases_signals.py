"""Signals from transforms: phase retrieval against librosa, and the cost of denoising."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

import adaptstft
from benchmarks.harness import Case, Figure, Rival, Row, Settings, Target, describe, race, sound
from benchmarks.peers import require

_FS = 16000.0
#: Length of the Hann window and of the FFT, and hop.
_LENGTH, _HOP = 1024, 256


class _Magnitudes:
    """Magnitudes of a signal without phases, the same for both sides, which start from their own first phases."""

    def __init__(self, name: str, x: Any, workers: int) -> None:
        self.name, self.n = name, x.size
        self.sft = adaptstft.AdaptiveShortTimeFFT("hann", _LENGTH, _HOP, _FS, workers=workers)
        self.A = np.abs(self.sft.stft(x))
        self.first = -self.sft.p_min

    def ours(self, n_iter: int) -> Any:
        """Return our signal."""
        return adaptstft.griffin_lim(self.sft, self.A, self.n, n_iter=n_iter, rng=0)

    def theirs(self, n_iter: int) -> Any:
        """Return the signal of librosa, which has only the frames that are centred within the signal."""
        frames = slice(self.first, self.first + self.n // _HOP + 1)
        options = {"hop_length": _HOP, "n_fft": _LENGTH, "pad_mode": "constant", "length": self.n, "dtype": float}
        return require("librosa").griffinlim(self.A[:, frames], n_iter=n_iter, random_state=0, **options)

    def distance(self, x: Any) -> float:
        """Return the distance of a signal from the magnitudes, relative to them."""
        return float(np.linalg.norm(np.abs(self.sft.stft(x)) - self.A) / np.linalg.norm(self.A))


def _griffin_lim(settings: Settings) -> list[Row]:
    n = settings.size(32000, 4000)
    run_up = adaptstft.datasets.run_up(duration=n / 2000, noise_std=0.2)
    rows: list[Row] = []
    for problem in (
        _Magnitudes("chirp, tone and noise", sound(n, float), settings.workers),
        _Magnitudes("run-up in noise", run_up.x, settings.workers),
    ):
        for n_iter in (32, 300):
            work = f"{n_iter} iterations, {problem.name}, {problem.n:,} samples, {_LENGTH}/{_HOP}"

            def ours(problem: Any = problem, n_iter: int = n_iter) -> Callable[[], Any]:
                return lambda: problem.ours(n_iter)

            def theirs(problem: Any = problem, n_iter: int = n_iter) -> Callable[[], Any]:
                return lambda: problem.theirs(n_iter)

            rows += race(settings, "griffin-lim", f"time of {work}", ours, [Rival("librosa.griffinlim", theirs)])
            rows.append(_distances(problem, n_iter, f"distance after {work}"))
    return rows


def _distances(problem: _Magnitudes, n_iter: int, work: str) -> Row:
    """Compare the distances of both signals from the magnitudes."""
    mine, target = problem.distance(problem.ours(n_iter)), Target(1.0, at_least=False)
    row = Row("griffin-lim", work, "librosa.griffinlim", Figure(mine, ""), target=target)
    try:
        other = problem.distance(problem.theirs(n_iter))
    except ImportError as error:
        return replace(row, problem=describe(error))
    return replace(row, theirs=Figure(other, ""), result=Figure(mine / other, "x"))


def _denoise(settings: Settings) -> list[Row]:
    seconds = settings.size(10, 1)
    x = sound(int(seconds * _FS), float) + np.random.default_rng(1).standard_normal(int(seconds * _FS))
    spent = []
    for _ in range(settings.repeat + 1):
        begin = time.process_time()
        adaptstft.denoise(x, _FS, workers=settings.workers)
        spent.append(time.process_time() - begin)
    ours = statistics.median(spent[1:])
    return [
        Row(
            "denoise",
            f"processor time on all cores to denoise {seconds} s at 16 kHz",
            "length of the recording",
            Figure(ours),
            Figure(float(seconds)),
            Figure(ours / seconds, "x"),
            Target(2.0, at_least=False),
            detail={"seconds": spent},
        )
    ]


CASES = (
    Case("griffin-lim", "a signal from magnitudes, against librosa", _griffin_lim),
    Case("denoise", "the cost of denoising, relative to the length of the recording", _denoise),
)
