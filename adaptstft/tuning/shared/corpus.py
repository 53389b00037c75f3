"""A corpus: many signals that share one set of parameters, and the sums over them."""

from __future__ import annotations

import operator
import os
import shutil
import tempfile
import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence, Sized
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from adaptstft.common.band_pass import BandPass
from adaptstft.common.detrend import remove_trend
from adaptstft.common.precision import over_peak
from adaptstft.common.threads import count_workers
from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.common.validation import as_signal, check_positive, show
from adaptstft.criteria import DescriptionLength
from adaptstft.criteria.distortion import LevelPart, SignalLevel, join_levels
from adaptstft.recordings import Recording, read_at
from adaptstft.tuning.ranges import check_band_not_silent, find_band
from adaptstft.tuning.shared.partial_sums import PartialSums, Query, Stretch, partial_sums
from adaptstft.tuning.shared.signals import SharedSignals

__all__ = ["Corpus"]


class Corpus:
    """Many signals, of any lengths, for which `adaptstft.optimize` finds one set of parameters.

    Parameters
    ----------
    items : sequence or iterator
        The signals, each one of

        - an array, of shape (n,) or, with channels, of any shape with time on `axis`;
        - a path of a recording, as `adaptstft.recordings.read` reads it;
        - a function without arguments that returns either, or an `adaptstft.recordings.Recording`.

        Lengths and numbers of channels may differ. Paths are read, functions are called, and items of a sequence that
        is not a list are looked up each time a signal is needed, some tens of times; the signal is not kept. An
        iterator can be consumed only once: its arrays are written to temporary files, which are deleted with the
        corpus.
    weights : array_like, shape (len(items),), optional
        Weight of each signal in the sums; a weight of 2 counts the signal twice. 1 by default.
    axis : int, optional
        Axis of time of arrays.
    executor : object with a method ``submit``, optional
        Runs one task for each signal: an executor of `concurrent.futures` or a client of ``dask.distributed``. By
        default the signals are processed one after the other, with the ``workers=`` threads of
        `adaptstft.optimize` for each.

    Raises
    ------
    ValueError, TypeError
        If there are no items, for an item of another type, or for weights that are not positive.

    See Also
    --------
    adaptstft.optimize : Accepts a corpus instead of a signal.

    Notes
    -----
    `adaptstft.optimize` treats a list, tuple or iterator of paths, functions or arrays of different lengths as a
    corpus. A list of arrays of one length is an array with channels, as in NumPy: make a corpus of it to have one
    signal for each row.

    The sums of the criterion are taken over the frames of all signals, so that loud and long signals dominate quiet and
    short ones. With ``scope="frame"`` every frame counts alike, whatever its level; weights balance the numbers of
    signals.

    Examples
    --------
    >>> import numpy as np
    >>> import adaptstft
    >>> t = np.arange(4000) / 1000
    >>> chirps = [np.cos(2 * np.pi * (f * t + 30 * t**2)) for f in (50, 100, 150)]
    >>> corpus = adaptstft.Corpus(chirps, weights=[1, 1, 2])
    >>> res = adaptstft.optimize(corpus, 1000, window=("gaussian", 6))
    >>> bool(abs(res.win_length / 309 - 1) < 0.02)
    True
    >>> res.signals, res.positions is None
    (3, True)
    >>> res.sft.stft(chirps[0][:1000]).shape[0] == res.sft.f_pts
    True
    """

    def __init__(
        self, items: Sequence[Any] | Iterable[Any], *, weights: Any = None, axis: int = -1, executor: Any = None
    ) -> None:
        if isinstance(items, str | os.PathLike) or callable(items) or not _can_be_listed(items):
            raise TypeError(f"items={show(items)} must be a sequence or iterator of arrays, paths or functions")
        if executor is not None and not callable(getattr(executor, "submit", None)):
            raise TypeError(f"{executor=} must have a method submit(function, *arguments), as executors have")
        self._folder: Path | None = None
        self.items: list[Any] = self._listed(items)
        if not self.items:
            raise ValueError("items is empty: a corpus needs at least one signal")
        self.axis: int = operator.index(axis)
        self.executor = executor
        self.weights: Float64Array = _as_weights(weights, len(self.items))

    def _listed(self, items: Iterable[Any]) -> list[Any]:
        if isinstance(items, Iterator):
            return [self._kept(k, item) for k, item in enumerate(items)]
        if isinstance(items, list | tuple | np.ndarray):
            return list(items)
        if isinstance(items, Sized) and hasattr(items, "__getitem__"):
            return [partial(operator.getitem, items, k) for k in range(len(items))]
        return list(items)

    def _kept(self, k: int, item: Any) -> Any:
        """Return an item of an iterator that can be loaded again."""
        if isinstance(item, str | os.PathLike) or callable(item):
            return item
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="adaptstft-"))
            weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)
        path = self._folder / f"{k}.npy"
        np.save(path, item.x if isinstance(item, Recording) else np.asarray(item), allow_pickle=False)
        return partial(_recording, path, item.fs, item.name) if isinstance(item, Recording) else partial(np.load, path)

    def __len__(self) -> int:
        return len(self.items)

    def __repr__(self) -> str:
        return f"Corpus({len(self.items)} signals)"


