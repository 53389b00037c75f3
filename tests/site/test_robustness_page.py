"""The page about robustness agrees with the code: random cases, versions and tests."""

import importlib.util
import re
from pathlib import Path

import pytest
from hypothesis import settings

ROOT = Path(__file__).parents[2]
TESTS = ROOT / "tests"
PAGE = (ROOT / "docs" / "robustness.rst").read_text(encoding="utf-8")
NAMED = set(re.findall(r"``([\w/]*test_\w+\.py)::(\w+)``", PAGE))


def rows(*columns):
    """Return the rows of the table with this header."""
    for table in re.split(r"\.\. list-table::", PAGE)[1:]:
        cells = [re.findall(r"^   [*] - (.+)$|^     - (.+)$", row, re.MULTILINE) for row in split_rows(table)]
        texts = [[first or other for first, other in row] for row in cells]
        if texts[0][: len(columns)] == list(columns):
            return texts[1:]
    raise AssertionError(columns)


def split_rows(table):
    return re.findall(r"^   [*] - .+\n(?:     .+\n)*", table, re.MULTILINE)


@pytest.mark.parametrize(("file", "name"), sorted(NAMED))
def test_every_test_that_is_named_exists(file, name):
    assert f"\ndef {name}(" in (TESTS / file).read_text(encoding="utf-8")


def test_every_test_of_random_cases_is_named():
    given = re.compile(r"^@given\(.*\n(?:@.*\n)*def (\w+)", re.MULTILINE)
    found = {
        (path.relative_to(TESTS).as_posix(), name)
        for path in TESTS.rglob("test_*.py")
        for name in given.findall(path.read_text(encoding="utf-8"))
    }
    assert len(found) >= 11
    assert found <= NAMED


def test_numbers_of_examples_are_those_of_the_profiles():
    counts = {name.strip("`"): int(count) for name, count, _ in rows("Profile", "Examples")}
    assert counts == {name: settings.get_profile(name).max_examples for name in ("fast", "ci", "thorough")}


def test_oldest_versions_are_those_required():
    path = ROOT / ".ci" / "minimum_versions.py"
    spec = importlib.util.spec_from_file_location("minimum_versions", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    oldest = dict(row[:2] for row in rows("Package", "Oldest"))
    assert f'requires-python = ">={oldest.pop("Python")}"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert module.constraints([]) == sorted(f"{name}=={version}" for name, version in oldest.items())
    assert {"matplotlib==3.8", "joblib==1.4", "zarr==2.18"} <= set(module.constraints(["test"]))
