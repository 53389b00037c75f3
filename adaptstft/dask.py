"""Transforms of Dask arrays, by overlapping stretches of the signal; needs the extra ``dask``.

A signal in chunks is divided along time into stretches, which follow its chunks where these are neither small nor
large. Every slice of a transform belongs to the stretch that its time is in, and is made from that stretch and as many
samples on both sides as the longest window takes. Results are therefore those of the signal in memory, whatever the
chunks, and no more than a few stretches are in a worker's memory at once. A stretch has up to four million samples, all
channels together; ``dask.config.set({"adaptstft.stretch": n})`` sets another number, see the page on planning.

`adaptstft.optimize` takes a Dask array in the place of a signal. Where a ``dask.distributed`` client is active its
workers do the work: what goes to them are window lengths, what comes back are sums over their stretches.

Examples
--------
>>> import dask.array as da
>>> import numpy as np
>>> import adaptstft.dask
>>> x = np.random.default_rng(0).standard_normal(5000)
>>> sft = adaptstft.AdaptiveShortTimeFFT("hann", 100.5, 25, fs=1000.0)
>>> S = adaptstft.dask.stft(sft, da.from_array(x, chunks=700))
>>> S.shape == sft.stft(x).shape, bool(np.allclose(S.compute(), sft.stft(x)))
(True, True)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, cast

import numpy as np

from adaptstft import criteria
from adaptstft.common.typing import AnyArray, Float64Array, Parameter
from adaptstft.common.validation import as_axis, as_inexact, check_finite_stretch
from adaptstft.criteria import evaluate as objective
from adaptstft.criteria.scopes import FrameView
from adaptstft.engine.bins import BinFrames, bin_adjoint, bin_forward, bin_gradients
from adaptstft.engine.frames import Frames
from adaptstft.engine.operator import analyse, energies
from adaptstft.engine.plan import FramePlan
from adaptstft.engine.statistics import statistics, statistics_cotangent
from adaptstft.engine.vjp import frame_vjp
from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT
from adaptstft.transforms.axes import spectra_to_public
from adaptstft.transforms.gradient import Gradient, hop_gradient
from adaptstft.tuning.shared.dask_pieces import check_array, dask_module, samples, stretches_of, tree
from adaptstft.tuning.shared.pieces import conclude_sums, frame_rows

__all__ = ["spectrogram", "stft", "value_and_grad"]


# ---------------------------------------------------------------------------------------
# Slices of a stretch


@dataclass(frozen=True)
class _Part:
    """Slices ``p0 <= p < p1``, whose times are in one stretch, and the samples ``low <= n < high`` they take."""

    p0: int
    p1: int
    low: int
    high: int


def _reach(sft: AdaptiveShortTimeFFT) -> int:
    """How far a slice's samples are from its time at most."""
    return int(np.ceil(sft.m_num / 2 + abs(sft.window_offset))) + 2


def _slices_from(sft: AdaptiveShortTimeFFT, t: float) -> int:
    """Return the first slice whose time is at least `t`."""
    if sft.positions is not None:
        return int(np.searchsorted(sft.positions, t))
    return int(np.ceil(t / cast(float, sft.hop)))


def _parts(sft: AdaptiveShortTimeFFT, x: Any, beyond: int = 0) -> list[_Part]:
    """Divide the slices of a signal; those at times less than `beyond` from a stretch are in it as well."""
    n = x.shape[-1]
    first, last = sft.p_range(n)
    reach = _reach(sft) + beyond
    parts = []
    for a, b in stretches_of(x):
        p0 = first if a == 0 else min(max(_slices_from(sft, a - beyond), first), last)
        p1 = last if b == n else min(max(_slices_from(sft, b + beyond), first), last)
        low = min(max(a - reach, 0), n - 1)
        parts.append(_Part(p0, p1, low, min(b + reach, n)))
    return parts


def _channels(sft: AdaptiveShortTimeFFT, block: AnyArray, low: int) -> tuple[FramePlan, AnyArray]:
    """Transform for one thread of many, and the samples of a stretch as it takes them."""
    x = as_inexact("x", block).reshape(-1, block.shape[-1])
    check_finite_stretch("x", x, low)
    plan = sft._plan if sft.workers is not None else sft._plan.single()
    return plan, plan.kernels.asarray(x)


def _frames(sft: AdaptiveShortTimeFFT, part: _Part) -> Frames | BinFrames:
    return sft._frames(part.p0, part.p1).moved(-part.low)


