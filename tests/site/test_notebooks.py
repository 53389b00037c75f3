"""The figures that the notebooks on windows, positions and devices show."""

import ast
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
from notebook_runs import ROOT, code_cells, run_notebook

import adaptstft

NOTEBOOKS = sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb"))

#: Runs the notebook on devices in Numba's simulator, where a thread of the device is one of the host: on 128 samples.
SIMULATED = """
import sys
from types import SimpleNamespace

import matplotlib
import numpy as np
import pytest
import strict_arrays
from notebook_runs import code_cells

from adaptstft import kernels
from adaptstft.kernels.cuda import arrays

matplotlib.use("Agg")
strict_arrays.install(pytest.MonkeyPatch(), arrays, kernels.resolve("cuda")[1])
stream = SimpleNamespace(synchronize=lambda: None)
sys.modules["cupy"] = SimpleNamespace(
    ndarray=strict_arrays.ndarray,
    asarray=strict_arrays.ndarray,
    cuda=SimpleNamespace(get_current_stream=lambda: stream),
)
code = "\\n\\n".join("".join(cell["source"]) for cell in code_cells("gpu.ipynb"))
for old, new in (
    ("SECONDS, FS = 30.0,", "SECONDS, FS = 0.008,"),
    ("= 511.5, 256, 128, 512", "= 31.5, 24, 12, 32"),
    ("REPEATS = 5", "REPEATS = 1"),
):
    assert old in code
    code = code.replace(old, new)
variables = {}
exec(compile(code, "gpu.ipynb", "exec"), variables)
assert variables["device"]
assert max(variables["errors"].values()) < 1e-9, variables["errors"]
lengths = [result.win_length for result in variables["tuned"].values()]
assert abs(lengths[0] / lengths[1] - 1) < 1e-6, lengths
assert variables["lost"] < 1e-4
print("device: done")
"""


@pytest.fixture(autouse=True)
def no_display():
    """Let pyplot draw without a window, and close what it drew."""
    matplotlib.use("Agg")
    yield
    from matplotlib import pyplot

    pyplot.close("all")


@pytest.mark.full
def test_windows():
    pytest.importorskip("pywt", reason="the recording is in PyWavelets, of the extra 'demo'")
    variables, _ = run_notebook("windows.ipynb")
    for ratio in variables["ratios_time"].values():
        np.testing.assert_allclose(ratio, 1, atol=0.03)
    np.testing.assert_allclose(list(variables["ratios_frequency"].values()), 1, atol=0.05)
    assert variables["ratios_bin"].size > 40
    np.testing.assert_allclose(variables["ratios_bin"], 1, atol=0.2)
    assert variables["error_bin"] < 1e-9
    constant = np.array(variables["values"]["constant"])
    for name in ("time", "time-frequency"):
        assert np.all(np.array(variables["values"][name]) < constant - 0.05)


@pytest.mark.full
def test_positions():
    pytest.importorskip("pywt", reason="the recording is in PyWavelets, of the extra 'demo'")
    variables, _ = run_notebook("positions.ipynb")
    assert variables["quotient"] == pytest.approx(variables["gradient"].positions[variables["p"]], rel=1e-5)
    distances = variables["distances"]
    assert distances["equally spaced"].mean() == pytest.approx(variables["HOP"] / 4, rel=0.1)
    assert distances["tuned"].mean() < distances["equally spaced"].mean() / 3
    assert distances["tuned"].max() < distances["equally spaced"].max() / 2
    avoided, expected = variables["avoided"], distances["equally spaced"].mean()
    assert avoided[0].mean() > 1.2 * expected
    assert avoided[None].mean() < 1.1 * expected
    values = {name: [res.fun for _, res in runs] for name, runs in variables["found"].items()}
    assert max(values["tuned"]) < min(values["equally spaced"])
    assert variables["hops_low"].min() >= variables["HOP"] / 4
    assert variables["hops_high"].max() <= 32 * (1 + 1e-9)  # windows of 64 samples overlap by half
    assert variables["frame_ratios"].max() < 100
    assert variables["errors"].max() < 1e-12
    assert 0.7 < variables["overlap"] < 0.9


def test_devices():
    variables, printed = run_notebook("gpu.ipynb")
    assert variables["P"].shape[0] == variables["on_host"].f_pts
    if variables["device"]:
        assert max(variables["errors"].values()) < 1e-8
        assert variables["lost"] < 1e-4
    else:
        assert f"what follows is skipped: {variables['reason']}" in printed
        assert "tuned" not in variables


@pytest.mark.full
def test_devices_in_the_simulator(tmp_path):
    root = Path(__file__).parents[2]
    script = tmp_path / "simulated.py"
    script.write_text(SIMULATED, encoding="utf-8")
    paths = [
        str(root / "tests"),
        str(root / "tests" / "kernels"),
        str(root),
        *filter(None, [os.environ.get("PYTHONPATH")]),
    ]
    environment = os.environ | {"NUMBA_ENABLE_CUDASIM": "1", "PYTHONPATH": os.pathsep.join(paths)}
    done = subprocess.run([sys.executable, str(script)], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    assert done.stdout.endswith("device: done\n")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_names_of_the_package_exist(name):
    """Most notebooks run with ``--full`` only; a name that is gone is found without running them."""
    tree = ast.parse("\n".join("".join(cell["source"]) for cell in code_cells(name)))
    names = 0
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module.partition(".")[0] == "adaptstft":
            module, wanted = importlib.import_module(node.module), [alias.name for alias in node.names]
        elif isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == "adaptstft":
            module, wanted = adaptstft, [node.attr]
        else:
            continue
        for one in wanted:
            assert hasattr(module, one) or importlib.util.find_spec(f"{module.__name__}.{one}"), one
            names += 1
    assert names


@pytest.mark.parametrize("name", ["windows.ipynb", "positions.ipynb", "gpu.ipynb"])
def test_every_cell_has_an_id(name):
    """Without one, clients write a random one when they run a notebook."""
    assert len({cell["id"] for cell in code_cells(name)}) == len(code_cells(name))
