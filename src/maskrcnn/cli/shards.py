"""`maskrcnn predict --shards`: many images in parts, by this process, several, or Ray."""

from __future__ import annotations

import os
import re
import sys
import time
from argparse import ArgumentTypeError
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from maskrcnn.cli.arguments import CommandParser, number
from maskrcnn.cli.progress import Reporter
from maskrcnn.errors import UserError
from maskrcnn.text import counted

if TYPE_CHECKING:
    from argparse import Namespace

    from maskrcnn.scale.rows import Job
    from maskrcnn.scale.shard_file import Tally
    from maskrcnn.scale.shards import NameFiles
    from maskrcnn.scale.work import Shards

USUAL_SHARDS = 64
"""With Ray, where no number is given."""

QUIET_SECONDS = 60.0
"""After so long without a word, a shard says how far it is."""

LARGEST = 99_999
"""Shards; their numbers have five digits in the names of the files."""


def add_shard_options(parser: CommandParser) -> None:
    """`--shards`, `--shard`, `--rows`, `--engine` and those of Ray."""
    group = parser.add_argument_group("many images (docs/scale.md)")
    group.add_argument(
        "--shards",
        type=number(int, 1, LARGEST),
        metavar="N",
        help="write rows alone, into N files in DIR/shards; folders count with all below them, and a source may be a "
        "list (.txt) or an address (s3://...)",
    )
    group.add_argument("--shard", type=_shard, metavar="I/N", help="do shard I of N alone, from 0/N on")
    group.add_argument("--rows", choices=("jsonl", "parquet"), default="jsonl", help="form of the files")
    group.add_argument("--engine", choices=("ray",), help="who hands out shards (default: this process does them)")
    group.add_argument("--ray-address", metavar="A", help="of a Ray cluster that runs (default: one on this machine)")
    group.add_argument(
        "--actors", type=number(int, 1), metavar="N", help="of Ray (default: as many as there is room for)"
    )
    group.add_argument("--cpus-per-actor", type=number(int, 1), metavar="N", help="and threads (default: 1)")
    group.add_argument(
        "--gpus-per-actor",
        type=number(float, 0),
        metavar="G",
        help="(default: 1 where there are any, unless --device cpu)",
    )


def _shard(text: str) -> tuple[int, int]:
    found = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text)
    if found is None or not int(found[1]) < int(found[2]) <= LARGEST:
        raise ArgumentTypeError(
            f"expected I/N with I from 0 to N - 1 and N up to {LARGEST}, such as 0/64, got {text!r}"
        )
    return int(found[1]), int(found[2])


def in_shards(values: Namespace) -> bool:
    """Whether shards are asked for.

    Raises:
        UserError: by options that do not fit together.
    """
    _require_fitting(values)
    if values.shards or values.shard or values.engine:
        _require_possible(values)
        return True
    if values.rows != "jsonl":
        raise UserError("--rows: only with --shards N")
    return False


def _require_fitting(values: Namespace) -> None:
    if values.shard and values.shards not in (None, values.shard[1]):
        raise UserError(f"--shard {values.shard[0]}/{values.shard[1]}: of another number than --shards {values.shards}")
    if values.shard and values.engine:
        raise UserError("--shard: an engine hands out all shards; leave out --shard or --engine")
    if values.engine is None:
        for name in ("ray_address", "actors", "cpus_per_actor", "gpus_per_actor"):
            if getattr(values, name) is not None:
                raise UserError(f"--{name.replace('_', '-')}: only with --engine ray")


def _require_possible(values: Namespace) -> None:
    if values.save or values.pixel_size is not None:
        raise UserError(
            f"--save: not with shards, which hold rows alone; join them (cat {values.output}/shards/*.jsonl > "
            "NEW/predictions.jsonl), then predict any of the images with --output NEW --resume --no-overlays --save ..."
        )
    if values.proposals is not None:
        raise UserError("--proposals: not with shards, since the file is read as a whole; leave out one of the two")
    if values.line_width is not None or values.picture_size is not None or values.draw != "labels,masks":
        raise UserError("--draw, --line-width, --picture-size: not with shards, which have no pictures; leave them out")


