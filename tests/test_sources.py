"""What counts as an image, and which images a list of files, folders and patterns means."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch
from PIL import Image

from maskrcnn.data import left_out
from maskrcnn.errors import UserError
from maskrcnn.marks import mark_options
from maskrcnn.sources import collect_sources, kept_source, read_source, several_sources, source_pixels


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six images and two files that are none, with a subfolder."""
    (tmp_path / "sub").mkdir()
    for name in ("10.png", "2.PNG", "b.jpg", "a.tif", "sub/1.png", "sub/3.bmp"):
        Image.new("RGB", (4, 3)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "scan.dat").write_bytes((tmp_path / "10.png").read_bytes())
    return tmp_path


def names(paths: list[Path], folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in paths]


def test_a_folder_gives_its_images_in_natural_order(folder: Path) -> None:
    assert names(collect_sources([folder]), folder) == ["2.PNG", "10.png", "a.tif", "b.jpg"]


def test_patterns_and_subfolders(folder: Path) -> None:
    assert names(collect_sources([f"{folder}/*.png"]), folder) == ["10.png"]
    assert names(collect_sources([f"{folder}/**/*"]), folder)[-2:] == ["sub/1.png", "sub/3.bmp"]


def test_a_file_named_outright_may_have_any_ending(folder: Path) -> None:
    assert names(collect_sources([folder / "scan.dat"]), folder) == ["scan.dat"]


def test_duplicates_appear_once_where_they_came_first(folder: Path) -> None:
    found = collect_sources([folder / "b.jpg", folder, folder / "sub" / ".." / "10.png"])
    assert names(found, folder) == ["b.jpg", "2.PNG", "10.png", "a.tif"]


def test_a_name_that_looks_like_a_pattern_is_a_file_first(folder: Path) -> None:
    Image.new("RGB", (4, 3)).save(folder / "cell[1].png")
    assert names(collect_sources([folder / "cell[1].png"]), folder) == ["cell[1].png"]


@pytest.mark.parametrize(
    ("source", "message"), [("absent.png", "no such file"), ("absent/*.png", "match this pattern")]
)
def test_what_is_not_there(folder: Path, source: str, message: str) -> None:
    with pytest.raises(UserError, match=message) as caught:
        collect_sources([folder / source])
    assert source in str(caught.value) and "\n" not in str(caught.value)


