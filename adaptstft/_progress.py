"""A progress bar on standard error for work that takes a while."""

from __future__ import annotations

import sys
import threading
import time

_DELAY = 2.0
_WIDTH = 24


class Progress:
    """Shows a bar once the work has taken about two seconds; silent unless enabled."""

    def __init__(self, enabled: bool) -> None:
        self._enabled = enabled
        self._start = time.monotonic()
        self._shown = 0.0
        self._drawn = False
        self._lock = threading.Lock()

    def update(self, fraction: float, text: str) -> None:
        """Redraw the bar at a fraction of the work, at most ten times a second."""
        filled = round(_WIDTH * min(max(fraction, 0.0), 1.0))
        bar = "#" * filled + "." * (_WIDTH - filled)
        self.tell(f"[{bar}] {100 * fraction:3.0f} % {text:<50.50}")

    def tell(self, text: str) -> None:
        """Redraw the line, for work of which nobody knows how much there is."""
        with self._lock:
            now = time.monotonic()
            if not self._enabled or now - self._start < _DELAY or now - self._shown < 0.1:
                return
            self._shown, self._drawn = now, True
        sys.stderr.write("\r" + text)
        sys.stderr.flush()

    def close(self) -> None:
        """Remove the bar."""
        if self._drawn:
            sys.stderr.write("\r" + " " * (_WIDTH + 60) + "\r")
            sys.stderr.flush()
            self._drawn = False
