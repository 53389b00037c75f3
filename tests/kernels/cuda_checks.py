"""Comparison of the CUDA backend with the NumPy backend, on a device or in Numba's simulator.

``test_cuda.py`` runs this file in a separate process, with ``NUMBA_ENABLE_CUDASIM=1`` and, if there is a
device, also without. The simulator uses the arrays of ``strict_arrays.py``, which raise errors where CuPy does.
"""

import sys

import autograd.numpy as anp
import numpy as np
import pytest

import adaptstft
from adaptstft import AdaptiveShortTimeFFT, criteria, windows
from adaptstft.engine.bins import BinFrames
from adaptstft.kernels import plain

MFFT = 12
N = 20
#: Frames that end before the signal, reach over each of its ends, are inside it, and begin after it. They are not in
#: order, as frames of different lengths may be.
START = np.array([-15, -3, -5, 11, 3, 16, 2, 25])
COUNT = np.array([9, 5, 12, 8, 12, 10, 7, 4])
OFFSET = np.array([0, 11, 7, 3, 10, 0, 6, 9])


@pytest.fixture
def cuda(monkeypatch):
    """The module of CUDA kernels, in the simulator on strict arrays."""
    from adaptstft import kernels
    from adaptstft.kernels.cuda import arrays as cuda_arrays

    module = kernels.resolve("cuda")[1]
    if cuda_arrays.SIMULATED:
        import strict_arrays

        strict_arrays.install(monkeypatch, cuda_arrays, module)
        interval = sys.getswitchinterval()
        sys.setswitchinterval(2e-4)  # the simulator runs each thread of the device on a thread of the host
        yield module
        sys.setswitchinterval(interval)
    else:
        yield module


@pytest.fixture(params=[np.float32, np.float64])
def real(request):
    return request.param


@pytest.fixture(params=["real", "complex"])
def dtype(request, real):
    return np.dtype(real) if request.param == "real" else np.result_type(real, np.complex64)


@pytest.fixture(params=["one row", "rows"])
def rows(request, rng, real):
    """A window and its derivative, one row for each frame or one for all frames, and their scale."""
    shape = (1 if request.param == "one row" else START.size, int(COUNT.max()))
    w, dw = rng.standard_normal((2, *shape)).astype(real)
    return w, dw, rng.uniform(0.5, 2, shape[0])


def numbers(rng, dtype, *shape):
    values = rng.standard_normal(shape)
    return (values + 1j * rng.standard_normal(shape)).astype(dtype) if dtype.kind == "c" else values.astype(dtype)


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
    arguments = (1.0, False, False, np.array([1.0, 0.5]), np.array([False, True]))
    plain.statistics(spectra, *arguments, expected)
    cuda.statistics(cuda.asarray(spectra), *arguments, out)
    np.testing.assert_allclose(out, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("bins", "mirrored", "even"), [(7, True, True), (7, True, False), (12, False, True), (11, False, False)]
)
def test_bins(bins, mirrored, even, real, cuda, rng):
    spectra = numbers(rng, np.result_type(real, np.complex64), 5, bins)
    spectra[1:3, :4] = 0
    exponents = np.array([1.0, 2.0, 3.0, 0.5, 1.5, 0.7, 1.0, 1.3, 2.0])
    logs = np.array([False] * 6 + [True] * 3)
    layout = (2.0 if mirrored else 1.0, mirrored, even)
    host = (4, 5, 6)
    compare(cuda, "statistics", (spectra, *layout, exponents, logs), (np.ones((9, 5)),), on_host=host)
    out = np.empty_like(spectra)
    weights = rng.standard_normal((9, 5))
    compare(cuda, "cotangent", (spectra, *layout, exponents, logs, weights), (out,), on_host=host)
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


def test_basis_transforms(real, cuda, rng):
    basis, table = rng.standard_normal((2, 3, 11, 2, 5)).astype(real), rng.standard_normal((9, 5)).astype(real)
    place = rng.uniform(-1, 10, (3, 11))
    out = numbers(rng, np.result_type(real, np.complex64), 2, 2, 3, 11)
    compare(cuda, "combine_basis", (basis, table, place), (out,), on_host=(2,))
    own = cuda.empty_basis(2, 3, 11, 5, real)
    own[...] = cuda.asarray(basis)
    found = cuda.asarray(out.copy())
    cuda.combine_basis(own, cuda.asarray(table), place, found)
    plain.combine_basis(basis, table, place, out)
    np.testing.assert_allclose(cuda.to_host(found), out, rtol=0, atol=(1e-4 if real == np.float32 else 1e-12))


# ---------------------------------------------------------------------------------------
# End to end

