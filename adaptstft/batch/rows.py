"""Results of many recordings as rows of a table, and the file of these rows.

A row is one line of text that is written at once. A killed run leaves at most one incomplete line at the end, which the
next run drops. Rows cannot be appended to a Parquet file: they go to a text file beside it, and the Parquet file is
written at the end of the run, also after an error, or else at the beginning of the next run.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np

from adaptstft.common.files import replacing
from adaptstft.common.optional import require
from adaptstft.common.text import printable

if TYPE_CHECKING:
    from adaptstft.tuning.result.result import TuningResult

#: Values by column; None if a row has no value.
Row: TypeAlias = dict[str, Any]

#: Between the notes of a row, which have semicolons of their own.
NOTE_SEPARATOR = " | "

COLUMNS: dict[str, type] = {
    "name": str,
    "status": str,
    "error_type": str,
    "error": str,
    "fs": float,
    "channels": int,
    "n": int,
    "file_size": int,
    "file_mtime_ns": int,
    "window": str,
    "win_length": float,
    "win_length_min": float,
    "win_length_max": float,
    "win_duration": float,
    "factor_low": float,
    "factor_high": float,
    "recommended_win_length": float,
    "recommended_hop": float,
    "hop": float,
    "frames": int,
    "mfft": int,
    "fun": float,
    "area_fun": float,
    "success": bool,
    "message": str,
    "notes": str,
    "nit": int,
    "nfev": int,
    "seconds": float,
    "saved": str,
    "settings": str,
    "version": str,
}
SUFFIXES = (".csv", ".parquet")
_HEADER = ",".join(COLUMNS) + "\n"
#: Largest number of characters of an error: readers of CSV refuse longer fields.
_LONGEST_ERROR = 2000


def describe(result: TuningResult, notes: Sequence[str] = ()) -> Row:
    """Return the columns of a result; `notes` of its recording come first.

    Several lengths (in samples) are given by their median and range.
    """
    lengths = np.asarray(result.win_length)
    median = float(np.median(lengths))
    window = result.sft.window
    low, high = result.sensitivity.factors
    recommended = result.recommended
    return {
        "window": ":".join([window.name, *(repr(float(value)) for value in window.shape)]),
        "win_length": median,
        "win_length_min": float(lengths.min()),
        "win_length_max": float(lengths.max()),
        "win_duration": median / result.sft.fs,
        "factor_low": low,
        "factor_high": high,
        "recommended_win_length": None if recommended is None else float(np.median(recommended.win_length)),
        "recommended_hop": None if recommended is None else float(np.median(recommended.hop)),
        "hop": float(result.hop),
        "frames": None if result.positions is None else int(result.positions.size),
        "mfft": result.sft.mfft,
        "fun": float(result.fun),
        "area_fun": float(result.area_fun),
        "success": bool(result.success),
        "message": one_line(str(result.message)),
        "notes": NOTE_SEPARATOR.join([*notes, *result.notes]) or None,
        "nit": int(result.nit),
        "nfev": int(result.nfev),
    }


def describe_error(error: BaseException) -> Row:
    """Return the columns of an error."""
    if isinstance(error, OSError) and error.strerror:
        text = f"{printable(str(error.filename))}: {error.strerror}" if error.filename else error.strerror
    else:
        text = str(error)
    text = one_line(text) or type(error).__name__
    if len(text) > _LONGEST_ERROR:
        text = text[:_LONGEST_ERROR] + " ..."
    return {"status": "error", "error_type": type(error).__name__, "error": text}


def describe_file(path: str | os.PathLike[str]) -> Row:
    """Return size and time of change of a file, an empty row if it cannot be accessed."""
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # ValueError: the name holds a null character
        return {}
    return {"file_size": status.st_size, "file_mtime_ns": status.st_mtime_ns}


def file_has_changed(path: Any, row: Row) -> bool:
    """Return True if a file has another size or time of change than its row says."""
    if row["file_size"] is None or not isinstance(path, str | os.PathLike):
        return False
    return any(row[name] != value for name, value in describe_file(path).items())


def labelled(name: str, text: str) -> str:
    """Return the text with the name before it, in place of the last part of the name or of the name itself."""
    return text if text.startswith(name) else f"{name}: {text.removeprefix(f'{os.path.basename(name)}: ')}"


def one_line(text: str) -> str:
    """Return a text on one line, with escapes for control characters and for bytes that are no text."""
    return printable(" ".join(text.split()))


def _format(row: Row) -> str:
    text = io.StringIO()
    # the writer uses repr for floats, which loses no bit
    csv.writer(text, lineterminator="\n").writerow(row.get(name) for name in COLUMNS)
    return text.getvalue()


def _parse(fields: list[str]) -> Row:
    return {name: _value(kind, text) for (name, kind), text in zip(COLUMNS.items(), fields, strict=True)}


def _value(kind: type, text: str) -> Any:
    if text == "":
        return None
    return text == "True" if kind is bool else kind(text)


class RowFile:
    """A file of rows, to which rows can be appended.

    Parameters
    ----------
    path : path-like
        A file that ends in ``.csv`` or ``.parquet``. It is created if it does not exist.
    retry : bool
        True removes the rows that hold an error.

    Attributes
    ----------
    rows : dict
        All rows by name. An appended row replaces an earlier one of the same name.

    Raises
    ------
    ValueError
        If the file holds something else, or another process is writing to it.
    OSError
        If it cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str], *, retry: bool = False) -> None:
        self.path = check_path(path)
        self._parquet = self.path.suffix.lower() == ".parquet"
        self._lines = self.path.with_name(self.path.name + ".rows") if self._parquet else self.path
        self._stream = _open_locked(self._lines)  # before reading: another run may still be writing
        self._count = 0
        try:
            finished = self._read_finished()
            self.rows = finished | self._read_lines()
            if retry:
                self._remove_errors()
        except BaseException:
            self._stream.close()
            raise

    def _read_finished(self) -> dict[str, Row]:
        """Read the Parquet file of an earlier run, if there is one."""
        if not self._parquet or not self.path.exists():
            return {}
        try:
            return _read_parquet(self.path)
        except ValueError:
            if os.fstat(self._stream.fileno()).st_size == 0:
                with suppress(OSError):  # some systems cannot remove an open file
                    self._lines.unlink()  # leave no new file beside a file that is not ours
            raise

    def _read_lines(self) -> dict[str, Row]:
        """Read the complete lines, and cut off an incomplete one at the end."""
        data = self._stream.read()
        whole = data.rfind(b"\n") + 1
        header = _HEADER.encode()
        if not data.startswith(header) and (whole or not header.startswith(data)):
            raise ValueError(
                f"out={str(self.path)!r}: {self._lines.name} does not begin with the columns that this version of "
                "optimize_many writes; give another file, or move this one away"
            )
        self._stream.truncate(whole)
        self._stream.seek(whole)
        if whole == 0:
            self._write(header)
        try:
            text = data[len(header) : whole].decode()
            rows = list(map(_parse, csv.reader(io.StringIO(text, newline=""))))
        except (ValueError, csv.Error) as error:
            raise ValueError(
                f"out={str(self.path)!r}: {self._lines.name} has a line that is no row ({error})"
            ) from error
        self._count = len(rows)
        return {row["name"]: row for row in rows}

    def _remove_errors(self) -> None:
        kept = {name: row for name, row in self.rows.items() if row["status"] != "error"}
        if len(kept) == len(self.rows):
            return
        self.rows = kept
        if self._parquet:
            _write_parquet(self.path, kept.values())
            self._stream.truncate(len(_HEADER))
            self._stream.seek(len(_HEADER))
            return
        self._replace_lines()

    def _replace_lines(self) -> None:
        """Write all rows to a new file that then replaces the old one, so that no row is ever missing on disk."""
        old = self._stream
        with _replacement(self._lines, self.path) as stream:
            stream.write((_HEADER + "".join(map(_format, self.rows.values()))).encode())
            if os.name == "nt":  # Windows cannot replace an open file
                old.close()
        try:
            self._stream = _open_locked(self._lines)
        finally:
            old.close()
        self._stream.seek(0, os.SEEK_END)
        self._count = len(self.rows)

    def append(self, row: Row) -> None:
        """Write one row, and pass it to the operating system before returning."""
        self._write(_format(row).encode())
        self._count += 1
        self.rows.pop(row["name"], None)  # rows are in the order in which they were written
        self.rows[row["name"]] = row

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:  # a raw stream may write only a part
            view = view[self._stream.write(view) :]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if self._parquet:
                _write_parquet(self.path, self.rows.values())
                if os.name == "nt":  # Windows cannot remove an open file
                    self._stream.close()
                self._lines.unlink()  # while it is locked: the next run makes another file
            elif self._count > len(self.rows):
                self._replace_lines()
        finally:
            self._stream.close()


