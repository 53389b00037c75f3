"""Recordings from files: channels, sampling rate and name.

file -> `reading` (by the ending) -> `source` (open once) -> `audio`, `tables`, `columnar`, `arrays` or `matlab` (the
samples) -> `columns` and `variables` (which of them is the clock) -> `clock` (is it even, and at which rate). The rate
of a table without a clock may stand above its rows (`rate_lines`).
"""

from adaptstft.recordings.reading import read
from adaptstft.recordings.reading import read_at as read_at
from adaptstft.recordings.recording import Recording
from adaptstft.recordings.recording import pick_channel as pick_channel

__all__ = ["Recording", "read"]
