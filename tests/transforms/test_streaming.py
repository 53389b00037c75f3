"""Block processing of arrays, WAV files and chunks gives the results of the methods for whole signals."""

import io
import math
import tracemalloc
import wave

import naive
import numpy as np
import pytest
import scipy.signal
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

import adaptstft
from adaptstft import AdaptiveShortTimeFFT, recordings

EPS = np.finfo(float).eps
N = 61
rng_of_lengths = np.random.default_rng(7)
POSITIONS = np.cumsum(rng_of_lengths.uniform(2.5, 5.0, 30))[:18] - 3.0
LENGTHS = rng_of_lengths.uniform(10, 17, 18)
SLICES = AdaptiveShortTimeFFT("hann", 17, 4.37, 1.0).p_num(N)


def adaptive(**options):
    return AdaptiveShortTimeFFT(**({"window": "hann", "fs": 3.0, "win_length": 12.37, "hop": 4.37} | options))


def sampled(m=16, hop=5, **options):
    return adaptstft.ShortTimeFFT(scipy.signal.get_window(("gaussian", m / 5), m), hop, 3.0, **options)


TRANSFORMS = {
    "fractional hop": adaptive(),
    "integer hop": adaptive(win_length=16, hop=4),
    "hop of one": adaptive(win_length=9.5, hop=1, mfft=17),
    "hop below one": adaptive(win_length=5.5, hop=0.7),
    "odd mfft": adaptive(mfft=23, phase_shift=None),
    "even mfft": adaptive(mfft=24, phase_shift=-7, scale_to="magnitude"),
    "offset": adaptive(window_offset=0.5, scale_to="psd"),
    "far ahead": adaptive(window_offset=-31.3),
    "far behind": adaptive(window_offset=31.3),
    "length per slice": adaptive(win_length=rng_of_lengths.uniform(10, 17, SLICES), max_length=17),
    "positions": adaptive(hop=None, positions=POSITIONS),
    "length per position": adaptive(hop=None, positions=POSITIONS, win_length=LENGTHS),
    "scipy": sampled(),
    "scipy, odd": sampled(15, 4, mfft=22, phase_shift=None),
    "scipy, hop of one": sampled(7, 1, scale_to="psd"),
    "scipy, other dual": adaptstft.ShortTimeFFT.from_win_equals_dual(np.hamming(12), 3, 1.0),
}
#: Not invertible, so only for analysis.
GAPS = {
    "hop beyond the window": adaptive(win_length=6.3, hop=11.7),
    "gaps of positions": adaptive(hop=None, positions=[-40.0, 3.3, 40.2, 41.0, 90.0], win_length=[9.0, 31, 2, 1, 5]),
    "scipy, hop beyond the window": sampled(6, 14),
}
MODES = ["onesided", "onesided2X", "twosided", "centered"]


def draw(rng, shape, *, complex_=False, dtype=float):
    x = rng.standard_normal(shape)
    x = x + 1j * rng.standard_normal(shape) if complex_ else x
    return x.astype(np.result_type(dtype, np.complex64) if complex_ else dtype)


def split(x, sizes, axis=-1):
    """Pieces of x of the given sizes, which repeat in a cycle."""
    start, i = 0, 0
    while start < x.shape[axis]:
        size = sizes[i % len(sizes)]
        yield np.take(x, range(start, min(start + size, x.shape[axis])), axis=axis)
        start, i = start + size, i + 1


def joined(blocks, axis=-1):
    blocks = list(blocks)
    assert all(block.shape[axis] >= 1 for block in blocks)
    return np.concatenate(blocks, axis=axis)


def assert_same(actual, expected, factor=100):
    """Equal up to rounding: both are sums of the same few dozen terms, in different orders."""
    assert actual.shape == expected.shape
    assert actual.dtype == expected.dtype
    atol = factor * np.finfo(expected.dtype).eps * max(np.abs(expected).max(), 1e-3)
    assert_allclose(actual, expected, rtol=0, atol=atol)


# ------------------------------------------------------------------ equality with the methods for whole signals


@pytest.mark.parametrize("name", [*TRANSFORMS, *GAPS])
@pytest.mark.parametrize("sizes", [[1], [7], [0, 40, 0, 3], [1000]], ids=str)
def test_analysis_of_chunks(name, sizes, rng):
    transform = (TRANSFORMS | GAPS)[name]
    x = draw(rng, N)
    assert_same(joined(transform.stft_blocks(split(x, sizes))), transform.stft(x))


