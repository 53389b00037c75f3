"""Differentiable transforms of PyTorch tensors, and a layer with trainable windows.

The functions `stft`, `istft` and `spectrogram` take tensors on the CPU, and with the
extra ``cuda`` on CUDA devices. They are differentiable with respect to all tensor
arguments. `AdaptiveSTFT` is an ``nn.Module`` with window lengths, hop and window shape
as bounded parameters, which are trained together with the rest of a network.

This module needs PyTorch, which the extra ``torch`` installs.

Examples
--------
Train a window length together with a classifier:

>>> import torch
>>> from adaptstft.torch import AdaptiveSTFT
>>> layer = AdaptiveSTFT(256, hop=32, win_length=100.0)
>>> rest = torch.nn.AdaptiveAvgPool2d((129, 1)), torch.nn.Flatten(), torch.nn.Linear(129, 2)
>>> network = torch.nn.Sequential(layer, *rest)
>>> x = torch.randn(8, 1, 1000)  # batch, channels, samples
>>> network(x).square().sum().backward()
>>> [name for name, p in layer.named_parameters() if p.grad is not None]
['win_length.raw']
"""

from __future__ import annotations

from typing import Any

from adaptstft.adapters.settings import Settings
from adaptstft.adapters.torch_function import ISTFT, SPECTROGRAM, STFT, apply
from adaptstft.adapters.torch_layer import AdaptiveSTFT
from adaptstft.common.typing import Backend, FFTMode, Padding, Scaling

# the package does not import this module, so these names are not in its __all__
__all__ = ["AdaptiveSTFT", "istft", "spectrogram", "stft"]


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
    """Short-time Fourier transform of a tensor.

    Equal to ``AdaptiveShortTimeFFT(window, win_length, hop, fs, ...).stft(x, ...)``,
    see `adaptstft.AdaptiveShortTimeFFT`.

    Parameters
    ----------
    x : tensor, shape (..., n)
        Signal; the transform is the same for all leading dimensions. Half precision
        is converted to single. Differentiable.
    win_length : tensor or array_like of float
        Window length in samples: one, or of shape (p_num,), (f_pts, 1) or
        (f_pts, p_num). Differentiable, like all parameters that are tensors. The
        tensors of parameters may be on any device.
    mfft : int
        Length of the FFT, at least the longest window. It has no default, because
        the frequencies of the bins must not change with the window lengths.
    window : str, tuple, callable or Window, optional
        Window family, see `adaptstft.windows.resolve`.
    hop : tensor or float, optional
        Distance between slices in samples. As in the class, the number of slices
        depends on the hop and on the window length.
    positions : tensor or array_like of float, shape (p_num,), optional
        Positions of the slices in samples; they replace `hop`. With
        ``hop * torch.arange(p_num)`` the number of slices is constant.
    shape : tensor or array_like of float, shape (n_shape,), optional
        Shape parameters of the window; they replace those in `window`.
    fs : float, optional
        Sampling frequency in Hz.
    max_length, fft_mode, scale_to, phase_shift, window_offset, workers, backend
        As in `adaptstft.AdaptiveShortTimeFFT`; tensors on a CUDA device need the
        backend ``"cuda"`` or ``"auto"``.
    k_offset, padding, axis
        As in `adaptstft.AdaptiveShortTimeFFT.stft`.

    Returns
    -------
    complex tensor, shape (..., f_pts, p_num)
        The transform, on the device of `x`.

    Raises
    ------
    RuntimeError
        For second derivatives, which do not exist here.

    Examples
    --------
    >>> import torch
    >>> from adaptstft.torch import stft
    >>> length = torch.tensor(40.5, requires_grad=True)
    >>> x = torch.cos(0.3 * torch.arange(200.0))
    >>> stft(x, length, mfft=64, hop=10).abs().sum().backward()
    >>> bool(length.grad > 0)
    True
    """
    settings = Settings(window, fs, max_length, fft_mode, mfft, scale_to, phase_shift, window_offset, workers, backend)
    call = {"k_offset": k_offset, "padding": padding, "axis": axis}
    return apply(STFT, settings, call, x, win_length, hop, positions, shape)


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
    """Spectrogram ``abs(stft(x, ...))**2`` of a tensor, faster than with `stft`.

    Parameters
    ----------
    x, win_length, mfft, window, hop, positions, shape, fs
        As in `stft`, and differentiable like there.
    max_length, fft_mode, scale_to, window_offset, k_offset, padding, axis, workers, backend
        As in `stft`.

    Returns
    -------
    tensor, shape (..., f_pts, p_num)
        Squared magnitudes.

    Examples
    --------
    >>> import torch
    >>> from adaptstft.torch import spectrogram
    >>> lengths = torch.full((5,), 20.5, requires_grad=True)
    >>> P = spectrogram(torch.ones(60), lengths, positions=10.0 * torch.arange(5), mfft=32)
    >>> P.log1p().mean().backward()
    >>> lengths.grad.shape
    torch.Size([5])
    """
    settings = Settings(window, fs, max_length, fft_mode, mfft, scale_to, 0, window_offset, workers, backend)
    call = {"k_offset": k_offset, "padding": padding, "axis": axis}
    return apply(SPECTROGRAM, settings, call, x, win_length, hop, positions, shape)


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
    """Inverse transform of a tensor.

    Equal to ``AdaptiveShortTimeFFT(window, win_length, hop, fs, ...).istft(S, ...)``.
    ``istft(stft(x, ...), ..., k1=n)`` is ``x``. If `S` was modified, the result is the
    least-squares signal.

    Parameters
    ----------
    S : complex tensor, shape (..., f_pts, p_num)
        Transform. Differentiable.
    win_length, mfft, window, hop, positions, shape, fs
        As in `stft`, and differentiable like there.
    max_length, fft_mode, scale_to, phase_shift, window_offset, workers, backend
        As in `stft`.
    k0, k1, f_axis, t_axis, n, tol
        As in `adaptstft.AdaptiveShortTimeFFT.istft`.

    Returns
    -------
    tensor, shape (..., k1 - k0)
        The signal, real for one-sided modes.

    Raises
    ------
    ValueError
        If the transform does not determine some samples in the range.

    Examples
    --------
    >>> import torch
    >>> from adaptstft.torch import istft, stft
    >>> x = torch.randn(200)
    >>> S = stft(x, 40.5, mfft=64, hop=10)
    >>> torch.allclose(istft(S, 40.5, mfft=64, hop=10, k1=200), x, atol=1e-5)
    True
    """
    settings = Settings(window, fs, max_length, fft_mode, mfft, scale_to, phase_shift, window_offset, workers, backend)
    call = {"k0": k0, "k1": k1, "f_axis": f_axis, "t_axis": t_axis, "n": n, "tol": tol}
    return apply(ISTFT, settings, call, S, win_length, hop, positions, shape)
