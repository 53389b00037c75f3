"""Transforms of DataArrays of xarray, with coordinates of time and frequency, units and attributes.

Needs the extra ``xarray``. `adaptstft.dask` transforms signals in chunks, for example from ``xarray.open_zarr``. The
times of the samples come from the coordinate of the time dimension: numbers in seconds, or in another unit that the
attribute ``units`` names, or datetime64 or timedelta64.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from adaptstft import __version__
from adaptstft.batch.rows import describe
from adaptstft.common.optional import require
from adaptstft.common.typing import AnyArray, Float64Array, Padding
from adaptstft.common.validation import check_positive
from adaptstft.recordings.clock import UNITS, datetime_times, fit_clock, number_times
from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT
from adaptstft.tuning import entry as tuning
from adaptstft.tuning.result.result import TuningResult

if TYPE_CHECKING:
    import xarray as xr
else:
    xr = require("xarray", extra="xarray")

__all__ = ["istft", "optimize", "spectrogram", "stft", "to_dataset"]

_FREQUENCY = "frequency"
#: Largest relative difference between the sampling frequency of a coordinate and that of a transform.
_RATE_TOLERANCE = 1e-3


@dataclass(frozen=True)
class _Clock:
    """Times of the samples along a dimension.

    Attributes
    ----------
    start
        Time of the first sample, with the type and unit of the coordinate.
    unit : float
        Unit of the coordinate in seconds; 0 for datetime64 and timedelta64.
    fs : float or None
        Sampling frequency in Hz; None without a coordinate of at least two samples.
    attrs : dict
        Attributes of the coordinate.
    """

    start: Any
    unit: float
    fs: float | None
    attrs: dict[str, Any]

    @classmethod
    def of(cls, array: xr.DataArray, dim: str) -> _Clock:
        """Read the coordinate of a dimension."""
        if dim not in array.coords:
            return cls(0.0, 1.0, None, {"units": "s"})
        coordinate = array.coords[dim]
        values, attrs = coordinate.values, dict(coordinate.attrs)
        if values.dtype.kind in "mM":
            times, resolution, unit = *datetime_times(values), 0.0
        elif values.dtype.kind in "iuf":
            unit = _unit_of(dim, attrs)
            times, resolution = number_times(values, unit)
            attrs.setdefault("units", "s")
        else:
            raise TypeError(f"coordinate {dim!r} has dtype {values.dtype}: it must hold numbers or datetime64")
        return cls(values[0], unit, _rate(dim, times, resolution), attrs)

    def at(self, seconds: Float64Array) -> AnyArray:
        """Return the values of the coordinate at times in seconds after the first sample."""
        if self.unit == 0:
            kind, fine = self.start.dtype.kind, _finest(self.start, seconds)
            elapsed = np.round(seconds * (1e9 if fine == "ns" else 1e6)).astype(f"timedelta64[{fine}]")
            return np.asarray(self.start.astype(f"{kind}8[{fine}]") + elapsed)
        return np.asarray(self.start + seconds / self.unit)

    def moved(self, seconds: float) -> _Clock:
        """Return a clock with the first sample `seconds` later."""
        return _Clock(self.at(np.array(seconds))[()], self.unit, self.fs, self.attrs)


def _finest(start: Any, seconds: Float64Array) -> str:
    """Return the unit of times: nanoseconds, or microseconds if 64 bits are too few, centuries from 1970."""
    first = float(start.astype(f"{start.dtype.kind}8[s]").astype(np.int64))
    return "ns" if abs(first) + np.abs(seconds).max(initial=0.0) < 9.2e9 else "us"


def _unit_of(dim: str, attrs: dict[str, Any]) -> float:
    name = attrs.get("units", "s")
    if name not in UNITS:
        raise ValueError(f"coordinate {dim!r} has units={name!r}, expected a unit of time: {', '.join(UNITS)}")
    return UNITS[name]


def _rate(dim: str, times: Float64Array, resolution: float) -> float | None:
    """Return the sampling frequency of the times of a coordinate, which must be even."""
    if times.size < 2:
        return None
    fit = fit_clock(times, resolution)
    if fit.fault:
        raise ValueError(
            f"coordinate {dim!r} {fit.fault}; interpolate the signal to an even grid first, or drop the coordinate and "
            "give fs to optimize"
        )
    return fit.rate


def optimize(x: xr.DataArray, fs: float | None = None, *, dim: str = "time", **options: Any) -> TuningResult:
    """Tune a transform to a DataArray.

    Parameters
    ----------
    x : xarray.DataArray
        The signal, in memory or in chunks. Dask works on chunks. All dimensions except
        `dim` are channels, which share one set of parameters.
    fs : float, optional
        Sampling frequency in Hz; by default that of the coordinate. The two must agree.
    dim : str, optional
        The dimension of time.
    **options
        Keyword arguments of `adaptstft.optimize`, except `axis`.

    Returns
    -------
    TuningResult
        The result, which all functions of this module take; see `to_dataset`.

    Raises
    ------
    ValueError, TypeError
        If there is no such dimension, if its coordinate is not evenly spaced or contradicts `fs`, if there is
        neither coordinate nor `fs`, and as in `adaptstft.optimize`.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray
    >>> from adaptstft import xarray as adaptive
    >>> t = np.arange(2000) / 500
    >>> chirp = np.cos(2 * np.pi * (20 * t + 15 * t**2))
    >>> x = xarray.DataArray(chirp, coords={"time": t}, attrs={"units": "m/s^2"})
    >>> result = adaptive.optimize(x)
    >>> S = adaptive.spectrogram(result, x)
    >>> S.dims, S.attrs["units"], S.frequency.attrs["units"]
    (('frequency', 'time'), '(m/s^2)^2/Hz', 'Hz')
    """
    _check_dim(x, dim)
    rate = _Clock.of(x, dim).fs
    if fs is not None:
        given = check_positive("fs", fs, "Hz")
        if rate is not None and abs(rate / given - 1) > _RATE_TOLERANCE:
            raise ValueError(
                f"{fs=} contradicts coordinate {dim!r}, which has {rate:g} samples per second: leave fs out, or drop "
                "the coordinate"
            )
        rate = given
    if rate is None:
        raise ValueError(f"fs=None: there is no coordinate {dim!r} of at least two samples that gives it")
    if "axis" in options:
        raise TypeError(f"axis={options['axis']!r} is not an argument: {dim=} names the time axis")
    return tuning.optimize(x.transpose(..., dim).data, rate, axis=-1, **options)


def stft(sft: Any, x: xr.DataArray, *, dim: str = "time", padding: Padding = "zeros") -> xr.DataArray:
    """Short-time Fourier transform of a DataArray.

    Parameters
    ----------
    sft : TuningResult, AdaptiveShortTimeFFT or ShortTimeFFT
        The transform, with the sampling frequency of the coordinate, if there is one.
    x : xarray.DataArray
        The signal, in memory or in chunks. Chunks need the extra ``dask`` and an `AdaptiveShortTimeFFT`.
    dim : str, optional
        The dimension of time.
    padding : {"zeros", "edge", "even", "odd"}, optional
        How the signal is continued beyond its ends; only by zeros if it is in chunks.

    Returns
    -------
    xarray.DataArray
        Complex, with the dimensions of `x` except time, then ``frequency`` (Hz) and time. The time coordinate has
        the type and unit of that of `x`. The array is not computed yet if `x` is in chunks. Coordinates of other
        dimensions and attributes are kept. ``units``, if `x` has them, are divided by the square root of Hz if the
        windows are scaled to ``"psd"``.

    Raises
    ------
    ValueError, TypeError
        If there is no such dimension, if its coordinate is not evenly spaced or has another sampling frequency
        than `sft`, and as in `stft` of the transform.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray
    >>> from adaptstft import AdaptiveShortTimeFFT, xarray as adaptive
    >>> time = np.datetime64("2024-05-01T12:00") + np.arange(1000) * np.timedelta64(1, "ms")
    >>> x = xarray.DataArray(np.ones((2, 1000)), coords={"sensor": ["a", "b"], "time": time}, dims=["sensor", "time"])
    >>> S = adaptive.stft(AdaptiveShortTimeFFT("hann", 100.0, 20, fs=1000.0), x)
    >>> S.sel(sensor="b", time=slice("2024-05-01T12:00", "2024-05-01T12:00:00.1")).shape
    (51, 6)
    """
    return _analyse("stft", sft, x, dim, padding)


def spectrogram(sft: Any, x: xr.DataArray, *, dim: str = "time", padding: Padding = "zeros") -> xr.DataArray:
    """Spectrogram, the squared magnitude of `stft`, of a DataArray.

    Parameters
    ----------
    sft, x, dim, padding
        As in `stft`.

    Returns
    -------
    xarray.DataArray
        Real, otherwise as in `stft`. ``units`` are those of `x` squared, per Hz if the windows are scaled to
        ``"psd"``.

    Raises
    ------
    ValueError, TypeError
        As in `stft`.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray
    >>> from adaptstft import AdaptiveShortTimeFFT, xarray as adaptive
    >>> x = xarray.DataArray(np.ones(300), dims="time", attrs={"units": "V"})
    >>> sft = AdaptiveShortTimeFFT("hann", 32, 8, fs=10.0, scale_to="magnitude")
    >>> adaptive.spectrogram(sft, x).attrs["units"]
    'V^2'
    """
    return _analyse("spectrogram", sft, x, dim, padding)


def istft(sft: Any, S: xr.DataArray, *, like: xr.DataArray | None = None, dim: str = "time") -> xr.DataArray:
    """Inverse short-time Fourier transform of the result of `stft`, which may be modified.

    Parameters
    ----------
    sft : TuningResult, AdaptiveShortTimeFFT or ShortTimeFFT
        The transform.
    S : xarray.DataArray
        The transformed signal, with the dimension ``frequency`` and all slices. Chunks are computed.
    like : xarray.DataArray, optional
        The original signal. The result gets its number of samples, time coordinate, name and attributes. Without
        it the result ends with the last slice, as in `istft` of the transform.
    dim : str, optional
        The dimension of time.

    Returns
    -------
    xarray.DataArray
        The signal, time last.

    Raises
    ------
    ValueError, TypeError
        If a dimension is missing, and as in `istft` of the transform.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray
    >>> from adaptstft import AdaptiveShortTimeFFT, xarray as adaptive
    >>> x = xarray.DataArray(np.random.default_rng(0).standard_normal(500), coords={"time": np.arange(500) / 100})
    >>> sft = AdaptiveShortTimeFFT("hann", 40, 10, fs=100.0)
    >>> back = adaptive.istft(sft, adaptive.stft(sft, x), like=x)
    >>> xarray.testing.assert_allclose(back, x)
    """
    transform = _transform_of(sft)
    for name in (_FREQUENCY, dim):
        _check_dim(S, name, "S")
    spectra = S.transpose(..., _FREQUENCY, dim)
    if like is None:
        # the clock of the signal begins at its first sample, that of S at the first slice
        clock = _Clock.of(S, dim).moved(-float(_first_time(transform)))
        data = transform.istft(spectra.values)
        attrs = _with_units(S.attrs, _without_root(S.attrs.get("units")))
    else:
        _check_dim(like, dim, "like")
        clock = _Clock.of(like, dim)
        data = transform.istft(spectra.values, k1=like.sizes[dim])
        attrs = dict(like.attrs)
    samples = like.coords.get(dim) if like is not None else None
    time = _time(dim, clock, np.arange(data.shape[-1]) / transform.fs) if samples is None else samples
    others = {name: c for name, c in spectra.coords.items() if not {_FREQUENCY, dim} & set(c.dims)}
    model = S if like is None else like
    return xr.DataArray(data, {**others, dim: time}, (*spectra.dims[:-2], dim), model.name, attrs)


def to_dataset(result: TuningResult, like: xr.DataArray | None = None, *, dim: str = "time") -> xr.Dataset:
    """Return the tuned window lengths as a Dataset with the coordinates of the transform.

    Parameters
    ----------
    result : TuningResult
        The result of `optimize`.
    like : xarray.DataArray, optional
        The tuned signal, for its time coordinate. Without it times are seconds after the first sample.
    dim : str, optional
        The dimension of time.

    Returns
    -------
    xarray.Dataset
        ``win_length`` (samples) and ``win_duration`` (s): scalars, or one value for each frame, frequency or
        bin. Attributes: the columns of `adaptstft.TuningTable` that describe the result, ``criterion``, ``fs`` and
        ``version``.

    Examples
    --------
    >>> import numpy as np
    >>> import xarray
    >>> from adaptstft import datasets, xarray as adaptive
    >>> signal = datasets.linear_chirp(100.0, duration=0.5)
    >>> x = xarray.DataArray(signal.x, coords={"time": np.arange(signal.x.size) / signal.fs})
    >>> lengths = adaptive.to_dataset(adaptive.optimize(x, window_mode="time"), x)
    >>> lengths.win_length.dims, lengths.win_length.attrs["units"], lengths.attrs["window"]
    (('time',), 'samples', 'hann')
    """
    sft, lengths = result.sft, np.asarray(result.win_length)
    clock = _Clock(0.0, 1.0, None, {"units": "s"}) if like is None else _Clock.of(like, dim)
    dims: tuple[str, ...] = ((), (dim,), (_FREQUENCY, dim))[lengths.ndim]
    if lengths.ndim == 2 and lengths.shape[1] == 1:
        lengths, dims = lengths[:, 0], (_FREQUENCY,)
    coords: dict[str, Any] = {_FREQUENCY: _frequencies(sft)} if _FREQUENCY in dims else {}
    if dim in dims:
        assert result.positions is not None  # lengths vary in time
        coords[dim] = _time(dim, clock, result.positions / sft.fs)
    columns = {name: value for name, value in describe(result).items() if not name.startswith("win_")}
    columns |= {"criterion": repr(result.criterion), "fs": sft.fs, "version": __version__}
    # attributes in netCDF and zarr cannot be True, False or None
    attrs = {name: int(v) if isinstance(v, bool) else v for name, v in columns.items() if v is not None}
    return xr.Dataset(
        {
            "win_length": (dims, lengths, {"long_name": "window length", "units": "samples"}),
            "win_duration": (dims, lengths / sft.fs, {"long_name": "window length", "units": "s"}),
        },
        coords,
        attrs,
    )


def _analyse(method: str, sft: Any, x: xr.DataArray, dim: str, padding: Padding) -> xr.DataArray:
    transform = _transform_of(sft)
    _check_dim(x, dim)
    if _FREQUENCY in x.dims:
        raise ValueError(f"x has a dimension {_FREQUENCY!r} already, among {x.dims}; rename it")
    clock = _Clock.of(x, dim)
    if clock.fs is not None and abs(clock.fs / transform.fs - 1) > _RATE_TOLERANCE:
        raise ValueError(f"coordinate {dim!r} has {clock.fs:g} samples per second, but sft.fs={transform.fs:g}")
    n = x.sizes[dim]
    signal = x.transpose(..., dim)
    data = _apply(method, transform, signal, padding)
    others = {name: c for name, c in x.coords.items() if dim not in c.dims}
    coords = {**others, _FREQUENCY: _frequencies(transform), dim: _time(dim, clock, transform.t(n))}
    units = _scaled_units(x.attrs.get("units"), transform.scaling == "psd", method == "spectrogram")
    return xr.DataArray(data, coords, (*signal.dims[:-1], _FREQUENCY, dim), x.name, _with_units(x.attrs, units))


def _apply(method: str, transform: Any, signal: xr.DataArray, padding: Padding) -> Any:
    if signal.chunks is None:
        return getattr(transform, method)(signal.values, padding=padding)
    if not isinstance(transform, AdaptiveShortTimeFFT):
        raise TypeError(f"x is in chunks: sft must be an AdaptiveShortTimeFFT, got {type(transform).__name__}")
    if padding != "zeros":
        raise ValueError(f"{padding=} must be 'zeros' for a signal in chunks")
    from adaptstft import dask

    return getattr(dask, method)(transform, signal.data)


def _transform_of(sft: Any) -> Any:
    transform = sft.sft if isinstance(sft, TuningResult) else sft
    if not callable(getattr(transform, "stft", None)):
        raise TypeError(f"{sft=} must be a TuningResult or a transform")
    return transform


def _check_dim(array: Any, dim: str, name: str = "x") -> None:
    if not isinstance(array, xr.DataArray):
        raise TypeError(f"{name} must be an xarray.DataArray, got {type(array).__name__}")
    if dim not in array.dims:
        raise ValueError(f"{name} has no dimension {dim!r}, it has {tuple(array.dims)}")


def _first_time(transform: Any) -> float:
    """Return the time of the first slice in seconds after the first sample."""
    positions = getattr(transform, "positions", None)
    if positions is not None:
        return float(positions[0]) / float(transform.fs)
    return float(transform.p_min * transform.hop / transform.fs)


def _time(dim: str, clock: _Clock, seconds: Float64Array) -> xr.Variable:
    return xr.Variable((dim,), clock.at(seconds), clock.attrs)


def _frequencies(transform: Any) -> xr.Variable:
    return xr.Variable((_FREQUENCY,), transform.f, {"units": "Hz", "long_name": "frequency"})


def _scaled_units(units: str | None, psd: bool, squared: bool) -> str | None:
    if units is None or not (psd or squared):
        return units
    base = units if units.isalpha() else f"({units})"
    return (f"{base}^2" if squared else base) + ("/Hz" if psd and squared else "/Hz^0.5" if psd else "")


def _without_root(units: str | None) -> str | None:
    """Return the units of a signal from those of its transform."""
    if units is None or not units.endswith("/Hz^0.5"):
        return units
    return units.removesuffix("/Hz^0.5").removeprefix("(").removesuffix(")")


def _with_units(attrs: dict[Any, Any], units: str | None) -> dict[Any, Any]:
    return {**attrs} if units is None else {**attrs, "units": units}
