"""The call of `optimize` as Python source, for reports."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

import numpy as np

from adaptstft.criteria import Criterion, UserLoss
from adaptstft.windows import Window

#: Arguments without influence on the result.
_SILENT = ("callback", "progress")
#: Arrays of more numbers appear by the name of their argument.
_LONGEST_ARRAY = 16


def call_text(fs: float, arguments: Mapping[str, Any], defaults: Mapping[str, Any]) -> str:
    """Return the call of `optimize` that has these arguments, without those that are at their default.

    Parameters
    ----------
    fs : float
        Sampling rate in Hz.
    arguments, defaults : mapping
        The keyword arguments and their default values.

    Returns
    -------
    str
        The call, with a signal named ``x``. A function appears by its name, a long array by the name of its argument.
    """
    told = {name: value for name, value in arguments.items() if name not in _SILENT}
    given = {name: value for name, value in told.items() if value is not defaults[name]}
    texts = {name: _text(value, name) for name, value in given.items()}
    chosen = [f"{name}={text}" for name, text in texts.items() if text != _text(defaults[name], name)]
    return f"adaptstft.optimize({', '.join(['x', _text(fs, 'fs'), *chosen])})"


def _text(value: Any, name: str) -> str:
    """Return the source of a value; of one that has none, a name."""
    if isinstance(value, np.generic | np.ndarray):
        return repr(value.tolist()) if value.size <= _LONGEST_ARRAY else name
    if isinstance(value, Window):
        return _text(value.spec, name)
    if isinstance(value, UserLoss):
        return _text(value.function, name)
    if isinstance(value, Criterion):
        return f"adaptstft.criteria.{type(value).__name__}({', '.join(_changed_fields(value, name))})"
    if isinstance(value, tuple):
        inner = ", ".join(_text(part, name) for part in value)
        return f"({inner},)" if len(value) == 1 else f"({inner})"
    if isinstance(value, list):
        return f"[{', '.join(_text(part, name) for part in value)}]" if len(value) <= _LONGEST_ARRAY else name
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key!r}: {_text(part, name)}' for key, part in value.items())}}}"
    if callable(value):
        return getattr(value, "__name__", name)
    return repr(value)


def _changed_fields(criterion: Criterion, name: str) -> list[str]:
    """Return the fields of a criterion that are not at their default, as keyword arguments."""
    assert is_dataclass(criterion)
    found = []
    for field in fields(criterion):
        value = getattr(criterion, field.name)
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        if field.init and (default is MISSING or _text(value, name) != _text(default, name)):
            found.append(f"{field.name}={_text(value, name)}")
    return found
