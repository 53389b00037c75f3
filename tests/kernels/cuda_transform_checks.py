"""Comparison of transforms and tuning on CUDA with the NumPy backend, on a device or in Numba's simulator.

``test_cuda.py`` runs this file in a separate process, with ``NUMBA_ENABLE_CUDASIM=1`` and, if there is a
device, also without. The simulator uses the arrays of ``strict_arrays.py``, which raise errors where CuPy does.
"""

import functools
import sys

import autograd.numpy as anp
import numpy as np
import pytest
from random_arrays import numbers

import adaptstft
from adaptstft import AdaptiveShortTimeFFT, criteria

LENGTH = 26

#: For cases that the simulator runs at the full level only; it needs a second or more for each.
costly = functools.partial(pytest.param, marks=pytest.mark.slow)


def transforms(rng, **settings):
    """The same transform on both backends; frames of several lengths reach over both ends of the signal."""
    positions = np.array([-1.3, 3.0, 6.7, 11.2, 15.6, 21.0, 26.2])
    defaults = {
        "window": "hann",
        "win_length": rng.uniform(9, 12, positions.size),
        "hop": None,
        "positions": positions,
        "fs": 2.0,
        "mfft": 13,
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
    [costly("twosided", 14, False), ("centered", 13, True), ("onesided", 14, True), costly("onesided2X", 13, False)],
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
    y = other.istft(S, 2, 25)
    assert_close(cuda, one.istft(put(S), 2, 25), y, on_device)
    G, g = numbers(rng, np.dtype(complex), *S.shape), numbers(rng, dtype, *y.shape)
    assert_gradients_agree(cuda, one.vjp(put(x), put(G)), other.vjp(x, G), on_device)
    assert_gradients_agree(cuda, one.istft_vjp(put(S), put(g), 2, 25), other.istft_vjp(S, g, 2, 25), on_device)


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
    [
        costly("twosided", 8, False),
        costly("centered", 7, True),
        costly("onesided", 8, True),
        ("onesided2X", 7, False),
    ],
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


@pytest.mark.parametrize("per_bin", [False, costly(True)])
@pytest.mark.parametrize(
    ("fft_mode", "on_device"), [costly("centered", True), ("onesided", True), costly("onesided2X", False)]
)
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


@pytest.mark.parametrize(
    "criterion", [criteria.Renyi(scope="local", width=4.0, bands=2), "gini", criteria.Renyi(width=4.0)]
)
def test_criteria_of_windows_per_bin(criterion, cuda, rng):
    lengths = rng.uniform(6, 7, (5, 1))
    one, other = bin_transforms(rng, win_length=lengths, positions=None, hop=3.0, scale_to="magnitude", window="hann")
    x = numbers(rng, np.dtype(float), 10)
    value, gradient = one.value_and_grad(cuda.xp.asarray(x), criterion)
    expected, other_gradient = other.value_and_grad(x, criterion)
    assert value == pytest.approx(expected, rel=1e-10)
    assert_gradients_agree(cuda, gradient, other_gradient, True, 1e-8)
    assert one.value_and_grad(x, criterion, wrt=())[0] == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("on_device", [costly(False), True])
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
    settings = {"win_length": 11, "hop": 4, "positions": None, "scale_to": "magnitude"}
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
    elif criterion == "description-length":
        criterion = criteria.DescriptionLength(distortion=0, floor=0.1)
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


@pytest.mark.slow
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


@pytest.mark.parametrize("accuracy", [5e-6, costly(None)])
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
    one, other = transforms(rng, win_length=11, hop=4, positions=None)
    x = numbers(rng, np.dtype(float), LENGTH)
    blocks = list(one.stft_blocks(x, block=17))
    assert_close(cuda, np.concatenate(blocks, axis=-1), other.stft(x))
    assert_close(cuda, np.concatenate(list(one.istft_blocks(blocks, k1=LENGTH))), x)
    one, other = bin_transforms(rng)
    x = numbers(rng, np.dtype(float), 10)
    assert_close(cuda, np.concatenate(list(one.stft_blocks(x, block=7)), axis=-1), other.stft(x))
    with pytest.raises(TypeError, match="pass an ndarray, or an iterable"):
        one.stft_blocks(cuda.xp.asarray(x))


@pytest.mark.parametrize("on_device", [costly(False), True])
def test_griffin_lim(on_device, cuda, rng):
    one, other = transforms(rng)
    A = abs(other.stft(rng.standard_normal(LENGTH)))
    settings = {"n": LENGTH, "n_iter": 1, "rng": 0, "full_output": True}
    found = adaptstft.griffin_lim(one, cuda.xp.asarray(A) if on_device else A, **settings)
    expected = adaptstft.griffin_lim(other, A, **settings)
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
