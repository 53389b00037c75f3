r"""Windows that differ from bin to bin: the exact sums, their adjoint and their derivatives.

With a window length ``theta_qp`` for every bin there is no FFT to take: each bin is summed over its own
support,

.. math:: S[q, p] = \sum_n x[n]\, c(\theta_{qp})\, \omega((n - t_p)/\theta_{qp})\, e^{-2 j \pi f_q (n - t_p) T} ,

and ``dS/dtheta``, ``dS/dt`` and the derivatives in the shape parameters come from the same pass. The
convention for cotangents is that of `adaptstft.engine.vjp`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from adaptstft.common.threads import run_blocks
from adaptstft.common.typing import AnyArray, ComplexArray, Float64Array, IntArray
from adaptstft.engine.gradients import Gradients
from adaptstft.engine.plan import FFTPlan, FramePlan
from adaptstft.engine.window_samples import scale_of_sums
from adaptstft.kernels.halves import Halves

#: Most bins of one block's frames, with all channels: what is made of them takes memory.
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
        Times from which the phase counts.
    uploaded : ndarray or None
        `win_length` as an array of the kernels, if it was brought there to be used several times.
    """

    win_length: Float64Array
    centre: Float64Array
    origin: Float64Array
    uploaded: Any = None

    def __len__(self) -> int:
        return self.centre.size

    def __getitem__(self, part: slice) -> BinFrames:
        uploaded = None if self.uploaded is None else self.uploaded[part]
        return BinFrames(self.win_length[part], self.centre[part], self.origin[part], uploaded)

    def lengths(self, plan: FFTPlan) -> Any:
        """Return `win_length` as an array of the kernels."""
        return plan.kernels.asarray(self.win_length) if self.uploaded is None else self.uploaded

    def halves(self) -> Halves:
        """Divide the frames at their centres."""
        return Halves.of(self.centre, self.origin, float(self.win_length.max()))

    def moved(self, samples: int) -> BinFrames:
        """Return the frames in the indices of a signal with `samples` more before its first."""
        return replace(self, centre=self.centre + samples, origin=self.origin + samples)

    def covered(self) -> tuple[int, int]:
        """Range of samples from the first to one past the last that any bin takes."""
        # in the arithmetic of the kernels, so that a sample on the end of a window is within for all or for none
        half = self.win_length.max(axis=1) / 2
        halves = self.halves()
        right, left = halves.first
        low = left - np.floor(half - halves.leads[1]).astype(np.int64)
        return int(low.min()), int((right + np.ceil(half - halves.leads[0]).astype(np.int64)).max())


def split_at_centre(plan: FFTPlan, x: AnyArray, halves: Halves) -> tuple[Float64Array, Float64Array]:
    """Rows (channels, frames, width): both halves, or their sums and differences around a sample."""
    right, left = plan.kernels.xp.empty((2, x.shape[0], halves.first.shape[1], halves.width), x.dtype)
    plan.kernels.split_halves(x, halves, right, left)
    return right, left


def threads(plan: FFTPlan) -> int:
    """Return the number of threads that work on blocks."""
    return plan.kernels.WORKERS or plan.workers


