"""Progress bar for long work, on standard error or in the output of a notebook cell."""

from __future__ import annotations

import html
import importlib
import sys
import threading
import time
from typing import Any, Protocol

#: Time in seconds before a bar is shown.
_DELAY = 2.0
#: Width of the bar in characters.
_WIDTH = 24


class _Display(Protocol):
    """Place where a bar is drawn."""

    def draw(self, fraction: float | None, text: str) -> None: ...

    def clear(self) -> None: ...


class _Line:
    """The last line of standard error."""

    def draw(self, fraction: float | None, text: str) -> None:
        """Overwrite the line."""
        if fraction is not None:
            filled = round(_WIDTH * fraction)
            text = f"[{'#' * filled + '.' * (_WIDTH - filled)}] {100 * fraction:3.0f} % {text:<50.50}"
        sys.stderr.write("\r" + text)
        sys.stderr.flush()

    def clear(self) -> None:
        """Empty the line."""
        sys.stderr.write("\r" + " " * (_WIDTH + 60) + "\r")
        sys.stderr.flush()


class _Cell:
    """One output of a notebook cell; each drawing replaces it."""

    def __init__(self, display: Any) -> None:
        self._display = display
        self._handle: Any = None

    def draw(self, fraction: float | None, text: str) -> None:
        """Show the bar, or replace the one before."""
        # the HTML element follows light and dark themes, and screen readers support it
        bar, percent = "", ""
        if fraction is not None:
            bar, percent = f"<progress max='1' value='{fraction:.3f}'></progress> ", f"{100 * fraction:.0f} % "
        self._show({"text/html": f"<div>{bar}{percent}{html.escape(text)}</div>", "text/plain": percent + text})

    def clear(self) -> None:
        """Empty the output: front ends cannot remove one output of a cell and keep the others."""
        self._show({"text/html": "", "text/plain": ""})

    def _show(self, data: dict[str, str]) -> None:
        if self._handle is None:
            self._handle = self._display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)


def _find_display() -> _Display:
    """Return the output of the notebook cell if this process is a notebook kernel, otherwise standard error."""
    ipython: Any = sys.modules.get("IPython")  # a notebook kernel has imported it
    shell = None if ipython is None else ipython.get_ipython()
    if getattr(shell, "kernel", None) is None:
        return _Line()
    return _Cell(importlib.import_module("IPython.display").display)


class Progress:
    """Progress bar that is shown after two seconds of work, if it is enabled."""

    def __init__(self, enabled: bool) -> None:
        self._enabled = enabled
        self._start = time.monotonic()
        self._shown = 0.0
        self._display: _Display | None = None
        self._lock = threading.Lock()

    def update(self, fraction: float, text: str) -> None:
        """Show the fraction of the work that is done, from 0 to 1; the bar is redrawn at most ten times a second."""
        self._draw(min(max(fraction, 0.0), 1.0), text)

    def tell(self, text: str) -> None:
        """Show a text without a bar, for work of unknown size."""
        self._draw(None, text)

    def _draw(self, fraction: float | None, text: str) -> None:
        with self._lock:
            now = time.monotonic()
            if not self._enabled or now - self._start < _DELAY or now - self._shown < 0.1:
                return
            self._shown = now
            if self._display is None:
                self._display = _find_display()
            self._display.draw(fraction, text)

    def close(self) -> None:
        """Remove the bar."""
        with self._lock:
            if self._display is not None:
                self._display.clear()
                self._display = None
