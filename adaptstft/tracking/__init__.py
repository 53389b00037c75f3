"""Instantaneous frequencies, reassignment and synchrosqueezing, and signals from magnitudes."""
