"""How labels are read on which models are compared: as `evaluate` reads them for each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any, Literal, get_args

from maskrcnn.data.channels import UNKNOWN
from maskrcnn.data.coco import Crowd, LabelledImages, read_to_measure
from maskrcnn.data.formats.content import LabelContent
from maskrcnn.data.formats.table import labelled_images
from maskrcnn.data.images import MAX_PIXELS
from maskrcnn.errors import UserError
from maskrcnn.evaluator import as_measured
from maskrcnn.loading import ModelFacts
from maskrcnn.scoring import require_groups

_Setting = Literal["crowd", "group_by"]
"""Of models, in `data`."""


@dataclass(frozen=True)
class LabelRules:
    """What the reader of the labels is to know.

    Attributes:
        models: what is known of those that are compared, by their letters; none where there are files of results alone.
        crowd: whether annotations with iscrowd 1 are ignored or objects; None: the models' `data.crowd`.
        group_by: field of the image records whose values tell groups of images apart, such as the film that frames
            come from; empty: the models' `data.group_by`.

    Raises:
        UserError: the models do not agree.
    """

    models: Mapping[str, ModelFacts] = field(default_factory=dict)
    crowd: Crowd | None = None
    group_by: str = ""

    def __post_init__(self) -> None:
        for name in get_args(_Setting):
            self._wanted(name)  # an error now, not after the models' work
        if len({model.config.tells_classes for model in self.models.values()}) > 1:
            raise UserError("expected two models that tell classes apart, or two that do not (RPN), got one of each")

    def read(
        self, labels: str | PathLike[str] | LabelContent, images: Path | None, *, check_files: bool, need_masks: bool
    ) -> LabelledImages:
        """The labels; `images` is the folder of a COCO file's.

        Raises:
            UserError: unreadable labels, or no image record has the field that is named.
        """
        models = self.models.values()
        how: dict[str, Any] = {
            "check_files": check_files,
            "need_masks": need_masks,
            "max_pixels": max([MAX_PIXELS, *(model.config.data.max_pixels for model in models)]),
            "crowd": self._wanted("crowd") or "ignore",
            "group_by": self._wanted("group_by"),
            "channels": UNKNOWN,
        }
        if isinstance(labels, LabelContent):
            data = labelled_images(labels, read_to_measure, **how)
        else:
            data = read_to_measure(Path(labels), images, **how)
        require_groups(data, self.group_by)
        for model in models:
            data = as_measured(data, model.categories, model.config)
        return data

    def _wanted(self, name: _Setting) -> str:
        """What is given, else what the models' settings say; empty where neither says anything."""
        if given := getattr(self, name):
            return str(given)
        said = {letter: getattr(model.config.data, name) for letter, model in self.models.items()}
        if len(values := {value for value in said.values() if value}) < 2:
            return str(next(iter(values), ""))
        each = ", ".join(f"{letter}: {value}" for letter, value in said.items())
        raise UserError(f"expected models with one data.{name}, got {each}; choose with --{name.replace('_', '-')}")
