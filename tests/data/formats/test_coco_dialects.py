"""COCO's JSON as exporters write it. COCO Annotator had no sample to be had: its form is that of its source."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from tests.data.formats.scenes import coco, panoptic, picture, write

from maskrcnn.data.coco import read_coco
from maskrcnn.data.coco_annotations import Annotations, load_coco
from maskrcnn.data.file_names import ImageFolder
from maskrcnn.data.formats import listing
from maskrcnn.data.formats.content import LabelContent
from maskrcnn.data.formats.listing import Listing
from maskrcnn.data.formats.naming import Naming
from maskrcnn.data.formats.table import FORMATS, labelled_images, read_labels, recognise
from maskrcnn.data.report import DataReport, Fault
from maskrcnn.errors import UserError

ReadForm = Callable[[Path, str], LabelContent]


@pytest.fixture
def read_changed(tmp_path: Path) -> Callable[..., LabelContent]:
    """The scene with changes to its annotations and categories."""

    def read(annotation: dict[str, Any] | None = None, **lists: Any) -> LabelContent:
        coco(tmp_path)
        content = json.loads((tmp_path / "result.json").read_text())
        content["annotations"] = [{**entry, **(annotation or {})} for entry in content["annotations"]]
        write(tmp_path / "result.json", {**content, **lists})
        return read_labels(tmp_path)

    return read


def test_samples_of_roboflow(shared: Path, read_form: ReadForm, found: Any) -> None:
    """Objects counted in the files; a box alone and a crowd are ignored regions."""
    folder = shared / "data/formats/roboflow_coco"
    first = read_form(folder / "coco_dataset/coco_roboflow", "coco")
    second = read_form(folder / "roboflow_dataset/coco", "coco")
    assert first.splits == second.splits == ["train", "val"]
    assert [image["file_name"] for image in second.coco["images"]] == [
        "train/train_001.jpg",
        "train/train_002.jpg",
        "val/val_001.jpg",
    ]
    assert (found(first).ignored, sum(found(first).objects.values())) == (2, 1)
    assert (found(second).ignored, found(second).objects) == (4, {})


def test_a_real_sample_of_lvis(shared: Path, read_form: ReadForm, found: Any) -> None:
    """977 objects, counted in the file; area of all by pycocotools from its polygons."""
    content = read_form(shared / "data/formats/lvis", "coco")
    result = found(content)
    assert (sum(result.objects.values()), result.ignored, result.area) == (977, 0, 4937393)
    assert content.coco["images"][0]["neg_category_ids"] == [284, 53, 754, 299, 654, 541, 566]
    assert content.coco["categories"][0]["frequency"] == "r"


def test_a_sample_of_sahi(shared: Path, read_form: ReadForm, found: Any) -> None:
    """Its COCO has rectangles, the LabelMe file it was made from outlines; areas of both by pycocotools.

    As the area of each object it states that of the image.
    """
    folder = shared / "data/formats/sahi_coco"
    boxes = found(read_form(folder / "terrain2_coco.json", "coco"))
    outlines = found(read_form(folder / "terrain2.json", "labelme"))
    assert (boxes.objects, boxes.ignored, boxes.area) == ({"car": 5}, 0, 35742 + 11132 + 4536 + 3570 + 1880)
    assert read_coco(folder / "terrain2_coco.json").report.counts == {Fault.AREA_DISAGREES: 5}
    assert (outlines.objects, outlines.ignored, outlines.area) == ({"car": 5}, 0, 23319 + 7549 + 3536 + 2575 + 1422)


def test_lvis_names_its_images_by_address(read_changed: Any) -> None:
    image = {"id": 5, "height": 24, "width": 31, "coco_url": "http://images.cocodataset.org/val2017/a.png"}
    assert read_changed(images=[image]).coco["images"][0]["file_name"] == "images/a.png"


def test_lvis_lists_of_classes_follow_their_new_numbers(read_changed: Any) -> None:
    image = {"id": 5, "file_name": "a.png", "neg_category_ids": [10, 11], "not_exhaustive_category_ids": [9]}
    categories = [{"id": k, "name": name} for k, name in ((9, "cat"), (10, "dog"), (11, "cow"))]
    content = read_changed(images=[image], categories=categories)
    assert [entry["id"] for entry in content.coco["categories"]] == [1, 2, 3]
    first = content.coco["images"][0]
    assert (first["neg_category_ids"], first["not_exhaustive_category_ids"]) == ([2, 3], [1])
    renamed = Naming(classes={"dog": "pet", "cat": "pet"}).apply(content).coco
    assert [entry["name"] for entry in renamed["categories"]] == ["pet", "cow"]
    first = renamed["images"][0]
    assert (first["neg_category_ids"], first["not_exhaustive_category_ids"]) == ([2], [1]), "a cat may be there"


def test_new_names_lose_nothing_but_the_classes_left_out(read_changed: Any) -> None:
    """What belongs to no class goes on to the reader, which says so; a region to be ignored stays."""
    content = read_changed()
    first = content.coco["annotations"][0]
    extra = [{**first, "category_id": None}, {**first, "category_id": [7]}]
    changed = replace(content, coco={**content.coco, "annotations": [*content.coco["annotations"], *extra]})
    kept = Naming(classes={"cat": "lion", "dog": None}).apply(changed)
    assert [entry["category_id"] for entry in kept.coco["annotations"]] == [1, None, None]
    assert labelled_images(kept).report.counts[Fault.UNKNOWN_CATEGORY] == 2


def test_new_names_need_classes_that_have_names(tmp_path: Path) -> None:
    coco = {"categories": [{"id": 1}], "images": [], "annotations": []}
    content = LabelContent(tmp_path, tmp_path, coco, DataReport("x"))
    with pytest.raises(UserError, match="x: expected categories with an id and a printable name"):
        Naming(classes={"cat": "lion"}).apply(content)


def test_roboflows_first_category_is_left_out(read_changed: Any) -> None:
    names = [("animals", "none"), ("cat", "animals"), ("dog", "animals")]
    categories = [{"id": 8 + k, "name": name, "supercategory": above} for k, (name, above) in enumerate(names)]
    assert [entry["name"] for entry in read_changed(categories=categories).coco["categories"]] == ["cat", "dog"]


def test_classes_without_objects_are_kept(read_changed: Any) -> None:
    categories = [{"id": k, "name": name} for k, name in ((9, "cat"), (10, "dog"), (11, "cow"))]
    assert [entry["name"] for entry in read_changed(categories=categories).coco["categories"]] == ["cat", "dog", "cow"]


def test_crowds_stay_what_the_file_says(read_changed: Any, found: Any) -> None:
    """CVAT marks every bitmap so; the one reader says that nothing is left, and what to set."""
    content = read_changed({"iscrowd": 1})
    assert [entry["iscrowd"] for entry in content.coco["annotations"]] == [1, 1]
    assert labelled_images(content).report.counts == {Fault.ALL_CROWDS: 1}
    assert labelled_images(content, crowd="object").report.num_objects == 2


def test_coco_annotator_marks_what_is_deleted_and_what_is_a_box(read_changed: Any) -> None:
    assert read_changed({"deleted": True}).coco["annotations"] == []
    boxes = read_changed({"isbbox": True}).coco["annotations"]
    assert len(boxes) == 2 and not any("segmentation" in entry for entry in boxes)


def test_coco_annotators_marks_mean_the_same_beside_a_folder_of_images(tmp_path: Path) -> None:
    """Where the file goes to the one reader as it is."""
    coco(tmp_path)
    content = json.loads((tmp_path / "result.json").read_text())
    first, second = content["annotations"]
    content["annotations"] = [{**first, "deleted": True}, {**second, "isbbox": True}, {**second, "id": 11}]
    write(tmp_path / "result.json", content)
    data = read_coco(tmp_path / "result.json", tmp_path / "images")
    assert data.labels.annotation_ids.tolist() == [8, 11] and data.report.counts == {Fault.MASK_UNUSABLE: 1}
    assert data.labels.ignore.tolist() == [True, False]


def test_keypoints_and_further_fields_are_kept(read_changed: Any) -> None:
    points = {"keypoints": [2, 3, 2], "num_keypoints": 1}
    schema = {"id": 9, "name": "cat", "keypoints": ["nose"], "skeleton": []}
    content = read_changed(points, categories=[schema, {"id": 10, "name": "dog"}])
    assert content.coco["annotations"][0]["keypoints"] == [2, 3, 2]
    assert content.coco["categories"][0]["keypoints"] == ["nose"]


def test_annotations_of_unknown_images_and_classes_are_reported(read_changed: Any) -> None:
    assert read_changed({"image_id": 77}).report.counts == {Fault.UNKNOWN_IMAGE: 2}
    assert read_changed({"category_id": 77}).report.counts == {Fault.UNKNOWN_CATEGORY: 2}


def test_ids_are_numbered_anew_over_several_files(tmp_path: Path) -> None:
    for split in ("train", "val"):
        coco(tmp_path)
        (tmp_path / "result.json").rename(tmp_path / f"instances_{split}.json")
    content = read_labels(tmp_path)
    assert [image["id"] for image in content.coco["images"]] == [1, 2] and content.splits == ["train", "val"]
    assert [entry["id"] for entry in content.coco["annotations"]] == [1, 2, 3, 4]


def official(folder: Path) -> None:
    """As COCO is downloaded: pictures of the same name in both parts, and every file of annotations."""
    for split in ("train", "val"):
        coco(folder)
        (folder / f"{split}2017").mkdir()
        (folder / "images/a.png").rename(folder / f"{split}2017/a.png")
        text = (folder / "result.json").read_text()
        for kind in ("instances", "person_keypoints"):
            write(folder / f"annotations/{kind}_{split}2017.json", text)
        captions = [{"id": 1, "image_id": 5, "caption": "a cat and a dog"}]
        write(folder / f"annotations/captions_{split}2017.json", {"images": [{"id": 5}], "annotations": captions})
        (folder / "result.json").unlink()


def test_coco_as_it_is_downloaded(tmp_path: Path) -> None:
    """Persons would be there twice, and each picture be one of two of its name."""
    official(tmp_path)
    content = read_labels(tmp_path)
    assert [image["file_name"] for image in content.coco["images"]] == ["train2017/a.png", "val2017/a.png"]
    assert len(content.coco["annotations"]) == 4 and content.report.counts.total() == 0
    kinds = [note.partition("annotations/")[2].split("_")[0] for note in labelled_images(content).report.notes]
    assert sorted(kinds) == ["captions", "captions", "person", "person"]
    for split in ("train", "val"):
        (tmp_path / f"annotations/instances_{split}2017.json").unlink()
        (tmp_path / f"annotations/captions_{split}2017.json").unlink()
    assert len(read_labels(tmp_path).coco["annotations"]) == 4, "where there is nothing else, the persons count"


def test_what_else_may_be_downloaded_with_coco_is_left_out(tmp_path: Path) -> None:
    """Lists of images to test on stand before the labels, stuff is no objects, and panoptic has each of them again."""
    official(tmp_path)
    text = (tmp_path / "annotations/instances_train2017.json").read_text()
    listed = {name: entries for name, entries in json.loads(text).items() if name != "annotations"}
    for part in ("test-dev2017", "test2017", "unlabeled2017"):
        write(tmp_path / f"annotations/image_info_{part}.json", listed)
    write(tmp_path / "lvis_v1_image_info_test_dev.json", listed)
    panoptic(tmp_path / "panoptic")
    for split in ("train", "val"):
        write(tmp_path / f"annotations/stuff_{split}2017.json", text)
        content = json.loads((tmp_path / "panoptic/annotations/panoptic_train.json").read_text())
        content["images"][0]["id"] = content["annotations"][0]["image_id"] = 5
        write(tmp_path / f"annotations/panoptic_{split}2017.json", content)
    shutil.rmtree(tmp_path / "panoptic")
    assert recognise(tmp_path) == "coco"
    content = read_labels(tmp_path)
    assert len(content.coco["images"]) == 2 and len(content.coco["annotations"]) == 4
    assert content.report.counts.total() == 0 and len(content.report.notes) == 4 + 4 + 4
    for split in ("train", "val"):
        (tmp_path / f"annotations/instances_{split}2017.json").unlink()
        (tmp_path / f"annotations/person_keypoints_{split}2017.json").unlink()
        (tmp_path / f"annotations/stuff_{split}2017.json").unlink()
    assert recognise(tmp_path) == "panoptic", "where there are no instances"


def test_archives_of_coco_in_a_folder_each(tmp_path: Path) -> None:
    """Only COCO's own names are known to be of the same images wherever they lie."""
    official(tmp_path)
    text = (tmp_path / "annotations/instances_val2017.json").read_text()
    write(tmp_path / "stuff_annotations_trainval2017/annotations/stuff_val2017.json", text)
    assert len(read_labels(tmp_path).coco["annotations"]) == 4
    write(tmp_path / "others/stuff_val.json", text)
    write(tmp_path / "annotations/instances_val.json", text)
    assert len(read_labels(tmp_path).coco["annotations"]) == 8


