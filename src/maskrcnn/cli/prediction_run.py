"""One run of `maskrcnn predict`: what is asked for, what is done, and the files it leaves."""

from __future__ import annotations

import itertools
import os
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maskrcnn.cli.earlier_results import require_apart, tell_what_is_kept, without_pictures
from maskrcnn.cli.large import tiles_option
from maskrcnn.cli.progress import Reporter, describe
from maskrcnn.data.outputs import LABEL_MAPS, PANOPTIC, ROWS, is_plain_name
from maskrcnn.errors import LONGEST_MESSAGE, UserError
from maskrcnn.marks import is_marked
from maskrcnn.text import counted, one_line

if TYPE_CHECKING:
    from argparse import Namespace

    from torch import Tensor

    from maskrcnn.large.overview import Overview
    from maskrcnn.prediction import Prediction
    from maskrcnn.results.rows import ResultRows
    from maskrcnn.viz.drawing import Drawing


@dataclass
class Run:
    """What accumulates over the images: counts and names, never results.

    Attributes:
        sources: all images asked for.
        waiting: those without a finished result.
        rows: the results.
        results: the file of COCO results that is made from them at the end.
        overlays: where the picture of each image goes.
        reporter: is told of what is done.
        model: as the user named it.
        label_maps: the folder of those that were written.
        panoptic: the file of panoptic results, if there is one.
        failures: (name, reason) of images that could not be read, until there is a first result to write them with.
    """

    sources: list[Path]
    waiting: list[Path]
    rows: ResultRows
    results: Path
    overlays: dict[Path, Path]
    reporter: Reporter
    model: str
    num_objects: int = 0
    num_done: int = 0
    skipped: list[str] = field(default_factory=list)
    failures: list[tuple[str, str]] = field(default_factory=list)
    label_maps: Path | None = None
    panoptic: Path | None = None
    started: float = field(default_factory=time.perf_counter)

    def skip(self, source: object, error: UserError) -> None:
        """Leave out one broken image among many; alone, it is an error."""
        if len(self.sources) == 1:
            raise error
        self.skipped.append(str(source))
        self.failures.append((Path(str(source)).as_posix(), str(error)))
        self.reporter.skipped(str(source), str(error))

    def proposals(self, path: Path) -> list[Tensor]:
        """The boxes of each waiting source that a file of proposals names."""
        from maskrcnn.data.proposals import read_proposals

        names = [source.as_posix() for source in self.sources]
        store = read_proposals(path, names, list(range(1, len(names) + 1)))
        boxes = {source: store.of(number) for number, source in enumerate(self.sources)}
        return [boxes[source] for source in self.waiting]

    def image_done(self, source: Path, names: Mapping[str, int], prediction: Prediction) -> None:
        """Count an image and tell of it: how many objects of each class, of all its parts, and its last part."""
        self.num_done += 1
        counts = {name: names[name] for name in prediction.categories.names if name in names}
        self.reporter.image(str(source), counts, describe(names, prediction))

    def finish(
        self, row: dict[str, Any], prediction: Prediction, shown: Overview, path: Path, drawing: Drawing | None
    ) -> None:
        """The files of one image, and its last row behind them: an image with that row has everything."""
        from maskrcnn.results.panoptic import save_segments

        if drawing is not None:
            shown.prediction().save(path, drawing)
            row["picture"] = path.name
        if prediction.semantic is not None:
            self.label_maps = path.parent / LABEL_MAPS
            prediction.save_label_map(self.label_maps / f"{path.stem}.png")
            row["label_map"] = f"{path.stem}.png"
        if prediction.is_panoptic:
            merged = prediction.panoptic(score_threshold=0)  # of all that was asked for
            target = path.parent / PANOPTIC / f"{path.stem}.png"
            row["panoptic"] = save_segments(target, merged, prediction.categories)
        self.rows.append(row)

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

    def save_forms(self, values: Namespace) -> None:
        """The results in further forms, made from the rows."""
        rows = self.rows.without_gone()
        if not values.save or not rows.any_done:
            return
        from maskrcnn.data.channels import Channels
        from maskrcnn.loading import model_facts
        from maskrcnn.results.finished import Finished
        from maskrcnn.results.forms import save_forms

        names = [source.as_posix() for source in self.sources]
        facts = model_facts(values.model)
        channels = Channels.of(facts.config.input)
        if self.rows.gone:
            gone = f"{counted(len(self.rows.gone), 'image')} of earlier runs no longer there"
            self.reporter.warn(f"{gone}: left out of --save {','.join(values.save)}")
        self._tell_of_units(values)
        finished = Finished(rows, names, facts.categories, values.pixel_size or 1.0, channels)
        for form, loss in save_forms(finished, self.results.parent, values.save).items():
            for sentence, count in loss.items():
                self.reporter.warn(f"{self.results.parent / form}: {count} {sentence}")

    def _tell_of_units(self, values: Namespace) -> None:
        """Where tables in another unit become tables in pixels: their columns look the same."""
        from maskrcnn.results.tables import pixel_size_of

        tables = self.results.parent / "csv"
        if "csv" in values.save and values.pixel_size is None and (earlier := pixel_size_of(tables)) != 1:
            self.reporter.warn(
                f"{tables}: written in pixels, where it had --pixel-size {earlier:g}; give that again for its unit"
            )

    def write_results(self) -> None:
        """COCO's results of everything finished; what lies there stays as long as nothing is."""
        self.rows.append_failures(self.failures)
        self.rows.close()
        names = [source.as_posix() for source in self.sources]
        if self.rows.any_done:
            self.num_objects = self.rows.write_coco(self.results, names)
        if self.rows.any_panoptic:
            from maskrcnn.loading import model_facts
            from maskrcnn.results.panoptic import write_panoptic

            self.panoptic = self.results.with_name(f"{PANOPTIC}.json")
            write_panoptic(self.panoptic, self.rows, names, model_facts(self.model).categories)


