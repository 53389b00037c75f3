"""Imports run downwards only, lazy ones and those for typing included, and no modules import each other in a ring."""

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import adaptstft

PACKAGE = Path(adaptstft.__file__).parent
#: Folders, and files at the top level, from the lowest layer to the highest. Those in one row do not import each other.
LAYERS = [
    {"common"},
    {"windows", "datasets", "recordings"},
    {"kernels"},
    {"engine", "display"},
    {"criteria"},
    {"transforms"},
    {"tuning", "denoising", "tracking"},
    {"batch", "adapters"},
    {"autograd", "torch", "sklearn", "dask", "risk", "testing"},
    {"xarray"},
    {"cli_track"},
    {"cli"},
    {"demo", "__main__"},
]
#: The package itself names its parts for type checkers and loads them when they are used.
ROOT = "adaptstft"
ROW = {name: row for row, names in enumerate(LAYERS) for name in names}


def modules():
    """Names of all modules, and their sources."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(PACKAGE).with_suffix("").parts
        found[".".join((ROOT, *parts)).removesuffix(".__init__")] = path.read_text(encoding="utf-8")
    return found


def imports(name, source, known):
    """Modules of the package that a module imports, wherever in it. A public name counts as the module that has it."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}, line {node.lineno}: imports are absolute"
            for alias in node.names:
                inner = f"{node.module}.{alias.name}"
                if node.module == ROOT and alias.name in adaptstft._ATTRIBUTES:
                    inner = f"{ROOT}.{adaptstft._ATTRIBUTES[alias.name]}"
                found.add(inner if inner in known or node.module == ROOT else node.module)
    return {one for one in found if one.split(".")[0] == ROOT} - {name, f"{ROOT}.__version__"}


def computed_imports(source):
    """Arguments of calls of ``import_module`` and ``__import__``, as source."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and ast.unparse(node.func).split(".")[-1] in ("import_module", "__import__"):
            yield ast.unparse(node.args[0])


SOURCES = modules()
IMPORTS = {name: imports(name, source, SOURCES) for name, source in SOURCES.items()}


def layer(name):
    """Folder or file at the top level that a module belongs to."""
    return name.split(".")[1]


def test_every_folder_has_its_layer():
    assert {layer(name) for name in SOURCES if name != ROOT} == set(ROW)


@pytest.mark.parametrize("name", sorted(set(SOURCES) - {ROOT}))
def test_imports_run_downwards(name):
    own = layer(name)
    # the whole package has attributes of all layers
    assert ROOT not in IMPORTS[name] or ROW[own] >= ROW["cli"], f"{name} imports {ROOT} itself"
    for other in sorted(IMPORTS[name] - {ROOT}):
        below = ROW[layer(other)] < ROW[own] or layer(other) == own
        assert below, f"{name} imports {other}, which is not in a layer below"


def test_no_ring():
    graph = {name: others - {ROOT} for name, others in IMPORTS.items() if name != ROOT}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"modules import each other in a ring: {' -> '.join(error.args[1])}")


#: Modules that import by a computed name, and why: the public names, extras, and kernels that were pickled by name.
COMPUTED = {"adaptstft", "adaptstft.common.optional", "adaptstft.tuning.shared.partial_sums"}


@pytest.mark.parametrize("name", sorted(SOURCES))
def test_no_import_hides_in_a_call(name):
    for argument in computed_imports(SOURCES[name]):
        literal = argument.startswith(("'", '"'))
        assert name in COMPUTED or (literal and ROOT not in argument), f"{name} imports {argument}"


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("from adaptstft import optimize", {"adaptstft.tuning.entry"}),
        ("from adaptstft import criteria", {"adaptstft.criteria"}),
        ("import adaptstft", {"adaptstft"}),
        ("from adaptstft.engine import forward", {"adaptstft.engine.forward"}),
        ("from adaptstft.engine.forward import forward", {"adaptstft.engine.forward"}),
        ("def f():\n    from adaptstft.cli import main", {"adaptstft.cli"}),
        ("import numpy", set()),
    ],
)
def test_every_form_of_import_is_seen(line, found):
    assert imports("adaptstft.common.text", line, SOURCES) == found


def test_computed_imports_are_seen():
    code = "import importlib\nimportlib.import_module('adaptstft.tuning')\n__import__('adaptstft.cli')"
    assert list(computed_imports(code)) == ["'adaptstft.tuning'", "'adaptstft.cli'"]
