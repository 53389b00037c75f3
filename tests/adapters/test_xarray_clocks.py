"""Times of every resolution, samples of every type, and rates and axes that contradict each other."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

import adaptstft
from adaptstft import AdaptiveShortTimeFFT

xarray = pytest.importorskip("xarray", reason="labels need the extra 'xarray'")
adaptive = pytest.importorskip("adaptstft.xarray", reason="needs the extra 'xarray'")

N = 900


def signal(time, **attrs):
    return xarray.DataArray(np.cos(0.3 * np.arange(len(time))), coords={"time": ("time", time, attrs)})


def rate_of(time, **attrs):
    return adaptive.optimize(signal(time, **attrs), win_length=64.0, window_mode="fixed").sft.fs


@pytest.mark.parametrize("resolution", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("kind", ["datetime64", "timedelta64"])
@pytest.mark.parametrize("rounded", ["even", "rounded"])
def test_clocks_of_any_resolution(resolution, kind, rounded):
    """Of a rate that the unit holds exactly, and of one whose times it rounds."""
    unit = np.timedelta64(1, resolution) / np.timedelta64(1, "s")
    fs = 0.25 / unit if rounded == "even" else {"s": 1 / 3.5, "ms": 300.0, "us": 48_000.0, "ns": 44_100.0}[resolution]
    ticks = np.round(np.arange(N) / fs / unit).astype(np.int64)
    start = np.datetime64("2024-02-28T23:59:59", resolution) if kind == "datetime64" else np.timedelta64(7, resolution)
    time = start + ticks.astype(f"timedelta64[{resolution}]")
    assert time.dtype == f"{kind}[{resolution}]"
    found = rate_of(time)
    if fs > 1:
        assert found == round(fs)
    else:
        assert found == pytest.approx(fs, rel=1e-3)
    sft = AdaptiveShortTimeFFT("hann", 64.0, 16.5, found)
    S = adaptive.stft(sft, signal(time))
    elapsed = (S.time.values - start) / np.timedelta64(1, "ns") * 1e-9
    assert np.allclose(elapsed, sft.t(N), rtol=1e-12, atol=1e-9)
    back = adaptive.istft(sft, S)
    assert np.abs((back.time.values[:N] - time) / np.timedelta64(1, "ns")).max() * 1e-9 <= 1.01 * unit + 1e-9


def test_times_rounded_to_more_than_their_unit():
    """Loggers write milliseconds, which readers put in nanoseconds."""
    ticks = np.round(np.arange(N) / 300 * 1e3).astype(np.int64) * 1_000_000
    assert rate_of(np.datetime64("2024-01-01", "ns") + ticks.astype("timedelta64[ns]")) == 300.0
    # a period of three whole milliseconds is no rounded one
    ticks = np.arange(N) * 3_000_000
    assert rate_of(np.datetime64("2024-01-01", "ns") + ticks.astype("timedelta64[ns]")) == pytest.approx(1e3 / 3)


@pytest.mark.parametrize("year", ["0001", "3500"])
def test_times_out_of_the_range_of_nanoseconds(year):
    start = np.datetime64(f"{year}-01-01T00:00:00", "us")
    time = start + (np.arange(N) * 1250).astype("timedelta64[us]")
    x = signal(time)
    sft = AdaptiveShortTimeFFT("hann", 64.0, 16.0, 800.0)
    S = adaptive.stft(sft, x)
    assert_array_equal(S.time.values, start + np.round(sft.t(N) * 1e6).astype("timedelta64[us]"))
    assert_array_equal(adaptive.istft(sft, S, like=x).time.values, time)


@pytest.mark.parametrize("fs", [100.0, 12.5, 1000.0, 44_100.0])
def test_times_in_single_precision(fs):
    time = (np.arange(N) / fs).astype(np.float32)
    assert rate_of(time) == (fs if fs == int(fs) else pytest.approx(fs, rel=1e-6))
    sft = AdaptiveShortTimeFFT("hann", 64.0, 16.0, fs)
    S = adaptive.stft(sft, signal(time))
    assert S.time.dtype == np.float64 and np.allclose(S.time, sft.t(N), rtol=1e-6)


def test_a_gap_is_not_called_coarse():
    time = np.datetime64("2022-01-01", "ns") + np.arange(N) * np.timedelta64(1, "ms")
    time[N // 2 :] += np.timedelta64(5, "ms")
    with pytest.raises(ValueError, match=r"coordinate 'time' is not even: sample \d+ deviates by 2.48 samples from a"):
        adaptive.optimize(signal(time))


def test_a_clock_that_drifts_is_refused():
    time = np.cumsum(np.r_[np.full(N // 2, 1 / 94), np.full(N - N // 2, 1 / 106)])
    with pytest.raises(ValueError, match=r"coordinate 'time' is not even: sample .* interpolate the signal"):
        adaptive.optimize(signal(time))


def test_times_too_coarse_for_their_samples_say_so():
    time = (1e6 + np.arange(N) / 1000).astype(np.float32)
    with pytest.raises(ValueError, match=r"coordinate 'time' is too coarse: samples are .* s apart, its values are"):
        adaptive.optimize(signal(time))
    x = signal(time).drop_vars("time")
    assert adaptive.optimize(x, 1000.0).sft.fs == 1000.0


@pytest.mark.parametrize("dtype", ["int16", "uint8", "int32", "float32", ">i2", "bool"])
@pytest.mark.parametrize("chunks", [None, 300], ids=["memory", "chunks"])
def test_samples_of_any_type(rng, dtype, chunks):
    if chunks:
        pytest.importorskip("adaptstft.dask", reason="needs the extra 'dask'", exc_type=ImportError)
    samples = rng.integers(0, 2, N) if dtype == "bool" else 100 + 80 * np.cos(0.3 * np.arange(N))
    x = xarray.DataArray(samples.astype(dtype), coords={"time": np.arange(N) / 500.0})
    expected = adaptive.optimize(x.astype(float))
    x = x if chunks is None else x.chunk(time=chunks)
    result = adaptive.optimize(x)
    assert result.win_length == pytest.approx(expected.win_length, rel=1e-3)
    S, of_floats = adaptive.stft(expected, x), adaptive.stft(expected, x.astype(float))
    assert np.abs(S - of_floats).max() <= (1e-5 if dtype == "float32" else 1e-13) * np.abs(of_floats).max()


def test_a_rate_that_contradicts_the_coordinate_is_an_error():
    x = signal(np.arange(N) / 500.0)
    with pytest.raises(ValueError, match=r"fs=250\.0 contradicts coordinate 'time', which has 500 samples per second"):
        adaptive.optimize(x, 250.0)
    assert adaptive.optimize(x, 500.1).sft.fs == 500.1  # what is meant is the same
    with pytest.raises(ValueError, match=r"fs=-1 must be greater than 0 Hz"):
        adaptive.optimize(x, -1)
    with pytest.raises(TypeError, match=r"axis=0 is not an argument: dim='time' names the time axis"):
        adaptive.optimize(x, axis=0)


def test_functions_for_arrays_do_not_misread_the_axes(rng):
    x = xarray.DataArray(rng.standard_normal((600, 3)), dims=["time", "sensor"])
    sft = AdaptiveShortTimeFFT("hann", 64.0, 16.0, 500.0)
    message = r"x is a DataArray of dimensions \('time', 'sensor'\), and axis=-1 is 'sensor': use .* adaptstft\.xarray"
    for function in (
        lambda **axis: adaptstft.optimize(x, 500.0, **axis).win_length,
        lambda **axis: sft.stft(x, **axis),
        lambda **axis: adaptstft.denoise(x, 500.0, **axis),
    ):
        with pytest.raises(ValueError, match=message):
            function()
        found = function(axis=0)  # which is time
    assert_array_equal(found, adaptstft.denoise(x.values, 500.0, axis=0))
    assert adaptstft.optimize(x.transpose(), 500.0).win_length == adaptstft.optimize(x.values.T, 500.0).win_length
    assert adaptstft.optimize(x[:, 0], 500.0).win_length == adaptstft.optimize(x.values[:, 0], 500.0).win_length
    with pytest.raises(ValueError, match=r"axis=-1 is 't'"):
        adaptstft.optimize(x.transpose().rename(time="t"), 500.0)
    table = adaptstft.optimize_many({"a": x}, 500.0)
    assert "and axis=-1 is 'sensor'" in table[0]["error"]
