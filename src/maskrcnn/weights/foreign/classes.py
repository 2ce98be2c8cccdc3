"""Which class is which: background last, COCO's names, and the slots that COCO does not use."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from maskrcnn.errors import UserError
from maskrcnn.json_values import load_json, whole_number
from maskrcnn.structures import Categories
from maskrcnn.structures.keypoints import KeypointSchema

COCO_SLOTS = 90
"""COCO numbers its classes up to 90 and uses 80 of the numbers; torchvision's models have an output for each number."""

_COCO = """
1 person, 2 bicycle, 3 car, 4 motorcycle, 5 airplane, 6 bus, 7 train, 8 truck, 9 boat, 10 traffic light,
11 fire hydrant, 13 stop sign, 14 parking meter, 15 bench, 16 bird, 17 cat, 18 dog, 19 horse, 20 sheep, 21 cow,
22 elephant, 23 bear, 24 zebra, 25 giraffe, 27 backpack, 28 umbrella, 31 handbag, 32 tie, 33 suitcase, 34 frisbee,
35 skis, 36 snowboard, 37 sports ball, 38 kite, 39 baseball bat, 40 baseball glove, 41 skateboard, 42 surfboard,
43 tennis racket, 44 bottle, 46 wine glass, 47 cup, 48 fork, 49 knife, 50 spoon, 51 bowl, 52 banana, 53 apple,
54 sandwich, 55 orange, 56 broccoli, 57 carrot, 58 hot dog, 59 pizza, 60 donut, 61 cake, 62 chair, 63 couch,
64 potted plant, 65 bed, 67 dining table, 70 toilet, 72 tv, 73 laptop, 74 mouse, 75 remote, 76 keyboard,
77 cell phone, 78 microwave, 79 oven, 80 toaster, 81 sink, 82 refrigerator, 84 book, 85 clock, 86 vase, 87 scissors,
88 teddy bear, 89 hair drier, 90 toothbrush
"""


def _coco() -> Categories:
    entries = [entry.split(maxsplit=1) for entry in " ".join(_COCO.split()).split(", ")]
    return Categories(tuple(int(number) for number, _ in entries), tuple(name for _, name in entries))


COCO = _coco()

_PERSON_POINTS = """
nose left_eye right_eye left_ear right_ear left_shoulder right_shoulder left_elbow right_elbow left_wrist right_wrist
left_hip right_hip left_knee right_knee left_ankle right_ankle
"""
_PERSON_LINES = "15-13 13-11 16-14 14-12 11-12 5-11 6-12 5-6 5-7 6-8 7-9 8-10 1-2 0-1 0-2 1-3 2-4 3-5 4-6"


def _person_keypoints() -> KeypointSchema:
    lines = (line.split("-") for line in _PERSON_LINES.split())
    return KeypointSchema(tuple(_PERSON_POINTS.split()), tuple((int(start), int(end)) for start, end in lines))


PERSON_KEYPOINTS = _person_keypoints()
"""COCO's, in COCO's order."""


def choose_categories(num_classes: int, num_keypoints: int | None = None) -> Categories:
    """The categories of a model with so many classes and keypoints, as far as can be told from the numbers."""
    if num_keypoints is not None:
        return _with_keypoints(num_classes, num_keypoints)
    return COCO if num_classes in (len(COCO), COCO_SLOTS) else _numbered(num_classes)


def _with_keypoints(num_classes: int, num_keypoints: int) -> Categories:
    if num_keypoints == len(PERSON_KEYPOINTS) and num_classes == 1:
        return Categories((1,), ("person",), (PERSON_KEYPOINTS,))
    schema = KeypointSchema(tuple(f"keypoint_{i + 1}" for i in range(num_keypoints)))
    return replace(_numbered(num_classes), schemas=(schema,) * num_classes)


def _numbered(num_classes: int) -> Categories:
    numbers = range(1, num_classes + 1)
    return Categories(tuple(numbers), tuple(f"class_{i}" for i in numbers))


def read_categories(path: Path) -> Categories:
    """Categories from a JSON list: names in the order of the model's outputs, or COCO's {"id": ..., "name": ...}.

    COCO's may have keypoints too, and may lie in a whole annotation file, under `categories`; they are ordered by id.

    Raises:
        UserError: the file is missing or holds anything else.
    """
    entries = load_json(path)
    entries = entries.get("categories") if isinstance(entries, dict) else entries
    if isinstance(entries, list) and entries:
        if all(isinstance(entry, str) for entry in entries):
            return Categories(tuple(range(1, len(entries) + 1)), tuple(entries))
        if all(isinstance(e, dict) and whole_number(e.get("id")) is not None and "name" in e for e in entries):
            return Categories.from_coco(entries)
    raise UserError(f'{path}: expected a list of names, ["cat", "dog"], or of COCO\'s {{"id": 1, "name": "cat"}}')


def require_number(categories: Categories, num_classes: int) -> None:
    """See that weights with outputs for so many classes can have these categories.

    Raises:
        UserError: there are more or fewer; saying so where one of them is the background.
    """
    if len(categories) == num_classes or (len(categories), num_classes) == (len(COCO), COCO_SLOTS):
        return
    hint = ""
    if len(categories) == num_classes + 1:
        background = next((name for name in categories.names if "background" in name.lower()), None)
        hint = f"; leave out {background!r}" if background else "; leave out the name that means the background"
    raise UserError(
        f"there are {len(categories)} categories, and outputs for {num_classes} classes besides the background{hint}"
    )


def background_last(tensors: Mapping[str, Tensor], num_classes: int) -> dict[str, Tensor]:
    """The outputs of torchvision in our order: background goes to the end of the class logits and has no box, no mask.

    Args:
        tensors: in our names, with background as class 0.
        num_classes: K of the result; if it is COCO's 80 where there are 90 slots, only the used slots are kept.
    """
    slots = len(tensors["box_head.class_logits.weight"]) - 1
    used = slots == COCO_SLOTS and num_classes == len(COCO)
    kept = COCO.ids if used else range(1, slots + 1)
    changed = dict(tensors)
    for name, tensor in tensors.items():
        layer = name.rpartition(".")[0]
        if layer in _ROWS:
            if tensor.shape[:1] != (_ROWS[layer] * (slots + 1),):
                raise UserError(
                    f"{name} has shape {tuple(tensor.shape)}, expected {_ROWS[layer]} rows for each of {slots} classes "
                    "and the background"
                )
            rows = tensor.unflatten(0, (slots + 1, _ROWS[layer]))
            last = rows[:1] if layer == "box_head.class_logits" else rows[:0]
            changed[name] = torch.cat([rows[list(kept)], last]).flatten(0, 1)
    return changed


_ROWS = {"box_head.class_logits": 1, "box_head.deltas": 4, "mask_head.mask_logits": 1}
"""Outputs per class of the layers that have any."""
