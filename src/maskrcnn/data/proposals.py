"""Proposals from a file: where a model without RPN looks (Fast R-CNN, R-CNN).

The file is a list of COCO results (`image_id` or `file_name`, `bbox`, `score`), as `maskrcnn predict` and `evaluate`
write them, so that the predictions of an RPN can be handed on as they are.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from maskrcnn.data.geometry import View
from maskrcnn.errors import UserError
from maskrcnn.json_values import is_number, load_json, whole_number
from maskrcnn.structures.image_names import ImageNames
from maskrcnn.text import brief

MAX_PROPOSALS = 2000
"""The best of each image; the paper trains with as many."""


@dataclass(frozen=True)
class ProposalStore:
    """Boxes of N images, best first.

    Attributes:
        first: (N + 1,) int64; image i owns the boxes first[i] up to first[i + 1].
        boxes: (P, 4) float32 x1, y1, x2, y2 in the `original` frame.
    """

    first: Tensor
    boxes: Tensor

    def of(self, image: int) -> Tensor:
        """(P_i, 4) the boxes of an image, in the `original` frame."""
        start, end = self.first[image : image + 2].tolist()
        return self.boxes[start:end]

    def seen(self, image: int, view: View) -> Tensor:
        """(P_i, 4) the boxes of an image as a view of it shows them, without those it does not show."""
        height, width = view.output_size
        boxes = np.clip(view.boxes(self.of(image).numpy()), 0, [width, height] * 2)
        return torch.from_numpy(boxes[(boxes[:, 2:] > boxes[:, :2]).all(axis=1)].astype(np.float32))


def read_proposals(
    path: Path, file_names: Sequence[str], image_ids: Sequence[int], limit: int = MAX_PROPOSALS
) -> ProposalStore:
    """The proposals for N images; images that the file does not name have none.

    Args:
        path: a JSON list of COCO results. Where an entry has a `file_name`, that alone says which image is meant (one
            of the two names may have more folders in front, or be spelled otherwise); otherwise its `image_id` does.
        file_names: N.
        image_ids: N.
        limit: so many of an image are kept, those of the highest scores.

    Raises:
        UserError: not such a list, a name that fits several images, or not one of the images has a proposal.
    """
    results = load_json(path)
    if not isinstance(results, list):
        raise UserError(f"{path}: expected a list of proposals (image_id, bbox, score), got {brief(results)}")
    stated = {name for entry in results if isinstance(entry, dict) and isinstance(name := entry.get("file_name"), str)}
    found, by_id = ImageNames(file_names).find_all(stated), {image_id: i for i, image_id in enumerate(image_ids)}
    of_image = defaultdict[int, list[tuple[float, list[float]]]](list)
    for number, entry in enumerate(results):
        name, image_id, score, box = _checked(path, number, entry)
        places = found[name] if name else [by_id[image_id]] if image_id in by_id else []
        if len(places) > 1:
            one, other, *_ = (file_names[place] for place in sorted(places))
            raise UserError(
                f"{path}: proposal number {number}: expected the name of one image, but {brief(name)} fits several, "
                f"such as {brief(one)} and {brief(other)}; state its folder too"
            )
        for image in places:
            of_image[image].append((score, box))
    if not of_image:
        raise UserError(f"{path}: expected proposals for the given images, got none; do image_id or file_name agree?")
    best = [sorted(of_image[i], key=lambda scored: -scored[0])[:limit] for i in range(len(file_names))]
    boxes = np.array([box for scored in best for _, box in scored], np.float32).reshape(-1, 4)
    first = np.cumsum([0, *map(len, best)])
    return ProposalStore(torch.from_numpy(first), torch.from_numpy(boxes))


def _checked(path: Path, number: int, entry: Any) -> tuple[str, int | None, float, list[float]]:
    """File name, image id, score, and x1, y1, x2, y2 of an entry."""
    if isinstance(entry, dict):
        name, box, score = entry.get("file_name"), entry.get("bbox"), entry.get("score", 0.0)
        if isinstance(box, list) and len(box) == 4 and all(map(is_number, box)) and is_number(score):
            x, y, width, height = map(float, box)
            name = name if isinstance(name, str) else ""
            return name, whole_number(entry.get("image_id")), float(score), [x, y, x + width, y + height]
    raise UserError(
        f"{path}: proposal number {number}: expected image_id or file_name, bbox (x, y, width, height) and score, "
        f"got {brief(entry)}"
    )
