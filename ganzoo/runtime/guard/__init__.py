"""Checks an .onnx file before onnxruntime reads it.

Why not with onnx itself: servers of bundles have neither onnx nor protobuf. And onnx's checker and strict
shape inference (1.23) accept 28 of 68 hostile files in tests/runtime: unknown sizes, tensors of terabytes,
fields that two readers would read differently; for one of them they took more than 3 GB of memory.
"""
