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
    {"autograd", "torch", "sklearn", "dask", "xarray", "risk", "testing"},
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
    """Modules of the package that a module imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name}, line {node.lineno}: imports are absolute"
            inner = {f"{node.module}.{alias.name}" for alias in node.names}
            found |= {one if one in known else node.module for one in inner}
    return {one for one in found if one.split(".")[0] == ROOT} - {name}


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
    for other in sorted(IMPORTS[name] - {ROOT}):
        below = ROW[layer(other)] < ROW[own] or layer(other) == own
        assert below, f"{name} imports {other}, which is not in a layer below"


def test_no_ring():
    graph = {name: others - {ROOT} for name, others in IMPORTS.items() if name != ROOT}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"modules import each other in a ring: {' -> '.join(error.args[1])}")
