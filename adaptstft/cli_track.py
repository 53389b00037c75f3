"""The command ``adaptstft track FILE``: frequencies over time as a table and a picture."""

from __future__ import annotations

import argparse
import csv
import io
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from adaptstft.batch.command import add_recording_options, headline
from adaptstft.common.files import new_file
from adaptstft.common.optional import require
from adaptstft.common.text import printable
from adaptstft.recordings import pick_channel, read

if TYPE_CHECKING:
    from adaptstft.tracking.ridge_result import Ridges

__all__ = ["Console", "run"]

_EPILOG = """\
--out writes a table with one row for each channel, ridge and time, and the
columns
  channel (if the file has several), ridge (both counted from 0), time (s),
  frequency, low, high (Hz; the bounds of the interval), uncertainty (Hz),
  win_length (samples), and amplitude, or with --orders 1,2 amplitude_1 and
  amplitude_2.
Bounds are infinite where no ridge stands out from the noise. A file that
exists is not replaced.
"""


@dataclass(frozen=True)
class Console:
    """The parts of the command line that all commands share; see `adaptstft.cli`.

    Attributes
    ----------
    parser : type of argparse.ArgumentParser
        Parser with error messages of one line.
    check_picture : callable
        ``check_picture(parser, option, path, formats)`` refuses a picture that cannot be written; without `formats` all
        of Matplotlib's are allowed.
    error_line : callable
        ``error_line(file, error)`` returns the text of an error.
    print, print_error : callable
        Write a line to standard output or standard error.
    """

    parser: type[argparse.ArgumentParser]
    check_picture: Callable[[Any, str, Path, Sequence[str]], None]
    error_line: Callable[[str | None, BaseException], str]
    print: Callable[[str], None]
    print_error: Callable[[str], None]


def run(argv: list[str], console: Console) -> int:
    """Track the recording of the command line, write the table and the picture, and print a summary.

    Parameters
    ----------
    argv : list of str
        The arguments after ``track``.
    console : Console
        The parts that all commands share.

    Returns
    -------
    int
        0 if all went well, 2 if the recording could not be read or tracked, or a file not be written.

    Raises
    ------
    SystemExit
        With code 2 on a wrong option, with code 0 after ``--help``.

    Examples
    --------
    >>> from adaptstft.cli import main
    >>> main(["track", "missing.wav"])
    2
    """
    args = _parse(argv, console)
    try:
        with warnings.catch_warnings(record=True) as caught:
            report = _track(args, console)
    except Exception as error:  # one line for whatever goes wrong
        console.print_error(console.error_line(args.file, error))
        return 2
    for warning in caught:
        console.print_error(f"{printable(args.file)}: warning: {' '.join(str(warning.message).split())}")
    console.print(report)
    return 0


def _parse(argv: list[str], console: Console) -> argparse.Namespace:
    parser = _build_parser(console.parser)
    args = parser.parse_args(argv)
    if args.out is not None:
        if args.out.suffix.lower() != ".csv":
            parser.error(f"--out {args.out}: the suffix must be .csv")
        if args.out.exists():
            parser.error(f"--out {args.out}: the file exists")
        if not args.out.absolute().parent.is_dir():
            parser.error(f"--out {args.out}: there is no folder {args.out.parent}")
    if args.plot == "":
        # without a name the picture lies beside the table, or in the current folder
        args.plot = args.out.with_suffix(".png") if args.out is not None else Path(f"{Path(args.file).stem}.png")
    if args.plot is not None:
        args.plot = Path(args.plot)
        console.check_picture(parser, "--plot", args.plot, ())
    return args