LENGTH = 40


def transforms(rng, **settings):
    """The same transform on both backends; frames of several lengths reach over both ends of the signal."""
    positions = np.array([-1.3, 4.0, 9.7, 16.2, 23.6, 33.0, 41.2])
    defaults = {
        "window": "hann",
        "win_length": rng.uniform(14, 19, positions.size),
        "hop": None,
        "positions": positions,
        "fs": 2.0,
        "mfft": 20,
        "scale_to": "psd",
    }
    return [AdaptiveShortTimeFFT(**defaults | settings, backend=backend) for backend in ("cuda", "numpy")]


def on_host(module, found, wanted_on_device):
    """Return an array on the host, after a check of whether it is on the device."""
    if module.xp is not np:
        assert isinstance(found, module.xp.ndarray) == wanted_on_device
    return module.to_host(found)


def assert_close(module, found, expected, on_device=False, rtol=1e-10):
    found = on_host(module, found, on_device)
    assert found.dtype == expected.dtype
    np.testing.assert_allclose(found, expected, rtol=0, atol=rtol * max(abs(expected).max(), 1e-300))


def assert_gradients_agree(module, found, expected, on_device, rtol=1e-9):
    for name in ("win_length", "positions", "hop", "shape"):
        value, other = getattr(found, name), getattr(expected, name)
        assert (value is None) == (other is None)
        if other is not None:
            assert isinstance(value, float | np.ndarray)
            np.testing.assert_allclose(value, other, rtol=0, atol=rtol * abs(np.asarray(other)).max())
    for name in ("x", "S"):
        if getattr(expected, name) is not None:
            assert_close(module, getattr(found, name), getattr(expected, name), on_device, rtol)


@pytest.mark.parametrize(
    ("fft_mode", "mfft", "on_device"),
    [("twosided", 20, False), ("centered", 19, True), ("onesided", 20, True), ("onesided2X", 19, False)],
)
def test_transforms_and_their_gradients(fft_mode, mfft, on_device, cuda, rng):
    one, other = transforms(rng, fft_mode=fft_mode, mfft=mfft)
    dtype = np.dtype(complex if fft_mode in ("twosided", "centered") else float)
    x = numbers(rng, dtype, 2, LENGTH)
    put = cuda.xp.asarray if on_device else np.asarray
    S = other.stft(x)
    assert_close(cuda, one.stft(put(x)), S, on_device)
    assert_close(cuda, one.spectrogram(put(x), put(x[::-1])), other.spectrogram(x, x[::-1]), on_device)
    S = S + numbers(rng, np.dtype(complex), *S.shape)  # not the transform of any signal
    y = other.istft(S, 2, 39)
    assert_close(cuda, one.istft(put(S), 2, 39), y, on_device)
    G, g = numbers(rng, np.dtype(complex), *S.shape), numbers(rng, dtype, *y.shape)
    assert_gradients_agree(cuda, one.vjp(put(x), put(G)), other.vjp(x, G), on_device)
    assert_gradients_agree(cuda, one.istft_vjp(put(S), put(g), 2, 39), other.istft_vjp(S, g, 2, 39), on_device)


def bin_transforms(rng, fft_mode="onesided", mfft=8, **settings):
    """The same transform on both backends with one window length for each bin; centres on and between samples."""
    positions = np.array([-1.0, 1.3, 3.0, 5.0, 7.7, 10.0])
    f_pts = mfft if fft_mode in ("twosided", "centered") else mfft // 2 + 1
    lengths = rng.uniform(6, 7, (f_pts, positions.size))
    lengths[0] = 6.0
    defaults = {"win_length": lengths, "positions": positions, "fft_mode": fft_mode, "mfft": mfft}
    return transforms(rng, **defaults | {"window": ("gaussian", 5.0)} | settings)


@pytest.mark.parametrize(
    ("fft_mode", "mfft", "on_device"),
    [("twosided", 8, False), ("centered", 7, True), ("onesided", 8, True), ("onesided2X", 7, False)],
)
def test_windows_per_bin(fft_mode, mfft, on_device, cuda, rng):
    one, other = bin_transforms(rng, fft_mode, mfft)
    dtype = np.dtype(complex if fft_mode in ("twosided", "centered") else float)
    x = numbers(rng, dtype, 10)
    put = cuda.xp.asarray if on_device else np.asarray
    S = other.stft(x)
    assert_close(cuda, one.spectrogram(put(x)), other.spectrogram(x), on_device)
    S = S + numbers(rng, np.dtype(complex), *S.shape)  # not the transform of any signal
    y = other.istft(S, 0, 10, tol=1e-4)
    assert_close(cuda, one.istft(put(S), 0, 10, tol=1e-4), y, on_device)
    G, g = numbers(rng, np.dtype(complex), *S.shape), numbers(rng, dtype, *y.shape)
    assert_gradients_agree(cuda, one.vjp(put(x), put(G)), other.vjp(x, G), on_device)
    if fft_mode in ("centered", "onesided2X"):
        expected = other.istft_vjp(S, g, 0, 10, tol=1e-4)
        assert_gradients_agree(cuda, one.istft_vjp(put(S), put(g), 0, 10, tol=1e-4), expected, on_device)


