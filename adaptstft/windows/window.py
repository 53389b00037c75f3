"""Window functions, and the registry of window families.

A window is a function ``omega(u)`` of the dimensionless position
``u = (n - t) / theta`` on ``[-1/2, 1/2)``, zero outside, with optional shape
parameters. The gradients of a short-time Fourier transform need its value, its
derivative in ``u`` and its derivatives in the shape parameters.
"""

from __future__ import annotations

import itertools
import threading
import warnings
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
from autograd import elementwise_grad

from adaptstft.common.typing import Float64Array, WindowFunction
from adaptstft.common.validation import as_numbers, show
from adaptstft.windows.chebyshev import Series, fit_series
from adaptstft.windows.families import BUILT_IN, FAMILIES, LEGAL_SHAPES, MAX_END_VALUE, Family, cosine_bounds
from adaptstft.windows.sampled import NAME, sampled_family
from adaptstft.windows.scipy_names import check_ratio, family_name

_registry_lock = threading.Lock()
#: Series of named windows. Each call of `resolve` makes a new `Window`, and a fit takes as long as a short transform.
#: Each access is a single operation on the dictionary, so threads need no lock, which a fork could leave locked.
_fits: dict[tuple[Any, ...], Series | None] = {}
_MOST_FITS = 64
_warnings_lock = threading.Lock()


def names() -> list[str]:
    """Return the names of all window families.

    Returns
    -------
    list of str
        Names that `resolve` and every ``window=`` argument accept, sorted.

    Examples
    --------
    >>> from adaptstft import windows
    >>> "kaiser" in windows.names()
    True
    """
    return sorted(FAMILIES)


def _differentiate(omega: WindowFunction, argument: int) -> WindowFunction:
    """Return the derivative of `omega` by autograd in argument 0 (``u``) or in shape parameter ``argument - 1``."""

    def derivative(u: Float64Array, *shape: float) -> Float64Array:
        u = np.asarray(u, dtype=float)
        arguments: list[Any] = [u, *shape]
        if argument > 0:  # an array, so that the derivative is one for each element
            arguments[argument] = np.full_like(u, shape[argument - 1])
        try:
            with _warnings_lock, warnings.catch_warnings():
                # autograd warns if the derivative is zero everywhere
                warnings.filterwarnings("ignore", "Output seems independent of input", UserWarning)
                return np.asarray(elementwise_grad(omega, argument)(*arguments), dtype=float)
        except (TypeError, AttributeError, ValueError) as exc:
            raise TypeError(
                "a window given as a function is differentiated by autograd: write it with autograd.numpy "
                f"in place of numpy (autograd said: {exc})"
            ) from exc

    return derivative


def register(
    name: str,
    omega: WindowFunction,
    *,
    derivative: WindowFunction | None = None,
    shape: Sequence[float] = (),
    shape_bounds: Sequence[tuple[float, float]] = (),
) -> None:
    """Add a window family under a name.

    Parameters
    ----------
    name : str
        A new name; existing families cannot be replaced.
    omega : callable
        ``omega(u, *shape)`` for arrays ``u`` in ``[-1/2, 1/2]``, written with
        ``autograd.numpy`` (or plain operators).
    derivative : callable, optional
        ``derivative(u, *shape)``, the derivative of `omega` in ``u``. By
        default it is computed by autograd.
    shape : sequence of float, optional
        Default values of the shape parameters.
    shape_bounds : sequence of (float, float), optional
        Bounds of each shape parameter in tuning, one pair for each parameter.

    Raises
    ------
    ValueError
        If the name is taken or not an identifier, or `shape_bounds` does not
        have one pair for each entry of `shape`.

    Examples
    --------
    >>> import autograd.numpy as anp
    >>> from adaptstft import windows
    >>> windows.register("cos4", lambda u: anp.cos(anp.pi * u) ** 4)
    >>> float(windows.resolve("cos4")(0.0))
    1.0
    """
    # callers need not be type-checked
    if not (isinstance(name, str) and name.isidentifier()):  # type: ignore[redundant-expr]
        raise ValueError(f"{name=} must be an identifier")
    if len(shape_bounds) != len(shape):
        raise ValueError(f"{shape_bounds=} must have one (low, high) pair for each of {shape=}")
    shape_derivative: WindowFunction | None = None
    if shape:
        partials = [_differentiate(omega, i + 1) for i in range(len(shape))]

        def shape_derivative(u: Float64Array, *values: float) -> Float64Array:
            return np.stack([partial(u, *values) for partial in partials])

    family = Family(
        name,
        omega,
        derivative or _differentiate(omega, 0),
        shape_derivative,
        tuple(float(v) for v in shape),
        tuple((float(lo), float(hi)) for lo, hi in shape_bounds),
    )
    Window(family, family.default)  # raises an error for a bad function before it is registered
    with _registry_lock:
        if name in FAMILIES:
            raise ValueError(f"{name=} is taken: registered windows are {names()}")
        FAMILIES[name] = family


