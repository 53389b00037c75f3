"""What an iteration costs on the workers of a local cluster, as docs/planning.rst counts it.

``python -m benchmarks.cluster STORE`` writes a Zarr store of some hours of sound, unless it is there, and evaluates the
criterion with its gradient, as every iteration of a tuning does, with one worker process and with two in turn. It
needs the extra ``dask``, and Zarr.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, Self

import dask
import dask.array as da
import distributed
import numpy as np

import adaptstft
from adaptstft import criteria, kernels, windows
from adaptstft.engine.plan import FramePlan
from adaptstft.tuning.shared.dask_signals import DaskSignals
from adaptstft.tuning.shared.partial_sums import Query, Stretch, partial_sums

_CHUNK_SECONDS = 10
#: Factor on the hop with which hardly anything but the reading is left.
_IDLE = 50


@cache
def _sound(channels: int, n: int, fs: float) -> Any:
    """Make chirps in noise, as 16-bit PCM."""
    t, rng = np.arange(n) / fs, np.random.default_rng(0)
    rows = []
    for channel in range(channels):
        rate = 2000.0 * (1 + channel / 8)
        phase = 500 * t + rate * (t % 2 - 1) ** 2 / 2
        rows.append(0.3 * np.cos(2 * np.pi * phase) + 0.01 * rng.standard_normal(n))
    return np.round(np.array(rows) * 32767).astype(np.int16)


def _chunk(block_info: Any = None, length: int = 0, fs: float = 48000.0) -> Any:
    """Make a chunk that differs from the others, without making its noise again."""
    (first, last), (low, high) = block_info[None]["array-location"]
    return np.roll(_sound(last - first, length, fs), low // length, axis=1)[:, : high - low]


def make_store(path: Path, seconds: float, channels: int, fs: float) -> None:
    """Write a store chunk by chunk, which takes the memory of a few chunks."""
    if path.exists():
        return
    chunk, n = int(_CHUNK_SECONDS * fs), int(seconds * fs)
    sizes = (chunk,) * (n // chunk) + ((n % chunk,) if n % chunk else ())
    meta = np.zeros((0, 0), np.int16)
    x = da.map_blocks(_chunk, chunks=((channels,), sizes), dtype=np.int16, meta=meta, length=chunk, fs=fs)
    with dask.config.set(scheduler="threads", num_workers=1):
        x.to_zarr(str(path), compressors=None)  # noise does not get smaller


def opened(path: Path) -> Any:
    """Return the store as single precision of at most one."""
    return da.from_zarr(str(path)).astype(np.float32) / np.float32(32768)


def query(fs: float, length: float, hop: float, *, gradient: bool = True) -> Query:
    """Make what an iteration asks."""
    mfft = 1 << int(np.ceil(np.log2(length)))
    module = kernels.resolve("auto")[1]
    plan = FramePlan(mfft, "onesided", "psd", module, 1, windows.resolve("hann"), 1 / fs, amplitude=fs**0.5)
    return Query(plan, np.array([length]), hop, criteria.Renyi(scope="global"), gradient=gradient)


def _peak_memory() -> int:
    """Return the largest resident memory that this process has had, in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def transform_seconds(requested: Query) -> float:
    """Return the processor seconds that one transform with its gradient takes in this process."""
    x = np.random.default_rng(0).standard_normal((1, 1 << 19)).astype(np.float32)
    stretch = Stretch(x, x.shape[1])
    positions = []
    for _ in range(6):
        start = time.process_time()
        (found,) = partial_sums(stretch, [requested])
        positions.append((time.process_time() - start) / found.frames)
    return min(positions)