def test_a_folder_without_images(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no images .* in this folder"):
        collect_sources([tmp_path])


def test_a_folder_whose_folders_have_images_names_the_pattern_that_takes_them(tmp_path: Path) -> None:
    (tmp_path / "images" / "train").mkdir(parents=True)
    (tmp_path / "images" / "train" / "a.PNG").touch()
    with pytest.raises(UserError, match="for those of the folders in it: ") as caught:
        collect_sources([tmp_path / "images"])
    pattern = str(caught.value).rpartition(": ")[2].strip("'")
    assert collect_sources([pattern]) == [tmp_path / "images" / "train" / "a.PNG"]


# --- what is left out ------------------------------------------------------------------------------------------------


def made(output: Path, *pictures: str) -> None:
    """An output of `predict` with these overlays, label maps, segments, and a form of results with two pictures."""
    files = [*pictures, "label_maps/a.png", "panoptic/a.png", "labels/images/a.png", "labels/masks/a.png"]
    for name in files:
        (output / name).parent.mkdir(parents=True, exist_ok=True)
        mark = mark_options("JPEG" if name.endswith(".jpg") else "PNG") if name in pictures else {}
        Image.new("RGB", (4, 3)).save(output / name, **mark)
    (output / "predictions.jsonl").write_text("".join(json.dumps({"picture": name}) + "\n" for name in pictures))
    (output / "labels" / ".written.json").write_text("{}")


@pytest.mark.parametrize(
    ("source", "expected", "results"),
    [
        ("", ["2.PNG", "10.png", "a.tif", "b.jpg"], 1),
        ("*.png", ["10.png"], 1),
        ("**/*.png", ["10.png", "old/own.png", "sub/1.png"], 10),
        ("old", ["old/own.png"], 1),
        ("old/labels/images", ["old/labels/images/a.png"], 0),  # named outright: copies of images
        ("old/labels/*/a.png", ["old/labels/images/a.png", "old/labels/masks/a.png"], 0),
        ("10_2.png", ["10_2.png"], 0),
    ],
)
def test_what_predict_wrote_itself_is_no_source(folder: Path, source: str, expected: list[str], results: int) -> None:
    """In the folder of the images, or in one below it."""
    made(folder, "10_2.png")
    made(folder / "old", "a.png")
    with (folder / "predictions.jsonl").open("a") as rows:
        rows.write('{"picture": "b.jpg"}\n')  # whatever rows say of images that `predict` has not drawn
    Image.new("RGB", (4, 3)).save(folder / "old" / "own.png")
    notes: list[str] = []
    assert names(collect_sources([folder / source], notes.append), folder) == expected
    words = f"left out {results} result{'s' * (results > 1)} of predict"
    assert [words in note for note in notes] == [True] * (results > 0)


def test_results_alone_are_no_images(tmp_path: Path) -> None:
    made(tmp_path / "out", "a.png", "b.png")
    with pytest.raises(UserError, match=r"out: no images .* in this folder but 2 results of predict$"):
        collect_sources([tmp_path / "out"])


def test_a_folder_says_what_is_not_taken_from_it(folder: Path) -> None:
    """Images of other kinds and in folders below, which are no results; text says nothing."""
    for name in ("a.heic", "b.GIF", "c.heic", "d.jfif", "e.jpe", "texts/notes.md"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).touch()
    made(folder / "predictions", "10.png")
    notes: list[str] = []
    found = collect_sources([folder, folder / "sub", f"{folder}/*.jpe"], notes.append)
    assert {"d.jfif", "e.jpe"} < set(names(found, folder)), "JPEG by other names"
    assert notes == [f"{folder}: left out 2 .heic, 1 .gif, 1 folder with images (taken by '{folder}/**')"]


def test_a_form_that_was_moved_is_a_source(tmp_path: Path) -> None:
    made(tmp_path / "out", "a.png")
    (tmp_path / "out/labels").rename(tmp_path / "data_set")
    found = names(collect_sources([tmp_path / "**"]), tmp_path)
    assert found == ["data_set/images/a.png", "data_set/masks/a.png"]


@pytest.mark.parametrize(
    ("files", "looks", "said"),
    [
        (["a/1.png", "b/c/1.png"], 500, ["2 folders"]),
        (["a/b/c/1.png", "a/1.txt"], 500, []),  # too deep for a short look
        (["a/b.png/1.txt"], 500, []),  # a folder, whatever its name
        ([*(f"a/{number}.txt" for number in range(99)), "b/1.png"], 500, ["1 folder"]),
        ([f"{number}/1.png" for number in range(10)], 11, ["10 folders"]),
        ([f"{number}/1.png" for number in range(10)], 6, ["at least 6 folders"]),
    ],
)
def test_folders_are_looked_into_for_a_moment_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: list[str], looks: int, said: list[str]
) -> None:
    monkeypatch.setattr(left_out, "_MOST_LOOKED_AT", looks)
    for name in ["0.png", *files]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    notes: list[str] = []
    assert len(collect_sources([tmp_path], notes.append)) == 1
    assert [note.partition("left out ")[2].partition(" with")[0] for note in notes] == said


def test_an_earlier_output_below_is_no_folder_with_images(tmp_path: Path) -> None:
    made(tmp_path / "runs" / "first", "a.png")
    (tmp_path / "0.png").touch()
    notes: list[str] = []
    collect_sources([tmp_path], notes.append)
    assert notes == []


