"""What makes a step fast, with the same values: devices, CUDA graphs, layers."""
