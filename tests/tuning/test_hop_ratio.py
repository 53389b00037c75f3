"""Loss by the hop as a fraction of the window length: its gradient and its minimum."""

import numpy as np
import pytest

from adaptstft.tuning.hop_ratio import best_hop_ratio, hop_loss
from adaptstft.windows import resolve


@pytest.mark.parametrize("ratio", [0.1, 0.21, 0.37])
@pytest.mark.parametrize("window", ["hann", "blackman", ("tukey", 0.6)])
def test_gradient_of_the_hop_loss(window, ratio):
    window = resolve(window)
    step = 1e-6
    rough = (hop_loss(window, ratio * np.exp(step))[0] - hop_loss(window, ratio * np.exp(-step))[0]) / (2 * step)
    assert hop_loss(window, ratio)[1] == pytest.approx(rough, rel=1e-4, abs=1e-8)


def test_best_hop_ratio_is_the_minimum():
    hann = resolve("hann")
    best = best_hop_ratio(hann, (0.02, 0.5))
    assert all(hop_loss(hann, ratio)[0] >= hop_loss(hann, best)[0] for ratio in np.linspace(0.02, 0.5, 400))
