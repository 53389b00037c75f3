"""Functions in a child process: a crash or a lack of memory there is an error here."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

#: The child's program; what it does comes through its standard input. The path comes first: what follows is imported.
_PROGRAM = (
    "import pickle, sys; path, job = pickle.load(sys.stdin.buffer); sys.path[:] = path; "
    "from adaptstft.common.child_process import answer; answer(*pickle.loads(job))"
)


def in_child(
    function: Callable[..., Any], *arguments: Any, prepare: Callable[[], object], memory: int, seconds: float
) -> Any:
    """Return ``function(*arguments)``, computed in a child process with little memory.

    Parameters
    ----------
    function : callable
        A function of a module. It, its arguments and its result can be pickled.
    *arguments
        Its arguments.
    prepare : callable
        A function of a module that the child calls before its memory is limited, to import what `function` needs.
    memory : int
        Bytes that the function may allocate, where the operating system has such a limit (Linux).
    seconds : float
        Time after which the child is ended.

    Raises
    ------
    ValueError
        If the function raises, the child crashes, or it needs more memory or time.
    """
    job = pickle.dumps((sys.path, pickle.dumps((function, arguments, prepare, memory))))
    try:
        done = subprocess.run([sys.executable, "-c", _PROGRAM], input=job, capture_output=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise ValueError(f"reading takes more than {seconds:g} s") from None
    return result_of(done.returncode, done.stdout)


def result_of(code: int, output: bytes) -> Any:
    """Return the answer of a child, or raise its error; a negative `code` is the signal that ended the child."""
    if code < 0:
        raise ValueError(f"the reader crashed ({signal.Signals(-code).name})")
    if code:
        raise ValueError(f"the reader ended with code {code}")
    failed, result = pickle.loads(output)
    if failed:
        raise ValueError(result)
    return result


def answer(
    function: Callable[..., Any], arguments: tuple[Any, ...], prepare: Callable[[], object], memory: int
) -> None:
    """Compute the answer of the child, and write it to standard output."""
    output, sys.stdout = sys.stdout.buffer, sys.stderr  # nothing else is to be written there
    prepare()
    _limit_memory(memory)
    try:
        found = pickle.dumps((False, function(*arguments)))
    except MemoryError:
        found = pickle.dumps((True, f"reading takes more than {memory / 2**20:.0f} MiB"))
    except Exception as error:  # of whatever the file makes the reader do
        found = pickle.dumps(
            (True, f"{type(error).__name__}: {error}" if not isinstance(error, ValueError) else str(error))
        )
    output.write(found)
    output.flush()


def _limit_memory(memory: int) -> None:
    """Let the process allocate `memory` bytes more than it has."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        pages = int(Path("/proc/self/statm").read_text().split()[0])
        _, hard = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (pages * os.sysconf("SC_PAGE_SIZE") + memory, hard))
