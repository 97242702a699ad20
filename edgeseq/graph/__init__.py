"""Reading ONNX graphs."""
