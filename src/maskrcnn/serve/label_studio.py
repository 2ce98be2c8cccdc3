"""Label Studio's ML backend: this server labels in advance what people then correct.

https://labelstud.io/guide/ml_create: the messages of `/setup` and `/predict`. A task names its picture by an address.
A server that fetched whatever it is told would be a door into its network: pictures come in the task itself, or
from the one Label Studio that the operator has named.
"""

from __future__ import annotations

import time
import urllib.error
import urllib.request
from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes, urljoin, urlsplit

import numpy as np

from maskrcnn.detected import DetectedObject
from maskrcnn.errors import UserError
from maskrcnn.masks.brush import encode_brush
from maskrcnn.prediction import Prediction
from maskrcnn.serve.json_bodies import load_object, member
from maskrcnn.serve.problems import Problem
from maskrcnn.serve.settings import ServeSettings
from maskrcnn.structures import Size
from maskrcnn.structures.masks import FloatArray
from maskrcnn.text import brief, one_line
from maskrcnn.xml_values import parse_xml

MAX_TASKS = 100
"""In one message; Label Studio asks again for the rest."""

_PIECE = 1 << 16

Json = dict[str, Any]


@dataclass(frozen=True)
class Labelling:
    """What a labelling interface asks for.

    Attributes:
        kind: brushlabels, polygonlabels or rectanglelabels.
        from_name: of the tag with the labels.
        to_name: of the picture's tag.
        key: of the picture's address in a task's data.
        labels: how the interface calls a class of the model, by its name in small letters.
    """

    kind: str
    from_name: str
    to_name: str
    key: str
    labels: dict[str, str]

    def require_any(self, names: Sequence[str]) -> None:
        """A `Problem` 422 where no label stands for one of these classes: nothing could ever be labelled."""
        if self.labels.keys() & {name.lower() for name in names}:
            return
        classes, labels = one_line(", ".join(names)), one_line(", ".join(dict.fromkeys(self.labels.values())))
        if not labels:
            raise Problem(422, f"the interface has no Label; give it one for a class of the model: {classes}")
        raise Problem(
            422,
            f"none of the labels {labels} is a class of the model: {classes}; rename them or give predicted_values",
        )


def read_tasks(body: bytes) -> tuple[Labelling, list[str]]:
    """The interface, and the address of each task's picture; a `Problem` 400 or 413 where they cannot be had."""
    content = load_object(body)
    tasks = member(content, "tasks", list)
    if len(tasks) > MAX_TASKS:
        raise Problem(413, f"tasks: expected at most {MAX_TASKS}, got {len(tasks)}")
    labelling = read_labelling(member(content, "label_config", str))
    return labelling, [_address(task, labelling.key) for task in tasks]


def check_setup(body: bytes, names: Sequence[str]) -> None:
    """The message of `/setup`: a `Problem` as of `Labelling.require_any`, for Label Studio to show beside the model.

    A project that has no interface for pictures yet may come in as well.
    """
    content = load_object(body)
    try:
        labelling = read_labelling(member(content, "schema", str, ""))
    except Problem:
        return
    labelling.require_any(names)


def read_labelling(config: str) -> Labelling:
    """The first of BrushLabels, PolygonLabels and RectangleLabels in an interface that label a picture.

    A label stands for the class of its own name, and for those that its `predicted_values` lists.
    """
    try:
        root = parse_xml(config.encode("utf-8", "replace"), "label_config")
    except UserError as error:
        raise Problem(400, str(error)) from None
    pictures = {tag.get("name", ""): tag.get("value", "") for tag in root.iter("Image")}
    for name in ("BrushLabels", "PolygonLabels", "RectangleLabels"):
        for tag in root.iter(name):
            picture = tag.get("toName", "")
            if picture in pictures:
                labels = {}
                for label in tag.iter("Label"):
                    value = label.get("value", "")
                    names = [value, *label.get("predicted_values", "").split(",")]
                    labels.update({each.strip().lower(): value for each in names if each.strip()})
                key = pictures[picture].removeprefix("$")
                return Labelling(name.lower(), tag.get("name", ""), picture, key, labels)
    raise Problem(400, "label_config: expected BrushLabels, PolygonLabels or RectangleLabels of an Image")


