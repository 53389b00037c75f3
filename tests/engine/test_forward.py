"""The forward transform at real lengths, hops and positions against the plain sums of ``naive``."""

import itertools

import autograd.numpy as anp
import naive
import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from adaptstft import AdaptiveShortTimeFFT
from adaptstft.engine.frames import make_frames

# Both add up to about 40 products of order one: a few dozen roundings, relative to the largest sum. The
# polynomials that kernels use for windows and the phases add a few more.
TOL = 300 * np.finfo(float).eps
TOL32 = 300 * np.finfo(np.float32).eps

WINDOWS = [
    "hann",
    "hamming",
    "blackman",
    "nuttall",
    "blackmanharris",
    "flattop",
    "cosine",
    "boxcar",
    ("general_cosine", (0.4, 0.45, 0.15)),
    ("general_hamming", 0.52),
    ("gaussian", 6.0),
    ("kaiser", 8.6),
    ("tukey", 0.5),
    lambda u: anp.cos(anp.pi * u) ** 3 * (1 + 0.3 * u),  # not symmetric
]


def draw_signal(rng, shape, *, complex_x=False):
    x = rng.standard_normal(shape)
    return x + 1j * rng.standard_normal(shape) if complex_x else x


def assert_close(actual, expected, tol=TOL, label=""):
    assert actual.shape == expected.shape, label
    assert_allclose(actual, expected, rtol=0, atol=tol * max(1e-300, np.abs(expected).max()), err_msg=label)


def framings(rng, n=37):
    """Keyword arguments for every way to place frames with lengths between 4 and 17 samples."""
    positions = np.sort(rng.uniform(-5, n + 5, 9))
    return {
        "length and hop": {"win_length": 12.37, "hop": 3.71},
        "hop beyond the window": {"win_length": 6.2, "hop": 9.83},
        "hop below a sample": {"win_length": 11.5, "hop": 0.83},
        "length per slice": {"win_length": None, "hop": 4.45},
        "positions": {"win_length": 12.37, "hop": None, "positions": positions},
        "length per position": {"win_length": rng.uniform(4, 17, 9), "hop": None, "positions": positions},
    }


def make(window, framing, rng, n=37, **options):
    """A transform; a missing length is drawn once the number of slices is known."""
    options = {"fs": 8.0} | framing | options
    if options["win_length"] is None:
        options.setdefault("max_length", 17)
        p_min, p_max = naive.slice_range(
            window, options["max_length"], options["hop"], n, options.get("window_offset", 0.0)
        )
        options["win_length"] = rng.uniform(4, 17, p_max - p_min)
    return AdaptiveShortTimeFFT(window, **options)


@pytest.mark.parametrize("framing", framings(np.random.default_rng(0)))
@pytest.mark.parametrize("window", WINDOWS, ids=naive.label)
def test_windows_and_framings(window, framing, backend, rng):
    x = draw_signal(rng, 37)
    for scale_to in (None, "psd", "magnitude"):
        transform = make(window, framings(rng)[framing], rng, backend=backend, scale_to=scale_to, mfft=20)
        assert_close(transform.stft(x), naive.stft_of(transform, window, x), label=f"{scale_to=}")


@pytest.mark.parametrize("framing", framings(np.random.default_rng(0)))
@pytest.mark.parametrize(("fft_mode", "scale_to"), naive.MODE_SCALINGS)
def test_modes_phases_and_padding(fft_mode, scale_to, framing, backend, rng):
    x = draw_signal(rng, 37, complex_x=fft_mode in ("twosided", "centered"))
    variants = [(0, "zeros"), (None, "edge"), (5, "even"), (-13, "odd")]
    for mfft, (phase_shift, padding) in itertools.product((17, 24), variants):
        transform = make(
            "hann",
            framings(rng)[framing],
            rng,
            fft_mode=fft_mode,
            scale_to=scale_to,
            mfft=mfft,
            phase_shift=phase_shift,
            max_length=17,
            backend=backend,
        )
        expected = naive.stft_of(transform, "hann", x, padding=padding)
        assert_close(transform.stft(x, padding=padding), expected, label=f"{mfft=} {phase_shift=} {padding=}")


