"""Conversion between arrays with the axes of the user and the arrays of the engine.

The engine takes signals of shape (channels, samples) and returns transforms of shape (channels, frames, f_pts).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import numpy as np

from adaptstft.common.device import is_device_array
from adaptstft.common.typing import AnyArray
from adaptstft.common.validation import as_index, as_inexact, check_finite
from adaptstft.engine.operator import AnyFrames, Span
from adaptstft.engine.padding import pad_adjoint
from adaptstft.engine.plan import FramePlan


def spectra_to_public(spectra: AnyArray, lead: tuple[int, ...], axis: int) -> AnyArray:
    """Return a transform of the engine in shape (..., f_pts, frames), then move frequency to `axis`."""
    S = np.swapaxes(spectra, -1, -2).reshape(*lead, spectra.shape[2], spectra.shape[1])
    return np.moveaxis(S, -2, axis)


def spectra_to_channels(S: AnyArray, f_axis: int, t_axis: int) -> tuple[AnyArray, tuple[int, ...]]:
    """Return a complex transform in shape (channels, frames, f_pts), and the shape of the other axes."""
    moved = np.moveaxis(S, (t_axis, f_axis), (-2, -1))
    if not np.iscomplexobj(moved):
        moved = moved.astype(np.result_type(moved.dtype, np.complex64))
    lead = moved.shape[:-2]
    return moved.reshape(int(np.prod(lead, dtype=int)), *moved.shape[-2:]), lead


def synthesis_axis(lead: tuple[int, ...], f_axis: int, t_axis: int) -> int:
    """Return the time axis of the signal of a transform: as in SciPy, the axis where frequency was."""
    return f_axis if f_axis < len(lead) + 1 else t_axis


def signal_to_public(x: AnyArray, lead: tuple[int, ...], f_axis: int, t_axis: int) -> AnyArray:
    """Return a signal of the engine in shape (..., samples), with time on the axis where frequency was."""
    return np.moveaxis(x.reshape(*lead, x.shape[1]), -1, synthesis_axis(lead, f_axis, t_axis))


@dataclass(frozen=True)
class SignalLayout:
    """A checked signal as channels, its frames, and the conversion of results to the axes of the user.

    Attributes
    ----------
    plan : FramePlan
        FFT and window of the transform.
    on_device : bool
        Whether results stay on the device of the kernels; otherwise they are copied to the host.
    channels : ndarray, shape (channels, before + n + after)
        The padded signal, on the device of the kernels.
    frames : Frames or BinFrames
        The frames, in the sample indices of `channels`.
    lead : tuple of int
        Shape of the signal without its time axis.
    n : int
        Number of samples without padding.
    axis : int
        Time axis of the signal.
    before, after : int
        Number of padded samples before and after the signal.
    padding : str
        Kind of padding.
    first : int
        Number of the first slice.
    """

    plan: FramePlan
    on_device: bool
    channels: AnyArray
    frames: AnyFrames
    lead: tuple[int, ...]
    n: int
    axis: int
    before: int
    after: int
    padding: str
    first: int

    def unpadded(self, channels: AnyArray) -> AnyArray:
        """Return the samples of the signal in an array of the shape of `channels`, as a view."""
        return channels[:, self.before : self.before + self.n]

    def to_public(self, spectra: AnyArray) -> AnyArray:
        """Return a transform of the engine with the axes of the user: frequency where time was, and time last."""
        spectra = _on_device_or_host(self.plan, spectra, self.on_device)
        return spectra_to_public(spectra, self.lead, self.axis)

    def cotangent(self, cotangent: Any) -> AnyArray:
        """Check a cotangent of the transform, and return it with the axes of the engine."""
        G = _as_cotangent(self.plan, cotangent)
        f_pts, p_num = self.plan.f_pts, len(self.frames)
        expected = [*self.lead, p_num]
        expected.insert(self.axis, f_pts)
        if G.shape != tuple(expected):
            raise ValueError(f"cotangent has shape {G.shape}, but the transform has shape {tuple(expected)}")
        G = self.plan.kernels.xp.asarray(G)
        return np.swapaxes(np.moveaxis(G, self.axis, -2).reshape(-1, f_pts, p_num), -1, -2)

    def signal_like(self, channels: AnyArray | None) -> AnyArray | None:
        """Return a gradient with respect to the channels in the shape of the signal; None if there is none."""
        if channels is None:
            return None
        if self.padding != "zeros":
            folded = pad_adjoint(self.plan.kernels.to_host(channels), self.before, self.n, self.padding)
            channels = self.plan.kernels.asarray(folded) if self.on_device else folded
        channels = _on_device_or_host(self.plan, channels, self.on_device)
        return np.moveaxis(channels.reshape(*self.lead, self.n), -1, self.axis)


@dataclass(frozen=True)
class SpectraLayout:
    """A checked transform as channels, its frames and samples, and the conversion of results.

    Attributes
    ----------
    plan, on_device, frames
        As in `SignalLayout`.
    channels : ndarray, shape (channels, frames, f_pts)
        The transform, on the device of the kernels.
    lead : tuple of int
        Shape of the transform without the axes of frequency and time.
    f_axis, t_axis : int
        Axes of frequency and time.
    span : Span
        Samples to compute.
    """

    plan: FramePlan
    on_device: bool
    channels: AnyArray
    frames: AnyFrames
    lead: tuple[int, ...]
    f_axis: int
    t_axis: int
    span: Span

    @classmethod
    def of(cls, plan: FramePlan, S: AnyArray, f_axis: int, t_axis: int, frames: AnyFrames, span: Span) -> SpectraLayout:
        """Lay out the transform ``S``."""
        on_device = is_device_array(S)
        channels, lead = spectra_to_channels(plan.kernels.xp.asarray(S), f_axis, t_axis)
        return cls(plan, on_device, channels, frames, lead, f_axis, t_axis, span)

    @property
    def _time_axis(self) -> int:
        return synthesis_axis(self.lead, self.f_axis, self.t_axis)

    def to_public(self, x: AnyArray) -> AnyArray:
        """Return a signal of the engine with the axes of the user."""
        x = _on_device_or_host(self.plan, x, self.on_device)
        return signal_to_public(x, self.lead, self.f_axis, self.t_axis)

    def cotangent(self, cotangent: Any) -> AnyArray:
        """Check a cotangent of the signal, and return it with the axes of the engine."""
        g = _as_cotangent(self.plan, cotangent)
        expected = list(self.lead)
        expected.insert(self._time_axis, self.span.k1 - self.span.k0)
        if g.shape != tuple(expected):
            raise ValueError(f"cotangent has shape {g.shape}, but the signal has shape {tuple(expected)}")
        g = cast(AnyArray, self.plan.kernels.xp.asarray(g))
        return np.moveaxis(g, self._time_axis, -1).reshape(len(self.channels), self.span.k1 - self.span.k0)

    def spectra_like(self, spectra: AnyArray) -> AnyArray:
        """Return a gradient with respect to the channels with the axes of the transform."""
        spectra = _on_device_or_host(self.plan, spectra, self.on_device)
        moved = spectra.reshape(*self.lead, *spectra.shape[1:])
        return np.moveaxis(moved, (-2, -1), (self.t_axis, self.f_axis))


def _on_device_or_host(plan: FramePlan, result: AnyArray, on_device: bool) -> AnyArray:
    return result if on_device else cast(AnyArray, plan.kernels.to_host(result))


def _as_cotangent(plan: FramePlan, cotangent: Any) -> AnyArray:
    array = as_inexact("cotangent", cotangent, device=plan.kernels.xp is not np)
    check_finite("cotangent", array)
    return array


def check_axes(S: AnyArray, f_axis: int, t_axis: int, f_pts: int) -> tuple[int, int]:
    """Return the axes of frequency and time of a transform as numbers from 0 on."""
    if S.ndim < 2:
        raise ValueError(f"S has shape {S.shape}: it needs a frequency axis and a time axis")
    axes = []
    for name, axis in (("f_axis", f_axis), ("t_axis", t_axis)):
        number = as_index(name, axis)
        if not -S.ndim <= number < S.ndim:
            raise ValueError(f"{name}={axis} must lie in [{-S.ndim}, {S.ndim - 1}] for an S of shape {S.shape}")
        axes.append(number % S.ndim)
    if axes[0] == axes[1]:
        raise ValueError(f"{f_axis=} and {t_axis=} must differ")
    if S.shape[axes[0]] != f_pts or S.shape[axes[1]] == 0:
        raise ValueError(
            f"S has shape {S.shape}: it must have {f_pts=} entries along {f_axis=} and at least one along {t_axis=}"
        )
    return axes[0], axes[1]
