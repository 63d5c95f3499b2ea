"""The plugins of this environment, and their records by name."""
