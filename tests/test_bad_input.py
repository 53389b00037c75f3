"""Bad input raises an error with the argument, its value and the legal range, before any computation."""

import builtins
import re

import autograd
import numpy as np
import pandas as pd
import pytest

import adaptstft
from adaptstft import AdaptiveShortTimeFFT, criteria, windows
from adaptstft.autograd import stft as autograd_stft

FS = 100.0
X = np.cos(0.3 * np.arange(400)) + 0.01 * np.arange(400) % 7
SFT = AdaptiveShortTimeFFT("hann", 40.5, 10.0, FS)


def tune(x=X, fs=FS, **options):
    return adaptstft.optimize(x, fs, **options)


def with_nan(*where, value=np.nan):
    x = X.copy()
    x[list(where)] = value
    return x


# ------------------------------------------------------------------ signals

SIGNAL_USERS = {
    "optimize": tune,
    "stft": SFT.stft,
    "spectrogram": SFT.spectrogram,
    "vjp": lambda x: SFT.vjp(x, np.ones((21, 44))),
    "value_and_grad": lambda x: SFT.value_and_grad(x, "renyi"),
    "ridges": lambda x: adaptstft.ridges(SFT, x),
    "reassign": lambda x: adaptstft.reassign(SFT, x),
    "synchrosqueeze": lambda x: adaptstft.synchrosqueeze(SFT, x),
}


@pytest.mark.parametrize("use", SIGNAL_USERS.values(), ids=SIGNAL_USERS)
class TestSignals:
    def test_nan(self, use):
        with pytest.raises(ValueError, match="x has 2 NaN or infinite values of 400, the first at index 17"):
            use(with_nan(17, 300))

    def test_infinity(self, use):
        with pytest.raises(ValueError, match="x has 1 NaN or infinite values of 400, the first at index 3"):
            use(with_nan(3, value=-np.inf))

    def test_nan_in_several_channels(self, use):
        with pytest.raises(ValueError, match=r"2 NaN or infinite values of 800, the first at index \(0, 5\)"):
            use(np.stack([with_nan(5), with_nan(4)]))

    @pytest.mark.parametrize("x", [[], np.zeros((0, 5)), np.zeros((3, 0))])
    def test_empty(self, use, x):
        with pytest.raises(ValueError, match="x is empty: its shape is"):
            use(x)

    def test_scalar(self, use):
        with pytest.raises(ValueError, match="x must have at least one dimension"):
            use(3.0)

    @pytest.mark.parametrize("x", [np.array(["a", "b"]), [None, 1.0], np.array([object()] * 3)])
    def test_not_numeric(self, use, x):
        with pytest.raises(TypeError, match="x must be numeric"):
            use(x)

    @pytest.mark.parametrize("n", [256, 48_000])
    @pytest.mark.parametrize("channels", [1, 2, 8])
    def test_channels_last(self, use, n, channels):
        """Samples of shape (n, channels), as audio libraries return them."""
        x = np.random.default_rng(0).standard_normal((n, channels))
        message = rf"x has shape \({n}, {channels}\): along axis=1 these are {n} channels of .* pass axis=0 or x\.T"
        with pytest.raises(ValueError, match=message):
            use(x)

    @pytest.mark.parametrize("lead", [(1,), (3, 1)])
    def test_channels_last_of_more_dimensions(self, use, lead):
        x = np.ones((*lead, 300, 2))
        channels, axis = np.prod(lead) * 300, len(lead) + 1
        message = rf"along axis={axis} these are {channels} channels of 2 samples; .* pass axis={axis - 1}, other"
        with pytest.raises(ValueError, match=message):
            use(x)

    def test_the_name_of_a_file(self, use):
        with pytest.raises(
            TypeError, match=r"x='a\.wav' is text, not an array of numbers; adaptstft\.recordings\.read"
        ):
            use("a.wav")


@pytest.mark.parametrize("name", [name for name in SIGNAL_USERS if name != "optimize"])
def test_rows_of_different_lengths(name):
    """For `optimize` such a list is a corpus."""
    with pytest.raises(ValueError, match=r"x has rows of different lengths of 400, 9 samples: an array has rows"):
        SIGNAL_USERS[name]([X, X[:9]])


