"""The subset for daily work has every test but the slow ones, and a few cases of each, the same ones each time."""

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

FILES = ["tests/site/test_readme.py", "tests/tracking/test_phase.py"]
SLOW = "tests/site/test_readme.py::test_notebook_runs"


def collected(*options):
    """Return the tests that would run."""
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-p", "no:cacheprovider", *options, *FILES]
    done = subprocess.run(command, cwd=Path(__file__).parents[2], capture_output=True, text=True, check=True)
    return [line for line in done.stdout.splitlines() if "::" in line]


def counted(cases):
    return Counter(case.partition("[")[0] for case in cases)


@pytest.mark.slow
def test_every_test_but_the_slow_ones_is_kept_with_at_most_three_cases():
    everything, quick = counted(collected()), collected("--quick")
    assert SLOW in everything and max(everything.values()) > 3
    assert counted(quick) == {name: min(count, 3) for name, count in everything.items() if name != SLOW}
    assert quick == collected("--quick")
