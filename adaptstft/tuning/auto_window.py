"""The window families that ``window="auto"`` compares."""

from __future__ import annotations

from typing import Any

from adaptstft import windows
from adaptstft.criteria import Criterion, UserLoss
from adaptstft.windows import Window

#: Families without high side lobes, from the narrowest main lobe to the smallest time-frequency area. Entropies of high
#: order hardly depend on side lobes: among windows with high ones (Tukey, sine) they prefer the narrowest main lobe,
#: which hides weak components beside strong ones. Windows with a jump at their ends (Hamming) have no derivative there.
AUTO: tuple[Any, ...] = ("hann", "blackman", ("kaiser", 8.6), ("gaussian", 6.0))


def families(
    criterion: Criterion,
    *,
    tune_shape: bool,
    window_mode: str,
    scale_to: str | None,
    hop: Any,
    mfft: Any,
) -> tuple[Window, ...]:
    """Return the families that ``window="auto"`` compares: those with shape parameters if these are tuned.

    Raises
    ------
    ValueError
        If the values of different families cannot be compared.
    """
    if window_mode == "fixed":
        raise ValueError(f"window='auto' compares tuned windows: {window_mode=} must be another one")
    if scale_to != "psd":
        raise ValueError(f"window='auto' compares windows of unit energy: {scale_to=} must be 'psd'")
    if isinstance(criterion, UserLoss) and (hop is None or mfft is None):
        raise ValueError(
            f"window='auto' with a callable criterion needs hop and mfft, without which its values cannot be compared, "
            f"got {hop=}, {mfft=}"
        )
    compared = [windows.resolve(spec) for spec in AUTO]
    return tuple(window for window in compared if window.shape or not tune_shape)