def test_columns_of_few_samples_are_not_called_silent():
    columns = np.repeat(X[:200, np.newaxis], 2, axis=1)
    with pytest.raises(ValueError, match=r"\(200 channels of 2 samples; if the columns of x .* pass axis=0\)"):
        adaptstft.optimize(columns, 100.0)
    with pytest.raises(ValueError, match=r"x has 1 sample, at least 2 .* \(200 channels of 1 sample; .* axis=0\)"):
        adaptstft.optimize(columns[:, :1], 100.0)
    with pytest.raises(ValueError, match=r"x has 1 sample, at least 2 are needed to compare window lengths$"):
        adaptstft.optimize([1.0], 100.0)
    with pytest.raises(ValueError, match=r"x is silent once its trend is removed \(detrend='linear'\): .* another$"):
        adaptstft.optimize(np.arange(50.0), 100.0)
    assert adaptstft.optimize(columns, 100.0, axis=0).win_length > 1


def test_few_samples_of_few_channels_are_a_signal():
    assert SFT.stft(np.ones((255, 8))).shape[0] == 255
    assert SFT.stft(np.ones((256, 9))).shape[0] == 256
    assert SFT.stft(np.ones((8, 256))).shape[0] == 8
    assert SFT.stft(np.ones((300, 2)), axis=0).shape[0] == 21
    assert SFT.stft(np.ones((300, 2)), axis=1).shape[:2] == (300, 21)
    assert SFT.stft(np.ones((2, 300, 2)), axis=2).shape[:3] == (2, 300, 21)


@pytest.mark.parametrize("axis", [0, -2])
def test_channels_first_with_the_axis_of_channels_last(axis):
    with pytest.raises(ValueError, match=r"along axis=0 these are 300 channels of 2 samples; .* pass axis=1 or x\.T$"):
        SFT.stft(np.ones((2, 300)), axis=axis)


def test_slices_that_do_not_reach_the_samples():
    wide = AdaptiveShortTimeFFT("hamming", 40, 60, FS)
    with pytest.raises(
        ValueError, match=r"k0=0, k1=100: the 2 slices of S reach the samples -20 to 79, no window covers"
    ):
        wide.istft(wide.stft(X[:100]), k1=100)


@pytest.mark.parametrize(
    ("k0", "k1", "message"),
    [
        (60, 50, "^k0=60 must be at least -40 and less than k1=50$"),
        (460, None, "^k0=460 must be at least -40 and less than k1=431, the end of the last slice$"),
        (-41, 50, "^k0=-41, k1=50: the 44 slices of S reach the samples -40 to 430, .* and k1 at most 431"),
        (0, 432, "^k0=0, k1=432: the 44 slices of S"),
    ],
)
def test_ranges_of_samples(k0, k1, message):
    with pytest.raises(ValueError, match=message):
        SFT.istft(SFT.stft(X), k0, k1)


def test_denoising_with_a_hop_that_needs_endless_memory():
    with pytest.raises(ValueError, match=r"^hop=1e-09 must be at least 1/64 of a sample"):
        adaptstft.denoise(X, FS, hop=1e-9)


@pytest.mark.parametrize("use", [tune, SIGNAL_USERS["value_and_grad"]])
def test_silent(use):
    with pytest.raises(ValueError, match="x is silent: all 400 samples are zero"):
        use(np.zeros(400))


TINY = {"float64": (1e-310, "2.33e-302"), "float32": (1e-40, "1.23e-32"), "complex128": (1e-310, "2.33e-302")}


@pytest.mark.parametrize("dtype", TINY)
@pytest.mark.parametrize("criterion", ["renyi", "gini", "shannon"])
def test_derivatives_of_numbers_that_are_almost_zero(dtype, criterion):
    """Their inverses, the order of the derivatives, are no numbers."""
    scale, limit = TINY[dtype]
    mode = "centered" if dtype == "complex128" else "onesided"
    sft = AdaptiveShortTimeFFT("hann", 40.5, 10.0, FS, fft_mode=mode)
    message = rf"^x has the largest magnitude \S+, derivatives need at least {limit} for {dtype}: multiply it"
    with pytest.raises(ValueError, match=message):
        sft.value_and_grad((scale * X).astype(dtype), criterion)
    value, gradient = sft.value_and_grad((X * (4 * float(limit))).astype(dtype), criterion)
    assert value == pytest.approx(sft.value_and_grad(X.astype(dtype), criterion)[0], rel=1e-6)
    assert np.isfinite(gradient.x).all() and np.isfinite(gradient.win_length)


