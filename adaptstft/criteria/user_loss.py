"""User functions of the spectrogram as criteria, differentiated by autograd."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from autograd import value_and_grad

from adaptstft.common.typing import AnyArray, Float64Array
from adaptstft.criteria.base import Criterion


@dataclass(frozen=True, kw_only=True)
class UserLoss(Criterion):
    """A user function of ``|S|**2`` as a criterion, differentiated by autograd.

    Parameters
    ----------
    function : callable
        ``function(P) -> scalar``, written with ``autograd.numpy``. ``P`` has the
        shape that ``AdaptiveShortTimeFFT.spectrogram`` returns, and is a NumPy
        array with every backend.

    Examples
    --------
    >>> import autograd.numpy as anp
    >>> from adaptstft import criteria
    >>> loss = criteria.resolve(lambda P: anp.sum(anp.sqrt(P)) / anp.sqrt(anp.sum(P)))
    >>> loss.name
    'callable'
    """

    function: Callable[[Any], Any] = field()
    name: ClassVar[str] = "callable"

    @property
    def is_logarithm(self) -> bool:
        return False

    def __post_init__(self) -> None:
        if self.scope is not None or self.width is not None or self.bands is not None:
            raise ValueError(
                f"scope={self.scope!r}, width={self.width!r}, bands={self.bands!r}: a user function gets the whole "
                "spectrogram and takes no scope"
            )

    def evaluate(self, power: AnyArray) -> tuple[float, Float64Array]:
        """Return the value and the gradient at a spectrogram of any shape."""
        try:
            value, gradient = value_and_grad(self.function)(power)
        except (TypeError, AttributeError, ValueError) as exc:
            raise TypeError(
                "criterion: autograd cannot differentiate the function, which must return a real scalar and use "
                f"autograd.numpy instead of numpy: {exc}"
            ) from exc
        if np.ndim(value) != 0 or not np.isfinite(value):
            raise ValueError(f"criterion: the function must return a finite scalar, got {value!r}")
        return float(value), np.asarray(gradient, dtype=float)
