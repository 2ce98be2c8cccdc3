"""`maskrcnn predict`: outline the objects in images."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskrcnn.cli.arguments import (
    CommandParser,
    add_batch_size_option,
    add_device_option,
    add_model_option,
    add_proposals_option,
    add_score_threshold_option,
    number,
)
from maskrcnn.errors import UserError

if TYPE_CHECKING:
    from argparse import Namespace

    from torch import Tensor

    from maskrcnn.predict import Model, Prediction


def main(arguments: Sequence[str]) -> int:
    """Predict, write `predictions.json` and the overlay pictures; 1 if some images had to be skipped."""
    values = _parser().parse(arguments)
    from maskrcnn.predict import load
    from maskrcnn.sources import collect_sources

    sources = collect_sources(values.sources)
    model = load(values.model, values.device)
    run = _Run(Path(values.output), sources)
    started = time.perf_counter()
    _predict_all(model, run, values)
    _finish(run, time.perf_counter() - started)
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
    return parser


@dataclass
class _Run:
    """What accumulates over the images."""

    output: Path
    sources: list[Path]
    results: list[dict[str, Any]] = field(default_factory=list)
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

    def add(self, prediction: Prediction) -> None:
        """Keep the COCO results of one image and say what was found."""
        source = prediction.source
        assert isinstance(source, Path)
        self.results += [
            {**result, "file_name": source.as_posix()} for result in prediction.to_coco(self.image_ids[source])
        ]
        print(f"{source}: {_describe(prediction)}")


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


def _predict_all(model: Model, run: _Run, values: Namespace) -> None:
    stream = model.stream(
        run.sources,
        values.batch_size,
        values.score_threshold,
        values.max_detections,
        on_error=run.skip,
        proposals=None if values.proposals is None else run.proposals(Path(values.proposals)),
    )
    for prediction in stream:
        run.add(prediction)
        if not values.no_overlays:
            prediction.save(run.overlays[Path(str(prediction.source))])
    if len(run.skipped) == len(run.sources):
        raise UserError(f"none of the {len(run.sources)} images could be read; see the lines above")


def _finish(run: _Run, seconds: float) -> None:
    from maskrcnn.files import write_atomically

    path = run.output / "predictions.json"
    write_atomically(path, json.dumps(run.results))
    done = len(run.sources) - len(run.skipped)
    print(
        f"{len(run.results)} objects in {done} images, {seconds:.1f} s ({done / seconds:.2f} images/s); "
        f"results in {path}"
    )
    if run.skipped:
        print(f"{len(run.skipped)} of {len(run.sources)} images skipped: {', '.join(run.skipped)}", file=sys.stderr)


def _describe(prediction: Prediction) -> str:
    names = prediction.names
    counts = ", ".join(f"{names.count(name)} {name}" for name in dict.fromkeys(names))
    return counts or "nothing found"
