r"""The transform of frames, its adjoint and its derivatives, block by block.

With the real-valued window length ``theta_p`` and time ``t_p`` of each frame,

.. math:: S[q, p] = \sum_n x[n]\, c(\theta_p)\, \omega((n - t_p)/\theta_p)\,
          e^{-2 j \pi f_q (n - t_p) T} .

**Convention for complex cotangents**, used by every gradient in the package:
for a real loss ``C(S)`` the cotangent is ``G = dC/dRe S + 1j dC/dIm S``, so that
``dC = Re sum conj(G) dS`` over the stored bins, each counted once.
With the adjoint frames ``y_p[n] = sum_q G[q, p] exp(2j pi f_q (n - t_p) T)``
and ``v[n] = Re(conj(y_p[n]) x[n])``, ``u = (n - t_p)/theta_p``, all derivatives are sums over a frame:

.. math::

    \partial C/\partial\theta_p &= c' \sum v\,\omega(u) - (c/\theta_p) \sum v\,\omega'(u)\,u \\
    \partial C/\partial t_p &= -(c/\theta_p) \sum v\,\omega'(u)
        + \mathrm{Re} \sum_q \overline{G[q,p]}\, 2 j \pi f_q T\, S[q,p] \\
    \partial C/\partial x[n] &= \sum_p c\,\omega(u)\, y_p[n]
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from threading import local
from types import ModuleType
from typing import Any, cast

import numpy as np

from adaptstft._typing import AnyArray, Float64Array, FloatArray, IntArray
from adaptstft.blocks import block_ranges, run_blocks
from adaptstft.framing import Frames, PlacedFrames
from adaptstft.kernels._scaling import window_scale
from adaptstft.windows import Window


@dataclass(frozen=True)
class Spectra:
    """FFT of frames: its length, mode and scaling, and what computes it.

    Attributes
    ----------
    mfft : int
        Length of the FFT.
    fft_mode : str
        One of SciPy's four modes.
    scaling : str or None
        ``"magnitude"``, ``"psd"`` or None.
    kernels : module
        The inner loops, from ``adaptstft.kernels.resolve``.
    workers : int
        Number of threads.
    """

    mfft: int
    fft_mode: str
    scaling: str | None
    kernels: ModuleType
    workers: int

    @property
    def onesided(self) -> bool:
        """Whether negative frequencies are left out."""
        return self.fft_mode in ("onesided", "onesided2X")

    @property
    def f_pts(self) -> int:
        """Number of frequency bins."""
        return self.mfft // 2 + 1 if self.onesided else self.mfft

    @property
    def power_gain(self) -> float:
        """Factor on ``|S|**2`` of the bins that stand for two in mode ``"onesided2X"``."""
        if self.fft_mode != "onesided2X":
            return 1.0
        return 2.0 if self.scaling == "psd" else 4.0

    @property
    def interior(self) -> slice:
        """The bins of a one-sided spectrum that have a mirror image."""
        return slice(1, -1 if self.mfft % 2 == 0 else None)

    def fft(self, frames: AnyArray) -> AnyArray:
        """FFT of the rows, in the order of bins that SciPy's FFTs have."""
        fft = self.kernels.fft
        return cast(AnyArray, (fft.rfft if self.onesided else fft.fft)(frames, axis=-1))

    def adjoint_fft(self, spectra: AnyArray) -> AnyArray:
        """Unscaled inverse FFT; one-sided spectra come with mirrored bins halved."""
        if self.onesided:
            return cast(AnyArray, self.kernels.fft.irfft(spectra, n=self.mfft, axis=-1, norm="forward"))
        return cast(AnyArray, self.kernels.fft.ifft(spectra, axis=-1, norm="forward"))

    def store(self, spectra: AnyArray) -> AnyArray:
        """Scale and order the bins of an FFT as the mode says; may change `spectra`."""
        if self.power_gain != 1:
            spectra[:, self.interior] *= self.power_gain**0.5
        return self.kernels.fft.fftshift(spectra, axes=-1) if self.fft_mode == "centered" else spectra

    def inverse_fft(self, stored: AnyArray, delta: Float64Array | None = None) -> AnyArray:
        """Invert `store` and `fft`, undoing a rotation of the phase by `delta` in between."""
        turned = delta is not None and bool(np.any(delta))
        spectra = self.kernels.xp.array(stored, order="C") if turned or self.power_gain != 1 else stored
        if self.fft_mode == "centered":
            spectra = self.kernels.fft.ifftshift(spectra, axes=-1)
        if self.power_gain != 1:
            spectra[:, self.interior] /= self.power_gain**0.5
        if turned:
            self.kernels.rotate(spectra, delta, self.mfft, self.onesided, -1.0)
        if self.onesided:
            return cast(AnyArray, self.kernels.fft.irfft(spectra, n=self.mfft, axis=-1))
        return cast(AnyArray, self.kernels.fft.ifft(spectra, axis=-1))

    def bin_layout(self) -> tuple[float, bool, bool]:
        """Gain, whether bins are mirrored, whether the Nyquist bin exists: as the kernels take them."""
        return self.power_gain, self.onesided, self.mfft % 2 == 0