def block_ranges(plan: FFTPlan, frames: BinFrames, channels: int) -> list[slice]:
    """Divide frames into blocks with as many samples as suit the kernels."""
    samples, bins = plan.kernels.BLOCK_SAMPLES, _BLOCK_BINS / max(channels, 1)
    # enough blocks for a few workers, and frames enough in each to share what they have in common
    size = max(
        1, int(min(samples / (frames.win_length.max() / 2 + 2), bins / plan.f_pts, -(-len(frames) // _LEAST_BLOCKS)))
    )
    return [slice(b, min(b + size, len(frames))) for b in range(0, len(frames), size)]


def bin_numbers(plan: FFTPlan) -> IntArray:
    """Multiples of the frequency step that the stored bins are, negative ones included."""
    k = np.arange(plan.f_pts)
    if plan.fft_mode == "centered":
        return k - plan.mfft // 2
    return k if plan.onesided else np.where(k < (plan.mfft + 1) // 2, k, k - plan.mfft)


def bin_gains(plan: FFTPlan) -> Float64Array:
    """Factor on each stored bin: more than one where it stands for two."""
    gains = np.ones(plan.f_pts)
    if plan.onesided:
        gains[plan.interior] = plan.power_gain**0.5
    return gains


def _real_channels(x: AnyArray) -> Float64Array:
    """Channels as real ones; a complex channel is two."""
    if not np.iscomplexobj(x):
        return x
    return np.stack([x.real, x.imag], axis=1).reshape(-1, x.shape[-1])


def _offset_leads(plan: FramePlan) -> Float64Array:
    """Leads of a frame at an integer time, whose samples the scale of a window is summed over."""
    lead = float(np.ceil(plan.window_offset) - plan.window_offset)
    return np.array([lead, 1.0 - lead if lead > 0 else 0.0])


def _n_rows(n_shape: int, gradient: bool, centre: bool = True) -> int:
    """Count the rows of a window that a pass needs; those in the shape come after the centre's."""
    return 1 if not gradient else 3 + n_shape if centre or n_shape else 2


def _phasors(mfft: int) -> Float64Array:
    angle = 2 * np.pi * np.arange(mfft) / mfft
    return np.array([np.cos(angle), np.sin(angle)])


@dataclass(frozen=True)
class Scales:
    """Scale ``c`` of each bin's window and its derivatives in the length and the shape parameters.

    These are arrays of the kernels.
    """

    value: Float64Array
    gradient: Float64Array
    shape: Float64Array

    @classmethod
    def of_sums(cls, plan: FramePlan, theta: Float64Array, sums: Float64Array) -> Scales:
        """Make them from sums of the windows, shape (*theta.shape, 4 + 2 n_shape)."""
        flat = sums.reshape(theta.size, -1).T
        c, gradient, shape = scale_of_sums(plan, theta.ravel(), flat[:4], flat[4:].reshape(-1, 2, theta.size))
        return cls(c.reshape(theta.shape), gradient.reshape(theta.shape), shape.reshape(-1, *theta.shape))

    def __getitem__(self, part: Any) -> Scales:
        return Scales(self.value[part], self.gradient[part], self.shape[:, part])


def bin_scales(plan: FramePlan, theta: Float64Array, *, gradient: bool, shape: bool) -> Scales:
    """Scale of the windows of each of `win_length`, an array of the kernels of any shape."""
    xp = plan.kernels.xp
    n_shape = len(plan.window.shape) if shape else 0
    if plan.scaling is None:
        zero = xp.zeros(theta.shape)
        return Scales(zero + plan.amplitude, zero, xp.zeros((n_shape, *theta.shape)))
    if xp is not np:  # a device has summed all before it has found which are equal
        return _summed_scales(plan, theta, n_shape, gradient)
    lengths, place = np.unique(theta, return_inverse=True)
    return _summed_scales(plan, lengths, n_shape, gradient)[place.reshape(theta.shape)]


def _summed_scales(plan: FramePlan, theta: Float64Array, n_shape: int, gradient: bool) -> Scales:
    lengths, leads = theta.reshape(-1), _offset_leads(plan)
    sums = plan.kernels.xp.zeros((lengths.size, 4 + 2 * n_shape))
    size = plan.kernels.BLOCK_SAMPLES // 16
    parts = [slice(i, i + size) for i in range(0, lengths.size, size)]

    def work(i: int) -> None:
        plan.kernels.scale_sums(plan.window, lengths[parts[i]], leads, _n_rows(n_shape, gradient), sums[parts[i]])

    run_blocks(len(parts), work, threads(plan))
    return Scales.of_sums(plan, theta, sums)


@dataclass(frozen=True)
class BinSpectra:
    """The transform and its derivatives, each of shape (channels, frames, f_pts).

    Attributes
    ----------
    S : ndarray
        The transform.
    win_length, centre : ndarray or None
        Its derivatives in the window lengths and in the windows' centres.
    shape : ndarray or None, shape (n_shape, channels, frames, f_pts)
        Its derivatives in the shape parameters.
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
    """Transform channels ``x``, shape (channels, n), and with `gradient` its derivatives.

    That in the lengths is always among them; `centre` and `shape` ask for those in the windows' centres and
    shape parameters. `scales` may hold what `bin_scales` returns for the frames, with the same derivatives.
    """
    kernels, xp = plan.kernels, plan.kernels.xp
    channels = _real_channels(x)
    n_shape = len(plan.window.shape) if shape else 0
    n_rows = _n_rows(n_shape, gradient, centre)
    out = xp.empty((n_rows, x.shape[0], len(frames), plan.f_pts), np.result_type(x.dtype, np.complex64))
    bins, gains, table = map(kernels.asarray, (bin_numbers(plan), bin_gains(plan), _phasors(plan.mfft)))
    parts = block_ranges(plan, frames, len(channels))
    leads = _offset_leads(plan)[:, None]

    def work(i: int) -> None:
        block = frames[parts[i]]
        halves, theta = block.halves(), block.lengths(plan)
        sums = xp.empty((n_rows, channels.shape[0], *block.win_length.shape), complex)
        # where a frame has the samples that its scale is summed over, one pass does both
        shared = scales is None and plan.scaling is not None and bool(np.all(halves.leads == leads))
        scale_sums = xp.zeros((*block.win_length.shape, 4 + 2 * n_shape) if shared else (0, 0, 0))
        samples = split_at_centre(plan, channels, halves)
        kernels.bin_sums(plan.window, *samples, halves, theta, bins, table, sums, scale_sums)
        if shared:
            own = Scales.of_sums(plan, theta, scale_sums)
        else:
            own = (
                bin_scales(plan.single(), theta, gradient=gradient, shape=shape) if scales is None else scales[parts[i]]
            )
        if np.iscomplexobj(x):
            sums = sums[:, 0::2] + 1j * sums[:, 1::2]
        out[:, :, parts[i]] = _scaled(sums, theta, own) * gains

    run_blocks(len(parts), work, threads(plan))
    if not gradient:
        return BinSpectra(out[0])
    return BinSpectra(out[0], out[1], out[2] if n_rows > 2 else None, out[3:])


def _scaled(sums: ComplexArray, theta: Float64Array, scales: Scales) -> ComplexArray:
    """Transform and derivatives from the sums over windows that peak at one: the product rule."""
    out = np.empty_like(sums)
    out[0] = scales.value * sums[0]
    if len(sums) > 1:
        c_over_theta = scales.value / theta
        out[1] = scales.gradient * sums[0] - c_over_theta * sums[1]
        out[2:3] = -c_over_theta * sums[2:3]
    for j, row in enumerate(sums[3:]):
        out[3 + j] = scales.value * row + scales.shape[j] * sums[0]
    return out


def _accumulate(
    plan: FramePlan,
    frames: BinFrames,
    out: AnyArray,
    low: int,
    add: Callable[[slice, BinFrames, Halves, int, Float64Array], None],
) -> None:
    """Add up what blocks of frames contribute to samples from `low` on, in the order of the blocks."""
    parts = block_ranges(plan, frames, len(out))
    high = low + out.shape[-1]

    def work(i: int) -> Any:
        block = frames[parts[i]]
        first, last = np.clip(block.covered(), low, high)
        stretch = plan.kernels.xp.zeros((*out.shape[:-1], last - first))
        add(parts[i], block, block.halves(), int(first), stretch)
        return first, last, stretch

    def merge(_: int, result: Any) -> None:
        first, last, stretch = result
        out[..., first - low : last - low] += stretch

    run_blocks(len(parts), work, threads(plan), merge)


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
    """Adjoint of `bin_forward`: pull cotangents (channels, frames, f_pts) back to samples ``low <= n < high``.

    `real` tells whether the signal is, and `scales` may hold what `bin_scales` returns for the frames.
    """
    kernels, xp = plan.kernels, plan.kernels.xp
    scales = scales or bin_scales(plan, frames.lengths(plan), gradient=False, shape=False)
    weighted = xp.asarray(g, dtype=complex) * (scales.value * kernels.asarray(bin_gains(plan)))
    if not real:  # a complex channel is two real ones: its imaginary part sees -1j times the cotangent
        weighted = np.stack([weighted, -1j * weighted], axis=1).reshape(-1, *g.shape[1:])
    out = xp.zeros((weighted.shape[0], high - low))
    bins, table = kernels.asarray(bin_numbers(plan)), kernels.asarray(_phasors(plan.mfft))

    def add(part: slice, block: BinFrames, halves: Halves, first: int, stretch: Float64Array) -> None:
        right, left = xp.zeros((2, stretch.shape[0], len(block), halves.width))
        own = kernels.asarray(weighted[:, part])
        kernels.bin_adjoint(plan.window, own, halves, block.lengths(plan), bins, table, right, left)
        kernels.join_halves(right, left, halves, first, True, stretch)

    _accumulate(plan, frames, out, low, add)
    return cast(AnyArray, out if real else out[0::2] + 1j * out[1::2])


def bin_energy(plan: FramePlan, frames: BinFrames, weights: Float64Array, low: int, high: int) -> Float64Array:
    """``sum_qp weights[q] |w_qp(n)|**2`` for samples ``low <= n < high``, on the host as `weights`."""
    scales = bin_scales(plan, frames.lengths(plan), gradient=False, shape=False)
    gain = scales.value**2 * plan.kernels.asarray(bin_gains(plan) ** 2 * weights)
    out = plan.kernels.xp.zeros((1, high - low))

    def add(part: slice, block: BinFrames, halves: Halves, first: int, stretch: Float64Array) -> None:
        right, left = plan.kernels.xp.zeros((2, len(block), halves.width))
        plan.kernels.bin_energy(plan.window, gain[part], halves, block.lengths(plan), right, left)
        plan.kernels.join_halves(right[np.newaxis], left[np.newaxis], halves, first, False, stretch)

    _accumulate(plan, frames, out, low, add)
    return cast(Float64Array, plan.kernels.to_host(out[0]))


# ---------------------------------------------------------------------------------------
# Derivatives of a loss


def bin_gradients(plan: FramePlan, spectra: BinSpectra, g: ComplexArray, *, phase: bool = True) -> Gradients:
    """Chain cotangents ``g``, shape (channels, frames, f_pts), with the derivatives of the transform, on the host.

    `phase` tells whether the loss depends on it: the phase counts from each frame's time.
    """
    assert spectra.win_length is not None
    to_host = plan.kernels.to_host
    positions = np.zeros(g.shape[1])
    if spectra.centre is not None:
        positions = to_host(np.sum(_real_product(g, spectra.centre), axis=(0, 2)))
    if phase:
        turning = plan.kernels.asarray(2j * np.pi / plan.mfft * bin_numbers(plan))
        positions = positions + to_host(np.sum(_real_product(g, spectra.S * turning), axis=(0, 2)))
    shape = [] if spectra.shape is None else [float(np.sum(_real_product(g, row))) for row in spectra.shape]
    return Gradients(to_host(np.sum(_real_product(g, spectra.win_length), axis=0)), positions, np.array(shape))


def _real_product(g: ComplexArray, z: ComplexArray) -> Float64Array:
    """``Re(conj(g) z)`` in double precision."""
    return g.real.astype(float) * z.real + g.imag.astype(float) * z.imag
