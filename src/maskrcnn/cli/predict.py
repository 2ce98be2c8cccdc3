"""`maskrcnn predict`: outline the objects in images."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
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
from maskrcnn.cli.shrinking import Shrinking
from maskrcnn.errors import LONGEST_MESSAGE, UserError
from maskrcnn.text import one_line

if TYPE_CHECKING:
    from argparse import Namespace

    from torch import Tensor

    from maskrcnn.model import Model
    from maskrcnn.prediction import Prediction
    from maskrcnn.results.rows import ResultRows


def main(arguments: Sequence[str]) -> int:
    """Predict, write the results and the overlay pictures; 1 if some images had to be skipped."""
    values = _parser().parse(arguments)
    from maskrcnn.loading import load
    from maskrcnn.sources import collect_sources

    run = _begin(values, collect_sources(values.sources))
    if run.waiting:
        model = load(values.model, values.device, values.precision)
        predictions = _predict_all(model, run, values)
        shrinking = Shrinking(model.config)
        with _terminated_as_interrupted(), run.finishing():
            _keep(_noted(predictions, shrinking), run, overlays=not values.no_overlays)
        if warning := shrinking.warning():
            print(warning, file=sys.stderr)
    else:
        run.write_results()
    _say_what_came_out(run, values.score_threshold)
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
    parser.add_argument("--no-overlays", action="store_true", help="write the results without pictures")
    earlier = parser.add_mutually_exclusive_group()
    earlier.add_argument("--resume", action="store_true", help="keep what is finished in DIR and do what is missing")
    earlier.add_argument("--overwrite", action="store_true", help="replace the results of another run in DIR")
    add_device_option(parser)
    add_precision_option(parser)
    return parser


@dataclass
class _Run:
    """What accumulates over the images: counts and names, never results.

    Attributes:
        sources: all images asked for.
        waiting: those without a finished result.
        rows: the results.
        results: the file of COCO results that is made from them at the end.
        overlays: where the picture of each image goes.
        label_maps: the folder of those that were written.
        failures: (name, reason) of images that could not be read, until there is a first result to write them with.
    """

    sources: list[Path]
    waiting: list[Path]
    rows: ResultRows
    results: Path
    overlays: dict[Path, Path]
    num_objects: int = 0
    num_done: int = 0
    skipped: list[str] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)
    label_maps: Path | None = None
    started: float = field(default_factory=time.perf_counter)

    def skip(self, source: object, error: UserError) -> None:
        """Leave out one broken image among many; alone, it is an error."""
        if len(self.sources) == 1:
            raise error
        self.skipped.append(str(source))
        self.failures.append((Path(str(source)).as_posix(), str(error)))
        print(f"skipped: {error}", file=sys.stderr)

    def proposals(self, path: Path) -> list[Tensor]:
        """The boxes of each waiting source that a file of proposals names."""
        from maskrcnn.data.proposals import read_proposals

        names = [source.as_posix() for source in self.sources]
        store = read_proposals(path, names, list(range(1, len(names) + 1)))
        boxes = {source: store.of(number) for number, source in enumerate(self.sources)}
        return [boxes[source] for source in self.waiting]

    @contextmanager
    def finishing(self) -> Iterator[None]:
        """However the work in here ends, what is finished is written."""
        try:
            yield
        except BaseException:
            self.write_results()
            done = sum(self.rows.is_done(source.as_posix()) for source in self.sources)
            print(
                f"{done} of {len(self.sources)} images are done; the same command with --resume does the others",
                file=sys.stderr,
            )
            raise
        self.write_results()

    def write_results(self) -> None:
        """COCO's results of everything finished; what lies there stays as long as nothing is."""
        self.rows.append_failures(self.failures)
        self.rows.close()
        if self.rows.any_done:
            self.num_objects = self.rows.write_coco(self.results, [source.as_posix() for source in self.sources])


def _begin(values: Namespace, sources: list[Path]) -> _Run:
    """Look at the output folder before the work; nothing is written yet."""
    from maskrcnn.files import file_hash
    from maskrcnn.loading import model_hash
    from maskrcnn.results.rows import ResultRows, RunSettings

    settings = RunSettings(
        model=model_hash(values.model),
        score_threshold=values.score_threshold,
        max_detections=values.max_detections,
        precision=values.precision,
        proposals=None if values.proposals is None else file_hash(Path(values.proposals)),
    )
    output = Path(values.output)
    results, rows = output / "predictions.json", ResultRows(output / "predictions.jsonl", settings)
    names = [source.as_posix() for source in sources]
    rows.look(names, resume=values.resume, overwrite=values.overwrite)
    if results.exists() and not rows.exist and not values.overwrite:
        raise UserError(
            f"{results}: results of another command; choose another --output, or replace them with --overwrite"
        )
    waiting = [source for source, name in zip(sources, names, strict=True) if not rows.is_done(name)]
    if len(waiting) < len(sources):
        print(f"{len(sources) - len(waiting)} of {len(sources)} images are done already")
    return _Run(sources, waiting, rows, results, overlay_paths(sources, output))


