"""The signal of a request, or many signals: what of it the criterion sees."""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from adaptstft import criteria, kernels
from adaptstft.common.band_pass import BandPass
from adaptstft.common.detrend import remove_trend
from adaptstft.common.device import to_host
from adaptstft.common.precision import over_peak
from adaptstft.common.typing import AnyArray
from adaptstft.common.validation import as_signal, as_win_length, check_not_silent
from adaptstft.criteria.distortion import SignalLevel
from adaptstft.criteria.steady_tones import without_steady_tones
from adaptstft.tuning.options import DEFAULT_ACCURACY, descends
from adaptstft.tuning.ranges import check_band_not_silent, find_band
from adaptstft.tuning.shared.corpus import CorpusSignals
from adaptstft.tuning.shared.dask_signals import DaskSignals
from adaptstft.tuning.shared.signals import SharedSignals

#: Fewest samples of a signal: one sample has no frequencies.
_FEWEST = 2


@dataclass(frozen=True)
class TakenSignal:
    """One signal, as given and without its trend, or many signals, with the criterion for them."""

    original: AnyArray
    channels: AnyArray
    n: int
    shortest: int
    backend: str
    criterion: criteria.Criterion
    shared: SharedSignals | None = None
    scale: float = 1.0
    band: BandPass | None = None
    steady_tones: tuple[float, ...] = ()


def unfiltered(original: AnyArray, detrend: str | None) -> AnyArray:
    """Return the channels of a signal without their trend, with all frequencies, shape (channels, n)."""
    return remove_trend(original.reshape(-1, original.shape[-1]), detrend)


def level_of(criterion: criteria.Criterion, signal: TakenSignal, detrend: str | None) -> SignalLevel | None:
    """Return the power and the noise floor of the signal, if the criterion is relative to them."""
    if not isinstance(criterion, criteria.DescriptionLength):
        return None
    if signal.shared is not None:
        return signal.shared.level(criterion)
    if signal.band is None:
        return criterion.level(signal.channels, signal.scale)
    baseband = signal.band.baseband(over_peak(unfiltered(signal.original, detrend), signal.scale))
    return criterion.level(baseband, signal.scale)


def take_signal(x: Any, fs: float, a: SimpleNamespace, criterion: criteria.Criterion) -> TakenSignal:
    """Check the signal among the arguments of `optimize`, one array or many signals, and prepare it."""
    if isinstance(x, SharedSignals):
        backend, _ = kernels.resolve(a.backend)
        criterion = check_shared(criterion, x, a)
        x.measure(a.detrend)
        band = x.restrict(a.f_bounds) if isinstance(x, CorpusSignals) else None
        none = np.zeros((0, x.n), x.dtype)
        return TakenSignal(none, none, x.n, x.shortest, backend, criterion, x, band=band)
    backend, module = kernels.resolve_for(a.backend, "x", x)
    original = _take_array(x, a.axis, criterion)
    n = original.shape[-1]
    band = find_band(a.f_bounds, fs, n, is_complex=np.iscomplexobj(original))
    channels, scale = _take_channels(original, criterion, a.detrend, band)
    tones: list[float] = []
    # lengths that vary with the frequency suit a steady tone as well as the rest
    one_for_all = isinstance(criterion, criteria.DescriptionLength) and a.window_mode in ("constant", "time")
    if one_for_all and a.detrend is not None:
        channels, tones = without_steady_tones(channels)
    taken = TakenSignal(original, module.asarray(channels), n, n, backend, criterion, scale=scale, band=band)
    return replace(taken, steady_tones=tuple(frequency * fs for frequency in tones))


def _take_array(x: Any, axis: Any, criterion: criteria.Criterion) -> AnyArray:
    """Return the signal as given, time last."""
    original, time_axis = as_signal(to_host(x), axis)
    if isinstance(criterion, criteria.UserLoss) and time_axis != original.ndim - 1:
        raise ValueError(f"{axis=}: with a callable criterion time must be the last axis of x")
    if original.shape[-1] < _FEWEST:
        raise ValueError(
            f"x has 1 sample, at least {_FEWEST} are needed to compare window lengths{_columns_hint(original)}"
        )
    check_not_silent(original.reshape(-1, original.shape[-1]))
    return original


