"""Comparison of the CUDA kernels with the NumPy kernels, on a device or in Numba's simulator.

``test_cuda.py`` runs this file in a separate process, with ``NUMBA_ENABLE_CUDASIM=1`` and, if there is a
device, also without. The simulator uses the arrays of ``strict_arrays.py``, which raise errors where CuPy does.
"""

import autograd.numpy as anp
import numpy as np
import pytest
from random_arrays import numbers

from adaptstft import windows
from adaptstft.engine.bins import BinFrames
from adaptstft.kernels import plain
from adaptstft.kernels.terms import LOG1P, POWER, POWER_LOG

MFFT = 12
N = 20
#: Frames that end before the signal, reach over each of its ends, are inside it, and begin after it. They are not in
#: order, as frames of different lengths may be.
START = np.array([-15, -3, -5, 11, 3, 16, 2, 25])
COUNT = np.array([9, 5, 12, 8, 12, 10, 7, 4])
OFFSET = np.array([0, 11, 7, 3, 10, 0, 6, 9])


@pytest.fixture(params=["one row", "rows"])
def rows(request, rng, real):
    """A window and its derivative, one row for each frame or one for all frames, and their scale."""
    shape = (1 if request.param == "one row" else START.size, int(COUNT.max()))
    w, dw = rng.standard_normal((2, *shape)).astype(real)
    return w, dw, rng.uniform(0.5, 2, shape[0])


def compare(module, name, arrays, out, *, on_host=(), out_on_host=()):
    """Compare a kernel of both backends; `arrays` are its inputs, `out` its outputs."""
    expected = [a.copy() for a in out]
    getattr(plain, name)(*arrays, *expected)
    single = any(getattr(a, "dtype", None) in (np.float32, np.complex64) for a in (*arrays, *out))
    on_device = [module.asarray(a) if isinstance(a, np.ndarray) and a.dtype != np.int64 else a for a in arrays]
    on_device = [arrays[i] if i in on_host else a for i, a in enumerate(on_device)]
    found = [a.copy() if i in out_on_host else module.asarray(a.copy()) for i, a in enumerate(out)]
    getattr(module, name)(*on_device, *found)
    for e, f in zip(expected, found, strict=True):
        host = f if isinstance(f, np.ndarray) else module.to_host(f)
        atol = (1e-4 if single else 1e-12) * abs(e).max(initial=0)
        np.testing.assert_allclose(host, e, rtol=0, atol=atol)
        assert f.dtype == e.dtype


@pytest.mark.parametrize("degree", [27, 5])
@pytest.mark.parametrize("plateau", [0.0, 0.2])
def test_windows(degree, plateau, real, cuda, rng):
    win_length = np.array([7.3, 4.0, 9.9])
    lead = np.array([-3.2, -2.0, -4.95])
    count = np.array([7, 4, 10])
    value, derivative = rng.standard_normal((2, degree + 1))
    w, dw = np.zeros((2, 3, 11), real)
    compare(cuda, "window_rows", (value, derivative, plateau, win_length, lead, count), (w, dw), on_host=(0, 1, 3, 4))
    compare(cuda, "polynomial_rows", (value, plateau, win_length, lead, count), (w,), on_host=(0, 2, 3))
    w, dw = rng.standard_normal((2, 3, 11)).astype(real)
    compare(cuda, "row_sums", (w, dw, win_length, lead, count), (np.ones((4, 3)),), on_host=(2, 3))


def test_between_signal_and_frames(dtype, rows, cuda, rng):
    w, dw, scale = rows
    x = numbers(rng, dtype, N)
    y = numbers(rng, dtype, START.size, MFFT)
    place = (START, COUNT, OFFSET)
    compare(cuda, "load_frames", (x, w, scale, *place), (y,), on_host=(2,))
    for low, size in ((-8, 33), (4, 5), (0, 0)):
        out = numbers(rng, dtype, size)
        if size:
            compare(cuda, "overlap_add", (y, w, scale, *place, low), (out,), on_host=(2,))
            compare(cuda, "window_energy", (w, scale, START, COUNT, low), (np.ones(size),), on_host=(1,))
        else:
            cuda.overlap_add(cuda.asarray(y), cuda.asarray(w), scale, *place, low, cuda.asarray(out))
    win_length, lead = rng.uniform(4, 12, START.size), rng.uniform(-6, 0, START.size)
    sums = rng.standard_normal((3, START.size))
    compare(cuda, "reduce_frames", (y, x, w, dw, win_length, lead, *place), (sums,), on_host=(4, 5))
    compare(cuda, "reduce_rows", (y, x, w, *place), (sums[0],))


