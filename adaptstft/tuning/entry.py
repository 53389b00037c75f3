"""`optimize`: from a recording to a tuned transform.

signal -> `request` (checked arguments) -> `survey` (coarse grid) -> `descent` (L-BFGS-B or Adam from several
starts) or `baselines`, all directed by `stages`, once for each of `families` -> `TuningResult`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

from scipy.optimize import OptimizeResult

from adaptstft.common.progress import Progress
from adaptstft.common.typing import Backend, HopMode, Method, Scaling, Scope, WindowMode
from adaptstft.tuning.request import DEFAULT_ACCURACY, Request, check_request
from adaptstft.tuning.result.report import Reporter
from adaptstft.tuning.result.result import TuningResult
from adaptstft.tuning.shared.corpus import as_pieces
from adaptstft.tuning.shared.stages import PieceReporter, PieceTuner
from adaptstft.tuning.stages.frames import Tuner
from adaptstft.tuning.window_families import best_family

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
    min_overlap: float | None = 0.5,
    mfft: int | None = None,
    criterion: Any = "renyi",
    scope: Scope | None = None,
    smoothness: float | None = None,
    evenness: float | None = None,
    coverage: float = 0.0,
    max_frame_ratio: float | None = None,
    control_points: int | tuple[int, int] | Literal["free"] | None = None,
    accuracy: float | None = DEFAULT_ACCURACY,
    tune_shape: bool = False,
    scale_to: Scaling | None = "psd",
    detrend: str | None = "constant",
    starts: int | None = None,
    method: Method = "L-BFGS-B",
    options: dict[str, Any] | None = None,
    callback: Callable[[OptimizeResult], Any] | None = None,
    progress: bool = False,
    axis: int = -1,
    workers: int | None = None,
    backend: Backend = "auto",
) -> TuningResult:
    """Find the window length, and if asked the frame positions, that suit a signal.

    A coarse grid of window lengths is searched first; its best candidates are
    then refined by L-BFGS-B with exact gradients, and the best result is
    returned.

    Parameters
    ----------
    x : array_like, or a corpus
        Signal, real or complex, not silent; a CuPy array as well. All dimensions but `axis` are
        channels, which share one set of parameters. Many signals that share one: an
        `adaptstft.Corpus`, or a list or iterator of paths, functions that load, or arrays of different
        lengths. A signal beyond memory: a Dask array. See Notes.
    fs : float
        Sampling frequency in Hz.
    window : str, tuple, callable or Window, optional
        Window family, see `adaptstft.windows.resolve`; ``"auto"`` tunes several and
        keeps the best, see Notes.
    window_mode : {"constant", "time", "frequency", "time-frequency", "fixed"}, optional
        Tune one window length, one for each frame, one for each frequency, one
        for each time-frequency bin, or none.
    hop_mode : {"fixed", "constant", "time"}, optional
        Keep the hop, tune one hop (see Notes), or tune the position of each frame.
    win_length : float or array_like, optional
        Window length in samples to start from (in mode ``"fixed"``, to keep);
        one for each frame in modes ``"time"`` and ``"fixed"`` if `hop` is given;
        of shape (f_pts, 1) or (f_pts, p_num) for each frequency or bin in modes
        ``"frequency"``, ``"time-frequency"`` and ``"fixed"`` if `hop` and `mfft`
        are. None chooses from the signal.
    hop : float, optional
        Time between frames in samples; frames are centred at ``p * hop`` for
        ``p = 0 ... ceil((n - 1) / hop)``. None ties it to the window length, an
        eighth of it, and where lengths vary in time to the shortest ones that more than
        5 % of the energy has a use for, a quarter of them. In mode ``"constant"`` it only
        sets the default of `hop_bounds`.
    win_bounds : (float, float), optional
        Range of window lengths in samples; 16 to ``min(n // 2, 16384)`` by
        default, where they vary also at most four times the best constant
        length.
    hop_bounds : (float, float), optional
        Range of hops in samples, of one that is tied to the window length as
        well; tuned hops have a quarter to four times the hop by default.
    min_overlap : float or None, optional
        Least overlap of neighbouring windows as a fraction of the shorter one,
        at least 0.05 and less than 1; it makes every result invertible. None
        switches the guarantees off.
    mfft : int, optional
        Length of the FFT; twice the window length by default.
    criterion : str, Criterion or callable, optional
        What to minimise, see `adaptstft.criteria`. A callable is a function of
        ``|S|**2`` written with ``autograd.numpy``; several criteria are combined by
        `adaptstft.criteria.Combined`. `adaptstft.risk.SureLoss` is what denoising would leave of the noise.
    scope : {"global", "frame", "local"}, optional
        What one normalisation of the criterion extends over; ``"local"`` by
        default where lengths or positions vary, in time or with frequency, otherwise ``"global"``.
    smoothness : float, optional
        Weight of the mean absolute change of the log length between neighbouring
        frames and frequencies (nothing where there is one length). By default 0.1 in
        mode ``"time"`` with a criterion of local scope, otherwise 0; see Notes.
    evenness : float, optional
        Weight of the mean of ``|log D|`` over the signal's energy, where ``D`` is how often
        the frames count a sample, for lengths of frames and positions. By default 4 with a
        criterion of local scope, otherwise 0; see Notes. Positions without guarantees have
        neither of these defaults.
    coverage : float, optional
        Weight of the fraction of the signal that no window covers, for positions
        tuned without guarantees (``min_overlap=None``), which may leave holes.
    max_frame_ratio : float, optional
        Largest ratio of the frame bounds of the result, greater than 2: by how much
        the inverse may amplify what is done to the transform. None means 100 where
        every frame has one window, and no limit with a window for each frequency or bin, for
        which it takes long to tell; a number is kept there too.
    control_points : int or (int, int) or "free", optional
        In mode ``"time-frequency"`` the numbers of control points in frequency and
        time, in mode ``"frequency"`` that in frequency: log lengths are a smooth
        surface over them (cubic splines in time and ``log(1 + 64 f / fs)``), which has no
        more of them than there are bins and frames. By default 12 in frequency, and one in
        time for four of the best constant lengths, 4 to 48. ``"free"`` gives every bin
        (every frequency) a length of its own.
    accuracy : float or None, optional
        Relative accuracy to which windows are combined from those of a few
        lengths while lengths of bins are tuned, see Notes; None takes the exact
        sums in every iteration. For these window modes alone.
    tune_shape : bool, optional
        Tune the shape parameters of the window as well (of ``"gaussian"``,
        ``"kaiser"``, ``"tukey"``, ``"general_hamming"`` and registered windows).
    scale_to : {"psd", "magnitude"} or None, optional
        Scaling of the windows. With ``"psd"`` all have the same energy.
    detrend : {"constant", "linear"} or None, optional
        Trend removed from the whole signal before tuning. The transform that
        is returned does not detrend.
    starts : int, optional
        Number of starting points to refine; up to three by default, less those without prospects. With an
        explicit `win_length` and ``starts=1`` tuning is one descent from it.
    method : {"L-BFGS-B", "adam", "grid", "local-concentration", "chirp-rate"}, optional
        Optimiser, or a baseline to compare with, see Notes.
    options : dict, optional
        Options of the method: of `scipy.optimize.minimize`'s L-BFGS-B ``maxcor``,
        ``ftol``, ``gtol``, ``maxfun``, ``maxiter``, ``maxls``; of the others see Notes.
    callback : callable, optional
        ``callback(intermediate_result)`` after each iteration, with fields `x`
        (the parameters being tuned, as in the result), `fun`, and `stage`:
        ``"constant"``, or ``"varying"`` where the modes ask for more than one
        length and one hop, which are tuned second. Raising ``StopIteration``
        stops and keeps the best so far.
    progress : bool, optional
        Show a bar on standard error, in a notebook under its cell, if the work takes more than two seconds.
    axis : int, optional
        Axis of time.
    workers : int, optional
        Number of threads; None uses all cores.
    backend : {"auto", "numba", "numpy", "cuda"}, optional
        Implementation of the inner loops, see `AdaptiveShortTimeFFT`. With
        ``"cuda"`` the signal is copied to the device once.

    Returns
    -------
    TuningResult
        The tuned parameters and a transform ready to use, in ``sft``.

    Raises
    ------
    ValueError, TypeError
        For arguments out of range, before any work; the message names the
        value and the range.

    Notes
    -----
    *Comparing framings.* Where hop or FFT length follow the window length, candidates
    are compared by the criterion as an integral over time and frequency, in
    which every frame counts for the time it stands for; ``fun`` is the plain
    value for the framing that is returned, ``area_fun`` the comparable one.

    *A constant hop.* A concentration measure is an integral over time sampled at the
    hop, which hardly determines the hop. With ``hop_mode="constant"`` the hop is
    therefore the fraction of the window length with the least loss of its own:
    the error of that integral for a click, as the relative variance of the
    sum of ``|w|**6`` over frames, plus 0.01 nat for each factor e of transforms
    computed. The loss of a callable is tuned in the hop itself, from the best
    of a grid of hops.

    *Prices.* A criterion takes the spectrogram for a distribution of the signal's energy over time and frequency, each
    frame standing for the time up to its neighbours. That holds if the sum ``D`` of the squared windows of
    unit energy, each times that time, is one at every sample. Lengths that jump between frames would gain by breaking
    it, with energy hidden where short windows do not see it; the price of `evenness` is more than such a
    gain. With one length for all it is nothing, with lengths that change slowly little. `smoothness` then settles
    what the signal leaves open. Both are part of ``fun``, not of ``area_fun``; ``prices`` holds their sum. Criteria
    that are no logarithms (Hoyer's, Gini's) have a fifth of these defaults.

    *Neighbourhoods.* Those of a local criterion are four of the best constant lengths wide, or a quarter, a sixteenth
    ... of that as long as lengths of their own gain the parts 0.3 nat on average; a criterion with
    a `width` in seconds has its own.

    *Lengths of frames.* Every frame is transformed with every length of a grid once; the objective of any choice of
    them then takes no further transform, and frames are switched to other lengths as long as it falls. With a local
    criterion blocks of 1 to 64 neighbouring frames are switched as well, first with a quarter of the price of
    `evenness`, then with half and all of it: with all of it at once, one length for all is an optimum that no switch
    leaves. The outcome, the best path from neighbourhood to neighbourhood and the constant optimum are refined, but
    nothing that begins 0.2 nat above the best of them. A descent of lengths of frames ends after 300 iterations, or
    where ten of them gain less than 1e-4 (in nats, otherwise relative to the value); an ``ftol`` in `options` takes the
    place of the latter. Next to the ends of the signal a window longer than the next one inwards has a price beside the
    objective, as what it holds is cut off. With ``scope="frame"`` positions begin at the best places of a grid; without
    guarantees only there.

    *Lengths of bins.* While they are tuned, the transform is a combination of a few whose
    windows have one length each [3]_, unless positions or shapes are tuned as well or the window (one that
    is cut far from zero) would need too many; the result is always evaluated by the exact sums,
    and ``approximation`` holds the difference. A local criterion is taken in
    tiles: neighbourhoods in time, in 12 bands of frequencies (``bands=`` of the
    criterion). Where the signal has no energy, lengths are carried over from
    the neighbours. With ``hop_mode="time"`` they are tuned along with the positions by
    exact sums, which takes far longer.

    *Many signals, and signals in chunks.* The criteria are functions of sums over frames, which add
    up over the signals of a corpus and over the chunks of a Dask array: one signal, or some stretches,
    are in a worker's memory at a time. They take criteria of scope ``"global"`` (the default there) and
    ``"frame"``, window modes ``"constant"``, ``"frequency"`` (by exact sums, whatever the `accuracy`)
    and ``"fixed"``, and hop modes ``"fixed"`` and ``"constant"``. Trends are those of each signal, and
    lengths up to half the shortest signal are searched by default. Of the result ``positions`` and
    ``signal`` are None, and ``sft`` is for signals of any length.

    *Corpus or channels.* An iterator is a corpus whatever it gives, but a list of arrays of one shape is
    an array, as in NumPy, whose rows are channels. In scope ``"global"`` both have the same result. In
    scope ``"frame"`` they do not: a frame of channels has one normalisation for all of them, and those of
    the signals of a corpus have one each. Make an `adaptstft.Corpus` of the list to have that.

    *Families.* ``window="auto"`` compares Hann's and Blackman's windows, Kaiser's with
    ``beta=8.6`` and a Gaussian of six standard deviations (with ``tune_shape=True`` the
    last two), each tuned on its own, by ``area_fun``: all have unit energy. The starts of
    all are in ``starts``. Criteria hardly see side lobes, so that windows with high ones
    (Tukey's, the sine) are not among them.

    *Other methods.* All choose in the same frames, and are evaluated alike; compare their
    ``area_fun``. ``"adam"`` [4]_ descends as L-BFGS-B does, from the same starts; its options
    are ``lr`` (0.05, in the log of a length), ``betas``, ``eps``, ``maxiter`` (300), and of the
    schedule that shortens its steps on a plateau ``patience`` (10) and ``factor`` (0.5).
    The others do not descend: they take window modes ``"constant"`` and ``"time"``, a hop
    that is not tuned, and no `starts`, `win_length`, `callback`, `smoothness` or `tune_shape`.

    - ``"grid"`` transforms the signal once for every integer length in `win_bounds`
      (every ``options={"step": k}``-th), which takes some 50 to 100 times longer than a descent;
      in mode ``"time"``, where neighbourhoods are laid out by L-BFGS-B's best single length,
      every neighbourhood (or, with ``scope="frame"``, every frame) takes its best.
    - ``"local-concentration"`` [5]_ (mode ``"time"``) gives every frame the length of a
      geometric grid, a factor of ``ratio`` (the root of 2) apart, with the largest
      ``sum |S|**4 / (sum |S|**2)**2`` in the neighbourhood, ``width`` seconds wide, next to it.
    - ``"chirp-rate"`` [6]_ takes the length that suits the typical chirp rate ``c`` of the
      signal or, in mode ``"time"``, around each frame: for a Gaussian window a standard
      deviation of ``1 / sqrt(2 pi |c|)``, for others the length at which duration and
      bandwidth are spread alike. Rates are those of the second-order synchrosqueezing
      transform [7]_, their median weighted by energy. Clicks are outside its model.

    *Confidence.* ``notes`` tell if the criterion is flat over all lengths, and if its
    value is less than six standard deviations below what white noise of the same length
    and energy would have, by theory.

    *Guarantees.* A window is never shorter than ``hop / (1 - min_overlap)``. Tuned positions
    keep the number of frames and the span of the regular ones, hops within
    `hop_bounds`, and the overlap of neighbours, by construction. The ratio of the frame bounds is
    a constraint: a descent that would end beyond it is continued by the method of multipliers, and
    what is returned keeps it.

    References
    ----------
    .. [1] M. Leiber, Y. Marnissi, A. Barrau, S. Meignen, L. Massoulié,
       "Optimal adaptive time-frequency representation via differentiable
       short-time Fourier transform", IEEE Trans. Signal Process. 73,
       5047-5059, 2025, :doi:`10.1109/TSP.2025.3624477`.
    .. [2] R. H. Byrd, P. Lu, J. Nocedal, C. Zhu, "A limited memory algorithm for
       bound constrained optimization", SIAM J. Sci. Comput. 16(5), 1995.
    .. [3] H. Cheng, Z. Gimbutas, P. G. Martinsson, V. Rokhlin, "On the
       compression of low rank matrices", SIAM J. Sci. Comput. 26(4), 2005.
    .. [4] D. P. Kingma, J. Ba, "Adam: a method for stochastic
       optimization", ICLR 2015.
    .. [5] D. L. Jones, R. G. Baraniuk, "A simple scheme for adapting time-frequency
       representations", IEEE Trans. Signal Process. 42(12), 1994.
    .. [6] S.-C. Pei, S.-G. Huang, "STFT with adaptive window width based on the chirp
       rate", IEEE Trans. Signal Process. 60(8), 2012.
    .. [7] R. Behera, S. Meignen, T. Oberlin, "Theoretical analysis of the second-order
       synchrosqueezing transform", Appl. Comput. Harmon. Anal. 45(2), 2018.

    Examples
    --------
    A chirp of 60 Hz/s asks for a Gaussian window with a standard deviation of
    ``1 / sqrt(2 pi 60)`` seconds; a window cut at three of them on both sides is
    309 samples long.

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
    request = check_request(
        as_pieces(x, fs, axis),
        fs,
        window=window,
        window_mode=window_mode,
        hop_mode=hop_mode,
        win_length=win_length,
        hop=hop,
        win_bounds=win_bounds,
        hop_bounds=hop_bounds,
        min_overlap=min_overlap,
        mfft=mfft,
        criterion=criterion,
        scope=scope,
        smoothness=smoothness,
        evenness=evenness,
        coverage=coverage,
        max_frame_ratio=max_frame_ratio,
        control_points=control_points,
        accuracy=accuracy,
        tune_shape=tune_shape,
        scale_to=scale_to,
        detrend=detrend,
        starts=starts,
        method=method,
        options=options,
        callback=callback,
        axis=axis,
        workers=workers,
        backend=backend,
        progress=progress,
    )
    bar = Progress(progress)
    try:
        return _tune(request, bar) if len(request.families) == 1 else best_family(request, bar, _tune)
    finally:
        bar.close()


def _tune(request: Request, bar: Progress) -> TuningResult:
    if request.pieces is not None:
        pieces = PieceTuner(request, bar)
        return PieceReporter(pieces).result(pieces.run())
    tuner = Tuner(request, bar)
    return Reporter(tuner).result(tuner.run())
