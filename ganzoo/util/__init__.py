"""Small helpers that know nothing of GANs."""
