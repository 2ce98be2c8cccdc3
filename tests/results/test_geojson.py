from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np

from maskrcnn.data.formats.table import labelled_images, read_labels
from maskrcnn.data.formats.writers.scene import Loss
from maskrcnn.prediction import Prediction
from maskrcnn.results import geojson
from maskrcnn.results.finished import Finished
from results.conftest import CLASSES, MakeRun, drawn
from results.test_label_formats import image_named, masks_by_class


def test_outlines_come_back_to_the_pixel(
    make_run: MakeRun, nuclei: Prediction, run_of_nuclei: Finished, tmp_path: Path
) -> None:
    for finished, stem, expected in (
        (run_of_nuclei, "fluorescence_515", nuclei),
        (make_run(CLASSES), "a", drawn(CLASSES, Path("a.png"))),
    ):
        folder = tmp_path / stem
        geojson.write(finished, folder)
        for image in finished:  # whose pictures our reader wants to see; QuPath has them open
            shutil.copyfile(image.path, folder / f"{image.stem}.png")
        data = labelled_images(read_labels(folder), check_files=True, need_masks=False, crowd="ignore")
        back = masks_by_class(data, image_named(data, stem))
        assert [name for name, _ in back] == expected.names
        assert np.array_equal([mask for _, mask in back], expected.masks())


def test_features_are_closed_and_named() -> None:
    features = list(geojson.features([drawn(CLASSES, Path("a.png"))], Loss()))
    kinds = [feature["geometry"]["type"] for feature in features]
    assert kinds == ["Polygon", "MultiPolygon", "Polygon", "Polygon", "Polygon"]
    ring = features[2]["geometry"]["coordinates"]
    assert len(ring) == 2 and all(points[0] == points[-1] for points in ring), "an outline and its hole"
    properties = features[1]["properties"]
    assert properties["classification"]["name"] == "long, <thin>" and properties["objectType"] == "detection"
    box = list(geojson.features([drawn(CLASSES, Path("a.png"), masks=False)], Loss()))[4]["geometry"]
    assert box["coordinates"] == [[[0.25, 0.25], [1.25, 0.25], [1.25, 1.25], [0.25, 1.25], [0.25, 0.25]]]
