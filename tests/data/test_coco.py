from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from maskrcnn.data.coco import read_coco
from maskrcnn.data.report import Fault
from maskrcnn.errors import UserError
from maskrcnn.json_values import id_number
from maskrcnn.masks.polygons import polygon_to_rle
from maskrcnn.structures import KeypointSchema, Polygons


def test_faultless_file(make_coco, read, square: dict[str, Any]) -> None:
    data = read(make_coco([square], num_images=2))
    assert data.report.counts == {} and data.report.lines == []
    assert data.categories.names == ("cell", "dot") and data.categories.ids == (7, 9)
    assert len(data.labels) == 2 and data.labels.num_objects == 1
    assert data.labels.image_ids.tolist() == [1, 2] and data.labels.file_name(1) == "2.png"
    assert data.labels.size(0) == (12, 10)
    assert data.labels.objects(0) == range(1) and data.labels.objects(1) == range(1, 1)
    assert (data.report.num_images, data.report.num_objects, data.report.num_ignored) == (2, 1, 0)


def test_annotations_come_in_any_order(make_coco, read, square: dict[str, Any]) -> None:
    entries = [square | {"id": number, "image_id": image} for number, image in ((1, 2), (2, 1), (3, 2), (4, 1))]
    labels = read(make_coco(entries, num_images=2)).labels
    assert labels.annotation_ids.tolist() == [2, 4, 1, 3]
    assert [labels.objects(image) for image in (0, 1)] == [range(2), range(2, 4)]


def test_labels_follow_ascending_category_id(make_coco, read, square: dict[str, Any]) -> None:
    content = make_coco([square | {"category_id": 9}, square | {"id": 2, "category_id": 7}])
    content["categories"].reverse()
    assert read(content).labels.labels.tolist() == [1, 0]


def test_keypoints_are_read_by_the_names_of_the_class(make_coco, read, square: dict[str, Any]) -> None:
    content = make_coco([square | {"keypoints": [3, 4, 2, 0, 0, 0], "num_keypoints": 1}, square | {"id": 2}])
    content["categories"][0] |= {"keypoints": ["left", "right"], "skeleton": [[1, 2]]}
    data = read(content)
    assert data.categories.keypoints == KeypointSchema(("left", "right"), ((0, 1),))
    keypoints = data.labels.keypoints_of(0)
    assert keypoints is not None and keypoints.tolist() == [[3.5, 4.5, 2], [0, 0, 0]]
    assert data.labels.keypoints_of(1) is None and data.report.lines == []


def test_keypoints_of_ignored_objects_are_not_read(make_coco, read, square: dict[str, Any]) -> None:
    content = make_coco([square | {"keypoints": [3, 4, 2], "iscrowd": 1}])
    content["categories"][0]["keypoints"] = ["tip"]
    data = read(content)
    assert data.labels.ignore.all() and data.labels.keypoints_of(0) is None


def test_faulty_keypoints_are_named(make_coco, read, square: dict[str, Any]) -> None:
    data = read(make_coco([square | {"keypoints": [3, 4, 2]}]))
    assert data.report.counts == {Fault.KEYPOINTS_UNNAMED: 1} and "annotation 1: its class" in data.report.lines[0]


def test_crowds_are_counted_apart(make_coco, read, square: dict[str, Any]) -> None:
    data = read(make_coco([square, square | {"id": 2, "iscrowd": 1}]))
    assert data.labels.ignore.tolist() == [False, True]
    assert (data.report.num_objects, data.report.num_ignored) == (1, 1)


def test_images_are_of_one_group_unless_a_field_tells_them_apart(make_coco, read) -> None:
    content = make_coco([], num_images=6)
    for image, value in zip(content["images"], ["b", "a", "b", 7, 7.5, "7"], strict=True):
        image["stain"] = value
    assert read(content).labels.groups.tolist() == [0] * 6
    assert read(content, group_by="stain").labels.groups.tolist() == [0, 1, 0, 2, 3, 4]
    assert read(content, group_by="camera").labels.groups.tolist() == [0] * 6


