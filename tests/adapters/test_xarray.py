"""DataArrays: the numbers of the transforms on arrays, and coordinates, units and attributes that say what they are."""

import subprocess
import sys

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import adaptstft
from adaptstft import AdaptiveShortTimeFFT, ShortTimeFFT
from adaptstft.common.optional import install_command

xarray = pytest.importorskip("xarray", reason="labels need the extra 'xarray'")
adaptive = pytest.importorskip("adaptstft.xarray", reason="needs the extra 'xarray'")

FS = 500.0
N = 800


@pytest.fixture
def x(rng):
    """Two sensors with a coordinate of each kind; time is not last."""
    return xarray.DataArray(
        rng.standard_normal((N, 2)),
        coords={
            "time": ("time", 3.0 + np.arange(N) / FS, {"units": "s", "axis": "T"}),
            "sensor": ["left", "right"],
            "height": ("sensor", [1.0, 2.0]),
            "temperature": ("time", np.zeros(N)),
            "site": "A",
        },
        dims=["time", "sensor"],
        name="acceleration",
        attrs={"units": "m/s^2", "station": 7},
    )


@pytest.fixture
def sft():
    return AdaptiveShortTimeFFT("hann", 60.5, 12.5, FS, mfft=64, scale_to="psd")


def timed(time, **attrs):
    """A signal with a coordinate of time."""
    return xarray.DataArray(np.cos(np.arange(len(time))), coords={"time": ("time", time, attrs)})


def test_numbers_are_those_of_the_array(x, sft):
    S = adaptive.stft(sft, x)
    assert S.dims == ("sensor", "frequency", "time")
    assert_array_equal(S.values, sft.stft(x.values.T))
    assert_array_equal(S.time, 3.0 + sft.t(N))
    assert_array_equal(S.frequency, sft.f)
    assert_array_equal(adaptive.spectrogram(sft, x, padding="even"), sft.spectrogram(x.values.T, padding="even"))


def test_coordinates_attributes_and_name_are_kept(x, sft):
    S = adaptive.stft(sft, x)
    assert S.name == "acceleration" and S.attrs == {"units": "(m/s^2)/Hz^0.5", "station": 7}
    assert set(S.coords) == {"sensor", "height", "site", "frequency", "time"}
    assert S.time.attrs == {"units": "s", "axis": "T"} and S.frequency.attrs["units"] == "Hz"
    assert x.attrs == {"units": "m/s^2", "station": 7}
    assert S.sel(sensor="right").height == 2.0 and S.site == "A"


@pytest.mark.parametrize(
    ("scale_to", "units", "amplitude", "power"),
    [
        (None, "V", "V", "V^2"),
        ("magnitude", "m/s", "m/s", "(m/s)^2"),
        ("psd", "V", "V/Hz^0.5", "V^2/Hz"),
        ("psd", "m s-1", "(m s-1)/Hz^0.5", "(m s-1)^2/Hz"),
        ("psd", None, None, None),
    ],
)
def test_units(scale_to, units, amplitude, power):
    x = xarray.DataArray(np.ones(100), dims="time", attrs={} if units is None else {"units": units})
    sft = AdaptiveShortTimeFFT("hann", 20, 5, FS, scale_to=scale_to)
    S = adaptive.stft(sft, x)
    assert S.attrs.get("units") == amplitude
    assert adaptive.spectrogram(sft, x).attrs.get("units") == power
    assert adaptive.istft(sft, S).attrs.get("units") == units


@pytest.mark.parametrize("give", [True, False], ids=["like", "alone"])
def test_the_inverse_returns_the_signal(x, sft, give):
    S = adaptive.stft(sft, x)
    back = adaptive.istft(sft, S, like=x if give else None)
    assert back.dims == ("sensor", "time") and back.name == x.name and back.attrs == x.attrs
    assert_allclose(back.isel(time=slice(N)).values, x.values.T, atol=1e-12)
    assert_allclose(back.time[:N], x.time, rtol=0, atol=1e-9)
    assert back.sizes["time"] == N if give else back.sizes["time"] >= N
    assert set(back.coords) == {"sensor", "height", "site", "time"}


