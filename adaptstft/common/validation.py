"""Checks of arguments that several public functions have, with their error messages.

Functions ``check_*`` raise an error for an illegal value, functions ``as_*`` also return the
value in its internal form. Messages name the argument, its value and the legal range.
No function changes its arguments.
"""

from __future__ import annotations

import math
import operator
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from adaptstft.common.device import is_device_array, package_name
from adaptstft.common.typing import AnyArray, Float64Array

#: Samples of a long signal that are checked at once, so that temporary arrays stay small.
_CHUNK = 1 << 20
#: Smallest hop in samples: shorter ones differ by less than any signal shows, and make billions of frames.
LEAST_HOP = 1 / 64
#: Ratio of the smallest peak of a signal with derivatives to the smallest normal number.
_TINY_RATIO = 2.0**20
#: Most samples and fewest channels of an array whose axes have been mistaken: no transform of such signals is useful.
_FEW_SAMPLES, _MANY_CHANNELS = 8, 256


def show(value: Any) -> str:
    """Return the text of a value for a message: large arrays as their shape, NumPy scalars as Python numbers."""
    if isinstance(value, np.generic) or (isinstance(value, np.ndarray) and value.ndim == 0):
        return repr(value.item())
    if isinstance(value, np.ndarray) and value.size > 6:
        return f"<array of shape {value.shape}>"
    return reprlib.repr(value)


def check_option(name: str, value: Any, options: Sequence[Any]) -> None:
    """Require `value` to be one of `options`."""
    if not any(value is option or (isinstance(value, str) and value == option) for option in options):
        raise ValueError(f"{name}={show(value)} must be one of {', '.join(repr(o) for o in options)}")


def as_real(name: str, value: Any) -> float:
    """Return a finite real number as a Python float."""
    _refuse_variable(name, value)
    try:
        array = np.asarray(value)
        if array.ndim != 0 or array.dtype.kind not in "iuf":
            raise TypeError
        number = float(array)
    except TypeError:
        raise TypeError(f"{name}={show(value)} must be a real number") from None
    if not np.isfinite(number):
        raise ValueError(f"{name}={show(value)} must be finite")
    return number


def _refuse_variable(name: str, value: Any) -> None:
    """Raise a TypeError for a variable of automatic differentiation, which would be used as a constant."""
    if package_name(value) == "autograd" or getattr(value, "requires_grad", False) is True:
        raise TypeError(
            f"{name} is a variable of automatic differentiation, but must be a plain number: derivatives exist only "
            "for signals, window lengths, hops, positions and window shapes"
        )


def as_numbers(values: Any) -> Float64Array:
    """Return real numbers as an array of any shape; text and booleans raise a TypeError."""
    array = np.asarray(values)
    if array.dtype.kind not in "iuf" or any(isinstance(v, bool | np.bool_) for v in np.asarray(values, object).flat):
        raise TypeError(f"{show(values)} must be real numbers")
    return array.astype(float)


def check_positive(name: str, value: Any, unit: str = "") -> float:
    """Require a finite number greater than zero, and return it as a float."""
    number = as_real(name, value)
    if not number > 0:
        raise ValueError(f"{name}={show(value)} must be greater than 0{' ' + unit if unit else ''}")
    return number


def check_hop(hop: Any) -> float:
    """Return a hop in samples that makes a number of frames that fits in memory."""
    number = check_positive("hop", hop, "samples")
    if number < LEAST_HOP:
        raise ValueError(f"hop={show(hop)} must be at least 1/{round(1 / LEAST_HOP)} of a sample")
    return number


def as_positives(name: str, values: Any, count: int) -> tuple[float, ...]:
    """Return `count` positive numbers; all are 1 if `values` is None."""
    if values is None:
        return (1.0,) * count
    numbers = np.asarray(values, dtype=object).ravel().tolist()
    if len(numbers) != count:
        raise ValueError(f"{name}={show(values)} must be {count} numbers")
    return tuple(check_positive(f"{name}[{i}]", value) for i, value in enumerate(numbers))


def as_index(name: str, value: Any, low: int | None = None) -> int:
    """Return an integer, at least `low` if `low` is given."""
    _refuse_variable(name, value)
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name}={show(value)} must be an integer") from None
    if low is not None and number < low:
        raise ValueError(f"{name}={show(value)} must be at least {low}")
    return number


