"""The list of mutations fits the code: each text occurs once, what replaces it is Python, and its tests exist."""

import ast
from pathlib import Path

import pytest
from mutation_list import MUTATIONS
from mutations import failed_test

import adaptstft

PACKAGE = Path(adaptstft.__file__).parent  # which need not be beside the tests
TESTS = Path(__file__).parent


@pytest.mark.parametrize("mutation", MUTATIONS, ids=lambda m: f"{m.file}: {m.why}")
def test_a_mutation_fits_the_code(mutation):
    text = (PACKAGE / mutation.file).read_text(encoding="utf-8")
    assert text.count(mutation.old) == 1
    assert mutation.old != mutation.new
    ast.parse(text.replace(mutation.old, mutation.new))
    for part in mutation.tests.split():
        assert part.startswith("-") or (TESTS / part.partition("::")[0]).exists()


def test_there_are_enough_of_them_and_no_two_are_the_same():
    assert len({(m.file, m.old, m.new) for m in MUTATIONS}) == len(MUTATIONS) >= 45
    assert len({f"{m.file}: {m.why}" for m in MUTATIONS}) == len(MUTATIONS)


@pytest.mark.parametrize(
    ("status", "line", "found"),
    [
        (0, "1 passed", None),
        (1, "FAILED tests/test_a.py::test_b[time, hop-0] - assert 0", "tests/test_a.py::test_b[time, hop-0]"),
        (1, "ERROR tests/test_a.py::test_b - KeyError", "tests/test_a.py::test_b"),
        (1, "ERROR tests/test_a.py - ImportError", None),
        (2, "FAILED tests/test_a.py::test_b", None),
        (4, "ERROR: file or directory not found", None),
        (5, "no tests ran", None),
        (None, "", "(no end)"),
    ],
)
def test_only_failed_tests_find_a_mutation(status, line, found):
    assert failed_test(status, f"...\n{line}\n1 failed\n") == found
