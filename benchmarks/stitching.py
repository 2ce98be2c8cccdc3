"""How long it takes to put the objects of tiles together, without a network: processor seconds for ever more objects.

    python benchmarks/stitching.py 10000 100000 1000000 [--files]

Discs of 15 to 35 pixels lie in a grid of 40, each moved at random inside its cell; a tile finds what it sees of them.
Timed are what `Model.stream_large` does with the predictions of tiles, and the rows and files that `maskrcnn predict`
makes of its objects (`--files`).
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from maskrcnn.large.grid import Grid, Tile
from maskrcnn.large.pieces import Pieces, pieces_of
from maskrcnn.large.stitching import Stitcher
from maskrcnn.large.strips import LabelStrips
from maskrcnn.masks.column_runs import ColumnRuns
from maskrcnn.prediction import Prediction
from maskrcnn.results import geojson
from maskrcnn.results.finished import Finished
from maskrcnn.results.row import RunSettings
from maskrcnn.results.rows import ResultRows
from maskrcnn.structures import Categories

CELL, TILE, OVERLAP = 40, 1024, 64
SETTINGS = RunSettings("m" * 64, 0.5, None, "float32", None)
CATEGORIES = Categories((1,), ("cell",))


class Discs:
    """About so many discs in a square image: whole-numbered middles and radii."""

    def __init__(self, number: int) -> None:
        self.cells = math.ceil(math.sqrt(number))
        rng = np.random.default_rng(0)
        cells = np.stack(np.mgrid[: self.cells, : self.cells], axis=-1)[..., ::-1] * CELL
        self.radii = rng.integers(7, 18, cells.shape[:2])
        room = CELL - 2 * self.radii[..., None] - 1
        self.middles = cells + self.radii[..., None] + (rng.random(cells.shape) * room).astype(np.int64)
        self.scores = rng.uniform(0.5, 1, cells.shape[:2]).astype(np.float32)
        self.size = (self.cells * CELL, self.cells * CELL)

    def seen_in(self, window: tuple[int, int, int, int]) -> Prediction:
        """What a tile has of them, in its own frame."""
        x1, y1, x2, y2 = window
        near = slice(y1 // CELL, y2 // CELL + 1), slice(x1 // CELL, x2 // CELL + 1)
        radii, scores = self.radii[near].reshape(-1), self.scores[near].reshape(-1)
        middles = self.middles[near].reshape(-1, 2) - [x1, y1]
        offsets = np.arange(-17, 18)
        inside = np.abs(offsets) <= radii[:, None]
        half = np.sqrt(np.maximum(radii[:, None] ** 2 - offsets**2, 0)).astype(np.int64)
        columns = middles[:, :1] + offsets
        tops, bottoms = np.maximum(middles[:, 1:] - half, 0), np.minimum(middles[:, 1:] + half + 1, TILE)
        inside &= (columns >= 0) & (columns < TILE) & (tops < bottoms)
        seen = np.flatnonzero(inside.sum(axis=1) > 3)
        kept = inside[seen]
        ends = np.concatenate([[0], np.cumsum(kept.sum(axis=1))]).astype(np.int64)
        runs = ColumnRuns(columns[seen][kept], tops[seen][kept], bottoms[seen][kept], ends)
        return Prediction(
            boxes=runs.windows().astype(np.float32),
            scores=scores[seen],
            labels=np.zeros(len(seen), np.int64),
            image_size=(TILE, TILE),
            categories=CATEGORIES,
            source="tile",
            given_masks=runs.to_packed((TILE, TILE)),
        )


class Clock(Counter[str]):
    """Processor seconds by name."""

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        start = time.process_time()
        yield
        self[name] += time.process_time() - start  # type: ignore[assignment]


def objects(discs: Discs, clock: Clock) -> Iterator[Prediction]:
    """As `stream_large` gives them."""
    grid = Grid.over(discs.size, TILE, OVERLAP)
    stitcher = Stitcher(grid)
    for row in range(len(grid.y_starts) + 1):
        tiles: dict[Tile, Pieces] = {}
        for tile in grid.row(row) if row < len(grid.y_starts) else ():
            found = discs.seen_in(grid.window(tile))
            with clock.of("put together"):
                tiles[tile] = pieces_of(found, tile, grid)
        with clock.of("put together"):
            complete = stitcher.add_row(tiles)
            part = None if complete is None else _prediction(complete, discs.size)
        if part is not None:
            yield part


def _prediction(pieces: Pieces, size: tuple[int, int]) -> Prediction:
    assert pieces.runs is not None
    boxes, masks = pieces.boxes.astype(np.float32), pieces.runs.to_packed(size)
    rows = {"scores": pieces.scores, "labels": pieces.labels, "categories": CATEGORIES, "source": "slide.tif"}
    return Prediction(boxes=boxes, image_size=size, given_masks=masks, **rows)  # type: ignore[arg-type]


def measure(number: int, folder: Path | None) -> None:
    """A line of JSON; with a folder also the time of files in it."""
    discs, clock, count = Discs(number), Clock(), 0
    rows = None if folder is None else ResultRows(folder / "rows.jsonl", SETTINGS)
    for part in objects(discs, clock):
        count += len(part)
        if rows is not None:
            with clock.of("rows"):
                rows.append(rows.found("slide.tif", part, 0.0, more=True))
    assert count == discs.cells**2, f"{count} objects of {discs.cells**2}"
    if rows is not None and folder is not None:
        rows.append(rows.found("slide.tif", part[:0], 0.0))
        rows.close()
        _write_files(rows, folder, clock)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    seconds = {name: round(value, 2) for name, value in clock.items()}
    per_object = {name: round(1e6 * value / count, 1) for name, value in clock.items()}
    print(json.dumps({"objects": count, "side": discs.size[0], "seconds": seconds, "us": per_object, "MiB": peak}))


def _write_files(rows: ResultRows, folder: Path, clock: Clock) -> None:
    finished = Finished(rows, ["slide.tif"], CATEGORIES)
    with clock.of("COCO results"):
        rows.write_coco(folder / "predictions.json", ["slide.tif"])
    with clock.of("GeoJSON"):
        geojson.write(finished, folder)
    with clock.of("label image"):
        (image,) = finished
        for _ in LabelStrips(image.parts, image.size).strips(512):
            pass


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("numbers", nargs="*", type=int, default=[10_000, 100_000], help="of objects")
    parser.add_argument("--files", action="store_true", help="write rows, COCO, GeoJSON and the label image too")
    values = parser.parse_args()
    for number in values.numbers:
        with TemporaryDirectory() as scratch:
            measure(number, Path(scratch) if values.files else None)
