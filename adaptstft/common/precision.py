"""Signals of order one, and in single precision, which is then enough to compare window lengths."""

from __future__ import annotations

import numpy as np

from adaptstft.common.typing import AnyArray


def over_peak(x: AnyArray, peak: float | AnyArray) -> AnyArray:
    """Return a signal divided by real numbers; a quotient of complex numbers overflows for those below 1e-308."""
    if not np.iscomplexobj(x):
        return x / peak
    quotient = np.empty_like(x)
    quotient.real, quotient.imag = x.real / peak, x.imag / peak
    return quotient


def single_precision(x: AnyArray) -> AnyArray:
    """Return a real or complex signal in single precision."""
    return x.astype(np.complex64 if np.iscomplexobj(x) else np.float32)
