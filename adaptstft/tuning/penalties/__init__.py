"""Penalties that are minimised beside the criterion, and limits of the frame bounds."""
