"""FFT of frames and what all frames of a transform have in common."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import ModuleType
from typing import cast

import numpy as np

from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.windows import Window


@dataclass(frozen=True)
class FFTPlan:
    """FFT of frames: its length, mode and scaling, and what computes it.

    Attributes
    ----------
    mfft : int
        Length of the FFT.
    fft_mode : str
        One of SciPy's four modes.
    scaling : str or None
        ``"magnitude"``, ``"psd"`` or None.
    kernels : module
        The inner loops, from ``adaptstft.kernels.resolve``.
    workers : int
        Number of threads.
    """

    mfft: int
    fft_mode: str
    scaling: str | None
    kernels: ModuleType
    workers: int

    @property
    def onesided(self) -> bool:
        """Whether negative frequencies are left out."""
        return self.fft_mode in ("onesided", "onesided2X")

    @property
    def f_pts(self) -> int:
        """Number of frequency bins."""
        return self.mfft // 2 + 1 if self.onesided else self.mfft

    @property
    def power_gain(self) -> float:
        """Factor on ``|S|**2`` of the bins that stand for two in mode ``"onesided2X"``."""
        if self.fft_mode != "onesided2X":
            return 1.0
        return 2.0 if self.scaling == "psd" else 4.0

    @property
    def interior(self) -> slice:
        """The bins of a one-sided spectrum that have a mirror image."""
        return slice(1, -1 if self.mfft % 2 == 0 else None)

    def fft(self, frames: AnyArray) -> AnyArray:
        """FFT of the rows, in the order of bins that SciPy's FFTs have."""
        fft = self.kernels.fft
        return cast(AnyArray, (fft.rfft if self.onesided else fft.fft)(frames, axis=-1))

    def adjoint_fft(self, spectra: AnyArray) -> AnyArray:
        """Unscaled inverse FFT; one-sided spectra come with mirrored bins halved."""
        if self.onesided:
            return cast(AnyArray, self.kernels.fft.irfft(spectra, n=self.mfft, axis=-1, norm="forward"))
        return cast(AnyArray, self.kernels.fft.ifft(spectra, axis=-1, norm="forward"))

    def store(self, spectra: AnyArray) -> AnyArray:
        """Scale and order the bins of an FFT as the mode says; may change `spectra`."""
        if self.power_gain != 1:
            spectra[:, self.interior] *= self.power_gain**0.5
        return self.kernels.fft.fftshift(spectra, axes=-1) if self.fft_mode == "centered" else spectra

    def inverse_fft(self, stored: AnyArray, delta: Float64Array | None = None) -> AnyArray:
        """Invert `store` and `fft`, undoing a rotation of the phase by `delta` in between."""
        turned = delta is not None and bool(np.any(delta))
        spectra = self.kernels.xp.array(stored, order="C") if turned or self.power_gain != 1 else stored
        if self.fft_mode == "centered":
            spectra = self.kernels.fft.ifftshift(spectra, axes=-1)
        if self.power_gain != 1:
            spectra[:, self.interior] /= self.power_gain**0.5
        if turned:
            self.kernels.rotate(spectra, delta, self.mfft, self.onesided, -1.0)
        if self.onesided:
            return cast(AnyArray, self.kernels.fft.irfft(spectra, n=self.mfft, axis=-1))
        return cast(AnyArray, self.kernels.fft.ifft(spectra, axis=-1))

    def bin_layout(self) -> tuple[float, bool, bool]:
        """Gain, whether bins are mirrored, whether the Nyquist bin exists: as the kernels take them."""
        return self.power_gain, self.onesided, self.mfft % 2 == 0


@dataclass(frozen=True)
class FramePlan(FFTPlan):
    """What all frames of a transform with tunable windows have in common.

    Attributes
    ----------
    window : Window
        The window function.
    T : float
        Sampling interval in seconds.
    window_offset : float
        Centre of a window relative to its frame's time, in samples.
    amplitude : float
        Extra factor on the window, for criteria that do not depend on it.
    """

    window: Window
    T: float
    window_offset: float = 0.0
    amplitude: float = 1.0

    def single(self) -> FramePlan:
        """Return the transform for use on one thread, within a block of others."""
        return replace(self, workers=1)