class Window:
    """A window function ``omega(u)`` with fixed shape parameters.

    Instances come from `resolve`; they are immutable and evaluate to zero
    outside ``-1/2 <= u < 1/2``.

    Attributes
    ----------
    name : str
        Name of the family, or ``"callable"`` for a user function.
    shape : tuple of float
        Values of the shape parameters.
    shape_bounds : tuple of (float, float)
        Bounds of each shape parameter in tuning.
    end_value : float
        Largest ``|omega|`` at the two ends of the support, the size of the
        jump to zero.

    Examples
    --------
    >>> import numpy as np
    >>> from adaptstft import windows
    >>> w = windows.resolve(("tukey", 0.5))
    >>> w(np.array([-0.5, 0.0, 0.25, 0.5]))
    array([0., 1., 1., 0.])
    """

    def __init__(self, family: Family, shape: tuple[float, ...]) -> None:
        self._family = family
        self.name: str = family.name
        self.shape = shape
        probe = np.array([-0.5, -0.25, 0.0, 0.25, 0.5])
        values = np.asarray(family.omega(probe, *shape))
        if values.shape != probe.shape or np.iscomplexobj(values) or not np.all(np.isfinite(values)):
            raise ValueError(
                f"window {self.name!r} must return finite real values of the shape of its argument, but "
                f"omega({probe.tolist()}) is {values!r}"
            )
        self.end_value: float = float(max(abs(values[0]), abs(values[-1])))
        self.shape_bounds: tuple[tuple[float, float], ...] = (
            cosine_bounds(shape, self.end_value) if family.variadic else family.bounds
        )

    def __repr__(self) -> str:
        return f"Window({self.label})"

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Window):
            return NotImplemented
        mine, theirs = self._family, other._family
        if mine.samples is not None:
            return mine.samples == theirs.samples
        same = mine.omega is theirs.omega if self.name == other.name == "callable" else mine is theirs
        return same and self.shape == other.shape

    def __hash__(self) -> int:
        return hash((self.name, self.shape))

    @property
    def built_in(self) -> bool:
        """True if the package defines the family, so that its name is known in every process."""
        return self.name in BUILT_IN or self.name == NAME

    @property
    def spec(self) -> str | tuple[Any, ...]:
        """The name, or ``(name, *shape)``: an argument of `resolve` that gives this window."""
        if self._family.samples is not None:
            return (self.name, list(self._family.samples))
        if self._family.variadic:
            return (self.name, list(self.shape))
        return (self.name, *self.shape) if self.shape else self.name

    @property
    def label(self) -> str:
        """`spec` as short text for messages."""
        samples = self._family.samples
        return repr(self.spec) if samples is None else f"<{len(samples)} samples>"

    def __reduce__(self) -> tuple[Any, ...]:
        # families are pickled by name, user functions as they are
        return restore, (self._family.omega if self.name == "callable" else self.spec,)

    def with_shape(self, shape: Sequence[float]) -> Window:
        """Return the same family with other values of its shape parameters."""
        return Window(self._family, _check_shape(self._family, tuple(float(v) for v in shape)))

    def _inside(self, u: Float64Array, values: Float64Array) -> Float64Array:
        """Return `values` in the support, and zero outside."""
        return np.where((u >= -0.5) & (u < 0.5), values, 0.0)

    def __call__(self, u: Any) -> Float64Array:
        """Evaluate ``omega(u)``.

        Parameters
        ----------
        u : array_like of float
            Dimensionless positions, ``(n - t) / theta``.

        Returns
        -------
        ndarray of float64
            Values of the shape of `u`, zero outside ``[-1/2, 1/2)``.
        """
        u = np.asarray(u, dtype=float)
        return self._inside(u, np.asarray(self._family.omega(np.clip(u, -0.5, 0.5), *self.shape), dtype=float))

    def derivative(self, u: Any) -> Float64Array:
        """Evaluate ``d omega / d u``, which exists except at jumps and corners of the window.

        Parameters
        ----------
        u : array_like of float
            Dimensionless positions.

        Returns
        -------
        ndarray of float64
            Values of the shape of `u`, zero outside ``[-1/2, 1/2)``.
        """
        u = np.asarray(u, dtype=float)
        clipped = np.clip(u, -0.5, 0.5)
        return self._inside(u, np.asarray(self._family.derivative(clipped, *self.shape), dtype=float))

    def shape_derivative(self, u: Any) -> Float64Array:
        """Evaluate the derivatives of ``omega(u)`` in the shape parameters.

        Parameters
        ----------
        u : array_like of float
            Dimensionless positions.

        Returns
        -------
        ndarray of float64, shape (len(shape), ...)
            One row for each shape parameter, zero outside ``[-1/2, 1/2)``.
        """
        u = np.asarray(u, dtype=float)
        if self._family.shape_derivative is None:
            return np.zeros((0, *u.shape))
        clipped = np.clip(u, -0.5, 0.5)
        return self._inside(u, np.asarray(self._family.shape_derivative(clipped, *self.shape), dtype=float))

    def sample(self, u: Float64Array, *, slope: bool, shape: bool) -> tuple[Float64Array, Float64Array, Float64Array]:
        """Evaluate the window and its derivatives at positions in the support.

        Parameters
        ----------
        u : ndarray of float64
            Dimensionless positions in ``[-1/2, 1/2]``, which is not checked.
        slope : bool
            If True, compute the derivative in ``u``; otherwise it is returned as zeros.
        shape : bool
            If True, compute the derivatives in the shape parameters; otherwise no rows are returned.

        Returns
        -------
        value, derivative : ndarray of float64
            Arrays of the shape of `u`.
        rows : ndarray of float64, shape (len(shape), ...)
            Derivatives in the shape parameters.
        """
        family, parameters = self._family, self.shape
        rows = self.shape_derivative(u) if shape else np.zeros((0, *u.shape))
        value = np.asarray(family.omega(u, *parameters), dtype=float)
        derivative = np.asarray(family.derivative(u, *parameters), dtype=float) if slope else np.zeros_like(value)
        return value, derivative, rows

    def check_shape_bounds(self) -> None:
        """Raise a ValueError if the shape parameters have no bounds, or if a window within them cannot be tuned."""
        bounds = self.shape_bounds
        if not bounds:
            raise ValueError(f"the shape parameters of window {self.label} have no bounds to be tuned within")
        for corner in itertools.product(*bounds):
            self.with_shape(corner).check_tunable()

    def check_tunable(self) -> None:
        """Raise a ValueError if the window cannot be tuned because it jumps, at its ends or inside its support."""
        if self._inner_jump > MAX_END_VALUE:
            raise ValueError(
                f"window {self.label} cannot be tuned: it jumps by {self._inner_jump:.3g} inside its support (at most "
                f"{MAX_END_VALUE} is allowed), and a jump has no derivative; use a continuous window"
            )
        if self.end_value > MAX_END_VALUE:
            raise ValueError(
                f"window {self.label} cannot be tuned: it still has the value {self.end_value:.3g} at its ends "
                f"(at most {MAX_END_VALUE} is allowed), so the loss jumps where samples enter or leave its support, "
                "and a jump has no derivative; use a window that tapers to zero, such as 'hann'"
            )

    @cached_property
    def _inner_jump(self) -> float:
        """Largest difference between a change of the window over a small step and the integral of its derivative."""
        if self.series is not None:
            return 0.0
        u = np.linspace(-0.5, 0.5, 2001)
        value = np.asarray(self._family.omega(u, *self.shape), dtype=float)
        derivative = np.asarray(self._family.derivative(u, *self.shape), dtype=float)
        return float(np.abs(np.diff(value) - (derivative[1:] + derivative[:-1]) / 2 * (u[1] - u[0])).max())

    @cached_property
    def series(self) -> Series | None:
        """The window as polynomials, or None if polynomials are not accurate to rounding."""
        return self._fit(np.float64)

    @cached_property
    def _single_series(self) -> Series | None:
        return self._fit(np.float32)

    def series_in(self, dtype: Any) -> Series | None:
        """Return `series` with coefficients in the precision of `dtype`."""
        return self._single_series if dtype == np.float32 else self.series

    def _fit(self, dtype: Any) -> Series | None:
        """Return the series of the window, from the cache if it is there."""
        if self.name in ("callable", NAME):  # a cache would keep user functions and arrays in memory
            return self._compute_series(dtype)
        key = (self._family, self.shape, np.dtype(dtype).name)
        try:
            return _fits[key]
        except KeyError:
            series = self._compute_series(dtype)
        if len(_fits) >= _MOST_FITS:
            _fits.clear()
        _fits[key] = series
        return series

    def _compute_series(self, dtype: Any) -> Series | None:
        family, shape = self._family, self.shape

        def rows(u: Float64Array) -> Float64Array:
            parts = [family.omega(u, *shape), family.derivative(u, *shape)]
            if family.shape_derivative is not None:
                parts.extend(family.shape_derivative(u, *shape))
            return np.array([np.broadcast_to(part, u.shape) for part in parts], dtype=float)

        try:
            return fit_series(rows, family.plateau(*shape) if family.plateau else 0.0, dtype)
        except TypeError:  # autograd cannot differentiate the function; the transform needs no derivative
            return None