def test_the_inverse_of_positions_begins_where_the_signal_does(x):
    sft = AdaptiveShortTimeFFT("hann", 90.0, None, FS, positions=np.arange(5.0, N + 40, 20))
    back = adaptive.istft(sft, adaptive.stft(sft, x))
    assert back.time[0] == pytest.approx(3.0, abs=1e-12)
    assert_allclose(back.isel(time=slice(N)), x.values.T[:, : back.sizes["time"]], atol=1e-12)


def test_scipys_transform(x):
    SFT = ShortTimeFFT.from_window("hann", FS, 64, 48)
    S = adaptive.stft(SFT, x)
    assert_array_equal(S.values, SFT.stft(x.values.T))
    xarray.testing.assert_allclose(adaptive.istft(SFT, S, like=x), x.transpose().drop_vars("temperature"))


@pytest.mark.parametrize("kind", ["ns", "us", "timedelta"])
def test_times_of_a_clock(kind, sft):
    step = np.arange(N) * np.timedelta64(2_000_000, "ns")
    start = np.datetime64("2024-02-28T23:59:59", "ns")
    time = step if kind == "timedelta" else (start + step).astype(f"datetime64[{kind}]")
    x = timed(time)
    S = adaptive.stft(sft, x)
    expected = np.round(sft.t(N) * 1e9).astype("timedelta64[ns]") + (time[0] if kind == "timedelta" else start)
    assert_array_equal(S.time.values, expected)
    back = adaptive.istft(sft, S)
    assert_array_equal(back.time.values[:N], time)
    assert adaptive.optimize(x).sft.fs == 500.0


@pytest.mark.parametrize(("units", "size"), [("ms", 1e-3), ("microseconds", 1e-6), ("min", 60.0)])
def test_other_units_of_time(units, size, sft):
    S = adaptive.stft(sft, timed(np.arange(N) / FS / size, units=units))
    assert S.time.attrs == {"units": units}
    assert_allclose(S.time, sft.t(N) / size, rtol=1e-12)


def test_a_rate_from_rounded_times_is_rounded():
    # at 48 kHz a sample lasts 20833.3 ns, which datetime64 cannot hold
    step = np.round(np.arange(N) / 48000 * 1e9).astype("timedelta64[ns]")
    assert adaptive.optimize(timed(np.datetime64("2024-01-01", "ns") + step)).sft.fs == 48000.0
    assert adaptive.optimize(timed(1e6 + np.arange(N) / 48000)).sft.fs == 48000.0
    assert adaptive.optimize(timed(np.arange(N) / 12.5)).sft.fs == 12.5


@pytest.mark.slow
def test_optimize_is_that_of_the_array(x):
    settings = {"window_mode": "time", "hop": 50.0, "win_bounds": (60, 200), "options": {"maxiter": 5}}
    result = adaptive.optimize(x, **settings)
    expected = adaptstft.optimize(x.values.T, FS, **settings)
    assert_array_equal(result.win_length, expected.win_length)
    assert adaptive.optimize(x.rename(time="t"), dim="t").win_length == adaptstft.optimize(x.values.T, FS).win_length
    assert adaptive.optimize(x.drop_vars("time"), 250.0).sft.fs == 250.0
    assert_array_equal(adaptive.stft(result, x).values, result.sft.stft(x.values.T))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "dims"),
    [
        ("constant", ()),
        ("time", ("time",)),
        ("frequency", ("frequency",)),
        ("time-frequency", ("frequency", "time")),
    ],
)
def test_lengths_as_a_dataset(x, mode, dims):
    result = adaptive.optimize(x.isel(sensor=0), window_mode=mode, hop=40.0, mfft=256, options={"maxiter": 3})
    found = adaptive.to_dataset(result, x)
    assert found.win_length.dims == found.win_duration.dims == dims
    assert_array_equal(found.win_length, np.squeeze(result.win_length))
    assert_allclose(found.win_duration * FS, found.win_length, rtol=1e-12)
    if "time" in dims:
        assert_array_equal(found.time, 3.0 + result.positions / FS)
        assert_array_equal(adaptive.to_dataset(result).time, result.positions / FS)
    if "frequency" in dims:
        assert_array_equal(found.frequency, result.sft.f)
    assert (found.attrs["fun"], found.attrs["window"], found.attrs["fs"]) == (result.fun, "hann", FS)
    assert all(isinstance(value, str | int | float) and not isinstance(value, bool) for value in found.attrs.values())


