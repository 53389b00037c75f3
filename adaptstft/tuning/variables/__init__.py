"""Variables of the optimiser: window lengths, positions and window shapes."""
