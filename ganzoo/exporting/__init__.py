"""Export: trained generators -> verified ONNX bundles."""
