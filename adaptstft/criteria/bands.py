"""Smooth frequency bands on a mostly logarithmic scale, and tiles of them with the energy of the signal in each."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from scipy import sparse

from adaptstft.common.typing import AnyArray, Float64Array, IntArray
from adaptstft.criteria.neighbourhoods import Neighbourhoods, Tiles
from adaptstft.engine.bins import bin_numbers
from adaptstft.engine.forward import forward
from adaptstft.engine.frames import Frames, make_frames
from adaptstft.engine.operator import energies, energies_and_vjp
from adaptstft.engine.plan import FFTPlan, FramePlan
from adaptstft.windows import resolve

#: The scale is about linear below this fraction of the sampling frequency, and logarithmic above.
_CORNER = 1 / 64
#: Number of bands in the support of one band, and of Hann windows in a neighbourhood.
_PER_WIDTH = 4


def frequency_scale(bins: IntArray, mfft: int) -> Float64Array:
    """Return the coordinates of bins on a scale that is logarithmic except at low frequencies.

    The scale is ``log(1 + 64 f / fs)`` for positive frequencies ``f``, and odd. Perceived pitch is similar.
    """
    return np.asarray(np.sign(bins) * np.log1p(np.abs(bins) / (_CORNER * mfft)))


def band_weights(plan: FFTPlan, count: int) -> Float64Array:
    """Return the weights of bins in bands evenly spaced on the scale, shape (count, f_pts); their sum is 2 per bin."""
    scale = frequency_scale(bin_numbers(plan), plan.mfft)
    centres = band_centres(plan, count)
    if count == 1 or scale.size == 1:
        return np.full((1, scale.size), 2.0)
    bands = Neighbourhoods(centres, _PER_WIDTH * (centres[1] - centres[0]), np.zeros(count))
    return np.asarray(bands.weights(scale)[0].toarray())


def band_centres(plan: FFTPlan, count: int) -> Float64Array:
    """Return the centres of the bands on the scale."""
    scale = frequency_scale(bin_numbers(plan), plan.mfft)
    if count == 1:
        return np.array([(scale.min() + scale.max()) / 2])
    return np.linspace(scale.min(), scale.max(), count)


def band_frequencies(plan: FramePlan, count: int) -> Float64Array:
    """Return the centres of the bands as fractions of the sampling frequency."""
    centres = band_centres(plan, count)
    return np.asarray(np.sign(centres) * np.expm1(np.abs(centres)) * _CORNER)


def make_tiles(plan: FramePlan, x: AnyArray, in_time: Neighbourhoods, count: int) -> Tiles:
    """Divide neighbourhoods in time into `count` bands each, with the energy of channels `x` in each tile.

    The middle of `x` is at the middle of `in_time`. The energy comes from a spectrogram with Hann windows
    whose length is a quarter of a neighbourhood. It does not depend on the windows of the transform, because it must
    be a constant while they are tuned.
    """
    bands = band_weights(plan, count)
    hann, frames, member = _energy_frames(plan, x, in_time)
    energy = plan.kernels.to_host(np.sum(energies(forward(hann, x, frames)), axis=0))
    share = bands @ energy.T @ member.T
    total = max(float(share.sum()), np.finfo(float).tiny)
    return Tiles(in_time, bands, np.asarray(share / total).ravel())


def tile_energy_gradient(plan: FramePlan, x: AnyArray, tiles: Tiles, by_share: Float64Array) -> AnyArray:
    """Return the gradient in channels `x`, given that in the share of each tile of `make_tiles`, on the device."""
    hann, frames, member = _energy_frames(plan, x, tiles.in_time)
    wanted = {"want_x": True, "parameters": False, "positions": False, "shape": False}
    energy, vjp = energies_and_vjp(hann, x, frames, **wanted)
    energy = plan.kernels.to_host(np.sum(energy, axis=0))
    total = max(float((tiles.bands @ energy.T @ member.T).sum()), np.finfo(float).tiny)
    by_energy = (by_share - tiles.energy @ by_share) / total  # the shares are relative to the total
    by_bin = tiles.bands.T @ by_energy.reshape(len(tiles.bands), -1) @ member
    gradient = vjp(np.broadcast_to(by_bin.T, (len(x), *by_bin.T.shape))).data
    assert gradient is not None
    return gradient


def _energy_frames(plan: FramePlan, x: AnyArray, in_time: Neighbourhoods) -> tuple[FramePlan, Frames, sparse.csr_array]:
    """Return transform and frames for the energy of tiles, and the weights of the frames in neighbourhoods."""
    length = float(np.clip(in_time.width / _PER_WIDTH, 2.0, plan.mfft))
    centres = np.arange(int(np.ceil((x.shape[-1] - 1) / (length / 4))) + 1) * (length / 4)
    peak = float(np.abs(x).max()) or 1.0  # keeps the squares finite
    hann = replace(plan, window=resolve("hann"), scaling="psd", amplitude=1 / peak)
    frames = make_frames(np.full(centres.size, length), centres, mfft=plan.mfft)
    first = (in_time.centres[0] + in_time.centres[-1] - (x.shape[-1] - 1)) / 2
    return hann, frames, in_time.weights(first + centres)[0]
