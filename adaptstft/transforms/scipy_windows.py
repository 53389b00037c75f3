"""Conversion between the windows of this package and the window samples of SciPy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from adaptstft.common.typing import Float64Array
from adaptstft.common.validation import show
from adaptstft.windows import Window
from adaptstft.windows.window import restore

if TYPE_CHECKING:
    from scipy.signal import ShortTimeFFT

#: Largest difference of window samples, relative to the peak, at which two windows count as equal.
_TOLERANCE = 1e-10


def window_samples(window: Window, length: float, m_num: int, offset: float) -> Float64Array:
    """Return the `m_num` samples of a window of real `length` for a slice at position 0."""
    k = np.ceil(offset - m_num / 2) + np.arange(m_num)
    return window((k - offset) / length)


def _lengths_and_offsets(m_num: int) -> list[tuple[float, float]]:
    """Return window length and offset of SciPy's periodic and symmetric windows of `m_num` samples.

    SciPy's position of a slice is sample ``m_num // 2``. This is the centre of a
    periodic window if `m_num` is even, and of a symmetric window if it is odd.
    """
    periodic = (float(m_num), 0.0 if m_num % 2 == 0 else 0.5)
    symmetric = (float(m_num - 1), -0.5 if m_num % 2 == 0 else 0.0)
    # samples of a symmetric window in an array, which are centred in their cells
    cells = (float(m_num), -0.5 if m_num % 2 == 0 else 0.0)
    return [periodic, symmetric, cells] if m_num > 1 else [periodic]


def _scipy_spec(window: Any, length: float) -> Window:
    """Return the window of a specification for `scipy.signal.get_window`, with a Gaussian's std in samples."""
    family = restore(window, symmetric=True)
    is_std = family.name == "gaussian" and isinstance(window, tuple | list) and len(window) == 2
    return family.with_shape([length / family.shape[0]]) if is_std else family


def scipy_window(sft: ShortTimeFFT, window: Any) -> tuple[Window, float, float]:
    """Return the window, length and offset with the samples of a SciPy transform."""
    if np.iscomplexobj(sft.win):
        raise ValueError("sft.win is complex: the window families are real")
    if sft.scaling not in (None, "magnitude", "psd"):
        raise ValueError(f"{sft.scaling=} is not supported: it must be 'magnitude', 'psd' or None")
    errors = []
    for length, offset in _lengths_and_offsets(sft.m_num):
        family = _scipy_spec(window, length)
        samples = window_samples(family, length, sft.m_num, offset)
        if sft.scaling is not None:
            samples *= np.sum(sft.win * samples) / np.sum(samples**2)
        error = float(np.abs(samples - sft.win).max() / np.abs(sft.win).max())
        if error <= _TOLERANCE:
            return family, length, offset
        errors.append(error)
    raise ValueError(
        f"window={show(window)} does not reproduce sft.win: samples differ by {errors[0]:.2g} as a periodic window"
        + (f" and by {errors[1]:.2g} as a symmetric one" if len(errors) > 1 else "")
        + "; a symmetric window that jumps at its ends cannot be reproduced: its last sample is outside the "
        "support; window=sft.win takes the samples themselves"
    )
