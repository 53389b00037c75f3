"""Chunks of audio files, checked before a reader opens them.

Readers return what is there if a chunk claims more, and only one of several chunks of samples. Both are errors here.
Programs that write to a pipe do not know the size in advance and leave 0 or a very large number: these sizes are put
right.
"""

from __future__ import annotations

import io
import struct
from dataclasses import dataclass
from typing import BinaryIO, cast

from adaptstft.recordings.source import size_of

#: Sizes from here on, beyond the end of the file, are those of programs that write to a pipe.
_UNKNOWN = 0x7FF00000
#: Most chunks of a file.
_MOST_CHUNKS = 100_000
_WAVE = b"WAVE"


@dataclass(frozen=True)
class _Chunk:
    name: bytes
    start: int
    size: int
    #: Position of the field with the size.
    field: int


def checked_wav(stream: BinaryIO) -> BinaryIO:
    """Return a WAV file whose sizes are those of its chunks.

    Raises
    ------
    ValueError
        If it is no WAV file, is truncated, or has several chunks of samples.
    """
    size = size_of(stream)
    head = stream.read(12)
    if head[:4] not in (b"RIFF", b"RIFX", b"RF64", b"BW64") or head[8:12] != _WAVE:
        raise ValueError("not a readable WAV file (no RIFF header)")
    order = ">" if head[:4] == b"RIFX" else "<"
    patches: dict[int, bytes] = {0: b"RF64"} if head[:4] == b"BW64" else {}
    (total,) = struct.unpack(order + "I", head[4:8])
    large = head[:4] in (b"RF64", b"BW64")
    data, rest = _wav_data(stream, order, size, large=large, total=total)
    if rest is not None:
        patches[data.field] = struct.pack(order + "I", min(rest, 0xFFFFFFFE))
        patches[4] = struct.pack(order + "I", min(data.start + rest - 8, 0xFFFFFFFE))
    elif not large and total + 8 > size + 1 and total < _UNKNOWN:
        raise ValueError(f"truncated WAV file: {size} bytes where the header says {total + 8}")
    stream.seek(0)
    return cast(BinaryIO, PatchedStream(stream, patches, size)) if patches else stream


def _wav_data(stream: BinaryIO, order: str, size: int, *, large: bool, total: int) -> tuple[_Chunk, int | None]:
    """Return the chunk of samples, and its true size if the file does not say it."""
    data, frame, long_size = None, 0, None
    position = 12
    for _ in range(_MOST_CHUNKS):
        stream.seek(position)
        tag = stream.read(8)
        if len(tag) < 8:
            break
        chunk = _Chunk(tag[:4], position + 8, struct.unpack(order + "I", tag[4:])[0], position + 4)
        if chunk.name == b"ds64":
            long_size = struct.unpack(order + "Q", stream.read(16)[8:].ljust(8, b"\0"))[0]
        elif chunk.name == b"fmt ":
            frame = _frame_size(stream.read(16), order)
        elif chunk.name == b"data":
            if data is not None:
                raise ValueError("the WAV file has two chunks of samples (data); join them first")
            data = chunk
            count = long_size if large and long_size is not None and chunk.size == 0xFFFFFFFF else chunk.size
            rest = size - chunk.start
            if (count > rest and count >= _UNKNOWN and not large) or (
                count == 0 < rest and _is_piped(total, chunk, size)
            ):
                return data, rest - rest % max(frame, 1)
            if count > rest:
                raise ValueError(f"truncated WAV file: {rest} bytes of samples where the header says {count}")
            position = chunk.start + count + count % 2
            continue
        elif chunk.start + chunk.size > size + 1 and data is None:
            raise ValueError(
                f"truncated WAV file: its chunk {_shown(chunk.name)} of {chunk.size} bytes does not fit in it"
            )
        position = chunk.start + chunk.size + chunk.size % 2
    if data is None:
        raise ValueError("not a readable WAV file (no chunk of samples)")
    return data, None