@pytest.mark.parametrize("per_bin", [False, True])
@pytest.mark.parametrize(("fft_mode", "on_device"), [("centered", True), ("onesided", True), ("onesided2X", False)])
def test_directional_derivatives_and_the_power(fft_mode, on_device, per_bin, cuda, rng):
    settings = {"window": ("gaussian", 5.0), "fft_mode": fft_mode}
    one, other = (bin_transforms if per_bin else transforms)(rng, **settings)
    n = 10 if per_bin else LENGTH
    dtype = np.dtype(complex if fft_mode == "centered" else float)
    x, dx = numbers(rng, dtype, 2, 1, n)
    put = cuda.xp.asarray if on_device else np.asarray
    tangents = {"win_length": rng.standard_normal(other.win_length.shape), "shape": [0.3]}
    tangents["positions"] = rng.standard_normal(other.positions.size)
    S = other.jvp(x, tangents | {"x": dx})
    assert_close(cuda, one.jvp(put(x), tangents | {"x": put(dx)}), S, on_device)
    call = {"k0": 2, "k1": n - 1, "tol": 1e-4}
    expected = other.istft_jvp(S, tangents | {"S": 1j * S}, **call)
    assert_close(cuda, one.istft_jvp(put(S), tangents | {"S": put(1j * S)}, **call), expected, on_device, 1e-9)
    P, vjp_other = other.spectrogram_and_vjp(x)
    found, vjp_cuda = one.spectrogram_and_vjp(put(x))
    assert_close(cuda, found, P, on_device)
    assert_gradients_agree(cuda, vjp_cuda(put(P)), vjp_other(P), on_device)


def test_windows_per_bin_in_blocks_and_channels(cuda, rng, monkeypatch):
    one, other = bin_transforms(rng, window=lambda u: anp.cos(np.pi * u) ** 2)
    monkeypatch.setattr(cuda, "BLOCK_SAMPLES", 20)
    x = numbers(rng, np.dtype(np.float32), 10, 2)
    S = other.stft(x, axis=0, padding="even")
    assert_close(cuda, one.stft(cuda.xp.asarray(x), axis=0, padding="even"), S, True, 1e-5)
    assert_gradients_agree(cuda, one.vjp(x, S, axis=0), other.vjp(x, S, axis=0), False, 1e-4)
    assert one.frame_bounds(10) == pytest.approx(other.frame_bounds(10))


def test_energies_of_bins_stay_on_the_device(cuda, rng, monkeypatch):
    array = cuda.xp.ndarray
    if "cupy" in sys.modules:
        pytest.skip("methods of CuPy's arrays cannot be watched")
    sizes, get = [], array.get
    monkeypatch.setattr(array, "get", lambda a: sizes.append(a.size) or get(a))
    one, other = bin_transforms(rng)
    x = numbers(rng, np.dtype(float), 8, 10)
    criterion = criteria.Renyi(scope="local", width=4.0, bands=2)
    found = one.value_and_grad(cuda.xp.asarray(x), criterion, wrt=("win_length",))
    expected = other.value_and_grad(x, criterion, wrt=("win_length",))
    assert found[0] == pytest.approx(expected[0], rel=1e-10)
    # only parameters, their derivatives and sums of windows are copied to the host, not the plane of each channel
    assert 0 < max(sizes) < len(x) * other.win_length.size


@pytest.mark.parametrize("criterion", [criteria.Renyi(scope="local", width=4.0, bands=2), "gini"])
def test_criteria_of_windows_per_bin(criterion, cuda, rng):
    lengths = rng.uniform(6, 7, (5, 1))
    one, other = bin_transforms(rng, win_length=lengths, positions=None, hop=3.0, scale_to="magnitude", window="hann")
    x = numbers(rng, np.dtype(float), 10)
    value, gradient = one.value_and_grad(cuda.xp.asarray(x), criterion)
    expected, other_gradient = other.value_and_grad(x, criterion)
    assert value == pytest.approx(expected, rel=1e-10)
    assert_gradients_agree(cuda, gradient, other_gradient, True, 1e-8)
    assert one.value_and_grad(x, criterion, wrt=())[0] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("on_device", [False, True])