def _for_part(sft: AdaptiveShortTimeFFT, part: _Part) -> tuple[AdaptiveShortTimeFFT, _Part]:
    """Leave out the parameters of other slices, which would go to every worker."""
    own = sft._num_slice_lengths is not None
    if sft.positions is None and not own:
        return sft, part
    if part.p0 == part.p1:
        return sft.remade(win_length=float(np.max(sft.win_length)), positions=np.zeros(1), hop=None), replace(
            part, p0=0, p1=0
        )
    positions = sft._slice_positions(part.p0, part.p1)
    columns = slice(part.p0 - sft.p_min, part.p1 - sft.p_min)
    win_length = np.asarray(sft.win_length)[..., columns] if own else sft.win_length
    return sft.remade(win_length=win_length, positions=positions, hop=None), replace(part, p0=0, p1=part.p1 - part.p0)


# ---------------------------------------------------------------------------------------
# Transforms


def _stft_block(block: AnyArray, sft: AdaptiveShortTimeFFT, part: _Part, power: bool) -> AnyArray:
    plan, x = _channels(sft, block, part.low)
    S = plan.kernels.to_host(analyse(plan, x, _frames(sft, part)))
    public = spectra_to_public(S, block.shape[:-1], len(block.shape) - 1)
    return public.real**2 + public.imag**2 if power else public


def _transform(sft: AdaptiveShortTimeFFT, x: Any, axis: int, *, power: bool) -> Any:
    da = dask_module("array")
    time_axis = as_axis(axis, x.ndim) if isinstance(x, da.Array) else -1
    x = check_array(x, axis, onesided=sft.onesided_fft)
    sft._check_lengths(x.shape[-1])
    dtype = np.result_type(x.dtype, np.complex64)
    found = []
    for part in _parts(sft, x):
        if part.p0 == part.p1:
            continue
        block = x[..., part.low : part.high].rechunk({x.ndim - 1: -1})
        chunks = (*block.chunks[:-1], (sft.f_pts,), (part.p1 - part.p0,))
        own, at = _for_part(sft, part)
        found.append(
            da.map_blocks(
                _stft_block,
                block,
                own,
                at,
                power,
                dtype=np.zeros(0, dtype).real.dtype if power else dtype,
                chunks=chunks,
                new_axis=[x.ndim],
                meta=np.zeros((0,) * (x.ndim + 1), np.zeros(0, dtype).real.dtype if power else dtype),
            )
        )
    return da.moveaxis(da.concatenate(found, axis=-1), -2, time_axis)


def stft(sft: AdaptiveShortTimeFFT, x: Any, *, axis: int = -1) -> Any:
    """Short-time Fourier transform of a Dask array, as a Dask array.

    Parameters
    ----------
    sft : AdaptiveShortTimeFFT
        The transform. Unless it has ``workers=``, every task uses one thread.
    x : dask.array.Array
        Signal of any number of dimensions, in any chunks; complex only in modes ``"twosided"`` and ``"centered"``.
        Beyond its ends there are zeros.
    axis : int, optional
        Axis of time in `x`.

    Returns
    -------
    dask.array.Array of complex128, shape (..., f_pts, p_num)
        As `AdaptiveShortTimeFFT.stft`, not computed yet; complex64 for float32 and complex64 signals.

    Raises
    ------
    ValueError, TypeError
        As `AdaptiveShortTimeFFT.stft`; for NaN or infinite samples when it is computed.
    ImportError
        Without Dask, with the command that installs it.

    Examples
    --------
    >>> import dask.array as da
    >>> import adaptstft.dask
    >>> sft = adaptstft.AdaptiveShortTimeFFT("hann", 64.0, 16, fs=1.0)
    >>> adaptstft.dask.stft(sft, da.ones((2, 1000), chunks=(1, 300))).shape
    (2, 33, 66)
    """
    return _transform(sft, x, axis, power=False)


def spectrogram(sft: AdaptiveShortTimeFFT, x: Any, *, axis: int = -1) -> Any:
    """Spectrogram ``abs(Sx)**2`` of a Dask array, as a Dask array.

    Parameters
    ----------
    sft, x, axis
        As in `stft`.

    Returns
    -------
    dask.array.Array of float64, shape (..., f_pts, p_num)
        As `AdaptiveShortTimeFFT.spectrogram`, not computed yet; float32 for float32 and complex64 signals.

    Examples
    --------
    >>> import dask.array as da
    >>> import adaptstft.dask
    >>> sft = adaptstft.AdaptiveShortTimeFFT("hann", 64.0, 16, fs=1.0, scale_to="psd")
    >>> mean = adaptstft.dask.spectrogram(sft, da.ones(1000, chunks=300)).mean(axis=-1)
    >>> mean.compute().shape
    (33,)
    """
    return _transform(sft, x, axis, power=True)


