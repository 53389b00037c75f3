"""The value of a result as one number with a unit, comparable between hops and FFT lengths."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from adaptstft.criteria import Criterion, DescriptionLength, Kurtosis, Renyi, Shannon


@dataclass(frozen=True)
class Unit:
    """How a value of a criterion is shown: multiplied by `factor`, in the unit `name`, with its `meaning`."""

    factor: float
    name: str
    meaning: str


def unit_of(criterion: Criterion, *, onesided: bool) -> Unit:
    """Return the unit in which the values of a criterion are shown.

    A real sample has half as many independent values as bins.
    """
    if isinstance(criterion, DescriptionLength):
        factor = 1 / np.log(2) / (2 if onesided else 1)
        return Unit(float(factor), "bits per sample", "the length of a code at a fixed distortion")
    if isinstance(criterion, Shannon | Renyi | Kurtosis) and criterion.scope == "global":
        return Unit(1.0, "nat", "the logarithm of the area that the energy fills, in s Hz")
    if criterion.is_logarithm:
        return Unit(1.0, "nat", "the logarithm of a measure of spread")
    return Unit(1.0, "", "a measure of spread without a unit")
