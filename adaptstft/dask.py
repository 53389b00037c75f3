"""Transforms of Dask arrays, computed on overlapping stretches of the signal; needs the extra ``dask``.

A signal in chunks is divided along time into stretches. Small chunks are joined to a stretch, large ones are divided.
Each slice of a transform belongs to the stretch that contains its time, and is computed from this stretch and from half
of the longest window on both sides of it. The results equal those of the signal in memory for any chunks, and only a
few stretches are in the memory of a worker at once. A stretch has up to four million samples, counted over all
channels. ``dask.config.set({"adaptstft.stretch": n})`` sets another number, see the page on planning.

`adaptstft.optimize` also takes a Dask array as its signal. If a ``dask.distributed`` client is active, its workers
compute: the client sends window lengths to them, and they return sums over their stretches. With ``window_mode="time"``
they return sums of each frame.

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

from dataclasses import replace
from typing import Any

import numpy as np

from adaptstft import criteria
from adaptstft.adapters.dask_gradient import GradientTasks, check_sums
from adaptstft.adapters.dask_slices import StretchSlices, divide_slices
from adaptstft.common.typing import AnyArray, Parameter
from adaptstft.common.validation import as_axis
from adaptstft.engine.operator import analyse
from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT
from adaptstft.transforms.axes import spectra_to_public
from adaptstft.transforms.gradient import Gradient
from adaptstft.tuning.shared.dask_signals import check_array, dask_module

__all__ = ["spectrogram", "stft", "value_and_grad"]


def _stft_block(block: AnyArray, part: StretchSlices, power: bool) -> AnyArray:
    plan, x = part.channels(block)
    S = plan.kernels.to_host(analyse(plan, x, part.frames()))
    public = spectra_to_public(S, block.shape[:-1], len(block.shape) - 1)
    return public.real**2 + public.imag**2 if power else public


def _transform(sft: AdaptiveShortTimeFFT, x: Any, axis: int, *, power: bool) -> Any:
    da = dask_module("array")
    time_axis = as_axis(axis, x.ndim) if isinstance(x, da.Array) else -1
    x = check_array(x, axis, onesided=sft.onesided_fft)
    sft._check_lengths(x.shape[-1])
    dtype = np.result_type(x.dtype, np.complex64)
    if power:
        dtype = np.zeros(0, dtype).real.dtype
    blocks = []
    for part in divide_slices(sft, x):
        if not part.count:
            continue
        block = x[..., part.low : part.high].rechunk({x.ndim - 1: -1})
        chunks = (*block.chunks[:-1], (sft.f_pts,), (part.count,))
        blocks.append(
            da.map_blocks(
                _stft_block,
                block,
                part,
                power,
                dtype=dtype,
                chunks=chunks,
                new_axis=[x.ndim],
                meta=np.zeros((0,) * (x.ndim + 1), dtype),
            )
        )
    return da.moveaxis(da.concatenate(blocks, axis=-1), -2, time_axis)


def stft(sft: AdaptiveShortTimeFFT, x: Any, *, axis: int = -1) -> Any:
    """Short-time Fourier transform of a Dask array, as a Dask array.

    Parameters
    ----------
    sft : AdaptiveShortTimeFFT
        The transform. Each task uses one thread, unless the transform has ``workers=``.
    x : dask.array.Array
        Signal of any number of dimensions, in any chunks; complex only in modes ``"twosided"`` and ``"centered"``.
        It is continued by zeros.
    axis : int, optional
        Time axis of `x`.

    Returns
    -------
    dask.array.Array of complex128, shape (..., f_pts, p_num)
        The transform, as from `AdaptiveShortTimeFFT.stft`, not computed yet; complex64 for float32 and complex64
        signals.

    Raises
    ------
    ValueError, TypeError
        As in `AdaptiveShortTimeFFT.stft`. NaN or infinite samples are an error when the array is computed.
    ImportError
        If Dask is not installed, with the command that installs it.

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
        The spectrogram, as from `AdaptiveShortTimeFFT.spectrogram`, not computed yet; float32 for float32 and
        complex64 signals.

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


def value_and_grad(
    sft: AdaptiveShortTimeFFT,
    x: Any,
    criterion: Any,
    *,
    wrt: tuple[Parameter, ...] | None = None,
    axis: int = -1,
) -> tuple[Any, Gradient]:
    """Return value and gradient of a criterion of a Dask array, as Dask arrays.

    Parameters
    ----------
    sft : AdaptiveShortTimeFFT
        The transform.
    x : dask.array.Array
        Signal, as in `stft`; not silent.
    criterion : str or Criterion
        A name or an object of `adaptstft.criteria`. It must be a function of sums, of scope ``"global"`` or
        ``"frame"``.
    wrt : tuple of str, optional
        The derivatives to compute, of ``"win_length"``, ``"positions"``, ``"hop"``, ``"shape"`` and ``"x"``; all by
        default.
    axis : int, optional
        Time axis of `x`.

    Returns
    -------
    value : dask.array.Array, shape ()
        The criterion, not computed yet.
    gradient : Gradient
        Its derivatives as Dask arrays, of the same shapes as from `AdaptiveShortTimeFFT.value_and_grad`.
        ``dask.compute(value, gradient)`` computes them all together.

    Raises
    ------
    ValueError, TypeError
        For arguments out of range. NaN or infinite samples and a silent signal are errors when the arrays are
        computed.

    Notes
    -----
    The computation reads the signal up to four times: for the largest magnitude, for the sums of the criterion, for
    the derivatives in the parameters, and for those in the signal. An array in a store is read each time;
    ``x.persist()`` keeps it in the memory of the workers.

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
    loss = check_sums(criteria.resolve(criterion))
    da = dask_module("array")
    ndim = x.ndim if isinstance(x, da.Array) else 1
    x = check_array(x, axis, onesided=sft.onesided_fft)
    sft._check_lengths(x.shape[-1])
    tasks = GradientTasks(sft, x, loss, dask_module().delayed, da)
    parameters = frozenset(chosen - {"x"})
    gradient = tasks.parameter_gradient(parameters) if parameters else Gradient()
    if "x" in chosen:
        gradient = replace(gradient, x=da.moveaxis(tasks.signal_gradient(), -1, as_axis(axis, ndim)))
    return tasks.value(), gradient
