"""What Cityscapes' labels say of pixels besides objects, for the benchmark's own metric."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class StreetPixels:
    """Pixels by the ids of images, each a mask as COCO's run lengths in the size of its image.

    Attributes:
        void: where nothing that is found is wrong.
        left_out: of objects of classes that do not count.
    """

    void: Mapping[int, Mapping[str, Any]]
    left_out: Mapping[int, Mapping[str, Any]]