def check_path(path: Any) -> Path:
    """Require the path of a table in an existing folder, and the packages that write it."""
    try:
        file = Path(path)
    except TypeError:
        raise TypeError(f"out={path!r} must be the path of a file") from None
    if file.suffix.lower() not in SUFFIXES:
        raise ValueError(f"out={str(path)!r} must end in one of {', '.join(SUFFIXES)}")
    if not file.absolute().parent.is_dir():
        raise ValueError(f"out={str(path)!r}: there is no folder {file.parent}")
    if file.suffix.lower() == ".parquet":
        require("pyarrow.parquet", extra="many")
    return file


@contextmanager
def _replacement(target: Path, path: Path) -> Iterator[io.BufferedWriter]:
    """Open a new file that will replace `target`, which holds rows of `path`."""
    with ExitStack() as stack:
        try:
            stream = stack.enter_context(replacing(target))
        except FileExistsError:
            raise ValueError(f"out={str(path)!r}: {target.name}.new exists already; move it away") from None
        yield stream


def _open_locked(path: Path) -> io.FileIO:
    """Open a file for reading and writing, and lock it against other processes if the system can."""
    while True:
        path.touch()
        stream = io.FileIO(path, "r+")
        try:
            _lock(stream, path)
            if _is_at(stream, path):
                return stream
        except BaseException:
            stream.close()
            raise
        stream.close()  # another run has removed or replaced the file


