"""YOLO: `images/SPLIT/`, `labels/SPLIT/` and `data.yaml`; parts and holes are joined to one ring by bridges."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import yaml

from maskrcnn.data.formats.writers.scene import CROWD, Item, Loss, Ring, Scene, copy_picture, save
from maskrcnn.structures import Size


def write(scene: Scene, folder: Path) -> Loss:
    loss, splits = Loss(), dict[str, str]()
    numbers = {name: number for number, name in enumerate(scene.classes)}
    for picture in scene.pictures:
        split = picture.split or "train"
        splits[split] = f"images/{split}"
        copy_picture(picture.source, folder / "images" / split / picture.name)
        lines = [_line(numbers[item.label], item) for item in picture.items if not item.crowd]
        loss[CROWD] += sum(item.crowd for item in picture.items)
        save(folder / "labels" / split / f"{picture.stem}.txt", "".join(f"{line}\n" for line in lines))
    settings = {"path": ".", **splits, "names": dict(enumerate(scene.classes))}
    save(folder / "data.yaml", yaml.safe_dump(settings, sort_keys=False, allow_unicode=True))
    return +loss


def _line(number: int, item: Item) -> str:
    if item.segmentation is None:
        x, y, width, height = item.box
        return _written(number, [x + width / 2, y + height / 2, width, height], item.size)
    return _written(number, one_ring(item), item.size)


def _written(number: int, values: list[float], size: Size) -> str:
    sides = (size[1], size[0])
    return " ".join([str(number), *(repr(float(value / sides[place % 2])) for place, value in enumerate(values))])


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
