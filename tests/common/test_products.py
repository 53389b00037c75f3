"""Products of matrices in pieces of rows."""

import numpy as np
import pytest

from adaptstft.common import products


@pytest.mark.parametrize("shape", [(7, 5, 3), (7, 5, 0), (0, 5, 3), (1, 1, 1)])
@pytest.mark.parametrize("most", [1, 30, 1 << 17])
def test_pieces_make_the_whole_product(shape, most, monkeypatch, rng):
    monkeypatch.setattr(products, "_MOST", most)
    a, b = rng.standard_normal(shape[:2]), rng.standard_normal(shape[1:])
    np.testing.assert_allclose(products.product(a, b), a @ b, rtol=1e-13)
    np.testing.assert_allclose(products.product(a.copy(order="F"), b.T.copy().T), a @ b, rtol=1e-13)
