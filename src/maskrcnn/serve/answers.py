"""A prediction in the forms that clients ask for."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from maskrcnn.masks.polygons import Ring
from maskrcnn.prediction import Prediction
from maskrcnn.serve.problems import Problem


@dataclass(frozen=True)
class Answer:
    """Bytes, what they are, and further headers."""

    content: bytes
    media_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


def coco(prediction: Prediction) -> Answer:
    """The size of the picture, and its objects as COCO results: masks are compressed run lengths."""
    return json_answer(_with_size(prediction, [_without_id(found) for found in prediction.to_coco()]))


def polygons(prediction: Prediction) -> Answer:
    """The same with outlines: the outer ring of each part as `segmentation`, and the rings of `holes`, flat x, y."""
    objects = [_without_id(found) for found in prediction.to_coco()]
    for found, parts in zip(objects, prediction.polygons(), strict=True):
        found["segmentation"] = [_flat(outer) for outer, _ in parts]
        found["holes"] = [_flat(hole) for _, holes in parts for hole in holes]
    return json_answer(_with_size(prediction, objects))


def overlay(prediction: Prediction) -> Answer:
    """The picture with outlines, names and scores drawn over it, as PNG."""
    return replace(png(prediction.overlay()), headers=_headers(prediction))


def labels(prediction: Prediction) -> Answer:
    """A 16-bit PNG: the number of an object, from 1, in the pixels of its mask; a better object hides others.

    Raises:
        Problem: 422, more objects than 16 bits can number.
    """
    if len(prediction) > (most := int(np.iinfo(np.uint16).max)):
        raise Problem(422, f"format=labels numbers up to {most} objects, found {len(prediction)}; use format=coco")
    return replace(png(prediction.label_image().astype(np.uint16)), headers=_headers(prediction))


FORMATS: dict[str, Callable[[Prediction], Answer]] = {
    "coco": coco,
    "polygons": polygons,
    "overlay": overlay,
    "labels": labels,
}
"""What `format=` may name."""


def json_answer(content: Any) -> Answer:
    """Strict JSON: a NaN is an error, never a word that browsers cannot read."""
    return Answer(json.dumps(content, allow_nan=False).encode())


def _with_size(prediction: Prediction, objects: list[dict[str, Any]]) -> dict[str, Any]:
    height, width = prediction.image_size
    return {"height": height, "width": width, **facts(prediction), "objects": objects}


def facts(prediction: Prediction) -> dict[str, Any]:
    """What may be missing: `limited`, objects beyond the limit; `shrunk`, small ones, lost at this scale, or None."""
    scale = prediction.shrunk
    return {"limited": prediction.limited > 0, "shrunk": None if scale is None else round(scale, 3)}


def _headers(prediction: Prediction) -> dict[str, str]:
    """The same for answers that are pictures: `Maskrcnn-Limited: true`, and `Maskrcnn-Shrunk: 0.28` where it is."""
    told = ((name, value) for name, value in facts(prediction).items() if value is not None)
    return {f"Maskrcnn-{name.capitalize()}": json.dumps(value) for name, value in told}


def _without_id(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key != "image_id"}


def _flat(ring: Ring) -> list[float]:
    return [float(value) for value in ring.ravel().tolist()]


def png(pixels: npt.NDArray[np.uint8 | np.uint16]) -> Answer:
    """Pixels as PNG, fast rather than small: the network waits for the same processor."""
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG", compress_level=1)
    return Answer(buffer.getvalue(), "image/png")
