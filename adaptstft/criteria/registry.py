"""Names of criteria, and values of ``criterion=`` arguments made into criteria."""

from __future__ import annotations

from typing import Any

from adaptstft.common.typing import Scope
from adaptstft.common.validation import check_option
from adaptstft.criteria.base import Criterion
from adaptstft.criteria.description import DescriptionLength
from adaptstft.criteria.gini import Gini
from adaptstft.criteria.measures import Hoyer, Kurtosis, Lp, Renyi, Shannon, Stankovic
from adaptstft.criteria.user_loss import UserLoss

CRITERIA: dict[str, type[Criterion]] = {
    c.name: c for c in (DescriptionLength, Shannon, Renyi, Kurtosis, Stankovic, Lp, Hoyer, Gini)
}


def names() -> list[str]:
    """Return the names of all criteria.

    Returns
    -------
    list of str
        Names that every ``criterion=`` argument accepts, sorted.

    Examples
    --------
    >>> from adaptstft import criteria
    >>> "renyi" in criteria.names()
    True
    """
    return sorted(CRITERIA)


def resolve(criterion: Any, scope: Scope | None = None) -> Criterion:
    """Make a `Criterion` from the value of a ``criterion=`` argument.

    Parameters
    ----------
    criterion : str, Criterion or callable
        A name, a criterion, or a function of ``|S|**2``.
    scope : {"global", "frame", "local"}, optional
        Scope, if the scope of the criterion is None.

    Returns
    -------
    Criterion
        The criterion; its `scope` may be None.

    Raises
    ------
    ValueError
        For an unknown name (the message lists the known ones), or a `scope` that
        contradicts the scope of the criterion.
    TypeError
        If `criterion` has another type.

    Examples
    --------
    >>> from adaptstft import criteria
    >>> criteria.resolve("shannon", "frame").scope
    'frame'
    """
    if scope is not None:
        check_option("scope", scope, ("global", "frame", "local"))
    if isinstance(criterion, str):
        if criterion not in CRITERIA:
            raise ValueError(f"unknown {criterion=}; known are {names()}")
        return CRITERIA[criterion](scope=scope)
    if isinstance(criterion, type) and issubclass(criterion, Criterion):
        raise TypeError(f"criterion={criterion.__name__} is a class; pass an instance, {criterion.__name__}()")
    if isinstance(criterion, Criterion):
        if scope is None or criterion.scope == scope:
            return criterion
        if criterion.scope is not None or isinstance(criterion, UserLoss):
            raise ValueError(f"{scope=} contradicts {criterion!r}")
        return criterion.with_scope(scope, criterion.width, criterion.bands)
    if callable(criterion):
        if scope is not None:
            raise ValueError(f"{scope=}: a user function gets the whole spectrogram and takes no scope")
        return UserLoss(function=criterion)
    raise TypeError(f"{criterion=} must be a name, a criterion object or a callable; known names are {names()}")