@pytest.mark.parametrize("name", [*TRANSFORMS, *GAPS])
@pytest.mark.parametrize("block", [None, 1, 10])
def test_analysis_of_arrays(name, block, rng):
    transform = (TRANSFORMS | GAPS)[name]
    x = draw(rng, (2, 3, N), dtype=np.float32)
    for axis in (-1, 2):
        assert_same(joined(transform.stft_blocks(x, block=block, axis=axis)), transform.stft(x))
    for axis in (0, -3):
        moved = np.moveaxis(x, -1, 0)
        expected = transform.stft(moved, axis=axis)
        assert_same(joined(transform.stft_blocks(moved, block=block, axis=axis)), expected)
        assert_same(joined(transform.stft_blocks(split(moved, [9], 0), block=block, axis=axis)), expected)


@pytest.mark.parametrize("name", TRANSFORMS)
@pytest.mark.parametrize("sizes", [[1], [4, 1], [1000]], ids=str)
def test_synthesis(name, sizes, rng):
    transform = TRANSFORMS[name]
    S = transform.stft(draw(rng, (2, N)))
    S *= draw(rng, S.shape, complex_=True)
    for k0, k1 in [(0, N), (9, 40), (30, N)]:
        expected = transform.istft(S, k0, k1)
        assert_same(joined(transform.istft_blocks(split(S, sizes), k0, k1)), expected)


def test_synthesis_with_any_dual_window(rng):
    """SciPy omits slices whose window does not cover the range, even if their dual window does."""
    win = scipy.signal.get_window("hann", 12)
    win[-3:] = 0
    transform = adaptstft.ShortTimeFFT(win, 3, 1.0, dual_win=rng.uniform(1, 2, 12))
    S = transform.stft(draw(rng, N))
    for k0, k1 in [(0, N), (0, 33), (7, 34), (20, 35), (-2, 30)]:
        assert_same(joined(transform.istft_blocks(split(S, [3]), k0, k1)), transform.istft(S, k0, k1))


@pytest.mark.parametrize("name", ["fractional hop", "hop of one", "scipy", "scipy, odd"])
@pytest.mark.parametrize("sizes", [[1], [5]], ids=str)
def test_synthesis_beyond_the_signal(name, sizes, rng):
    transform = TRANSFORMS[name]
    S = transform.stft(draw(rng, N))
    first = transform.k_min + 3
    for k0, k1 in [(0, None), (first, None), (first, 20)]:
        assert_same(joined(transform.istft_blocks(split(S, sizes), k0, k1)), transform.istft(S, k0, k1))


def in_mode(name, fft_mode):
    transform = TRANSFORMS[name]
    scaling = "psd" if fft_mode == "onesided2X" else None
    if isinstance(transform, AdaptiveShortTimeFFT):
        return transform.remade(fft_mode=fft_mode, scale_to=scaling)
    return sampled(fft_mode=fft_mode, scale_to=scaling)