def _build_parser(kind: type[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    """Make the parser. Arguments of `track` keep their names as ``dest``."""
    parser = kind(
        prog="adaptstft track",
        usage="%(prog)s FILE [options]",
        description="Follow the frequencies of a recording, with confidence intervals.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("file", metavar="FILE", help="the recording")
    add_recording_options(parser)
    ridge = parser.add_argument_group("ridges")
    ridge.add_argument("--n-ridges", type=int, default=1, metavar="N", help="number of ridges (default: 1)")
    ridge.add_argument("--orders", type=_numbers, metavar="K,...", help="multiples of one frequency, such as 1,2,3")
    ridge.add_argument("--fmin", type=float, metavar="HZ", help="lowest frequency of a ridge")
    ridge.add_argument("--fmax", type=float, metavar="HZ", help="highest frequency of a ridge")
    ridge.add_argument("--max-rate", type=float, metavar="HZ/S", help="largest change; by default there may be jumps")
    ridge.add_argument("--window", default="hann", metavar="NAME", help="window function (default: hann)")
    ridge.add_argument(
        "--bounds",
        dest="win_bounds",
        type=float,
        nargs=2,
        metavar=("LOW", "HIGH"),
        help="range of window lengths in samples",
    )
    ridge.add_argument("--hop", type=float, metavar="SAMPLES", help="time between two estimates")
    ridge.add_argument("--confidence", type=float, default=0.95, metavar="P", help="of the intervals (default: 0.95)")
    ridge.add_argument("--noise-std", type=float, metavar="STD", help="standard deviation of white noise, if known")
    output = parser.add_argument_group("output")
    output.add_argument("--out", type=Path, metavar="OUT.csv", help="write a table")
    output.add_argument(
        "--plot", nargs="?", const="", metavar="OUT.png", help="write a picture; by default beside the table"
    )
    return parser


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(float(word) for word in text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a list of numbers such as 1,2,3") from None


def _track(args: argparse.Namespace, console: Console) -> str:
    """Return the report on a file, after the table and the picture are written."""
    from adaptstft.tracking.adaptive.entry import track

    recording = read(args.file, fs=args.fs, key=args.key, resample=args.resample)
    x = pick_channel(recording, args.channel, f"--channel {args.channel}")
    names = ("n_ridges", "orders", "max_rate", "window", "hop", "confidence", "noise_std")
    options = {name: getattr(args, name) for name in names}
    if args.win_bounds is not None:
        options["win_bounds"] = tuple(args.win_bounds)
    if args.fmin is not None or args.fmax is not None:
        lowest = -recording.fs / 2 if np.iscomplexobj(x) else 0.0
        low, highest = lowest if args.fmin is None else args.fmin, recording.fs / 2
        if args.fmax is None and not low < highest:
            raise ValueError(f"--fmin {low:g} must be less than half of the sampling rate, {highest:g} Hz")
        options["f_bounds"] = low, highest if args.fmax is None else args.fmax
    ridges = track(x, recording.fs, progress=None, **options)
    lines = [headline(args.file, x, recording), *(f"note: {note}" for note in recording.notes)]
    lines += _describe(ridges)
    if args.out is not None:
        _write_table(ridges, args.out)
        lines.append(f"table: {args.out}")
    if args.plot is not None:
        _write_picture(ridges, args.plot)
        lines.append(f"picture: {args.plot}")
    return "\n".join(lines)


def _describe(ridges: Ridges) -> list[str]:
    """Return a line for each ridge of each channel."""
    count, frames = ridges.frequency.shape[-2:]
    rows = zip(
        *(values.reshape(-1, frames) for values in (ridges.frequency, ridges.uncertainty, ridges.win_length)),
        strict=True,
    )
    lines = []
    for i, (frequency, uncertainty, length) in enumerate(rows):
        channel = f"channel {i // count}, " if ridges.frequency.ndim > 2 else ""
        known = np.isfinite(uncertainty)
        typical = f"uncertainty {np.median(uncertainty[known]):.3g} Hz" if known.any() else "nowhere above the noise"
        lost = f", none at {np.mean(~known):.0%} of the times" if known.any() and not known.all() else ""
        lines.append(
            f"{channel}ridge {i % count}: {frequency.min():.4g} to {frequency.max():.4g} Hz, {typical}{lost}, "
            f"windows of {length.min():.0f} to {length.max():.0f} samples"
        )
    return lines


def _write_table(ridges: Ridges, path: Path) -> None:
    columns = ridges.columns()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(values.tolist() for values in columns.values()), strict=True))
    with new_file(path) as stream:
        stream.write(text.getvalue().encode())


def _write_picture(ridges: Ridges, path: Path) -> None:
    """Write the picture of the first channel; needs no display."""
    backend = require("matplotlib.backends.backend_agg", extra="plot")
    # pyplot would choose a display, and keep its figures until they are closed
    figure = require("matplotlib.figure", extra="plot").Figure(figsize=(9.0, 4.8), layout="constrained")
    backend.FigureCanvasAgg(figure)
    ridges.plot(figure.subplots())
    figure.savefig(path, dpi=130)
