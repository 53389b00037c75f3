"""Compilation with a cache on disk, or without one where no folder can be written to, or the disk is full."""

from __future__ import annotations

import multiprocessing
import pickle
import warnings
from collections.abc import Callable
from functools import cache
from typing import Any, TypeVar, cast

from numba.core import event

from adaptstft.common.progress import Compilation

_Function = TypeVar("_Function", bound=Callable[..., Any])
#: Errors of a full disk, and of a file of the cache that is incomplete.
_FAULTS = (OSError, EOFError, pickle.UnpicklingError)


def compile_cached(jit: Callable[..., Any], function: _Function, **options: Any) -> _Function:
    """Compile a function by a decorator of Numba, with a cache on disk if there is a folder for it."""
    try:
        compiled = jit(cache=True, **options)(function)
    except RuntimeError:  # Numba has no folder; other errors of the same type occur again
        compiled = jit(**options)(function)
        _note_missing_cache()
    else:
        if hasattr(compiled, "_cache"):  # which a function does not have where compilation is switched off
            compiled._cache = _Guarded(compiled._cache)
    return cast(_Function, compiled)


class _Guarded:
    """A cache of Numba whose faults do not stop the compilation."""

    def __init__(self, guarded: Any) -> None:
        self._guarded = guarded

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__.get("_guarded"), name)

    def load_overload(self, *arguments: Any) -> Any:
        """Return compiled code, None if there is none."""
        try:
            return self._guarded.load_overload(*arguments)
        except _FAULTS:
            return None

    def save_overload(self, *arguments: Any) -> None:
        """Store compiled code."""
        try:
            self._guarded.save_overload(*arguments)
        except _FAULTS:
            _note_missing_cache()


@cache  # once for all kernels
def _note_missing_cache() -> None:
    if multiprocessing.parent_process() is not None:  # the parent has the same folders and gives the note
        return
    warnings.warn(
        "compiled code cannot be cached, because no folder for it can be written to or a disk is full: the first calls "
        "of every process take seconds longer; set NUMBA_CACHE_DIR to a folder that can be written to",
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
