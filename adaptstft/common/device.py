"""CuPy arrays in arguments, without importing CuPy."""

from __future__ import annotations

from typing import Any


def is_device_array(a: Any) -> bool:
    """Whether something is an array of CuPy's."""
    return type(a).__module__.partition(".")[0] == "cupy" and hasattr(a, "get")


def to_host(a: Any) -> Any:
    """Bring a CuPy array to the host; anything else stays as it is."""
    return a.get() if is_device_array(a) else a
