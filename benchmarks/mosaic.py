"""Labelled pictures side by side in one huge image: does `evaluate` by tiles say of it what it says of the pictures?

    python benchmarks/mosaic.py PATH/TO/nuclei [--model nuclei] [--output mosaic] [--limit 20]

PATH/TO/nuclei has `images/` and `instances_val.json`. Every picture is enlarged as the model would enlarge it, so that
tiles, which the model sees as they are, show objects of the size that it was trained on; its labels are drawn at that
size. They lie at multiples of 64 pixels, as tiles do, each in a margin of its own background, the median of its
outermost pixels. Measured are the enlarged pictures one by one, and the mosaic, a TIFF of which windows are read. What
the edge of a picture cuts ends in the mosaic at an edge inside the image; so the numbers come twice, the second time
with these objects as regions to be ignored. Needs tifffile.
"""

from __future__ import annotations

import argparse
import json
import resource
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import maskrcnn
from maskrcnn.config import Augmentation
from maskrcnn.data.coco import read_coco
from maskrcnn.data.dataset import CocoDataset, Sample
from maskrcnn.evaluation.metrics import Metrics
from maskrcnn.masks.rle_coco import rle_to_coco
from maskrcnn.masks.rle_crops import encode_rle_crop
from maskrcnn.scoring import evaluate_predictions
from maskrcnn.structures import MaskCrops, Size
from maskrcnn.structures.masks import ByteArray

CELL, MARGIN, WIDTH, EDGE = 64, 64, 10_240, 1


@dataclass(frozen=True)
class Placed:
    """An enlarged picture, and where its corner lies."""

    number: int
    size: Size
    x: int
    y: int

    @property
    def room(self) -> tuple[int, int, int, int]:
        """(top, bottom, left, right) of the picture with its margin, in whole cells."""
        top, left = self.y - MARGIN, self.x - MARGIN
        height, width = self.size
        return top, top + _cells(height + 2 * MARGIN), left, left + _cells(width + 2 * MARGIN)


def placed(sizes: list[Size]) -> tuple[list[Placed], Size]:
    """In rows, the tall ones first; (height, width) of the whole."""
    x = y = row = 0
    places = []
    for number in sorted(range(len(sizes)), key=lambda n: (-sizes[n][0], n)):
        place = Placed(number, sizes[number], x + MARGIN, y + MARGIN)
        if place.room[3] > WIDTH:
            x, y, row = 0, y + row, 0
            place = Placed(number, sizes[number], x + MARGIN, y + MARGIN)
        places.append(place)
        x, row = place.room[3], max(row, place.room[1] - y)
    return places, (y + row, WIDTH)


def background(pixels: ByteArray) -> ByteArray:
    """(3,) the median colour of the outermost pixels (H, W, 3)."""
    outermost = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
    return np.median(outermost, axis=0).astype(np.uint8)


def _cells(length: int) -> int:
    return -(-length // CELL) * CELL


def entries(sample: Sample, image_id: int, x: int, y: int, frame: Size, first: int) -> Iterator[dict[str, Any]]:
    """COCO annotations of a picture whose corner lies at (x, y) of a frame."""
    assert sample.targets.masks is not None
    masks = sample.targets.masks
    crops = MaskCrops(masks.windows.numpy(), masks.pixels.numpy(), masks.offsets.numpy(), masks.image_size)
    for index, (x1, y1, x2, y2) in enumerate(crops.windows.tolist()):
        window = (x1 + x, y1 + y, x2 + x, y2 + y)
        crop = crops.crop(index)
        yield {
            "id": first + index,
            "image_id": image_id,
            "category_id": 1,
            "iscrowd": 0,
            "area": int(crop.sum()),
            "bbox": [window[0], window[1], x2 - x1, y2 - y1],
            "segmentation": rle_to_coco(encode_rle_crop(crop, window, frame)),
        }


def write_labels(path: Path, images: list[dict[str, Any]], annotations: list[dict[str, Any]]) -> None:
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "nucleus"}]}
    path.write_text(json.dumps(content))


