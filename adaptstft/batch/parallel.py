"""Run one function over many tasks: here, in the processes of joblib, or on an executor such as a Dask client.

A task is taken from its iterator when there is room for it, so that as many are held as are being worked on. What
goes wrong with the engine while it works on a task is an outcome of that task, `Lost`; the function itself is
expected to return whatever else goes wrong. An executor that has broken, as one of `concurrent.futures` does when one
of its processes dies, is of no more use: all tasks that it was given are lost, and what it raised is raised then.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, wait
from dataclasses import dataclass
from functools import partial
from pickle import PicklingError
from typing import Any

from adaptstft.common.optional import require
from adaptstft.common.validation import as_index, show

#: Seconds for which the number of an executor's workers is believed.
_COUNT_VALID = 5.0
#: What joblib raises if a process has died, or if a task or its outcome cannot be sent.
_OF_A_TASK = (BrokenExecutor, PicklingError)


@dataclass(frozen=True)
class Lost:
    """The outcome of a task that an engine could not bring to an end, such as one whose process died."""

    error: BaseException


class _Source:
    """Tasks with their numbers, those under way, and what the iterator of tasks raised.

    Engines may take tasks in a thread of their own, where an exception would be lost.
    """

    def __init__(self, tasks: Iterable[Any]) -> None:
        self._tasks = enumerate(tasks)
        self.pending: dict[int, Any] = {}
        self.exhausted = False
        self.error: BaseException | None = None

    def __iter__(self) -> Iterator[tuple[int, Any]]:
        return self

    def __next__(self) -> tuple[int, Any]:
        if self.exhausted:
            raise StopIteration
        try:
            number, task = next(self._tasks)
        except StopIteration:
            self.exhausted = True
            raise
        except BaseException as error:
            self.exhausted, self.error = True, error
            raise StopIteration from None
        self.pending[number] = task
        return number, task


def check_engine(n_jobs: Any, executor: Any, pre_dispatch: Any) -> None:
    """Check what a user says of the engine, before any work."""
    if as_index("n_jobs", n_jobs) == 0:
        raise ValueError(f"{n_jobs=} must be a positive number of processes, or a negative one that counts from all")
    if executor is not None and n_jobs != 1:
        raise ValueError(f"{n_jobs=} is the number of joblib's processes: an executor has workers of its own")
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise TypeError(f"executor={show(executor)} must be a dask.distributed.Client or a concurrent.futures.Executor")
    if pre_dispatch is not None:
        as_index("pre_dispatch", pre_dispatch, 1)
        if executor is None and n_jobs == 1:
            raise ValueError(f"{pre_dispatch=} needs n_jobs other than 1 or an executor: here one is held at a time")
    if n_jobs != 1:
        require("joblib", extra="many")


def run(
    function: Callable[[Any], Any],
    tasks: Iterable[Any],
    *,
    n_jobs: int = 1,
    executor: Any = None,
    pre_dispatch: int | None = None,
) -> Generator[tuple[Any, Any], None, None]:
    """Yield tasks with their outcomes in the order in which they are finished.

    Parameters
    ----------
    function : callable
        ``function(task)``, which other processes can import or unpickle.
    tasks : iterable
        What to call it with.
    n_jobs : int, optional
        Number of joblib's processes; 1 works here.
    executor : dask.distributed.Client or concurrent.futures.Executor, optional
        Where to work instead.
    pre_dispatch : int, optional
        Most tasks that are held at a time; twice the number of workers by default.

    Yields
    ------
    task
        As taken from `tasks`.
    outcome
        What `function` returned, or `Lost`.

    Examples
    --------
    >>> from adaptstft import parallel
    >>> list(parallel.run(abs, [-1, 2]))
    [(-1, 1), (2, 2)]
    """
    check_engine(n_jobs, executor, pre_dispatch)
    source = _Source(tasks)
    if executor is not None:
        yield from _on_executor(function, source, executor, pre_dispatch)
    elif n_jobs != 1:
        yield from _on_joblib(function, source, n_jobs, pre_dispatch)
    else:
        for number, task in source:
            outcome = function(task)
            del source.pending[number]
            yield task, outcome
            task = outcome = None  # or this generator would hold them while the next one is loaded
    if source.error is not None:
        raise source.error


def _on_joblib(
    function: Callable[[Any], Any], source: _Source, n_jobs: int, pre_dispatch: int | None
) -> Generator[tuple[Any, Any], None, None]:
    """Work in joblib's processes, and start again with new ones if one of them dies."""
    joblib = require("joblib", extra="many")
    function = partial(_in_folder, os.getcwd(), function)
    settings = {"batch_size": 1, "pre_dispatch": pre_dispatch or "2*n_jobs", "return_as": "generator_unordered"}
    while source.pending or not source.exhausted:
        # without max_nbytes=None joblib keeps a copy of every large array in shared memory until the end
        pool = joblib.Parallel(n_jobs=n_jobs, max_nbytes=None, **settings)
        try:
            for number, outcome in pool(joblib.delayed(_numbered)(function, *item) for item in source):
                yield source.pending.pop(number), outcome
        except _OF_A_TASK:
            pass  # one of those under way has ended all processes
        for number in list(source.pending):
            task = source.pending.pop(number)
            yield task, _alone(joblib, function, task)


