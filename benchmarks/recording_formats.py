"""Readers of the formats in which packages store recordings.

Each function returns a reader, which makes the sampling rate and the samples from the bytes of a file.
"""

from __future__ import annotations

import bz2
import gzip
import io
import pickle
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.io import wavfile
from scipy.signal import decimate

Reader = Callable[[bytes], tuple[float, Any]]

#: Offsets in bytes in a SAC file: sampling interval, version of the header, number of samples, first sample.
_SAC_DELTA, _SAC_VERSION, _SAC_NPTS, _SAC_DATA = 0, 304, 316, 632


def wav(content: bytes) -> tuple[float, Any]:
    """Read the first channel of a WAV file."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", wavfile.WavFileWarning)  # chunks with notes
        rate, x = wavfile.read(io.BytesIO(content))
    return float(rate), (x[:, 0] if x.ndim > 1 else x).astype(float)


def raw(rate: float) -> Reader:
    """Read 16-bit samples, little endian, of one channel."""
    return lambda content: (rate, np.frombuffer(content, "<i2").astype(float))


def flac(content: bytes) -> tuple[float, Any]:
    """Read the first channel of a FLAC file; needs the package soundfile."""
    try:
        import soundfile
    except ImportError as error:
        raise RuntimeError("FLAC files need soundfile: pip install soundfile") from error
    x, rate = soundfile.read(io.BytesIO(content), always_2d=True)
    return float(rate), x[:, 0]


def sac(content: bytes) -> tuple[float, Any]:
    """Read a binary SAC file of either byte order."""
    order = next(o for o in "<>" if int(np.frombuffer(content, f"{o}i4", 1, _SAC_VERSION)[0]) == 6)
    delta = float(np.frombuffer(content, f"{order}f4", 1, _SAC_DELTA)[0])
    count = int(np.frombuffer(content, f"{order}i4", 1, _SAC_NPTS)[0])
    return round(1 / delta, 3), np.frombuffer(content, f"{order}f4", count, _SAC_DATA).astype(float)


def text(rate: float, *, column: int | None = None, delimiter: str | None = None, skip: int = 0) -> Reader:
    """Read a column of numbers, or all of them line by line, from text, compressed or not."""

    def read(content: bytes) -> tuple[float, Any]:
        plain = content
        for start, expand in ((b"\x1f\x8b", gzip.decompress), (b"BZh", bz2.decompress)):
            plain = expand(plain) if plain.startswith(start) else plain
        if column is None:
            lines = plain.decode().splitlines()[skip:]
            return rate, np.array(" ".join(lines).split(), dtype=float)
        x = np.genfromtxt(io.BytesIO(plain), delimiter=delimiter, skip_header=skip, usecols=column)
        return rate, x[np.isfinite(x)]

    return read


def npy(rate: float, *, key: str | None = None, every: int = 1) -> Reader:
    """Read an array from an NPY or NPZ file and reduce its sampling rate, after a low-pass filter."""

    def read(content: bytes) -> tuple[float, Any]:
        stored = np.load(io.BytesIO(content))
        x = np.asarray(stored if key is None else stored[key], dtype=float).ravel()
        return _reduced(rate, x, every)

    return read


def _reduced(rate: float, x: Any, every: int) -> tuple[float, Any]:
    # a filter of a large factor in one step is inaccurate
    for factor in _factors(every):
        x, rate = decimate(x, factor, ftype="fir"), rate / factor
    return rate, x


def _factors(number: int) -> list[int]:
    """Return factors of at most ten."""
    factors = []
    while number > 1:
        factor = next(f for f in range(10, 0, -1) if number % f == 0)
        if factor == 1:
            return [*factors, number]
        factors.append(factor)
        number //= factor
    return factors


class _ArraysOnly(pickle.Unpickler):
    """Reads arrays within containers, and refuses all other objects, which could run code."""

    def find_class(self, module: str, name: str) -> Any:
        core = module.replace("numpy.core", "numpy._core")
        if (core, name) in {("numpy._core.multiarray", "_reconstruct"), ("numpy", "ndarray"), ("numpy", "dtype")}:
            return super().find_class(core, name)
        raise pickle.UnpicklingError(f"{module}.{name} is not an array")


def pickled(rate: float, *, key: str | int, column: int = 0) -> Reader:
    """Read an array, or a column of it, in a pickled container, without running what else the file may hold."""

    def read(content: bytes) -> tuple[float, Any]:
        stored = np.asarray(_ArraysOnly(io.BytesIO(content)).load()[key], dtype=float)
        return rate, stored.reshape(len(stored), -1)[:, column]

    return read
