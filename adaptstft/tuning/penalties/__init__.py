"""Terms that are minimised beside the criterion."""