@pytest.mark.parametrize(("scaling", "origin"), [(0, 0.0), (1, 0.0), (2, 0.3)])
@pytest.mark.parametrize("onesided", [True, False])
@pytest.mark.parametrize("mfft", [MFFT, MFFT + 1])
def test_fused_kernels(mfft, onesided, scaling, origin, dtype, real, cuda, rng):
    if onesided and dtype.kind == "c":
        return
    value, derivative = rng.uniform(0.5, 1, (2, 5)).astype(real)
    win_length, lead = COUNT - 0.3, -COUNT / 2 + 0.1
    x, frames = numbers(rng, dtype, N), numbers(rng, dtype, START.size, mfft)
    scales, sums = rng.uniform(1, 2, (2, START.size)), rng.standard_normal((2, START.size))
    place = (win_length, lead, START, COUNT, OFFSET)
    arguments = (x, value, derivative, 0.1, *place, scaling, 0.5, 3.0, origin, 2.0, onesided)
    compare(
        cuda,
        "load_frames_and_energy_gradient",
        arguments,
        (frames, scales, sums),
        on_host=(1, 2, 4, 5),
        out_on_host=(1, 2),
    )
    arguments = (frames, x, derivative, 0.1, *place, scales, sums[0])
    compare(cuda, "window_gradient", arguments, (sums,), on_host=(2, 4, 5, 9, 10), out_on_host=(0,))


@pytest.mark.parametrize("onesided", [True, False])
@pytest.mark.parametrize("mfft", [MFFT, MFFT + 1])
def test_energy_cotangent(mfft, onesided, dtype, rows, cuda, rng):
    w, _, scale = rows
    if onesided and dtype.kind == "c":
        return
    edges = rng.standard_normal((2, START.size))
    out = numbers(rng, dtype, START.size, mfft)
    arrays = (numbers(rng, dtype, N), w, scale, START, COUNT, OFFSET, edges, 4.0, mfft, onesided)
    compare(cuda, "energy_cotangent", arrays, (out,), on_host=(2,))


def test_sums_may_be_on_the_host(cuda, rng):
    spectra = numbers(rng, np.dtype(complex), 5, 7)
    out, expected = np.ones((2, 2, 5))
    arguments = (1.0, False, False, np.array([1.0, 0.5]), np.array([POWER, POWER_LOG]), np.ones(5))
    plain.statistics(spectra, *arguments, expected)
    cuda.statistics(cuda.asarray(spectra), *arguments, out)
    np.testing.assert_allclose(out, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("bins", "mirrored", "even"), [(7, True, True), (7, True, False), (12, False, True), (11, False, False)]
)
def test_bins(bins, mirrored, even, real, cuda, rng):
    spectra = numbers(rng, np.result_type(real, np.complex64), 5, bins)
    spectra[1:3, :4] = 0
    exponents = np.array([1.0, 2.0, 3.0, 0.5, 1.5, 0.7, 1.0, 1.3, 2.0, 2.0])
    kinds = np.array([POWER] * 6 + [POWER_LOG] * 3 + [LOG1P])
    units = np.array([1.0, 0.5, 2.0, 3.0, 0.1])
    layout = (2.0 if mirrored else 1.0, mirrored, even)
    host, terms = (4, 5, 6, 7), (exponents, kinds, units)
    compare(cuda, "statistics", (spectra, *layout, *terms), (np.ones((10, 5)),), on_host=host)
    out = np.empty_like(spectra)
    weights = rng.standard_normal((10, 5))
    compare(cuda, "cotangent", (spectra, *layout, *terms, weights), (out,), on_host=host)
    compare(cuda, "bin_cotangent", (spectra, *layout, rng.standard_normal(spectra.shape)), (out,))
    mfft = 2 * (bins - 1) + (0 if even else 1) if mirrored else bins
    delta = np.array([0.3, 0.0, -0.5, 0.1, 0.49])
    for sign in (1.0, -1.0):
        expected, found = spectra.copy(), cuda.asarray(spectra.copy())
        plain.rotate(expected, delta, mfft, mirrored, sign)
        cuda.rotate(found, delta, mfft, mirrored, sign)
        np.testing.assert_allclose(cuda.to_host(found), expected, rtol=0, atol=1e-5 if real == np.float32 else 1e-12)
    g = numbers(rng, spectra.dtype, 5, bins)
    compare(cuda, "phase_gradient", (g, spectra, mfft, mirrored), (np.ones(5),))


@pytest.mark.parametrize("exponent", [1.0, 1.5, 1.7, 100.0])
def test_description_lengths_of_large_energies(exponent, real, cuda, rng):
    """Powers such as ``E**100`` would overflow."""
    spectra = numbers(rng, np.result_type(real, np.complex64), 5, 7) * 1e6
    spectra[:, :3] *= 1e-9
    spectra[1, 2] = 0
    terms, layout, host = (np.full(1, exponent), np.full(1, LOG1P), np.ones(5)), (2.0, True, True), (4, 5, 6, 7)
    sums = np.ones((1, 5))
    compare(cuda, "statistics", (spectra, *layout, *terms), (sums,), on_host=host)
    compare(cuda, "cotangent", (spectra, *layout, *terms, np.ones((1, 5))), (np.empty_like(spectra),), on_host=host)
    cuda.statistics(cuda.asarray(spectra), *layout, *terms, sums)
    assert np.all(np.isfinite(sums)) and sums.min() > 50


