"""The compiled kernels where they are written out by hand: logarithms, polynomials, fused passes, mirror images."""

import numpy as np
import pytest

from adaptstft.kernels import _numba, _numpy
from adaptstft.kernels._numba_log import logs_or_zero
from adaptstft.series import SIZES
from adaptstft.windows import resolve

BACKENDS = pytest.mark.parametrize("kernels", [_numba, _numpy], ids=["numba", "numpy"])


def logs(x):
    out = np.full(len(x), np.nan)
    logs_or_zero(np.asarray(x, dtype=float), out)
    return out


def in_ulps(x):
    exact = np.log(np.asarray(x, dtype=np.longdouble))
    return np.abs(logs(x) - exact) / np.spacing(np.abs(exact).astype(float))


@pytest.mark.parametrize(
    "x",
    [
        np.exp(np.random.default_rng(0).uniform(-708, 709, 100_000)),
        np.exp(np.random.default_rng(1).uniform(-1, 1, 100_000)),
        1 + np.random.default_rng(2).standard_normal(100_000) * 1e-7,
        np.ldexp(1.0, np.arange(-1074, 1024)),
        np.ldexp(np.sqrt([0.5, 2.0]) * [[1 - 1e-15], [1], [1 + 1e-15]], np.arange(-1000, 1000)[:, None, None]).ravel(),
        np.array([5e-324, 1e-310, np.finfo(float).tiny, np.nextafter(np.finfo(float).tiny, 0), np.finfo(float).max]),
        np.array([1 - 2.0**-53, 1 + 2.0**-52, 1 - 2.0**-52, 0.5, 2, np.e, 1 / np.e]),
    ],
    ids=["all sizes", "about 1", "close to 1", "powers of 2", "seams", "extremes", "special"],
)
def test_logarithms_are_accurate(x):
    assert in_ulps(x).max() < 2


def test_logarithms_of_what_is_no_positive_number():
    np.testing.assert_array_equal(logs([1.0, 0.0, -0.0, -1.0, np.nan, np.inf]), [0, 0, 0, 0, 0, np.inf])


SHANNON = (np.array([1.0, 1.0]), np.array([False, True]))
MIXED = (np.array([1.0, 1.0, 0.5, 2.0, 3.0, 1.7, 0.7]), np.array([False, True, False, False, False, False, True]))


def silent_bins(dtype):
    """Spectra with zeros, and with values whose squares are subnormal or vanish."""
    rng = np.random.default_rng(3)
    spectra = rng.standard_normal((4, 9)) + 1j * rng.standard_normal((4, 9))
    spectra[:, [0, -1]] = spectra[:, [0, -1]].real
    spectra[0, 2:5] = 0
    spectra[1] = 0
    spectra[2, 3:6] = [1e-200, 1e-160j, 1e-155 + 1e-155j]
    return spectra.astype(dtype)


@pytest.mark.parametrize("dtype", [np.complex128, np.complex64])
@pytest.mark.parametrize(("exponents", "logs"), [SHANNON, MIXED], ids=["shannon", "mixed"])
def test_backends_agree_on_silent_bins(exponents, logs, dtype):
    spectra, layout = silent_bins(dtype), (2.0, True, True)
    found = []
    for kernels in (_numba, _numpy):
        sums = np.zeros((exponents.size, 4))
        kernels.statistics(spectra, *layout, exponents, logs, sums)
        g = np.empty((exponents.size, *spectra.shape), dtype)
        for k in range(exponents.size):
            one = slice(k, k + 1)
            kernels.cotangent(spectra, *layout, exponents[one], logs[one], np.ones((1, 4)), g[k])
        assert np.all(np.isfinite(sums)) and np.all(np.isfinite(g))
        assert np.all(sums[:, 1] == 0) and np.all(g[:, 1] == 0) and np.all(g[:, 0, 2:5] == 0)
        found.append((sums, g))
    eps = np.finfo(dtype).eps
    for numba, numpy in zip(*found, strict=True):
        np.testing.assert_allclose(numba, numpy, rtol=20 * eps, atol=20 * eps)


@BACKENDS
@pytest.mark.parametrize("chosen", range(len(MIXED[0])))
def test_statistics_and_cotangent_are_those_of_the_single_passes(kernels, chosen):
    spectra, layout, (exponents, logs) = silent_bins(complex), (2.0, True, True), MIXED
    sums, both = np.zeros((2, exponents.size, 4))
    expected, g = np.empty((2, *spectra.shape), complex)
    one = slice(chosen, chosen + 1)
    kernels.statistics(spectra, *layout, exponents, logs, sums)
    kernels.cotangent(spectra, *layout, exponents[one], logs[one], np.ones((1, 4)), expected)
    kernels.statistics_and_cotangent(spectra, *layout, exponents, logs, chosen, both, g)
    np.testing.assert_allclose(both, sums, rtol=1e-13)
    np.testing.assert_allclose(g, expected, rtol=1e-13)
    kernels.statistics_and_cotangent(spectra, *layout, exponents, logs, chosen, both, spectra)  # in place
    np.testing.assert_allclose(spectra, g, rtol=1e-13)


