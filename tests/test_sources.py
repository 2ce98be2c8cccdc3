"""What counts as an image, and which images a list of files, folders and patterns means."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from maskrcnn.errors import UserError
from maskrcnn.sources import collect_sources, read_source, source_pixels


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


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (PIXELS.astype(np.float32), "expected uint8 .* got float32"),
        (PIXELS.transpose(2, 0, 1), r"expected shape \(H, W, 3\).* got \(3, 5, 4\)"),
        (np.zeros((5, 4, 4), np.uint8), r"got \(5, 4, 4\)"),
        (np.zeros((0, 4, 3), np.uint8), r"got \(0, 4, 3\)"),
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
