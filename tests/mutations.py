"""Break a copy of the package in many ways, one at a time, and report which tests find it.

``python tests/mutations.py`` prints a line for each mutation of ``mutation_list.py``: the test of the default level
that fails, or "only full" with the test that fails with ``--full``, or "NOT FOUND". The exit status is the number of
mutations that the default level does not find.

The tests that a mutation names run first. If they pass, the whole default level runs, and then ``--full``. Each set
of tests also runs once without a mutation and must pass there. A mutation is found if tests fail or do not end; it is
not found if pytest cannot collect or run the tests.

``--only TEXT`` takes the mutations whose file or description contains a text, and can be repeated. ``--likely`` runs
only the tests that they name, ``--jobs N`` runs N at a time, ``--json FILE`` keeps the results and continues from
them, and ``--list`` prints the mutations without running them.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from threading import Lock

from mutation_list import MUTATIONS, Mutation

ROOT = Path(__file__).parents[1]
#: What a run of the tests needs, relative to the root.
NEEDED = ("adaptstft", "benchmarks", "docs", "notebooks", "tests", ".ci", ".github")
#: Seconds after which a run counts as failed: a mutation may make a loop endless.
TIMEOUT = 1800


def copy_of_the_project(target: Path) -> None:
    """Copy what the tests need, compiled kernels included."""
    ignore = shutil.ignore_patterns("_build", "generated", ".hypothesis", "*.pyc")
    for name in NEEDED:
        shutil.copytree(ROOT / name, target / name, ignore=ignore)
    for path in [*ROOT.glob("*.*"), ROOT / "Makefile", ROOT / "LICENSE"]:
        if path.is_file():
            shutil.copy2(path, target)


def run_tests(folder: Path, *arguments: str) -> tuple[int | None, str]:
    """Run tests and return pytest's exit status, None after a time-out, and what was printed."""
    environment = os.environ | {"PYTHONPATH": str(folder), "CI": "1"}  # the same random cases in every run
    command = [sys.executable, "-m", "pytest", "-q", "--no-header", "-p", "no:cacheprovider", *arguments]
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=TIMEOUT
        )
    except subprocess.TimeoutExpired:
        return None, ""
    return done.returncode, done.stdout


def failed_test(status: int | None, printed: str) -> str | None:
    """Return the first test that failed, or None.

    Exit status 1 means that tests failed. The others but 0 mean that tests did not run: an interruption, a wrong
    option, no test collected.
    """
    if status is None:
        return "(no end)"
    first = re.search(r"^(?:FAILED|ERROR) (\S+::[^\[\n]*?(?:\[.*?\])?)(?= - |$)", printed, re.MULTILINE)
    return first[1] if status == 1 and first else None


@cache
def _lock_of(arguments: tuple[str, ...]) -> Lock:
    return Lock()


@cache
def _result_without_mutation(arguments: tuple[str, ...]) -> tuple[int | None, str]:
    with tempfile.TemporaryDirectory() as name:
        copy_of_the_project(Path(name))
        return run_tests(Path(name), *arguments)


def require_success(arguments: tuple[str, ...]) -> None:
    """Raise an error if tests fail in a copy without a mutation; each set of tests runs once."""
    with _lock_of(arguments):
        status, printed = _result_without_mutation(arguments)
    if status != 0:
        raise RuntimeError(f"exit status {status} without a mutation: pytest {' '.join(arguments)}\n{printed[-2000:]}")


def run(mutation: Mutation, *, likely_only: bool) -> tuple[str | None, str | None]:
    """Return the test of the default level that finds a mutation, and that of the full level if it is needed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        copy_of_the_project(folder)
        mutation.apply(folder / "adaptstft")
        if mutation.file.startswith(("kernels", "common/typing")):  # Numba does not see changes of what a kernel calls
            for compiled in (folder / "adaptstft").rglob("*.nb[ic]"):
                compiled.unlink()
        likely = ("-x", *(part if part.startswith("-") else f"tests/{part}" for part in mutation.tests.split()))
        everything = ("-n", "2", "--dist", "worksteal")  # -x would end the workers with the status of an interruption

        def found_by(arguments: tuple[str, ...]) -> str | None:
            require_success(arguments)
            return failed_test(*run_tests(folder, *arguments))

        default = found_by(likely)
        if default or likely_only:
            return default, None
        default = found_by(everything)
        return default, None if default else found_by((*everything, "--full"))


def text_of(mutation: Mutation, found: tuple[str | None, str | None]) -> str:
    """Return the line of the table."""
    default, full = found
    result = default or (f"only full: {full}" if full else "NOT FOUND")
    return f"| {mutation.file} | {mutation.why} | {result} |"


def main() -> int:
    """Run the mutations and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", action="append", help="take the mutations whose file or description contains this")
    parser.add_argument("--jobs", type=int, default=1, help="mutations at a time")
    parser.add_argument("--json", type=Path, help="file to keep results in and to go on from")
    parser.add_argument("--likely", action="store_true", help="run only the tests that the mutations name")
    parser.add_argument("--list", action="store_true", help="print the mutations, run nothing")
    options = parser.parse_args()
    only = options.only or [""]
    chosen = [m for m in MUTATIONS if any(text in m.file or text in m.why for text in only)]
    kept = json.loads(options.json.read_text()) if options.json and options.json.exists() else {}
    if options.list:
        print("\n".join(f"{m.file}: {m.why}" for m in chosen))
        return 0
    print("| file | change | found by |\n| --- | --- | --- |", flush=True)

    def one(mutation: Mutation) -> bool:
        key = f"{mutation.file}: {mutation.why}"
        found = kept.get(key) or run(mutation, likely_only=options.likely)
        if found[0] or not options.likely:
            kept[key] = found
            if options.json:
                options.json.write_text(json.dumps(kept, indent=1))
        print(text_of(mutation, found), flush=True)
        return found[0] is None

    with ThreadPoolExecutor(options.jobs) as pool:
        missed = sum(pool.map(one, chosen))
    print(f"\n{len(chosen) - missed} of {len(chosen)} are found by the default level")
    return missed


if __name__ == "__main__":
    sys.exit(main())
