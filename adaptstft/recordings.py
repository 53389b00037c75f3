"""Recordings from WAV, CSV, NPY and MAT files: channels, sampling rate and name."""

from __future__ import annotations

import math
import os
import re
import struct
import sys
import tokenize
import warnings
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast

import numpy as np
import scipy.io
import scipy.io.wavfile

from adaptstft.common.typing import AnyArray
from adaptstft.common.validation import check_finite, check_positive

__all__ = ["Recording", "read"]

_TIME = re.compile(r"^(?:t|time)(?:[\s_(\[]+(s|sec|seconds|ms|us)[)\]]?)?$", re.IGNORECASE)
_TIME_UNITS = {"ms": 1e-3, "us": 1e-6}
#: Sampling rate in Hz, or the time of each sample in seconds, or None if the file has neither.
_Clock: TypeAlias = float | AnyArray | None

_RATE_NAMES = ("fs", "sr")

#: Errors that NumPy and SciPy raise for damaged files, found with truncated files and changed bytes.
_DAMAGED = (
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    NameError,
    OSError,
    TypeError,
    ValueError,
    scipy.io.matlab.MatReadError,
    struct.error,
    tokenize.TokenError,
    zlib.error,
)


@dataclass(frozen=True, eq=False)
class Recording:
    """A recording in memory.

    Attributes
    ----------
    x : ndarray of float64 or complex128, shape (channels, n)
        The samples. PCM of a WAV file is scaled to the range from -1 to 1; all other samples keep their units.
    fs : float
        Sampling rate in Hz.
    name : str
        Name of the file, without its folder.

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


def read(path: str | os.PathLike[str], *, fs: float | None = None, key: str | None = None) -> Recording:
    r"""Read a recording from a file.

    Parameters
    ----------
    path : str or path-like
        File; its ending decides the format:

        - ``.wav``: PCM of any bit depth or floating point, any number of channels;
        - ``.csv``, ``.tsv``, ``.txt``: numbers separated by commas, semicolons, tabs or blanks, with an optional
          header line. Each column is a channel. Exception: a column named ``time`` or ``t``, with an optional unit
          such as ``time (ms)``, gives the sampling rate and must be evenly spaced. Without names, a first column
          with constant positive steps is time in seconds; if it counts 0, 1, 2, ... it is the sample number;
        - ``.npy``: one or two dimensions; the longer one is time, or the last one of a square array;
        - ``.mat``: MATLAB files up to version 7 (not 7.3). A scalar named ``fs``, ``Fs`` or ``sr``, or an
          evenly spaced vector named ``t`` or ``time``, gives the sampling rate.
    fs : float, optional
        Sampling rate in Hz. Required if the file has none; otherwise it replaces the rate of the file.
    key : str, optional
        Variable of a MAT file to read. Required only if the file has several numeric arrays.

    Returns
    -------
    Recording
        The channels, the sampling rate and the name of the file.

    Raises
    ------
    OSError
        If the file cannot be opened.
    ValueError
        If the file is empty, damaged, not numeric, has NaN or infinite samples, or has no sampling rate
        and `fs` is not given. The message is one line that begins with the path.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> import numpy as np
    >>> from adaptstft import recordings
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder) / "pressure.csv"
    ...     _ = path.write_text("time,inlet,outlet\n0.00,1,4\n0.01,2,5\n0.02,3,6\n")
    ...     recording = recordings.read(path)
    >>> recording.x.shape, recording.fs, recording.name
    ((2, 3), 100.0, 'pressure.csv')
    """
    if fs is not None:
        fs = check_positive("fs", fs, "Hz")
    return _read(Path(path), fs, key)


def read_at(path: str | os.PathLike[str], fs: float) -> Recording:
    """Read a recording with the sampling rate `fs`; files without a sampling rate are accepted.

    Raises the errors of `read`, and a ValueError if the file has another sampling rate.
    """
    return _read(Path(path), fs, None, same=True)


def _read(file: Path, fs: float | None, key: str | None, *, same: bool = False) -> Recording:
    suffix = file.suffix.lower()
    if suffix not in _READERS:
        raise ValueError(f"{file}: unknown ending {file.suffix!r}, expected one of {', '.join(_READERS)}")
    if key is not None and suffix != ".mat":
        raise ValueError(f"{file}: key={key!r} is for MAT files only")
    with file.open("rb") as stream:
        if not stream.read(1):
            raise ValueError(f"{file}: the file is empty")
    try:
        samples, clock = _read_mat(file, key) if suffix == ".mat" else _READERS[suffix](file)
        if same and clock is not None and not math.isclose(_rate(clock), cast(float, fs), rel_tol=1e-6):
            raise ValueError(f"its sampling rate is {_rate(clock):g} Hz, where fs={fs:g} is wanted; resample it first")
        return Recording(_as_channels(samples), _rate(clock) if fs is None else fs, file.name)
    except ValueError as error:
        raise ValueError(f"{file}: {_first_line(error)}") from error


def _as_channels(samples: AnyArray) -> AnyArray:
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


def _time_last(samples: AnyArray) -> AnyArray:
    """Return a 2-D array with its longer axis last."""
    return samples.T if samples.ndim == 2 and samples.shape[0] > samples.shape[1] else samples


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__


def _rate(clock: _Clock) -> float:
    """Return the sampling rate in Hz, from the rate or the sample times in the file."""
    if clock is None:
        raise ValueError("the file does not say its sampling rate, give fs (on the command line: --fs)")
    if isinstance(clock, float):
        if not (math.isfinite(clock) and clock > 0):
            raise ValueError(f"the sampling rate in the file, {clock:g} Hz, is not positive and finite")
        return clock
    steps = np.diff(clock)
    mean = float(np.mean(steps)) if steps.size else math.nan
    # Printed times are rounded: at 48 kHz, times in whole microseconds have steps that differ by 5 %.
    if not (mean > 0 and math.isfinite(mean) and np.all(np.abs(steps - mean) < 0.1 * mean)):
        raise ValueError("the time column is not evenly spaced and increasing; resample, or give fs to ignore it")
    rate = 1.0 / mean
    # Times such as 0.1 s are not exact in binary: a rate of 9.999999999999998 Hz is 10 Hz.
    return float(round(rate)) if math.isclose(rate, round(rate), rel_tol=1e-9) else rate


def _read_wav(file: Path) -> tuple[AnyArray, _Clock]:
    _check_riff_size(file)
    try:
        with warnings.catch_warnings():
            # SciPy warns of chunks without samples, such as tags and cue points.
            warnings.simplefilter("ignore", scipy.io.wavfile.WavFileWarning)
            rate, data = scipy.io.wavfile.read(file)
    except _DAMAGED as error:
        raise ValueError(f"not a readable WAV file ({_first_line(error)})") from error
    return scale_pcm(data).T, float(rate)


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


def _check_riff_size(file: Path) -> None:
    """Raise an error for a file that is shorter than its header says; SciPy would return the rest."""
    with file.open("rb") as stream:
        head = stream.read(28)
    if head[:4] == b"RF64" and len(head) == 28:
        (size,) = struct.unpack("<Q", head[20:28])
    elif head[:4] in (b"RIFF", b"RIFX") and len(head) >= 8:
        (size,) = struct.unpack("<I" if head[:4] == b"RIFF" else ">I", head[4:8])
    else:
        raise ValueError("not a readable WAV file (no RIFF header)")
    present = file.stat().st_size
    # Some programs count a last pad byte that they do not write.
    if size + 8 > present + 1:
        raise ValueError(f"truncated WAV file: {present} bytes where the header says {size + 8}")


def _read_csv(file: Path) -> tuple[AnyArray, _Clock]:
    text = file.read_text(encoding="utf-8-sig", errors="replace")
    filled = [line for line in text.splitlines() if line.strip()]
    lines = [line for line in filled if not line.lstrip().startswith("#")]
    if not lines:
        raise ValueError("the file holds no samples")
    comment = filled[max(filled.index(lines[0]) - 1, 0)].lstrip("# ")
    delimiter = next((mark for mark in ";\t," if mark in lines[0] + lines[-1]), None)
    if delimiter != ",":
        # The comma can only be the decimal separator.
        lines = [line.replace(",", ".") for line in lines]
    fields = [field.strip("\"' ") for field in lines[0].split(delimiter)]
    names = [] if all(_is_number(field) for field in fields) else fields
    in_comment = [field.strip("\"' ") for field in comment.split(delimiter)]
    if names and len(lines) == 1:
        raise ValueError("the file holds no samples, only a line of text")
    try:
        columns = np.loadtxt(
            lines[1:] if names else lines, delimiter=delimiter, ndmin=2, comments=None, quotechar='"'
        ).T
    except ValueError as error:
        raise ValueError(f"not a table of numbers ({_first_line(error).split(';')[0].rstrip('.')})") from error
    if names and len(names) != len(columns):
        raise ValueError(f"the header has {len(names)} names for {len(columns)} columns")
    if columns.shape[1] == 1 and not names:
        return columns[:, 0], None
    if not names and len(in_comment) == len(columns) and any(_TIME.match(name) for name in in_comment):
        names = in_comment  # numpy.savetxt writes the header as a comment
    if not names and _is_clock(columns):
        return _without_clock(columns)
    return _split_time(columns, names)


def _is_clock(columns: AnyArray) -> bool:
    """Return True if the first of several columns has constant positive steps, as times and sample numbers do."""
    if len(columns) < 2 or columns.shape[1] < 3:
        return False
    steps = np.diff(columns[0])
    return bool(steps.mean() > 0 and np.all(np.abs(steps - steps.mean()) < 1e-3 * steps.mean()))


def _without_clock(columns: AnyArray) -> tuple[AnyArray, _Clock]:
    """Separate the column of times or sample numbers from the channels; sample numbers give no sampling rate."""
    is_sample_number = np.all(np.diff(columns[0]) == 1) and columns[0, 0] in (0, 1)
    return columns[1:], None if is_sample_number else columns[0]


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True


def _split_time(columns: AnyArray, names: list[str]) -> tuple[AnyArray, _Clock]:
    """Separate the column named as time, if there is one, from the channels."""
    for index, name in enumerate(names):
        match = _TIME.match(name)
        if match:
            channels = np.delete(columns, index, axis=0)
            if len(channels) == 0:
                raise ValueError(f"the file holds no samples, only the column {name!r}")
            return channels, columns[index] * _TIME_UNITS.get(str(match[1]).lower(), 1.0)
    return columns, None


def _read_npy(file: Path) -> tuple[AnyArray, _Clock]:
    with file.open("rb") as stream:
        if stream.read(6) != b"\x93NUMPY":
            raise ValueError("not an NPY file")
    try:
        samples = np.load(file, allow_pickle=False)
    except _DAMAGED as error:
        raise ValueError(f"not a readable NPY file ({_first_line(error)})") from error
    return _time_last(samples), None


def _read_mat(file: Path, key: str | None = None) -> tuple[AnyArray, _Clock]:
    arrays = _numeric_variables(file)
    candidates = {name: v for name, v in arrays.items() if v.size > 1 and not _TIME.match(name)}
    listing = ", ".join(f"{name} ({'x'.join(map(str, v.shape))})" for name, v in candidates.items())
    if key is None and len(candidates) == 1:
        (key,) = candidates
    elif not candidates:
        raise ValueError("the file holds no numeric array of more than one element")
    elif key is None:
        raise ValueError(f"the file holds several arrays, choose one with key (on the command line: --key): {listing}")
    elif key not in arrays:
        raise ValueError(f"key={key!r} is not a numeric array in the file, there are: {listing}")
    samples = _time_last(arrays[key])
    for name, value in arrays.items():
        if value.size == 1 and name.lower() in _RATE_NAMES:
            return samples, float(value.real.item())
    times = [v for name, v in arrays.items() if _TIME.match(name) and v.size == samples.shape[-1]]
    return samples, times[0].ravel().astype(np.float64) if times else None


def _numeric_variables(file: Path) -> dict[str, AnyArray]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            contents = scipy.io.loadmat(file)
    except NotImplementedError as error:
        raise ValueError("a MATLAB 7.3 (HDF5) file, which is not supported; save it with -v7") from error
    except _DAMAGED as error:
        raise ValueError(f"not a readable MAT file ({_first_line(error)})") from error
    return {
        name: value
        for name, value in contents.items()
        if isinstance(value, np.ndarray) and value.dtype.kind in "biufc" and not name.startswith("__")
    }


_READERS: dict[str, Callable[[Path], tuple[AnyArray, _Clock]]] = {
    ".wav": _read_wav,
    ".csv": _read_csv,
    ".tsv": _read_csv,
    ".txt": _read_csv,
    ".npy": _read_npy,
    ".mat": _read_mat,
}