LABEL_MAPS = "label_maps"
"""The folder for them in the output, where they are named as the overlays are."""


def overlay_paths(sources: Sequence[Path], output: Path) -> dict[Path, Path]:
    """`output/<stem>.png` for each source; a number is added rather than overwriting a source or another overlay."""
    taken = {source.resolve() for source in sources}
    paths = {}
    for source in sources:
        path, count = output / f"{source.stem}.png", 1
        while path.resolve() in taken or (output / LABEL_MAPS / path.name).resolve() in taken:
            count += 1
            path = output / f"{source.stem}_{count}.png"
        taken.add(path.resolve())
        paths[source] = path
    return paths


def _predict_all(model: Model, run: _Run, values: Namespace) -> Iterator[Prediction]:
    """The predictions, one after the other; an error at once, before anything is written, if no image can be read."""
    predictions = model.stream(
        run.waiting,
        values.batch_size,
        values.score_threshold,
        values.max_detections,
        on_error=run.skip,
        proposals=None if values.proposals is None else run.proposals(Path(values.proposals)),
    )
    first = next(predictions, None)
    if first is None and len(run.waiting) == len(run.sources):
        raise UserError(f"none of the {len(run.sources)} images could be read; see the lines above")
    return chain([] if first is None else [first], predictions)


def _noted(predictions: Iterator[Prediction], shrinking: Shrinking) -> Iterator[Prediction]:
    for prediction in predictions:
        shrinking.add(prediction.image_size)
        yield prediction


def _keep(predictions: Iterator[Prediction], run: _Run, *, overlays: bool) -> None:
    """A row per image as it comes, written behind its picture: an image with a row has everything."""
    from maskrcnn.pipeline import Behind

    with Behind() as behind:
        last = run.started
        for prediction in predictions:
            source = prediction.source
            assert isinstance(source, Path)
            now = time.perf_counter()
            row = run.rows.found(source.as_posix(), prediction, now - last)
            last = now
            print(f"{one_line(str(source), LONGEST_MESSAGE)}: {_describe(prediction)}")
            run.num_done += 1
            behind.call(_finish, run, row, prediction, run.overlays[source], overlays)


def _finish(run: _Run, row: dict[str, Any], prediction: Prediction, path: Path, overlay: bool) -> None:
    if overlay:
        prediction.save(path)
    if prediction.semantic is not None:
        run.label_maps = path.parent / LABEL_MAPS
        prediction.save_label_map(run.label_maps / path.name)
    run.rows.append(row)


@contextmanager
def _terminated_as_interrupted() -> Iterator[None]:
    """SIGTERM ends what happens in here in an orderly way, with the exit code of a terminated process."""
    import signal
    import threading

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _say_what_came_out(run: _Run, score_threshold: float) -> None:
    seconds, done = time.perf_counter() - run.started, len(run.sources) - len(run.skipped)
    speed = f", {seconds:.1f} s ({run.num_done / seconds:.2f} images/s)" if run.num_done else ""
    maps = "" if run.label_maps is None else f", the class of every pixel in {run.label_maps}"
    objects = "" if maps and not run.num_objects else f"{run.num_objects} objects in "
    print(f"{objects}{done} images{speed}; results in {run.results}{maps}")
    if run.skipped:
        names = one_line(", ".join(run.skipped), LONGEST_MESSAGE)
        print(f"{len(run.skipped)} of {len(run.sources)} images skipped: {names}", file=sys.stderr)
    if run.num_objects == 0 and score_threshold > 0 and run.label_maps is None:
        print(f"no object scores above {score_threshold:g}; a lower --score-threshold shows less certain ones")


def _describe(prediction: Prediction) -> str:
    from maskrcnn.viz.label_maps import class_shares

    names = prediction.names
    counts = [f"{names.count(name)} {one_line(name)}" for name in dict.fromkeys(names)]
    if prediction.semantic is not None:
        shares = class_shares(prediction.semantic, prediction.categories.names)
        counts += [f"{share:.1%} {one_line(name)}" for name, share in shares.items()]
    return ", ".join(counts) or "nothing found"
