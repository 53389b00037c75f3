"""Memory for value and gradient of an hour of sound, beyond the signal and its parameters, in a new process."""

from __future__ import annotations

import json
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.differentiable import Problem
from benchmarks.harness import Case, Figure, Row, Settings, Target, sound

_MFFT, _HOP = 1024, 256
_MB = 1e6


def resident(field: str) -> int | None:
    """Return bytes of resident memory, now (``VmRSS``) or the peak (``VmHWM``); None if the system has no such file."""
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{field}:"))
    except (OSError, StopIteration):
        return None


def reset_peak() -> None:
    """Let the peak of the resident memory begin anew."""
    # otherwise the peak would be that of making the signal; the file exists only on Linux
    Path("/proc/self/clear_refs").write_text("5")


def _hour(n: int) -> Any:
    """Make a signal piece by piece, which needs hardly any more memory."""
    piece = sound(1_000_000)
    x = np.empty(n, np.float32)
    for low in range(0, n, piece.size):
        x[low : low + piece.size] = piece[: n - low]
    return x


def measure(n: int, workers: int) -> dict[str, float]:
    """Return the peaks of one evaluation in bytes: of resident memory, and of allocations of Python and NumPy."""
    Problem.at_hop(sound(50_000), _MFFT, _HOP, "time").step(workers)()  # loads kernels, starts threads
    problem = Problem.at_hop(_hour(n), _MFFT, _HOP, "time")
    step = problem.step(workers)
    peaks: dict[str, float] = {}
    if (before := resident("VmRSS")) is not None:
        reset_peak()
        step()
        peaks["resident"] = float((resident("VmHWM") or 0) - before)
    tracemalloc.start()
    step()
    peaks["traced"] = float(tracemalloc.get_traced_memory()[1])
    return peaks


def _run(settings: Settings) -> list[Row]:
    n = settings.size(3600 * 48_000, 200_000)
    rows = []
    for workers in sorted({1, settings.workers}):
        command = [sys.executable, "-m", "benchmarks.cases_memory", str(n), str(workers)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError((done.stderr.strip().splitlines() or [f"ended with code {done.returncode}"])[-1])
        peaks = json.loads(done.stdout)
        peak = max(peaks.values())
        threads = f"{workers} worker{'s' * (workers > 1)}"
        work = f"peak of value and gradient, {n:,} samples, {_MFFT}/{_HOP}, float32, {threads}"
        rows.append(
            Row(
                "memory",
                work,
                ours=Figure(peak / _MB, "MB"),
                result=Figure(peak / _MB / workers, "MB a worker"),
                target=Target(64, at_least=False),
                detail={f"{k}_bytes": v for k, v in peaks.items()},
            )
        )
    return rows


CASES = (Case("memory", "peak memory of value and gradient for an hour at 48 kHz", _run),)

if __name__ == "__main__":
    print(json.dumps(measure(int(sys.argv[1]), int(sys.argv[2]))))
