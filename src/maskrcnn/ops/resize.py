"""The size rule of the network's input."""

from __future__ import annotations

from maskrcnn.structures import Size


def resized_size(size: Size, min_size: int, max_size: int, shrink: bool = True, round_to_nearest: bool = False) -> Size:
    """The (height, width) an image of `size` is resized to, both at least 1.

    The short side becomes `min_size` unless the long side would then exceed `max_size`.

    Args:
        size: (height, width) in pixels.
        min_size: wanted short side.
        max_size: limit of the long side.
        shrink: False: an image is never made smaller to reach `min_size`; only `max_size` may do that.
        round_to_nearest: fractions of a pixel are rounded, as in detectron2; False: cut off, as in torchvision.
    """
    scale = min_size / min(size)
    if not shrink:
        scale = max(scale, 1.0)
    scale = min(scale, max_size / max(size))
    half = 0.5 if round_to_nearest else 0.0
    return max(1, int(size[0] * scale + half)), max(1, int(size[1] * scale + half))
