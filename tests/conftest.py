"""Fixtures and Hypothesis profiles shared by the tests."""

import os

import numpy as np
import pytest
from hypothesis import HealthCheck, settings

# Numba compiles on the first call of a process with an empty cache, which no deadline survives.
settings.register_profile("fast", deadline=None, max_examples=40, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", settings.get_profile("fast"), derandomize=True)
settings.register_profile("thorough", settings.get_profile("fast"), max_examples=1000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci" if os.environ.get("CI") else "fast"))


@pytest.fixture
def rng():
    """A generator with the same stream in every test."""
    return np.random.default_rng(20240501)


@pytest.fixture(params=["numpy", "numba"])
def backend(request):
    """Every backend that a CPU has."""
    return request.param


@pytest.fixture
def pyplot():
    """matplotlib.pyplot without a window; what a test draws is closed."""
    matplotlib = pytest.importorskip("matplotlib", reason="pictures need the extra 'plot'")
    matplotlib.use("Agg")
    module = pytest.importorskip("matplotlib.pyplot", reason="pictures need the extra 'plot'")
    yield module
    module.close("all")
