"""Bottom-up networks. A backbone maps pixels to the feature maps C2..C5 and says their widths and strides."""