# ---------------------------------------------------------------------------------------
# Value and gradient


def _totals(
    plan: FramePlan, x: AnyArray, frames: Frames | BinFrames, loss: criteria.Additive
) -> tuple[Float64Array, Float64Array]:
    """Statistics of each frame, shape (statistics, frames), and its number of bins."""
    stats = loss.statistics
    counts = np.full(len(frames), float(plan.f_pts * len(x)))
    if not isinstance(frames, BinFrames):
        return statistics(plan, x, frames, stats)[0], counts
    energy = energies(bin_forward(plan, x, frames).S)
    return np.array([stats.terms(k, energy)[0].sum(axis=(0, 2)) for k in range(len(stats))]), counts


def _view(frames: Frames | BinFrames) -> FrameView:
    return FrameView(np.zeros(len(frames)), np.ones(len(frames)))


def _largest(block: AnyArray, low: int) -> float:
    x = as_inexact("x", block).reshape(-1, block.shape[-1])
    check_finite_stretch("x", x, low)
    return float(np.abs(x).max())


def _check_peak(peak: float) -> float:
    if peak == 0:
        raise ValueError("x is silent: all its samples are zero, so no window is better than another")
    return peak


def _sums(
    block: AnyArray, sft: AdaptiveShortTimeFFT, part: _Part, loss: criteria.Additive, peak: float
) -> tuple[Float64Array, float, float]:
    plan, x = _channels(sft, block, part.low)
    frames = _frames(sft, part)
    if not len(frames):
        return np.zeros(2 if loss.scope == "frame" else len(loss.statistics)), 0.0, 0.0
    totals, counts = _totals(objective.scale_free(plan, peak), x, frames, loss)
    return frame_rows(loss, totals, counts, _view(frames)).sums, float(counts.sum()), float(len(frames))


def _add_sums(parts: list[tuple[Float64Array, float, float]]) -> tuple[Float64Array, float, float]:
    sums, counts, frames = zip(*parts, strict=True)
    return np.sum(sums, axis=0), float(np.sum(counts)), float(np.sum(frames))


def _value(loss: criteria.Additive, total: tuple[Float64Array, float, float]) -> tuple[float, Float64Array]:
    """Value of the criterion, and its slopes in the sums."""
    return conclude_sums(loss, total[0], total[1], 1.0, 1.0)


def _frame_gradients(
    plan: FramePlan, x: AnyArray, frames: Frames | BinFrames, loss: criteria.Additive, gradients: Float64Array
) -> Float64Array:
    """Slope of the value in each frame's statistics, shape (statistics, frames)."""
    if loss.scope != "frame":
        return np.repeat(gradients[:, np.newaxis], len(frames), axis=1)
    rows = frame_rows(loss, *_totals(plan, x, frames, loss), _view(frames))
    return np.asarray(np.einsum("j,jkp->kp", gradients, rows.gradients))


def _bin_cotangent(loss: criteria.Additive, plan: FramePlan, S: AnyArray, weights: Float64Array) -> AnyArray:
    """Cotangent of ``sum_kp weights[k, p] * statistic_k[p]`` for windows per bin."""
    energy = energies(S)
    rate = sum(w[:, np.newaxis] * loss.statistics.terms(k, energy)[1] for k, w in enumerate(weights))
    return cast(AnyArray, plan.kernels.asarray(2 * rate) * S)


