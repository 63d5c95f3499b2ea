"""The version, on its own: the build reads it here, and nothing is imported for it."""

__version__ = "0.2.0"