def _check_shape(family: Family, shape: tuple[float, ...]) -> tuple[float, ...]:
    """Return the shape parameters, or raise a ValueError if their number or a value is illegal."""
    expected = len(family.default)
    if family.variadic:
        if not shape:
            raise ValueError(f"window {family.name!r} needs its coefficients, as in ({family.name!r}, [0.5, 0.5])")
    elif len(shape) != expected:
        raise ValueError(
            f"window {family.name!r} takes {expected} shape parameter{'s' if expected != 1 else ''}, got {shape}"
        )
    legal, text = LEGAL_SHAPES.get(family.name, (lambda v: True, ""))
    for value in shape:
        if not np.isfinite(value):
            raise ValueError(f"shape parameters of window {family.name!r} must be finite, got {shape}")
        if not legal(value):
            raise ValueError(f"shape parameter {value} of window {family.name!r} is out of range: {text}")
    return shape


def _from_callable(omega: WindowFunction) -> Window:
    """Make a window from a user function, with its derivative by autograd."""
    family = Family("callable", omega, _differentiate(omega, 0))
    try:
        return Window(family, ())
    except (TypeError, AttributeError, IndexError) as exc:
        raise TypeError(f"window {omega!r} must accept an array of positions u in [-1/2, 1/2]: {exc}") from exc


