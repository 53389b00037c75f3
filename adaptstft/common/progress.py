"""Progress bar for long work, on standard error or in the output of a notebook cell."""

from __future__ import annotations

import html
import importlib
import math
import sys
import threading
import time
import weakref
from collections.abc import Mapping
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


def _in_kernel() -> bool:
    """Return whether this process is a notebook kernel."""
    ipython: Any = sys.modules.get("IPython")  # a notebook kernel has imported it
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


def _find_display() -> _Display:
    """Return the output of the notebook cell if this process is a notebook kernel, otherwise standard error."""
    return _Cell(importlib.import_module("IPython.display").display) if _in_kernel() else _Line()


def _is_watched() -> bool:
    """Return whether a person sees the bar: in a notebook, and where standard error is a terminal."""
    # without a console there is no standard error
    return _in_kernel() or (sys.stderr is not None and sys.stderr.isatty())


class Progress:
    """Progress bar that is shown after two seconds of work: if `enabled`, or with None in notebooks and terminals."""

    def __init__(self, enabled: bool | None) -> None:
        self._enabled = _is_watched() if enabled is None else enabled
        self._start = time.monotonic()
        self._shown = 0.0
        self._display: _Display | None = None
        self._lock = threading.Lock()
        _open_bars.add(self)

    def update(self, fraction: float, text: str) -> None:
        """Show the fraction of the work that is done, from 0 to 1; the bar is redrawn at most ten times a second."""
        self._draw(min(max(fraction, 0.0), 1.0), text)

    def begin(self, stage: str) -> None:
        """Begin a stage of the work; only `Stages` tells stages apart."""

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
        _open_bars.discard(self)
        with self._lock:
            if self._display is not None:
                self._display.clear()
                self._display = None


#: Bars that are not closed.
_open_bars: weakref.WeakSet[Progress] = weakref.WeakSet()


class Compilation:
    """Note that kernels are being compiled, once in an installation; shown after two seconds of compilation.

    The bars of running work show the note. Without any bar it is shown in notebooks and terminals.
    """

    _TEXT = "compiling, once"

    def __init__(self) -> None:
        self._depth = 0
        self._begun = self._ended = self._seconds = 0.0
        self._own: Progress | None = None
        self._lock = threading.Lock()

    def begin(self) -> None:
        """Begin to compile a function, maybe as a part of another one."""
        with self._lock:
            now = time.monotonic()
            if self._depth == 0:
                self._begun = now
                if now - self._ended > _DELAY:  # not one stretch of compilation
                    self._seconds = 0.0
            self._depth += 1
            if self._seconds + now - self._begun < _DELAY:
                return
            bars = list(_open_bars)
            if not bars:
                self._own = Progress(None)
                self._own._start = -math.inf  # the delay is over
                bars = [self._own]
        for bar in bars:
            bar.tell(self._TEXT)

    def end(self) -> None:
        """End the compilation of a function."""
        with self._lock:
            self._depth -= 1
            if self._depth:
                return
            self._ended = time.monotonic()
            self._seconds += self._ended - self._begun
            own, self._own = self._own, None
        if own is not None:
            own.close()


class Stages(Progress):
    """A bar that stages of work share, one after the other.

    A stage takes a part of what is left of the bar: its work relative to the work of it and all later stages. So the
    bar also grows with the work, and never goes back, if stages are left out or repeated.

    Parameters
    ----------
    whole : Progress
        The bar.
    work : dict
        Expected work of each stage, in the order of the stages.
    """

    def __init__(self, whole: Progress, work: Mapping[str, float]) -> None:
        self._whole, self._work = whole, dict(work)
        self._first = self._last = self._reached = 0.0
        self._lock = threading.Lock()

    def begin(self, stage: str) -> None:
        """Begin a stage; updates now are fractions of its work. A stage that was not expected does not move the bar."""
        self._first = self._reached = self._last
        names = list(self._work)
        if stage in names:
            left = sum(self._work[name] for name in names[names.index(stage) :])
            self._last += self._work[stage] / left * (1.0 - self._last)

    def update(self, fraction: float, text: str) -> None:
        """Show the fraction of the stage's work that is done; a smaller one than before does not move the bar."""
        with self._lock:
            share = self._first + min(max(fraction, 0.0), 1.0) * (self._last - self._first)
            reached = self._reached = max(self._reached, share)
        self._whole.update(reached, text)


class Pieces:
    """A bar that pieces of work share that may be done at the same time; its fraction is the mean of theirs.

    Parameters
    ----------
    whole : Progress
        The bar.
    count : int
        Number of pieces.
    """

    def __init__(self, whole: Progress, count: int) -> None:
        self.whole, self.done = whole, [0.0] * count

    def piece(self, index: int) -> Progress:
        """Return the bar of one piece."""
        return _Piece(self, index)


class _Piece(Progress):
    """The bar of one piece of work."""

    def __init__(self, pieces: Pieces, index: int) -> None:
        self._pieces, self._index = pieces, index

    def update(self, fraction: float, text: str) -> None:
        """Show the mean of the fractions of all pieces."""
        done = self._pieces.done
        done[self._index] = max(done[self._index], fraction)
        self._pieces.whole.update(sum(done) / len(done), text)
