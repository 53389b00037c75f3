"""Short-time Fourier transforms whose windows and frames are tuned to the signal."""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adaptstft import criteria, datasets, testing, windows
    from adaptstft.corpora import Corpus
    from adaptstft.denoising import denoise
    from adaptstft.dropin import ShortTimeFFT
    from adaptstft.gradient import Gradient
    from adaptstft.many import optimize_many
    from adaptstft.phase import griffin_lim
    from adaptstft.reassignment import Reassigned, Synchrosqueezed, reassign, synchrosqueeze
    from adaptstft.result import TuningResult, load
    from adaptstft.shorttimefft import AdaptiveShortTimeFFT
    from adaptstft.table import TuningTable
    from adaptstft.tracking import Ridges, ridges
    from adaptstft.tuning import optimize

try:
    __version__ = version("adaptstft")
except PackageNotFoundError:  # used from a checkout that is not installed
    __version__ = "0+unknown"

_ATTRIBUTES = {
    "AdaptiveShortTimeFFT": "shorttimefft",
    "Corpus": "corpora",
    "Gradient": "gradient",
    "Reassigned": "reassignment",
    "Ridges": "tracking",
    "ShortTimeFFT": "dropin",
    "Synchrosqueezed": "reassignment",
    "TuningResult": "result",
    "TuningTable": "table",
    "denoise": "denoising",
    "griffin_lim": "phase",
    "load": "result",
    "optimize": "tuning",
    "optimize_many": "many",
    "reassign": "reassignment",
    "ridges": "tracking",
    "synchrosqueeze": "reassignment",
}
_SUBMODULES = ("criteria", "datasets", "testing", "windows")

__all__ = [
    "AdaptiveShortTimeFFT",
    "Corpus",
    "Gradient",
    "Reassigned",
    "Ridges",
    "ShortTimeFFT",
    "Synchrosqueezed",
    "TuningResult",
    "TuningTable",
    "criteria",
    "datasets",
    "denoise",
    "griffin_lim",
    "load",
    "optimize",
    "optimize_many",
    "reassign",
    "ridges",
    "synchrosqueeze",
    "testing",
    "windows",
]


def __getattr__(name: str) -> Any:
    """Load public names when they are first used, so that the import itself is quick."""
    if name in _SUBMODULES:
        return importlib.import_module(f"adaptstft.{name}")
    if name in _ATTRIBUTES:
        value = getattr(importlib.import_module(f"adaptstft.{_ATTRIBUTES[name]}"), name)
        globals()[name] = value
        return value
    raise AttributeError(f"module 'adaptstft' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
