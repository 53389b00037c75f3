"""Optional dependencies, which come with extras of the package."""

from __future__ import annotations

import importlib
from typing import Any


def require(module: str, *, extra: str, package: str = "") -> Any:
    """Import an optional module, or say which command installs it.

    `package` is what has it, by default what it is called.
    """
    try:
        return importlib.import_module(module)
    except ImportError as exc:
        package = package or module.partition(".")[0]
        raise ImportError(f"this needs {package}, which is not installed: pip install 'adaptstft[{extra}]'") from exc