@dataclass(frozen=True)
class Transform(Spectra):
    """What all frames of a transform with tunable windows have in common.

    Attributes
    ----------
    window : Window
        The window function.
    T : float
        Sampling interval in seconds.
    window_offset : float
        Centre of a window relative to its frame's time, in samples.
    amplitude : float
        Extra factor on the window, for criteria that do not depend on it.
    """

    window: Window
    T: float
    window_offset: float = 0.0
    amplitude: float = 1.0

    def single(self) -> Transform:
        """Return the transform for use on one thread, within a block of others."""
        return replace(self, workers=1)


# ---------------------------------------------------------------------------------------
# Windows of a block


@dataclass(frozen=True)
class WindowRows:
    """Sampled windows of a block, one row a frame or one for all, and their scale ``c``."""

    w: FloatArray
    dw: FloatArray
    dshape: tuple[FloatArray, ...]
    scale: Float64Array
    scale_slope: Float64Array
    scale_shape_slope: Float64Array


def _sample(
    tf: Transform, theta: Float64Array, lead: Float64Array, count: IntArray, dtype: Any, slope: bool, shape: bool
) -> tuple[FloatArray, FloatArray, tuple[FloatArray, ...]]:
    size = (theta.size, int(count.max(initial=1)))
    series = tf.window.series_in(dtype)
    n_shape = len(tf.window.shape) if shape else 0
    if series is None:
        u = np.clip((lead[:, None] + np.arange(size[1])) / theta[:, None], -0.5, 0.5)
        w, dw, dshape = tf.window.sample(u, slope=slope, shape=shape)
        asarray = tf.kernels.asarray
        return asarray(w, dtype), asarray(dw, dtype), tuple(asarray(row, dtype) for row in dshape)
    # no sample beyond a frame's count is ever read
    xp = tf.kernels.xp
    w = xp.empty(size, dtype)
    if slope:
        dw = xp.empty(size, dtype)
        tf.kernels.window_rows(series.value, series.slope, series.plateau, theta, lead, count, w, dw)
    else:
        dw = xp.zeros(size, dtype)
        tf.kernels.polynomial_rows(series.value, series.plateau, theta, lead, count, w)
    rows = tuple(xp.empty(size, dtype) for _ in range(n_shape))
    for j, row in enumerate(rows):
        tf.kernels.polynomial_rows(series.shape[j], series.plateau, theta, lead, count, row)
    return w, dw, rows


def sample_windows(tf: Transform, frames: PlacedFrames, dtype: Any, *, slope: bool, shape: bool) -> WindowRows:
    """Sample the windows of `frames` and their scale factors, with the derivatives asked for."""
    theta, n = frames.theta, len(frames)
    w, dw, dshape = _sample(tf, theta, frames.lead, frames.count, dtype, slope, shape)
    if tf.scaling is None:
        one, zero = np.full(n, tf.amplitude), np.zeros(n)
        return WindowRows(w, dw, dshape, one, zero, np.zeros((len(dshape), n)))
    # The scale sums run over the samples of a frame at an integer time: it depends on theta alone.
    lead = np.ceil(tf.window_offset - theta / 2) - tf.window_offset
    if np.array_equal(lead, frames.lead):
        cw, cdw, cdshape, count = w, dw, dshape, frames.count
    else:
        last = np.ceil(tf.window_offset + theta / 2) - tf.window_offset
        count = (last - lead).astype(np.int64)
        cw, cdw, cdshape = _sample(tf, theta, lead, count, float, slope, shape)
    sums = np.zeros((4, n))
    tf.kernels.row_sums(cw, cdw, theta, lead, count, sums)
    shape_sums = np.array(_shape_sums(tf, cdshape, cw, count)).reshape(len(cdshape), 2, n)
    return WindowRows(w, dw, dshape, *scale_of_sums(tf, theta, sums, shape_sums))


