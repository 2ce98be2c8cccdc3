"""Label maps: the class of every pixel, (H, W) uint8; `K` is background, 0..K-1 are the classes."""

IGNORED = 255
"""Where the class is unknown: crowds and ignored regions. Such pixels are neither learned from nor counted."""
MOST_CLASSES = 254
"""Besides background, so that a label map fits into bytes, and so into a PNG."""
