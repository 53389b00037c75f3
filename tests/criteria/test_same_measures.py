"""Measures that are the same one under several names."""

import numpy as np
import pytest
from numpy.testing import assert_allclose

from adaptstft import AdaptiveShortTimeFFT, criteria, datasets

CHIRP = datasets.linear_chirp(rate=60.0, duration=1.0)
LENGTHS = [20.0, 60.0, 150.0, 400.0]
Renyi = criteria.Renyi
#: A measure, an equal one, and the factor between their values.
FACTORS = [
    (criteria.Kurtosis, {}, {"alpha": 2}, 1.0),
    (criteria.Kurtosis, {"power": 1.3}, {"alpha": 2, "power": 1.3}, 1.0),
    (criteria.Stankovic, {}, {"alpha": 0.5}, 1.0),
    (criteria.Stankovic, {"r": 4.5, "power": 3}, {"alpha": 1 / 4.5, "power": 3}, 3.5),
    (criteria.Lp, {}, {"alpha": 0.5}, 0.5),
    (criteria.Lp, {"k": 0.4, "power": 1}, {"alpha": 0.2, "power": 1}, 0.8),
    (criteria.Shannon, {"power": 1}, {"alpha": 1, "power": 1}, 1.0),
    (criteria.Renyi, {"alpha": 3, "power": 1}, {"alpha": 1 / 3, "power": 3}, 1.0),
    (criteria.Kurtosis, {"power": 1}, {"alpha": 0.5, "power": 2}, 1.0),
]


def values(criterion):
    """Values and derivatives in the window length, for several lengths."""
    pairs = []
    for length in LENGTHS:
        sft = AdaptiveShortTimeFFT("hann", length, 10, CHIRP.fs, mfft=400, scale_to="psd")
        value, gradient = sft.value_and_grad(CHIRP.x, criterion, wrt=("win_length",))
        pairs.append((value, float(gradient.win_length)))
    return np.array(pairs)


@pytest.mark.parametrize(("cls", "parameters", "renyi", "factor"), FACTORS, ids=str)
def test_values_differ_by_a_factor(cls, parameters, renyi, factor):
    for scope in ("global", "local", "frame"):
        if (cls, scope) == (criteria.Kurtosis, "frame"):  # another measure
            continue
        found, entropy = values(cls(scope=scope, **parameters)), values(Renyi(scope=scope, **renyi))
        assert_allclose(found, factor * entropy, rtol=1e-9, atol=1e-12)


def test_the_kurtosis_of_frames_is_no_entropy():
    kurtosis, entropy = (values(c)[:, 0] for c in (criteria.Kurtosis(scope="frame"), Renyi(alpha=2, scope="frame")))
    line = np.polyval(np.polyfit(entropy, kurtosis, 1), entropy)
    assert np.abs(line - kurtosis).max() > 1e-3 * np.ptp(kurtosis)


def test_hoyer_increases_with_an_entropy():
    hoyer, entropy = values(criteria.Hoyer())[:, 0], values(Renyi(alpha=0.5))[:, 0]
    bins = [AdaptiveShortTimeFFT("hann", m, 10, CHIRP.fs, mfft=400).stft(CHIRP.x).size for m in LENGTHS]
    root = np.sqrt(bins)
    assert_allclose(hoyer, -(root - np.exp(entropy / 2)) / (root - 1), rtol=1e-9)