ALMOST_ZERO = {
    "optimize": tune,
    "complex": lambda x: tune(x + 1j * x[::-1]),
    "a band": lambda x: tune(x, f_bounds=(2, 40)),
    "a corpus": lambda x: tune(adaptstft.Corpus([x + 1j * x[::-1]] * 2)),
    "frames": lambda x: tune(x, window_mode="time", hop=20),
}


@pytest.mark.parametrize("use", ALMOST_ZERO.values(), ids=ALMOST_ZERO)
def test_numbers_that_are_almost_zero_are_tuned(use):
    np.testing.assert_allclose(use(np.ldexp(X, -1030)).win_length, use(X).win_length, rtol=1e-6)


def test_numbers_that_are_almost_zero_are_denoised():
    z = X + 1j * X[::-1]
    y = adaptstft.denoise(np.ldexp(z.real, -1030) + 1j * np.ldexp(z.imag, -1030), FS, noise_std=2.0**-1033)
    expected = adaptstft.denoise(z, FS, noise_std=2.0**-3)
    np.testing.assert_allclose(np.ldexp(y.real, 1030), expected.real, rtol=0, atol=1e-10)


def test_a_floor_far_above_the_signal():
    """Nothing of such a signal is described."""
    message = r"^floor=1e-06 must be at most 1e\+10 times the square of the largest sample, which is \S+e-310$"
    corpus = adaptstft.Corpus([1e-310 * X])
    for x in (1e-310 * X, corpus):
        with pytest.raises(ValueError, match=message):
            tune(x, criterion=criteria.DescriptionLength(floor=1e-6))


def test_noise_far_above_the_signal():
    message = r"^noise_std=0\.1 must be at most 1e\+50 times the largest magnitude of x, \S+e-260$"
    with pytest.raises(ValueError, match=message):
        adaptstft.ridges(SFT, 1e-310 * X, noise_std=0.1)
    with pytest.raises(ValueError, match=r"^noise_std=1e\+200 must be at most 1e\+50 times"):
        adaptstft.ridges(SFT, X, noise_std=1e200)
    assert adaptstft.ridges(SFT, 1e-310 * X, noise_std=1e-300).frequency.shape == (1, 44)


def test_silent_without_its_trend():
    with pytest.raises(ValueError, match="silent once its trend is removed"):
        tune(np.full(400, 3.0))
    assert tune(np.full(400, 3.0), detrend=None).success


def test_silence_can_be_transformed():
    assert not SFT.stft(np.zeros(400)).any()


@pytest.mark.parametrize("axis", [2, -2])
def test_axis(axis):
    with pytest.raises(ValueError, match=rf"axis={axis} must lie in \[-1, 0\]"):
        tune(axis=axis)
    with pytest.raises(ValueError, match=rf"axis={axis} must lie in \[-1, 0\]"):
        SFT.stft(X, axis=axis)


def test_complex_signal_with_a_onesided_mode():
    for mode in ("onesided", "onesided2X"):
        sft = AdaptiveShortTimeFFT("hann", 40.5, 10.0, FS, fft_mode=mode, scale_to="psd")
        with pytest.raises(ValueError, match=r"x is complex, .*use fft_mode 'twosided' or 'centered'"):
            sft.stft(X + 0j)


ACCEPTED = {
    "list": X.tolist(),
    "integers": np.round(100 * X).astype(np.int16),
    "unsigned": np.round(10 * X + 20).astype(np.uint8),
    "bool": X > 0,
    "float16": X.astype(np.float16),
    "big-endian": X.astype(">f8"),
    "strided": np.repeat(X, 3)[::3],
    "reversed": X[::-1][::-1],
    "series": pd.Series(X, index=np.arange(400) + 7),
}


