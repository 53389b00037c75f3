"""Window lengths for each frequency or bin: the transform against the plain sums of ``naive``."""

import itertools
import pickle

import naive
import numpy as np
import pytest
from losses import user_window
from numpy.testing import assert_allclose, assert_array_equal

from adaptstft import AdaptiveShortTimeFFT, criteria

EPS = np.finfo(float).eps
# Sums of up to 17 products of order one, window polynomials accurate to 2e-14 of their peak, phases to a few eps:
# well below the 1e-12 that the library promises.
TOL = 1000 * EPS
TOL32 = 100 * np.finfo(np.float32).eps  # the sums are double; inputs and outputs are rounded
BACKENDS = ("numpy", "numba")
N, LONGEST = 37, 17


WINDOWS = ["hann", "hamming", ("tukey", 0.5), ("gaussian", 6.0), ("kaiser", 8.6), user_window]
PLACES = {
    "integer hop": {"hop": 4},
    "fractional hop": {"hop": 3.71},
    "hop below a sample": {"hop": 0.83},
    "integer positions": {"hop": None, "positions": np.array([-30.0, -3.0, 0.0, 5.0, 9.0, 9.0, 20.0, 33.0, 90.0])},
    "half-integer positions": {"hop": None, "positions": np.array([-2.5, 0.5, 7.5, 11.5, 12.5, 24.5, 38.5])},
    "fractional positions": {"hop": None, "positions": np.array([-9.3, -0.21, 4.37, 4.99, 15.08, 27.63, 36.4])},
    "mixed positions": {"hop": None, "positions": np.array([-1.5, 3.0, 7.25, 12.0, 19.5, 31.0])},
}
KINDS = ("frequency", "bin")


def draw_signal(rng, shape, fft_mode="onesided"):
    x = rng.standard_normal(shape)
    return x + 1j * rng.standard_normal(shape) if fft_mode in ("twosided", "centered") else x


def draw_lengths(rng, shape, low=1.0):
    """Real lengths, among them integers, even integers (whose ends are samples) and lengths below two samples."""
    win_length = rng.uniform(low, LONGEST, shape)
    pick = rng.integers(0, 5, shape)
    win_length = np.where(pick == 1, 2 * np.ceil(win_length / 2 - 1) + 2.0, win_length)
    win_length = np.where(pick == 2, np.ceil(win_length), win_length)
    return np.clip(np.where(pick == 3, rng.uniform(low, 2.0, shape), win_length), low, LONGEST)


def make(window, kind, place, rng, n=N, **options):
    """A transform with random lengths for each frequency or each bin."""
    options = {"fs": 8.0, "mfft": 20, "max_length": LONGEST, "fft_mode": "onesided"} | options | place
    offset = options.get("window_offset", 0.0)
    f_pts = len(naive.frequencies(options["fft_mode"], options["mfft"]))
    if options["hop"] is None:
        p_num = len(options["positions"])
    else:
        p_num = int(np.subtract(*naive.slice_range(window, LONGEST, options["hop"], n, offset)[::-1]))
    low = 1.0 if offset == 0 else 1.3  # a window of one sample between two has only its ends
    win_length = draw_lengths(rng, (f_pts, p_num if kind == "bin" else 1), low)
    return AdaptiveShortTimeFFT(window, win_length, **options)


def draw_cotangent(S, rng):
    return rng.standard_normal(S.shape) + 1j * rng.standard_normal(S.shape)


def assert_close(actual, expected, tol=TOL, label=""):
    assert actual.shape == expected.shape, label
    assert_allclose(actual, expected, rtol=0, atol=tol * max(1e-300, np.abs(expected).max()), err_msg=label)


# --- the transform ------------------------------------------------------------------------------


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("window", WINDOWS, ids=naive.label)
def test_windows_and_places(window, place, rng):
    x = draw_signal(rng, N)
    for kind, scale_to in itertools.product(KINDS, (None, "psd", "magnitude")):
        transform = make(window, kind, PLACES[place], rng, scale_to=scale_to)
        expected = naive.stft_of(transform, window, x)
        for backend in BACKENDS:
            label = f"{kind=} {scale_to=} {backend=}"
            assert_close(transform.remade(backend=backend).stft(x), expected, label=label)