def _recording(path: Path, fs: float, name: str) -> Recording:
    return Recording(np.load(path), fs, name)


def _can_be_listed(items: Any) -> bool:
    return isinstance(items, Iterable) or (isinstance(items, Sized) and hasattr(items, "__getitem__"))


def _as_weights(weights: Any, count: int) -> Float64Array:
    if weights is None:
        return np.ones(count)
    array = np.asarray(weights)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"weights={show(weights)} must be real numbers")
    if array.shape != (count,):
        raise ValueError(f"weights has shape {array.shape}, for {count} signals it must be ({count},)")
    array = array.astype(float)
    bad = ~(np.isfinite(array) & (array > 0))
    if np.any(bad):
        k = int(np.argmax(bad))
        raise ValueError(f"weights[{k}]={float(array[k])!r} must be greater than 0 and finite")
    return array


def as_corpus(x: Any, axis: int) -> Corpus | None:
    """Return a corpus for several signals; None for one signal.

    A list of arrays of one shape is one signal with channels, as in NumPy.
    """
    if isinstance(x, Corpus):
        return x
    if isinstance(x, Iterator):
        return Corpus(x, axis=axis)
    if not isinstance(x, list | tuple) or not x or not _is_item(x[0]):
        return None
    if any(isinstance(item, str | os.PathLike | Recording) or callable(item) for item in x):
        return Corpus(x, axis=axis)
    try:
        shapes = {np.shape(item) for item in x}
    except ValueError:  # a ragged nested list is not an array
        return None
    return Corpus(x, axis=axis) if len(shapes) > 1 and () not in shapes else None


def _is_item(value: Any) -> bool:
    """Return whether a value can be a signal of a corpus."""
    return isinstance(value, str | os.PathLike | Recording) or callable(value) or hasattr(value, "__len__")


@dataclass(frozen=True)
class Source:
    """The source of one signal of a corpus.

    Attributes
    ----------
    item : object
        Array, path, function or recording, as in `Corpus`.
    number : int
        Index of the signal in the corpus.
    axis : int
        Axis of time of arrays.
    fs : float
        Sampling frequency in Hz.
    """

    item: Any
    number: int
    axis: int
    fs: float

    @property
    def name(self) -> str:
        """Name of the signal in messages."""
        path = f" ({os.fspath(self.item)})" if isinstance(self.item, str | os.PathLike) else ""
        return f"signal {self.number} of the corpus{path}"

    def channels(self) -> AnyArray:
        """Load the signal, shape (channels, n)."""
        try:
            found = self.item() if callable(self.item) else self.item
            if isinstance(found, str | os.PathLike):
                found = read_at(found, self.fs)
            axis = self.axis
            if isinstance(found, Recording):
                check_rate(found.fs, self.fs)
                found, axis = found.x, -1
            x, _ = as_signal(found, axis)
        except (OSError, TypeError, ValueError) as error:
            raise ValueError(f"{self.name}: {error}") from error
        return x.reshape(-1, x.shape[-1])


def check_rate(own: float, fs: float) -> None:
    """Require a recording to have the sampling rate of the others."""
    if not np.isclose(own, fs, rtol=1e-6):
        raise ValueError(f"its sampling rate of {own:g} Hz must be {fs=:g} Hz; resample it first")


@dataclass(frozen=True)
class Treatment:
    """Preprocessing of every signal after it is loaded.

    Attributes
    ----------
    detrend : str or None
        The trend to remove.
    peak : float
        Divisor: the largest magnitude of all signals.
    is_complex : bool
        Whether any signal is complex, so that all have negative frequencies.
    band : BandPass or None
        The frequencies to keep, if these are not all.
    """

    detrend: str | None
    peak: float = 1.0
    is_complex: bool = False
    band: BandPass | None = None

    def apply(self, x: AnyArray) -> AnyArray:
        """Return the signal without its trend, in the band, divided by the peak."""
        x = self._unfiltered(x)
        return x if self.band is None else self.band.passed(x)

    def level(self, x: AnyArray, *, floors: bool) -> LevelPart:
        """Return energy and, with `floors`, noise floor of the treated signal, for white noise as wide as the band."""
        x = self._unfiltered(x)
        return LevelPart.of_channels(x if self.band is None else self.band.baseband(x), floors=floors)

    def _unfiltered(self, x: AnyArray) -> AnyArray:
        x = over_peak(remove_trend(x, self.detrend), self.peak)
        return x.astype(np.result_type(x.dtype, np.complex64), copy=False) if self.is_complex else x


@dataclass(frozen=True)
class Measured:
    """Number of samples, type, and largest magnitude with and without its trend of one signal."""

    n: int
    channels: int
    dtype: np.dtype[Any]
    largest: float
    peak: float


