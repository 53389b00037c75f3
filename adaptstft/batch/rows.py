"""Results of many recordings as rows of a table, and the file that they are appended to.

A row is one line of text, written whole and at once, so that a run that is killed leaves at most a torn last line,
which the next run drops. Parquet files cannot be appended to: their rows go to a file of lines beside them, from which
the Parquet file is written when the run ends, however it ends, or else at the beginning of the next one.
"""

from __future__ import annotations

import csv
import io
import os
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np

from adaptstft.common.optional import require

if TYPE_CHECKING:
    from adaptstft.tuning.result.result import TuningResult

#: Values by column; None where there is none.
Row: TypeAlias = dict[str, Any]

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
#: Most characters of an error that are kept: readers of CSV refuse fields that are too long.
_LONGEST_ERROR = 2000


def describe(result: TuningResult) -> Row:
    """Return the columns that a result fills: lengths in samples, of several their median and range."""
    lengths = np.asarray(result.win_length)
    median = float(np.median(lengths))
    window = result.sft.window
    low, high = result.sensitivity.factors
    found = result.recommended
    return {
        "window": ":".join([window.name, *(repr(float(value)) for value in window.shape)]),
        "win_length": median,
        "win_length_min": float(lengths.min()),
        "win_length_max": float(lengths.max()),
        "win_duration": median / result.sft.fs,
        "factor_low": low,
        "factor_high": high,
        "recommended_win_length": None if found is None else float(np.median(found.win_length)),
        "recommended_hop": None if found is None else float(np.median(found.hop)),
        "hop": float(result.hop),
        "frames": None if result.positions is None else int(result.positions.size),
        "mfft": result.sft.mfft,
        "fun": float(result.fun),
        "area_fun": float(result.area_fun),
        "success": bool(result.success),
        "message": one_line(str(result.message)),
        "notes": "; ".join(result.notes) or None,
        "nit": int(result.nit),
        "nfev": int(result.nfev),
    }


def describe_error(error: BaseException) -> Row:
    """Return the columns that an error fills."""
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    else:
        text = str(error)
    text = one_line(text) or type(error).__name__
    if len(text) > _LONGEST_ERROR:
        text = text[:_LONGEST_ERROR] + " ..."
    return {"status": "error", "error_type": type(error).__name__, "error": text}


def describe_file(path: str | os.PathLike[str]) -> Row:
    """Return the columns by which a file is known again; nothing if there is none to be seen from here."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):  # names that hold a null character
        return {}
    return {"file_size": found.st_size, "file_mtime_ns": found.st_mtime_ns}


def labelled(name: str, text: str) -> str:
    """Put a name before a text that does not begin with it."""
    return text if text.startswith(name) else f"{name}: {text}"


def one_line(text: str) -> str:
    """Join lines by blanks, and show what is not text as an escape."""
    return " ".join(text.encode("utf-8", "backslashreplace").decode().split())


def _format(row: Row) -> str:
    text = io.StringIO()
    # floats are written by repr, so that they come back to the last bit
    csv.writer(text, lineterminator="\n").writerow(row.get(name) for name in COLUMNS)
    return text.getvalue()


def _parse(fields: list[str]) -> Row:
    return {name: _value(kind, text) for (name, kind), text in zip(COLUMNS.items(), fields, strict=True)}


def _value(kind: type, text: str) -> Any:
    if text == "":
        return None
    return text == "True" if kind is bool else kind(text)


class RowFile:
    """The file that rows are appended to, and the rows that it holds already.

    Parameters
    ----------
    path : path-like
        A file that ends in ``.csv`` or ``.parquet``; it is made if there is none.
    retry : bool
        Whether rows that hold an error are taken out.

    Attributes
    ----------
    rows : dict
        Rows by name, those appended included. A row that is appended takes the place of one of its name.

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
        self._stream = _open_alone(self._lines)  # first: what another run still writes is not to be read
        self._count = 0
        try:
            finished = self._read_finished()
            self.rows = finished | self._read_lines()
            if retry:
                self._take_out_errors()
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
                with suppress(OSError):  # an open file cannot be removed everywhere
                    self._lines.unlink()  # beside a file of somebody else's nothing is left
            raise

    def _read_lines(self) -> dict[str, Row]:
        """Read whole lines, and cut off what follows the last of them."""
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
            found = list(map(_parse, csv.reader(io.StringIO(text, newline=""))))
        except (ValueError, csv.Error) as error:
            raise ValueError(
                f"out={str(self.path)!r}: {self._lines.name} has a line that is no row ({error})"
            ) from error
        self._count = len(found)
        return {row["name"]: row for row in found}

    def _take_out_errors(self) -> None:
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
        """Write the rows anew, in a file that replaces the old one: at no time are there fewer rows on the disk."""
        new = self._lines.with_name(self._lines.name + ".new")
        new.write_text(_HEADER + "".join(map(_format, self.rows.values())), encoding="utf-8", newline="")
        old = self._stream
        if os.name == "nt":  # where an open file cannot be replaced
            old.close()
        os.replace(new, self._lines)
        try:
            self._stream = _open_alone(self._lines)
        finally:
            old.close()
        self._stream.seek(0, os.SEEK_END)
        self._count = len(self.rows)

    def append(self, row: Row) -> None:
        """Write one row, which reaches the operating system before this returns."""
        self._write(_format(row).encode())
        self._count += 1
        self.rows.pop(row["name"], None)  # rows are in the order in which they were written
        self.rows[row["name"]] = row

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:  # a raw stream may take a part only
            view = view[self._stream.write(view) :]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if self._parquet:
                _write_parquet(self.path, self.rows.values())
                if os.name == "nt":  # where an open file cannot be removed
                    self._stream.close()
                self._lines.unlink()  # while it is held: the next run's is another file
            elif self._count > len(self.rows):
                self._replace_lines()
        finally:
            self._stream.close()


def check_path(path: Any) -> Path:
    """Require a file to write that is a table, in a folder that exists, and what writes it."""
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


def _open_alone(path: Path) -> io.FileIO:
    """Open a file for reading and writing, and hold it against other processes where the system can."""
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
        stream.close()  # another run has removed or replaced it meanwhile


def _lock(stream: io.FileIO, path: Path) -> None:
    try:
        import fcntl
    except ImportError:
        return
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise ValueError(f"out={str(path)!r} is being written by another run") from None
    except OSError:  # file systems of a network that know no locks
        pass


def _is_at(stream: io.FileIO, path: Path) -> bool:
    """Whether a path still leads to the file that is open."""
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
    new = path.with_name(path.name + ".new")
    require("pyarrow.parquet", extra="many").write_table(table, new)
    os.replace(new, path)