@pytest.mark.parametrize("fft_mode", MODES)
@pytest.mark.parametrize("name", ["fractional hop", "length per slice", "length per position", "scipy"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=naive.label)
def test_modes_and_precision(fft_mode, name, dtype, rng):
    transform = in_mode(name, fft_mode)
    for complex_ in [False, True] if fft_mode in ("twosided", "centered") else [False]:
        x = draw(rng, (3, N), complex_=complex_, dtype=dtype)
        S = transform.stft(x)
        blocks = list(transform.stft_blocks(split(x, [6])))
        assert_same(joined(blocks), S)
        restored = joined(transform.istft_blocks(blocks, k1=N))
        assert_same(restored, transform.istft(S, k1=N))
        assert_allclose(restored, x, rtol=0, atol=2000 * np.finfo(dtype).eps * np.abs(x).max())


def test_against_the_definition(rng):
    """The reference computes the sum of the definition; polynomial windows are accurate to 2e-14."""
    x = draw(rng, N)
    for name in ("offset", "length per slice", "positions"):
        transform = TRANSFORMS[name]
        expected = naive.stft_of(transform, "hann", x)
        actual = joined(transform.stft_blocks(split(x, [5, 2])))
        assert_allclose(actual, expected, rtol=0, atol=1000 * EPS * np.abs(expected).max())
        restored = joined(transform.istft_blocks(split(expected, [3]), k1=N))
        assert_allclose(restored, x, rtol=0, atol=1e-12 * np.abs(x).max())


@pytest.mark.parametrize("name", ["fractional hop", "integer hop", "far ahead", "positions", "offset"])
@pytest.mark.parametrize("n", [1, 2, 5, 13])
def test_signals_shorter_than_a_window(name, n, rng):
    transform = TRANSFORMS[name]
    x = draw(rng, n)
    blocks = list(transform.stft_blocks(split(x, [1])))
    assert_same(joined(blocks), transform.stft(x))
    if name == "fractional hop":
        assert_same(joined(transform.istft_blocks(blocks, k1=n)), transform.istft(transform.stft(x), k1=n))


@pytest.mark.parametrize("backend", ["numpy", "numba"])
@given(data=st.data())
def test_any_division(backend, data):
    name = data.draw(st.sampled_from(["fractional hop", "hop below one", "far behind", "length per position"]))
    transform = TRANSFORMS[name].remade(backend=backend)
    x = np.random.default_rng(1).standard_normal(N)
    sizes = st.lists(st.integers(0, 25), min_size=1, max_size=12).filter(any)
    S = transform.stft(x)
    assert_same(joined(transform.stft_blocks(split(x, data.draw(sizes)), block=data.draw(st.integers(1, 30)))), S)
    pieces = [size + 1 for size in data.draw(sizes)]
    assert_same(joined(transform.istft_blocks(split(S, pieces), k1=N)), transform.istft(S, k1=N))


@pytest.mark.parametrize("name", TRANSFORMS)
def test_chain(name, rng):
    """A filter may change the blocks in place, and gets them one by one."""
    transform = TRANSFORMS[name]
    x = draw(rng, N)
    kept = x.copy()

    def halve(S):
        S *= 0.5
        return S

    pieces = transform.istft_blocks((halve(S) for S in transform.stft_blocks(x, block=8)), k1=N)
    assert_allclose(joined(pieces), 0.5 * x, rtol=0, atol=1e-12 * np.abs(x).max())
    assert_array_equal(x, kept)


def test_blocks_of_the_caller_are_left_alone(rng):
    transform = in_mode("fractional hop", "onesided2X")
    S = transform.stft(draw(rng, N))
    S.flags.writeable = False
    assert joined(transform.istft_blocks(split(S, [4]), k1=N)).shape == (N,)


@pytest.mark.parametrize(("f_axis", "t_axis"), [(0, 1), (1, 0), (-1, 0), (2, 1), (-2, -1)])
def test_axes_of_the_synthesis(f_axis, t_axis, rng):
    transform = TRANSFORMS["fractional hop"]
    S = np.moveaxis(transform.stft(draw(rng, (3, N))), (-2, -1), (f_axis, t_axis))
    expected = transform.istft(S, k1=N, f_axis=f_axis, t_axis=t_axis)
    pieces = transform.istft_blocks(split(S, [5], t_axis), k1=N, f_axis=f_axis, t_axis=t_axis)
    assert_same(joined(pieces, expected.shape.index(N)), expected)


# ------------------------------------------------------------------ when results are available


def complete_slices(transform, n):
    """Number of slices, from the first one on, that need only the samples before n."""
    centres = np.arange(-9, 200) * transform.hop if transform.positions is None else transform.positions
    first = 0 if transform.positions is not None else transform.p_min + 9
    centres = centres[first:] + transform.window_offset
    lengths = np.broadcast_to(transform.win_length, centres.shape) if np.ndim(transform.win_length) == 0 else None
    lengths = transform.win_length if lengths is None else lengths
    stops = [math.ceil(c + win_length / 2) for c, win_length in zip(centres, lengths, strict=False)]
    return next((i for i, stop in enumerate(stops) if stop > n), len(stops))


@pytest.mark.parametrize("name", ["fractional hop", "integer hop", "offset", "length per slice", "length per position"])
def test_slices_are_returned_as_soon_as_they_are_complete(name, rng):
    transform = TRANSFORMS[name]
    x = draw(rng, N)
    n_read, n_returned = [0], [0]

    def live():
        for k in range(N):
            assert n_returned[0] == (complete_slices(transform, k) if k else 0)
            n_read[0] = k + 1
            yield x[k : k + 1]

    for S in transform.stft_blocks(live()):
        n_returned[0] += S.shape[-1]
    assert n_returned[0] == transform.p_num(N)
    assert n_read[0] == N


@pytest.mark.parametrize("name", ["fractional hop", "length per position", "scipy"])
def test_samples_are_returned_as_soon_as_they_are_complete(name, rng):
    """No later slice changes a returned sample, and some later slice changes the sample after it."""
    transform = TRANSFORMS[name]
    S = transform.stft(draw(rng, N))
    n_returned = [0]
    states = []

    def live():
        for p in range(S.shape[-1]):
            states.append((p, n_returned[0]))
            yield S[:, p : p + 1]

    for piece in transform.istft_blocks(live(), k1=N):
        n_returned[0] += piece.size
    assert n_returned[0] == N
    whole = transform.istft(S, k1=N)
    for p, k in states[1:]:
        later = S.copy()
        later[:, p:] *= 3
        changed = np.abs(transform.istft(later, k1=N) - whole) > 1e-9
        assert not changed[:k].any()
        assert k == N or changed[k : k + 2].any()  # windows are zero, or almost zero, at their first sample


def test_large_blocks_are_divided(rng):
    transform = adaptive(win_length=1000, hop=1)
    sizes = [S.shape[-1] for S in transform.stft_blocks(draw(rng, 5000))]
    assert sum(sizes) == transform.p_num(5000)
    assert max(sizes) * transform.f_pts <= 2**20


def test_a_change_of_settings_does_not_affect_running_iterators(rng):
    x = draw(rng, N)
    transform = sampled()
    expected = transform.stft(x)
    blocks = transform.stft_blocks(x, block=10)
    first = next(blocks)
    transform.mfft = 30
    assert_same(np.concatenate([first, *blocks], axis=-1), expected)


# ------------------------------------------------------------------ sources


def test_memory_maps(tmp_path, rng):
    transform = TRANSFORMS["fractional hop"]
    x = draw(rng, (500, 2), dtype=np.float32)
    np.save(tmp_path / "x.npy", x)
    source = np.load(tmp_path / "x.npy", mmap_mode="r")
    target = np.memmap(tmp_path / "y", np.float32, "w+", shape=x.shape)
    k = 0
    for piece in transform.istft_blocks(transform.stft_blocks(source, block=99, axis=0), k1=500, f_axis=0):
        target[k : k + len(piece)] = piece
        k += len(piece)
    assert_allclose(target, x, atol=1e-5)


@pytest.mark.parametrize("dtype", [np.int16, np.uint8, np.bool_, ">f8", np.float16], ids=str)
def test_other_numbers(dtype, rng):
    transform = TRANSFORMS["fractional hop"]
    x = rng.integers(0, 2, N).astype(dtype)
    assert_same(joined(transform.stft_blocks(x, block=10)), transform.stft(x))
    assert_same(joined(transform.stft_blocks(split(x, [10]))), transform.stft(x))


def test_lists_of_numbers_as_chunks(rng):
    transform = TRANSFORMS["fractional hop"]
    x = draw(rng, 6)
    assert_same(joined(transform.stft_blocks([[*x[:2]], [], (*x[2:],)])), transform.stft(x))


def test_all_chunks_must_fit_in_the_precision_of_the_first(rng):
    transform = TRANSFORMS["fractional hop"]
    x = draw(rng, 40, dtype=np.float32)
    chunks = [x[:20].astype(float), x[20:]]
    assert_same(joined(transform.stft_blocks(chunks)), transform.stft(x.astype(float)))
    with pytest.raises(ValueError, match="chunk 1 of source is float64, which does not fit in the float32"):
        list(transform.stft_blocks([x[:20], x[20:].astype(float)]))
    two_sided = in_mode("fractional hop", "twosided")
    with pytest.raises(ValueError, match="chunk 1 of source is complex64"):
        list(two_sided.stft_blocks([x[:20], x[20:].astype(np.complex64)]))


def wav_bytes(width, channels, frames, rng, rate=3):
    stream = io.BytesIO()
    with wave.open(stream, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        file.writeframes(rng.bytes(width * channels * frames))
    return stream.getvalue()


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_wav_files(width, channels, tmp_path, rng):
    path = tmp_path / "noise.wav"
    path.write_bytes(wav_bytes(width, channels, 200, rng))
    x = recordings.read(path).x
    assert x.shape == (channels, 200)
    for transform in (TRANSFORMS["fractional hop"], TRANSFORMS["scipy"]):
        for block in (None, 1, 70):
            with wave.open(str(path)) as file:
                assert_same(joined(transform.stft_blocks(file, block=block)), transform.stft(x))
    with wave.open(str(path)) as file:
        file.setpos(50)
        assert_same(joined(transform.stft_blocks(file, axis=1)), transform.stft(x[:, 50:]))
        with pytest.raises(ValueError, match="no samples after its current position"):
            transform.stft_blocks(file)


@pytest.mark.parametrize("name", ["fractional hop", "scipy"])
def test_a_wav_file_of_another_rate_is_refused(name, rng):
    """The frequencies of its transform would be wrong."""
    transform = TRANSFORMS[name]
    for rate in (2, 4, 8000):
        with wave.open(io.BytesIO(wav_bytes(2, 1, 200, rng, rate))) as file:
            message = f"source is a WAV file of {rate} Hz, the transform has fs=3: make the transform with the"
            with pytest.raises(ValueError, match=message):
                list(transform.stft_blocks(file))


def test_damaged_wav_files(rng):
    transform = TRANSFORMS["fractional hop"]
    content = wav_bytes(2, 2, 200, rng)
    with wave.open(io.BytesIO(content[:-30])) as file:
        blocks = transform.stft_blocks(file, block=64)
        with pytest.raises(ValueError, match="truncated WAV file: it ends between samples 192 and 200 of 200"):
            list(blocks)
    with wave.open(io.BytesIO(content)) as file, pytest.raises(ValueError, match="axis=0"):
        transform.stft_blocks(file, axis=0)
    with pytest.raises(ValueError, match="has been closed"):
        transform.stft_blocks(file)


@pytest.mark.parametrize("name", ["fractional hop", "scipy"])
def test_blocks_without_slices_are_passed_over(name, rng):
    transform = TRANSFORMS[name]
    x = rng.standard_normal(200)
    S = transform.stft(x)
    blocks = [S[:, :0], S[:, :5], S[:, 5:5], S[:, 5:], S[:, :0]]
    back = np.concatenate(list(transform.istft_blocks(blocks, k1=200)))
    assert_same(back, transform.istft(S, k1=200))
    with pytest.raises(ValueError, match="blocks is empty: at least one slice is needed"):
        list(transform.istft_blocks([S[:, :0]], k1=200))
    with pytest.raises(ValueError, match=r"S has shape \(5, 0\)"):
        list(transform.istft_blocks([S[:5, :0]], k1=200))


# ------------------------------------------------------------------ memory


def peak_memory(transform, path, n):
    """Largest number of allocated bytes during a round trip from one file to another."""
    source = np.memmap(path, np.float32, "w+", shape=n)
    source[:] = np.sin(0.01 * np.arange(n, dtype=np.float32))
    target = np.memmap(path.with_suffix(".out"), np.float32, "w+", shape=n)
    k = 0
    tracemalloc.start()
    try:
        for piece in transform.istft_blocks(transform.stft_blocks(source), k1=n):
            target[k : k + piece.size] = piece
            k += piece.size
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert k == n
    assert_allclose(target[::97], source[::97], atol=1e-5)
    return peak


def test_memory_does_not_grow_with_the_signal(tmp_path):
    transform = AdaptiveShortTimeFFT("hann", 2048.5, 1024.25, 48e3, workers=2)  # each thread allocates memory
    peak_memory(transform, tmp_path / "first", 100_000)  # imports and compilation do not count
    short, long = (peak_memory(transform, tmp_path / "signal", n) for n in (1_500_000, 6_000_000))
    # 6 million samples have 24 MB, and their transform has 48 MB
    assert long < 1.25 * short
    assert long < 24e6


@pytest.mark.parametrize("shape", ["frequency", "bins"])
@pytest.mark.parametrize("hop", [9.0, 7.3])
def test_windows_for_each_bin_are_analysed_by_blocks(shape, hop, rng):
    n, mfft = 400, 48
    x = rng.standard_normal((2, n))
    win_length = rng.uniform(20, 44, (mfft // 2 + 1, 1))
    sft = AdaptiveShortTimeFFT("hann", win_length, hop, 8.0, mfft=mfft, max_length=44, scale_to="psd")
    if shape == "bins":
        sft = sft.remade(win_length=rng.uniform(20, 44, (mfft // 2 + 1, sft.p_num(n))))
    S = sft.stft(x)
    for source in (x, [x[:, :150], x[:, 150:151], x[:, 151:]]):
        blocks = list(sft.stft_blocks(source, block=100) if source is x else sft.stft_blocks(source))
        assert len(blocks) > 1
        # the order of a sum may depend on the index of the frame in its block
        assert_allclose(np.concatenate(blocks, axis=-1), S, atol=1e-13 * np.abs(S).max())
    with pytest.raises(ValueError, match="depends on all slices"):
        sft.istft_blocks(blocks, k1=n)
