r"""The transform with a window for each bin, its adjoint and its gradients.

With a window length ``theta_qp`` for each bin there is no FFT: each bin is a sum over the samples of its own window,

.. math:: S[q, p] = \sum_n x[n]\, c(\theta_{qp})\, \omega((n - t_p)/\theta_{qp})\, e^{-2 j \pi f_q (n - t_p) T} ,

and the same pass computes the derivatives with respect to the length, the centre of the window and the shape
parameters; the derivative of the phase with respect to the position is added in `bin_gradients`. The
convention for cotangents is that of `adaptstft.engine.vjp`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, cast

import numpy as np

from adaptstft.common.threads import run_blocks
from adaptstft.common.typing import AnyArray, ComplexArray, Float64Array, IntArray
from adaptstft.engine.blocks import Blocks
from adaptstft.engine.gradients import Gradients
from adaptstft.engine.plan import FFTPlan, FramePlan
from adaptstft.engine.window_samples import scale_of_sums
from adaptstft.kernels.halves import Halves

#: Largest number of bins in a block, of all frames and channels: a limit on memory.
_BLOCK_BINS = 1 << 20
_LEAST_BLOCKS = 8


@dataclass(frozen=True)
class BinFrames:
    """Frames with a window length for each bin.

    Attributes
    ----------
    win_length : ndarray of float64, shape (frames, f_pts)
        Window lengths; bins in the order in which they are stored.
    centre : ndarray of float64, shape (frames,)
        Centres of the windows.
    origin : ndarray of float64, shape (frames,)
        Positions from which the phase counts.
    uploaded : ndarray or None
        `win_length` as an array of the backend, where it is used several times.
    """

    per_bin: ClassVar[bool] = True

    win_length: Float64Array
    centre: Float64Array
    origin: Float64Array
    uploaded: Any = None

    def __len__(self) -> int:
        return self.centre.size

    def __getitem__(self, part: slice) -> BinFrames:
        uploaded = None if self.uploaded is None else self.uploaded[part]
        return BinFrames(self.win_length[part], self.centre[part], self.origin[part], uploaded)

    def part(self, part: slice) -> BinFrames:
        """Return some of the frames."""
        return self[part]

    def lengths(self, plan: FFTPlan) -> Any:
        """Return `win_length` as an array of the backend."""
        return plan.kernels.asarray(self.win_length) if self.uploaded is None else self.uploaded

    def halves(self) -> Halves:
        """Divide the frames at their centres."""
        return Halves.of(self.centre, self.origin, float(self.win_length.max()))

    @property
    def length_rows(self) -> Float64Array:
        """Window lengths for products with arrays (frames, f_pts): shape (frames, f_pts)."""
        return self.win_length

    @property
    def phase_lag(self) -> Float64Array:
        """Distance from the origin of the phase to the centre of the windows: shape (frames,)."""
        return np.asarray(self.centre - self.origin)

    def moved(self, samples: int) -> BinFrames:
        """Return the frames of the signal with `samples` more samples before its first."""
        return replace(self, centre=self.centre + samples, origin=self.origin + samples)

    def covered(self) -> tuple[int, int]:
        """Range of samples from the first to one past the last of all bins."""
        # in the arithmetic of the kernels, so that rounding treats samples at the ends of windows in the same way
        half = self.win_length.max(axis=1) / 2
        halves = self.halves()
        right, left = halves.first
        low = left - np.floor(half - halves.leads[1]).astype(np.int64)
        return int(low.min()), int((right + np.ceil(half - halves.leads[0]).astype(np.int64)).max())


class BinBlocks(Blocks[BinFrames]):
    """Blocks of frames with a window for each bin, with as many samples as suit the kernels."""

    def __init__(self, plan: FFTPlan, frames: BinFrames, channels: int) -> None:
        by_samples = plan.kernels.BLOCK_SAMPLES / (frames.win_length.max() / 2 + 2)
        by_bins = _BLOCK_BINS / max(channels, 1) / plan.f_pts
        # enough blocks for a few threads, and enough frames in each to share what frames have in common
        size = max(1, int(min(by_samples, by_bins, -(-len(frames) // _LEAST_BLOCKS))))
        ranges = [slice(low, min(low + size, len(frames))) for low in range(0, len(frames), size)]
        super().__init__(plan, frames, ranges)


# ---------------------------------------------------------------------------------------
# Bins, and sums that all bins share


def bin_numbers(plan: FFTPlan) -> IntArray:
    """Frequencies of the stored bins in multiples of the frequency step, negative ones included."""
    k = np.arange(plan.f_pts)
    if plan.fft_mode == "centered":
        return k - plan.mfft // 2
    return k if plan.onesided else np.where(k < (plan.mfft + 1) // 2, k, k - plan.mfft)


def bin_gains(plan: FFTPlan) -> Float64Array:
    """Factor on each stored bin: more than one for mirrored bins in mode ``"onesided2X"``."""
    gains = np.ones(plan.f_pts)
    if plan.onesided:
        gains[plan.interior] = plan.power_gain**0.5
    return gains


def _phasors(mfft: int) -> Float64Array:
    angle = 2 * np.pi * np.arange(mfft) / mfft
    return np.array([np.cos(angle), np.sin(angle)])


def _real_channels(x: AnyArray) -> Float64Array:
    """Channels as real channels: two for each complex one."""
    if not np.iscomplexobj(x):
        return x
    return np.stack([x.real, x.imag], axis=1).reshape(-1, x.shape[-1])


def _split_at_centre(plan: FFTPlan, x: AnyArray, halves: Halves) -> tuple[Float64Array, Float64Array]:
    """Rows (channels, frames, width): both halves, or their sums and differences around a sample."""
    right, left = plan.kernels.xp.empty((2, x.shape[0], halves.first.shape[1], halves.width), x.dtype)
    plan.kernels.split_halves(x, halves, right, left)
    return right, left


def _n_rows(n_shape: int, gradient: bool, centre: bool = True) -> int:
    """Return the number of window rows of a pass: window, lengths, centres, shape parameters."""
    return 1 if not gradient else 3 + n_shape if centre or n_shape else 2


# ---------------------------------------------------------------------------------------
# Scale of the windows


@dataclass(frozen=True)
class Scales:
    """Scale ``c`` of the window of each bin and its derivatives with respect to length and shape parameters.

    These are arrays of the backend.
    """

    value: Float64Array
    gradient: Float64Array
    shape: Float64Array

    @classmethod
    def of_sums(cls, plan: FramePlan, theta: Float64Array, sums: Float64Array) -> Scales:
        """Compute scales from sums over the windows, shape (*theta.shape, 4 + 2 n_shape)."""
        flat = sums.reshape(theta.size, -1).T
        c, gradient, shape = scale_of_sums(plan, theta.ravel(), flat[:4], flat[4:].reshape(-1, 2, theta.size))
        return cls(c.reshape(theta.shape), gradient.reshape(theta.shape), shape.reshape(-1, *theta.shape))

    def __getitem__(self, part: Any) -> Scales:
        return Scales(self.value[part], self.gradient[part], self.shape[:, part])


def bin_scales(plan: FramePlan, theta: Float64Array, *, gradient: bool, shape: bool) -> Scales:
    """Scale of windows with the lengths `theta`, an array of the backend of any shape."""
    xp = plan.kernels.xp
    n_shape = len(plan.window.shape) if shape else 0
    if plan.scaling is None:
        zero = xp.zeros(theta.shape)
        return Scales(zero + plan.amplitude, zero, xp.zeros((n_shape, *theta.shape)))
    if xp is not np:  # on a device all sums take less time than a search for equal lengths
        return _summed_scales(plan, theta, n_shape, gradient)
    lengths, place = np.unique(theta, return_inverse=True)
    return _summed_scales(plan, lengths, n_shape, gradient)[place.reshape(theta.shape)]


def _summed_scales(plan: FramePlan, theta: Float64Array, n_shape: int, gradient: bool) -> Scales:
    lengths, leads = theta.reshape(-1), _leads_of_scale(plan)
    sums = plan.kernels.xp.zeros((lengths.size, 4 + 2 * n_shape))
    size = plan.kernels.BLOCK_SAMPLES // 16
    parts = [slice(i, i + size) for i in range(0, lengths.size, size)]

    def work(i: int) -> None:
        plan.kernels.scale_sums(plan.window, lengths[parts[i]], leads, _n_rows(n_shape, gradient), sums[parts[i]])

    run_blocks(len(parts), work, plan.threads)
    return Scales.of_sums(plan, theta, sums)


def _leads_of_scale(plan: FramePlan) -> Float64Array:
    """Leads of both halves of a frame at an integer position; the sum that gives the scale runs over its samples."""
    lead = float(np.ceil(plan.window_offset) - plan.window_offset)
    return np.array([lead, 1.0 - lead if lead > 0 else 0.0])


# ---------------------------------------------------------------------------------------
# Transform and adjoint


@dataclass(frozen=True)
class BinSpectra:
    """The transform and its derivatives, each of shape (channels, frames, f_pts).

    Attributes
    ----------
    S : ndarray
        The transform.
    win_length, centre : ndarray or None
        Its derivatives with respect to the window lengths and to the centres of the windows.
    shape : ndarray or None, shape (n_shape, channels, frames, f_pts)
        Its derivatives with respect to the shape parameters.
    """

    S: ComplexArray
    win_length: ComplexArray | None = None
    centre: ComplexArray | None = None
    shape: ComplexArray | None = None


def bin_forward(
    plan: FramePlan,
    x: AnyArray,
    frames: BinFrames,
    *,
    gradient: bool = False,
    centre: bool = True,
    shape: bool = False,
    scales: Scales | None = None,
) -> BinSpectra:
    """Transform channels ``x``, shape (channels, n); with `gradient` also its derivatives.

    These are the derivatives with respect to the lengths, with `centre` also to the centres of the windows, and with
    `shape` also to the shape parameters. `scales` is the result of `bin_scales` with the same derivatives, if known.
    """
    kernels, xp = plan.kernels, plan.kernels.xp
    channels = _real_channels(x)
    n_shape = len(plan.window.shape) if shape else 0
    n_rows = _n_rows(n_shape, gradient, centre)
    out = xp.empty((n_rows, x.shape[0], len(frames), plan.f_pts), np.result_type(x.dtype, np.complex64))
    bins, gains, table = map(kernels.asarray, (bin_numbers(plan), bin_gains(plan), _phasors(plan.mfft)))
    leads = _leads_of_scale(plan)[:, None]
    blocks = BinBlocks(plan, frames, len(channels))

    def work(i: int) -> None:
        part, block = blocks[i]
        halves, theta = block.halves(), block.lengths(plan)
        sums = xp.empty((n_rows, channels.shape[0], *block.win_length.shape), complex)
        # one pass computes the sums of the scale as well, if they run over the samples of the frames
        shared = scales is None and plan.scaling is not None and bool(np.all(halves.leads == leads))
        scale_sums = xp.zeros((*block.win_length.shape, 4 + 2 * n_shape) if shared else (0, 0, 0))
        samples = _split_at_centre(plan, channels, halves)
        kernels.bin_sums(plan.window, *samples, halves, theta, bins, table, sums, scale_sums)
        if shared:
            own = Scales.of_sums(plan, theta, scale_sums)
        elif scales is None:
            own = bin_scales(plan.single(), theta, gradient=gradient, shape=shape)
        else:
            own = scales[part]
        if np.iscomplexobj(x):
            sums = sums[:, 0::2] + 1j * sums[:, 1::2]
        out[:, :, part] = _scaled(sums, theta, own) * gains

    blocks.run(work)
    if not gradient:
        return BinSpectra(out[0])
    return BinSpectra(out[0], out[1], out[2] if n_rows > 2 else None, out[3:])


def _scaled(sums: ComplexArray, theta: Float64Array, scales: Scales) -> ComplexArray:
    """Transform and derivatives from sums over windows with the scale one: the product rule."""
    out = np.empty_like(sums)
    out[0] = scales.value * sums[0]
    if len(sums) > 1:
        c_over_theta = scales.value / theta
        out[1] = scales.gradient * sums[0] - c_over_theta * sums[1]
        out[2:3] = -c_over_theta * sums[2:3]
    for j, row in enumerate(sums[3:]):
        out[3 + j] = scales.value * row + scales.shape[j] * sums[0]
    return out


def bin_adjoint(
    plan: FramePlan,
    g: ComplexArray,
    frames: BinFrames,
    low: int,
    high: int,
    *,
    real: bool,
    scales: Scales | None = None,
) -> AnyArray:
    """Adjoint of `bin_forward`: samples ``low <= n < high`` from cotangents `g`, shape (channels, frames, f_pts).

    `real` is true for a real signal; `scales` is the result of `bin_scales` for the frames, if known.
    """
    kernels, xp = plan.kernels, plan.kernels.xp
    scales = scales or bin_scales(plan, frames.lengths(plan), gradient=False, shape=False)
    weighted = xp.asarray(g, dtype=complex) * (scales.value * kernels.asarray(bin_gains(plan)))
    if not real:  # a complex channel is two real ones, the imaginary one with the factor -1j
        weighted = np.stack([weighted, -1j * weighted], axis=1).reshape(-1, *g.shape[1:])
    out = xp.zeros((weighted.shape[0], high - low))
    bins, table = kernels.asarray(bin_numbers(plan)), kernels.asarray(_phasors(plan.mfft))

    def add(part: slice, block: BinFrames, first: int, stretch: Float64Array) -> None:
        halves = block.halves()
        right, left = xp.zeros((2, stretch.shape[0], len(block), halves.width))
        own = kernels.asarray(weighted[:, part])
        kernels.bin_adjoint(plan.window, own, halves, block.lengths(plan), bins, table, right, left)
        kernels.join_halves(right, left, halves, first, True, stretch)

    BinBlocks(plan, frames, len(out)).accumulate(add, out, low)
    return cast(AnyArray, out if real else out[0::2] + 1j * out[1::2])


def bin_energy(plan: FramePlan, frames: BinFrames, weights: Float64Array, low: int, high: int) -> Float64Array:
    """``sum_qp weights[q] |w_qp(n)|**2`` for samples ``low <= n < high``, on the host like `weights`."""
    kernels = plan.kernels
    scales = bin_scales(plan, frames.lengths(plan), gradient=False, shape=False)
    gain = scales.value**2 * kernels.asarray(bin_gains(plan) ** 2 * weights)
    out = kernels.xp.zeros((1, high - low))

    def add(part: slice, block: BinFrames, first: int, stretch: Float64Array) -> None:
        halves = block.halves()
        right, left = kernels.xp.zeros((2, len(block), halves.width))
        kernels.bin_energy(plan.window, gain[part], halves, block.lengths(plan), right, left)
        kernels.join_halves(right[np.newaxis], left[np.newaxis], halves, first, False, stretch)

    BinBlocks(plan, frames, len(out)).accumulate(add, out, low)
    return cast(Float64Array, kernels.to_host(out[0]))


# ---------------------------------------------------------------------------------------
# Gradients of a loss


def bin_gradients(plan: FramePlan, spectra: BinSpectra, g: ComplexArray, *, phase: bool = True) -> Gradients:
    """Gradients on the host from cotangents `g` of the transform, shape (channels, frames, f_pts).

    `phase` is true for a loss that depends on the phase, which counts from the positions of the frames.
    """
    assert spectra.win_length is not None
    to_host = plan.kernels.to_host
    positions = np.zeros(g.shape[1])
    if spectra.centre is not None:
        positions = to_host(np.sum(_real_product(g, spectra.centre), axis=(0, 2)))
    if phase:
        rotation = plan.kernels.asarray(2j * np.pi / plan.mfft * bin_numbers(plan))
        positions = positions + to_host(np.sum(_real_product(g, spectra.S * rotation), axis=(0, 2)))
    shape = [] if spectra.shape is None else [float(np.sum(_real_product(g, row))) for row in spectra.shape]
    return Gradients(to_host(np.sum(_real_product(g, spectra.win_length), axis=0)), positions, np.array(shape))


def _real_product(g: ComplexArray, z: ComplexArray) -> Float64Array:
    """``Re(conj(g) z)`` in double precision."""
    return g.real.astype(float) * z.real + g.imag.astype(float) * z.imag


def bin_signal_gradient(plan: FramePlan, x: AnyArray, frames: BinFrames, g: ComplexArray) -> AnyArray:
    """Gradient with respect to the channels ``x`` from cotangents `g` of the transform."""
    dx = bin_adjoint(plan, g, frames, 0, x.shape[-1], real=not np.iscomplexobj(x))
    return dx.astype(x.dtype)


def bin_energy_vjp(
    plan: FramePlan, x: AnyArray, frames: BinFrames, spectra: BinSpectra, by_energy: AnyArray, *, want_x: bool
) -> Gradients:
    """Gradients from the derivative of a loss with respect to ``|S|**2``, shape (channels, frames, f_pts).

    They contain the gradients for which `spectra` has the derivatives, and with `want_x` that of the channels ``x``.
    """
    g = plan.kernels.asarray(2 * by_energy) * spectra.S
    dx = bin_signal_gradient(plan, x, frames, g) if want_x else None
    if spectra.win_length is None:
        return Gradients(np.zeros(0), np.zeros(0), np.zeros(0), dx)
    return replace(bin_gradients(plan, spectra, g, phase=False), data=dx)
