"""Kernels of the Numba backend compared with NumPy: logarithms, polynomials, fused kernels, symmetry; and exports."""

import ast
import inspect
from pathlib import Path

import numpy as np
import pytest

from adaptstft.kernels import cpu, plain
from adaptstft.kernels.cpu.logarithm import logs_of_one_plus, logs_or_zero
from adaptstft.kernels.halves import Halves
from adaptstft.kernels.terms import LOG1P, POWER, POWER_LOG
from adaptstft.windows import resolve, window
from adaptstft.windows.chebyshev import SIZES

KERNELS = Path(cpu.__file__).parents[1]
BACKENDS = pytest.mark.parametrize("kernels", [cpu, plain], ids=["numba", "numpy"])


def logs(x, dtype=float):
    out = np.full(len(x), np.nan, dtype)
    logs_or_zero(np.asarray(x, dtype=dtype), out)
    return out


def in_ulps(x, dtype=float):
    exact = np.log(np.asarray(x, dtype=dtype).astype(np.longdouble))
    return np.abs(logs(x, dtype) - exact) / np.spacing(np.abs(exact).astype(dtype))


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


@pytest.mark.parametrize(
    "x",
    [
        np.exp(np.random.default_rng(0).uniform(-87, 88, 100_000)),
        np.exp(np.random.default_rng(1).uniform(-1, 1, 100_000)),
        1 + np.random.default_rng(2).standard_normal(100_000) * 1e-4,
        np.ldexp(1.0, np.arange(-149, 128)),
        np.ldexp(np.sqrt([0.5, 2.0]) * [[1 - 1e-6], [1], [1 + 1e-6]], np.arange(-120, 120)[:, None, None]).ravel(),
        np.array([1e-45, 1e-40, np.finfo(np.float32).tiny, np.finfo(np.float32).max]),
    ],
    ids=["all sizes", "about 1", "close to 1", "powers of 2", "seams", "extremes"],
)
def test_logarithms_in_single_precision_are_accurate(x):
    assert in_ulps(x, np.float32).max() < 1.6


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_logarithms_of_numbers_that_are_not_positive_are_zero(dtype):
    np.testing.assert_array_equal(logs([1.0, 0.0, -0.0, -1.0, np.nan, np.inf], dtype), [0, 0, 0, 0, 0, np.inf])


def log_of_one_plus_power(x, exponent):
    """``log(1 + x**a)`` without a power that overflows."""
    return np.logaddexp(0.0, exponent * np.log(np.maximum(x, 1e-300)))


@pytest.mark.parametrize("exponent", [1.0, 1.5, 2.0, 1.7, 100.0])
def test_logarithms_of_one_plus_are_accurate(exponent):
    x = np.concatenate([[0.0], np.geomspace(1e-150, 1e150, 4001)])
    found = np.empty_like(x)
    logs_of_one_plus(x, exponent, found)
    expected = log_of_one_plus_power(x, exponent)
    np.testing.assert_allclose(found, expected, rtol=1e-15, atol=3e-16 * exponent)
    small = (x > 0) & (expected < 1e-3) & (expected > 1e-250)
    np.testing.assert_allclose(found[small], expected[small], rtol=1e-12)  # as accurate as the reference


@pytest.mark.parametrize("exponent", [1.0, 1.5, 2.0, 1.7, 100.0])
def test_logarithms_of_one_plus_in_single_precision(exponent):
    """Powers of the largest numbers overflow."""
    x = np.concatenate([[0.0], np.geomspace(1e-37, 1e38, 4001)]).astype(np.float32)
    found = np.empty_like(x)
    logs_of_one_plus(x, exponent, found)
    expected = log_of_one_plus_power(x.astype(float), exponent)
    np.testing.assert_allclose(found, expected, rtol=3e-7, atol=2e-7 * exponent)
    small = (x > 0) & (expected < 1e-3) & (expected > 1e-30)
    np.testing.assert_allclose(found[small], expected[small], rtol=1e-6 if exponent in (1, 1.5, 2) else 1e-4)


