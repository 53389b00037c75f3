"""Attributes that a transform or a tuning result needs so that it can be drawn.

`adaptstft.AdaptiveShortTimeFFT` has those of `Transform`, `adaptstft.ShortTimeFFT` those of `SampledTransform`, and
`adaptstft.TuningResult` those of `Result`; their documentation has the meaning and the unit of each attribute.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, Self

from adaptstft.common.typing import AnyArray, Float64Array

# ruff: noqa: D102


class Window(Protocol):
    """A window function on [-1/2, 1/2) with its name and shape parameters."""

    @property
    def name(self) -> str: ...
    @property
    def shape(self) -> tuple[float, ...]: ...
    def __call__(self, u: Any, /) -> Float64Array: ...


class FrequencyAxis(Protocol):
    """The frequencies of a transform and the settings of its FFT."""

    @property
    def fs(self) -> float: ...
    @property
    def mfft(self) -> int: ...
    @property
    def fft_mode(self) -> str: ...
    @property
    def f_pts(self) -> int: ...
    @property
    def delta_f(self) -> float: ...
    @property
    def scaling(self) -> str | None: ...
    @property
    def phase_shift(self) -> int | None: ...


class Spectrograms(FrequencyAxis, Protocol):
    """A transform that computes any part of the spectrogram of a signal."""

    @property
    def f(self) -> Float64Array: ...
    def p_range(self, n: int) -> tuple[int, int]: ...
    def t(self, n: int, p0: int | None = None, p1: int | None = None) -> Float64Array: ...
    def spectrogram(self, x: Any, /, *, p0: int | None = None, p1: int | None = None) -> AnyArray: ...


class SampledTransform(Spectrograms, Protocol):
    """A transform whose window is given by its samples."""

    @property
    def win(self) -> AnyArray: ...
    @property
    def hop(self) -> int: ...
    @property
    def m_num(self) -> int: ...
    @property
    def m_num_mid(self) -> int: ...
    @property
    def invertible(self) -> bool: ...


class Frames(FrequencyAxis, Protocol):
    """The windows of a transform: a window function, window lengths, and positions or a hop."""

    @property
    def window(self) -> Window: ...
    @property
    def win_length(self) -> float | Float64Array: ...
    @property
    def per_bin(self) -> bool: ...
    @property
    def hop(self) -> float | None: ...
    @property
    def positions(self) -> Float64Array | None: ...
    @property
    def p_min(self) -> int: ...
    @property
    def f(self) -> Float64Array: ...
    @property
    def backend(self) -> str: ...


class Transform(Frames, Spectrograms, Protocol):
    """A transform that computes spectrograms, and makes others like it."""

    def remade(self, **changes: Any) -> Self: ...


class Surface(Protocol):
    """Values of the criterion over places in time or frequency, and window lengths."""

    @property
    def axis(self) -> str: ...
    @property
    def places(self) -> Float64Array: ...
    @property
    def lengths(self) -> Float64Array: ...
    @property
    def values(self) -> Float64Array: ...


class Survey(Protocol):
    """Values of the criterion over a grid of window lengths, and over time or frequency and these lengths."""

    @property
    def lengths(self) -> Float64Array: ...
    @property
    def values(self) -> Float64Array: ...
    @property
    def surface(self) -> Surface | None: ...


class Sensitivity(Protocol):
    """The range of window lengths that are about as good as the optimum, absolute and relative."""

    @property
    def win_length(self) -> tuple[float, float] | None: ...
    @property
    def factors(self) -> tuple[float, float]: ...


class Criterion(Protocol):
    """The name of a criterion, the unit of its values, and whether they are logarithms."""

    @property
    def name(self) -> str: ...
    @property
    def is_logarithm(self) -> bool: ...
    @property
    def unit(self) -> str: ...


class Result(Protocol):
    """A tuned transform with the signal, the search and the starts that led to it."""

    sft: Transform
    initial: Transform
    win_length: float | Float64Array
    hop: float
    positions: Float64Array | None
    area_fun: float
    score: float
    score_unit: str
    criterion: Criterion
    f_bounds: tuple[float | None, float | None] | None
    survey: Survey | None
    sensitivity: Sensitivity
    starts: Sequence[dict[str, Any]]
    signal: AnyArray | None
    samples: int
    detrend: str | None
    notes: Sequence[str]
    call: str

    def scored(self, values: Any) -> Any: ...
