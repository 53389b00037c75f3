"""Run one function over many tasks: in this process, in processes of joblib, or on an executor such as a Dask client.

A task is taken from its iterator when there is room for it, so only the tasks under way are in memory. The function
returns its own errors as part of its result. If the engine fails on a task (its process dies, or it cannot be sent),
the outcome of this task is a `Lost`. A broken executor, such as a process pool of `concurrent.futures` with a dead
process, cannot be used again: all its tasks are lost, and its error is raised.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, BrokenExecutor, CancelledError, wait
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pickle import PicklingError
from typing import Any

from adaptstft.common.optional import require
from adaptstft.common.validation import as_index, show

#: Seconds until the workers of an executor are counted again.
_COUNT_VALID = 5.0
#: Errors of joblib if a process has died, or if a task or its outcome cannot be sent.
_ENGINE_ERRORS = (BrokenExecutor, PicklingError)


@dataclass(frozen=True)
class Lost:
    """Outcome of a task that the engine could not finish, for example because its process died."""

    error: BaseException


class _Source:
    """Iterator of numbered tasks; keeps the tasks under way and an error of the iterator.

    Engines may take tasks in a thread of their own, where an exception would be lost.

    Attributes
    ----------
    pending : dict
        Tasks under way, by number.
    exhausted : bool
        True if no more tasks will come.
    error : BaseException or None
        Error that the iterator of tasks raised.
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
    """Check the arguments that choose the engine."""
    if as_index("n_jobs", n_jobs) == 0:
        raise ValueError(f"{n_jobs=} must be a positive number of processes, or a negative one that counts from all")
    if executor is not None and n_jobs != 1:
        raise ValueError(f"{n_jobs=} is the number of joblib's processes: an executor has its own workers")
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise TypeError(f"executor={show(executor)} must be a dask.distributed.Client or a concurrent.futures.Executor")
    if pre_dispatch is not None:
        as_index("pre_dispatch", pre_dispatch, 1)
        if executor is None and n_jobs == 1:
            raise ValueError(
                f"{pre_dispatch=} needs n_jobs other than 1 or an executor: this process works on one at a time"
            )
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
    """Yield tasks with their outcomes, in the order in which they finish.

    Parameters
    ----------
    function : callable
        Function of one task. Other processes must be able to import or unpickle it.
    tasks : iterable
        The tasks.
    n_jobs : int, optional
        Number of processes of joblib; 1 means this process.
    executor : dask.distributed.Client or concurrent.futures.Executor, optional
        Executor to use instead.
    pre_dispatch : int, optional
        Largest number of tasks under way; twice the number of workers by default.

    Yields
    ------
    task
        A task.
    outcome
        The result of `function`, or `Lost`.

    Examples
    --------
    >>> from adaptstft.batch import parallel
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
            task = outcome = None  # free the memory before the next task is loaded
    if source.error is not None:
        raise source.error


def run_in_order(
    function: Callable[[Any], Any], tasks: Iterable[Any], *, n_jobs: int = 1
) -> Generator[tuple[Any, Any], None, None]:
    """Yield tasks with their outcomes as `run` does, but in the order of the tasks."""
    waiting: dict[int, tuple[Any, Any]] = {}
    following = 0
    for (number, task), outcome in run(partial(_second, function), enumerate(tasks), n_jobs=n_jobs):
        waiting[number] = task, outcome
        while following in waiting:
            yield waiting.pop(following)
            following += 1


def _second(function: Callable[[Any], Any], numbered: tuple[int, Any]) -> Any:
    return function(numbered[1])


def _on_joblib(
    function: Callable[[Any], Any], source: _Source, n_jobs: int, pre_dispatch: int | None
) -> Generator[tuple[Any, Any], None, None]:
    """Run tasks in processes of joblib.

    If a process dies, joblib fails all tasks under way, and its next call starts new processes. The failed tasks are
    then repeated one by one, so that only the task that kills its process is lost.
    """
    joblib = require("joblib", extra="many")
    function = partial(_in_folder, os.getcwd(), function)

    def in_processes(items: Iterable[tuple[int, Any]], count: int) -> Iterator[tuple[int, Any]]:
        settings = {"batch_size": 1, "pre_dispatch": pre_dispatch or "2*n_jobs", "return_as": "generator_unordered"}
        # without max_nbytes=None joblib keeps a copy of every large array in shared memory until the end
        pool = joblib.Parallel(n_jobs=count, max_nbytes=None, **settings)
        found: Iterator[tuple[int, Any]] = pool(joblib.delayed(_numbered)(function, *item) for item in items)
        return found

    while source.pending or not source.exhausted:
        with suppress(*_ENGINE_ERRORS):
            for number, outcome in in_processes(source, n_jobs):
                yield source.pending.pop(number), outcome
        for number, task in list(source.pending.items()):
            try:
                # two jobs: with one joblib would work in this process
                ((_, outcome),) = in_processes([(number, task)], 2)
            except _ENGINE_ERRORS as error:
                outcome = Lost(error)
            yield source.pending.pop(number), outcome


def _in_folder(folder: str, function: Callable[[Any], Any], task: Any) -> Any:
    """Run a task in the current folder of the caller: joblib may reuse processes that started in another folder."""
    if os.getcwd() != folder:
        os.chdir(folder)
    return function(task)


def _numbered(function: Callable[[Any], Any], number: int, task: Any) -> tuple[int, Any]:
    return number, function(task)


class _Room:
    """Largest number of tasks that an executor has at a time."""

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
    count = getattr(executor, "_max_workers", None)  # of executors of the standard library and of loky
    return count if isinstance(count, int) else 1


def _is_dask(executor: Any) -> bool:
    return callable(getattr(executor, "get_executor", None))


def _on_executor(
    function: Callable[[Any], Any], source: _Source, executor: Any, pre_dispatch: int | None
) -> Generator[tuple[Any, Any], None, None]:
    # Dask would take the result of an equal pure task instead of running this one
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
        raise  # cancelled by the owner of the executor
    except Exception as error:
        return Lost(error)
