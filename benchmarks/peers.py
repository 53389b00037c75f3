"""Packages that adaptstft is compared with: their versions and their installation.

``python -m benchmarks.peers`` installs them into the running environment.
"""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

#: File with the reasons for packages that could not be installed.
_REASONS = Path(sys.prefix) / "benchmark-peers.json"


@dataclass(frozen=True)
class Peer:
    """A package for comparison.

    Attributes
    ----------
    name : str
        Name of the package and of its module.
    requirement : str
        Requirement for pip.
    """

    name: str
    requirement: str


PEERS = (
    Peer("torch", "torch==2.13.0"),
    Peer("dstft", "dstft==3.0.0"),
    Peer("librosa", "librosa"),
    Peer("ssqueezepy", "ssqueezepy"),
    Peer("mkl_fft", "mkl_fft"),
    Peer("pyfftw", "pyfftw"),
    Peer("matplotlib", "matplotlib"),
)
NAMES = tuple(peer.name for peer in PEERS)

_left_out: set[str] = set()


class NotInstalledError(ImportError):
    """A peer is missing."""


def leave_out(names: list[str]) -> None:
    """Treat peers as not installed."""
    _left_out.update(names)


def require(name: str) -> Any:
    """Import a peer, or a module of one.

    Raises
    ------
    NotInstalledError
        If it is missing, with the reason.
    """
    if name in _left_out:
        raise NotInstalledError(f"{name} not installed: left out on request")
    try:
        return importlib.import_module(name)
    except ImportError as error:
        reason = _reasons().get(name.partition(".")[0], str(error))
        raise NotInstalledError(f"{name} not installed: {reason}") from error


def torch_with(workers: int) -> Any:
    """Import torch and set its number of threads."""
    torch = require("torch")
    torch.set_num_threads(workers)
    return torch


def versions() -> dict[str, str]:
    """Return the versions of all packages of the benchmarks."""
    numbers = {}
    for name in ("adaptstft", "numpy", "scipy", "numba", "llvmlite", *NAMES):
        try:
            numbers[name] = version(name)
        except PackageNotFoundError:
            numbers[name] = f"not installed: {_reasons().get(name, 'no such package')}"
        if name in _left_out:
            numbers[name] = "not installed: left out on request"
    return numbers


def _reasons() -> dict[str, str]:
    try:
        return dict(json.loads(_REASONS.read_text()))
    except (OSError, ValueError):
        return {}


def _pip_install(requirement: str) -> str:
    """Install a package; return the error, or an empty text."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", requirement]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode == 0:
        return ""
    errors = [line.removeprefix("ERROR: ") for line in done.stderr.splitlines() if line.startswith("ERROR: ")]
    return errors[-1] if errors else f"pip ended with code {done.returncode}"


def install() -> None:
    """Install all peers one by one, and write the errors to a file."""
    reasons = {}
    for peer in PEERS:
        reason = _pip_install(peer.requirement)
        print(f"{peer.requirement}: {reason or 'installed'}", flush=True)
        if reason:
            reasons[peer.name] = reason
    _REASONS.write_text(json.dumps(reasons, indent=2))


if __name__ == "__main__":
    install()
