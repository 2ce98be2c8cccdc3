"""Training on images that are never decoded as a whole: the crops are those of the whole image."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from large.test_tiling import layout
from maskrcnn.config import Augmentation, InputConfig
from maskrcnn.data.coco import LabelledImages, read_coco
from maskrcnn.data.dataset import CocoDataset, Sample
from maskrcnn.data.large_images import LargeImages
from maskrcnn.data.loader import TrainBatches
from maskrcnn.data.transforms import draw_size
from maskrcnn.data.windowed import files
from maskrcnn.data.windowed.tiff import TiffImage
from maskrcnn.errors import UserError
from maskrcnn.masks.regions import labelled_regions
from maskrcnn.masks.rle import rle_window
from maskrcnn.masks.rle_coco import rle_to_coco

tifffile = pytest.importorskip("tifffile", reason="needs tifffile")

SIZE = (700, 500)
SIZES = InputConfig(min_size=128, max_size=256, shrink=False)
LARGE = LargeImages(tile=128, max_pixels=100_000)
PLAIN = Augmentation(crop_size=96, horizontal_flip=0.0)
VARIED = Augmentation(crop_size=96, scale_range=(0.6, 1.5), quarter_turns=True, vertical_flip=0.5, brightness=0.3)


@pytest.fixture
def numbers() -> np.ndarray:
    return layout(3, size=SIZE)


def labelled(folder: Path, numbers: np.ndarray, name: str) -> LabelledImages:
    """One image under a name, and labels as run lengths."""
    pixels = np.random.default_rng(0).integers(0, 256, (*numbers.shape, 3), np.uint8)
    if name.endswith(".tif"):
        tifffile.imwrite(folder / name, pixels, tile=(64, 64), photometric="rgb", compression="zlib")
    elif name.endswith(".npy"):
        np.save(folder / name, pixels)
    else:
        Image.fromarray(pixels).save(folder / name)
    annotations = []
    for number, rle in labelled_regions(numbers):
        x1, y1, x2, y2 = rle_window(rle)
        mask = {"bbox": [x1, y1, x2 - x1, y2 - y1], "segmentation": rle_to_coco(rle), "iscrowd": 0}
        annotations.append({"id": number, "image_id": 1, "category_id": 1, **mask})
    height, width = numbers.shape
    images = [{"id": 1, "file_name": name, "height": height, "width": width}]
    content = {"images": images, "annotations": annotations, "categories": [{"id": 1, "name": "thing"}]}
    (folder / f"{name}.json").write_text(json.dumps(content))
    return read_coco(folder / f"{name}.json", folder, check_files=True, max_pixels=LARGE.max_pixels)


def alike(one: Sample, other: Sample) -> bool:
    a, b = one.targets, other.targets
    assert a.masks is not None and b.masks is not None
    masks = ((a.masks.windows, b.masks.windows), (a.masks.pixels, b.masks.pixels))
    pairs = ((one.image, other.image), (a.boxes, b.boxes), (a.labels, b.labels), *masks)
    return all(torch.equal(x, y) for x, y in pairs)


@pytest.mark.parametrize("name", ["slide.tif", "slide.npy"])
def test_crops_are_those_of_the_whole_image(
    name: str, numbers: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    in_parts = CocoDataset(labelled(tmp_path, numbers, name), VARIED, SIZES, LARGE.max_pixels, large=LARGE)
    monkeypatch.setattr(files, "read_labelled_pixels", lambda *_: pixels)
    whole = CocoDataset(labelled_as_png(tmp_path, numbers), VARIED, SIZES, 10**6, large=LARGE)
    monkeypatch.setattr(
        files, "read_labelled_pixels", lambda path, *_: pixels if path.suffix == ".png" else pytest.fail("as a whole")
    )
    for index in range(20):
        one, other = (data.sample(0, np.random.default_rng(index)) for data in (in_parts, whole))
        assert one.image.shape == (3, 96, 96)
        assert alike(one, other)


def labelled_as_png(folder: Path, numbers: np.ndarray) -> LabelledImages:
    labelled(folder, numbers[:10, :10], "small.png")  # makes the folder's first file, so that this one is another
    pixels = np.zeros((*SIZE, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "whole.png")
    text = next(folder.glob("slide.*.json")).read_text()
    (folder / "whole.json").write_text(text.replace("slide.tif", "whole.png").replace("slide.npy", "whole.png"))
    return read_coco(folder / "whole.json", folder)


def test_what_is_seen_of_objects_is_what_lies_in_the_crop(numbers: np.ndarray, tmp_path: Path) -> None:
    """At the image's own scale: pixel by pixel, and boxes as the masks have them."""
    dataset = CocoDataset(labelled(tmp_path, numbers, "slide.tif"), PLAIN, SIZES, LARGE.max_pixels, large=LARGE)
    pixels = np.random.default_rng(0).integers(0, 256, (*SIZE, 3), np.uint8)
    counts = []
    for seed in range(10):
        sample = dataset.sample(0, np.random.default_rng(seed))
        (y, x) = next(
            (y, x)
            for y, x in np.argwhere((pixels[: 700 - 95, : 500 - 95] == sample.image[:, 0, 0].numpy()).all(axis=2))
            if (pixels[y : y + 96, x : x + 96] == sample.image.permute(1, 2, 0).numpy()).all()
        )
        seen = numbers[y : y + 96, x : x + 96]
        masks = sample.targets.masks
        assert masks is not None
        bitmaps = np.zeros((96, 96), int)
        for index, (x1, y1, x2, y2) in enumerate(masks.windows.tolist()):
            start, end = masks.offsets[index : index + 2].tolist()
            bitmaps[y1:y2, x1:x2] += masks.pixels[start:end].numpy().reshape(y2 - y1, x2 - x1)
        slivers = (seen > 0) & (bitmaps == 0)
        assert bitmaps.max() <= 1 and not (bitmaps & (seen == 0)).any()
        assert slivers.sum() < 200, "what the border cuts down to less than two pixels is no object"
        assert torch.equal(sample.targets.boxes, masks.windows.float())
        counts.append(len(masks))
    assert sum(counts) > 10