@pytest.mark.parametrize("x", ACCEPTED.values(), ids=ACCEPTED)
def test_accepted_kinds(x):
    before = np.array(x)
    res = tune(x)
    assert res.success
    assert SFT.stft(x).shape == (21, 44)
    np.testing.assert_array_equal(np.asarray(x), before)


def test_read_only_and_memory_mapped_arrays(tmp_path):
    frozen = X.copy()
    frozen.setflags(write=False)
    reference = tune(X)
    assert tune(frozen).win_length == reference.win_length
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert tune(mapped).win_length == reference.win_length
    np.testing.assert_array_equal(SFT.stft(mapped), SFT.stft(X))


# ------------------------------------------------------------------ numbers


@pytest.mark.parametrize("fs", [0, -1.0, np.nan, np.inf])
def test_sampling_frequency(fs):
    message = "must be greater than 0 Hz" if np.isfinite(fs) else "must be finite"
    for use in (lambda: tune(fs=fs), lambda: AdaptiveShortTimeFFT("hann", 40, 10, fs)):
        with pytest.raises(ValueError, match=f"fs={fs!r} {message}"):
            use()


@pytest.mark.parametrize("fs", ["1", None, [1.0, 2.0], 1j, True, np.array(True)])
def test_sampling_frequency_type(fs):
    with pytest.raises(TypeError, match=r"fs=.* must be a real number"):
        tune(fs=fs)


@pytest.mark.parametrize("fs", [np.array(0), np.float64(-1.0), np.array(np.nan), np.int16(0)])
def test_messages_show_scalar_arrays_as_numbers(fs):
    with pytest.raises(ValueError, match=f"^fs={fs.item()!r} must be"):
        tune(fs=fs)
    assert tune(fs=np.array(100.0)).sft.fs == 100.0


@pytest.mark.parametrize("name", ["mfft", "starts", "workers", "axis"])
@pytest.mark.parametrize("flag", [True, np.True_, False])
def test_booleans_are_refused_as_numbers(name, flag):
    with pytest.raises(TypeError, match=f"^{name}={bool(flag)} must be an integer"):
        tune(**{name: flag})


def test_variables_of_autograd_are_refused_as_settings():
    loss = autograd.grad(lambda fs: autograd_stft(np.ones(99), 20.0, mfft=32, hop=5, fs=fs).real.sum())
    with pytest.raises(TypeError, match=r"^fs is a variable of automatic differentiation, but must be a plain number"):
        loss(2.0)


