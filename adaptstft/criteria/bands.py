"""The time-frequency plane divided: a scale of frequencies, bands of it, and the signal's energy in each tile."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from adaptstft.common.typing import AnyArray, Float64Array, IntArray
from adaptstft.criteria.neighbourhoods import Neighbourhoods, Tiles
from adaptstft.engine.bins import bin_numbers
from adaptstft.engine.forward import forward
from adaptstft.engine.frames import make_frames
from adaptstft.engine.plan import FramePlan
from adaptstft.windows import resolve

#: The scale of frequencies is linear below this fraction of the sampling frequency, and logarithmic above.
_CORNER = 1 / 64
_PER_WIDTH = 4


def frequency_scale(bins: IntArray, mfft: int) -> Float64Array:
    """Place of bins on a scale of frequencies that is logarithmic but for the lowest.

    It is ``log(1 + 64 f / fs)``, odd in ``f``, as the pitch that is heard is nearly.
    """
    return np.asarray(np.sign(bins) * np.log1p(np.abs(bins) / (_CORNER * mfft)))


def band_weights(plan: FramePlan, count: int) -> Float64Array:
    """Smooth bands evenly spaced on the scale of frequencies, shape (count, f_pts), that add up to two."""
    place = frequency_scale(bin_numbers(plan), plan.mfft)
    centres = band_centres(plan, count)
    if count == 1 or place.size == 1:
        return np.full((1, place.size), 2.0)
    bands = Neighbourhoods(centres, _PER_WIDTH * (centres[1] - centres[0]), np.zeros(count))
    return np.asarray(bands.weights(place)[0].toarray())


def band_centres(plan: FramePlan, count: int) -> Float64Array:
    """Places of the bands' centres on the scale of frequencies."""
    place = frequency_scale(bin_numbers(plan), plan.mfft)
    if count == 1:
        return np.array([(place.min() + place.max()) / 2])
    return np.linspace(place.min(), place.max(), count)


def make_tiles(plan: FramePlan, x: AnyArray, in_time: Neighbourhoods, count: int) -> Tiles:
    """Lay tiles over channels `x`, which begin at the first of `in_time`: `count` bands of each, with its energy.

    The energy comes from a spectrogram whose Hann windows are a quarter of a neighbourhood long, whatever
    windows the transform has: it is a constant of the criterion.
    """
    bands = band_weights(plan, count)
    length = float(np.clip(in_time.width / _PER_WIDTH, 2.0, plan.mfft))
    centres = np.arange(int(np.ceil((x.shape[-1] - 1) / (length / 4))) + 1) * (length / 4)
    peak = float(np.abs(x).max()) or 1.0  # squares of any amplitude stay finite
    plain = replace(plan, window=resolve("hann"), scaling="psd", amplitude=1 / peak)
    S = forward(plain, x, make_frames(np.full(centres.size, length), centres, mfft=plan.mfft))
    energy = plan.kernels.to_host(np.sum(S.real.astype(float) ** 2 + S.imag.astype(float) ** 2, axis=0))
    share = bands @ energy.T @ in_time.weights(in_time.centres[0] + centres)[0].T
    total = max(float(share.sum()), np.finfo(float).tiny)
    return Tiles(in_time, bands, np.asarray(share / total).ravel())
