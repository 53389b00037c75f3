"""Import of optional dependencies."""

from __future__ import annotations

import importlib
from typing import Any


def require(module: str, *, extra: str, package: str = "") -> Any:
    """Import an optional module.

    Parameters
    ----------
    module : str
        Name of the module, such as ``"numba.cuda"``.
    extra : str
        Extra of this package that installs it.
    package : str
        Name of the package that contains the module, by default the first part of `module`.

    Returns
    -------
    module
        The imported module.

    Raises
    ------
    ImportError
        If the module is missing; the message has the pip command that installs it.
    """
    try:
        return importlib.import_module(module)
    except ImportError as exc:
        package = package or module.partition(".")[0]
        raise ImportError(f"this needs {package}, which is not installed: pip install 'adaptstft[{extra}]'") from exc