def test_groups_of_long_names_are_told_apart_by_every_letter(make_coco, read) -> None:
    content = make_coco([], num_images=2)
    for image, letter in zip(content["images"], "xy", strict=True):
        image["stain"] = "a" * 500 + letter + "a" * 500
    assert read(content, group_by="stain").labels.groups.tolist() == [0, 1]


def test_an_image_without_the_field_is_like_one_with_null_or_more_than_a_value(make_coco, read) -> None:
    content = make_coco([], num_images=5)
    for image, value in zip(content["images"][:4], ["x", None, ["x"], {"x": 1}], strict=True):
        image["stain"] = value
    assert read(content, group_by="stain").labels.groups.tolist() == [0, 1, 1, 1, 1]


def test_dropped_images_leave_no_hole_in_the_groups(make_coco, read) -> None:
    content = make_coco([], num_images=3)
    for image, value in zip(content["images"], ["x", "y", "z"], strict=True):
        image["stain"] = value
    content["images"][1]["file_name"] = "missing.png"
    assert read(content, group_by="stain").labels.groups.tolist() == [0, 1]


@pytest.mark.parametrize("check_files", [False, True])
def test_groups_do_not_depend_on_opening_the_files(make_coco, read, check_files: bool) -> None:
    content = make_coco([], num_images=2)
    content["images"][1]["stain"] = "x"
    assert read(content, group_by="stain", check_files=check_files).labels.groups.tolist() == [0, 1]


# --- annotations ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "fault", "where"),
    [
        ({"category_id": 8}, Fault.UNKNOWN_CATEGORY, "annotation 1: unknown category (8)"),
        ({"category_id": "8"}, Fault.UNKNOWN_CATEGORY, "annotation 1: unknown category ('8')"),
        ({"category_id": None}, Fault.UNKNOWN_CATEGORY, "annotation 1"),
        ({"image_id": 5}, Fault.UNKNOWN_IMAGE, "annotation 1: unknown image (image 5)"),
        ({"image_id": "x"}, Fault.UNKNOWN_IMAGE, "annotation 1: unknown image"),
        ({"image_id": ""}, Fault.ANNOTATION_MALFORMED, "annotation number 0"),
        ({"image_id": None}, Fault.ANNOTATION_MALFORMED, "annotation number 0"),
        ({"bbox": None, "segmentation": []}, Fault.NOTHING_USABLE, "annotation 1"),
    ],
)
def test_dropped_annotations(make_coco, read, square: dict[str, Any], changes: Any, fault: Fault, where: str) -> None:
    data = read(make_coco([square | changes, square | {"id": 2}]))
    assert data.labels.annotation_ids.tolist() == [2]
    assert data.report.counts == {fault: 1}
    (line,) = data.report.lines
    assert where in line and line.startswith(data.report.source) and line.endswith("annotation dropped")


@pytest.mark.parametrize("entry", [None, 3, "x", [], {}])
def test_entries_that_are_no_annotations(make_coco, read, square: dict[str, Any], entry: Any) -> None:
    data = read(make_coco([entry, square]))
    assert data.labels.num_objects == 1 and data.report.counts == {Fault.ANNOTATION_MALFORMED: 1}


@pytest.mark.parametrize(
    ("second_id", "fault"),
    [
        (1, Fault.ANNOTATION_ID_TWICE),
        (None, Fault.ANNOTATION_ID_MISSING),
        ("1", Fault.ANNOTATION_ID_TWICE),
        ("", Fault.ANNOTATION_ID_MISSING),
        (2**70, Fault.ANNOTATION_ID_MISSING),
    ],
)
def test_annotations_get_ids_that_no_other_has(
    make_coco, read, square: dict[str, Any], second_id: Any, fault: Fault
) -> None:
    data = read(make_coco([square, square | {"id": second_id}, square | {"id": 2**63 - 1}, square | {"id": 2}]))
    assert data.labels.annotation_ids.tolist() == [1, 3, 2**63 - 1, 2] and data.report.counts == {fault: 1}


def test_a_repaired_annotation_is_kept_and_named(make_coco, read, square: dict[str, Any]) -> None:
    data = read(make_coco([square | {"bbox": [2, 3, 0, 0]}]))
    assert data.labels.boxes.tolist() == [[2, 3, 6, 8]]
    (line,) = data.report.lines
    assert "annotation 1: box has no width or height" in line and line.endswith("box taken from the mask")


