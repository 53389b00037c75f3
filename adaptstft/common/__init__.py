"""Tools without signal processing: argument checks, types, threads, progress bars, text."""
