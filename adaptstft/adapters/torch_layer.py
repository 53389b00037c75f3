"""The layer `AdaptiveSTFT`, an ``nn.Module`` whose windows are trained."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal, get_args

import numpy as np

from adaptstft import windows
from adaptstft.adapters.settings import Settings
from adaptstft.adapters.torch_bounded import Bounded, interpolate
from adaptstft.adapters.torch_function import ISTFT, SPECTROGRAM, STFT, apply, host, torch
from adaptstft.common.typing import Backend, FFTMode, Float64Array, Padding, Scaling
from adaptstft.common.validation import as_bounds, as_index, as_win_length, check_option, show
from adaptstft.engine.frames import frame_count
from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT

#: Parameters that `AdaptiveSTFT` can learn.
Learnable = Literal["win_length", "hop", "shape"]
#: Outputs of `AdaptiveSTFT`.
Output = Literal["power", "complex"]

#: Default lower bound of learned window lengths, in samples.
_SHORTEST = 16.0
#: Smallest bound of a learned hop, in samples.
_SMALLEST_HOP = 1e-3


class AdaptiveSTFT(torch.nn.Module):  # type: ignore[misc]
    """Spectrogram with trainable windows: a layer for signals of any length.

    Parameters
    ----------
    mfft : int
        Length of the FFT. It determines the number of bins, and is the largest
        window length.
    hop : float or array_like, shape (k,)
        Distance between frames in samples: one, or `k` hops at points spaced evenly
        over the signal, with interpolation between them.
    window : str, tuple, callable or Window, optional
        Window family, see `adaptstft.windows.resolve`.
    win_length : float or array_like, optional
        Initial window length in samples: one (default: half of `mfft`); shape (k,),
        at `k` points spaced evenly over the frames, with interpolation of the
        logarithms; shape (f_pts, 1), one per frequency; or shape (f_pts, k), both.
    win_bounds : (float, float), optional
        Range of learned window lengths in samples. Default: from 16, or `mfft` / 8 if
        that is less, to `mfft`.
    hop_bounds : (float, float), optional
        Range of learned hops in samples. Default: from half the smallest to twice the
        largest initial hop.
    learn : collection of str, optional
        Names of the trained values: ``"win_length"``, ``"hop"`` and ``"shape"`` (the
        shape parameters of the window); may be empty. Other values are buffers.
    output : {"power", "complex"}, optional
        Return the spectrogram (default) or the complex transform.
    fs : float, optional
        Sampling frequency in Hz.
    fft_mode, scale_to, workers, backend : optional
        As in `adaptstft.AdaptiveShortTimeFFT`; by default windows of all lengths have
        the same energy.
    padding : {"zeros", "edge", "even", "odd"}, optional
        Values beyond the ends of the signal.

    Attributes
    ----------
    win_length, hop, shape : Module
        A call without arguments returns the current values. A learned value (for
        window lengths and hops its logarithm) is a logistic function, between its
        bounds, of the parameter ``raw``. Thus gradients with respect to all
        parameters have similar magnitudes. `shape` is None if it is not learned.

    Notes
    -----
    Frames are at ``p * hop`` for ``p = 0 ... ceil((n - 1) / hop)``. With several hops,
    the number of frames follows from their mean, and all hops are multiplied by a
    factor close to 1 that puts the last frame at the last sample.

    Positions are computed in double precision, even if parameters are in single.

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
    >>> S = torch.as_tensor(layer.transform(1000).stft(x.numpy()))  # the same with NumPy
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
                    f"{name} requires a gradient, but the layer makes its own parameters from initial values: "
                    f"pass {name}.detach(), and name it in learn"
                )
        chosen = _check_learn(learn)
        for name, bounds, value_name in (("win_bounds", win_bounds, "win_length"), ("hop_bounds", hop_bounds, "hop")):
            if bounds is not None and value_name not in chosen:
                raise ValueError(f"{name}={bounds!r} is for learning {value_name!r}, which is not in {learn=}")
        family = windows.resolve(window)
        lengths = as_win_length(mfft / 2 if win_length is None else win_length)
        if lengths.max() > mfft:
            raise ValueError(f"win_length={show(win_length)} must be at most {mfft=}")
        limits = (min(_SHORTEST, mfft / 8), float(mfft)) if win_bounds is None else win_bounds
        low, high = as_bounds("win_bounds", limits, 1.0)
        if high > mfft:
            raise ValueError(f"{win_bounds=}: the upper bound must be at most {mfft=}")
        hops = _check_hop(hop)
        hop_limits = (float(hops.min()) / 2, float(hops.max()) * 2) if hop_bounds is None else hop_bounds
        self.settings = Settings(family, fs, mfft, fft_mode, mfft, scale_to, 0, 0.0, workers, backend)
        # raises for arguments that are invalid for signals of all lengths
        self.settings.transform(lengths if lengths.ndim == 0 else lengths[..., :1], None, np.zeros(1), None)
        if chosen & {"win_length", "hop"}:
            family.check_tunable()
        self.win_length = Bounded("win_length", lengths, (low, high), "win_length" in chosen)
        self.hop = Bounded("hop", hops, as_bounds("hop_bounds", hop_limits, _SMALLEST_HOP), "hop" in chosen)
        self.shape = self._shape(family, "shape" in chosen)

    @staticmethod
    def _shape(family: windows.Window, learn: bool) -> Bounded | None:
        if not learn:
            return None
        family.check_shape_bounds()
        low, high = np.transpose(family.shape_bounds)
        return Bounded("shape", np.asarray(family.shape), (low, high), True, logarithmic=False)

    def positions(self, n: int) -> Any:
        """Return the positions of the frames for signals of `n` samples.

        Parameters
        ----------
        n : int
            Number of samples.

        Returns
        -------
        tensor of float64, shape (p_num,)
            Positions in samples, differentiable with respect to the hop.
        """
        hop = self.hop()
        count = frame_count(as_index("n", n, 1), float(hop.detach().mean()))
        if hop.ndim == 0 or count == 1:
            return hop.mean() * torch.arange(count, dtype=hop.dtype, device=hop.device)
        ends = torch.cumsum(interpolate(hop, count - 1), 0)
        return torch.nn.functional.pad(ends, (1, 0)) * ((n - 1) / ends[-1])

    def _parameters_for(self, n: int) -> tuple[Any, Any, Any, Any]:
        """Return window lengths, hop (None), positions and shape for signals of `n` samples."""
        positions = self.positions(n)
        lengths = self.win_length()
        if lengths.ndim == 1 or (lengths.ndim == 2 and lengths.shape[1] > 1):
            lengths = interpolate(lengths, len(positions), logarithmic=True)
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
        """Inverse of complex transforms of signals of `n` samples, with the current windows.

        Parameters
        ----------
        S : complex tensor, shape (..., f_pts, p_num)
            Transforms. If they were modified, the result is the least-squares
            signal.
        n : int
            Number of samples.

        Returns
        -------
        tensor, shape (..., n)
            Signals.

        Raises
        ------
        TypeError
            If `S` is real, like a spectrogram, which has no phase.
        """
        if torch.is_tensor(S) and not S.is_complex():
            raise TypeError(f"S is {S.dtype}, but must be a complex transform, of a layer with output='complex'")
        return apply(ISTFT, self.settings, {"k1": n, "n": n}, S, *self._parameters_for(n))

    def transform(self, n: int) -> AdaptiveShortTimeFFT:
        """Make the transform for NumPy arrays with the current values, for signals of `n` samples.

        Parameters
        ----------
        n : int
            Number of samples.

        Returns
        -------
        AdaptiveShortTimeFFT
            The transform, with frequencies ``f`` and times ``t(n)`` as well.
        """
        return self.settings.transform(*map(host, self._parameters_for(n)))

    def extra_repr(self) -> str:
        """Return the settings, for `repr`."""
        settings = self.settings
        return (
            f"mfft={settings.mfft}, window={settings.window.label}, output={self.output!r}, fs={settings.fs:g}, "
            f"fft_mode={settings.fft_mode!r}"
        )


def _check_learn(learn: Any) -> set[str]:
    names = get_args(Learnable)
    if isinstance(learn, str) or not set(learn) <= set(names):
        raise ValueError(f"{learn=} must be a collection of names among {names}")
    return set(learn)


def _check_hop(hop: Any) -> Float64Array:
    message = f"hop={show(hop)} must be a positive number of samples, or a 1-D array of them"
    hops = np.asarray(hop)
    if hops.dtype.kind not in "iuf":
        raise TypeError(message)
    hops = hops.astype(float)
    if hops.ndim > 1 or hops.size == 0 or not np.all(np.isfinite(hops) & (hops > 0)):
        raise ValueError(message)
    return hops
