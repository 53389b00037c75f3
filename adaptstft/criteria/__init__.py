r"""Measures of concentration of a spectrogram; smaller values mean more concentration.

Scaling the signal does not change a criterion, unless a noise floor is given. With ``P = |S|**power``, most criteria
are functions of a few sums ``sum phi(P)`` over a *scope*: all bins (``"global"``), the bins of one frame
(``"frame"``), or a smooth neighbourhood in time (``"local"``). For the last two, the criterion is the average over
frames or neighbourhoods. In the sums, frames may have weights (their durations) and bins a size. If all weights and
sizes are one, the values are those of the literature.

The classes are `DescriptionLength`, the default of `adaptstft.optimize`, whose terms are relative to a distortion
that is measured once; `Shannon` and `Renyi` [1]_, `Kurtosis` [2]_, `Stankovic` [3]_, `Lp`, `Hoyer` and `Gini` [4]_;
`Combined` for weighted sums of criteria, and `Callable_` for user functions of the spectrogram.

References
----------
.. [1] R. G. Baraniuk, P. Flandrin, A. J. E. M. Janssen, O. J. J. Michel,
   "Measuring time-frequency information content using the Rényi entropies",
   IEEE Trans. Inf. Theory 47(4), 2001.
.. [2] D. L. Jones, T. W. Parks, "A high resolution data-adaptive
   time-frequency representation", IEEE Trans. Acoust. Speech Signal Process.
   38(12), 1990.
.. [3] L. Stanković, "A measure of some time-frequency distributions
   concentration", Signal Processing 81(3), 2001.
.. [4] N. Hurley, S. Rickard, "Comparing measures of sparsity",
   IEEE Trans. Inf. Theory 55(10), 2009.
"""

from adaptstft.criteria.base import Additive, Criterion
from adaptstft.criteria.combined import Combined
from adaptstft.criteria.combined import from_settings as from_settings
from adaptstft.criteria.description import DescriptionLength
from adaptstft.criteria.gini import Gini
from adaptstft.criteria.measures import Hoyer, Kurtosis, Lp, Renyi, Shannon, Stankovic
from adaptstft.criteria.registry import names, resolve
from adaptstft.criteria.user_loss import UserLoss as UserLoss

Callable_ = UserLoss  # the public name

__all__ = [
    "Additive",
    "Callable_",
    "Combined",
    "Criterion",
    "DescriptionLength",
    "Gini",
    "Hoyer",
    "Kurtosis",
    "Lp",
    "Renyi",
    "Shannon",
    "Stankovic",
    "names",
    "resolve",
]
