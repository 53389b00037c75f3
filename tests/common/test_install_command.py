"""The command that installs an extra, for each way of installing the package."""

import importlib.metadata
import json
import shlex
import subprocess
import sys

import pytest

from adaptstft.common import optional


class Installed(importlib.metadata.Distribution):
    """An installation with a record of its origin."""

    def __init__(self, origin):
        self._origin = origin

    def read_text(self, filename):
        return {"direct_url.json": self._origin}.get(filename)

    def locate_file(self, path):
        raise NotImplementedError

    @property
    def requires(self):
        return [
            "numpy>=2",
            'matplotlib>=3.8; extra == "plot"',
            "h5py; extra == 'files'",
            'pyarrow>=15; extra == "files"',
        ]


def command(monkeypatch, origin, extra="plot"):
    text = None if origin is None else json.dumps(origin)
    monkeypatch.setattr(optional, "distribution", lambda name: Installed(text))
    return optional.install_command(extra)


def test_from_an_index(monkeypatch):
    assert command(monkeypatch, None) == "pip install 'adaptstft[plot]'"


@pytest.mark.parametrize("editable", [True, False])
def test_from_a_folder(monkeypatch, tmp_path, editable):
    folder = tmp_path / "my packages"
    folder.mkdir()
    origin = {"url": folder.as_uri(), "dir_info": {"editable": True} if editable else {}}
    words = shlex.split(command(monkeypatch, origin))
    assert words == ["pip", "install", *["-e"] * editable, f"{folder}[plot]"]


def test_from_a_folder_that_is_gone(monkeypatch, tmp_path):
    origin = {"url": (tmp_path / "gone").as_uri(), "dir_info": {}}
    assert command(monkeypatch, origin) == "pip install 'matplotlib>=3.8'"
    assert command(monkeypatch, origin, "files") == "pip install h5py 'pyarrow>=15'"


def test_from_a_file_or_a_repository(monkeypatch, tmp_path):
    wheel = tmp_path / "adaptstft-0.1.0-py3-none-any.whl"
    wheel.touch()
    assert command(monkeypatch, {"url": wheel.as_uri(), "archive_info": {}}).endswith(f"[plot] @ {wheel.as_uri()}'")
    origin = {"url": "https://example.org/a.git", "vcs_info": {"vcs": "git", "commit_id": "abc"}}
    assert command(monkeypatch, origin) == "pip install 'adaptstft[plot] @ git+https://example.org/a.git@abc'"


def test_without_an_installation(monkeypatch):
    def missing(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(optional, "distribution", missing)
    assert optional.install_command("plot") == "pip install matplotlib"


#: A build backend that needs no other package: it only writes the metadata.
BACKEND = """
from pathlib import Path

def build_wheel(*args): raise SystemExit('only the metadata is needed')

def prepare_metadata_for_build_wheel(folder, settings=None):
    info = Path(folder, "some_package-1.dist-info")
    info.mkdir()
    info.joinpath("METADATA").write_text(
        "Metadata-Version: 2.1\\nName: some-package\\nVersion: 1\\nProvides-Extra: plot\\n"
    )
    return info.name
"""


def test_pip_understands_the_command(monkeypatch, tmp_path):
    """A dry run without network or dependencies: the folder and its extra are found."""
    (tmp_path / "backend.py").write_text(BACKEND)
    (tmp_path / "pyproject.toml").write_text(
        '[project]\nname = "some-package"\nversion = "1"\n[project.optional-dependencies]\nplot = []\n'
        '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    )
    words = shlex.split(command(monkeypatch, {"url": tmp_path.as_uri(), "dir_info": {}}))
    done = subprocess.run(
        [sys.executable, "-m", *words, "--dry-run", "--no-deps", "--no-build-isolation", "--no-index"],
        capture_output=True, text=True,
    )  # fmt: skip
    if "No module named pip" in done.stderr:
        pytest.skip("pip is not installed")
    assert "Would install some-package-1" in done.stdout, done.stderr
