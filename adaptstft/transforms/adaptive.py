"""The short-time Fourier transform with real-valued window lengths and frame positions."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast, get_args

import numpy as np

from adaptstft import criteria
from adaptstft.common.device import is_device_array, to_host
from adaptstft.common.typing import Backend, ComplexArray, FFTMode, FloatArray, Padding, Parameter, Scaling
from adaptstft.common.validation import (
    as_index,
    as_inexact,
    as_signal,
    check_finite,
    check_not_silent,
    check_option,
    check_tangents,
)
from adaptstft.criteria import evaluate as objective
from adaptstft.criteria.bands import make_tiles
from adaptstft.criteria.neighbourhoods import Neighbourhoods, Tiles
from adaptstft.criteria.scopes import FrameView
from adaptstft.engine.jvp import analysis_jvp
from adaptstft.engine.operator import analyse, analysis_vjp
from adaptstft.engine.padding import pad
from adaptstft.engine.spectrogram import PowerPass
from adaptstft.transforms.axes import SignalLayout
from adaptstft.transforms.gradient import Gradient
from adaptstft.transforms.scipy_windows import scipy_window, window_samples
from adaptstft.transforms.streaming import BlockProcessing, Engine, adaptive_engine
from adaptstft.transforms.synthesis import Synthesis

if TYPE_CHECKING:
    from scipy.signal import ShortTimeFFT as ScipyShortTimeFFT

__all__ = ["AdaptiveShortTimeFFT"]


class AdaptiveShortTimeFFT(Synthesis, BlockProcessing):
    r"""Short-time Fourier transform with real window lengths, hop or positions.

    Interface and results follow `scipy.signal.ShortTimeFFT`; window length and
    hop are real numbers of samples, the length may differ from slice to slice,
    and everything can be differentiated [1]_:

    .. math:: S[q, p] = \sum_n x[n]\, c(\theta_p)\, \omega\!\left(\frac{n - t_p}{\theta_p}\right)
              e^{-2 j \pi f_q (n - t_p) T}

    Parameters
    ----------
    window : str, tuple, callable or Window
        Window family, see `adaptstft.windows.resolve`.
    win_length : float or array_like of float
        Window length in samples, at least 1; or one for each slice, shape
        (p_num,), where element 0 belongs to slice `p_min`; or one for each
        frequency, (f_pts, 1), or for each bin, (f_pts, p_num).
    hop : float or None
        Time between slices in samples; slice ``p`` is at ``p * hop``. None if
        `positions` are given.
    fs : float
        Sampling frequency in Hz.
    positions : array_like of float, shape (p_num,), optional
        Times of the slices in samples, not decreasing, in place of `hop`.
    max_length : int, optional
        Number of samples reserved for a window, ``m_num``; by default the
        longest window length, rounded up. With a hop and one length for each
        slice it decides which slices touch the signal.
    fft_mode : {"onesided", "onesided2X", "twosided", "centered"}, optional
        As in SciPy.
    mfft : int, optional
        Length of the FFT, at least `max_length`, which is the default. It does
        not change with the window length, so neither do the frequencies.
    scale_to : {"magnitude", "psd"}, optional
        Scale each window as SciPy does. None (default) leaves its peak at 1.
    phase_shift : int or None, optional
        As in SciPy: 0 (default) measures the phase from the centre of a slice,
        None from the first of its `m_num` samples.
    window_offset : float, optional
        Centre of the window of a slice relative to its time, in samples. SciPy's
        periodic windows of odd length have 1/2, see `from_scipy`.
    workers : int, optional
        Number of threads; None (default) uses all cores, negative numbers count
        back from that.
    backend : {"auto", "numba", "numpy", "cuda"}, optional
        Implementation of the inner loops. ``"cuda"`` needs a CUDA device and the
        extra ``cuda``; ``"auto"`` is ``"cuda"`` for CuPy arrays, else ``"numba"``.

    Raises
    ------
    ValueError, TypeError
        For arguments out of range; the message names the value and the range.

    See Also
    --------
    adaptstft.optimize : Find the window length that a signal asks for.

    Notes
    -----
    The samples of a window are those with ``-win_length/2 <= n - t_p <
    win_length/2``. Instances are immutable and can be shared between threads.

    Signals and transforms that are CuPy arrays are worked on where they are, and
    so are what comes of them and the derivatives in them, in `Gradient`'s `x` and
    `S`. All other results are in NumPy, as are all results of NumPy arrays.

    References
    ----------
    .. [1] M. Leiber, Y. Marnissi, A. Barrau, S. Meignen, L. Massoulié,
       "Optimal adaptive time-frequency representation via differentiable
       short-time Fourier transform", IEEE Trans. Signal Process. 73,
       5047-5059, 2025, :doi:`10.1109/TSP.2025.3624477`.

    Examples
    --------
    >>> import numpy as np
    >>> from adaptstft import AdaptiveShortTimeFFT
    >>> x = np.random.default_rng(0).standard_normal(1000)
    >>> sft = AdaptiveShortTimeFFT("hann", 100.5, 25, fs=1000.0, mfft=128)
    >>> S = sft.stft(x)
    >>> S.shape
    (65, 44)
    >>> bool(np.allclose(sft.istft(S, k1=1000), x))
    True
    """

    # ------------------------------------------------------------------ analysis

    def _signal_layout(
        self, x: Any, p0: int | None, p1: int | None, k_offset: int, padding: Padding, axis: int
    ) -> SignalLayout:
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
            Real or complex signal of any number of dimensions; complex only in
            modes ``"twosided"`` and ``"centered"``.
        p0, p1 : int, optional
            Range of slices; all that touch the signal by default.
        k_offset : int, optional
            Index of the sample at time 0.
        padding : {"zeros", "edge", "even", "odd"}, optional
            What lies beyond the ends of the signal, as in SciPy.
        axis : int, optional
            Axis of time in `x`.

        Returns
        -------
        ndarray of complex128, shape (..., f_pts, p1 - p0)
            The transform; `axis` becomes frequency and time is last. complex64
            for float32 and complex64 signals.
        """
        a = self._signal_layout(x, p0, p1, k_offset, padding, axis)
        return a.to_public(analyse(a.plan, a.channels, a.frames))

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
            Second signal of the shape of `x`.
        p0, p1, k_offset, padding, axis
            As in `stft`.

        Returns
        -------
        ndarray, shape (..., f_pts, p1 - p0)
            Real without `y`, complex with it.
        """
        if y is not None and np.shape(y) != np.shape(x):
            raise ValueError(f"x and y must have the same shape, got {np.shape(x)} and {np.shape(y)}")
        if y is None or y is x:
            a = self._signal_layout(x, p0, p1, k_offset, padding, axis)
            return a.to_public(PowerPass.of(a.plan, a.channels, a.frames, keep=False).power)
        Sx = self.stft(x, p0, p1, k_offset=k_offset, padding=padding, axis=axis)
        Sy = self.stft(y, p0, p1, k_offset=k_offset, padding=padding, axis=axis)
        return cast(ComplexArray, Sx * Sy.conj())

    def spectrogram_and_vjp(
        self, x: Any, *, k_offset: int = 0, padding: Padding = "zeros", axis: int = -1
    ) -> tuple[FloatArray, Callable[..., Gradient]]:
        """Spectrogram, and the function that pulls derivatives in it back to the parameters.

        It takes less than `stft` and `vjp` do, as the second pass takes up what the
        first has computed: for training with losses of ``|S|**2``.

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
        pull_back : callable
            ``pull_back(cotangent, wrt=None)`` with the derivatives of a real loss in
            ``P``, of its shape; returns a `Gradient`, as `vjp` does. It holds on to
            the transform of `x`.

        Examples
        --------
        >>> import numpy as np
        >>> from adaptstft import AdaptiveShortTimeFFT
        >>> sft = AdaptiveShortTimeFFT("hann", 20.5, 5, fs=1.0, mfft=32)
        >>> x = np.random.default_rng(0).standard_normal(100)
        >>> P, pull_back = sft.spectrogram_and_vjp(x)
        >>> gradient = pull_back(1 / (1 + P))  # of sum(log(1 + P))
        >>> bool(np.allclose(gradient.x, sft.vjp(x, 2 * sft.stft(x) / (1 + P)).x))
        True
        """
        a = self._signal_layout(x, None, None, k_offset, padding, axis)
        done = PowerPass.of(a.plan, a.channels, a.frames, keep=True)

        def pull_back(cotangent: Any, wrt: tuple[Parameter, ...] | None = None) -> Gradient:
            chosen = self._check_wrt(wrt)
            g = as_inexact("cotangent", cotangent, device=a.plan.kernels.xp is not np)
            if np.iscomplexobj(g):
                raise TypeError("cotangent is complex, but a spectrogram is real")
            check_finite("cotangent", g)
            back = done.pull_back(a.from_public(g, self.f_pts), **_wanted(chosen))
            gradient = self._gradient(chosen, a.first, back.win_length, back.positions, back.shape)
            return replace(gradient, x=a.signal_like(back.data))

        return a.to_public(done.power), pull_back

    def _block_engine(self) -> Engine:
        return adaptive_engine(self)

    # ------------------------------------------------------------------ gradients

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
        """Vector-Jacobian product: pull a cotangent of `stft` back to the parameters.

        Parameters
        ----------
        x : array_like
            Signal, as in `stft`.
        cotangent : array_like, shape of ``stft(x)``
            ``G = dC/dRe S + 1j dC/dIm S`` for a real loss ``C``, so that
            ``dC = Re sum conj(G) dS`` over the stored bins.
        wrt : tuple of str, optional
            Which derivatives to compute, of ``"win_length"``, ``"positions"``,
            ``"hop"``, ``"shape"`` and ``"x"``; all by default.
        k_offset, padding, axis
            As in `stft`.

        Returns
        -------
        Gradient
            Derivatives of the loss.
        """
        chosen = self._check_wrt(wrt)
        a = self._signal_layout(x, None, None, k_offset, padding, axis)
        g = as_inexact("cotangent", cotangent, device=a.plan.kernels.xp is not np)
        check_finite("cotangent", g)
        g = a.from_public(g, self.f_pts)
        back = analysis_vjp(a.plan, a.channels, a.frames, g, **_wanted(chosen))
        gradient = self._gradient(chosen, a.first, back.win_length, back.positions, back.shape)
        return replace(gradient, x=a.signal_like(back.data))

    def jvp(
        self,
        x: Any,
        tangents: Mapping[str, Any],
        *,
        k_offset: int = 0,
        padding: Padding = "zeros",
        axis: int = -1,
    ) -> ComplexArray:
        """Jacobian-vector product: the derivative of `stft` in a direction.

        Parameters
        ----------
        x : array_like
            Signal, as in `stft`.
        tangents : mapping of str to array_like
            The direction: how ``"win_length"``, ``"positions"``, ``"hop"``,
            ``"shape"`` and ``"x"`` move, each of the shape of what it is the
            direction of; what is not named is at rest.
        k_offset, padding, axis
            As in `stft`.

        Returns
        -------
        ndarray of complex, shape of ``stft(x)``
            How the transform moves, ``d stft / d eps`` for parameters and a signal
            that move by ``eps * tangents``. It takes one FFT a slice, and one more
            where slices move in time.

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
        a = self._signal_layout(x, None, None, k_offset, padding, axis)
        dx = None
        if "x" in tangents:
            if np.shape(tangents["x"]) != np.shape(x):
                raise ValueError(f"tangents['x'] has shape {np.shape(tangents['x'])}, but x has shape {np.shape(x)}")
            dx = self._signal_layout(tangents["x"], None, None, k_offset, padding, axis).channels.astype(
                a.channels.dtype
            )
        motion = self._motion(tangents, a.first, len(a.frames))
        return a.to_public(analysis_jvp(a.plan, a.channels, a.frames, dx, motion))

    def value_and_grad(
        self,
        x: Any,
        criterion: Any,
        *,
        wrt: tuple[Parameter, ...] | None = None,
        k_offset: int = 0,
        padding: Padding = "zeros",
        axis: int = -1,
    ) -> tuple[float, Gradient]:
        """Value and gradient of a concentration criterion of ``stft(x)``.

        Parameters
        ----------
        x : array_like
            Signal, as in `stft`; not silent.
        criterion : str, Criterion or callable
            A name (its global scope), an object of `adaptstft.criteria`, or a
            function of ``spectrogram(x)`` written with ``autograd.numpy``. A
            local scope without a width takes twice the longest window.
        wrt : tuple of str, optional
            Which derivatives to compute, of ``"win_length"``, ``"positions"``,
            ``"hop"``, ``"shape"`` and ``"x"``; all by default. Without ``"x"``
            most criteria need two FFTs a slice, with it three.
        k_offset, padding, axis
            As in `stft`.

        Returns
        -------
        value : float
            The criterion.
        gradient : Gradient
            Its derivatives.

        Examples
        --------
        >>> import numpy as np
        >>> from adaptstft import AdaptiveShortTimeFFT
        >>> x = np.sin(0.1 * np.arange(400) + 0.002 * np.arange(400.0) ** 2)
        >>> short, long = (AdaptiveShortTimeFFT("hann", m, 4, 1.0, mfft=256) for m in (30, 200))
        >>> _, g_short = short.value_and_grad(x, "shannon")
        >>> _, g_long = long.value_and_grad(x, "shannon")
        >>> bool(g_short.win_length < 0 < g_long.win_length)  # the best length lies between
        True
        """
        chosen = self._check_wrt(wrt)
        loss = criteria.resolve(criterion)
        if loss.bands is not None and not self.per_bin:
            raise ValueError(
                f"bands={loss.bands} in the criterion needs a window length for each frequency or bin: with one for "
                "each slice, sums over all its bins are taken"
            )
        a = self._signal_layout(x, None, None, k_offset, padding, axis)
        peak = check_not_silent(a.channels)
        free = isinstance(loss, criteria.UserLoss)
        view = self._view(a, loss)
        if free and a.axis != len(a.lead):
            raise ValueError(f"{axis=}: with a callable criterion time must be the last axis of x")
        plan = a.plan if free else objective.scale_free(a.plan, peak)
        if not chosen:
            return objective.value_of(plan, a.channels, a.frames, loss, view, a.lead), Gradient()
        result = objective.evaluate(
            plan,
            a.channels,
            a.frames,
            loss,
            view,
            want_x="x" in chosen,
            parameters=bool(chosen - {"x"}),
            positions=bool(chosen & {"positions", "hop"}),
            shape="shape" in chosen,
            lead_shape=a.lead,
        )
        gradient = self._gradient(chosen, a.first, result.win_length, result.positions, result.shape)
        return result.value, replace(gradient, x=a.signal_like(result.x))

    def _view(self, a: SignalLayout, criterion: criteria.Criterion) -> FrameView:
        neighbourhoods: Neighbourhoods | Tiles | None = None
        if criterion.scope == "local":
            width = 2.0 * self._m_num if criterion.width is None else criterion.width * self._fs
            own = a.channels[:, a.before : a.before + a.n]  # padding is no energy of the signal's own
            neighbourhoods = Neighbourhoods.of_signal(to_host(own), width, first=float(a.before))
            if criterion.bands is not None:
                neighbourhoods = make_tiles(self._plan, own, neighbourhoods, criterion.bands)
        n = len(a.frames)
        # only neighbourhoods look at where the frames are
        centres = np.broadcast_to(0.0, n) if neighbourhoods is None else a.frames.centre
        return FrameView(centres, np.broadcast_to(1.0, n), 1.0, neighbourhoods)

    def _check_wrt(self, wrt: tuple[Parameter, ...] | None) -> set[str]:
        chosen = set(get_args(Parameter) if wrt is None else wrt)
        if not chosen <= set(get_args(Parameter)):
            raise ValueError(f"{wrt=} must be a tuple of names among {get_args(Parameter)}")
        if chosen & {"win_length", "positions", "hop", "shape"}:
            self._window.check_tunable()
        return chosen

    # ------------------------------------------------------------------ SciPy

    @classmethod
    def from_scipy(
        cls,
        sft: ScipyShortTimeFFT,
        window: Any,
        *,
        workers: int | None = None,
        backend: Backend = "auto",
    ) -> AdaptiveShortTimeFFT:
        """Make the transform that equals a `scipy.signal.ShortTimeFFT`.

        Parameters
        ----------
        sft : scipy.signal.ShortTimeFFT
            A transform with a named window.
        window : str, tuple, callable or Window
            The window it was made from, as for `scipy.signal.get_window`: the
            parameter of ``("gaussian", std)`` is the standard deviation in
            samples. Whether it is periodic or symmetric is found out.
        workers, backend
            As in the class.

        Returns
        -------
        AdaptiveShortTimeFFT
            With the same slices, phases and scaling.

        Raises
        ------
        ValueError
            If `window` does not reproduce ``sft.win``.

        Examples
        --------
        >>> from scipy.signal import ShortTimeFFT
        >>> from adaptstft import AdaptiveShortTimeFFT
        >>> SFT = ShortTimeFFT.from_window("hann", fs=1.0, nperseg=9, noverlap=6)
        >>> sft = AdaptiveShortTimeFFT.from_scipy(SFT, "hann")
        >>> sft.win_length, sft.window_offset
        (9.0, 0.5)
        """
        from scipy.signal import ShortTimeFFT  # a large import that nothing else needs

        if not isinstance(sft, ShortTimeFFT):
            raise TypeError(f"{sft=} must be a scipy.signal.ShortTimeFFT")
        found, length, offset = scipy_window(sft, window)
        return cls(
            found,
            length,
            float(sft.hop),
            sft.fs,
            max_length=sft.m_num,
            fft_mode=cast(FFTMode, sft.fft_mode),
            mfft=sft.mfft,
            scale_to=cast("Scaling | None", sft.scaling),
            phase_shift=sft.phase_shift,
            window_offset=offset,
            workers=workers,
            backend=backend,
        )

    def to_scipy(self) -> ScipyShortTimeFFT:
        """Make the `scipy.signal.ShortTimeFFT` that equals this transform.

        Returns
        -------
        scipy.signal.ShortTimeFFT
            With the same window samples, hop, scaling, FFT and phase.

        Raises
        ------
        ValueError
            If there is none: positions, a hop that is not an integer, or a window
            length for each slice.

        Examples
        --------
        >>> from adaptstft import AdaptiveShortTimeFFT
        >>> AdaptiveShortTimeFFT("hann", 8, 2, fs=1.0).to_scipy().win.shape
        (8,)
        """
        from scipy.signal import ShortTimeFFT

        if self._hop is None or self._hop != round(self._hop) or self._win_length.ndim:
            raise ValueError(f"{self!r} has no equal in SciPy: that needs one window length and an integer hop")
        win = window_samples(self._window, float(self._win_length), self._m_num, self._window_offset)
        return ShortTimeFFT(
            win,
            int(self._hop),
            self._fs,
            fft_mode=self._fft_mode,
            mfft=self._mfft,
            scale_to=self._scaling,
            phase_shift=self._phase_shift,
        )


def _wanted(chosen: set[str]) -> dict[str, bool]:
    """Return what a way back from the transform is to compute."""
    return {
        "want_x": "x" in chosen,
        "parameters": bool(chosen - {"x"}),
        "positions": bool(chosen & {"positions", "hop"}),
        "shape": "shape" in chosen,
    }
