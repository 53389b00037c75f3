"""Signals of order one, and the precision in which window lengths are compared: single precision is enough for them."""

from __future__ import annotations

import numpy as np

from adaptstft.common.typing import AnyArray

#: Samples up to which a signal keeps its precision. Single precision would save milliseconds, and the kernels for it
#: are compiled, once, for seconds.
FEW_SAMPLES = 1 << 14


def over_peak(x: AnyArray, peak: float | AnyArray) -> AnyArray:
    """Return a signal divided by real numbers; a quotient of complex numbers overflows for those below 1e-308."""
    if not np.iscomplexobj(x):
        return x / peak
    quotient = np.empty_like(x)
    quotient.real, quotient.imag = x.real / peak, x.imag / peak
    return quotient


def comparison_precision(x: AnyArray) -> AnyArray:
    """Return a real or complex signal in single precision; a short one as it is."""
    return x if x.size <= FEW_SAMPLES else x.astype(np.complex64 if np.iscomplexobj(x) else np.float32)
