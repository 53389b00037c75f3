"""The command line: ``adaptstft [tune] FILE...``, and ``adaptstft track FILE``, which is in `adaptstft.cli_track`."""

from __future__ import annotations

import argparse
import inspect
import io
import json
import os
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, get_args

from adaptstft import __version__, cli_track, datasets, kernels
from adaptstft.batch import parallel
from adaptstft.batch.command import (
    add_recording_options,
    in_words_of_the_shell,
    json_report,
    parse_criterion,
    text_report,
)
from adaptstft.batch.rows import describe_error, labelled
from adaptstft.common.optional import require
from adaptstft.common.text import printable
from adaptstft.common.typing import HopMode, Method, Scope, WindowMode
from adaptstft.common.validation import as_index, check_hop
from adaptstft.recordings import Recording, pick_channel, read
from adaptstft.recordings.reading import reading_lines

if TYPE_CHECKING:
    from adaptstft.tuning.result.result import TuningResult

__all__ = ["main", "save_picture"]

_EPILOG = """\
Without FILE a generated example is tuned. Files are audio (WAV, FLAC, MP3, ...),
tables (CSV, TXT, Parquet, ...), NPY, NPZ or MAT; give --fs if a file does not
hold its sampling rate. The channels of a file share one set of parameters.
A name that begins with a dash stands behind "--".

--json prints one object per file and line, with the keys
  file, fs (Hz), channels, samples, window, window_mode, hop_mode, criterion,
  scope, f_bounds (null, or the range in Hz that the criterion sees), score (the
  value of the text report, smaller is better), score_unit, fun (the objective
  that was minimised), area_fun (the criterion, comparable between hops),
  win_length (samples; a list in time mode, and for frequencies
  and bins a list of the lists of each frequency), win_duration (s, likewise),
  hop (samples; the mean if positions were tuned), positions (frame centres in
  samples), mfft, recommended (null, or an even integer win_length, an integer hop,
  and loss, their increase of area_fun), method, success, message, nit, nfev,
  notes (a list, such as an optimum on a bound).
A number that is not finite is null.

--out appends one row to a table for each FILE, with its result or its error.
The same command continues a run that was stopped: files that have a row are
not tuned again, unless they have changed.
"""


class _Parser(argparse.ArgumentParser):
    """A parser with error messages of one line."""

    def error(self, message: str) -> NoReturn:
        self.fail(f"{message} (see {self.prog} --help)")

    def fail(self, message: str) -> NoReturn:
        """Print a message that is complete, such as one that ends with a command, and exit."""
        _print_error(printable(message))
        raise SystemExit(2)

    def _print_message(self, message: str, file: Any = None) -> None:
        # only help and version come here; argparse would pass over a full disk
        _print(message.rstrip("\n"))


