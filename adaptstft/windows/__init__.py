"""Window functions: families, their derivatives and their polynomial series."""

from adaptstft.windows.families import MAX_END_VALUE as MAX_END_VALUE
from adaptstft.windows.window import Window, names, register, resolve

__all__ = ["Window", "names", "register", "resolve"]
