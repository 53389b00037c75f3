"""A value with its gradient on the FFTs of other libraries, against SciPy's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.fft

import adaptstft
from benchmarks.harness import Case, Rival, Row, Settings, race, sound
from benchmarks.peers import require


def _on_backend(name: str, call: Callable[[], Any]) -> Callable[[], Any]:
    """Return a call with the FFTs of a library."""
    library = require(f"{name}.interfaces.scipy_fft")
    if name == "pyfftw":
        require("pyfftw").interfaces.cache.enable()

    def on_backend() -> Any:
        with scipy.fft.set_backend(library, only=True):
            return call()

    return on_backend


def _run(settings: Settings) -> list[Row]:
    rows: list[Row] = []
    for dtype in (np.float32, np.float64):
        x = sound(settings.size(480_000, 20_000), dtype)
        sft = adaptstft.AdaptiveShortTimeFFT("hann", 800.5, 256.0, 1.0, mfft=1024, workers=settings.workers)

        def call(sft: Any = sft, x: Any = x) -> Any:
            return sft.value_and_grad(x, "shannon", wrt=("win_length",))

        rivals = [
            Rival(f"the same with {name}", lambda name=name, call=call: _on_backend(name, call))  # type: ignore[misc]
            for name in ("mkl_fft", "pyfftw")
        ]
        work = f"value and gradient with SciPy's FFTs, {x.size:,} samples, 1024/256, {np.dtype(dtype).name}"
        rows += race(settings, "fft-backends", work, lambda call=call: call, rivals)  # type: ignore[misc]
    return rows


CASES = (Case("fft-backends", "value and gradient on the FFTs of SciPy, MKL and FFTW", _run),)
