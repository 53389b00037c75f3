"""The transforms as differentiable functions of PyTorch, and as a layer that learns its windows.

`stft`, `istft` and `spectrogram` work on tensors on the CPU, and on CUDA devices with
the extra ``cuda``; everything they can be differentiated in is a tensor.
`AdaptiveSTFT` is an ``nn.Module`` that holds lengths, hop and shape as bounded
parameters, to be trained with the network that follows it.

It needs PyTorch, which the extra ``torch`` installs.

Examples
--------
A window length that is trained together with a classifier:

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

from collections.abc import Collection
from typing import Any, Literal, get_args

import numpy as np
from scipy.special import logit

from adaptstft import windows
from adaptstft.adapters.settings import Settings
from adaptstft.adapters.torch_function import ISTFT, SPECTROGRAM, STFT, apply, host, torch
from adaptstft.common.typing import Backend, FFTMode, Padding, Scaling
from adaptstft.common.validation import as_bounds, as_index, as_win_length, check_option, show
from adaptstft.engine.frames import frame_count
from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT

# Not in ``__all__`` of the package, which imports nothing of this module.
__all__ = ["AdaptiveSTFT", "istft", "spectrogram", "stft"]

#: What `AdaptiveSTFT` can learn.
Learnable = Literal["win_length", "hop", "shape"]
#: What it returns.
Output = Literal["power", "complex"]

_SHORTEST = 16.0


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
        Signal; its leading dimensions share the transform. Half precision is
        brought to single. Differentiable.
    win_length : tensor or array_like of float
        Window length in samples: one, or of shape (p_num,), (f_pts, 1) or
        (f_pts, p_num). Differentiable, as are all other tensors of parameters;
        these may be on any device.
    mfft : int
        Length of the FFT, at least the longest window. It must be given as the
        bins have to stay where they are while lengths change.
    window : str, tuple, callable or Window, optional
        Window family, see `adaptstft.windows.resolve`.
    hop : tensor or float, optional
        Time between slices in samples; slices are those of the class, so that
        their number depends on the hop and the window length.
    positions : tensor or array_like of float, shape (p_num,), optional
        Times of the slices in samples, in place of `hop`; with
        ``hop * torch.arange(p_num)`` their number is fixed.
    shape : tensor or array_like of float, shape (n_shape,), optional
        Shape parameters of the window, in place of those in `window`.
    fs : float, optional
        Sampling frequency in Hz.
    max_length, fft_mode, scale_to, phase_shift, window_offset, workers, backend
        As in `adaptstft.AdaptiveShortTimeFFT`; tensors on a CUDA device take the
        backend ``"cuda"``.
    k_offset, padding, axis
        As in `adaptstft.AdaptiveShortTimeFFT.stft`.

    Returns
    -------
    complex tensor, shape (..., f_pts, p_num)
        The transform, on the device of `x`.

    Raises
    ------
    RuntimeError
        For second derivatives.

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
    """Spectrogram ``abs(stft(x, ...))**2`` of a tensor, in less time than that takes.

    Parameters
    ----------
    x, win_length, mfft, window, hop, positions, shape, fs
        As in `stft`, with the same arguments differentiable.
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

    Equal to ``AdaptiveShortTimeFFT(window, win_length, hop, fs, ...).istft(S, ...)``,
    so that ``istft(stft(x, ...), ..., k1=n)`` is ``x``; the least-squares signal if
    `S` was modified.

    Parameters
    ----------
    S : complex tensor, shape (..., f_pts, p_num)
        Transform. Differentiable.
    win_length, mfft, window, hop, positions, shape, fs
        As in `stft`, with the same arguments differentiable.
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
        If samples in the range are not determined.

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


# ---------------------------------------------------------------------------------------
# The layer


