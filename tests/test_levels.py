"""The levels of the suite: what ``--quick``, the default and ``--full`` run."""

import itertools
import os
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path
from types import SimpleNamespace

import pytest

ROOT = Path(__file__).parents[1]
SUITE = """
import pytest

@pytest.mark.parametrize("a", range(2))
@pytest.mark.parametrize("b", range(3))
@pytest.mark.parametrize(("c", "d"), [(0, 0), (0, 1), (1, 0)])
def test_product(a, b, c, d): ...

@pytest.mark.parametrize("a", range(7))
def test_list(a): ...

@pytest.mark.slow
@pytest.mark.parametrize("a", range(5))
def test_slow(a): ...

@pytest.mark.parametrize("a", [0, pytest.param(1, marks=pytest.mark.full)])
def test_one_full_case(a): ...
"""


@pytest.fixture(scope="module")
def collected(tmp_path_factory):
    """Return a function that lists the tests of a level."""
    folder = tmp_path_factory.mktemp("suite")
    shutil.copy(ROOT / "conftest.py", folder)
    (folder / "test_suite.py").write_text(SUITE)
    (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    slow\n    full\n")

    def cases(*options):
        command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *options]
        environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=True)
        return [line.partition("::")[2] for line in done.stdout.splitlines() if "::" in line]

    return cases


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        (["--quick"], {"test_product": 3, "test_list": 3, "test_one_full_case": 1}),
        ([], {"test_product": 9, "test_list": 7, "test_slow": 3, "test_one_full_case": 1}),
        (["--full"], {"test_product": 18, "test_list": 7, "test_slow": 5, "test_one_full_case": 2}),
    ],
    ids=["quick", "default", "full"],
)
def test_each_level_runs_its_cases(collected, option, expected):
    cases = collected(*option)
    assert Counter(case.partition("[")[0] for case in cases) == expected
    assert cases == collected(*option)


def test_chosen_cases_contain_every_pair_of_values(request):
    module = request.config.pluginmanager.getplugin(str(ROOT / "conftest.py"))
    values = {"a": ["a0", "a1", "a2", "a3"], "b": ["b0", "b1", "b2"], "c": ["c0", "c1", "c2"], "d": ["d0", "d1"]}
    cases = [
        SimpleNamespace(
            callspec=SimpleNamespace(params=dict(zip(values, row, strict=True))), iter_markers=lambda name: []
        )
        for row in itertools.product(*values.values())
    ]

    def pairs(some):
        return {pair for case in some for pair in itertools.combinations(case.callspec.params.values(), 2)}

    chosen = module.all_pairs("test", cases)
    assert pairs(chosen) == pairs(cases)
    assert 12 <= len(chosen) <= 15  # of 72; no cover is smaller than the largest two factors