@pytest.mark.parametrize("framing", framings(np.random.default_rng(0)))
@pytest.mark.parametrize(
    "call", [{"p0": 1}, {"p0": 2, "p1": 4}, {"k_offset": 7}, {"k_offset": -2, "p1": 3}], ids=naive.label
)
def test_ranges_and_offsets(framing, call, backend, rng):
    x = draw_signal(rng, (2, 37))
    transform = make("hamming", framings(rng)[framing], rng, backend=backend)
    for padding in ("zeros", "odd"):
        expected = naive.stft_of(transform, "hamming", x, padding=padding, **call)
        assert_close(transform.stft(x, padding=padding, **call), expected)


@pytest.mark.parametrize("window_offset", [0.5, -0.5, 1.3, -4.0])
@pytest.mark.parametrize("framing", framings(np.random.default_rng(0)))
def test_window_offset_moves_the_window_and_not_the_phase(window_offset, framing, backend, rng):
    x = draw_signal(rng, 37)
    transform = make("hamming", framings(rng)[framing], rng, backend=backend, window_offset=window_offset)
    assert_close(transform.stft(x), naive.stft_of(transform, "hamming", x))


@pytest.mark.parametrize(("win_length", "hop"), [(12, 3), (7, 2), (12, 2.5), (7.0, 3.5), (11, 5)])
def test_samples_on_the_edge_of_the_support(win_length, hop, backend, rng):
    """Hamming and boxcar windows show which end is open; the FFT has space for one more sample."""
    x = draw_signal(rng, 37)
    for window in ("hamming", "boxcar"):
        transform = AdaptiveShortTimeFFT(window, win_length, hop, 1.0, backend=backend, scale_to="psd", mfft=16)
        assert_close(transform.stft(x), naive.stft_of(transform, window, x))


def test_length_close_to_the_fft_between_samples(backend, rng):
    """A frame of mfft samples whose centre is no integer keeps its last sample."""
    x = draw_signal(rng, 37)
    positions = np.array([4.5, 10.25, 17.999, 23.0, 30.75])
    for win_length in (7.999, 8.0):
        transform = AdaptiveShortTimeFFT("boxcar", win_length, None, 1.0, positions=positions, mfft=8, backend=backend)
        assert_close(transform.stft(x), naive.stft_of(transform, "boxcar", x))


@pytest.mark.parametrize("n", [1, 2, 3, 5, 8])
def test_signals_shorter_than_the_window(n, backend, rng):
    x = draw_signal(rng, n)
    for padding in ("zeros", "edge", "even", "odd"):
        transform = AdaptiveShortTimeFFT("hamming", 16.5, 3.3, 1.0, backend=backend)
        expected = naive.stft_of(transform, "hamming", x, padding=padding)
        # The odd extension of a short signal grows with every reflection; its values reach a few dozen.
        assert_close(transform.stft(x, padding=padding), expected, 10 * TOL, padding)


def test_frames_that_miss_the_signal_are_zero(backend, rng):
    positions = np.array([-40.0, 6.5, 90.0])
    transform = AdaptiveShortTimeFFT("hann", 9.3, None, 1.0, positions=positions, backend=backend)
    S = transform.stft(draw_signal(rng, 20))
    assert_array_equal(S[:, [0, 2]], 0)
    assert np.abs(S[:, 1]).max() > 0.1


def test_positions_far_from_the_origin_keep_their_phase(backend, rng):
    """The phase is counted from the frame, so it must not lose digits to large sample numbers."""
    x, start = draw_signal(rng, 37), 10**6
    far = np.concatenate([np.zeros(start), x])
    positions = np.array([3.25, 11.5, 20.125, 31.0])  # exact in floating point, also after the shift
    near_S, far_S = (
        AdaptiveShortTimeFFT("hann", 12.5, None, 1.0, positions=t, backend=backend).stft(v)
        for t, v in ((positions, x), (positions + start, far))
    )
    assert_close(far_S, near_S)


