"""Transforms and inverses of long and live signals, block by block."""
