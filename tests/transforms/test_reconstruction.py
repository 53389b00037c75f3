"""Random transforms of all kinds restore signals, and their VJP is the adjoint."""

import naive
import numpy as np
import pytest

from adaptstft import AdaptiveShortTimeFFT

EPS = np.finfo(float).eps
WINDOWS = ["hann", "hamming", "blackman", "cosine", ("gaussian", 6.0), ("kaiser", 8.6), ("tukey", 0.5)]
CHUNKS, PER_CHUNK, BIN_CHUNKS, PER_BIN_CHUNK = 10, 20, 6, 10
# The inverse amplifies noise by at most the square root of the ratio of the frame bounds.
RATIO = 1e3


def draw(seed, kind):
    """A random transform, and a signal for it; `kind` is "frame", "frequency" or "bin"."""
    rng = np.random.default_rng(seed)
    fft_mode, scale_to = naive.MODE_SCALINGS[rng.integers(len(naive.MODE_SCALINGS))]
    window = WINDOWS[rng.integers(len(WINDOWS))]
    n, longest = int(rng.integers(1, 90)), rng.uniform(5, 40)
    m_num = int(np.ceil(longest))
    mfft = m_num + int(rng.integers(0, 6))
    f_pts = len(naive.frequencies(fft_mode, mfft))
    offset = float(rng.choice([0.0, 0.5, -1.3]))
    settings = {"fs": rng.uniform(0.5, 100), "fft_mode": fft_mode, "scale_to": scale_to, "mfft": mfft}
    settings |= {"max_length": m_num, "window_offset": offset}
    settings["phase_shift"] = [0, None, int(rng.integers(-mfft + 1, mfft))][rng.integers(3)]
    if rng.integers(2):
        settings["hop"] = longest * rng.uniform(0.05, 0.35)
        p_num = int(np.subtract(*naive.slice_range(window, m_num, settings["hop"], n, offset)[::-1]))
    else:
        positions = np.cumsum(rng.uniform(0.1, 0.35, 20 * n) * longest) - 0.4 * longest - offset
        positions = positions[: np.searchsorted(positions, n - 1) + 1]
        settings |= {"hop": None, "positions": positions}
        p_num = positions.size
    shape = {"frame": (p_num,), "frequency": (f_pts, 1), "bin": (f_pts, p_num)}[kind]
    win_length = longest * rng.uniform(0.6, 1.0, shape)
    x = rng.standard_normal((int(rng.integers(1, 4)), n)) * 10.0 ** rng.uniform(-3, 3)
    if fft_mode in ("twosided", "centered"):
        x = x + 1j * rng.standard_normal(x.shape) * np.abs(x).max()
    backend = ("numpy", "numba")[rng.integers(2)]
    return AdaptiveShortTimeFFT(window, win_length, backend=backend, workers=1, **settings), x


def usable(kind, seeds):
    """Random transforms whose ratio of frame bounds is small enough, with signals and labels."""
    found = []
    for seed in seeds:
        transform, x = draw(seed, kind)
        lower, upper = transform.frame_bounds(x.shape[-1])
        if upper < RATIO * lower:
            found.append((transform, x, f"{seed=} {transform!r} {x.shape=}"))
    return found


def assert_restored(transform, x, tol, label):
    n = x.shape[-1]
    restored = transform.istft(transform.stft(x), k1=n)
    assert restored.dtype == x.dtype, label
    assert restored.shape == x.shape, label
    size = np.abs(x).max(axis=-1, keepdims=True)
    assert np.abs((restored - x) / size).max() <= tol, label


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.slow
def test_one_length_for_each_frame(chunk):
    """A few dozen rounding errors, amplified by at most 32, are below 1000 eps; the tolerance is 1e-12."""
    settings = usable("frame", range(chunk * PER_CHUNK, (chunk + 1) * PER_CHUNK))
    assert len(settings) >= 0.75 * PER_CHUNK
    for transform, x, label in settings:
        assert_restored(transform, x, 1e-12, label)
        # the same in single precision; the tolerance is below the theoretical worst case
        single = x.astype(np.complex64 if np.iscomplexobj(x) else np.float32)
        assert_restored(transform, single, 1e-5, label)


