"""Mutated files of every format, read in a child process with a limit of memory and of time.

``python tests/fuzz_files.py [--count N] [--only FORMAT ...] [--seed N]`` prints a table: how many files were read, how
many refused, and what must not happen: a crash, a file that takes longer than ten seconds, more than 64 MB beyond the
data, an error of another kind than those that `adaptstft.recordings.read` documents, a message of several lines. It
exits with code 1 if any of these has happened.
"""

import argparse
import io
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
import scipy.io
from scipy.io import wavfile

from adaptstft import recordings
from adaptstft.common import child_process
from adaptstft.recordings import matlab_tables

N = 300
T = np.arange(N) / 250
X = np.stack([np.sin(0.3 * np.arange(N)), np.cos(0.2 * np.arange(N))])
#: Bytes that a file may need beyond its data.
BEYOND = 64 << 20
SECONDS = 10.0
NUMBERS = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def written(write):
    file = io.BytesIO()
    write(file)
    return file.getvalue()


def sound(format, subtype=None):
    import soundfile

    data = np.tile(X, 8).T / 2
    return written(lambda file: soundfile.write(file, data, 48_000, format=format, subtype=subtype))


def table(separator=",", names=("time", "x", "y"), **format):
    rows = [separator.join(names)] + [separator.join(f"{v:.5f}" for v in row) for row in np.c_[T, X.T].tolist()]
    return "\n".join(rows).translate(format.get("signs", {})).encode(format.get("encoding", "utf-8"))


def matlab_73():
    import h5py

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "a.mat"
        with h5py.File(path, "w", userblock_size=512) as file:
            file.create_dataset("x", data=X.T, chunks=(64, 2), compression="gzip").attrs["MATLAB_class"] = np.bytes_(
                "double"
            )
            file.create_dataset("fs", data=[[250.0]])
        data = path.read_bytes()
    return b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM" + data[128:]


def columnar(method):
    import pandas

    frame = pandas.DataFrame({"time": T, "x": X[0], "state": ["ok"] * N})
    return written(lambda file: getattr(frame, method)(file))


def table_files(version):
    import pandas

    with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
        warnings.simplefilter("ignore")
        import matio

        frame = pandas.DataFrame({"x": X[0], "state": ["ok"] * N, "n": [3] * N}, index=pandas.to_timedelta(T, unit="s"))
        dates = frame.set_index(pandas.Timestamp("2024-03-01") + frame.index)
        table = pandas.DataFrame({"time": T, "x": X[0]})
        matio.save_to_mat(Path(folder) / "u.mat", {"u": table.assign(c=T, on=T > 1)}, version=version)
        mixed = matio.load_from_mat(Path(folder) / "u.mat", raw_data=True)["u"]
        mixed.properties["data"][0, 1] = X.T
        mixed.properties["data"][0, 2] = np.array([[np.array(["ok"])]] * N, dtype=object)
        contents = {"tt": frame}, {"dd": dates}, {"u": table}, {"m": mixed}
        paths = [Path(folder) / f"{k}.mat" for k in range(8)]
        for k, path in enumerate(paths):
            matio.save_to_mat(path, contents[k % 4], version=version, do_compression=k > 3)
        return [path.read_bytes() for path in paths[: 8 if version == "v7" else 4]]


SEEDS = {
    "wav": lambda: [
        written(lambda file: wavfile.write(file, 8000, np.int16(9000 * X.T))),
        written(lambda file: wavfile.write(file, 8000, np.float32(X.T))),
    ],
    "flac": lambda: [sound("FLAC")],
    "ogg": lambda: [sound("OGG", "VORBIS"), sound("OGG", "OPUS")],
    "mp3": lambda: [sound("MP3")],
    "aiff": lambda: [sound("AIFF"), sound("AIFF", "FLOAT")],
    "w64": lambda: [sound("W64")],
    "csv": lambda: [
        table(),
        table(";", signs={ord("."): ","}),
        table("\t", encoding="utf-16"),
        table(" ", names=("#", "x", "y")),
        b"date;x\n" + b"".join(b"2024-03-01T12:00:%02d.%d;%d\n" % (k // 10, k % 10, k * k % 7) for k in range(300)),
    ],
    "npy": lambda: [written(lambda file: np.save(file, X)), written(lambda file: np.save(file, np.int16(X * 99)))],
    "npz": lambda: [
        written(lambda file: np.savez(file, x=X, fs=250.0)),
        written(lambda file: np.savez_compressed(file, x=X, t=T)),
    ],
    "mat": lambda: [
        written(lambda file: scipy.io.savemat(file, {"x": X, "fs": 250.0})),
        written(lambda file: scipy.io.savemat(file, {"x": X, "t": T}, do_compression=True)),
        written(lambda file: scipy.io.savemat(file, {"s": {"x": X, "t": T, "c": np.array([X, "a"], dtype=object)}})),
        written(lambda file: scipy.io.savemat(file, {"x": X + 1j, "fs": 250.0}, format="4")),
    ],
    "mat 7.3": lambda: [matlab_73()],
    "mat tables": lambda: table_files("v7"),
    "mat 7.3 tables": lambda: table_files("v7.3"),
    "parquet": lambda: [columnar("to_parquet")],
    "feather": lambda: [columnar("to_feather")],
}


def mutated(data, rng):
    """Change, insert, remove, repeat or cut some bytes; the first ones are hit more often."""
    data = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 3, 6, 20))):
        at = rng.randrange(min(len(data), 256) or 1) if rng.random() < 0.5 else rng.randrange(len(data) or 1)
        kind = rng.randrange(8)
        if kind == 0:
            data[at : at + 1] = bytes([rng.randrange(256)])
        elif kind == 1:
            at -= at % 4
            data[at : at + 4] = rng.choice(NUMBERS).to_bytes(4, rng.choice(("little", "big")))
        elif kind == 2:
            data[at:at] = rng.randbytes(rng.choice((1, 4, 100)))
        elif kind == 3:
            del data[at : at + rng.choice((1, 4, 100, 5000))]
        elif kind == 4:
            other = rng.randrange(len(data) or 1)
            size = rng.choice((4, 8, 64))
            data[at : at + size] = data[other : other + size]
        elif kind == 5:
            data[at : at + 1] = bytes([data[at] ^ (1 << rng.randrange(8))]) if at < len(data) else b""
        elif kind == 6:
            data[at : at + 8] = rng.choice(NUMBERS).to_bytes(8, "little")
        elif rng.random() < 0.3:
            del data[at:]
    return bytes(data)


