"""Faster steps with the same values: devices, CUDA graphs, layers."""
