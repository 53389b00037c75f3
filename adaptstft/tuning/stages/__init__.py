"""The stages of tuning."""
