"""ganzoo: a zoo of GANs found through plugins, trained by one loop, exported to verified ONNX."""

__version__ = "0.1.0"
