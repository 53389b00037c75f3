"""First phases of phase retrieval: the order of the integration, and the phases of known signals."""

import autograd.numpy as anp
import numpy as np
import pytest

from adaptstft import AdaptiveShortTimeFFT
from adaptstft.kernels import cpu, plain
from adaptstft.tracking.phase_gradient import _gaussian_like, estimate_phase
from adaptstft.windows import resolve

FS, N = 1000.0, 1200
BACKENDS = pytest.mark.parametrize("kernels", [cpu, plain], ids=["numba", "numpy"])


def integrate_by_search(level, order, time_step, frequency_step, phase, known):
    """Integrate as `integrate_phase` does: look for the strongest bin that is not yet visited among all bins."""
    frames, bins = level.shape
    for seed in order:
        start = divmod(int(seed), bins)
        if known[start]:
            continue
        known[start] = True
        waiting = [start]
        while waiting:
            p, q = max(waiting, key=lambda place: (level[place], -place[0], -place[1]))
            waiting.remove((p, q))
            for other in ((p - 1, q), (p + 1, q), (p, q - 1), (p, q + 1)):
                if not (0 <= other[0] < frames and 0 <= other[1] < bins) or known[other]:
                    continue
                if other[0] != p:
                    step = time_step[p, q] if other[0] > p else -time_step[p - 1, q]
                else:
                    step = frequency_step[p, q] if other[1] > q else -frequency_step[p, q - 1]
                phase[other] = phase[p, q] + step
                known[other] = True
                waiting.append(other)


@BACKENDS
@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (7, 1), (6, 9)])
@pytest.mark.parametrize("ties", [True, False])
def test_strong_bins_come_first(kernels, shape, ties, rng):
    level = rng.integers(1, 4, shape).astype(float) if ties else rng.uniform(size=shape)
    steps = rng.standard_normal((shape[0] - 1, shape[1])), rng.standard_normal((shape[0], shape[1] - 1))
    known = rng.uniform(size=shape) < 0.3
    first = np.where(known, 9.0, 0.0)
    order = np.argsort(-level, axis=None, kind="stable")
    expected, expected_known = first.copy(), known.copy()
    integrate_by_search(level, order, *steps, expected, expected_known)
    found, found_known = first.copy(), known.copy()
    kernels.integrate_phase(level, order, *steps, found, found_known)
    np.testing.assert_array_equal(found, expected)
    assert expected_known.all() and found_known.all()


def test_gaussians_of_windows():
    centre, gamma = _gaussian_like(resolve(("gaussian", 6.0)))
    assert centre == pytest.approx(0, abs=1e-12)
    assert gamma == pytest.approx(2 * np.pi / 36, rel=1e-5)  # exp(-18 u**2)
    # the value for the Hann window in the paper's table, which fits another measure of likeness
    assert _gaussian_like(resolve("hann"))[1] == pytest.approx(0.25645, rel=0.04)


def late_gaussian(u):
    """A Gaussian with its centre behind the middle of the window."""
    return anp.exp(-60 * (u - 0.06) ** 2)


def lengths(kind, positions):
    return {
        "one": 160.0,
        "slow": 160 * np.exp(0.3 * np.sin(positions / 150)),
        "fast": 160 * np.exp(0.5 * np.sin(positions / 90)),  # up to 0.9 samples in a sample
    }[kind]


def phase_error(sft, x):
    """RMS error of the estimated phases, weighted by energy, after the best constant is removed."""
    S = sft.stft(x)
    phase = estimate_phase(sft, np.abs(S), x.shape[-1], np.random.default_rng(0))
    wrong = np.sum(np.conj(S) * np.abs(S) * np.exp(1j * phase)) / np.sum(np.abs(S) ** 2)
    return np.sqrt(2 * (1 - np.abs(wrong)))


def component(kind, t):
    """A chirp, or an impulse between two samples."""
    if kind == "chirp":
        return np.exp(2j * np.pi * (120 * t + 60 * t**2))
    return np.sinc(FS * t - 601.3).astype(complex)


# the error of the differences between frames; unrelated phases have 1.4, and without the derivatives in the length the
# chirp has 0.06 in slow and fast lengths
@pytest.mark.parametrize("kind", ["one", "slow", "fast"])
@pytest.mark.parametrize(("signal", "bound"), [("chirp", 0.03), ("impulse", 0.08)])
@pytest.mark.parametrize(
    ("fft_mode", "settings"),
    [
        ("twosided", {}),
        ("centered", {"mfft": 401, "phase_shift": 11}),
        ("centered", {"phase_shift": None, "window_offset": 0.5, "scale_to": "psd"}),
        ("onesided", {"scale_to": "magnitude"}),
        ("onesided2X", {"mfft": 401, "scale_to": "psd"}),
    ],
)
@pytest.mark.parametrize("window", [("gaussian", 8.0), late_gaussian], ids=["centred", "late"])
def test_phases_of_one_component(kind, signal, bound, fft_mode, settings, window):
    positions = np.arange(0, N, 2.125)
    options = {"mfft": 400, "fft_mode": fft_mode, **settings}
    sft = AdaptiveShortTimeFFT(window, lengths(kind, positions), None, FS, positions=positions, **options)
    x = component(signal, np.arange(N) / FS)
    assert phase_error(sft, x.real if sft.onesided_fft else x) < bound


def test_channels_and_silence():
    sft = AdaptiveShortTimeFFT("hann", 100, 10, FS)
    t = np.arange(N) / FS
    x = np.stack([component("chirp", t).real, 0 * t, component("impulse", t).real])
    A = np.abs(sft.stft(x))
    phase = estimate_phase(sft, A, N, np.random.default_rng(0))
    assert phase.shape == A.shape and np.isfinite(phase).all()
    alone = estimate_phase(sft, A[0], N, np.random.default_rng(0))
    assert np.all((phase >= 0) & (phase <= 2 * np.pi))  # large angles would be inaccurate in single precision
    strong = A[0] > 1e-3 * A[0].max()
    np.testing.assert_array_equal(phase[0][strong], alone[strong])


@pytest.mark.parametrize("positions", [[3.0], [3.0, 3.0], [3.0, 3.0, 9.0, 9.0, 12.0]])
def test_frames_at_the_same_time(positions):
    sft = AdaptiveShortTimeFFT("hann", 30.0, None, FS, positions=np.array(positions))
    A = np.abs(sft.stft(component("chirp", np.arange(16) / FS).real))
    assert np.isfinite(estimate_phase(sft, A, 16, np.random.default_rng(0))).all()


def test_a_single_bin():
    sft = AdaptiveShortTimeFFT("hann", 1.0, 1, FS, mfft=1)
    A = np.abs(sft.stft(np.ones(5)))
    assert estimate_phase(sft, A, 5, np.random.default_rng(0)).shape == A.shape
