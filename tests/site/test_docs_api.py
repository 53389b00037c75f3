"""Every public name has a place in the reference and an example in its docstring."""

import ast
import re
from pathlib import Path

import pytest

import adaptstft

PACKAGE = Path(adaptstft.__file__).parent  # which need not be beside the tests
REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
#: Submodules for users, beside the package itself.
SUBMODULES = (
    "autograd", "criteria", "dask", "datasets", "recordings", "risk", "sklearn", "testing", "torch", "windows", "xarray"
)  # fmt: skip


def parse(module):
    """Syntax tree of a module, which need not be importable."""
    path = PACKAGE / f"{module.replace('.', '/')}.py"
    return ast.parse((path if path.exists() else PACKAGE / module / "__init__.py").read_text(encoding="utf-8"))


def public(tree):
    """Names in ``__all__``."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return ast.literal_eval(node.value)
    return []


def definition(module, name):
    """Where a name is defined: in a module, or where that has it from."""
    nodes = list(ast.walk(parse(module)))
    for node in nodes:
        if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name == name and not is_overload(node):
            return node
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and name in {alias.name for alias in node.names}:
            return definition(node.module.removeprefix("adaptstft").removeprefix(".") or "__init__", name)
    for node in nodes:
        if (
            isinstance(node, ast.Assign)
            and getattr(node.targets[0], "id", "") == name
            and isinstance(node.value, ast.Name)
        ):
            return definition(module, node.value.id)
    raise LookupError(f"no definition of {name} in {module}")


def is_overload(node):
    """Whether a function only declares types."""
    return any(getattr(decorator, "id", "") == "overload" for decorator in node.decorator_list)


def listed():
    """Names on the pages of the reference, with their modules."""
    found = set()
    for page in REFERENCE.glob("*.rst"):
        text = page.read_text(encoding="utf-8")
        module = re.search(r"\.\. (?:currentmodule|module):: (\S+)", text)
        for block in re.findall(r":toctree: \.\./generated\n   :nosignatures:\n\n((?:   \S+\n)+)", text):
            found |= {f"{module[1]}.{name.lstrip('~')}" for name in block.split()}
    return found


LISTED = sorted(listed())


def test_reference_has_every_public_name():
    names = {f"adaptstft.{name}" for name in public(parse("__init__"))} - {f"adaptstft.{name}" for name in SUBMODULES}
    for module in SUBMODULES:
        names |= {f"adaptstft.{module}.{name}" for name in public(parse(module))}
    assert len(names) > 60
    assert names - set(LISTED) == set()


@pytest.mark.parametrize("name", LISTED)
def test_name_has_an_example(name):
    module, _, own = name.removeprefix("adaptstft.").rpartition(".")
    docstring = ast.get_docstring(definition(module or "__init__", own)) or ""
    assert "\nExamples\n--------\n" in docstring and ">>> " in docstring


def test_reference_lists_its_pages():
    pages = {page.stem for page in REFERENCE.glob("*.rst")} - {"index"}
    listing = (REFERENCE / "index.rst").read_text(encoding="utf-8")
    assert pages == {line.strip() for line in listing.splitlines() if re.fullmatch(r"   \w+", line)}
