"""A run over a thousand recordings that is killed at a random point and continued: ``python -m benchmarks.many``.

The recordings (10 s at 16 kHz, WAV) are generated in a temporary folder, and three of them are damaged. The checks:
each recording has one row, the rows of the first run are unchanged, and exactly the damaged files have errors.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import scipy.io.wavfile

_FS, _SECONDS = 16_000, 10.0
_DAMAGE = (lambda data: data[: len(data) // 3], lambda data: b"no sound at all", lambda data: b"")


def recording(seed: int) -> np.ndarray:
    """Make the sound of a machine: a tone of changing frequency, its harmonics, knocks and noise."""
    rng = np.random.default_rng(seed)
    t = np.arange(int(_FS * _SECONDS)) / _FS
    speed = rng.uniform(20, 200) * (t + rng.uniform(-0.03, 0.03) * t**2)
    x = sum(rng.uniform(0.1, 1.0) * np.cos(2 * np.pi * k * speed) for k in range(1, 6))
    knocks = np.zeros(t.size)
    knocks[rng.integers(0, t.size, rng.integers(1, 60))] = rng.uniform(0.0, 20.0)
    decay = np.exp(-np.arange(400) / 60) * np.cos(2 * np.pi * 0.2 * np.arange(400))
    x = x + np.convolve(knocks, decay)[: t.size] + 0.3 * rng.standard_normal(t.size)
    return np.round(30_000 * x / np.abs(x).max()).astype(np.int16)


def generate(folder: Path, count: int) -> list[Path]:
    """Write the recordings and return the damaged ones."""
    for k in range(count):
        scipy.io.wavfile.write(folder / f"{k:05d}.wav", _FS, recording(k))
    chosen = np.random.default_rng(count).choice(count, len(_DAMAGE), replace=False)
    damaged = [folder / f"{k:05d}.wav" for k in chosen]
    for path, damage in zip(damaged, _DAMAGE, strict=True):
        path.write_bytes(damage(path.read_bytes()))
    return damaged


def tune(folder: str, out: str, jobs: str) -> None:
    """Tune all recordings of a folder; runs in a new process."""
    import adaptstft

    adaptstft.optimize_many(sorted(Path(folder).glob("*.wav")), out=out, n_jobs=int(jobs))


def _rows(out: Path) -> dict[str, dict[str, str]]:
    """Return the complete rows of a table by name; no name may occur twice."""
    if not out.exists():
        return {}
    data = out.read_bytes()
    rows = list(csv.DictReader(data[: data.rfind(b"\n") + 1].decode().splitlines()))
    by_name = {row["name"]: row for row in rows}
    if len(by_name) != len(rows):
        raise AssertionError(f"{len(rows) - len(by_name)} rows occur twice")
    return by_name


def _family(pid: int) -> list[int]:
    """Return a process and its descendants."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(path.parent.name)] = int(fields[1])
    family = [pid]
    for child in sorted(parents):
        if parents[child] in family:
            family.append(child)
    return family


def _memory(pid: int, field: str) -> float:
    """Return the memory of a process in MB, now (``VmRSS``) or the peak (``VmHWM``); 0 if unknown."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) / 1e3 for line in lines if line.startswith(f"{field}:"))
    except (OSError, StopIteration):
        return 0.0


class Run:
    """One run in a new process, with its time and its peak of memory."""

    def __init__(self, folder: Path, out: Path, jobs: int) -> None:
        command = [sys.executable, "-c", "import sys; from benchmarks.many import tune; tune(*sys.argv[1:])"]
        self._out, self._before = out, len(_rows(out))
        self._process = subprocess.Popen([*command, str(folder), str(out), str(jobs)], start_new_session=True)
        self.peak, self.seconds = 0.0, 0.0
        self.each: dict[int, float] = {}

    def wait(self, until: int | None) -> None:
        """Wait for the end; with a number of rows kill all processes once they are written."""
        first = None
        while self._process.poll() is None:
            family = _family(self._process.pid)
            self.peak = max(self.peak, sum(_memory(pid, "VmRSS") for pid in family))
            self.each |= {pid: size for pid in family if (size := _memory(pid, "VmHWM"))}
            now = time.perf_counter()
            done = self._out.read_bytes().count(b"\n") - 1 if self._out.exists() else 0
            if first is None and done > self._before:
                first = now
            if until is not None and done >= until:
                os.killpg(self._process.pid, signal.SIGKILL)
            time.sleep(0.2)
        if until is None and self._process.returncode != 0:
            raise AssertionError(f"the run ended with {self._process.returncode}")
        self.seconds = time.perf_counter() - (first or time.perf_counter())

    def report(self, name: str, rows: int) -> str:
        """Return a line with time, speed and memory."""
        done = rows - self._before
        largest = sorted(self.each.values(), reverse=True)[:3]
        return (
            f"{name}: {done} recordings in {self.seconds:.1f} s, {done / self.seconds:.2f} per second "
            f"({done * _SECONDS / self.seconds:.0f} times real time); peak of memory {self.peak:.0f} MB in all, the "
            f"largest processes {', '.join(f'{size:.0f}' for size in largest)} MB"
        )


def main(argv: Sequence[str] | None = None) -> int:
    """Generate, run, kill, resume, check and report."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.many", description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=1000, help="number of recordings (default: 1000)")
    parser.add_argument("--jobs", type=int, default=2, help="number of processes (default: 2)")
    args = parser.parse_args(argv)
    print(f"{platform.machine()}, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f} before")
    with tempfile.TemporaryDirectory() as name:
        folder, out = Path(name), Path(name) / "found.csv"
        damaged = generate(folder, args.count)
        size = sum(path.stat().st_size for path in folder.iterdir()) / 1e6
        print(f"{args.count} recordings of {_SECONDS:g} s at {_FS} Hz, {size:.0f} MB, {len(damaged)} of them damaged")
        point = int(np.random.default_rng().integers(args.count // 10, 9 * args.count // 10))
        first = Run(folder, out, args.jobs)
        first.wait(point)
        left = _rows(out)
        print(first.report("killed at a random point", len(left)))
        second = Run(folder, out, args.jobs)
        second.wait(None)
        rows = _rows(out)
        print(second.report("resumed", len(rows)))
        if set(rows) != {str(path) for path in folder.glob("*.wav")}:
            raise AssertionError(f"{len(rows)} rows for {args.count} recordings")
        if any(rows[name] != row for name, row in left.items()):
            raise AssertionError("rows of the first run have changed")
        errors = {name: row for name, row in rows.items() if row["status"] == "error"}
        if set(errors) != set(map(str, damaged)):
            raise AssertionError(f"errors: {errors}")
        print(f"{len(rows)} rows, one for each recording; the {len(left)} of the first run are unchanged")
        for row in errors.values():
            print(f"  {Path(row['name']).name}: {row['error_type']}: {Path(row['error']).name}")
        lengths = [float(row["win_length"]) for row in rows.values() if row["win_length"]]
        low, mid, high = np.quantile(lengths, [0.05, 0.5, 0.95])
        print(f"window lengths: median {mid:.0f} samples, {low:.0f} to {high:.0f} in nine of ten")
    print(f"load average {os.getloadavg()[0]:.1f} after")
    return 0


if __name__ == "__main__":
    sys.exit(main())
