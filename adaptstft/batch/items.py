"""The recordings of `optimize_many` and their names."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from adaptstft.common.text import printable
from adaptstft.common.validation import show
from adaptstft.recordings import Recording


@dataclass(frozen=True)
class Task:
    """One recording to tune.

    Attributes
    ----------
    index : int
        Position among the items.
    name : str
        Name of its row.
    source : path, array, Recording or callable
        The recording, or a function that returns it.
    """

    index: int
    name: str
    source: Any


def check_items(items: Any, fs: float | None) -> Iterable[Any]:
    """Check the items that are in memory already; return them as recordings or pairs of names and recordings."""
    if isinstance(items, str | os.PathLike) or not np.iterable(items):
        raise TypeError(f"items={show(items)} must be several recordings: a list of paths, arrays or functions")
    if isinstance(items, np.ndarray) and items.ndim < 2:
        raise ValueError(f"items has shape {items.shape}: an array must have two dimensions, one recording in each row")
    entries: Iterable[Any] = items
    if hasattr(items, "items"):
        entries = ((str(name), item) for name, item in items.items())
        # other mappings may load a recording on each access
        if isinstance(items, dict) or type(items).__module__.partition(".")[0] == "pandas":
            entries = list(entries)
    if isinstance(entries, list | tuple | np.ndarray):
        for task in make_tasks(entries):
            if fs is None and not (isinstance(task.source, str | os.PathLike | Recording) or callable(task.source)):
                raise ValueError(f"fs=None: item {task.name!r} is an array, which needs a sampling frequency")
    return entries


def make_tasks(entries: Iterable[Any]) -> Iterator[Task]:
    """Yield a task for each recording; no two may have the same name."""
    names: set[str] = set()
    for index, entry in enumerate(entries):
        name, source = _split_name(index, entry)
        if name in names:
            raise ValueError(f"{name=} occurs twice among the items; give pairs (name, item) with different names")
        names.add(name)
        yield Task(index, name, source)


def _split_name(index: int, entry: Any) -> tuple[str, Any]:
    """Return the name of a recording and the recording itself."""
    if isinstance(entry, tuple) and len(entry) == 2 and isinstance(entry[0], str):
        name, source = entry
    elif isinstance(entry, str | os.PathLike):
        name, source = os.fsdecode(entry), entry
    else:
        name, source = str(index), entry
    if isinstance(entry, str | os.PathLike):
        name = printable(name)  # file names may hold ends of lines, and bytes that are no text
    name = name.encode("utf-8", "backslashreplace").decode()
    if name.splitlines() != [name]:
        raise ValueError(f"{name=} must be one line of text: it is the name of a row")
    return name, source


def count_items(items: Any) -> int | None:
    """Return the number of items, None for an iterator."""
    try:
        return len(items.keys() if hasattr(items, "keys") else items)  # a DataFrame counts its columns
    except TypeError:
        return None
