"""A recording in memory, and the checks of its samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from adaptstft.common.typing import AnyArray
from adaptstft.common.validation import check_finite


@dataclass(frozen=True, eq=False)
class Recording:
    """A recording in memory.

    Attributes
    ----------
    x : ndarray of float64 or complex128, shape (channels, n)
        The samples. PCM of an audio file is scaled to the range from -1 to 1; all other samples keep their units.
    fs : float
        Sampling rate in Hz.
    name : str
        Name of the file, without its folder.
    notes : tuple of str
        Decisions of the reader, such as a column that was left out or an uneven clock that was resampled.

    Examples
    --------
    >>> import numpy as np
    >>> from adaptstft.recordings import Recording
    >>> Recording(np.zeros((2, 500)), fs=1000.0, name="silence").x.shape
    (2, 500)
    """

    x: AnyArray
    fs: float
    name: str
    notes: tuple[str, ...] = ()


def as_channels(samples: AnyArray) -> AnyArray:
    """Check the samples and return them as float64 or complex128, shape (channels, n)."""
    if samples.dtype.kind not in "biufc":
        raise ValueError(f"the samples are not numeric (dtype {samples.dtype})")
    if samples.size == 0:
        raise ValueError("the file holds no samples")
    if samples.ndim not in (1, 2):
        raise ValueError(f"an array of shape {samples.shape} is not a recording, expected one or two dimensions")
    x = samples.reshape(1, -1) if samples.ndim == 1 else samples
    dtype = np.complex128 if samples.dtype.kind == "c" else np.float64
    with np.errstate(invalid="ignore"):  # signalling NaN
        x = np.ascontiguousarray(x, dtype=dtype)
    check_finite("the recording", x)
    return x


def pick_channel(recording: Recording, channel: int | None, option: str = "") -> AnyArray:
    """Return one channel of a recording, shape (n,), or all of several; `option` is the argument in messages."""
    count = len(recording.x)
    if channel is None:
        return recording.x if count > 1 else np.asarray(recording.x[0])
    if not 0 <= channel < count:
        raise ValueError(f"{option or f'{recording.name}: {channel=}'} must lie between 0 and {count - 1}")
    return np.asarray(recording.x[channel])


def time_last(samples: AnyArray) -> AnyArray:
    """Return a 2-D array with its longer axis last."""
    return samples.T if samples.ndim == 2 and samples.shape[0] > samples.shape[1] else samples
