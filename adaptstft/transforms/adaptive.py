"""The public class `AdaptiveShortTimeFFT`: a short-time Fourier transform with real-valued window lengths."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from adaptstft import criteria
from adaptstft.common.device import to_host
from adaptstft.common.typing import Backend, FFTMode, Float64Array, Padding, Parameter, Scaling
from adaptstft.common.validation import check_has_derivatives, check_not_silent
from adaptstft.criteria import evaluate as objective
from adaptstft.criteria.bands import make_tiles
from adaptstft.criteria.energy_shares import share_gradient
from adaptstft.criteria.neighbourhoods import Neighbourhoods, Tiles
from adaptstft.criteria.scopes import FrameView
from adaptstft.engine.frames import Frames
from adaptstft.engine.gradients import Gradients
from adaptstft.engine.plan import FramePlan
from adaptstft.transforms.analysis import Analysis
from adaptstft.transforms.axes import SignalLayout
from adaptstft.transforms.derivatives import requested_derivatives
from adaptstft.transforms.gradient import Gradient
from adaptstft.transforms.sampled_window import SampledWindow
from adaptstft.transforms.scipy_windows import scipy_window, window_samples
from adaptstft.transforms.streaming.adaptive import adaptive_blocks
from adaptstft.transforms.streaming.interface import BlockTransform
from adaptstft.transforms.streaming.processing import BlockProcessing

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from scipy.signal import ShortTimeFFT as ScipyShortTimeFFT

    from adaptstft.display.spectrogram import FrequencyScale

__all__ = ["AdaptiveShortTimeFFT"]


class AdaptiveShortTimeFFT(Analysis, SampledWindow, BlockProcessing):
    r"""Short-time Fourier transform with real-valued window lengths, and a real hop or positions.

    Interface and results follow `scipy.signal.ShortTimeFFT`. Window length and hop
    are real numbers of samples. The window length may differ between slices and
    between frequencies. The transform is differentiable with respect to window
    lengths, hop or positions, the shape of the window, and the signal [1]_:

    .. math:: S[q, p] = \sum_n x[n]\, c(\theta_p)\, \omega\!\left(\frac{n - t_p}{\theta_p}\right)
              e^{-2 j \pi f_q (n - t_p) T}

    with the position :math:`t_p` and the window length :math:`\theta_p` of slice
    ``p``, the window family :math:`\omega` and its scale :math:`c`.

    Parameters
    ----------
    window : str, tuple, callable, ndarray or Window
        Window family, or its samples, see `adaptstft.windows.resolve`.
    win_length : float or array_like of float
        Window length in samples, at least 1: one number; shape (p_num,), one length
        per slice, where element 0 belongs to slice `p_min`; shape (f_pts, 1), one
        length per frequency; or shape (f_pts, p_num), one length per bin.
    hop : float or None
        Distance between slices in samples; slice ``p`` is at ``p * hop``. None if
        `positions` are given.
    fs : float
        Sampling frequency in Hz.
    positions : array_like of float, shape (p_num,), optional
        Positions of the slices in samples, not decreasing. They replace `hop`.
    samples : int, optional
        Number of samples of the signals; another number is an error. `optimize` sets
        it where positions or lengths of slices belong to times of one signal. None
        (default) accepts any number.
    max_length : int, optional
        Number of samples reserved for a window, ``m_num``; by default the longest
        window length, rounded up. With a hop and one length per slice it determines
        which slices touch the signal.
    fft_mode : {"onesided", "onesided2X", "twosided", "centered"}, optional
        As in SciPy.
    mfft : int, optional
        Length of the FFT, at least `max_length`, which is the default. It does not
        depend on the window length, so the frequencies do not change with it.
    scale_to : {"magnitude", "psd"}, optional
        Scaling of the windows, as in SciPy. None (default): the peak is 1.
    phase_shift : int or None, optional
        As in SciPy: 0 (default) refers the phase to the position of the slice, None
        to the first of its `m_num` samples.
    window_offset : float, optional
        Offset of the window's centre from the position of its slice, in samples.
        SciPy's periodic windows of odd length have 1/2, see `from_scipy`.
    workers : int, optional
        Number of threads. None (default) uses all cores; negative numbers count
        back from the number of cores.
    backend : {"auto", "numba", "numpy", "cuda"}, optional
        Implementation of the inner loops. ``"cuda"`` needs a CUDA device and the
        extra ``cuda``; ``"auto"`` is ``"cuda"`` for CuPy arrays, else ``"numba"``.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range; the message names the value and the range.

    See Also
    --------
    adaptstft.optimize : Find the best window lengths for a signal.

    Notes
    -----
    The window of a slice covers the samples with ``-win_length/2 <= n - t_p <
    win_length/2``. Instances are immutable and can be shared between threads.

    CuPy arrays are processed on their device. The transform of a CuPy array, the
    inverse, and the fields `x` and `S` of a `Gradient` are then CuPy arrays too. All
    other results are NumPy arrays.

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

    def _block_transform(self) -> BlockTransform:
        return adaptive_blocks(self)

    def _repr_html_(self) -> str:
        from adaptstft.display.html import transform_html

        return transform_html(self)

    def plot(
        self,
        x: Any,
        ax: Axes | None = None,
        *,
        f_range: tuple[float, float] | None = None,
        t_range: tuple[float, float] | None = None,
        yscale: FrequencyScale = "linear",
        db: float = 60.0,
        hop: float | None = None,
        axis: int = -1,
    ) -> Axes:
        """Draw the spectrogram of a signal.

        The picture has the resolution of the screen or file: where one zooms in, that part is computed again.

        Parameters
        ----------
        x : array_like
            Signal, as in `stft`; the power of its channels is averaged.
        ax : matplotlib Axes, optional
            Where to draw; None makes a figure.
        f_range, t_range : (float, float), optional
            Frequencies in Hz and times in s to show; by default all.
        yscale : {"linear", "log", "mel"}, optional
            Scale of the frequencies.
        db : float, optional
            Range of the colours in dB, below the maximum of what is shown.
        hop : float, optional
            Hop of the picture in samples; by default that of the transform.
        axis : int, optional
            Time axis of `x`.

        Returns
        -------
        matplotlib Axes
            The axes drawn on.

        Raises
        ------
        ValueError
            For ranges without any sample or frequency.
        ImportError
            Without matplotlib, with the command that installs it.
        """
        from adaptstft.display.plots import plot_transform

        view: dict[str, Any] = {"f_range": f_range, "t_range": t_range, "yscale": yscale, "db": db}
        axes: Axes = plot_transform(self, x, ax, axis=axis, hop=hop, **view)
        return axes

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
            A name (with global scope), an object of `adaptstft.criteria`, or a
            function of ``spectrogram(x)`` written with ``autograd.numpy``. The
            default width of a local scope is twice the longest window.
        wrt : tuple of str, optional
            Names of the derivatives to compute: ``"win_length"``, ``"positions"``,
            ``"hop"``, ``"shape"`` and ``"x"``. Default: all. Most criteria need two
            FFTs per slice without ``"x"``, and three with it.
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
                "each slice, the criterion sums over all bins of the slice"
            )
        layout = self._signal_layout(x, None, None, k_offset, padding, axis)
        peak = check_not_silent(layout.channels)
        is_user_loss = isinstance(loss, criteria.UserLoss)
        if not is_user_loss:
            check_has_derivatives(peak, layout.channels.dtype)
        view = self._frame_view(layout, loss)
        if is_user_loss and layout.axis != len(layout.lead):
            raise ValueError(f"{axis=}: with a callable criterion time must be the last axis of x")
        plan = layout.plan if is_user_loss else objective.scale_free(layout.plan, peak)
        if isinstance(loss, criteria.DescriptionLength):
            loss.check_scope()
            if "x" in chosen:
                loss.check_constant()
            plan, loss = self._at_distortion(layout, loss, view, peak)
        if not chosen:
            return objective.value_of(plan, layout.channels, layout.frames, loss, view, layout.lead), Gradient()
        result = objective.evaluate(
            plan,
            layout.channels,
            layout.frames,
            loss,
            view,
            **requested_derivatives(chosen),
            lead_shape=layout.lead,
        )
        gradients = result.gradients
        if gradients.positions.size:
            slopes = loss.frame_weight_slopes(layout.frames.centre - layout.before, layout.n, self.T)
            gradients = replace(gradients, positions=gradients.positions + result.weights * slopes)
        if "x" in chosen and np.any(result.shares):
            gradients = _with_shares(layout, view, gradients, result.shares)
        return result.value, self._signal_gradient(layout, chosen, gradients)

    def _at_distortion(
        self, layout: SignalLayout, loss: criteria.DescriptionLength, view: FrameView, peak: float
    ) -> tuple[FramePlan, criteria.DescriptionLength]:
        """Return a plan with windows of unit energy and bins without gains, and the criterion with its distortion."""
        plan = layout.plan
        signal = layout.unpadded(layout.channels) / peak
        frames, offset = layout.frames, 0.0
        if isinstance(frames, Frames) and len(frames):
            offset = float(frames.centre[0] - frames.positions[0])
        measured = loss.measured(loss.level(signal, peak), view.neighbourhoods, layout.n, offset=offset)
        mode: FFTMode = "onesided" if plan.onesided else "twosided" if plan.fft_mode == "twosided" else "centered"
        return objective.scale_free(replace(plan, fft_mode=mode, scaling="psd"), peak), measured

    def _frame_view(self, layout: SignalLayout, criterion: criteria.Criterion) -> FrameView:
        """Return the frames as a criterion needs them, with neighbourhoods for a local scope."""
        neighbourhoods: Neighbourhoods | Tiles | None = None
        if criterion.scope == "local":
            width = 2.0 * self._m_num if criterion.width is None else criterion.width * self._fs
            # without the padding, which does not belong to the energy of the signal
            signal = layout.unpadded(layout.channels)
            neighbourhoods = Neighbourhoods.of_signal(to_host(signal), width, first=float(layout.before))
            if criterion.bands is not None:
                neighbourhoods = make_tiles(layout.plan, signal, neighbourhoods, criterion.bands)
        n = len(layout.frames)
        # only neighbourhoods need the centres of the frames
        centres = np.broadcast_to(0.0, n) if neighbourhoods is None else layout.frames.centre
        weights = criterion.frame_weights(layout.frames.centre - layout.before, layout.n, self.T)
        return FrameView(centres, weights, 1.0, neighbourhoods)

    @classmethod
    def from_scipy(
        cls,
        sft: ScipyShortTimeFFT,
        window: Any,
        *,
        workers: int | None = None,
        backend: Backend = "auto",
    ) -> AdaptiveShortTimeFFT:
        """Make the transform that is equal to a `scipy.signal.ShortTimeFFT`.

        Parameters
        ----------
        sft : scipy.signal.ShortTimeFFT
            A transform with a named window.
        window : str, tuple, callable or Window
            The window that `sft` was made from, as for `scipy.signal.get_window`: the
            parameter of ``("gaussian", std)`` is the standard deviation in samples.
            Periodic and symmetric windows are told apart by their samples. ``sft.win``
            takes the samples themselves, as for windows without a family here.
        workers, backend
            As in the class.

        Returns
        -------
        AdaptiveShortTimeFFT
            Transform with the same slices, phases and scaling.

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
        from scipy.signal import ShortTimeFFT  # imported here, as it takes long and nothing else needs it

        if not isinstance(sft, ShortTimeFFT):
            raise TypeError(f"{sft=} must be a scipy.signal.ShortTimeFFT")
        family, length, offset = scipy_window(sft, window)
        return cls(
            family,
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

    @classmethod
    def from_window(
        cls,
        win_param: Any,
        fs: float,
        nperseg: int,
        noverlap: int,
        *,
        symmetric_win: bool = False,
        fft_mode: FFTMode = "onesided",
        mfft: int | None = None,
        scale_to: Scaling | None = None,
        phase_shift: int | None = 0,
        workers: int | None = None,
        backend: Backend = "auto",
    ) -> AdaptiveShortTimeFFT:
        """Make the transform that is equal to ``scipy.signal.ShortTimeFFT.from_window`` of the same arguments.

        Parameters
        ----------
        win_param, fs, nperseg, noverlap, symmetric_win, fft_mode, mfft, scale_to, phase_shift
            As in SciPy; a window that is no family here is kept as its samples.
        workers, backend
            As in the class.

        Returns
        -------
        AdaptiveShortTimeFFT
            Transform with the same slices, phases and scaling.

        Examples
        --------
        >>> from adaptstft import AdaptiveShortTimeFFT
        >>> AdaptiveShortTimeFFT.from_window("hann", 1000.0, 256, 192).win_length
        256.0
        """
        from scipy.signal import ShortTimeFFT

        sft = ShortTimeFFT.from_window(
            win_param, fs, nperseg, noverlap, symmetric_win=symmetric_win,
            fft_mode=fft_mode, mfft=mfft, scale_to=scale_to, phase_shift=phase_shift,
        )  # fmt: skip
        try:
            return cls.from_scipy(sft, win_param, workers=workers, backend=backend)
        except (TypeError, ValueError):  # no family has these samples
            return cls.from_scipy(sft, sft.win, workers=workers, backend=backend)

    def to_scipy(self) -> ScipyShortTimeFFT:
        """Make the `scipy.signal.ShortTimeFFT` that is equal to this transform.

        Returns
        -------
        scipy.signal.ShortTimeFFT
            Transform with the same window samples, hop, scaling, FFT and phase.

        Raises
        ------
        ValueError
            If there is none: the transform has positions, a hop that is not an
            integer, or several window lengths.

        Examples
        --------
        >>> from adaptstft import AdaptiveShortTimeFFT
        >>> AdaptiveShortTimeFFT("hann", 8, 2, fs=1.0).to_scipy().win.shape
        (8,)
        """
        from scipy.signal import ShortTimeFFT

        if self._hop is None or self._hop != round(self._hop) or self._win_length.ndim:
            raise ValueError(f"{self!r} has no equal in SciPy, which needs one window length and an integer hop")
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


def _with_shares(layout: SignalLayout, view: FrameView, gradients: Gradients, by_share: Float64Array) -> Gradients:
    """Add the part of the gradient in the signal that comes from the weights of the neighbourhoods."""
    data, places = gradients.data, view.neighbourhoods
    assert data is not None and places is not None
    signal = layout.unpadded(layout.channels)
    layout.unpadded(data)[...] += share_gradient(layout.plan, signal, places, by_share, float(layout.before))
    return gradients