def test_images_that_no_split_has_are_counted(tmp_path: Path) -> None:
    """`all.json` has one of a split again, of which there is nothing to say."""
    official(tmp_path)
    text = (tmp_path / "annotations/instances_train2017.json").read_text()
    write(tmp_path / "annotations/all.json", text.replace("a.png", "train2017/a.png"))
    picture(tmp_path / "more/b.png")
    write(tmp_path / "more/others.json", text.replace("a.png", "b.png"))
    content = read_labels(tmp_path)
    (note,) = (note for note in content.split("train").report.notes if "no split" in note)
    assert "1 image left out that no split has, such as more/b.png" in note
    assert content.split("val").report.notes == []


def test_keypoints_that_are_wanted_come_before_instances(tmp_path: Path) -> None:
    official(tmp_path)
    for split in ("train", "val"):
        path = tmp_path / f"annotations/person_keypoints_{split}2017.json"
        content = json.loads(path.read_text())
        content["annotations"] = [content["annotations"][0] | {"keypoints": [3, 4, 2], "num_keypoints": 1}]
        content["categories"] = [content["categories"][0] | {"keypoints": ["nose"], "skeleton": []}]
        write(path, content)
    assert len(read_labels(tmp_path).coco["annotations"]) == 4
    content = read_labels(tmp_path, naming=Naming(keypoints=True))
    assert [entry["keypoints"] for entry in content.coco["annotations"]] == [[3, 4, 2], [3, 4, 2]]
    assert [entry["name"] for entry in content.coco["categories"]] == ["cat"]