@pytest.mark.parametrize("length", [0.5, 0, -3, np.nan, [20.0, 0.2]])
def test_window_length(length):
    with pytest.raises(ValueError, match=r"win_length=.* must be finite and at least 1 sample"):
        AdaptiveShortTimeFFT("hann", length, None, FS, positions=[5.0, 10.0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"win_bounds": (100, 50)}, r"win_bounds=\(100, 50\) cross"),
        ({"win_bounds": (0.5, 50)}, "lower bound must be at least 1 sample$"),
        ({"win_bounds": 50}, r"win_bounds=50 must be a pair \(low, high\) in samples"),
        ({"hop_bounds": (9, 3)}, r"hop_bounds=\(9, 3\) cross"),
        ({"hop": 20, "hop_bounds": (3, 9), "hop_mode": "time"}, r"hop=20.* must lie within hop_bounds=\(3, 9\)"),
        ({"win_length": 700, "win_bounds": (16, 200)}, r"win_length=700 must lie in \[16, 200\] samples"),
        ({"win_length": 30, "hop": 20}, r"win_length=30 must lie in \[40, 200\] samples"),
        ({"hop": 80, "win_bounds": (16, 100)}, r"hop=80.* leaves samples uncovered: .* at least 160 samples"),
        ({"hop_bounds": (300, 400)}, "leaves samples uncovered"),
        ({"hop": 0}, "hop=0 must be greater than 0 samples"),
        ({"hop": 1e-9}, "^hop=1e-09 must be at least 1/64 of a sample"),
        ({"hop": 0.015, "hop_mode": "constant"}, "^hop=0.015 must be at least 1/64 of a sample"),
        (
            {"hop_mode": "constant", "hop_bounds": (0, 1e-8), "min_overlap": None},
            r"hop_bounds=\(0, 1e-08\): the upper bound must be at least 1/64 of a sample",
        ),
        ({"hop": -4.0}, "hop=-4.0 must be greater than 0 samples"),
        ({"mfft": 0}, "mfft=0 must be at least 1"),
        ({"mfft": 64, "win_bounds": (16, 200)}, "mfft=64 must be at least the longest window allowed, 200"),
        ({"min_overlap": 1.0}, "min_overlap=1.0 must be at least 0.05, .* and less than 1; or be None"),
        ({"min_overlap": 0}, "min_overlap=0 must be at least 0.05"),
        ({"hop": 1000}, "hop=1000.* leaves samples uncovered: .* for 400 samples"),
        ({"win_bounds": (100, 1e9)}, "win_bounds=.* at most 400 samples, the length of the signal"),
        ({"win_length": 5000}, "win_length=5000.* at most 400 samples, the length of the signal"),
        (
            {"hop": 5, "hop_bounds": (3, 9)},
            r"hop_bounds=\(3, 9\) .* hop_mode='time' or 'constant', or a hop that is not given",
        ),
        ({"smoothness": -1}, "smoothness=-1 must be at least 0"),
        ({"starts": 0}, "starts=0 must be at least 1"),
        ({"workers": 0}, "workers=0 must be None, a positive integer, or a negative one"),
        ({"win_length": [40.0, 50.0]}, "needs window_mode='time' or 'fixed'"),
        ({"win_length": [40.0, 50.0], "hop": 10, "window_mode": "time"}, "win_length has 2 entries, but .* makes 41"),
        ({"win_length": np.ones((2, 2)) * 50}, r"win_length has shape \(2, 2\)"),
        ({"win_length": []}, "win_length is empty"),
        ({"tune_shape": True}, "needs a window with shape parameters"),
    ],
)
def test_values_of_optimize(options, message):
    with pytest.raises(ValueError, match=message):
        tune(**options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"callback": 3}, "callback=3 must be callable"),
        ({"options": 3}, "options=3 must be a dict"),
        ({"starts": 1.5}, "starts=1.5 must be an integer"),
        ({"mfft": 64.0}, "mfft=64.0 must be an integer"),
        ({"win_length": "long"}, "win_length='long' must be a real number"),
        ({"hop": "8"}, "hop='8' must be a real number"),
        ({"criterion": 7}, "criterion=7 must be a name, a criterion object or a callable"),
        ({"window": 7}, "window=7 must be a name"),
        ({"workers": 1.5}, "workers=1.5 must be an integer"),
    ],
)
def test_types_of_optimize(options, message):
    with pytest.raises(TypeError, match=message):
        tune(**options)


@pytest.mark.parametrize("option", ["window_mode", "hop_mode", "scale_to", "method", "detrend", "scope"])
def test_messages_for_unknown_options_list_the_known_ones(option):
    with pytest.raises(ValueError, match=rf"{option}='nonsense' must be one of '.*'"):
        tune(**{option: "nonsense"})


# ------------------------------------------------------------------ names


def test_messages_for_unknown_names_list_the_known_ones():
    with pytest.raises(ValueError, match=r"unknown window 'hanning'; known are \[.*'hann'.*\]"):
        tune(window="hanning")
    with pytest.raises(ValueError, match=r"unknown criterion='entropy'; known are \[.*'renyi'.*\]"):
        tune(criterion="entropy")
    with pytest.raises(ValueError, match=r"unknown criterion='sure'"):
        SFT.value_and_grad(X, "sure")
    with pytest.raises(ValueError, match="backend='opencl' must be one of 'auto', 'numba', 'numpy', 'cuda'"):
        tune(backend="opencl")
    with pytest.raises(ValueError, match="backend='torch' must be one of"):
        AdaptiveShortTimeFFT("hann", 40, 10, FS, backend="torch")