# --- images -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"id": None}, Fault.IMAGE_MALFORMED),
        ({"id": ""}, Fault.IMAGE_MALFORMED),
        ({"file_name": None}, Fault.IMAGE_MALFORMED),
        ({"file_name": 5}, Fault.IMAGE_MALFORMED),
        ({"file_name": "none.png"}, Fault.IMAGE_FILE_MISSING),
        ({"file_name": "x" * 5000}, Fault.IMAGE_FILE_MISSING),
        ({"file_name": "."}, Fault.IMAGE_FILE_MISSING),
        ({"file_name": ""}, Fault.IMAGE_FILE_MISSING),
        ({"file_name": "/etc/hostname"}, Fault.IMAGE_FILE_MISSING),
        ({"file_name": "\ud800.png"}, Fault.IMAGE_FILE_MISSING),
        ({"file_name": "old/2.png"}, Fault.IMAGE_FILE_TWICE),
    ],
)
def test_dropped_images(make_coco, read, square: dict[str, Any], changes: Any, fault: Fault) -> None:
    content = make_coco([square, square | {"id": 2, "image_id": 2}], num_images=2)
    content["images"][0] |= changes
    data = read(content)
    assert data.labels.image_ids.tolist() == [2] and data.labels.annotation_ids.tolist() == [2]
    assert data.report.counts[fault] == 1 and data.report.counts.total() == 2
    left_over = Fault.DROPPED_IMAGE if isinstance(content["images"][0]["id"], int) else Fault.UNKNOWN_IMAGE
    assert data.report.counts[left_over] == 1


@pytest.mark.parametrize("entry", [None, 3, "x", [], {}])
def test_entries_that_are_no_images(make_coco, read, square: dict[str, Any], entry: Any) -> None:
    content = make_coco([square])
    content["images"].append(entry)
    data = read(content)
    assert len(data.labels) == 1 and data.report.counts == {Fault.IMAGE_MALFORMED: 1}


def test_second_image_with_an_id_is_dropped(make_coco, read, square: dict[str, Any]) -> None:
    content = make_coco([square], num_images=2)
    content["images"][1]["id"] = 1
    data = read(content)
    assert data.labels.file_name(0) == "1.png" and len(data.labels) == 1
    assert data.report.counts == {Fault.IMAGE_ID_TWICE: 1}


@pytest.mark.parametrize(
    "changes", [{"width": None}, {"width": "10"}, {"height": 0}, {"height": -12}, {"width": 1.5}, {"width": 10**12}]
)
def test_missing_size_comes_from_the_file(make_coco, read, square: dict[str, Any], changes: Any) -> None:
    content = make_coco([square])
    content["images"][0] |= changes
    data = read(content)
    assert data.labels.size(0) == (12, 10) and data.report.counts == {Fault.IMAGE_SIZE_MISSING: 1}


def test_file_wins_when_the_sizes_disagree(make_coco, read, square: dict[str, Any]) -> None:
    """Annotations are then checked against the true size: this RLE fits the file and not the stated size."""
    rle = {"size": [12, 10], "counts": [15, 2, 103]}
    content = make_coco([square | {"segmentation": rle, "bbox": [1, 3, 1, 2]}])
    content["images"][0] |= {"width": 20, "height": 24}
    data = read(content, check_files=True)
    assert data.labels.size(0) == (12, 10) and data.report.counts == {Fault.IMAGE_SIZE_DISAGREES: 1}
    assert (
        "image 1 (1.png): width and height disagree with the file (stated 20 x 24, file 10 x 12)"
        in (data.report.lines[0])
    )
    assert read(content).labels.size(0) == (24, 20), "files are not opened unless asked for"


def test_labels_of_the_stored_pixels_are_kept(make_coco, read, square: dict[str, Any], tmp_path: Path) -> None:
    content = make_coco([square])
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (10, 12)).save(tmp_path / "1.png", exif=exif)
    data = read(content, check_files=True)
    assert data.labels.size(0) == (12, 10) and data.report.counts == {Fault.IMAGE_LABELLED_RAW: 1}
    content["images"][0] |= {"width": 12, "height": 10}
    data = read(content, check_files=True)
    assert data.labels.size(0) == (10, 12) and data.report.counts == {}


