"""Functions for the build of the documentation that Sphinx does not have."""
