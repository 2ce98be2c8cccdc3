"""`maskrcnn predict`: files in, `predictions.json` and pictures out."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from maskrcnn.cli.prediction_run import overlay_paths
from maskrcnn.errors import UserError
from maskrcnn.files import file_hash, sole_writer
from maskrcnn.loading import load
from maskrcnn.model import Model
from maskrcnn.prediction import Prediction
from maskrcnn.weights import save_model
from maskrcnn.weights.checkpoint import load_model

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    (folder / "more").mkdir(parents=True)
    random = np.random.default_rng(0)
    for name in ("a.png", "b.jpg", "b.png", "more/a.png"):
        Image.fromarray(random.integers(0, 255, (40, 56, 3), dtype=np.uint8)).save(folder / name)
    return folder


@pytest.fixture
def mosaic(tmp_path: Path) -> Path:
    """300 x 400 pixels of noise, and 500 without anything below."""
    pixels = np.zeros((800, 400, 3), np.uint8)
    pixels[:300] = np.random.default_rng(0).integers(0, 255, (300, 400, 3), np.uint8)
    np.save(tmp_path / "mosaic.npy", pixels)
    return tmp_path / "mosaic.npy"


def test_results_and_pictures(run: Run, images: Path, model_file: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    code, out, err = run(
        "predict", images, images / "more" / "a.png", "--model", model_file, "--output", output,
        "--score-threshold", "0.01", "--max-detections", "3", "--batch-size", "2",
    )  # fmt: skip
    assert code == 0, err
    results = json.loads((output / "predictions.json").read_text())
    assert len(results) == 12 and "12 objects in 4 images" in out
    assert {(r["image_id"], r["file_name"]) for r in results} == {
        (1, (images / "a.png").as_posix()),
        (2, (images / "b.jpg").as_posix()),
        (3, (images / "b.png").as_posix()),
        (4, (images / "more" / "a.png").as_posix()),
    }
    first = results[0]
    assert (first["category_id"], first["category_name"]) in {(3, "round"), (7, "long")}
    assert first["segmentation"]["size"] == [40, 56] and isinstance(first["segmentation"]["counts"], str)
    pictures = sorted(path.name for path in output.glob("*.png"))
    assert pictures == ["a.png", "a_2.png", "b_2.png"] and (output / "b.jpg").is_file(), "a photograph's is one"
    with Image.open(output / "a.png") as picture:  # small images are drawn enlarged
        assert picture.width % 56 == 0 and picture.width * 40 == picture.height * 56


def test_nothing_found_says_what_to_try(run: Run, images: Path, model_file: Path, tmp_path: Path) -> None:
    arguments = ("predict", images / "a.png", "--model", model_file, "--output", tmp_path / "out", "--score-threshold")
    code, out, _ = run(*arguments, "1")
    assert json.loads((tmp_path / "out" / "predictions.json").read_text()) == []
    assert code == 0 and "a.png: nothing found" in out and "no object scores above 1; a lower --score-threshold" in out
    code, out, _ = run(*arguments, "0", "--overwrite")
    assert code == 0 and "no object" not in out


def test_one_broken_image_among_many_is_skipped(run: Run, images: Path, model_file: Path, tmp_path: Path) -> None:
    (images / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    code, out, err = run("predict", images, "--model", model_file, "--output", tmp_path / "out")
    assert code == 1
    lines = err.splitlines()
    assert lines[0].startswith(f"skipped: {images / 'a.png'}: ") and lines[-1].startswith("1 of 3 images skipped")
    assert "in 2 images" in out
    ids = {r["image_id"] for r in json.loads((tmp_path / "out" / "predictions.json").read_text())}
    assert ids <= {2, 3}


def test_broken_images_alone_are_an_error(run: Run, images: Path, model_file: Path, tmp_path: Path) -> None:
    for name in ("a.png", "b.jpg", "b.png"):
        (images / name).write_bytes(b"nothing")
    code, _, err = run("predict", images / "a.png", "--model", model_file, "--output", tmp_path / "out")
    assert code == 2 and err.startswith("error: ") and "a.png" in err and err.count("\n") == 1
    code, _, err = run("predict", images, "--model", model_file, "--output", tmp_path / "out")
    assert code == 2 and "none of the 3 images" in err.splitlines()[-1]
    assert not (tmp_path / "out").exists()


def test_pictures_never_overwrite_a_source(images: Path) -> None:
    sources = [images / "a.png", images / "b.jpg", images / "b.png"]
    paths = overlay_paths(sources, images)
    assert [paths[source].name for source in sources] == ["a_2.png", "b_2.jpg", "b_3.png"]


def test_pictures_never_overwrite_an_image_that_is_not_named(
    run: Run, images: Path, model_file: Path, tmp_path: Path
) -> None:
    """A picture of an earlier run is replaced; any other file of its name is somebody's."""
    Image.new("RGB", (9, 9)).save(images / "a_2.png")
    before = {path: path.read_bytes() for path in images.iterdir() if path.is_file()}
    for source in (images / "a.png", images / "more/a.png"):
        for _ in range(2):
            assert run("predict", source, "--model", model_file, "--output", images, "--overwrite")[0] == 0
        assert all(path.read_bytes() == content for path, content in before.items())
        assert {path.name for path in images.glob("*.png")} == {"a.png", "a_2.png", "a_3.png", "b.png"}


