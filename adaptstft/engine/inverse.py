r"""The exact inverse with one window for each frame, and its gradients.

If no window is longer than the FFT, the frame operator is diagonal in time [1]_: a multiplication by
``mfft * sum_p |w(n; t_p, theta_p)|**2``. Division by it gives the canonical dual windows: the exact signal, or the
least-squares signal of a modified transform.

References
----------
.. [1] P. Balazs, M. Doerfler, F. Jaillet, N. Holighaus, G. Velasco, "Theory,
   implementation and applications of nonstationary Gabor frames",
   J. Comput. Appl. Math. 236(6), 2011.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from adaptstft.common.device import to_host
from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.engine.blocks import WindowedBlocks
from adaptstft.engine.forward import windowed_frames, windowed_spectra
from adaptstft.engine.frames import Frames, PlacedFrames
from adaptstft.engine.gradients import Gradients
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.vjp import FrameGradients, Reducer


def window_overlap(plan: FramePlan, frames: Frames, low: int, high: int) -> Float64Array:
    """Overlap of the windows, ``sum_p |w(n; t_p, theta_p)|**2``, for samples ``low <= n < high``."""
    out: Float64Array = plan.kernels.xp.zeros(high - low)
    add_overlap(plan, frames, out, low)
    return out


def add_overlap(plan: FramePlan, frames: Frames, out: Float64Array, low: int) -> None:
    """Add the squared windows of `frames` to `out`, samples from `low` on."""
    blocks = WindowedBlocks(plan, frames, np.float64)

    def add(_: slice, block: PlacedFrames, first: int, stretch: AnyArray) -> None:
        rows = blocks.windows(block)
        plan.kernels.window_energy(rows.w, rows.scale, block.start, block.count, first, stretch)

    blocks.accumulate(add, out, low)


def overlap_vjp(plan: FramePlan, frames: Frames, cotangent: Float64Array, low: int, *, shape: bool) -> Gradients:
    """Gradients with respect to the windows from a cotangent of `window_overlap`, for samples from `low` on."""
    frames = frames.moved(-low)
    gradients = FrameGradients(plan, len(frames), shape=shape)
    per_sample = plan.kernels.asarray(cotangent)
    twos = plan.kernels.xp.full(per_sample.shape, 2.0)
    blocks = WindowedBlocks(plan, frames, np.float64, gradient=True, shape=shape)

    def work(i: int) -> None:
        part, block = blocks[i]
        rows = blocks.windows(block)
        reducer = Reducer(plan, block, rows)
        reducer.add(windowed_frames(plan, twos, block, rows), per_sample)
        gradients.fill(part, reducer)

    blocks.run(work)
    return gradients.total()


def is_covered(overlap: Float64Array, peak: float | None = None, dtype: Any = np.float64) -> Any:
    """Mask of the samples that can be reconstructed, by the threshold of SciPy's dual windows.

    The rounding of a transform of type `dtype` is amplified by the square root of the ratio of the largest overlap to
    that of a sample. The threshold keeps the error of a sample below 1e-8 in double and 1e-4 in single precision. If
    `overlap` is that of a part of the signal, `peak` is the largest overlap of the whole.
    """
    return overlap > np.finfo(dtype).resolution * (overlap.max() if peak is None and overlap.size else peak or 0.0)


def rounding_error(overlap: Float64Array, dtype: Any) -> float:
    """Relative error of a random signal that is reconstructed from a transform of type `dtype`."""
    if overlap.size == 0:
        return 0.0
    return float(np.finfo(dtype).eps * (overlap.max() / overlap).mean() ** 0.5)


def describe_samples(mask: Any, first: int) -> str:
    """Text with the ranges of samples where `mask` is set; `first` is the index of its first entry."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(int)))
    runs = [(first + a, first + b - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    text = ", ".join(f"{a}" if a == b else f"{a} to {b}" for a, b in runs[:5])
    return text + (f" and {len(runs) - 5} further ranges" if len(runs) > 5 else "")


def _full_overlap(plan: FramePlan, frames: Frames, low: int, high: int, dtype: Any) -> Float64Array:
    """Return `window_overlap`; raise if a sample is not covered well enough for transforms of type `dtype`."""
    overlap = window_overlap(plan, frames, low, high)
    check_covered(overlap, low, dtype=dtype)
    return overlap


def check_covered(overlap: Float64Array, low: int, peak: float | None = None, dtype: Any = np.float64) -> None:
    """Raise ValueError if samples from `low` on are not covered; `peak` and `dtype` as in `is_covered`."""
    covered = is_covered(overlap, peak, dtype)
    high = low + overlap.size
    if not covered.all():
        if bool(is_covered(overlap, peak).all()):
            covered = to_host(covered)
            raise ValueError(
                f"the transform is not invertible in single precision: windows reach the samples "
                f"{describe_samples(~covered, low)} with less than {np.finfo(dtype).resolution:.0e} of the largest "
                "energy, and rounding would be amplified: use double precision, or overlap the frames more (shorter "
                "hops or longer windows)"
            )
        covered = to_host(is_covered(overlap, peak))
        raise ValueError(
            f"the transform is not invertible: no window covers {int((~covered).sum())} of the samples "
            f"{low} to {high - 1}, namely {describe_samples(~covered, low)}; frames must overlap there "
            "(shorter hops or longer windows), or k0 and k1 must exclude them"
        )


def frame_synthesis(plan: FramePlan, spectra: AnyArray, frames: Frames, low: int, high: int) -> tuple[AnyArray, float]:
    """Least-squares signal of ``spectra``, shape (channels, frames, f_pts), for ``low <= n < high``, and its error."""
    overlap = _full_overlap(plan, frames, low, high, spectra.dtype)
    return _divided_synthesis(plan, spectra, frames, low, overlap), rounding_error(overlap, spectra.dtype)


def _divided_synthesis(plan: FramePlan, spectra: AnyArray, frames: Frames, low: int, overlap: Float64Array) -> AnyArray:
    shape = (spectra.shape[0], overlap.size)
    dtype = spectra.real.dtype if plan.onesided else spectra.dtype
    out: AnyArray = plan.kernels.xp.zeros(shape, dtype=dtype)
    add_synthesis(plan, spectra, frames, out, low)
    normalize(out, overlap)
    return out


def normalize(out: AnyArray, overlap: Float64Array) -> None:
    """Divide the sum of `add_synthesis` by the overlap of the windows, in place."""
    out /= overlap.astype(out.real.dtype)


def add_synthesis(plan: FramePlan, spectra: AnyArray, frames: Frames, out: AnyArray, low: int) -> None:
    """Add windowed inverse FFTs to `out`, shape (channels, samples), samples from `low` on."""
    blocks = WindowedBlocks(plan, frames, spectra.real.dtype)

    def add(part: slice, block: PlacedFrames, first: int, stretch: AnyArray) -> None:
        rows = blocks.windows(block)
        for channel in range(spectra.shape[0]):
            y = plan.inverse_fft(spectra[channel, part], block.delta)
            plan.kernels.overlap_add(y, rows.w, rows.scale, *block.place, first, stretch[channel])

    blocks.accumulate(add, out, low)


def frame_synthesis_vjp(
    plan: FramePlan,
    spectra: AnyArray,
    frames: Frames,
    low: int,
    high: int,
    cotangent: AnyArray,
    *,
    parameters: bool,
    shape: bool,
) -> Gradients:
    """Gradients from a cotangent of `frame_synthesis`; with `parameters` also with respect to the frames.

    With ``x = N / D``, ``N = sum_p w_p y_p`` for the inverse FFTs ``y_p``, ``D = sum_p w_p**2`` and
    ``r = cotangent / D``, the derivative with respect to the window of frame ``p`` is
    ``Re(conj(r) (y_p - 2 w_p x))``, and the cotangent of its inverse FFT is ``w_p r``.
    """
    overlap = _full_overlap(plan, frames, low, high, spectra.dtype)
    r = (cotangent / overlap).astype(spectra.real.dtype if plan.onesided else spectra.dtype)
    x = _divided_synthesis(plan, spectra, frames, low, overlap) if parameters else None
    frames = frames.moved(-low)
    gradients = FrameGradients(plan, len(frames), shape=shape)
    d_spectra = plan.kernels.xp.empty(spectra.shape, dtype=spectra.dtype)
    blocks = WindowedBlocks(plan, frames, r.real.dtype, gradient=parameters, shape=shape)

    def work(i: int) -> None:
        part, block = blocks[i]
        rows = blocks.windows(block)
        reducer = Reducer(plan, block, rows)
        for channel in range(len(r)):
            if x is not None:
                y = plan.inverse_fft(spectra[channel, part], block.delta)
                reducer.add(y - 2 * windowed_frames(plan, x[channel], block, rows), r[channel])
            g = windowed_spectra(plan, r[channel], block, rows, blocks) / plan.mfft
            if plan.onesided:
                g[:, plan.interior] *= 2
            d_spectra[channel, part], phase = _stored_cotangent(plan, g, spectra[channel, part], block)
            gradients.phase[part] += phase
        gradients.fill(part, reducer)

    blocks.run(work)
    return gradients.total(d_spectra)


def _stored_cotangent(
    plan: FramePlan, g: AnyArray, stored: AnyArray, frames: PlacedFrames
) -> tuple[AnyArray, Float64Array]:
    """Cotangent of the stored bins from that of an inverse FFT's input, and the derivative with respect to phases."""
    plan.kernels.rotate(g, frames.delta, plan.mfft, plan.onesided, 1.0)
    if plan.power_gain != 1:
        g[:, plan.interior] /= plan.power_gain**0.5
    phase = np.zeros(len(frames))
    bins = plan.kernels.asarray(plan.fft_order(stored))
    plan.kernels.phase_gradient(g, bins, plan.mfft, plan.onesided, phase)
    return plan.stored_order(g), -phase


def dual_rows(plan: FramePlan, frames: Frames, slot_starts: Any, slot: int, *, dual: bool) -> Float64Array:
    """Windows ``w_p``, or dual windows ``w_p / sum_p |w_p|**2``, in rows of `slot` samples."""
    low, high = frames.covered()
    overlap = plan.kernels.to_host(window_overlap(plan, frames, low, high))
    out = np.zeros((len(frames), slot))
    blocks = WindowedBlocks(plan, frames, np.float64)

    def work(i: int) -> None:
        part, block = blocks[i]
        rows = blocks.windows(block)
        w = plan.kernels.to_host(rows.w)
        for b in range(len(block)):
            k = b if len(w) > 1 else 0
            n = int(block.count[b])
            column = int(block.start[b] - slot_starts[part][b])
            values = w[k, :n] * rows.scale[k]
            if dual:
                own = overlap[block.start[b] - low : block.start[b] - low + n]
                values = values / np.where(own > 0, own, 1.0)  # where the overlap is 0, so is the window
            out[part.start + b, column : column + n] = values

    blocks.run(work)
    return out
