"""What a prediction offers to its user; all of it without PyTorch."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from pydoc import plain, render_doc
from typing import Any

import numpy as np
import pytest
from PIL import Image

from maskrcnn import masks
from maskrcnn.detected import DetectedObject
from maskrcnn.errors import UserError
from maskrcnn.masks.packed_rle import PackedRLE
from maskrcnn.masks.rle import encode_rle, rle_area
from maskrcnn.masks.rle_coco import rle_to_coco
from maskrcnn.prediction import Prediction
from maskrcnn.structures import Categories, KeypointSchema

CATEGORIES = Categories((3, 7), ("round", "long"))
BOXES = np.array([[2.0, 1.0, 6.0, 4.0], [0.0, 5.0, 10.0, 8.0]], np.float32)


def prediction(**changes: object) -> Prediction:
    """Two objects in an image 8 high and 10 wide: masks that fill their boxes."""
    fields: dict[str, Any] = {
        "boxes": BOXES,
        "scores": np.array([0.75, 0.5], np.float32),
        "labels": np.array([1, 0]),
        "mask_probs": np.ones((2, 28, 28), np.float32),
        "image_size": (8, 10),
        "categories": CATEGORIES,
        "source": np.zeros((8, 10, 3), np.uint8),
    }
    return Prediction(**{**fields, **changes})


def bitmaps() -> np.ndarray:
    """The masks of these objects."""
    expected = np.zeros((2, 8, 10), bool)
    expected[0, 1:4, 2:6] = True
    expected[1, 5:8, 0:10] = True
    return expected


def decided() -> PackedRLE:
    """Those masks as an import or a tiling gives them."""
    return PackedRLE.from_rles(map(encode_rle, bitmaps()), (8, 10))


def test_masks_in_every_form_agree_with_the_boxes() -> None:
    found = prediction()
    assert found.masks().dtype == bool and np.array_equal(found.masks(), bitmaps())
    assert [rle_area(rle) for rle in found.rle()] == [12, 30]
    ((outer, holes),) = found.polygons()[0]
    assert holes == [] and outer.min(axis=0).tolist() == [2, 1] and outer.max(axis=0).tolist() == [6, 4]


def test_coco_results() -> None:
    found = prediction()
    first, second = found.to_coco(image_id=5)
    assert first == {
        "image_id": 5,
        "category_id": 7,
        "category_name": "long",
        "bbox": [2.0, 1.0, 4.0, 3.0],
        "score": 0.75,
        "segmentation": rle_to_coco(found.rle()[0]),
    }
    # Two columns of 8 zeros and one zero above, then columns of three ones with five zeros between.
    assert found.rle()[0].counts.tolist() == [17, 3, 5, 3, 5, 3, 5, 3, 36]
    assert second["category_id"] == 3 and second["bbox"] == [0.0, 5.0, 10.0, 3.0]


def test_coco_results_are_what_pycocotools_reads() -> None:
    from pycocotools import mask as oracle

    found = prediction()
    decoded = [oracle.decode(result["segmentation"]) for result in found.to_coco()]
    assert np.array_equal(np.stack(decoded), found.masks())


PERSONS = Categories((3, 7), ("car", "person"), (None, KeypointSchema(("nose", "left_eye"), ((0, 1),))))


def test_keypoints_are_part_of_the_results_of_classes_that_have_them() -> None:
    """COCO's coordinates: the centre of pixel (2, 3) lies at 2.5, 3.5."""
    keypoints = np.array([[[2.5, 3.5, 0.25], [4.0, 1.125, 0.5]], [[1.0, 6.0, 0.5], [2.0, 7.0, 0.5]]])
    person, car = prediction(keypoints=keypoints, categories=PERSONS).to_coco()
    assert person["category_name"] == "person" and person["keypoints"] == [2.0, 3.0, 0.25, 3.5, 0.625, 0.5]
    assert "keypoints" not in car and "keypoints" not in prediction().to_coco()[0]
    best = prediction(keypoints=keypoints, categories=PERSONS)[:1]
    assert best.keypoints is not None and best.keypoints.shape == (1, 2, 3)


