"""Results joined with labels: names decide where there are any, ids elsewhere."""

from __future__ import annotations

import copy
import unicodedata
from collections.abc import Callable
from typing import Any

import pytest

from maskrcnn.data.coco import read_coco
from maskrcnn.errors import UserError
from maskrcnn.evaluation.joining import joined
from maskrcnn.evaluation.truth import GroundTruth
from maskrcnn.scoring import ground_truth_of

Json = dict[str, Any]


def truth_of(*names: str, classes: tuple[str, ...] = ("cat", "dog")) -> GroundTruth:
    """Images 1, 2, ... of these names, classes 1, 2, ..."""
    return ground_truth_of(
        read_coco(
            {
                "images": [{"id": i, "file_name": n, "width": 9, "height": 9} for i, n in enumerate(names, start=1)],
                "categories": [{"id": i, "name": name} for i, name in enumerate(classes, start=1)],
                "annotations": [],
            }
        )
    )


def result(image_id: int = 1, category_id: int = 1, **names: object) -> Json:
    return {"image_id": image_id, "category_id": category_id, "score": 0.5, "bbox": [0, 0, 2, 2], **names}


def ids(results: list[Json]) -> list[tuple[int, int]]:
    return [(entry["image_id"], entry["category_id"]) for entry in results]


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ("b.png", 2),
        ("/typed/images/b.png", 2),
        ("typed\\b.png", 2),
        ("c.png", 3),  # the labels have more folders in front
        ("left/d.png", 4),
        ("x/right/d.png", 5),
        ("", 1),
        (7, 1),
        (["b.png"], 1),
    ],
)
def test_a_file_name_decides_the_image(stated: object, expected: int) -> None:
    truth = truth_of("a.png", "b.png", "folder/c.png", "left/d.png", "right/d.png")
    entries = [result(1, file_name=stated), result(3)]
    before = copy.deepcopy(entries)
    found, lines = joined(entries, truth, {})
    assert ids(found) == [(expected, 1), (3, 1)] and entries == before
    assert lines == ["image_id is another in the labels for 1 name: file_name decides the image"] * (expected != 1)


FOLDERS = ("a.png", "left/d.png", "right/d.png", "left/e.jpg", "right/e.jpg")


def named(*stated: tuple[object, str]) -> list[Json]:
    """Results of these image ids and file names; no id: without one."""
    entries = [{**result(file_name=name), "image_id": image_id} for image_id, name in stated]
    return [{key: value for key, value in entry.items() if value is not None} for entry in entries]


@pytest.mark.parametrize(
    ("stated", "lines"),
    [
        (
            [(2, "d.png"), (3, "d.png"), (2, "d.png"), (1, "a.png")],
            ["file_name of 2 images fits several of the labels, so that image_id decides: "
             "d.png is left/d.png, d.png is right/d.png"],
        ),
        ([(5, "e.png")], ["file_name of 1 image fits several of the labels, so that image_id decides: "
                          "e.png is right/e.jpg"]),
        (
            [(3, "d.png"), (9, "x.png"), (9, "d.png"), (9, "e.jpg"), (None, "e.jpg"), ([3], "d.png")],
            [
                "file_name of 1 image fits several of the labels, so that image_id decides: d.png is right/d.png",
                "4 predictions left out: file_name fits several images of the labels, and image_id is that of none: "
                "d.png, e.jpg",
                "1 prediction left out: no image x.png in the labels",
            ],
        ),
    ],
)  # fmt: skip
def test_ids_decide_among_images_that_a_file_name_fits(stated: list[tuple[Any, str]], lines: list[str]) -> None:
    entries = named(*stated)
    found, said = joined(entries, truth_of(*FOLDERS), {})
    assert found == [entry for entry in entries if entry.get("image_id") in (1, 2, 3, 5)] and said == lines


@pytest.mark.parametrize(
    ("stated", "fault"),
    [
        ([(1, "d.png")], "d.png has 1, which is a.png there"),
        ([(2, "d.png"), (2, "e.jpg")], "e.jpg has 2, which is left/d.png there"),
        ([(2, "d.png"), (3, "a.png")], "a.png has 3, which is right/d.png there"),
        ([(2, "d.png"), (9, "a.png")], "a.png has 9, which is no image there"),
    ],
)
def test_ids_of_another_list_do_not_decide(stated: list[tuple[int, str]], fault: str) -> None:
    message = (
        "predictions: expected file_name with the folders that tell images of the labels apart, such as left/d.png, "
        f"got d.png; image_id cannot decide, since {fault}"
    )
    with pytest.raises(UserError, match=f"^{message}$"):
        joined(named(*stated), truth_of(*FOLDERS), {})


