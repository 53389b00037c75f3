"""The published synthetic experiments: tuning by adaptstft against dstft with Adam, from the same start.

``python -m benchmarks.paper`` prints the table and, without ``--only`` and ``--quick``, writes ``paper.md`` beside this
file and ``paper.rst``, which the documentation includes.

Both sides have the same samples (single precision, as in the tutorials of dstft), initial frames, bounds and criterion.
One function evaluates their final lengths and positions in double precision.
"""

from __future__ import annotations

import argparse
import gc
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

import adaptstft
from adaptstft import criteria, datasets
from benchmarks.harness import Settings
from benchmarks.paper_peer import RATES, Schedule, Tuned, adam
from benchmarks.report import environment

_HERE = Path(__file__).parent
#: Initial and shortest window length of all published experiments, in samples.
START, SHORTEST = 577.0, 20.0
#: Relative decrease of the criterion at which our descents end, from the given start and from searched positions.
GAINS = {"fixed": 1e-6, "time": 1e-5}
#: The four ways of tuning: (name, window mode, hop mode).
MODES = (
    ("constant", "constant", "fixed"),
    ("window", "time", "fixed"),
    ("hop", "fixed", "time"),
    ("window+hop", "time", "time"),
)


@dataclass(frozen=True)
class Experiment:
    """A signal and how it is framed.

    Attributes
    ----------
    name : str
        Name in the table.
    x : ndarray of float32
        The signal. Its length is a multiple of the hop plus one, for which both packages have the same frames.
    fs : float
        Sampling rate in Hz.
    hop, mfft : int
        Initial time between frames, and length of the FFT, also the longest window and the longest hop.
    criterion : Criterion
        The criterion, with windows that are not scaled.
    """

    name: str
    x: Any
    fs: float
    hop: int
    mfft: int
    criterion: criteria.Criterion

    @classmethod
    def of(cls, signal: datasets.Signal, hop: int, mfft: int, criterion: criteria.Criterion, name: str) -> Experiment:
        """Make an experiment from a signal, cut to a multiple of the hop plus one."""
        n = (signal.x.size - 1) // hop * hop + 1
        return cls(name, signal.x[:n].astype(np.float32), signal.fs, hop, mfft, criterion)

    def evaluate(self, win_length: Any, positions: Any) -> float:
        """Return the criterion in double precision, for lengths and positions in samples."""
        return float(self._transform(win_length, positions).value_and_grad(self.x.astype(float), self.criterion)[0])

    def coverage(self, win_length: Any, positions: Any) -> tuple[bool, float, float]:
        """Return whether the transform is invertible, the least hop and the ratio of the frame bounds."""
        sft = self._transform(win_length, positions)
        low, high = sft.frame_bounds(self.x.size)
        return low > 0, float(np.diff(positions).min()), high / low if low > 0 else np.inf

    def _transform(self, win_length: Any, positions: Any) -> adaptstft.AdaptiveShortTimeFFT:
        return adaptstft.AdaptiveShortTimeFFT("hann", win_length, None, self.fs, positions=positions, mfft=self.mfft)

    def tune(self, window_mode: Any, hop_mode: Any, workers: int, *, guarantees: bool, **more: Any) -> Any:
        """Tune with adaptstft.

        With the guarantees neighbours overlap by half of the shorter window, so the initial length is at least two
        hops.
        """
        bounds = {"hop_bounds": (0.0, float(self.mfft))} if hop_mode == "time" and not guarantees else {}
        return adaptstft.optimize(
            self.x,
            self.fs,
            window_mode=window_mode,
            hop_mode=hop_mode,
            win_length=max(START, 2.0 * self.hop) if guarantees else START,
            hop=self.hop,
            mfft=self.mfft,
            win_bounds=(SHORTEST, self.mfft),
            min_overlap=0.5 if guarantees else None,
            criterion=self.criterion,
            scale_to=None,
            detrend=None,
            workers=workers,
            **bounds,
            **more,
        )


def experiments() -> list[Experiment]:
    """Make the published experiments: a sequence of tones at two hops, decaying tones with clicks, a chirp."""
    kurtosis = criteria.Kurtosis(scope="frame")
    tones = datasets.piecewise_tones()
    return [
        Experiment.of(tones, 500, 1500, kurtosis, "piecewise tones, hop 500"),
        Experiment.of(tones, 250, 1500, kurtosis, "piecewise tones, hop 250"),
        Experiment.of(datasets.decaying_tones_with_clicks(), 50, 1000, kurtosis, "decaying tones and clicks"),
        Experiment.of(datasets.sine_modulated_chirp_and_tone(), 100, 1000, kurtosis, "chirp and tone"),
    ]


