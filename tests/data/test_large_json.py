"""A file read in pieces is the file read as a whole; what is broken is so in both."""

from __future__ import annotations

import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from maskrcnn.data import coco, coco_annotations, large_json
from maskrcnn.data.coco import LabelledImages, read_coco
from maskrcnn.data.coco_annotations import Annotations, begins_as_coco, load_coco
from maskrcnn.data.formats import table
from maskrcnn.data.formats.content import LabelContent
from maskrcnn.data.formats.naming import Naming
from maskrcnn.data.formats.table import coco_content
from maskrcnn.data.large_json import LargeFile
from maskrcnn.data.splitting import divide
from maskrcnn.errors import UserError
from maskrcnn.training.division import Division

RING = [2.5, 3, 8, 3, 8, 8.25, 2, 8]


def content() -> dict[str, Any]:
    """Two images, good and bad annotations, names beyond ASCII, ids that are text."""
    images = [
        {"id": 1, "file_name": "Zürich 東京.png", "height": 24, "width": 31},
        {"id": "b ü", "file_name": "b.png", "height": 24, "width": 31},
    ]
    annotations: list[Any] = [
        {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [RING], "bbox": [2, 3, 6, 5.25], "area": 30},
        {"id": 1, "image_id": "b ü", "category_id": 2, "segmentation": [RING, RING], "note": 'naïve, "quoted" ]}'},
        {"id": "Ärger", "image_id": 1, "category_id": 9, "segmentation": [RING]},
        {"image_id": 7, "category_id": 1},
        "no annotation",
        None,
        12,
        {
            "id": 5,
            "image_id": 1,
            "category_id": 2,
            "iscrowd": 1,
            "segmentation": {"size": [24, 31], "counts": [0, 744]},
        },
    ]
    classes = [{"id": 1, "name": "Kätzchen"}, {"id": 2, "name": "dog"}]
    return {
        "unlabelled": "void",
        "info": {"x": [1, {"annotations": []}]},
        "annotations": annotations,
        "images": images,
        "categories": classes,
    }


@pytest.fixture
def both(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path], list[Any]]:
    """What the reader makes of a file as a whole, and in pieces of a few bytes: labels and report, or the error."""

    def read(path: Path) -> list[Any]:
        monkeypatch.setattr(large_json, "WINDOW", 16)
        results: list[Any] = []
        for large in (10**9, 0):
            monkeypatch.setattr(coco, "load_coco", partial(load_coco, large=large))
            try:
                results.append(facts(read_coco(path, None)))
            except UserError as error:
                results.append(str(error))
        return results

    return read


def facts(data: LabelledImages) -> Any:
    columns = {name: value.tolist() for name, value in vars(data.labels).items() if isinstance(value, torch.Tensor)}
    return repr(columns), data.categories, data.report.lines, data.report.counts, data.has_void


@pytest.mark.parametrize("style", [{}, {"indent": 1}, {"ensure_ascii": False}, {"separators": (",", ":")}])
@pytest.mark.parametrize("start", ["", "\ufeff"])
def test_in_pieces_is_the_same(tmp_path: Path, both: Callable[[Path], list[Any]], style: Any, start: str) -> None:
    path = tmp_path / "labels.json"
    path.write_text(start + json.dumps(content(), **style) + "\n")
    whole, pieces = both(path)
    assert whole == pieces and "ANNOTATION_ID_TWICE" in str(whole)


