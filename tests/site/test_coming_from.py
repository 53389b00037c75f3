"""The rows of the page "Coming from" for librosa, each executed by both packages."""

import numpy as np
import pytest

import adaptstft
from adaptstft import AdaptiveShortTimeFFT

librosa = pytest.importorskip("librosa", reason="the page compares with librosa")

FS = 8000.0
Y = np.random.default_rng(0).standard_normal(3001)


def offset(n_fft, win_length):
    """The middle of librosa's window relative to ``p * hop_length``, as the page says."""
    return (n_fft - win_length) // 2 + win_length / 2 - n_fft // 2


def phases(sft, n_fft):
    """Factors that move the origin of the phase to the first sample of a frame."""
    return np.exp(-2j * np.pi * np.arange(sft.f_pts)[:, None] * (n_fft // 2) / n_fft)


@pytest.mark.parametrize("window", ["hann", "hamming", "blackman"])
@pytest.mark.parametrize("hop", [64, 77])
@pytest.mark.parametrize(
    ("n_fft", "win_length"), [(256, 256), (256, 200), (256, 201), (255, 200), (255, 201), (255, 255)]
)
def test_any_length(n_fft, win_length, hop, window):
    theirs = librosa.stft(
        Y, n_fft=n_fft, hop_length=hop, win_length=win_length, window=window, pad_mode="constant", dtype=complex
    )
    sft = AdaptiveShortTimeFFT(window, win_length, hop, FS, mfft=n_fft, window_offset=offset(n_fft, win_length))
    ours = sft.stft(Y, p0=0, p1=len(Y) // hop + 1)
    assert ours.shape == theirs.shape
    np.testing.assert_allclose(ours * phases(sft, n_fft), theirs, atol=1e-10)
    assert (offset(n_fft, win_length) == 0) == (
        ((n_fft - win_length) % 2 == 0 and n_fft % 2 == 0) or win_length % 2 == 0
    )


@pytest.mark.parametrize(("theirs", "ours"), [("constant", "zeros"), ("edge", "edge"), ("reflect", "even")])
def test_padding(theirs, ours):
    expected = librosa.stft(Y, n_fft=256, hop_length=64, pad_mode=theirs, dtype=complex)
    sft = AdaptiveShortTimeFFT("hann", 256, 64, FS)
    found = sft.stft(Y, p0=0, p1=len(Y) // 64 + 1, padding=ours)
    np.testing.assert_allclose(found * phases(sft, 256), expected, atol=1e-10)


@pytest.mark.parametrize(("n_fft", "win_length"), [(256, 256), (256, 201), (255, 200)])
def test_frames_that_begin_at_the_first_sample(n_fft, win_length):
    hop = 64
    theirs = librosa.stft(Y, n_fft=n_fft, hop_length=hop, win_length=win_length, center=False, dtype=complex)
    positions = np.arange(theirs.shape[1]) * hop + n_fft // 2
    options = {"positions": positions, "mfft": n_fft, "window_offset": offset(n_fft, win_length)}
    sft = AdaptiveShortTimeFFT("hann", win_length, None, FS, **options)
    np.testing.assert_allclose(sft.stft(Y) * phases(sft, n_fft), theirs, atol=1e-10)


def test_inverse():
    theirs = librosa.istft(librosa.stft(Y, n_fft=256, hop_length=64, dtype=complex), hop_length=64, length=len(Y))
    sft = AdaptiveShortTimeFFT("hann", 256, 64, FS)
    np.testing.assert_allclose(sft.istft(sft.stft(Y), k1=len(Y)), theirs, atol=1e-10)


def test_frequencies_and_sampling_rate():
    sft = AdaptiveShortTimeFFT("hann", 256, 64, FS)
    np.testing.assert_allclose(sft.f, librosa.fft_frequencies(sr=FS, n_fft=256))
    np.testing.assert_allclose(sft.t(len(Y), p0=0, p1=40), librosa.frames_to_time(range(40), sr=FS, hop_length=64))


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        pytest.param({"momentum": 0}, {"momentum": 0, "init": "random"}, id="plain"),
        pytest.param({}, {"init": "random"}, id="accelerated"),
        pytest.param({}, {}, id="defaults"),
    ],
)
def test_griffin_lim(theirs, ours):
    """Both find signals whose magnitudes are near those that are given; ours is not worse."""
    magnitudes = np.abs(librosa.stft(Y, n_fft=256, hop_length=64, pad_mode="constant"))
    settings = {"n_fft": 256, "hop_length": 64, "n_iter": 32, "length": len(Y), "random_state": 0}
    x = librosa.griffinlim(magnitudes, pad_mode="constant", **settings, **theirs)
    sft = AdaptiveShortTimeFFT("hann", 256, 64, FS)
    y = adaptstft.griffin_lim(sft, np.abs(sft.stft(Y)), len(Y), n_iter=32, rng=0, **ours)

    def distance(x):
        return np.linalg.norm(np.abs(sft.stft(x)) - np.abs(sft.stft(Y))) / np.linalg.norm(sft.stft(Y))

    margin = 1.2 if "init" in ours else 1.0  # random phases differ
    assert distance(y) < margin * distance(x) < 0.6


@pytest.mark.filterwarnings("ignore:'where' used without 'out':UserWarning")
def test_reassignment():
    x = np.cos(2 * np.pi * 1234.5 / FS * np.arange(4000))
    f, t, magnitudes = librosa.reassigned_spectrogram(x, sr=FS, n_fft=256, hop_length=64, pad_mode="constant")
    found = adaptstft.reassign(AdaptiveShortTimeFFT("hann", 256, 64, FS), x)
    frames = slice(10, 50)
    first = -AdaptiveShortTimeFFT("hann", 256, 64, FS).p_min
    strong = magnitudes[:, frames] > 0.1 * magnitudes.max()
    ours = slice(first + 10, first + 50)
    np.testing.assert_allclose(found.f_hat[:, ours][strong], f[:, frames][strong], atol=0.2)
    np.testing.assert_allclose(found.t_hat[:, ours][strong], t[:, frames][strong], atol=1e-4)