def _require_known(forms: Sequence[str], pixel_size: float | None) -> None:
    from maskrcnn.results.forms import FORMS
    from maskrcnn.settings import nearest

    for form in forms:
        if form not in FORMS:
            raise UserError(f"--save {one_line(form)}: no such form; {nearest(form, FORMS)}")
    if pixel_size is not None and "csv" not in forms:
        raise UserError("--pixel-size: measurements are a part of --save csv; add it, or leave this out")


def begin(values: Namespace, sources: list[Path], reporter: Reporter) -> Run:
    """Look at the output folder before the work; nothing is written yet."""
    from maskrcnn.files import file_hash
    from maskrcnn.loading import model_hash
    from maskrcnn.results.row import RunSettings
    from maskrcnn.results.rows import ResultRows

    if values.save or values.pixel_size is not None:
        _require_known(values.save, values.pixel_size)
    settings = RunSettings(
        model=model_hash(values.model),
        score_threshold=values.score_threshold,
        max_detections=values.max_detections,
        precision=values.precision,
        proposals=None if values.proposals is None else file_hash(Path(values.proposals)),
        tiles=tiles_option(values),
    )
    output = Path(values.output)
    sources = without_pictures(sources, output, reporter.note)
    if not values.resume:
        require_apart(sources, output)
    if (shards := output / "shards").exists():
        raise UserError(f"{shards}: results of a run with --shards; choose another --output")
    results, rows = output / "predictions.json", ResultRows(output / ROWS, settings)
    names = [source.as_posix() for source in sources]
    rows.look(names, resume=values.resume, overwrite=values.overwrite)
    if results.exists() and not rows.exist and not values.overwrite:
        raise UserError(
            f"{results}: results of another command; choose another --output, or replace them with --overwrite"
        )
    if values.save:
        from maskrcnn.results.forms import require_replaceable

        require_replaceable(output, values.save, overwrite=values.overwrite)
    waiting = [source for source, name in zip(sources, names, strict=True) if not rows.is_done(name)]
    tell_what_is_kept(rows, len(sources), len(waiting), reporter)
    overlays = overlay_paths(sources, output, rows.pictures)
    return Run(sources, waiting, rows, results, overlays, reporter, values.model)


PHOTOGRAPHS = (".jpg", ".jpeg", ".jfif", ".jpe")


def overlay_paths(sources: Sequence[Path], output: Path, kept: Mapping[str, str] | None = None) -> dict[Path, Path]:
    """`output/<stem>.png` for each source, `.jpg` for photographs (JPEG); label maps are named alike.

    A number is added rather than overwriting a source, another picture or a file that no run wrote. `kept` has the
    names of pictures, or label maps, that are there already, by the real paths of their sources.
    """
    kept = {source: name for source, name in (kept or {}).items() if is_plain_name(name)}
    taken = {source.resolve() for source in sources}
    for picture in kept.values():
        taken.update(file.resolve() for file in _written(output, output / picture))
    paths = {}
    for source in sources:
        if name := kept.get(os.path.realpath(source)):
            paths[source] = output / name
            continue
        ending = ".jpg" if source.suffix.lower() in PHOTOGRAPHS else ".png"
        for count in itertools.count(1):
            path = output / f"{source.stem if count == 1 else f'{source.stem}_{count}'}{ending}"
            files = _written(output, path)
            is_foreign = any(file.exists() and not is_marked(file) for file in files)
            if not is_foreign and taken.isdisjoint(file.resolve() for file in files):
                break
        taken.update(file.resolve() for file in _written(output, path))
        paths[source] = path
    return paths


def _written(output: Path, path: Path) -> list[Path]:
    """A picture, its label map and its segments, each of which may lie in one folder with sources."""
    return [path, *(output / folder / f"{path.stem}.png" for folder in (LABEL_MAPS, PANOPTIC))]


def say_what_came_out(run: Run, score_threshold: float) -> None:
    seconds, done = time.perf_counter() - run.started, run.rows.num_done
    speed = f", {seconds:.1f} s ({run.num_done / seconds:.2f} images/s)" if run.num_done else ""
    maps = "" if run.label_maps is None else f", the class of every pixel in {run.label_maps}"
    maps += "" if run.panoptic is None else f", objects and stuff in {run.panoptic}"
    objects = "" if maps and not run.num_objects else f"{counted(run.num_objects, 'object')} in "
    run.reporter.done(
        f"{objects}{counted(done, 'image')}{speed}; results in {run.results}{maps}",
        objects=run.num_objects,
        images=done,
        skipped=len(run.skipped),
        seconds=round(seconds, 3),
        score_threshold=score_threshold,
        results=str(run.results),
    )
    if run.skipped:
        names = one_line(", ".join(run.skipped), LONGEST_MESSAGE)
        print(f"{len(run.skipped)} of {len(run.sources)} images skipped: {names}", file=sys.stderr)
    if run.num_objects == 0 and score_threshold > 0 and run.label_maps is None:
        run.reporter.note(
            f"no object scores above {score_threshold:g}; a lower --score-threshold shows less certain ones"
        )