class AdaptiveSTFT(torch.nn.Module):  # type: ignore[misc]
    """Spectrogram with windows that are trained: a layer for signals of any length.

    Parameters
    ----------
    mfft : int
        Length of the FFT, which the number of bins follows from; the longest
        window there can be.
    hop : float or array_like, shape (k,)
        Time between frames in samples, or hops at `k` instants spread evenly over
        the signal, between which they are interpolated.
    window : str, tuple, callable or Window, optional
        Window family, see `adaptstft.windows.resolve`.
    win_length : float or array_like, optional
        Window length at the start, in samples: one (half of `mfft` by default);
        of shape (k,) at `k` instants spread evenly over the frames, between which
        the logarithms are interpolated; (f_pts, 1), one for each frequency;
        or (f_pts, k), both.
    win_bounds : (float, float), optional
        Range that lengths stay within if they are learned, by default from 16 samples (or an eighth of
        `mfft`, if that is less) to `mfft`.
    hop_bounds : (float, float), optional
        Range of the hops if they are learned, by default from half the smallest to twice the largest.
    learn : collection of str, optional
        What is trained, of ``"win_length"``, ``"hop"`` and ``"shape"``, the shape
        parameters of the window; nothing if empty. What is not is a buffer.
    output : {"power", "complex"}, optional
        Whether the layer returns the spectrogram or the complex transform.
    fs : float, optional
        Sampling frequency in Hz.
    fft_mode, scale_to, workers, backend : optional
        As in `adaptstft.AdaptiveShortTimeFFT`; windows have the same energy at every
        length by default.
    padding : {"zeros", "edge", "even", "odd"}, optional
        What lies beyond the ends of the signal.

    Attributes
    ----------
    win_length, hop, shape : Module
        Called without arguments they return the present values. A value that is
        learned (or its logarithm, for lengths and hops) is a logistic function,
        between its bounds, of the parameter ``raw``, so that the derivatives in all
        of them are of one magnitude. `shape` is None if it is not learned.

    Notes
    -----
    Frames are at ``p * hop`` for ``p = 0 ... ceil((n - 1) / hop)``. Several hops
    are scaled, by a little, so that the last of as many frames as their mean asks
    for is at the last sample.

    Parameters may be in single precision: positions are computed in double.

    Examples
    --------
    >>> import torch
    >>> from adaptstft.torch import AdaptiveSTFT
    >>> layer = AdaptiveSTFT(512, hop=64, win_length=[100.0] * 10)
    >>> P = layer(torch.randn(2, 3, 2000))
    >>> P.shape
    torch.Size([2, 3, 257, 33])
    >>> P.log().mean().backward()
    >>> layer.win_length.raw.grad.shape
    torch.Size([10])
    >>> x = torch.randn(1000)
    >>> S = torch.as_tensor(layer.transform(1000).stft(x.numpy()))  # the same as a transform for NumPy
    >>> torch.allclose(layer.inverse(S, 1000), x, atol=1e-4)
    True
    """

    def __init__(
        self,
        mfft: int,
        hop: Any,
        *,
        window: Any = "hann",
        win_length: Any = None,
        win_bounds: tuple[float, float] | None = None,
        hop_bounds: tuple[float, float] | None = None,
        learn: Collection[str] = ("win_length",),
        output: Output = "power",
        fs: float = 1.0,
        fft_mode: FFTMode = "onesided",
        scale_to: Scaling | None = "psd",
        padding: Padding = "zeros",
        workers: int | None = None,
        backend: Backend = "auto",
    ) -> None:
        super().__init__()
        mfft = as_index("mfft", mfft, 2)
        check_option("output", output, get_args(Output))
        check_option("padding", padding, get_args(Padding))
        self.output, self.padding = output, padding
        for name, value in (("hop", hop), ("win_length", win_length)):
            if getattr(value, "requires_grad", False):
                raise TypeError(
                    f"{name} requires a gradient, but the layer has parameters of its own, which begin from values: "
                    f"give {name}.detach(), and name it in learn"
                )
        chosen = _check_learn(learn)
        for name, bounds, of in (("win_bounds", win_bounds, "win_length"), ("hop_bounds", hop_bounds, "hop")):
            if bounds is not None and of not in chosen:
                raise ValueError(f"{name}={bounds!r} is for learning {of!r}, which is not in {learn=}")
        family = windows.resolve(window)
        lengths = as_win_length(mfft / 2 if win_length is None else win_length)
        if lengths.max() > mfft:
            raise ValueError(f"win_length={show(win_length)} must be at most {mfft=}")
        limits = (min(_SHORTEST, mfft / 8), float(mfft)) if win_bounds is None else win_bounds
        low, high = as_bounds("win_bounds", limits, 1.0)
        if high > mfft:
            raise ValueError(f"{win_bounds=}: the upper bound must be at most {mfft=}")
        hops = np.asarray(hop)
        if hops.dtype.kind not in "iuf":
            raise TypeError(f"hop={show(hop)} must be a positive number of samples, or a 1-D array of them")
        hops = hops.astype(float)
        if hops.ndim > 1 or hops.size == 0 or not np.all(np.isfinite(hops) & (hops > 0)):
            raise ValueError(f"hop={show(hop)} must be a positive number of samples, or a 1-D array of them")
        reach = (float(hops.min()) / 2, float(hops.max()) * 2) if hop_bounds is None else hop_bounds
        self.settings = Settings(family, fs, mfft, fft_mode, mfft, scale_to, 0, 0.0, workers, backend)
        # which refuses what no transform takes, whatever the signal
        self.settings.transform(lengths if lengths.ndim == 0 else lengths[..., :1], None, np.zeros(1), None)
        if chosen & {"win_length", "hop"}:
            family.check_tunable()
        self.win_length = _Bounded("win_length", lengths, (low, high), "win_length" in chosen)
        self.hop = _Bounded("hop", hops, as_bounds("hop_bounds", reach, 1e-3), "hop" in chosen)
        self.shape = self._shape(family, "shape" in chosen)

    @staticmethod
    def _shape(family: windows.Window, learn: bool) -> _Bounded | None:
        if not learn:
            return None
        family.check_shape_bounds()
        low, high = np.transpose(family.shape_bounds)
        return _Bounded("shape", np.asarray(family.shape), (low, high), True, logarithmic=False)

    def positions(self, n: int) -> Any:
        """Return the times of the frames for signals of `n` samples.

        Parameters
        ----------
        n : int
            Number of samples.

        Returns
        -------
        tensor of float64, shape (p_num,)
            Times in samples, with their derivatives in the hop.
        """
        hop = self.hop()
        count = frame_count(as_index("n", n, 1), float(hop.detach().mean()))
        if hop.ndim == 0 or count == 1:
            return hop.mean() * torch.arange(count, dtype=hop.dtype, device=hop.device)
        ends = torch.cumsum(_spread(hop, count - 1), 0)
        return torch.nn.functional.pad(ends, (1, 0)) * ((n - 1) / ends[-1])

    def _parameters_for(self, n: int) -> tuple[Any, Any, Any, Any]:
        """Window lengths, no hop, positions and shape for signals of `n` samples."""
        positions = self.positions(n)
        lengths = self.win_length()
        if lengths.ndim == 1 or (lengths.ndim == 2 and lengths.shape[1] > 1):
            lengths = _spread(lengths, len(positions), logarithmic=True)
        return lengths, None, positions, None if self.shape is None else self.shape()

    def forward(self, x: Any) -> Any:
        """Transform signals.

        Parameters
        ----------
        x : tensor, shape (..., n)
            Signals.

        Returns
        -------
        tensor, shape (..., f_pts, p_num)
            Spectrograms or complex transforms.
        """
        if not torch.is_tensor(x) or x.ndim == 0:
            raise TypeError(f"x={show(x)} must be a tensor of at least one dimension")
        call = {"padding": self.padding}
        method = STFT if self.output == "complex" else SPECTROGRAM
        return apply(method, self.settings, call, x, *self._parameters_for(x.shape[-1]))

    def inverse(self, S: Any, n: int) -> Any:
        """Bring complex transforms back to signals of `n` samples, with the present windows.

        Parameters
        ----------
        S : complex tensor, shape (..., f_pts, p_num)
            Transforms, which may have been modified: the result is the
            least-squares signal.
        n : int
            Number of samples.

        Returns
        -------
        tensor, shape (..., n)
            Signals.

        Raises
        ------
        TypeError
            If `S` is real: powers have no phases.
        """
        if torch.is_tensor(S) and not S.is_complex():
            raise TypeError(f"S is {S.dtype}, but must be a complex transform, of a layer with output='complex'")
        return apply(ISTFT, self.settings, {"k1": n, "n": n}, S, *self._parameters_for(n))

    def transform(self, n: int) -> AdaptiveShortTimeFFT:
        """Make the transform for NumPy arrays with the present values, for signals of `n` samples.

        Parameters
        ----------
        n : int
            Number of samples.

        Returns
        -------
        AdaptiveShortTimeFFT
            The transform, which also has the frequencies of the bins and the times of the frames.
        """
        return self.settings.transform(*map(host, self._parameters_for(n)))

    def extra_repr(self) -> str:
        """Return what `repr` shows beside the parameters."""
        s = self.settings
        return f"mfft={s.mfft}, window={s.window.spec!r}, output={self.output!r}, fs={s.fs:g}, fft_mode={s.fft_mode!r}"


