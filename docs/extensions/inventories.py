"""Inventories of other projects' names, for links to them where the network allows it.

Sphinx warns of an inventory that it cannot fetch, and its warnings end the build. So they are fetched here, kept
in the folder of the build, and only those that are there are given to Sphinx.
"""

from __future__ import annotations

import sys
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

_SECONDS = 10.0
_DAYS = 7.0
#: What every inventory that Sphinx writes begins with.
_MAGIC = b"# Sphinx inventory version"


def reachable_inventories(sites: dict[str, str], folder: Path) -> dict[str, tuple[str, str]]:
    """Return ``intersphinx_mapping`` of those projects whose inventories can be had.

    Parameters
    ----------
    sites : dict
        Address of the documentation of each project, with a slash at its end.
    folder : Path
        Where inventories are kept; those of the last week are not fetched again.

    Returns
    -------
    dict
        Address and file of the inventory, for each project that has one.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(len(sites)) as pool:
        found = list(pool.map(lambda name: _fetch(sites[name], folder / f"{name}.inv"), sites))
    missing = [name for name, have in zip(sites, found, strict=True) if not have]
    if missing:
        print(f"no inventory can be had of {', '.join(missing)}: their names are not linked", file=sys.stderr)
    return {name: (url, str(folder / f"{name}.inv")) for name, url in sites.items() if name not in missing}


def _fetch(url: str, path: Path) -> bool:
    """Have an inventory in a file, a new one if possible; return whether there is one."""
    if path.exists() and time.time() - path.stat().st_mtime < _DAYS * 86400:
        return True
    request = urllib.request.Request(url + "objects.inv", headers={"User-Agent": "Sphinx"})
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as answer:
            content = answer.read()
    except OSError:
        return path.exists()
    if not content.startswith(_MAGIC):  # a page that stands in for it
        return path.exists()
    path.write_bytes(content)
    return True
