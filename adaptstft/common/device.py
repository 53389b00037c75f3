"""Recognition of CuPy arrays without an import of CuPy."""

from __future__ import annotations

from typing import Any


def is_device_array(a: Any) -> bool:
    """Return True if `a` is a CuPy array."""
    return type(a).__module__.partition(".")[0] == "cupy" and hasattr(a, "get")


def to_host(a: Any) -> Any:
    """Copy a CuPy array to a NumPy array; return any other object unchanged."""
    return a.get() if is_device_array(a) else a
