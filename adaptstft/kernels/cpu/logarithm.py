"""Natural logarithms of arrays, in a form that LLVM vectorises.

``math.log`` is one function call for each element. The code here takes less than a tenth of that time. With
``x = 2**k m`` and ``m`` between ``sqrt(1/2)`` and ``sqrt(2)``, ``log x = k log 2 + log m``, and for
``f = m - 1`` and ``s = f / (2 + f)``

    log m = log((1 + s) / (1 - s)) = f - f**2 / 2 + s (f**2 / 2 + R(s**2)),

where ``R`` is the minimax polynomial of FreeBSD's ``e_log.c``, accurate to less than one unit in the last place.
In single precision ``log m = f - f**2 / 2 + f**3 Q(f)`` with a polynomial ``Q`` fitted to the least relative error,
1.2 units in the last place with rounding.
"""

from __future__ import annotations

import math

import numpy as np

from adaptstft.kernels.cpu.jit import by_precision, exact_kernel

_FRACTION = np.uint64((1 << 52) - 1)
_FRACTION_BITS = np.uint64(52)
#: Leading bits of sqrt(1/2), the least ``m``, and their distance from the bits of 1.
_LEAST = np.uint64(0x3FE6A09E00000000)
_SHIFT = np.uint64(0x3FF0000000000000 - 0x3FE6A09E00000000)
#: An integer below 2**52 is converted by putting its bits in the fraction of 2**52, which every CPU vectorises.
_TWO_52 = np.uint64(0x4330000000000000)
_BIAS = 2.0**52 + 1023.0
_SMALLEST_NORMAL = 2.0**-1022
#: Below this number ``x`` is ``f`` itself in ``log(1 + x)``.
_SMALL = math.sqrt(2.0) - 1
_TO_NORMAL, _TO_NORMAL_LOG2 = 2.0**54, 54.0
#: log 2 in two parts; integer multiples of the first part are exact.
_LN2_HIGH, _LN2_LOW = 6.93147180369123816490e-01, 1.90821492927058770002e-10
_R1, _R2, _R3, _R4, _R5, _R6, _R7 = (
    6.666666666666735130e-01,
    3.999999999940941908e-01,
    2.857142874366239149e-01,
    2.222219843214978396e-01,
    1.818357216161805012e-01,
    1.531383769920937332e-01,
    1.479819860511658591e-01,
)


#: The same for single precision.
_FRACTION_32 = np.uint32((1 << 23) - 1)
_FRACTION_BITS_32 = np.uint32(23)
_LEAST_32 = np.uint32(0x3F3504F3)
_SHIFT_32 = np.uint32(0x3F800000 - 0x3F3504F3)
_TWO_23 = np.uint32(0x4B000000)
_ZERO_32, _ONE_32, _HALF_32 = np.float32(0), np.float32(1), np.float32(0.5)
_SMALL_32 = np.float32(_SMALL)
_BIAS_32 = np.float32(2.0**23 + 127)
_SMALLEST_NORMAL_32 = np.float32(2.0**-126)
_TO_NORMAL_32, _TO_NORMAL_LOG2_32 = np.float32(2.0**25), np.float32(25)
_LN2_HIGH_32, _LN2_LOW_32 = np.float32(355 / 512), np.float32(math.log(2) - 355 / 512)
_Q0, _Q1, _Q2, _Q3, _Q4, _Q5, _Q6 = (
    np.float32(0.33333912),
    np.float32(-0.25001331),
    np.float32(0.19963003),
    np.float32(-0.16577733),
    np.float32(0.14915533),
    np.float32(-0.14266555),
    np.float32(0.08697091),
)
#: Above this number ``log(1 + x**a)`` is ``a log x`` to rounding for ``a >= 1``, and ``x**2`` may overflow soon.
LARGE = 2.0**60


@exact_kernel  # relaxed rounding loses accuracy
def _double_sum(k, f):  # type: ignore[no-untyped-def]
    """Return ``k log 2 + log(1 + f)`` for ``sqrt(1/2) <= 1 + f <= sqrt(2)``."""
    s = f / (2.0 + f)
    z = s * s
    r = z * (_R1 + z * (_R2 + z * (_R3 + z * (_R4 + z * (_R5 + z * (_R6 + z * _R7))))))
    half_square = 0.5 * f * f
    return k * _LN2_HIGH - ((half_square - (s * (half_square + r) + k * _LN2_LOW)) - f)


