"""What the reader of COCO content passed, as COCO content again: every mask is good, every box stated."""

from __future__ import annotations

from maskrcnn.data.coco import LabelledImages
from maskrcnn.data.coco_federated import ABSENT, INCOMPLETE
from maskrcnn.data.coco_keypoints import keypoints_to_coco
from maskrcnn.data.formats.content import Json, LabelContent
from maskrcnn.masks.rle_coco import rle_to_coco
from maskrcnn.structures import RLE


def clean_content(data: LabelledImages, content: LabelContent | None = None) -> Json:
    """The objects of `data`, with the splits of the `content` they were read from, if it names some."""
    splits = {} if content is None else {image["id"]: image.get("split") for image in content.coco["images"]}
    labels, images, annotations = data.labels, [], []
    for place in range(len(labels)):
        height, width = labels.size(place)
        number = int(labels.image_ids[place])
        named = {"split": splits[number]} if splits.get(number) else {}
        image = {"id": number, "file_name": labels.file_name(place), "height": height, "width": width, **named}
        images.append({**image, **_federated(data, number)})
        annotations += [_annotation(data, item, number, (height, width)) for item in labels.objects(place)]
    categories = data.categories.to_coco()
    if data.federated is not None:
        frequencies = zip(categories, data.federated.frequencies, strict=True)
        categories = [{**entry, "frequency": said} if said else entry for entry, said in frequencies]
    clean = {"images": images, "annotations": annotations, "categories": categories}
    return {**clean, "unlabelled": "void"} if data.has_void else clean


def without_stuff(content: Json) -> Json:
    """Objects alone, for forms that know nothing else; the classes of stuff go with it."""
    things = [entry for entry in content["categories"] if entry.get("isthing") != 0]
    ids = {entry["id"] for entry in things}
    annotations = [entry for entry in content["annotations"] if entry["category_id"] in ids]
    return {**content, "categories": things, "annotations": annotations}


def _federated(data: LabelledImages, image: int) -> Json:
    """Which classes the labels say that an image has not, or not all of (LVIS)."""
    if data.federated is None or image not in data.federated.absent:
        return {}
    lists = {ABSENT: data.federated.absent, INCOMPLETE: data.federated.incomplete}
    return {name: [data.categories.ids[label] for label in of_images[image]] for name, of_images in lists.items()}


def _annotation(data: LabelledImages, item: int, image: int, size: tuple[int, int]) -> Json:
    labels = data.labels
    x1, y1, x2, y2 = labels.boxes[item].tolist()
    mask = labels.mask(item, size)
    entry: Json = {
        "id": int(labels.annotation_ids[item]),
        "image_id": image,
        "category_id": data.categories.ids[int(labels.labels[item])],
        "bbox": [x1, y1, x2 - x1, y2 - y1],
        "iscrowd": int(labels.ignore[item]),
    }
    if (keypoints := labels.keypoints_of(item)) is not None:
        entry |= keypoints_to_coco(keypoints)
    if mask is None:
        return entry
    rings = rle_to_coco(mask) if isinstance(mask, RLE) else [ring.reshape(-1).tolist() for ring in mask.rings]
    return {**entry, "segmentation": rings}
