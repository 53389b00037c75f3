"""The arguments of `optimize`, checked and brought to one form before any work.

The signature of `adaptstft.optimize` is the one declaration of the arguments: `check_request` receives them as a
namespace, and what lists them (`adaptstft.optimize_many`, the estimators) reads the signature.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, get_args

import numpy as np

from adaptstft import criteria, kernels, windows
from adaptstft.common.band_pass import BandPass
from adaptstft.common.threads import count_workers
from adaptstft.common.typing import AnyArray, Backend, FFTMode, Float64Array, HopMode, Method, Scaling, WindowMode
from adaptstft.common.validation import (
    as_flag,
    as_flag_or_none,
    as_index,
    as_real,
    as_workers,
    check_hop,
    check_option,
    check_positive,
)
from adaptstft.criteria.distortion import SignalLevel
from adaptstft.engine.frames import frame_count
from adaptstft.engine.plan import FramePlan
from adaptstft.tuning.auto_window import families
from adaptstft.tuning.options import (
    BASELINES,
    DEFAULT_ACCURACY,
    check_baseline,
    check_options,
    check_rule,
    integer_lengths,
    reason_for_exact_sums,
)
from adaptstft.tuning.overlap import Overlap
from adaptstft.tuning.penalties.weights import check_penalties
from adaptstft.tuning.ranges import (
    PER_BIN,
    check_control_points,
    check_hop_bounds,
    check_overlap,
    frame_ratio_limit,
    length_bounds,
    start_lengths,
    within_ratio,
)
from adaptstft.tuning.shared.signals import SharedSignals
from adaptstft.tuning.signal_input import TakenSignal, level_of, take_signal
from adaptstft.windows import Window

#: Longest window relative to the best single length where lengths vary, unless bounds are given: the FFT must hold it.
#: In mode "time" it is raised by the same factor as long as lengths of frames reach it.
WIDEST_RATIO = 4


@dataclass(frozen=True)
class Request:
    """The checked arguments of `optimize`.

    Attributes
    ----------
    original : ndarray
        The signal as given, time last.
    x : ndarray, shape (channels, n)
        The signal without its trend, in the band that the criterion sees, scaled to a largest magnitude of one unless
        the criterion is a user function; on the device if the kernels run there.
    lead : tuple of int
        Leading dimensions of the signal.
    fs : float
        Sampling frequency in Hz.
    window : Window
        The window; with ``window="auto"`` the first one of `families`.
    window_mode, hop_mode : str
        The lengths, and the hops or positions, that are tuned.
    win_length : ndarray or None
        Starting length in samples, or one for each frame.
    hop : float or None
        Time between frames in samples, as given.
    win_bounds : (float, float)
        Range of lengths in samples that keeps the guarantees for a given hop.
    bounds_given : bool
        Whether the user gave that range.
    hop_bounds : (float, float) or None
        Range of hops in samples, as given.
    min_overlap : float or None
        Least overlap of neighbouring windows, as a fraction of the shorter one.
    mfft : int or None
        Length of the FFT, as given.
    criterion : Criterion
        The criterion to minimise, with its scope if it is given.
    smoothness, evenness, coverage : float
        Weights of the penalties on changes of the log lengths, on uneven overlap, and on uncovered samples.
    max_frame_ratio : float or None
        Largest ratio of the frame bounds.
    control_points : (int, int), "free" or None
        Numbers of control points in frequency and time, for lengths per bin.
    accuracy : float or None
        Relative accuracy of the table of sums, for lengths per bin; None for exact sums.
    tune_shape : bool
        Whether the shape parameters of the window are tuned.
    scale_to : str or None
        Scaling of the transform.
    detrend : str or None
        Trend that is removed from the signal.
    starts : int or None
        Largest number of starting points.
    method, options : str, dict
        The optimiser or baseline, and its options.
    callback : callable or None
        User function that is called after every iteration.
    workers : int or None
        Number of threads, as given.
    backend, backend_asked : str
        The backend of the kernels, and the argument for it.
    families : tuple of Window
        Windows to compare: `window`, or several with ``window="auto"``.
    start_lengths : ndarray, shape (f_pts, 1) or (f_pts, p_num), or None
        Starting lengths of all bins in samples.
    shared : SharedSignals or None
        The signals to sum over, if it is not one signal in memory; `original` and `x` then have no channels.
    level : SignalLevel or None
        Power and noise floor of `x`, for a criterion that is relative to them.
    band : BandPass or None
        The frequencies that the criterion sees, if these are not all.
    steady_tones : tuple of float
        Frequencies in Hz of weak steady tones that are no part of `x`.
    """

    original: AnyArray
    x: AnyArray
    lead: tuple[int, ...]
    fs: float
    window: Window
    window_mode: WindowMode
    hop_mode: HopMode
    win_length: Float64Array | None
    hop: float | None
    win_bounds: tuple[float, float]
    bounds_given: bool
    hop_bounds: tuple[float, float] | None
    min_overlap: float | None
    mfft: int | None
    criterion: criteria.Criterion
    smoothness: float
    evenness: float
    coverage: float
    max_frame_ratio: float | None
    control_points: tuple[int, int] | str | None
    accuracy: float | None
    tune_shape: bool
    scale_to: Scaling | None
    detrend: str | None
    starts: int | None
    method: Method
    options: dict[str, Any]
    callback: Callable[..., Any] | None
    workers: int | None
    backend: str
    backend_asked: Backend
    families: tuple[Window, ...]
    start_lengths: Float64Array | None = None
    shared: SharedSignals | None = None
    level: SignalLevel | None = None
    band: BandPass | None = None
    steady_tones: tuple[float, ...] = ()

    @property
    def n(self) -> int:
        """Number of samples."""
        return int(self.x.shape[1])

    @property
    def channels(self) -> int:
        """Number of channels; of many signals, the largest."""
        return len(self.x) if self.shared is None else self.shared.channels

    @property
    def all_frames(self) -> bool:
        """Whether states have all frames of one signal, which is in memory or has lengths that vary in time."""
        return self.shared is None or self.window_mode == "time"

    @property
    def overlap(self) -> Overlap:
        """Least overlap of neighbouring windows."""
        return Overlap(self.min_overlap)

    @property
    def descent_method(self) -> str:
        """Optimiser of descents; L-BFGS-B for those that lay out the frames for a baseline."""
        return "L-BFGS-B" if self.method in BASELINES else self.method

    @property
    def descent_options(self) -> dict[str, Any]:
        """Options of descents; none for those of a baseline."""
        return {} if self.method in BASELINES else self.options

    @property
    def fft_mode(self) -> FFTMode:
        """One-sided for real signals, centred for complex ones."""
        return "centered" if np.iscomplexobj(self.x) else "onesided"

    def regular_positions(self, hop: float) -> Float64Array:
        """Return the positions of frames at a hop, in samples.

        For signals that share one length, these are the positions of the first two frames, which every signal has.
        """
        return np.arange(frame_count(self.n, hop) if self.all_frames else 2) * float(hop)

    def plan(self, mfft: int, window: Window | None = None) -> FramePlan:
        """Return a plan whose windows have amplitudes of order one, unless the criterion is a user function."""
        _, module = kernels.resolve(self.backend)
        free = isinstance(self.criterion, criteria.UserLoss)
        # the description length compares windows of unit energy
        scaling = "psd" if isinstance(self.criterion, criteria.DescriptionLength) else self.scale_to
        unit = self.fs**-0.5 if scaling == "psd" and not free else 1.0
        return FramePlan(
            mfft,
            self.fft_mode,
            scaling,
            module,
            count_workers(self.workers) if self.shared is None else self.shared.threads(self.workers),
            window or self.window,
            1 / self.fs,
            amplitude=1 / unit,
        )


def check_request(x: Any, fs: Any, arguments: SimpleNamespace) -> Request:
    """Check all arguments of `optimize`, those after `fs` as attributes of `arguments`."""
    a = arguments
    fs, hop = check_positive("fs", fs, "Hz"), None if a.hop is None else check_hop(a.hop)
    _check_choices(a)
    criterion = _check_criterion(a)
    compared = _check_windows(a, criterion)
    check_overlap(a.min_overlap)
    ratio = frame_ratio_limit(a.max_frame_ratio, a.min_overlap, a.win_length, a.window_mode)
    points = _check_bin_options(a, criterion)
    options, starts = _check_method(a, criterion)
    smoothness, evenness, coverage = check_penalties(criterion, a)
    workers = as_workers(a.workers)
    signal = take_signal(x, fs, a, criterion)
    criterion, n = signal.criterion, signal.n
    mfft, bounds = _check_framing(a, fs, hop, signal, ratio, compared)
    if a.method == "grid":
        integer_lengths(bounds, options.get("step", 1))
    onesided = not np.iscomplexobj(signal.channels)
    lengths = start_lengths(a.win_length, bounds, hop, n, a.window_mode, a.hop_mode, mfft, onesided)
    check_rule(criterion, a.method, options)
    per_bin = lengths is not None and lengths.ndim == 2
    return Request(
        original=signal.original.copy(),  # the caller may go on to change theirs
        x=signal.channels,
        lead=signal.original.shape[:-1],
        shared=signal.shared,
        fs=fs,
        window=compared[0],
        window_mode=a.window_mode,
        hop_mode=a.hop_mode,
        win_length=None if per_bin else lengths,
        start_lengths=lengths if per_bin else None,
        hop=hop,
        win_bounds=bounds,
        bounds_given=a.win_bounds is not None,
        hop_bounds=check_hop_bounds(a.hop_bounds, hop, a.hop_mode, a.min_overlap, bounds),
        min_overlap=None if a.min_overlap is None else float(a.min_overlap),
        mfft=mfft,
        criterion=criterion,
        smoothness=smoothness,
        evenness=evenness,
        coverage=coverage,
        max_frame_ratio=ratio,
        control_points=points,
        accuracy=None if a.accuracy is None else float(a.accuracy),
        tune_shape=bool(a.tune_shape),
        scale_to=a.scale_to,
        detrend=a.detrend,
        starts=starts,
        method=a.method,
        options=options,
        callback=a.callback,
        workers=workers,
        backend=signal.backend,
        backend_asked=a.backend,
        families=compared,
        level=level_of(criterion, signal, a.detrend),
        band=signal.band,
        steady_tones=signal.steady_tones,
    )


def _check_framing(
    a: SimpleNamespace,
    fs: float,
    hop: float | None,
    signal: TakenSignal,
    ratio: float | None,
    compared: tuple[Window, ...],
) -> tuple[int | None, tuple[float, float]]:
    """Return the FFT length and the range of window lengths that it and the hop allow."""
    mfft = None if a.mfft is None else as_index("mfft", a.mfft, 1)
    # a hop that is tuned does not limit the window lengths
    limiting = None if a.hop_mode == "constant" and not isinstance(signal.criterion, criteria.UserLoss) else hop
    bounds = length_bounds(a.win_bounds, a.win_length, limiting, a.min_overlap, mfft, signal.n, signal.shortest, fs)
    return mfft, within_ratio(bounds, limiting, None if a.window_mode in PER_BIN else ratio, compared)


def _check_criterion(a: SimpleNamespace) -> criteria.Criterion:
    """Return the criterion, with a scope that it can have."""
    criterion = criteria.resolve(a.criterion, a.scope)
    if isinstance(criterion, criteria.DescriptionLength):
        criterion.check_scope()
    return criterion


def _check_choices(a: SimpleNamespace) -> None:
    """Check the arguments that are one of a few values."""
    check_option("window_mode", a.window_mode, get_args(WindowMode))
    check_option("hop_mode", a.hop_mode, get_args(HopMode))
    check_option("scale_to", a.scale_to, (*get_args(Scaling), None))
    check_option("method", a.method, get_args(Method))
    check_option("detrend", a.detrend, ("constant", "linear", None))
    as_flag("tune_shape", a.tune_shape)
    as_flag_or_none("progress", a.progress)
    check_option("backend", a.backend, kernels.BACKENDS)


def _check_windows(a: SimpleNamespace, criterion: criteria.Criterion) -> tuple[Window, ...]:
    """Return the windows to compare; one unless all families are tuned."""
    if isinstance(a.window, str) and a.window == "auto":
        return families(
            criterion,
            tune_shape=a.tune_shape,
            window_mode=a.window_mode,
            scale_to=a.scale_to,
            hop=a.hop,
            mfft=a.mfft,
        )
    window, tune_shape = windows.resolve(a.window), a.tune_shape
    if a.window_mode != "fixed" or a.hop_mode == "time" or tune_shape:
        window.check_tunable()
    if tune_shape and not window.shape:
        raise ValueError(f"{tune_shape=} needs a window with shape parameters, which {window.label} does not have")
    if tune_shape:
        window.check_shape_bounds()
    return (window,)


def _check_bin_options(a: SimpleNamespace, criterion: criteria.Criterion) -> tuple[int, int] | str | None:
    """Check the arguments for windows per frequency or bin, and return the numbers of control points."""
    window_mode, accuracy, callback = a.window_mode, a.accuracy, a.callback
    points = check_control_points(a.control_points, window_mode)
    if accuracy is not None and not 1e-8 <= as_real("accuracy", accuracy) <= 0.1:
        raise ValueError(f"{accuracy=} must be a relative accuracy from 1e-8 to 0.1, or None for exact sums throughout")
    if window_mode not in PER_BIN and accuracy != DEFAULT_ACCURACY:
        raise ValueError(
            f"{accuracy=} needs window_mode 'frequency' or 'time-frequency': the table for {window_mode=} has a fixed "
            "accuracy"
        )
    reason = reason_for_exact_sums(criterion, a)
    if accuracy not in (None, DEFAULT_ACCURACY) and reason:
        raise ValueError(f"{accuracy=} is that of a table of sums, and {reason} there is no table: leave it out")
    given = window_mode == "fixed" and np.ndim(a.win_length) == 2
    if criterion.bands is not None and window_mode not in PER_BIN and not given:
        raise ValueError(
            f"bands={criterion.bands} in the criterion needs window_mode 'frequency' or 'time-frequency', or 'fixed' "
            "with a win_length of shape (f_pts, 1) or (f_pts, p_num)"
        )
    if callback is not None and not callable(callback):
        raise TypeError(f"{callback=} must be callable")
    return points


def _check_method(a: SimpleNamespace, criterion: criteria.Criterion) -> tuple[dict[str, Any], int | None]:
    """Return the options of the method and the number of starts."""
    options = check_options(a.method, a.options)
    starts = None if a.starts is None else as_index("starts", a.starts, 1)
    check_baseline(
        a.method,
        criterion,
        window_mode=a.window_mode,
        hop_mode=a.hop_mode,
        smoothness=a.smoothness or 0.0,
        tune_shape=as_flag("tune_shape", a.tune_shape),
        starts=starts,
        win_length=a.win_length,
        callback=a.callback,
    )
    return options, starts