@dataclass(frozen=True)
class Line:
    """One line of the table.

    Attributes
    ----------
    experiment, criterion, mode : str
        Names of the experiment.
    start, free, peer, kept : float
        The criterion at the start, after our tuning without guarantees, after that of dstft, and after our tuning
        with guarantees.
    seconds, their_seconds : float
        Processor time of both sides without guarantees. Ours is a call after a run of dstft, whose data are in the
        caches.
    again_seconds : float
        Processor time of our second call in a row.
    rate : float
        The better learning rate of dstft.
    holes : tuple of bool
        True if our transform without guarantees, and that of dstft, leave samples uncovered.
    invertible : bool
        True if our transform with guarantees is invertible.
    least_hop, bound_ratio : float
        Its shortest hop in samples, and the ratio of its frame bounds.
    """

    experiment: str
    criterion: str
    mode: str
    start: float
    free: float
    peer: float
    kept: float
    seconds: float
    again_seconds: float
    their_seconds: float
    rate: float
    holes: tuple[bool, bool]
    invertible: bool
    least_hop: float
    bound_ratio: float

    @property
    def faster(self) -> float:
        """Ratio of their time to ours."""
        return self.their_seconds / self.seconds

    @property
    def met(self) -> bool:
        """True if not worse and in a twentieth of the time; with one length, in no more time."""
        fast = self.faster >= (1 if self.mode == "constant" else 20)
        return fast and self.free <= self.peer and self.invertible


def measure(experiment: Experiment, name: str, window_mode: str, hop_mode: str, repeat: int, workers: int) -> Line:
    """Tune an experiment in one mode on both sides, `repeat` times in turn.

    dstft runs with each learning rate. The one with the lower final value counts, with its own time only.
    """
    # with one length one descent from the start; lengths of frames and positions are searched
    starts = {"starts": 1} if window_mode == "constant" and hop_mode == "fixed" else {}
    ours: list[Any] = []
    theirs: list[Tuned] = []

    def tune() -> None:
        began = time.process_time()
        result = experiment.tune(
            window_mode, hop_mode, workers, guarantees=False, options={"ftol": GAINS[hop_mode]}, **starts
        )
        ours.append((time.process_time() - began, result))

    def drive(rate: float) -> Tuned:
        return adam(experiment, window_mode, hop_mode, (SHORTEST, experiment.mfft), START, Schedule(rate=rate), workers)

    tries = {rate: drive(rate) for rate in RATES}
    values = {rate: experiment.evaluate(run.win_length, run.positions) for rate, run in tries.items()}
    best = min(RATES, key=values.__getitem__)
    gc.collect()
    gc.disable()
    try:
        for _ in range(repeat):
            tune()
            tune()
            theirs.append(drive(best))
    finally:
        gc.enable()
    free, peer = ours[-1][1], tries[best]
    kept = experiment.tune(window_mode, hop_mode, workers, guarantees=True)
    invertible, least_hop, bound_ratio = experiment.coverage(kept.win_length, kept.positions)
    return Line(
        experiment.name,
        experiment.criterion.name,
        name,
        experiment.evaluate(START, np.arange(0.0, experiment.x.size, experiment.hop)),
        experiment.evaluate(free.win_length, free.positions),
        values[best],
        experiment.evaluate(kept.win_length, kept.positions),
        statistics.median(seconds for seconds, _ in ours[::2]),
        statistics.median(seconds for seconds, _ in ours[1::2]),
        statistics.median(run.seconds for run in theirs),
        best,
        tuple(not experiment.coverage(side.win_length, side.positions)[0] for side in (free, peer)),
        invertible,
        least_hop,
        bound_ratio,
    )


_HEADER = (
    "signal",
    "tuned",
    "start",
    "free",
    "dstft",
    "time",
    "its time",
    "ratio",
    "again",
    "met",
    "guaranteed",
    "least hop",
    "bounds",
)


def _cells(line: Line) -> tuple[str, ...]:
    unit = 1000 if line.criterion == "kurtosis" else 1

    def show(value: float, *, hole: bool = False) -> str:
        return f"{unit * value:.4f}" + (" (holes)" if hole else "")

    return (
        line.experiment,
        line.mode,
        show(line.start),
        show(line.free, hole=line.holes[0]),
        show(line.peer, hole=line.holes[1]),
        f"{1e3 * line.seconds:.0f} ms",
        f"{1e3 * line.their_seconds:.0f} ms",
        f"{line.faster:.1f} x",
        f"{line.their_seconds / line.again_seconds:.1f} x",
        "yes" if line.met else "no",
        show(line.kept),
        f"{line.least_hop:.0f}",
        f"{line.bound_ratio:.1f}",
    )


