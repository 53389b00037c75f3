"""`optimize_many`: one tuning for each of many recordings, as rows of a table.

items -> `_Task` (a name and where its samples come from) -> `parallel.run` (`_tune_item`, in whichever process) ->
`RowFile` (on disk, as they come) -> `TuningTable` (in the order of the items).
"""

from __future__ import annotations

import hashlib
import inspect
import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, cast

import numpy as np

from adaptstft import __version__, recordings
from adaptstft.batch import parallel
from adaptstft.batch.parallel import Lost
from adaptstft.batch.rows import COLUMNS, Row, RowFile, check_path, describe, describe_error, describe_file, one_line
from adaptstft.batch.settings_text import settings_text
from adaptstft.batch.table import TuningTable
from adaptstft.common.progress import Progress
from adaptstft.common.typing import AnyArray
from adaptstft.common.validation import as_flag, as_index, check_positive, show
from adaptstft.recordings import Recording
from adaptstft.tuning.entry import optimize
from adaptstft.tuning.request import Request, check_request
from adaptstft.tuning.result.result import TuningResult

__all__ = ["optimize_many"]

_OPTIONS = {
    name: parameter.default
    for name, parameter in inspect.signature(optimize).parameters.items()
    if parameter.kind is parameter.KEYWORD_ONLY and name not in ("callback", "progress")
}
#: Options of the work, which do not change what is found.
_NOT_SETTINGS = ("workers", "backend")
_LONGEST_PROBE = 1 << 24


