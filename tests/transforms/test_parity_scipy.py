"""With integer lengths and hops, ``AdaptiveShortTimeFFT`` is equal to ``scipy.signal.ShortTimeFFT``."""

import itertools

import naive
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import ShortTimeFFT, get_window

from adaptstft import AdaptiveShortTimeFFT

# Both are sums of the same products of order one, by FFTs of at most 64 points: a few dozen rounding errors.
TOL = 100 * np.finfo(float).eps

# (size, symmetric), the usual windows in SciPy; only the first needs no window offset
SIZES = [(16, False), (15, False), (15, True), (16, True)]


def scipy_transform(size=16, symmetric=False, hop=5, *, window="hann", fs=8.0, **options):
    return ShortTimeFFT(get_window(window, size, fftbins=not symmetric), hop, fs=fs, **options)


def pair(size=16, symmetric=False, hop=5, *, window="hann", **options):
    sft = scipy_transform(size, symmetric, hop, window=window, **options)
    return sft, AdaptiveShortTimeFFT.from_scipy(sft, window)


def signal(rng, shape=41, *, complex_x=False):
    x = rng.standard_normal(shape)
    return x + 1j * rng.standard_normal(shape) if complex_x else x


def assert_same(actual, expected, label=""):
    expected = np.asarray(expected)
    assert actual.shape == expected.shape, label
    assert actual.dtype == expected.dtype, label
    assert_allclose(actual, expected, rtol=0, atol=TOL * np.abs(expected).max(), err_msg=label)


@pytest.mark.parametrize(("size", "symmetric"), SIZES)
@pytest.mark.parametrize(("fft_mode", "scale_to"), naive.MODE_SCALINGS)
def test_stft(fft_mode, scale_to, size, symmetric, rng):
    complex_x = fft_mode in ("twosided", "centered")
    x = signal(rng, complex_x=complex_x)
    for mfft, phase_shift in itertools.product([size, 19, 24], [0, None, 3, -7, 14]):
        sft, adaptive = pair(size, symmetric, fft_mode=fft_mode, scale_to=scale_to, mfft=mfft, phase_shift=phase_shift)
        for padding in ("zeros", "edge", "even", "odd"):
            label = f"{mfft=} {phase_shift=} {padding=}"
            assert_same(adaptive.stft(x, padding=padding), sft.stft(x, padding=padding), label)


@pytest.mark.parametrize("window", ["hamming", "nuttall", "flattop", ("kaiser", 6.0), ("tukey", 0.5)], ids=naive.label)
@pytest.mark.parametrize("size", [16, 15])
@pytest.mark.parametrize("scale_to", [None, "magnitude", "psd"])
def test_stft_of_other_windows(window, size, scale_to, rng):
    x = signal(rng)
    sft, adaptive = pair(size, window=window, scale_to=scale_to, mfft=21)
    assert_same(adaptive.stft(x), sft.stft(x))


@pytest.mark.parametrize("size", [15, 16])
def test_stft_of_a_gaussian(size, rng):
    """In SciPy the width is in samples."""
    x = signal(rng)
    sft, adaptive = pair(size, window=("gaussian", 2.5), scale_to="psd")
    assert adaptive.window.shape == pytest.approx((size / 2.5,))
    assert_same(adaptive.stft(x), sft.stft(x))


@pytest.mark.parametrize("hop", [1, 4, 7, 16, 23])
@pytest.mark.parametrize(("size", "symmetric"), SIZES)
def test_hops(hop, size, symmetric, rng):
    x = signal(rng, 64)
    sft, adaptive = pair(size, symmetric, hop)
    assert_same(adaptive.stft(x), sft.stft(x))


def test_plain_constructor_is_an_even_periodic_window(rng):
    x = signal(rng)
    adaptive = AdaptiveShortTimeFFT("hann", 16, 5, 8.0, fft_mode="onesided2X", mfft=20, scale_to="psd", phase_shift=2)
    sft = scipy_transform(fft_mode="onesided2X", mfft=20, scale_to="psd", phase_shift=2)
    assert_same(adaptive.stft(x), sft.stft(x))


