"""A model that cannot learn the keypoints of eight images by heart will not learn any."""

import json
from dataclasses import replace

import pytest

import maskrcnn


@pytest.mark.slow
def test_the_keypoints_of_eight_photographs_are_learned_by_heart(shared, tmp_path):
    source = shared / "data" / "coco_mini"
    full = json.loads((source / "person_keypoints_train.json").read_text())
    labelled = {a["image_id"] for a in full["annotations"] if a["num_keypoints"]}
    images = [image for image in full["images"] if image["id"] in labelled][:8]
    chosen = {image["id"] for image in images}
    annotations = [a for a in full["annotations"] if a["image_id"] in chosen]
    labels = tmp_path / "person_keypoints.json"
    labels.write_text(json.dumps({**full, "images": images, "annotations": annotations}))

    config = maskrcnn.preset("keypoints_tiny")
    data = replace(
        config.data, train_annotations=str(labels), val_annotations=str(labels), images=str(source / "images")
    )
    # COCO's photographs are 640 pixels wide; at OKS 0.95 an eye must be met to a pixel or so.
    size = replace(config.input, min_size=384, max_size=512)
    schedule = replace(config.schedule, steps=600)
    result = maskrcnn.train(replace(config, data=data, input=size, schedule=schedule), tmp_path / "run", device="cpu")

    assert result.metrics["keypoints"]["AP"] > 0.8
