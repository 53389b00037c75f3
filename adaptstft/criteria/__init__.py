"""Concentration criteria."""

from adaptstft.criteria.base import Additive, Criterion
from adaptstft.criteria.combined import Combined
from adaptstft.criteria.combined import from_settings as from_settings
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
