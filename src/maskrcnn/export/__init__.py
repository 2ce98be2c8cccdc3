"""Networks written for other engines. Needs PyTorch and onnx."""
