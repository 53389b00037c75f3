"""Losses and a window that several tests of gradients share."""

import autograd.numpy as anp
import numpy as np

from adaptstft.criteria import registry

#: Classes of criteria by their names.
#: Criteria that do not depend on the scale of the transform; the description length has its own tests.
CLASSES = {name: c for name, c in registry.CRITERIA.items() if name != "description-length"}
_WEIGHTS = np.random.default_rng(5).uniform(0.5, 1.5, (2, 40, 60))


def weighted_sparsity(P):
    """A loss with a weight for each bin, so that its value changes if axes are exchanged."""
    w = _WEIGHTS[: P.shape[0], : P.shape[1], : P.shape[2]]
    return anp.sum(w * (P + 1e-3) ** 0.7) / anp.sum(P) ** 0.7


def user_window(u):
    """A window that is not symmetric, has no polynomial series, and is differentiated by autograd."""
    return anp.cos(anp.pi * u) ** 3 * (1 + 0.3 * u)
