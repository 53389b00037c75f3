"""Signals in single precision, which is enough to compare window lengths: they are of order one."""

from __future__ import annotations

import numpy as np

from adaptstft.common.typing import AnyArray


def single_precision(x: AnyArray) -> AnyArray:
    """Return a real or complex signal in single precision."""
    return x.astype(np.complex64 if np.iscomplexobj(x) else np.float32)
