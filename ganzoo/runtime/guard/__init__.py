"""What an .onnx file may hold, checked before onnxruntime sees it.

Why not with onnx itself: where bundles are served, neither onnx nor protobuf is installed. And onnx's checker
and strict shape inference (1.23) let pass 28 of the 68 hostile files of tests/runtime: open sizes, tensors of
terabytes, fields that two readers would read differently; on one of them they took more than 3 GB of memory.
"""
