"""Value and gradient of many channels on a CUDA device, against dstft on the same device."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.differentiable import Peer, Problem
from benchmarks.harness import Case, Rival, Row, Settings, Target, race, sound

_NAME = "cuda"


def _on_device(problem: Problem) -> Callable[[], Any]:
    """Return our function; the signal is on the device, and the value on the host, which waits for the kernels."""
    start = problem.transform(1, backend="cuda")  # raises if a package or the device is missing
    import cupy

    x = cupy.asarray(problem.x)
    return lambda: start.remade(win_length=problem.lengths).value_and_grad(x, "shannon", wrt=problem.wrt)


def _peer(problem: Problem, settings: Settings) -> Callable[[], float]:
    peer = Peer(problem, settings)
    peer.module.to("cuda")
    peer.x = peer.x.to("cuda")
    return peer.evaluate


def device_name() -> str:
    """Return the name of the device, or a general name if there is none."""
    try:
        import cupy

        return str(cupy.cuda.runtime.getDeviceProperties(0)["name"].decode())
    except Exception:  # the row names the problem
        return "a CUDA device"


def _run(settings: Settings) -> list[Row]:
    channels, n = settings.size(64, 2), settings.size(480_000, 20_000)
    noise = np.random.default_rng(0).standard_normal((channels, n)).astype(np.float32)
    problem = Problem.at_hop(sound(n) + 0.1 * noise, 1024, 256, "time")
    work = f"value and gradient in one length a frame, {channels} channels of {n:,} samples, 1024/256, float32, on "
    rival = Rival("dstft on that device", lambda: _peer(problem, settings), Target(3))
    return race(settings, _NAME, work + device_name(), lambda: _on_device(problem), [rival])


CASES = (Case(_NAME, "value and gradient of many channels on a CUDA device, against dstft", _run),)