def _lock(stream: io.FileIO, path: Path) -> None:
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ValueError(f"out={str(path)!r} is being written by another run") from None
    except OSError:  # some network file systems have no locks
        pass


def _is_at(stream: io.FileIO, path: Path) -> bool:
    """Return True if the path still is that of the open file."""
    try:
        return os.path.samestat(os.fstat(stream.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _read_parquet(path: Path) -> dict[str, Row]:
    parquet = require("pyarrow.parquet", extra="many")
    pyarrow = require("pyarrow", extra="many")
    try:
        table = parquet.read_table(path)
    except pyarrow.ArrowInvalid as error:
        raise ValueError(f"out={str(path)!r} is not a Parquet file ({one_line(str(error))})") from error
    if table.column_names != list(COLUMNS):
        raise ValueError(
            f"out={str(path)!r} does not have the columns that this version of optimize_many writes; give another "
            "file, or move this one away"
        )
    return {row["name"]: row for row in table.to_pylist()}


def _write_parquet(path: Path, rows: Iterable[Row]) -> None:
    pyarrow = require("pyarrow", extra="many")
    types = {str: pyarrow.string(), float: pyarrow.float64(), int: pyarrow.int64(), bool: pyarrow.bool_()}
    schema = pyarrow.schema([(name, types[kind]) for name, kind in COLUMNS.items()])
    table = pyarrow.Table.from_pylist([{name: row.get(name) for name in COLUMNS} for row in rows], schema=schema)
    with _replacement(path, path) as stream:
        require("pyarrow.parquet", extra="many").write_table(table, stream)