@BACKENDS
@pytest.mark.parametrize("exponent", [1.0, 1.5, 2.0, 1.7, 100.0])
def test_description_lengths_of_all_energies_are_finite(kernels, exponent):
    """Powers such as ``E**100`` overflow for energies that are usual."""
    energy = np.concatenate([[0.0], np.geomspace(1e-60, 1e60, 121)])
    spectra, layout, one = np.sqrt(energy)[:, None].astype(complex), (1.0, False, True), np.ones(energy.size)
    terms = (np.array([exponent]), np.array([LOG1P]))
    expected = log_of_one_plus_power(energy, exponent) / exponent
    for sums in (np.zeros((1, energy.size)), np.zeros((1, energy.size))[:, :, None]):
        if sums.ndim == 2:
            kernels.statistics(spectra, *layout, *terms, one, sums)
        else:
            kernels.add_cell_sums(spectra, *terms, np.ones((1, 1)), np.arange(energy.size), sums)
        np.testing.assert_allclose(sums.ravel(), expected, rtol=1e-14, atol=1e-15)
    both, growth, g = np.zeros((2, 1, energy.size)), np.empty(energy.size), np.empty_like(spectra)
    kernels.statistics_and_cotangent(spectra, *layout, *terms, one, 0, both[0], growth, g)
    # E phi'(E) = E**a / (1 + E**a)
    share = np.exp(exponent * np.log(np.maximum(energy, 1e-300)) - exponent * expected)
    np.testing.assert_allclose(growth, 2 * share, rtol=1e-12, atol=1e-15)
    alone = np.empty_like(spectra)
    kernels.cotangent(spectra, *layout, *terms, one, one[None], alone)
    np.testing.assert_allclose(alone, g, rtol=1e-13)
    np.testing.assert_allclose((g * spectra.conj()).real.ravel(), 2 * share, rtol=1e-12, atol=1e-15)


SHANNON = (np.array([1.0, 1.0]), np.array([POWER, POWER_LOG]))
MIXED = (
    np.array([1.0, 1.0, 0.5, 2.0, 3.0, 1.7, 0.7]),
    np.array([POWER, POWER_LOG, POWER, POWER, POWER, POWER, POWER_LOG]),
)
DESCRIPTIONS = [(np.array([a, 0.5]), np.array([LOG1P, POWER])) for a in (1.0, 2.0, 1.7, 100.0)]
UNITS = np.array([1.0, 2.5, 0.3, 7.0])


def silent_bins(dtype):
    """Spectra with zeros, and with values whose squares are subnormal or zero."""
    rng = np.random.default_rng(3)
    spectra = rng.standard_normal((4, 9)) + 1j * rng.standard_normal((4, 9))
    spectra[:, [0, -1]] = spectra[:, [0, -1]].real
    spectra[0, 2:5] = 0
    spectra[1] = 0
    spectra[2, 3:6] = [1e-200, 1e-160j, 1e-155 + 1e-155j]
    return spectra.astype(dtype)


@pytest.mark.parametrize("dtype", [np.complex128, np.complex64])
@pytest.mark.parametrize(
    ("exponents", "kinds"),
    [SHANNON, MIXED, *DESCRIPTIONS],
    ids=["shannon", "mixed", "log1p", "log1p 2", "log1p 1.7", "log1p 100"],
)
def test_backends_agree_on_silent_bins(exponents, kinds, dtype):
    spectra, layout = silent_bins(dtype), (2.0, True, True)
    results = []
    for kernels in (cpu, plain):
        sums = np.zeros((exponents.size, 4))
        kernels.statistics(spectra, *layout, exponents, kinds, UNITS, sums)
        g = np.empty((exponents.size, *spectra.shape), dtype)
        for k in range(exponents.size):
            one = slice(k, k + 1)
            kernels.cotangent(spectra, *layout, exponents[one], kinds[one], UNITS, np.ones((1, 4)), g[k])
        assert np.all(np.isfinite(sums)) and np.all(np.isfinite(g))
        assert np.all(sums[:, 1] == 0) and np.all(g[:, 1] == 0) and np.all(g[:, 0, 2:5] == 0)
        results.append((sums, g))
    eps = np.finfo(dtype).eps
    for numba, numpy in zip(*results, strict=True):
        if numpy.ndim == 3 and eps < 1e-10:  # subnormal squares have few digits
            np.testing.assert_allclose(numba[:, 2, 4:6], numpy[:, 2, 4:6], rtol=1e-4, atol=20 * eps)
            numba[:, 2, 4:6] = numpy[:, 2, 4:6]
        np.testing.assert_allclose(numba, numpy, rtol=20 * eps, atol=20 * eps)