def _parameter_gradients(
    block: AnyArray,
    sft: AdaptiveShortTimeFFT,
    part: _Part,
    first: int,
    loss: criteria.Additive,
    peak: float,
    found: tuple[float, Float64Array],
    chosen: frozenset[str],
) -> Gradient:
    """Gradient in the parameters from the slices of one stretch, whose first has the number `first`."""
    plan, x = _channels(sft, block, part.low)
    plan = objective.scale_free(plan, peak)
    frames = _frames(sft, part)
    gradients = _frame_gradients(plan, x, frames, loss, found[1])
    shape = "shape" in chosen
    if isinstance(frames, BinFrames):
        spectra = bin_forward(plan, x, frames, gradient=True, shape=shape)
        d = bin_gradients(plan, spectra, _bin_cotangent(loss, plan, spectra.S, gradients), phase=False)
        win_length, positions, d_shape = d.win_length, d.positions, d.shape
    else:
        make = statistics_cotangent(plan, loss.statistics, gradients)
        back = frame_vjp(plan, x, frames, make, want_x=False, parameters=True, shape=shape)
        win_length, positions, d_shape = back.win_length, back.positions, back.shape
    # a transform of a part may be one of positions where the whole has a hop
    hop = hop_gradient(first, positions) if "hop" in chosen else None
    return replace(sft._gradient(set(chosen), first, win_length, positions, d_shape), hop=hop)


def _signal_gradients(
    block: AnyArray,
    sft: AdaptiveShortTimeFFT,
    part: _Part,
    own: tuple[int, int],
    loss: criteria.Additive,
    peak: float,
    found: tuple[float, Float64Array],
) -> AnyArray:
    """Gradient in the samples ``own[0] <= n < own[1]`` from all slices that take any."""
    plan, x = _channels(sft, block, part.low)
    plan = objective.scale_free(plan, peak)
    frames = _frames(sft, part)
    d_x = np.zeros_like(x)
    if len(frames):
        gradients = _frame_gradients(plan, x, frames, loss, found[1])
        if isinstance(frames, BinFrames):
            g = _bin_cotangent(loss, plan, bin_forward(plan, x, frames).S, gradients)
            d_x = bin_adjoint(plan, g, frames, 0, x.shape[1], real=not np.iscomplexobj(x)).astype(x.dtype)
        else:
            make = statistics_cotangent(plan, loss.statistics, gradients)
            d_x = cast(AnyArray, frame_vjp(plan, x, frames, make, want_x=True, parameters=False, shape=False).data)
    inside = d_x[:, own[0] - part.low : own[1] - part.low]
    return cast(AnyArray, plan.kernels.to_host(inside)).reshape(*block.shape[:-1], own[1] - own[0])


def value_and_grad(
    sft: AdaptiveShortTimeFFT,
    x: Any,
    criterion: Any,
    *,
    wrt: tuple[Parameter, ...] | None = None,
    axis: int = -1,
) -> tuple[Any, Gradient]:
    """Value and gradient of a concentration criterion of a Dask array, as Dask arrays.

    Parameters
    ----------
    sft : AdaptiveShortTimeFFT
        The transform.
    x : dask.array.Array
        Signal, as in `stft`; not silent.
    criterion : str or Criterion
        A name or an object of `adaptstft.criteria`, a function of sums of scope ``"global"`` or ``"frame"``.
    wrt : tuple of str, optional
        Which derivatives to compute, of ``"win_length"``, ``"positions"``, ``"hop"``, ``"shape"`` and ``"x"``; all by
        default.
    axis : int, optional
        Axis of time in `x`.

    Returns
    -------
    value : dask.array.Array, shape ()
        The criterion, not computed yet.
    gradient : Gradient
        Its derivatives, Dask arrays of the shapes that `AdaptiveShortTimeFFT.value_and_grad` gives them;
        ``dask.compute(value, gradient)`` computes them all at once.

    Raises
    ------
    ValueError, TypeError
        For arguments out of range; for NaN or infinite samples and a silent signal when it is computed.

    Notes
    -----
    The signal is gone through for its largest magnitude, for the sums of the criterion, and for the derivatives
    in the parameters and those in the signal. An array in a store is read as often; ``x.persist()`` keeps it on the
    workers.

    Examples
    --------
    >>> import dask, dask.array as da
    >>> import numpy as np
    >>> import adaptstft.dask
    >>> x = np.random.default_rng(0).standard_normal(3000)
    >>> sft = adaptstft.AdaptiveShortTimeFFT("hann", 100.5, 25, fs=1.0)
    >>> lazy = adaptstft.dask.value_and_grad(sft, da.from_array(x, chunks=500), "renyi", wrt=("win_length",))
    >>> value, gradient = dask.compute(*lazy)
    >>> bool(np.isclose(gradient.win_length, sft.value_and_grad(x, "renyi")[1].win_length))
    True
    """
    chosen = sft._check_wrt(wrt)
    loss = criteria.resolve(criterion)
    loss = check_sums(loss)
    da, delayed = dask_module("array"), dask_module().delayed
    ndim = x.ndim if isinstance(x, da.Array) else 1
    x = check_array(x, axis, onesided=sft.onesided_fft)
    sft._check_lengths(x.shape[-1])
    task = _Tasks(sft, x, loss, delayed)
    value = da.from_delayed(delayed(_first)(task.found), (), float)
    gradient = task.parameters(frozenset(chosen - {"x"}), da) if chosen - {"x"} else Gradient()
    if "x" not in chosen:
        return value, gradient
    return value, replace(gradient, x=da.moveaxis(task.signal(da), -1, as_axis(axis, ndim)))