def _in_folder(folder: str, function: Callable[[Any], Any], task: Any) -> Any:
    """Work in the folder that paths are relative to: joblib's processes may be older than the last change of it."""
    if os.getcwd() != folder:
        os.chdir(folder)
    return function(task)


def _numbered(function: Callable[[Any], Any], number: int, task: Any) -> tuple[int, Any]:
    return number, function(task)


def _alone(joblib: Any, function: Callable[[Any], Any], task: Any) -> Any:
    """Run one task in a process of its own; with one job joblib would run it in this one."""
    try:
        (outcome,) = joblib.Parallel(n_jobs=2, max_nbytes=None)([joblib.delayed(function)(task)])
    except _OF_A_TASK as error:
        return Lost(error)
    return outcome


class _Room:
    """How many tasks an executor is given at a time."""

    def __init__(self, executor: Any, most: int | None) -> None:
        self._executor, self._most = executor, most
        self._counted, self._count = -_COUNT_VALID, 0

    def size(self) -> int:
        if self._most is not None:
            return self._most
        now = time.monotonic()
        if now - self._counted >= _COUNT_VALID:  # clusters grow and shrink
            self._counted, self._count = now, 2 * max(1, _worker_count(self._executor))
        return self._count


def _worker_count(executor: Any) -> int:
    if _is_dask(executor):
        return int(sum(executor.nthreads().values()))
    count = getattr(executor, "_max_workers", None)  # what the executors of the standard library and loky have
    return count if isinstance(count, int) else 1


def _is_dask(executor: Any) -> bool:
    return callable(getattr(executor, "get_executor", None))


def _on_executor(
    function: Callable[[Any], Any], source: _Source, executor: Any, pre_dispatch: int | None
) -> Generator[tuple[Any, Any], None, None]:
    # a pure task would not run twice, whatever became of what it wrote
    submitter = executor.get_executor(pure=False) if _is_dask(executor) else executor
    room = _Room(executor, pre_dispatch)
    futures: dict[Any, int] = {}
    broken: BrokenExecutor | None = None
    try:
        while True:
            while broken is None and len(futures) < room.size() and (item := next(source, None)) is not None:
                try:
                    futures[submitter.submit(function, item[1])] = item[0]
                except BrokenExecutor as error:
                    broken = error
            if not futures:
                break
            for future in wait(futures, return_when=FIRST_COMPLETED).done:
                number = futures.pop(future)
                outcome = _outcome(future)
                if isinstance(outcome, Lost) and isinstance(outcome.error, BrokenExecutor):
                    broken = outcome.error
                yield source.pending.pop(number), outcome
        if broken is not None:
            raise broken
    finally:
        for future in futures:
            future.cancel()


def _outcome(future: Any) -> Any:
    try:
        return future.result()
    except CancelledError:
        raise  # by whoever has the executor
    except Exception as error:
        return Lost(error)