@pytest.mark.parametrize("win_length", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("fft_mode", naive.FFT_MODES)
def test_tiny_windows_and_ffts(win_length, fft_mode, backend, rng):
    """One or two samples a frame; with two points a one-sided spectrum is as long as a two-sided one."""
    x = draw_signal(rng, 20, complex_x=fft_mode in ("twosided", "centered"))
    positions = np.arange(2.0, 18.0) + np.linspace(0, 0.9, 16)
    for mfft in range(int(np.ceil(win_length)), 5):
        settings = {"positions": positions, "mfft": mfft, "fft_mode": fft_mode, "scale_to": "psd"}
        transform = AdaptiveShortTimeFFT("hamming", win_length, None, 1.0, backend=backend, **settings)
        assert_close(transform.stft(x), naive.stft_of(transform, "hamming", x), label=f"{mfft=}")


def test_frames_of_a_block_are_arrays_of_their_own():
    """Compiled kernels warn about read-only views."""
    for positions in ([3.0], [3.0, 4.5]):
        frames = make_frames(np.float64(7.5), np.array(positions), mfft=8)
        assert frames[:].win_length.flags.writeable


@pytest.mark.parametrize("window", ["hann", "hamming", ("tukey", 0.4)], ids=naive.label)
@pytest.mark.parametrize("window_offset", [0.0, 0.5, -1.2])
def test_slices_of_a_real_hop(window, window_offset, rng):
    for win_length, hop, n in zip(
        rng.uniform(2, 30, 60), rng.uniform(0.5, 20, 60), rng.integers(1, 60, 60), strict=True
    ):
        transform = AdaptiveShortTimeFFT(window, win_length, hop, 1.0, window_offset=window_offset)
        expected = naive.slice_range(window, win_length, hop, n, window_offset)
        assert transform.p_range(n) == expected, f"{win_length=} {hop=} {n=}"
        assert transform.p_num(n) == expected[1] - expected[0]
        assert_allclose(transform.t(n), np.arange(*expected) * hop, rtol=4 * np.finfo(float).eps)


def test_slices_of_a_length_per_frame_are_those_of_the_longest():
    transform = AdaptiveShortTimeFFT("hann", [5.0, 12.0, 7.0, 6.0, 11.0], 7.3, 1.0)
    assert transform.m_num == 12
    assert transform.p_range(28) == naive.slice_range("hann", 12, 7.3, 28) == (0, 5)
    assert transform.stft(np.ones(28)).shape == (7, 5)
    longer = AdaptiveShortTimeFFT("hann", np.full(7, 12.0), 7.3, 1.0, max_length=20)
    assert longer.p_range(28) == naive.slice_range("hann", 20, 7.3, 28) == (-1, 6)


def test_number_of_lengths_has_to_match(rng):
    transform = AdaptiveShortTimeFFT("hann", np.full(6, 12.0), 5.0, 1.0)
    with pytest.raises(ValueError, match=r"6.*p_num"):
        transform.stft(draw_signal(rng, 100))


def test_axes_of_positions(rng):
    positions = np.array([1.5, 4.0, 9.25])
    transform = AdaptiveShortTimeFFT("hann", 8.5, None, 4.0, positions=positions)
    assert (transform.p_min, transform.p_max(12), transform.p_num(12)) == (0, 3, 3)
    assert transform.hop is None
    assert_array_equal(transform.positions, positions)
    assert_array_equal(transform.t(12), positions / 4.0)
    assert_array_equal(transform.t(12, 1, 3, k_offset=2), (positions[1:] + 2) / 4.0)


def test_length_and_fft_size_defaults():
    transform = AdaptiveShortTimeFFT("hann", 12.2, 3.5, 10.0)
    assert (transform.m_num, transform.mfft, transform.m_num_mid) == (13, 13, 6)
    assert (transform.T, transform.delta_t) == (pytest.approx(0.1), pytest.approx(0.35))
    assert transform.f_pts == transform.f.size == 7
    longer = AdaptiveShortTimeFFT("hann", 12.2, 3.5, 10.0, max_length=20)
    assert (longer.m_num, longer.mfft) == (20, 20)


@pytest.mark.parametrize("padding", ["zeros", "even"])
def test_channels_are_transformed_alike(padding, backend, rng):
    x = draw_signal(rng, (3, 2, 37))
    transform = make("hann", framings(rng)["length per position"], rng, backend=backend)
    S = transform.stft(x, padding=padding)
    assert S.shape == (3, 2, transform.f_pts, 9)
    for index in np.ndindex(3, 2):
        assert_array_equal(S[index], transform.stft(x[index], padding=padding))
    moved = transform.stft(np.moveaxis(x, -1, 0), axis=0, padding=padding)
    assert_array_equal(moved, np.moveaxis(S, -2, 0))


def test_spectrograms(backend, rng):
    x, y = draw_signal(rng, (2, 2, 37))
    transform = make("hann", framings(rng)["length per position"], rng, backend=backend)
    call = {"padding": "edge", "p0": 1, "p1": 7, "k_offset": 2}
    Sx, Sy = transform.stft(x, **call), transform.stft(y, **call)
    assert_close(transform.spectrogram(x, **call), np.abs(Sx) ** 2)
    assert_close(transform.spectrogram(x, y, **call), Sx * Sy.conj())


def test_transform_is_linear(backend, rng):
    x, y = draw_signal(rng, (2, 37))
    for framing in framings(rng).values():
        transform = make("hann", framing, rng, backend=backend)
        for padding in ("zeros", "edge", "even", "odd"):
            S = transform.stft(2.5 * x - 3 * y, padding=padding)
            expected = 2.5 * transform.stft(x, padding=padding) - 3 * transform.stft(y, padding=padding)
            assert_close(S, expected, 10 * TOL)


# --- kinds of input -----------------------------------------------------------------------------


@pytest.mark.parametrize("fft_mode", ["onesided", "onesided2X", "twosided", "centered"])
@pytest.mark.parametrize("framing", framings(np.random.default_rng(0)))
def test_single_precision_stays_single(fft_mode, framing, backend, rng):
    x = draw_signal(rng, (2, 37), complex_x=fft_mode in ("twosided", "centered"))
    x32 = x.astype(np.complex64 if np.iscomplexobj(x) else np.float32)
    transform = make("hann", framings(rng)[framing], rng, fft_mode=fft_mode, scale_to="psd", backend=backend)
    for padding in ("zeros", "odd"):
        S, S32 = transform.stft(x32.astype(x.dtype), padding=padding), transform.stft(x32, padding=padding)
        assert (S.dtype, S32.dtype) == (np.complex128, np.complex64)
        assert_close(S32, S, TOL32)
    assert transform.spectrogram(x32).dtype == np.float32
    assert transform.spectrogram(x32, x32[::-1]).dtype == np.complex64


VARIANTS = {
    "list": lambda x: x.tolist(),
    "series": lambda x: pd.Series(x, index=np.arange(100, 100 + len(x))),
    "big-endian": lambda x: x.astype(">f8"),
    "big-endian integers": lambda x: x.astype(">i2"),
    "float16": lambda x: x.astype(np.float16),
    "float32": lambda x: x.astype(np.float32),
    "int8": lambda x: x.astype(np.int8),
    "int64": lambda x: x.astype(np.int64),
    "uint8": lambda x: (x + 100).astype(np.uint8),
    "strided": lambda x: np.repeat(x, 3)[::3],
    "reversed": lambda x: x[::-1].copy()[::-1],
}


@pytest.mark.parametrize("variant", VARIANTS)
def test_accepted_inputs(variant, backend, rng):
    x = rng.integers(-100, 100, 37).astype(float)
    given = VARIANTS[variant](x)
    expected_x = x + 100 if variant == "uint8" else x
    kept = np.array(given)
    transform = make("hann", framings(rng)["length per slice"], rng, backend=backend)
    S = transform.stft(given)
    single = variant in ("float16", "float32")
    assert S.dtype == (np.complex64 if single else np.complex128)
    assert_close(S, transform.stft(expected_x), TOL32 if single else 0)
    assert_array_equal(np.array(given), kept)


def test_read_only_and_memory_mapped_inputs(backend, rng, tmp_path):
    x = draw_signal(rng, 37)
    transform = make("hann", framings(rng)["length and hop"], rng, backend=backend)
    expected = transform.stft(x)
    locked = x.copy()
    locked.flags.writeable = False
    assert_array_equal(transform.stft(locked), expected)
    np.save(tmp_path / "x.npy", x)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    S = transform.stft(mapped)
    assert_array_equal(S, expected)
    assert type(S) is np.ndarray


def test_strides_of_several_channels(backend, rng):
    x = draw_signal(rng, (37, 4))
    transform = make("hann", framings(rng)["length and hop"], rng, backend=backend)
    expected = transform.stft(np.ascontiguousarray(x.T))
    assert_array_equal(transform.stft(x.T), expected)
    assert_array_equal(transform.stft(np.asfortranarray(x.T)), expected)
    assert_array_equal(transform.stft(x.T[::-1, ::1])[::-1], expected)


def test_arguments_are_neither_modified_nor_kept(backend, rng):
    x, positions, win_length = draw_signal(rng, 37), np.array([3.0, 9.5, 20.25]), np.array([8.0, 11.5, 9.0])
    kept = x.copy(), positions.copy(), win_length.copy()
    transform = AdaptiveShortTimeFFT("hann", win_length, None, 1.0, positions=positions, backend=backend)
    S = transform.stft(x)
    for array, copy in zip((x, positions, win_length), kept, strict=True):
        assert_array_equal(array, copy)
    positions += 1
    win_length *= 2
    assert_array_equal(transform.stft(x), S)


def test_instances_are_immutable():
    transform = AdaptiveShortTimeFFT("hann", [8.0, 9.0], None, 1.0, positions=[2.0, 5.0])
    for name in ("win_length", "hop", "positions", "fs", "mfft", "fft_mode", "phase_shift"):
        with pytest.raises(AttributeError):
            setattr(transform, name, 1)
    x = np.cos(np.arange(9.0))
    S = transform.stft(x)
    for array in (transform.win_length, transform.positions):
        if array.flags.writeable:
            array[:] = 3.0
    assert_array_equal(transform.stft(x), S)


@pytest.mark.parametrize("framing", ["length and hop", "length per slice"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_number_of_workers_changes_nothing(framing, dtype, backend, rng):
    """Bitwise: enough frames of enough points for many blocks."""
    n, settings = (
        20_000,
        {"length and hop": {"win_length": 200.5}, "length per slice": {"win_length": None}}[framing],
    )
    x = draw_signal(rng, (2, n)).astype(dtype)
    if settings["win_length"] is None:
        p_min, p_max = naive.slice_range("hann", 256, 25.7, n)
        settings = {"win_length": rng.uniform(50, 256, p_max - p_min), "max_length": 256}
    results = [
        AdaptiveShortTimeFFT("hann", hop=25.7, fs=1.0, mfft=256, workers=workers, backend=backend, **settings).stft(x)
        for workers in (1, 2, 5, None)
    ]
    for other in results[1:]:
        assert_array_equal(other, results[0])


def test_backends_agree_on_a_long_signal(rng):
    x = draw_signal(rng, 5000)
    win_length = rng.uniform(20, 128, AdaptiveShortTimeFFT("hann", 128, 33.3, 1.0).p_num(5000))
    results = [
        AdaptiveShortTimeFFT("hann", win_length, 33.3, 1.0, max_length=128, backend=backend).stft(x)
        for backend in ("numpy", "numba", "auto")
    ]
    assert_close(results[1], results[0])
    assert_close(results[2], results[0])