def file_of(format, seeds, seed, number):
    rng = random.Random(f"{format} {seed} {number}")
    return mutated(rng.choice(seeds), rng)


def limit_memory():
    """Allow this process two GiB more than it has: a claim that is believed fails instead of stopping the machine."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    limit = pages * resource.getpagesize() + (2 << 30)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))


def peak_memory():
    """Return the most bytes that this process has had since the last call."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    peak = int(status.partition("VmHWM:")[2].split()[0]) << 10
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return peak


def in_fork(function, *arguments, prepare, memory, seconds):
    """Do what `in_child` does in a fork of this process: it has imported all, which takes a new process a second."""
    prepare()
    reading, writing = os.pipe()
    fork = os.fork()
    if not fork:
        signal.alarm(int(seconds))
        with open(writing, "w") as sys.stdout:
            child_process.answer(function, arguments, prepare, memory)
        os._exit(0)
    os.close(writing)
    with open(reading, "rb") as pipe:
        output = pipe.read()
    return child_process.result_of(os.waitstatus_to_exitcode(os.waitpid(fork, 0)[1]), output)


def child(format, seed, first, stop, *, fork):
    """Read the files ``first ... stop - 1``; a line for each result on standard output."""
    warnings.simplefilter("error")
    if fork:
        matlab_tables.in_child = in_fork
    seeds = SEEDS[format]()
    path = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None)) / f"a.{format.split()[0]}"
    for data in seeds:  # all modules are loaded before the limit
        path.write_bytes(data)
        with_fs(path)
    limit_memory()
    usual = peak_memory()
    try:
        for number in range(first, stop):
            path.write_bytes(file_of(format, seeds, seed, number))
            print(number, end=" ", flush=True)
            result = with_fs(path)
            used = peak_memory() - usual
            print(json.dumps(f"memory: {used >> 20} MiB" if used > BEYOND else result), flush=True)
    finally:
        path.unlink()
        path.parent.rmdir()


def with_fs(path):
    """Return "read", "refused", or what is wrong."""
    try:
        recording = recordings.read(path, fs=250.0)
    except ValueError as error:
        text = str(error)
        if "\n" in text or not text.isprintable() or not text.startswith(str(path)):
            return f"message: {text!r}"
        return "refused"
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    if recording.x.ndim != 2 or not recording.x.size or not np.isfinite(recording.x).all():
        return "no recording"
    return "read"


def run(format, count, seed, more):
    """Read all files of a format, in a new child after each crash; return the numbers of results, and the faults."""
    found, faults, following = {"read": 0, "refused": 0}, [], 0
    while following < count:
        command = [sys.executable, __file__, "--child", format, str(seed), str(following), str(count), *more]
        with tempfile.TemporaryFile() as notes:  # a decoder of MP3 writes many, which would fill a pipe
            process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=notes)
            following = watch(process, found, faults, following)
            notes.seek(-min(notes.tell(), 300), os.SEEK_END)
            if faults and "crash" in faults[-1][1]:
                print(notes.read().decode(errors="replace"))
    return found, faults


def watch(process, found, faults, following):
    """Take the results of a child; return the number of the file after the last one that it has tried."""
    os.set_blocking(process.stdout.fileno(), False)
    rest, since = "", time.monotonic()
    while True:
        more = process.stdout.read() or b""
        rest += more.decode()
        *lines, rest = rest.split("\n")
        for line in lines:
            number, _, text = line.partition(" ")
            following = int(number) + 1
            result = json.loads(text)
            if result in found:
                found[result] += 1
            else:
                faults.append((int(number), result))
        if lines:
            since = time.monotonic()
        if not more and process.poll() is not None:
            break
        if time.monotonic() - since > SECONDS + 20 * (following == 0):
            process.kill()
            process.wait()
            faults.append((following, "hang"))
            return following + 1
        if not more:
            time.sleep(0.02)
    if process.returncode:
        faults.append((following, f"crash, code {process.returncode}"))
        return following + 1
    return following


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--only", action="append", choices=SEEDS)
    parser.add_argument("--fork", action="store_true", help="read tables of MATLAB in forks, not in new processes")
    parser.add_argument("--child", nargs=4, metavar=("FORMAT", "SEED", "FIRST", "STOP"))
    args = parser.parse_args()
    if args.child:
        child(args.child[0], *map(int, args.child[1:]), fork=args.fork)
        return 0
    failed = False
    print(f"{'format':14}{'files':>8}{'read':>8}{'refused':>9}{'faults':>8}{'seconds':>9}")
    for format in args.only or SEEDS:
        start = time.monotonic()
        found, faults = run(format, args.count, args.seed, ["--fork"] * args.fork)
        seconds = time.monotonic() - start
        print(
            f"{format:14}{args.count:8}{found['read']:8}{found['refused']:9}{len(faults):8}{seconds:9.0f}", flush=True
        )
        for number, text in faults[:5]:
            print(f"    file {number}: {text}", flush=True)
        failed |= bool(faults)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
