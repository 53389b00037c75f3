"""Removal of noise, with windows chosen by an estimate of the risk."""