def test_single_precision_channels_and_padding(on_device, cuda, rng):
    one, other = transforms(rng)
    put = cuda.xp.asarray if on_device else np.asarray
    x = numbers(rng, np.dtype(np.float32), LENGTH, 2)
    S = other.stft(x, axis=0, padding="odd")
    assert_close(cuda, one.stft(put(x), axis=0, padding="odd"), S, on_device, 1e-5)
    G = numbers(rng, S.dtype, *S.shape)
    found = one.vjp(put(x), G, axis=0, padding="odd")  # the cotangent is on the host in both cases
    assert_gradients_agree(cuda, found, other.vjp(x, G, axis=0, padding="odd"), on_device, 1e-4)
    y = other.istft(S, 0, LENGTH, f_axis=0)
    assert_close(cuda, one.istft(put(S), 0, LENGTH, f_axis=0), y, on_device, 1e-5)


def test_one_window_for_all_frames(cuda, rng):
    settings = {"win_length": 16, "hop": 6, "positions": None, "scale_to": "magnitude"}
    one, other = transforms(rng, window=("kaiser", 12.0), **settings)
    x = numbers(rng, np.dtype(float), LENGTH)
    assert_close(cuda, one.istft(one.stft(x), k1=LENGTH), x)
    assert_close(cuda, one.dual_windows(LENGTH), other.dual_windows(LENGTH))
    assert one.frame_bounds(LENGTH) == pytest.approx(other.frame_bounds(LENGTH))
    assert one.invertible
    value, gradient = one.value_and_grad(x, "renyi")
    expected, other_gradient = other.value_and_grad(x, "renyi")
    assert value == pytest.approx(expected, rel=1e-12)
    assert_gradients_agree(cuda, gradient, other_gradient, False)


def test_windows_without_a_polynomial_series(cuda, rng):
    one, other = transforms(rng, window=lambda u: anp.exp(-8 * u**2) * anp.cos(np.pi * u), scale_to="magnitude")
    x = numbers(rng, np.dtype(float), LENGTH)
    found, expected = one.value_and_grad(x, "shannon"), other.value_and_grad(x, "shannon")
    assert found[0] == pytest.approx(expected[0], rel=1e-12)
    assert_gradients_agree(cuda, found[1], expected[1], False)


def test_uncovered_samples_are_named(cuda, rng):
    one = AdaptiveShortTimeFFT("hann", 8.0, None, 1.0, positions=[4.0, 20.0], backend="cuda")
    with pytest.raises(ValueError, match=r"no window covers 10 of the samples 0 to 23, namely 0, 8 to 16;"):
        one.istft(one.stft(rng.standard_normal(24)), k1=24)


@pytest.mark.parametrize("criterion", [*criteria.names(), "renyi of local scope", "callable"])
def test_criteria(criterion, cuda, rng):
    one, other = transforms(rng)
    x = numbers(rng, np.dtype(float), LENGTH)
    if criterion == "callable":
        criterion = lambda P: anp.sum(P**2) / anp.sum(P) ** 2  # noqa: E731
    elif criterion == "renyi of local scope":
        criterion = criteria.Renyi(scope="local", width=15.0)
    for wrt, on_device in ((("win_length", "positions"), False), (None, True)):
        value, gradient = one.value_and_grad(cuda.xp.asarray(x) if on_device else x, criterion, wrt=wrt)
        expected, other_gradient = other.value_and_grad(x, criterion, wrt=wrt)
        assert isinstance(value, float)
        assert value == pytest.approx(expected, rel=1e-10)
        assert_gradients_agree(cuda, gradient, other_gradient, on_device, 1e-8)


def chirp_and_click():
    x = np.cos(0.2 * np.arange(64) + 0.006 * np.arange(64.0) ** 2)
    x[40] += 3
    return x


def test_optimize(cuda, monkeypatch):
    x = chirp_and_click()
    start = {"win_length": 30.0, "hop": 10, "win_bounds": (24, 32), "starts": 1, "options": {"maxiter": 1}}
    settings = {"window_mode": "time", "hop_mode": "time"} | start
    uploads = []
    monkeypatch.setattr(cuda, "asarray", lambda a, dtype=None, put=cuda.asarray: uploads.append(a) or put(a, dtype))
    found = adaptstft.optimize(x, 1.0, backend="cuda", **settings)
    expected = adaptstft.optimize(x, 1.0, backend="numpy", **settings)
    assert found.backend == "cuda"
    assert sum(np.shape(a) == (1, 64) for a in uploads) == 1  # the signal is copied to the device once
    np.testing.assert_allclose(found.win_length, expected.win_length, rtol=1e-6)
    np.testing.assert_allclose(found.positions, expected.positions, rtol=0, atol=1e-6)
    assert found.fun == pytest.approx(expected.fun, rel=1e-9)


