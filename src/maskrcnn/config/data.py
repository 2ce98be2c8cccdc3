"""The data: where it lies, and how it is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from maskrcnn.config.checks import Fraction, Length, Range, Section, Text

DATA_PATHS = (
    "root",
    "train_annotations",
    "val_annotations",
    "images",
    "class_map",
    "colours",
    "train_proposals",
    "val_proposals",
)
"""The settings that name files and folders."""

LAYOUT_NAMES = ("instances_val.json", "person_keypoints_val.json")
"""What validation files are called in the usual layout, which may go without one."""

TRAIN_LAYOUT_NAMES = ("instances_train.json", "person_keypoints_train.json")
"""What training files are called there; where neither is there, labels of another form are looked for."""


@dataclass(frozen=True, kw_only=True)
class DataConfig(Section, name="data"):
    """Where the data lies. A data directory holds `images/`, `instances_train.json`, `instances_val.json`."""

    root: Text = ""
    train_annotations: Text = "instances_train.json"
    val_annotations: Text = "instances_val.json"
    """Empty: nothing is evaluated, and so where there is no file of this name, if it is one of `LAYOUT_NAMES`. A file
    that is named otherwise must exist."""
    images: Text = "images"
    train_proposals: Text = ""
    """COCO results with the boxes that a model without RPN learns from, for example the predictions of an RPN alone."""
    val_proposals: Text = ""
    val_fraction: Annotated[float, Range(0, 0.9)] = 0.2
    """Part of the images that is measured on where the labels name no images for that, chosen at random by
    `train.seed`; 0: nothing is evaluated. A COCO file `train_annotations` is for training as it is."""
    group_by: Text = ""
    """Field of the image records (a patient, a film) whose images all lie on one side of that division; empty: copies
    and numbered series by their names."""
    class_map: Text = ""
    """A YAML file with a line `name in the labels: name wanted` for each class that is to be called otherwise."""
    colours: Text = ""
    """A file with a line `name:red,green,blue` for each colour, for masks of colours without `labelmap.txt`."""
    balance_by: Text = ""
    """Field of the image records (for example a microscope's name) whose values tell groups of images apart: a group of
    n images is then drawn in proportion to the root of n. Empty: all images equally often."""
    repeat_threshold: Fraction = 0.0
    """Repeat-factor sampling (Gupta et al. 2019), t: an image is drawn sqrt(t / f) times as often, if that is more than
    once, for the rarest of its classes, which is in the share f of the images. 0: all equally often."""
    crowd: Literal["ignore", "object"] = "ignore"
    """What an annotation with `iscrowd` 1 is: COCO means a region to be ignored; tools that write every mask as run
    lengths mark objects so."""
    stuff: Annotated[tuple[Text, ...], Length(0, 10_000)] = ()
    """Names of classes without objects, such as sky, beside those that the labels say are (`isthing` 0): only a branch
    for every pixel learns them."""
    num_workers: Annotated[int, Range(0, 1024)] = 2
    max_pixels: Annotated[int, Range(1, 10**12)] = 200_000_000
    """Images that claim more are not decoded as a whole: read in windows where their files allow it, else refused."""
