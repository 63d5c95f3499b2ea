"""What an .onnx file may hold, checked before onnxruntime sees it."""
