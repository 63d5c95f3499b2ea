"""Settings and what they come to: names and overrides -> a plan."""
