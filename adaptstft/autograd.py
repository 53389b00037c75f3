"""Transforms that autograd can differentiate, with the kernels of this package.

Use `stft`, `istft` and `spectrogram` in computations with ``autograd.numpy``: a
network, a mask between analysis and synthesis, a loss. They are differentiable with
respect to the signal or transform, the window lengths, the hop or the positions, and
the shape parameters of the window. Reverse mode (``grad``, ``jacobian``) and forward
mode (``make_jvp``) both work; second derivatives do not.

Examples
--------
The gradient of a loss with respect to the window length:

>>> import autograd.numpy as anp
>>> from autograd import grad
>>> from adaptstft.autograd import spectrogram
>>> x = anp.sin(0.2 * anp.arange(400.0) + 0.001 * anp.arange(400.0) ** 2)
>>> def loss(win_length):
...     P = spectrogram(x, win_length, positions=anp.arange(0.0, 400, 10), mfft=256)
...     return -anp.mean(anp.log(P + 1e-3))
>>> bool(grad(loss)(50.0) != 0)
True
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, cast

import numpy as np
from autograd.extend import defjvp_argnums, defvjp_argnums, primitive
from autograd.tracer import isbox

from adaptstft.adapters.settings import PARAMETERS, Settings, like, spectrogram_jvp
from adaptstft.common.typing import AnyArray, Backend, FFTMode, Padding, Scaling
from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT
from adaptstft.transforms.gradient import Gradient

# the package does not import this module, so these names are not in its __all__
__all__ = ["istft", "spectrogram", "stft"]


def stft(
    x: Any,
    win_length: Any,
    *,
    mfft: int,
    window: Any = "hann",
    hop: Any = None,
    positions: Any = None,
    shape: Any = None,
    fs: float = 1.0,
    max_length: int | None = None,
    fft_mode: FFTMode = "onesided",
    scale_to: Scaling | None = None,
    phase_shift: int | None = 0,
    window_offset: float = 0.0,
    k_offset: int = 0,
    padding: Padding = "zeros",
    axis: int = -1,
    workers: int | None = None,
    backend: Backend = "auto",
) -> Any:
    """Short-time Fourier transform that autograd can differentiate.

    Equal to ``AdaptiveShortTimeFFT(window, win_length, hop, fs, ...).stft(x, ...)``,
    see `adaptstft.AdaptiveShortTimeFFT`.

    Parameters
    ----------
    x : array_like, shape (..., n)
        Signal; the transform is the same for all leading dimensions. Differentiable.
    win_length : array_like of float
        Window length in samples: one, or of shape (p_num,), (f_pts, 1) or
        (f_pts, p_num). Differentiable.
    mfft : int
        Length of the FFT, at least the longest window. It has no default, because
        the frequencies of the bins must not change with the window lengths.
    window : str, tuple, callable or Window, optional
        Window family, see `adaptstft.windows.resolve`.
    hop : float, optional
        Distance between slices in samples. As in the class, the number of slices
        depends on the hop and on the window length. Differentiable.
    positions : array_like of float, shape (p_num,), optional
        Positions of the slices in samples; they replace `hop`. With
        ``hop * np.arange(p_num)`` the number of slices is constant. Differentiable.
    shape : array_like of float, shape (n_shape,), optional
        Shape parameters of the window; they replace those in `window`.
        Differentiable.
    fs : float, optional
        Sampling frequency in Hz.
    max_length, fft_mode, scale_to, phase_shift, window_offset, workers, backend
        As in `adaptstft.AdaptiveShortTimeFFT`.
    k_offset, padding, axis
        As in `adaptstft.AdaptiveShortTimeFFT.stft`.

    Returns
    -------
    ndarray of complex, shape (..., f_pts, p_num)
        The transform.

    Raises
    ------
    NotImplementedError
        For second derivatives.

    Examples
    --------
    >>> import autograd.numpy as anp
    >>> from autograd import grad
    >>> from adaptstft.autograd import stft
    >>> x = anp.cos(0.3 * anp.arange(200.0))
    >>> loss = lambda x, hop: anp.sum(anp.abs(stft(x, 40.5, mfft=64, hop=hop)) ** 2)
    >>> grad(loss, (0, 1))(x, 10.25)[0].shape
    (200,)
    """
    settings = Settings(window, fs, max_length, fft_mode, mfft, scale_to, phase_shift, window_offset, workers, backend)
    call = {"k_offset": k_offset, "padding": padding, "axis": axis}
    return _stft(x, win_length, hop, positions, shape, settings=settings, call=call)


def spectrogram(
    x: Any,
    win_length: Any,
    *,
    mfft: int,
    window: Any = "hann",
    hop: Any = None,
    positions: Any = None,
    shape: Any = None,
    fs: float = 1.0,
    max_length: int | None = None,
    fft_mode: FFTMode = "onesided",
    scale_to: Scaling | None = None,
    window_offset: float = 0.0,
    k_offset: int = 0,
    padding: Padding = "zeros",
    axis: int = -1,
    workers: int | None = None,
    backend: Backend = "auto",
) -> Any:
    """Spectrogram ``abs(stft(x, ...))**2`` that autograd can differentiate, faster than with `stft`.

    Parameters
    ----------
    x, win_length, mfft, window, hop, positions, shape, fs
        As in `stft`, and differentiable like there.
    max_length, fft_mode, scale_to, window_offset, k_offset, padding, axis, workers, backend
        As in `stft`.

    Returns
    -------
    ndarray of float, shape (..., f_pts, p_num)
        Squared magnitudes.

    Raises
    ------
    NotImplementedError
        For second derivatives.

    Examples
    --------
    >>> import numpy as np
    >>> from autograd import jacobian
    >>> from adaptstft.autograd import spectrogram
    >>> lengths, x = np.full(5, 20.5), np.random.default_rng(0).standard_normal(60)
    >>> power = lambda lengths: spectrogram(x, lengths, positions=10.0 * np.arange(5), mfft=32).sum(axis=0)
    >>> jacobian(power)(lengths).shape
    (5, 5)
    """
    settings = Settings(window, fs, max_length, fft_mode, mfft, scale_to, 0, window_offset, workers, backend)
    call = {"k_offset": k_offset, "padding": padding, "axis": axis}
    arguments = (x, win_length, hop, positions, shape)
    memo: dict[str, Any] | None = {} if any(isbox(argument) for argument in arguments) else None
    return _spectrogram(*arguments, settings=settings, call=call, memo=memo)


def istft(
    S: Any,
    win_length: Any,
    *,
    mfft: int,
    window: Any = "hann",
    hop: Any = None,
    positions: Any = None,
    shape: Any = None,
    fs: float = 1.0,
    max_length: int | None = None,
    fft_mode: FFTMode = "onesided",
    scale_to: Scaling | None = None,
    phase_shift: int | None = 0,
    window_offset: float = 0.0,
    k0: int = 0,
    k1: int | None = None,
    f_axis: int = -2,
    t_axis: int = -1,
    n: int | None = None,
    tol: float | None = None,
    workers: int | None = None,
    backend: Backend = "auto",
) -> Any:
    """Inverse transform that autograd can differentiate.

    Equal to ``AdaptiveShortTimeFFT(window, win_length, hop, fs, ...).istft(S, ...)``.
    ``istft(stft(x, ...), ..., k1=n)`` is ``x``. If `S` was modified, the result is the
    least-squares signal.

    Parameters
    ----------
    S : array_like, shape (..., f_pts, p_num)
        Transform. Differentiable.
    win_length, mfft, window, hop, positions, shape, fs
        As in `stft`, and differentiable like there.
    max_length, fft_mode, scale_to, phase_shift, window_offset, workers, backend
        As in `adaptstft.AdaptiveShortTimeFFT`.
    k0, k1, f_axis, t_axis, n, tol
        As in `adaptstft.AdaptiveShortTimeFFT.istft`.

    Returns
    -------
    ndarray, shape (..., k1 - k0)
        The signal, real for one-sided modes.

    Raises
    ------
    ValueError
        If the transform does not determine some samples in the range.
    NotImplementedError
        For second derivatives.

    Examples
    --------
    A mask between analysis and synthesis, and its gradient:

    >>> import autograd.numpy as anp
    >>> import numpy as np
    >>> from autograd import grad
    >>> from adaptstft.autograd import istft, stft
    >>> clean = np.cos(0.3 * np.arange(200))
    >>> noisy = clean + 0.5 * np.random.default_rng(0).standard_normal(200)
    >>> def loss(threshold, win_length):
    ...     settings = {"mfft": 64, "positions": 10.0 * np.arange(-1, 22)}
    ...     S = stft(noisy, win_length, **settings)
    ...     S = S / (1 + anp.exp(threshold - anp.abs(S)))
    ...     return anp.sum((istft(S, win_length, k1=200, **settings) - clean) ** 2)
    >>> by_threshold, by_win_length = grad(loss, (0, 1))(3.0, 50.0)
    >>> bool(by_threshold < 0)  # a higher threshold is better
    True
    """
    settings = Settings(window, fs, max_length, fft_mode, mfft, scale_to, phase_shift, window_offset, workers, backend)
    call = {"k0": k0, "k1": k1, "f_axis": f_axis, "t_axis": t_axis, "n": n, "tol": tol}
    return _istft(S, win_length, hop, positions, shape, settings=settings, call=call)


# ---------------------------------------------------------------------------------------
# The primitives
#
# Convention: the cotangent of a complex array is ``dC/dRe - 1j dC/dIm`` in autograd. The rest of the package uses
# its complex conjugate, see `adaptstft.engine.vjp`.


def _analyse(x: Any, *parameters: Any, settings: Settings, call: dict[str, Any]) -> AnyArray:
    return settings.transform(*parameters).stft(x, **call)


def _synthesise(S: Any, *parameters: Any, settings: Settings, call: dict[str, Any]) -> AnyArray:
    return cast(AnyArray, settings.transform(*parameters).istft(S, **call))


def _power(x: Any, *parameters: Any, settings: Settings, call: dict[str, Any], memo: dict[str, Any] | None) -> AnyArray:
    """Return the spectrogram, and store in `memo` the function for its vector-Jacobian products."""
    sft = settings.transform(*parameters)
    if memo is None:
        return cast(AnyArray, sft.spectrogram(x, **call))
    power, memo["vjp"] = sft.spectrogram_and_vjp(x, **call)
    return power


_stft, _istft, _spectrogram = primitive(_analyse), primitive(_synthesise), primitive(_power)


def _vjp(
    function: str,
    names: Sequence[str],
    make_vjp: Callable[[Sequence[Any], dict[str, Any]], Callable[..., Gradient]],
    argnums: Sequence[int],
    ans: Any,
    args: Sequence[Any],
    kwargs: dict[str, Any],
) -> Callable[..., Any]:
    """Return autograd's VJP: the derivatives with respect to the arguments `argnums`, in one pass."""
    _refuse_second_derivatives(function, args)
    transform_vjp = make_vjp(args, kwargs)
    wrt = tuple(names[i] for i in argnums)

    def vjp(g: Any) -> Iterator[Any]:
        _refuse_second_derivatives(function, (g,))
        gradient = transform_vjp(np.conj(g), wrt=wrt)
        return (like(args[i], np.conj(getattr(gradient, names[i]))) for i in argnums)

    return vjp


