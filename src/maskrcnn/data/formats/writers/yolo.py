"""YOLO: `images/SPLIT/`, `labels/SPLIT/` and `data.yaml`; parts and holes are joined to one ring by bridges."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import yaml

from maskrcnn.data.channels import UNKNOWN
from maskrcnn.data.formats.content import SPLITS
from maskrcnn.data.formats.writers.scene import CROWD, SCORES, Item, Loss, Picture, Ring, Scene, copy_picture, save
from maskrcnn.data.windowed.files import labelled_header
from maskrcnn.structures import Size


def write(scene: Scene, folder: Path) -> Loss:
    loss, splits = Loss(), dict[str, str]()
    numbers = {name: number for number, name in enumerate(scene.classes)}
    for picture in scene.pictures:
        split = picture.split or "train"
        splits[split] = f"images/{split}"
        copy_picture(picture.source, folder / "images" / split / picture.name)
        turn = _turn_of(picture)
        lines = [_line(numbers[item.label], item, turn) for item in picture.items if not item.crowd]
        loss[CROWD] += sum(item.crowd for item in picture.items)
        loss[SCORES] += sum(item.score is not None for item in picture.items)
        save(folder / "labels" / split / f"{picture.stem}.txt", "".join(f"{line}\n" for line in lines))
    settings = {**_places(splits), "names": dict(enumerate(scene.classes))}
    save(folder / "data.yaml", yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))
    return +loss


def _places(splits: dict[str, str]) -> dict[str, str]:
    """Where each split is, seen from data.yaml: with a `path`, Ultralytics takes them from its working directory.

    It refuses data without `train` or `val`, and a `val` without pictures: one that is missing is the first there is.
    """
    there = {split: splits[split] for split in SPLITS if split in splits}
    stand_ins = dict.fromkeys(("train", "val"), next(iter(there.values()))) if there else {}
    return {**stand_ins, **there}


Turn = Callable[[float, float], tuple[float, float]]
"""x, y as parts of the stored picture to those of the upright one."""

_TURNS: dict[int, Turn] = {
    5: lambda x, y: (y, x),
    6: lambda x, y: (1 - y, x),
    7: lambda x, y: (1 - y, 1 - x),
    8: lambda x, y: (y, 1 - x),
}


def _turn_of(picture: Picture) -> Turn | None:
    """For labels of the stored pixels: lines state no size that could tell these from the upright picture."""
    header = labelled_header(picture.source, UNKNOWN)
    return _TURNS.get(header.orientation) if header.is_labelled_raw(picture.size) else None


def _line(number: int, item: Item, turn: Turn | None) -> str:
    if item.segmentation is None:
        x, y, width, height = item.box
        (x1, y1), (x2, y2) = _parts([x, y, x + width, y + height], item.size, turn)
        return _written(number, [((x1 + x2) / 2, (y1 + y2) / 2), (abs(x2 - x1), abs(y2 - y1))])
    return _written(number, _parts(one_ring(item), item.size, turn))


def _parts(values: list[float], size: Size, turn: Turn | None) -> list[tuple[float, float]]:
    """Pixels x, y, ... as parts of the image."""
    points = [(float(x / size[1]), float(y / size[0])) for x, y in zip(values[::2], values[1::2], strict=True)]
    return points if turn is None else [turn(x, y) for x, y in points]


def _written(number: int, points: list[tuple[float, float]]) -> str:
    return " ".join([str(number), *(repr(value) for point in points for value in point)])


def one_ring(item: Item) -> list[float]:
    """A single polygon as it is; else the outlines of the pixels, one after the other, with bridges there and back."""
    if len(item.rings) == 1:
        return list(item.rings[0])
    joined: Ring = np.zeros((0, 2))
    for outline, holes in item.outlines:
        for ring in (outline, *holes):
            joined = bridged(joined, ring)
    return [float(value) for value in joined.reshape(-1)]


def bridged(first: Ring, second: Ring) -> Ring:
    """Two rings as one: from the point of the first that is nearest to the second over there, around, and back."""
    if not len(first):
        return second
    distances = ((first[:, None] - second[None]) ** 2).sum(axis=2)
    here, there = np.unravel_index(int(distances.argmin()), distances.shape)
    around = np.concatenate([second[there:], second[: there + 1]])
    return np.concatenate([first[: here + 1], around, first[here:]])
