"""Cost of one iteration of tuning on the workers of a local cluster, as in docs/planning.rst.

``python -m benchmarks.cluster STORE`` writes a Zarr store of some hours of sound, unless it exists, and evaluates the
criterion with its gradient, as each iteration of tuning does, with one worker process and with two. It needs the extra
``dask``, and Zarr.
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
#: Factor on the hop that leaves hardly any work except reading.
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
    """Make a chunk by rotation of the same sound, so that the noise is made only once."""
    (first, last), (low, high) = block_info[None]["array-location"]
    return np.roll(_sound(last - first, length, fs), low // length, axis=1)[:, : high - low]


def make_store(path: Path, seconds: float, channels: int, fs: float) -> None:
    """Write a store chunk by chunk, with the memory of a few chunks."""
    if path.exists():
        return
    chunk, n = int(_CHUNK_SECONDS * fs), int(seconds * fs)
    sizes = (chunk,) * (n // chunk) + ((n % chunk,) if n % chunk else ())
    meta = np.zeros((0, 0), np.int16)
    x = da.map_blocks(_chunk, chunks=((channels,), sizes), dtype=np.int16, meta=meta, length=chunk, fs=fs)
    with dask.config.set(scheduler="threads", num_workers=1):
        x.to_zarr(str(path), compressors=None)  # noise cannot be compressed


def opened(path: Path) -> Any:
    """Return the samples of a store in single precision, from -1 to 1."""
    return da.from_zarr(str(path)).astype(np.float32) / np.float32(32768)


def query(fs: float, length: float, hop: float, *, gradient: bool = True) -> Query:
    """Make the query of one iteration."""
    mfft = 1 << int(np.ceil(np.log2(length)))
    module = kernels.resolve("auto")[1]
    plan = FramePlan(mfft, "onesided", "psd", module, 1, windows.resolve("hann"), 1 / fs, amplitude=fs**0.5)
    return Query(plan, np.array([length]), hop, criteria.Renyi(scope="global"), gradient=gradient)


def _peak_memory() -> int:
    """Return the peak of the resident memory of this process in bytes."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


def transform_seconds(requested: Query) -> float:
    """Return the processor time of one frame with its gradient in this process, in seconds."""
    x = np.random.default_rng(0).standard_normal((1, 1 << 19)).astype(np.float32)
    stretch = Stretch(x, x.shape[1])
    seconds = []
    for _ in range(6):
        start = time.process_time()
        (total,) = partial_sums(stretch, [requested])
        seconds.append((time.process_time() - start) / total.frames)
    return min(seconds)


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
        """Return the peak of the memory of each worker in bytes."""
        return list(self.client.run(_peak_memory).values())

    def busy(self) -> float:
        """Return the processor time of all workers in seconds; it does not depend on other load of the machine."""
        return sum(self.client.run(time.process_time).values())

    def sent(self) -> int:
        """Return the number of bytes sent from worker to worker."""

        def sent(dask_worker: Any) -> int:
            return int(dask_worker.transfer_outgoing_bytes_total)

        return sum(self.client.run(sent).values())


def run(args: argparse.Namespace) -> dict[str, Any]:
    """Evaluate with each number of workers in turn, and return the measurements."""
    requested = query(args.fs, args.length, args.hop)
    measured: dict[str, Any] = {"settings": {k: str(v) for k, v in vars(args).items()}, "cores": os.cpu_count()}
    per_transform = measured["seconds per transform"] = transform_seconds(requested)
    seconds: dict[int, list[float]] = {count: [] for count in args.workers}
    for _ in range(args.repeat):
        for count in args.workers:
            with Cluster(count, args.memory) as cluster:
                shared = DaskSignals(opened(args.store), -1)
                shared.measure(None)  # opens the store
                idle = _IDLE * args.hop
                shared.sums([replace(requested, hop=idle)])  # loads the kernels
                busy = cluster.busy()
                shared.sums([replace(requested, hop=idle)])
                measured[f"processor seconds of {count} without transforms"] = reading = cluster.busy() - busy
                start, busy, sent = time.perf_counter(), cluster.busy(), cluster.sent()
                (total,) = shared.sums([requested])
                seconds[count].append(time.perf_counter() - start)
                measured[f"processor seconds of {count}"] = cluster.busy() - busy
                transforms = total.frames * args.channels * per_transform
                measured[f"processor seconds of {count}, predicted"] = reading * (1 - 1 / _IDLE) + transforms
                measured[f"peak memory of {count}"] = cluster.peaks()
                measured[f"bytes between {count}"] = cluster.sent() - sent
                measured["stretches"], measured["frames"] = len(shared.stretches), total.frames
                load = os.getloadavg()[0]
                print(
                    f"{count} workers: {seconds[count][-1]:.1f} s, load {load:.1f}, peaks {cluster.peaks()}",
                    flush=True,
                )
    measured["seconds"] = {count: statistics.median(values) for count, values in seconds.items()}
    if args.tune:
        with Cluster(max(args.workers), args.memory) as cluster:
            start = time.perf_counter()
            settings = {"win_length": args.length, "hop": args.hop, "starts": 1, "options": {"maxiter": args.tune}}
            result = adaptstft.optimize(opened(args.store), args.fs, **settings)
            measured["tuning"] = {
                "seconds": time.perf_counter() - start,
                "win_length": result.win_length,
                "evaluations": result.nfev,
                "peak memory": cluster.peaks(),
            }
            print(result.summary(), flush=True)
    return measured


def main() -> None:
    """Run the command line."""
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
