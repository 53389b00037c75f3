r"""Windows that differ from bin to bin: the exact sums, their adjoint and their derivatives.

With a window length ``theta_qp`` for every bin there is no FFT to take: each bin is summed over its own
support,

.. math:: S[q, p] = \sum_n x[n]\, c(\theta_{qp})\, \omega((n - t_p)/\theta_{qp})\, e^{-2 j \pi f_q (n - t_p) T} ,

and ``dS/dtheta``, ``dS/dt`` and the derivatives in the shape parameters come from the same pass. The
convention for cotangents is that of `adaptstft.transform`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from adaptstft._typing import AnyArray, ComplexArray, Float64Array, IntArray
from adaptstft.blocks import run_blocks
from adaptstft.transform import Spectra, Transform, scale_of_sums

#: Most bins of one block's frames, with all channels: what is made of them takes memory.
_BLOCK_BINS = 1 << 20
_LEAST_BLOCKS = 8


@dataclass(frozen=True)
class BinFrames:
    """Frames with a window length for each bin.

    Attributes
    ----------
    theta : ndarray of float64, shape (frames, f_pts)
        Window lengths; bins in the order in which they are stored.
    centre : ndarray of float64, shape (frames,)
        Centres of the windows.
    origin : ndarray of float64, shape (frames,)
        Times from which the phase counts.
    uploaded : ndarray or None
        `theta` as an array of the kernels, if it was brought there to be used several times.
    """

    theta: Float64Array
    centre: Float64Array
    origin: Float64Array
    uploaded: Any = None

    def __len__(self) -> int:
        return self.centre.size

    def __getitem__(self, part: slice) -> BinFrames:
        uploaded = None if self.uploaded is None else self.uploaded[part]
        return BinFrames(self.theta[part], self.centre[part], self.origin[part], uploaded)

    def lengths(self, tf: Spectra) -> Any:
        """Return `theta` as an array of the kernels."""
        return tf.kernels.asarray(self.theta) if self.uploaded is None else self.uploaded

    def moved(self, samples: int) -> BinFrames:
        """Return the frames in the indices of a signal with `samples` more before its first."""
        return replace(self, centre=self.centre + samples, origin=self.origin + samples)

    def covered(self) -> tuple[int, int]:
        """Range of samples from the first to one past the last that any bin takes."""
        # in the arithmetic of the kernels, so that a sample on the end of a window is within for all or for none
        half = self.theta.max(axis=1) / 2
        halves = Halves.of(self)
        right, left = halves.first
        low = left - np.floor(half - halves.leads[1]).astype(np.int64)
        return int(low.min()), int((right + np.ceil(half - halves.leads[0]).astype(np.int64)).max())


@dataclass(frozen=True)
class Halves:
    """Samples of frames on both sides of their centres, in rows that lead away from it.

    Attributes
    ----------
    first : ndarray of int64, shape (2, frames)
        Index of the first sample of the right and the left half; the same where the centre is a sample,
        which then belongs to the right half.
    leads : ndarray of float64, shape (2, frames)
        Distance of that sample from the centre.
    bases : ndarray of float64, shape (2, frames)
        How far it lies after the origin of the phase.
    width : int
        Number of samples of a half.
    """

    first: IntArray
    leads: Float64Array
    bases: Float64Array
    width: int

    @classmethod
    def of(cls, frames: BinFrames) -> Halves:
        """Divide frames at their centres."""
        right = np.ceil(frames.centre)
        lead = right - frames.centre
        left = np.where(lead == 0, right, right - 1)
        first = np.array([right, left])
        leads = np.array([lead, np.where(lead == 0, 0.0, 1.0 - lead)])
        return cls(first.astype(np.int64), leads, first - frames.origin, int(frames.theta.max() / 2) + 2)

    def split(self, tf: Spectra, x: AnyArray) -> tuple[Float64Array, Float64Array]:
        """Rows (channels, frames, width): both halves, or their sums and differences around a sample."""
        right, left = tf.kernels.xp.empty((2, x.shape[0], self.first.shape[1], self.width), x.dtype)
        tf.kernels.split_halves(x, self, right, left)
        return right, left


def threads(tf: Spectra) -> int:
    """Return the number of threads that work on blocks."""
    return tf.kernels.WORKERS or tf.workers


def block_ranges(tf: Spectra, frames: BinFrames, channels: int) -> list[slice]:
    """Divide frames into blocks with as many samples as suit the kernels."""
    samples, bins = tf.kernels.BLOCK_SAMPLES, _BLOCK_BINS / max(channels, 1)
    # enough blocks for a few workers, and frames enough in each to share what they have in common
    size = max(1, int(min(samples / (frames.theta.max() / 2 + 2), bins / tf.f_pts, -(-len(frames) // _LEAST_BLOCKS))))
    return [slice(b, min(b + size, len(frames))) for b in range(0, len(frames), size)]


def bin_numbers(tf: Spectra) -> IntArray:
    """Multiples of the frequency step that the stored bins are, negative ones included."""
    k = np.arange(tf.f_pts)
    if tf.fft_mode == "centered":
        return k - tf.mfft // 2
    return k if tf.onesided else np.where(k < (tf.mfft + 1) // 2, k, k - tf.mfft)


def bin_gains(tf: Spectra) -> Float64Array:
    """Factor on each stored bin: more than one where it stands for two."""
    gains = np.ones(tf.f_pts)
    if tf.onesided:
        gains[tf.interior] = tf.power_gain**0.5
    return gains


def _real_channels(x: AnyArray) -> Float64Array:
    """Channels as real ones; a complex channel is two."""
    if not np.iscomplexobj(x):
        return x
    return np.stack([x.real, x.imag], axis=1).reshape(-1, x.shape[-1])


def _offset_leads(tf: Transform) -> Float64Array:
    """Leads of a frame at an integer time, whose samples the scale of a window is summed over."""
    lead = float(np.ceil(tf.window_offset) - tf.window_offset)
    return np.array([lead, 1.0 - lead if lead > 0 else 0.0])


def _n_rows(n_shape: int, slope: bool, centre: bool = True) -> int:
    """Count the rows of a window that a pass needs; those in the shape come after the centre's."""
    return 1 if not slope else 3 + n_shape if centre or n_shape else 2


