"""Compilation of the kernels before they are needed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import adaptstft
from adaptstft import cli
from adaptstft.batch import warm_up

#: Prints the kernels that have no compiled code in a new process with an empty cache.
UNCOMPILED = """
import importlib, pkgutil
from adaptstft.cli import main
from adaptstft.kernels import cpu
assert main(["--warm-up"]) == 0
for module in (importlib.import_module(f"{cpu.__name__}.{one.name}") for one in pkgutil.iter_modules(cpu.__path__)):
    for name, found in vars(module).items():
        if hasattr(found, "signatures") and not found.signatures:
            print(module.__name__, name)
"""


def test_the_command_makes_all_calls(monkeypatch, capsys):
    made = []
    monkeypatch.setattr(warm_up, "_calls", lambda: [lambda: made.append(1), lambda: made.append(2)])
    assert cli.main(["--warm-up"]) == 0
    assert made == [1, 2]
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("more", [["a.wav"], ["--json"]])
def test_the_option_stands_alone(more, capsys):
    with pytest.raises(SystemExit):
        cli.main(["--warm-up", *more])
    assert "--warm-up takes no FILE and no other option" in capsys.readouterr().err


@pytest.mark.full
def test_every_kernel_is_compiled(tmp_path):
    environment = os.environ | {
        "NUMBA_CACHE_DIR": str(tmp_path),
        "PYTHONPATH": str(Path(adaptstft.__file__).parents[1]),
    }
    command = [sys.executable, "-c", UNCOMPILED]
    done = subprocess.run(command, capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stderr
    assert any(tmp_path.rglob("*.nbc"))
