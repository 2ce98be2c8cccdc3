"""Models and predictions, as a user meets them."""

from __future__ import annotations

import subprocess
import sys
import warnings
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import maskrcnn
from maskrcnn.acceleration import for_prediction
from maskrcnn.build import build_model
from maskrcnn.errors import UserError
from maskrcnn.loading import load
from maskrcnn.masks.overlap import uncovered
from maskrcnn.model import Model
from maskrcnn.ops.boxes import box_iou
from maskrcnn.prediction import Prediction
from maskrcnn.predictor import own_score_threshold
from maskrcnn.presets import preset
from maskrcnn.sources import Source
from maskrcnn.structures import Categories, ImageBatch, MaskCrops
from maskrcnn.weights import save_model

CATEGORIES = Categories((3, 7), ("round", "long"))


@pytest.fixture(scope="module")
def model() -> Model:
    """A tiny network with random weights: its detections mean nothing, but there are many."""
    torch.manual_seed(0)
    config = preset("tiny")
    network = build_model(config, 2)
    with torch.no_grad():  # scores on both sides of the usual threshold, 0.05
        network.box_head.class_logits.weight.mul_(10)
        network.box_head.class_logits.bias[-1] = 2.0
    return Model(network, CATEGORIES, config, accelerate=False)


@pytest.fixture
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (40, 56, 3), dtype=np.uint8)


@pytest.fixture
def image_file(tmp_path: Path, pixels: np.ndarray) -> Path:
    Image.fromarray(pixels).save(tmp_path / "image.png")
    return tmp_path / "image.png"


# --- predicting -----------------------------------------------------------------------------------------------------


def same(a: Prediction, b: Prediction) -> bool:
    return all(
        np.array_equal(getattr(a, name), getattr(b, name)) for name in ("boxes", "scores", "labels", "mask_probs")
    )


def test_every_kind_of_source_and_lists(model: Model, image_file: Path, pixels: np.ndarray) -> None:
    tensor = torch.from_numpy(pixels).permute(2, 0, 1)
    sources: list[Source] = [image_file, str(image_file), Image.fromarray(pixels), pixels, tensor, tensor.float() / 255]
    expected = model.predict(image_file, score_threshold=0.1)
    assert len(expected) > 5 and expected.source == image_file
    assert expected.image_size == (40, 56) and expected.categories == CATEGORIES
    for found in model.predict(sources, score_threshold=0.1):
        assert same(found, expected)


def test_everything_that_gives_images(model: Model, image_file: Path, pixels: np.ndarray) -> None:
    """A list comes back from predict; stream takes the same, one by one."""
    expected = model.predict(pixels, score_threshold=0.1)
    folder = image_file.parent
    for several in ([pixels], (pixels,), (p for p in [pixels]), folder, str(folder), f"{folder}/*.png"):
        found = model.predict(several, score_threshold=0.1)  # type: ignore[call-overload]
        assert isinstance(found, list) and len(found) == 1 and same(found[0], expected)
    for source in (folder, (pixels,), image_file, pixels, image_file.read_bytes()):
        (one,) = model.stream(source, score_threshold=0.1)
        assert same(one, expected)


def test_the_threshold_is_the_models_own(model: Model, pixels: np.ndarray) -> None:
    """0.5 where it has none; the same in all verbs."""
    assert model.score_threshold == 0.5 and same(model.predict(pixels), model.predict(pixels, 0.5))
    middle = float(np.median(model.predict(pixels).scores))
    own = Model(model.network, CATEGORIES, model.config, summary={"score_threshold": middle}, accelerate=False)
    found = own.predict(pixels)
    assert own.score_threshold == middle and 0 < len(found) < len(model.predict(pixels))
    assert same(found, model.predict(pixels, middle)) and same(found, next(own.stream([pixels])))
    assert len(own.predict_large(pixels)) == len(model.predict_large(pixels, score_threshold=middle))


@pytest.mark.parametrize("stored", [None, "high", True, 1.5, float("nan")])
def test_a_threshold_that_makes_no_sense_is_not_taken(stored: object) -> None:
    assert own_score_threshold({"score_threshold": stored}) == own_score_threshold({}) == 0.5


