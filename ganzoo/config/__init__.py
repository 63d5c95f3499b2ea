"""Settings, and their resolution: names and overrides -> a plan."""
