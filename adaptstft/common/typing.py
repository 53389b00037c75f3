"""Type aliases, which also serve as the lists of legal option values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

FloatArray: TypeAlias = NDArray[np.floating[Any]]
ComplexArray: TypeAlias = NDArray[np.complexfloating[Any, Any]]
#: Arrays that are float64; NumPy types arithmetic on them more loosely.
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
