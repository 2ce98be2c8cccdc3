"""Several splits, as the reader of COCO content passed them, as one scene to be written."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from maskrcnn.data.coco import LabelledImages
from maskrcnn.data.formats.content import SPLITS, Json, LabelContent
from maskrcnn.data.formats.renumbering import Renumbering
from maskrcnn.data.formats.writers.clean import clean_content
from maskrcnn.data.formats.writers.scene import Scene


def repaired(sources: Iterable[LabelContent], read: Callable[[LabelContent], LabelledImages]) -> Scene:
    """All splits as one, ids numbered anew; an image of a file `instances_train.json` is of the split train.

    Args:
        sources: the labels, one split after the other; their images lie in one folder.
        read: the reader of COCO content with its settings.
    """
    classes: dict[str, Json] = {}
    images, annotations = list[Json](), list[Json]()
    folder, has_void = Path(), False
    for source in sources:
        data = read(source)
        folder, has_void = data.folder, has_void or data.has_void
        content, named = clean_content(data, source), source.source.stem.rpartition("_")[2]
        for entry in content["categories"]:
            classes.setdefault(entry["name"], {**entry, "id": len(classes) + 1})
        labels = {entry["id"]: classes[entry["name"]]["id"] for entry in content["categories"]}
        first = len(images) + 1
        places = {image["id"]: first + number for number, image in enumerate(content["images"])}
        split = {"split": named} if named in SPLITS and source.source.is_file() else {}
        renumbered = map(Renumbering(labels).of, content["images"])
        images += [{**split, **image, "id": places[image["id"]]} for image in renumbered]
        for entry in content["annotations"]:
            number, label = len(annotations) + 1, labels[entry["category_id"]]
            annotations.append({**entry, "id": number, "image_id": places[entry["image_id"]], "category_id": label})
    coco = {"images": images, "annotations": annotations, "categories": list(classes.values())}
    return Scene({**coco, "unlabelled": "void"} if has_void else coco, folder)
