"""Networks: built from a plan, held to their contract, and called."""
