"""What the adapters to other frameworks hold fixed while everything else is differentiated in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from adaptstft import windows
from adaptstft.common.typing import Backend, FFTMode, Parameter, Scaling
from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT

#: What a transform can be differentiated in beside its data, in the order of `Settings.transform`.
PARAMETERS: tuple[Parameter, ...] = ("win_length", "hop", "positions", "shape")


@dataclass(frozen=True)
class Settings:
    """Arguments of `adaptstft.AdaptiveShortTimeFFT` that are not differentiated in."""

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
        """Make the transform for values of the parameters."""
        arguments = dict(self.__dict__)
        window = windows.resolve(arguments.pop("window"))
        if shape is not None:
            window = window.with_shape(np.atleast_1d(shape).tolist())
        return AdaptiveShortTimeFFT(window, win_length, hop, positions=positions, **arguments)


def spectrogram_jvp(sft: AdaptiveShortTimeFFT, x: Any, tangents: Mapping[str, Any], **call: Any) -> Any:
    """Return the derivative of ``sft.spectrogram(x, **call)`` in a direction, as of `AdaptiveShortTimeFFT.jvp`."""
    S, dS = sft.stft(x, **call), sft.jvp(x, tangents, **call)
    return 2 * (S.real * dS.real + S.imag * dS.imag)


def like(argument: Any, gradient: Any) -> Any:
    """Bring a derivative to the shape and precision of what it is the derivative in."""
    argument = np.asarray(argument)
    dtype = argument.dtype if argument.dtype.kind in "fc" else np.float64  # integers would cut it off
    return np.asarray(gradient).astype(dtype, copy=False).reshape(argument.shape)