def test_keypoints_are_drawn(tmp_path: Path) -> None:
    """A person in the left half of the image, a car in the right one."""
    boxes = np.array([[50.0, 100, 450, 900], [550, 100, 950, 900]])
    keypoints = np.array([[[250.0, 400, 0.25], [250, 600, 0.5]], [[750, 400, 0.9], [750, 600, 0.9]]])
    fields = {"boxes": boxes, "mask_probs": None, "image_size": (1000, 1000), "categories": PERSONS}
    pictures = []
    for name, points in (("plain", None), ("posed", keypoints), ("unsure", keypoints * np.array([1, 1, 0.01]))):
        source = np.zeros((1000, 1000, 3), np.uint8)
        prediction(**fields, source=source, keypoints=points).save(tmp_path / f"{name}.png")
        pictures.append(np.array(Image.open(tmp_path / f"{name}.png")))
    plain, posed, unsure = pictures
    assert posed[400:601, 250].any(axis=1).all() and (unsure[:, :500] == plain[:, :500]).all()
    assert (posed[:, 500:] == plain[:, 500:]).all(), "a car has no keypoints"


@pytest.mark.parametrize("index", [slice(1), [0], [True, False], np.array([0]), np.array([True, False])], ids=str)
@pytest.mark.parametrize("source", ["mask_probs", "given_masks"])
def test_slices_and_arrays_give_predictions(index: Any, source: str) -> None:
    found = prediction() if source == "mask_probs" else prediction(mask_probs=None, given_masks=decided())
    for _ in range(2):  # the second time, the masks are decided
        best = found[index]
        assert isinstance(best, Prediction) and best.names == ["long"] and best.categories == CATEGORIES
        assert np.array_equal(best.masks(), bitmaps()[:1]) and best.scores.tolist() == [0.75]
        found.rle()
    assert len(found[[]]) == len(found[[False, False]]) == len(found[2:]) == 0
    assert np.array_equal(found[[1, 0, 1]].masks(), bitmaps()[[1, 0, 1]])


def test_objects_one_by_one() -> None:
    found = prediction()
    first, second = found
    assert isinstance(first, DetectedObject) and found[0].name == "long" and found[np.int64(1)].name == "round"
    assert (first.label, first.score, first.box.tolist(), first.area) == (1, 0.75, [2, 1, 6, 4], 12)
    assert np.array_equal([first.mask, second.mask], bitmaps()) and first.mask.dtype == bool
    assert first.rle.counts.tolist() == found.rle()[0].counts.tolist() and first.keypoints is None
    assert [ring.tolist() for ring, _ in first.polygons] == [ring.tolist() for ring, _ in found.polygons()[0]]
    assert found[-1].index == 1 and repr(first) == "DetectedObject(long, score 0.750, box 2.0, 1.0, 6.0, 4.0)"
    with pytest.raises(IndexError):
        found[2]
    points = np.ones((2, 3, 3), np.float32)
    assert np.array_equal(prediction(keypoints=points)[1].keypoints, points[1])
    assert prediction(mask_probs=None)[1].area == 30, "of its box"


def test_names_and_repr() -> None:
    assert prediction().names == ["long", "round"]
    assert repr(prediction()) == "Prediction(2 objects, 10 x 8 pixels)"


def test_arrays_of_unlike_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="one row per object"):
        prediction(scores=np.ones(3, np.float32))


def test_help_tells_what_is_in_it() -> None:
    text = plain(render_doc(Prediction))
    for name in ("boxes", "scores", "labels", "image_size", "categories", "source", "mask_probs", "keypoints"):
        assert f"    {name}: " in text, name