def test_images_without_keypoints_are_counted_where_keypoints_are_wanted(tmp_path: Path) -> None:
    official(tmp_path)
    path = tmp_path / "annotations/instances_train2017.json"
    content = json.loads(path.read_text())
    content["images"].append(content["images"][0] | {"id": 6, "file_name": "b.png"})
    write(path, content)
    notes = read_labels(tmp_path, naming=Naming(keypoints=True)).report.notes
    assert sum("keypoints that are wanted, of all but 1 image" in note for note in notes) == 1
    assert sum("keypoints that are wanted" in note for note in notes) == 2


@pytest.mark.parametrize(("name", "text"), [("person_keypoints", "{bad"), ("panoptic", "[]"), ("captions", "[]")])
def test_what_is_broken_is_not_told_elsewhere(tmp_path: Path, name: str, text: str) -> None:
    official(tmp_path)
    write(tmp_path / f"annotations/{name}_val2017.json", text)
    write(tmp_path / "annotations/x.json", {"images": 5})
    assert read_labels(tmp_path).report.counts.total() == 2


def test_stuff_of_ones_own_is_read(tmp_path: Path) -> None:
    official(tmp_path)
    text = (tmp_path / "annotations/instances_val2017.json").read_text()
    write(tmp_path / "annotations/instances_a.json", text)
    write(tmp_path / "annotations/stuff_a.json", text.replace('"cat"', '"sky"'))
    assert [entry["name"] for entry in read_labels(tmp_path).coco["categories"]] == ["cat", "dog", "sky"]