def optimize_many(
    items: Any,
    fs: float | None = None,
    *,
    key: str | None = None,
    channel: int | None = None,
    n_jobs: int = 1,
    executor: Any = None,
    pre_dispatch: int | None = None,
    out: str | os.PathLike[str] | None = None,
    retry: bool = False,
    save: str | os.PathLike[str] | None = None,
    full_output: bool = False,
    progress: bool = False,
    **options: Any,
) -> TuningTable:
    """Tune every one of many recordings by itself, and make a table of what was found.

    A recording that cannot be read or tuned is a row that holds its error, and
    the others go on. With `out` every row is on disk as soon as it is known,
    and the same call goes on where an earlier one stopped.

    Parameters
    ----------
    items : iterable
        The recordings, each one of

        - the path of a file, as `adaptstft.recordings.read` takes it;
        - an array, as `adaptstft.optimize` takes it;
        - an `adaptstft.recordings.Recording`, which has a sampling rate;
        - a function without arguments that returns one of these, called where
          the recording is tuned;
        - a pair ``(name, item)``.

        Or a mapping from names to these, such as a dict, a `pandas.DataFrame` (of arrays, by its columns) or a
        `pandas.Series` (by its index). A path is its own name, the others without one are ``"0"``, ``"1"``, ... by
        their place. No name may occur twice.
    fs : float, optional
        Sampling frequency in Hz. Needed for arrays (one that an iterator or a function makes is a row with
        an error without it); with files and recordings it wins over their own.
    key : str, optional
        The variable of MAT files to read.
    channel : int, optional
        The channel of files and recordings to tune, counted from 0; all by default, which
        then share one set of parameters.
    n_jobs : int, optional
        Number of processes (of joblib, the extra ``many``); -1 for one on each core. 1 works
        in this process.
    executor : dask.distributed.Client or concurrent.futures.Executor, optional
        Where to work instead, such as on a cluster.
    pre_dispatch : int, optional
        Most recordings that are held at a time; twice the number of processes, or of
        the executor's threads, by default.
    out : str or path-like, optional
        A ``.csv`` or ``.parquet`` file for the rows, in the order in which they are
        finished. Recordings whose name it holds are not tuned again, but for files that have changed, see Notes.
    retry : bool, optional
        Tune the recordings whose row in `out` holds an error again.
    save : str or path-like, optional
        A folder for the whole results, each an ``.npz`` file for `adaptstft.load`, with
        the signal. It must exist where this is called, and, which is not checked, wherever the work is done.
    full_output : bool, optional
        Keep the whole results, with the signals, in ``results`` of the table.
    progress : bool, optional
        Show a bar on standard error, in a notebook under its cell, if the work takes more than two seconds.
    **options
        Any further argument of `adaptstft.optimize`, but for `callback`. With several
        processes, or on an executor, `workers` is 1 by default.

    Returns
    -------
    TuningTable
        One row for each recording, in the order of `items`.

    Raises
    ------
    ValueError, TypeError
        For arguments out of range, before any work, and if two recordings have one name; if `out`
        was written with other settings, or is no such table.
    RuntimeError
        If a process of a `concurrent.futures` executor dies, see Notes.
    ImportError
        If an extra is missing, with the command that installs it.

    See Also
    --------
    adaptstft.optimize : Tune one recording.

    Notes
    -----
    As many recordings are in memory as are being worked on, and `items` may be an iterator
    that makes them. For recordings in memory a function that makes or loads one is
    better than the array, which must be sent to another process.

    *Interruption.* A row is one line of a text file, written at once; what a killed process
    leaves of a line is dropped. The rows for a Parquet file wait in such a file, with ``.rows``
    added to its name, until the run ends or the next one begins. ``KeyboardInterrupt`` is passed on once the
    rows are on disk.

    *Changed files.* A row of a path holds the size of the file and the time of its last change, as they
    were before it was read. Where the file has others when the call is repeated, its recording is tuned
    again, and the new row takes the place of the old one. Files that cannot be seen from here
    count as unchanged, and so does what is behind other names: arrays, and what functions load.

    *Crashes.* If a process of joblib dies, say for want of memory, those recordings that
    were being worked on are tuned again, each by itself, and the row of one whose process
    dies again says so. Dask has its own rules for how often work is tried again. An executor of
    `concurrent.futures` is of no more use once one of its processes has died: all recordings that it held then are
    rows with that error, since nobody knows whose fault it was, and the run ends with an error. With another executor
    the same call goes on, and ``retry=True`` with ``pre_dispatch=1`` finds out which of them it was.

    Examples
    --------
    Two files, and a name that is none:

    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> import adaptstft
    >>> folder = pathlib.Path(tempfile.mkdtemp())
    >>> rng = np.random.default_rng(0)
    >>> for name in ("a.npy", "b.npy"):
    ...     np.save(folder / name, rng.standard_normal(500))
    >>> files = [folder / name for name in ("a.npy", "b.npy", "c.npy")]
    >>> table = adaptstft.optimize_many(files, 100.0, out=folder / "found.csv")
    >>> [row["status"] for row in table]
    ['ok', 'ok', 'error']

    The third one arrives:

    >>> np.save(folder / "c.npy", rng.standard_normal(500))
    >>> table = adaptstft.optimize_many(files, 100.0, out=folder / "found.csv", retry=True)
    >>> [row["status"] for row in table], table.resumed
    (['ok', 'ok', 'ok'], 2)
    """
    request = _check_options(options, fs, local=executor is None)
    parallel.check_engine(n_jobs, executor, pre_dispatch)
    if executor is None and n_jobs != 1:
        _check_registered(request)
    if (executor is not None or n_jobs != 1) and options.get("workers") is None:
        options = options | {"workers": 1}
    job = _Job(
        fs=None if fs is None else check_positive("fs", fs, "Hz"),
        key=key,
        channel=None if channel is None else as_index("channel", channel, 0),
        options=options,
        settings=_settings(options, fs=fs, key=key, channel=channel, save=save is not None),
        save=None if save is None else _check_folder(save, request),
        full_output=as_flag("full_output", full_output),
    )
    if as_flag("retry", retry) and out is None:
        raise ValueError(f"{retry=} needs out, the file whose errors are tried again")
    if out is not None:
        check_path(out)
    tasks = _tasks(_pairs(items, fs), job)
    bar = Progress(as_flag("progress", progress))
    run = partial(parallel.run, n_jobs=n_jobs, executor=executor, pre_dispatch=pre_dispatch)
    try:
        with nullcontext() if out is None else RowFile(out, retry=retry) as file:
            return _Collection(job, file, bar, _count(items)).collect(tasks, run)
    finally:
        bar.close()