def _shape_sums(tf: Transform, rows: tuple[FloatArray, ...], w: FloatArray, count: IntArray) -> list[Float64Array]:
    """Sum the derivatives in the shape parameters, and their products with the window, over each frame."""
    if not rows:
        return []
    inside = tf.kernels.asarray(np.arange(w.shape[1]) < count[:, None])
    xp = tf.kernels.xp
    w, *masked = [xp.where(inside, row, 0.0) for row in (w, *rows)]  # there may be anything beyond
    return [tf.kernels.to_host(xp.stack([row.sum(1), (row * w).sum(1)])) for row in masked]


def scale_of_sums(
    tf: Transform, theta: Float64Array, sums: Float64Array, shape: Float64Array
) -> tuple[Float64Array, Float64Array, Float64Array]:
    """Scale ``c`` of each window and its derivatives in ``theta`` and the shape parameters.

    `sums` are those of ``w``, ``w' u``, ``w**2`` and ``w w' u`` for each window, `shape` (n_shape, 2, windows)
    those of the derivatives in the shape parameters and of their products with ``w``.
    """
    magnitude = tf.scaling == "magnitude"
    scale, slope = window_scale(magnitude, tf.T, theta, *(sums[:2] if magnitude else sums[2:]))
    # a derivative of a window changes its own sum, or twice its product with the window that of the squares
    shape_slope = -scale * (shape[:, 0] / sums[0] if magnitude else shape[:, 1] / sums[2])
    return scale * tf.amplitude, slope * tf.amplitude, shape_slope * tf.amplitude


#: So many frames are laid out all at once, which takes less time than block by block.
_FEW_FRAMES = 1 << 14


class Blocks:
    """Blocks of frames, which threads take one after the other."""

    def __init__(self, tf: Transform, frames: Frames, dtype: Any) -> None:
        self.frames = frames[:] if len(frames) <= _FEW_FRAMES else frames
        self.xp = tf.kernels.xp
        self.workers = tf.kernels.WORKERS or tf.workers
        elements = tf.kernels.BLOCK_ELEMENTS * 4 // np.dtype(dtype).itemsize
        self.ranges = block_ranges(len(frames), tf.mfft, elements)
        self._scratch = local()

    def scratch(self, name: str, shape: tuple[int, int], dtype: Any) -> AnyArray:
        """Return memory of the calling thread, which the next block gets again: fresh pages cost time."""
        held = getattr(self._scratch, name, None)
        if held is None or len(held) < shape[0]:
            held = self.xp.empty(shape, dtype)
            setattr(self._scratch, name, held)
        # CuPy copies what is a view before an FFT
        return cast(AnyArray, held if len(held) == shape[0] else held[: shape[0]])

    def each(self, work: Callable[[slice, PlacedFrames], Any], merge: Any = None) -> None:
        """Call ``work(part, frames)`` for every block, and `merge` in their order."""

        def block(i: int) -> Any:
            part = slice(*self.ranges[i])
            return work(part, self.frames[part])

        run_blocks(len(self.ranges), block, self.workers, merge)


class FrameBlocks(Blocks):
    """Blocks of frames with their windows in rows; a window shared by all frames is sampled once."""

    def __init__(self, tf: Transform, frames: Frames, dtype: Any, *, slope: bool = False, shape: bool = False) -> None:
        super().__init__(tf, frames, dtype)
        self.sample = partial(sample_windows, tf, dtype=dtype, slope=slope, shape=shape)
        self.shared = self.sample(frames[:1]) if frames.share_window else None

    def run(self, work: Callable[[slice, PlacedFrames, WindowRows], Any], merge: Any = None) -> None:
        """Call ``work(part, frames, windows)`` for every block, and `merge` in their order."""
        self.each(lambda part, frames: work(part, frames, self.shared or self.sample(frames)), merge)

    def accumulate(
        self, add: Callable[[slice, PlacedFrames, WindowRows, int, AnyArray], None], out: AnyArray, low: int
    ) -> None:
        """Add up what the blocks contribute to samples from `low` on, the last axis of `out`.

        ``add(part, frames, windows, first, stretch)`` adds a block's part to a `stretch` that begins at
        sample `first`; stretches overlap, so they are merged in the order of the blocks.
        """
        high = low + out.shape[-1]

        def work(part: slice, frames: PlacedFrames, rows: WindowRows) -> Any:
            first, last = np.clip(frames.covered(), low, high)
            stretch = self.xp.zeros((*out.shape[:-1], last - first), dtype=out.dtype)
            add(part, frames, rows, int(first), stretch)
            return first, last, stretch

        def merge(_: int, result: Any) -> None:
            first, last, stretch = result
            out[..., first - low : last - low] += stretch

        self.run(work, merge)


