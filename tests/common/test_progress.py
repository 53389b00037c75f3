"""Progress bars: where they are drawn, and their removal at the end of the work."""

import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest

import adaptstft
from adaptstft.common.progress import Progress

CHIRP = np.cos(0.001 * np.arange(600.0) ** 2)
CELL = """
import numpy as np
import adaptstft
from adaptstft.common import progress
progress._DELAY = 0.0
print("before")
adaptstft.optimize(np.cos(0.001 * np.arange(600.0) ** 2), 100.0, workers=1, progress=True).win_length
"""


class Kernel:
    """Fake IPython kernel that records the contents of each display, in order."""

    def __init__(self):
        self.shown = []

    def display(self, data, *, raw, display_id):
        assert raw
        assert display_id is True
        self.shown.append([data])
        return SimpleNamespace(update=self._update(self.shown[-1]))

    @staticmethod
    def _update(shown):
        def update(data, *, raw):
            assert raw
            shown.append(data)

        return update


def fake_ipython(monkeypatch, shell):
    """Install a fake IPython with a given shell, and return its kernel, which records the displays."""
    kernel = Kernel()
    ipython, display = ModuleType("IPython"), ModuleType("IPython.display")
    ipython.get_ipython, ipython.display, display.display = (lambda: shell), display, kernel.display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", display)
    return kernel


@pytest.fixture
def no_delay(monkeypatch):
    """Draw without delay and at each update."""
    monkeypatch.setattr("adaptstft.common.progress._DELAY", 0.0)
    monkeypatch.setattr("adaptstft.common.progress.time.monotonic", iter(range(10**6)).__next__)


def test_in_a_notebook_one_output_is_replaced(monkeypatch, capsys, no_delay):
    kernel = fake_ipython(monkeypatch, SimpleNamespace(kernel=object()))
    adaptstft.optimize(CHIRP, 100.0, workers=1, progress=True)
    (shown,) = kernel.shown
    assert len(shown) > 3
    values = [float(data["text/html"].partition("value='")[2].partition("'")[0]) for data in shown[:-1]]
    assert values == sorted(values)
    assert 0 <= values[0] < values[-1] <= 1
    percents = [int(data["text/plain"].partition(" %")[0]) for data in shown[:-1]]
    np.testing.assert_allclose(percents, 100 * np.array(values), atol=0.6)  # the texts are rounded to 1 % and to 0.001
    assert shown[-1] == {"text/html": "", "text/plain": ""}
    assert capsys.readouterr().err == ""


def test_text_in_a_notebook_is_escaped(monkeypatch, no_delay):
    kernel = fake_ipython(monkeypatch, SimpleNamespace(kernel=object()))
    bar = Progress(True)
    bar.update(2.0, "a < b")
    bar.tell("c & d")
    bar.close()
    assert [data["text/html"] for data in kernel.shown[0]] == [
        "<div><progress max='1' value='1.000'></progress> 100 % a &lt; b</div>",
        "<div>c &amp; d</div>",
        "",
    ]


@pytest.mark.parametrize("shell", [None, SimpleNamespace()], ids=["no_shell", "terminal"])
def test_in_a_terminal_it_is_a_line_on_standard_error(monkeypatch, capsys, no_delay, shell):
    kernel = fake_ipython(monkeypatch, shell)
    bar = Progress(True)
    bar.update(0.5, "half")
    bar.close()
    assert "[############............]  50 % half" in capsys.readouterr().err
    assert kernel.shown == []


def test_nothing_is_shown_for_short_work_or_if_disabled(monkeypatch, capsys):
    kernel = fake_ipython(monkeypatch, SimpleNamespace(kernel=object()))
    for enabled in (True, False):
        bar = Progress(enabled)
        bar.update(0.5, "half")
        bar.close()
    monkeypatch.setattr("adaptstft.common.progress._DELAY", 0.0)
    bar = Progress(False)
    bar.update(0.5, "half")
    bar.close()
    assert kernel.shown == []
    assert capsys.readouterr().err == ""


def test_bar_is_removed_if_the_work_fails(monkeypatch, no_delay):
    kernel = fake_ipython(monkeypatch, SimpleNamespace(kernel=object()))

    def fail(intermediate_result):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        adaptstft.optimize(CHIRP, 100.0, workers=1, progress=True, callback=fail)
    assert kernel.shown[0][-1] == {"text/html": "", "text/plain": ""}


@pytest.mark.filterwarnings("default")  # warnings of the notebook client
def test_in_a_kernel():
    nbclient = pytest.importorskip("nbclient", reason="kernels need the extra 'notebooks'")
    pytest.importorskip("ipykernel", reason="kernels need the extra 'notebooks'")
    from nbformat import v4

    notebook = v4.new_notebook(cells=[v4.new_code_cell(CELL)])
    updates = []

    class Client(nbclient.NotebookClient):
        def process_message(self, msg, cell, cell_index):
            if msg["msg_type"] == "update_display_data":
                updates.append(msg["content"]["data"])
            return super().process_message(msg, cell, cell_index)

    Client(notebook, timeout=300, kernel_name="python3").execute()
    outputs = notebook.cells[0]["outputs"]
    assert [output["output_type"] for output in outputs] == ["stream", "display_data", "execute_result"]
    assert outputs[0]["text"] == "before\n"
    assert outputs[1]["data"] == {"text/html": "", "text/plain": ""}
    assert updates[-1] == outputs[1]["data"]