@pytest.mark.parametrize("change", ["images", "categories", "broken", "list"])
def test_a_file_whose_objects_are_in_no_other_is_read(tmp_path: Path, change: str) -> None:
    """Whatever the other is called."""
    official(tmp_path)
    path = tmp_path / "annotations/instances_train2017.json"
    content = json.loads(path.read_text())
    changed = {
        "images": {**content, "images": [{**content["images"][0], "id": 6}], "annotations": []},
        "categories": {**content, "categories": [{"id": 10, "name": "dog"}], "annotations": []},
        "broken": '{"images": [',
        "list": [],
    }
    write(path, changed[change])
    found = read_labels(tmp_path).split("train")
    assert len(found.coco["annotations"]) == 2, "those of person_keypoints_train2017.json"


@pytest.mark.parametrize(
    ("labels", "stated", "others", "meant"),
    [
        ("annotations/instances_train.json", "cam1/a.png", ["train/a.png"], "cam1/a.png"),
        ("annotations/instances_train.json", "images/val/a.png", ["images/train/a.png"], "images/val/a.png"),
        ("annotations/train.json", "images/a.png", ["train/a.png"], "images/a.png"),
        ("annotations/instances_masks.json", "a.png", ["masks/a.png"], "images/a.png"),
        ("labels.json", "a.png", ["labels/a.png"], "images/a.png"),
        ("annotations/my_data.json", "a.png", ["data/a.png"], "a.png"),
        ("annotations/instances_val.json", "a.png", ["train/a.png"], "val/a.png"),
        ("annotations/instances_val.json", "a.png", ["images/train/a.png"], "images/val/a.png"),
        ("annotations/instances_val.json", "a.png", ["images/train/a.png", "images/a.png"], "images/val/a.png"),
        ("annotations/instances_val.json", "x/a.png", ["val/a.png"], "x/a.png"),
    ],
)
def test_a_folder_of_the_split_has_the_picture_of_just_the_stated_name(
    tmp_path: Path, labels: str, stated: str, others: list[str], meant: str
) -> None:
    for name in (*others, meant):
        picture(tmp_path / name)
    image = {"id": 1, "file_name": stated, "height": 24, "width": 31}
    write(tmp_path / labels, {"images": [image], "annotations": [], "categories": [{"id": 1, "name": "x"}]})
    content = FORMATS["coco"].read(Listing(tmp_path))
    assert content.coco["images"][0]["file_name"] == meant