@pytest.mark.parametrize("factor", [1e-18, 4e-9, 2.5e-8, 1e-6, 1.0, 1e4, 1e12])
@pytest.mark.parametrize("exponents", [MIXED[0], np.append(MIXED[0][:-1], 4.5)], ids=["to 3", "to 4.5"])
@pytest.mark.parametrize("bins", [65, 32769])
def test_sums_in_single_precision_do_not_overflow(bins, exponents, factor):
    """Powers of the energies are far outside the range of single precision, their sums are not."""
    rng = np.random.default_rng(8)
    spectra = factor * (rng.standard_normal((3, bins)) + 1j * rng.standard_normal((3, bins)))
    found, expected = np.zeros((2, exponents.size, 3))
    layout, kinds = (2.0, True, True), MIXED[1]
    plain.statistics(spectra, *layout, exponents, kinds, UNITS[:3], expected)
    cpu.statistics(spectra.astype(np.complex64), *layout, exponents, kinds, UNITS[:3], found)
    assert np.isfinite(expected).all()
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    for chosen in (1, 4) if 1e-8 < factor < 1e8 else ():  # the cotangents themselves leave the range elsewhere
        growth, g, g32 = np.zeros((2, 3)), np.empty((3, bins), complex), np.empty((3, bins), np.complex64)
        sums_of = (exponents, kinds, UNITS[:3], chosen)
        both = np.zeros((exponents.size, 3))
        cpu.statistics_and_cotangent(spectra.astype(np.complex64), *layout, *sums_of, both, growth[0], g32)
        plain.statistics_and_cotangent(spectra, *layout, *sums_of, expected * 0, growth[1], g)
        np.testing.assert_array_equal(both, found)
        np.testing.assert_allclose(growth[0], growth[1], rtol=1e-5)
        np.testing.assert_allclose(g32, g, rtol=1e-4, atol=1e-6 * abs(g).max())


@pytest.mark.parametrize("dtype", [np.complex64, np.complex128])
@pytest.mark.parametrize("exponents_and_kinds", [SHANNON, MIXED], ids=["shannon", "mixed"])
def test_frames_of_the_smallest_numbers(exponents_and_kinds, dtype):
    """A decaying sound ends in frames of subnormal numbers, whose squares are zero."""
    smallest = float(np.finfo(dtype).smallest_subnormal)
    levels = np.append(np.geomspace(smallest, smallest * 2.0**60, 31), 0.0)
    rng, one = np.random.default_rng(9), np.ones(levels.size)
    spectra = levels[:, None] * np.exp(2j * np.pi * rng.uniform(size=(levels.size, 9)))
    exponents, kinds = exponents_and_kinds
    sums, g = np.zeros((exponents.size, levels.size)), np.empty(spectra.shape, dtype)
    for chosen in range(exponents.size):
        growth = np.empty(levels.size)
        sums_of = (exponents, kinds, one, chosen)
        cpu.statistics_and_cotangent(spectra.astype(dtype), 2.0, True, True, *sums_of, sums, growth, g)
        assert np.isfinite(sums).all() and np.isfinite(growth).all()
        assert np.isfinite(g).all() or exponents[chosen] < 1  # the derivative of a root is infinite at zero
    energies = np.zeros((exponents.size, levels.size))
    plain.statistics(spectra.astype(dtype).astype(complex), 2.0, True, True, exponents, kinds, one, energies)
    normal = energies[:1] > 1e-290 if dtype == np.complex128 else energies[:1] > 0  # others have few digits, or none
    np.testing.assert_allclose((sums / exponents.size)[:, normal[0]], energies[:, normal[0]], rtol=1e-4)


@BACKENDS
@pytest.mark.parametrize("chosen", range(len(MIXED[0])))
def test_statistics_and_cotangent_equals_the_single_kernels(kernels, chosen):
    spectra, layout, (exponents, kinds) = silent_bins(complex), (2.0, True, True), MIXED
    sums, both, derivative = *np.zeros((2, exponents.size, 4)), np.empty(4)
    expected, g = np.empty((2, *spectra.shape), complex)
    one = slice(chosen, chosen + 1)
    kernels.statistics(spectra, *layout, exponents, kinds, UNITS, sums)
    kernels.cotangent(spectra, *layout, exponents[one], kinds[one], UNITS, np.ones((1, 4)), expected)
    terms = (exponents, kinds, UNITS, chosen)
    kernels.statistics_and_cotangent(spectra, *layout, *terms, both, derivative, g)
    np.testing.assert_allclose(both, sums, rtol=1e-13)
    np.testing.assert_allclose(g, expected, rtol=1e-13)
    kernels.statistics_and_cotangent(spectra, *layout, *terms, both, derivative, spectra)  # in place
    np.testing.assert_allclose(spectra, g, rtol=1e-13)


