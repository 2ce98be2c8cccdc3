"""What two systems find in one image, beside its labels: a picture to look at.

python -m benchmarks.ablations.side_by_side --data PATH/TO/nuclei --preset nuclei --image 73 --output touching.jpg
"""

from __future__ import annotations

import argparse
import colorsys
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
from benchmarks.ablations.found import FIND, SCORE, val_split
from benchmarks.ablations.touching import NAMES

import maskrcnn
from maskrcnn.data.coco import LabelledImages
from maskrcnn.data.geometry import View
from maskrcnn.data.targets import draw_mask
from maskrcnn.scoring import read_picture
from maskrcnn.structures.masks import BoolArray, ByteArray
from maskrcnn.viz.overlay import save_picture

SCALE, TITLE, GAP = 2, 28, 8
"""Pixels of the picture for one of the image; height of a title, width between two panels."""


def main() -> None:
    """Labels, FCN, Mask R-CNN, left to right."""
    options = _parser().parse_args()
    config = maskrcnn.preset(options.preset)
    data = val_split(replace(config, data=replace(config.data, root=str(options.data))))
    pixels = read_picture(data, options.image, config.data.max_pixels)
    panels = [panel(pixels, true_masks(data, options.image), "labels")]
    for name, title in NAMES.items():
        model = maskrcnn.load(options.runs / f"{options.preset}-{name}-0" / "last.safetensors", "cpu")
        found = FIND[name](model, pixels)
        panels.append(panel(pixels, found[found.scores >= SCORE].masks(), title))
    save_picture(options.output, beside(panels))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ablations.side_by_side")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--preset", required=True)
    parser.add_argument("--image", type=int, required=True, help="its number in the file of annotations, from 0")
    parser.add_argument("--runs", type=Path, default=Path("outputs/touching"), help="what touching.py has trained")
    parser.add_argument("--output", type=Path, required=True)
    return parser


def true_masks(data: LabelledImages, number: int) -> BoolArray:
    """(D, H, W) the masks of the labels."""
    size = data.labels.size(number)
    masks = []
    for index in data.labels.objects(number):
        mask, bitmap = data.labels.mask(index, size), np.zeros(size, bool)
        if mask is not None:
            drawn = draw_mask(mask, View.whole(size))
            x1, y1, x2, y2 = drawn.window
            bitmap[y1:y2, x1:x2] = drawn.crop
        masks.append(bitmap)
    return np.array(masks, bool).reshape(-1, *size)


def panel(pixels: ByteArray, masks: BoolArray, title: str) -> ByteArray:
    """The image with each mask in a colour of its own, under a title that counts them."""
    height, width = (side * SCALE for side in pixels.shape[:2])
    picture = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_CUBIC).astype(np.float32)
    for number, mask in enumerate(masks):
        colour = 255 * np.array(colorsys.hsv_to_rgb(number * 0.381966 % 1, 0.85, 1))
        large = cv2.resize(mask.astype(np.uint8), (width, height), interpolation=cv2.INTER_NEAREST)
        picture[large > 0] = 0.55 * picture[large > 0] + 0.45 * colour
        outlines, _ = cv2.findContours(large, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(picture, outlines, -1, colour.tolist(), 1)
    bar = np.full((TITLE, width, 3), 255, np.uint8)
    cv2.putText(bar, f"{title}: {len(masks)}", (4, 20), cv2.FONT_HERSHEY_SIMPLEX, 0.55, (0, 0, 0), 1, cv2.LINE_AA)
    return np.vstack([bar, picture.clip(0, 255).astype(np.uint8)])


def beside(panels: list[ByteArray]) -> ByteArray:
    """Panels in a row."""
    gap = np.full((panels[0].shape[0], GAP, 3), 255, np.uint8)
    return np.hstack([part for panel in panels for part in (panel, gap)][:-1])


if __name__ == "__main__":
    main()
