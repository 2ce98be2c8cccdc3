"""The data: where it lies, and how it is read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Where the data lies. A data directory holds `images/`, `instances_train.json`, `instances_val.json`."""

    root: str = ""
    train_annotations: str = "instances_train.json"
    val_annotations: str = "instances_val.json"
    images: str = "images"
    train_proposals: str = ""
    """COCO results with the boxes that a model without RPN learns from, for example the predictions of an RPN alone."""
    val_proposals: str = ""
    balance_by: str = ""
    """Field of the image records (for example a microscope's name) by whose values images are of different kinds: a
    kind of n images is then drawn in proportion to the root of n. Empty: all images equally often."""
    num_workers: int = 2
    max_pixels: int = 200_000_000
    """Images that claim more are refused before they are decoded."""
