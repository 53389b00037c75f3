"""The CUDA backend: its error messages if it cannot run, and its checks in Numba's simulator and on a device."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from numba import config, cuda

import adaptstft
from adaptstft import AdaptiveShortTimeFFT, kernels

CHECKS = [Path(__file__).with_name(name) for name in ("cuda_kernel_checks.py", "cuda_transform_checks.py")]
#: The package recognises CuPy arrays by the module name of their class.
CupyArray = type("ndarray", (), {"__module__": "cupy", "get": lambda self: np.ones(8), "shape": (8,)})


def has_device():
    return not config.ENABLE_CUDASIM and importlib.util.find_spec("cupy") is not None and cuda.is_available()


ON_DEVICE = pytest.mark.skipif(not has_device(), reason="needs CuPy and a CUDA device")


@pytest.mark.parametrize(
    ("simulated", "level"),
    [
        pytest.param(True, "--quick", id="some cases in the simulator"),
        pytest.param(True, "--full", marks=pytest.mark.full, id="all cases in the simulator"),
        pytest.param(False, "--full", marks=ON_DEVICE, id="all cases on a device"),
    ],
)
@pytest.mark.slow
def test_checks_pass(simulated, level):
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": str(int(simulated))}
    options = ["-q", level, "-p", "no:cacheprovider", "-p", "no:xdist"]
    command = [sys.executable, "-m", "pytest", *options, *map(str, CHECKS)]
    folder = CHECKS[0].parents[1]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, cwd=folder)
    assert done.returncode == 0, done.stdout[-4000:]
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout


@pytest.fixture
def no_simulator(monkeypatch):
    monkeypatch.setattr(config, "ENABLE_CUDASIM", 0)


def test_missing_cupy_names_the_command(monkeypatch, no_simulator):
    monkeypatch.setitem(sys.modules, "cupy", None)
    with pytest.raises(ImportError, match=r"this needs cupy, .*pip install .*\[cuda\]"):
        AdaptiveShortTimeFFT("hann", 16, 4, 1.0, backend="cuda")
    with pytest.raises(ImportError, match=r"pip install .*\[cuda\]"):
        adaptstft.optimize(np.ones(100), 1.0, backend="cuda")


def test_missing_numba_cuda_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba.cuda", None)
    with pytest.raises(ImportError, match=r"this needs numba-cuda, .*pip install .*\[cuda\]"):
        kernels.resolve("cuda")


@pytest.mark.parametrize(("reason", "text"), [("no\n driver", r"its driver: no driver\Z"), (None, r"its driver\Z")])
def test_missing_device(reason, text, monkeypatch, no_simulator):
    monkeypatch.setitem(sys.modules, "cupy", SimpleNamespace())
    monkeypatch.setattr(cuda, "is_available", lambda: False)
    monkeypatch.setattr(cuda, "cuda_error", lambda: reason)
    with pytest.raises(RuntimeError, match="backend='cuda' needs a CUDA device and " + text):
        AdaptiveShortTimeFFT("hann", 16, 4, 1.0, backend="cuda")


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_other_backends_refuse_cupy_arrays(backend):
    message = f"is a CuPy array, which backend='{backend}' does not take: use 'cuda', or pass"
    transform = AdaptiveShortTimeFFT("hann", 4, 2, 1.0, backend=backend)
    with pytest.raises(TypeError, match="x " + message):
        transform.stft(CupyArray())
    with pytest.raises(TypeError, match="S " + message):
        transform.istft(CupyArray())
    with pytest.raises(TypeError, match="x " + message):
        adaptstft.optimize(CupyArray(), 1.0, backend=backend)


def test_functions_without_cupy_support_raise():
    sft = adaptstft.ShortTimeFFT(np.ones(4), 2, 1.0)
    with pytest.raises(TypeError, match=r"x is a CuPy array, which this function does not take: pass x.get\(\)"):
        sft.stft(CupyArray())
    with pytest.raises(TypeError, match=r"cotangent is a CuPy array"):
        AdaptiveShortTimeFFT("hann", 4, 2, 1.0).vjp(np.ones(8), CupyArray())


def test_a_transform_keeps_its_backend_argument():
    transform = AdaptiveShortTimeFFT("hann", 4, 2, 1.0)
    assert transform.backend == transform.remade(hop=3).backend == "numba"
    assert transform.remade(backend="numpy").remade(hop=3).backend == "numpy"
