"""KeypointSchema: what the keypoints of a class are."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from maskrcnn.errors import UserError
from maskrcnn.text import brief

PIXEL_CENTRE = 0.5
"""COCO's files give the number of the pixel that a keypoint lies in; its centre is half a pixel further."""

_SIDE = re.compile(r"left|right|(?<![a-z0-9])[lr](?![a-z0-9])", re.IGNORECASE)
"""The word that says on which side of the body a keypoint is: `left_eye`, `RightKnee`, `l_ear`, `paw_R`."""

_OPPOSITE = {"left": "right", "right": "left", "l": "r", "r": "l"}


@dataclass(frozen=True)
class KeypointSchema:
    """The P keypoints of a class, in their order.

    Attributes:
        names: P unique names.
        skeleton: pairs of keypoints, by number from 0, between which lines are drawn.
    """

    names: tuple[str, ...]
    skeleton: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        if duplicates := repeated(self.names):
            raise UserError(f"keypoints: name {', '.join(duplicates)} appears twice; each must be unique")
        for pair in self.skeleton:
            if not all(0 <= end < len(self.names) for end in pair):
                raise UserError(
                    f"skeleton: expected pairs of numbers from 1 to {len(self.names)}, got {[end + 1 for end in pair]}"
                )

    def __len__(self) -> int:
        return len(self.names)

    @cached_property
    def mirrored(self) -> tuple[int, ...]:
        """For each keypoint, the one that stands in its place in a mirror: left and right change, others stay."""
        opposite = [_SIDE.sub(_opposite, name) for name in self.names]
        numbers = {name: i for i, name in enumerate(self.names)}
        partners = [numbers.get(other, i) for i, other in enumerate(opposite)]
        return tuple(j if opposite[j] == self.names[i] else i for i, j in enumerate(partners))

    @classmethod
    def from_coco(cls, category: Mapping[str, Any]) -> KeypointSchema | None:
        """The keypoints of an entry of COCO's `categories`; None where it has none.

        Raises:
            UserError: `keypoints` or `skeleton` is not what COCO has there.
        """
        names, skeleton = category.get("keypoints") or [], category.get("skeleton") or []
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise UserError(f"keypoints: expected a list of names, got {brief(names)}")
        if not isinstance(skeleton, list) or not all(_is_pair(pair) for pair in skeleton):
            raise UserError(f"skeleton: expected a list of pairs of keypoint numbers, got {brief(skeleton)}")
        if not names:
            return None
        return cls(tuple(names), tuple((first - 1, second - 1) for first, second in skeleton))

    def to_coco(self) -> dict[str, Any]:
        """What COCO's `categories` say of it; `from_coco` reads it back."""
        skeleton = [[first + 1, second + 1] for first, second in self.skeleton]
        return {"keypoints": list(self.names), "skeleton": skeleton}


def repeated(values: Iterable[object]) -> list[str]:
    """The values that occur more than once, as text, sorted; the first ten."""
    return sorted(str(value) for value, times in Counter(values).items() if times > 1)[:10]


def _opposite(side: re.Match[str]) -> str:
    word, other = side[0], _OPPOSITE[side[0].lower()]
    return other.upper() if word.isupper() else other.title() if word.istitle() else other


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(type(end) is int for end in value)
