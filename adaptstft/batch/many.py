"""`optimize_many`: tune each of many recordings by itself and return a table.

items -> `items` (named tasks) -> `parallel` (which process works on which task) -> `job` (one recording: read, tune,
describe) -> `rows` (the file, one row after the other) -> `table` (the rows in the order of the items).
"""

from __future__ import annotations

import inspect
import os
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import BrokenExecutor
from contextlib import closing, nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias

import numpy as np

from adaptstft.batch import parallel
from adaptstft.batch.items import Task, check_items, count_items, make_tasks
from adaptstft.batch.job import Job, tune_recording
from adaptstft.batch.parallel import Lost
from adaptstft.batch.rows import Row, RowFile, check_path, describe_error, file_has_changed, one_line
from adaptstft.batch.settings_text import settings_text
from adaptstft.batch.table import TuningTable
from adaptstft.common.progress import Progress
from adaptstft.common.validation import as_flag, as_flag_or_none, as_index, check_positive, show
from adaptstft.tuning.entry import optimize
from adaptstft.tuning.ranges import as_f_bounds
from adaptstft.tuning.request import Request, check_request
from adaptstft.tuning.result.result import TuningResult

__all__ = ["optimize_many"]

#: Arguments of `optimize` that `optimize_many` takes, with their defaults.
_OPTIONS = {
    name: parameter.default
    for name, parameter in inspect.signature(optimize).parameters.items()
    if parameter.kind is parameter.KEYWORD_ONLY and name not in ("callback", "progress")
}
#: Arguments that do not change the result.
_NOT_SETTINGS = ("workers", "backend")
#: Largest number of samples of the signal with which the arguments are checked.
_LONGEST_PROBE = 1 << 24


