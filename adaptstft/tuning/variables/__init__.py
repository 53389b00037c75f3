"""What is tuned: window lengths, positions and shapes as variables of an optimiser."""
