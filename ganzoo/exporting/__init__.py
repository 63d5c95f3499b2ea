"""Trained generators -> verified ONNX bundles."""
