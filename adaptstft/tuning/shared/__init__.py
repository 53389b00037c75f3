"""Parameters that many signals share."""
