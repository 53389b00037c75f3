"""Fixtures of the CUDA checks."""

import sys

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
        interval = sys.getswitchinterval()
        sys.setswitchinterval(2e-4)  # the simulator runs each thread of the device on a thread of the host
        yield module
        sys.setswitchinterval(interval)
    else:
        yield module


@pytest.fixture(params=[np.float32, np.float64])
def real(request):
    return request.param


@pytest.fixture(params=["real", "complex"])
def dtype(request, real):
    return np.dtype(real) if request.param == "real" else np.result_type(real, np.complex64)
