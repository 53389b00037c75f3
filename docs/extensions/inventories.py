"""Inventories of the names of other projects, for links to their documentation.

Sphinx warns of an inventory that it cannot fetch, and warnings are errors. Therefore this module fetches the
inventories to the folder of the build, and Sphinx gets only those that could be fetched.
"""

from __future__ import annotations

import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_SECONDS = 10.0
_DAYS = 7.0
#: First bytes of every inventory.
_MAGIC = b"# Sphinx inventory version"


def reachable_inventories(sites: dict[str, str], folder: Path) -> dict[str, tuple[str, str]]:
    """Return ``intersphinx_mapping`` for the projects whose inventories can be fetched.

    Parameters
    ----------
    sites : dict
        Address of the documentation of each project, with a slash at its end, by the name of the project.
    folder : Path
        Folder of the inventories. Files of the last week are not fetched again.

    Returns
    -------
    dict
        Address and file of the inventory of each project that has one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(len(sites)) as pool:
        available = list(pool.map(lambda name: _fetch(sites[name], folder / f"{name}.inv"), sites))
    missing = [name for name, exists in zip(sites, available, strict=True) if not exists]
    if missing:
        print(f"inventories of {', '.join(missing)} cannot be fetched: their names are not linked", file=sys.stderr)
    return {name: (url, str(folder / f"{name}.inv")) for name, url in sites.items() if name not in missing}


def _fetch(url: str, path: Path) -> bool:
    """Fetch an inventory to a file unless the file is recent; return whether the file exists."""
    if path.exists() and time.time() - path.stat().st_mtime < _DAYS * 86400:
        return True
    request = urllib.request.Request(url + "objects.inv", headers={"User-Agent": "Sphinx"})
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
            content = answer.read()
    except OSError:
        return path.exists()
    if not content.startswith(_MAGIC):  # an error page
        return path.exists()
    path.write_bytes(content)
    return True
