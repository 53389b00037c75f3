"""Audio files: what programs write, what pipes leave, and what is never read by half."""

import io
import struct
import sys

import numpy as np
import pytest
from sample_files import chunk, wav, wav_format

from adaptstft import recordings
from adaptstft.recordings import riff

N = 400
X = np.round(np.sin(0.3 * np.arange(N)), 3)
CODES = np.round(X * 20000).astype("<i2")
FMT = wav_format()


@pytest.fixture(params=["soundfile", "scipy"])
def reader(request, monkeypatch):
    """Each of the two packages that read WAV files."""
    if request.param == "soundfile":
        pytest.importorskip("soundfile", reason="other audio formats need the extra 'files'")
    else:
        monkeypatch.setitem(sys.modules, "soundfile", None)
    return request.param


def read(tmp_path, content, name="a.wav", **options):
    (tmp_path / name).write_bytes(content)
    return recordings.read(tmp_path / name, **options)


@pytest.mark.parametrize("data_size", [0, 0x7FFFFFFF, 0x7FFFF000, 0xFFFFFFFF])
@pytest.mark.parametrize("file_size", [0, 0x7FFFFFFF, 0x7FFFF024, 0xFFFFFFFF])
def test_a_piped_file_is_read_to_its_end(tmp_path, reader, data_size, file_size):
    content = wav(FMT, chunk(b"data", CODES.tobytes(), data_size), size=file_size)
    recording = read(tmp_path, content)
    assert recording.fs == 8000
    np.testing.assert_array_equal(recording.x, CODES[None] / 32768)


def test_the_last_incomplete_sample_of_a_pipe_is_left_out(tmp_path, reader):
    content = wav(FMT, chunk(b"data", CODES.tobytes()[:-1], 0xFFFFFFFF), size=0xFFFFFFFF)
    np.testing.assert_array_equal(read(tmp_path, content[:-1]).x, CODES[None, :-1] / 32768)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            wav(FMT, chunk(b"data", CODES.tobytes()[:300], 800)),
            "truncated WAV file: 300 bytes of samples where .* says 800",
        ),
        (wav(FMT, chunk(b"data", CODES.tobytes()[:300], 800), size=36), "truncated WAV file: 300 bytes of samples"),
        (
            wav(FMT, chunk(b"data", CODES.tobytes()[:200]), chunk(b"data", CODES.tobytes()[200:])),
            "two chunks of samples",
        ),
        (
            wav(FMT, chunk(b"LIST", b"abcd", 5000), chunk(b"data", CODES.tobytes())),
            "its chunk 'LIST' of 5000 bytes does not",
        ),
        (
            wav(FMT, chunk(b"data", CODES.tobytes()), size=5000),
            "truncated WAV file: 844 bytes where the header says 5008",
        ),
        (wav(FMT), "no chunk of samples"),
        (
            wav(chunk(b"fmt ", bytes(4)), chunk(b"data", CODES.tobytes())),
            "its chunk 'fmt ' is incomplete|channels are 0",
        ),
        (wav(FMT.replace(b"\1\0\1\0", b"\1\0\0\0"), chunk(b"data", CODES.tobytes())), "its channels are 0"),
        (wav(FMT.replace(b"\x40\x1f\0\0", bytes(4)), chunk(b"data", CODES.tobytes())), "its sampling rate is 0"),
        (wav(FMT[:-2] + b"\0\0", chunk(b"data", CODES.tobytes())), "0 bits a sample, 2 bytes a frame"),
        (wav(FMT[:-4] + b"\0\0\x10\0", chunk(b"data", CODES.tobytes())), "16 bits a sample, 0 bytes a frame"),
        (b"RIFF\x04\0\0\0AVI ", "no RIFF header"),
    ],
)
def test_damaged_files_are_never_read_by_half(tmp_path, reader, content, message):
    with pytest.raises(ValueError, match=message):
        read(tmp_path, content)


def test_tags_after_the_samples_are_no_samples(tmp_path, reader):
    content = wav(FMT, chunk(b"data", CODES.tobytes()), chunk(b"LIST", b"INFOxyz"))
    np.testing.assert_array_equal(read(tmp_path, content).x, CODES[None] / 32768)


@pytest.mark.parametrize("magic", [b"RF64", b"BW64"])
def test_large_files_have_their_sizes_in_a_chunk_of_their_own(tmp_path, reader, magic):
    data = CODES.tobytes()
    body = chunk(b"ds64", struct.pack("<QQQI", 36 + 28 + 8 + len(data), len(data), N, 0)) + FMT
    content = magic + b"\xff\xff\xff\xffWAVE" + body + b"data\xff\xff\xff\xff"
    np.testing.assert_array_equal(read(tmp_path, content + data).x, CODES[None] / 32768)
    with pytest.raises(ValueError, match="truncated WAV file: 700 bytes of samples where the header says 800"):
        read(tmp_path, content + data[:-100])