class Cluster:
    """Worker processes of one thread and a memory limit each."""

    def __init__(self, count: int, memory: str) -> None:
        self.cluster = distributed.LocalCluster(
            n_workers=count, threads_per_worker=1, processes=True, memory_limit=memory, dashboard_address=None
        )
        self.client = distributed.Client(self.cluster)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.cluster.close()

    def peaks(self) -> list[int]:
        """Return the largest memory of every worker."""
        return list(self.client.run(_peak_memory).values())

    def busy(self) -> float:
        """Return the seconds that processors have spent on the workers, which does not depend on the machine's load."""
        return sum(self.client.run(time.process_time).values())

    def sent(self) -> int:
        """Return the bytes that have gone from worker to worker."""

        def sent(dask_worker: Any) -> int:
            return int(dask_worker.transfer_outgoing_bytes_total)

        return sum(self.client.run(sent).values())


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Evaluate with every number of workers, in turn, and return what was found."""
    requested = query(args.fs, args.length, args.hop)
    found: dict[str, Any] = {"settings": {k: str(v) for k, v in vars(args).items()}, "cores": os.cpu_count()}
    per_transform = found["seconds per transform"] = transform_seconds(requested)
    positions: dict[int, list[float]] = {count: [] for count in args.workers}
    for _ in range(args.repeat):
        for count in args.workers:
            with Cluster(count, args.memory) as cluster:
                shared = DaskSignals(opened(args.store), -1)
                shared.measure(None)  # opens the store
                idle = _IDLE * args.hop
                shared.sums([replace(requested, hop=idle)])  # loads the kernels
                busy = cluster.busy()
                shared.sums([replace(requested, hop=idle)])
                found[f"processor seconds of {count} without transforms"] = reading = cluster.busy() - busy
                start, busy, sent = time.perf_counter(), cluster.busy(), cluster.sent()
                (total,) = shared.sums([requested])
                positions[count].append(time.perf_counter() - start)
                found[f"processor seconds of {count}"] = cluster.busy() - busy
                transforms = total.frames * args.channels * per_transform
                found[f"processor seconds of {count}, predicted"] = reading * (1 - 1 / _IDLE) + transforms
                found[f"peak memory of {count}"] = cluster.peaks()
                found[f"bytes between {count}"] = cluster.sent() - sent
                found["stretches"], found["frames"] = len(shared.stretches), total.frames
                load = os.getloadavg()[0]
                print(
                    f"{count} workers: {positions[count][-1]:.1f} s, load {load:.1f}, peaks {cluster.peaks()}",
                    flush=True,
                )
    found["seconds"] = {count: statistics.median(values) for count, values in positions.items()}
    if args.tune:
        with Cluster(max(args.workers), args.memory) as cluster:
            start = time.perf_counter()
            settings = {"win_length": args.length, "hop": args.hop, "starts": 1, "options": {"maxiter": args.tune}}
            result = adaptstft.optimize(opened(args.store), args.fs, **settings)
            found["tuning"] = {
                "seconds": time.perf_counter() - start,
                "win_length": result.win_length,
                "evaluations": result.nfev,
                "peak memory": cluster.peaks(),
            }
            print(result.summary(), flush=True)
    return found


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__)
    parser.add_argument("store", type=Path, help="folder of the Zarr store")
    parser.add_argument("--seconds", type=float, default=3600.0, help="length of the sound (an hour)")
    parser.add_argument("--channels", type=int, default=8)
    parser.add_argument("--fs", type=float, default=48000.0, help="sampling rate in Hz")
    parser.add_argument("--length", type=float, default=1500.3, help="window length in samples")
    parser.add_argument("--hop", type=float, default=512.0, help="time between frames in samples")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="numbers of worker processes")
    parser.add_argument("--memory", default="1GB", help="limit of each worker")
    parser.add_argument("--repeat", type=int, default=1, help="rounds")
    parser.add_argument("--tune", type=int, default=0, metavar="N", help="tune as well, for at most N iterations")
    args = parser.parse_args()
    make_store(args.store, args.seconds, args.channels, args.fs)
    print(json.dumps(run(args), indent=2))


if __name__ == "__main__":
    main()
