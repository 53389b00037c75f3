"""Functions in a child process: a crash or a lack of memory there is an error here."""

from __future__ import annotations

import os
import pickle
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

#: The child's program; what it does comes through its standard input.
_PROGRAM = (
    "import pickle, sys; path, *job = pickle.load(sys.stdin.buffer); sys.path[:] = path; "
    "from adaptstft.common.child_process import answer; answer(*job)"
)


def in_child(function: str, arguments: Sequence[Any], *, modules: Sequence[str], memory: int, seconds: float) -> Any:
    """Return ``function(*arguments)``, computed in a child process with little memory.

    Parameters
    ----------
    function : str
        Module and name of the function, ``"package.module:name"``.
    arguments : sequence
        Its arguments, which can be pickled, as can its result.
    modules : sequence of str
        Modules that the child imports before its memory is limited.
    memory : int
        Bytes that the function may allocate, where the operating system has such a limit (Linux).
    seconds : float
        Time after which the child is ended.

    Raises
    ------
    ValueError
        If the function raises, the child crashes, or it needs more memory or time.
    """
    job = pickle.dumps((sys.path, function, tuple(arguments), tuple(modules), memory))
    try:
        done = subprocess.run([sys.executable, "-c", _PROGRAM], input=job, capture_output=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise ValueError(f"reading takes more than {seconds:g} s") from None
    if done.returncode < 0:
        raise ValueError(f"the reader crashed ({signal.Signals(-done.returncode).name})")
    if done.returncode:
        raise ValueError(f"the reader ended with code {done.returncode}")
    failed, result = pickle.loads(done.stdout)
    if failed:
        raise ValueError(result)
    return result


def answer(function: str, arguments: tuple[Any, ...], modules: Sequence[str], memory: int) -> None:
    """Compute the answer of the child, and write it to standard output."""
    output, sys.stdout = sys.stdout.buffer, sys.stderr  # nothing else is to be written there
    module, _, name = function.partition(":")
    compute = getattr(import_module(module), name)
    for other in modules:
        import_module(other)
    _limit_memory(memory)
    try:
        found = pickle.dumps((False, compute(*arguments)))
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