# ---------------------------------------------------------------------------------------
# Windows that differ from bin to bin

#: Centres between samples, midway between two samples and on a sample; before, in and after the signal, not in order.
CENTRE = np.array([3.3, 2.0, 8.5, -4.0, 26.5, 19.0])


@pytest.fixture
def bin_frames(rng):
    """Frames where some windows end on samples, and some are longer than the interval of phasors from the table."""
    win_length = rng.uniform(4, 12, (CENTRE.size, 18))
    win_length[:, ::3] = np.round(win_length[:, ::3])
    win_length[:, 5] += 28
    return BinFrames(win_length, CENTRE, CENTRE + rng.integers(-3, 3, CENTRE.size))


def phasor_table(mfft):
    angle = 2 * np.pi * np.arange(mfft) / mfft
    return np.array([np.cos(angle), np.sin(angle)])


@pytest.mark.parametrize("folded", [True, False])
def test_halves(folded, bin_frames, cuda, rng):
    halves = bin_frames.halves()
    rows = numbers(rng, np.dtype(float), 2, 2, CENTRE.size, halves.width)
    x = numbers(rng, np.dtype(float), 2, N)
    compare(cuda, "split_halves", (x, halves), tuple(rows.copy()))
    for low, size in ((0, N), (-30, 80), (5, 3)):
        out = numbers(rng, np.dtype(float), 2, size)
        compare(cuda, "join_halves", (*rows, halves, low, folded), (out,))


def bell(u):
    return anp.cos(2 * u) ** 2


# windows that jump at their ends, one with a plateau, and one without a polynomial series
@pytest.mark.parametrize(
    ("window", "n_rows"),
    [(("gaussian", 2.0), 1), ("hamming", 2), (("tukey", 0.4), 3), (("gaussian", 2.0), 4), (bell, 3)],
)
def test_sums_over_samples(window, n_rows, bin_frames, cuda, rng):
    window = windows.resolve(window)
    halves, win_length = bin_frames.halves(), np.ascontiguousarray(bin_frames.win_length[:, :9])
    right, left = numbers(rng, np.dtype(float), 2, 2, CENTRE.size, halves.width)
    left[:, halves.leads[0] == 0, 0] = right[:, halves.leads[0] == 0, 0]  # a sum and a difference with zero
    first, mfft = {1: (0, 17), 2: (-4, 9), 3: (-5, 10), 4: (0, 16)}[n_rows]
    arrays = (window, right, left, halves, win_length, first + np.arange(9), phasor_table(mfft))
    sums = numbers(rng, np.dtype(complex), n_rows, 2, *win_length.shape)
    scale_sums = np.ones((*win_length.shape, 4 + 2 * max(n_rows - 3, 0)))
    compare(cuda, "bin_sums", arrays, (sums, scale_sums))
    compare(cuda, "bin_sums", arrays, (sums, np.zeros((0, 0, 0))), on_host=(4, 6))
    for leads in (np.zeros(2), np.array([0.25, 0.75]), np.array([0.5, 0.5])):
        compare(cuda, "scale_sums", (window, win_length[0], leads, n_rows), (scale_sums[0],), on_host=(1, 2))


@pytest.mark.parametrize(
    ("window", "first", "mfft"), [(("gaussian", 2.0), 0, 35), (("tukey", 0.4), -9, 18), (bell, 0, 34)]
)
def test_sums_over_bins(window, first, mfft, bin_frames, cuda, rng):
    window, halves = windows.resolve(window), bin_frames.halves()
    rows = numbers(rng, np.dtype(float), 2, 2, CENTRE.size, halves.width)
    g = numbers(rng, np.dtype(complex), 2, *bin_frames.win_length.shape)
    bins = np.arange(18) if first >= 0 else np.roll(first + np.arange(18), first)  # consecutive modulo mfft
    arrays = (window, g, halves, bin_frames.win_length, bins, phasor_table(mfft))
    joined = np.zeros(
        (2, 2, 80)
    )  # how a sample on the centre is divided between the rows does not matter, only their sum
    for module, out in zip((cuda, plain), joined, strict=True):
        on_device = [module.asarray(a) if isinstance(a, np.ndarray) and a.dtype != np.int64 else a for a in arrays]
        right, left = (module.asarray(row.copy()) for row in rows)
        module.bin_adjoint(*on_device, right, left)
        plain.join_halves(module.to_host(right), module.to_host(left), halves, -30, True, out)
    np.testing.assert_allclose(*joined, rtol=0, atol=1e-12 * abs(joined).max())
    gain = rng.uniform(0.5, 2, bin_frames.win_length.shape)
    compare(cuda, "bin_energy", (window, gain, halves, bin_frames.win_length), tuple(rows[:, 0]))