def fetch(address: str, settings: ServeSettings) -> bytes:
    """The bytes of a picture. Called in a thread.

    Raises:
        Problem: 422, an address that is not allowed; 502, Label Studio does not give it; 413, too many bytes.
    """
    if address.startswith("data:"):
        return _inline(address)
    if settings.label_studio is None:
        raise Problem(
            422, "pictures are fetched from a Label Studio only if the server is started with --label-studio URL"
        )
    full = urljoin(settings.label_studio.rstrip("/") + "/", address)
    if _origin(full) != _origin(settings.label_studio):
        raise Problem(422, f"expected a picture of {settings.label_studio}, got {brief(address)}")
    request = urllib.request.Request(full)
    if settings.label_studio_token is not None:
        request.add_header("Authorization", f"Token {settings.label_studio_token}")
    try:
        return _download(request, settings)
    except (OSError, ValueError) as error:
        reason = f"HTTP {error.code}" if isinstance(error, urllib.error.HTTPError) else type(error).__name__
        raise Problem(502, f"Label Studio did not give the picture ({reason})") from None


def result_of(prediction: Prediction, labelling: Labelling, version: str) -> Json:
    """The prediction of one task; classes that the interface has no label for are left out."""
    regions: list[Json] = []
    scores: list[float] = []
    for number, found in enumerate(prediction):
        label = labelling.labels.get(found.name.lower())
        if label is not None:
            scores.append(found.score)
            regions += _regions(found, labelling, label, f"object-{number}", prediction.image_size)
    return {"result": regions, "score": sum(scores) / max(len(scores), 1), "model_version": version}


def _regions(found: DetectedObject, labelling: Labelling, label: str, name: str, size: Size) -> Iterator[Json]:
    height, width = size
    for part, value in enumerate(_values(found, labelling.kind, size)):
        yield {
            "id": f"{name}-{part}",
            "from_name": labelling.from_name,
            "to_name": labelling.to_name,
            "type": labelling.kind,
            "original_width": width,
            "original_height": height,
            "image_rotation": 0,
            "score": found.score,
            "value": {**value, labelling.kind: [label]},
        }


def _values(found: DetectedObject, kind: str, size: Size) -> Iterator[Json]:
    """A brush is exact; polygons are one for each part, and lose holes. In percent of the picture."""
    if kind == "brushlabels":
        yield {"format": "rle", "rle": encode_brush(found.mask.view(np.uint8))}
    elif kind == "polygonlabels":
        for outer, _ in found.polygons:
            yield {"points": _percent(outer, size).tolist(), "closed": True}
    else:
        (x1, y1), (x2, y2) = _percent(found.box.astype(float).reshape(2, 2), size).tolist()
        yield {"x": x1, "y": y1, "width": x2 - x1, "height": y2 - y1, "rotation": 0}


def _percent(points: FloatArray, size: Size) -> FloatArray:
    return points * (100 / size[1], 100 / size[0])


def _address(task: Any, key: str) -> str:
    data = member(task, "data", dict) if isinstance(task, dict) else {}
    return member(data, key, str)


def _origin(address: str) -> tuple[str, str | None, int | None]:
    try:
        parts = urlsplit(address)
        return parts.scheme, parts.hostname, parts.port
    except ValueError:  # a port that is no number
        return "", None, None


def _inline(address: str) -> bytes:
    head, comma, content = address.partition(",")
    if not comma:
        raise Problem(400, "expected data:image/png;base64,... in the task, got no comma")
    try:
        return b64decode(content, validate=True) if head.endswith(";base64") else unquote_to_bytes(content)
    except (ValueError, Base64Error):
        raise Problem(400, "expected base64 text in the task's picture") from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any) -> None:
        """Elsewhere is not where the operator allowed."""


def _download(request: urllib.request.Request, settings: ServeSettings) -> bytes:
    content, end = bytearray(), time.monotonic() + settings.timeout
    with urllib.request.build_opener(_NoRedirect).open(request, timeout=settings.patience) as answer:
        while piece := answer.read(_PIECE):
            content += piece
            if len(content) > settings.max_body:
                raise Problem(413, f"the picture has more than {settings.max_body} bytes")
            if time.monotonic() > end:
                raise TimeoutError
    return bytes(content)
