"""The names and the precision of SciPy's class, and comparison of transforms."""

import copy
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.signal import ShortTimeFFT as ScipyShortTimeFFT

import adaptstft
from adaptstft import AdaptiveShortTimeFFT, ShortTimeFFT

X = np.random.default_rng(5).standard_normal(300)
#: Public names of SciPy's class without a meaning for a window that has a family, a real length and derivatives.
WITHOUT_MEANING = {
    "from_dual",  # the dual windows of slices follow from their windows
    "from_win_equals_dual",  # likewise
    "scale_to",  # transforms do not change; remade(scale_to=...) makes another one
    "stft_detrend",  # slices may have windows of any length, and the inverse would lose the trends
}


def test_every_name_of_scipy_that_means_something_exists():
    public = {name for name in dir(ScipyShortTimeFFT) if not name.startswith("_")}
    missing = public - set(dir(AdaptiveShortTimeFFT))
    assert missing == WITHOUT_MEANING & public


@pytest.mark.parametrize("scale_to", [None, "psd", "magnitude"])
@pytest.mark.parametrize("nperseg", [32, 33])
def test_names_have_the_values_of_scipy(nperseg, scale_to):
    scipy = ScipyShortTimeFFT.from_window("hann", 50.0, nperseg, nperseg - 8, scale_to=scale_to)
    sft = AdaptiveShortTimeFFT.from_scipy(scipy, "hann")
    for name in ("win", "dual_win"):
        assert_allclose(getattr(sft, name), getattr(scipy, name), rtol=1e-12, atol=1e-14)
    for name in ("fac_psd", "fac_magnitude"):
        assert getattr(sft, name) == pytest.approx(getattr(scipy, name), rel=1e-12)
    for k in (-9, 0, 7, 8, 20):
        for left in (True, False):
            assert sft.nearest_k_p(k, left) == scipy.nearest_k_p(k, left)


def test_slices_at_a_real_hop():
    sft = AdaptiveShortTimeFFT("hann", 32.5, 7.5, 1.0)
    assert (sft.nearest_k_p(20), sft.nearest_k_p(20, left=False), sft.nearest_k_p(15)) == (15.0, 22.5, 15.0)
    assert sft.fac_psd == pytest.approx(1 / np.sqrt(np.sum(sft.windows(100)[-sft.p_min] ** 2)))


@pytest.mark.parametrize(
    "arguments", [("hann", 50.0, 32, 24), (("gaussian", 4.0), 50.0, 32, 24), ("parzen", 50.0, 33, 24)], ids=str
)
def test_from_window(arguments):
    scipy = ScipyShortTimeFFT.from_window(*arguments, symmetric_win=True, mfft=64, scale_to="psd", fft_mode="centered")
    sft = AdaptiveShortTimeFFT.from_window(*arguments, symmetric_win=True, mfft=64, scale_to="psd", fft_mode="centered")
    assert_allclose(sft.stft(X), scipy.stft(X), atol=1e-12)


def test_what_belongs_to_one_window_is_refused_for_several():
    sft = AdaptiveShortTimeFFT("hann", np.linspace(20, 30, 38), 8, 1.0)
    with pytest.raises(ValueError, match=r"win needs a hop and one window length .* windows\(n\)"):
        sft.fac_psd  # noqa: B018
    with pytest.raises(ValueError, match=r"dual_win needs an integer hop .* dual_windows\(n\)"):
        sft.dual_win  # noqa: B018
    placed = AdaptiveShortTimeFFT("hann", 20, None, 1.0, positions=[0.0, 9.0])
    with pytest.raises(ValueError, match="nearest_k_p is not defined for a transform made from positions"):
        placed.nearest_k_p(3)


# ------------------------------------------------------------------ precision


@pytest.mark.parametrize("kind", [np.float32, np.complex64])
def test_precision_of_scipy(kind):
    settings = ("hann", 1.0, 32, 24)
    mode = {"fft_mode": "twosided"} if kind is np.complex64 else {}
    scipy, double = (cls.from_window(*settings, **mode) for cls in (ScipyShortTimeFFT, ShortTimeFFT))
    double.dtype = "scipy"
    x = X.astype(kind)
    expected, S = scipy.stft(x), double.stft(x)
    assert S.dtype == expected.dtype == np.complex128
    assert_allclose(S, expected, atol=1e-13)
    back, single = double.istft(S.astype(np.complex64), k1=300), scipy.istft(S.astype(np.complex64), k1=300)
    assert back.dtype == single.dtype
    assert_allclose(back, single, atol=1e-6)  # SciPy's FFT of single precision is single
    blocks = list(double.stft_blocks([x[:100], x[100:]]))
    assert_allclose(np.concatenate(blocks, axis=-1), expected, atol=1e-13)
    pieces = list(double.istft_blocks([block.astype(np.complex64) for block in blocks], k1=300))
    assert np.concatenate(pieces).dtype == back.dtype


