"""The run directory: record, checkpoints, weights. What passes between training, export and evaluation."""