def test_names_stand_in_for_ids_that_are_missing() -> None:
    entry = result(file_name="b.png", category_name="dog")
    del entry["image_id"], entry["category_id"]
    found, lines = joined([entry], truth_of("a.png", "b.png"), {})
    assert ids(found) == [(2, 2)] and lines == []


def test_what_says_the_same_stays_itself() -> None:
    entries = [result(2, 1, file_name="x/b.png", category_name="cat"), result(1, 2)]
    found, lines = joined(entries, truth_of("a.png", "b.png"), {})
    assert all(now is before for now, before in zip(found, entries, strict=True)) and lines == []


def test_other_images_and_classes_are_left_out_and_counted() -> None:
    entries = [result(file_name=name) for name in ("a.png", "y.png", "y.png", "b.png")]
    entries += [result(file_name="b.png", category_name=name) for name in ("dog", "owl")]
    found, lines = joined(entries, truth_of("a.png", "b.png"), {})
    assert ids(found) == [(1, 1), (2, 1), (2, 2)]
    assert lines[0] == "2 predictions left out: no image y.png in the labels"
    assert lines[2] == "1 prediction left out: no class owl in the labels"


def test_labels_that_name_no_files_leave_it_to_the_ids() -> None:
    content = {"images": [{"id": 4, "width": 9, "height": 9}], "categories": [{"id": 1, "name": "cat"}]}
    truth = ground_truth_of(read_coco({**content, "annotations": []}))
    assert ids(joined([result(4, file_name="a.png")], truth, {})[0]) == [(4, 1)]


def test_a_category_name_decides_the_class() -> None:
    found, lines = joined([result(1, 1, category_name="dog"), result(1, 2, category_name="cat")], truth_of("a.png"), {})
    assert ids(found) == [(1, 2), (1, 1)]
    assert lines == ["category_id is another in the labels for 2 names: category_name decides the class"]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([result(9, file_name="q.png")], "expected images of the labels, such as a.png, got q.png; --images DIR"),
        (
            [result(i, file_name=name) for i, name in enumerate(("q.png", "r.png"), start=1)],
            "expected images of the labels, such as a.png, got q.png, r.png; --images DIR",
        ),
        ([result(category_name="owl")], r"expected classes of the labels \(cat, dog\), got owl; --class-map"),
        (
            [result(file_name=name) for name in ("train/a.png", "val/a.png")],
            "expected one file_name for each image, got train/a.png and val/a.png, which both may be a.png",
        ),
        (
            named((4, "left/e.jpg"), (4, "e.jpg")),
            "expected one file_name for each image, got left/e.jpg and e.jpg, which both may be left/e.jpg",
        ),
        (named((9, "e.jpg")), "expected images of the labels, such as a.png, got e.jpg; --images DIR"),
    ],
)
def test_names_that_do_not_fit(entries: list[Json], message: str) -> None:
    with pytest.raises(UserError, match=f"^predictions: {message}") as caught:
        joined(entries, truth_of("a.png", "b.png", "c.png", "left/e.jpg", "right/e.jpg"), {})
    assert "\n" not in str(caught.value)


CLASS_MAP = {1: None, "cat": None, 2: "pet", "dog": "pet", 5: "owl", "owl": "owl"}


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        (result(1, 1), []),
        (result(1, 2), [(1, 1)]),
        (result(1, 5), [(1, 2)]),
        (result(1, 5.0), [(1, 2)]),
        (result(1, 9, category_name="cat"), []),
        (result(1, 1, category_name="dog"), [(1, 1)]),
        (result(1, 1, category_name="pet"), [(1, 1)]),  # of a model that learned the new names
    ],
)
def test_a_class_map_holds_for_results_too(entry: Json, expected: list[tuple[int, int]]) -> None:
    found, lines = joined([entry], truth_of("a.png", classes=("pet", "owl")), CLASS_MAP)
    assert ids(found) == expected
    left_out = [line for line in lines if line.startswith("1 prediction left out: no class ca")]
    assert len(left_out) == (not expected)


def test_an_id_that_the_class_map_does_not_know() -> None:
    """It may be that of another class by now."""
    with pytest.raises(UserError, match=r"expected category_id among those of the labels before .* renamed, got 3"):
        joined([result(1, 3)], truth_of("a.png", classes=("pet", "owl")), CLASS_MAP)


def test_a_class_map_says_that_it_reads_ids() -> None:
    """5 is `owl`, whose id is 2 now; 2 of `dog`, which is `pet` with the id 1, counts too."""
    entries = [result(1, 5), result(1, 2), result(1, 1, category_name="owl")]
    found, lines = joined(entries, truth_of("a.png", classes=("pet", "owl")), CLASS_MAP)
    assert ids(found) == [(1, 2), (1, 1), (1, 2)]
    (line,) = lines
    assert line.startswith("2 predictions without category_name: category_id means the classes of the labels as")


