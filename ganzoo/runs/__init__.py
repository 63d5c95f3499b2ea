"""The run directory: record, checkpoints, weights. Training writes it; export and evaluation read it."""
