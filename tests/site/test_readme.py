"""The README, the front page of the documentation and the notebooks agree with the code."""

import re

import matplotlib
import numpy as np
import pytest
from notebook_runs import ROOT, code_cells, run, run_notebook
from scipy.io import wavfile

from adaptstft import datasets

EXAMPLE = re.compile(r"```python\n(?P<code>.*?)```\s+```text\n(?P<output>.*?)```", re.DOTALL)
NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))
#: Notebooks that tests of their own run.
TESTED_ELSEWHERE = {"classification.ipynb", "denoising.ipynb", "gpu.ipynb", "positions.ipynb", "windows.ipynb"}


@pytest.fixture
def no_display():
    """Let pyplot draw without a window, and close what it drew."""
    matplotlib.use("Agg")
    yield
    from matplotlib import pyplot

    pyplot.close("all")


def test_readme_example_is_short_and_prints_what_is_shown():
    (example,) = EXAMPLE.finditer((ROOT / "README.md").read_text(encoding="utf-8"))
    assert len([line for line in example["code"].splitlines() if line.strip()]) <= 10
    assert run(example["code"], "README.md")[1] == example["output"]


def test_front_page_example_returns_the_signal(no_display, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    signal = datasets.chirps_in_sequence()
    wavfile.write("recording.wav", int(signal.fs), signal.x)
    lines = (ROOT / "docs" / "index.rst").read_text(encoding="utf-8").partition("Ten lines")[2].splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("    "))
    stop = next(i for i, line in enumerate(lines) if i > start and line and not line.startswith(" "))
    variables, printed = run("\n".join(line[4:] for line in lines[start:stop]), "index.rst")
    assert variables["res"].summary() in printed
    assert np.allclose(variables["y"], signal.x)
    assert (tmp_path / "report.html").stat().st_size > 100_000
    assert stop - start <= 11


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_is_stored_without_output(name):
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code_cells(name))


@pytest.mark.parametrize("name", sorted(set(NOTEBOOKS) - TESTED_ELSEWHERE))
@pytest.mark.full
def test_notebook_runs(name, no_display):
    _, printed = run_notebook(name)
    assert "win_length" in printed


def test_every_notebook_is_listed():
    listed = set(re.findall(r"\((\w+\.ipynb)\)", (ROOT / "notebooks" / "README.md").read_text(encoding="utf-8")))
    assert listed == set(NOTEBOOKS)
