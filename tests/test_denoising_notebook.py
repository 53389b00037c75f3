"""The figures that the notebook on denoising shows."""

import contextlib
import io
import json
from pathlib import Path

import matplotlib
import numpy as np
import pytest

NOTEBOOK = Path(__file__).parents[1] / "notebooks" / "denoising.ipynb"


def test_gains_of_the_notebook():
    pytest.importorskip("amfm_decompy", reason="the recording is in AMFM_decompy, of the extra 'demo'")
    matplotlib.use("Agg")
    cells = [c for c in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]
    variables = {}
    with contextlib.redirect_stdout(io.StringIO()):
        exec(compile("\n".join("".join(c["source"]) for c in cells), NOTEBOOK.name, "exec"), variables)
    matplotlib.pyplot.close("all")
    gains = variables["gains"]
    assert len(gains) == 6
    assert all(len(values) == 3 for values in gains.values())
    for name in ("voice", "heart"):
        assert np.mean([gains[name, db] for db in (0, 5, 10)]) > 0.3
    assert min(map(min, gains.values())) > -0.25
    assert variables["left"] < -20