def test_broken_files_are_found_when_asked(make_coco, read, square: dict[str, Any], tmp_path: Path) -> None:
    content = make_coco([square, square | {"id": 2, "image_id": 2}], num_images=2)
    (tmp_path / "1.png").write_bytes(b"no image")
    assert len(read(content).labels) == 2
    data = read(content, check_files=True)
    assert data.labels.image_ids.tolist() == [2]
    assert data.report.counts == {Fault.IMAGE_FILE_BROKEN: 1, Fault.DROPPED_IMAGE: 1}


def test_images_above_the_limit_are_dropped(make_coco, read, square: dict[str, Any], tmp_path: Path) -> None:
    content = make_coco([square], num_images=2)
    Image.new("RGB", (100, 100)).save(tmp_path / "2.png")
    content["images"][1] |= {"width": 100, "height": 100}
    data = read(content, max_pixels=9999)
    assert data.labels.image_ids.tolist() == [1]
    assert data.report.counts == {Fault.IMAGE_SIZE_MISSING: 1, Fault.IMAGE_FILE_BROKEN: 1}


def test_ids_that_are_text(make_coco, read, square: dict[str, Any]) -> None:
    """Numbers are made from them, the same for an image and its annotations; the results can be told apart."""
    content = make_coco([square | {"id": "a1", "image_id": "img 1", "category_id": "b"}, square | {"id": "a2"}], 2)
    content["images"][0]["id"] = "img 1"
    content["images"][1]["id"] = "1"
    content["categories"] = [{"id": "a", "name": "cell"}, {"id": "b", "name": "dot"}, {"id": "7", "name": "other"}]
    data = read(content)
    names = [data.categories.names[label] for label in data.labels.labels.tolist()]
    assert names == ["dot", "other"] and [data.labels.objects(i) for i in (0, 1)] == [range(1), range(1, 2)]
    assert data.labels.image_ids.tolist() == [id_number("img 1"), 1]
    assert data.report.counts == {Fault.IMAGE_ID_TEXT: 2}
    assert f"image img 1 (1.png): id is text ({id_number('img 1')}); a number made from it" in data.report.lines[0]


def test_faults_name_the_id_as_the_file_has_it(make_coco, read, square: dict[str, Any]) -> None:
    (line,) = read(make_coco([square | {"id": "a 1", "bbox": None}])).report.lines
    assert "annotation a 1: box is not four finite numbers" in line


@pytest.mark.parametrize(
    "folder", ["/home/me/labels/", "C:\\Users\\me\\", "images/", "images\\", "../", "//host/share/"]
)
def test_files_are_found_by_the_end_of_a_name(make_coco, read, square: dict[str, Any], folder: str) -> None:
    content = make_coco([square], num_images=2)
    content["images"][0]["file_name"] = f"{folder}1.png"
    data = read(content)
    assert data.labels.file_names == ["1.png", "2.png"] and data.report.counts == {Fault.IMAGE_NAME_END: 1}
    assert data.report.lines[0].endswith(
        "not under this name in the folder of images (1.png); found by the end of the name"
    )


def test_two_names_with_the_same_end_are_not_the_same_image(make_coco, read, square: dict[str, Any]) -> None:
    content = make_coco([square], num_images=2)
    for image, folder in zip(content["images"], ("a", "b"), strict=True):
        image["file_name"] = f"{folder}/1.png"
    data = read(content)
    assert data.labels.image_ids.tolist() == [1]
    assert data.report.counts == {Fault.IMAGE_NAME_END: 1, Fault.IMAGE_FILE_TWICE: 1}


def test_file_in_a_subfolder(make_coco, read, square: dict[str, Any], tmp_path: Path) -> None:
    content = make_coco([square])
    (tmp_path / "a..b").mkdir()
    (tmp_path / "1.png").rename(tmp_path / "a..b" / "1.png")
    content["images"][0]["file_name"] = "a..b/1.png"
    assert read(content).report.counts == {}


# --- what only the whole file shows -----------------------------------------------------------------------------


