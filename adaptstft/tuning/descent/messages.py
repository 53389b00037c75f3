"""Messages of optimisers in words."""

from __future__ import annotations

#: A part of SciPy's message, and the words for it.
_WORDS = (
    ("NORM OF PROJECTED GRADIENT", "converged: the gradient is nearly zero"),
    ("RELATIVE REDUCTION OF F", "converged: further steps hardly lower the value"),
    ("ITERATIONS REACHED LIMIT", "stopped at the limit of iterations"),
    ("EVALUATIONS EXCEEDS LIMIT", "stopped at the limit of evaluations"),
    ("ABNORMAL", "stopped: no step along the gradient lowers the value further"),
)


def in_words(message: str) -> str:
    """Return a message of `scipy.optimize.minimize` in words; other messages stay as they are."""
    return next((words for part, words in _WORDS if part in message), message)
