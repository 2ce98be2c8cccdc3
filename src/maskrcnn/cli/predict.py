"""`maskrcnn predict`: outline the objects in images."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskrcnn.cli.arguments import (
    CommandParser,
    add_batch_size_option,
    add_device_option,
    add_model_option,
    add_precision_option,
    add_proposals_option,
    add_score_threshold_option,
    number,
)
from maskrcnn.errors import UserError
from maskrcnn.text import one_line

if TYPE_CHECKING:
    from argparse import Namespace

    from torch import Tensor

    from maskrcnn.model import Model
    from maskrcnn.prediction import Prediction


def main(arguments: Sequence[str]) -> int:
    """Predict, write `predictions.json` and the overlay pictures; 1 if some images had to be skipped."""
    values = _parser().parse(arguments)
    from maskrcnn.files import write_atomically
    from maskrcnn.loading import load
    from maskrcnn.sources import collect_sources

    sources = collect_sources(values.sources)
    model = load(values.model, values.device, values.precision)
    run = _Run(Path(values.output), sources)
    started = time.perf_counter()
    predictions = _predict_all(model, run, values)
    results = run.output / "predictions.json"
    write_atomically(results, lambda partial: _write(predictions, run, partial, overlays=not values.no_overlays))
    _finish(run, results, time.perf_counter() - started)
    if run.num_objects == 0 and values.score_threshold > 0:
        print(f"no object scores above {values.score_threshold:g}; a lower --score-threshold shows less certain ones")
    return 1 if run.skipped else 0


def _parser() -> CommandParser:
    parser = CommandParser("predict", "Outline the objects in images.")
    parser.add_argument("sources", nargs="+", metavar="SOURCE", help="an image, a folder, or a quoted glob pattern")
    add_model_option(parser)
    parser.add_argument(
        "--output", default="predictions", metavar="DIR", help="where the results go (default: %(default)s)"
    )
    add_score_threshold_option(parser)
    parser.add_argument(
        "--max-detections", type=number(int, 1), metavar="N", help="per image (default: as the model was trained)"
    )
    add_batch_size_option(parser)
    add_proposals_option(parser)
    parser.add_argument("--no-overlays", action="store_true", help="write predictions.json only")
    add_device_option(parser)
    add_precision_option(parser)
    return parser


@dataclass
class _Run:
    """What accumulates over the images: counts and names, never results."""

    output: Path
    sources: list[Path]
    num_objects: int = 0
    skipped: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.image_ids = {source: i for i, source in enumerate(self.sources, start=1)}
        self.overlays = overlay_paths(self.sources, self.output)

    def skip(self, source: object, error: UserError) -> None:
        """Leave out one broken image among many; alone, it is an error."""
        if len(self.sources) == 1:
            raise error
        self.skipped.append(str(source))
        print(f"skipped: {error}", file=sys.stderr)

    def proposals(self, path: Path) -> list[Tensor]:
        """The boxes of each source that a file of proposals names."""
        from maskrcnn.data.proposals import read_proposals

        names = [source.as_posix() for source in self.sources]
        store = read_proposals(path, names, list(self.image_ids.values()))
        return [store.of(number) for number in range(len(names))]

    def results(self, prediction: Prediction) -> list[dict[str, Any]]:
        """The COCO results of one image; says what was found."""
        source = prediction.source
        assert isinstance(source, Path)
        print(f"{source}: {_describe(prediction)}")
        self.num_objects += len(prediction)
        return [{**result, "file_name": source.as_posix()} for result in prediction.to_coco(self.image_ids[source])]


def overlay_paths(sources: Sequence[Path], output: Path) -> dict[Path, Path]:
    """`output/<stem>.png` for each source; a number is added rather than overwriting a source or another overlay."""
    taken = {source.resolve() for source in sources}
    paths = {}
    for source in sources:
        path, count = output / f"{source.stem}.png", 1
        while path.resolve() in taken:
            count += 1
            path = output / f"{source.stem}_{count}.png"
        taken.add(path.resolve())
        paths[source] = path
    return paths


def _predict_all(model: Model, run: _Run, values: Namespace) -> Iterator[Prediction]:
    """The predictions, one after the other; an error at once, before anything is written, if no image can be read."""
    predictions = model.stream(
        run.sources,
        values.batch_size,
        values.score_threshold,
        values.max_detections,
        on_error=run.skip,
        proposals=None if values.proposals is None else run.proposals(Path(values.proposals)),
    )
    first = next(predictions, None)
    if first is None:
        raise UserError(f"none of the {len(run.sources)} images could be read; see the lines above")
    return chain([first], predictions)


def _write(predictions: Iterator[Prediction], run: _Run, results: Path, *, overlays: bool) -> None:
    """Results go to the file image by image, so that memory does not grow with their number."""
    from maskrcnn.pipeline import Behind

    with results.open("w") as file, Behind() as behind:
        separator = "["
        for prediction in predictions:
            for result in run.results(prediction):
                file.write(separator + json.dumps(result))
                separator = ", "
            if overlays:
                behind.call(prediction.save, run.overlays[Path(str(prediction.source))])
        file.write("[]" if separator == "[" else "]")


def _finish(run: _Run, results: Path, seconds: float) -> None:
    done = len(run.sources) - len(run.skipped)
    print(
        f"{run.num_objects} objects in {done} images, {seconds:.1f} s ({done / seconds:.2f} images/s); "
        f"results in {results}"
    )
    if run.skipped:
        print(f"{len(run.skipped)} of {len(run.sources)} images skipped: {', '.join(run.skipped)}", file=sys.stderr)


def _describe(prediction: Prediction) -> str:
    names = prediction.names
    counts = ", ".join(f"{names.count(name)} {one_line(name)}" for name in dict.fromkeys(names))
    return counts or "nothing found"