def _transform(args: Sequence[Any], kwargs: dict[str, Any]) -> AdaptiveShortTimeFFT:
    return cast(AdaptiveShortTimeFFT, kwargs["settings"].transform(*args[1:]))


def _stft_vjp(args: Sequence[Any], kwargs: dict[str, Any]) -> Callable[..., Gradient]:
    return partial(_transform(args, kwargs).vjp, args[0], **kwargs["call"])


def _istft_vjp(args: Sequence[Any], kwargs: dict[str, Any]) -> Callable[..., Gradient]:
    return partial(_transform(args, kwargs).istft_vjp, args[0], **kwargs["call"])


def _spectrogram_vjp(args: Sequence[Any], kwargs: dict[str, Any]) -> Callable[..., Gradient]:
    return cast("Callable[..., Gradient]", kwargs["memo"]["vjp"])


def _jvp(
    function: str,
    names: Sequence[str],
    transform_jvp: Callable[..., AnyArray],
    argnums: Sequence[int],
    gs: Sequence[Any],
    ans: Any,
    args: Sequence[Any],
    kwargs: dict[str, Any],
) -> AnyArray:
    """Return the directional derivative in the direction `gs` of the arguments `argnums`, in one pass."""
    _refuse_second_derivatives(function, (*args, *gs))
    tangents = {names[i]: np.atleast_1d(g) if names[i] == "shape" else g for i, g in zip(argnums, gs, strict=True)}
    return transform_jvp(_transform(args, kwargs), args[0], tangents, **kwargs["call"])