def predict_in_shards(values: Namespace, reporter: Reporter) -> int:
    """All shards that are asked for; 1 if some images could not be read."""
    from maskrcnn.cli.signals import terminated_as_interrupted
    from maskrcnn.scale.names import image_names
    from maskrcnn.scale.parquet import require_parquet
    from maskrcnn.scale.scratch import scratch_folder
    from maskrcnn.scale.shards import NameFiles
    from maskrcnn.scale.work import Shards

    if values.rows == "parquet":
        require_parquet()
    number = values.shard[1] if values.shard else values.shards or USUAL_SHARDS
    shards, job = Shards(Path(values.output), number, values.rows, values.resume), _job(values)
    wanted = [values.shard[0]] if values.shard else list(range(number))
    with terminated_as_interrupted(), scratch_folder(shards.output) as folder:
        if values.overwrite:
            shards.clear(wanted if values.shard else None)
        shards.require_alone()
        names = NameFiles(folder, number)
        num_images = names.fill(image_names(values.sources, reporter.note), wanted)
        reporter.note(f"{counted(num_images, 'image')} in {counted(number, 'shard')}")
        told = _Told(reporter, shards)
        with reporter:
            reporter.begin(len(wanted))
            _do(values, job, shards, names, wanted, told)
    return told.end()


def _do(values: Namespace, job: Job, shards: Shards, names: NameFiles, wanted: Sequence[int], told: _Told) -> None:
    if values.engine is None:
        from maskrcnn.scale.work import ShardWork, in_turn

        in_turn(ShardWork(job, shards, names), wanted, told.done, told.each)
        return
    from maskrcnn.scale.ray_engine import RayOptions, on_ray

    address = values.ray_address or os.environ.get("RAY_ADDRESS")
    options = RayOptions(address, values.actors, values.cpus_per_actor or 1, values.gpus_per_actor)
    on_ray(job, shards, names, wanted, options, told.done, told.reporter.note)


def _job(values: Namespace) -> Job:
    from maskrcnn.scale.rows import Job

    return Job.of(
        values.model,
        values.score_threshold,
        values.max_detections,
        values.precision,
        device=values.device,
        batch_size=values.batch_size,
        tile=values.tile,
        overlap=values.overlap,
        background=values.background,
        folder=os.getcwd(),
    )


class _Told:
    """What is said of shards, and what they come to in all."""

    def __init__(self, reporter: Reporter, shards: Shards) -> None:
        from maskrcnn.scale.shard_file import Tally

        self.reporter, self._shards, self._all = reporter, shards, Tally()
        self._started = self._last = time.perf_counter()

    def done(self, shard: int, tally: Tally) -> None:
        """A shard is whole."""
        self._all.include(tally)
        self._last = time.perf_counter()
        self.reporter.shard(shard, self._shards.number, tally.reasons, **_facts(tally))

    def each(self, shard: int, tally: Tally) -> None:
        """An image of a shard is done."""
        if time.perf_counter() - self._last > QUIET_SECONDS:
            self._last = time.perf_counter()
            self.reporter.note(f"shard {shard}/{self._shards.number}: {counted(tally.images, 'image')} so far")

    def end(self) -> int:
        """Say what came out; the exit code."""
        tally, seconds = self._all, time.perf_counter() - self._started
        changed = f", {counted(tally.changed, 'image')} changed since" if tally.changed else ""
        self.reporter.done(
            f"{counted(tally.objects, 'object')} in {counted(tally.images - tally.failed, 'image')}, {seconds:.1f} s "
            f"({counted(tally.new, 'new row')}{changed}); results in {self._shards.folder}",
            **_facts(tally),
            changed=tally.changed,
            seconds=round(seconds, 3),
            results=str(self._shards.folder),
        )
        if tally.failed == tally.images > 0:
            raise UserError(f"none of the {tally.images} images could be read; --resume tries them again")
        if tally.failed:
            print(
                f"{tally.failed} of {tally.images} images skipped: their rows say why (--resume tries them again)",
                file=sys.stderr,
            )
        return 1 if tally.failed else 0


def _facts(tally: Tally) -> dict[str, int]:
    return {"objects": tally.objects, "images": tally.images - tally.failed, "skipped": tally.failed, "new": tally.new}
