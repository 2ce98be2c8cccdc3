"""What labels say of classes besides objects where not every class was looked for everywhere (LVIS)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Federated:
    """Of K classes, and of images by their ids (Gupta et al. 2019, section 3).

    Attributes:
        frequencies: (K,) "r", "c" or "f": whether a class is rare, common or frequent; "" where nobody says.
        absent: labels of classes that are known not to be in an image; of others without an object nothing is known.
        incomplete: labels of classes of which not every object in the image is labelled.
    """

    frequencies: tuple[str, ...]
    absent: Mapping[int, tuple[int, ...]]
    incomplete: Mapping[int, tuple[int, ...]]
