"""What the README, the documentation's front page and the notebooks show is what happens."""

import contextlib
import io
import json
import re
from pathlib import Path

import matplotlib
import numpy as np
import pytest

ROOT = Path(__file__).parents[1]
EXAMPLE = re.compile(r"```python\n(?P<code>.*?)```\s+```text\n(?P<output>.*?)```", re.DOTALL)
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))


@pytest.fixture
def no_display():
    """Let pyplot draw without a window, and close what it drew."""
    matplotlib.use("Agg")
    yield
    from matplotlib import pyplot

    pyplot.close("all")


def run(code, name):
    """Run code and return its variables and what it printed."""
    variables, printed = {}, io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, name, "exec"), variables)
    return variables, printed.getvalue()


def test_readme_example_is_short_and_prints_what_is_shown():
    (example,) = EXAMPLE.finditer((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len([line for line in example["code"].splitlines() if line.strip()]) <= 10
    assert run(example["code"], "README.md")[1] == example["output"]


def test_front_page_example_returns_the_signal(no_display):
    lines = (ROOT / "docs" / "index.rst").read_text(encoding="utf-8").partition("Quick start")[2].splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("    "))
    stop = next(i for i, line in enumerate(lines) if i > start and line and not line.startswith(" "))
    variables, printed = run("\n".join(line[4:] for line in lines[start:stop]), "index.rst")
    assert variables["res"].summary() in printed
    assert np.allclose(variables["x"], variables["signal"].x)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
def test_notebook_runs_and_is_stored_without_output(path, no_display):
    cells = [c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code"]
    assert all(c["outputs"] == [] and c["execution_count"] is None for c in cells)
    _, printed = run("\n".join("".join(c["source"]) for c in cells), path.name)
    assert "win_length" in printed


def test_every_notebook_is_listed():
    listed = set(re.findall(r"\((\w+\.ipynb)\)", (ROOT / "notebooks" / "README.md").read_text(encoding="utf-8")))
    assert listed == {path.name for path in NOTEBOOKS}
