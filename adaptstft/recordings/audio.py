"""Audio files through soundfile (the extra ``files``); without it WAV files through SciPy."""

from __future__ import annotations

import warnings
from importlib.util import find_spec
from typing import Any, BinaryIO

import numpy as np

from adaptstft.common.optional import install_command, require
from adaptstft.common.typing import AnyArray
from adaptstft.recordings.pcm import scale_pcm
from adaptstft.recordings.riff import check_aiff, check_au, check_w64, checked_wav

#: Endings that soundfile reads, besides ``.wav``.
OTHER_ENDINGS = (
    ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".w64", ".rf64", ".bw64", ".au"
)  # fmt: skip
_RIFF_ENDINGS = (".wav", ".rf64", ".bw64")
_CHECKS = {".aif": check_aiff, ".aiff": check_aiff, ".aifc": check_aiff, ".w64": check_w64, ".au": check_au}
#: Samples of all channels that are read at once.
_PIECE = 1 << 20


def read_audio(stream: BinaryIO, suffix: str) -> tuple[AnyArray, float]:
    """Return the samples of an audio file, shape (channels, n), and its sampling rate in Hz."""
    if suffix in _RIFF_ENDINGS:
        stream = checked_wav(stream)
    elif suffix in _CHECKS:
        _CHECKS[suffix](stream)
    if find_spec("soundfile") is not None:
        return _read_soundfile(stream)
    if suffix not in _RIFF_ENDINGS:
        require("soundfile", extra="files")
    return _read_scipy(stream)


def _read_soundfile(stream: BinaryIO) -> tuple[AnyArray, float]:
    """Read piece by piece: the number of samples in the header may be wrong."""
    soundfile = require("soundfile", extra="files")
    try:
        with soundfile.SoundFile(stream) as file:
            pieces, count = [], 0
            length = max(_PIECE // file.channels, 1)
            while (piece := file.read(length, dtype="float64", always_2d=True)).size:
                pieces.append(piece)
                count += len(piece)
            claimed, rate, exact = file.frames, float(file.samplerate), file.format in _EXACT
    except (RuntimeError, TypeError, ValueError, OSError) as error:
        # the whole message has the representation of the stream
        raise ValueError(f"not a readable audio file ({getattr(error, 'error_string', error)})") from error
    if exact and count < claimed:
        raise ValueError(f"truncated audio file: {count} samples where the header says {claimed}")
    return _joined(pieces).T, rate


#: Formats whose header has the exact number of samples.
_EXACT = ("WAV", "WAVEX", "RF64", "W64", "AIFF", "FLAC", "AU")


def _joined(pieces: list[AnyArray]) -> AnyArray:
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces) if pieces else np.empty((0, 1))


def _read_scipy(stream: Any) -> tuple[AnyArray, float]:
    from scipy.io import wavfile

    try:
        with warnings.catch_warnings():
            # SciPy warns of chunks without samples, such as tags and cue points
            warnings.simplefilter("ignore", wavfile.WavFileWarning)
            rate, data = wavfile.read(stream)
    except Exception as error:  # SciPy raises many kinds of errors for damaged files
        advice = ""
        if "Unknown wave file format" in str(error):
            advice = f"; other formats need soundfile: {install_command('files')}"
        raise ValueError(f"not a readable WAV file ({_first_line(error)}{advice})") from error
    return scale_pcm(data).T, float(rate)


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].partition(". Supported formats")[0] if lines else type(error).__name__
