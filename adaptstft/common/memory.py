"""The memory of the machine, to refuse work that cannot fit in it before it begins."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup/memory.max")


def memory_limit() -> float:
    """Return the bytes that this process can have at most: of the machine, its container and its own limit."""
    limits = [float("inf")]
    with suppress(AttributeError, ValueError, OSError):  # not on this system
        limits.append(float(os.sysconf("SC_PHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE"))
    with suppress(ValueError, OSError):  # "max", or no container
        limits.append(float(_CGROUP.read_text(encoding="ascii")))
    try:
        import resource
    except ImportError:
        return min(limits)
    soft = resource.getrlimit(resource.RLIMIT_AS)[0]
    if soft != resource.RLIM_INFINITY:
        limits.append(float(soft))
    return min(limit for limit in limits if limit > 0)


def check_memory(size: float, what: str) -> None:
    """Raise a ValueError if `what` needs more bytes than the machine has."""
    limit = memory_limit()
    if size > limit:
        raise ValueError(f"{what} needs {show_bytes(size)}, this machine allows {show_bytes(limit)}")


def show_bytes(size: float) -> str:
    """Return a number of bytes as text."""
    for unit, scale in (("TiB", 2.0**40), ("GiB", 2.0**30), ("MiB", 2.0**20)):
        if size >= scale:
            return f"{size / scale:.3g} {unit}"
    return f"{size:.0f} bytes"
