"""What is published for an architecture, and what can be chosen instead."""

from __future__ import annotations

from dataclasses import replace

import pytest

from maskrcnn.config import BackboneConfig, Config
from maskrcnn.errors import UserError
from maskrcnn.presets import PRESETS, preset
from maskrcnn.settings import update_config
from maskrcnn.training.published import bundled_start, default_initial, fitting_model, published_starts
from maskrcnn.weights.hub import PUBLISHED


def changed(name: str, **sections: dict[str, object]) -> Config:
    return update_config(preset(name), sections, "here")


@pytest.mark.parametrize(
    ("config", "best"),
    [
        (preset("paper"), "detectron2/mask_rcnn_R_50_FPN_3x"),
        (preset("c4"), "detectron2/mask_rcnn_R_50_C4_3x"),
        (preset("keypoints"), "detectron2/keypoint_rcnn_R_50_FPN_3x"),
        (preset("torchvision"), "torchvision/maskrcnn_resnet50_fpn"),
        (preset("torchvision_v2"), "torchvision/maskrcnn_resnet50_fpn_v2"),
        (preset("detectron2"), "detectron2/mask_rcnn_R_50_FPN_3x"),
        (changed("keypoints", mask_head={"enabled": True}), "detectron2/keypoint_rcnn_R_50_FPN_3x"),
        (changed("paper", mask_head={"enabled": False}), "detectron2/faster_rcnn_R_50_FPN_3x"),
        (
            changed("torchvision", mask_head={"enabled": False}, keypoint_head={"enabled": True}),
            "torchvision/keypointrcnn_resnet50_fpn",
        ),
        (changed("paper", backbone={"name": "resnext101_32x8d"}), "detectron2/mask_rcnn_X_101_32x8d_FPN_3x"),
        (changed("c4", backbone={"name": "resnet101"}), "detectron2/mask_rcnn_R_101_C4_3x"),
        (
            changed("c4", backbone={"features": "c5"}, resnet={"stage5_stride": 1, "stage5_dilation": 2}),
            "detectron2/mask_rcnn_R_50_DC5_3x",
        ),
        (changed("c4", backbone={"features": "c5"}), "detectron2/R-50"),
        (changed("paper", backbone={"norm": "gn"}, fpn={"norm": "gn"}), "detectron2/mask_rcnn_R_50_FPN_3x_gn"),
        (
            changed("torchvision_v2", roi={"aligned": True}, backbone={"norm": "bn"}),
            "detectron2/mask_rcnn_R_50_FPN_400ep_LSJ",
        ),
        (changed("torchvision", backbone={"name": "resnet101"}), "detectron2/mask_rcnn_R_101_FPN_3x"),
        (changed("paper", backbone={"name": "resnet152"}), "torchvision/resnet152"),
        (preset("small"), None),
        (changed("paper", resnet={"stem_channels": 32}), None),
        (changed("paper", input={"channels": 1}), "detectron2/mask_rcnn_R_50_FPN_3x"),  # widened
    ],
)
def test_the_best_for_an_architecture(config: Config, best: str | None) -> None:
    names = published_starts(config)
    assert (names[0] if names else None) == best
    assert set(names) <= PUBLISHED.keys() and len(set(names)) == len(names)


def test_no_preset_freezes_stages_that_would_be_random() -> None:
    """Each of these starts from a model trained on COCO, or else, where none is published, from ImageNet."""
    frozen = {name: make() for name, make in PRESETS.items() if make().backbone.frozen_stages}
    starts = {name: bundled_start(config) or published_starts(config)[0] for name, config in frozen.items()}
    assert {name for name, start in starts.items() if "rcnn" not in start} == {"c5", "r_cnn", "light", "facades"}
    assert starts["light"] == starts["facades"] == "efficientnet_lite0"
    assert starts["c5"] == starts["r_cnn"] == "detectron2/R-50"
    assert starts["rpn"] == starts["fast_r_cnn"] == starts["faster_r_cnn"] == "detectron2/faster_rcnn_R_50_C4_3x"


def test_the_bundled_backbone_needs_no_download(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("MASKRCNN_CACHE", str(tmp_path))
    monkeypatch.setenv("MASKRCNN_OFFLINE", "1")
    initial = default_initial(preset("light"))
    assert initial is not None and initial.source == "efficientnet_lite0" and not initial.categories.ids
    assert bundled_start(changed("light", input={"channels": 7})) == "efficientnet_lite0"


def test_nothing_is_published_for_a_narrow_network() -> None:
    assert default_initial(preset("tiny")) is None


def test_nothing_is_downloaded_unasked(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    monkeypatch.setenv("MASKRCNN_CACHE", str(tmp_path))
    config = replace(preset("paper"), backbone=BackboneConfig(name="resnet101"))
    rest = r", --init FILE for your own weights, or --init none for random ones$"
    expected = r"^--init is missing: .*; choose: --init detectron2/mask_rcnn_R_101_FPN_3x, which is downloaded" + rest
    with pytest.raises(UserError, match=expected):
        default_initial(config)
    here = PUBLISHED["detectron2/R-101"].path
    here.parent.mkdir(parents=True)
    here.touch()
    with pytest.raises(UserError, match=r"choose: --init detectron2/R-101 \(already downloaded\)" + rest):
        default_initial(config)


@pytest.mark.parametrize(
    ("classes", "model"),
    [
        (("nucleus",), "nuclei"),
        (("Nuclei",), "nuclei"),
        (("cell",), "nuclei"),
        (("cell", "debris"), None),
        (("car",), None),  # the model facades knows cars, and nine other things
        (("window", "balcony-fence", "Facade", "car", "street"), "facades"),
        ((), None),
    ],
)
def test_the_bundled_model_that_knows_the_classes(classes: tuple[str, ...], model: str | None) -> None:
    assert fitting_model(classes) == model