def notes(settings: Settings) -> list[str]:
    """Return the notes below the table."""
    machine = environment(settings)
    versions = ", ".join(
        f"{name} {machine['versions'][name]}" for name in ("adaptstft", "numpy", "scipy", "torch", "dstft")
    )
    return [
        f"{machine['date']}; {machine['cpu']}; Python {machine['python']}; {versions}.",
        f"Criterion: 1000 divided by the mean kurtosis of the frames' magnitudes; Hann windows that are not scaled, "
        f"from {START:g} samples, within {SHORTEST:g} and the FFT's length. Values are of one function, in double "
        "precision, at the final lengths and positions of each side.",
        "Free: positions and lengths as free as in dstft (min_overlap=None), hops from 0 to the FFT's "
        "length, the first frame at sample 0. With one length one descent from the start (starts=1); "
        "lengths of frames are searched over a table, and positions begin at the best of a grid. A descent ends when "
        "an iteration gains less than 1e-6 of the value, or 1e-5 from searched positions.",
        f"dstft: Adam, learning rate {' or '.join(f'{rate:g}' for rate in RATES)} (the better one in every line, with "
        "its own time only), divided by ten after nine steps without a gain of 1e-4 (ReduceLROnPlateau), until it is "
        "a thousandth; the best step counts.",
        f"Times are processor time with one thread each, medians of {settings.repeat} runs in turn; the target is a "
        "twentieth of dstft's if lengths or positions vary, and no more with one length, at a value not worse. 'again' "
        "is the ratio for our second call in a row: in the first one the caches hold the data of a run of dstft.",
        "Guaranteed: the defaults, in which neighbours overlap by half of the shorter window; it begins with windows "
        "of at least two hops. Least hop in samples and the ratio of the frame bounds are of that result, which is "
        "invertible in every line. Holes: samples that no window covers, so that there is no inverse.",
    ]


def table(lines: Iterable[Line], kind: str) -> str:
    """Return the table for a terminal (``"text"``), as Markdown (``"md"``) or as reStructuredText (``"rst"``)."""
    rows = [_HEADER, *map(_cells, lines)]
    if kind == "md":
        rows.insert(1, ("---",) * len(_HEADER))
        return "\n".join("| " + " | ".join(row) + " |" for row in rows) + "\n"
    if kind == "rst":
        items = [f"   {'* -' if i == 0 else '  -'} {cell}" for row in rows for i, cell in enumerate(row)]
        options = ["   :header-rows: 1", "   :class: measured"]
        return "\n".join([".. list-table::", *options, "", *items, ""])
    widths = [max(len(row[i]) for row in rows) for i in range(len(_HEADER))]
    return "\n".join("  ".join(c.ljust(w) for c, w in zip(row, widths, strict=True)).rstrip() for row in rows) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the experiments that the arguments select.

    Parameters
    ----------
    arguments : sequence of str, optional
        Arguments; by default those of the process.

    Returns
    -------
    int
        Exit code.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.paper", description="Repeat published experiments.")
    parser.add_argument("--only", metavar="TEXT", help="run the signals whose name contains this")
    parser.add_argument("--repeat", metavar="N", type=int, default=5, help="timed runs of each side (5)")
    args = parser.parse_args(arguments)
    lines = []
    for experiment in experiments():
        if args.only is not None and args.only not in experiment.name:
            continue
        for mode in MODES:
            lines.append(measure(experiment, *mode, args.repeat, workers=1))
            print(table(lines[-1:], "text").splitlines()[1], file=sys.stderr, flush=True)
    texts = notes(Settings(args.repeat, workers=1))
    print(table(lines, "text"), *texts, sep="\n")
    if args.only is None:
        (_HERE / "paper.md").write_text(table(lines, "md") + "\n" + "\n\n".join(texts) + "\n", encoding="utf-8")
        (_HERE / "paper.rst").write_text(table(lines, "rst") + "\n" + "\n\n".join(texts) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    # waiting threads of linear algebra count as processor time; their number must be set before the import
    one = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"), "1")
    if os.environ.items() >= one.items():
        sys.exit(main())
    sys.exit(subprocess.call([sys.executable, "-m", "benchmarks.paper", *sys.argv[1:]], env=os.environ | one))