@pytest.mark.parametrize("source", ["{}", "{}/*.png", "{}/**/*.png", "outright"])
def test_pictures_of_an_earlier_run_are_no_images(
    run: Run, images: Path, model_file: Path, tmp_path: Path, source: str
) -> None:
    """The same command twice has the same images, where pictures lie beside them, by a shell's pattern too."""
    (images / "more/a.png").unlink()

    def command() -> tuple[str | Path, ...]:
        sources = sorted(images.glob("*.png")) if source == "outright" else [source.format(images)]
        return ("predict", *sources, "--model", model_file, "--output", images, "--overwrite", "--save", "labels,crops")

    first, second = (run(*command(), "--score-threshold", "0.01", "--max-detections", "3") for _ in range(2))
    number = 3 if source == "{}" else 2
    for code, out, err in (first, second):
        assert code == 0 and f"{3 * number} objects in {number} images" in out, err
    assert "left out" not in first[1] and "results of predict" in second[1]


def test_a_picture_of_an_earlier_run_alone_is_an_error(
    run: Run, images: Path, model_file: Path, tmp_path: Path
) -> None:
    options = ("--model", model_file, "--output", tmp_path / "out")
    assert run("predict", images / "a.png", *options)[0] == 0
    code, _, err = run("predict", tmp_path / "out" / "a.png", *options)
    assert code == 2 and "a.png: a picture that an earlier run made" in err and err.count("\n") == 1


