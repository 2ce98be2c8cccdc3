"""The data: where it lies, and how it is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from maskrcnn.config.checks import Range, Section, Text

DATA_PATHS = ("root", "train_annotations", "val_annotations", "images", "train_proposals", "val_proposals")
"""The settings that name files and folders."""


@dataclass(frozen=True, kw_only=True)
class DataConfig(Section, name="data"):
    """Where the data lies. A data directory holds `images/`, `instances_train.json`, `instances_val.json`."""

    root: Text = ""
    train_annotations: Text = "instances_train.json"
    val_annotations: Text = "instances_val.json"
    images: Text = "images"
    train_proposals: Text = ""
    """COCO results with the boxes that a model without RPN learns from, for example the predictions of an RPN alone."""
    val_proposals: Text = ""
    balance_by: Text = ""
    """Field of the image records (for example a microscope's name) by whose values images are of different kinds: a
    kind of n images is then drawn in proportion to the root of n. Empty: all images equally often."""
    num_workers: Annotated[int, Range(0, 1024)] = 2
    max_pixels: Annotated[int, Range(1, 10**12)] = 200_000_000
    """Images that claim more are refused before they are decoded."""
