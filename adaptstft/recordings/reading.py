"""`read`: from a file to a recording. The ending of the name decides the reader."""

from __future__ import annotations

import errno
import math
import os
import stat
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from adaptstft.common.text import printable
from adaptstft.common.typing import AnyArray
from adaptstft.common.validation import as_flag, check_positive
from adaptstft.recordings import audio
from adaptstft.recordings.arrays import read_npy, read_npz
from adaptstft.recordings.clock import Clock
from adaptstft.recordings.columnar import read_columnar
from adaptstft.recordings.columns import Column, Table, split_clock
from adaptstft.recordings.matlab import read_mat
from adaptstft.recordings.rate_lines import rate_above
from adaptstft.recordings.recording import Recording, as_channels
from adaptstft.recordings.resampling import resample_evenly
from adaptstft.recordings.source import open_source
from adaptstft.recordings.tables import read_table

_TEXT_ENDINGS = (".csv", ".tsv", ".txt", ".dat", ".asc", ".lvm")
_COLUMNAR_ENDINGS = (".parquet", ".feather")
_KEY_ENDINGS = (".mat", ".npz")
#: Endings of files that can be read.
ENDINGS = (".wav", *_TEXT_ENDINGS, ".npy", *_KEY_ENDINGS, *_COLUMNAR_ENDINGS, *audio.OTHER_ENDINGS)
_LONGEST_MESSAGE = 1000
#: Fewest columns, and fewest for each row, of a table without names whose rows are channels.
_WIDE, _WIDE_RATIO = 64, 8


def read(
    path: str | os.PathLike[str], *, fs: float | None = None, key: str | None = None, resample: bool = False
) -> Recording:
    r"""Read a recording from a file.

    Parameters
    ----------
    path : str or path-like
        File; its ending decides the format:

        - ``.wav``: any WAV file with the extra ``files`` (libsndfile); PCM and floating point without it. FLAC, OGG,
          Opus, MP3, AIFF, W64, RF64 and AU need the extra;
        - ``.csv``, ``.tsv``, ``.txt``, ``.dat``, ``.asc``, ``.lvm``: the first block of numeric rows, separated by
          commas, semicolons, tabs or blanks, with a decimal point or comma, in UTF-8, UTF-16 or Latin-1. Each column
          is a channel. A column that increases steadily is the clock, see Notes;
        - ``.npy``, ``.npz``: one or two dimensions; the longer one is time, or the last one of a square array;
        - ``.mat``: MATLAB files; version 7.3, tables and timetables need the extra ``files``. A scalar named ``fs`` or
          ``sr``, or an evenly spaced vector named ``t`` or ``time``, with a unit such as ``time_ms``, gives the
          sampling rate; time is the axis with as many elements as this vector;
        - ``.parquet``, ``.feather``: with the extra ``files``; columns as in text files.
    fs : float, optional
        Sampling rate in Hz. Required if the file has none; otherwise it replaces the rate of the file.
    key : str, optional
        Array of a MAT or NPZ file to read, such as ``"x"`` or, in a struct or table, ``"run.x"``. Required only if the
        file has several numeric arrays or tables.
    resample : bool, optional
        Resample to the usual rate if the clock of the file is not even, with cubic splines and a linear-phase filter.

    Returns
    -------
    Recording
        The channels, the sampling rate, the name of the file, and notes.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ImportError
        If a package is missing, with the command that installs it.
    ValueError
        If the file is empty, damaged, not numeric, has NaN or infinite samples, can be read in two ways, has an uneven
        clock, or has no sampling rate and `fs` is not given. The message is one line that begins with the path.

    Notes
    -----
    A column of a table is the clock if it increases steadily to the precision with which it is printed. Times of day,
    dates, and seconds, milli-, micro- or nanoseconds since 1970 are recognised. The unit is taken from the name or from
    a row of units; numbers without a unit are seconds if they have decimals, and are refused if they are whole. A
    column that counts the rows is left out. `Recording.notes` says so.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import numpy as np
    >>> from adaptstft import recordings
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "pressure.csv"
    ...     _ = path.write_text("time,inlet,outlet\n0.00,1,4\n0.01,2,5\n0.02,3,6\n")
    ...     recording = recordings.read(path)
    >>> recording.x.shape, recording.fs, recording.name
    ((2, 3), 100.0, 'pressure.csv')
    """
    if fs is not None:
        fs = check_positive("fs", fs, "Hz")
    return _read(Path(path), fs, key, resample=as_flag("resample", resample))


def reading_lines(
    path: str, recording: Recording, fs: float | None, key: str | None, resample: bool, channel: int | None
) -> str:
    """Return lines of Python that read the signal `x` of a recording again: one of its channels, or all of them."""
    options = {"fs": fs, "key": key, "resample": resample}
    given = [f", {name}={value!r}" for name, value in options.items() if value]
    if channel is None and len(recording.x) == 1:
        channel = 0
    index = "" if channel is None else f"[{channel}]"
    return f"from adaptstft.recordings import read\nx = read({path!r}{''.join(given)}).x{index}"


