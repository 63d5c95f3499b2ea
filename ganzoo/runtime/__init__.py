"""Runs exported generators with only onnxruntime and numpy: no torch, no pluggy, no onnx."""

from ganzoo.runtime.generator import FORMAT, Generator, from_bytes, load

__all__ = ["FORMAT", "Generator", "from_bytes", "load"]
