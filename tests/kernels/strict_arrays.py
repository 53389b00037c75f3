"""Replacement for CuPy in Numba's simulator: NumPy arrays that raise errors where CuPy arrays do.

These arrays are not copied to the host implicitly, cannot be mixed with NumPy arrays in arithmetic or assignment, and
have only methods and functions that CuPy has.
"""

from types import SimpleNamespace

import numpy as np
from numpy.lib.mixins import NDArrayOperatorsMixin
from scipy import fft

_METHODS = ("all", "any", "argmax", "astype", "conj", "copy", "max", "mean", "min", "ravel", "reshape", "sum", "view")
_KEYWORDS = {"axis", "copy", "dtype", "keepdims", "order"}
_FUNCTIONS = (
    "all", "any", "arange", "ascontiguousarray", "broadcast_to", "concatenate", "empty", "empty_like", "iscomplexobj",
    "moveaxis", "ones", "shape", "stack", "sum", "swapaxes", "where", "zeros", "zeros_like",
)  # fmt: skip


def _down(value):
    """Return the wrapped NumPy array; raise an error for a plain NumPy array."""
    if isinstance(value, np.ndarray):
        raise TypeError(f"Unsupported type {np.ndarray}: an array on the host among those on the device")
    if isinstance(value, tuple | list):
        return type(value)(_down(v) for v in value)
    return value._data if isinstance(value, ndarray) else value


def _up(value):
    """Wrap a NumPy array."""
    return ndarray(value) if isinstance(value, np.ndarray | np.generic) else value


class ndarray(NDArrayOperatorsMixin):
    __module__ = "cupy"

    def __init__(self, data):
        self._data = np.asarray(data)

    def __array__(self, *args, **kwargs):
        raise TypeError("Implicit conversion to a NumPy array is not allowed. Please use `.get()`")

    def __array_ufunc__(self, ufunc, method, *inputs, out=None, **kwargs):
        assert method == "__call__"
        if out is not None:
            kwargs["out"] = _down(out)
        result = getattr(ufunc, method)(*_down(inputs), **kwargs)
        return out[0] if out is not None else _up(result)

    def __array_function__(self, function, types, args, kwargs):
        if function.__name__ not in _FUNCTIONS:
            raise TypeError(f"{function.__name__} does not take arrays on the device")
        return getattr(xp, function.__name__)(*args, **kwargs)

    def __getattr__(self, name):
        if name not in _METHODS:
            raise AttributeError(f"arrays on the device have no {name}")
        method = getattr(self._data, name)

        def call(*args, **kwargs):
            assert set(kwargs) <= _KEYWORDS, f"{name}({', '.join(kwargs)})"
            return _up(method(*args, **kwargs))

        return call

    def __getitem__(self, index):
        return ndarray(self._data[_down(index)])

    def __setitem__(self, index, value):
        self._data[_down(index)] = _down(value)

    def __len__(self):
        return len(self._data)

    def __iter__(self):
        return (self[i] for i in range(len(self)))

    def __float__(self):
        return float(self._data)

    def __int__(self):
        return int(self._data)

    def __bool__(self):
        return bool(self._data)

    def get(self):
        return self._data.copy()

    @property
    def real(self):
        return ndarray(self._data.real)

    @property
    def imag(self):
        return ndarray(self._data.imag)

    shape = property(lambda self: self._data.shape)
    size = property(lambda self: self._data.size)
    ndim = property(lambda self: self._data.ndim)
    dtype = property(lambda self: self._data.dtype)
    T = property(lambda self: ndarray(self._data.T))


def _wrapped(function):
    return lambda *args, **kwargs: _up(function(*_down(args), **kwargs))


def _asarray(a, dtype=None):
    return ndarray(np.asarray(a._data if isinstance(a, ndarray) else np.array(a), dtype=dtype))


def _array(a, dtype=None, order="K"):
    return ndarray(np.array(a._data if isinstance(a, ndarray) else a, dtype=dtype, order=order))


xp = SimpleNamespace(
    ndarray=ndarray,
    asarray=_asarray,
    array=_array,
    **{name: _wrapped(getattr(np, name)) for name in _FUNCTIONS},
)
fft = SimpleNamespace(
    **{name: _wrapped(getattr(fft, name)) for name in ("fft", "ifft", "rfft", "irfft", "fftshift", "ifftshift")}
)


def install(monkeypatch, arrays, kernels):
    """Replace the arrays and FFTs of the CUDA backend by those of this module."""
    monkeypatch.setattr(arrays, "xp", xp)
    monkeypatch.setattr(kernels, "xp", xp)
    monkeypatch.setattr(arrays, "_fft", fft)
    for name in ("fft", "ifft", "rfft", "fftshift", "ifftshift"):  # the package has its own irfft
        monkeypatch.setattr(arrays.fft, name, getattr(fft, name))
    monkeypatch.setattr(arrays, "_view", lambda a: a._data if isinstance(a, ndarray) else a)
