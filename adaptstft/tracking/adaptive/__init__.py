"""`adaptstft.track`: ridges with a window length for each time, and intervals that contain the bias."""
