"""Short-time Fourier transforms whose windows and frames are tuned to the signal."""

from __future__ import annotations

import importlib
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from adaptstft import criteria, datasets, recordings, risk, testing, windows
    from adaptstft.batch.many import optimize_many
    from adaptstft.batch.table import TuningTable
    from adaptstft.denoising.entry import denoise
    from adaptstft.tracking.adaptive.entry import track
    from adaptstft.tracking.phase_retrieval import griffin_lim
    from adaptstft.tracking.reassignment import Reassigned, reassign
    from adaptstft.tracking.ridge_paths import ridges
    from adaptstft.tracking.ridge_result import Ridges
    from adaptstft.tracking.synchrosqueezing import Synchrosqueezed, synchrosqueeze
    from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT
    from adaptstft.transforms.gradient import Gradient
    from adaptstft.transforms.scipy_compatible import ShortTimeFFT
    from adaptstft.tuning.entry import optimize
    from adaptstft.tuning.result.result import TuningResult, load
    from adaptstft.tuning.shared.corpus import Corpus

try:
    __version__ = version("adaptstft")
except PackageNotFoundError:  # used from a checkout that is not installed
    __version__ = "0+unknown"

_ATTRIBUTES = {
    "AdaptiveShortTimeFFT": "transforms.adaptive",
    "Corpus": "tuning.shared.corpus",
    "Gradient": "transforms.gradient",
    "Reassigned": "tracking.reassignment",
    "Ridges": "tracking.ridge_result",
    "ShortTimeFFT": "transforms.scipy_compatible",
    "Synchrosqueezed": "tracking.synchrosqueezing",
    "TuningResult": "tuning.result.result",
    "TuningTable": "batch.table",
    "denoise": "denoising.entry",
    "griffin_lim": "tracking.phase_retrieval",
    "load": "tuning.result.result",
    "optimize": "tuning.entry",
    "optimize_many": "batch.many",
    "reassign": "tracking.reassignment",
    "ridges": "tracking.ridge_paths",
    "synchrosqueeze": "tracking.synchrosqueezing",
    "track": "tracking.adaptive.entry",
}
_SUBMODULES = ("criteria", "datasets", "recordings", "risk", "testing", "windows")

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
    "recordings",
    "ridges",
    "risk",
    "synchrosqueeze",
    "testing",
    "track",
    "windows",
]


# hidden from type checkers, which would accept every name
if not TYPE_CHECKING:

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
    return sorted([*__all__, "__version__"])
