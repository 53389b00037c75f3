"""Compilation of the CPU kernels before they are needed: ``python -m adaptstft --warm-up``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from adaptstft import denoise, griffin_lim, optimize, reassign, ridges, synchrosqueeze
from adaptstft.common.precision import FEW_SAMPLES
from adaptstft.common.typing import FFTMode
from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT
from adaptstft.transforms.scipy_compatible import ShortTimeFFT

_FS = 1000.0


def compile_kernels() -> None:
    """Call the functions of the package on examples, so that Numba compiles their kernels and keeps the result."""
    for call in _calls():
        call()


def _calls() -> Iterator[Callable[[], Any]]:
    """Yield calls that together use each kernel, in single and double precision, for real and complex signals."""
    x = np.cos(0.5 * np.arange(1500) + 1e-4 * np.arange(1500.0) ** 2)
    x += 0.01 * np.random.default_rng(0).standard_normal(x.size)
    signals = (x, x.astype(np.float32), x + 0j)
    yield partial(optimize, np.resize(x, FEW_SAMPLES + 1), _FS)  # compares lengths in single precision
    for signal in signals:
        for tuned in ("constant", "time", "frequency"):  # the kernels of bins are those of frequencies
            yield partial(optimize, signal, _FS, window_mode=tuned)
    yield partial(optimize, x, _FS, hop_mode="time")
    yield partial(optimize, x, _FS, window=("kaiser", 6.0), tune_shape=True, criterion="shannon")
    yield partial(denoise, x, _FS)
    for signal in signals:
        mode: FFTMode = "twosided" if np.iscomplexobj(signal) else "onesided"
        yield partial(_round_trip, ShortTimeFFT(np.hanning(64), 16, _FS, fft_mode=mode), signal)
        for length in (64.5, np.linspace(50.5, 70.5, 65 if mode == "onesided" else 128)[:, np.newaxis]):
            sft = AdaptiveShortTimeFFT("hann", length, 16.5, _FS, mfft=128, fft_mode=mode, scale_to="psd")
            yield partial(_differentiate, sft, signal)
    yield partial(_track, AdaptiveShortTimeFFT("hann", 64.5, 16, _FS, mfft=128), x)


def _round_trip(sft: Any, x: Any) -> None:
    sft.istft(sft.stft(x), k1=x.size)


def _differentiate(sft: Any, x: Any) -> None:
    """Transform a signal back and forth, and differentiate transform, spectrogram and criterion."""
    S = sft.stft(x)
    sft.vjp(x, S)
    sft.jvp(x, {"x": x})
    sft.spectrogram_and_vjp(x)[1](np.abs(S))
    sft.value_and_grad(x, "shannon")
    sft.istft(S, n=x.size)


def _track(sft: Any, x: Any) -> None:
    ridges(sft, x)
    reassign(sft, x)
    synchrosqueeze(sft, x)
    griffin_lim(sft, np.abs(sft.stft(x)), x.size, n_iter=2)
