"""Grid of frequencies for the paths of ridges, with harmonic orders, and the steps that a path may take."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from adaptstft.common.band_pass import EDGE_SHARE, BandPass
from adaptstft.common.typing import AnyArray, BoolArray, Float64Array, IntArray
from adaptstft.common.validation import as_bounds, as_inexact, check_finite
from adaptstft.engine.operator import analyse
from adaptstft.tracking.framed_signal import FramedSignal
from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT
from adaptstft.windows import Window

#: Largest rate of a ridge by default, as a multiple of the chirp rate that suits the windows best.
_RATE_MARGIN = 5.0
#: Rounding errors of positions on the grid, in bins.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class FrequencyGrid:
    """Frequencies of a path, and the positions of their multiples (orders) among the bins in ascending order.

    Attributes
    ----------
    f : ndarray, shape (points,)
        The frequencies in Hz.
    step : float
        Their spacing in Hz.
    orders : ndarray, shape (orders,)
        Multiples of the frequency.
    bins : ndarray of int, shape (orders, points)
        Bin at or below each multiple.
    fraction : ndarray, shape (orders, points)
        Distance of each multiple from that bin, from 0 to 1 bin.
    inside : ndarray of bool, shape (orders, points)
        Whether the multiple is in the range of the bins.
    """

    f: Float64Array
    step: float
    orders: Float64Array
    bins: IntArray
    fraction: Float64Array
    inside: BoolArray

    def sum_orders(self, values: Float64Array) -> Float64Array:
        """Interpolate values of bins (frames, bins) at all multiples; return their sums (frames, points)."""
        out = np.zeros((len(values), self.f.size))
        for q, fraction, inside in zip(self.bins, self.fraction, self.inside, strict=True):
            part = values[:, q]
            if fraction.any():
                above = np.minimum(q + 1, values.shape[1] - 1)
                part = (1 - fraction) * part + fraction * values[:, above]
            out += part if inside.all() else np.where(inside, part, 0.0)
        return out


def as_orders(orders: Any) -> Float64Array:
    """Check the multiples of the frequency; 1 if there are none."""
    if orders is None:
        return np.ones(1)
    values = as_inexact("orders", orders)
    if values.ndim != 1 or values.size == 0 or np.iscomplexobj(values):
        raise ValueError(f"orders has shape {values.shape}: it must be 1-D with at least one real multiple")
    check_finite("orders", values)
    if np.any(values <= 0) or np.unique(values).size < values.size:
        raise ValueError(f"orders={values.tolist()} must be positive and differ from each other")
    return values.astype(float)


def make_grid(sft: AdaptiveShortTimeFFT, f_bounds: Any, orders: Float64Array) -> FrequencyGrid:
    """Make the grid within `f_bounds`; its step is that of the bins over the highest order."""
    bins = np.sort(sft.f)
    low, high = (bins[0], bins[-1]) if f_bounds is None else as_bounds("f_bounds", f_bounds, -np.inf, "Hz")
    step = sft.delta_f / max(1.0, float(orders.max()))
    # multiples of the step, so that without orders the grid is the bins themselves
    first, last = np.ceil(low / step - _ROUNDING), np.floor(high / step + _ROUNDING)
    f = step * np.arange(first, last + 1)
    positions = (orders[:, np.newaxis] * f - bins[0]) / sft.delta_f
    inside = (positions > -_ROUNDING) & (positions < bins.size - 1 + _ROUNDING)
    reachable = inside.any(axis=0)
    if not reachable.any():
        raise ValueError(
            f"{f_bounds=} Hz holds no frequency of the transform, which has those from {bins[0]:g} to {bins[-1]:g} Hz "
            f"in steps of {sft.delta_f:g} Hz"
        )
    f, positions, inside = f[reachable], positions[:, reachable], inside[:, reachable]
    below = np.clip(np.floor(positions + _ROUNDING), 0, bins.size - 1)
    fraction = np.where(inside, np.clip(positions - below, 0.0, 1.0), 0.0)
    return FrequencyGrid(f, step, orders, below.astype(np.int64), fraction, inside)


def largest_steps(
    sft: AdaptiveShortTimeFFT, framed: FramedSignal, grid: FrequencyGrid, max_rate: float | None
) -> tuple[Float64Array, IntArray]:
    """Return the step at the largest rate and the longest legal step, in grid points, from each frame to the next.

    Without `max_rate` the largest rate of a frame is five times the chirp rate that suits its window best.
    """
    times = framed.centre_time[:, 0]
    if max_rate is None:
        rates = _RATE_MARGIN * matched_rate(sft.window, np.median(framed.win_duration, axis=1))
        between = np.maximum(rates[1:], rates[:-1])
    else:
        between = np.full(times.size - 1, max_rate)
    scale = between * np.diff(times) / grid.step
    # frames at the same time have the same frequency
    limit = np.minimum(np.ceil(scale), grid.f.size - 1).astype(np.int64)
    return np.where(scale > 0, scale, 1.0), limit


def matched_rate(window: Window, win_duration: Float64Array) -> Float64Array:
    """Rate in Hz/s of the linear chirp that windows of these durations in seconds concentrate most.

    For a Gaussian this is ``1 / (4 pi variance)``, with the variance of its energy in time.
    """
    u = np.linspace(-0.5, 0.5, 2001)
    energy = window(u) ** 2
    return np.asarray(1 / (4 * np.pi * (energy @ u**2) / energy.sum() * win_duration**2))


def in_bounds(x: AnyArray, fs: float, f_bounds: tuple[float, float] | None, orders: Float64Array) -> AnyArray:
    """Return signals ``x``, shape (channels, n), without what is out of bounds, for the search of paths.

    Otherwise a path would follow what a strong component elsewhere leaks into the range. The edges of the filter are
    centred at the bounds, so that components there keep half of their amplitude. They end before the ends of the
    spectrum, so that a mean is removed unless 0 Hz is within the bounds.
    """
    if f_bounds is None:
        return x
    ends: Float64Array = np.outer(orders, f_bounds)
    lowest, highest = (-fs / 2 if np.iscomplexobj(x) else 0.0), fs / 2
    if np.isrealobj(x) and ends.min() < 0:  # negative frequencies are mirror images
        ends = np.append(np.abs(ends), 0.0)
    low, high = (float(np.clip(end, lowest, highest)) for end in (ends.min(), ends.max()))
    distances = [distance for distance in (low - lowest, highest - high) if distance > 0]
    if low >= high or not distances:
        return x
    edge = min(EDGE_SHARE * (f_bounds[1] - f_bounds[0]), *distances)
    return BandPass(max(low - edge / 2, lowest), min(high + edge / 2, highest), fs, edge).passed(x)


def bin_powers(sft: AdaptiveShortTimeFFT, framed: FramedSignal) -> Float64Array:
    """Power of the bins in ascending order with windows of unit energy, shape (channels, frames, bins).

    White noise has the same power in all bins: its variance.
    """
    plan = replace(framed.plan, scaling="psd", T=1.0)
    S = analyse(plan, framed.layout.channels, framed.layout.frames)
    power = S.real**2 + S.imag**2
    return np.fft.fftshift(power, axes=-1) if sft.fft_mode == "twosided" else power
