"""The objective in the optimiser's variables, and the optimisers."""
