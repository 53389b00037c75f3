"""The environment in which Numba is imported: no folder for its cache, and numbers of threads that are none."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import adaptstft
from adaptstft import kernels

NOTE = "compiled code cannot be cached, because no folder for it can be written to or a disk is full"
ROOT = Path(adaptstft.__file__).parents[1]
#: Beside a script of this name Python imports it first: no folder for a cache is found.
WITHOUT_FOLDERS = "from numba.core import caching\ncaching.CacheImpl._locator_classes = []\n"


def run_without_cache(code, *argv, folder):
    """Run Python code where Numba finds no folder for its cache, in child processes as well."""
    (folder / "sitecustomize.py").write_text(WITHOUT_FOLDERS)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    environment.pop("PYTHONWARNINGS", None)
    command = [sys.executable, "-c", code, *map(str, argv)]
    return subprocess.run(command, capture_output=True, text=True, env=environment, cwd=folder, check=False)


@pytest.mark.slow
def test_every_kernel_is_compiled_without_a_cache(tmp_path):
    code = """
import numpy as np
from adaptstft.kernels import cpu
kernels = [f for f in vars(cpu).values() if hasattr(f, "py_func")]
print(len(kernels), sum(type(f._cache).__name__ == "NullCache" for f in kernels))
out = np.zeros((4, 3))
w = np.arange(6.0).reshape(3, 2)
cpu.row_sums(w, w, np.ones(3), np.zeros(3), np.full(3, 2), out)
print(out[0])
"""
    done = run_without_cache(code, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count(NOTE) == 1 and "set NUMBA_CACHE_DIR to a folder" in done.stderr
    count, without = map(int, done.stdout.splitlines()[0].split())
    assert count == without > 10
    assert done.stdout.splitlines()[1] == "[1. 5. 9.]"


@pytest.mark.slow
@pytest.mark.skipif(os.name != "posix", reason="only POSIX systems limit the size of a file of a process")
def test_a_cache_that_cannot_be_written_or_is_damaged(tmp_path):
    """Files of no bytes, as on a full disk: the kernel is compiled, and stored later. An empty index is no error."""
    code = """
import resource, sys
import numpy as np
from adaptstft.kernels import cpu
hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
resource.setrlimit(resource.RLIMIT_FSIZE, (0 if sys.argv[1] == "full" else hard, hard))
out, w = np.zeros((4, 3)), np.arange(6.0).reshape(3, 2)
cpu.row_sums(w, w, np.ones(3), np.zeros(3), np.full(3, 2), out)
print(out[0], len(cpu.row_sums._cache_hits))
"""
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path), "PYTHONPATH": str(ROOT)}
    hits, notes = [], []
    for disk in ("full", "free", "free", "damaged"):
        if disk == "damaged":
            for index in tmp_path.rglob("*.nbi"):
                index.write_bytes(b"")
        command = [sys.executable, "-c", code, disk]
        done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
        assert done.stdout.startswith("[1. 5. 9.]"), done.stderr
        hits.append(int(done.stdout.split()[-1]))
        notes.append(done.stderr.count(NOTE))
    assert hits == [0, 0, 1, 0] and notes == [1, 0, 0, 1]


@pytest.mark.slow
@pytest.mark.parametrize("more", [["--jobs", "2"], ["--jobs", "2", "--out", "out.csv"]])
def test_the_command_gives_one_note(tmp_path, more):
    """For several files, and processes of joblib that load the kernels themselves; silent files need no compilation."""
    pytest.importorskip("joblib", reason="processes need joblib, of the extra 'many'")
    for name in ("a.npy", "b.npy", "c.npy"):
        np.save(tmp_path / name, np.zeros(900))
    code = "import sys; from adaptstft.cli import main; sys.exit(main(sys.argv[1:]))"
    done = run_without_cache(code, "a.npy", "b.npy", "c.npy", "--fs", "100", *more, folder=tmp_path)
    assert done.returncode == 2
    note, *errors = done.stderr.splitlines()
    assert note.startswith(f"adaptstft: warning: {NOTE}")
    assert len(errors) == 3 and all("x is silent" in error for error in errors)


@pytest.mark.parametrize("value", ["0", "-2", "two", "1.5", ""])
def test_a_number_of_threads_that_is_none(monkeypatch, value):
    monkeypatch.setenv("NUMBA_NUM_THREADS", value)
    message = f"^the environment variable NUMBA_NUM_THREADS='{value}' must be a whole number of at least 1, or unset$"
    for backend in ("numba", "cuda"):
        with pytest.raises(ValueError, match=message):
            kernels.resolve(backend)
    assert kernels.resolve("numpy")[0] == "numpy"
    monkeypatch.setenv("NUMBA_NUM_THREADS", "3")
    assert kernels.resolve("auto")[0] == "numba"


def test_the_command_refuses_a_number_of_threads_once(tmp_path):
    environment = os.environ | {"NUMBA_NUM_THREADS": "0"}
    command = [sys.executable, "-m", "adaptstft", "a.npy", "b.npy"]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT, check=False)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("adaptstft: the environment variable NUMBA_NUM_THREADS='0' must be")
