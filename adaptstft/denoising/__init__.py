"""Removal of white noise by shrinking transforms, with windows and thresholds tuned by an estimate of the risk."""