def test_bytes_and_open_files_can_be_drawn_on_later(model: Model, image_file: Path, pixels: np.ndarray) -> None:
    with image_file.open("rb") as file:
        found = model.predict(file, score_threshold=0.1)
    assert np.array_equal(found.image(), pixels) and same(found, model.predict(image_file.read_bytes(), 0.1))
    with image_file.open() as text, pytest.raises(UserError, match=r'open it with .*"rb"'):
        model.predict(text)  # type: ignore[call-overload]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_detections": -3}, "max_detections: expected a whole number of at least 1, got -3"),
        ({"max_detections": 2.5}, "max_detections: expected a whole number of at least 1, got 2.5"),
        ({"max_detections": True}, "max_detections: expected .* got True"),
        ({"score_threshold": "0.5"}, "score_threshold: expected a number from 0 to 1, got '0.5'"),
        ({"score_threshold": 50}, "score_threshold: expected a number from 0 to 1, got 50"),
        ({"score_threshold": float("nan")}, "score_threshold: expected .* got nan"),
    ],
)
def test_numbers_that_make_no_sense(model: Model, pixels: np.ndarray, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        model.predict(pixels, **changes)
    with pytest.raises(UserError, match=message):
        model.stream([pixels], **changes)
    with pytest.raises(UserError, match="batch_size"):
        model.stream([pixels], batch_size=0)


def test_the_threshold_keeps_exactly_the_better_objects(model: Model, pixels: np.ndarray) -> None:
    everything = model.predict(pixels, score_threshold=0.0, max_detections=1000)
    assert everything.scores.min() < 0.05 < everything.scores.max()  # 0.05 is the network's own
    middle = float(np.median(everything.scores))
    found = model.predict(pixels, score_threshold=middle, max_detections=1000)
    assert same(found, everything[everything.scores > middle]) and 0 < len(found) < len(everything)


def test_max_detections_keeps_the_best(model: Model, pixels: np.ndarray) -> None:
    everything = model.predict(pixels, score_threshold=0.0, max_detections=1000)
    assert len(everything) > model.config.box_head.max_detections
    for most, found in ((7, model.predict(pixels, 0.0, 7)), (None, model.predict(pixels, 0.0))):
        best = everything[: most or model.config.box_head.max_detections]
        assert np.array_equal(found.boxes, best.boxes) and np.array_equal(found.scores, best.scores)
        np.testing.assert_allclose(
            found.mask_probs, best.mask_probs, atol=1e-5
        )  # fewer masks in a pass may add up in another order
    assert model.network.box_head.max_detections == model.config.box_head.max_detections  # nothing was left changed


def test_an_image_that_shrinks_too_much_is_told(model: Model) -> None:
    """The tiny network sees 512 pixels at most; whoever asks for large tiles knows that they shrink."""
    wide = np.zeros((30, 2200, 3), np.uint8)
    with pytest.warns(UserWarning, match=r"2200 x 30 pixels was made 4\.3 times smaller .* predict_large"):
        assert model.predict(wide).shrunk == pytest.approx(512 / 2200)
    with pytest.warns(UserWarning, match="smaller"):
        list(model.stream([wide[:, :100], wide]))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert model.predict(wide[:, :2000]).shrunk is None
        assert model.predict_large(wide, tile=2200).shrunk is None


@pytest.mark.parametrize("max_overlap", [1.0, 0.1])
def test_predictions_say_that_they_reached_the_limit(model: Model, pixels: np.ndarray, max_overlap: float) -> None:
    """Also where covered objects are removed from them afterwards."""
    config = replace(model.config, mask_head=replace(model.config.mask_head, max_overlap=max_overlap))
    own = Model(model.network, CATEGORIES, config, accelerate=False)
    many = len(model.predict(pixels, 0.05, 1000))
    assert many > 20
    for most, limited in ((many - 1, 1), (many, 1), (many + 1, 0)):
        found = own.predict(pixels, 0.05, most)
        assert found.limited == limited and found[:2].limited == limited
    assert own.predict(pixels, 0.0).limited == 1 and own.predict_large(pixels, 128, 0, max_detections=1).limited == 1


def test_no_object_above_the_threshold(model: Model, pixels: np.ndarray) -> None:
    assert len(model.predict(pixels, score_threshold=1.0)) == 0
    assert model.predict([]) == []


def test_results_are_arrays_of_their_own(model: Model, pixels: np.ndarray) -> None:
    """A user may change them, and none keeps a larger tensor alive."""
    found = model.predict(pixels, 0.1)
    assert found.mask_probs is not None
    for array, kind in ((found.boxes, "f4"), (found.scores, "f4"), (found.labels, "i8"), (found.mask_probs, "f4")):
        assert array.dtype == kind and array.flags.owndata and array.flags.writeable


def test_predicting_leaves_batch_norm_alone(pixels: np.ndarray) -> None:
    network = build_model(preset("tiny"), 2).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    Model(network, CATEGORIES, preset("tiny")).predict(pixels)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_stream_takes_images_only_when_their_turn_comes(model: Model, pixels: np.ndarray) -> None:
    taken = []

    def sources() -> Iterator[np.ndarray]:
        for number in range(1000):
            taken.append(number)
            yield pixels

    stream = model.stream(sources(), batch_size=2)
    next(stream)
    assert taken == [0, 1]
    next(stream)
    next(stream)
    assert taken == [0, 1, 2, 3]


def test_batches_give_what_single_images_give(model: Model, pixels: np.ndarray) -> None:
    other = np.ascontiguousarray(pixels[:30, ::-1])
    one_by_one = model.predict([pixels, other, pixels], 0.1)
    for batch_size in (2, 3, 5):
        together = list(model.stream([pixels, other, pixels], batch_size, 0.1))
        for a, b in zip(one_by_one, together, strict=True):
            # Padding and the order of sums may move the last digits, so only the clear ones are compared.
            torch.testing.assert_close(a.scores[:5], b.scores[:5], rtol=1e-3, atol=1e-3)
            assert a.image_size == b.image_size


def test_images_of_one_size_share_a_pass_and_unlike_ones_are_not_padded(
    model: Model, pixels: np.ndarray, monkeypatch: pytest.MonkeyPatch
) -> None:
    turned = np.ascontiguousarray(pixels.swapaxes(0, 1))
    expected = [model.predict(image, 0.1) for image in (pixels, turned, pixels)]
    passes = []

    def prepare(images: list[torch.Tensor], **padding: Any) -> ImageBatch:
        passes.append(len(images))
        return original(images, **padding)

    original = model.network.preprocess.prepare
    monkeypatch.setattr(model.network.preprocess, "prepare", prepare)
    found = list(model.stream([pixels, turned, pixels], batch_size=3, score_threshold=0.1))
    assert passes == [2, 1] and [f.image_size for f in found] == [e.image_size for e in expected]
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a.scores, b.scores, atol=1e-5, rtol=1e-5)


