"""The forward transform, the spectrogram, and their derivatives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast, get_args, overload

import numpy as np

from adaptstft.common.device import is_device_array, to_host
from adaptstft.common.typing import ComplexArray, FloatArray, Padding, Parameter
from adaptstft.common.validation import as_index, as_signal, check_option, check_tangents
from adaptstft.engine.gradients import Gradients
from adaptstft.engine.operator import analyse, analyse_power, analysis_jvp, analysis_vjp, power_vjp
from adaptstft.engine.padding import pad
from adaptstft.transforms.axes import SignalLayout
from adaptstft.transforms.derivatives import ParameterDerivatives, requested_derivatives
from adaptstft.transforms.gradient import Gradient


class Analysis(ParameterDerivatives):
    """Base of `adaptstft.AdaptiveShortTimeFFT`: from a signal to its transform."""

    def _signal_layout(
        self, x: Any, p0: int | None, p1: int | None, k_offset: int, padding: Padding, axis: int
    ) -> SignalLayout:
        """Check a signal and return its padded channels and its frames."""
        plan = self._plan_for("x", x)
        signal, axis = as_signal(x, axis, onesided=self.onesided_fft, device=True)
        check_option("padding", padding, get_args(Padding))
        n = signal.shape[-1]
        self._check_lengths(n)
        first, last = self.p_range(n, p0, p1)
        frames = self._frames(first, last, as_index("k_offset", k_offset))
        channels = signal.reshape(-1, n)
        before, after = 0, 0
        if padding != "zeros":
            low, high = frames.covered()
            before, after = max(0, -low), max(0, high - n)
            channels = pad(to_host(channels), before, after, padding)
            frames = frames.moved(before)
        channels = plan.kernels.asarray(channels)
        lead = signal.shape[:-1]
        return SignalLayout(plan, is_device_array(x), channels, frames, lead, n, axis, before, after, padding, first)

    def _signal_gradient(self, layout: SignalLayout, chosen: set[str], gradients: Gradients) -> Gradient:
        """Return the requested derivatives with respect to the parameters and the signal."""
        return replace(self._gradient(chosen, layout.first, gradients), x=layout.signal_like(gradients.data))

    def stft(
        self,
        x: Any,
        p0: int | None = None,
        p1: int | None = None,
        *,
        k_offset: int = 0,
        padding: Padding = "zeros",
        axis: int = -1,
    ) -> ComplexArray:
        """Short-time Fourier transform.

        Parameters
        ----------
        x : array_like
            Real or complex signal with any number of dimensions; complex only with
            ``fft_mode`` ``"twosided"`` or ``"centered"``.
        p0, p1 : int, optional
            Range of slices ``p0 <= p < p1``; by default all slices that touch the
            signal.
        k_offset : int, optional
            Index of the sample at time 0.
        padding : {"zeros", "edge", "even", "odd"}, optional
            Values beyond the ends of the signal, as in SciPy.
        axis : int, optional
            Time axis of `x`.

        Returns
        -------
        ndarray of complex128, shape (..., f_pts, p1 - p0)
            The transform. Frequency is on `axis` and time is the last axis. complex64
            for float32 and complex64 signals.
        """
        layout = self._signal_layout(x, p0, p1, k_offset, padding, axis)
        return layout.to_public(analyse(layout.plan, layout.channels, layout.frames))

    @overload
    def spectrogram(
        self,
        x: Any,
        y: None = ...,
        *,
        p0: int | None = ...,
        p1: int | None = ...,
        k_offset: int = ...,
        padding: Padding = ...,
        axis: int = ...,
    ) -> FloatArray: ...
    @overload
    def spectrogram(
        self,
        x: Any,
        y: Any,
        *,
        p0: int | None = ...,
        p1: int | None = ...,
        k_offset: int = ...,
        padding: Padding = ...,
        axis: int = ...,
    ) -> ComplexArray: ...
    def spectrogram(
        self,
        x: Any,
        y: Any = None,
        *,
        p0: int | None = None,
        p1: int | None = None,
        k_offset: int = 0,
        padding: Padding = "zeros",
        axis: int = -1,
    ) -> FloatArray | ComplexArray:
        """Spectrogram ``abs(Sx)**2``, or cross-spectrogram ``Sx * conj(Sy)``.

        Parameters
        ----------
        x : array_like
            Signal, as in `stft`.
        y : array_like, optional
            Second signal, in the shape of `x`.
        p0, p1, k_offset, padding, axis
            As in `stft`.

        Returns
        -------
        ndarray, shape (..., f_pts, p1 - p0)
            Real without `y`, complex with `y`.
        """
        if y is not None and np.shape(y) != np.shape(x):
            raise ValueError(f"x and y must have the same shape, got {np.shape(x)} and {np.shape(y)}")
        if y is None or y is x:
            layout = self._signal_layout(x, p0, p1, k_offset, padding, axis)
            return layout.to_public(analyse_power(layout.plan, layout.channels, layout.frames, keep=False).power)
        Sx = self.stft(x, p0, p1, k_offset=k_offset, padding=padding, axis=axis)
        Sy = self.stft(y, p0, p1, k_offset=k_offset, padding=padding, axis=axis)
        return cast(ComplexArray, Sx * Sy.conj())

    def spectrogram_and_vjp(
        self, x: Any, *, k_offset: int = 0, padding: Padding = "zeros", axis: int = -1
    ) -> tuple[FloatArray, Callable[..., Gradient]]:
        """Spectrogram, and the function that computes its vector-Jacobian products.

        Use it to train with a loss of ``|S|**2``. It is faster than `stft` and `vjp`,
        because the backward pass reuses the transform of the forward pass.

        Parameters
        ----------
        x : array_like
            Signal, as in `stft`.
        k_offset, padding, axis
            As in `stft`.

        Returns
        -------
        P : ndarray, shape (..., f_pts, p_num)
            ``spectrogram(x)``.
        vjp : callable
            ``vjp(cotangent, wrt=None)`` takes the derivatives of a real loss with
            respect to ``P``, in the shape of ``P``, and returns a `Gradient`, as the
            method `vjp` does. It keeps the transform of `x` in memory.

        Examples
        --------
        >>> import numpy as np
        >>> from adaptstft import AdaptiveShortTimeFFT
        >>> sft = AdaptiveShortTimeFFT("hann", 20.5, 5, fs=1.0, mfft=32)
        >>> x = np.random.default_rng(0).standard_normal(100)
        >>> P, vjp = sft.spectrogram_and_vjp(x)
        >>> gradient = vjp(1 / (1 + P))  # of sum(log(1 + P))
        >>> bool(np.allclose(gradient.x, sft.vjp(x, 2 * sft.stft(x) / (1 + P)).x))
        True
        """
        layout = self._signal_layout(x, None, None, k_offset, padding, axis)
        forward = analyse_power(layout.plan, layout.channels, layout.frames, keep=True)

        def vjp(cotangent: Any, wrt: tuple[Parameter, ...] | None = None) -> Gradient:
            chosen = self._check_wrt(wrt)
            g = layout.cotangent(cotangent)
            if np.iscomplexobj(g):
                raise TypeError("cotangent is complex, but a spectrogram is real")
            return self._signal_gradient(layout, chosen, power_vjp(forward, g, **requested_derivatives(chosen)))

        return layout.to_public(forward.power), vjp

    def vjp(
        self,
        x: Any,
        cotangent: Any,
        *,
        wrt: tuple[Parameter, ...] | None = None,
        k_offset: int = 0,
        padding: Padding = "zeros",
        axis: int = -1,
    ) -> Gradient:
        """Vector-Jacobian product: derivatives of a loss, from those with respect to `stft`.

        Parameters
        ----------
        x : array_like
            Signal, as in `stft`.
        cotangent : array_like, shape of ``stft(x)``
            ``G = dC/dRe S + 1j dC/dIm S`` for a real loss ``C``, so that
            ``dC = Re sum conj(G) dS`` over the stored bins.
        wrt : tuple of str, optional
            Names of the derivatives to compute: ``"win_length"``, ``"positions"``,
            ``"hop"``, ``"shape"`` and ``"x"``. Default: all.
        k_offset, padding, axis
            As in `stft`.

        Returns
        -------
        Gradient
            Derivatives of the loss.
        """
        chosen = self._check_wrt(wrt)
        layout = self._signal_layout(x, None, None, k_offset, padding, axis)
        g = layout.cotangent(cotangent)
        gradients = analysis_vjp(layout.plan, layout.channels, layout.frames, g, **requested_derivatives(chosen))
        return self._signal_gradient(layout, chosen, gradients)

    def jvp(
        self,
        x: Any,
        tangents: Mapping[str, Any],
        *,
        k_offset: int = 0,
        padding: Padding = "zeros",
        axis: int = -1,
    ) -> ComplexArray:
        """Jacobian-vector product: the directional derivative of `stft`.

        Parameters
        ----------
        x : array_like
            Signal, as in `stft`.
        tangents : mapping of str to array_like
            The direction, with the keys ``"win_length"``, ``"positions"``, ``"hop"``,
            ``"shape"`` and ``"x"``. Each entry has the shape of the parameter or
            signal. Parameters without an entry are constant.
        k_offset, padding, axis
            As in `stft`.

        Returns
        -------
        ndarray of complex, shape of ``stft(x)``
            ``d stft / d eps`` if parameters and signal change by ``eps * tangents``.
            It needs one FFT per slice, and a second one if slices move in time.

        Examples
        --------
        >>> import numpy as np
        >>> from adaptstft import AdaptiveShortTimeFFT
        >>> x = np.random.default_rng(0).standard_normal(100)
        >>> sft = AdaptiveShortTimeFFT("hann", 20.5, 5, fs=1.0, mfft=32)
        >>> longer = sft.remade(win_length=20.5 + 1e-6)
        >>> dS = (longer.stft(x) - sft.stft(x)) / 1e-6
        >>> bool(np.allclose(sft.jvp(x, {"win_length": 1.0}), dS, atol=1e-6))
        True
        """
        check_tangents(tangents, "x")
        layout = self._signal_layout(x, None, None, k_offset, padding, axis)
        dx = None
        if "x" in tangents:
            if np.shape(tangents["x"]) != np.shape(x):
                raise ValueError(f"tangents['x'] has shape {np.shape(tangents['x'])}, but x has shape {np.shape(x)}")
            dx = self._signal_layout(tangents["x"], None, None, k_offset, padding, axis).channels
            dx = dx.astype(layout.channels.dtype)
        direction = self._direction(tangents, layout.first, len(layout.frames))
        return layout.to_public(analysis_jvp(layout.plan, layout.channels, layout.frames, dx, direction))
