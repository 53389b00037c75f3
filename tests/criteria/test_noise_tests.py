"""Mean and standard deviation of the criteria for white noise, compared with realisations."""

from dataclasses import replace

import numpy as np
import pytest

from adaptstft import criteria, kernels, windows
from adaptstft.criteria.evaluate import comparable_view, value_of
from adaptstft.criteria.noise_tests import white_noise
from adaptstft.engine.frames import durations
from adaptstft.engine.plan import FramePlan
from adaptstft.tuning.tables.framing import regular_frames


def noise(seed, shape, kind):
    rng = np.random.default_rng(seed)
    x = rng.standard_normal(shape)
    return x + 1j * rng.standard_normal(shape) if kind is complex else x


@pytest.mark.parametrize("kind", [float, complex], ids=["real", "complex"])
@pytest.mark.parametrize("length", [17.3, 120.0, 700.0])
@pytest.mark.parametrize("name", ["renyi", "shannon", "kurtosis", "stankovic", "lp", "hoyer"])
def test_mean_and_deviation_for_white_noise(name, length, kind):
    """The theory gives the mean and the standard deviation over realisations."""
    n, hop, mfft = 1500, round(length / 4), 2 * int(np.ceil(length))
    fft_mode = "centered" if kind is complex else "onesided"
    plan = FramePlan(mfft, fft_mode, "psd", kernels.resolve("numpy")[1], 1, windows.resolve("hann"), 1.0)
    criterion = replace(criteria.resolve(name), scope="global")
    frames, positions = regular_frames(plan, n, length, hop)
    view = comparable_view(criterion, positions, durations(positions, n), mfft, None)
    x = [noise(seed, (1, n), kind) for seed in range(60)]
    values = np.array([value_of(plan, signal, frames, criterion, view) for signal in x])
    theory = white_noise(plan, x[0], criterion, length, view)
    assert abs(values.mean() - theory.mean) < 0.7 * theory.deviation
    assert 0.6 < values.std() / theory.deviation < 1.7
