"""What the command line reads and prints: criteria with parameters, one recording's report, notes in its words."""

from __future__ import annotations

import argparse
import math
import re
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np

from adaptstft.common.text import printable
from adaptstft.criteria import Criterion, names, resolve
from adaptstft.recordings import Recording

if TYPE_CHECKING:
    from adaptstft.tuning.result.result import TuningResult

#: Names of arguments in notes, and the words of the command line for them.
_WORDS = (
    (r"win_bounds=\(([^,]+), ([^)]+)\)", r"--bounds \1 \2"),
    (r"f_bounds=\(([^,]+), None\)", r"--fmin \1"),
    (r"f_bounds=\(None, ([^)]+)\)", r"--fmax \1"),
    (r"f_bounds=\(([^,]+), ([^)]+)\)", r"--fmin \1 --fmax \2"),
    (r"hop=([\d.e+-]+) and min_overlap=([\d.]+)", r"--hop \1 and an overlap of at least \2"),
    (
        r"; options=\{'maxiter': \.\.\.\} or \{'maxfun': \.\.\.\} sets another",
        r"; adaptstft.optimize has options for it",
    ),
    (r": if time is another axis of x, name it with axis=", r": time must be the longer axis of the file"),
)


def in_words_of_the_shell(note: str) -> str:
    """Return a note or an error with options of the command line in place of the arguments of `optimize`."""
    for pattern, words in _WORDS:
        note = re.sub(pattern, words, note)
    return note


def add_recording_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that say how to read a recording."""
    source = parser.add_argument_group("recording")
    source.add_argument("--fs", type=float, metavar="HZ", help="sampling rate; replaces that of the file")
    source.add_argument("--key", metavar="NAME", help="the array of a MAT or NPZ file, such as x or run.x")
    source.add_argument("--resample", action="store_true", help="resample a file whose clock is not even")
    source.add_argument("--channel", type=int, metavar="N", help="use only this channel, counted from 0")


def parse_criterion(text: str) -> str | Criterion:
    """Return a criterion of the command line, ``NAME`` or ``NAME:KEY=VALUE,...``."""
    name, colon, settings = text.partition(":")
    if not colon:
        return name
    if name not in names():
        raise argparse.ArgumentTypeError(f"unknown criterion {name!r}; known are {', '.join(names())}")
    plain = resolve(name)
    known = [field.name for field in fields(plain) if field.init]
    values: dict[str, Any] = {}
    for setting in settings.split(","):
        key, equals, value = setting.partition("=")
        if not equals or key not in known:
            raise argparse.ArgumentTypeError(f"{setting!r} must be KEY=VALUE with one of the keys {', '.join(known)}")
        try:
            values[key] = value if key == "scope" else int(value) if key == "bands" else float(value)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{setting!r}: {value!r} is not a number") from None
    try:
        return type(plain)(**values)
    except (TypeError, ValueError) as error:
        raise argparse.ArgumentTypeError(f"criterion {text!r}: {error}") from None


def headline(file: str | None, x: Any, recording: Recording) -> str:
    """Return a line that describes the recording."""
    name = f"example ({recording.name}, a generated signal: no FILE was given)" if file is None else printable(file)
    channels = 1 if x.ndim == 1 else len(x)
    n = x.shape[-1]
    count = f"{channels} channel{'s' * (channels > 1)}, {n} sample{'s' * (n != 1)}"
    return f"{name}: {count}, {n / recording.fs:.4g} s at {recording.fs:g} Hz"


def text_report(file: str | None, x: Any, recording: Recording, result: TuningResult) -> str:
    """Return the report on a recording as text."""
    notes = (f"note: {note}" for note in recording.notes)
    return "\n".join([headline(file, x, recording), *notes, in_words_of_the_shell(result.summary())])


def json_report(
    file: str | None, x: Any, recording: Recording, result: TuningResult, args: argparse.Namespace
) -> dict[str, Any]:
    """Return the report on a recording as values that JSON has."""
    report = {
        "file": file,
        "channels": 1 if x.ndim == 1 else len(x),
        "window_mode": args.window_mode,
        "hop_mode": args.hop_mode,
        "method": args.method,
        **result.to_dict(),
        "notes": [*recording.notes, *(in_words_of_the_shell(note) for note in result.notes)],
    }
    return {name: _finite(value) for name, value in report.items()}


def _finite(value: Any) -> Any:
    """Replace numbers that are not finite by None."""
    if isinstance(value, dict):
        return {key: _finite(entry) for key, entry in value.items()}
    if isinstance(value, list):
        return [_finite(entry) for entry in value]
    return None if isinstance(value, float | np.floating) and not math.isfinite(value) else value
