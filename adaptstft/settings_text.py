"""Arguments as text by which runs are told apart: equal for equal settings, in every process."""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import asdict
from types import CodeType
from typing import Any

import numpy as np

from adaptstft.criteria import Callable_, Criterion
from adaptstft.windows import Window

_LONG = 16


def settings_text(settings: dict[str, Any], defaults: dict[str, Any]) -> str:
    """Return the settings that are not the default ones as JSON.

    Numbers are compared by their value (64 and 64.0 are one setting); long arrays and functions, by their code and
    what it refers to, appear as a digest.

    Examples
    --------
    >>> from adaptstft.settings_text import settings_text
    >>> settings_text({"win_bounds": (16, 512), "mfft": None}, {"win_bounds": None, "mfft": None})
    '{"win_bounds": [16, 512]}'
    """
    plain = {name: _plain(value) for name, value in settings.items()}
    chosen = {name: value for name, value in plain.items() if value != _plain(defaults[name])}
    return json.dumps(chosen, sort_keys=True, ensure_ascii=False)


def _plain(value: Any, depth: int = 6) -> Any:
    """Return a value as what JSON knows; `depth` ends what refers to itself."""
    if isinstance(value, np.ndarray | np.generic):
        value = value.tolist() if value.size <= _LONG else {"shape": value.shape, "sha256": _digest(value.tolist())}
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float):
        return int(value) if float(value).is_integer() else float(value)
    if depth == 0 or isinstance(value, type):
        return _name(value)
    if isinstance(value, list | tuple):
        return [_plain(entry, depth - 1) for entry in value]
    if isinstance(value, dict):
        return {str(name): _plain(entry, depth - 1) for name, entry in value.items()}
    if isinstance(value, Callable_):
        return _plain(value.function, depth - 1)
    if isinstance(value, Criterion):
        return {"criterion": value.name} | {k: _plain(v) for k, v in asdict(value).items() if v is not None}
    if isinstance(value, Window):
        return _plain(value.__reduce__()[1][0], depth - 1)  # the name, or the function
    if callable(value):
        return {"function": _name(value), "sha256": _digest(_function(value, depth - 1))}
    return _name(value)


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def _name(thing: Any) -> str:
    return str(getattr(thing, "__qualname__", type(thing).__qualname__))


def _function(function: Any, depth: int) -> Any:
    """Return what tells a function from others: its code, its defaults and what it has captured."""
    if isinstance(function, functools.partial):
        return [_plain(part, depth) for part in (function.func, function.args, function.keywords)]
    code = getattr(function, "__code__", None)
    if code is None:
        return [_name(function), _plain(getattr(function, "__dict__", None), depth)]
    cells = [cell.cell_contents for cell in function.__closure__ or ()]
    return [_code(code), *(_plain(part, depth) for part in (function.__defaults__, function.__kwdefaults__, cells))]


def _code(code: CodeType) -> list[Any]:
    constants = [_code(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts]
    return [code.co_code.hex(), list(code.co_names), constants]
