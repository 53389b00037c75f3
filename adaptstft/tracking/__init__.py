"""Instantaneous frequencies, reassignment, and phases from magnitudes."""
