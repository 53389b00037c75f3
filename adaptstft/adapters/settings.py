"""Arguments and parameters of a transform, as the adapters to autograd and PyTorch use them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from adaptstft import windows
from adaptstft.common.typing import Backend, FFTMode, Parameter, Scaling
from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT

#: Differentiable parameters of a transform, in the order of `Settings.transform`.
PARAMETERS: tuple[Parameter, ...] = ("win_length", "hop", "positions", "shape")


@dataclass(frozen=True)
class Settings:
    """Arguments of `adaptstft.AdaptiveShortTimeFFT` without derivatives."""

    window: Any
    fs: float
    max_length: int | None
    fft_mode: FFTMode
    mfft: int
    scale_to: Scaling | None
    phase_shift: int | None
    window_offset: float
    workers: int | None
    backend: Backend

    def transform(self, win_length: Any, hop: Any, positions: Any, shape: Any) -> AdaptiveShortTimeFFT:
        """Make the transform with the given parameters."""
        arguments = dict(self.__dict__)
        window = windows.resolve(arguments.pop("window"))
        if shape is not None:
            window = window.with_shape(np.atleast_1d(shape).tolist())
        return AdaptiveShortTimeFFT(window, win_length, hop, positions=positions, **arguments)


def spectrogram_jvp(sft: AdaptiveShortTimeFFT, x: Any, tangents: Mapping[str, Any], **call: Any) -> Any:
    """Return the directional derivative of ``sft.spectrogram(x, **call)``, with `tangents` as in its `jvp`."""
    S, dS = sft.stft(x, **call), sft.jvp(x, tangents, **call)
    return 2 * (S.real * dS.real + S.imag * dS.imag)


def like(argument: Any, gradient: Any) -> Any:
    """Return a gradient in the shape and precision of the argument that it belongs to."""
    argument = np.asarray(argument)
    dtype = argument.dtype if argument.dtype.kind in "fc" else np.float64  # an integer dtype would truncate it
    return np.asarray(gradient).astype(dtype, copy=False).reshape(argument.shape)
