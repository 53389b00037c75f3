"""Searches over a grid of window lengths."""
