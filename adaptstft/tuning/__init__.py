"""From a signal to a tuned transform."""
