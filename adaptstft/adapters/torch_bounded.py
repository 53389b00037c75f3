"""A bounded value as a PyTorch module, and interpolation of values along time."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import logit

from adaptstft.adapters.torch_function import host, torch
from adaptstft.common.validation import show

#: Relative distance from the upper bound. Rounding in ``exp(log(bound))`` must not exceed the length of the FFT.
_MARGIN = 1e-12


class Bounded(torch.nn.Module):  # type: ignore[misc]
    """A value between bounds: a parameter if it is learned, else a buffer.

    Parameters
    ----------
    name : str
        Name of the value, for error messages.
    value : array_like
        Initial value.
    bounds : (array_like, array_like)
        Lower and upper bound.
    learn : bool
        Whether the value is a parameter.
    logarithmic : bool, optional
        Whether the logistic function maps the parameter to the logarithm of the value.
    """

    def __init__(
        self, name: str, value: Any, bounds: tuple[Any, Any], learn: bool, *, logarithmic: bool = True
    ) -> None:
        super().__init__()
        low, high = (np.asarray(bound, dtype=float) for bound in bounds)
        self.logarithmic = logarithmic
        if not learn:
            self.register_buffer("value", torch.as_tensor(value, dtype=torch.float64))
            return
        if not np.all((value > low) & (value < high)):
            raise ValueError(
                f"{name}={show(value)} must lie between its bounds {low.tolist()} and {high.tolist()}, both excluded, "
                "to be learned"
            )
        ends = np.stack([low, high * (1 - _MARGIN)])
        if logarithmic:
            value, ends = np.log(value), np.log(ends)
        share = (value - ends[0]) / (ends[1] - ends[0])
        self.raw = torch.nn.Parameter(torch.as_tensor(logit(share), dtype=torch.get_default_dtype()))
        # a buffer, so that a loaded state has the same bounds and therefore the same values
        self.register_buffer("bounds", torch.as_tensor(ends, dtype=torch.float64))

    def forward(self) -> Any:
        """Return the current value in double precision."""
        if not hasattr(self, "raw"):
            return self.value.double()
        value = torch.lerp(*self.bounds.double(), torch.sigmoid(self.raw.double()))
        return torch.exp(value) if self.logarithmic else value

    def _apply(self, fn: Any, *args: Any, **kwargs: Any) -> Any:
        # bounds and constant values move to the device of the layer, but stay in double precision
        exact = dict(self._buffers)
        super()._apply(fn, *args, **kwargs)
        for name, value in exact.items():
            self._buffers[name] = value.to(self._buffers[name].device)
        return self

    def extra_repr(self) -> str:
        """Return the range of the values."""
        value = host(self())
        return f"{float(value):g}" if value.ndim == 0 else f"{value.min():g} to {value.max():g}, shape {value.shape}"


def interpolate(values: Any, count: int, *, logarithmic: bool = False) -> Any:
    """Interpolate evenly spaced values, or their logarithms, at `count` evenly spaced points on the last axis."""
    known = values.shape[-1]
    if known in (1, count):
        return values.expand(*values.shape[:-1], count)
    if logarithmic:
        return torch.exp(interpolate(torch.log(values), count))
    point = torch.linspace(0, known - 1, count, dtype=values.dtype, device=values.device)
    left = point.floor().long().clamp(max=known - 2)
    return torch.lerp(values[..., left], values[..., left + 1], point - left)