def _phasors(mfft: int) -> Float64Array:
    angle = 2 * np.pi * np.arange(mfft) / mfft
    return np.array([np.cos(angle), np.sin(angle)])


@dataclass(frozen=True)
class Scales:
    """Scale ``c`` of each bin's window and its derivatives in the length and the shape parameters.

    These are arrays of the kernels.
    """

    value: Float64Array
    slope: Float64Array
    shape: Float64Array

    @classmethod
    def of_sums(cls, tf: Transform, theta: Float64Array, sums: Float64Array) -> Scales:
        """Make them from sums of the windows, shape (*theta.shape, 4 + 2 n_shape)."""
        flat = sums.reshape(theta.size, -1).T
        c, slope, shape = scale_of_sums(tf, theta.ravel(), flat[:4], flat[4:].reshape(-1, 2, theta.size))
        return cls(c.reshape(theta.shape), slope.reshape(theta.shape), shape.reshape(-1, *theta.shape))

    def __getitem__(self, part: Any) -> Scales:
        return Scales(self.value[part], self.slope[part], self.shape[:, part])


def bin_scales(tf: Transform, theta: Float64Array, *, slope: bool, shape: bool) -> Scales:
    """Scale of the windows of each of `theta`, an array of the kernels of any shape."""
    xp = tf.kernels.xp
    n_shape = len(tf.window.shape) if shape else 0
    if tf.scaling is None:
        zero = xp.zeros(theta.shape)
        return Scales(zero + tf.amplitude, zero, xp.zeros((n_shape, *theta.shape)))
    if xp is not np:  # a device has summed all before it has found which are equal
        return _summed_scales(tf, theta, n_shape, slope)
    lengths, place = np.unique(theta, return_inverse=True)
    return _summed_scales(tf, lengths, n_shape, slope)[place.reshape(theta.shape)]


def _summed_scales(tf: Transform, theta: Float64Array, n_shape: int, slope: bool) -> Scales:
    lengths, leads = theta.reshape(-1), _offset_leads(tf)
    sums = tf.kernels.xp.zeros((lengths.size, 4 + 2 * n_shape))
    size = tf.kernels.BLOCK_SAMPLES // 16
    parts = [slice(i, i + size) for i in range(0, lengths.size, size)]

    def work(i: int) -> None:
        tf.kernels.scale_sums(tf.window, lengths[parts[i]], leads, _n_rows(n_shape, slope), sums[parts[i]])

    run_blocks(len(parts), work, threads(tf))
    return Scales.of_sums(tf, theta, sums)


