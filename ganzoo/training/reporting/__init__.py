"""What a run writes and reports while it trains."""