def main(argv: Sequence[str] | None = None) -> int:
    """Tune the recordings of the command line and print the results.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; by default those of the process.

    Returns
    -------
    int
        0 if all went well, 2 if a recording could not be read, tuned or drawn, 130 after an interrupt.

    Raises
    ------
    SystemExit
        With code 2 on a wrong option, with code 0 after ``--help`` and ``--version``.

    Examples
    --------
    >>> from adaptstft.cli import main
    >>> main(["missing.wav"])
    2
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # file names may hold bytes that are no text
    try:
        words = list(sys.argv[1:] if argv is None else argv)
        return cli_track.run(words[1:], _CONSOLE) if words[:1] == ["track"] else _run(_parse(words))
    except BrokenPipeError:
        _discard_output()  # the reader of a pipe has stopped, such as head
        return 0
    except _OutputError as error:
        _print_error(f"standard output: {error}")
        _discard_output()
        return 2
    except KeyboardInterrupt:
        return 130


class _OutputError(Exception):
    """Standard output is closed or full."""


def _print(text: str) -> None:
    """Print a report; a report that is lost is an error."""
    if sys.stdout is None:
        raise _OutputError("it is closed")
    try:
        print(text, flush=True)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise _OutputError(error.strerror or str(error)) from error


def _discard_output() -> None:
    """Send what is left to nowhere: the flush of Python at exit must not fail."""
    if sys.stdout is not None:
        with suppress(OSError, ValueError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _run(args: argparse.Namespace) -> int:
    with warnings.catch_warnings(record=True) as caught:
        kernels.resolve("auto")  # its warning concerns all files
    for warning in caught:
        _print_error(f"warning: {warning.message}")
    if args.warm_up:
        from adaptstft.batch.warm_up import compile_kernels  # it imports all tasks

        compile_kernels()
        return 0
    if args.out is not None:
        return _write_rows(args)
    failed = False
    for file, outcome in parallel.run_in_order(partial(_attempt, args), args.files or [None], n_jobs=args.jobs):
        lost = isinstance(outcome, parallel.Lost)
        report, warnings_and_errors = (None, [_error_line(file, outcome.error)]) if lost else outcome
        for line in warnings_and_errors:
            _print_error(line)
        if report is None:
            failed = True
        else:
            _print(report)
    return 2 if failed else 0


def _attempt(args: argparse.Namespace, file: str | None) -> tuple[str | None, list[str]]:
    """Return the report on a file, None after an error, and the lines for standard error."""
    try:
        with warnings.catch_warnings(record=True) as caught:
            report = _tune(file, args)
    except Exception as error:  # one line for whatever goes wrong with a file, so that the others are tuned
        return None, [_error_line(file, error)]
    name = printable(file or "example")
    return report, [f"{name}: warning: {' '.join(str(warning.message).split())}" for warning in caught]


def _write_rows(args: argparse.Namespace) -> int:
    """Tune the files and write a row for each to a table."""
    from adaptstft import optimize_many

    try:
        table = optimize_many(
            args.files,
            args.fs,
            key=args.key,
            channel=args.channel,
            resample=args.resample,
            n_jobs=args.jobs,
            out=args.out,
            retry=args.retry,
            **_options(args),
        )
    except Exception as error:  # of the table as a whole
        _print_error(in_words_of_the_shell(describe_error(error)["error"]))
        return 2
    except KeyboardInterrupt as stop:
        for note in getattr(stop, "__notes__", []):
            _print_error(note)
        raise
    for row in table.failed:
        _print_error(labelled(row["name"], in_words_of_the_shell(row["error"])))
    _print(in_words_of_the_shell(table.summary(errors=0)))
    return 2 if table.failed else 0


def save_picture(result: TuningResult, path: Path) -> None:
    """Write a picture of the spectrograms before and after tuning; needs no display.

    Parameters
    ----------
    result : TuningResult
        The result of `adaptstft.optimize`.
    path : pathlib.Path
        The file to write. Its suffix gives the format.

    Raises
    ------
    ImportError
        If matplotlib is not installed, with the command that installs it.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> import adaptstft
    >>> from adaptstft.cli import save_picture
    >>> res = adaptstft.optimize(np.cos(0.001 * np.arange(600.0) ** 2), 100.0)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     picture = pathlib.Path(folder) / "chirp.png"
    ...     save_picture(res, picture)
    ...     picture.stat().st_size > 10_000
    True
    """
    backend = require("matplotlib.backends.backend_agg", extra="plot")
    # pyplot would choose a display, and keep its figures until they are closed
    figure = require("matplotlib.figure", extra="plot").Figure(figsize=(11.0, 4.5), layout="constrained")
    backend.FigureCanvasAgg(figure)
    result.plot(figure.subplots(1, 2, sharex=True, sharey=True))
    figure.savefig(path, dpi=130)


def _parse(argv: list[str]) -> argparse.Namespace:
    # the name of the only command is optional
    if argv[:1] == ["tune"]:
        argv = argv[1:]
    parser = _build_parser()
    # argparse would read a name behind "--" as an option in its second pass
    end = argv.index("--") if "--" in argv else len(argv)
    args = parser.parse_intermixed_args(argv[:end])
    args.files += argv[end + 1 :]
    if args.warm_up and argv != ["--warm-up"]:
        parser.error("--warm-up takes no FILE and no other option")
    try:
        kernels.check_environment()
        if args.hop is not None:
            check_hop(args.hop)
        if args.channel is not None:
            as_index("--channel", args.channel, 0)
    except ValueError as error:
        parser.error(str(error))
    if not args.files:
        for name in ("fs", "key", "resample"):
            if getattr(args, name) not in (None, False):
                parser.error(f"--{name} needs a FILE: the generated example has a sampling rate and one array")
    if args.window_mode == "fixed" and args.win_length is None:
        parser.error("--mode fixed needs --win-length, the length to keep")
    written = {"--plot": args.plot, "--report": args.report, "--save": args.save}
    for name, path in written.items():
        if path is not None and len(args.files) > 1:
            parser.error(f"{name} {'writes' if name == '--save' else 'draws'} one FILE, got {len(args.files)}")
        if path is not None and not path.absolute().parent.is_dir():
            parser.error(f"{name} {path}: there is no folder {path.parent}")
    for name, formats in (("--plot", ()), ("--report", ("html", "htm"))):
        if written[name] is not None:
            _check_picture(parser, name, written[name], formats)
    _check_collection(parser, args)
    return args


def _check_collection(parser: _Parser, args: argparse.Namespace) -> None:
    try:
        parallel.check_engine(args.jobs, None, None)
    except ImportError as error:
        parser.fail(f"--jobs {args.jobs}: {error}")
    except ValueError as error:
        parser.error(f"--jobs {args.jobs}: {error}")
    if args.progress and args.jobs != 1 and args.out is None:
        parser.error(f"--progress shows one FILE after the other, got --jobs {args.jobs}")
    if args.out is None:
        if args.retry:
            parser.error("--retry needs --out, the file whose errors are tried again")
        return
    if not args.files:
        parser.error(f"--out {args.out} needs at least one FILE")
    for name in ("json", "plot", "report", "save"):
        if getattr(args, name):
            parser.error(f"--out {args.out} cannot be combined with --{name}")


def _build_parser() -> _Parser:
    """Make the parser. Arguments of `optimize` keep their names as ``dest``."""
    parser = _Parser(
        prog="adaptstft",
        usage="%(prog)s [tune] [FILE ...] [options]\n       %(prog)s track FILE [options]",
        description="Find the short-time Fourier transform that fits a recording.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("files", nargs="*", metavar="FILE", help="recordings to tune, each by itself")
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("--warm-up", action="store_true", help="compile the inner loops for later calls")
    add_recording_options(parser)
    _add_tuning_options(parser.add_argument_group("tuning"))
    output = parser.add_argument_group("output")
    output.add_argument("--plot", type=Path, metavar="OUT.png", help="write a before/after picture of one FILE")
    output.add_argument("--report", type=Path, metavar="OUT.html", help="write a page on the result of one FILE")
    output.add_argument("--save", type=Path, metavar="OUT.npz", help="write the result of one FILE for adaptstft.load")
    output.add_argument(
        "--progress", action=argparse.BooleanOptionalAction, help="show a bar; by default after 2 s on a terminal"
    )
    output.add_argument("--json", action="store_true", help="print JSON instead of text")
    output.add_argument(
        "--out", type=Path, metavar="OUT.csv", help="write a row for each FILE as it is tuned (.csv or .parquet)"
    )
    output.add_argument("--retry", action="store_true", help="tune again the files whose row in --out is an error")
    output.add_argument("--jobs", type=int, default=1, metavar="N", help="number of processes; -1 for all cores")
    return parser


def _add_tuning_options(group: Any) -> None:
    group.add_argument(
        "--mode",
        dest="window_mode",
        choices=get_args(WindowMode),
        default="constant",
        help="one given window length, one tuned length (the default), or one per frame, frequency or bin",
    )
    group.add_argument("--hop-mode", choices=get_args(HopMode), default="fixed", help="likewise for the hop")
    group.add_argument(
        "--criterion",
        type=parse_criterion,
        default="description-length",
        metavar="NAME[:KEY=VALUE,...]",
        help="criterion to minimise, such as renyi or shannon:power=1 (default: %(default)s)",
    )
    group.add_argument("--scope", choices=get_args(Scope), help="part of the plane that the criterion normalises by")
    group.add_argument(
        "--smoothness",
        type=float,
        metavar="WEIGHT",
        help="penalty on differences between the lengths of neighbouring frames and frequencies "
        "(default in mode time: 0.005 for a description length, 0.1 for an entropy, 0.02 for others; else 0)",
    )
    group.add_argument(
        "--evenness",
        type=float,
        metavar="WEIGHT",
        help="penalty on frames that cover the signal unevenly, where a descent tunes positions or lengths of frames "
        "(default: 0.2 for a description length, 4 for an entropy, 0.8 for others)",
    )
    group.add_argument(
        "--window", type=_window, default="hann", metavar="NAME[:SHAPE]", help="such as hann, kaiser:14 or auto"
    )
    group.add_argument("--method", choices=get_args(Method), default="L-BFGS-B", help="optimiser (default: L-BFGS-B)")
    group.add_argument("--win-length", type=float, metavar="SAMPLES", help="initial window length")
    group.add_argument("--hop", type=float, metavar="SAMPLES", help="initial hop")
    group.add_argument(
        "--bounds",
        dest="win_bounds",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="range of window lengths in samples",
    )
    group.add_argument("--fmin", type=float, metavar="HZ", help="lowest frequency that the criterion sees")
    group.add_argument("--fmax", type=float, metavar="HZ", help="highest frequency that the criterion sees")


def _window(text: str) -> str | tuple[str, float]:
    name, colon, shape = text.partition(":")
    if not colon:
        return name
    try:
        return name, float(shape)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{shape!r} is not a number; expected NAME:SHAPE") from None


def _check_picture(parser: _Parser, option: str, path: Path, formats: Sequence[str]) -> None:
    """Refuse a picture or a report that cannot be written, before any work."""
    try:
        backend = require("matplotlib.backends.backend_agg", extra="plot")
    except ImportError as error:
        parser.fail(f"{option} {path}: {error}")
    formats = formats or sorted(backend.FigureCanvasAgg.get_supported_filetypes())
    if path.suffix[1:].lower() not in formats:
        parser.error(f"{option} {path}: the suffix must be one of {', '.join(formats)}")


def _tune(file: str | None, args: argparse.Namespace) -> str:
    from adaptstft import optimize

    if file is None:
        recording = _example(args.window_mode)
    else:
        recording = read(file, fs=args.fs, key=args.key, resample=args.resample)
    x = pick_channel(recording, args.channel, f"--channel {args.channel}")
    result = optimize(
        x,
        recording.fs,
        workers=None if args.jobs == 1 else 1,
        **_options(args) | ({} if args.jobs == 1 else {"progress": False}),
    )
    if args.plot is not None:
        save_picture(result, args.plot)
    if args.report is not None:
        source = "" if file is None else reading_lines(file, recording, args.fs, args.key, args.resample, args.channel)
        result.to_html(args.report, title=recording.name, source=source)
    if args.save is not None:
        result.save(args.save)
    if args.json:
        return json.dumps(json_report(file, x, recording, result, args), allow_nan=False)
    written = {"picture": args.plot, "report": args.report, "result": args.save}
    lines = [f"{name}: {path}" for name, path in written.items() if path is not None]
    return "\n".join([text_report(file, x, recording, result), *lines])


def _options(args: argparse.Namespace) -> dict[str, Any]:
    """Return the keyword arguments of `optimize` on the command line."""
    from adaptstft.tuning.entry import optimize

    keywords = [p.name for p in inspect.signature(optimize).parameters.values() if p.kind is p.KEYWORD_ONLY]
    options = {name: value for name, value in vars(args).items() if name in keywords}
    if options["win_bounds"] is not None:
        options["win_bounds"] = tuple(options["win_bounds"])
    if args.fmin is not None or args.fmax is not None:
        options["f_bounds"] = args.fmin, args.fmax
    return options


def _example(mode: str) -> Recording:
    """Generate a signal that suits the mode."""
    if mode == "time":
        signal = datasets.chirps_in_sequence()
    elif mode in ("frequency", "time-frequency"):
        signal = datasets.chirps_in_parallel()
    else:
        signal = datasets.linear_chirp(20.0)
    return Recording(signal.x[None], signal.fs, signal.name)


def _error_line(file: str | None, error: BaseException) -> str:
    """Return a line with the name of the file and the error."""
    return labelled(printable(file or "example"), in_words_of_the_shell(describe_error(error)["error"]))


def _print_error(line: str) -> None:
    if sys.stderr is not None:  # print would take standard output instead
        with suppress(OSError):
            print(f"adaptstft: {line}", file=sys.stderr, flush=True)


_CONSOLE = cli_track.Console(_Parser, _check_picture, _error_line, _print, _print_error)