@pytest.mark.slow
@pytest.mark.parametrize("place", ["fractional hop", "half-integer positions", "mixed positions"])
@pytest.mark.parametrize(("fft_mode", "scale_to"), naive.MODE_SCALINGS)
def test_modes_phases_offsets_and_padding(fft_mode, scale_to, place, rng):
    x = draw_signal(rng, N, fft_mode)
    phases, paddings = (0, None, 5, -13), ("zeros", "edge", "even", "odd")
    variants = zip(phases, paddings, (0, 3, -2, 7), (0.0, 0.5, 0.0, 0.5), strict=True)
    for (phase_shift, padding, k_offset, window_offset), mfft, kind in itertools.product(variants, (17, 24), KINDS):
        settings = {"fft_mode": fft_mode, "scale_to": scale_to, "mfft": mfft, "phase_shift": phase_shift}
        transform = make("hamming", kind, PLACES[place], rng, window_offset=window_offset, **settings)
        call = {"padding": padding, "k_offset": k_offset}
        expected = naive.stft_of(transform, "hamming", x, **call)
        for backend in BACKENDS:
            S = transform.remade(backend=backend).stft(x, **call)
            # The odd extension reaches values of a few dozen, which cancel.
            assert_close(S, expected, 5 * TOL, f"{mfft=} {phase_shift=} {padding=} {kind=} {backend=}")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("call", [{"p0": 1}, {"p0": 2, "p1": 4}, {"k_offset": -2, "p1": 3}], ids=naive.label)
def test_ranges_of_slices(call, place, rng):
    x = draw_signal(rng, (2, N))
    for kind, backend in itertools.product(KINDS, BACKENDS):
        transform = make("hamming", kind, PLACES[place], rng, backend=backend)
        for padding in ("zeros", "even"):
            expected = naive.stft_of(transform, "hamming", x, padding=padding, **call)
            assert_close(transform.stft(x, padding=padding, **call), expected)


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8])
@pytest.mark.parametrize("padding", ["zeros", "edge", "even", "odd"])
def test_signals_shorter_than_the_windows(n, padding, backend, rng):
    x = draw_signal(rng, n)
    for kind in KINDS:
        transform = make("hamming", kind, {"hop": 3.3}, rng, n=n, backend=backend)
        # The odd extension of a short signal grows with every reflection; its values reach a few dozen.
        expected = naive.stft_of(transform, "hamming", x, padding=padding)
        assert_close(transform.stft(x, padding=padding), expected, 10 * TOL)


def test_frames_that_miss_the_signal_are_zero(backend, rng):
    positions = np.array([-40.0, 6.5, 29.5, 1e9])
    for kind in KINDS:
        transform = make("hamming", kind, {"hop": None, "positions": positions}, rng, backend=backend)
        S = transform.stft(draw_signal(rng, 20))
        assert_array_equal(S[:, [0, 2, 3]], 0)
        assert np.abs(S[:, 1]).max() > 0.1


@pytest.mark.parametrize("far", [10**6, -(10**6)])
def test_frames_far_from_the_origin_keep_their_phase(far, backend, rng):
    """Samples and phases count from the frame, so k_offset changes neither digits nor values."""
    x, positions = draw_signal(rng, N), np.array([3.25, 11.5, 20.0, 31.125])  # exact in binary, also when moved
    for kind in KINDS:
        near = make("hann", kind, {"hop": None, "positions": positions}, rng, backend=backend)
        moved = near.remade(positions=positions - far)
        assert_close(moved.stft(x, k_offset=far), near.stft(x))


@pytest.mark.parametrize("fft_mode", naive.FFT_MODES)
@pytest.mark.parametrize("mfft", [1, 2, 3, 4])
def test_tiny_windows_and_ffts(mfft, fft_mode, rng):
    x = draw_signal(rng, 12, fft_mode)
    positions = np.array([-0.5, 0.0, 1.25, 3.5, 6.0, 10.75, 11.5])
    for scale_to, high in itertools.product(("psd", "magnitude"), {1.0, min(mfft, 1.9), float(mfft)}):
        win_length = rng.uniform(1.0, high, (len(naive.frequencies(fft_mode, mfft)), positions.size))
        settings = {"positions": positions, "mfft": mfft, "max_length": mfft}
        settings |= {"fft_mode": fft_mode, "scale_to": scale_to}
        for backend in BACKENDS:
            transform = AdaptiveShortTimeFFT("hamming", win_length, None, 1.0, backend=backend, **settings)
            assert_close(transform.stft(x), naive.stft_of(transform, "hamming", x), label=f"{scale_to=} {high=}")


