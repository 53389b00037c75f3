"""Import of optional dependencies, and the command that installs them."""

from __future__ import annotations

import importlib
import json
import shlex
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

#: The package of an extra that its name does not tell, for use without an installation.
_PACKAGES = {
    "cuda": "numba-cuda cupy-cuda12x",
    "demo": "PyWavelets",
    "files": "soundfile h5py pyarrow mat-io pandas",
    "many": "joblib pandas pyarrow",
    "plot": "matplotlib",
    "sklearn": "scikit-learn",
}


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
        raise ImportError(f"this needs {package}, which is not installed: {install_command(extra)}") from exc


def install_command(extra: str) -> str:
    """Return the pip command that installs an extra from where this package was installed.

    Pip records that place unless it is an index of packages. If it is gone, or the package runs from a folder without
    an installation, the command names the packages of the extra.
    """
    try:
        here = distribution("adaptstft")
    except PackageNotFoundError:
        return f"pip install {_PACKAGES.get(extra, extra)}"
    origin = json.loads(here.read_text("direct_url.json") or "{}")
    url = origin.get("url", "")
    path = Path(url2pathname(urlsplit(url).path)) if url.startswith("file:") else None
    if path is not None and not path.exists():
        return f"pip install {_packages(here, extra)}"
    if path is not None and path.is_dir():
        editable = "-e " * bool(origin.get("dir_info", {}).get("editable"))
        return f"pip install {editable}{shlex.quote(f'{path}[{extra}]')}"
    if url:
        vcs = origin.get("vcs_info", {})
        url = f"{vcs['vcs']}+{url}@{vcs['commit_id']}" if vcs else url
        return f"pip install {shlex.quote(f'adaptstft[{extra}] @ {url}')}"
    return f"pip install 'adaptstft[{extra}]'"


def _packages(installed: Distribution, extra: str) -> str:
    """Return the requirements of an extra as arguments of pip."""
    wanted = f'extra == "{extra}"'
    parts = (requirement.partition(";") for requirement in installed.requires or ())
    return " ".join(
        shlex.quote(name.strip()) for name, _, marker in parts if marker.replace("'", '"').strip() == wanted
    )