def test_a_folder_in_it_that_may_not_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Such as lost+found: nothing is known of it, and the images beside it are taken."""
    locked = tmp_path / "lost+found"
    locked.mkdir()
    (tmp_path / "0.png").touch()
    real_stat, real_scandir = os.stat, os.scandir

    def refused(path: object) -> None:
        if locked == path or locked in Path(str(path)).parents:
            raise PermissionError(13, "Permission denied", str(path))

    def stat(path: Any, **options: Any) -> os.stat_result:
        if path != locked:
            refused(path)
        return real_stat(path, **options)

    def scandir(path: Any) -> Any:
        refused(path)
        return real_scandir(path)

    monkeypatch.setattr(os, "stat", stat)
    monkeypatch.setattr(os, "scandir", scandir)
    notes: list[str] = []
    assert collect_sources([tmp_path], notes.append) == [tmp_path / "0.png"] and notes == []


PIXELS = np.arange(5 * 4 * 3, dtype=np.uint8).reshape(5, 4, 3)


def test_every_kind_of_source_gives_the_same_pixels(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).save(tmp_path / "x.png")
    tensor = torch.from_numpy(PIXELS).permute(2, 0, 1)
    for source in (tmp_path / "x.png", str(tmp_path / "x.png"), Image.fromarray(PIXELS), PIXELS, tensor, tensor / 255):
        assert np.array_equal(source_pixels(source), PIXELS), type(source)
        image = read_source(source)
        scaled = image if image.dtype == torch.uint8 else (image * 255).round().byte()
        assert torch.equal(scaled, tensor), type(source)


def test_a_float_tensor_keeps_its_precision() -> None:
    image = torch.full((3, 2, 2), 0.12345)
    assert torch.equal(read_source(image), image)


def test_grey_becomes_three_channels() -> None:
    assert np.array_equal(source_pixels(PIXELS[:, :, 0]), np.repeat(PIXELS[:, :, :1], 3, axis=2))
    assert source_pixels(Image.fromarray(PIXELS[:, :, 0])).shape == (5, 4, 3)


RANDOM = np.random.default_rng(0)
ALPHA = RANDOM.integers(0, 256, (5, 4, 1), dtype=np.uint8)
DEEP = RANDOM.integers(0, 1 << 16, (50, 40), dtype=np.uint16)


@pytest.mark.parametrize(
    "array",
    [
        PIXELS,
        PIXELS[:, :, 0],
        PIXELS[:, :, 0] > 20,
        np.concatenate([PIXELS, ALPHA], axis=2),
        DEEP,
        DEEP.astype(">u2"),
    ],
    ids=["RGB", "grey", "bool", "RGBA", "uint16", "big-endian"],
)
@pytest.mark.parametrize("layout", [np.asarray, np.asfortranarray, lambda a: a[::-1][::-1], lambda a: a[..., None]])
def test_an_array_gives_what_a_file_with_its_content_gives(
    tmp_path: Path, array: np.ndarray, layout: Callable[[np.ndarray], np.ndarray]
) -> None:
    Image.fromarray(array.astype(array.dtype.newbyteorder("="))).save(tmp_path / "a.png")
    given = layout(array)
    if given.ndim < 4:
        assert np.array_equal(source_pixels(given), source_pixels(tmp_path / "a.png"))


def test_sixteen_bits_per_colour_give_their_high_byte(tmp_path: Path) -> None:
    colours = RANDOM.integers(0, 1 << 16, (50, 40, 3), dtype=np.uint16)
    cv2.imwrite(str(tmp_path / "a.png"), colours[:, :, ::-1])
    assert np.array_equal(source_pixels(colours), colours >> 8)
    assert np.array_equal(source_pixels(tmp_path / "a.png"), colours >> 8)


def test_a_read_only_array_is_taken_without_a_word() -> None:
    frozen = PIXELS.copy()
    frozen.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(read_source(frozen), read_source(PIXELS))


@pytest.mark.parametrize("ending", ["jpg", "png", "tif"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_pillow_image_is_turned_as_its_file_is(tmp_path: Path, orientation: int, ending: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"turned.{ending}"
    Image.fromarray(PIXELS).resize((32, 24)).save(path, exif=exif)
    expected = source_pixels(path)
    assert expected.shape == ((24, 32, 3) if orientation < 5 else (32, 24, 3))
    with Image.open(path) as image:
        assert np.array_equal(source_pixels(image), expected)
    with Image.open(path) as image:
        image.load()
        assert np.array_equal(source_pixels(image), expected)


def test_a_broken_pillow_image_is_a_user_error(tmp_path: Path) -> None:
    Image.fromarray(PIXELS).resize((320, 240)).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    with pytest.raises(UserError, match="Pillow image: broken or incomplete"):
        source_pixels(Image.open(BytesIO(content[: len(content) // 2])))


def test_the_bytes_of_a_file_and_open_files(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(PIXELS).save(path)
    content = path.read_bytes()
    for source in (content, bytearray(content), memoryview(content)):
        assert np.array_equal(source_pixels(source), PIXELS)  # type: ignore[arg-type]
    with path.open("rb") as file:
        assert kept_source(file) == kept_source(BytesIO(content)) == content
    assert kept_source(path) == path
    for broken in (content[:40], b"GIF89a...", b""):
        with pytest.raises(UserError, match="image bytes: "):
            source_pixels(broken)


def test_files_that_are_not_open_for_reading_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("text")
    with path.open() as text, pytest.raises(UserError, match=r'got text; open it with .*"rb"'):
        kept_source(text)  # type: ignore[arg-type]
    with path.open("wb") as written, pytest.raises(UserError, match="got the error: read; open it with"):
        kept_source(written)
    with pytest.raises(UserError, match=r'open it with .*"rb"'):
        kept_source(written)


def test_what_stands_for_several_images(folder: Path) -> None:
    expected = ["2.PNG", "10.png", "a.tif", "b.jpg"]
    for source in (folder, str(folder)):
        assert names(list(several_sources(source)), folder) == expected  # type: ignore[arg-type]
    assert names(list(several_sources(f"{folder}/*.png")), folder) == ["10.png"]  # type: ignore[arg-type]
    assert several_sources([PIXELS]) == [PIXELS] and several_sources((PIXELS,)) == [PIXELS]
    generator = (PIXELS for _ in range(2))
    assert several_sources(generator) is generator
    Image.new("RGB", (4, 3)).save(folder / "cell[1].png")
    for single in (PIXELS, torch.zeros(3, 4, 5), b"x", BytesIO(b"x"), folder / "cell[1].png", "absent.png", 7):
        assert several_sources(single) is None  # type: ignore[arg-type]


WIDE = np.zeros((5, 9, 3), np.uint8)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (WIDE / 255, r"expected uint8 .* got float64; .*\(array \* 255\)\.round\(\)\.astype\(np\.uint8\)"),
        (WIDE.astype(np.int64), r"got int64; .*array\.astype\(np\.uint8\)"),
        (WIDE.transpose(2, 0, 1), r"expected shape \(H, W, 3\).* got \(3, 5, 9\); .*array\.transpose\(1, 2, 0\)"),
        (np.dstack([WIDE[..., 0]] * 2), r"expected shape \(H, W, 3\) in RGB, \(H, W, 4\) or .* got \(5, 9, 2\)"),
        (np.zeros((2, 5, 9, 3), np.uint8), r"expected one image, .* got \(2, 5, 9, 3\); give a list"),
        (np.zeros((5, 4, 7), np.uint8), r"got \(5, 4, 7\)"),
        (np.zeros((0, 4, 3), np.uint8), r"got \(0, 4, 3\)"),
        (np.zeros(5, np.uint8), r"got \(5,\)"),
        (np.full((5, 9), None), "got object"),
        (torch.zeros(5, 4, 3), r"expected shape \(3, H, W\).* got \(5, 4, 3\)"),
        (torch.zeros(1, 3, 5, 4), r"got \(1, 3, 5, 4\)"),
        (torch.zeros(3, 5, 4, dtype=torch.int64), "got torch.int64"),
        (torch.full((3, 5, 4), 200.0), "divide by 255"),
        (torch.full((3, 5, 4), float("nan")), "floats from 0 to 1"),
        (7, "expected a path, .* got int"),
    ],
)
def test_anything_else_is_refused_with_a_reason(source: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_source(source)  # type: ignore[arg-type]