def windowed_spectra(tf: Transform, x: AnyArray, frames: PlacedFrames, rows: WindowRows, blocks: Blocks) -> AnyArray:
    """FFT of the windowed frames of one channel, before any rotation."""
    buffer = blocks.scratch("frames", (len(frames), tf.mfft), x.dtype)
    tf.kernels.load_frames(x, rows.w, rows.scale, frames.start, frames.count, frames.offset, buffer)
    return tf.fft(buffer)


# ---------------------------------------------------------------------------------------
# Forward


def forward(tf: Transform, x: AnyArray, frames: Frames) -> AnyArray:
    """Transform channels ``x``, shape (channels, n), to shape (channels, frames, f_pts)."""
    out: AnyArray = tf.kernels.xp.empty(
        (x.shape[0], len(frames), tf.f_pts), dtype=np.result_type(x.dtype, np.complex64)
    )

    def work(part: slice, block: PlacedFrames, rows: WindowRows) -> None:
        for channel, signal in enumerate(x):
            spectra = windowed_spectra(tf, signal, block, rows, blocks)
            if np.any(block.delta):
                tf.kernels.rotate(spectra, block.delta, tf.mfft, tf.onesided, 1.0)
            out[channel, part] = tf.store(spectra)

    blocks = FrameBlocks(tf, frames, x.real.dtype)
    blocks.run(work)
    return out


# ---------------------------------------------------------------------------------------
# Statistics with their derivatives in one pass


@dataclass(frozen=True)
class FrameDerivatives:
    """Derivatives of one or several sums over frames.

    Attributes
    ----------
    theta, centre : ndarray, shape (..., frames)
        In the window length and the window's centre.
    shape : ndarray, shape (n_shape, ..., frames)
        In the shape parameters.
    """

    theta: Float64Array
    centre: Float64Array
    shape: Float64Array


