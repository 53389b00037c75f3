"""Compilation with a cache on disk, or without one where no folder can be written to."""

from __future__ import annotations

import multiprocessing
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast

from numba.core import event

from adaptstft.common.progress import Compilation

_Function = TypeVar("_Function", bound=Callable[..., Any])


def compile_cached(jit: Callable[..., Any], function: _Function, **options: Any) -> _Function:
    """Compile a function by a decorator of Numba, with a cache on disk if there is a folder for it."""
    try:
        compiled = jit(cache=True, **options)(function)
    except RuntimeError:  # Numba has no folder; other errors of the same type occur again
        compiled = jit(**options)(function)
        _note_missing_cache()
    return cast(_Function, compiled)


@cache  # once for all kernels
def _note_missing_cache() -> None:
    if multiprocessing.parent_process() is not None:  # the parent has the same folders and gives the note
        return
    warnings.warn(
        "compiled code cannot be cached, because no folder for it can be written to: the first calls of every process "
        "take seconds longer; set NUMBA_CACHE_DIR to a folder that can be written to",
        RuntimeWarning,
        stacklevel=2,
    )


class _CompilationListener(event.Listener):  # type: ignore[misc]
    """Reports the beginning and the end of each function's compilation."""

    def __init__(self) -> None:
        self._compilation = Compilation()

    def on_start(self, _: event.Event) -> None:
        self._compilation.begin()

    def on_end(self, _: event.Event) -> None:
        self._compilation.end()


event.register("numba:compile", _CompilationListener())