@pytest.mark.parametrize("place", ["fractional hop", "integer positions", "mixed positions"])
@pytest.mark.parametrize("fft_mode", naive.FFT_MODES)
def test_equal_lengths_are_those_of_the_frames(fft_mode, place, backend, rng):
    """Exact sums with equal lengths agree with the FFT in the transform, its gradients and the inverse."""
    x = draw_signal(rng, (2, N), fft_mode)
    bins = make("hann", "bin", PLACES[place], rng, fft_mode=fft_mode, scale_to="psd", backend=backend)
    win_length = np.array(bins.win_length)[0]
    bins = bins.remade(win_length=np.tile(win_length, (bins.f_pts, 1)))
    frames = bins.remade(win_length=win_length)
    assert (bins.per_bin, frames.per_bin) == (True, False)
    assert bins.p_range(N) == frames.p_range(N)
    S = frames.stft(x)
    assert_close(bins.stft(x), S)
    assert_close(bins.spectrogram(x), frames.spectrogram(x))
    G = draw_cotangent(S, rng)
    pairs = [(t.vjp(x, G), t.value_and_grad(x, criteria.Renyi(width=2.0))[1]) for t in (bins, frames)]
    for own, other in zip(*pairs, strict=True):
        # Gradients are sums of a few hundred products, with the factor 1/theta of the shortest windows.
        assert_close(own.win_length.sum(axis=0), other.win_length, 20 * TOL)
        assert_close(own.positions, other.positions, 20 * TOL)
        assert_close(own.x, other.x, 20 * TOL)
    constant = bins.remade(win_length=np.full((bins.f_pts, 1), 12.3))
    assert_close(constant.stft(x), frames.remade(win_length=np.full(win_length.size, 12.3)).stft(x))


def test_channels_and_axes(backend, rng):
    x = draw_signal(rng, (3, 2, N))
    for kind, padding in itertools.product(KINDS, ("zeros", "odd")):
        transform = make("hann", kind, PLACES["fractional hop"], rng, backend=backend)
        S = transform.stft(x, padding=padding)
        for index in np.ndindex(3, 2):
            assert_close(S[index], transform.stft(x[index], padding=padding), 4 * EPS)
        for axis in (0, 1):
            moved = transform.stft(np.moveaxis(x, -1, axis), axis=axis, padding=padding)
            assert_array_equal(moved, np.moveaxis(S, -2, axis))


@pytest.mark.parametrize("fft_mode", naive.FFT_MODES)
def test_spectrograms_and_single_precision(fft_mode, backend, rng):
    x, y = draw_signal(rng, (2, 2, N), fft_mode)
    single = np.complex64 if np.iscomplexobj(x) else np.float32
    x, y = x.astype(single), y.astype(single)
    call = {"p0": 1, "k_offset": 2, "padding": "edge"}
    for kind in KINDS:
        settings = {"fft_mode": fft_mode, "scale_to": "psd", "backend": backend}
        transform = make("hann", kind, PLACES["mixed positions"], rng, **settings)
        Sx, Sy = (naive.stft_of(transform, "hann", v.astype(np.result_type(v, float)), **call) for v in (x, y))
        for value, expected, dtype in [
            (transform.stft(x, 1, k_offset=2, padding="edge"), Sx, np.complex64),
            (transform.spectrogram(x, **call), np.abs(Sx) ** 2, np.float32),
            (transform.spectrogram(x, y, **call), Sx * Sy.conj(), np.complex64),
        ]:
            assert value.dtype == dtype
            assert_close(value, expected, TOL32)