@pytest.mark.parametrize("accuracy", [5e-6, None])
def test_optimize_windows_per_bin(accuracy, cuda):
    x = chirp_and_click()[:36]
    settings = {"win_length": 14.0, "hop": 7, "win_bounds": (14, 16), "starts": 1, "options": {"maxiter": 1}}
    settings |= {"window_mode": "time-frequency", "control_points": (2, 2), "accuracy": accuracy}
    settings |= {"window": ("gaussian", 12.0)}  # of low rank at this accuracy
    found = adaptstft.optimize(x, 1.0, backend="cuda", **settings)
    expected = adaptstft.optimize(x, 1.0, backend="numpy", **settings)
    assert (found.approximation is None) == (accuracy is None)
    np.testing.assert_allclose(found.win_length, expected.win_length, rtol=1e-3)
    assert found.fun == pytest.approx(expected.fun, rel=1e-6)


def test_optimize_on_cupy_arrays(cuda):
    x = chirp_and_click()
    settings = {"hop": 10, "win_bounds": (24, 24), "criterion": "gini"}
    found = adaptstft.optimize(cuda.xp.asarray(x), 1.0, **settings)
    expected = adaptstft.optimize(x, 1.0, backend="numpy", **settings)
    assert found.backend == "cuda"
    assert found.fun == pytest.approx(expected.fun, rel=1e-9)
    assert isinstance(found.signal, np.ndarray)
    assert_close(cuda, found.sft.stft(cuda.xp.asarray(x)), expected.sft.stft(x), on_device=True)


def test_blocks_are_on_the_host(cuda, rng):
    one, other = transforms(rng, win_length=16, hop=6, positions=None)
    x = numbers(rng, np.dtype(float), LENGTH)
    blocks = list(one.stft_blocks(x, block=25))
    assert_close(cuda, np.concatenate(blocks, axis=-1), other.stft(x))
    assert_close(cuda, np.concatenate(list(one.istft_blocks(blocks, k1=LENGTH))), x)
    one, other = bin_transforms(rng)
    x = numbers(rng, np.dtype(float), 10)
    assert_close(cuda, np.concatenate(list(one.stft_blocks(x, block=7)), axis=-1), other.stft(x))
    with pytest.raises(TypeError, match="pass an ndarray, or an iterable"):
        one.stft_blocks(cuda.xp.asarray(x))


@pytest.mark.parametrize("on_device", [False, True])
def test_griffin_lim(on_device, cuda, rng):
    one, other = transforms(rng)
    A = abs(other.stft(rng.standard_normal(LENGTH)))
    settings = {"n": LENGTH, "n_iter": 1, "rng": 0, "full_output": True}
    found = adaptstft.griffin_lim(cuda.xp.asarray(A) if on_device else A, one, **settings)
    expected = adaptstft.griffin_lim(A, other, **settings)
    assert_close(cuda, found[0], expected[0], on_device)
    np.testing.assert_allclose(found[1], expected[1])


def test_cupy_arrays_choose_the_backend(cuda, rng):
    x = cuda.xp.asarray(rng.standard_normal(24))
    transform = AdaptiveShortTimeFFT("hann", 12, 4, 1.0)
    assert transform.backend == "numba"
    assert isinstance(transform.stft(x), cuda.xp.ndarray)
    assert isinstance(transform.remade(hop=5).stft(x), cuda.xp.ndarray)
    assert isinstance(transform.stft(np.ones(24)), np.ndarray)
    for backend in ("numba", "numpy"):
        with pytest.raises(TypeError, match=rf"x is a CuPy array, which backend='{backend}' does not take"):
            transform.remade(backend=backend).stft(x)
        with pytest.raises(TypeError, match=rf"x is a CuPy array, which backend='{backend}' does not take"):
            adaptstft.optimize(x, 1.0, backend=backend)
    with pytest.raises(TypeError, match=r"cotangent is a CuPy array, .* pass cotangent.get\(\)"):
        transform.vjp(np.ones(24), x)


def test_values_that_are_not_finite(cuda):
    x = cuda.asarray(np.array([1.0, np.nan, 2.0, np.inf]))
    with pytest.raises(ValueError, match="x has 2 NaN or infinite values of 4, the first at index 1"):
        AdaptiveShortTimeFFT("hann", 2, 1, 1.0, backend="cuda").stft(x)