@pytest.mark.parametrize(("of_b", "what"), [("c", "is called c"), (None, "is left out")])
def test_a_name_that_one_class_had_and_another_gets(of_b: str | None, what: str) -> None:
    class_map = {1: "b", "a": "b", 2: of_b, "b": of_b}
    truth = truth_of("a.png", classes=("b", *filter(None, [of_b])))
    with pytest.raises(UserError, match=f"^predictions: category_name b may be the class of the labels that {what} by"):
        joined([result(1, 1, category_name="b")], truth, class_map)
    assert ids(joined([result(1, 2, category_name="a")], truth, class_map)[0]) == [(1, 1)]


@pytest.mark.parametrize(
    "spelled",
    [
        lambda name: unicodedata.normalize("NFD", name),
        lambda name: name.replace(".jpg", ".JPG"),
        lambda name: name.replace(".jpg", ".png"),
        lambda name: f"typed/{name.upper()}",
    ],
)
def test_images_spelled_otherwise(spelled: Callable[[str], str]) -> None:
    names = ["Z\xfcrich.jpg", "x/b.v1.jpg", "x/b.v2.jpg"]
    found, lines = joined([result(9, file_name=spelled(name)) for name in names], truth_of(*names), {})
    assert ids(found) == [(1, 1), (2, 1), (3, 1)]
    assert lines == ["image_id is another in the labels for 3 names: file_name decides the image"]


@pytest.mark.parametrize("other", ["A.jpg", "a.png", "c.v2"])
def test_an_image_of_its_own_name_is_not_that_of_another(other: str) -> None:
    entries = [result(1, file_name="a.jpg"), result(2, file_name=other)]
    found, lines = joined(entries, truth_of("a.jpg", "c.v1"), {})
    assert ids(found)[0] == (1, 1) and len(lines) == 1
    assert lines[0] == f"1 file_name not in the labels, so that image_id decides: {other} is c.v1"


@pytest.mark.parametrize(
    ("stated", "expected"),
    [
        ([(1, "1.jpg"), (2, "COCO_2.jpg"), (2, "COCO_2.jpg")], [1, 2, 2]),
        ([(1, "1.jpg"), (9, "COCO_2.jpg")], [1]),  # the labels have no such id
        ([(1, "1.jpg"), (1, "COCO_2.jpg")], [1]),  # which is that of another name
        ([(1, "1.jpg"), (3, "x.jpg"), (3, "y.jpg")], [1]),
        ([(1, "1.jpg"), (2, "x.jpg"), (3, "x.jpg")], [1]),
        ([(3, "1.jpg"), (2, "COCO_2.jpg")], [1]),  # ids of another list
        ([(None, "1.jpg"), (2, "COCO_2.jpg")], [1]),  # nothing says that they are those of the labels
    ],
)
def test_names_that_the_labels_lack_go_by_ids_that_agree(
    stated: list[tuple[int | None, str]], expected: list[int]
) -> None:
    entries = [{**result(file_name=name), "image_id": image_id} for image_id, name in stated]
    found, lines = joined(entries, truth_of("1.jpg", "2.jpg", "3.jpg"), {})
    assert [entry["image_id"] for entry in found] == expected
    decided = [line for line in lines if "so that image_id decides: COCO_" in line]
    assert len(decided) == (len(found) == len(entries)) and all("COCO_2.jpg is 2.jpg" in line for line in decided)


@pytest.mark.parametrize(
    ("stated", "expected", "line"),
    [
        ([(1, "Cat"), (2, "DOG"), (3, "Bus")], [1, 2, 3], ""),
        ([(2, "Cat"), (1, "dog")], [1, 2], "category_id is another in the labels for 2 names"),
        (
            [(1, "cat"), (3, "autobus")],
            [1, 3],
            "1 category_name not in the labels, so that category_id decides: autobus",
        ),
        ([(1, "cat"), (1, "autobus")], [1], "1 prediction left out: no class autobus"),
        ([(2, "cat"), (3, "autobus")], [1], "1 prediction left out: no class autobus"),
        ([(None, "cat"), (3, "autobus")], [1], "1 prediction left out: no class autobus"),
    ],
)
def test_classes_spelled_otherwise(stated: list[tuple[int | None, str]], expected: list[int], line: str) -> None:
    entries = [{**result(category_name=name), "category_id": category_id} for category_id, name in stated]
    found, lines = joined(entries, truth_of("a.png", classes=("cat", "dog", "bus")), {})
    assert [entry["category_id"] for entry in found] == expected
    assert all(said.startswith(line) for said in lines[:1]) and bool(lines) == bool(line)


def test_classes_that_differ_in_their_case_alone() -> None:
    truth = truth_of("a.png", classes=("cat", "Cat"))
    found, _ = joined([result(1, 1, category_name="Cat"), result(1, 1, category_name="CAT")], truth, {})
    assert ids(found) == [(1, 2)]