@dataclass(frozen=True)
class BinSpectra:
    """The transform and its derivatives, each of shape (channels, frames, f_pts).

    Attributes
    ----------
    S : ndarray
        The transform.
    theta, centre : ndarray or None
        Its derivatives in the window lengths and in the windows' centres.
    shape : ndarray or None, shape (n_shape, channels, frames, f_pts)
        Its derivatives in the shape parameters.
    """

    S: ComplexArray
    theta: ComplexArray | None = None
    centre: ComplexArray | None = None
    shape: ComplexArray | None = None


def bin_forward(
    tf: Transform,
    x: AnyArray,
    frames: BinFrames,
    *,
    slope: bool = False,
    centre: bool = True,
    shape: bool = False,
    scales: Scales | None = None,
) -> BinSpectra:
    """Transform channels ``x``, shape (channels, n), and with `slope` its derivatives.

    That in the lengths is always among them; `centre` and `shape` ask for those in the windows' centres and
    shape parameters. `scales` may hold what `bin_scales` returns for the frames, with the same derivatives.
    """
    kernels, xp = tf.kernels, tf.kernels.xp
    channels = _real_channels(x)
    n_shape = len(tf.window.shape) if shape else 0
    n_rows = _n_rows(n_shape, slope, centre)
    out = xp.empty((n_rows, x.shape[0], len(frames), tf.f_pts), np.result_type(x.dtype, np.complex64))
    bins, gains, table = map(kernels.asarray, (bin_numbers(tf), bin_gains(tf), _phasors(tf.mfft)))
    parts = block_ranges(tf, frames, len(channels))
    leads = _offset_leads(tf)[:, None]

    def work(i: int) -> None:
        block = frames[parts[i]]
        halves, theta = Halves.of(block), block.lengths(tf)
        sums = xp.empty((n_rows, channels.shape[0], *block.theta.shape), complex)
        # where a frame has the samples that its scale is summed over, one pass does both
        shared = scales is None and tf.scaling is not None and bool(np.all(halves.leads == leads))
        scale_sums = xp.zeros((*block.theta.shape, 4 + 2 * n_shape) if shared else (0, 0, 0))
        samples = halves.split(tf, channels)
        kernels.bin_sums(tf.window, *samples, halves, theta, bins, table, sums, scale_sums)
        if shared:
            own = Scales.of_sums(tf, theta, scale_sums)
        else:
            own = bin_scales(tf.single(), theta, slope=slope, shape=shape) if scales is None else scales[parts[i]]
        if np.iscomplexobj(x):
            sums = sums[:, 0::2] + 1j * sums[:, 1::2]
        out[:, :, parts[i]] = _scaled(sums, theta, own) * gains

    run_blocks(len(parts), work, threads(tf))
    if not slope:
        return BinSpectra(out[0])
    return BinSpectra(out[0], out[1], out[2] if n_rows > 2 else None, out[3:])


def _scaled(sums: ComplexArray, theta: Float64Array, scales: Scales) -> ComplexArray:
    """Transform and derivatives from the sums over windows that peak at one: the product rule."""
    out = np.empty_like(sums)
    out[0] = scales.value * sums[0]
    if len(sums) > 1:
        c_over_theta = scales.value / theta
        out[1] = scales.slope * sums[0] - c_over_theta * sums[1]
        out[2:3] = -c_over_theta * sums[2:3]
    for j, row in enumerate(sums[3:]):
        out[3 + j] = scales.value * row + scales.shape[j] * sums[0]
    return out


def _accumulate(
    tf: Transform,
    frames: BinFrames,
    out: AnyArray,
    low: int,
    add: Callable[[slice, BinFrames, Halves, int, Float64Array], None],
) -> None:
    """Add up what blocks of frames contribute to samples from `low` on, in the order of the blocks."""
    parts = block_ranges(tf, frames, len(out))
    high = low + out.shape[-1]

    def work(i: int) -> Any:
        block = frames[parts[i]]
        first, last = np.clip(block.covered(), low, high)
        stretch = tf.kernels.xp.zeros((*out.shape[:-1], last - first))
        add(parts[i], block, Halves.of(block), int(first), stretch)
        return first, last, stretch

    def merge(_: int, result: Any) -> None:
        first, last, stretch = result
        out[..., first - low : last - low] += stretch

    run_blocks(len(parts), work, threads(tf), merge)


