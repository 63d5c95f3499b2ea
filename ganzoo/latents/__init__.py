"""Looking into a trained generator: directions of change in its latents, the latents of given samples."""
