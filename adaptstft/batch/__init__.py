"""Many recordings, each tuned by itself: `optimize_many` and its table."""
