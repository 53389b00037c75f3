"""Tuning with and without each heuristic of its search, on signals that need it and on signals that do not.

``python -m benchmarks.ablations`` prints the table; ``--only`` takes one heuristic.

The value is the criterion as an integral over time and frequency, without penalties. The unevenness is the mean of
``abs(log D)`` over the energy, where ``D(t)`` counts how often the windows contain a sample: a value that is lower
because parts of the signal count less is no gain.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np

import adaptstft
from adaptstft import datasets
from adaptstft.tuning.penalties.evenness import Evenness
from benchmarks.cases_tuning import FS as VOICE_FS
from benchmarks.cases_tuning import voice
from benchmarks.harness import Case, Figure, Row, Settings

FS = 1000.0


@dataclass(frozen=True)
class Ablation:
    """A heuristic, and what replaces it.

    Attributes
    ----------
    name : str
        Name for ``--only``.
    signals : tuple of str
        Names of signals in `signals`.
    settings : sequence of dict
        Arguments of `optimize`, for each row.
    without : dict
        Arguments that switch the heuristic off.
    patches : dict
        Functions that take the place of those of the heuristic, by their names.
    """

    name: str
    signals: tuple[str, ...]
    settings: Sequence[Mapping[str, Any]]
    without: Mapping[str, Any] = field(default_factory=dict)
    patches: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Side:
    """What one side of an ablation ends with.

    Attributes
    ----------
    value, uneven : float
        The criterion, and the unevenness; NaN with one length for each bin.
    frames : int
        Number of frames.
    hops, lengths : tuple of float
        Least, median and largest hop and window length in samples.
    seconds : float
        Processor time.
    """

    value: float
    uneven: float
    frames: int
    hops: tuple[float, ...]
    lengths: tuple[float, ...]
    seconds: float

    def cells(self) -> tuple[str, ...]:
        """Return the cells of the table."""
        hops, lengths = ("/".join(f"{v:.4g}" for v in three) for three in (self.hops, self.lengths))
        uneven = "" if np.isnan(self.uneven) else f"{self.uneven:.3f}"
        return f"{self.value:.4f}", uneven, str(self.frames), hops, lengths, f"{1e3 * self.seconds:.0f} ms"


def signals() -> dict[str, tuple[Any, float]]:
    """Return samples and sampling rates."""
    t, noise = np.arange(3000) / FS, 0.01 * np.random.default_rng(0).standard_normal(3000)
    crackle = np.where(t < 1.5, np.cos(2 * np.pi * 100 * t), 0.0) + 0.3 * noise
    crackle[np.random.default_rng(2).integers(1600, 2950, 15)] += 6.0
    clicks = 2 * noise
    clicks[[137, 402, 811, 1203, 1377, 1802, 2317]] += 10.0
    decaying, parallel = datasets.decaying_tones_with_clicks(), datasets.chirps_in_parallel(duration=2.0)
    return {
        "beats": (np.cos(2 * np.pi * 100 * t) + np.cos(2 * np.pi * 104 * t) + noise, FS),
        "noisy chirp": (datasets.linear_chirp(rate=80.0, duration=3.0).x + 10 * noise, FS),
        "tone, then crackle": (crackle, FS),
        "clicks": (clicks, FS),
        "close tones and clicks": (datasets.close_tones_and_clicks().x, FS),
        "decaying tones and clicks": (decaying.x, decaying.fs),
        "parallel chirps": (parallel.x, parallel.fs),
        "voice, 1 s": (voice(1.0), VOICE_FS),
    }


def _no_survey(*unused: Any) -> None:
    """Take the place of the survey of tiles: the surface of lengths begins at the best single length."""


def _same_hop(layout: Any, log: Any, base: Any, hop: float) -> tuple[float, None]:
    """Take the place of the search for a hop: the one for the best single length stays."""
    return hop, None


def _same_width(layout: Any, log: Any) -> float:
    """Take the place of the search for a width of neighbourhoods: the first one stays."""
    return float(layout.width)


_STAGES = "adaptstft.tuning.stages"
_FRAMES = {"window_mode": "time"}
_BOTH = ({"criterion": "description-length"}, {"criterion": "renyi"})
ABLATIONS = (
    Ablation(
        "evenness, positions",
        ("beats", "clicks", "close tones and clicks", "decaying tones and clicks"),
        [{**_FRAMES, "hop_mode": "time", "hop": 40, **one} for one in _BOTH],
        {"evenness": 0},
    ),
    Ablation(
        "evenness, lengths",
        ("beats", "close tones and clicks"),
        [{**_FRAMES, "hop": 25, "win_length": 200, "starts": 1, **one} for one in _BOTH],
        {"evenness": 0},
    ),
    Ablation(
        "tile survey",
        ("beats", "close tones and clicks", "parallel chirps", "voice, 1 s"),
        [{"window_mode": mode, **one} for mode in ("frequency", "time-frequency") for one in _BOTH],
        patches={f"{_STAGES}.bins._survey": _no_survey},
    ),
    Ablation(
        "hop of frames",
        ("noisy chirp", "tone, then crackle", "clicks", "close tones and clicks", "voice, 1 s"),
        [{**_FRAMES, **one} for one in _BOTH],
        patches={f"{_STAGES}.frames.frame_spacing": _same_hop},
    ),
    Ablation(
        "width of neighbourhoods",
        ("noisy chirp", "tone, then crackle", "clicks", "close tones and clicks", "voice, 1 s"),
        [{**_FRAMES, "criterion": "renyi"}],
        patches={f"{_STAGES}.frames.neighbourhood_width": _same_width},
    ),
)


def _three(values: Any) -> tuple[float, ...]:
    return tuple(float(f(values)) for f in (np.min, np.median, np.max))


def _tune(x: Any, fs: float, settings: Mapping[str, Any], workers: int) -> Side:
    start = time.process_time()
    result = adaptstft.optimize(x, fs, workers=workers, **settings)
    seconds = time.process_time() - start
    hops, uneven = np.diff(result.positions), np.nan
    if result.win_length.ndim == 1:
        cells = Evenness.of_signal(np.atleast_2d(x), float(np.median(hops)), float(result.win_length.max()))
        uneven = cells.evaluate(result.sft.window, result.win_length, result.positions).value
    return Side(result.area_fun, uneven, result.positions.size, _three(hops), _three(result.win_length), seconds)


def compare(ablation: Ablation, workers: int, quick: bool = False) -> Iterator[tuple[str, Side, Side]]:
    """Yield a description of each row, and its sides with and without the heuristic."""
    available = signals()
    for name in ablation.signals[: 1 if quick else None]:
        x, fs = available[name]
        for settings in ablation.settings[: 1 if quick else None]:
            with_it = _tune(x, fs, settings, workers)
            with ExitStack() as stack:
                for target, function in ablation.patches.items():
                    stack.enter_context(mock.patch(target, function))
                without = _tune(x, fs, {**settings, **ablation.without}, workers)
            kind = f"{settings['window_mode']}, {settings['criterion']}"
            yield f"{ablation.name}: {name}, {kind}", with_it, without


def _rows(settings: Settings) -> list[Row]:
    return [
        Row(
            "ablations",
            f"{work}, criterion",
            "without",
            Figure(with_it.value, ""),
            Figure(without.value, ""),
            Figure(with_it.value - without.value, ""),
            detail={"with": vars(with_it), "without": vars(without)},
        )
        for ablation in ABLATIONS
        for work, with_it, without in compare(ablation, settings.workers, settings.quick)
    ]


CASES = (Case("ablations", "the search for lengths with and without each of its heuristics", _rows),)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablations", description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="TEXT", default="", help="run the heuristics whose name contains this")
    args = parser.parse_args(arguments)
    header = ("value", "uneven", "frames", "hops", "lengths", "time")
    print(f"{'':70} {'':8}" + "".join(f"{cell:>20}" for cell in header))
    for ablation in ABLATIONS:
        if args.only in ablation.name:
            for work, *sides in compare(ablation, workers=1):
                for label, side in zip(("with", "without"), sides, strict=True):
                    text = work if label == "with" else ""
                    print(f"{text:70} {label:8}" + "".join(f"{cell:>20}" for cell in side.cells()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