def test_a_file_of_crowds_alone_is_named(make_coco, read, square: dict[str, Any]) -> None:
    content = make_coco([square | {"iscrowd": 1}, square | {"id": 2, "iscrowd": 1}])
    report = read(content).report
    assert report.counts == {Fault.ALL_CROWDS: 1}
    assert "all 2 annotations: crowds (iscrowd 1)" in report.lines[0] and "data.crowd=object" in report.lines[0]
    data = read(content, crowd="object")
    assert data.report.counts == {} and (data.report.num_objects, data.report.num_ignored) == (2, 0)
    assert read(make_coco([square, square | {"id": 2, "iscrowd": 1}])).report.counts == {}


def test_a_file_of_boxes_alone_is_named(make_coco, read, square: dict[str, Any]) -> None:
    content = make_coco([square | {"segmentation": []}, square | {"id": 2, "segmentation": []}])
    report = read(content).report
    assert report.counts == {Fault.MASK_UNUSABLE: 2, Fault.ALL_BOXES: 1}
    assert "mask_head.enabled=false" in report.lines[-1]
    assert read(content, need_masks=False).report.counts == {}


@pytest.mark.parametrize("alone", [False, True])
def test_fractions_of_the_sides_are_no_pixels(make_coco, read, square: dict[str, Any], alone: bool) -> None:
    """An object of the first pixel alone has the corners 0 and 1, and is one."""
    ring = [] if alone else [[0.2, 0.25, 0.6, 0.25, 0.6, 0.7, 0.2, 0.7]]
    small = square | {"id": 3, "segmentation": [[0, 0, 1, 0, 1, 1, 0, 1]], "bbox": [0, 0, 1, 1]}
    data = read(make_coco([square | {"segmentation": ring, "bbox": [0.2, 0.25, 0.4, 0.45]}, square | {"id": 2}, small]))
    assert data.labels.annotation_ids.tolist() == [2, 3] and data.report.counts == {Fault.NORMALISED: 1}


def test_ids_as_spreadsheets_write_them(make_coco, read, square: dict[str, Any]) -> None:
    data = read(make_coco([square | {"id": "1.0", "image_id": "1.0", "category_id": "7.0"}]))
    assert data.labels.annotation_ids.tolist() == [1] and data.report.counts == {}


def test_the_second_entry_of_a_file_joins_the_first(make_coco, read, square: dict[str, Any]) -> None:
    """With what is new in it: an object that both have is one, whether its numbers are written as 2 or as 2.0."""
    rings = [[float(number) for number in ring] for ring in square["segmentation"]]
    again, other = (
        square | {"id": 2, "image_id": 2, "segmentation": rings},
        square | {"id": 3, "image_id": 2, "bbox": [2, 3, 4, 4.5]},
    )
    content = make_coco([square, again, other], num_images=2)
    content["images"][1]["file_name"] = "./1.png"
    data = read(content)
    assert data.labels.image_ids.tolist() == [1] and data.labels.annotation_ids.tolist() == [1, 3]
    assert data.report.counts == {Fault.IMAGE_LISTED_TWICE: 1, Fault.ANNOTATION_REPEATED: 1}
    twice = read(make_coco([square, square | {"id": 2}]))
    assert twice.labels.num_objects == 2, "in one entry two equal objects are what somebody drew"


# --- costs ------------------------------------------------------------------------------------------------------


def test_objects_of_very_many_rings(make_coco, read, square: dict[str, Any]) -> None:
    rings = [[x, y, x + 1, y, x + 1, y + 1, x, y + 1] for x in range(10) for y in range(12)] * 40
    labels = read(make_coco([square | {"segmentation": rings, "bbox": [0, 0, 10, 12]}])).labels
    mask = labels.mask(0, (12, 10))
    assert isinstance(mask, Polygons) and len(mask.rings) == 4800 and polygon_to_rle(mask, (12, 10)).counts[1] == 120


# --- files that are no COCO files -------------------------------------------------------------------------------


@pytest.mark.parametrize("content", ["[]", "3", "null", '"x"', "{}", '{"images": [], "categories": []}'])
def test_other_json_is_an_error(read, content: str) -> None:
    with pytest.raises(UserError, match=r"labels\.json: expected a COCO instances file"):
        read(content)