@BACKENDS
@pytest.mark.parametrize(("mirrored", "even"), [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("chosen", range(len(MIXED[0])))
def test_derivative_in_the_logarithm_of_the_scale(kernels, chosen, mirrored, even):
    rng = np.random.default_rng(6)
    spectra = rng.standard_normal((3, 9)) + 1j * rng.standard_normal((3, 9))
    derivative, derivatives, g, step = np.empty(3), np.empty((3, 3)), np.empty_like(spectra), 1e-5
    sums = np.zeros((3, len(MIXED[0]), 3))
    for i, factor in enumerate((1.0, np.exp(step), np.exp(-step))):
        layout = (2.0 if mirrored else 1.0, mirrored, even)
        kernels.statistics_and_cotangent(spectra * factor, *layout, *MIXED, UNITS[:3], chosen, sums[i], derivative, g)
        derivatives[i] = derivative
    np.testing.assert_allclose(derivatives[0], (sums[1, chosen] - sums[2, chosen]) / (2 * step), rtol=1e-7)


#: Frames that reach over the ends of a signal of 40 samples, are inside it, have the same window, and are outside it.
START, COUNT, OFFSET = (
    np.array([-3, 5, 12, 20, 30, 45]),
    np.array([9, 16, 15, 15, 14, 9]),
    np.array([13, 3, 0, 9, 8, 2]),
)
THETA = np.array([9.3, 16.0, 15.2, 15.2, 13.7, 9.1])
LEAD = np.array([-4.5, -8.0, -7.3, -7.3, -6.8, -4.4])


def fused(kernels, x, mfft, onesided, scaling, origin, gain):
    """Frames, scales and derivatives of the energy from the fused kernel."""
    series = resolve("hann").series_in(x.real.dtype)
    out, scales, energy = np.full((6, mfft), np.nan, x.dtype), np.empty((2, 6)), np.ones((2, 6))
    table, place = (series.value, series.derivative, series.plateau), (THETA, LEAD, START, COUNT, OFFSET)
    kernels.load_frames_and_energy_gradient(
        x, *table, *place, scaling, 0.5, 3.0, origin, gain, onesided, out, scales, energy
    )
    return out, scales, energy - 1


@pytest.mark.parametrize(
    ("mfft", "onesided", "dtype"),
    [(16, True, float), (17, True, np.float32), (16, False, float), (16, False, np.complex64), (17, False, complex)],
)
@pytest.mark.parametrize("gain", [1.0, 2.0, 4.0])
@pytest.mark.parametrize(("scaling", "origin"), [(0, 0.0), (1, 0.0), (2, 0.3), (1, -0.2)])
def test_fused_kernels_equal_the_single_kernels(mfft, onesided, dtype, gain, scaling, origin):
    rng = np.random.default_rng(4)
    x, y = rng.standard_normal(40).astype(dtype), rng.standard_normal((6, mfft)).astype(dtype)
    if np.iscomplexobj(x):
        x, y = x + (1j * rng.standard_normal(40)).astype(dtype), y * np.exp(1j * np.arange(mfft)).astype(dtype)
    rtol = 1e-11 if np.finfo(dtype).dtype == np.float64 else 3e-5
    result, expected = (fused(kernels, x, mfft, onesided, scaling, origin, gain) for kernels in (cpu, plain))
    for one, other in zip(result, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=rtol * abs(other).max())
    series, log_scale_derivative = resolve("hann").series_in(x.real.dtype), rng.standard_normal(6)
    place = (THETA, LEAD, START, COUNT, OFFSET, expected[1], log_scale_derivative)
    gradients = np.zeros((2, 2, 6))
    for kernels, out in zip((cpu, plain), gradients, strict=True):
        kernels.window_gradient(y, x, series.derivative, series.plateau, *place, out)
    np.testing.assert_allclose(gradients[0], gradients[1], rtol=0, atol=rtol * abs(gradients[1]).max())


@BACKENDS
@pytest.mark.parametrize("dtype", [float, np.float32])
def test_gradients_of_the_energy_can_be_left_out(kernels, dtype):
    x = np.random.default_rng(9).standard_normal(40).astype(dtype)
    expected, scales, _ = fused(kernels, x, 16, True, 2, 0.3, 2.0)
    series, own_scales = resolve("hann").series_in(dtype), np.empty((2, 6))
    out = np.full((6, 16), np.nan, dtype)
    table, place = (series.value, series.derivative, series.plateau), (THETA, LEAD, START, COUNT, OFFSET)
    kernels.load_frames_and_energy_gradient(
        x, *table, *place, 2, 0.5, 3.0, 0.3, 2.0, True, out, own_scales, np.zeros((2, 0))
    )
    np.testing.assert_array_equal(out, expected)
    np.testing.assert_array_equal(own_scales, scales)


@pytest.mark.parametrize(("mfft", "onesided"), [(16, True), (17, True), (16, False)])
@pytest.mark.parametrize("gain", [1.0, 2.0, 4.0])
def test_energy_and_its_derivative_in_the_length(mfft, onesided, gain):
    x, gain = np.random.default_rng(7).standard_normal(40), gain if onesided else 1.0
    series, step, energies, derivatives = resolve("hann").series, 1e-5, [], []
    table = (series.value, series.derivative, series.plateau)
    for win_length in (THETA, THETA + step, THETA - step):
        out, scales, gradients = np.empty((6, mfft)), np.empty((2, 6)), np.zeros((2, 6))
        place = (win_length, LEAD, START, COUNT, OFFSET)
        cpu.load_frames_and_energy_gradient(x, *table, *place, 0, 1.0, 1.0, 0.0, gain, onesided, out, scales, gradients)
        power = np.abs(np.fft.rfft(out) if onesided else np.fft.fft(out)) ** 2
        if onesided:
            power[:, 1 : -1 if mfft % 2 == 0 else None] *= gain
        energies.append(power.sum(axis=1))
        derivatives.append(gradients[0])
    np.testing.assert_allclose(derivatives[0], (energies[1] - energies[2]) / (2 * step), rtol=0, atol=1e-6)


@BACKENDS
@pytest.mark.parametrize("first", [-8.0, -8.5, -7.7])
@pytest.mark.parametrize("size", [3, *SIZES])
@pytest.mark.parametrize("zeros", [None, slice(1, None, 2), slice(2, None, 2), slice(2, 3)])
def test_symmetric_rows_and_every_number_of_coefficients(kernels, first, size, zeros):
    value, derivative = np.random.default_rng(5).uniform(-1, 1, (2, size))
    if zeros is not None:  # even polynomials, and a constant plus odd ones, have loops of their own
        value[zeros] = derivative[zeros] = 0.0
    win_length, lead, count = np.array([17.1, 40.0]), np.array([first, first]), np.array([17, 30])
    w, dw, symmetric = np.full((3, 2, 33), np.nan)
    kernels.window_rows(value, derivative, 0.05, win_length, lead, count, w, dw)
    kernels.polynomial_rows(value, 0.05, win_length, lead, count, symmetric)
    for b in range(2):
        side = lead[b] + np.arange(count[b])
        y = np.maximum(np.abs(side / win_length[b]) - 0.05, 0) * 4 / 0.9 - 1
        expected = [np.polyval(value[::-1], y), np.polyval(derivative[::-1], y) * np.sign(side)]
        np.testing.assert_allclose([w[b, : count[b]], dw[b, : count[b]]], expected, rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(symmetric[b, : count[b]], expected[0], rtol=1e-12, atol=1e-12)


#: Centres on samples and between them, in both orders.
CENTRES = np.array([12.0, 20.0, 20.25, 28.25, 36.0, 36.5, 44.5, 52.0])
#: Window lengths of frames and bins: the same in successive frames, in successive bins, and of their own.
LENGTHS = np.array(
    [[9.3, 9.3, 8.0], [9.3, 9.3, 7.1], [9.3, 9.3, 10.0], [9.3, 6.0, 10.0], [6.0, 6.0, 10.0], *([[8.5] * 3] * 3)]
)


@pytest.mark.parametrize("spec", ["hann", ("gaussian", 4.0)])
@pytest.mark.parametrize("n_rows", [1, 2, 3, 4])
def test_windows_of_bins_that_successive_frames_share(spec, n_rows, rng):
    window, mfft, bins = resolve(spec), 24, np.arange(3)
    n_rows = min(n_rows, 3 + len(window.shape))
    halves = Halves.of(CENTRES, CENTRES - rng.integers(0, 3, CENTRES.size), LENGTHS.max())
    x, angle = rng.standard_normal((2, 70)), 2 * np.pi * np.arange(mfft) / mfft
    table, found = np.array([np.cos(angle), np.sin(angle)]), []
    for kernels in (cpu, plain):
        right, left = np.empty((2, 2, CENTRES.size, halves.width))
        kernels.split_halves(x, halves, right, left)
        sums = np.empty((n_rows, 2, CENTRES.size, bins.size), complex)
        scales = np.ones((CENTRES.size, bins.size, 4 + 2 * max(n_rows - 3, 0)))  # sums are added
        kernels.bin_sums(window, right, left, halves, LENGTHS, bins, table, sums, scales)
        back, signal = np.zeros((2, 2, CENTRES.size, halves.width)), np.zeros((2, 70))
        kernels.bin_adjoint(window, sums[0], halves, LENGTHS, bins, table, *back)
        kernels.join_halves(*back, halves, 0, True, signal)
        found.append((sums, scales[..., :1] if n_rows == 1 else scales, signal))
    for numba, numpy in zip(*found, strict=True):
        np.testing.assert_allclose(numba, numpy, rtol=0, atol=1e-11 * np.abs(numpy).max())


@pytest.mark.parametrize("spec", ["hann", "blackman", "nuttall", "gaussian", "kaiser", ("tukey", 0.3)])
def test_series_are_short_and_accurate(spec):
    window = resolve(spec)
    u = np.linspace(0, 0.499, 777)
    for series, eps in ((window.series, 2.0**-52), (window.series_in(np.float32), 2.0**-23)):
        r = np.maximum(u - series.plateau, 0) / (1 - 2 * series.plateau)
        for c, exact in ((series.value, window(u)), (series.derivative, window.derivative(u))):
            assert c.size in SIZES
            error = np.abs(np.polyval(c[::-1].astype(float), 4 * r - 1) - exact).max()
            assert error < 32 * eps * np.abs(exact).max()
    assert window.series_in(np.float32).value.size < 28
    assert resolve("hann").series.value.size == 17


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("spec", ["hann", "hamming", ("tukey", 0.3)])
def test_windows_of_one_cosine_are_odd_about_their_half_height(spec, dtype):
    series = resolve(spec).series_in(np.dtype(dtype))
    assert not series.value[2::2].any() and not series.derivative[1::2].any()


def test_series_of_named_windows_are_fitted_once(monkeypatch):
    monkeypatch.setattr(window, "_fits", {})
    assert resolve(("gaussian", 7.25)).series is resolve(("gaussian", 7.25)).series
    assert resolve(("gaussian", 7.25)).series is not resolve(("gaussian", 7.5)).series
    assert resolve("hann").series_in(np.float32) is not resolve("hann").series
    for ratio in np.linspace(5, 6, 3 * window._MOST_FITS):
        assert resolve(("gaussian", ratio)).series is not None
    assert len(window._fits) <= window._MOST_FITS
    before = len(window._fits)
    assert resolve(lambda u: 1 - 2 * u**2).series is not None
    assert len(window._fits) == before


def exported_names(package):
    """Names that a backend's ``__init__`` defines for the engine, read from its source, which needs no device."""
    tree = ast.parse((KERNELS / package / "__init__.py").read_text(encoding="utf-8"))
    names = set()
    for node in tree.body:
        if isinstance(node, ast.ImportFrom) and node.module.startswith(f"adaptstft.kernels.{package}"):
            names |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module == "adaptstft.kernels.host":
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets}
    return {name for name in names if not name.startswith("_")}


def test_backends_export_the_same_names():
    names = exported_names("cpu")
    assert len(names) > 30
    assert exported_names("plain") == names
    assert exported_names("cuda") == names


@pytest.mark.parametrize("name", sorted(exported_names("cpu")))
def test_backends_take_the_same_arguments(name):
    numba, numpy = getattr(cpu, name), getattr(plain, name)
    if callable(numba):
        assert list(inspect.signature(numba).parameters) == list(inspect.signature(numpy).parameters)
