"""Work on blocks of frames, on the threads of one shared pool.

Kernels and FFTs release Python's global interpreter lock, so that threads use all
cores. The division into blocks depends only on the size of the transform, and
results are merged in the order of the blocks. Results therefore do not depend on
the number of workers.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import Any, TypeVar

from scipy import fft
from scipy._lib import uarray  # SciPy's own has no public name, and its state is kept for each thread

_Result = TypeVar("_Result")

#: Elements of the FFT input for one block in single precision; half as many in double precision. The arrays of a
#: block stay in the cache of a core, and the time in Python is small compared with the time in kernels.
BLOCK_ELEMENTS = 1 << 17

_pool_lock = threading.Lock()
_pool: ThreadPoolExecutor | None = None


def _forget_pool() -> None:
    # After a fork the child has no threads, and the lock may have been taken by a thread of the parent.
    global _pool, _pool_lock
    _pool, _pool_lock = None, threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_pool)


def _shared_pool() -> ThreadPoolExecutor:
    """Return the pool of the process; the first call makes it."""
    global _pool
    with _pool_lock:
        if _pool is None:
            _pool = ThreadPoolExecutor(max_workers=64, thread_name_prefix="adaptstft")
        return _pool


def count_workers(workers: int | None) -> int:
    """Return the number of threads for an argument ``workers``.

    Parameters
    ----------
    workers : int or None
        Number of threads. None is one for each usable core; negative numbers count back from all cores, -1 is all.

    Returns
    -------
    int
        Number of threads, at least 1.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    if workers is None:
        return cores
    return workers if workers > 0 else max(1, cores + 1 + workers)


def block_ranges(n_frames: int, mfft: int, elements: int = BLOCK_ELEMENTS) -> list[tuple[int, int]]:
    """Divide frames into blocks of equal size.

    Parameters
    ----------
    n_frames : int
        Number of frames.
    mfft : int
        FFT length.
    elements : int
        Most elements of the FFT input in one block, by default as many as fit in the cache of a core.

    Returns
    -------
    list of (int, int)
        First frame of each block, and the frame after its last one. The number of blocks is one or a multiple of
        four, so that two or four workers get equal parts.
    """
    n_blocks = -(-n_frames // max(1, elements // mfft))
    if n_blocks > 1:
        n_blocks += -n_blocks % 4
    edges = [n_frames * i // n_blocks for i in range(n_blocks + 1)] if n_blocks else []
    return [(low, high) for low, high in itertools.pairwise(edges) if low < high]


class _Run:
    """State of one call of `run_blocks`, shared by its threads."""

    def __init__(self, n: int, work: Callable[[int], Any], merge: Callable[[int, Any], None] | None) -> None:
        self.n, self.work, self.merge = n, work, merge
        self.claimed = 0
        self.merged = 0
        self.error: BaseException | None = None
        self.turn = threading.Condition()

    def _claim(self) -> int | None:
        """Return the next block, or None if no block is left or a thread has failed."""
        with self.turn:
            if self.error is not None or self.claimed >= self.n:
                return None
            self.claimed += 1
            return self.claimed - 1

    def loop(self) -> None:
        """Work on blocks until none is left."""
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
        # Running threads have taken all earlier blocks, so the wait always ends.
        with self.turn:
            self.turn.wait_for(lambda: self.merged == block or self.error is not None)
            if self.error is None:
                assert self.merge is not None
                self.merge(block, result)
                self.merged += 1
                self.turn.notify_all()


def _fft_backends() -> tuple[list[Any], list[tuple[Any, bool, bool]]]:
    """Return the FFT backends that the thread skips, and those that it has set, with ``coerce`` and ``only``."""
    # its state as a whole must not be set in another thread: contexts that SciPy keeps for each thread point into it
    _, of_thread, _ = uarray.get_state()._pickle()
    skipped, chosen = of_thread.get("numpy.scipy.fft", ((), ()))
    return list(skipped), list(chosen)


def _with_fft_backends(skipped: list[Any], chosen: list[tuple[Any, bool, bool]], loop: Callable[[], None]) -> None:
    """Run a loop in a thread with the FFT backends of another thread."""
    with ExitStack() as stack:
        for backend, coerce, only in chosen:
            stack.enter_context(fft.set_backend(backend, coerce=coerce, only=only))
        for backend in skipped:
            stack.enter_context(fft.skip_backend(backend))
        loop()


def run_blocks(
    n: int,
    work: Callable[[int], _Result],
    workers: int,
    merge: Callable[[int, _Result], None] | None = None,
) -> None:
    """Call ``work(block)`` for each of ``n`` blocks on several threads.

    Parameters
    ----------
    n : int
        Number of blocks.
    work : callable
        Called once for each block, in any order and concurrently. Different blocks
        must write to different memory, or return results for `merge`.
    workers : int
        Number of threads, including the calling thread.
    merge : callable, optional
        ``merge(block, result)``, called in the order of the blocks, one call at a time.

    Raises
    ------
    BaseException
        The first error of `work` or `merge`; blocks that have not begun are skipped.
    """
    helpers = min(workers, n) - 1
    if helpers < 1:
        for block in range(n):
            result = work(block)
            if merge is not None:
                merge(block, result)
        return
    run, backends = _Run(n, work, merge), _fft_backends()
    futures = [_shared_pool().submit(_with_fft_backends, *backends, run.loop) for _ in range(helpers)]
    run.loop()
    for future in futures:
        if not future.cancel():
            future.result()
    if run.error is not None:
        raise run.error
