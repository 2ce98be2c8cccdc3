from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pytest
import torch

from maskrcnn.config import Augmentation, Config, DataConfig, KeypointHeadConfig, SemanticHeadConfig
from maskrcnn.data.dataset import Sample
from maskrcnn.errors import UserError
from maskrcnn.presets import preset
from maskrcnn.training.data import DataPaths, TrainingData


def ignore(line: str) -> None:
    pass


def files(steps: Iterable[list[list[Sample]]]) -> list[list[list[str]]]:
    return [[[sample.file_name for sample in batch] for batch in batches] for batches in steps]


@pytest.mark.parametrize("accumulate", [1, 3])
def test_a_step_is_the_same_wherever_one_starts(config: Config, accumulate: int) -> None:
    config = replace(config, train=replace(config.train, accumulate=accumulate))
    data = TrainingData.open(config, ignore)
    whole = list(data.steps(config, start=0))
    assert len(whole) == 7 and all(len(batches) == accumulate for batches in whole)
    later = list(data.steps(config, start=4))
    assert files(later) == files(whole[4:])
    for batches, expected in zip(later, whole[4:], strict=True):
        for batch, expected_batch in zip(batches, expected, strict=True):
            for sample, expected_sample in zip(batch, expected_batch, strict=True):
                assert torch.equal(sample.image, expected_sample.image)
                assert torch.equal(sample.targets.boxes, expected_sample.targets.boxes)


def test_steps_differ_and_cover_the_data(config: Config) -> None:
    data = TrainingData.open(config, ignore)
    seen = files(list(islice(data.steps(config, start=0), 2)))
    assert {name for batches in seen for batch in batches for name in batch} == {f"{i}.png" for i in range(4)}


def test_a_model_without_objects_draws_none(config: Config) -> None:
    """FCN reads label maps alone: its samples have no masks, which cost time, and the map they had before."""
    semantic = {"semantic_head": SemanticHeadConfig(enabled=True)}
    both = TrainingData.open(replace(config, **semantic), ignore).dataset[0]
    without = TrainingData.open(replace(preset("fcn"), data=config.data, input=config.input), ignore).dataset[0]
    assert len(both.targets) == 2 and len(without.targets) == 0
    assert without.targets.masks is not None and len(without.targets.masks) == 0
    assert without.targets.semantic is not None and set(without.targets.semantic.unique().tolist()) == {0, 1, 2}


def test_stuff_alone_is_for_a_branch_for_every_pixel(config: Config) -> None:
    config = replace(config, data=replace(config.data, stuff=("dim", "bright")))
    with pytest.raises(UserError, match=r"got stuff alone \(8 regions of dim, bright\).*semantic_head\.enabled=true"):
        TrainingData.open(config, ignore)
    data = TrainingData.open(replace(config, semantic_head=SemanticHeadConfig(enabled=True)), ignore)
    assert data.categories.stuff == {0, 1} and len(data.dataset[0].targets) == 0
    assert data.fingerprint["categories"][0]["isthing"] == 0


def label_keypoints(config: Config, *names: str, visibility: int = 2) -> Config:
    """The same data, with keypoints of these names for the first class, all at one place."""
    path = Path(config.data.root) / "instances_train.json"
    content = json.loads(path.read_text())
    content["categories"][0]["keypoints"] = list(names)
    for annotation in content["annotations"]:
        if annotation["category_id"] == content["categories"][0]["id"]:
            annotation["keypoints"] = [30, 30, visibility] * len(names)
    path.write_text(json.dumps(content))
    return replace(config, keypoint_head=KeypointHeadConfig(enabled=True))


def test_keypoints_reach_the_samples(config: Config) -> None:
    without = TrainingData.open(config, ignore)
    assert without.dataset[0].targets.keypoints is None
    data = TrainingData.open(label_keypoints(config, "left", "right"), ignore)
    keypoints = data.dataset[0].targets.keypoints
    assert keypoints is not None and keypoints[..., 2].tolist() == [[2, 2], [0, 0]]
    assert data.categories.num_keypoints == 2


def test_without_keypoints_none_can_be_learned(config: Config) -> None:
    wanted = replace(config, keypoint_head=KeypointHeadConfig(enabled=True))
    with pytest.raises(UserError, match=r"instances_train.json: expected keypoints to learn, got categories without"):
        TrainingData.open(wanted, ignore)
    with pytest.raises(UserError, match=r"got no labelled keypoint; set keypoint_head.enabled to false"):
        TrainingData.open(label_keypoints(config, "left", visibility=0), ignore)


def test_classes_with_unlike_keypoints_are_refused(config: Config) -> None:
    wanted = label_keypoints(config, "left")
    path = Path(config.data.root) / "instances_train.json"
    content = json.loads(path.read_text())
    content["categories"][1]["keypoints"] = ["a", "b"]
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match="the same keypoints for all categories that have any, got 2 unlike lists"):
        TrainingData.open(wanted, ignore)
    assert TrainingData.open(config, ignore).dataset[0].targets.keypoints is None, "masks can be learned all the same"


def test_a_val_split_with_other_keypoints_is_told_of(config: Config) -> None:
    wanted, lines = label_keypoints(config, "left"), []
    path = Path(config.data.root) / "instances_train.json"
    (path.parent / "instances_val.json").write_text(path.read_text().replace('"left"', '"right"'))
    TrainingData.open(wanted, lines.append)
    assert any("other keypoints, so these are not evaluated" in line for line in lines)


