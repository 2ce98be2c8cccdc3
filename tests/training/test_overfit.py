"""A model that cannot learn eight images by heart will not learn anything."""

import json
from dataclasses import replace

import pytest

import maskrcnn


@pytest.mark.slow
def test_the_tiny_preset_learns_eight_photographs_by_heart(shared, tmp_path):
    source = shared / "data" / "fruits_nuts"
    full = json.loads((source / "instances_train.json").read_text())
    images = full["images"][:8]
    chosen = {image["id"] for image in images}
    annotations = [a for a in full["annotations"] if a["image_id"] in chosen]
    labels = tmp_path / "instances.json"
    labels.write_text(json.dumps({**full, "images": images, "annotations": annotations}))

    config = maskrcnn.preset("tiny")
    data = replace(
        config.data, train_annotations=str(labels), val_annotations=str(labels), images=str(source / "images")
    )
    # Nearly the photographs' own size (600 x 800): at IoU 0.95 a pixel's width of outline counts.
    size = replace(config.input, min_size=512, max_size=800)
    schedule = replace(config.schedule, steps=600)
    result = maskrcnn.train(replace(config, data=data, input=size, schedule=schedule), tmp_path / "run", device="cpu")

    assert result.metrics["mask"]["AP"] > 0.9
