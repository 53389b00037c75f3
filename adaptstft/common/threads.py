"""Blocks of frames on the threads of one shared pool.

Kernels and FFTs release the interpreter lock, so that plain threads use all
cores. Frames are divided into blocks by the size of the transform alone, and
results are merged in the order of the blocks: they do not depend on the number
of workers.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

_Result = TypeVar("_Result")

#: Elements of the FFT's input for one block in single precision, half of it in double precision: the arrays of a
#: block stay in a core's cache, and its work outweighs the interpreter's share.
BLOCK_ELEMENTS = 1 << 17

_pool_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None


def _forget_pool() -> None:
    # The threads of a pool do not survive a fork, and its lock may have been held.
    global _pool, _pool_lock
    _pool, _pool_lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)


def _shared_pool() -> ThreadPoolExecutor:
    global _pool
    with _pool_lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(max_workers=64, thread_name_prefix="adaptstft")
        return _pool


def count_workers(workers: int | None) -> int:
    """Return the number of threads for ``workers=``: all usable cores for None."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if workers is None:
        return cores
    return workers if workers > 0 else max(1, cores + 1 + workers)


def block_ranges(n_frames: int, mfft: int, elements: int = BLOCK_ELEMENTS) -> list[tuple[int, int]]:
    """Divide frames into equal blocks whose FFT input has a number of elements: by default what fits a core's cache.

    Unless one block will do, their number is a multiple of four, so that the usual numbers of workers
    get equal parts.
    """
    n_blocks = -(-n_frames // max(1, elements // mfft))
    if n_blocks > 1:
        n_blocks += -n_blocks % 4
    edges = [n_frames * i // n_blocks for i in range(n_blocks + 1)] if n_blocks else []
    return [(low, high) for low, high in itertools.pairwise(edges) if low < high]


class _Run:
    """One pass over the blocks, shared by the threads that work on it."""

    def __init__(self, n: int, work: Callable[[int], Any], merge: Callable[[int, Any], None] | None) -> None:
        self.n, self.work, self.merge = n, work, merge
        self.claimed = 0
        self.merged = 0
        self.error: BaseException | None = None
        self.turn = threading.Condition()

    def _claim(self) -> int | None:
        with self.turn:
            if self.error is not None or self.claimed >= self.n:
                return None
            self.claimed += 1
            return self.claimed - 1

    def loop(self) -> None:
        try:
            while (block := self._claim()) is not None:
                result = self.work(block)
                if self.merge is not None:
                    self._merge_in_turn(block, result)
        except BaseException as exc:
            with self.turn:
                self.error = self.error or exc
                self.turn.notify_all()

    def _merge_in_turn(self, block: int, result: Any) -> None:
        # Earlier blocks are all in the hands of running threads, so the wait always ends.
        with self.turn:
            self.turn.wait_for(lambda: self.merged == block or self.error is not None)
            if self.error is None:
                assert self.merge is not None
                self.merge(block, result)
                self.merged += 1
                self.turn.notify_all()


def run_blocks(
    n: int,
    work: Callable[[int], _Result],
    workers: int,
    merge: Callable[[int, _Result], None] | None = None,
) -> None:
    """Call ``work(block)`` for ``n`` blocks on several threads.

    Parameters
    ----------
    n : int
        Number of blocks.
    work : callable
        Called once a block, in any order; it writes to places of its own or
        returns something for `merge`.
    workers : int
        Number of threads, the caller's among them.
    merge : callable, optional
        ``merge(block, result)``, called in the order of the blocks, one at a time.
    """
    run = _Run(n, work, merge)
    helpers = min(workers, n) - 1
    futures = [_shared_pool().submit(run.loop) for _ in range(helpers)] if helpers > 0 else []
    run.loop()
    for future in futures:
        if not future.cancel():
            future.result()
    if run.error is not None:
        raise run.error
