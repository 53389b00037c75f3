"""Type aliases. The ``Literal`` aliases are also the lists of legal option values for run-time checks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.floating[Any]]
ComplexArray: TypeAlias = NDArray[np.complexfloating[Any, Any]]
#: Arrays of float64. The type is wider because NumPy's types lose the precision in arithmetic.
Float64Array: TypeAlias = NDArray[np.floating[Any]]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]
AnyArray: TypeAlias = NDArray[Any]

FFTMode = Literal["twosided", "centered", "onesided", "onesided2X"]
Scaling = Literal["magnitude", "psd"]
Padding = Literal["zeros", "edge", "even", "odd"]
Scope = Literal["global", "frame", "local"]
WindowMode = Literal["fixed", "constant", "time", "frequency", "time-frequency"]
HopMode = Literal["fixed", "constant", "time"]
Backend = Literal["auto", "numba", "numpy", "cuda"]
Method = Literal["L-BFGS-B", "adam", "grid", "local-concentration", "chirp-rate"]
Parameter = Literal["win_length", "positions", "hop", "shape", "x"]
AxesSequence = Literal["tf", "ft"]

WindowFunction: TypeAlias = Callable[..., Any]