def _take_channels(
    original: AnyArray, criterion: criteria.Criterion, detrend: str | None, band: BandPass | None
) -> tuple[AnyArray, float]:
    """Return the channels of a signal without their trend, in a band, of order one, and their divisor."""
    channels = unfiltered(original, detrend)
    peak = _check_detrended(channels, original, detrend)
    if band is not None:
        channels, whole = band.passed(channels), peak
        peak = float(np.abs(channels).max())
        check_band_not_silent(peak, whole, band, original.dtype)
    if isinstance(criterion, criteria.UserLoss):
        return channels, 1.0
    return over_peak(channels, peak), peak  # the others do not depend on the scale


def _columns_hint(original: AnyArray) -> str:
    """Return what to do if the axes of a signal, whose time is last, have been mistaken; mostly an empty text."""
    n, channels = original.shape[-1], original.size // original.shape[-1]
    if channels <= n:
        return ""
    return f" ({channels} channels of {n} sample{'s' * (n > 1)}; if the columns of x are channels, pass axis=0)"


def _check_detrended(x: AnyArray, original: AnyArray, kind: str | None) -> float:
    peak = float(np.abs(x).max())
    rounding = 0.0 if kind is None else np.finfo(x.dtype).eps * np.sqrt(x.shape[1]) * float(np.abs(original).max())
    if peak <= rounding:
        raise ValueError(
            f"x is silent once its trend is removed (detrend={kind!r}): no window is better than another"
            + _columns_hint(original)
        )
    return peak


def check_shared(criterion: criteria.Criterion, signals: SharedSignals, a: SimpleNamespace) -> criteria.Criterion:
    """Require arguments for which sums over many signals are enough, and return the criterion with its scope."""
    many = "a corpus or a Dask array"
    window_mode, hop_mode, method = a.window_mode, a.hop_mode, a.method
    if not isinstance(criterion, criteria.Additive):
        raise ValueError(
            f"criterion={criterion.name!r} must be a function of sums over the spectrogram for {many}: one of "
            f"{sorted(set(criteria.names()) - {'gini'})}"
        )
    if isinstance(criterion, criteria.Combined) and criterion.scope == "frame":
        raise ValueError(f"criterion={criterion.name!r}: for {many} criteria are not combined in scope 'frame'")
    if a.f_bounds is not None and isinstance(signals, DaskSignals):
        raise ValueError(
            f"f_bounds={a.f_bounds!r} needs signals in memory: the filter acts on a whole signal, not on the chunks of "
            "a Dask array; filter the array first, or tune on a part of it"
        )
    if hop_mode == "time":
        raise ValueError(f"{hop_mode=} needs one signal in memory; for {many} it must be 'fixed' or 'constant'")
    if window_mode == "time":
        return _check_path(criterion, signals, a)
    if a.accuracy not in (None, DEFAULT_ACCURACY):
        raise ValueError(f"accuracy={a.accuracy!r} is that of a table of sums, and for {many} there is no table")
    if criterion.scope == "local":
        raise ValueError(
            f"scope={criterion.scope!r} needs one signal in memory, or a Dask array with window_mode='time'; otherwise "
            f"it must be 'global' or 'frame' for {many}"
        )
    if window_mode == "time-frequency":
        raise ValueError(
            f"{window_mode=} needs one signal in memory; for {many} it must be 'constant', 'frequency' or 'fixed'"
        )
    if method in ("local-concentration", "chirp-rate"):
        raise ValueError(f"{method=} needs one signal in memory; for {many} it must be 'L-BFGS-B', 'adam' or 'grid'")
    shape = () if a.win_length is None else as_win_length(a.win_length).shape
    if shape and shape[-1] != 1:
        raise ValueError(
            f"win_length has shape {shape}; for {many} it must be one length, or of shape (f_pts, 1), one for each "
            "frequency"
        )
    return criterion.with_scope(criterion.scope or "global")


def _check_path(criterion: criteria.Additive, signals: SharedSignals, a: SimpleNamespace) -> criteria.Criterion:
    """Require a Dask array whose lengths of frames are a path over a table, which needs no descent."""
    if not isinstance(signals, DaskSignals):
        raise ValueError(
            f"window_mode={a.window_mode!r} needs one signal, in memory or as a Dask array: the signals of a corpus "
            "have no common frames; use window_mode='constant' or 'frequency', or adaptstft.optimize_many for each one"
        )
    if np.ndim(a.win_length) > 1 or descends(criterion, a):
        raise ValueError(
            f"window_mode={a.window_mode!r} for a Dask array needs method='L-BFGS-B' without tune_shape, without "
            "rule='min-norm' and without a win_length with starts=1, or one for each bin: the lengths of frames are "
            f"searched over a table, not by a descent; got method={a.method!r}, tune_shape={a.tune_shape!r}, "
            f"starts={a.starts!r}"
        )
    return criterion