def test_annotations_stay_in_the_file(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(content()))
    stored, listed = load_coco(path, large=0)["annotations"], Annotations.of_list(content()["annotations"])
    assert isinstance(stored, Annotations) and not hasattr(stored, "entries")
    assert [stored[n] for n in (7, 0, 4)] == [listed[n] for n in (7, 0, 4)] and stored.image_ids == listed.image_ids
    stored.starts[0] += 1  # type: ignore[attr-defined]  # as if the file had changed
    with pytest.raises(UserError, match="has changed while it was read"):
        stored[0]


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[: len(text) // 2],
        lambda text: text + "]",
        lambda text: text.replace('"bbox"', "bbox", 1),
        lambda text: text.replace("null", "nul"),
        lambda text: text.replace("12,", "12"),
        lambda text: text.replace('"images": [', '"images": ['.replace("[", "[,")),
        lambda text: text.replace('"images"', '"pictures"', 1),
        lambda text: text.replace('"annotations": [{', '"annotations": {"a": [{', 1).replace(
            '}], "images"', '}]}, "images"'
        ),
        lambda text: text[1:],
        lambda text: "[" * 10_000,
        lambda text: "[1, 2]",
        lambda text: "",
        lambda text: text.replace("}]}", "},]}"),
        lambda text: "{[1]: 2, " + text[1:],
        lambda text: '{{"a": 1}: 2, ' + text[1:],
        lambda text: "{1: 2, " + text[1:],
    ],
)
def test_what_is_broken_is_refused_in_pieces_too(
    tmp_path: Path, both: Callable[[Path], list[Any]], damage: Callable[[str], str]
) -> None:
    path = tmp_path / "labels.json"
    path.write_text(damage(json.dumps(content(), ensure_ascii=False)))
    whole, pieces = both(path)
    assert isinstance(whole, str) and isinstance(pieces, str), (whole, pieces)
    assert pieces.startswith(str(path)) and pieces.count("\n") == 0


def test_a_list_that_is_there_twice_is_not_joined(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(content())[:-1] + ', "annotations": []}')
    assert load_coco(path)["annotations"] == []
    with pytest.raises(UserError, match="Expecting one list 'annotations', found a second"):
        load_coco(path, large=0)


@pytest.mark.parametrize("text", ['{"type": "FeatureCollection", "features": [1]}', "[1, 2]", '{"images": [1]}'])
def test_a_large_file_of_another_form_is_read_as_a_whole_and_closed(tmp_path: Path, text: str) -> None:
    path = tmp_path / "labels.json"
    path.write_text(text)
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        assert load_coco(path, large=0) == json.loads(text) and not begins_as_coco(path)
        path.write_text(json.dumps(content()))
        assert begins_as_coco(path)
        path.write_text(json.dumps({**content(), "annotations": [{"image_id": 1, "segments_info": []}]}))
        assert not begins_as_coco(path)


