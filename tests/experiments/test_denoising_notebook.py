"""The figures that the notebook on denoising shows."""

import matplotlib
import numpy as np
import pytest
from notebook_runs import run_notebook

pytestmark = pytest.mark.full


def test_gains_of_the_notebook():
    pytest.importorskip("amfm_decompy", reason="the recording is in AMFM_decompy, of the extra 'demo'")
    matplotlib.use("Agg")
    variables, _ = run_notebook("denoising.ipynb")
    matplotlib.pyplot.close("all")
    gains = variables["gains"]
    assert len(gains) == 6
    assert all(len(values) == 3 for values in gains.values())
    for name in ("voice", "heart"):
        assert np.mean([gains[name, db] for db in (0, 5, 10)]) > 0.3
    assert min(map(min, gains.values())) > -0.25
    assert variables["left"] < -20