@pytest.fixture
def pastes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows with every mask that is pasted."""
    numbers: list[int] = []
    paste = masks.paste.paste_windows

    def counted(*arguments: Any) -> Iterator[Any]:
        for pasted in paste(*arguments):
            numbers.append(len(numbers))
            yield pasted

    monkeypatch.setattr(masks.paste, "paste_windows", counted)
    return numbers


def test_the_threshold_decides_what_belongs_to_an_object() -> None:
    """A mask whose left half is likely and whose right half is not; the lower threshold takes both."""
    halves = np.where(np.arange(28) < 14, 0.7, 0.3).astype(np.float32)
    probs = np.broadcast_to(halves, (2, 28, 28)).copy()
    areas = [
        [rle_area(rle) for rle in prediction(mask_probs=probs, mask_threshold=threshold).rle()]
        for threshold in (0.2, 0.5, 0.8)
    ]
    assert areas == [[12, 30], [6, 15], [0, 0]]
    lower = prediction(mask_probs=probs, mask_threshold=0.2)
    assert lower[:1].mask_threshold == 0.2 and rle_area(lower[:1].rle()[0]) == 12


def test_masks_may_have_more_rows_than_columns() -> None:
    found = prediction(mask_probs=np.ones((2, 28, 14), np.float32))
    assert np.array_equal(found.masks(), bitmaps())


def test_a_mask_is_pasted_once(tmp_path: Path, pastes: list[int]) -> None:
    """Whatever it is asked for: suppression, JSON, fill and outline, polygons, areas, a part of them."""
    found = prediction(labels=np.array([0, 0])).without_covered(0.3)
    assert len(pastes) == 2
    found.to_coco(), found.save(tmp_path / "a.png"), found.polygons(), found.masks(), found.rle()
    found[:1].to_coco(), [one.area for one in found], found[0].mask
    assert len(pastes) == 2


def test_a_mask_is_pasted_when_it_is_asked_for(pastes: list[int]) -> None:
    found = prediction()
    found.names, found.scores, found[:1], found.without_covered(1.0)
    assert pastes == []


def test_covered_objects_are_left_out() -> None:
    boxes = np.array([[0.0, 0, 6, 8], [0, 0, 5, 8], [0, 0, 4, 8]], np.float32)
    found = prediction(
        boxes=boxes, scores=np.ones(3, np.float32), labels=np.array([0, 0, 1]), mask_probs=np.ones((3, 28, 28))
    )
    assert found.without_covered(0.3).boxes.tolist() == boxes[[0, 2]].tolist()
    assert len(found.without_covered(1.0)) == 3
    without_masks = prediction(mask_probs=None)
    assert without_masks.without_covered(0.0) is without_masks


def test_masks_decided_elsewhere_serve_as_well(tmp_path: Path) -> None:
    found, twin = prediction(mask_probs=None, given_masks=decided()), prediction()
    assert found.to_coco() == twin.to_coco()
    assert np.array_equal(found.overlay(), twin.overlay()) and np.array_equal(found.masks(), bitmaps())


_WITHOUT_PYTORCH = """
import sys
for name in ("torch", "torchvision", "hotcoco", "safetensors"): sys.modules[name] = None
import numpy as np
import maskrcnn, maskrcnn.data.images
from maskrcnn.masks import overlap, paste, polygons, polygons_coco, rle, rle_coco, rle_crops, rle_string
from maskrcnn.viz import colours, inline, labels, overlay, skeletons
from maskrcnn.structures import RLE, Categories, KeypointSchema, MaskCrops, Polygons, Size
person = KeypointSchema(("nose", "left_eye"), ((0, 1),))
found = maskrcnn.Prediction(
    boxes=np.array([[2, 1, 6, 4], [0, 5, 10, 8]], np.float32), scores=np.array([0.75, 0.5], np.float32),
    labels=np.array([1, 0]), image_size=(8, 10), source=sys.argv[1],
    categories=maskrcnn.Categories((3, 7), ("car", "person"), (None, person)),
    mask_probs=np.ones((2, 28, 28), np.float32), keypoints=np.ones((2, 2, 3), np.float32),
).without_covered(0.3)
found.save(sys.argv[2])
assert [result["segmentation"]["size"] for result in found.to_coco()] == [[8, 10], [8, 10]]
assert [len(one) for one in (found.rle(), found.polygons(), found.masks())] == [2, 2, 2]
print([(one.name, one.area) for one in found])
assert sys.modules["torch"] is None and not any(name.startswith("torch.") for name in sys.modules)
"""


def test_everything_works_without_pytorch(tmp_path: Path) -> None:
    Image.new("RGB", (10, 8)).save(tmp_path / "image.png")
    paths = [str(tmp_path / "image.png"), str(tmp_path / "overlay.png")]
    done = subprocess.run([sys.executable, "-c", _WITHOUT_PYTORCH, *paths], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "[('person', 12), ('car', 30)]\n" and (tmp_path / "overlay.png").stat().st_size > 100


def test_a_prediction_without_objects() -> None:
    nothing = prediction()[:0]
    assert nothing.names == nothing.to_coco() == nothing.rle() == nothing.polygons() == []
    assert nothing.masks().shape == (0, 8, 10)


def test_without_a_mask_branch() -> None:
    found = prediction(mask_probs=None)
    assert "segmentation" not in found.to_coco()[0]
    for method in (found.masks, found.rle, found.polygons, lambda: found[0].mask):
        with pytest.raises(UserError, match="no mask branch"):
            method()


@pytest.mark.parametrize("name", ["picture.png", "picture.jpg", "new/folder/picture.tif"])
def test_save_draws_over_the_image(tmp_path: Path, name: str) -> None:
    for changes in ({}, {"mask_probs": None}):
        prediction(**changes).save(tmp_path / name)
        with Image.open(tmp_path / name) as picture:
            assert picture.width % 10 == 0 and picture.width * 8 == picture.height * 10
            assert np.asarray(picture).max() > 50  # the image itself is black


def test_save_refuses_an_unknown_ending(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"picture\.xyz.*\.png"):
        prediction().save(tmp_path / "picture.xyz")
    with pytest.raises(UserError, match="ending in"):
        prediction().save(tmp_path / "picture")


def test_the_image_of_a_file_is_read_when_it_is_needed(tmp_path: Path) -> None:
    image_file, pixels = tmp_path / "image.png", np.arange(240, dtype=np.uint8).reshape(8, 10, 3)
    Image.fromarray(pixels).save(image_file)
    found = prediction(source=image_file)
    assert np.array_equal(found.image(), pixels)
    image_file.unlink()
    with pytest.raises(UserError, match=r"image\.png"):
        found.image()


def test_objects_are_chosen_by_what_they_are() -> None:
    found = prediction()
    assert found.areas.tolist() == [12, 30] and found.counts == {"round": 1, "long": 1}
    assert found.filter(name="long").names == ["long"] and found.filter(name=["long", "round"]).names == found.names
    assert found.filter(score=0.5).names == found.names and found.filter(score=0.51).names == ["long"]
    assert found.filter(min_area=12, max_area=29).names == ["long"] and len(found.filter("long", min_area=13)) == 0
    assert found.touches_border.tolist() == [False, True] and found.filter(whole=True).names == ["long"]
    boxes_alone = prediction(mask_probs=None)
    assert boxes_alone.areas.tolist() == [12, 30] and boxes_alone.filter(whole=True).names == []
    with pytest.raises(UserError, match=r"class 'wide': expected one of .*round"):
        found.filter(name=["long", "wide"])


def test_forms_of_a_prediction() -> None:
    found = prediction()
    assert found.label_image().tolist() == (bitmaps() * np.array([1, 2])[:, None, None]).sum(axis=0).tolist()
    assert [crop.shape for crop in found.crops(margin=1)] == [(5, 6, 4), (4, 10, 4)]
    assert found.measurements(pixel_size=2)["area"].tolist() == [48, 120]
    assert "Prediction(2 objects, 10 x 8 pixels): 1 round, 1 long" in found._repr_html_()
    assert [[len(ring) for ring, _ in parts] for parts in found.polygons(tolerance=1)] == [[4], [4]]
