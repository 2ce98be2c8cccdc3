from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from maskrcnn.config import Augmentation, InputConfig
from maskrcnn.data.dataset import CocoDataset
from maskrcnn.errors import UserError

PLAIN = Augmentation(horizontal_flip=0.0)
SIZES = InputConfig(min_size=10, max_size=12)


@pytest.fixture
def dataset(make_coco, read, square: dict[str, Any]) -> CocoDataset:
    return CocoDataset(read(make_coco([square], num_images=2)), PLAIN, SIZES)


def test_sample_without_changes(dataset: CocoDataset, tmp_path: Path) -> None:
    sample = dataset[0]
    pixels = np.array(Image.open(tmp_path / "1.png"))
    np.testing.assert_array_equal(sample.image.numpy(), pixels.transpose(2, 0, 1))
    assert sample.image.dtype == torch.uint8 and sample.image.is_contiguous()
    assert (sample.image_id, sample.file_name, sample.original_size) == (1, "1.png", (12, 10))
    assert sample.targets.boxes.tolist() == [[2, 3, 6, 8]] and sample.targets.labels.tolist() == [0]
    assert len(dataset) == 2 and len(dataset[1].targets) == 0
    assert dataset.categories.names == ("cell", "dot")


def test_image_and_targets_have_one_frame(make_coco, read, square: dict[str, Any]) -> None:
    augmentation = Augmentation(
        min_sizes=(16, 24), scale_range=(0.5, 2.0), crop_size=15, horizontal_flip=0.5, quarter_turns=True
    )
    dataset = CocoDataset(read(make_coco([square])), augmentation, InputConfig(min_size=10, max_size=99))
    sizes = set()
    for seed in range(30):
        sample = dataset.sample(0, np.random.default_rng(seed))
        height, width = sample.image.shape[1:]
        sizes.add((height, width))
        assert sample.targets.masks is not None and sample.targets.masks.image_size == (height, width)
        assert (sample.targets.boxes <= torch.tensor([width, height, width, height])).all()
    assert len(sizes) > 1 and max(max(size) for size in sizes) == 15


def test_a_bright_object_stays_under_its_mask(make_coco, read, square: dict[str, Any], tmp_path: Path) -> None:
    content = make_coco([square])
    picture = np.zeros((12, 10, 3), np.uint8)
    picture[3:8, 2:6] = 200
    Image.fromarray(picture).save(tmp_path / "1.png")
    augmentation = Augmentation(
        min_sizes=(40,), horizontal_flip=0.5, vertical_flip=0.5, quarter_turns=True, brightness=0.2
    )
    dataset = CocoDataset(read(content), augmentation, InputConfig(min_size=10, max_size=99))
    for seed in range(12):
        sample = dataset.sample(0, np.random.default_rng(seed))
        assert sample.targets.masks is not None
        seen, mask = sample.image[0].numpy() >= 100, sample.targets.masks.bitmaps()[0].numpy() > 0
        assert (seen & mask).sum() / (seen | mask).sum() > 0.9


def test_colours_change_and_the_background_is_not_touched_by_geometry(make_coco, read) -> None:
    dataset = CocoDataset(read(make_coco([])), Augmentation(brightness=0.5), SIZES)
    first, second = (dataset.sample(0, np.random.default_rng(seed)).image for seed in (0, 1))
    assert first.shape == second.shape and not torch.equal(first, second)


def test_only_the_generator_decides(make_coco, read, square: dict[str, Any]) -> None:
    changes = {"brightness": 0.3, "hue": 0.1, "quarter_turns": True, "scale_range": (0.5, 1.5), "crop_size": 8}
    dataset = CocoDataset(read(make_coco([square])), Augmentation(**changes), SIZES)
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    first = dataset.sample(0, np.random.default_rng(3))
    torch.manual_seed(2)
    np.random.seed(2)  # noqa: NPY002
    second, other = dataset.sample(0, np.random.default_rng(3)), dataset.sample(0, np.random.default_rng(4))
    assert torch.equal(first.image, second.image) and torch.equal(first.targets.boxes, second.targets.boxes)
    assert first.image.shape != other.image.shape or not torch.equal(first.image, other.image)


def test_pixels_turned_by_exif_keep_their_labels(make_coco, read, square: dict[str, Any], tmp_path: Path) -> None:
    """The labels were made on the stored pixels, 10 x 12; upright the picture is 12 x 10."""
    content = make_coco([square])
    stored = Image.open(tmp_path / "1.png")
    exif = Image.Exif()
    exif[0x0112] = 6
    stored.save(tmp_path / "1.png", exif=exif)
    sample = CocoDataset(read(content), PLAIN, SIZES)[0]
    np.testing.assert_array_equal(sample.image.permute(1, 2, 0), np.array(stored))
    assert sample.targets.boxes.tolist() == [[2, 3, 6, 8]]


def test_unreadable_and_mismatching_files_are_named(dataset: CocoDataset, tmp_path: Path) -> None:
    (tmp_path / "1.png").unlink()
    with pytest.raises(UserError, match=r"1\.png: no such file"):
        dataset[0]
    Image.new("RGB", (30, 30)).save(tmp_path / "2.png")
    with pytest.raises(UserError, match=r"2\.png: the picture is 30 x 30 but its labels are for 10 x 12"):
        dataset[1]


def test_limit_of_pixels(make_coco, read) -> None:
    with pytest.raises(UserError, match="limit of 119"):
        CocoDataset(read(make_coco([])), PLAIN, SIZES, max_pixels=119)[0]


def test_keypoints_move_with_the_image(make_coco, read, square: dict[str, Any], tmp_path: Path) -> None:
    """A bright pixel under each keypoint, found again in every view."""
    content = make_coco([square | {"keypoints": [3, 4, 2, 5, 6, 2]}])
    content["categories"][0]["keypoints"] = ["left_end", "right_end"]
    picture = np.zeros((12, 10, 3), np.uint8)
    picture[4, 3], picture[6, 5] = 100, 200
    Image.fromarray(picture).save(tmp_path / "1.png")
    augmentation = Augmentation(min_sizes=(10, 30), horizontal_flip=0.5, vertical_flip=0.5, quarter_turns=True)
    dataset = CocoDataset(read(content), augmentation, InputConfig(min_size=10, max_size=99))
    swapped = 0
    for seed in range(16):
        sample = dataset.sample(0, np.random.default_rng(seed))
        assert sample.targets.keypoints is not None
        (places,) = sample.targets.keypoints.floor().long().tolist()
        values = [int(sample.image[0, y, x]) for x, y, _ in places]
        assert values in ([100, 200], [200, 100])
        swapped += values == [200, 100]
    assert 0 < swapped < 16