@pytest.mark.parametrize("window", ["boxcar", lambda u: 1 + 0 * u])
def test_windows_that_jump_at_their_ends_are_refused_for_tuning(window):
    message = "cannot be tuned: it still has the value 1 at its ends"
    with pytest.raises(ValueError, match=message):
        tune(window=window)
    sft = AdaptiveShortTimeFFT(window, 40, 10, FS)
    assert np.allclose(sft.istft(sft.stft(X), k1=400), X)
    with pytest.raises(ValueError, match=message):
        sft.value_and_grad(X, "renyi")
    assert sft.vjp(X, sft.stft(X), wrt=("x",)).x.shape == X.shape


@pytest.mark.parametrize(
    ("window", "message"),
    [
        (("tukey", 1.5), "1.5 of window 'tukey' is out of range: 0 < alpha <= 1"),
        (("gaussian", 0), "0.0 of window 'gaussian' is out of range: length/sigma > 0"),
        (("kaiser", -1), "-1.0 of window 'kaiser' is out of range: beta >= 0"),
        (("kaiser", np.nan), "must be finite"),
        (("hann", 3), "window 'hann' takes 0 shape parameters"),
        ("general_cosine", "needs its coefficients"),
    ],
)
def test_shape_parameters(window, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        windows.resolve(window)


@pytest.mark.parametrize("value", [True, [0.5, None], "6", 1j])
def test_shape_parameters_are_numbers(value):
    with pytest.raises(TypeError, match=r"^window=\('gaussian', .*\): shape parameters must be real numbers"):
        windows.resolve(("gaussian", value))


def test_functions_written_with_plain_numpy():
    plain = AdaptiveShortTimeFFT(lambda u: np.cos(np.pi * np.asarray(u, dtype=float)) ** 2, 40, 10, FS)
    assert np.allclose(plain.stft(X), AdaptiveShortTimeFFT("hann", 40, 10, FS).stft(X))
    with pytest.raises(TypeError, match=r"write it with autograd\.numpy"):
        plain.value_and_grad(X, "renyi")
    with pytest.raises(TypeError, match=r"use autograd\.numpy"):
        SFT.value_and_grad(X, lambda P: float(np.sum(np.asarray(P, dtype=float))))
    with pytest.raises((TypeError, ValueError), match=r"must return a (real|finite) scalar"):
        SFT.value_and_grad(X, lambda P: P)


def test_criterion_parameters():
    for make, message in (
        (lambda: criteria.Renyi(alpha=0), "alpha=0 must be greater than 0"),
        (lambda: criteria.Shannon(power=-1), "power=-1 must be greater than 0"),
        (lambda: criteria.Stankovic(r=1), "r=1 must be greater than 1"),
        (lambda: criteria.Lp(k=2), "k=2 must lie between 0 and 2"),
        (lambda: criteria.Renyi(scope="plane"), "scope='plane' must be one of"),
        (lambda: criteria.Renyi(width=0), "width=0 must be greater than 0 s"),
        (lambda: tune(criterion=criteria.Renyi(scope="frame"), scope="global"), "scope='global' contradicts"),
        (lambda: tune(criterion=lambda P: P.sum(), scope="local"), "takes no scope"),
    ):
        with pytest.raises(ValueError, match=message):
            make()


# ------------------------------------------------------------------ transforms


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"hop": None}, "give either a hop or positions, got hop=None, positions=None"),
        ({"positions": [1.0]}, "give either a hop or positions"),
        ({"hop": 0}, "hop=0 must be greater than 0"),
        ({"hop": 1e-9}, "hop=1e-09 must be at least 1/64 of a sample"),
        ({"hop": None, "positions": [3.0, 2.0]}, "positions must not decrease"),
        ({"hop": None, "positions": []}, "positions has shape"),
        ({"hop": None, "positions": [0.0, np.nan]}, "positions has 1 NaN"),
        ({"hop": None, "positions": [0.0, 5.0], "win_length": [40.0] * 3}, "win_length has 3 entries for 2 positions"),
        ({"max_length": 30}, "max_length=30 must be at least the longest window, 40"),
        ({"mfft": 39}, "mfft=39 must be at least the window's 40 samples"),
        ({"fft_mode": "both"}, "fft_mode='both' must be one of"),
        ({"fft_mode": "onesided2X"}, "needs scale_to='magnitude' or 'psd'"),
        ({"scale_to": "unit"}, "scale_to='unit' must be one of"),
        ({"phase_shift": 40}, "phase_shift=40 must lie between -mfft and mfft"),
    ],
)
def test_arguments_of_the_transform(arguments, message):
    with pytest.raises(ValueError, match=message):
        AdaptiveShortTimeFFT(**({"window": "hann", "win_length": 40, "hop": 10, "fs": FS} | arguments))