def _first(pair: tuple[Any, Any]) -> Any:
    return np.asarray(pair[0])


def check_sums(loss: criteria.Criterion) -> criteria.Additive:
    """Require a criterion that is a function of sums over the whole signal or over each frame."""
    if not isinstance(loss, criteria.Additive) or loss.scope == "local":
        scope = f", scope={loss.scope!r}" if loss.scope == "local" else ""
        raise ValueError(
            f"criterion={loss.name!r}{scope}: for a signal in chunks it must be a function of sums, which add up over "
            "the chunks, of scope 'global' or 'frame'"
        )
    return loss


class _Tasks:
    """Tasks for a value and its gradient."""

    def __init__(self, sft: AdaptiveShortTimeFFT, x: Any, loss: criteria.Additive, delayed: Any) -> None:
        self.sft, self.x, self.loss, self.delayed = sft, x, loss, delayed
        self.stretches = stretches_of(x)
        self.parts = _parts(sft, x)
        self.blocks = [samples(x, part.low, part.high) for part in self.parts]
        largest = [delayed(_largest)(samples(x, a, b), a) for a, b in self.stretches]
        self.peak = delayed(_check_peak)(tree(delayed, max, largest))
        self.given = [_for_part(sft, part) for part in self.parts]
        sums = [self._call(_sums, k, self.loss, self.peak) for k in range(len(self.parts))]
        self.found = delayed(_value)(loss, tree(delayed, _add_sums, sums))

    def _call(self, function: Callable[..., Any], k: int, *arguments: Any) -> Any:
        own, part = self.given[k]
        return self.delayed(function)(self.blocks[k], own, self.delayed(part, traverse=False), *arguments)

    def parameters(self, chosen: frozenset[str], da: Any) -> Gradient:
        """Gradient in the parameters of the transform."""
        sft, live = self.sft, [k for k, part in enumerate(self.parts) if part.p0 < part.p1]
        sums = [
            self._call(_parameter_gradients, k, self.parts[k].p0, self.loss, self.peak, self.found, chosen)
            for k in live
        ]
        counts = [self.parts[k].p1 - self.parts[k].p0 for k in live]
        each = np.asarray(sft.win_length).shape
        by_slice = sft._num_slice_lengths is not None
        shapes: dict[str, tuple[int, ...]] = {}
        if "win_length" in chosen:
            shapes["win_length"] = each
        if "positions" in chosen:
            shapes["positions"] = (sum(counts),)
        if "hop" in chosen and sft.hop is not None:
            shapes["hop"] = ()
        if "shape" in chosen and sft.window.shape:
            shapes["shape"] = (len(sft.window.shape),)
        found = {}
        for name, shape in shapes.items():
            values = [self.delayed(getattr)(g, name) for g in sums]
            if name == "positions" or (name == "win_length" and by_slice):
                pieces = [
                    da.from_delayed(v, (*shape[:-1], count), float) for v, count in zip(values, counts, strict=True)
                ]
                found[name] = da.concatenate(pieces, axis=-1)
            else:
                found[name] = da.from_delayed(tree(self.delayed, _sum_all, values), shape, float)
        return Gradient(**found)

    def signal(self, da: Any) -> Any:
        """Gradient in the signal, time last."""
        found = []
        for (a, b), part in zip(self.stretches, _parts(self.sft, self.x, _reach(self.sft)), strict=True):
            own, at = _for_part(self.sft, part)
            block = samples(self.x, part.low, part.high)
            at = self.delayed(at, traverse=False)
            gradients = self.delayed(_signal_gradients)(block, own, at, (a, b), self.loss, self.peak, self.found)
            found.append(da.from_delayed(gradients, (*self.x.shape[:-1], b - a), self.x.dtype))
        return da.concatenate(found, axis=-1)


def _sum_all(values: list[Any]) -> Any:
    return np.sum(np.array(values, dtype=float), axis=0)