def test_boxes_and_keypoints_are_enough_without_a_mask_branch(config: Config) -> None:
    wanted = label_keypoints(config, "left")
    path = Path(config.data.root) / "instances_train.json"
    content = json.loads(path.read_text())
    for annotation in content["annotations"]:
        del annotation["segmentation"]
    path.write_text(json.dumps(content))
    boxes_alone = r"expected objects with masks .*got \d+ with boxes alone; .*--set mask_head\.enabled=false"
    with pytest.raises(UserError, match=boxes_alone):
        TrainingData.open(wanted, ignore)
    wanted = replace(wanted, mask_head=replace(wanted.mask_head, enabled=False))
    targets = TrainingData.open(wanted, ignore).dataset[0].targets
    assert len(targets) == 2 and targets.masks is None and targets.keypoints is not None


def test_paths_are_relative_to_the_root_unless_absolute() -> None:
    paths = DataPaths.of(Config(data=DataConfig(root="/data", images="/elsewhere", val_annotations="../v.json")))
    assert paths == DataPaths(Path("/data/instances_train.json"), Path("/data/../v.json"), Path("/elsewhere"))


def test_samples_follow_the_settings(config: Config) -> None:
    """Short sides come from `augment`, or else from `input`, as the other sizes do."""
    for sides, side in (((), 64), ((32,), 32)):
        changed = replace(config, augment=replace(config.augment, min_sizes=sides))
        dataset = TrainingData.open(changed, ignore).dataset
        assert dataset[0].image.shape == (3, side, side)
        assert (dataset.augmentation, dataset.sizes) == (changed.augment, changed.input)


def test_sizes_to_train_at_that_leave_out_the_one_to_predict_at_are_said(config: Config) -> None:
    for sides, is_said in (((), False), ((32, config.input.min_size), False), ((32, 48), True)):
        lines: list[str] = []
        TrainingData.open(replace(config, augment=Augmentation(min_sizes=sides)), lines.append)
        assert (
            any("augment.min_sizes: training images get short sides of (32, 48)" in line for line in lines) == is_said
        )


def test_objects_without_masks_cannot_be_pasted(config: Config) -> None:
    path = Path(config.data.root) / "instances_train.json"
    content = json.loads(path.read_text())
    for annotation in content["annotations"]:
        del annotation["segmentation"]
    path.write_text(json.dumps(content))
    boxes = replace(config, mask_head=replace(config.mask_head, enabled=False))
    wanted = replace(boxes, augment=replace(config.augment, copy_paste=0.5))
    with pytest.raises(
        UserError, match=r"objects with masks to paste, got 8 with boxes alone; set augment\.copy_paste"
    ):
        TrainingData.open(wanted, ignore)
    assert len(TrainingData.open(boxes, ignore).dataset) == 4


def test_a_model_without_objects_learns_from_pasted_pixels(config: Config) -> None:
    """FCN: the class of each pixel, also of those that are pasted, whose objects have to be drawn for that."""
    few = {"schedule": replace(config.schedule, steps=8), "train": config.train}
    fcn = replace(preset("fcn"), data=config.data, input=config.input, **few)
    wanted = replace(fcn, augment=replace(config.augment, copy_paste=1.0, brightness=0.0))
    counted = [0, 0]
    for (pasted,), (plain,) in zip(*(TrainingData.open(c, ignore).steps(c, 0) for c in (wanted, fcn)), strict=True):
        for sample, before in zip(pasted, plain, strict=True):
            assert sample.targets.semantic is not None and before.targets.semantic is not None
            counted[0] += int((sample.targets.semantic < 2).sum())
            counted[1] += int((before.targets.semantic < 2).sum())
            for label in (0, 1):  # dim objects are of value 120, bright ones of 240
                assert (sample.image[0][sample.targets.semantic == label] == 120 * (label + 1)).all()
    assert counted[0] > 1.1 * counted[1]


def test_nothing_is_pasted_while_learning_by_heart(config: Config) -> None:
    wanted = replace(config, augment=replace(config.augment, copy_paste=1.0), train=replace(config.train, overfit=2))
    data = TrainingData.open(wanted, ignore)
    (samples,) = next(data.steps(wanted, 0))
    own = {int(data.dataset[i].image_id): data.dataset[i].image for i in range(2)}
    assert all(torch.equal(sample.image, own[sample.image_id]) for sample in samples)


def name_groups(config: Config, groups: list[str]) -> Config:
    """The same data, with a field that says which group each image belongs to."""
    path = Path(config.data.root) / "instances_train.json"
    content = json.loads(path.read_text())
    for image, group in zip(content["images"], groups, strict=True):
        image["stain"] = group
    path.write_text(json.dumps(content))
    return replace(config, data=replace(config.data, balance_by="stain"))


@pytest.mark.parametrize(
    ("groups", "line"),
    [
        ("abba", "drawn by 'stain': 2 groups of 2, 2 images, the rare ones more often"),
        ("bbab", "drawn by 'stain': 2 groups of 3, 1 images, the rare ones more often"),
        ("cccc", "data.balance_by: all images have the same 'stain' or none, so all are drawn equally often"),
    ],
)
def test_it_is_said_how_groups_are_balanced(config: Config, groups: str, line: str) -> None:
    lines: list[str] = []
    TrainingData.open(name_groups(config, list(groups)), lines.append)
    assert line in lines


def test_nothing_is_said_of_groups_that_nobody_asked_for(config: Config) -> None:
    lines: list[str] = []
    TrainingData.open(config, lines.append)
    assert not any("drawn" in line for line in lines)


def test_rare_groups_are_drawn_more_often(config: Config) -> None:
    config = name_groups(config, ["a", "a", "b", "a"])  # 1 / (1 + root 3) of 40 draws: 14.6; unbalanced it were 10
    config = replace(config, schedule=replace(config.schedule, steps=20))
    names = [name for batches in files(TrainingData.open(config, ignore).steps(config, 0)) for name in batches[0]]
    assert len(names) == 40 and names.count("2.png") == pytest.approx(14.6, abs=3)
