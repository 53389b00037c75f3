"""The notebook on classification runs, and joint training gains what it says."""

import matplotlib
import numpy as np
import pytest
from notebook_runs import run_notebook

pytestmark = pytest.mark.full


@pytest.fixture(scope="module")
def notebook():
    """Variables of the notebook, and what it printed."""
    matplotlib.use("Agg")
    yield run_notebook("classification.ipynb")
    from matplotlib import pyplot

    pyplot.close("all")


def summary(variables, name):
    """Mean accuracies: of the fixed windows, after joint training from both ends, of the length kept."""
    fixed = np.mean(variables["fixed"][name], axis=0)
    joint = np.mean([[value for _, value in runs] for runs in variables["joint"][name]], axis=0)
    kept = np.mean([value for _, value in variables["kept"][name]])
    return fixed, joint, kept


def test_generated_signals(notebook):
    variables, printed = notebook
    assert "win_length" in printed
    fixed, (from_shortest, from_longest), kept = summary(variables, "combs and bursts")
    assert len(variables["kept"]["combs and bursts"]) == 5
    assert fixed[0] < 0.62
    assert fixed[-1] < 0.75
    assert fixed.max() > 0.9
    assert from_longest > fixed[-1] + 0.18
    assert fixed[0] + 0.1 < from_shortest < fixed.max() - 0.05  # it stops short of the optimum
    assert kept > fixed.max() - 0.04
    runs = variables["per_frequency"]["combs and bursts"]
    assert np.mean([value for _, value in runs]) > max(0.97, fixed.max() + 0.02)
    lengths = np.mean([np.log(lengths) for lengths, _ in runs], axis=0)
    frequency = np.linspace(0, 500, lengths.size)
    comb, hiss = (lengths[(frequency > low) & (frequency < high)].mean() for low, high in ((80, 150), (250, 400)))
    assert comb - hiss > np.log(2)


def real_task(variables, name):
    """Summary of a task that needs files which the package need not have."""
    if name not in variables["tasks"]:
        pytest.skip("the signals are in aeon, which is not installed: pip install --no-deps aeon")
    return summary(variables, name)


def test_leaves(notebook):
    fixed, (from_shortest, from_longest), kept = real_task(notebook[0], "OSULeaf")
    assert fixed[0] < 0.7
    assert fixed.max() > 0.82
    assert from_shortest > fixed[0] + 0.15
    assert from_longest > fixed[-1] - 0.02
    assert kept > fixed.max() - 0.04
    per_frequency = np.mean([value for _, value in notebook[0]["per_frequency"]["OSULeaf"]])
    assert abs(per_frequency - kept) < 0.04


def test_appliances_where_tuning_does_not_help(notebook):
    fixed, _, kept = real_task(notebook[0], "ACSF1")
    spread = np.mean(np.std(notebook[0]["fixed"]["ACSF1"], axis=0, ddof=1))
    assert np.ptp(fixed) < 2 * spread
    assert abs(kept - fixed.max()) < 1.5 * spread