@pytest.mark.filterwarnings("ignore:The data type .* Zarr V3 specification")  # of the names of sensors
def test_a_zarr_store_through_dask(x, sft, tmp_path):
    for module in ("zarr", "dask", "adaptstft.dask"):
        pytest.importorskip(module, reason="needs the extras 'xarray' and 'dask'", exc_type=ImportError)
    x.drop_vars("site").to_dataset().chunk(time=300, sensor=1).to_zarr(tmp_path / "x.zarr", consolidated=False)
    lazy = xarray.open_zarr(tmp_path / "x.zarr", consolidated=False).acceleration
    assert lazy.chunks is not None
    S = adaptive.stft(sft, lazy)
    assert S.chunks is not None
    expected = adaptive.stft(sft, x.drop_vars("site"))
    xarray.testing.assert_allclose(S.compute(), expected, rtol=1e-12)
    assert S.attrs == expected.attrs
    xarray.testing.assert_allclose(adaptive.spectrogram(sft, lazy).compute(), abs(expected) ** 2, rtol=1e-11)
    xarray.testing.assert_allclose(adaptive.istft(sft, S, like=x), adaptive.istft(sft, expected, like=x))
    assert adaptive.optimize(lazy).win_length == pytest.approx(adaptive.optimize(x).win_length, rel=1e-6)
    adaptive.to_dataset(adaptive.optimize(lazy), lazy).to_zarr(tmp_path / "y.zarr", consolidated=False)
    with pytest.raises(ValueError, match=r"padding='even' must be 'zeros' for a signal in chunks"):
        adaptive.stft(sft, lazy, padding="even")
    with pytest.raises(TypeError, match=r"x is in chunks: sft must be an AdaptiveShortTimeFFT, got ShortTimeFFT"):
        adaptive.stft(ShortTimeFFT.from_window("hann", FS, 64, 48), lazy)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda x: x.values, TypeError, r"x must be an xarray\.DataArray, got ndarray"),
        (lambda x: x.rename(time="t"), ValueError, r"x has no dimension 'time', it has \('t', 'sensor'\)"),
        (lambda x: x.rename(sensor="frequency"), ValueError, r"x has a dimension 'frequency' already"),
        (
            lambda x: x.isel(time=np.arange(N) != 9),
            ValueError,
            r"coordinate 'time' is not even: sample 8 deviates by 0.95",
        ),
        (lambda x: x.isel(time=slice(None, None, -1)), ValueError, r"coordinate 'time' is not increasing"),
        (lambda x: x.isel(time=slice(None, None, 2)), ValueError, r"'time' has 250 samples per second, but sft\.fs"),
        (lambda x: x.assign_coords(time=list(map(str, range(N)))), TypeError, r"coordinate 'time' has dtype <U"),
        (
            lambda x: x.assign_coords(time=("time", np.arange(N), {"units": "furlong"})),
            ValueError,
            r"coordinate 'time' has units='furlong', expected a unit of time: s, sec",
        ),
        (lambda x: x * np.nan, ValueError, r"x has 1600 NaN or infinite values"),
    ],
    ids=["array", "dim", "taken", "gap", "reversed", "rate", "text", "units", "nan"],
)
def test_bad_signals(x, sft, change, error, message):
    with pytest.raises(error, match=message):
        adaptive.stft(sft, change(x))


def test_bad_arguments(x, sft):
    with pytest.raises(TypeError, match=r"sft=3 must be a TuningResult or a transform"):
        adaptive.stft(3, x)
    with pytest.raises(ValueError, match=r"fs=None: there is no coordinate 'time' of at least two samples"):
        adaptive.optimize(x.drop_vars("time"))
    with pytest.raises(ValueError, match=r"S has no dimension 'frequency', it has"):
        adaptive.istft(sft, x)
    with pytest.raises(ValueError, match=r"like has no dimension 'time', it has"):
        adaptive.istft(sft, adaptive.stft(sft, x), like=x.isel(time=0))


def test_without_xarray_the_extra_is_named():
    code = "import sys; sys.modules['xarray'] = None; import adaptstft.xarray"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert f"ImportError: this needs xarray, which is not installed: {install_command('xarray')}" in done.stderr