def test_objects_under_better_ones_are_dropped_where_the_settings_say_so(model: Model, pixels: np.ndarray) -> None:
    everything = model.predict(pixels, 0.1)
    config = replace(model.config, mask_head=replace(model.config.mask_head, max_overlap=0.3))
    found = Model(model.network, CATEGORIES, config, accelerate=False).predict(pixels, 0.1)
    expected = uncovered(MaskCrops.from_bitmaps(everything.masks()), everything.labels, 0.3)
    assert 0 < len(found) < len(everything)
    assert np.array_equal(found.boxes, everything.boxes[expected])


def test_the_mask_threshold_is_the_models(model: Model, pixels: np.ndarray) -> None:
    usual = model.predict(pixels, 0.1)
    config = replace(model.config, mask_head=replace(model.config.mask_head, threshold=0.01))
    lower = Model(model.network, CATEGORIES, config, accelerate=False).predict(pixels, 0.1)
    assert np.array_equal(lower.boxes, usual.boxes) and (usual.mask_threshold, lower.mask_threshold) == (0.5, 0.01)
    assert lower.masks().sum() > usual.masks().sum() and (lower.masks() | usual.masks() == lower.masks()).all()


def test_proposals_are_wanted_for_each_image(model: Model, pixels: np.ndarray) -> None:
    """Without this, the images behind the last proposals would be left out unnoticed."""
    with pytest.raises(UserError, match="expected boxes for each of 2 images, got those of 1"):
        model.predict([pixels, pixels], proposals=[torch.zeros(1, 4)])
    with pytest.raises(UserError, match="expected boxes for each of 2 images, got those of 1"):
        model.stream([pixels, pixels], proposals=[torch.zeros(1, 4)])


def test_a_broken_image_stops_the_stream_unless_told_otherwise(model: Model, image_file: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    sources = [image_file, tmp_path / "broken.png", image_file]
    with pytest.raises(UserError, match=r"broken\.png"):
        model.predict(sources)
    errors = []
    found = list(model.stream(sources, batch_size=2, on_error=lambda source, error: errors.append((source, error))))
    assert [f.source for f in found] == [image_file, image_file]
    ((source, error),) = errors
    assert source == tmp_path / "broken.png" and "broken.png" in str(error)


# --- loading --------------------------------------------------------------------------------------------------------


@pytest.fixture
def bundled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, model: Model) -> Path:
    """A folder that stands in for that of the bundled models, with one named "cells"."""
    monkeypatch.setattr(maskrcnn.loading, "_BUNDLED", tmp_path)
    save_model(tmp_path / "cells.safetensors", model.network, model.config, CATEGORIES, {"steps": 3})
    return tmp_path


