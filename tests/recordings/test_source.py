"""Files opened once: pipes within a time limit, no devices."""

import os
import threading
import time
from contextlib import suppress

import numpy as np
import pytest

import adaptstft
from adaptstft import recordings
from adaptstft.recordings import source

posix = pytest.mark.skipif(os.name != "posix", reason="named pipes are files only on POSIX systems")
TEXT = "t,x\n" + "".join(f"{k / 100:.2f},{k * k % 7}\n" for k in range(300))


@pytest.fixture
def pipe(tmp_path):
    path = tmp_path / "a.csv"
    os.mkfifo(path)
    return path


def write_later(path, data, *, delay=0.2, pieces=3):
    def write():
        time.sleep(delay)
        with open(path, "wb", buffering=0) as stream:
            for piece in np.array_split(np.frombuffer(data, np.uint8), pieces):
                stream.write(piece.tobytes())
                time.sleep(0.05)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    return thread


@posix
def test_a_pipe_is_read_once_to_its_end(pipe):
    writer = write_later(pipe, TEXT.encode())
    recording = recordings.read(pipe)
    writer.join()
    assert recording.fs == 100
    np.testing.assert_array_equal(recording.x[0], np.arange(300) ** 2 % 7)


@posix
def test_a_pipe_without_a_writer_is_given_up(pipe, tmp_path, monkeypatch):
    monkeypatch.setattr(source, "PIPE_WAIT", 0.2)
    (tmp_path / "b.csv").write_text(TEXT)
    start = time.monotonic()
    with pytest.raises(ValueError, match=r"a\.csv: a pipe into which no program has written for 0\.2 s$"):
        recordings.read(pipe)
    table = adaptstft.optimize_many([pipe, tmp_path / "b.csv"])
    assert [row["status"] for row in table] == ["error", "ok"]
    assert time.monotonic() - start < 20


@posix
def test_an_endless_pipe_is_cut(pipe, monkeypatch):
    monkeypatch.setattr(source, "LARGEST_PIPE", 1 << 20)
    stop = threading.Event()

    def write():
        with suppress(BrokenPipeError), open(pipe, "wb", buffering=0) as stream:
            while not stop.is_set():
                stream.write(b"1,2\n" * 1000)

    thread = threading.Thread(target=write, daemon=True)
    thread.start()
    with pytest.raises(ValueError, match="a pipe with more than 1 MiB: write it to a file first"):
        recordings.read(pipe)
    stop.set()
    thread.join(5)


@posix
def test_an_empty_pipe(pipe):
    writer = write_later(pipe, b"")
    with pytest.raises(ValueError, match="the pipe is empty"):
        recordings.read(pipe)
    writer.join()


@posix
@pytest.mark.parametrize("name", ["a.csv", "a.wav", "a.mat", "a.npy", "a.npz"])
def test_devices_are_no_files(tmp_path, name):
    (tmp_path / name).symlink_to("/dev/zero")
    with pytest.raises(ValueError, match=r"a device or a socket, not a file$"):
        recordings.read(tmp_path / name)


def test_zeros_behind_a_table(tmp_path):
    """Of any size: the first bytes are enough to refuse it."""
    with open(tmp_path / "a.csv", "wb") as stream:
        stream.truncate(1 << 33)
    with pytest.raises(ValueError, match="line 1 holds bytes that are no text"):
        recordings.read(tmp_path / "a.csv")


def test_a_line_without_an_end(tmp_path, monkeypatch):
    monkeypatch.setattr("adaptstft.recordings.text._LONGEST_LINE", 1 << 17)
    (tmp_path / "a.csv").write_text("1," * (1 << 17))
    with pytest.raises(ValueError, match="line 1 has more than 131,072 characters"):
        recordings.read(tmp_path / "a.csv")
