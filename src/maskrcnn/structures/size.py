"""Size: of an image."""

Size = tuple[int, int]
"""(height, width) in pixels."""
