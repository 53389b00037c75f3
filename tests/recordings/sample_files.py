"""Contents of small files that several tests write."""

import struct


def rows(*columns, sep=",", fmt="%.9g"):
    """Text of the rows of a table; texts stay as they are."""
    lines = (sep.join(v if isinstance(v, str) else fmt % v for v in row) for row in zip(*columns, strict=True))
    return "".join(f"{line}\n" for line in lines)


def chunk(name, data, size=None, order="<"):
    """A chunk of an audio file; its header may claim another size."""
    return name + struct.pack(order + "I", len(data) if size is None else size) + data + b"\0" * (len(data) % 2)


def wav_format(bits=16, *, channels=1, fs=8000, code=1):
    """The chunk of a WAV file that describes its samples: code 1 for PCM, 3 for floating point."""
    frame = channels * bits // 8
    return chunk(b"fmt ", struct.pack("<HHIIHH", code, channels, fs, fs * frame, frame, bits))


def wav(*chunks, size=None):
    """A WAV file of these chunks; its header may claim another size."""
    return chunk(b"RIFF", b"WAVE" + b"".join(chunks), size)
