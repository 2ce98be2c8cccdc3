"""COCO panoptic: real pictures in three forms of the same truth."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.data.formats.conftest import run_lengths
from tests.data.formats.scenes import panoptic, write

from maskrcnn.data.coco import LabelledImages
from maskrcnn.data.formats.content import LabelContent
from maskrcnn.data.formats.table import read_labels
from maskrcnn.data.report import Fault
from maskrcnn.masks.rle import rle_area

ReadForm = Callable[[Path, str], LabelContent]


def by_box(content: LabelContent) -> dict[tuple[Any, ...], Any]:
    names = {entry["id"]: entry["name"] for entry in content.coco["categories"]}
    files = {image["id"]: image["file_name"] for image in content.coco["images"]}
    return {
        (files[entry["image_id"]], names[entry["category_id"]], *map(int, entry["bbox"])): entry["segmentation"]
        for entry in content.coco["annotations"]
    }


def test_real_pictures(shared: Path, read_form: ReadForm, found: Any) -> None:
    """43 things, three of them crowds, by NumPy from the pictures' colours; the area is that of the other 40."""
    content = read_form(shared / "data/formats/panoptic/panoptic_examples.json", "panoptic")
    result = found(content)
    assert (sum(result.objects.values()), result.ignored) == (40, 3)
    assert result.area == 91930
    assert len(content.coco["categories"]) == 133 and "tree-merged" not in result.objects


def test_stuff_is_kept_and_is_no_object(shared: Path, through_reader: Callable[[LabelContent], LabelledImages]) -> None:
    """Every segment of the file; of its 133 classes 53 are stuff, and pixels without a segment are void."""
    path = shared / "data/formats/panoptic/panoptic_examples.json"
    segments = [s for entry in json.loads(path.read_text())["annotations"] for s in entry["segments_info"]]
    data = through_reader(read_labels(path))
    assert data.has_void and len(data.categories.stuff) == 53 and "tree-merged" in data.categories.stuff_names
    assert data.labels.num_objects == len(segments) and data.report.num_objects == 40
    assert data.report.num_stuff == len(segments) - 43 == int(data.labels.stuff.sum())
    areas = [rle_area(rle) for _, rle in run_lengths(data.labels)]
    assert sorted(areas) == sorted(s["area"] for s in segments)


def test_the_same_truth_in_the_detection_form(shared: Path) -> None:
    """panopticapi's own conversion to COCO run lengths: each thing has the same pixels, to the run."""
    folder = shared / "data/formats/panoptic"
    ours = by_box(read_labels(folder / "panoptic_examples.json"))
    theirs = by_box(read_labels(folder / "panoptic_coco_detection_format.json"))
    assert len(ours) == 50 and all(theirs[key]["counts"] == mask["counts"] for key, mask in ours.items())


def test_samples_whose_classes_are_all_stuff_have_no_objects(shared: Path, read_form: ReadForm, found: Any) -> None:
    content = read_form(shared / "data/formats/panoptic/coco_panoptic", "panoptic")
    assert content.splits == ["train", "val"] and len(content.coco["annotations"]) > 0
    assert found(content).objects == {} and found(content).ignored == 2, "two crowds"


def test_segments_without_pixels_and_crowds(tmp_path: Path) -> None:
    panoptic(tmp_path)
    path = tmp_path / "annotations/panoptic_train.json"
    content = json.loads(path.read_text())
    segments = content["annotations"][0]["segments_info"]
    segments[1]["iscrowd"], segments[2]["id"], segments[0]["category_id"] = 1, 99, 77
    write(path, content)
    read = read_labels(tmp_path)
    assert [entry["iscrowd"] for entry in read.coco["annotations"]] == [1]
    assert read.report.counts == {Fault.SHAPE_WITHOUT_AREA: 1, Fault.UNKNOWN_CATEGORY: 1}
