"""The work on one recording of `optimize_many`: read it, tune it and describe the result as a row."""

from __future__ import annotations

import hashlib
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from adaptstft import __version__, recordings
from adaptstft.batch.items import Task
from adaptstft.batch.rows import COLUMNS, Row, describe, describe_error, describe_file
from adaptstft.recordings import Recording, pick_channel
from adaptstft.tuning.entry import optimize
from adaptstft.tuning.result.result import TuningResult


@dataclass(frozen=True)
class Job:
    """Arguments that all recordings share.

    Attributes
    ----------
    fs : float or None
        Sampling frequency in Hz, in place of that of a file.
    key : str or None
        Array of MAT and NPZ files.
    channel : int or None
        Channel of files and recordings.
    resample : bool
        True if files with an uneven clock are resampled.
    options : dict
        Keyword arguments of `optimize`.
    settings : str
        Text of the settings, for the row.
    save : pathlib.Path or None
        Folder for whole results.
    full_output : bool
        True if the whole results are returned.
    """

    fs: float | None
    key: str | None
    channel: int | None
    resample: bool
    options: dict[str, Any]
    settings: str
    save: Path | None
    full_output: bool

    def row(self, name: str, **values: Any) -> Row:
        """Return a row with its name, settings and version, and further `values`."""
        fixed = {"name": name, "settings": self.settings, "version": __version__}
        return dict.fromkeys(COLUMNS) | fixed | values


def tune_recording(job: Job, task: Task) -> tuple[Row, TuningResult | None]:
    """Read and tune one recording; an error becomes part of its row."""
    start = time.perf_counter()
    row = job.row(task.name)
    result = None
    try:
        if isinstance(task.source, str | os.PathLike):
            row |= describe_file(task.source)  # before reading, so that a later change is noticed
        x, fs, axis, notes = _load(job, task.source)
        n = np.shape(x)[axis]
        row |= {"fs": float(fs), "channels": np.size(x) // max(n, 1), "n": n}
        result = optimize(x, fs, **job.options | {"axis": axis, "progress": False})
        row |= describe(result, notes)
        if job.save is not None:
            row["saved"] = _save(result, job.save, task.name)
        row["status"] = "ok"
    except Exception as error:
        row |= describe_error(error)
        result = None
    row["seconds"] = time.perf_counter() - start
    return row, result if job.full_output else None


def _load(job: Job, source: Any) -> tuple[Any, float, int, tuple[str, ...]]:
    """Return the samples of a recording, the sampling frequency, the time axis, and notes of the reader."""
    from_function = callable(source)
    if from_function:
        source = source()
    if isinstance(source, str | os.PathLike):
        source = recordings.read(source, fs=job.fs, key=job.key, resample=job.resample)
    elif job.key is not None:
        raise ValueError(f"key={job.key!r} is for MAT and NPZ files only")
    if isinstance(source, Recording):
        x = pick_channel(source, job.channel)
        return x, source.fs if job.fs is None else job.fs, -1, source.notes
    if job.channel is not None:
        raise ValueError(f"channel={job.channel} is for files and recordings; index the array instead")
    if job.fs is None:
        origin = "the function returned" if from_function else "the item is"
        raise ValueError(f"fs=None: {origin} an array, which needs a sampling frequency")
    return source, job.fs, job.options.get("axis", -1), ()


def _save(result: TuningResult, folder: Path, name: str) -> str:
    # the digest keeps files of the same name in different folders apart
    path = folder / f"{Path(name).stem[:80]}-{hashlib.sha256(name.encode()).hexdigest()[:10]}.npz"
    result.save(path)
    return str(path)
