"""COCO panoptic (https://cocodataset.org/#format-results): `panoptic.json`, and a PNG of segments for each image.

A colour of a PNG is a segment's id, R + 256 G + 256^2 B; 0 is nothing. The pictures lie in a folder of the JSON file's
name, as panopticapi looks for them; our own reader (`data/formats/panoptic.py`) and hotcoco read them too.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from maskrcnn.files import write_atomically
from maskrcnn.marks import mark_options
from maskrcnn.masks.regions import labelled_regions
from maskrcnn.masks.rle import rle_window
from maskrcnn.results.rows import ResultRows
from maskrcnn.structures import Categories
from maskrcnn.structures.panoptic import PanopticMap


def save_segments(path: Path, panoptic: PanopticMap, categories: Categories) -> dict[str, Any]:
    """Write the PNG of an image; returns what its row of results says: `file_name` and `segments_info`.

    Raises:
        UserError: it cannot be written.
    """
    numbers = panoptic.numbers
    colours = np.stack([numbers & 255, numbers >> 8 & 255, numbers >> 16], axis=-1).astype(np.uint8)
    write_atomically(path, lambda partial: Image.fromarray(colours).save(partial, "PNG", **mark_options("PNG")))
    boxes = {number: rle_window(mask) for number, mask in labelled_regions(numbers)}
    infos = []
    for segment in panoptic.segments:
        x1, y1, x2, y2 = boxes[segment.number]
        info = {"id": segment.number, "category_id": categories.ids[segment.label], "area": segment.area}
        scored = {} if segment.score is None else {"score": segment.score}
        infos.append({**info, "bbox": [x1, y1, x2 - x1, y2 - y1], "iscrowd": 0, **scored})
    return {"file_name": path.name, "segments_info": infos}


def write_panoptic(path: Path, rows: ResultRows, names: Sequence[str], categories: Categories) -> None:
    """Write the JSON of all finished images; image by image, so that memory does not grow with their number.

    Args:
        path: of the file to write.
        rows: those without `panoptic` are left out.
        names: images whose numbers, from 1, are their ids, as in `ResultRows.write_coco`.
        categories: the model's classes.

    Images are named relative to the folder that all have in common.
    """
    from maskrcnn.results.finished import relative_names  # brings the label formats, which exported models do without

    def found() -> Iterator[tuple[int, dict[str, Any]]]:
        return ((number, row) for number, row in rows.numbered(names) if isinstance(row.get("panoptic"), dict))

    relative = relative_names([row["file_name"] for _, row in found()])

    def parts() -> Iterator[str]:
        yield f'{{"categories": {json.dumps(_kinds(categories))}, "images": ['
        for place, (number, row) in enumerate(found()):
            name, size = relative[row["file_name"]], {key: row[key] for key in ("height", "width")}
            image = {"id": number, "file_name": name, **size}
            yield ", " * (place > 0) + json.dumps(image)
        yield '], "annotations": ['
        for place, (number, row) in enumerate(found()):
            yield ", " * (place > 0) + json.dumps({"image_id": number, **row["panoptic"]})
        yield "]}\n"

    def write(partial: Path) -> None:
        with partial.open("w") as file:
            file.writelines(parts())

    write_atomically(path, write)


def _kinds(categories: Categories) -> list[dict[str, Any]]:
    """Each class with `isthing`, also where all are things."""
    return [{**entry, "isthing": int(k not in categories.stuff)} for k, entry in enumerate(categories.to_coco())]
