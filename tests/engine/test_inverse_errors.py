"""The error that an inverse reports is the true one within a factor of ten, and no wrong signal is returned.

``docs/figures/inverse_errors.py`` has the same settings; its draws are the figure of the documentation.
"""

import runpy
from pathlib import Path

import numpy as np
import pytest

from adaptstft import AdaptiveShortTimeFFT

STUDY = runpy.run_path(str(Path(__file__).parents[2] / "docs/figures/inverse_errors.py"), run_name="study")


def relative(back, x):
    return float(np.linalg.norm(back - x) / np.linalg.norm(x))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.slow
def test_random_windows_for_each_bin(dtype, seed, monkeypatch):
    pytest.importorskip("matplotlib", reason="pictures need the extra 'plot'")
    monkeypatch.setitem(STUDY["study"].__globals__, "COUNT", 12)
    (claimed, true, _), refused, lost = STUDY["study"](dtype, seed, check=True)
    assert claimed.size + refused == 12 and claimed.size > 6 and lost == 0
    ratio = true / claimed
    assert ratio.min() > 0.1 and ratio.max() < 10
    assert true.max() < 1e3 * np.finfo(dtype).eps or dtype == np.float64


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("gap", [0.02, 0.01, 0.003, 1e-3, 1e-4, 1e-6])
def test_samples_at_the_ends_of_windows(dtype, gap, rng):
    """Frames that hardly overlap: samples in between have the fraction gap**4 of the largest energy, or are refused."""
    n = 400
    length = 40 * (1 + gap)
    sft = AdaptiveShortTimeFFT("hann", length, 40.0, 1.0, mfft=64, window_offset=-20.0)
    x = rng.standard_normal(n).astype(dtype)
    S = sft.stft(x)
    lower, upper = sft.frame_bounds(n)
    try:
        back, info = sft.istft(S, k1=n, full_output=True)
    except ValueError as error:
        assert ("in single precision: windows reach" in str(error)) == (dtype == np.float32 and sft.invertible)
        assert lower < 1.1 * np.finfo(dtype).resolution * upper
    else:
        assert lower > 0.9 * np.finfo(dtype).resolution * upper
        error = relative(back, x)
        assert 0.1 * info.error < error < 10 * info.error
        assert error < (1e-3 if dtype == np.float32 else 1e-7)


def test_the_message_for_single_precision_names_the_samples_and_the_way_out(rng):
    sft = AdaptiveShortTimeFFT("hann", 40.04, 40.0, 1.0, mfft=64, window_offset=-20.0)
    S = sft.stft(rng.standard_normal(200))
    assert np.isfinite(sft.istft(S, k1=200)).all() and sft.invertible
    message = (
        r"not invertible in single precision: windows reach the samples 0, 40, 80, .* use double precision, or overlap"
    )
    with pytest.raises(ValueError, match=message):
        sft.istft(S.astype(np.complex64), k1=200)
    with pytest.raises(ValueError, match="in single precision"):
        sft.istft_vjp(S.astype(np.complex64), np.ones(200, np.float32), k1=200)
    with pytest.raises(ValueError, match="in single precision"):
        sft.istft_jvp(S.astype(np.complex64), {"win_length": 1.0}, k1=200)
    with pytest.raises(ValueError, match="in single precision"):
        list(sft.istft_blocks([S.astype(np.complex64)], k1=200))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_poorly_covered_samples_count_as_much_as_others(dtype, rng):
    """One sample has little window energy at all frequencies: the error is there, and it is reported."""
    sft = AdaptiveShortTimeFFT("hann", np.linspace(20.8, 21.6, 17)[:, None], 20.0, 1.0, mfft=32)
    x = rng.standard_normal(100).astype(dtype)
    back, info = sft.istft(sft.stft(x), k1=100, full_output=True)
    error = relative(back, x)
    assert 0.1 * info.error < error < 10 * info.error
    worst = np.argsort(np.abs(back - x))[-3:]
    if dtype == np.float32:
        assert set(worst % 20) <= {9, 10, 11}


def test_rounding_is_part_of_the_error(rng):
    """Nearly equal windows that overlap well: the iterations converge far below the precision of the transform."""
    sft = AdaptiveShortTimeFFT("hann", np.linspace(24.0, 24.1, 17)[:, None], 5.0, 1.0, mfft=32)
    x = rng.standard_normal(100).astype(np.float32)
    back, info = sft.istft(sft.stft(x), k1=100, full_output=True, tol=1e-12)
    error = relative(back, x)
    assert info.residual < 1e-9
    assert 0.1 * info.error < error < 10 * info.error
