"""Which files of a folder are read as COCO's JSON: as it is downloaded, several tell of the same images."""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import Any

from maskrcnn.data.coco_annotations import Annotations
from maskrcnn.data.formats.content import ContentBuilder
from maskrcnn.data.formats.listing import Listing
from maskrcnn.data.formats.shapes import entries
from maskrcnn.json_values import id_number
from maskrcnn.text import counted

_INSTANCES, _KEYPOINTS = "instances", "person_keypoints"

_REASONS = {
    "captions": "captions are no labels",
    _INSTANCES: "{other} has the keypoints that are wanted",
    _KEYPOINTS: "its objects are in {other} too, and keypoints are for a model with a keypoint branch",
    "panoptic": "its objects are in {other} too; for its stuff give a folder without that file",
    "stuff": "stuff is no objects; for a class of every pixel give a folder with panoptic_*.json alone",
}
"""Why a file `KIND_SPLIT.json` is left out where another tells of its images, by its kind."""

_OFFICIAL = re.compile(r"(train|val)20(14|17)\.json")
"""The ends of COCO's own names, known wherever they lie: its archives may be unpacked in a folder each."""


def is_coco(content: Any) -> bool:
    """Images, annotations and categories, each a list; not the panoptic form, which has segments."""
    if not isinstance(content, dict):
        return False
    lists = [content.get(name) for name in ("images", "annotations", "categories")]
    if not all(isinstance(value, list | Annotations) for value in lists):
        return False
    first = entries(lists[1][:1]) if isinstance(lists[1], Annotations) else entries(lists[1])[:1]
    return not any("segments_info" in entry for entry in first)


def label_files(listing: Listing, builder: ContentBuilder) -> list[str]:
    """Those that are read; `builder` gets a note of each other."""
    kept = []
    for name in listing.labels(".json"):
        if reason := why_left_out(listing, name):
            builder.report.note(f"{name}: left out; {reason}")
        else:
            kept.append(name)
    return kept


def why_left_out(listing: Listing, name: str) -> str:
    """Why a file is not read, since another tells of its images; empty where it is."""
    kind, _, end = name.rpartition("/")[2].rpartition("_")
    if kind not in _REASONS or kind == (_KEYPOINTS if listing.keypoints else _INSTANCES):
        return ""
    if kind == "stuff" and not _OFFICIAL.fullmatch(end):
        return ""
    other = _beside(listing, name, f"{_KEYPOINTS if kind == _INSTANCES else _INSTANCES}_{end}")
    if not other or not is_coco(found := listing.peek(other)):
        return ""
    return _reason(kind, listing.peek(name), found).format(other=other)


def _reason(kind: str, own: Any, found: Any) -> str:
    """Why the content `own` is left out beside that of the other file; empty where it is not."""
    if kind == "captions":
        return _REASONS[kind] if isinstance(own, dict) and not is_coco(own) else ""
    if not isinstance(own, dict) or not isinstance(own.get("images"), list):
        return ""
    alone = len(_images(own) - _images(found))
    if kind == _INSTANCES:
        return _REASONS[kind] + f", of all but {counted(alone, 'image')}" * bool(alone)
    is_told_there = not alone and (kind != _KEYPOINTS or _names(own) <= _names(found))
    return _REASONS[kind] if is_told_there else ""


def _beside(listing: Listing, name: str, other: str) -> str:
    """The file `other` in the folder of `name`; one of COCO's own names anywhere. Empty where there is none."""
    beside = f"{name.rpartition('/')[0]}/{other}".removeprefix("/")
    if listing.chosen is not None:
        return ""
    if listing.has(beside) or not _OFFICIAL.fullmatch(other.rpartition("_")[2]):
        return beside * listing.has(beside)
    return listing.first_of_name(other)


def _images(content: Any) -> set[tuple[int | None, str]]:
    """By ids and the last parts of names, without their endings: panoptic may name its pictures of segments."""
    found = entries(content.get("images"))
    return {(id_number(entry.get("id")), PurePosixPath(str(entry.get("file_name"))).stem) for entry in found}


def _names(content: Any) -> set[str]:
    return {str(entry.get("name")) for entry in entries(content.get("categories"))}
