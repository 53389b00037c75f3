"""`optimize`: from a recording to a tuned transform.

`optimize` -> `request.check_request` (checked arguments) -> `run.tune` -> `stages` (one length, then what varies) ->
`result.report.make_result`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from types import SimpleNamespace
from typing import Any, Literal

from scipy.optimize import OptimizeResult

from adaptstft.common.progress import Progress
from adaptstft.common.typing import Backend, HopMode, Method, Scaling, Scope, WindowMode
from adaptstft.tuning.options import DEFAULT_ACCURACY
from adaptstft.tuning.request import check_request
from adaptstft.tuning.result.call import call_text
from adaptstft.tuning.result.result import TuningResult
from adaptstft.tuning.run import tune, tune_families
from adaptstft.tuning.shared.corpus import as_shared_signals

__all__ = ["optimize"]


def optimize(
    x: Any,
    fs: float,
    *,
    window: Any = "hann",
    window_mode: WindowMode = "constant",
    hop_mode: HopMode = "fixed",
    win_length: Any = None,
    hop: float | None = None,
    win_bounds: tuple[float, float] | None = None,
    hop_bounds: tuple[float, float] | None = None,
    f_bounds: tuple[float | None, float | None] | None = None,
    min_overlap: float | None = 0.5,
    mfft: int | None = None,
    criterion: Any = "description-length",
    scope: Scope | None = None,
    smoothness: float | None = None,
    evenness: float | None = None,
    coverage: float = 0.0,
    max_frame_ratio: float | None = None,
    control_points: int | tuple[int, int] | Literal["free"] | None = None,
    accuracy: float | None = DEFAULT_ACCURACY,
    tune_shape: bool = False,
    scale_to: Scaling | None = "psd",
    detrend: str | None = "linear",
    starts: int | None = None,
    method: Method = "L-BFGS-B",
    options: dict[str, Any] | None = None,
    callback: Callable[[OptimizeResult], Any] | None = None,
    progress: bool | None = None,
    axis: int = -1,
    workers: int | None = None,
    backend: Backend = "auto",
) -> TuningResult:
    """Find the window length, and if asked the frame positions, that suit a signal.

    A grid of window lengths is searched, and its best candidates are refined by L-BFGS-B with exact gradients [1]_.
    Lengths of frames are the best path over a table of sums. :doc:`/guide/methods` has the search and the options.

    Parameters
    ----------
    x : array_like, or a corpus
        Signal, real or complex. Axes other than `axis` are channels, which share one set of parameters. Also an
        `adaptstft.Corpus`, a list of paths, loaders or arrays, or a Dask array: see :doc:`/collections`.
    fs : float
        Sampling frequency in Hz.
    window : str, tuple, callable, ndarray or Window, optional
        Window family, see `adaptstft.windows.resolve`; ``"auto"`` tunes several and returns the best.
    window_mode : {"constant", "time", "frequency", "time-frequency", "fixed"}, optional
        Tune one window length, one for each frame, frequency or time-frequency bin, or none.
    hop_mode : {"fixed", "constant", "time"}, optional
        Keep the hop, tune one, or tune the position of each frame where that improves the criterion.
    win_length : float or array_like, optional
        Length in samples to start from, in mode ``"fixed"`` to keep. With a `hop` also one for each frame, or of shape
        (f_pts, 1) or (f_pts, p_num).
    hop : float, optional
        Time between frames in samples; by default an eighth of the window length, or less where lengths vary.
    win_bounds, hop_bounds : (float, float), optional
        Ranges in samples. By default lengths from 16 to the larger of 16384 samples and 2 s, at most half of the
        signal, and tuned hops from a quarter to four times the hop.
    f_bounds : (float, float), optional
        Frequencies in Hz that the criterion sees; None for one of them is the end of the spectrum.
    min_overlap : float or None, optional
        Least overlap of neighbouring windows as a fraction of the shorter one, 0.05 to less than 1. It makes every
        result invertible; None switches the guarantees off.
    mfft : int, optional
        Length of the FFT; by default twice the window length.
    criterion : str, Criterion or callable, optional
        What to minimise: a name or object of `adaptstft.criteria`, or a function of ``|S|**2`` for autograd.
    scope : {"global", "frame", "local"}, optional
        Extent of one normalisation of the criterion; by default ``"local"`` where anything varies.
    smoothness, evenness, coverage : float, optional
        Weights of penalties on changes of the log length, uneven overlap and gaps, see :doc:`/theory/cheating`.
    max_frame_ratio : float, optional
        Largest ratio of the frame bounds, greater than 2; by default 100 with one window per frame.
    control_points : int, (int, int) or "free", optional
        Numbers of control points of lengths per frequency or bin, in frequency and time.
    accuracy : float or None, optional
        Relative accuracy of the table for lengths per frequency or bin; None takes exact sums throughout.
    tune_shape : bool, optional
        Tune the shape parameters of the window as well.
    scale_to : {"psd", "magnitude"} or None, optional
        Scaling of the windows; with ``"psd"`` all have the same energy.
    detrend : {"constant", "linear"} or None, optional
        Trend removed from the whole signal before tuning; the transform that is returned does not detrend. With the
        description length and one length for all frequencies, weak steady tones such as hum are removed, too.
    starts : int, optional
        Largest number of starts of descents; with a `win_length` and ``starts=1`` there is one descent from it.
    method : {"L-BFGS-B", "adam", "grid", "local-concentration", "chirp-rate"}, optional
        Optimiser, or a baseline to compare with.
    options : dict, optional
        Options of the method, for descents as in `scipy.optimize.minimize`.
    callback : callable, optional
        ``callback(intermediate_result)`` after each iteration, with `x`, `fun` and `stage`; ``StopIteration`` stops.
    progress : bool or None, optional
        Show a bar after two seconds: always, never, or with None in notebooks and terminals.
    axis : int, optional
        Axis of time.
    workers : int, optional
        Number of threads; None uses all cores.
    backend : {"auto", "numba", "numpy", "cuda"}, optional
        Implementation of the inner loops, see `AdaptiveShortTimeFFT`.

    Returns
    -------
    TuningResult
        The tuned parameters, and a transform ready to use in ``sft``.

    Raises
    ------
    ValueError, TypeError
        For arguments out of range, before any work; the message names the value and the range.

    References
    ----------
    .. [1] M. Leiber et al., "Optimal adaptive time-frequency representation via differentiable short-time Fourier
       transform", IEEE Trans. Signal Process. 73, 5047-5059, 2025, :doi:`10.1109/TSP.2025.3624477`.

    Examples
    --------
    The best Gaussian window for 60 Hz/s has a standard deviation of ``1 / sqrt(2 pi 60)`` s, and six of them in all.

    >>> import adaptstft
    >>> signal = adaptstft.datasets.linear_chirp(rate=60.0)
    >>> res = adaptstft.optimize(signal.x, signal.fs, window="gaussian")
    >>> bool(abs(res.win_length / 309 - 1) < 0.02)
    True
    """
    arguments = SimpleNamespace(**{name: value for name, value in locals().items() if name not in ("x", "fs")})
    request = check_request(as_shared_signals(x, fs, axis), fs, arguments)
    bar = Progress(progress)
    try:
        result = tune(request, bar) if len(request.families) == 1 else tune_families(request, bar)
    finally:
        bar.close()
    result.call = call_text(fs, vars(arguments), _defaults())
    return result


@cache
def _defaults() -> dict[str, Any]:
    """Return the default values of the arguments of `optimize`."""
    return {name: one.default for name, one in inspect.signature(optimize).parameters.items()}
