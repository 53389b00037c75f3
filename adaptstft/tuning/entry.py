"""`optimize`: from a recording to a tuned transform.

`optimize` -> `request.check_request` (checked arguments) -> `run.tune` -> `stages` (one length, then what varies) ->
`result.report.make_result`.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
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

    A grid of window lengths is searched first. Its best candidates are refined by L-BFGS-B [2]_ with exact
    gradients [1]_, and the best result is returned. The lengths of single frames are the best path over a table of
    sums (:doc:`/theory/tables`).

    Parameters
    ----------
    x : array_like, or a corpus
        Signal, real or complex, not silent. All dimensions but `axis` are channels, which share one set of
        parameters. For many signals that share one, an `adaptstft.Corpus`, or a list of paths, loaders, or
        arrays of different lengths; for a signal beyond memory a Dask array: see :doc:`/collections`.
    fs : float
        Sampling frequency in Hz.
    window : str, tuple, callable or Window, optional
        Window family, see `adaptstft.windows.resolve`; ``"auto"`` tunes several and returns the best.
    window_mode : {"constant", "time", "frequency", "time-frequency", "fixed"}, optional
        Tune one window length, one for each frame, frequency or time-frequency bin, or none.
    hop_mode : {"fixed", "constant", "time"}, optional
        Keep the hop, tune one hop, or tune the position of each frame. The frames stay evenly spaced unless the
        criterion gains by their positions; a note says so.
    win_length : float or array_like, optional
        Window length in samples to start from, or in mode ``"fixed"`` to keep. With a given `hop` (and `mfft`)
        also one for each frame, or of shape (f_pts, 1) or (f_pts, p_num).
    hop : float, optional
        Time between frames in samples; frames are centred at ``p * hop`` for ``p = 0 ... ceil((n - 1) / hop)``.
        By default an eighth of the window length, or less where lengths vary.
    win_bounds, hop_bounds : (float, float), optional
        Ranges in samples. By default lengths from 16 samples to the larger of 16384 samples and 2 s, at most half of
        the signal; where they vary, at most four times the best single length, or more if lengths of frames reach
        that. Tuned hops are from a quarter to four times the hop.
    f_bounds : (float, float), optional
        Range of frequencies in Hz that the criterion sees, with edges of a tenth of it; None for one of them is the end
        of the spectrum. The transform and its inverse have all frequencies. Not for Dask arrays.
    min_overlap : float or None, optional
        Least overlap of neighbouring windows as a fraction of the shorter one, from 0.05 to less than 1. It makes
        every result invertible; None switches the guarantees off.
    mfft : int, optional
        Length of the FFT; by default twice the window length.
    criterion : str, Criterion or callable, optional
        What to minimise, see `adaptstft.criteria`; a callable is a function of ``|S|**2`` written with
        ``autograd.numpy``.
    scope : {"global", "frame", "local"}, optional
        Extent of one normalisation of the criterion; by default ``"local"`` where anything varies.
    smoothness, evenness, coverage : float, optional
        Weights of penalties: on changes of the log length between neighbours; on windows that count the signal
        unevenly, where a descent tunes positions or lengths of frames; and on samples that no window covers. See
        :doc:`/theory/cheating`.
    max_frame_ratio : float, optional
        Largest ratio of the frame bounds of the result, greater than 2; by default 100 with one window per frame.
    control_points : int, (int, int) or "free", optional
        Numbers of control points of lengths per frequency or bin, in frequency and time.
    accuracy : float or None, optional
        Relative accuracy of the table for lengths per frequency or bin; None takes exact sums in every iteration. An
        error where there is no such table.
    tune_shape : bool, optional
        Tune the shape parameters of the window as well.
    scale_to : {"psd", "magnitude"} or None, optional
        Scaling of the windows. With ``"psd"`` all have the same energy, as the description length always takes them.
    detrend : {"constant", "linear"} or None, optional
        Trend removed from the whole signal before tuning. A drift would lengthen the windows, and so would weak steady
        tones, such as hum: with the description length they are removed too where one length is for all frequencies.
        None removes nothing. The transform that is returned does not detrend.
    starts : int, optional
        Largest number of starting points of descents; up to three by default. With a `win_length` and ``starts=1``
        there is one descent from it. A path over a table needs none.
    method : {"L-BFGS-B", "adam", "grid", "local-concentration", "chirp-rate"}, optional
        Optimiser, or a baseline to compare with, see :doc:`/guide/methods`.
    options : dict, optional
        Options of the method, for the descents of L-BFGS-B as in `scipy.optimize.minimize`. Criteria that are no
        functions of sums have ``maxfun`` 150 where lengths vary.
    callback : callable, optional
        ``callback(intermediate_result)`` after each iteration, or each path over a table, with fields `x`, `fun` and
        `stage` (``"constant"`` or ``"varying"``). Raising ``StopIteration`` stops and keeps the best so far.
    progress : bool or None, optional
        Show a bar on standard error or under the notebook cell after two seconds of work: always with True, never
        with False, and with None in notebooks and terminals only.
    axis : int, optional
        Axis of time.
    workers : int, optional
        Number of threads; None uses all cores.
    backend : {"auto", "numba", "numpy", "cuda"}, optional
        Implementation of the inner loops, see `AdaptiveShortTimeFFT`.

    Returns
    -------
    TuningResult
        The tuned parameters and a transform ready to use, in ``sft``.

    Raises
    ------
    ValueError, TypeError
        For arguments out of range, before any work; the message names the value and the range.

    See Also
    --------
    optimize_many : One tuning for each of many recordings.

    Notes
    -----
    :doc:`/guide/methods` describes the search, the neighbourhoods of a local criterion, the penalties and the
    baselines; :doc:`/theory/framings` how values are compared between hops and FFT lengths.

    References
    ----------
    .. [1] M. Leiber, Y. Marnissi, A. Barrau, S. Meignen, L. Massoulié, "Optimal adaptive time-frequency
       representation via differentiable short-time Fourier transform", IEEE Trans. Signal Process. 73, 5047-5059,
       2025, :doi:`10.1109/TSP.2025.3624477`.
    .. [2] R. H. Byrd, P. Lu, J. Nocedal, C. Zhu, "A limited memory algorithm for bound constrained optimization",
       SIAM J. Sci. Comput. 16(5), 1995.

    Examples
    --------
    A chirp of 60 Hz/s needs a Gaussian window with a standard deviation of ``1 / sqrt(2 pi 60)`` seconds. Cut at
    three standard deviations on both sides, it is 309 samples long.

    >>> import numpy as np
    >>> import adaptstft
    >>> t = np.arange(4000) / 1000
    >>> x = np.cos(2 * np.pi * (100 * t + 30 * t**2))
    >>> res = adaptstft.optimize(x, 1000, window=("gaussian", 6))
    >>> bool(abs(res.win_length / 309 - 1) < 0.02)
    True
    >>> bool(np.allclose(res.sft.istft(res.sft.stft(x), k1=4000), x))
    True
    """
    arguments = SimpleNamespace(**{name: value for name, value in locals().items() if name not in ("x", "fs")})
    request = check_request(as_shared_signals(x, fs, axis), fs, arguments)
    bar = Progress(progress)
    try:
        result = tune(request, bar) if len(request.families) == 1 else tune_families(request, bar)
    finally:
        bar.close()
    defaults = {name: one.default for name, one in inspect.signature(optimize).parameters.items()}
    result.call = call_text(fs, vars(arguments), defaults)
    return result