def resolve(window: Any) -> Window:
    """Make a `Window` from anything that a ``window=`` argument accepts.

    Parameters
    ----------
    window : str, tuple, callable, ndarray or Window
        A name, also one of SciPy's other names such as ``"hann_periodic"``;
        ``(name, shape)`` with one or several shape parameters, such as
        ``("kaiser", 8.6)``, ``("gaussian", 6)`` (the ratio length/sigma, at most 20),
        ``("dpss", 3)`` (SciPy's half time-bandwidth product NW), ``("tukey", 0.5)``
        or ``("general_cosine", [0.5, 0.5])``; a function ``omega(u)`` written with
        ``autograd.numpy``, which differentiates it; or an array of at least 4 samples of
        the window, of any number, between which a cubic spline interpolates.

    Returns
    -------
    Window
        The window function.

    Raises
    ------
    ValueError
        For an unknown name (the message lists them all) or shape parameters
        out of range.
    TypeError
        If `window` is none of the above, or a function that does not accept
        arrays.

    Examples
    --------
    >>> from adaptstft import windows
    >>> windows.resolve(("gaussian", 6)).shape
    (6.0,)
    """
    found = restore(window)
    if found.name == "gaussian" and not isinstance(window, Window):
        check_ratio(window, found.shape[0])
    return found


def restore(window: Any, *, symmetric: bool = False) -> Window:
    """Make a window as `resolve` does, also a Gaussian of any ratio; `symmetric` allows SciPy's symmetric names."""
    if isinstance(window, Window):
        return window
    if isinstance(window, np.ndarray):
        return Window(sampled_family(window), ())
    if isinstance(window, tuple | list) and len(window) == 2 and window[0] == NAME:
        return Window(sampled_family(window[1]), ())
    if isinstance(window, str):
        name, shape = window, None
    elif isinstance(window, tuple | list) and window and isinstance(window[0], str):
        name = window[0]
        try:
            shape = tuple(float(v) for part in window[1:] for v in np.atleast_1d(as_numbers(part)))
        except (TypeError, ValueError) as exc:
            raise TypeError(f"{window=}: shape parameters must be real numbers") from exc
    elif callable(window):
        return _from_callable(window)
    else:
        raise TypeError(
            f"window={show(window)} must be a name, a tuple (name, shape), a callable, an array or a Window"
        )
    name = family_name(name, FAMILIES, symmetric=symmetric)
    if name not in FAMILIES:
        raise ValueError(
            f"unknown window {name!r}; known are {names()}; another one can be given by an array of its samples"
        )
    family = FAMILIES[name]
    return Window(family, _check_shape(family, family.default if shape is None or not shape else shape))
