"""Which criterion picks the window length that experts and tasks want: ``python -m benchmarks.criteria``.

It prints the tables and, without ``--only`` and ``--quick``, writes ``criteria.json``, ``criteria.md`` and
``criteria.rst`` beside this file and the pictures to ``docs/_static``. It takes ten minutes on one core.
``--tables`` writes tables and pictures again from ``criteria.json``.

One Hann window length for a recording, the same grid of lengths for all criteria. Recordings are from packages with a
licence that allows it (`benchmarks.criteria_recordings`). Those that cannot be fetched are left out with the reason.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from scipy.signal import detrend

from adaptstft import TuningResult, optimize
from benchmarks import criteria_oracles as oracles
from benchmarks import criteria_report as report
from benchmarks import recordings
from benchmarks.criteria_measures import CRITERIA, PACKAGE, VARIANTS, by_package, choices, grid
from benchmarks.criteria_recordings import HELD_OUT, RECORDINGS, Recording
from benchmarks.criteria_report import Measurement, Results

_HERE = Path(__file__).parent
_PICTURES = _HERE.parent / "docs" / "_static"
#: Lengths per octave where noise is added, and where onsets are measured.
COARSE, COARSEST = 4, 2
#: Longest window for onsets, in samples; beyond it onsets are lost.
LONGEST_FOR_ONSETS = 2048
#: Longest recording for the effect of a drift, in samples.
MOST_FOR_DRIFT = 1 << 14
_ALL = {**CRITERIA, **VARIANTS}
#: Tables with long texts, whose cells wrap.
_OF_WORDS = ("worse", "practice", "recordings")


def at(lengths: Any, losses: Any, length: float) -> float:
    """Return the loss at a length, interpolated over its logarithm."""
    return float(np.interp(np.log(length), np.log(lengths), losses))


def practice(recording: Recording, fs: float, picked: Mapping[str, float]) -> Iterator[Measurement]:
    """Compare with the practice of the field."""
    oracle = "held out" if recording in HELD_OUT else "practice"
    for name, length in picked.items():
        octaves = recording.practice.distance(length / fs)
        yield Measurement(oracle, recording.name, name, octaves, seconds=length / fs)


def excess(recording: Recording, fs: float, result: TuningResult) -> Iterator[Measurement]:
    """Compare the best description within the practice of the field with the shortest of all lengths."""
    low, high = (np.log2(seconds * fs) for seconds in (recording.practice.shortest, recording.practice.longest))
    within = np.linspace(low - report.TOLERANCE, high + report.TOLERANCE, 100)
    survey = result.survey
    longer = np.interp(within, np.log2(survey.lengths), survey.values).min() / survey.values.min() - 1
    yield Measurement("excess", recording.name, PACKAGE, float(longer))
    yield Measurement("excess bits", recording.name, PACKAGE, float(longer * result.score))


def coding(case: str, x: Any, picked: Mapping[str, float]) -> Iterator[Measurement]:
    """Compare with the rate of a coder, on the recording as it is."""
    lengths = grid(x.size, COARSE)
    for db in report.CODING:
        bits = oracles.rates(x, lengths, db)
        for name, length in picked.items():
            yield Measurement(f"coding {db}", case, name, at(lengths, bits, length) / bits.min() - 1)


def denoising(case: str, x: Any, fs: float, seeds: int, levels: Sequence[int]) -> Iterator[Measurement]:
    """Add white noise, of which the criteria see the sum only, and denoise with the length that each picks."""
    lengths = grid(x.size, COARSE)
    for db in levels:
        for seed in range(seeds):
            y, variance = oracles.noisy(x, db, seed)
            loss = oracles.denoising_loss(x, y, variance, lengths)
            for name, length in (choices(y, _ALL, lengths) | by_package(y, fs)).items():
                yield Measurement(f"denoising {db}", case, name, at(lengths, loss, length) - loss.min(), seed)


def drift(case: str, x: Any) -> Iterator[Measurement]:
    """Add a linear drift from -5 to 5 standard deviations and remove the mean only; remove a line without a drift."""
    lengths = grid(x.size, COARSE)
    before = choices(x, lengths=lengths)
    drifting = choices(x + np.linspace(-5, 5, x.size), lengths=lengths)
    straight = choices(detrend(x), lengths=lengths)
    for name, length in before.items():
        yield Measurement("drift", case, name, drifting[name] / length)
        yield Measurement("line", case, name, straight[name] / length)


def ridges(law: oracles.Law, seeds: int) -> Iterator[Measurement]:
    """Compare errors of ridges with those of the best length."""
    lengths = grid(law.x.size, COARSE)
    for db in report.RIDGES:
        for seed in range(seeds):
            y, _ = oracles.noisy(law.x, db, seed)
            loss = np.log(oracles.ridge_loss(law, y, lengths))
            for name, length in (choices(y, lengths=lengths) | by_package(y, 1.0)).items():
                ratio = float(np.exp(at(lengths, loss, length) - loss.min()))
                yield Measurement(f"ridge {db}", law.name, name, ratio, seed)


def onsets(kind: str) -> Iterator[Measurement]:
    """Measure the errors of onsets in ms."""
    x, times = oracles.onset_signal(kind, seed=0)
    lengths = grid(x.size, COARSEST)
    lengths = lengths[lengths <= LONGEST_FOR_ONSETS]
    for db in report.ONSETS:
        y, _ = oracles.noisy(x, db, seed=0)
        loss = oracles.onset_loss(y, times, lengths)
        yield Measurement(f"onset {db}", kind, "best", float(loss.min()))
        for name, length in choices(y, lengths=grid(x.size, COARSE)).items():
            yield Measurement(f"onset {db}", kind, name, at(lengths, loss, length))


def measure(only: str, seeds: int, *, quick: bool) -> Results:
    """Run all oracles on the recordings and signals whose name contains a text."""
    results = Results()

    def add(case: str, items: Iterator[Measurement]) -> None:
        results.items += items
        print(f"{case}: done", file=sys.stderr, flush=True)

    chosen = [r for r in (*RECORDINGS, *HELD_OUT) if only in r.name]
    problems = {} if quick else recordings.fetch(sources=[r.source for r in chosen])
    for name, problem in problems.items():
        print(f"{name} is left out: {problem}", file=sys.stderr)
    for recording in chosen:
        if quick or recording.name in problems:
            continue
        fs, x = recording.load()
        result = optimize(x, fs, progress=False)
        picked = choices(x, CRITERIA if recording in HELD_OUT else _ALL) | {PACKAGE: float(result.win_length)}
        results.items += excess(recording, fs, result)
        compared = practice(recording, fs, picked)
        if recording in HELD_OUT:
            add(recording.name, compared)
            continue
        results.items += compared
        results.items += coding(recording.name, x, picked)
        results.items += drift(recording.name, x) if x.size <= MOST_FOR_DRIFT else ()
        add(recording.name, denoising(recording.name, x, fs, seeds, report.DENOISING))
    for law in [law for law in oracles.laws() if only in law.name][: 1 if quick else None]:
        add(law.name, ridges(law, 1 if quick else 2))
    for kind in () if quick else [kind for kind in ("pulses", "notes") if only in kind]:
        add(kind, onsets(kind))
    return results


def tables(results: Results) -> dict[str, list[tuple[str, ...]]]:
    """Return all tables by name."""
    return {
        "summary": report.summary(results),
        "worse": report.worse(results),
        "variants": report.variants(results),
        "targets": report.targets(results),
        "lengths": report.lengths(results, RECORDINGS),
        "held out": report.held_out(results),
        "held out lengths": report.lengths(results, HELD_OUT),
        "excess": report.excess(results),
        "drift": report.drifts(results),
        "practice": report.practices(),
        "recordings": report.sources(),
    }


def write(results: Results, folder: Path, pictures: Path) -> None:
    """Write tables and pictures."""
    made = tables(results)
    markdown = "\n".join(f"## {name}\n\n{report.markdown(table)}" for name, table in made.items())
    (folder / "criteria.md").write_text(markdown, encoding="utf-8")
    # the documentation includes each table by these comments
    parts = [
        f".. begin {name}\n\n{report.rst(table, measured=name not in _OF_WORDS)}\n.. end {name}\n"
        for name, table in made.items()
    ]
    (folder / "criteria.rst").write_text("\n".join(parts), encoding="utf-8")
    for picture in report.draw(results, pictures):
        print(picture)


def _compact(text: str) -> str:
    """Write the innermost lists of indented JSON on one line each."""
    return re.sub(r"\[[^{}]*?\](?=,?\n *[\"}])", lambda m: re.sub(r"\s+", " ", m.group()), text)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study.

    Parameters
    ----------
    arguments : sequence of str, optional
        Arguments; by default those of the process.

    Returns
    -------
    int
        Exit code.
    """
    parser = argparse.ArgumentParser(prog="python -m benchmarks.criteria", description=__doc__.splitlines()[0])
    parser.add_argument("--only", metavar="TEXT", default="", help="recordings and signals whose name contains this")
    parser.add_argument("--seeds", metavar="N", type=int, default=3, help="realisations of the noise (3)")
    parser.add_argument("--quick", action="store_true", help="one synthetic signal, to test that everything works")
    parser.add_argument("--tables", action="store_true", help="write tables and pictures of the last run again")
    args = parser.parse_args(arguments)
    stored = _HERE / "criteria.json"
    if args.tables:
        results = Results.from_json(json.loads(stored.read_text(encoding="utf-8")))
    else:
        results = measure(args.only, args.seeds, quick=args.quick)
    whole = not (args.only or args.quick)
    for name, table in tables(results).items() if whole else [("summary", report.summary(results))]:
        print(f"{name}\n\n{report.text(table)}")
    if whole:
        if not args.tables:
            values = json.dumps(results.to_json(), ensure_ascii=False, indent=1)
            stored.write_text(_compact(values) + "\n", encoding="utf-8")
        write(results, _HERE, _PICTURES)
    return 0


if __name__ == "__main__":
    sys.exit(main())
