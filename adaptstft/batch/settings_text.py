"""Arguments as text by which runs are told apart: equal for equal settings, in every process."""

from __future__ import annotations

import dis
import functools
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, fields, is_dataclass
from types import CodeType, ModuleType, SimpleNamespace
from typing import Any

import numpy as np

from adaptstft.criteria import Criterion, UserLoss
from adaptstft.windows import Window

_LONG = 16
#: How deep variables of a module are looked into: tables of functions refer to each other.
_SHALLOW = 3
#: Operations of the interpreter that look a name up in a module.
_LOOKUPS = ("LOAD_GLOBAL", "LOAD_NAME")


def settings_text(settings: dict[str, Any], defaults: dict[str, Any]) -> str:
    """Return the settings that are not the default ones as JSON.

    Numbers are compared by their value (64 and 64.0 are one setting). Many numbers appear as a digest, and so do
    functions: of their code and what it refers to, that is, default arguments, variables of functions around them and
    of their module, other functions of that module included. Of functions of other modules what they refer
    to in these is left out, and of objects that are neither numbers, text, containers, data classes nor callable
    all but their type.

    Examples
    --------
    >>> from adaptstft.settings_text import settings_text
    >>> settings_text({"win_bounds": (16, 512), "mfft": None}, {"win_bounds": None, "mfft": None})
    '{"win_bounds": [16, 512]}'
    """
    plain = {name: _plain(value) for name, value in settings.items()}
    chosen = {name: value for name, value in plain.items() if value != _plain(defaults[name])}
    return json.dumps(chosen, sort_keys=True, ensure_ascii=False)


def _plain(value: Any, depth: int = 6, space: Any = None) -> Any:
    """Return a value as what JSON knows; `depth` ends what refers to itself, `space` is the module that is looked into.

    None looks into that of the first function that is met.
    """
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist() if value.size <= _LONG else _many(value)
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        return int(value) if float(value).is_integer() else float(value)
    if isinstance(value, complex | bytes):
        return repr(value)
    if isinstance(value, ModuleType):
        return value.__name__
    if depth == 0 or isinstance(value, type):
        return _name(value)

    def inner(part: Any) -> Any:
        return _plain(part, depth - 1, space)

    if isinstance(value, list | tuple):
        numbers = _numbers(value)
        return [inner(entry) for entry in value] if numbers is None else _many(numbers)
    if isinstance(value, set | frozenset):
        return {"set": sorted(json.dumps(inner(entry), sort_keys=True) for entry in value)}
    if isinstance(value, dict):
        return {str(inner(name)): inner(entry) for name, entry in value.items()}
    if isinstance(value, UserLoss):
        return inner(value.function)
    if isinstance(value, Criterion):
        return {"criterion": value.name} | {k: _plain(v) for k, v in asdict(value).items() if v is not None}
    if isinstance(value, Window):
        return inner(value.__reduce__()[1][0])  # the name, or the function
    if callable(value):
        return {"function": _name(value), "sha256": _digest(_function(value, depth - 1, space))}
    if is_dataclass(value):
        return {"type": _name(value)} | {f.name: inner(getattr(value, f.name)) for f in fields(value)}
    if isinstance(value, SimpleNamespace):
        return inner(value.__dict__)
    return _name(value)


def _numbers(values: Any) -> Any:
    """Return a long sequence of numbers as an array, None for anything else."""
    if len(values) <= _LONG:
        return None
    try:
        array = np.asarray(values)
    except ValueError:  # of sequences of several lengths
        return None
    return array if _is_numeric(array) else None


def _many(array: Any) -> dict[str, Any]:
    """Return an array of many numbers as its shape and a digest."""
    values = array.astype({"c": "<c16"}.get(array.dtype.kind, "<f8")).tobytes().hex() if _is_numeric(array) else None
    return {"shape": list(array.shape), "sha256": _digest(array.tolist() if values is None else values)}


def _is_numeric(array: Any) -> bool:
    return array.dtype.kind in "iufc"


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, default=_name).encode()).hexdigest()[:12]


def _name(thing: Any) -> str:
    # functions of older NumPy have the second alone
    return str(getattr(thing, "__qualname__", None) or getattr(thing, "__name__", type(thing).__qualname__))


def _function(function: Any, depth: int, space: Any) -> Any:
    """Return what tells a function from others: its code, and what that refers to."""
    if isinstance(function, functools.partial):
        return [_plain(part, depth, space) for part in (function.func, function.args, function.keywords)]
    code = getattr(function, "__code__", None)
    if code is None:
        own = [_name(function), _plain(getattr(function, "__dict__", None), depth, space)]
        call = type(function).__call__
        return [*own, _function(call, depth, space)] if hasattr(call, "__code__") else own
    space = function.__globals__ if space is None else space
    return [*_parts(function, depth, space), _referred_to(function, depth, space)]


def _parts(function: Any, depth: int, space: Any) -> list[Any]:
    """Return what a function is made of: code, default arguments, what it has captured and what it is a method of."""
    captured = [cell.cell_contents for cell in function.__closure__ or ()]
    owner = getattr(getattr(function, "__self__", None), "__dict__", None)
    held = (function.__defaults__, function.__kwdefaults__, captured, owner)
    return [_code(function.__code__), *(_plain(part, depth, space) for part in held)]


def _referred_to(function: Any, depth: int, space: Any) -> dict[str, Any]:
    """Return the variables of a module that a function of it, or others of its functions that it calls, refer to."""
    found: dict[str, Any] = {}
    waiting = [function] if function.__globals__ is space else []
    while waiting:
        for name in _names_in(waiting.pop().__code__):
            if name in found or name not in space:
                continue
            value = space[name]
            if getattr(value, "__code__", None) is None:
                found[name] = _plain(value, min(depth, _SHALLOW), space)
            else:
                found[name] = _parts(value, depth, space)
                if value.__globals__ is space:
                    waiting.append(value)
    return found


def _names_in(code: CodeType) -> Iterator[str]:
    """Names that a function looks up outside itself, functions within it included."""
    for step in dis.get_instructions(code):
        if step.opname in _LOOKUPS:
            yield step.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names_in(constant)


def _code(code: CodeType) -> list[Any]:
    return [code.co_code.hex(), list(code.co_names), [_constant(constant) for constant in code.co_consts]]


def _constant(value: Any) -> Any:
    """Return a constant of code; the order of a set differs from process to process."""
    if isinstance(value, CodeType):
        return _code(value)
    if isinstance(value, frozenset):
        return sorted(map(repr, value))
    return repr(value)
