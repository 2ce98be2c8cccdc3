"""There and back: every form that is written gives the same masks when it is read, and says what it left out."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image
from tests.data.formats.scenes import HEIGHT, SCENES, WIDTH, picture

from maskrcnn.data.coco import read_coco
from maskrcnn.data.coco_street import FIELD
from maskrcnn.data.formats.content import ContentBuilder, LabelContent
from maskrcnn.data.formats.table import labelled_images, read_labels, recognise
from maskrcnn.data.formats.writers import WRITERS, num_missing
from maskrcnn.data.formats.writers.clean import clean_content
from maskrcnn.data.formats.writers.masks import CLASSES, COVERED, OVERLAP, TOO_MANY
from maskrcnn.data.formats.writers.scene import BOX_ALONE, CROWD, Scene, short_names
from maskrcnn.data.formats.writers.yolo import bridged
from maskrcnn.data.report import DataReport
from maskrcnn.masks.polygons import bitmap_to_polygons, rasterize_polygons
from maskrcnn.masks.rle import encode_rle
from maskrcnn.structures import Polygons
from maskrcnn.structures.masks import ByteArray

Bitmaps = Callable[[LabelContent], list[tuple[str, ByteArray]]]

SQUARE, OTHER = [2.5, 2, 8.25, 2, 8.25, 7, 2.5, 7], [12, 2, 17, 2, 17, 7, 12, 7]
FORM_OF = {"masks": "label-images"}
"""The name a written form is read by, where it is another."""


def ring() -> ByteArray:
    """A ring with an island in its hole, and a part apart."""
    values = np.zeros((HEIGHT, WIDTH), np.uint8)
    values[9:19, 3:14] = 1
    values[11:17, 5:12] = 0
    values[13:15, 7:9] = 1
    values[20:22, 25:29] = 1
    return values


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    """Two images of one name in two folders: a polygon, one of two parts, pixels with holes; no object in the other."""
    builder = ContentBuilder(tmp_path, tmp_path / "source", ["cat", "dog", "cow"])
    for split in ("train", "val"):
        name = f"{split}/a.png"
        picture(tmp_path / "source" / name)
        image = builder.add_image(name, (HEIGHT, WIDTH), split)
        if split == "train":
            builder.add_polygons(image, "dog", [SQUARE], "")
            builder.add_polygons(image, "cat", [OTHER, [20, 3, 24, 3, 22, 8]], "")
            builder.add_rle(image, "dog", encode_rle(ring()), "")
    return Scene(builder.content().coco, tmp_path / "source")


@pytest.mark.parametrize("form", WRITERS)
def test_there_and_back(scene: Scene, tmp_path: Path, form: str, bitmaps: Bitmaps) -> None:
    loss = WRITERS[form](scene, tmp_path / "written")
    assert set(loss) == ({CLASSES} if form == "masks" else set())
    assert recognise(tmp_path / "written") == FORM_OF.get(form, form)
    content = read_labels(tmp_path / "written")
    assert content.report.counts.total() == 0 and content.splits == ["train", "val"]
    assert len(content.coco["images"]) == 2
    before = bitmaps(LabelContent(tmp_path, scene.folder, scene.coco, content.report))
    after = bitmaps(content)
    assert len(after) == len(before) == 3
    for (name, mask), (written_name, written) in zip(before, after, strict=True):
        assert np.array_equal(mask, written)
        assert written_name == ("object" if form == "masks" else name)
    if form != "masks":
        names = [entry["name"] for entry in content.coco["categories"]]
        assert names == (["cat", "dog"] if form in ("labelme", "label-studio") else ["cat", "dog", "cow"])


@pytest.mark.parametrize("form", WRITERS)
def test_the_same_bytes_each_time(scene: Scene, tmp_path: Path, form: str) -> None:
    contents = []
    for folder in (tmp_path / "first", tmp_path / "second"):
        WRITERS[form](scene, folder)
        contents.append({path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()})
    assert contents[0] == contents[1] and len(contents[0]) >= 3


@pytest.mark.parametrize("form", WRITERS)
def test_boxes_and_crowds_are_kept_or_counted(tmp_path: Path, form: str) -> None:
    builder = ContentBuilder(tmp_path, tmp_path, ["cat"])
    picture(tmp_path / "a.png")
    image = builder.add_image("a.png", (HEIGHT, WIDTH))
    builder.add_box(image, "cat", [2.0, 3.0, 9.0, 8.0], "")
    builder.add_polygons(image, "cat", [SQUARE], "", crowd=True)
    loss = WRITERS[form](Scene(builder.content().coco, tmp_path), tmp_path / "written")
    content = read_labels(tmp_path / "written", FORM_OF.get(form, form))
    boxes = [entry["bbox"] for entry in content.coco["annotations"] if "segmentation" not in entry]
    crowds = [entry for entry in content.coco["annotations"] if entry["iscrowd"]]
    assert loss[BOX_ALONE] + len(boxes) == 1 and loss[CROWD] + len(crowds) == (1 if form != "voc" else loss[CROWD])
    assert all(np.allclose(box, [2, 3, 7, 5]) for box in boxes)
    assert len(boxes) == (form in ("coco", "yolo", "cvat", "label-studio"))


@pytest.mark.parametrize("form", ["masks", "voc"])
@pytest.mark.parametrize("order", [(0, 1), (1, 0)])
def test_an_object_within_another_stays_to_be_seen(
    tmp_path: Path, form: str, order: tuple[int, int], bitmaps: Bitmaps
) -> None:
    """A cell of 10 x 10 pixels and its nucleus of 4 x 4, in either order."""
    picture(tmp_path / "a.png")
    builder = ContentBuilder(tmp_path, tmp_path, ["cat"])
    image = builder.add_image("a.png", (HEIGHT, WIDTH))
    outlines = [[2, 2, 12, 2, 12, 12, 2, 12], [5, 5, 9, 5, 9, 9, 5, 9]]
    for place in order:
        builder.add_polygons(image, "cat", [outlines[place]], "")
    loss = WRITERS[form](Scene(builder.content().coco, tmp_path), tmp_path / "written")
    assert loss == {OVERLAP: 16} and num_missing(loss) == 0
    areas = [int(mask.sum()) for _, mask in bitmaps(read_labels(tmp_path / "written"))]
    assert areas == [[84, 16][place] for place in order]


@pytest.mark.parametrize("form", ["masks", "voc"])
def test_objects_without_a_pixel_of_their_own_are_counted(scene: Scene, tmp_path: Path, form: str) -> None:
    scene.coco["annotations"].append({**scene.coco["annotations"][0], "id": 99})
    loss = WRITERS[form](scene, tmp_path / "written")
    assert (loss[OVERLAP], loss[COVERED], num_missing(loss)) == (25, 1, 1)
    assert len(read_labels(tmp_path / "written").coco["annotations"]) == 3


def test_more_objects_than_eight_bits_hold(tmp_path: Path) -> None:
    builder = ContentBuilder(tmp_path, tmp_path, ["cat"])
    picture(tmp_path / "a.png")
    image = builder.add_image("a.png", (HEIGHT, WIDTH))
    for number in range(300):
        pixel = np.zeros((HEIGHT, WIDTH), np.uint8)
        pixel.reshape(-1)[number] = 1
        builder.add_rle(image, "cat", encode_rle(pixel), "")
    scene = Scene(builder.content().coco, tmp_path)
    loss = WRITERS["voc"](scene, tmp_path / "voc")
    assert (
        loss == {TOO_MANY: 300 - 254}
        and num_missing(loss) == 46
        and len(read_labels(tmp_path / "voc").coco["annotations"]) == 254
    )
    assert WRITERS["masks"](scene, tmp_path / "masks").total() == 0


def test_bridges_enclose_nothing() -> None:
    """Random blobs with holes and parts, as one ring: the same pixels."""
    rng = np.random.default_rng(0)
    for density in (0.3, 0.5, 0.7):
        bitmap = (rng.random((20, 17)) < density).astype(np.uint8)
        joined: Any = np.zeros((0, 2))
        for outline, holes in bitmap_to_polygons(bitmap):
            for part in (outline, *holes):
                joined = bridged(joined, part)
        drawn = rasterize_polygons(Polygons((joined,)), (0, 0, 17, 20), (20, 17))
        assert np.array_equal(drawn, bitmap)


@pytest.mark.parametrize(
    ("names", "short"),
    [
        (["a.png", "x/b.png"], ["a.png", "b.png"]),
        (["x/a.png", "y/a.jpg"], ["x_a.png", "y_a.jpg"]),
        (["x/A.png", "y/a.png"], ["x_A.png", "y_a.png"]),
        (["A.bmp", "a.jpg", "a.png", "b.png"], ["A.bmp.bmp", "a.jpg.jpg", "a.png.png", "b.png"]),
        (["x/a.jpg", "x/a.png", "y/a.png"], ["x_a.jpg.jpg", "x_a.png.png", "y_a.png"]),
        (["a.jpg", "a", "a.jpg.png", "a.JPG"], ["a.jpg.jpg"] * 4),
        (["a_b/c.png", "a/b_c.png", "c.png", "d/b_c.png"], ["a_b_c.png", "a_b_c.png", "c.png", "d_b_c.png"]),
    ],
)
def test_names_without_folders_stay_apart(names: list[str], short: list[str]) -> None:
    found = list(short_names(names).values())
    assert len({Path(name).stem.lower() for name in found}) == len(names)
    if len(set(short)) == len(short):
        assert found == short


@pytest.mark.parametrize("form", WRITERS)
def test_images_that_share_a_stem_keep_their_labels(tmp_path: Path, form: str, bitmaps: Bitmaps) -> None:
    builder = ContentBuilder(tmp_path, tmp_path, ["cat"])
    rings = {"a.bmp": SQUARE, "a.png": OTHER, "a.tif": [20, 3, 24, 3, 22, 8]}
    for name, ring in rings.items():
        picture(tmp_path / name)
        builder.add_polygons(builder.add_image(name, (HEIGHT, WIDTH), "train"), "cat", [ring], "")
    content = builder.content()
    WRITERS[form](Scene(content.coco, tmp_path), tmp_path / "written")
    written = read_labels(tmp_path / "written", FORM_OF.get(form, form))
    order = sorted(range(3), key=lambda place: Path(written.coco["images"][place]["file_name"]).suffix)
    masks = [mask for _, mask in bitmaps(written)]
    assert written.report.counts.total() == 0 and len(masks) == 3
    for place, (_, mask) in zip(order, bitmaps(content), strict=True):
        assert np.array_equal(masks[place], mask)


def test_labelme_and_coco_files_are_what_their_tools_write(scene: Scene, tmp_path: Path) -> None:
    WRITERS["labelme"](scene, tmp_path / "labelme")
    content = json.loads((tmp_path / "labelme/train/train_a.json").read_text())
    assert content["imageData"] is None and content["imagePath"] == "train_a.png"
    assert [shape["shape_type"] for shape in content["shapes"]] == ["polygon", "polygon", "polygon", "mask"]
    assert [shape["group_id"] for shape in content["shapes"]] == [None, 1, 1, None]
    WRITERS["coco"](scene, tmp_path / "coco")
    assert sorted(path.name for path in (tmp_path / "coco").glob("*.json")) == [
        "instances_train.json",
        "instances_val.json",
    ]


def test_every_kind_of_region_has_its_own_tag_in_label_studio(tmp_path: Path) -> None:
    """Label Studio takes a region only where a tag of its name makes regions of its kind; checked by its SDK 2.1.2."""
    square = [0.0, 0, 4, 0, 4, 4, 0, 4]
    hole = {"size": [8, 8], "counts": [0, 3, 5, 1, 1, 1, 5, 3, 45]}
    entries = [{"segmentation": [square]}, {"segmentation": hole}, {}]
    content = {
        "images": [{"id": 1, "file_name": "a.png", "width": 8, "height": 8}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 4, 4], **entry} for entry in entries],
        "categories": [{"id": 1, "name": 'a "b" <c>'}],
    }
    (tmp_path / "a.png").write_bytes(b"")
    WRITERS["label-studio"](Scene(content, tmp_path), tmp_path / "out")
    view = ElementTree.parse(tmp_path / "out" / "config.xml").getroot()
    tags = {tag.get("name"): tag for tag in view if tag.get("toName")}
    (task,) = json.loads((tmp_path / "out" / "tasks.json").read_text())
    regions = task["annotations"][0]["result"]
    assert [region["type"] for region in regions] == ["polygonlabels", "brushlabels", "rectanglelabels"]
    for region in regions:
        tag = tags[region["from_name"]]
        assert tag.tag.lower() == region["type"] and region["to_name"] == tag.get("toName") == view[0].get("name")
        assert region["value"][region["type"]] == [label.get("value") for label in tag]
    assert view[0].get("value") == "$image"
    assert task["data"] == {"image": "/data/local-files/?d=images/a.png"}


def test_coco_keeps_what_lvis_says_of_classes(tmp_path: Path) -> None:
    """In each split, with the annotations of its own images."""
    images = [{"id": 7 - k, "file_name": f"{k}.png", "width": 8, "height": 8} for k in range(4)]
    said = {"neg_category_ids": [9], "not_exhaustive_category_ids": [5, 9]}
    images[1] |= said
    content = {
        "images": [image | {"split": "val" if k % 2 else "train"} for k, image in enumerate(images)],
        "annotations": [
            {"id": n, "image_id": 7 - n % 4, "category_id": 5, "bbox": [n % 3, 0, 4, 4]} for n in range(1, 9)
        ],
        "categories": [{"id": 5, "name": "cat", "frequency": "r"}, {"id": 9, "name": "dog"}],
    }
    for image in images:
        Image.new("RGB", (8, 8)).save(tmp_path / str(image["file_name"]))
    labels = LabelContent(tmp_path, tmp_path, content, DataReport("x"))
    data = labelled_images(labels, need_masks=False)
    WRITERS["coco"](Scene(clean_content(data, labels), tmp_path), tmp_path / "out")
    assert data.federated is not None
    for split, places in (("train", (0, 2)), ("val", (1, 3))):
        written = json.loads((tmp_path / "out" / f"instances_{split}.json").read_text())
        found = {image["id"]: image for image in written["images"]}
        assert found.keys() == {7 - k for k in places}
        assert sorted(entry["id"] for entry in written["annotations"]) == [n for n in range(1, 9) if n % 4 in places]
        assert read_coco(written, need_masks=False).categories == data.categories
        assert [entry.get("frequency") for entry in written["categories"]] == ["r", None]
        if split == "val":
            assert {key: found[6][key] for key in said} == said and not said.keys() & found[4].keys()


@pytest.mark.parametrize(
    ("stated", "written"),
    [({"area": 20}, {"area": 20}), ({"area": 9999}, {}), ({"area": -1}, {}), ({"area": "none"}, {}), ({}, {})],
)
def test_coco_keeps_areas_that_the_mask_does_not_contradict(
    tmp_path: Path, stated: dict[str, Any], written: dict[str, Any]
) -> None:
    """The square has 28.75 pixels."""
    Image.new("RGB", (31, 24)).save(tmp_path / "a.png")
    content = {
        "images": [{"id": 7, "file_name": "a.png", "film": 3, "licence": None}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 5, "segmentation": [SQUARE], **stated}],
        "categories": [{"id": 5, "name": "cat", "supercategory": "animal"}],
    }
    labels = LabelContent(tmp_path, tmp_path, content, DataReport("x"))
    clean = clean_content(labelled_images(labels), labels)
    (entry,) = clean["annotations"]
    assert {key: value for key, value in entry.items() if key == "area"} == written
    assert clean["images"] == [{"id": 7, "file_name": "a.png", "height": 24, "width": 31, "film": 3, "licence": None}]
    assert clean["categories"] == content["categories"]


@pytest.mark.parametrize(("area", "kept"), [(399.5, True), (400.2, True), (3, True), (0, False), (500, False)])
def test_coco_keeps_areas_that_a_box_alone_can_hold(tmp_path: Path, area: float, kept: bool) -> None:
    Image.new("RGB", (31, 24)).save(tmp_path / "a.png")
    content = {
        "images": [{"id": 7, "file_name": "a.png"}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 5, "bbox": [2, 2, 20, 20], "area": area}],
        "categories": [{"id": 5, "name": "cat"}],
    }
    labels = LabelContent(tmp_path, tmp_path, content, DataReport("x"))
    (entry,) = clean_content(labelled_images(labels, need_masks=False), labels)["annotations"]
    assert entry.get("area") == (area if kept else None)


@pytest.mark.parametrize("value", [math.nan, math.inf, [1, -math.inf], {"a": [{"b": math.nan}]}])
def test_coco_is_json_whatever_the_source_took_for_it(tmp_path: Path, value: Any) -> None:
    Image.new("RGB", (31, 24)).save(tmp_path / "a.png")
    content = {
        "images": [{"id": 7, "file_name": "a.png", "license": value, "film": {"a": [3.5]}}],
        "annotations": [{"id": 1, "image_id": 7, "category_id": 5, "segmentation": [SQUARE]}],
        "categories": [{"id": 5, "name": "cat", "colour": value}],
    }
    labels = LabelContent(tmp_path, tmp_path, content, DataReport("x"))
    WRITERS["coco"](Scene(clean_content(labelled_images(labels), labels), tmp_path), tmp_path / "out")
    written = json.loads((tmp_path / "out/instances.json").read_text(), parse_constant=pytest.fail)
    (image,), (category,) = written["images"], written["categories"]
    assert "license" not in image and image["film"] == {"a": [3.5]} and "colour" not in category


def test_what_cityscapes_leaves_for_its_own_metric_is_not_written(tmp_path: Path) -> None:
    SCENES["cityscapes"][1](tmp_path)
    labels = read_labels(tmp_path)
    assert FIELD in labels.coco["images"][0]
    assert FIELD not in clean_content(labelled_images(labels), labels)["images"][0]


@pytest.mark.parametrize("name", ["a b.png", "50%20.png", "a#1?.png", "ä+ö.png", "x&d=y.png"])
def test_label_studio_is_told_where_an_image_lies(name: str, tmp_path: Path) -> None:
    """As an address, which it decodes; below the folder with `tasks.json`, as its local storage has it."""
    content = {
        "images": [{"id": 1, "file_name": name, "width": 8, "height": 8}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 4, 4]}],
        "categories": [{"id": 1, "name": "cell"}],
    }
    Image.new("RGB", (8, 8)).save(tmp_path / name)
    WRITERS["label-studio"](Scene(content, tmp_path), tmp_path / "out")
    (task,) = json.loads((tmp_path / "out" / "tasks.json").read_text())
    address = urlsplit(task["data"]["image"])
    (file,) = parse_qs(address.query)["d"]
    assert address.path == "/data/local-files/" and (tmp_path / "out" / file).is_file()
    assert read_labels(tmp_path / "out").coco["images"][0]["file_name"] == file
