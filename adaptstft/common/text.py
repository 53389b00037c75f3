"""Text for window lengths, hops and durations, with units."""

from __future__ import annotations

import unicodedata
from collections.abc import Sized
from dataclasses import fields
from typing import Any

import numpy as np

from adaptstft.common.typing import Float64Array


def printable(text: str) -> str:
    """Return a text with escapes for control characters, ends of lines, and bytes that are no text."""
    return "".join(c if _is_shown(c) else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def _is_shown(character: str) -> bool:
    return character.isprintable() or unicodedata.category(character) == "Zs"  # blanks of any width


def count_things(things: Sized, name: str) -> str:
    """Return a count with its noun in the singular or plural: ``"1 frame"``, ``"3 frames"``."""
    return f"{len(things)} {name}" if len(things) == 1 else f"{len(things)} {name}s"


def in_samples(value: float) -> str:
    """Return a number of samples as text: ``"1 sample"``, ``"12.5 samples"``."""
    return f"{value:g} sample{'s' * (value != 1)}"


def short_repr(instance: Any) -> str:
    """Return the class of a dataclass and its fields, with the shapes of arrays in place of their values."""
    parts = []
    for field in (field for field in fields(instance) if field.repr):
        value = getattr(instance, field.name)
        if isinstance(value, np.ndarray):
            value = f"<{' x '.join(map(str, value.shape))}>" if value.ndim else f"{value.item():.6g}"
        else:
            value = f"{value:.6g}" if isinstance(value, float) else repr(value)
        parts.append(f"{field.name}={value}")
    return f"{type(instance).__name__}({', '.join(parts)})"


def describe_window(window: Any) -> str:
    """Return the name of a window and its shape parameters: ``"kaiser (8.6)"``."""
    if not window.shape:
        return str(window.name)
    return f"{window.name} ({', '.join(f'{v:.4g}' for v in window.shape)})"


def describe_lengths(win_length: Any, fs: float) -> str:
    """Return window lengths as text.

    Parameters
    ----------
    win_length : float or ndarray
        Window length or lengths in samples.
    fs : float
        Sampling rate in Hz.

    Returns
    -------
    str
        One length in samples and as a duration, or the range and the median of several.
    """
    if np.ndim(win_length) == 0:
        return f"{win_length:.2f} samples = {describe_duration(win_length / fs)}"
    low, mid, high = np.quantile(win_length, [0, 0.5, 1])
    if f"{low:.1f}" == f"{high:.1f}":
        return f"{mid:.2f} samples = {describe_duration(mid / fs)}, the same everywhere"
    return f"{low:.1f} to {high:.1f} samples, median {mid:.1f} = {describe_duration(mid / fs)}"


def describe_hops(positions: Float64Array | None, hop: float | None, fs: float) -> str:
    """Return the hop between frames as text.

    Parameters
    ----------
    positions : ndarray, shape (p_num,), or None
        Frame positions in samples. None if the number of frames depends on the signal.
    hop : float or None
        Constant hop in samples. None takes it from `positions`.
    fs : float
        Sampling rate in Hz.

    Returns
    -------
    str
        The hop in samples and as a duration, or the range and the mean of varying hops, and the number of
        frames if `positions` is given.
    """
    frames = "" if positions is None else f"; {count_things(positions, 'frame')}"
    spacing = np.diff([] if positions is None else positions)
    if spacing.size and np.ptp(spacing) > 1e-9 * spacing.mean():
        return f"{spacing.min():.1f} to {spacing.max():.1f} samples, mean {spacing.mean():.1f}{frames}"
    if hop is None:
        hop = float(spacing.mean()) if spacing.size else 0.0
    return f"{in_samples(hop)} = {describe_duration(hop / fs)}{frames}"


def describe_span(seconds: float) -> str:
    """Return the duration of a recording as text, also in minutes or hours."""
    for unit, size in (("h", 3600.0), ("min", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.3g} {unit}"
    return describe_duration(seconds)


def describe_duration(seconds: float) -> str:
    """Return a duration as text, in s, ms, us or ns."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("us", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.4g} {unit}"
    return f"{seconds / 1e-9:.4g} ns"