def test_plain_constructor_with_an_offset_is_an_odd_periodic_window(rng):
    x = signal(rng)
    adaptive = AdaptiveShortTimeFFT("hamming", 15, 5, 8.0, window_offset=0.5)
    assert_same(adaptive.stft(x), scipy_transform(15, window="hamming").stft(x))


@pytest.mark.parametrize("complex_x", [False, True])
@pytest.mark.parametrize(
    ("shape", "axis"),
    [((41, 3), 0), ((3, 41), 1), ((3, 41), -1), ((41, 3), -2), ((2, 41, 3), 1), ((2, 41, 3), -2)],
)
def test_axes(shape, axis, complex_x, rng):
    x = signal(rng, shape, complex_x=complex_x)
    sft, adaptive = pair(fft_mode="centered" if complex_x else "onesided")
    S = sft.stft(x, axis=axis)
    assert_same(adaptive.stft(x, axis=axis), S)
    assert_same(adaptive.spectrogram(x, axis=axis), sft.spectrogram(x, axis=axis))
    f_axis = axis if axis >= 0 else axis - 1
    assert_allclose(adaptive.istft(S, k1=41, f_axis=f_axis), sft.istft(S, k1=41, f_axis=f_axis), rtol=0, atol=10 * TOL)


@pytest.mark.parametrize("padding", ["zeros", "edge", "even", "odd"])
@pytest.mark.parametrize(
    "call", [{"k_offset": 4}, {"k_offset": -3}, {"p0": 0}, {"p0": 2, "p1": 5}, {"p1": 1}], ids=naive.label
)
@pytest.mark.parametrize(("size", "symmetric"), SIZES)
def test_ranges_and_offsets(padding, call, size, symmetric, rng):
    x = signal(rng)
    sft, adaptive = pair(size, symmetric)
    assert_same(adaptive.stft(x, padding=padding, **call), sft.stft(x, padding=padding, **call))
    assert_allclose(adaptive.t(41, **call), sft.t(41, **call), rtol=TOL, atol=0)


@pytest.mark.parametrize(("fft_mode", "scale_to"), naive.MODE_SCALINGS)
def test_spectrogram_and_cross_spectrogram(fft_mode, scale_to, rng):
    complex_x = fft_mode in ("twosided", "centered")
    x, y = signal(rng, complex_x=complex_x), signal(rng, complex_x=complex_x)
    sft, adaptive = pair(fft_mode=fft_mode, scale_to=scale_to)
    call = {"k_offset": 2, "padding": "odd", "p0": 0}
    assert_same(adaptive.spectrogram(x, **call), sft.spectrogram(x, **call))
    assert_same(adaptive.spectrogram(x, x), sft.spectrogram(x, x))
    assert_same(adaptive.spectrogram(x, y, **call), sft.spectrogram(x, y, **call))


@pytest.mark.parametrize("window", ["hann", "hamming", ("tukey", 0.5)], ids=naive.label)
@pytest.mark.parametrize("size", [2, 3, 15, 16])
@pytest.mark.parametrize("hop", [1, 3, 8, 16, 21])
def test_slices_and_borders(window, size, hop):
    sft, adaptive = pair(size, hop=hop, window=window)
    assert (adaptive.p_min, adaptive.k_min) == (sft.p_min, sft.k_min)
    assert adaptive.lower_border_end == sft.lower_border_end
    for n in (8, 16, 17, 40, 63):
        assert adaptive.p_max(n) == sft.p_max(n)
        assert adaptive.p_num(n) == sft.p_num(n)
        assert adaptive.p_range(n) == sft.p_range(n)
        assert adaptive.p_range(n, 0, 1) == (0, 1)
        assert adaptive.k_max(n) == sft.k_max(n)
        assert adaptive.upper_border_begin(n) == sft.upper_border_begin(n)
        assert_allclose(adaptive.t(n), sft.t(n), rtol=TOL, atol=0)