class Reducer:
    """Turns adjoint frames into derivatives: the sums of the module's docstring."""

    def __init__(self, tf: Transform, frames: PlacedFrames, rows: WindowRows) -> None:
        self.tf, self.frames, self.rows = tf, frames, rows
        self.sums = np.zeros((3, len(frames)))
        self.shape_sums = np.zeros((len(rows.dshape), len(frames)))

    def add(self, y: AnyArray, x: AnyArray) -> None:
        """Add the sums of adjoint frames `y` with the samples of one channel `x`."""
        f, r = self.frames, self.rows
        place = (f.start, f.count, f.offset)
        self.tf.kernels.reduce_frames(y, x, r.w, r.dw, f.theta, f.lead, *place, self.sums)
        for j, row in enumerate(r.dshape):
            self.tf.kernels.reduce_rows(y, x, row, *place, self.shape_sums[j])

    def add_energy(self, x: AnyArray, spectra: AnyArray) -> None:
        """Add the sums of the adjoint frames of the energy of one channel: they take no inverse FFT."""
        tf, f, r = self.tf, self.frames, self.rows
        edges = tf.kernels.xp.zeros((2, len(f)))
        if tf.onesided:
            edges[0] = spectra[:, 0].real
            edges[1] = spectra[:, -1].real if tf.mfft % 2 == 0 else 0.0
        y = tf.kernels.xp.empty((len(f), tf.mfft), dtype=x.dtype)
        layout = (edges, tf.power_gain, tf.mfft, tf.onesided)
        tf.kernels.energy_cotangent(x, r.w, r.scale, f.start, f.count, f.offset, *layout, y)
        self.add(y, x)

    def derivatives(self) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Return the derivatives in lengths, centres and shape parameters."""
        a0, a1, a2 = self.sums
        c_over_theta = self.rows.scale / self.frames.theta
        theta = self.rows.scale_slope * a0 - c_over_theta * a1
        shape = self.rows.scale * self.shape_sums + self.rows.scale_shape_slope * a0
        return theta, -c_over_theta * a2, shape


# ---------------------------------------------------------------------------------------
# Vector-Jacobian products


@dataclass(frozen=True)
class Pullback:
    """Derivatives of a real loss in everything the transform depends on.

    Attributes
    ----------
    frames : FrameDerivatives
        In the windows of the frames, each of shape (frames,).
    phase : ndarray, shape (frames,)
        In the time from which each frame's phase counts.
    x : ndarray, shape (channels, n), or None
        In the signal.
    """

    frames: FrameDerivatives
    phase: Float64Array
    x: AnyArray | None


#: ``make(channel, part, spectra) -> (adjoint spectra ready for adjoint_fft, phase derivative)``, where ``spectra()``
#: takes the FFTs of the frames, which not all need
CotangentMaker = Callable[[int, slice, Callable[[], AnyArray]], tuple[AnyArray, Float64Array]]


def pullback(
    tf: Transform, x: AnyArray, frames: Frames, make: CotangentMaker, *, want_x: bool, parameters: bool, shape: bool
) -> Pullback:
    """Run the cotangents that `make` gives for each block back through the transform.

    Derivatives that are not wanted, in the signal or in the parameters of the frames (and the
    window's shape), are left at None or zero.
    """
    n_frames = len(frames)
    theta, centre, phase = np.zeros((3, n_frames))
    d_shape = np.zeros((len(tf.window.shape) if shape else 0, n_frames))
    dx = tf.kernels.xp.zeros_like(x) if want_x else None

    def work(part: slice, block: PlacedFrames, rows: WindowRows, low: int = 0, stretch: AnyArray | None = None) -> None:
        reducer = Reducer(tf, block, rows)
        for channel, signal in enumerate(x):
            g, slope = make(channel, part, partial(windowed_spectra, tf, signal, block, rows, blocks))
            phase[part] += slope
            y = tf.adjoint_fft(g)
            if parameters:
                reducer.add(y, signal)
            if stretch is not None:
                y = y if np.iscomplexobj(x) else y.real
                place = (block.start, block.count, block.offset)
                tf.kernels.overlap_add(y, rows.w, rows.scale, *place, low, stretch[channel])
        theta[part], centre[part], d_shape[:, part] = reducer.derivatives()

    blocks = FrameBlocks(tf, frames, x.real.dtype, slope=parameters, shape=shape)
    if dx is None:
        blocks.run(work)
    else:
        blocks.accumulate(work, dx, 0)
    return Pullback(FrameDerivatives(theta, centre, d_shape), phase, dx)


def stored_cotangent(tf: Transform, cotangent: AnyArray, frames: Frames, dtype: Any, phase: bool) -> CotangentMaker:
    """Cotangents of the stored transform, shape (channels, frames, f_pts); `phase` asks for the derivative in it."""

    def make(channel: int, part: slice, spectra: Callable[[], AnyArray]) -> tuple[AnyArray, Float64Array]:
        block = frames[part]
        g = tf.kernels.xp.array(cotangent[channel, part], dtype=dtype, order="C")
        if tf.fft_mode == "centered":
            g = tf.kernels.fft.ifftshift(g, axes=-1)
        if tf.power_gain != 1:
            g[:, tf.interior] *= tf.power_gain**0.5
        tf.kernels.rotate(g, block.delta, tf.mfft, tf.onesided, -1.0)
        slope = np.zeros(len(block))
        if phase:
            tf.kernels.phase_slope(g, spectra(), tf.mfft, tf.onesided, slope)
        if tf.onesided:
            g[:, tf.interior] *= 0.5
        return g, slope

    return make


def power_cotangent(tf: Transform, slopes: Float64Array) -> CotangentMaker:
    """Cotangents of a loss whose derivative in ``|S|**2`` is `slopes`, (channels, frames, f_pts)."""

    def make(channel: int, part: slice, spectra: Callable[[], AnyArray]) -> tuple[AnyArray, Float64Array]:
        block = tf.kernels.asarray(slopes[channel, part], dtype=float)
        if tf.fft_mode == "centered":
            block = tf.kernels.fft.ifftshift(block, axes=-1)
        own = spectra()
        g = tf.kernels.xp.empty_like(own)
        tf.kernels.bin_cotangent(own, *tf.bin_layout(), block, g)
        return g, np.zeros(len(block))

    return make
