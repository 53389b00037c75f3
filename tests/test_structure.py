"""Sizes of files and functions, and the map of the folders in CONTRIBUTING."""

import ast
import re
from pathlib import Path

import pytest

import adaptstft

PACKAGE = Path(adaptstft.__file__).parent
ROOT = Path(__file__).parents[1]
SOURCES = {path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")}
FOLDERS = {name.partition("/")[0] for name in SOURCES if "/" in name}
#: At most three each, with the reason.
LONG_FILES: dict[str, str] = {}
LONG_FUNCTIONS: dict[str, str] = {}


def functions():
    """Return the functions of all files with the number of lines of their bodies, docstrings not counted."""
    for name, source in SOURCES.items():
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef):
                body = node.body[1:] if ast.get_docstring(node) is not None else node.body
                yield f"{name}:{node.name}", body[-1].end_lineno - body[0].lineno + 1 if body else 0


def test_few_files_at_the_top_level():
    assert len([name for name in SOURCES if "/" not in name]) <= 18


def test_files_are_short():
    assert {name for name, source in SOURCES.items() if len(source.splitlines()) > 500} == set(LONG_FILES)
    assert len(LONG_FILES) <= 3


def test_functions_are_short():
    assert {name for name, lines in functions() if lines > 60} == set(LONG_FUNCTIONS)
    assert len(LONG_FUNCTIONS) <= 3


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/development/architecture.rst"])
def test_the_map_names_every_folder(page):
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(r"^\| `(\w+)/` \|", text, re.MULTILINE) or re.findall(r"^   \* - ``(\w+)``$", text, re.MULTILINE)
    assert sorted(named) == sorted(FOLDERS)


def test_no_module_bears_the_name_of_a_public_function():
    names = {name.rpartition("/")[2].removesuffix(".py") for name in SOURCES}
    assert not names & {name for name in adaptstft.__all__ if callable(getattr(adaptstft, name))}
