"""Progress bars: where they are drawn, and their removal at the end of the work."""

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace

import autograd.numpy as anp
import numpy as np
import pytest

import adaptstft
from adaptstft import datasets
from adaptstft.common.progress import Compilation, Pieces, Progress, Stages

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


@pytest.mark.parametrize("terminal", [True, False], ids=["terminal", "file"])
@pytest.mark.parametrize(
    "shell", [None, SimpleNamespace(), SimpleNamespace(kernel=object())], ids=["python", "ipython", "notebook"]
)
@pytest.mark.parametrize("progress", [None, True, False])
def test_without_a_choice_the_bar_is_shown_in_notebooks_and_terminals(
    monkeypatch, capsys, no_delay, progress, shell, terminal
):
    notebook = hasattr(shell, "kernel")
    kernel = fake_ipython(monkeypatch, shell)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    bar = Progress(progress)
    bar.update(0.5, "half")
    bar.close()
    shown = (notebook or terminal) if progress is None else progress
    assert ("half" in capsys.readouterr().err) == (shown and not notebook)
    assert bool(kernel.shown) == (shown and notebook)


def test_without_standard_error_no_bar_is_shown(monkeypatch, no_delay):
    monkeypatch.setattr(sys, "stderr", None)
    Progress(None).update(0.5, "half")


def test_a_function_shows_the_bar_by_itself(monkeypatch, capsys, no_delay):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    adaptstft.optimize(CHIRP, 100.0, workers=1)
    assert "%" in capsys.readouterr().err
    adaptstft.optimize(CHIRP, 100.0, workers=1, progress=False)
    assert capsys.readouterr().err == ""


def test_many_recordings_show_one_bar(monkeypatch, capsys, no_delay):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    adaptstft.optimize_many([CHIRP, CHIRP[:500]], 100.0)
    shown = capsys.readouterr().err
    assert "2 of 2 recordings" in shown
    assert "searching" not in shown and "iteration" not in shown


@pytest.mark.parametrize("progress", [1, "yes"])
@pytest.mark.parametrize("function", [adaptstft.optimize, adaptstft.optimize_many])
def test_other_values_are_refused(function, progress):
    items = CHIRP if function is adaptstft.optimize else [CHIRP]
    with pytest.raises(TypeError, match=rf"progress={progress!r} must be True, False or None"):
        function(items, 100.0, progress=progress)


# ---------------------------------------------------------------------------------------
# How much of the work is done


class Record(Progress):
    """A bar that keeps what it is told."""

    def __init__(self):
        self.shown = []

    def update(self, fraction, text):
        self.shown.append((fraction, text))

    def close(self):
        pass

    @property
    def fractions(self):
        return [fraction for fraction, _ in self.shown]


def test_stages_share_what_is_left():
    whole = Record()
    bar = Stages(whole, {"one": 1.0, "two": 6.0, "left out": 2.0, "last": 1.0})
    bar.update(0.5, "before any stage")
    bar.begin("one")
    bar.update(0.5, "half")
    bar.update(0.2, "back")
    bar.begin("two")
    bar.update(0.0, "start")
    bar.update(1.0, "end")
    bar.begin("two")  # once more: 6 of 9 parts of what is left
    bar.update(1.0, "end")
    bar.begin("not expected")
    bar.update(1.0, "end")
    bar.begin("last")  # all that is left
    bar.update(2.0, "end")
    np.testing.assert_allclose(whole.fractions, [0, 0.05, 0.05, 0.1, 0.7, 0.9, 0.9, 1.0])


def test_pieces_may_be_done_in_any_order():
    whole = Record()
    pieces = Pieces(whole, 2)
    second, first = pieces.piece(1), pieces.piece(0)
    second.update(0.5, "b")
    first.update(1.0, "a")
    second.update(0.1, "b again")
    second.update(1.0, "b")
    assert whole.shown == [(0.25, "b"), (0.75, "a"), (0.75, "b again"), (1.0, "b")]