# ---------------------------------------------------------------------------------------
# Arguments


def _check_options(options: dict[str, Any], fs: Any, *, local: bool) -> Request:
    """Check the arguments for `optimize` with a signal that stands for all: what is wrong then is wrong with all."""
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        raise TypeError(
            f"optimize_many does not take {', '.join(f'{name}={show(options[name])}' for name in unknown)}; arguments "
            f"of optimize that it does take are {', '.join(_OPTIONS)}"
        )
    as_index("axis", options.get("axis", -1))
    asked = _OPTIONS | options | {"callback": None, "progress": False, "axis": -1}
    if not local:
        asked["backend"] = "auto"  # the devices are elsewhere
    if np.size(asked["win_length"]) > 1:
        asked["win_length"] = None  # how many there must be depends on the recording
    probe = np.zeros(_probe_size(options))
    probe[probe.size // 2] = 1.0
    return check_request(probe, 1.0 if fs is None else fs, **asked)


def _probe_size(options: dict[str, Any]) -> int:
    """Length of a signal that is long enough for every window and hop that is asked for."""
    sizes = [2.0**16]
    for name in ("win_length", "hop", "win_bounds", "hop_bounds", "mfft"):
        for value in np.atleast_1d(np.asarray(options.get(name), dtype=object)).flat:
            if isinstance(value, int | float | np.number) and np.isfinite(value):
                sizes.append(4.0 * float(value))
    return int(min(max(sizes), _LONGEST_PROBE))


def _check_registered(request: Request) -> None:
    """Refuse a window that other processes do not know by its name."""
    window = request.window
    if window.name != "callable" and not window.built_in:
        raise ValueError(
            f"window={window.spec!r} was registered in this process, others do not know it: pass its function as "
            "window, or work with n_jobs=1"
        )


def _check_folder(save: Any, request: Request) -> Path:
    folder = Path(save)
    if not folder.is_dir():
        raise ValueError(f"save={str(save)!r} must be a folder that exists")
    for name, given in (("window", request.window.name), ("criterion", request.criterion.name)):
        if given == "callable":
            raise ValueError(f"save={str(save)!r}: a result with a function as {name} cannot be saved")
    return folder.absolute()


def _settings(options: dict[str, Any], **others: Any) -> str:
    asked = {name: value for name, value in options.items() if name not in _NOT_SETTINGS}
    defaults = _OPTIONS | {"fs": None, "key": None, "channel": None, "save": False}
    return settings_text(asked | others, defaults)


def _check_same_settings(file: RowFile, settings: str) -> None:
    other = next((row for row in file.rows.values() if row["settings"] != settings), None)
    if other is not None:
        raise ValueError(
            f"out={str(file.path)!r} was written with other settings, {other['settings']}, now they are {settings}: "
            "give another file, or move this one away"
        )


def _count(items: Any) -> int | None:
    try:
        return len(items.keys() if hasattr(items, "keys") else items)  # of a DataFrame the columns
    except TypeError:
        return None


# ---------------------------------------------------------------------------------------
# Items


@dataclass(frozen=True)
class _Task:
    """One recording: its place among the items, its name, and the recording or what leads to it."""

    index: int
    name: str
    source: Any


def _pairs(items: Any, fs: Any) -> Iterable[Any]:
    """Return items, or pairs of names and items, and find what is wrong with those that are there already."""
    if isinstance(items, str | os.PathLike) or not np.iterable(items):
        raise TypeError(f"items={show(items)} must be several recordings: a list of paths, arrays or functions")
    if isinstance(items, np.ndarray) and items.ndim < 2:
        raise ValueError(f"items has shape {items.shape}: an array must have two dimensions, one recording in each row")
    found: Iterable[Any] = items
    if hasattr(items, "items"):
        found = ((str(name), item) for name, item in items.items())
        if isinstance(items, dict) or type(items).__module__.partition(".")[0] == "pandas":  # others may load
            found = list(found)
    if isinstance(found, list | tuple | np.ndarray):
        seen: set[str] = set()
        for index, item in enumerate(found):
            name, source = _named(index, item)
            _check_new(name, seen)
            if fs is None and not (_has_rate(source) or callable(source)):
                raise ValueError(f"fs=None: item {name!r} is an array, which needs a sampling frequency")
    return found


def _has_rate(source: Any) -> bool:
    """Whether an item knows its sampling frequency, or its file may."""
    return isinstance(source, str | os.PathLike | Recording)


def _check_new(name: str, seen: set[str]) -> None:
    if name in seen:
        raise ValueError(f"{name=} occurs twice among the items; pairs (name, item) name them apart")
    seen.add(name)


def _named(index: int, item: Any) -> tuple[str, Any]:
    if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str):
        name, source = item
    elif isinstance(item, str | os.PathLike):
        name, source = os.fsdecode(item), item
    else:
        name, source = str(index), item
    name = name.encode("utf-8", "backslashreplace").decode()  # file names need not be text
    if name.splitlines() != [name]:
        raise ValueError(f"{name=} must be one line of text: it names a row")
    return name, source


