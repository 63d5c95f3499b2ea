"""Training: the loop and what it needs. Other packages enter it through `session.py`."""