@pytest.mark.parametrize("hop", [1, 3, 7, 16])
@pytest.mark.parametrize("size", [15, 16])
def test_slices_and_borders_of_symmetric_windows(size, hop):
    """The first slice of SciPy ends at the first sample of the signal, where its window is zero."""
    sft, adaptive = pair(size, True, hop)
    assert (adaptive.p_min, adaptive.k_min) == (sft.p_min, sft.k_min)
    assert adaptive.lower_border_end == sft.lower_border_end
    for n in (8, 16, 17, 40, 63):
        assert (adaptive.p_max(n), adaptive.k_max(n)) == (sft.p_max(n), sft.k_max(n))
        assert adaptive.upper_border_begin(n) == sft.upper_border_begin(n)


@pytest.mark.parametrize(("p0", "p1"), [(-100, None), (None, 100), (3, 3), (5, 2)])
def test_p_range_raises_where_scipy_raises(p0, p1):
    sft, adaptive = pair()
    with pytest.raises(ValueError, match="p0="):
        sft.p_range(41, p0, p1)
    with pytest.raises(ValueError, match="p0="):
        adaptive.p_range(41, p0, p1)
    with pytest.raises(ValueError, match="p0="):
        adaptive.stft(np.ones(41), p0, p1)


@pytest.mark.parametrize("mfft", [16, 21])
@pytest.mark.parametrize("fft_mode", naive.FFT_MODES)
def test_attributes_and_axes(fft_mode, mfft):
    sft, adaptive = pair(fft_mode=fft_mode, mfft=mfft, scale_to="psd", phase_shift=-3)
    names = [
        "fs",
        "T",
        "hop",
        "fft_mode",
        "onesided_fft",
        "mfft",
        "m_num",
        "m_num_mid",
        "scaling",
        "phase_shift",
    ]
    names += ["f_pts", "delta_f", "delta_t", "invertible"]
    for name in names:
        assert getattr(adaptive, name) == getattr(sft, name), name
    assert_allclose(adaptive.f, sft.f, rtol=TOL, atol=0)
    if fft_mode == "twosided":
        with pytest.raises(ValueError, match="twosided"):
            adaptive.extent(41)
        return
    for axes_seq, center_bins in itertools.product(("tf", "ft"), (False, True)):
        expected = sft.extent(41, axes_seq, center_bins)
        assert_allclose(adaptive.extent(41, axes_seq, center_bins), expected, rtol=TOL, atol=TOL)


@pytest.mark.parametrize(("size", "symmetric"), SIZES)
@pytest.mark.parametrize(("fft_mode", "scale_to"), naive.MODE_SCALINGS)
@pytest.mark.parametrize("phase_shift", [0, None, 5])
def test_istft(fft_mode, scale_to, phase_shift, size, symmetric, rng):
    complex_x = fft_mode in ("twosided", "centered")
    x = signal(rng, complex_x=complex_x)
    sft, adaptive = pair(size, symmetric, fft_mode=fft_mode, scale_to=scale_to, phase_shift=phase_shift, mfft=19)
    S = sft.stft(x)
    restored = adaptive.istft(S, k1=41)
    assert restored.dtype == x.dtype
    # with a Hann window at this hop the frame operator has a condition number below 3
    assert_allclose(restored, x, rtol=0, atol=10 * TOL)
    # the inverse of a modified transform depends on the dual window, which must be the same
    S *= rng.standard_normal(S.shape)
    assert_allclose(adaptive.istft(S, k1=41), sft.istft(S, k1=41), rtol=0, atol=10 * TOL)
    assert_allclose(adaptive.istft(S, 7, 30), sft.istft(S, 7, 30), rtol=0, atol=10 * TOL)


@pytest.mark.parametrize("hop", [1, 3, 5, 8])
def test_istft_by_default_returns_all_samples_of_the_slices(hop, rng):
    x = signal(rng)
    sft, adaptive = pair(hop=hop, window="hamming")
    S = sft.stft(x)
    assert_allclose(adaptive.istft(S), sft.istft(S), rtol=0, atol=10 * TOL)
    assert_allclose(adaptive.istft(S, sft.k_min), sft.istft(S, sft.k_min), rtol=0, atol=10 * TOL)


