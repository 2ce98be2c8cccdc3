"""Rows of results as Parquet, and back: the same rows as in JSON, to the last bit of each number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from maskrcnn.errors import UserError

GROUP = 256
"""Rows that are held at a time; each group can be read alone."""

_FLAGS = ("more", "limited")
"""Columns of what most rows do not have; files of versions before a flag are without its column."""


def require_parquet() -> None:
    """A `UserError` unless the library is there."""
    _pyarrow()


def write_parquet(rows: Iterable[dict[str, Any]], path: Path) -> None:
    """Write the rows of a shard.

    Raises:
        UserError: no pyarrow, or a name that is no UTF-8.
    """
    pa, pq = _pyarrow()
    schema, rows = _schema(pa), iter(rows)
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while group := list(islice(rows, GROUP)):
            try:
                writer.write_table(pa.Table.from_pylist(group, schema))
            except UnicodeEncodeError as error:
                raise UserError(f"{path}: the name of an image is no UTF-8 ({error}); use --rows jsonl") from None


def read_parquet(path: Path) -> Iterator[dict[str, Any]]:
    """The rows again, some at a time.

    Raises:
        UserError: no pyarrow, or a file that is no such thing.
    """
    pa, pq = _pyarrow()
    try:
        with pq.ParquetFile(path) as file:
            known = set(file.schema_arrow.names)
            schema = pa.schema([part for part in _schema(pa) if part.name not in _FLAGS or part.name in known])
            for batch in file.iter_batches(GROUP):
                yield from map(_row, batch.cast(schema).to_pylist())
    except (pa.ArrowException, OSError, ValueError, KeyError) as error:
        raise UserError(
            f"{path}: expected rows of results as Parquet ({error}); choose another --output, or replace it with "
            "--overwrite"
        ) from None


def _row(row: dict[str, Any]) -> dict[str, Any]:
    """As in JSON: what a row or an object does not have is not there."""
    objects = [{name: value for name, value in found.items() if value is not None} for found in row["objects"]]
    whole = {**row, "objects": objects}
    return {name: value for name, value in whole.items() if value or name not in _FLAGS}


def _schema(pa: Any) -> Any:
    """In the order of `results.row.found_row`."""
    numbers = pa.list_(pa.float64())
    segmentation = pa.struct({"size": pa.list_(pa.int64()), "counts": pa.string()})
    found = {"category_id": pa.int64(), "category_name": pa.string(), "bbox": numbers, "score": pa.float64()}
    whole = {name: pa.int64() for name in ("checksum", "size", "time")}
    return pa.schema(
        {
            "file_name": pa.string(),
            "content": pa.struct(whole),
            "height": pa.int64(),
            "width": pa.int64(),
            "objects": pa.list_(pa.struct({**found, "segmentation": segmentation, "keypoints": numbers})),
            "error": pa.string(),
            "seconds": pa.float64(),
            "model": pa.string(),
            "score_threshold": pa.float64(),
            "max_detections": pa.int64(),
            "precision": pa.string(),
            "proposals": pa.string(),
            "tiles": pa.string(),
            "more": pa.bool_(),
            "limited": pa.bool_(),
        }
    )


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError:
        raise UserError("Parquet needs the library pyarrow; install it: pip install pyarrow") from None
    return pa, pq
