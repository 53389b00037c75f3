"""The precision in which window lengths are compared; single precision is enough for signals of order one."""

from __future__ import annotations

import numpy as np

from adaptstft.common.typing import AnyArray

#: Samples up to which a signal keeps its precision. Single precision would save milliseconds, and the kernels for it
#: are compiled, once, for seconds.
FEW_SAMPLES = 1 << 14


def comparison_precision(x: AnyArray) -> AnyArray:
    """Return a real or complex signal in single precision; a short one as it is."""
    return x if x.size <= FEW_SAMPLES else x.astype(np.complex64 if np.iscomplexobj(x) else np.float32)