def test_no_overlays(run: Run, images: Path, model_file: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    code, _, _ = run("predict", images / "a.png", "--model", model_file, "--output", output, "--no-overlays")
    names = {path.name for path in output.iterdir()} - {".lock"}
    assert code == 0 and names == {"predictions.json", "predictions.jsonl"}


# --- interrupted, and run again -----------------------------------------------------------------------------------


def rows(output: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (output / "predictions.jsonl").read_text().splitlines()]


def stopped_at(monkeypatch: pytest.MonkeyPatch, number: int, stop: Callable[[], object]) -> None:
    """`stop` is called when the image of this number, from 1, has been found."""
    found, stream = [], Model.stream

    def stopping(*arguments: Any, **more: Any) -> Iterator[Prediction]:
        for prediction in stream(*arguments, **more):
            found.append(prediction)
            if len(found) == number:
                stop()
            yield prediction

    monkeypatch.setattr(Model, "stream", stopping)


def interrupt() -> None:
    raise KeyboardInterrupt


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(("stop", "exit_code"), [(interrupt, 130), (terminate, 143)])
def test_an_interrupted_run_keeps_what_is_finished_and_goes_on(
    run: Run, images: Path, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
    stop: Callable[[], object], exit_code: int,
) -> None:  # fmt: skip
    def command(name: str, *more: str) -> tuple[str | Path, ...]:
        options = ("--score-threshold", "0.01", "--max-detections", "3")
        return ("predict", images, "--model", model_file, "--output", tmp_path / name, *options, *more)

    assert run(*command("whole"))[0] == 0
    with monkeypatch.context() as patch:
        stopped_at(patch, 3, stop)
        before = signal.getsignal(signal.SIGTERM)
        code, _, err = run(*command("out"))
        assert signal.getsignal(signal.SIGTERM) == before
    output = tmp_path / "out"
    done = len(rows(output))
    assert code == exit_code and f"{done} of 3 images are done; the same command with --resume" in err
    assert 0 < done < 3, "those waiting to be written may be lost"
    assert {r["image_id"] for r in json.loads((output / "predictions.json").read_text())} == set(range(1, done + 1))
    code, out, _ = run(*command("out", "--resume"))
    assert code == 0 and f"{done} of 3 images are done already" in out and "9 objects in 3 images" in out
    for name in ("predictions.json", "a.png", "b.jpg", "b_2.png"):
        assert (output / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    code, out, _ = run(*command("out", "--resume"))
    assert code == 0 and "3 of 3 images are done already" in out and "9 objects in 3 images; results" in out


def test_rows_have_images_without_objects_and_broken_ones(
    run: Run, images: Path, model_file: Path, tmp_path: Path
) -> None:
    (images / "b.jpg").write_bytes(b"no image")
    output = tmp_path / "out"
    arguments = ("predict", images, "--model", model_file, "--output", output, "--score-threshold", "1")
    assert run(*arguments)[0] == 1
    by_name = {Path(row["file_name"]).name: row for row in rows(output)}
    assert by_name.keys() == {"a.png", "b.jpg", "b.png"}
    assert (by_name["a.png"]["height"], by_name["a.png"]["width"], by_name["a.png"]["objects"]) == (40, 56, [])
    assert "b.jpg" in by_name["b.jpg"]["error"] and by_name["a.png"]["seconds"] > 0
    assert {row["model"] for row in rows(output)} == {file_hash(model_file)}
    Image.new("RGB", (20, 30)).save(images / "b.jpg")
    code, out, _ = run(*arguments, "--resume")
    assert code == 0 and "2 of 3 images are done already" in out, "a broken image is tried again"
    assert [Path(row["file_name"]).name for row in rows(output) if row["error"] is None][-1] == "b.jpg"


def test_results_of_another_run_are_never_replaced_unasked(
    run: Run, images: Path, model_file: Path, tmp_path: Path
) -> None:
    output = tmp_path / "out"
    arguments = ("predict", images / "a.png", "--model", model_file, "--output", output)
    assert run(*arguments)[0] == 0
    before = {path.name: path.read_bytes() for path in output.iterdir()}
    assert run(*arguments)[0] == 0, "the very same command may be run again"
    for changed in (("--score-threshold", "0.3"), ("--max-detections", "2"), ("--score-threshold", "0.3", "--resume")):
        code, _, err = run(*arguments, *changed)
        assert code == 2 and "holds results of another run" in err and "--overwrite" in err
    (tmp_path / "page.html").write_text("<!DOCTYPE html>")
    code, _, err = run(*arguments, "--model", tmp_path / "page.html")
    assert code == 2 and "got an HTML page" in err, "that it is no model is said first"
    other = ("predict", images / "b.png", *arguments[2:])
    code, _, err = run(*other)
    assert code == 2 and "results of other images, such as" in err and "--resume" in err
    names = before.keys() - {"predictions.jsonl"}  # which has seconds
    assert all((output / name).read_bytes() == before[name] for name in names)
    assert run(*other, "--resume")[0] == 0 and len(rows(output)) == 2
    assert run(*other, "--overwrite")[0] == 0 and len(rows(output)) == 1
    (output / "predictions.jsonl").unlink()
    code, _, err = run(*other)
    assert code == 2 and "predictions.json: results of another command" in err


def test_two_runs_into_one_folder_do_not_mix(run: Run, images: Path, model_file: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    arguments = ("predict", images / "a.png", "--model", model_file, "--output", output)
    with sole_writer(output, "predicting into"):
        code, _, err = run(*arguments)
        assert code == 2 and err.count("\n") == 1 and "another process is predicting into it" in err
    assert not output.exists()
    assert run(*arguments)[0] == 0


def test_a_picture_that_has_changed_is_done_anew(run: Run, images: Path, model_file: Path, tmp_path: Path) -> None:
    output = tmp_path / "out"
    arguments = ("predict", images, "--model", model_file, "--output", output, "--no-overlays")
    assert run(*arguments)[0] == 0
    Image.new("RGB", (20, 30)).save(images / "a.png")
    code, out, _ = run(*arguments, "--resume")
    assert code == 0 and "1 image changed since: done anew\n2 of 3 images are done already" in out
    assert [(row["height"], row["width"]) for row in rows(output)][-1] == (30, 20) and len(rows(output)) == 4


FEW = ("--score-threshold", "0.01", "--max-detections", "3", "--no-overlays")


def test_resuming_from_another_folder_doubles_nothing(
    run: Run, images: Path, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Names on the command line are relative to where it is given; forms find the images from there."""
    monkeypatch.chdir(tmp_path)
    assert run("predict", "in", "--model", model_file, "--output", "out", *FEW)[0] == 0
    monkeypatch.chdir(images)
    saved = ("--save", "coco,csv")
    code, out, _ = run("predict", ".", "--model", model_file, "--output", "../out", *FEW, "--resume", *saved)
    assert code == 0 and "3 of 3 images are done already" in out and "9 objects in 3 images" in out
    results = json.loads((tmp_path / "out/predictions.json").read_text())
    assert {result["file_name"] for result in results} == {"a.png", "b.jpg", "b.png"}
    assert len((tmp_path / "out/csv/summary.csv").read_text().splitlines()) == 4
    assert len(list((tmp_path / "out/coco/images").iterdir())) == 3


@pytest.mark.parametrize("renamed", [True, False])
def test_images_that_are_gone_are_told_and_have_no_forms(
    run: Run, images: Path, model_file: Path, tmp_path: Path, renamed: bool
) -> None:
    output = tmp_path / "out"
    arguments = ("predict", images, "--model", model_file, "--output", output, *FEW)
    assert run(*arguments)[0] == 0
    (images / "a.png").rename(images / ("new.png" if renamed else "more/a.png"))
    code, out, err = run(*arguments, "--resume", "--save", "csv,labelme")
    assert code == 0 and "1 other image of earlier runs kept, of which 1 no longer there" in out
    assert f"{9 + 3 * renamed} objects in {3 + renamed} images" in out, "those of the file of results"
    assert len(json.loads((output / "predictions.json").read_text())) == 9 + 3 * renamed
    assert err.endswith("1 image of earlier runs no longer there: left out of --save csv,labelme\n")
    assert len((output / "csv/summary.csv").read_text().splitlines()) == 1 + 2 + renamed
    assert not (output / "labelme/a.json").exists()


def test_other_images_that_changed_are_left_out(run: Run, images: Path, model_file: Path, tmp_path: Path) -> None:
    """Their old masks would lie on other pixels: neither results nor forms have them."""
    output = tmp_path / "out"
    options = ("--model", model_file, "--output", output, *FEW)
    assert run("predict", images, *options)[0] == 0
    Image.new("RGB", (20, 30)).save(images / "b.png")
    code, out, err = run("predict", images / "a.png", *options, "--resume", "--save", "labels,coco,csv")
    assert code == 0 and "1 other image changed since: left out until named again\n" in err
    assert "1 other image of earlier runs kept\n" in out and "6 objects in 2 images" in out
    assert {path.name for path in (output / "labels/images").iterdir()} == {"a.png", "b.jpg"}
    assert {path.name for path in (output / "coco/images").iterdir()} == {"a.png", "b.jpg"}
    assert len((output / "csv/summary.csv").read_text().splitlines()) == 3
    assert len(json.loads((output / "predictions.json").read_text())) == 6
    assert run("predict", images / "b.png", *options, "--resume")[0] == 0
    assert rows(output)[-1]["height"] == 30


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--model", "nuclie"], "did you mean|expected one of"),
        (["--model", "absent.safetensors"], "absent.safetensors"),
        (["--device", "gpu"], "device"),
        (["--precision", "bf16"], "precision"),
    ],
)
def test_mistakes(run: Run, images: Path, model_file: Path, options: list[str], message: str) -> None:
    arguments = options if "--model" in options else ["--model", str(model_file), *options]
    code, _, err = run("predict", images / "a.png", *arguments)
    assert code == 2 and err.count("\n") == 1
    assert any(part in err for part in message.split("|"))


# --- further forms -------------------------------------------------------------------------------------------------


def test_forms_are_written_at_the_end_and_again_without_the_model(
    run: Run, images: Path, model_file: Path, tmp_path: Path
) -> None:
    def command(name: str, *more: str) -> tuple[str | Path, ...]:
        options = ("--score-threshold", "0.01", "--max-detections", "3", "--no-overlays")
        return ("predict", images, "--model", model_file, "--output", tmp_path / name, *options, *more)

    saved = ("--save", "csv,labelme", "--pixel-size", "0.5")
    assert run(*command("whole", *saved))[0] == 0
    assert run(*command("later"))[0] == 0 and run(*command("later", *saved, "--resume"))[0] == 0
    for name in ("csv/objects.csv", "csv/summary.csv", "labelme/a.json", "labelme/b.jpg.jpg"):
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "later" / name).read_bytes(), name
    assert len((tmp_path / "later/csv/summary.csv").read_text().splitlines()) == 4


def test_tables_that_lose_their_unit_are_named(run: Run, images: Path, model_file: Path, tmp_path: Path) -> None:
    def save(*more: str) -> str:
        options = ("--output", tmp_path / "out", "--score-threshold", "0.01", "--no-overlays", "--save", "csv,labels")
        code, _, err = run("predict", images, "--model", model_file, *options, *more)
        assert code == 0
        return err

    lost = f"{tmp_path / 'out/csv'}: written in pixels, where it had --pixel-size 0.25; give that again for its unit"
    assert lost not in save("--pixel-size", "0.25")
    assert lost not in save("--pixel-size", "0.25", "--resume")
    assert lost in save("--resume").splitlines()
    assert lost not in save("--resume"), "by then it is in pixels"


def test_what_was_made_of_replaced_results_goes_with_them(
    run: Run, images: Path, model_file: Path, tmp_path: Path
) -> None:
    """Forms and pictures that are not written again would be of other results than those beside them."""
    output = tmp_path / "out"

    def predict(name: str, *more: str) -> tuple[int, str, str]:
        options = ("--score-threshold", "0.01", "--max-detections", "3", *more)
        return run("predict", images / name, "--model", model_file, "--output", output, *options)

    def left() -> set[str]:
        return {path.name for path in output.iterdir()} - {"predictions.json", "predictions.jsonl", ".lock"}

    assert predict("a.png", "--save", "csv,geojson")[0] == 0
    assert predict("a.png", "--resume", "--save", "labelme")[0] == 0
    assert left() == {"a.png", "csv", "geojson", "labelme"}, "what is resumed stays"
    (images / "b.png").write_bytes(b"no image")
    assert predict("b.png", "--overwrite")[0] == 2
    assert left() == {"a.png", "csv", "geojson", "labelme"}, "as long as there is nothing new"
    for more in ((), ("--overwrite",)):
        assert predict("a.png", "--save", "geojson", *more)[0] == 0 and left() == {"a.png", "geojson"}
    (output / "geojson" / "a.geojson").write_text("corrected")
    (output / "crops").mkdir()  # not of ours
    code, _, err = predict("b.jpg", "--overwrite", "--save", "csv")
    assert code == 0 and left() == {"b.jpg", "csv", "geojson", "crops"}
    assert f"{output / 'geojson'}: was changed since it was written, so it stays, with the results of an earlier" in err
    assert "was changed" not in predict("b.jpg", "--overwrite", "--save", "geojson")[2]
    assert left() == {"b.jpg", "geojson", "crops"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--save", "csv,labelmee"), "--save labelmee: no such form; did you mean labelme"),
        (("--pixel-size", "0.5"), "--pixel-size: measurements are a part of --save csv"),
        (("--save", "csv", "--pixel-size", "0"), "--pixel-size"),
    ],
)
def test_forms_that_make_no_sense(
    run: Run, images: Path, model_file: Path, options: tuple[str, ...], message: str
) -> None:
    code, _, err = run("predict", images / "a.png", "--model", model_file, *options)
    assert code == 2 and message in err and err.count("\n") == 1


def test_what_pictures_show(run: Run, images: Path, model_file: Path, tmp_path: Path) -> None:
    def picture(*options: str) -> np.ndarray:
        arguments = ("--output", tmp_path / "out", "--overwrite", "--score-threshold", "0.01", "--max-detections", "3")
        code, _, err = run("predict", images / "a.png", "--model", model_file, *arguments, *options)
        assert code == 0, err
        return np.array(Image.open(tmp_path / "out" / "a.png"))

    usual, boxes, small = picture(), picture("--draw", "boxes", "--line-width", "5"), picture("--picture-size", "112")
    assert usual.shape == boxes.shape == (160, 224, 3) and (usual != boxes).any() and small.shape == (80, 112, 3)
    assert np.array_equal(usual, picture("--draw", "labels,masks"))
    code, _, err = run("predict", images / "a.png", "--model", model_file, "--draw", "boxes,mask")
    assert code == 2 and "draw mask: expected some of boxes, labels, masks" in err


def test_resuming_draws_the_pictures_that_finished_images_lack(
    run: Run, images: Path, mosaic: Path, model_file: Path, tmp_path: Path
) -> None:
    """As they are drawn at once, also of an image in tiles, and without the model; those that are there stay."""

    def command(name: str, *more: str) -> tuple[str | Path, ...]:
        options = ("--tile", "128", "--overlap", "0", "--score-threshold", "0.2", "--max-detections", "4", *more)
        return ("predict", mosaic, images, "--model", model_file, "--output", tmp_path / name, *options)

    drawn = ("--draw", "boxes", "--line-width", "3")
    assert run(*command("whole", *drawn))[0] == 0 and run(*command("later", "--no-overlays"))[0] == 0
    whole, later = tmp_path / "whole", tmp_path / "later"
    assert not any("picture" in row for row in rows(later)) and not list(later.glob("*.png"))
    predicted = (later / "predictions.jsonl").read_bytes()
    code, out, err = run(*command("later", "--resume", *drawn))
    assert code == 0 and "4 finished images without a picture: drawn from the rows" in out, err
    for name in ("mosaic.png", "a.png", "b.jpg", "b_2.png"):
        assert np.array_equal(np.array(Image.open(whole / name)), np.array(Image.open(later / name))), name
    assert (whole / "predictions.json").read_bytes() == (later / "predictions.json").read_bytes()
    assert (later / "predictions.jsonl").read_bytes() == predicted, "rows may be large, and are not written again"
    (later / "a.png").unlink()
    before = len(rows(later)), (later / "b_2.png").read_bytes()
    code, out, _ = run(*command("later", "--resume", "--draw", "masks"))
    assert "3 pictures there already, as drawn then; those that you delete are drawn anew" in out
    assert "1 finished image without a picture" in out and (later / "a.png").is_file()
    assert (len(rows(later)), (later / "b_2.png").read_bytes()) == before
    assert "picture" not in run(*command("later", "--resume"))[1]


# --- what a run says -----------------------------------------------------------------------------------------------


def test_lines_have_a_total_and_quiet_has_none(run: Run, images: Path, model_file: Path, tmp_path: Path) -> None:
    (images / "b.jpg").write_bytes(b"no image")
    arguments = ("predict", images, "--model", model_file, "--output", tmp_path / "out", "--score-threshold", "1")
    code, out, err = run(*arguments)
    first, *lines = out.splitlines()
    assert code == 1 and {line.split()[0] for line in lines[:2]} <= {"1/3", "2/3", "3/3"}
    assert first == f"{images}: left out 1 folder with images (taken by '{images}/**')"
    code, out, quiet_err = run(*arguments, "--quiet")
    assert code == 1 and out == "" and quiet_err == err, "what went wrong is still said"


@pytest.mark.parametrize("log", ["--quiet", "--log=json"])
def test_what_forms_leave_out_is_always_said(
    run: Run, images: Path, model_file: Path, tmp_path: Path, log: str
) -> None:
    """Pixels that several objects share are lost in label images."""
    options = ("--score-threshold", "0.01", "--max-detections", "20", "--no-overlays", "--save", "labels", log)
    code, out, err = run("predict", images / "a.png", "--model", model_file, "--output", tmp_path / "out", *options)
    lost = [line for line in err.splitlines() if line.startswith(f"{tmp_path / 'out' / 'labels'}: ")]
    events = [json.loads(line) for line in out.splitlines()]
    assert code == 0 and any("pixels" in line for line in lost)
    assert [event["text"] for event in events if event["event"] == "note"] == lost * (log != "--quiet")


def test_a_log_for_programs(run: Run, images: Path, model_file: Path, tmp_path: Path) -> None:
    (images / "b.jpg").write_bytes(b"no image")
    options = ("--score-threshold", "0.01", "--max-detections", "3", "--log", "json")
    _, out, _ = run("predict", images, "--model", model_file, "--output", tmp_path / "out", *options)
    events = [json.loads(line) for line in out.splitlines()]
    by_event = {name: [e for e in events if e["event"] == name] for name in ("image", "skipped", "done")}
    assert [len(found) for found in by_event.values()] == [2, 1, 1] and events[-1] is by_event["done"][0]
    first, last = by_event["image"]
    assert sum(first["objects"].values()) == 3 and first["total"] == 3 and last["seconds_left"] == 0
    assert "b.jpg" in by_event["skipped"][0]["reason"]
    assert (events[-1]["objects"], events[-1]["images"], events[-1]["score_threshold"]) == (6, 2, 0.01)


def test_a_terminal_gets_a_bar_with_rate_and_total(
    run: Run, images: Path, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    monkeypatch.setenv("FORCE_COLOR", "1")
    code, out, err = run("predict", images, "--model", model_file, "--output", tmp_path / "out")
    assert code == 0 and "3/3" in err and "images/s" in err and out.count("\n") <= 3, "no line per image"


def test_the_threshold_of_the_model_is_taken_and_said(run: Run, images: Path, model_file: Path, tmp_path: Path) -> None:
    network, config, categories, _ = load_model(model_file)
    own = tmp_path / "own.safetensors"
    save_model(own, network, config, categories, {"score_threshold": 0.0125})
    arguments = ("predict", images / "a.png", "--model", own, "--output", tmp_path / "out")
    _, out, _ = run(*arguments)
    assert "objects score above 0.0125" in out and rows(tmp_path / "out")[0]["score_threshold"] == 0.0125
    _, out, _ = run(*arguments, "--overwrite", "--score-threshold", "0.3")
    assert "objects score above" not in out and rows(tmp_path / "out")[0]["score_threshold"] == 0.3


# --- large images ----------------------------------------------------------------------------------------------------


def test_an_image_in_tiles_takes_a_row_for_each_part(
    run: Run, mosaic: Path, images: Path, model_file: Path, tmp_path: Path
) -> None:
    """The same objects as `predict_large` has, and the same again from the rows alone."""
    output = tmp_path / "out"
    options = ("--tile", "128", "--overlap", "0", "--score-threshold", "0.2", "--max-detections", "4")
    command = ("predict", mosaic, images / "a.png", "--model", model_file, "--output", output, *options)
    code, out, err = run(*command, "--save", "geojson")
    assert code == 0, err
    found = load(str(model_file), "cpu").predict_large(mosaic, 128, 0, score_threshold=0.2, max_detections=4)
    rows = [json.loads(line) for line in (output / "predictions.jsonl").read_text().splitlines()]
    parts = [row for row in rows if row["file_name"] == mosaic.as_posix()]
    assert len(parts) > 2 and [row.get("more", False) for row in parts] == [True] * (len(parts) - 1) + [False]
    assert sum(len(row["objects"]) for row in parts) == len(found) > 8
    assert [row["content"] is None for row in parts] == [True] * (len(parts) - 1) + [False], "read through once"
    results = json.loads((output / "predictions.json").read_text())
    of_mosaic = [result for result in results if result["image_id"] == 1]
    key = "segmentation"
    assert sorted(r[key]["counts"] for r in of_mosaic) == sorted(r[key]["counts"] for r in found.to_coco())
    line = next(line for line in out.splitlines() if f"/2 {mosaic}: " in line)
    assert sum(int(word) for word in line.split() if word.isdigit()) == len(found)
    assert f"{len(results)} objects in 2 images" in out
    features = json.loads((output / "geojson" / "mosaic.geojson").read_text())["features"]
    assert [int(feature["id"]) for feature in features] == list(range(1, len(found) + 1))
    before = (output / "predictions.json").read_bytes()
    assert run(*command, "--resume", "--save", "geojson")[0] == 0
    assert (output / "predictions.json").read_bytes() == before and (output / "mosaic.png").is_file()


def test_an_image_that_breaks_off_has_no_rows(
    run: Run, mosaic: Path, images: Path, model_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = Model.stream_large

    def breaking(self: Model, *arguments: Any) -> Iterator[Prediction]:
        parts = whole(self, *arguments)
        if arguments[0] == mosaic:
            yield from (next(parts), next(parts))
            raise UserError("mosaic.npy: broken")
        yield from parts

    monkeypatch.setattr(Model, "stream_large", breaking)
    options = ("--tile", "128", "--overlap", "0", "--score-threshold", "0.2", "--max-detections", "4")
    command = ("predict", mosaic, images / "a.png", "--model", model_file, "--output", tmp_path / "out")
    code, _, err = run(*command, *options, "--no-overlays")
    assert code == 1 and "broken" in err
    rows = [json.loads(line) for line in (tmp_path / "out" / "predictions.jsonl").read_text().splitlines()]
    assert [(Path(row["file_name"]).name, row["error"]) for row in rows] == [
        ("a.png", None),
        ("mosaic.npy", "mosaic.npy: broken"),
    ]
