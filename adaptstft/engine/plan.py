"""The FFT of frames, and the settings that all frames of a transform share."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from types import ModuleType
from typing import cast

import numpy as np

from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.windows import Window


@dataclass(frozen=True)
class FFTPlan:
    """FFT of frames: length, mode, scaling and backend.

    Attributes
    ----------
    mfft : int
        Length of the FFT.
    fft_mode : str
        One of SciPy's four modes.
    scaling : str or None
        ``"magnitude"``, ``"psd"`` or None.
    kernels : module
        The backend, from `adaptstft.kernels.resolve`.
    workers : int
        Number of threads, unless the backend has a number of its own.
    """

    mfft: int
    fft_mode: str
    scaling: str | None
    kernels: ModuleType
    workers: int

    @property
    def onesided(self) -> bool:
        """True if the bins of negative frequencies are not stored."""
        return self.fft_mode in ("onesided", "onesided2X")

    @property
    def f_pts(self) -> int:
        """Number of frequency bins."""
        return self.mfft // 2 + 1 if self.onesided else self.mfft

    @property
    def power_gain(self) -> float:
        """Factor on ``|S|**2`` of the mirrored bins: more than 1 in mode ``"onesided2X"``."""
        if self.fft_mode != "onesided2X":
            return 1.0
        return 2.0 if self.scaling == "psd" else 4.0

    @property
    def interior(self) -> slice:
        """Mirrored bins: those of a one-sided spectrum whose negative frequency is not stored."""
        return slice(1, -1 if self.mfft % 2 == 0 else None)

    @property
    def threads(self) -> int:
        """Number of threads that work on blocks of frames."""
        return cast(int, self.kernels.WORKERS or self.workers)

    @property
    def fft(self) -> Callable[[AnyArray], AnyArray]:
        """FFT of the rows of an array; bins are in the order of SciPy's FFTs."""
        return cast(Callable[[AnyArray], AnyArray], self.kernels.fft.rfft if self.onesided else self.kernels.fft.fft)

    @property
    def adjoint_fft(self) -> Callable[[AnyArray], AnyArray]:
        """Inverse FFT of the rows without the factor ``1/mfft``; mirrored bins must be halved before.

        It may change its argument, cotangents that nothing else needs: FFTW may use their memory.
        """
        fft = self.kernels.fft
        if self.onesided:
            return partial(fft.irfft, n=self.mfft, axis=-1, norm="forward", overwrite_x=True)
        return partial(fft.ifft, axis=-1, norm="forward", overwrite_x=True)

    def store(self, spectra: AnyArray) -> AnyArray:
        """Scale and order the bins of an FFT as `fft_mode` says; may change `spectra`."""
        if self.power_gain != 1:
            spectra[:, self.interior] *= self.power_gain**0.5
        return self.stored_order(spectra)

    def stored_order(self, bins: AnyArray) -> AnyArray:
        """Bring rows from the order of an FFT's bins to the order in which bins are stored."""
        return cast(AnyArray, self.kernels.fft.fftshift(bins, axes=-1)) if self.fft_mode == "centered" else bins

    def fft_order(self, stored: AnyArray) -> AnyArray:
        """Inverse of `stored_order`."""
        return cast(AnyArray, self.kernels.fft.ifftshift(stored, axes=-1)) if self.fft_mode == "centered" else stored

    def inverse_fft(self, stored: AnyArray, delta: Float64Array | None = None) -> AnyArray:
        """Inverse of `fft` and `store`; `delta` is the rotation of the phase between them, in samples."""
        rotated = delta is not None and bool(np.any(delta))
        spectra = self.kernels.xp.array(stored, order="C") if rotated or self.power_gain != 1 else stored
        spectra = self.fft_order(spectra)
        if self.power_gain != 1:
            spectra[:, self.interior] /= self.power_gain**0.5
        if rotated:
            self.kernels.rotate(spectra, delta, self.mfft, self.onesided, -1.0)
        if self.onesided:
            return cast(AnyArray, self.kernels.fft.irfft(spectra, n=self.mfft, axis=-1))
        return cast(AnyArray, self.kernels.fft.ifft(spectra, axis=-1))

    def bin_layout(self) -> tuple[float, bool, bool]:
        """Power gain, whether bins are mirrored, and whether there is a Nyquist bin: arguments of the kernels."""
        return self.power_gain, self.onesided, self.mfft % 2 == 0


@dataclass(frozen=True)
class FramePlan(FFTPlan):
    """Settings that all frames of a transform with tunable windows share.

    Attributes
    ----------
    window : Window
        The window function.
    T : float
        Sampling interval in seconds.
    window_offset : float
        Centre of a window relative to the position of its frame, in samples.
    amplitude : float
        Additional factor on the window. Scale-free criteria do not depend on it.
    """

    window: Window
    T: float
    window_offset: float = 0.0
    amplitude: float = 1.0

    def single(self) -> FramePlan:
        """Return the plan for a single thread, for work within a block."""
        return replace(self, workers=1)