#: Keeps the exponential of a logarithm from exceeding the bound that the FFT's length is.
_INSIDE = 1e-12


class _Bounded(torch.nn.Module):  # type: ignore[misc]
    """A value within bounds: learned, or fixed."""

    def __init__(
        self, name: str, value: Any, bounds: tuple[Any, Any], learn: bool, *, logarithmic: bool = True
    ) -> None:
        super().__init__()
        low, high = (np.asarray(bound, dtype=float) for bound in bounds)
        self.logarithmic = logarithmic
        if not learn:
            self.register_buffer("value", torch.as_tensor(value, dtype=torch.float64))
            return
        if not np.all((value > low) & (value < high)):
            raise ValueError(
                f"{name}={show(value)} must lie between its bounds {low.tolist()} and {high.tolist()}, both excluded, "
                "to be learned"
            )
        ends = np.stack([low, high * (1 - _INSIDE)])
        if logarithmic:
            value, ends = np.log(value), np.log(ends)
        share = (value - ends[0]) / (ends[1] - ends[0])
        self.raw = torch.nn.Parameter(torch.as_tensor(logit(share), dtype=torch.get_default_dtype()))
        # with the state, so that what is loaded has the same values
        self.register_buffer("bounds", torch.as_tensor(ends, dtype=torch.float64))

    def forward(self) -> Any:
        """Return the present value in double precision."""
        if not hasattr(self, "raw"):
            return self.value.double()
        value = torch.lerp(*self.bounds.double(), torch.sigmoid(self.raw.double()))
        return torch.exp(value) if self.logarithmic else value

    def _apply(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        # bounds and fixed values go to the layer's device, and stay in double precision
        exact = dict(self._buffers)
        super()._apply(fn, *args, **kwargs)
        for name, value in exact.items():
            self._buffers[name] = value.to(self._buffers[name].device)
        return self

    def extra_repr(self) -> str:
        """Show the range of the values."""
        value = host(self())
        return f"{float(value):g}" if value.ndim == 0 else f"{value.min():g} to {value.max():g}, shape {value.shape}"


def _check_learn(learn: Any) -> set[str]:
    names = get_args(Learnable)
    if isinstance(learn, str) or not set(learn) <= set(names):
        raise ValueError(f"{learn=} must be a collection of names among {names}")
    return set(learn)


def _spread(values: Any, count: int, *, logarithmic: bool = False) -> Any:
    """Interpolate values at evenly spread places, or their logarithms, along the last axis, at `count` of them."""
    known = values.shape[-1]
    if known in (1, count):
        return values.expand(*values.shape[:-1], count)
    if logarithmic:
        return torch.exp(_spread(torch.log(values), count))
    place = torch.linspace(0, known - 1, count, dtype=values.dtype, device=values.device)
    left = place.floor().long().clamp(max=known - 2)
    return torch.lerp(values[..., left], values[..., left + 1], place - left)