def bin_adjoint(
    tf: Transform, g: ComplexArray, frames: BinFrames, low: int, high: int, *, real: bool, scales: Scales | None = None
) -> AnyArray:
    """Adjoint of `bin_forward`: pull cotangents (channels, frames, f_pts) back to samples ``low <= n < high``.

    `real` tells whether the signal is, and `scales` may hold what `bin_scales` returns for the frames.
    """
    kernels, xp = tf.kernels, tf.kernels.xp
    scales = scales or bin_scales(tf, frames.lengths(tf), slope=False, shape=False)
    weighted = xp.asarray(g, dtype=complex) * (scales.value * kernels.asarray(bin_gains(tf)))
    if not real:  # a complex channel is two real ones: its imaginary part sees -1j times the cotangent
        weighted = np.stack([weighted, -1j * weighted], axis=1).reshape(-1, *g.shape[1:])
    out = xp.zeros((weighted.shape[0], high - low))
    bins, table = kernels.asarray(bin_numbers(tf)), kernels.asarray(_phasors(tf.mfft))

    def add(part: slice, block: BinFrames, halves: Halves, first: int, stretch: Float64Array) -> None:
        right, left = xp.zeros((2, stretch.shape[0], len(block), halves.width))
        own = kernels.asarray(weighted[:, part])
        kernels.bin_adjoint(tf.window, own, halves, block.lengths(tf), bins, table, right, left)
        kernels.join_halves(right, left, halves, first, True, stretch)

    _accumulate(tf, frames, out, low, add)
    return cast(AnyArray, out if real else out[0::2] + 1j * out[1::2])


def bin_energy(tf: Transform, frames: BinFrames, weights: Float64Array, low: int, high: int) -> Float64Array:
    """``sum_qp weights[q] |w_qp(n)|**2`` for samples ``low <= n < high``, on the host as `weights`."""
    scales = bin_scales(tf, frames.lengths(tf), slope=False, shape=False)
    gain = scales.value**2 * tf.kernels.asarray(bin_gains(tf) ** 2 * weights)
    out = tf.kernels.xp.zeros((1, high - low))

    def add(part: slice, block: BinFrames, halves: Halves, first: int, stretch: Float64Array) -> None:
        right, left = tf.kernels.xp.zeros((2, len(block), halves.width))
        tf.kernels.bin_energy(tf.window, gain[part], halves, block.lengths(tf), right, left)
        tf.kernels.join_halves(right[np.newaxis], left[np.newaxis], halves, first, False, stretch)

    _accumulate(tf, frames, out, low, add)
    return cast(Float64Array, tf.kernels.to_host(out[0]))


# ---------------------------------------------------------------------------------------
# Derivatives of a loss


@dataclass(frozen=True)
class BinSlopes:
    """Derivatives of a real loss in what a transform with windows per bin depends on, on the host.

    Attributes
    ----------
    theta : ndarray, shape (frames, f_pts)
        In the window lengths.
    positions : ndarray, shape (frames,)
        In the times of the frames.
    shape : ndarray, shape (n_shape,)
        In the shape parameters.
    """

    theta: Float64Array
    positions: Float64Array
    shape: Float64Array


def bin_slopes(tf: Transform, spectra: BinSpectra, g: ComplexArray, *, phase: bool = True) -> BinSlopes:
    """Chain cotangents ``g``, shape (channels, frames, f_pts), with the derivatives of the transform.

    `phase` tells whether the loss depends on it: the phase counts from each frame's time.
    """
    assert spectra.theta is not None
    to_host = tf.kernels.to_host
    positions = np.zeros(g.shape[1])
    if spectra.centre is not None:
        positions = to_host(np.sum(_real_product(g, spectra.centre), axis=(0, 2)))
    if phase:
        turning = tf.kernels.asarray(2j * np.pi / tf.mfft * bin_numbers(tf))
        positions = positions + to_host(np.sum(_real_product(g, spectra.S * turning), axis=(0, 2)))
    shape = [] if spectra.shape is None else [float(np.sum(_real_product(g, row))) for row in spectra.shape]
    return BinSlopes(to_host(np.sum(_real_product(g, spectra.theta), axis=0)), positions, np.array(shape))


def _real_product(g: ComplexArray, z: ComplexArray) -> Float64Array:
    """``Re(conj(g) z)`` in double precision."""
    return g.real.astype(float) * z.real + g.imag.astype(float) * z.imag