def test_names_are_found_wherever_they_lie(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also across the ends of two windows."""
    path = tmp_path / "labels.json"
    for place in range(200, 280):
        monkeypatch.setattr(large_json, "WINDOW", 128)
        path.write_text(json.dumps({"info": "x" * place, **content()}))
        with closing(LargeFile(path)) as file:
            assert file.may_have(["images", "annotations", "categories"]) and not file.may_have(["images", "regions"])


def test_bytes_that_are_no_text_are_refused(tmp_path: Path, both: Callable[[Path], list[Any]]) -> None:
    path = tmp_path / "labels.json"
    path.write_bytes(json.dumps(content(), ensure_ascii=False).encode().replace(b"Z\xc3", b"Z\xff"))
    assert all(isinstance(result, str) for result in both(path))


def test_the_limit_decides(tmp_path: Path) -> None:
    path = tmp_path / "labels.json"
    path.write_text(json.dumps(content()))
    size = path.stat().st_size
    assert isinstance(load_coco(path, large=size)["annotations"], list)
    assert isinstance(load_coco(path, large=size - 1)["annotations"], Annotations)
    assert coco_annotations.LARGE == 64 * 2**20


@pytest.fixture
def contents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[LabelContent]:
    """The content of a small file and of one whose annotations stay in it."""
    path, both = tmp_path / "labels.json", content()
    both["images"] += [{"id": n, "file_name": f"{n}.png", "height": 24, "width": 31} for n in range(20, 40)]
    extra = [{"id": n, "image_id": n, "category_id": 1 + n % 2, "segmentation": [RING]} for n in range(20, 40)]
    both["annotations"] = [entry for entry in both["annotations"] if isinstance(entry, dict)] + extra
    path.write_text(json.dumps(both))
    found = []
    for large in (10**9, 0):
        monkeypatch.setattr(table, "load_coco", partial(load_coco, large=large))
        found.append(coco_content(path, tmp_path))
    return found


def test_the_content_of_a_large_file_is_divided_and_renamed_alike(contents: list[LabelContent]) -> None:
    assert isinstance(contents[1].coco["annotations"], Annotations)
    naming = Naming(classes={"Kätzchen": "cat", "dog": None})
    results = []
    for one in contents:
        division = divide(one, 0.3, "", 0)
        is_val = dict(zip((image["id"] for image in one.coco["images"]), division.is_val.tolist(), strict=True))
        val = one.divided(is_val).split("val")
        parts = [one, naming.apply(one), val, naming.apply(val)]
        results.append([facts(read_coco(part.coco, None, source="x")) for part in parts])
    assert results[0] == results[1] and "cat" in str(results[0])
    train = contents[1].divided({20: False}).split("train").coco["annotations"]
    assert isinstance(train, Annotations) and [entry["id"] for entry in train] == [20]
    assert train[-1] == train[0] == train[:1][0] and len(train) == 1


def test_a_division_of_a_large_file_is_kept_alike(contents: list[LabelContent], tmp_path: Path) -> None:
    kept = []
    for number, one in enumerate(contents):
        part = one.divided({20: True, 21: True, "b ü": True}).split("val")
        Division({}, {"val": part}, tmp_path).keep(tmp_path / str(number))
        kept.append(json.loads((tmp_path / str(number) / "instances_val.json").read_text()))
    assert kept[0] == kept[1] and len(kept[0]["annotations"]) == 3
    assert kept[0]["info"] == {"images": "."}, "which a resumed run needs, whatever info the labels had"


AS_IT_IS = "from maskrcnn.data.coco import read_coco; data = read_coco(path, None)"
AS_A_FORM = (
    "from maskrcnn.data.formats.table import labelled_images, read_labels; data = labelled_images(read_labels(path))"
)


@pytest.mark.slow
@pytest.mark.parametrize("read", [AS_IT_IS, AS_A_FORM])
def test_a_million_annotations_take_less_than_a_minute_and_a_gibibyte(tmp_path: Path, read: str) -> None:
    """310 MB of 12-point polygons; the seconds are those of the processor."""
    path, images = tmp_path / "big.json", 20_000
    for n in range(images):
        (tmp_path / f"{n}.jpg").touch()
    ring = ", ".join(f"{n + 0.25}" for n in (40, 20, 50, 23, 57, 30, 60, 40, 57, 50, 50, 57))
    ring = f"{ring}, {ring.replace('.25', '.75')}"
    with path.open("w") as file:
        listed = ({"id": n, "file_name": f"{n}.jpg", "height": 480, "width": 640} for n in range(images))
        file.write('{"images": [' + ", ".join(map(json.dumps, listed)) + '], "annotations": [')
        for n in range(1_000_000):
            ids = f'"id": {n}, "image_id": {n % images}, "category_id": {1 + n % 80}, "iscrowd": 0, "area": 1004.5'
            comma = ", " if n else ""
            file.write(f'{comma}{{{ids}, "bbox": [40.25, 20.25, 20.5, 37.5], "segmentation": [[{ring}]]}}')
        classes = [{"id": n, "name": f"class {n}"} for n in range(1, 81)]
        file.write('], "categories": ' + json.dumps(classes) + "}")
    program = (
        "import pathlib, sys, time; from maskrcnn.benchmark.memory import peak_resident_bytes; "
        f"path = pathlib.Path(sys.argv[1]); {read}; "
        "print(data.report.num_objects, data.report.counts.total(), peak_resident_bytes() >> 20, time.process_time())"
    )
    result = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    objects, faults, mebibytes, seconds = result.stdout.split()
    assert (objects, faults) == ("1000000", "0")
    assert int(mebibytes) < 1024 and float(seconds) < 60
