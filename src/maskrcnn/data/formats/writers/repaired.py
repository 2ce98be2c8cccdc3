"""Several splits, as the reader of COCO content passed them, as one scene to be written."""

from __future__ import annotations

from collections.abc import Sequence

from maskrcnn.data.coco import LabelledImages
from maskrcnn.data.formats.content import Json, LabelContent
from maskrcnn.data.formats.table import Labels
from maskrcnn.data.formats.writers.clean import clean_content
from maskrcnn.data.formats.writers.scene import Scene


def repaired(splits: Sequence[LabelledImages], sources: Sequence[Labels]) -> Scene:
    """All splits as one, ids numbered anew; an image of a file `instances_train.json` is of the split train.

    Args:
        splits: what the reader made of each; their images lie in one folder.
        sources: what each was read from.
    """
    classes: dict[str, Json] = {}
    for data in splits:
        for entry in data.categories.to_coco():
            classes.setdefault(entry["name"], {**entry, "id": len(classes) + 1})
    images, annotations = list[Json](), list[Json]()
    for data, source in zip(splits, sources, strict=True):
        named = "" if isinstance(source, LabelContent) else source.stem.rpartition("_")[2]
        content = clean_content(data, source if isinstance(source, LabelContent) else None)
        first = len(images) + 1
        places = {image["id"]: first + number for number, image in enumerate(content["images"])}
        names = {entry["id"]: entry["name"] for entry in content["categories"]}
        split = {"split": named} if named in ("train", "val", "test") else {}
        images += [{**split, **image, "id": places[image["id"]]} for image in content["images"]]
        for entry in content["annotations"]:
            number, label = len(annotations) + 1, classes[names[entry["category_id"]]]["id"]
            annotations.append({**entry, "id": number, "image_id": places[entry["image_id"]], "category_id": label})
    coco = {"images": images, "annotations": annotations, "categories": list(classes.values())}
    return Scene(coco, splits[0].folder)
