"""SciPy's names and values of windows, and windows given by arrays of samples."""

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import ShortTimeFFT, get_window

import adaptstft
from adaptstft import AdaptiveShortTimeFFT, windows

X = np.random.default_rng(3).standard_normal(400)


@pytest.mark.parametrize(
    ("name", "family"), [("hann_periodic", "hann"), ("ham", "hamming"), ("blk_periodic", "blackman")]
)
def test_other_names_of_scipy(name, family):
    assert windows.resolve(name) == windows.resolve(family)


def test_a_symmetric_name_is_refused_with_the_length_to_give():
    with pytest.raises(ValueError, match=r"'hann_symmetric': a symmetric window of M samples is 'hann' .* M - 1"):
        windows.resolve("hann_symmetric")


@pytest.mark.parametrize("nperseg", [32, 33])
@pytest.mark.parametrize("symmetric", [False, True])
def test_names_with_suffixes_are_converted(nperseg, symmetric):
    scipy = ShortTimeFFT.from_window("hann", 1.0, nperseg, 24, symmetric_win=symmetric)
    sft = AdaptiveShortTimeFFT.from_scipy(scipy, "hann_symmetric" if symmetric else "hann_periodic")
    assert_allclose(sft.stft(X), scipy.stft(X), atol=1e-12)


def test_a_standard_deviation_in_samples_is_not_taken_for_a_ratio():
    with pytest.raises(
        ValueError, match=r"ratio length/sigma, at most 20, and .* give \('gaussian', M / 40\), or .*from_scipy"
    ):
        AdaptiveShortTimeFFT(("gaussian", 40.0), 256, 64, 1.0)
    assert windows.resolve(("gaussian", 20)).shape == (20.0,)


@pytest.mark.parametrize("std", [2.0, 40.0])
def test_gaussians_of_any_standard_deviation_are_converted_and_kept(std):
    """A narrow one has a ratio of 32 here, which is refused from the user but not from SciPy or a file."""
    scipy = ShortTimeFFT.from_window(("gaussian", std), 1.0, 64, 48)
    sft = AdaptiveShortTimeFFT.from_scipy(scipy, ("gaussian", std))
    assert_allclose(sft.stft(X), scipy.stft(X), atol=1e-12)
    again = pickle.loads(pickle.dumps(sft))
    assert again.window == sft.window and again.window.shape == (64 / std,)


def test_prolate_windows_tend_to_those_of_scipy():
    """The discrete window differs by a few times 1 / m: SciPy's `NW` belongs to one more sample, and to steps."""
    for m in (64, 512):
        u = (np.arange(m) - m / 2) / m
        difference = np.abs(windows.resolve(("dpss", 2.5))(u) - get_window(("dpss", 2.5), m)).max()
        assert 0.1 / m < difference < 1.0 / m


@pytest.mark.parametrize("symmetric", [False, True])
@pytest.mark.parametrize("nperseg", [48, 49])
@pytest.mark.parametrize("name", ["parzen", "hamming", "boxcar", ("dpss", 3.0)])
def test_arrays_have_exactly_their_samples(name, nperseg, symmetric):
    scipy = ShortTimeFFT.from_window(name, 1.0, nperseg, 36, symmetric_win=symmetric)
    sft = AdaptiveShortTimeFFT.from_scipy(scipy, scipy.win)
    assert_allclose(sft.stft(X), scipy.stft(X), atol=1e-12)
    assert sft.win_length == nperseg
    again = pickle.loads(pickle.dumps(sft))
    assert again.window == sft.window and again.window != windows.resolve("hann")
    assert f"<{nperseg} samples>" in repr(sft)


def test_any_samples_are_those_of_the_window():
    samples = np.random.default_rng(0).uniform(0.5, 1, 20)
    w = windows.resolve(samples)
    assert_array_equal(w((np.arange(20) - 10) / 20), samples)
    u = np.linspace(-0.49, 0.43, 50)
    step = 1e-6
    assert_allclose(w.derivative(u), (w(u + step) - w(u - step)) / (2 * step), rtol=1e-6, atol=1e-6)
    assert_array_equal(w(np.array([0.46, 0.499])), samples[-1])  # behind the last sample


def test_an_array_is_tuned_like_its_family(tmp_path):
    signal = adaptstft.datasets.linear_chirp(100.0)
    named = adaptstft.optimize(signal.x, signal.fs, window="hann")
    given = adaptstft.optimize(signal.x, signal.fs, window=get_window("hann", 256))
    # a cubic spline through 256 samples of a cosine is accurate to some 1e-8
    assert given.win_length == pytest.approx(named.win_length, rel=1e-5)
    given.save(tmp_path / "given")
    assert adaptstft.load(tmp_path / "given").sft.window == given.sft.window
    adaptstft.testing.check_vjp(given.sft, signal.x[:600], "shannon")


@pytest.mark.parametrize(
    ("samples", "error", "message"),
    [
        (np.ones(3), ValueError, r"has shape \(3,\): it must be 1-D with at least 4 samples"),
        (np.ones((4, 4)), ValueError, r"has shape \(4, 4\)"),
        (np.ones(8) * 1j, TypeError, "must be real numbers, got dtype complex128"),
        (np.full(8, np.nan), ValueError, "must be finite, and not zero everywhere"),
        (np.zeros(8), ValueError, "must be finite, and not zero everywhere"),
    ],
    ids=["few", "matrix", "complex", "nan", "zero"],
)
def test_bad_samples(samples, error, message):
    with pytest.raises(error, match=message):
        windows.resolve(samples)


def test_a_window_that_jumps_is_not_tuned():
    with pytest.raises(ValueError, match="window <64 samples> cannot be tuned: it still has the value 1 at its ends"):
        adaptstft.optimize(X, 1.0, window=np.ones(64))
    fixed = adaptstft.optimize(X, 1.0, window=np.ones(64), window_mode="fixed", win_length=64)
    assert fixed.sft.window(0.0) == 1