def write(samples: list[Sample], folder: Path) -> None:
    """`singles/` and `mosaic/`, each with its labels."""
    import tifffile

    places, size = placed([(s.image.shape[1], s.image.shape[2]) for s in samples])
    whole = np.zeros((*size, 3), np.uint8)
    ours: list[dict[str, Any]] = []
    theirs: list[dict[str, Any]] = []
    images = []
    for name in ("singles", "mosaic"):
        (folder / name / "images").mkdir(parents=True, exist_ok=True)
    for place in places:
        sample, (height, width) = samples[place.number], place.size
        pixels: ByteArray = sample.image.permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(folder / "singles" / "images" / f"{place.number}.png")
        top, bottom, left, right = place.room
        whole[top:bottom, left:right] = background(pixels)
        whole[place.y : place.y + height, place.x : place.x + width] = pixels
        ours += entries(sample, place.number, 0, 0, place.size, len(ours) + 1)
        theirs += entries(sample, 1, place.x, place.y, size, len(theirs) + 1)
        images.append({"id": place.number, "file_name": f"{place.number}.png", "height": height, "width": width})
    tifffile.imwrite(folder / "mosaic" / "images" / "mosaic.tif", whole, tile=(256, 256), photometric="rgb")
    one = [{"id": 1, "file_name": "mosaic.tif", "height": size[0], "width": size[1]}]
    write_labels(folder / "singles" / "instances_val.json", images, ours)
    write_labels(folder / "mosaic" / "instances_val.json", one, theirs)
    print(f"{len(images)} pictures, {len(theirs)} objects, mosaic {size[1]} x {size[0]}")


def measure(model: maskrcnn.Model, folder: Path, cut: set[int]) -> list[Metrics]:
    """Of all objects, and without those of these annotations."""
    labels = json.loads((folder / "instances_val.json").read_text())
    found = maskrcnn.evaluate(model, folder / "instances_val.json", output=folder / "results", say=lambda _: None)
    for entry in labels["annotations"]:
        entry["iscrowd"] = int(entry["id"] in cut)
    results = folder / "results" / "predictions.json"
    whole = evaluate_predictions(labels, results, max_detections=found.max_detections, say=lambda _: None)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    for name, own in (("all objects", found), ("whole objects", whole)):
        numbers = f"mask AP {100 * own['mask']['AP']:.2f}  AP50 {100 * own['mask']['AP50']:.2f}"
        print(f"{folder.name:8} {name:14} {numbers}  box AP {100 * own['box']['AP']:.2f}; peak so far {peak:.0f} MiB")
    return [found, whole]


def cut_by_edges(folder: Path) -> set[int]:
    """Annotations of single pictures that reach their edges; the mosaic has the same numbers."""
    labels = json.loads((folder / "instances_val.json").read_text())
    sizes = {image["id"]: (image["width"], image["height"]) for image in labels["images"]}
    ends = ((entry["id"], entry["bbox"], sizes[entry["image_id"]]) for entry in labels["annotations"])
    return {
        number for number, (x, y, w, h), (width, height) in ends if min(x, y, width - x - w, height - y - h) <= EDGE
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", default="nuclei")
    parser.add_argument("--output", type=Path, default=Path("mosaic"))
    parser.add_argument("--limit", type=int, help="so many pictures, for a short try")
    options = parser.parse_args()
    model = maskrcnn.load(options.model, device="cpu")
    data = read_coco(options.data / "instances_val.json", options.data / "images")
    dataset = CocoDataset(data, Augmentation(horizontal_flip=0.0), model.config.input)
    samples = [dataset[number] for number in range(min(options.limit or len(dataset), len(dataset)))]
    write(samples, options.output)
    cut = cut_by_edges(options.output / "singles")
    singles, mosaic = (measure(model, options.output / name, cut) for name in ("singles", "mosaic"))
    for name, one, other in zip(("all", f"without {len(cut)} at edges"), singles, mosaic, strict=True):
        print(f"mosaic less singles, {name}: {100 * (other['mask']['AP'] - one['mask']['AP']):+.2f} points of mask AP")


if __name__ == "__main__":
    main()
