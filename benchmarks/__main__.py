"""Command line of the benchmarks."""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks import (
    ablations,
    cases_bins,
    cases_cuda,
    cases_fft,
    cases_gradients,
    cases_memory,
    cases_scaling,
    cases_signals,
    cases_start,
    cases_stft,
    cases_tracking,
    cases_training,
    cases_tuning,
    peers,
)
from benchmarks.harness import Case, Row, Settings, describe, middle_rows, run_case, usable_cores
from benchmarks.report import Report, environment, stored_results

_ROOT = Path(__file__).parents[1]
_FIGURE = "benchmarks.svg"
#: Duration of the timing of short calls in seconds.
_SECONDS = 3.0

CASES: dict[str, Case] = {
    case.name: case
    for module in (
        cases_gradients,
        cases_training,
        cases_bins,
        cases_memory,
        cases_scaling,
        cases_signals,
        cases_start,
        cases_stft,
        cases_tracking,
        cases_fft,
        cases_cuda,
        cases_tuning,
        ablations,
    )
    for case in module.CASES
}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description="Compare adaptstft with other packages.")
    parser.add_argument("--only", metavar="NAME", action="append", choices=CASES, help="run this one; may be repeated")
    parser.add_argument("--repeat", metavar="N", type=_count, help="timed calls of each function, at least (9)")
    parser.add_argument(
        "--runs", metavar="N", type=_count, default=1, help="complete runs, whose median and range are shown (1)"
    )
    parser.add_argument("--workers", metavar="N", type=_count, default=usable_cores(), help="threads (all cores)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to test that everything works")
    parser.add_argument("--list", action="store_true", help="list the benchmarks and stop")
    parser.add_argument(
        "--without",
        metavar="PEER",
        action="append",
        default=[],
        choices=peers.NAMES,
        help="treat this package as missing",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        help="folder for results.json, results.md, results.rst and benchmarks.svg; by default a complete run "
        "writes to benchmarks/ and docs/_static/, and any other run writes no files",
    )
    parser.add_argument("--update", action="store_true", help="replace these rows only in the published results")
    parser.add_argument("--rows", metavar="FILE", type=Path, help=argparse.SUPPRESS)
    return parser


def _count(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is not at least 1")
    return value


def _run_apart(case: Case, args: argparse.Namespace, settings: Settings) -> list[Row]:
    """Run a benchmark in a new process, so that no other benchmark has changed its memory."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.json"
        command = [sys.executable, "-m", "benchmarks", "--only", case.name, "--rows", str(file)]
        command += ["--repeat", str(settings.repeat), "--workers", str(settings.workers)]
        command += ["--quick"] * settings.quick + [f"--without={name}" for name in args.without]
        variables = {**os.environ, **case.environment}
        done = subprocess.run(command, cwd=_ROOT, capture_output=True, text=True, env=variables)
        try:
            return [Row.from_json(values) for values in json.loads(file.read_text())]
        except OSError:
            last = (done.stderr.strip().splitlines() or [f"ended with code {done.returncode}"])[-1]
            return [Row(case.name, case.summary, problem=describe(RuntimeError(last)))]


def _destination(args: argparse.Namespace) -> tuple[Path, Path] | None:
    """Return the folder of the tables and the file of the figure, None if nothing is written."""
    if args.out is not None:
        return args.out, args.out / _FIGURE
    # an incomplete or quick run must not replace the published results
    if args.quick or (args.only and not args.update):
        return None
    return _ROOT / "benchmarks", _ROOT / "docs" / "_static" / _FIGURE


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the benchmarks that the arguments select.

    Parameters
    ----------
    arguments : sequence of str, optional
        Arguments; by default those of the process.

    Returns
    -------
    int
        Exit code.
    """
    parser = _parser()
    args = parser.parse_args(arguments)
    if args.list:
        width = max(map(len, CASES))
        print("\n".join(f"{case.name:{width}}  {case.summary}" for case in CASES.values()))
        return 0
    repeat = args.repeat or (3 if args.quick else 9)
    settings = Settings(repeat, args.quick, args.workers, seconds=0.0 if args.quick else _SECONDS)
    peers.leave_out(args.without)
    chosen = [CASES[name] for name in args.only or CASES]
    if args.rows is not None:
        args.rows.write_text(json.dumps([row.to_json() for case in chosen for row in run_case(case, settings)]))
        return 0
    destination = _destination(args)
    if args.update and destination is not None:
        try:
            stored_results(destination[0])
        except (OSError, ValueError) as error:
            parser.error(f"--update: {error}")
    measured_on = environment(settings)
    runs: list[list[Row]] = []
    for run in range(args.runs):
        runs.append([])
        for case in chosen:
            print(f"{run + 1}/{args.runs} {case.name} ...", file=sys.stderr, flush=True)
            runs[-1] += _run_apart(case, args, settings)
    report = Report(middle_rows(runs), measured_on)
    print(report.text())
    if destination is not None:
        written = report.update(destination[0]) if args.update else report
        print("\n".join(written.write(*destination)), file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
