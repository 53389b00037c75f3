"""Results of tuning: fields, files, notes, flatness and recommended integer lengths."""