@exact_kernel
def _double_log(x):  # type: ignore[no-untyped-def]
    subnormal = x < _SMALLEST_NORMAL
    bits = np.float64(x * (_TO_NORMAL if subnormal else 1.0)).view(np.uint64) + _SHIFT
    k = np.uint64((bits >> _FRACTION_BITS) | _TWO_52).view(np.float64)
    k -= _BIAS + _TO_NORMAL_LOG2 if subnormal else _BIAS
    value = _double_sum(k, np.uint64((bits & _FRACTION) + _LEAST).view(np.float64) - 1.0)
    return value if x < math.inf else x


@exact_kernel
def _double_log1p(x):  # type: ignore[no-untyped-def]
    bits = np.float64(1.0 + x).view(np.uint64) + _SHIFT
    k = np.uint64((bits >> _FRACTION_BITS) | _TWO_52).view(np.float64) - _BIAS
    f = np.uint64((bits & _FRACTION) + _LEAST).view(np.float64) - 1.0
    small = x < _SMALL  # the sum with 1 would round it
    value = _double_sum(0.0 if small else k, x if small else f)
    return value if x < math.inf else x


@exact_kernel
def _single_sum(k, f):  # type: ignore[no-untyped-def]
    """Return ``k log 2 + log(1 + f)`` for ``sqrt(1/2) <= 1 + f <= sqrt(2)``."""
    z = f * f
    q = _Q0 + f * (_Q1 + f * (_Q2 + f * (_Q3 + f * (_Q4 + f * (_Q5 + f * _Q6)))))
    return k * _LN2_HIGH_32 + (f + (k * _LN2_LOW_32 + z * (f * q - _HALF_32)))


@exact_kernel
def _single_log(x):  # type: ignore[no-untyped-def]
    subnormal = x < _SMALLEST_NORMAL_32
    bits = np.uint32(np.float32(x * (_TO_NORMAL_32 if subnormal else _ONE_32)).view(np.uint32) + _SHIFT_32)
    k = np.uint32((bits >> _FRACTION_BITS_32) | _TWO_23).view(np.float32)
    k -= _BIAS_32 + _TO_NORMAL_LOG2_32 if subnormal else _BIAS_32
    value = _single_sum(k, np.float32(np.uint32((bits & _FRACTION_32) + _LEAST_32).view(np.float32) - _ONE_32))
    return value if x < math.inf else x


@exact_kernel
def _single_log1p(x):  # type: ignore[no-untyped-def]
    bits = np.uint32(np.float32(_ONE_32 + x).view(np.uint32) + _SHIFT_32)
    k = np.float32(np.uint32((bits >> _FRACTION_BITS_32) | _TWO_23).view(np.float32) - _BIAS_32)
    f = np.float32(np.uint32((bits & _FRACTION_32) + _LEAST_32).view(np.float32) - _ONE_32)
    small = x < _SMALL_32
    value = _single_sum(_ZERO_32 if small else k, x if small else f)
    return value if x < math.inf else x


#: The logarithm of a positive number in its precision; NaN and infinity are returned unchanged.
log_of_positive = by_precision(_single_log, _double_log)
#: ``log(1 + x)`` of a number that is not negative.
log1p = by_precision(_single_log1p, _double_log1p)


@exact_kernel
def logs_or_zero(x, out):  # type: ignore[no-untyped-def]
    """Write ``log x`` where ``x > 0``, and 0 elsewhere."""
    one = x.dtype.type(1)
    for i in range(x.size):
        out[i] = log_of_positive(x[i] if x[i] > 0 else one)


@exact_kernel
def logs_of_one_plus(x, a, out):  # type: ignore[no-untyped-def]
    """Write ``log(1 + x**a)`` for ``x >= 0`` and ``a >= 1``.

    Common exponents need no power function. Powers of a large ``x`` may overflow.
    """
    one, large, exponent = x.dtype.type(1), x.dtype.type(LARGE), x.dtype.type(a)
    if a == 1.5:
        for i in range(x.size):
            log = log1p(x[i] if x[i] > large else x[i] * math.sqrt(x[i]))
            out[i] = exponent * log if x[i] > large else log
    elif a == 2.0:
        for i in range(x.size):
            log = log1p(x[i] if x[i] > large else x[i] * x[i])
            out[i] = exponent * log if x[i] > large else log
    elif a == 1.0:
        for i in range(x.size):
            out[i] = log1p(x[i])
    else:
        for i in range(x.size):
            above = x[i] > one
            tail = log1p((one / x[i] if above else x[i]) ** exponent)
            out[i] = tail + exponent * log_of_positive(x[i]) if above else tail