def _refuse_second_derivatives(function: str, values: Sequence[Any]) -> None:
    if any(isbox(value) for value in values):
        raise NotImplementedError(
            f"second derivatives of adaptstft.autograd.{function} are not available: it can be differentiated once"
        )


_ANALYSIS_ARGUMENTS, _SYNTHESIS_ARGUMENTS = ("x", *PARAMETERS), ("S", *PARAMETERS)

defvjp_argnums(_stft, partial(_vjp, "stft", _ANALYSIS_ARGUMENTS, _stft_vjp))
defvjp_argnums(_spectrogram, partial(_vjp, "spectrogram", _ANALYSIS_ARGUMENTS, _spectrogram_vjp))
defvjp_argnums(_istft, partial(_vjp, "istft", _SYNTHESIS_ARGUMENTS, _istft_vjp))
defjvp_argnums(_stft, partial(_jvp, "stft", _ANALYSIS_ARGUMENTS, AdaptiveShortTimeFFT.jvp))
defjvp_argnums(_spectrogram, partial(_jvp, "spectrogram", _ANALYSIS_ARGUMENTS, spectrogram_jvp))
defjvp_argnums(_istft, partial(_jvp, "istft", _SYNTHESIS_ARGUMENTS, AdaptiveShortTimeFFT.istft_jvp))