@BACKENDS
@pytest.mark.parametrize(
    ("mfft", "onesided", "dtype"),
    [(16, True, float), (17, True, float), (16, False, float), (16, False, complex), (17, False, complex)],
)
@pytest.mark.parametrize("gain", [1.0, 2.0, 4.0])
def test_energy_in_one_pass_is_that_of_its_frames(kernels, mfft, onesided, dtype, gain):
    rng = np.random.default_rng(4)
    x = rng.standard_normal(40).astype(dtype)
    if dtype is complex:
        x += 1j * rng.standard_normal(40)
    start, count, offset = np.array([-3, 5, 12, 30]), np.array([9, 16, 7, 14]), np.array([11, 3, 0, 9])
    theta, lead, scale = rng.uniform(9, 16, 4), -rng.uniform(5, 8, 4), rng.uniform(1, 2, 4)
    w, dw = rng.standard_normal((2, 4, 16))
    edges = rng.standard_normal((2, 4)) if mfft % 2 == 0 else rng.standard_normal((2, 4)) * [[1], [0]]
    y = np.full((4, mfft), np.nan, dtype)
    expected, sums = np.zeros((2, 3, 4))
    place = (start, count, offset)
    kernels.energy_cotangent(x, w, scale, *place, edges, gain, mfft, onesided, y)
    kernels.reduce_frames(y, x, w, dw, theta, lead, *place, expected)
    kernels.reduce_energy(x, w, dw, scale, theta, lead, *place, edges, gain, mfft, onesided, sums)
    np.testing.assert_allclose(sums, expected, rtol=1e-12, atol=1e-12)


@BACKENDS
@pytest.mark.parametrize("first", [-8.0, -8.5, -7.7])
@pytest.mark.parametrize("size", [3, *SIZES])
def test_mirrored_samples_and_every_number_of_coefficients(kernels, first, size):
    value, slope = np.random.default_rng(5).uniform(-1, 1, (2, size))
    theta, lead, count = np.array([17.1, 40.0]), np.array([first, first]), np.array([17, 30])
    w, dw, only = np.full((3, 2, 33), np.nan)
    kernels.window_rows(value, slope, 0.05, theta, lead, count, w, dw)
    kernels.polynomial_rows(value, 0.05, theta, lead, count, only)
    for b in range(2):
        side = lead[b] + np.arange(count[b])
        y = np.maximum(np.abs(side / theta[b]) - 0.05, 0) * 4 / 0.9 - 1
        expected = [np.polyval(value[::-1], y), np.polyval(slope[::-1], y) * np.sign(side)]
        np.testing.assert_allclose([w[b, : count[b]], dw[b, : count[b]]], expected, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(only[b, : count[b]], expected[0], rtol=1e-12, atol=1e-12)


@BACKENDS
def test_window_sums_over_samples_of_their_own(kernels):
    series = resolve("hann").series
    theta, count = np.array([10.0, 11.3]), np.array([10, 12])
    lead, sum_lead, sum_count = np.array([-5.0, -5.4]), np.array([-5.0, -5.0]), np.array([10, 11])
    (w, dw), (other_w, other_dw) = np.zeros((2, 2, 12)), np.zeros((2, 2, 12))
    sums, expected = np.zeros((2, 4, 2))
    table = (series.value, series.slope, series.plateau, theta)
    kernels.window_rows_and_sums(*table, lead, count, sum_lead, sum_count, w, dw, sums)
    kernels.window_rows(*table, sum_lead, sum_count, other_w, other_dw)
    kernels.row_sums(other_w, other_dw, theta, sum_lead, sum_count, expected)
    np.testing.assert_allclose(sums, expected, rtol=1e-14, atol=1e-14)
    kernels.window_rows(*table, lead, count, other_w, other_dw)
    np.testing.assert_array_equal((w[0], w[1], dw[0], dw[1]), (other_w[0], other_w[1], other_dw[0], other_dw[1]))


@pytest.mark.parametrize("spec", ["hann", "blackman", "nuttall", "gaussian", "kaiser", ("tukey", 0.3)])
def test_series_are_short_and_accurate(spec):
    window = resolve(spec)
    u = np.linspace(0, 0.499, 777)
    for series, eps in ((window.series, 2.0**-52), (window.series_in(np.float32), 2.0**-23)):
        r = np.maximum(u - series.plateau, 0) / (1 - 2 * series.plateau)
        for c, exact in ((series.value, window(u)), (series.slope, window.derivative(u))):
            assert c.size in SIZES
            error = np.abs(np.polyval(c[::-1].astype(float), 4 * r - 1) - exact).max()
            assert error < 32 * eps * np.abs(exact).max()
    assert window.series_in(np.float32).value.size < 28
    assert resolve("hann").series.value.size == 17