def as_flag(name: str, value: Any) -> bool:
    """Return a boolean; other types raise a TypeError."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name}={value!r} must be True or False")
    return bool(value)


def as_flag_or_none(name: str, value: Any) -> bool | None:
    """Return a boolean or None; other types raise a TypeError."""
    if not (value is None or isinstance(value, bool | np.bool_)):
        raise TypeError(f"{name}={value!r} must be True, False or None")
    return None if value is None else bool(value)


def as_workers(workers: Any) -> int | None:
    """Return the number of workers: None, or an integer other than 0; negative numbers count back from all cores."""
    if workers is None:
        return None
    number = as_index("workers", workers)
    if number == 0:
        raise ValueError(f"{workers=} must be None, a positive integer, or a negative one that counts from all cores")
    return number


def as_axis(axis: Any, ndim: int) -> int:
    """Return the axis of an array of `ndim` dimensions as a number from 0 to ``ndim - 1``."""
    number = as_index("axis", axis)
    if not -ndim <= number < ndim:
        raise ValueError(f"{axis=} must lie in [{-ndim}, {ndim - 1}] for an array of {ndim} dimensions")
    return number % ndim


def _check_time_dimension(name: str, values: Any, axis: Any) -> None:
    """Require that `axis` of an xarray object with several dimensions is its time dimension."""
    dims = getattr(values, "dims", ())
    if package_name(values) != "xarray" or len(dims) < 2:
        return
    dimension = dims[as_axis(axis, len(dims))]
    if dimension != "time":
        raise ValueError(
            f"{name} is a {type(values).__name__} of dimensions {tuple(dims)}, and {axis=} is {dimension!r}: use the "
            f"functions of adaptstft.xarray, which find the time axis by name (dim='time'), or pass {name}.values"
        )


def as_inexact(name: str, values: Any, *, device: bool = False) -> AnyArray:
    """Return an array of float32, float64, complex64 or complex128 in native byte order, copied only if needed.

    CuPy arrays raise a TypeError unless `device` is True, and stay CuPy arrays.
    """
    if is_device_array(values) and not device:
        raise TypeError(f"{name} is a CuPy array, which this function does not take: pass {name}.get()")
    if isinstance(values, np.ma.MaskedArray) and np.ma.is_masked(values):
        raise ValueError(
            f"{name} has {int(np.sum(np.ma.getmaskarray(values)))} masked values; fill or remove them first"
        )
    array = values if is_device_array(values) else _as_array(name, values)
    kind = array.dtype.kind
    if kind in "US" and array.ndim == 0:
        raise TypeError(
            f"{name}={show(values)} is text, not an array of numbers; adaptstft.recordings.read reads a file"
        )
    if kind not in "biufc":
        raise TypeError(f"{name} must be numeric, got an array of dtype {array.dtype}")
    target: np.dtype[Any]
    if kind in "biu":
        target = np.dtype(np.float64)
    elif kind == "f":
        target = np.dtype(np.float32 if array.dtype.itemsize <= 4 else np.float64)
    else:
        target = np.dtype(np.complex64 if array.dtype.itemsize <= 8 else np.complex128)
    return array.astype(target, copy=False)


def _as_array(name: str, values: Any) -> AnyArray:
    """Convert a value to an array; the message of NumPy for rows of different lengths names its internals."""
    try:
        return np.asarray(values)
    except ValueError as error:
        if "inhomogeneous" not in str(error):
            raise
    sizes = [np.size(row) if np.ndim(row) < 2 else None for row in values] if _rows_are_arrays(values) else []
    lengths = f" of {', '.join(map(str, sizes[:6]))}{', ...' * (len(sizes) > 6)} samples" if None not in sizes else ""
    raise ValueError(f"{name} has rows of different lengths{lengths if sizes else ''}: an array has rows of one length")


def _rows_are_arrays(values: Any) -> bool:
    try:
        for row in values:
            np.asarray(row)
    except ValueError:
        return False
    return True


def check_finite(name: str, array: AnyArray) -> None:
    """Require finite entries; the message has the number of others and the index of the first."""
    with np.errstate(over="ignore", invalid="ignore"):
        total = array.sum()  # NaN and infinity stay in a sum; one of large numbers may overflow, too
    if np.isfinite(total):
        return
    bad, first = _first_bad(array.reshape(-1))
    if bad:
        indices = tuple(int(i) for i in np.unravel_index(first, array.shape))
        index = indices[0] if len(indices) == 1 else indices
        raise ValueError(f"{name} has {bad} NaN or infinite values of {array.size}, the first at index {index}")


def _first_bad(flat: AnyArray) -> tuple[int, int]:
    """Return the number of entries that are not finite, and the index of the first, or -1."""
    bad, first = 0, -1
    chunk = flat.size if is_device_array(flat) else _CHUNK  # one result to copy from a device
    for low in range(0, flat.size, chunk or 1):  # the mask of a long recording would be large
        mask = ~np.isfinite(flat[low : low + chunk])
        if mask.any():
            first = low + int(mask.argmax()) if first < 0 else first
            bad += int(mask.sum())
    return bad, first


def check_finite_stretch(name: str, channels: AnyArray, first: int) -> None:
    """Require finite samples in a segment of a signal, shape (channels, m), that begins at sample `first`."""
    finite = np.isfinite(channels)
    if not finite.all():
        bad = first + int((~finite).any(axis=0).argmax())
        raise ValueError(
            f"{name} has {int(np.sum(~finite))} NaN or infinite values among its samples {first} to "
            f"{first + channels.shape[1] - 1}, the first at sample {bad}"
        )


def check_real(name: str, array: AnyArray) -> None:
    """Require real numbers, as one-sided spectra do."""
    if np.iscomplexobj(array):
        raise ValueError(
            f"{name} is complex, which a one-sided spectrum cannot represent: use fft_mode 'twosided' or 'centered'"
        )


def as_signal(
    x: Any, axis: Any = -1, *, name: str = "x", onesided: bool = False, device: bool = False
) -> tuple[AnyArray, int]:
    """Return a signal with time on its last axis, and the number of its time axis before.

    Parameters
    ----------
    x : array_like
        Real or complex numbers.
    axis : int
        Time axis.
    name : str
        Name of the argument in messages.
    onesided : bool
        If True, a complex signal raises a ValueError.
    device : bool
        If True, CuPy arrays are accepted.

    Returns
    -------
    ndarray, shape (..., n)
        The signal as floating-point or complex numbers; a view if possible.
    int
        Time axis of `x`, from 0 to ``ndim - 1``.
    """
    _check_time_dimension(name, x, axis)
    array = as_inexact(name, x, device=device)
    if array.ndim == 0:
        raise ValueError(f"{name} must have at least one dimension, got the scalar {x!r}")
    named, axis = axis, as_axis(axis, array.ndim)
    if array.size == 0:
        raise ValueError(f"{name} is empty: its shape is {array.shape}, at least one sample is needed")
    check_time_is_long(name, array.shape, named)
    if onesided:
        check_real(name, array)
    check_finite(name, array)
    return np.moveaxis(array, axis, -1), axis


def check_time_is_long(name: str, shape: tuple[int, ...], axis: int) -> None:
    """Refuse an array whose time axis is obviously another one, such as stereo of shape (n, 2).

    If `axis`, as the user gives it, is the positive number of the last axis, it is meant: it is not the default.
    """
    if axis == len(shape) - 1 or len(shape) < 2:
        return
    axis = as_axis(axis, len(shape))
    other = max((k for k in range(len(shape)) if k != axis), key=lambda k: shape[k])
    samples, last = shape[axis], len(shape) - 1
    channels = math.prod(shape) // max(samples, 1)
    if samples <= _FEW_SAMPLES and shape[other] >= _MANY_CHANNELS:
        raise ValueError(
            f"{name} has shape {shape}: along axis={axis} these are {channels} channels of {samples} "
            f"sample{'s' * (samples > 1)}; if time is the other axis, pass axis={other}"
            + (f" or {name}.T" if last == 1 else "")
            + (f", otherwise axis={last}" if axis == last else "")
        )


def check_sample_range(k0: int, k1: int, low: int, high: int, p_num: int) -> None:
    """Require ``low <= k0 < k1 <= high``, the samples that `p_num` slices reach."""
    if low <= k0 < k1 <= high:
        return
    if k0 < low or k1 > high:
        raise ValueError(
            f"{k0=}, {k1=}: the {p_num} slice{'s' * (p_num > 1)} of S reach the samples {low} to {high - 1}, no window "
            f"covers others; k0 must be at least {low}, and k1 at most {high}"
        )
    end = ", the end of the last slice" if k1 == high else ""
    raise ValueError(f"{k0=} must be at least {low} and less than {k1=}{end}")


def check_not_silent(x: AnyArray, name: str = "x") -> float:
    """Return the largest magnitude of a signal, which must be greater than zero."""
    peak = _largest(x)
    if peak == 0:
        described = "its only sample is" if x.size == 1 else f"all {x.size} samples are"
        raise ValueError(f"{name} is silent: {described} zero, so no window is better than another")
    return peak


def check_has_derivatives(peak: float, dtype: Any, name: str = "x") -> float:
    """Require a largest magnitude whose inverse, the order of derivatives in the samples, is a number; return it."""
    limit = float(np.finfo(dtype).tiny) * _TINY_RATIO
    if peak < limit:
        raise ValueError(
            f"{name} has the largest magnitude {peak:.3g}, derivatives need at least {limit:.3g} for "
            f"{np.dtype(dtype)}: multiply it by a power of two, on which no criterion depends"
        )
    return peak


def _largest(x: AnyArray) -> float:
    """Return the largest magnitude of the real and imaginary parts."""
    parts = (x.real, x.imag) if np.iscomplexobj(x) else (x,)
    return float(max(extreme for part in parts for extreme in (part.max(), -part.min())))


def as_win_length(win_length: Any) -> Float64Array:
    """Return window lengths in samples as an array: one length, one for each frame, or one for each bin."""
    array = np.asarray(win_length)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{win_length=} must be a real number or an array of them")
    if array.ndim > 2:
        raise ValueError(
            f"win_length has shape {array.shape}: it must be one number, a 1-D array with one length for each frame, "
            "or of shape (f_pts, 1) or (f_pts, p_num) with one for each frequency or each bin"
        )
    if array.size == 0:
        raise ValueError("win_length is empty: it must be one number or have one length for each frame")
    array = array.astype(float)
    bad = ~(np.isfinite(array) & (array >= 1))
    if np.any(bad):
        raise ValueError(f"win_length={float(array[bad].flat[0])!r} must be finite and at least 1 sample")
    return array


def check_tangents(tangents: Any, data: str) -> None:
    """Require a mapping from names of parameters of a transform, or of its input `data`, to directions."""
    names = (data, "win_length", "positions", "hop", "shape")
    if not isinstance(tangents, Mapping) or not tangents or not set(tangents) <= set(names):
        raise ValueError(f"tangents={show(tangents)} must be a mapping with some of the keys {names}")


def as_direction(name: str, direction: Any, shape: tuple[int, ...]) -> Float64Array:
    """Return the direction of a directional derivative in a parameter of the given shape."""
    array = np.asarray(direction)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"tangents[{name!r}]={show(direction)} must be real numbers")
    if array.shape != shape:
        raise ValueError(f"tangents[{name!r}] has shape {array.shape}, but {name} has shape {shape}")
    check_finite(f"tangents[{name!r}]", array)
    return array.astype(float)


def as_positions(positions: Any) -> Float64Array:
    """Return frame positions in samples, which must not decrease."""
    array = np.asarray(positions)
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{positions=} must be real numbers")
    if array.ndim != 1 or array.size == 0:
        raise ValueError(f"positions has shape {array.shape}: it must be 1-D with at least one centre, in samples")
    array = array.astype(float)
    check_finite("positions", array)
    steps = np.diff(array)
    if np.any(steps < 0):
        p = int(np.argmax(steps < 0))
        raise ValueError(
            f"positions must not decrease, but positions[{p}]={array[p]:g} is followed by {array[p + 1]:g}"
        )
    return array


def as_bounds(name: str, bounds: Any, low: float, unit: str = "samples") -> tuple[float, float]:
    """Return a pair ``(lower, upper)`` of bounds, both at least `low`."""
    try:
        lower, upper = bounds
    except (TypeError, ValueError):
        raise ValueError(f"{name}={bounds!r} must be a pair (low, high) in {unit}") from None
    lower, upper = as_real(f"{name}[0]", lower), as_real(f"{name}[1]", upper)
    if lower < low:
        least = f"{low:g} {unit.removesuffix('s') if low == 1 else unit}"
        raise ValueError(f"{name}={bounds!r}: the lower bound must be at least {least}")
    if lower > upper:
        raise ValueError(f"{name}={bounds!r} cross: low must not exceed high")
    return lower, upper
