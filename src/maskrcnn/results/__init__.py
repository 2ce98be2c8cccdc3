"""What becomes of predictions: files that other programs read. Of one image, none of it needs PyTorch."""
