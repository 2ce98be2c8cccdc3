"""What becomes of predictions: files that other programs read. Nothing here needs PyTorch."""