def test_load_by_name_and_by_path(bundled: Path, model: Model, pixels: np.ndarray) -> None:
    ready = for_prediction(deepcopy(model.network))  # as `load` does
    expected = Model(ready, CATEGORIES, model.config).predict(pixels, 0.1)
    for name in ("cells", bundled / "cells.safetensors", str(bundled / "cells.safetensors")):
        loaded = load(name, device="cpu")
        assert loaded.categories == CATEGORIES and loaded.config == model.config
        assert loaded.summary == {"steps": 3} and str(loaded.device) == "cpu"
        assert same(loaded.predict(pixels, 0.1), expected)
    assert repr(load("cells", "cpu")) == "Model(cells on cpu, 2 classes: round, long)"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("cell", "neither a file nor a bundled model; did you mean cells?"),
        ("coco", "neither a file nor a bundled model; expected one of cells"),
        ("absent.safetensors", "absent.safetensors: no such file; expected a .safetensors file"),
        ("absent/cells", "absent/cells: no such file; expected a .safetensors file"),
    ],
)
def test_a_model_that_is_not_there(bundled: Path, name: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        load(name)
    assert message in str(caught.value)


def test_an_unknown_device_is_reported_before_the_file_is_read(bundled: Path) -> None:
    with pytest.raises(UserError, match="device"):
        load("cells", device="gpu")


def test_an_unknown_precision_is_reported_before_the_file_is_read(bundled: Path) -> None:
    with pytest.raises(UserError, match="precision: expected one of float32, bfloat16, float16, got 'bf16'"):
        load("cells", device="cpu", precision="bf16")


def test_half_the_precision_finds_the_same_nuclei() -> None:
    """In float32 or bfloat16: nearly the same objects, nearly all boxes with an IoU above 0.9."""
    image = Path(__file__).resolve().parents[1] / "examples" / "nuclei_mini" / "images" / "fluorescence_515.png"
    exact, rough = (maskrcnn.load("nuclei", "cpu", precision).predict(image) for precision in ("float32", "bfloat16"))
    assert exact.scores.dtype == rough.scores.dtype == rough.boxes.dtype == np.float32
    assert not np.array_equal(exact.scores, rough.scores)
    assert abs(len(rough) - len(exact)) <= 2
    best = box_iou(torch.from_numpy(exact.boxes), torch.from_numpy(rough.boxes)).max(dim=1).values
    assert (best > 0.9).float().mean() > 0.95


def test_the_bundled_nuclei_model_finds_nuclei() -> None:
    """On a picture of the validation split: most objects, and few that are none."""
    folder = Path(__file__).resolve().parents[1] / "examples" / "nuclei_mini"
    found = maskrcnn.load("nuclei", device="cpu").predict(folder / "images" / "fluorescence_515.png")
    assert set(found.names) == {"nucleus"}
    assert 50 <= len(found) <= 80  # 64 are annotated
    filled = found.masks().any(axis=0)
    grey = found.image().mean(axis=2)
    assert grey[filled].mean() > 3 * grey[~filled].mean()  # nuclei are bright


def test_the_bundled_model_says_what_it_learned_from_and_which_threshold_is_best() -> None:
    summary = maskrcnn.load("nuclei", device="cpu").summary
    assert summary["score_threshold"] == 0.4334
    assert summary["object_sizes"] == {"0.05": 12.49, "0.25": 25.0, "0.5": 34.1, "0.75": 43.87, "0.95": 86.96}


# --- memory ---------------------------------------------------------------------------------------------------------

_MEMORY = """
import sys
from dataclasses import replace
import numpy as np
import torch
from maskrcnn.benchmark.memory import peak_resident_bytes as peak
from maskrcnn.build import build_model
from maskrcnn.model import Model
from maskrcnn.presets import preset
from maskrcnn.structures import Categories

torch.manual_seed(0)
config = preset("nuclei")
config = replace(config, mask_head=replace(config.mask_head, max_overlap=1.0))  # random masks overlap
model = Model(build_model(config, 1), Categories((1,), ("cell",)), config)
model.predict(torch.zeros(3, 64, 64, dtype=torch.uint8))  # what the libraries need for themselves
before = peak()
image = torch.randint(0, 255, (3, 3000, 4000), dtype=torch.uint8)
found = model.predict(image, score_threshold=0.0, max_detections=1000)
assert len(found) == 1000, len(found)
found.to_coco(), found.polygons()
found.save(sys.argv[1])
arrays = [found.run_lengths.counts, *vars(found).values()]
print(peak() - before, sum(v.nbytes for v in arrays if isinstance(v, np.ndarray)))
"""


@pytest.mark.slow
def test_a_thousand_objects_on_twelve_megapixels_fit_in_a_gibibyte(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _MEMORY, str(tmp_path / "overlay.png")], capture_output=True, text=True, check=True
    )
    growth, result = map(int, done.stdout.split())
    assert growth < 2**30
    assert result < 20e6
