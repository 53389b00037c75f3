r"""The exact inverse for one window per frame.

With the support of every window within the FFT's length, the frame operator
is diagonal in time [1]_: a multiplication by ``mfft * sum_p |w(n; t_p)|**2``.
Dividing by it gives the canonical dual, hence a perfect reconstruction, and
the least-squares signal for a modified transform.

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
from adaptstft.engine.blocks import FrameBlocks
from adaptstft.engine.forward import windowed_spectra
from adaptstft.engine.frames import Frames, PlacedFrames
from adaptstft.engine.gradients import Gradients
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.vjp import FrameGradients, Reducer
from adaptstft.engine.window_samples import WindowRows


def window_overlap(plan: FramePlan, frames: Frames, low: int, high: int) -> Float64Array:
    """``sum_p |w(n; t_p, theta_p)|**2`` for samples ``low <= n < high``."""
    out: Float64Array = plan.kernels.xp.zeros(high - low)
    add_overlap(plan, frames, out, low)
    return out


def add_overlap(plan: FramePlan, frames: Frames, out: Float64Array, low: int) -> None:
    """Add the squared windows of `frames` to `out`, which begins at sample `low`; what lies beyond it is left out."""

    def add(_: slice, block: PlacedFrames, rows: WindowRows, first: int, stretch: AnyArray) -> None:
        plan.kernels.window_energy(rows.w, rows.scale, block.start, block.count, first, stretch)

    FrameBlocks(plan, frames, np.float64).accumulate(add, out, low)


def overlap_vjp(plan: FramePlan, frames: Frames, cotangent: Float64Array, low: int, *, shape: bool) -> Gradients:
    """Pull a cotangent of `window_overlap`, one entry for each sample from `low` on, back to the windows."""
    frames = frames.moved(-low)
    gradients = FrameGradients(plan, len(frames), shape=shape)
    per_sample = plan.kernels.asarray(cotangent)
    twos = plan.kernels.xp.full(per_sample.shape, 2.0)

    def work(part: slice, block: PlacedFrames, rows: WindowRows) -> None:
        reducer = Reducer(plan, block, rows)
        buffer = plan.kernels.xp.empty((len(block), plan.mfft))
        plan.kernels.load_frames(twos, rows.w, rows.scale, block.start, block.count, block.offset, buffer)
        reducer.add(buffer, per_sample)
        gradients.fill(part, reducer)

    FrameBlocks(plan, frames, np.float64, gradient=True, shape=shape).run(work)
    return gradients.total()


def is_covered(overlap: Float64Array, peak: float | None = None) -> Any:
    """Mask of the samples that can be reconstructed, by the criterion of SciPy's dual windows.

    `peak` is the largest overlap of the whole signal if `overlap` is that of a part.
    """
    return overlap > np.finfo(float).resolution * (overlap.max() if peak is None and overlap.size else peak or 0.0)


def describe_samples(mask: Any, first: int) -> str:
    """Name the samples where `mask` is set, as ranges; `first` is the index of its first entry."""
    edges = np.flatnonzero(np.diff(np.concatenate([[False], mask, [False]]).astype(int)))
    runs = [(first + a, first + b - 1) for a, b in zip(edges[::2], edges[1::2], strict=True)]
    text = ", ".join(f"{a}" if a == b else f"{a} to {b}" for a, b in runs[:5])
    return text + (f" and {len(runs) - 5} further ranges" if len(runs) > 5 else "")


def _full_overlap(plan: FramePlan, frames: Frames, low: int, high: int) -> Float64Array:
    """`window_overlap` where every sample must be covered."""
    overlap = window_overlap(plan, frames, low, high)
    check_covered(overlap, low)
    return overlap


def check_covered(overlap: Float64Array, low: int, peak: float | None = None) -> None:
    """Raise if samples, of which `low` is the first, are not covered; `peak` as in `is_covered`."""
    covered = is_covered(overlap, peak)
    high = low + overlap.size
    if not covered.all():
        covered = to_host(covered)
        raise ValueError(
            f"the transform is not invertible: no window covers {int((~covered).sum())} of the samples "
            f"{low} to {high - 1}, namely {describe_samples(~covered, low)}; frames must overlap there "
            "(shorter hops or longer windows), or k0 and k1 must exclude them"
        )


def synthesize(plan: FramePlan, spectra: AnyArray, frames: Frames, low: int, high: int) -> AnyArray:
    """Least-squares signal of ``spectra``, shape (channels, frames, f_pts), for ``low <= n < high``."""
    return _synthesize(plan, spectra, frames, low, _full_overlap(plan, frames, low, high))


def _synthesize(plan: FramePlan, spectra: AnyArray, frames: Frames, low: int, overlap: Float64Array) -> AnyArray:
    shape = (spectra.shape[0], overlap.size)
    dtype = spectra.real.dtype if plan.onesided else spectra.dtype
    out: AnyArray = plan.kernels.xp.zeros(shape, dtype=dtype)
    add_synthesis(plan, spectra, frames, out, low)
    normalize(out, overlap)
    return out


def normalize(out: AnyArray, overlap: Float64Array) -> None:
    """Divide what `add_synthesis` added up by the overlap of the windows, in place."""
    out /= overlap.astype(out.real.dtype)


def add_synthesis(plan: FramePlan, spectra: AnyArray, frames: Frames, out: AnyArray, low: int) -> None:
    """Add windowed inverse FFTs to `out`, shape (channels, samples), which begins at sample `low`."""

    def add(part: slice, block: PlacedFrames, rows: WindowRows, first: int, stretch: AnyArray) -> None:
        place = (block.start, block.count, block.offset)
        for channel in range(spectra.shape[0]):
            y = plan.inverse_fft(spectra[channel, part], block.delta)
            plan.kernels.overlap_add(y, rows.w, rows.scale, *place, first, stretch[channel])

    FrameBlocks(plan, frames, spectra.real.dtype).accumulate(add, out, low)


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
    """Pull a cotangent of `synthesize`, shape (channels, high - low), back to the spectra and, if wanted, the frames.

    With ``x = N / D``, ``N = sum_p w_p y_p`` for the inverse FFTs ``y_p``, ``D = sum_p w_p**2`` and
    ``r = cotangent / D``, the window of frame ``p`` gets ``Re(conj(r) (y_p - 2 w_p x))`` and its inverse
    FFT gets ``w_p r``.
    """
    overlap = _full_overlap(plan, frames, low, high)
    r = (cotangent / overlap).astype(spectra.real.dtype if plan.onesided else spectra.dtype)
    x = _synthesize(plan, spectra, frames, low, overlap) if parameters else None
    frames = frames.moved(-low)
    gradients = FrameGradients(plan, len(frames), shape=shape)
    d_spectra = plan.kernels.xp.empty(spectra.shape, dtype=spectra.dtype)

    def work(part: slice, block: PlacedFrames, rows: WindowRows) -> None:
        reducer = Reducer(plan, block, rows)
        place = (block.start, block.count, block.offset)
        buffer = plan.kernels.xp.empty((len(block), plan.mfft), dtype=r.dtype)
        gradient = np.zeros(len(block))
        for channel in range(len(r)):
            if x is not None:
                y = plan.inverse_fft(spectra[channel, part], block.delta)
                plan.kernels.load_frames(x[channel], rows.w, rows.scale, *place, buffer)
                reducer.add(y - 2 * buffer, r[channel])
            g = windowed_spectra(plan, r[channel], block, rows, blocks) / plan.mfft
            if plan.onesided:
                g[:, plan.interior] *= 2
            d_spectra[channel, part] = _to_stored(plan, g, spectra[channel, part], block, gradient)
        gradients.phase[part] = gradient
        gradients.fill(part, reducer)

    blocks = FrameBlocks(plan, frames, r.real.dtype, gradient=parameters, shape=shape)
    blocks.run(work)
    return gradients.total(d_spectra)


def _to_stored(
    plan: FramePlan, g: AnyArray, stored: AnyArray, frames: PlacedFrames, gradient: Float64Array
) -> AnyArray:
    """Bring the cotangent of an inverse FFT's input to the stored bins, and add the derivative in its phase."""
    plan.kernels.rotate(g, frames.delta, plan.mfft, plan.onesided, 1.0)
    if plan.power_gain != 1:
        g[:, plan.interior] /= plan.power_gain**0.5
    fft = plan.kernels.fft
    plain = fft.ifftshift(stored, axes=-1) if plan.fft_mode == "centered" else stored
    turned = np.zeros_like(gradient)
    plan.kernels.phase_gradient(g, plan.kernels.asarray(plain), plan.mfft, plan.onesided, turned)
    gradient -= turned
    return fft.fftshift(g, axes=-1) if plan.fft_mode == "centered" else g


def dual_rows(plan: FramePlan, frames: Frames, slot_starts: Any, slot: int, *, dual: bool) -> Float64Array:
    """Windows ``w_p``, or dual windows ``w_p / sum_p |w_p|**2``, in `slot` samples a frame."""
    low, high = frames.covered()
    overlap = plan.kernels.to_host(window_overlap(plan, frames, low, high))
    out = np.zeros((len(frames), slot))

    def work(part: slice, block: PlacedFrames, rows: WindowRows) -> None:
        w = plan.kernels.to_host(rows.w)
        for b in range(len(block)):
            k = b if len(w) > 1 else 0
            n = int(block.count[b])
            column = int(block.start[b] - slot_starts[part][b])
            values = w[k, :n] * rows.scale[k]
            if dual:
                around = overlap[block.start[b] - low : block.start[b] - low + n]
                values = values / np.where(around > 0, around, 1.0)  # where it is 0, so is the window
            out[part.start + b, column : column + n] = values

    FrameBlocks(plan, frames, np.float64).run(work)
    return out
