"""Steps back to a limit that takes long to evaluate."""

import numpy as np
import pytest

from adaptstft.tuning.descent.multipliers import largest_step


@pytest.mark.parametrize(
    "excess",
    [
        lambda step: 2 * step - 1,
        lambda step: 3 * step**4 - 1,
        lambda step: np.sqrt(step) - 0.7,
        lambda step: np.inf if step > 0.8 else step - 0.6,
    ],
)
def test_the_step_is_just_below_the_limit_after_few_evaluations(excess):
    asked = []

    def record(step):
        asked.append(step)
        return excess(step)

    step = largest_step(record, excess(0.0), excess(1.0))
    assert -0.1 < excess(step) <= 0
    assert len(asked) <= 6