def optimize_many(
    items: Any,
    fs: float | None = None,
    *,
    key: str | None = None,
    channel: int | None = None,
    resample: bool = False,
    n_jobs: int = 1,
    executor: Any = None,
    pre_dispatch: int | None = None,
    out: str | os.PathLike[str] | None = None,
    retry: bool = False,
    save: str | os.PathLike[str] | None = None,
    full_output: bool = False,
    progress: bool | None = None,
    **options: Any,
) -> TuningTable:
    """Tune each of many recordings by itself, and return the results as a table.

    If a recording cannot be read or tuned, its row holds the error, and the
    others are tuned all the same. With `out` each row is written to disk as soon as it is
    finished, and the same call continues an earlier run that was stopped.

    Parameters
    ----------
    items : iterable
        The recordings. Each one is

        - the path of a file that `adaptstft.recordings.read` can read;
        - an array, as `adaptstft.optimize` takes it;
        - an `adaptstft.recordings.Recording`, which has a sampling frequency;
        - a function without arguments that returns one of these; it is called in the process
          that tunes the recording;
        - a pair ``(name, item)``.

        Or a mapping from names to recordings, such as a dict, a `pandas.DataFrame` (one recording in each column) or
        a `pandas.Series` (names from the index). A path is its own name. Other recordings without a name are
        called ``"0"``, ``"1"``, ... by their position. All names must differ.
    fs : float, optional
        Sampling frequency in Hz. Arrays need it. It replaces the sampling frequency of files and recordings.
        Without it an array from an iterator or a function becomes a row with an error.
    key : str, optional
        The array of MAT and NPZ files to read.
    channel : int, optional
        The channel of files and recordings to tune, counted from 0. By default all channels are
        tuned together and share one set of parameters.
    resample : bool, optional
        Resample files whose clock is not even, see `adaptstft.recordings.read`.
    n_jobs : int, optional
        Number of processes (of joblib, the extra ``many``); -1 for one on each core. With 1 the
        recordings are tuned in this process.
    executor : dask.distributed.Client or concurrent.futures.Executor, optional
        Executor that does the work, for example on a cluster.
    pre_dispatch : int, optional
        Largest number of recordings in memory; by default twice the number of processes, or of
        threads of the executor.
    out : str or path-like, optional
        A ``.csv`` or ``.parquet`` file for the rows, in the order in which they
        finish. A recording that has a row there is not tuned again, except a file that has changed, see Notes.
    retry : bool, optional
        Tune again the recordings whose row in `out` holds an error.
    save : str or path-like, optional
        A folder for the whole results with their signals, one ``.npz`` file for `adaptstft.load`
        each. It must exist here and on the machines that do the work (only the first is checked).
    full_output : bool, optional
        Keep the whole results, with the signals, in ``results`` of the table.
    progress : bool or None, optional
        Show a progress bar on standard error, or under the cell of a notebook, after two seconds of work: always
        with True, never with False, and with None in notebooks and terminals only.
    **options
        Any other argument of `adaptstft.optimize`, except `callback`. `workers` is 1 by default if there are
        several processes or an executor.

    Returns
    -------
    TuningTable
        One row for each recording, in the order of `items`.

    Raises
    ------
    ValueError, TypeError
        For arguments out of range, before any work; if two recordings have the same name; if `out`
        was written with other settings or is no such table; with `out`, if a setting is a function without a name
        of its own, see Notes.
    RuntimeError
        If a process of a `concurrent.futures` executor dies, see Notes.
    ImportError
        If an extra is missing, with the command that installs it.

    See Also
    --------
    adaptstft.optimize : Tune one recording.

    Notes
    -----
    Only the recordings under way are in memory, and `items` may be an iterator that loads
    them one by one. An array must be sent to the other process; a function that
    loads it there is cheaper.

    *Interruption.* A row is one line of a text file, written at once. If a process is killed while
    it writes, the incomplete line is dropped later. The rows of a Parquet file are collected in a text file
    (``.rows`` is added to the name) until the run ends or the next one begins. ``KeyboardInterrupt`` is raised after
    the finished rows are on disk.

    *Settings.* All rows of `out` have the same settings. A function among them, such as a window or a loss, is
    identified by its module and its name; its code is not compared. After a change of the code use another
    `out`. A lambda, a function inside another function, and an object that is neither a dataclass nor
    part of this package cannot be identified, and `out` refuses them.

    *Changed files.* The row of a path holds the size of the file and the time of its last change, both
    from before it was read. If one of them differs when the call is repeated, the recording is tuned
    again, and the new row replaces the old one. A file that this process cannot access counts
    as unchanged. Arrays, and recordings that functions load, are not compared.

    *Crashes.* If a process of joblib dies, for example because memory runs out, the recordings under way
    are tuned again one by one, and a recording whose process dies again becomes a row with this
    error. Dask repeats work by rules of its own. A process pool of
    `concurrent.futures` cannot be used after one of its processes has died: all recordings under way then become
    rows with that error, since the cause is unknown, and the run ends with an error. The same call with a new
    executor continues, and ``retry=True`` with ``pre_dispatch=1`` finds the recording that kills its process.

    Examples
    --------
    Two files, and a third that does not exist:

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

    Tune the third one when it exists:

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
    job = Job(
        fs=None if fs is None else check_positive("fs", fs, "Hz"),
        key=key,
        channel=None if channel is None else as_index("channel", channel, 0),
        resample=as_flag("resample", resample),
        options=options,
        settings=_settings(
            options, out is not None, fs=fs, key=key, channel=channel, resample=resample, save=save is not None
        ),
        save=None if save is None else _check_folder(save, request),
        full_output=as_flag("full_output", full_output),
    )
    if as_flag("retry", retry) and out is None:
        raise ValueError(f"{retry=} needs out, the file whose errors are tried again")
    if out is not None:
        check_path(out)
    tasks = make_tasks(check_items(items, fs))
    bar = Progress(as_flag_or_none("progress", progress))
    run = partial(parallel.run, n_jobs=n_jobs, executor=executor, pre_dispatch=pre_dispatch)
    try:
        with nullcontext() if out is None else RowFile(out, retry=retry) as file:
            return _Collection(job, file, bar, count_items(items)).collect(tasks, run)
    finally:
        bar.close()


# ---------------------------------------------------------------------------------------
# Arguments


def _check_options(options: dict[str, Any], fs: Any, *, local: bool) -> Request:
    """Check the arguments of `optimize` with a test signal: an error here would be an error of every recording."""
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        raise TypeError(
            f"optimize_many does not take {', '.join(f'{name}={show(options[name])}' for name in unknown)}; arguments "
            f"of optimize that it does take are {', '.join(_OPTIONS)}"
        )
    as_index("axis", options.get("axis", -1))
    arguments = _OPTIONS | options | {"callback": None, "progress": False, "axis": -1}
    if not local:
        arguments["backend"] = "auto"  # only the other machines know their devices
    if np.size(arguments["win_length"]) > 1:
        arguments["win_length"] = None  # the right number of lengths depends on the recording
    as_f_bounds(arguments["f_bounds"])
    arguments["f_bounds"] = None  # the range allowed depends on the recording
    probe = np.zeros(_probe_size(options))
    probe[probe.size // 2] = 1.0
    return check_request(probe, 1.0 if fs is None else fs, SimpleNamespace(**arguments))


def _probe_size(options: dict[str, Any]) -> int:
    """Return the length of a signal that is long enough for every window and hop among the arguments."""
    sizes = [2.0**16]
    for name in ("win_length", "hop", "win_bounds", "hop_bounds", "mfft"):
        for value in np.atleast_1d(np.asarray(options.get(name), dtype=object)).flat:
            if isinstance(value, int | float | np.number) and np.isfinite(value):
                sizes.append(4.0 * float(value))
    return int(min(max(sizes), _LONGEST_PROBE))


def _check_registered(request: Request) -> None:
    """Refuse a registered window: other processes do not know its name."""
    window = request.window
    if window.name != "callable" and not window.built_in:
        raise ValueError(
            f"window={window.label} was registered in this process, others do not know it: pass its function as "
            "window, or use n_jobs=1"
        )


def _check_folder(save: Any, request: Request) -> Path:
    folder = Path(save)
    if not folder.is_dir():
        raise ValueError(f"save={str(save)!r} must be a folder that exists")
    for name, given in (("window", request.window.name), ("criterion", request.criterion.name)):
        if given == "callable":
            raise ValueError(f"save={str(save)!r}: a result with a function as {name} cannot be saved")
    return folder.absolute()


def _settings(options: dict[str, Any], comparable: bool, **others: Any) -> str:
    """Return the text of the settings; `comparable` refuses those that a later run could not compare."""
    chosen = {name: value for name, value in options.items() if name not in _NOT_SETTINGS}
    defaults = _OPTIONS | {"fs": None, "key": None, "channel": None, "resample": False, "save": False}
    return settings_text(chosen | others, defaults, comparable=comparable)


def _check_same_settings(file: RowFile, settings: str) -> None:
    other = next((row for row in file.rows.values() if row["settings"] != settings), None)
    if other is not None:
        raise ValueError(
            f"out={str(file.path)!r} was written with other settings, {other['settings']}, now they are {settings}: "
            "give another file, or move this one away"
        )


# ---------------------------------------------------------------------------------------
# All recordings


_Outcomes: TypeAlias = Generator[tuple[Task, Any], None, None]


@dataclass
class _Collection:
    """Collects the rows of a run for the table and the file.

    Attributes
    ----------
    job : Job
        The work on one recording.
    file : RowFile or None
        The file of the rows.
    bar : Progress
        The progress bar.
    total : int or None
        Number of recordings, if it is known.
    rows, results : dict
        Rows and whole results by position of the recording.
    resumed, failed : int
        Number of rows of earlier runs, and of errors of this run.
    started : float
        Time at which the run began.
    """

    job: Job
    file: RowFile | None
    bar: Progress
    total: int | None
    rows: dict[int, Row] = field(default_factory=dict)
    results: dict[int, TuningResult | None] = field(default_factory=dict)
    resumed: int = 0
    failed: int = 0
    started: float = field(default_factory=lambda: time.monotonic())

    def collect(self, tasks: Iterator[Task], run: Callable[..., _Outcomes]) -> TuningTable:
        """Run the tasks that have no row in the file yet, and return the table."""
        if self.file is not None:
            _check_same_settings(self.file, self.job.settings)
        try:
            with closing(run(partial(tune_recording, self.job), self._unfinished(tasks))) as outcomes:
                for task, outcome in outcomes:
                    self._take(task, outcome)
                    del task, outcome  # free the memory before the next recording is loaded
        except KeyboardInterrupt as stop:
            if self.file is not None:
                stop.add_note(f"{self._kept()}; the same call goes on from there")
            raise
        except BrokenExecutor as error:
            kept = "without out= no row is kept" if self.file is None else self._kept()
            raise RuntimeError(
                f"the executor has broken, which ends the run ({one_line(str(error))}); {kept}, and the same call with "
                "another executor goes on from there. With n_jobs= a dead process costs one recording, not the run"
            ) from error
        order = sorted(self.rows)
        results = [self.results.get(index) for index in order] if self.job.full_output else None
        path = None if self.file is None else self.file.path
        return TuningTable([self.rows[index] for index in order], results, path, self.resumed)

    def _kept(self) -> str:
        """Return a text with the number of rows in the file."""
        assert self.file is not None
        count = len(self.file.rows)
        return f"{count} row{' is' if count == 1 else 's are'} in {self.file.path}"

    def _unfinished(self, tasks: Iterator[Task]) -> Iterator[Task]:
        for task in tasks:
            row = None if self.file is None else self.file.rows.get(task.name)
            if row is None or file_has_changed(task.source, row):
                yield task
            else:
                self.rows[task.index] = row
                self.resumed += 1

    def _take(self, task: Task, outcome: Any) -> None:
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