def test_precision_of_the_input_is_the_default():
    sft = ShortTimeFFT.from_window("hann", 1.0, 32, 24)
    assert (sft.dtype, sft.stft(X.astype(np.float32)).dtype) == ("input", np.complex64)
    assert ShortTimeFFT(sft.win, 8, 1.0, dtype="scipy").dtype == "scipy"
    assert ShortTimeFFT.from_window("hann", 1.0, 32, 24, dtype="scipy").dtype == "scipy"
    with pytest.raises(ValueError, match="dtype='double' must be one of 'input', 'scipy'"):
        ShortTimeFFT(sft.win, 8, 1.0, dtype="double")


# ------------------------------------------------------------------ signals of other lengths


@pytest.mark.parametrize("mode", ["constant", "frequency"])
def test_a_tuned_transform_transforms_all_of_a_longer_signal(mode):
    res = adaptstft.optimize(X, 100.0, window_mode=mode, options={"maxiter": 3}, control_points=None)
    longer = np.concatenate([X, X, X[:57]])
    assert res.sft.hop == res.hop and res.sft.positions is None
    assert_allclose(res.sft.istft(res.sft.stft(longer), k1=longer.size), longer, atol=1e-9)


@pytest.mark.parametrize("modes", [{"window_mode": "time"}, {"window_mode": "time-frequency"}], ids=str)
def test_lengths_of_frames_belong_to_one_length_of_signals(modes):
    res = adaptstft.optimize(X, 100.0, options={"maxiter": 2}, **modes)
    assert res.sft.samples == 300
    calls = {
        "stft": lambda: res.sft.stft(X[:200]),
        "t": lambda: res.sft.t(301),
        "frame_bounds": lambda: res.sft.frame_bounds(100),
        "short stream": lambda: list(res.sft.stft_blocks([X[:100]])),
        "long stream": lambda: list(res.sft.stft_blocks([X, X])),
    }
    for call in calls.values():
        with pytest.raises(
            ValueError, match=r"samples=300: its window lengths .* tune the other signal with adaptstft"
        ):
            call()
    assert res.sft.remade(samples=None).t(200).size == res.positions.size
    assert_allclose(res.sft.istft(res.sft.stft(X), k1=300), X, atol=1e-9)


def test_positions_of_a_signal():
    sft = AdaptiveShortTimeFFT("hann", 20, None, 1.0, positions=np.arange(0, 300, 7), samples=300)
    assert sft.stft(X).shape == (11, 43)
    with pytest.raises(
        ValueError, match="the signal has 299 samples, but the transform has samples=300: its positions"
    ):
        sft.stft(X[1:])
    with pytest.raises(ValueError, match="samples=0 must be at least 1"):
        sft.remade(samples=0)


# ------------------------------------------------------------------ comparison


@pytest.mark.parametrize(
    "sft",
    [
        AdaptiveShortTimeFFT("hann", 20.5, 8, 1.0),
        AdaptiveShortTimeFFT(("kaiser", 8.6), np.linspace(20, 30, 4), None, 1.0, positions=[0, 1, 2, 3], mfft=64),
        AdaptiveShortTimeFFT(lambda u: 1 - 4 * u**2, 20, 8, 1.0),
        AdaptiveShortTimeFFT(np.hanning(20), 20, 8, 1.0),
    ],
    ids=["hop", "positions", "function", "samples"],
)
def test_copies_are_equal(sft):
    assert sft == copy.copy(sft) == copy.deepcopy(sft) and hash(sft) == hash(copy.copy(sft))
    if sft.window.name != "callable":
        assert pickle.loads(pickle.dumps(sft)) == sft
    assert sft != sft.remade(fs=2.0) and sft != sft.remade(mfft=128) and sft != "hann"
    assert sft != sft.remade(win_length=np.asarray(sft.win_length) + 0.01, max_length=64, mfft=64)
    assert len({sft, copy.copy(sft), sft.remade(fs=2.0)}) == 2
    assert_array_equal(copy.copy(sft).stft(X[:40]), sft.stft(X[:40]))
