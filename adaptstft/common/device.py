"""Recognition of arrays of other packages, such as CuPy, without an import of them."""

from __future__ import annotations

from typing import Any


def package_name(value: Any) -> str:
    """Return the name of the top-level package that defines the type of `value`."""
    return type(value).__module__.partition(".")[0]


def is_device_array(a: Any) -> bool:
    """Return True if `a` is a CuPy array."""
    return package_name(a) == "cupy" and hasattr(a, "get")


def to_host(a: Any) -> Any:
    """Copy a CuPy array to a NumPy array; return any other object unchanged."""
    return a.get() if is_device_array(a) else a
