"""Models exported to ONNX, used without PyTorch."""
