"""Many recordings, each tuned by itself."""