def read_at(path: str | os.PathLike[str], fs: float) -> Recording:
    """Read a recording with the sampling rate `fs`; files without a sampling rate are accepted.

    Raises the errors of `read`, and a ValueError if the file has another sampling rate.
    """
    return _read(Path(path), fs, None, same=True)


def _read(file: Path, fs: float | None, key: str | None, *, resample: bool = False, same: bool = False) -> Recording:
    suffix = file.suffix.lower()
    try:
        if stat.S_ISDIR(file.stat().st_mode):  # which also finds that there is no file
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(file))
        if suffix not in ENDINGS:
            raise ValueError(f"unknown ending {suffix!r}, expected one of {', '.join(ENDINGS)}")
        if key is not None and suffix not in _KEY_ENDINGS:
            raise ValueError(f"key={key!r} is for MAT and NPZ files only")
        with open_source(file) as stream:
            samples, clock, notes = _contents(stream, suffix, key)
        if same:
            _check_rate(clock, cast(float, fs))
        x, rate, more = _at_rate(as_channels(samples), clock, fs, resample=resample)
    except (ValueError, MemoryError) as error:
        raise ValueError(f"{printable(str(file))}: {_message(error)}") from error
    return Recording(x, rate, file.name, (*notes, *more))


def _check_rate(clock: Clock, fs: float) -> None:
    """Require that a clock is even and has the rate `fs`, if there is a clock."""
    if clock.rate is not None and not math.isclose(clock.rate, fs, rel_tol=1e-6):
        raise ValueError(f"its sampling rate is {clock.rate:g} Hz, where {fs=:g} is wanted; resample it first")
    if clock.rate is None and clock.times is not None:
        raise ValueError(f"an even clock with {fs=:g} is wanted; {clock.fault}")


def _message(error: BaseException) -> str:
    """Return one line: readers of other packages write several, and repeat the bytes of a damaged file."""
    if isinstance(error, MemoryError):
        return "the memory is not sufficient"
    lines = str(error).strip().splitlines()
    text = printable(lines[0]) if lines else type(error).__name__
    return text if len(text) <= _LONGEST_MESSAGE else text[:_LONGEST_MESSAGE] + " ..."


def _contents(stream: BinaryIO, suffix: str, key: str | None) -> tuple[AnyArray, Clock, Sequence[str]]:
    """Return samples, time last, the clock and notes."""
    if suffix in _TEXT_ENDINGS:
        return _from_table(read_table(stream))
    if suffix in _COLUMNAR_ENDINGS:
        return _from_table(read_columnar(stream, suffix))
    if suffix == ".mat":
        return read_mat(stream, key)
    if suffix == ".npz":
        return read_npz(stream, key)
    if suffix == ".npy":
        return read_npy(stream), Clock(), ()
    samples, rate = audio.read_audio(stream, suffix)
    return samples, Clock(rate), ()


def _from_table(table: Table) -> tuple[AnyArray, Clock, Sequence[str]]:
    table = _rows_as_columns(table)
    samples, clock, notes = split_clock(table)
    _check_samples(samples, table)
    if clock.rate is None and clock.times is None and not clock.fault:
        clock, more = rate_above(table.above, table.decimal)
        notes += more
    return samples, clock, notes


def _rows_as_columns(table: Table) -> Table:
    """Return a table with its rows as columns if they are much longer: each row is a channel."""
    columns, rows = len(table.columns), table.columns[0].values.size if table.columns else 0
    if any(column.name or column.is_time for column in table.columns):
        return table
    if columns < 2 or (rows > 1 and (columns < _WIDE or columns < _WIDE_RATIO * rows)):
        return table
    values = np.array([column.values for column in table.columns]).T
    note = () if rows == 1 else (f"{rows} rows of {columns} columns: each row is a channel",)
    channels = [Column("", "", row) for row in values]
    return replace(table, columns=channels, place=lambda k: f"column {k + 1}", notes=table.notes + note)


def _check_samples(samples: AnyArray, table: Table) -> None:
    """Require finite numbers; the message has the place of the first other one."""
    bad = ~np.isfinite(samples)
    if bad.any():
        row = int(np.argmax(bad.any(axis=0)))
        value = samples[:, row][bad[:, row]][0]
        raise ValueError(
            f"{table.place(row)} has the value {value:g}; {int(bad.sum())} of {samples.size} values are NaN or infinite"
        )


def _at_rate(x: AnyArray, clock: Clock, fs: float | None, *, resample: bool) -> tuple[AnyArray, float, Sequence[str]]:
    """Return samples at an even rate, the rate, and a note if they were resampled."""
    if resample and clock.rate is None and clock.times is not None and (clock.unit_known or fs is not None):
        if fs is not None:
            raise ValueError(f"{fs=} replaces the times of the file: give either fs or resample")
        even, rate, note = resample_evenly(x, clock.times)
        return even, rate, (note,)
    if fs is not None:
        return x, fs, ()
    if clock.rate is None:
        missing = "the file does not say its sampling rate, give fs (on the command line: --fs)"
        raise ValueError(clock.fault or missing)
    return x, _checked_rate(clock.rate), ()


def _checked_rate(rate: Any) -> float:
    if not (math.isfinite(rate) and rate > 0):
        raise ValueError(f"the sampling rate in the file, {rate:g} Hz, is not positive and finite")
    return float(rate)
