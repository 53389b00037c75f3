"""`track`: instantaneous frequencies with a window length for each time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from adaptstft.common.grids import length_grid
from adaptstft.common.levels import times_power_of_two
from adaptstft.common.progress import Progress
from adaptstft.common.typing import AnyArray, Float64Array, IntArray
from adaptstft.engine.frames import frame_count
from adaptstft.tracking.adaptive.choice import PER_OCTAVE, LengthChoice
from adaptstft.tracking.adaptive.estimates import Estimates, Guide, PeakSearch
from adaptstft.tracking.adaptive.pilot import PathSearch, TypicalLength
from adaptstft.tracking.adaptive.request import TrackRequest, check_request
from adaptstft.tracking.framed_signal import scaled_noise
from adaptstft.tracking.ridge_grid import in_bounds
from adaptstft.tracking.ridge_result import Ridges, normal_interval

__all__ = ["track"]

#: Lengths that are compared, relative to the typical length.
_SHORTEST, _LONGEST = 1 / 16, 8.0
#: Default hop in typical lengths, and the fewest frames.
_HOP, _FEWEST_FRAMES = 1 / 8, 256


def track(
    x: Any,
    fs: float,
    *,
    n_ridges: int = 1,
    orders: Any = None,
    f_bounds: tuple[float, float] | None = None,
    max_rate: float | None = None,
    window: Any = "hann",
    win_bounds: tuple[float, float] | None = None,
    hop: float | None = None,
    confidence: float = 0.95,
    noise_std: float | None = None,
    axis: int = -1,
    workers: int | None = None,
    progress: bool | None = False,
) -> Ridges:
    r"""Follow instantaneous frequencies, with a window length that suits each time, and with confidence intervals.

    Long windows average much noise, short windows follow changes. This function needs no window: it compares the
    estimates of window lengths of a geometric grid, as [1]_ and [2]_ do, and takes at each time the length with the
    least sum of variance and squared bias. The intervals contain both.

    Parameters
    ----------
    x : array_like, shape (..., n)
        Real or complex signal of at least 64 samples. Each channel has its own ridges. The mean of a signal is a
        component at 0 Hz: subtract it, or use `f_bounds`.
    fs : float
        Sampling frequency in Hz.
    n_ridges : int, optional
        Number of ridges, that is of components or of groups of `orders`.
    orders : array_like of float, shape (orders,), optional
        Multiples of the frequency at which there are components, such as ``(1, 2, 3)`` for harmonics. A ridge follows
        all of them together.
    f_bounds : (float, float), optional
        Lowest and highest frequency in Hz that a ridge may have, not counting its multiples. Components elsewhere do
        not attract the path, but they move the peaks of windows into which they leak.
    max_rate : float, optional
        Largest change of the frequency in Hz/s. By default the frequency may also jump.
    window : str, tuple or callable, optional
        Window function, as for `AdaptiveShortTimeFFT`. It must fall to at most 0.1 at its ends.
    win_bounds : (float, float), optional
        Range of window lengths in samples, by default from 16 to half of the signal, at most 16384.
    hop : float, optional
        Time between two estimates in samples; frames lie on whole samples. By default an eighth of the typical window
        length, or less so that there are 256 frames.
    confidence : float, optional
        Probability with which an interval contains the frequency.
    noise_std : float, optional
        Standard deviation of white noise in `x`; for complex signals the root of the mean of ``|noise|**2``. By default
        it is estimated at each time from the bins of spectrograms.
    axis : int, optional
        Time axis of `x`. In the result time is the last axis.
    workers : int, optional
        Number of threads; by default one for each core.
    progress : bool or None, optional
        Whether a progress bar is shown; None shows one in notebooks and terminals.

    Returns
    -------
    Ridges
        Frequencies, intervals, window lengths, and amplitudes. The amplitude is corrected for a linear change of the
        frequency within the window.

    Raises
    ------
    ValueError, TypeError
        If an argument is out of range or `x` has NaN or infinite samples.

    See Also
    --------
    ridges : The same with a given transform.

    Notes
    -----
    1. The **typical length** is the longest one whose strongest bins hold nearly as much energy as with any length.
       With one ridge this must hold in every stretch of several lengths: what a long window gains where the frequency
       is steady does not make up for what it loses where the frequency changes. A change that is shorter than these
       stretches may be missed, if windows of half of the signal have enough energy. Lengths that do not separate the
       orders of what longer windows see are left out. Lengths up to eight times the typical one are used where the
       frequency is steady.
    2. The **path** of a ridge is that of `ridges`, on the mean of spectrograms with lengths around the typical one.
       Without `max_rate` it may jump, at a cost of half a window's worth of frames.
    3. For each length of a grid, the **peak** of the spectrum next to the path is the estimate of the frequency. The
       slope of the path within the window is removed first, so that a linear change costs neither precision nor
       amplitude.
    4. The difference of the estimates with two lengths, less its variance in noise, gives the squared bias of both. The
       lengths are the path with the least sum of the logarithms of the errors and of a cost of changes. A peak that
       is not usable counts with a resolution cell as its error.
    5. Steps 3 and 4 are repeated along the ridge that they found. Lengths that do not separate a ridge from the others,
       from its other orders, or from noise, are left out.

    Where no length makes a ridge stand out from the noise, the uncertainty is infinite. The intervals assume white
    noise and normally distributed errors. They are too narrow where a ridge follows noise or another component for a
    while, as happens if the signal-to-noise ratio is below about 0 dB. They are also too narrow where the frequency
    oscillates faster than the windows that the noise demands: long windows that average the oscillation away agree with
    each other, and with the noise of shorter windows. Where two ridges cross, neither is determined
    within a few resolution cells of the windows.

    References
    ----------
    .. [1] V. Katkovnik, L. Stanković, "Instantaneous frequency estimation using the Wigner distribution with varying
       and data-driven window length", IEEE Trans. Signal Process. 46(9), 1998.
    .. [2] A. Goldenshluger, A. Nemirovski, "On spatially adaptive estimation of nonparametric regression",
       Mathematical Methods of Statistics 6(2), 1997.

    Examples
    --------
    A steady rise, then a vibrato: windows are long in the first half and short in the second.

    >>> import numpy as np
    >>> import adaptstft
    >>> t = np.arange(3000) / 1000
    >>> law = 150 + np.where(t < 1.5, 20 * (t - 1.5), 30 * np.sin(2 * np.pi * (t - 1.5) / 0.4))
    >>> x = np.cos(2 * np.pi * np.cumsum(law) / 1000) + 0.1 * np.random.default_rng(0).standard_normal(3000)
    >>> ridge = adaptstft.track(x, 1000.0)
    >>> early, late = abs(ridge.t - 0.5).argmin(), abs(ridge.t - 2.2).argmin()
    >>> bool(ridge.win_length[0, early] > 5 * ridge.win_length[0, late])
    True
    >>> low, high = ridge.interval[0, early]
    >>> bool(low < 150 + 20 * (ridge.t[early] - 1.5) < high and high - low < 0.2)
    True
    """
    request = check_request(
        x,
        fs,
        n_ridges=n_ridges,
        orders=orders,
        f_bounds=f_bounds,
        max_rate=max_rate,
        window=window,
        win_bounds=win_bounds,
        hop=hop,
        confidence=confidence,
        noise_std=noise_std,
        axis=axis,
        workers=workers,
        progress=progress,
    )
    bar = Progress(request.progress)
    try:
        return _track(request, bar)
    finally:
        bar.close()


def _track(request: TrackRequest, bar: Progress) -> Ridges:
    n = request.x.shape[-1]
    # powers of very small or large samples would underflow or overflow
    exponent = int(np.frexp(float(np.abs(request.x).max()) or 1.0)[1])
    x = request.x.astype(np.result_type(request.x.dtype, np.float64), copy=False).reshape(-1, n)
    channels = np.ascontiguousarray(times_power_of_two(x, -exponent))
    std = request.noise_std
    noise = None if std is None else scaled_noise(channels, exponent, std) ** 2
    searches = [_path_search(request, channel, noise) for channel in channels]
    typical = [search.typical_length(single=request.n_ridges == 1) for search in searches]
    bar.update(0.2, "typical window length")
    hop = request.hop or max(1.0, float(round(min(_HOP * min(one.length for one in typical), n / _FEWEST_FRAMES))))
    centre = np.rint(hop * np.arange(frame_count(n, hop))).astype(np.int64)
    centre = centre[centre < n]
    tracked = []
    for i, (search, own) in enumerate(zip(searches, typical, strict=True)):
        tracked.append(_Channel(request, search, centre, hop, own).track())
        bar.update(0.2 + 0.8 * (i + 1) / len(searches), f"{i + 1} of {len(searches)} channels")
    lead = request.x.shape[:-1]
    frequency, uncertainty, amplitude, win_length = (
        np.stack(values).reshape(*lead, *values[0].shape) for values in zip(*tracked, strict=True)
    )
    amplitude = times_power_of_two(amplitude, exponent)
    return Ridges(
        centre / request.fs,
        frequency,
        uncertainty,
        amplitude if request.has_orders else amplitude[..., 0, :],
        win_length,
        normal_interval(frequency, uncertainty, request.confidence),
        request.confidence,
        tuple(request.orders.tolist()) if request.has_orders else None,
        _picture(searches[0], centre, float(np.median([one.length for one in typical]))),
        x,
    )


def _path_search(request: TrackRequest, x: AnyArray, noise: float | None) -> PathSearch:
    return PathSearch(
        x,
        in_bounds(x[np.newaxis], request.fs, request.f_bounds, request.orders)[0],
        request.window,
        request.fs,
        request.win_bounds,
        request.f_bounds,
        request.orders,
        request.max_rate,
        noise,
        request.workers,
    )


def _picture(search: PathSearch, centre: IntArray, typical: float) -> Any:
    """Return a transform with one length for pictures."""
    return search.transform(typical, centre, int(2 ** np.ceil(np.log2(max(256.0, 2 * typical)))))


@dataclass
class _Ridge:
    """A ridge, and what was found along it."""

    guide: Guide
    uncertainty: Float64Array
    magnitude: Float64Array
    win_length: Float64Array


class _Channel:
    """The ridges of one channel."""

    def __init__(
        self, request: TrackRequest, search: PathSearch, centre: IntArray, hop: float, typical: TypicalLength
    ) -> None:
        self.request, self.hop, self.typical = request, hop, typical.length
        self.plane = search.plane(centre, hop, typical)
        low, high = (float(np.clip(factor * self.typical, *search.win_bounds)) for factor in (_SHORTEST, _LONGEST))
        self.peaks = PeakSearch(
            search.x,
            search.window,
            search.fs,
            centre,
            length_grid(low, high, 2.0 ** (1 / PER_OCTAVE)),
            search.orders,
            request.f_bounds or (-np.inf, np.inf),
            self.plane.noise,
            search.workers,
        )

    def track(self) -> tuple[Float64Array, ...]:
        """Return frequencies, uncertainties, amplitudes and window lengths in samples.

        Their shapes are (n_ridges, frames), and (n_ridges, orders, frames) for the amplitudes.
        """
        ridges: list[_Ridge] = []
        score = np.log1p(self.plane.ratio)
        for _ in range(self.request.n_ridges):
            path = self.plane.strongest_path(score)
            ridges.append(self._refine(Guide(path, np.ones(path.size)), []))
            score = self.plane.removed(score, ridges[-1].guide.frequency)
        for j, ridge in enumerate(ridges):
            others = [other.guide for i, other in enumerate(ridges) if i != j]
            ridges[j] = self._refine(ridge.guide, others)
        sides = 1.0 if np.iscomplexobj(self.peaks.x) else 2.0  # half of a real tone is at the negative frequency
        return (
            np.stack([ridge.guide.frequency for ridge in ridges]),
            np.stack([ridge.uncertainty for ridge in ridges]),
            sides * np.stack([ridge.magnitude for ridge in ridges]),
            np.stack([ridge.win_length for ridge in ridges]),
        )

    def _refine(self, guide: Guide, others: list[Guide]) -> _Ridge:
        """Estimate a ridge with all lengths along a guide, and choose the length of each frame."""
        found: Estimates = self.peaks.estimate(guide, others)
        cell, single = self.request.fs / self.typical, self.request.n_ridges == 1
        choice = LengthChoice(found, self.peaks.window, self.peaks.noise, self.hop, self.typical, cell, single).choose()
        rows = np.arange(choice.place.size)
        error2 = choice.variance + choice.bias2
        weight = np.divide(1.0, error2, out=np.zeros_like(error2), where=np.isfinite(error2) & (error2 > 0))
        frequency = found.frequency[choice.place, rows]
        within = np.clip(frequency, *self.peaks.f_bounds)
        return _Ridge(
            Guide(within, weight),
            np.sqrt(choice.variance + choice.caution + (within - frequency) ** 2),
            found.magnitude[choice.place, :, rows].T,
            found.length[choice.place],
        )
