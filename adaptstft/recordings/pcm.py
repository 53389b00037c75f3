"""PCM, the integers of audio files, as numbers from -1 to 1."""

from __future__ import annotations

import sys

import numpy as np

from adaptstft.common.typing import AnyArray


def scale_pcm(data: AnyArray) -> AnyArray:
    """Scale PCM to the range from -1 to 1; floating-point samples are unchanged."""
    if data.dtype.kind == "u":
        return (data.astype(np.float64) - 128.0) / 128.0
    if data.dtype.kind == "i":
        # SciPy left-justifies odd bit depths (24 bits in int32), so the container has the full scale.
        return np.asarray(data / 2.0 ** (8 * data.dtype.itemsize - 1))
    return data


def decode_pcm(data: bytes, width: int, channels: int) -> AnyArray:
    """Return PCM in native byte order, `width` bytes per sample, as float64, shape (channels, n)."""
    raw = np.frombuffer(data, np.uint8)
    if width == 3:
        wide = np.zeros((raw.size // 3, 4), np.uint8)
        low = int(sys.byteorder == "little")  # left-justified: the least significant byte stays zero
        wide[:, low : low + 3] = raw.reshape(-1, 3)
        raw, width = wide.reshape(-1), 4
    return scale_pcm(raw.view(f"{'u' if width == 1 else 'i'}{width}").reshape(-1, channels)).T