@pytest.mark.parametrize("name", ["images", "annotations", "categories"])
@pytest.mark.parametrize("value", [None, {}, "x", 3])
def test_each_list_must_be_one(make_coco, read, name: str, value: Any) -> None:
    with pytest.raises(UserError, match=f"found no list '{name}'"):
        read(make_coco([]) | {name: value})


def test_a_list_of_results_is_an_error(read) -> None:
    with pytest.raises(UserError, match="check that this is the right file"):
        read([{"image_id": 1, "category_id": 7, "bbox": [1, 2, 3, 4], "score": 0.5}])


@pytest.mark.parametrize(
    "categories",
    [
        [],
        [None],
        [{"id": 1}],
        [{"name": "x"}],
        [{"id": "", "name": "x"}],
        [{"id": "1", "name": "x"}, {"id": 1, "name": "y"}],
        [{"id": 1, "name": 5}],
        [{"id": 1, "name": ""}],
        [{"id": 1, "name": " "}],
        [{"id": 1, "name": "a\nb"}],
        [{"id": 1, "name": "\ud800"}],
        [{"id": 1, "name": "x" * 10_000}, {"id": 2, "name": "x" * 10_000}],
        [{"id": 1, "name": "x"}, {"id": 1, "name": "y"}],
        [{"id": 1, "name": "x"}, {"id": 2, "name": "x"}],
        [{"id": 1, "name": "x", "keypoints": ["a", "a"]}],
        [{"id": 1, "name": "x", "keypoints": [["a"] * 1000]}],
        [{"id": 1, "name": "x", "keypoints": ["a\nb"] * 1000}],
        [{"id": 1, "name": "x", "keypoints": ["a", "b"], "skeleton": [[0, 1]]}],
    ],
)
def test_unusable_categories_are_an_error(make_coco, read, categories: Any) -> None:
    with pytest.raises(UserError, match=r"labels\.json: .*categor") as error:
        read(make_coco([]) | {"categories": categories})
    assert "\n" not in str(error.value) and len(str(error.value)) < 500


def test_no_usable_image_is_an_error_that_says_why(make_coco, read, tmp_path: Path) -> None:
    content = make_coco([])
    content["images"][0]["file_name"] = "other.png"
    with pytest.raises(UserError, match=r"at least one usable image .*image 1 \(other\.png\): file not found"):
        read(content)
    with pytest.raises(UserError, match="the list images is empty"):
        read(content | {"images": []})


def test_missing_folder_of_images(make_coco, tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(make_coco([])))
    with pytest.raises(UserError, match=r"at least one usable image in .*nowhere"):
        read_coco(path, tmp_path / "nowhere")


# --- real data --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "split", "images", "objects", "ignored"),
    [
        ("fruits_nuts", "train", 12, 106, 0),
        ("coco_mini", "val", 95, 898, 12),
        ("facades", "val", 80, 2785, 0),
    ],
)
def test_real_data_has_no_faults(shared: Path, name: str, split: str, images: int, objects: int, ignored: int) -> None:
    folder = shared / "data" / name
    report = read_coco(folder / f"instances_{split}.json", folder / "images", check_files=True).report
    assert (report.num_images, report.num_objects, report.num_ignored) == (images, objects, ignored)
    assert report.lines == []


@pytest.mark.parametrize(("split", "persons", "labelled", "points"), [("train", 167, 86, 800), ("val", 76, 52, 554)])
def test_real_keypoints_have_no_faults(shared: Path, split: str, persons: int, labelled: int, points: int) -> None:
    folder = shared / "data" / "coco_mini"
    data = read_coco(folder / f"person_keypoints_{split}.json", folder / "images", check_files=True)
    assert data.report.num_objects == persons and data.report.lines == []
    store = [data.labels.keypoints_of(number) for number in range(data.labels.num_objects)]
    assert sum(keypoints is not None for keypoints in store) == labelled
    assert sum(int((keypoints[:, 2] > 0).sum()) for keypoints in store if keypoints is not None) == points
    assert data.categories.keypoints is not None and len(data.categories.keypoints.skeleton) == 19
    mirrored = data.categories.keypoints.mirrored
    assert mirrored == (0, 2, 1, 4, 3, 6, 5, 8, 7, 10, 9, 12, 11, 14, 13, 16, 15)
