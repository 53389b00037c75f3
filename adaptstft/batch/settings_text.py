"""The arguments of a run as text, so that a later run can tell whether its arguments are the same.

A function is known by its module and its qualified name, not by its code. A lambda, a function inside another function
and an object that is no dataclass have no such name: two of them cannot be compared between runs.
"""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import asdict, fields, is_dataclass
from types import ModuleType
from typing import Any

import numpy as np

from adaptstft.common.validation import show
from adaptstft.criteria import Criterion, UserLoss
from adaptstft.windows import Window

#: Sequences of more numbers than this are written as their shape and a digest.
_LONGEST_LIST = 16


class _UnnamedError(Exception):
    """A value that no later run can compare with its own."""


def settings_text(settings: dict[str, Any], defaults: dict[str, Any], *, comparable: bool = False) -> str:
    """Return the settings that differ from their defaults as JSON.

    Parameters
    ----------
    settings : dict
        Values by name. Numbers are compared by value, so 64 and 64.0 are the same setting. Functions, methods of
        dataclasses and ``functools.partial`` objects are written as module and qualified name.
    defaults : dict
        Default values of all names.
    comparable : bool, optional
        Raise if a setting has no text that identifies it, such as a lambda.

    Returns
    -------
    str
        The JSON text, equal for equal settings in every process.

    Raises
    ------
    ValueError
        With `comparable`, if a setting cannot be compared between runs.

    Examples
    --------
    >>> from adaptstft.batch.settings_text import settings_text
    >>> settings_text({"win_bounds": (16, 512), "mfft": None}, {"win_bounds": None, "mfft": None})
    '{"win_bounds": [16, 512]}'
    """
    chosen = {}
    for name, value in settings.items():
        try:
            plain = _plain(value, comparable)
        except _UnnamedError as error:
            raise ValueError(
                f"{name}={show(value)} cannot be compared with the settings of another run: {error}. With out= every "
                "function must be defined with a name of its own at the top level of a module, and every object must "
                "be a dataclass"
            ) from None
        if plain != _plain(defaults[name], False):
            chosen[name] = plain
    return json.dumps(chosen, sort_keys=True, ensure_ascii=False)


def _plain(value: Any, comparable: bool) -> Any:
    """Return a value as types that JSON knows."""

    def inner(part: Any) -> Any:
        return _plain(part, comparable)

    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist() if value.size <= _LONGEST_LIST or not _is_numeric(value) else _digest(value)
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        return int(value) if float(value).is_integer() else float(value)
    if isinstance(value, complex | bytes):
        return repr(value)
    if isinstance(value, list | tuple):
        numbers = _long_array(value)
        return [inner(entry) for entry in value] if numbers is None else _digest(numbers)
    if isinstance(value, set | frozenset):
        return {"set": sorted(json.dumps(inner(entry), sort_keys=True) for entry in value)}
    if isinstance(value, dict):
        return {str(inner(name)): inner(entry) for name, entry in value.items()}
    if isinstance(value, UserLoss):
        return inner(value.function)
    if isinstance(value, Criterion):
        return {"criterion": value.name} | {k: inner(v) for k, v in asdict(value).items() if v is not None}
    if isinstance(value, Window):
        return inner(value.__reduce__()[1][0])  # the name of the family, or the function
    if isinstance(value, functools.partial):
        return {"partial": [inner(part) for part in (value.func, value.args, value.keywords)]}
    if is_dataclass(value) and not isinstance(value, type):
        own = {field.name: inner(getattr(value, field.name)) for field in fields(value)}
        return {"type": _full_name(type(value), comparable)} | own
    return _plain_function(value, comparable)


def _plain_function(value: Any, comparable: bool) -> Any:
    """Return the name of a function or class, with the object that a method is bound to."""
    if not callable(value) or not hasattr(value, "__name__"):
        if comparable:
            raise _UnnamedError(f"an object of type {type(value).__qualname__} is no dataclass")
        return {"type": _full_name(type(value), comparable)}
    named = {"function": _full_name(value, comparable)}
    owner = getattr(value, "__self__", None)
    if owner is None or isinstance(owner, type | ModuleType):
        return named
    return named | {"of": _plain(owner, comparable)}


def _full_name(thing: Any, comparable: bool) -> str:
    """Return module and qualified name of a function or class."""
    name = getattr(thing, "__qualname__", thing.__name__)  # ufuncs of NumPy 1 have no __qualname__
    if comparable and "<" in name:
        raise _UnnamedError(f"{name} has no name outside the function that defines it")
    module = getattr(thing, "__module__", None)
    return f"{module}.{name}" if module else str(name)


def _long_array(values: Any) -> Any:
    """Return a long sequence of numbers as an array, None for anything else."""
    if len(values) <= _LONGEST_LIST:
        return None
    try:
        array = np.asarray(values)
    except ValueError:  # nested sequences of different lengths
        return None
    return array if _is_numeric(array) else None


def _digest(array: Any) -> dict[str, Any]:
    """Return an array of many numbers as its shape and a digest of its values."""
    values = array.astype("<c16" if array.dtype.kind == "c" else "<f8").tobytes().hex()
    return {"shape": list(array.shape), "sha256": hashlib.sha256(json.dumps(values).encode()).hexdigest()[:12]}


def _is_numeric(array: Any) -> bool:
    return array.dtype.kind in "iufc"
