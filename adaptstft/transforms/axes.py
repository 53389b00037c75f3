"""The caller's axes and the form that the block engine works on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np

from adaptstft.common.device import is_device_array
from adaptstft.common.typing import AnyArray
from adaptstft.common.validation import as_index
from adaptstft.engine.bins import BinFrames
from adaptstft.engine.frames import Frames
from adaptstft.engine.operator import Span
from adaptstft.engine.padding import pad_adjoint
from adaptstft.engine.plan import FramePlan


def spectra_to_public(spectra: AnyArray, lead: tuple[int, ...], axis: int) -> AnyArray:
    """(channels, frames, f_pts) -> (..., f_pts, frames) with frequency at `axis`, where time was."""
    S = np.swapaxes(spectra, -1, -2).reshape(*lead, spectra.shape[2], spectra.shape[1])
    return np.moveaxis(S, -2, axis)


def spectra_to_channels(S: AnyArray, f_axis: int, t_axis: int) -> tuple[AnyArray, tuple[int, ...]]:
    """Bring a transform to complex numbers of shape (channels, frames, f_pts); also return its other axes."""
    moved = np.moveaxis(S, (t_axis, f_axis), (-2, -1))
    if not np.iscomplexobj(moved):
        moved = moved.astype(np.result_type(moved.dtype, np.complex64))
    lead = moved.shape[:-2]
    return moved.reshape(int(np.prod(lead, dtype=int)), *moved.shape[-2:]), lead


def synthesis_axis(lead: tuple[int, ...], f_axis: int, t_axis: int) -> int:
    """Return the axis of time in the signal of a transform: as in SciPy, it takes the place of frequency."""
    return f_axis if f_axis < len(lead) + 1 else t_axis


def signal_to_public(x: AnyArray, lead: tuple[int, ...], f_axis: int, t_axis: int) -> AnyArray:
    """(channels, samples) -> (..., samples) with time where frequency was."""
    return np.moveaxis(x.reshape(*lead, x.shape[1]), -1, synthesis_axis(lead, f_axis, t_axis))


@dataclass(frozen=True)
class SignalLayout:
    """A checked signal as channels, its frames, and the way back to the caller's axes.

    Channels are where the kernels of `plan` work; `on_device` tells whether what goes back stays there.
    """

    plan: FramePlan
    on_device: bool
    channels: AnyArray
    frames: Frames | BinFrames
    lead: tuple[int, ...]
    n: int
    axis: int
    before: int
    after: int
    padding: str
    first: int

    def to_public(self, spectra: AnyArray) -> AnyArray:
        """(channels, frames, f_pts) -> (..., f_pts, frames) with frequency where time was."""
        spectra = _given_back(self.plan, spectra, self.on_device)
        return spectra_to_public(spectra, self.lead, self.axis)

    def from_public(self, S: AnyArray, f_pts: int) -> AnyArray:
        """Inverse of `to_public`, with a check of the shape."""
        p_num = len(self.frames)
        expected = [*self.lead, p_num]
        expected.insert(self.axis, f_pts)
        if S.shape != tuple(expected):
            raise ValueError(f"cotangent has shape {S.shape}, but the transform has shape {tuple(expected)}")
        S = self.plan.kernels.xp.asarray(S)
        return np.swapaxes(np.moveaxis(S, self.axis, -2).reshape(-1, f_pts, p_num), -1, -2)

    def signal_like(self, channels: AnyArray | None) -> AnyArray | None:
        """Bring a gradient in the channels, if there is one, to the shape of the signal."""
        if channels is None:
            return None
        if self.padding != "zeros":
            folded = pad_adjoint(self.plan.kernels.to_host(channels), self.before, self.n, self.padding)
            channels = self.plan.kernels.asarray(folded) if self.on_device else folded
        channels = _given_back(self.plan, channels, self.on_device)
        return np.moveaxis(channels.reshape(*self.lead, self.n), -1, self.axis)


@dataclass(frozen=True)
class SpectraLayout:
    """A checked transform as channels, its frames and samples, and the way back, as in `SignalLayout`."""

    plan: FramePlan
    on_device: bool
    channels: AnyArray
    frames: Frames | BinFrames
    lead: tuple[int, ...]
    f_axis: int
    t_axis: int
    span: Span

    @classmethod
    def of(
        cls, plan: FramePlan, S: AnyArray, f_axis: int, t_axis: int, frames: Frames | BinFrames, span: Span
    ) -> SpectraLayout:
        """Bring ``S`` to shape (channels, frames, f_pts)."""
        on_device = is_device_array(S)
        channels, lead = spectra_to_channels(plan.kernels.xp.asarray(S), f_axis, t_axis)
        return cls(plan, on_device, channels, frames, lead, f_axis, t_axis, span)

    @property
    def _time_axis(self) -> int:
        return synthesis_axis(self.lead, self.f_axis, self.t_axis)

    def to_public(self, x: AnyArray) -> AnyArray:
        """(channels, samples) -> (..., samples) with time where frequency was."""
        x = _given_back(self.plan, x, self.on_device)
        return signal_to_public(x, self.lead, self.f_axis, self.t_axis)

    def from_public(self, x: AnyArray) -> AnyArray:
        """Inverse of `to_public`, with a check of the shape."""
        expected = list(self.lead)
        expected.insert(self._time_axis, self.span.k1 - self.span.k0)
        if x.shape != tuple(expected):
            raise ValueError(f"cotangent has shape {x.shape}, but the signal has shape {tuple(expected)}")
        x = self.plan.kernels.xp.asarray(x)
        return np.moveaxis(x, self._time_axis, -1).reshape(len(self.channels), self.span.k1 - self.span.k0)

    def spectra_like(self, spectra: AnyArray) -> AnyArray:
        """Bring a gradient in the channels to the axes of the transform."""
        spectra = _given_back(self.plan, spectra, self.on_device)
        moved = spectra.reshape(*self.lead, *spectra.shape[1:])
        return np.moveaxis(moved, (-2, -1), (self.t_axis, self.f_axis))


def _given_back(plan: FramePlan, result: AnyArray, on_device: bool) -> AnyArray:
    return result if on_device else cast(AnyArray, plan.kernels.to_host(result))


def check_axes(S: AnyArray, f_axis: int, t_axis: int, f_pts: int) -> tuple[int, int]:
    """Return the axes of frequency and time of a transform as numbers from 0 on."""
    if S.ndim < 2:
        raise ValueError(f"S has shape {S.shape}: it needs an axis of frequency and one of time")
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
            f"S has shape {S.shape}: it must have {f_pts=} entries along {f_axis=} and some along {t_axis=}"
        )
    return axes[0], axes[1]