@pytest.mark.parametrize("chunk", range(BIN_CHUNKS))
@pytest.mark.slow
def test_one_length_for_each_frequency_or_bin(chunk):
    """Conjugate gradients stop at an error of 1e-10 for a random signal."""
    first, half = 1000 + chunk * PER_BIN_CHUNK, PER_BIN_CHUNK // 2
    settings = usable("frequency", range(first, first + half)) + usable("bin", range(first + half, first + 2 * half))
    assert len(settings) >= 0.75 * PER_BIN_CHUNK
    for transform, x, label in settings:
        assert_restored(transform, x, 1e-9, label)


@pytest.mark.parametrize("kind", ["frame", "frequency", "bin"])
@pytest.mark.parametrize(("fft_mode", "scale_to"), naive.MODE_SCALINGS)
def test_adjoints(fft_mode, scale_to, kind, backend, rng):
    """Re <G, stft(x)> = Re <vjp(G), x>, with all paddings."""
    n, f_pts, positions = 30, len(naive.frequencies(fft_mode, 18)), np.sort(rng.uniform(-3, 32, 14))
    win_length = rng.uniform(8, 17, {"frame": 14, "frequency": (f_pts, 1), "bin": (f_pts, 14)}[kind])
    settings = {"positions": positions, "mfft": 18, "fft_mode": fft_mode, "scale_to": scale_to, "max_length": 17}
    transform = AdaptiveShortTimeFFT("hann", win_length, None, 2.0, backend=backend, **settings)
    x = rng.standard_normal((2, n))
    if fft_mode in ("twosided", "centered"):
        x = x + 1j * rng.standard_normal((2, n))
    for padding in ("zeros", "edge", "even", "odd"):
        call = {"padding": padding, "k_offset": 2}
        S = transform.stft(x, **call)
        G = rng.standard_normal(S.shape) + 1j * rng.standard_normal(S.shape)
        back = transform.vjp(x, G, wrt=("x",), **call).x
        # sums of thousands of products; the odd extension makes some of them larger
        tol = 1e3 * EPS * np.linalg.norm(G) * np.linalg.norm(S)
        assert naive.inner(G, S) == pytest.approx(naive.inner(back, x), abs=tol)


@pytest.mark.slow
@pytest.mark.parametrize("window", ["hamming", "boxcar"])
@pytest.mark.parametrize("kind", ["frame", "frequency"])
def test_adjoints_with_decimal_times(window, kind, backend, rng):
    """Ends of windows are on samples up to rounding: all passes must use the same samples."""
    x = rng.standard_normal(60)
    for digits in rng.integers(0, 10, 40):
        positions = np.arange(5) * 11.4 + digits / 10
        win_length = 2 * (rng.integers(30, 79, 5 if kind == "frame" else (10, 1)) / 10)
        win_length = np.where(
            rng.integers(0, 2, win_length.shape), win_length, 2 * (np.round(win_length / 2) + digits / 10)
        )
        settings = {"positions": positions, "mfft": 18, "max_length": 18, "scale_to": "psd", "backend": backend}
        transform = AdaptiveShortTimeFFT(window, win_length, None, 1.0, **settings)
        for padding in ("zeros", "edge"):
            S = transform.stft(x, padding=padding)
            G = rng.standard_normal(S.shape) + 1j * rng.standard_normal(S.shape)
            back = transform.vjp(x, G, wrt=("x",), padding=padding).x
            tol = 1e3 * EPS * np.linalg.norm(G) * np.linalg.norm(S)
            assert naive.inner(G, S) == pytest.approx(naive.inner(back, x), abs=tol)
        other = transform.remade(backend="numpy" if backend == "numba" else "numba").stft(x)
        np.testing.assert_allclose(other, transform.stft(x), rtol=0, atol=1e-12 * np.abs(other).max())
