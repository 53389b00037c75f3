"""What the public adapters to other frameworks share."""