def test_complex_signals_are_two_real_ones(backend, rng):
    x = draw_signal(rng, (2, N), "twosided")
    transform = make("hann", "bin", PLACES["mixed positions"], rng, fft_mode="centered", backend=backend)
    assert_close(transform.stft(x), transform.stft(x.real) + 1j * transform.stft(x.imag))
    S = transform.stft(x.real)  # bins of a centred spectrum from -(mfft//2) on
    assert_allclose(transform.f, naive.frequencies("centered", 20, 8.0), atol=1e-14)
    assert S.shape == (2, 20, 6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("hop", [8, 7.3])
@pytest.mark.slow
def test_number_of_workers_changes_nothing(dtype, hop, backend, rng):
    """Bitwise: enough frames of enough samples for many blocks, forward, back and through the inverse."""
    n = 400 if backend == "numpy" else 2500
    x = draw_signal(rng, (2, n)).astype(dtype)
    win_length = np.linspace(60.0, 20.5, 33)[:, None]
    results = []
    for workers in (1, 3):
        transform = AdaptiveShortTimeFFT("hann", win_length, hop, 1.0, mfft=64, workers=workers, backend=backend)
        S = transform.stft(x)
        gradient = transform.vjp(x, S)
        value, of_loss = transform.value_and_grad(x, criteria.Renyi(width=300.0, bands=3))
        restored = transform.istft(S, k1=n)
        parts = [value, restored]
        parts += [getattr(g, name) for g in (gradient, of_loss) for name in ("win_length", "positions", "hop", "x")]
        results.append([S, *parts])
    for one, three in zip(*results, strict=True):
        assert_array_equal(one, three)


def test_copies_and_axes(rng):
    x = draw_signal(rng, N)
    for kind, place in itertools.product(KINDS, ("fractional hop", "mixed positions")):
        transform = make("hann", kind, PLACES[place], rng, scale_to="psd", phase_shift=3)
        S, frames = transform.stft(x), transform.remade(win_length=float(LONGEST))
        for other in (pickle.loads(pickle.dumps(transform)), transform.remade(), transform.remade(workers=1)):
            assert_array_equal(other.win_length, transform.win_length)
            assert_array_equal(other.stft(x), S)
        lengths = transform.win_length
        lengths[:] = 3.0  # a copy
        assert_array_equal(transform.stft(x), S)
        shorter = np.maximum(np.array(transform.win_length) * 0.9, 1.0)
        other = transform.remade(win_length=shorter)
        assert_close(other.stft(x), naive.stft_of(other, "hann", x))
        count = f"11 x {transform.p_num(N) if kind == 'bin' else 1}"
        assert f"<{count} lengths from {shorter.min():g}" in repr(other)
        assert transform.per_bin
        assert (transform.m_num, transform.f_pts) == (LONGEST, 11)
        assert_array_equal(transform.f, frames.f)
        for axes in ("tf", "ft"):
            assert transform.extent(N, axes) == frames.extent(N, axes)
        assert_array_equal(transform.t(N), frames.t(N))
        assert transform.p_range(N) == frames.p_range(N)
        assert (transform.k_min, transform.k_max(N)) == (frames.k_min, frames.k_max(N))
        if frames.hop is not None:
            assert transform.delta_t == frames.delta_t
            assert transform.lower_border_end == frames.lower_border_end
            assert transform.upper_border_begin(N) == frames.upper_border_begin(N)


@pytest.mark.parametrize(
    ("shape", "placed", "message"),
    [
        ((1, 11), {"hop": 4}, r"win_length has shape \(1, 11\).*f_pts=11"),
        ((10, 1), {"hop": 4}, r"win_length has shape \(10, 1\).*f_pts=11.*fft_mode='onesided' and mfft=20"),
        ((20, 4), {"hop": 4}, r"win_length has shape \(20, 4\).*f_pts=11"),
        ((11, 1, 1), {"hop": 4}, r"win_length has shape \(11, 1, 1\).*\(f_pts, 1\) or \(f_pts, p_num\)"),
        ((11, 0), {"hop": 4}, r"win_length"),
        ((11, 3), {"hop": None, "positions": [1.0, 2.0]}, r"win_length.*3.*2 positions"),
    ],
    ids=naive.label,
)
def test_bad_shapes(shape, placed, message):
    with pytest.raises(ValueError, match=message):
        AdaptiveShortTimeFFT("hann", np.full(shape, 7.5), fs=1.0, mfft=20, **placed)


def test_number_of_slices_has_to_match(rng):
    transform = AdaptiveShortTimeFFT("hann", np.full((11, 12), 7.5), 4, 1.0, mfft=20)
    p_num = transform.p_num(N)
    assert p_num != 12
    for call in (transform.stft, lambda x: transform.value_and_grad(x, "renyi"), lambda x: transform.frame_bounds(N)):
        with pytest.raises(ValueError, match=rf"win_length has 12 entries.*{N} samples.*p_num={p_num}"):
            call(draw_signal(rng, N))


@pytest.mark.parametrize("bad", [0.5, -3.0, np.nan, np.inf])
def test_bad_lengths(bad):
    win_length = np.full((11, 3), 7.5)
    win_length[2, 1] = bad
    with pytest.raises(ValueError, match=r"win_length=.*at least 1"):
        AdaptiveShortTimeFFT("hann", win_length, None, 1.0, positions=[1.0, 2.0, 3.0], mfft=20)
    with pytest.raises(ValueError, match=r"max_length=7.*7\.5"):
        AdaptiveShortTimeFFT("hann", np.full((11, 1), 7.5), 4, 1.0, mfft=20, max_length=7)