def test_istft_axes(rng):
    x = signal(rng, (3, 2, 41))
    sft, adaptive = pair()
    S = np.moveaxis(sft.stft(x), (-2, -1), (1, 0))
    expected = sft.istft(S, k1=41, f_axis=1, t_axis=0)
    actual = adaptive.istft(S, k1=41, f_axis=1, t_axis=0)
    assert actual.shape == expected.shape
    assert_allclose(actual, expected, rtol=0, atol=10 * TOL)


@pytest.mark.parametrize(("window", "hop"), [("hann", 17), ("hann", 16), ("hamming", 16), ("hann", 8), ("boxcar", 16)])
def test_invertible(window, hop):
    sft, adaptive = pair(hop=hop, window=window)
    assert adaptive.invertible is sft.invertible


@pytest.mark.parametrize(("size", "symmetric"), SIZES)
def test_dual_windows_away_from_the_ends_are_equal_to_scipys(size, symmetric):
    sft, adaptive = pair(size, symmetric, 5, scale_to="psd")
    dual = adaptive.dual_windows(80)[8 - adaptive.p_min]
    assert_allclose(dual, sft.dual_win, rtol=0, atol=TOL * np.abs(sft.dual_win).max())


@pytest.mark.parametrize(("size", "symmetric"), SIZES)
def test_to_scipy_is_the_inverse_of_from_scipy(size, symmetric, rng):
    sft, adaptive = pair(size, symmetric, fft_mode="onesided2X", scale_to="magnitude", phase_shift=None, mfft=22)
    back = adaptive.to_scipy()
    assert isinstance(back, ShortTimeFFT)
    assert_allclose(back.win, sft.win, rtol=0, atol=TOL)
    for name in ("hop", "fs", "fft_mode", "mfft", "scaling", "phase_shift", "p_min"):
        assert getattr(back, name) == getattr(sft, name), name
    x = signal(rng)
    assert_same(back.stft(x), sft.stft(x))


@pytest.mark.parametrize(
    "settings",
    [
        {"hop": 4.5},
        {"win_length": np.linspace(10, 16, 13)},
        {"hop": None, "positions": [3.0, 8.0]},
    ],
    ids=naive.label,
)
def test_to_scipy_raises_without_an_equal_transform(settings):
    adaptive = AdaptiveShortTimeFFT("hann", fs=1.0, **{"win_length": 16, "hop": 5} | settings)
    with pytest.raises(ValueError, match=r"SciPy|ShortTimeFFT"):
        adaptive.to_scipy()


@pytest.mark.parametrize("win_length", [15.3, 16.5, 8.0])
def test_to_scipy_keeps_real_lengths(win_length, rng):
    """At integer positions all slices have the same window samples, as SciPy needs."""
    x = signal(rng)
    adaptive = AdaptiveShortTimeFFT("hamming", win_length, 5, 1.0, mfft=20, scale_to="psd")
    assert_same(adaptive.to_scipy().stft(x), adaptive.stft(x))


def test_from_scipy_raises_for_another_window():
    with pytest.raises(ValueError, match="blackman"):
        AdaptiveShortTimeFFT.from_scipy(scipy_transform(), "blackman")


@pytest.mark.parametrize("size", [15, 16])
def test_from_scipy_raises_for_symmetric_windows_that_jump(size):
    """Their last sample is at the end of the support, which does not belong to the support."""
    with pytest.raises(ValueError, match=r"hamming.*symmetric"):
        pair(size, True, window="hamming")


def test_results_do_not_alias_the_arguments(rng):
    x = signal(rng)
    sft, adaptive = pair()
    S = sft.stft(x)
    kept_x, kept_S = x.copy(), S.copy()
    adaptive.stft(x)[...] = 0
    adaptive.istft(S, k1=41)[...] = 0
    assert_array_equal(x, kept_x)
    assert_array_equal(S, kept_S)
