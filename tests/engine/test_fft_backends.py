"""FFTs of other libraries, set by `scipy.fft.set_backend`: the threads of the package use that of the caller."""

import importlib
import threading

import numpy as np
import pytest
import scipy.fft
from numpy.testing import assert_allclose

import adaptstft


class CountingBackend:
    """A backend that passes calls on to SciPy, and counts them; the first waits for one of a second thread."""

    __ua_domain__ = "numpy.scipy.fft"

    def __init__(self, n_threads=2):
        self.calls, self.threads, self.workers, self.overwritten = [], set(), set(), set()
        self._n_threads, self._all_there = n_threads, threading.Event()

    def __ua_function__(self, method, args, kwargs):
        self.calls.append((method.__name__, args[0]))
        self.threads.add(threading.get_ident())
        self.workers.add(kwargs.get("workers"))
        if kwargs.get("overwrite_x"):
            self.overwritten.add(method.__name__)
        if len(self.threads) >= self._n_threads:
            self._all_there.set()
        self._all_there.wait(10)
        self._all_there.set()  # the others need not wait as well
        with scipy.fft.skip_backend(self):
            return method(*args, **kwargs)


def transform(workers):
    return adaptstft.AdaptiveShortTimeFFT("hann", 100.5, 1.0, 1000.0, mfft=512, workers=workers)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_all_threads_use_the_backend_of_the_caller(dtype, rng):
    x = rng.standard_normal(3000).astype(dtype)
    sft = transform(2)
    expected = sft.stft(x)
    backend = CountingBackend()
    with scipy.fft.set_backend(backend):
        S = sft.stft(x)
        before = len(backend.calls)
        sft.istft(S, n=x.size)
    assert len(backend.threads) >= 2
    assert backend.workers == {1}  # a backend starts no threads of its own in those of the package
    np.testing.assert_array_equal(S, expected)
    assert {name for name, _ in backend.calls[:before]} == {"rfft"}
    assert {name for name, _ in backend.calls[before:]} == {"irfft"}
    # rows in one piece, in the precision of the signal: the FFT need not copy them
    assert all(rows.flags.c_contiguous for _, rows in backend.calls)
    assert {rows.dtype for _, rows in backend.calls[:before]} == {np.dtype(dtype)}
    assert sum(len(rows) for _, rows in backend.calls[:before]) == expected.shape[-1]


class SpoilingBackend(CountingBackend):
    """A backend that spoils what it may overwrite."""

    def __ua_function__(self, method, args, kwargs):
        found = super().__ua_function__(method, (args[0].copy(), *args[1:]), kwargs)
        if kwargs.get("overwrite_x"):
            args[0][...] = np.nan
        return found


@pytest.mark.parametrize("fft_mode", ["onesided", "twosided"])
def test_cotangents_may_be_overwritten_and_data_of_the_caller_are_not(fft_mode, rng):
    x = rng.standard_normal((2, 3000))
    sft = adaptstft.AdaptiveShortTimeFFT("hann", 100.5, 16.0, 1.0, mfft=128, fft_mode=fft_mode, workers=1)
    S = sft.stft(x)
    kept, backend = S.copy(), SpoilingBackend(1)
    criteria = [
        "shannon",
        "renyi",
        adaptstft.criteria.DescriptionLength(distortion=0.0, floor=1e-3),
        adaptstft.criteria.Combined(["shannon", "kurtosis"]),
    ]

    def gradients():
        yield sft.vjp(x, S).win_length
        yield sft.vjp(x, S, wrt=("x",)).x
        yield sft.istft(S, k1=x.shape[1])
        for criterion in criteria:
            value, gradient = sft.value_and_grad(x, criterion, wrt=("win_length", "positions", "x"))
            yield from (value, gradient.win_length, gradient.positions, gradient.x)

    expected = list(gradients())
    with scipy.fft.set_backend(backend):
        found = list(gradients())
    for one, other in zip(found, expected, strict=True):
        assert_allclose(one, other, rtol=1e-10, atol=1e-12)
    assert backend.overwritten == {"irfft" if fft_mode == "onesided" else "ifft"}
    np.testing.assert_array_equal(S, kept)


def test_threads_forget_the_backend_with_the_caller(rng):
    x = rng.standard_normal(3000)
    backend = CountingBackend()
    with scipy.fft.set_backend(backend):
        transform(2).stft(x)
    count = len(backend.calls)
    assert count
    transform(2).stft(x)
    assert len(backend.calls) == count


def test_threads_may_skip_a_backend_again_and_again(rng):
    """SciPy keeps the context that skips a backend for each thread, also when the caller has left its own."""
    x, backend = rng.standard_normal(3000), CountingBackend()
    expected = transform(2).stft(x)
    for _ in range(10):
        with scipy.fft.set_backend(backend):
            np.testing.assert_array_equal(transform(2).stft(x), expected)
        with scipy.fft.skip_backend(backend), scipy.fft.set_backend(backend):
            before = len(backend.calls)
            transform(2).stft(x)
            assert len(backend.calls) == before


def test_tuning_uses_the_backend(rng):
    backend = CountingBackend(n_threads=1)
    x = adaptstft.datasets.linear_chirp(duration=0.5).x
    expected = adaptstft.optimize(x, 1000.0, workers=1).win_length
    with scipy.fft.set_backend(backend):
        assert adaptstft.optimize(x, 1000.0, workers=1).win_length == expected
    assert {"rfft", "irfft"} <= {name for name, _ in backend.calls}


@pytest.mark.parametrize("name", ["mkl_fft", "pyfftw"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.complex128])
def test_backends_of_other_packages(name, dtype, rng):
    pytest.importorskip(name, reason=f"this test compares with the FFTs of {name}")
    library = importlib.import_module(f"{name}.interfaces.scipy_fft")
    x = rng.standard_normal(3000).astype(dtype)
    mode = "twosided" if np.iscomplexobj(x) else "onesided"
    sft = adaptstft.AdaptiveShortTimeFFT("hann", 100.5, 16.0, 1000.0, mfft=512, fft_mode=mode, workers=2)
    expected = sft.stft(x)
    with scipy.fft.set_backend(library, only=True):
        S = sft.stft(x)
        back = sft.istft(S, k1=x.size)
        cotangent = sft.vjp(x, S).win_length
    eps = np.finfo(dtype).eps
    assert S.dtype == expected.dtype and back.dtype == x.dtype
    assert_allclose(S, expected, atol=200 * eps * np.abs(expected).max())
    assert_allclose(back, x, atol=200 * eps * np.abs(x).max())
    assert_allclose(cotangent, sft.vjp(x, expected).win_length, rtol=2000 * eps)