MODES = {
    "constant": {},
    "given length": {"win_length": 40, "starts": 1},
    "time": {"window_mode": "time"},
    "time, given length": {"window_mode": "time", "win_length": 40},
    "positions": {"hop_mode": "time", "options": {"maxiter": 3}},
    "frequency": {"window_mode": "frequency", "options": {"maxiter": 3}},
    "exact bins": {"window_mode": "time-frequency", "accuracy": None, "options": {"maxiter": 2}},
    "families": {"window": "auto", "options": {"maxiter": 3}},
    "grid": {"method": "grid"},
    "grid in time": {"method": "grid", "window_mode": "time"},
    "user loss": {"criterion": lambda P: anp.sum(P**0.4) / anp.sum(P) ** 0.4, "hop": 20},
}


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("modes", MODES.values(), ids=MODES)
def test_the_bar_never_moves_backwards(monkeypatch, modes, workers):
    bar = Record()
    monkeypatch.setattr("adaptstft.tuning.entry.Progress", lambda enabled: bar)
    adaptstft.optimize(CHIRP, 100.0, workers=workers, **modes)
    assert bar.fractions == sorted(bar.fractions)
    assert 0 <= bar.fractions[0] < 0.5
    assert 0.4 < bar.fractions[-1] <= 1


def test_two_tables_take_most_of_the_bar(monkeypatch):
    signal = datasets.close_tones_and_clicks()
    bar, tables = Record(), []
    monkeypatch.setattr("adaptstft.tuning.entry.Progress", lambda enabled: bar)
    begin = Stages.begin

    def record(self, stage):
        tables.extend([len(bar.shown)] if stage == "table" else [])
        begin(self, stage)

    monkeypatch.setattr(Stages, "begin", record)
    adaptstft.optimize(signal.x, signal.fs, window_mode="time", workers=1)
    assert bar.fractions == sorted(bar.fractions)
    before = bar.fractions[tables[0] - 1]
    table = [fraction for fraction, text in bar.shown[tables[0] :] if text.startswith("searching")]
    assert len(tables) >= 1 and before < 0.3 and table[-1] > 0.5


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


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is set."""
    now = SimpleNamespace(time=100.0)
    monkeypatch.setattr("adaptstft.common.progress.time.monotonic", lambda: now.time)
    return now


def compile_for(compilation, clock, *seconds):
    """Compile a function that needs others, each of which takes its time."""
    compilation.begin()
    for each in seconds:
        compilation.begin()
        clock.time += each
        compilation.end()
    compilation.end()


def test_long_compilation_is_shown_on_the_bar_of_the_work(clock, capsys):
    compilation, bar, silent = Compilation(), Progress(True), Progress(False)
    compile_for(compilation, clock, 1.0, 0.9)
    assert capsys.readouterr().err == ""
    compile_for(compilation, clock, 0.2, 0.3)
    assert capsys.readouterr().err == "\rcompiling, once"
    bar.close()
    assert capsys.readouterr().err.strip(" \r") == ""
    silent.close()


@pytest.mark.parametrize("watched", [True, False])
def test_compilation_without_a_bar_is_shown_where_a_person_sees_it(watched, clock, capsys, monkeypatch):
    monkeypatch.setattr("adaptstft.common.progress._is_watched", lambda: watched)
    compile_for(Compilation(), clock, 3.0, 0.1)
    line = capsys.readouterr().err
    assert line == ("\rcompiling, once\r" + " " * 84 + "\r" if watched else "")


def test_bars_that_are_switched_off_show_no_compilation(clock, capsys, monkeypatch):
    monkeypatch.setattr("adaptstft.common.progress._is_watched", lambda: True)
    bar = Progress(False)
    compile_for(Compilation(), clock, 3.0, 0.1)
    assert capsys.readouterr().err == ""
    bar.close()


def test_short_compilations_do_not_add_up(clock, capsys):
    compilation, bar = Compilation(), Progress(True)
    for _ in range(3):
        compile_for(compilation, clock, 1.0)
        clock.time += 10.0
    assert capsys.readouterr().err == ""
    bar.close()


@pytest.mark.slow
def test_numba_reports_compilation(tmp_path):
    code = """
import sys
import numpy as np
from adaptstft.common import progress
progress._DELAY = 0.0
progress._is_watched = lambda: True
from adaptstft.kernels import cpu
w = np.ones((3, 2))
cpu.row_sums(w, w, np.ones(3), np.zeros(3), np.full(3, 2), np.zeros((4, 3)))
"""
    environment = os.environ | {
        "NUMBA_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": str(Path(adaptstft.__file__).parents[1]),
    }
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 0 and done.stderr.startswith("\ncompiling, once"), done.stderr  # "\r" is a line end, too
    again = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert (again.returncode, again.stderr) == (0, "")