def test_only_tiles_that_the_crop_touches_are_decoded(
    numbers: np.ndarray, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset = CocoDataset(labelled(tmp_path, numbers, "slide.tif"), PLAIN, SIZES, LARGE.max_pixels, large=LARGE)
    decoded, read = list[int](), TiffImage._stored
    monkeypatch.setattr(TiffImage, "_stored", lambda self, index: decoded.append(index) or read(self, index))
    for seed in range(10):
        decoded.clear()
        dataset.sample(0, np.random.default_rng(seed))
        assert len(set(decoded)) <= 9, "of 88"


@pytest.mark.parametrize(
    ("sizes", "tile", "scale"),
    [
        (InputConfig(min_size=640, max_size=1600, shrink=False), 1024, 1.0),  # seen at its own size
        (InputConfig(min_size=640, max_size=1600, shrink=False), 256, 2.5),  # small tiles are enlarged
        (InputConfig(min_size=800, max_size=1333), 768, 800 / 768),
        (InputConfig(min_size=512, max_size=512), 1024, 0.5),
    ],
)
def test_a_large_image_has_the_scale_of_its_tiles(sizes: InputConfig, tile: int, scale: float) -> None:
    rng = np.random.default_rng(0)
    size = draw_size((20_000, 30_000), Augmentation(), sizes, rng, LargeImages(tile))
    assert size == (int(20_000 * scale), int(30_000 * scale))


def test_without_a_crop_size_crops_are_as_large_as_tiles(numbers: np.ndarray, tmp_path: Path) -> None:
    data = labelled(tmp_path, numbers, "slide.tif")
    dataset = CocoDataset(data, Augmentation(), SIZES, LARGE.max_pixels, large=LARGE)
    assert dataset.sample(0, np.random.default_rng(0)).image.shape == (3, 128, 128)


def test_which_images_are_large() -> None:
    """Those that would lose detail, and those too large to be decoded; the others are seen as ever."""
    assert not LARGE.hold((256, 100), SIZES)
    assert LARGE.hold((257, 100), SIZES)
    assert not LARGE.hold((300, 300), InputConfig(min_size=128, max_size=256))
    assert LARGE.hold((400, 300), InputConfig(min_size=128, max_size=256))
    assert not LargeImages(128, by_detail=False).hold((2000, 2000), SIZES)


def test_images_of_usual_size_are_seen_as_ever(numbers: np.ndarray, tmp_path: Path) -> None:
    data = labelled(tmp_path, numbers[:200, :200], "small.png")
    with_rule, without = (CocoDataset(data, VARIED, SIZES, large=large) for large in (LARGE, None))
    for seed in range(5):
        assert alike(*(dataset.sample(0, np.random.default_rng(seed)) for dataset in (with_rule, without)))


@pytest.mark.parametrize("num_workers", [0, 1])
def test_batches_go_on_where_they_were(num_workers: int, numbers: np.ndarray, tmp_path: Path) -> None:
    dataset = CocoDataset(labelled(tmp_path, numbers, "slide.tif"), VARIED, SIZES, LARGE.max_pixels, large=LARGE)
    whole = list(islice(TrainBatches(dataset, 2, seed=5), 4))
    rest = list(islice(TrainBatches(dataset, 2, seed=5, num_workers=num_workers, start=2), 2))
    assert all(alike(a, b) for one, other in zip(whole[2:], rest, strict=True) for a, b in zip(one, other, strict=True))


def test_a_huge_file_that_has_to_be_decoded_is_dropped_with_a_line(numbers: np.ndarray, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="more than the limit of 100000"):
        labelled(tmp_path, numbers, "slide.png")
