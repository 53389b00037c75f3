"""A progress bar for work that takes a while: on standard error, or under the cell of a notebook."""

from __future__ import annotations

import html
import importlib
import sys
import threading
import time
from typing import Any, Protocol

_DELAY = 2.0
_WIDTH = 24


class _Display(Protocol):
    """Where a bar is drawn."""

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
    """One output of a notebook's cell, which is replaced with each drawing."""

    def __init__(self, display: Any) -> None:
        self._display = display
        self._handle: Any = None

    def draw(self, fraction: float | None, text: str) -> None:
        """Show the bar, or replace it."""
        # a browser's own element: it follows light and dark themes, and screen readers know it
        bar, percent = "", ""
        if fraction is not None:
            bar, percent = f"<progress max='1' value='{fraction:.3f}'></progress> ", f"{100 * fraction:.0f} % "
        self._show({"text/html": f"<div>{bar}{percent}{html.escape(text)}</div>", "text/plain": percent + text})

    def clear(self) -> None:
        """Leave an empty output: front ends cannot take one away without the others of the cell."""
        self._show({"text/html": "", "text/plain": ""})

    def _show(self, data: dict[str, str]) -> None:
        if self._handle is None:
            self._handle = self._display(data, raw=True, display_id=True)
        else:
            self._handle.update(data, raw=True)


def _find_display() -> _Display:
    """Find out whether this runs in the kernel of a notebook, which has a display, or in a terminal."""
    ipython: Any = sys.modules.get("IPython")  # where it is not imported there is no kernel
    shell = None if ipython is None else ipython.get_ipython()
    if getattr(shell, "kernel", None) is None:
        return _Line()
    return _Cell(importlib.import_module("IPython.display").display)


class Progress:
    """Shows a bar once the work has taken about two seconds; silent unless enabled."""

    def __init__(self, enabled: bool) -> None:
        self._enabled = enabled
        self._start = time.monotonic()
        self._shown = 0.0
        self._display: _Display | None = None
        self._lock = threading.Lock()

    def update(self, fraction: float, text: str) -> None:
        """Redraw the bar at a fraction of the work, at most ten times a second."""
        self._draw(min(max(fraction, 0.0), 1.0), text)

    def tell(self, text: str) -> None:
        """Redraw the line, for work of which nobody knows how much there is."""
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
