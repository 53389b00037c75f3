"""Benchmarks against other packages: ``make bench``, or ``python -m benchmarks --help``."""
