"""Derivatives of criteria with respect to the weights and positions of frames, against differences."""

from dataclasses import replace

import numpy as np
import pytest

from adaptstft import criteria
from adaptstft.criteria.neighbourhoods import Neighbourhoods
from adaptstft.criteria.scopes import FrameView

FRAMES = 9


@pytest.mark.parametrize("name", ["weights", "positions"])
@pytest.mark.parametrize("scope", ["global", "frame", "local"])
@pytest.mark.parametrize("kind", [criteria.Renyi, criteria.Kurtosis, criteria.Hoyer])
def test_derivatives_are_those_of_differences(kind, scope, name, rng):
    criterion = kind(scope=scope)
    totals, counts = rng.uniform(1, 2, (len(criterion.statistics), FRAMES)), np.full(FRAMES, 17.0)
    hood = Neighbourhoods.of_signal(rng.standard_normal((1, 200)), 90.0)
    positions = np.arange(FRAMES) * 22.0 + rng.uniform(0, 5, FRAMES)
    view = FrameView(positions, rng.uniform(0.5, 1.5, FRAMES), 0.3, hood)
    direction, step = rng.standard_normal(FRAMES), 1e-5

    def value(s):
        moved = replace(view, **{name: getattr(view, name) + s * step * direction})
        return criterion.reduce(totals, counts, moved).value

    found = getattr(criterion.reduce(totals, counts, view), name) @ direction
    # differences of values of order one, each rounded to 1e-16
    assert found == pytest.approx((value(1) - value(-1)) / (2 * step), rel=1e-6, abs=1e-8)