def measure_signal(source: Source, treatment: Treatment) -> Measured:
    """Load a signal and measure it."""
    x = source.channels()
    peak = float(np.abs(treatment.apply(x)).max())
    return Measured(x.shape[1], x.shape[0], x.dtype, float(np.abs(x).max()), peak)


def signal_sums(source: Source, treatment: Treatment, weight: float, queries: Sequence[Query]) -> list[PartialSums]:
    """Load a signal and return its sums for each query."""
    x = treatment.apply(source.channels())
    return partial_sums(Stretch(x, x.shape[1], weight=weight), queries)


def signal_level(source: Source, treatment: Treatment, floors: bool) -> LevelPart:
    """Load a signal and measure its energy and, with `floors`, its noise floor."""
    return treatment.level(source.channels(), floors=floors)


class CorpusSignals(SharedSignals):
    """Sums over the signals of a corpus."""

    def __init__(self, corpus: Corpus, fs: float) -> None:
        self.corpus = corpus
        self.sources = [Source(item, k, corpus.axis, fs) for k, item in enumerate(corpus.items)]
        self.treatment = Treatment(None)
        self.signals = len(self.sources)

    def measure(self, detrend: str | None) -> None:
        """Load every signal once."""
        self.treatment = Treatment(detrend)
        found: list[Measured] = list(self._each(measure_signal, [(s, self.treatment) for s in self.sources]))
        self.dtype = np.result_type(*(m.dtype for m in found))
        largest, peak = max(m.largest for m in found), max(m.peak for m in found)
        longest = max(found, key=lambda m: m.n)
        self.n, self.shortest = longest.n, min(m.n for m in found)
        self.samples, self.channels = sum(m.n for m in found), max(m.channels for m in found)
        rounding = 0.0 if detrend is None else np.finfo(self.dtype).eps * np.sqrt(self.n) * largest
        if peak <= rounding:
            without = "" if detrend is None else f" once their trends are removed ({detrend=})"
            raise ValueError(
                f"all {self.signals} signals of the corpus are silent{without}: no window is better than another"
            )
        if self.n < 2:
            raise ValueError("no signal of the corpus has more than one sample")
        self.treatment = Treatment(detrend, peak, bool(np.issubdtype(self.dtype, np.complexfloating)))

    def restrict(self, f_bounds: Any) -> BandPass | None:
        """Keep the frequencies in a range only, once the signals are measured; load every signal once more."""
        measured, fs = self.treatment, self.sources[0].fs
        band = find_band(f_bounds, fs, self.shortest, is_complex=measured.is_complex)
        if band is not None:
            treatment = replace(measured, band=band)
            found: list[Measured] = list(self._each(measure_signal, [(s, treatment) for s in self.sources]))
            peak = max(m.peak for m in found)  # relative to that of all frequencies
            check_band_not_silent(peak, 1.0, band, self.dtype)
            self.treatment = replace(treatment, peak=measured.peak * peak)
        return band

    def level(self, criterion: DescriptionLength) -> SignalLevel:
        """Load every signal once more."""
        found = self._each(signal_level, [(s, self.treatment, criterion.floor is None) for s in self.sources])
        parts = [part.counted(float(weight)) for part, weight in zip(found, self.corpus.weights, strict=True)]
        return join_levels(parts, criterion.floor_of(self.treatment.peak))

    def threads(self, workers: int | None) -> int:
        """Return all threads without an executor; with one, one thread for each signal unless `workers` is given."""
        return 1 if self.corpus.executor is not None and workers is None else count_workers(workers)

    def sums(self, queries: Sequence[Query], report: Callable[[float], None] = lambda _: None) -> list[PartialSums]:
        """Add the sums over all signals, in their order."""
        requested = [(s, self.treatment, w, queries) for s, w in zip(self.sources, self.corpus.weights, strict=True)]
        total = [PartialSums.zero(query) for query in queries]
        for done, found in enumerate(self._each(signal_sums, requested), 1):
            total = [a + b for a, b in zip(total, found, strict=True)]
            report(done / self.signals)
        return total

    def _each(self, function: Callable[..., Any], arguments: list[tuple[Any, ...]]) -> Iterator[Any]:
        executor = self.corpus.executor
        if executor is None:
            yield from (function(*some) for some in arguments)
            return
        if hasattr(executor, "get_executor"):  # a Dask client would merge equal tasks otherwise
            executor = executor.get_executor(pure=False)
        futures: list[Future[Any]] = [executor.submit(function, *some) for some in arguments]
        try:
            for k in range(len(futures)):
                yield futures[k].result()
        finally:
            for future in futures:
                future.cancel()


def as_shared_signals(x: Any, fs: Any, axis: Any) -> Any:
    """Return the signals of a corpus or a Dask array; any other `x` is one signal and returned unchanged."""
    if type(x).__module__.startswith("dask.array"):
        from adaptstft.tuning.shared.dask_signals import DaskSignals

        return DaskSignals(x, axis)
    corpus = as_corpus(x, axis)
    return x if corpus is None else CorpusSignals(corpus, check_positive("fs", fs, "Hz"))
