"""Products of matrices on the calling thread."""

from __future__ import annotations

import numpy as np

from adaptstft.common.typing import Float64Array

#: Largest number of multiplications for which OpenBLAS wakes no threads is 2**18.
_MOST = 1 << 17


def product(a: Float64Array, b: Float64Array) -> Float64Array:
    """Return ``a @ b`` of real matrices, in pieces of rows for which BLAS takes no threads.

    Its threads wait for more work for some 50 ms after each product, on cores that other threads need.

    Examples
    --------
    >>> import numpy as np
    >>> from adaptstft.common.products import product
    >>> a, b = np.ones((3000, 20)), np.ones((20, 50))
    >>> np.array_equal(product(a, b), a @ b)
    True
    """
    rows = max(1, _MOST // max(1, b.size))
    out = np.empty((len(a), b.shape[1]))
    for first in range(0, len(a), rows):
        np.matmul(a[first : first + rows], b, out=out[first : first + rows])
    return out
