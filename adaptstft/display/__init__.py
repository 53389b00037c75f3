"""Pictures and HTML of anything that has axes."""
