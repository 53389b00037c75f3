"""Optional dependencies, which come with extras of the package."""

from __future__ import annotations

import importlib
from typing import Any


def require(module: str, *, extra: str) -> Any:
    """Import an optional module, or say which command installs it."""
    try:
        return importlib.import_module(module)
    except ImportError as exc:
        package = module.partition(".")[0]
        raise ImportError(f"this needs {package}, which is not installed: pip install 'adaptstft[{extra}]'") from exc
