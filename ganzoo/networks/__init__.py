"""Networks: building them from a plan, checking their contract, and calling them."""
