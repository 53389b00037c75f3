"""Fixtures of the CUDA checks."""

import sys
import threading
import time

import numpy as np
import pytest


@pytest.fixture
def cuda(monkeypatch):
    """The module of CUDA kernels, in the simulator on strict arrays."""
    from adaptstft import kernels
    from adaptstft.kernels.cuda import arrays as cuda_arrays

    module = kernels.resolve("cuda")[1]
    if cuda_arrays.SIMULATED:
        import strict_arrays

        strict_arrays.install(monkeypatch, cuda_arrays, module)
        # The simulator runs each thread of the device on one of the host, and asks in a loop whether they have ended.
        monkeypatch.setattr("numba.cuda.simulator.kernel.BlockThread.is_alive", _is_alive)
        interval = sys.getswitchinterval()
        sys.setswitchinterval(2e-4)
        yield module
        sys.setswitchinterval(interval)
    else:
        yield module


def _is_alive(thread):
    """Return the same as without this function, but let other threads run first."""
    time.sleep(0)
    return threading.Thread.is_alive(thread)


@pytest.fixture(params=[np.float32, np.float64])
def real(request):
    return request.param


@pytest.fixture(params=["real", "complex"])
def dtype(request, real):
    return np.dtype(real) if request.param == "real" else np.result_type(real, np.complex64)
