"""Shared parts of the public adapters to other frameworks."""
