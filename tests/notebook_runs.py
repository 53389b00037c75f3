"""Running notebooks as the tests do: their code, without a kernel."""

import contextlib
import io
import json
from pathlib import Path

ROOT = Path(__file__).parents[1]


def run(code, name):
    """Run code and return its variables and what it printed."""
    variables, printed = {}, io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(code, name, "exec"), variables)
    return variables, printed.getvalue()


def code_cells(name):
    """Return the code cells of a notebook."""
    content = json.loads((ROOT / "notebooks" / name).read_text(encoding="utf-8"))
    return [cell for cell in content["cells"] if cell["cell_type"] == "code"]


def run_notebook(name):
    """Run a notebook and return its variables and what it printed."""
    return run("\n\n".join("".join(cell["source"]) for cell in code_cells(name)), name)
