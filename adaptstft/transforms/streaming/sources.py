"""Signals read piece by piece: from arrays, WAV files and iterables of chunks.

All functions return iterators over arrays of shape (..., m) with time on the last axis.
"""

from __future__ import annotations

import wave
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from adaptstft.common.typing import AnyArray
from adaptstft.common.validation import as_axis, as_inexact, check_real, show
from adaptstft.transforms.streaming.interface import BlockTransform

#: Default number of samples of a piece, over all channels.
_READ = 1 << 18
#: Largest relative difference between the sampling rates of a file, a whole number, and of a transform.
_RATE_TOLERANCE = 1e-3


def read_pieces(transform: BlockTransform, source: Any, size: int | None, axis: int) -> tuple[Iterator[AnyArray], int]:
    """Check a source and return an iterator over its pieces, and its time axis."""
    if isinstance(source, np.ndarray):
        return _array_pieces(transform, source, size, axis)
    if isinstance(source, wave.Wave_read):
        return _wave_pieces(transform, source, size, axis)
    chunks = as_iterable("source", source, "an ndarray, an open wave.Wave_read or an iterable of arrays")
    return _chunk_pieces(transform, chunks, size, axis), axis


def as_iterable(name: str, value: Any, kind: str) -> Iterable[Any]:
    """Require an iterable of arrays, described by `kind` in the message."""
    if hasattr(value, "__array__"):
        raise TypeError(f"{name} is a {type(value).__name__}: pass an ndarray, or an iterable of pieces of it")
    if isinstance(value, str | bytes | bytearray | memoryview | dict) or not isinstance(value, Iterable):
        raise TypeError(f"{name}={show(value)} must be {kind}")
    return value


def _piece_size(size: int | None, lead: tuple[int, ...], m_num: int) -> int:
    return max(_READ // int(np.prod(lead, dtype=int)), m_num) if size is None else size


def _array_pieces(
    transform: BlockTransform, x: AnyArray, size: int | None, axis: int
) -> tuple[Iterator[AnyArray], int]:
    if x.ndim == 0:
        raise ValueError(f"source must have at least one dimension, got the scalar {x!r}")
    axis = as_axis(axis, x.ndim)
    if x.size == 0:
        raise ValueError(f"source is empty: its shape is {x.shape}, at least one sample is needed")
    moved = np.moveaxis(x, axis, -1)
    n = moved.shape[-1]
    no_samples = as_inexact("source", moved[..., :0])  # checks the type before anything is read
    if transform.onesided:
        check_real("source", no_samples)
    transform.check_length(n, final=True)
    step = _piece_size(size, moved.shape[:-1], transform.m_num)
    return (as_inexact("source", moved[..., k : k + step]) for k in range(0, n, step)), axis


def _wave_pieces(
    transform: BlockTransform, file: wave.Wave_read, size: int | None, axis: int
) -> tuple[Iterator[AnyArray], int]:
    axis = as_axis(axis, 2)
    if axis != 1:
        raise ValueError(f"{axis=}: the samples of a WAV file have the shape (channels, n), time is axis -1 or 1")
    if file.getfp() is None:
        raise ValueError("source is a WAV file that has been closed")
    if file.getsampwidth() not in (1, 2, 3, 4):
        raise ValueError(f"source has {8 * file.getsampwidth()} bits a sample, legal are 8, 16, 24 and 32")
    if abs(file.getframerate() / transform.fs - 1) > _RATE_TOLERANCE:
        raise ValueError(
            f"source is a WAV file of {file.getframerate()} Hz, the transform has fs={transform.fs:g}: make the "
            "transform with the sampling rate of the file, or resample the file"
        )
    n = file.getnframes() - file.tell()
    if n <= 0:
        raise ValueError("source is empty: the WAV file has no samples after its current position")
    transform.check_length(n, final=True)
    return _read_wave(file, n, _piece_size(size, (file.getnchannels(),), transform.m_num)), axis


def _read_wave(file: wave.Wave_read, n: int, step: int) -> Iterator[AnyArray]:
    from adaptstft.recordings.pcm import decode_pcm

    width, channels = file.getsampwidth(), file.getnchannels()
    for k in range(0, n, step):
        m = min(step, n - k)
        data = file.readframes(m)
        if len(data) != m * width * channels:
            raise ValueError(f"source is a truncated WAV file: it ends between samples {k} and {k + m} of {n}")
        yield decode_pcm(data, width, channels)


def _chunk_pieces(transform: BlockTransform, chunks: Iterable[Any], size: int | None, axis: int) -> Iterator[AnyArray]:
    lead: tuple[int, ...] | None = None
    dtype: Any = None
    for i, chunk in enumerate(chunks):
        x = as_inexact(f"chunk {i} of source", chunk)
        if x.ndim == 0:
            raise ValueError(f"chunk {i} of source is the scalar {x!r}: chunks must be arrays with a time axis")
        x = np.moveaxis(x, as_axis(axis, x.ndim), -1)
        if lead is None:
            lead = x.shape[:-1]
        if x.shape[:-1] != lead or 0 in lead:
            expected = f"{lead} as chunk 0 has" if i else "without a 0"
            raise ValueError(f"chunk {i} of source has the shape {x.shape[:-1]} beside time, it must be {expected}")
        if x.shape[-1] == 0:
            continue
        if transform.onesided:
            check_real(f"chunk {i} of source", x)
        dtype = common_dtype(f"chunk {i} of source", x, dtype)
        step = _piece_size(size, lead, transform.m_num)
        for k in range(0, x.shape[-1], step):
            yield x[..., k : k + step]


def common_dtype(name: str, x: AnyArray, dtype: Any) -> Any:
    """Return the dtype of the first array of a stream (None before it); later arrays must fit in it."""
    if dtype is not None and not np.can_cast(x.dtype, dtype, "safe"):
        raise ValueError(f"{name} is {x.dtype}, which does not fit in the {dtype} of the arrays before it")
    return x.dtype if dtype is None else dtype