def test_mismatched_shapes():
    varying = AdaptiveShortTimeFFT("hann", np.full(7, 40.0), 10.0, FS)
    with pytest.raises(ValueError, match="win_length has 7 entries, but a signal of 400 samples has p_num=43 slices"):
        varying.stft(X)
    with pytest.raises(ValueError, match=r"x and y must have the same shape, got \(400,\) and \(399,\)"):
        SFT.spectrogram(X, X[1:])
    with pytest.raises(ValueError, match=r"cotangent has shape \(3, 3\), but the transform has shape \(21, 44\)"):
        SFT.vjp(X, np.ones((3, 3)))
    with pytest.raises(ValueError, match=r"S has shape \(20, 44\): it must have f_pts=21 entries"):
        SFT.istft(np.ones((20, 44)))
    with pytest.raises(ValueError, match="f_axis=0 and t_axis=-2 must differ"):
        SFT.istft(np.ones((21, 44)), f_axis=0, t_axis=-2)
    with pytest.raises(ValueError, match="wrt="):
        SFT.value_and_grad(X, "renyi", wrt=("length",))
    with pytest.raises(ValueError, match="S has 1 NaN"):
        SFT.istft(np.where(np.arange(44) + np.arange(21)[:, None], 1.0, np.nan))


def test_ranges():
    with pytest.raises(ValueError, match="p0=-9, p1=None: p_min=-2 <= p0 < p1 <= p_max=42 does not hold"):
        SFT.stft(X, p0=-9)
    with pytest.raises(ValueError, match=r"k0=0, k1=1000: the 44 slices of S reach the samples -\d+ to \d+, no window"):
        SFT.istft(SFT.stft(X), k1=1000)
    with pytest.raises(ValueError, match="n=0 must be at least 1"):
        SFT.t(0)
    with pytest.raises(ValueError, match="padding='wrap' must be one of"):
        SFT.stft(X, padding="wrap")


def test_uncovered_samples_are_named_but_can_be_analysed():
    gaps = AdaptiveShortTimeFFT("hann", 20, None, FS, positions=[10.0, 50.0, 60.0])
    S = gaps.stft(X[:70])
    assert not gaps.invertible
    with pytest.raises(
        ValueError, match="not invertible: no window covers 22 of the samples 0 to 69, namely 0, 20 to 40"
    ):
        gaps.istft(S, k1=70)
    assert np.allclose(gaps.istft(S, k0=41, k1=69), X[41:69])


def test_conversion_to_and_from_scipy():
    with pytest.raises(ValueError, match="has no equal in SciPy"):
        AdaptiveShortTimeFFT("hann", 40, 10.5, FS).to_scipy()
    with pytest.raises(TypeError, match=r"must be a scipy\.signal\.ShortTimeFFT"):
        AdaptiveShortTimeFFT.from_scipy(SFT, "hann")
    with pytest.raises(ValueError, match=r"window='blackman' does not reproduce sft\.win"):
        AdaptiveShortTimeFFT.from_scipy(AdaptiveShortTimeFFT("hann", 40, 10, FS).to_scipy(), "blackman")


def test_the_message_for_a_missing_extra_has_the_command(monkeypatch):
    real_import = builtins.__import__

    def no_matplotlib(name, *args, **kwargs):
        if name.partition(".")[0] == "matplotlib":
            raise ImportError(name)
        return real_import(name, *args, **kwargs)

    monkeypatch.setattr("importlib.import_module", lambda name: no_matplotlib(name))
    from adaptstft.common.optional import require

    with pytest.raises(ImportError, match=r"needs matplotlib, .*: pip install .*\[plot\]"):
        require("matplotlib.pyplot", extra="plot")