def _is_piped(total: int, chunk: _Chunk, size: int) -> bool:
    """Return True if samples follow a chunk of size 0: the size of the whole file is unknown as well."""
    return total == 0 or total >= _UNKNOWN or total + 8 <= chunk.start < size


def _frame_size(fmt: bytes, order: str) -> int:
    """Check the format of the samples, and return the bytes of one sample of all channels."""
    if len(fmt) < 16:
        raise ValueError("truncated WAV file: its chunk 'fmt ' is incomplete")
    code, channels, rate, _, frame, bits = struct.unpack(order + "HHIIHH", fmt)
    for name, value in (("channels", channels), ("sampling rate", rate)):
        if value == 0:
            raise ValueError(f"not a readable WAV file (its {name} are 0)" if name == "channels" else
                             f"not a readable WAV file (its {name} is 0)")  # fmt: skip
    if code in (1, 3) and (bits == 0 or frame == 0):
        raise ValueError(f"not a readable WAV file ({bits} bits a sample, {frame} bytes a frame)")
    return int(frame)


def _shown(name: bytes) -> str:
    return repr(name.decode("latin-1"))


def check_aiff(stream: BinaryIO) -> None:
    """Require that the chunk of samples of an AIFF file is complete and the only one."""
    size = size_of(stream)
    head = stream.read(12)
    if head[:4] != b"FORM" or head[8:12] not in (b"AIFF", b"AIFC"):
        raise ValueError("not a readable AIFF file (no FORM header)")
    position, found = 12, 0
    for _ in range(_MOST_CHUNKS):
        stream.seek(position)
        tag = stream.read(8)
        if len(tag) < 8:
            break
        (count,) = struct.unpack(">I", tag[4:])
        found += tag[:4] == b"SSND"
        if position + 8 + count > size + 1:
            raise ValueError(f"truncated AIFF file: its chunk {_shown(tag[:4])} of {count} bytes does not fit in it")
        position += 8 + count + count % 2
    if found != 1:
        raise ValueError(f"the AIFF file has {found} chunks of samples (SSND), expected one")
    stream.seek(0)


def check_w64(stream: BinaryIO) -> None:
    """Require that a W64 file is as long as its header says."""
    size = size_of(stream)
    head = stream.read(24)
    if head[:4] != b"riff" or len(head) < 24:
        raise ValueError("not a readable W64 file (no header)")
    (total,) = struct.unpack("<Q", head[16:24])
    if total > size:
        raise ValueError(f"truncated W64 file: {size} bytes where the header says {total}")
    stream.seek(0)


def check_au(stream: BinaryIO) -> None:
    """Require that an AU file is as long as its header says, if it says it."""
    size = size_of(stream)
    head = stream.read(12)
    if head[:4] == b".snd" and len(head) == 12:
        start, count = struct.unpack(">II", head[4:])
        if count < _UNKNOWN and start + count > size:
            raise ValueError(f"truncated AU file: {size} bytes where the header says {start + count}")
    stream.seek(0)


class PatchedStream(io.RawIOBase):
    """A stream in which some bytes are replaced.

    Parameters
    ----------
    stream : binary file
        The file.
    patches : dict
        The new bytes by position.
    size : int
        Size of the file.
    """

    def __init__(self, stream: BinaryIO, patches: dict[int, bytes], size: int) -> None:
        super().__init__()
        self._stream, self._patches, self._size = stream, patches, size
        self._position = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def tell(self) -> int:
        """Return the position."""
        return self._position

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a position."""
        base = (0, self._position, self._size)[whence]
        self._position = max(base + offset, 0)
        return self._position

    def readinto(self, buffer: object) -> int:
        """Read into a buffer."""
        view = memoryview(buffer).cast("B")  # type: ignore[arg-type]
        self._stream.seek(self._position)
        data = bytearray(self._stream.read(len(view)))
        for start, new in self._patches.items():
            for k, value in enumerate(new):
                at = start + k - self._position
                if 0 <= at < len(data):
                    data[at] = value
        view[: len(data)] = data
        self._position += len(data)
        return len(data)
