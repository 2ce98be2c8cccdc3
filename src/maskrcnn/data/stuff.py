"""Stuff: classes without objects, such as sky (Kirillov et al. 2019). The labels say which, or the settings."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from maskrcnn.data.coco import LabelledImages
from maskrcnn.data.report import Fault
from maskrcnn.errors import UserError
from maskrcnn.structures import Categories
from maskrcnn.structures.labels import of_classes
from maskrcnn.text import one_line

_NAMES_SHOWN = 20


def with_stuff(data: LabelledImages, named: Collection[str]) -> LabelledImages:
    """The same, where these classes are stuff too.

    Raises:
        UserError: a name that no class has.
    """
    names = data.categories.names
    if unknown := [name for name in named if name not in names]:
        shown = ", ".join(map(one_line, names[:_NAMES_SHOWN])) + (", ..." if len(names) > _NAMES_SHOWN else "")
        raise UserError(
            f"data.stuff: expected names of classes in {data.report.source} ({shown}), got {one_line(unknown[0])}"
        )
    return _with_exactly(data, {*data.categories.stuff_names, *named})


def with_stuff_of(data: LabelledImages, model: Categories, named: Collection[str] = ()) -> LabelledImages:
    """The same as a model has learned it; of classes that the model does not know, as the labels or `named` say.

    Labels that know of stuff and contradict the model are a fault.
    """
    theirs, known = data.categories, frozenset(model.names)
    wanted = {*model.stuff_names, *(name for name in (*theirs.stuff_names, *named) if name not in known)}
    if theirs.stuff:
        for name in sorted((wanted ^ set(theirs.stuff_names)) & known & set(theirs.names)):
            data.report.add(Fault.STUFF_DISAGREES, f"class {one_line(name)}")
    return _with_exactly(data, wanted)


def _with_exactly(data: LabelledImages, names: Collection[str]) -> LabelledImages:
    """Names that no class has mean nothing."""
    stuff = frozenset(label for label, name in enumerate(data.categories.names) if name in names)
    if stuff == data.categories.stuff:
        return data
    labels = replace(data.labels, stuff=of_classes(data.labels.labels, stuff))
    report = replace(data.report)
    report.count(labels)
    return replace(data, categories=replace(data.categories, stuff=stuff), labels=labels, report=report)
