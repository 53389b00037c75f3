"""Methods of a transform as `torch.autograd.Function`, and conversion between arrays and tensors.

Convention: PyTorch's gradient of a complex tensor is ``dC/dRe + 1j dC/dIm``, the cotangent that
`adaptstft.engine.vjp` states.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from adaptstft.adapters.settings import PARAMETERS, Settings, spectrogram_jvp
from adaptstft.common.device import is_device_array
from adaptstft.common.optional import require
from adaptstft.common.validation import show
from adaptstft.transforms.adaptive import AdaptiveShortTimeFFT

torch: Any = require("torch", extra="torch")

#: Types without kernels, and the types that replace them.
_WIDER = {torch.float16: torch.float32, torch.bfloat16: torch.float32, torch.complex32: torch.complex64}

_Call = Mapping[str, Any]


class Method(NamedTuple):
    """A method of a transform with its derivatives.

    Attributes
    ----------
    data : str
        Name of the argument that is not a parameter, ``"x"`` or ``"S"``.
    forward : callable
        Returns the value and the function ``vjp(cotangent, wrt=...)``.
    jvp : callable
        Returns the directional derivative.
    """

    data: str
    forward: Callable[[AdaptiveShortTimeFFT, Any, _Call], tuple[Any, Callable[..., Any]]]
    jvp: Callable[[AdaptiveShortTimeFFT, Any, Mapping[str, Any], _Call], Any]


def _stft(sft: AdaptiveShortTimeFFT, x: Any, call: _Call) -> tuple[Any, Callable[..., Any]]:
    return sft.stft(x, **call), partial(sft.vjp, x, **call)


def _spectrogram(sft: AdaptiveShortTimeFFT, x: Any, call: _Call) -> tuple[Any, Callable[..., Any]]:
    return sft.spectrogram_and_vjp(x, **call)


def _istft(sft: AdaptiveShortTimeFFT, S: Any, call: _Call) -> tuple[Any, Callable[..., Any]]:
    return sft.istft(S, **call), lambda cotangent, wrt: sft.istft_vjp(S, cotangent, wrt=wrt, **call)


STFT = Method("x", _stft, lambda sft, x, tangents, call: sft.jvp(x, tangents, **call))
SPECTROGRAM = Method("x", _spectrogram, lambda sft, x, tangents, call: spectrogram_jvp(sft, x, tangents, **call))
ISTFT = Method("S", _istft, lambda sft, S, tangents, call: sft.istft_jvp(S, tangents, **call))


class _Gradient(torch.autograd.Function):  # type: ignore[misc]
    """First derivatives as a function of all tensors that they depend on, so that second ones are an error.

    PyTorch's ``once_differentiable`` does not connect the result with the tensors: `torch.autograd.functional.hessian`
    then returns zeros.
    """

    @staticmethod
    def forward(ctx: Any, compute: Callable[[Any], tuple[Any, ...]], cotangent: Any, *_: Any) -> tuple[Any, ...]:
        return compute(cotangent)

    @staticmethod
    def backward(ctx: Any, *_: Any) -> Any:
        raise RuntimeError(
            "trying to differentiate twice: adaptstft.torch has first derivatives only; take differences of gradients "
            "for second ones"
        )


class _Apply(torch.autograd.Function):  # type: ignore[misc]
    """A method applied to a tensor; the arguments are the tensor and the parameters."""

    @staticmethod
    def forward(ctx: Any, method: Method, settings: Settings, call: _Call, *arguments: Any) -> Any:
        data, *parameters = arguments
        with _device_of(method.data, data):
            ctx.method, ctx.call, ctx.sft = method, call, settings.transform(*map(host, parameters))
            ctx.targets = [(a.shape, a.dtype, a.device) if torch.is_tensor(a) else None for a in arguments]
            # the arrays share the tensor's memory, so PyTorch must check it for changes before the backward pass
            ctx.save_for_backward(*(a for a in arguments if torch.is_tensor(a)))
            ctx.save_for_forward(data)
            value, ctx.transform_vjp = method.forward(ctx.sft, _array(data), call)
            return _tensor(value)

    @staticmethod
    def backward(ctx: Any, cotangent: Any) -> tuple[Any, ...]:
        tensors = ctx.saved_tensors
        names = (ctx.method.data, *PARAMETERS)
        targets = {
            name: target
            for name, need, target in zip(names, ctx.needs_input_grad[3:], ctx.targets, strict=True)
            if need
        }

        def compute(cotangent: Any) -> tuple[Any, ...]:
            with _device_of(ctx.method.data, tensors[0]):
                gradient = ctx.transform_vjp(_array(cotangent), wrt=tuple(targets))
                return tuple(_like(getattr(gradient, name), *target) for name, target in targets.items())

        gradients = dict(zip(targets, _Gradient.apply(compute, cotangent, *tensors), strict=True))
        return (None, None, None, *(gradients.get(name) for name in names))

    @staticmethod
    def jvp(ctx: Any, *directions: Any) -> Any:
        data = ctx.saved_tensors[0]
        data_direction, *parameter_directions = directions[3:]
        with _device_of(ctx.method.data, data):
            tangents = {
                name: host(d) for name, d in zip(PARAMETERS, parameter_directions, strict=True) if d is not None
            }
            if "shape" in tangents:
                tangents["shape"] = np.atleast_1d(tangents["shape"])
            if data_direction is not None:
                tangents[ctx.method.data] = _array(data_direction)
            return _tensor(ctx.method.jvp(ctx.sft, _array(data), tangents, ctx.call))


def apply(
    method: Method, settings: Settings, call: _Call, data: Any, win_length: Any, hop: Any, positions: Any, shape: Any
) -> Any:
    """Apply a method to a tensor, with parameters that may be tensors."""
    return _Apply.apply(method, settings, call, data, win_length, hop, positions, shape)


def _array(tensor: Any) -> Any:
    """Convert a tensor to a NumPy array, or from a CUDA device to a CuPy array; share the memory if possible."""
    tensor = tensor.detach().resolve_conj().resolve_neg()
    tensor = tensor.to(_WIDER.get(tensor.dtype, tensor.dtype))
    return require("cupy", extra="cuda").from_dlpack(tensor) if tensor.is_cuda else tensor.numpy()


def _tensor(array: Any) -> Any:
    """Convert a result of a transform to a tensor."""
    return torch.from_dlpack(array) if is_device_array(array) else torch.as_tensor(array)


def _like(gradient: Any, shape: Any, dtype: Any, device: Any) -> Any:
    """Convert a gradient to a tensor with the shape, type and device of its argument."""
    return _tensor(gradient).to(device=device, dtype=dtype).reshape(shape)


def host(parameter: Any) -> Any:
    """Convert a parameter to an array on the host, in double precision if it is a tensor."""
    return parameter.detach().to("cpu", torch.float64).numpy() if torch.is_tensor(parameter) else parameter


def _device_of(name: str, data: Any) -> AbstractContextManager[Any]:
    """Return a context in which CuPy uses the device of a tensor."""
    if not torch.is_tensor(data):
        raise TypeError(f"{name}={show(data)} must be a tensor")
    if data.device.type not in ("cpu", "cuda"):
        raise TypeError(f"{name} is on device {str(data.device)!r}, but must be on 'cpu' or 'cuda'")
    return require("cupy", extra="cuda").cuda.Device(data.device.index) if data.is_cuda else nullcontext()
