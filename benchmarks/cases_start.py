"""Start of a new process: the import, and the first tuning with and without compiled kernels."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from functools import partial

from benchmarks.harness import Case, Figure, Row, Settings, Target, interleaved

_OPTIMIZE = """
import json, time
import numpy as np
start = time.perf_counter()
import adaptstft
x = np.cos(0.5 * np.arange(4000) + 1e-4 * np.arange(4000.0) ** 2)
imported = time.perf_counter()
adaptstft.optimize(x, 1000.0)
first = time.perf_counter()
adaptstft.optimize(x, 1000.0)
second = time.perf_counter()
print(json.dumps({"import": imported - start, "first": first - imported, "second": second - first}))
"""


def _python(code: str, **environment: str) -> str:
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | environment)
    if done.returncode:
        raise RuntimeError((done.stderr.strip().splitlines() or [f"ended with code {done.returncode}"])[-1])
    return done.stdout


def _imports(settings: Settings) -> list[Row]:
    statements = {
        "import adaptstft": "import adaptstft",
        "import scipy.signal": "import scipy.signal",
        "all public names of adaptstft": "from adaptstft import *",
    }
    calls = {label: partial(_python, code) for label, code in statements.items()}
    for call in calls.values():  # writes the bytecode
        call()
    seconds = interleaved(calls, settings.repeat, pause=0.0)
    ours, scipy, names = (statistics.median(seconds[label]) for label in statements)
    against = "import scipy.signal"
    return [
        Row(
            "import",
            work,
            against,
            Figure(value),
            Figure(scipy),
            Figure(value - scipy),
            target,
            detail={"seconds": seconds},
        )
        for work, value, target in (
            ("process with import adaptstft", ours, Target(0.3, at_least=False)),
            ("process with from adaptstft import *, which loads all modules", names, None),
        )
    ]


def _first_optimize(settings: Settings) -> list[Row]:
    rows = []
    with tempfile.TemporaryDirectory() as cache:
        compiled = [json.loads(_python(_OPTIMIZE, NUMBA_CACHE_DIR=cache))]
        for _ in range(0 if settings.quick else 2):
            with tempfile.TemporaryDirectory() as empty:
                compiled.append(json.loads(_python(_OPTIMIZE, NUMBA_CACHE_DIR=empty)))
        loaded = [json.loads(_python(_OPTIMIZE, NUMBA_CACHE_DIR=cache)) for _ in range(settings.repeat)]
    for work, runs, bound in (
        ("compiling: first optimize, no kernels cached", compiled, 8.0),
        ("loading: first optimize of a process, kernels cached", loaded, 1.5),
    ):
        first, second = (statistics.median(run[key] for run in runs) for key in ("first", "second"))
        extra = Figure(statistics.median(run["first"] - run["second"] for run in runs))
        target = Target(bound, at_least=False)
        against = "the second call in the process"
        rows.append(
            Row("first-optimize", work, against, Figure(first), Figure(second), extra, target, detail={"runs": runs})
        )
    return rows


CASES = (
    Case("import", "import adaptstft against import scipy.signal, in new processes", _imports),
    Case("first-optimize", "extra time of the first optimize compared with the second", _first_optimize),
)