@pytest.mark.parametrize("num_large", [1, 2])
def test_annotations_that_stay_in_large_files_are_those_of_small_ones(
    tmp_path: Path, num_large: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of two files, one or both; each with faults of every kind, and its classes in another order."""
    official(tmp_path)
    for split, names in (("train", "cat dog cow"), ("val", "dog\0 cow dog cat")):
        path = tmp_path / f"annotations/instances_{split}2017.json"
        content = json.loads(path.read_text())
        first, second = content["annotations"]
        content["annotations"] = [
            {**first, "image_id": 99},
            {**second, "category_id": 99},
            "no annotation",
            {**second, "iscrowd": 1, "score": 0.5},
            first,
            {**second, "keypoints": [1, 2, 3]},
            {**second, "isbbox": True},
            {**first, "deleted": True},
            {**second, "category_id": 11},
        ]
        content["categories"] = [{"id": 9 + k, "name": name} for k, name in enumerate(names.split())]
        write(path, json.dumps(content) + " " * 100_000 * (split == "train"))
    small = read_labels(tmp_path)
    monkeypatch.setattr(listing, "load_coco", partial(load_coco, large=(100_000, 0)[num_large - 1]))
    large = read_labels(tmp_path)
    assert isinstance(large.coco["annotations"], Annotations) and small.report.counts == large.report.counts
    kept = ("id", "image_id", "category_id", "segmentation", "bbox", "keypoints")
    in_order = [{key: entry.get(key) for key in kept} for entry in small.coco["annotations"]]
    stored = [{key: entry.get(key) for key in kept} for entry in large.coco["annotations"]]
    assert by_content(stored) == by_content(in_order) and {entry["id"] for entry in stored} == set(range(1, 10))
    for part in (lambda whole: whole, lambda whole: whole.split("train"), lambda whole: whole.split("val")):
        a, b = (labelled_images(part(content), check_files=True) for content in (small, large))
        assert a.report.counts == b.report.counts and a.categories == b.categories
        for name in ("labels", "boxes", "ignore", "mask_kinds", "first_object"):
            assert torch.equal(getattr(a.labels, name), getattr(b.labels, name)), name


def by_content(entries: list[dict[str, Any]]) -> list[str]:
    """Without the ids, which may be counted in another order of the files."""
    return sorted(json.dumps({key: value for key, value in entry.items() if key != "id"}) for entry in entries)


def test_a_folder_is_listed_once_for_all_its_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not once for each image that does not lie beside its labels."""
    images = [{"id": n, "file_name": f"{n}.png", "height": 24, "width": 31} for n in range(50)]
    for image in images:
        picture(tmp_path / "pictures" / image["file_name"])
    write(
        tmp_path / "labels/result.json", {"images": images, "annotations": [], "categories": [{"id": 1, "name": "x"}]}
    )
    walked: list[Path] = []
    monkeypatch.setattr(ImageFolder, "_files", lambda self: walked.append(self.path) or iter(()))
    assert read_labels(tmp_path).coco["images"][49]["file_name"] == "pictures/49.png"
    assert len(walked) == len(set(walked))
