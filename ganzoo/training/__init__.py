"""Training: the loop and all that belongs to it. Everything outside starts at `session.py`."""
