"""SciPy's FFTs, each in the thread of its caller.

The engine has threads of its own. Without a number of workers a backend of `scipy.fft` such as that of MKL starts more
threads in each of them, and these wait for each other.
"""

from __future__ import annotations

from functools import partial

from scipy import fft as scipy_fft

__all__ = ["fft", "fftshift", "ifft", "ifftshift", "irfft", "rfft"]

fft, ifft, rfft, irfft = (
    partial(function, workers=1) for function in (scipy_fft.fft, scipy_fft.ifft, scipy_fft.rfft, scipy_fft.irfft)
)
fftshift, ifftshift = scipy_fft.fftshift, scipy_fft.ifftshift