@pytest.mark.parametrize(
    ("ending", "format", "subtype", "atol"),
    [
        ("flac", "FLAC", "PCM_24", 1e-7),
        ("ogg", "OGG", "VORBIS", 0.1),
        ("opus", "OGG", "OPUS", 0.3),
        ("mp3", "MP3", None, 0.3),
        ("aiff", "AIFF", "PCM_16", 1e-4),
        ("aif", "AIFF", "FLOAT", 1e-7),
        ("w64", "W64", "PCM_16", 1e-4),
        ("rf64", "RF64", "PCM_32", 1e-9),
        ("au", "AU", "DOUBLE", 0),
        ("wav", "WAV", "MS_ADPCM", 0.1),
        ("wav", "WAV", "ULAW", 0.05),
        ("wav", "WAVEX", "PCM_24", 1e-6),
    ],
)
def test_formats_of_libsndfile(tmp_path, ending, format, subtype, atol):
    soundfile = pytest.importorskip("soundfile", reason="other audio formats need the extra 'files'")
    x = np.stack([np.sin(0.05 * np.arange(48_000)), np.cos(0.02 * np.arange(48_000))]) / 2
    soundfile.write(tmp_path / f"a.{ending}", x.T, 48_000, format=format, subtype=subtype)
    recording = recordings.read(tmp_path / f"a.{ending}")
    assert recording.fs == 48_000 and len(recording.x) == 2
    if atol < 0.2:
        # ADPCM fills its last block with zeros
        assert recording.x.shape[1] == 48_000 or subtype == "MS_ADPCM"
        np.testing.assert_allclose(recording.x[:, :48_000], x, atol=atol)
    else:  # lossy ones delay or extend the signal
        assert abs(recording.x.shape[1] - 48_000) < 3000
        assert recording.x.std() == pytest.approx(x.std(), rel=0.1)


@pytest.mark.parametrize("ending", ["aiff", "w64", "flac", "au", "rf64"])
def test_truncated_files_of_libsndfile(tmp_path, ending):
    soundfile = pytest.importorskip("soundfile", reason="other audio formats need the extra 'files'")
    rng = np.random.default_rng(0)
    path = tmp_path / f"a.{ending}"
    soundfile.write(path, 0.9 * rng.uniform(-1, 1, 20_000), 8000)
    path.write_bytes(path.read_bytes()[:-5000])
    with pytest.raises(ValueError, match=r"truncated|not a readable"):
        recordings.read(path)


@pytest.mark.parametrize(("ending", "check"), [("aiff", riff.check_aiff), ("w64", riff.check_w64)])
def test_chunks_of_aiff_and_w64(ending, check):
    with pytest.raises(ValueError, match=f"not a readable {ending.upper()} file"):
        check(io.BytesIO(b"x" * 100))


def test_two_chunks_of_samples_in_aiff():
    sound = chunk(b"SSND", bytes(16), order=">")
    content = b"FORM" + struct.pack(">I", 4 + 2 * len(sound)) + b"AIFF" + 2 * sound
    with pytest.raises(ValueError, match="has 2 chunks of samples"):
        riff.check_aiff(io.BytesIO(content))


@pytest.mark.parametrize("ending", ["flac", "mp3", "aiff"])
def test_without_the_extra_its_command_is_named(tmp_path, monkeypatch, ending):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    content = b"FORM" + struct.pack(">I", 28) + b"AIFF" + chunk(b"SSND", bytes(16), order=">")
    with pytest.raises(ImportError, match=r"pip install .*\[files\]"):
        read(tmp_path, content, f"a.{ending}")


def test_compressed_wav_without_the_extra(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "soundfile", None)
    content = wav(FMT.replace(b"\1\0\1\0", b"\7\0\1\0"), chunk(b"data", CODES.tobytes()))
    message = r"Unknown wave file format: MULAW; other formats need soundfile: pip install .*\[files\]"
    with pytest.raises(ValueError, match=message):
        read(tmp_path, content)


def test_a_patched_stream_replaces_bytes_wherever_it_is_read():
    stream = riff.PatchedStream(io.BytesIO(bytes(20)), {3: b"abc", 18: b"xyz"}, 20)
    expected = b"\0\0\0abc" + bytes(12) + b"xy"
    assert stream.read() == expected
    for start in range(20):
        stream.seek(start)
        assert stream.tell() == start
        assert b"".join(iter(lambda: stream.read(2), b"")) == expected[start:]
    assert stream.seek(-2, io.SEEK_END) == 18 and stream.seek(1, io.SEEK_CUR) == 19 and stream.read() == b"y"