def _tasks(pairs: Iterable[Any], job: _Job) -> Iterator[_Task]:
    seen: set[str] = set()
    for index, item in enumerate(pairs):
        name, source = _named(index, item)
        _check_new(name, seen)
        yield _Task(index, name, source)


# ---------------------------------------------------------------------------------------
# The work on one item


@dataclass(frozen=True)
class _Job:
    """What is the same for all items."""

    fs: float | None
    key: str | None
    channel: int | None
    options: dict[str, Any]
    settings: str
    save: Path | None
    full_output: bool

    def row(self, name: str, **values: Any) -> Row:
        """Return a row with the columns that every one has."""
        fixed = {"name": name, "settings": self.settings, "version": __version__}
        return dict.fromkeys(COLUMNS) | fixed | values


def _tune_item(job: _Job, task: _Task) -> tuple[Row, TuningResult | None]:
    """Read and tune one recording; whatever goes wrong is its row's."""
    start = time.perf_counter()
    row = job.row(task.name)
    result = None
    try:
        if isinstance(task.source, str | os.PathLike):
            row |= describe_file(task.source)  # before it is read: what changes meanwhile is read again
        x, fs, axis = _load(job, task.source)
        n = np.shape(x)[axis]
        row |= {"fs": float(fs), "channels": np.size(x) // max(n, 1), "n": n}
        result = optimize(x, fs, **job.options | {"axis": axis})
        row |= describe(result)
        if job.save is not None:
            row["saved"] = _save(result, job.save, task.name)
        row["status"] = "ok"
    except Exception as error:
        row |= describe_error(error)
        result = None
    row["seconds"] = time.perf_counter() - start
    return row, result if job.full_output else None


def _load(job: _Job, source: Any) -> tuple[Any, float, int]:
    """Return the samples of an item, their rate and the axis of time."""
    made = callable(source)
    if made:
        source = source()
    if isinstance(source, str | os.PathLike):
        source = recordings.read(source, fs=job.fs, key=job.key)
    elif job.key is not None:
        raise ValueError(f"key={job.key!r} is for MAT files only")
    if isinstance(source, Recording):
        return _channels(source, job.channel), source.fs if job.fs is None else job.fs, -1
    if job.channel is not None:
        raise ValueError(f"channel={job.channel} is for files and recordings; index the array instead")
    if job.fs is None:
        what = "the function returned" if made else "the item is"
        raise ValueError(f"fs=None: {what} an array, which needs a sampling frequency")
    return source, job.fs, job.options.get("axis", -1)


def _channels(recording: Recording, channel: int | None) -> AnyArray:
    count = len(recording.x)
    if channel is None:
        return recording.x if count > 1 else cast(AnyArray, recording.x[0])
    if not channel < count:
        raise ValueError(f"{recording.name}: {channel=} must lie between 0 and {count - 1}")
    return cast(AnyArray, recording.x[channel])


def _save(result: TuningResult, folder: Path, name: str) -> str:
    # recordings of different folders may have one name
    path = folder / f"{Path(name).stem[:80]}-{hashlib.sha256(name.encode()).hexdigest()[:10]}.npz"
    result.save(path)
    return str(path)


# ---------------------------------------------------------------------------------------
# All items


def _has_changed(source: Any, row: Row) -> bool:
    """Whether the file that a row is about has another size or time of change than when it was read."""
    if row["file_size"] is None or not isinstance(source, str | os.PathLike):
        return False
    seen = describe_file(source)
    return any(row[name] != value for name, value in seen.items())


_Outcomes: TypeAlias = Generator[tuple[_Task, Any], None, None]


@dataclass
class _Collection:
    """Rows on their way to the table and to the file."""

    job: _Job
    file: RowFile | None
    bar: Progress
    total: int | None
    rows: dict[int, Row] = field(default_factory=dict)
    results: dict[int, TuningResult | None] = field(default_factory=dict)
    resumed: int = 0
    failed: int = 0
    started: float = field(default_factory=lambda: time.monotonic())

    def collect(self, tasks: Iterator[_Task], run: Callable[..., _Outcomes]) -> TuningTable:
        """Work on the tasks that are not in the file yet."""
        if self.file is not None:
            _check_same_settings(self.file, self.job.settings)
        try:
            with closing(run(partial(_tune_item, self.job), self._unfinished(tasks))) as outcomes:
                for task, outcome in outcomes:
                    self._take(task, outcome)
                    del task, outcome  # the next recording is loaded before the loop would let go of this one
        except KeyboardInterrupt as stop:
            if self.file is not None:
                stop.add_note(f"{self._kept()}; the same call goes on from there")
            raise
        except BrokenExecutor as error:
            kept = "without out= no row is kept" if self.file is None else self._kept()
            raise RuntimeError(
                f"the executor has broken, which ends the run ({one_line(str(error))}); {kept}, and the same call with "
                "another executor goes on from there. With n_jobs= a process that dies ends the recording alone"
            ) from error
        order = sorted(self.rows)
        results = [self.results.get(index) for index in order] if self.job.full_output else None
        path = None if self.file is None else self.file.path
        return TuningTable([self.rows[index] for index in order], results, path, self.resumed)

    def _kept(self) -> str:
        """Say how many rows there are in the file."""
        assert self.file is not None
        count = len(self.file.rows)
        return f"{count} row{' is' if count == 1 else 's are'} in {self.file.path}"

    def _unfinished(self, tasks: Iterator[_Task]) -> Iterator[_Task]:
        for task in tasks:
            row = None if self.file is None else self.file.rows.get(task.name)
            if row is None or _has_changed(task.source, row):
                yield task
            else:
                self.rows[task.index] = row
                self.resumed += 1

    def _take(self, task: _Task, outcome: Any) -> None:
        if isinstance(outcome, Lost):
            row, result = self.job.row(task.name, **describe_error(outcome.error)), None
        else:
            row, result = outcome
        if self.file is not None:
            self.file.append(row)
        self.rows[task.index], self.results[task.index] = row, result
        self.failed += row["status"] == "error"
        self._show()

    def _show(self) -> None:
        done, failed = len(self.rows), f"{self.failed} failed"
        if self.total is None:
            self.bar.tell(f"{done} recordings, {failed}")
            return
        left = (time.monotonic() - self.started) / (done - self.resumed) * (self.total - done)
        self.bar.update(done / self.total, f"{done} of {self.total} recordings, {failed}, {left:.0f} s left")
