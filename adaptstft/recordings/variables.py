"""Files with named arrays: which one is the recording, and where its sampling rate is.

MAT files of all versions and NPZ files list their arrays as `Variable`; only those that are used are loaded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod

import numpy as np

from adaptstft.common.memory import check_memory
from adaptstft.common.optional import install_command
from adaptstft.common.text import printable
from adaptstft.common.typing import AnyArray
from adaptstft.recordings.clock import Clock
from adaptstft.recordings.columns import Column, clock_of, is_time_name, split_columns, stacked
from adaptstft.recordings.matlab_tables import MatlabTable, is_installed
from adaptstft.recordings.recording import time_last

#: Names of a sampling rate in Hz, in lower case without other signs.
_RATES = frozenset(
    ("fs", "sr", "sfreq", "srate", "samplerate", "samplingrate", "samplefrequency", "samplingfrequency", "fsamp")
)
#: Names of the time between two samples in seconds.
_INTERVALS = frozenset(("dt", "deltat", "tinterval", "sampleinterval", "samplinginterval"))
_LISTED = 20
_ITEM = 8


@dataclass(frozen=True)
class Variable:
    """A numeric array of a file that is not loaded yet.

    Attributes
    ----------
    name : str
        Its name; a field of a struct is called ``"struct.field"``.
    shape : tuple of int
        Its shape.
    load : callable
        Returns the array.
    advice : str
        Why it cannot be loaded, and what to do in MATLAB; empty for numbers.
    class_name : str
        The class of an object of MATLAB.
    table : callable or None
        Returns a table or timetable of MATLAB; None for others, and without the extra that reads them.
    """

    name: str
    shape: tuple[int, ...]
    load: Callable[[], AnyArray]
    advice: str = ""
    class_name: str = ""
    table: Callable[[], MatlabTable] | None = None

    @property
    def size(self) -> int:
        """Number of elements."""
        return prod(self.shape)

    @property
    def field(self) -> str:
        """Name without that of the struct."""
        return self.name.rpartition(".")[2]

    @property
    def folder(self) -> str:
        """Name of the struct, empty for a variable of its own."""
        return self.name.rpartition(".")[0]

    @property
    def is_vector(self) -> bool:
        """Whether all dimensions but one are 1."""
        return self.size > 1 and max(self.shape) == self.size

    @property
    def is_clock(self) -> bool:
        """Whether name and shape are those of a vector of times."""
        return self.is_vector and is_time_name(self.field)


def matlab_object(name: str, class_name: str, table: Callable[[], MatlabTable] | None = None) -> Variable:
    """Return an object of MATLAB, such as a timetable: its form in the file is not documented.

    Where mat-io is not installed, `table` is not used, and `advice` has the command that installs it.
    """
    if table is not None and is_installed():
        return Variable(name, (0,), _no_array, class_name=class_name, table=table)
    columns = {
        "timetable": f"t = seconds({name}.Properties.RowTimes - {name}.Properties.RowTimes(1)); x = {name}.Variables;",
        "table": f"x = {name}.Variables;",
        "datetime": f"t = seconds({name} - {name}(1));",
        "duration": f"t = seconds({name});",
    }
    steps = columns.get(class_name, f"x = double({name});")
    saved = ", ".join(f"'{variable}'" for variable in "tx" if f"{variable} = " in steps)
    readers = "only MATLAB can read"
    if table is not None:
        readers = f"mat-io reads, which is not installed: {install_command('files')}; or which MATLAB reads"
    advice = (
        f"{name!r} is a {class_name} of MATLAB, which {readers}: save its numbers there, by {steps} "
        f"save('new.mat', {saved})"
    )

    def refuse() -> AnyArray:
        raise ValueError(advice)

    return Variable(name, (0,), refuse, advice, class_name)


def _no_array() -> AnyArray:
    raise ValueError("a table is not an array")


def choose_variable(variables: Sequence[Variable], key: str | None) -> tuple[AnyArray, Clock, tuple[str, ...]]:
    """Return the samples, the clock and notes of the only array, or of the one that `key` names.

    Raises
    ------
    ValueError
        If there is none, or if `key` must choose; the message lists the arrays.
    """
    candidates = [one for one in variables if one.table is not None or (one.size > 1 and not one.is_clock)]
    if key is not None:
        for one in variables:
            if one.advice and _is_part(key, one):  # columns of a table as well
                raise ValueError(one.advice)
        chosen = next((one for one in variables if one.name == key or (one.table and _is_part(key, one))), None)
        if chosen is None:
            raise ValueError(f"key={key!r} is not a numeric array in the file, there are: {_listing(candidates)}")
    elif not candidates:
        advice = (one.advice for one in variables)
        raise ValueError(next(filter(None, advice), "the file holds no numeric array of more than one element"))
    elif len(candidates) > 1:
        raise ValueError(
            f"the file holds several arrays, choose one with key (on the command line: --key): {_listing(candidates)}"
        )
    else:
        chosen = candidates[0]
    if chosen.table is not None:
        return _from_table(chosen, chosen.table(), key, [one for one in variables if one is not chosen])
    check_memory(chosen.size * _ITEM, f"the array {chosen.name!r}")
    samples = np.squeeze(chosen.load())
    clock, length = _find_clock([one for one in variables if one is not chosen], chosen.folder, samples.shape)
    if length is not None and samples.ndim == 2 and samples.shape[0] == length != samples.shape[1]:
        return samples.T, clock, ()
    return (samples if length is not None and samples.shape[-1:] == (length,) else time_last(samples)), clock, ()


def _is_part(key: str, variable: Variable) -> bool:
    """Whether `key` names a variable or, in a table, one of its columns."""
    return f"{key}.".startswith(f"{variable.name}.")


def _from_table(
    variable: Variable, content: MatlabTable, key: str | None, others: Sequence[Variable]
) -> tuple[AnyArray, Clock, tuple[str, ...]]:
    """Return all channels of a table of MATLAB, or the variable that `key` names, and its clock or that of the file."""
    channels, clock, notes = split_columns(content.table)
    variables, rate = content.variables, content.rate
    del content  # and with it each column that `stacked` has copied
    if rate is not None:  # the times were made from it
        clock = Clock(rate)
    field = (key or "")[len(variable.name) + 1 :]
    if field:
        wanted = variables.get(field)
        if wanted is None:
            names = ", ".join(map(printable, list(variables)[:_LISTED]))
            raise ValueError(f"key={key!r} is not a numeric variable of the {variable.class_name}, there are: {names}")
        if not all(any(column is one for one in channels) for column in wanted):
            raise ValueError(f"key={key!r} names the clock or the numbers of the rows, not samples")
        channels = wanted
    variables.clear()
    samples = stacked(channels)
    if clock.rate is None and clock.times is None and not clock.fault:
        clock, _ = _find_clock(others, variable.folder, samples.shape)
    return samples, clock, notes


def _listing(variables: Sequence[Variable]) -> str:
    texts = [
        f"{printable(one.name)} ({one.class_name or 'x'.join(map(str, one.shape))})" for one in variables[:_LISTED]
    ]
    more = len(variables) - _LISTED
    return ", ".join(texts) + (f" and {more} more" if more > 0 else "")


def _find_clock(variables: Sequence[Variable], folder: str, shape: tuple[int, ...]) -> tuple[Clock, int | None]:
    """Return the clock in the struct of the array, or else of the file, and the number of samples if times give it."""
    unfitting = ""
    for place in dict.fromkeys((folder, "")):
        near = [one for one in variables if one.folder == place]
        times = [one for one in near if one.is_clock]
        fitting = next((one for one in times if one.size in shape), None)
        length = None if fitting is None else fitting.size
        clock = _clock_of_scalar(near) or (None if fitting is None else _clock_of_times(fitting))
        if clock is not None:
            return clock, length
        if times:
            counts = ", ".join(f"{one.name!r} has {one.size} values" for one in times)
            unfitting = unfitting or f"{counts}, the recording has the shape {'x'.join(map(str, shape))}"
    objects = (one.advice for one in variables if one.folder in (folder, "") and is_time_name(one.field))
    return Clock(fault=unfitting or next(filter(None, objects), "")), None


def _clock_of_scalar(variables: Sequence[Variable]) -> Clock | None:
    for one in variables:
        name = "".join(c for c in one.field.lower() if c.isalnum())
        if one.size == 1 and name in _RATES | _INTERVALS:
            value = float(np.real(one.load()).item())
            if name in _RATES:
                return _checked(Clock(value), f"the sampling rate in the file, {value:g} Hz,")
            return _checked(Clock(1 / value if value else 0.0), f"the sampling interval in the file, {value:g} s,")
    return None


def _clock_of_times(variable: Variable) -> Clock:
    values = np.asarray(variable.load()).ravel()
    label = f"the variable {variable.name!r}"
    if np.iscomplexobj(values):
        return Clock(fault=f"{label} is complex")
    return clock_of(label, Column(variable.field, "", values), lambda row: f"element {row}")


def _checked(clock: Clock, what: str) -> Clock:
    rate = clock.rate
    assert rate is not None
    return clock if np.isfinite(rate) and rate > 0 else Clock(fault=f"{what} is not positive and finite")
